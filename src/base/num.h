/* SPDX-License-Identifier: Apache-2.0 */
/* num.h - the one parser for numbers, durations and sizes, and their human forms. All reject trailing characters. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

int wr_num_i64(int64_t *out, wr_str s, wr_err *err);
int wr_num_f64(double *out, wr_str s, wr_err *err);            /* decimal, "nan", "inf"; locale-independent */
int wr_num_duration_us(int64_t *out, wr_str s, wr_err *err);   /* "90s", "15m", "3h", "7d", "250ms", "2w"; bare: s */
int wr_num_size(uint64_t *out, wr_str s, wr_err *err);      /* "64MiB", "1GB", "512k" (k 1000, Ki 1024); bare: bytes */

/* Human text into out[WR_NUM_TEXT]: returns out. */
#define WR_NUM_TEXT 32
char *wr_fmt_bytes(char *out, double bytes);                   /* "17.6 MB" */
char *wr_fmt_count(char *out, double n);                       /* "3,000,000" */
char *wr_fmt_seconds(char *out, double s);                     /* "850 us", "1.2 s", "3 min 12 s" */
char *wr_fmt_si(char *out, double v, const char *unit);        /* "12.3 mJ", "4.1 kJ" */
/* Shortest text of `v` that reads back to the same double (at most 24 characters and NUL). */
size_t wr_f64_text(char out[32], double v);
/* The same values without a search, some ten times as fast, in the form JSON likes: "0.1", "5", "1e-05", "1.5e+16", "-0.0" (readers take "-0" for
 * the whole number 0); "nan", "inf", "-inf". The float's text reads back as the same float. */
size_t wr_f64_shortest(char out[32], double v);
size_t wr_f32_shortest(char out[32], float v);
/* The double nearest to digits * 10^exp, exactly; false when this quick way cannot tell (zero, some ties, what is not normal). */
bool wr_f64_nearest(double *out, uint64_t digits, int exp);
