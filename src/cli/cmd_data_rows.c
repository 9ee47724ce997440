/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_rows.c - see cmd_data_rows.h. */
#include "cli/cmd_data_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

enum { SHOWN_COLUMNS = 31, CELL = 40 };

/* Shortest text that reads back to the same float. */
static void float_text(wr_buf *b, float v)
{
    char text[40];
    if (!isfinite(v)) {
        wr_buf_f64(b, (double)v);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    wr_buf_str(b, text);
}

static void value_text(wr_buf *b, const wr_col *c, size_t row)
{
    char time[WR_TIME_TEXT];
    switch (c->type) {
    case WR_F64:
        wr_buf_f64(b, c->f64[row]);
        break;
    case WR_F32:
        float_text(b, c->f32[row]);
        break;
    case WR_I64:
        wr_buf_i64(b, c->i64[row]);
        break;
    case WR_BOOL:
        wr_buf_str(b, c->b[row] ? "true" : "false");
        break;
    case WR_TEXT:
        wr_buf_slice(b, wr_col_text(c, row));
        break;
    case WR_TS:
        wr_time_format(time, c->i64[row]);
        wr_buf_str(b, time);
        break;
    }
}

/* One line: control characters would break the table, or the terminal. */
static void cell(wr_cli *c, wr_table *t, const wr_col *col, size_t row)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    if (wr_col_missing(col, row)) {
        wr_table_cell(t, "%s", "-");
        return;
    }
    value_text(&b, col, row);
    wr_str s = wr_str_fit(wr_buf_view(&b), CELL);
    char *copy = wr_arena_printf(wr_cli_arena(c), "%.*s%s", WR_STR_FMT(s), s.n < b.n ? "…" : "");
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
    wr_table_cell(t, "%s", copy ? copy : "");
}

void wr_rows_print(wr_cli *c, const wr_frame *f)
{
    const char *h[SHOWN_COLUMNS + 1] = {NULL};
    size_t n = f->ncols < SHOWN_COLUMNS ? f->ncols : SHOWN_COLUMNS;
    if (wr_cli_json(c)) return;
    for (size_t i = 0; i < n; i++) {
        bool left = f->cols[i].type == WR_TEXT || f->cols[i].type == WR_TS || f->cols[i].type == WR_BOOL;
        h[i] = wr_arena_printf(wr_cli_arena(c), "%s%s", left ? "" : ">", f->cols[i].name);
        if (!h[i]) h[i] = "?";
    }
    /* The first NULL ends the headers. */
    wr_table *t = wr_table_new(c, h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12],
                               h[13], h[14], h[15], h[16], h[17], h[18], h[19], h[20], h[21], h[22], h[23], h[24],
                               h[25], h[26], h[27], h[28], h[29], h[30], h[31], NULL);
    for (size_t r = 0; r < f->nrows; r++)
        for (size_t i = 0; i < n; i++) cell(c, t, &f->cols[i], r);
    wr_table_print(t);
    if (n < f->ncols) wr_say(c, "(%zu columns more)", f->ncols - n);
}

static void value_json(wr_jsonw *w, const wr_col *c, size_t row)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    if (wr_col_missing(c, row)) {
        wr_jsonw_null(w);
    } else if (c->type == WR_F64) {
        wr_jsonw_f64(w, c->f64[row]);
    } else if (c->type == WR_BOOL) {
        wr_jsonw_bool(w, c->b[row]);
    } else {
        value_text(&b, c, row);
        if (c->type == WR_F32 && !isfinite(c->f32[row])) wr_jsonw_null(w);
        else if (c->type == WR_F32 || c->type == WR_I64) wr_jsonw_raw(w, wr_buf_view(&b));
        else wr_jsonw_str(w, wr_buf_view(&b));
    }
}

void wr_rows_json(wr_jsonw *w, const wr_frame *f)
{
    wr_jsonw_arr(w);
    for (size_t r = 0; r < f->nrows; r++) {
        wr_jsonw_obj(w);
        for (size_t i = 0; i < f->ncols; i++) {
            wr_jsonw_key(w, f->cols[i].name);
            value_json(w, &f->cols[i], r);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void csv_text(wr_buf *b, wr_str s)
{
    bool quote = s.n == 0;
    for (size_t i = 0; i < s.n && !quote; i++) quote = strchr(",\"\r\n", s.p[i]) != NULL;
    if (!quote) {
        wr_buf_slice(b, s);
        return;
    }
    wr_buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') wr_buf_char(b, '"');
        wr_buf_char(b, s.p[i]);
    }
    wr_buf_char(b, '"');
}

void wr_rows_csv(wr_buf *b, const wr_frame *f)
{
    for (size_t i = 0; i < f->ncols; i++) {
        if (i) wr_buf_char(b, ',');
        csv_text(b, wr_str_of(f->cols[i].name));
    }
    wr_buf_char(b, '\n');
    for (size_t r = 0; r < f->nrows; r++) {
        for (size_t i = 0; i < f->ncols; i++) {
            const wr_col *c = &f->cols[i];
            if (i) wr_buf_char(b, ',');
            if (wr_col_missing(c, r)) continue;
            if (c->type == WR_TEXT) csv_text(b, wr_col_text(c, r));
            else value_text(b, c, r);
        }
        wr_buf_char(b, '\n');
    }
}
