/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - CPU time and memory of a process and everything it started, from /proc. MLflow's server is a parent and its
 * workers. */
#pragma once

typedef struct {
    double cpu_us;   /* user and system, of the living and of children they waited for */
    double rss_mib;  /* resident now; pages that two share are counted for each */
    double peak_mib; /* sum of the peaks since wr_tree_reset_peak */
    int processes;
} wr_tree;

void wr_tree_read(wr_tree *out, int pid);

/* The peaks start anew: possible for own processes and root, else they count from the start of each. */
void wr_tree_reset_peak(int pid);
