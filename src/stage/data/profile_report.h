/* SPDX-License-Identifier: Apache-2.0 */
/* profile_report.h - the profile of a dataset (calc/profile.h for each column) as JSON and as one HTML page.
 *
 * Columns are read a few at a time, so memory is that of a few columns. Binary columns are left out.
 */
#pragma once
#include "calc/profile.h"
#include "codec/json.h"
#include "core/dataset.h"

typedef struct {
    wr_node node;                   /* the version profiled */
    int64_t rows, bytes, timestamp_us;
    wr_profile *column; size_t n;
    const char **skipped; size_t nskipped; /* columns left out */
} wr_profile_report;

typedef void (*wr_profile_tick)(void *ctx, size_t done, size_t of);
/* Strings in `a`. `only`: these columns (n 0 = all); WEIR_ENOTFOUND with did-you-mean. */
int wr_profile_dataset(wr_profile_report *out, wr_arena *a, wr_project *p, const char *ref, const char *const *only, size_t n,
                       wr_pool *pool, wr_profile_tick tick, void *ctx, wr_err *err);
void wr_profile_json(wr_jsonw *w, const wr_profile_report *r);
/* A page of its own, no script, inline SVG, at most WR_PROFILE_PAGE bytes: columns beyond are counted, not drawn. */
enum { WR_PROFILE_PAGE = 150000 };
void wr_profile_html(wr_buf *b, const wr_profile_report *r);
/* A number of the column as text: times as times, whole numbers whole. `out` of WR_PROFILE_TEXT bytes; "-" for NaN. */
enum { WR_PROFILE_TEXT = 40 };
const char *wr_profile_text(char *out, const wr_profile *p, double v);
