/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h - what the control groups of this process allow (cgroup v1 and v2); used by os.c.
 *
 * `proc` is the text file that names the groups (/proc/self/cgroup), `mount` where they are mounted (/sys/fs/cgroup):
 * arguments, so that tests can bring their own. The tightest limit on the way up to the mount counts. 0 = no limit
 * found.
 */
#pragma once
#include <stdint.h>

double wr_cgroup_cpus(const char *proc, const char *mount);     /* processors' worth of time, e.g. 1.5 */
uint64_t wr_cgroup_memory(const char *proc, const char *mount); /* bytes */
