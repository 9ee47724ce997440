/* SPDX-License-Identifier: Apache-2.0 */
/* chart.h - inside the room: lines over time as inline SVG, styled by the page's CSS (classes s0..s7, bound, mark). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

enum { WR_CHART_LINES = 8 };

typedef struct { const char *name; const double *v; int color; /* 0..7 */ } wr_chart_line; /* v: one a point, NaN = gap */
typedef struct { int64_t t; int number; } wr_chart_mark; /* a numbered vertical line */

typedef struct {
    const char *title, *note;
    const int64_t *t; size_t n;     /* times of the points, ascending */
    const wr_chart_line *lines; size_t nlines; /* at most WR_CHART_LINES */
    const wr_chart_mark *marks; size_t nmarks;
    bool has_bound;                 /* a dashed horizontal line with a name */
    double bound;
    const char *bound_name;
    bool from_zero, percent;
    int height;                     /* of the plot, pixels */
} wr_chart;

void wr_chart_svg(wr_buf *out, const wr_chart *c);
/* Text with & < > " escaped; control characters and invalid UTF-8 as U+FFFD. */
void wr_html_text(wr_buf *out, const char *s);
/* "8 Jun", "8 Jun 14:00". */
void wr_chart_day(char out[32], int64_t us);
