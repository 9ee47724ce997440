/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what the benchmarks share: an entry of the result, medians, sizes.
 *
 * A benchmark writes entries, one JSON object a line:
 *   {"name","unit","ours","peer","theirs","ratio","how"}; ratio says how many times better we are, above 1 is better
 *   (AUC: theirs / ours, 1 is equal).
 * One that cannot run writes a note instead and is no failure: {"name","skipped"}.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct {
    const char *name, *unit;
    double ours;
    const char *peer;
    double theirs;
    bool more; /* more is better: a rate */
    const char *how;
} wr_bench_entry;

void wr_bench_write(FILE *out, const wr_bench_entry *e);
void wr_bench_skip(FILE *out, const char *name, const char *why);
double wr_bench_median(double *x, size_t n); /* sorts x */
/* `full` times WEIR_BENCH_SCALE, at least `least`. */
size_t wr_bench_size(size_t full, size_t least);
/* A temporary folder under $TMPDIR or /tmp; NULL after saying why. The caller removes and frees it. */
char *wr_bench_folder(void);

/* The benchmarks: 0, or negative after saying why on stderr. `weir` is the program to measure. */
int wr_bench_trees(FILE *json);
int wr_bench_start(FILE *out, const char *weir);
int wr_bench_idle(FILE *out, const char *weir);
int wr_bench_durable(FILE *out);
int wr_bench_track(FILE *out);
/* Merge files of entries: medians over entries of one name, table on stdout, JSON array in `path`. */
int wr_bench_report(const char *path, char *const *files, int n);
