/* SPDX-License-Identifier: Apache-2.0 */
/* os.h - facts about the machine and the process. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int wr_os_cpus(void);                                          /* usable processors (affinity, cgroup quota), >= 1 */
uint64_t wr_os_memory(void);                                   /* bytes of RAM, cgroup limit respected */
const char *wr_os_hostname(void);
const char *wr_os_exe(void);                                   /* absolute path of the running program */
uint64_t wr_os_rss(void);                                      /* resident bytes now */
int wr_os_tty(int fd);                                         /* 1 if a terminal */
int wr_os_columns(void);                                       /* terminal width, 80 when unknown */
void wr_os_random(void *p, size_t n);                          /* from the kernel; aborts if it cannot */
void wr_os_uuid(char out[37]);                                 /* random UUID (RFC 9562 version 4) */
