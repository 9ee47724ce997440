/* SPDX-License-Identifier: Apache-2.0 */
/* frame_csv.c - CSV (RFC 4180) into tensors: a header line, then records; fields may be quoted, a quote in them is
 * doubled. Empty fields and what pandas takes for missing (NaN, NA, null, None) are missing values; numbers are decimal
 * texts, truth is true or false in any case.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "wire/oip/frame.h"

typedef struct {
    wr_str left;
    size_t line;
    wr_arena *arena;
    wr_err *err;
} csv;

typedef struct {
    wr_str text;
    bool quoted, last; /* last of its record */
} field;

static int bad(const csv *s, const char *what)
{
    wr_err_set(s->err, WEIR_EPARSE, "Failed to parse input as CSV");
    return wr_err_detail(s->err, WEIR_EPARSE, "line %zu: %s", s->line, what);
}

/* Behind a field: its comma, or the end of its record. */
static int end_field(csv *s, field *f)
{
    f->last = true;
    if (!s->left.n) return 0;
    char c = s->left.p[0];
    if (c != ',' && c != '\n' && c != '\r') return bad(s, "something behind a closing quote");
    f->last = c != ',';
    size_t n = c == '\r' && s->left.n > 1 && s->left.p[1] == '\n' ? 2 : 1;
    s->left = wr_str_sub(s->left, n, s->left.n);
    s->line += f->last;
    return 0;
}

static int quoted_field(csv *s, field *f)
{
    size_t n = 1, doubled = 0;
    const char *p = s->left.p;
    for (; n < s->left.n; n++) {
        if (p[n] == '\n') s->line++;
        if (p[n] != '"') continue;
        if (n + 1 == s->left.n || p[n + 1] != '"') break;
        doubled++;
        n++;
    }
    if (n == s->left.n) return bad(s, "a quote is not closed");
    f->text = wr_str_sub(s->left, 1, n);
    f->quoted = true;
    s->left = wr_str_sub(s->left, n + 1, s->left.n);
    if (doubled) {
        char *to = wr_arena_alloc(s->arena, f->text.n + 1);
        size_t k = 0;
        if (!to) return wr_err_nomem(s->err);
        for (size_t i = 0; i < f->text.n; i++) {
            to[k++] = f->text.p[i];
            i += f->text.p[i] == '"';
        }
        f->text = (wr_str){to, k};
    }
    return end_field(s, f);
}

static int next_field(csv *s, field *f)
{
    size_t n = 0;
    *f = (field){.text = {"", 0}};
    if (s->left.n && s->left.p[0] == '"') return quoted_field(s, f);
    while (n < s->left.n && !strchr(",\r\n", s->left.p[n])) n++; /* NUL ends a field too; a number it is not */
    f->text = wr_str_sub(s->left, 0, n);
    if (n < s->left.n && !s->left.p[n]) return bad(s, "a byte 0");
    s->left = wr_str_sub(s->left, n, s->left.n);
    return end_field(s, f);
}

static bool missing(const field *f)
{
    static const char *const words[] = {"nan", "na", "null", "none", "n/a", "#n/a", "<na>"};
    if (f->quoted) return false;
    if (!f->text.n) return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wr_str_ieq(f->text, words[i])) return true;
    return false;
}

/* As JSON has it, so that one reader decides what fits a type: "+.5" is 0.5, "True" is true. */
static wr_str as_json(const field *f, char out[64])
{
    wr_str t = wr_str_trim(f->text);
    double v;
    size_t n;
    wr_jnumber number;
    wr_jscan s;
    if (wr_str_ieq(t, "true") || wr_str_ieq(t, "false"))
        return wr_str_ieq(t, "true") ? WR_STR("true ") : WR_STR("false ");
    if (t.n > 60) t.n = 60; /* no number that counts is longer */
    memcpy(out, t.p, t.n);
    memcpy(out + t.n, " ", 2);
    wr_jscan_init(&s, (wr_str){out, t.n + 1}, NULL, NULL);
    if (wr_jscan_number(&s, &number) == 0 && wr_jscan_end(&s) == 0) return (wr_str){out, t.n + 1};
    if (wr_num_f64(&v, t, NULL) < 0) return (wr_str){out, t.n + 1};
    n = isinf(v) ? (size_t)snprintf(out, 64, v < 0 ? "-Infinity" : "Infinity") : wr_f64_shortest(out, v);
    out[n] = ' ';
    return (wr_str){out, n + 1};
}

static int put_field(wr_oip_frame *f, wr_oip_column *k, size_t row, const field *x)
{
    const wr_tensor_spec *spec = &f->m->in[k->tensor];
    char text[64];
    wr_jscan s;
    if (k->n > 1)
        return wr_err_set(f->err, WEIR_EINVAL, "column '%s' has %zu values a row: send it as JSON", spec->name, k->n);
    k->n = 1;
    if (!f->each[k->tensor]) f->each[k->tensor] = 1;
    k->seen = k->now = true;
    bool string = spec->type == WR_TENSOR_BYTES;
    if (missing(x) && (spec->lenient || !string)) return wr_oip_frame_null(f, k, row);
    if (!string) {
        wr_jscan_init(&s, as_json(x, text), f->c->arena, f->err);
        return wr_oip_frame_cell(f, k, row, &s);
    }
    WR_TRY(wr_oip_frame_ready(f, k->tensor, WR_TENSOR_BYTES));
    if (!wr_str_utf8(x->text))
        return wr_err_set(f->err, WEIR_EINVAL, "column '%s', row %zu: not UTF-8", spec->name, row);
    ((wr_str *)f->t[k->tensor].data)[row * f->each[k->tensor] + k->offset] = x->text;
    return 0;
}

/* Records behind the header; also checks the quotes. */
static int count_records(csv s, size_t *rows)
{
    field x;
    for (*rows = 0; s.left.n; ++*rows) do
            WR_TRY(next_field(&s, &x));
        while (!x.last);
    return 0;
}

static int read_names(wr_oip_frame *f, csv *s, wr_oip_column ***out, size_t *n)
{
    enum { MOST = 100000 };
    csv count = *s;
    field x = {0};
    for (*n = 0; !x.last; ++*n) WR_TRY(next_field(&count, &x));
    if (*n > MOST) return wr_err_set(f->err, WEIR_ELIMIT, "more than %d columns", MOST);
    *out = wr_arena_calloc(f->c->arena, *n, sizeof **out);
    if (!*out) return wr_err_nomem(f->err);
    for (size_t i = 0; i < *n; i++) {
        WR_TRY(next_field(s, &x));
        (*out)[i] = wr_oip_frame_find(f, x.text, i);
        if ((*out)[i]) (*out)[i]->seen = true;
    }
    return 0;
}

static int read_record(wr_oip_frame *f, csv *s, wr_oip_column **at, size_t n, size_t row)
{
    field x = {0};
    size_t i = 0;
    for (; !x.last; i++) {
        WR_TRY(next_field(s, &x));
        if (i < n && at[i] && !at[i]->now) WR_TRY(put_field(f, at[i], row, &x));
    }
    for (size_t k = i; k < n; k++) /* a short record: the rest is missing */
        if (at[k]) WR_TRY(put_field(f, at[k], row, &(field){.text = {"", 0}}));
    return i <= n ? 0 : bad(s, "more fields than the header has");
}

int wr_oip_frame_csv(wr_oip_frame *f, wr_str text)
{
    csv s = {.left = text, .line = 1, .arena = f->c->arena, .err = f->err};
    wr_oip_column **at;
    size_t n, rows;
    if (wr_str_starts(text, "\xef\xbb\xbf")) s.left = wr_str_sub(text, 3, text.n);
    if (!s.left.n) return bad(&s, "no columns");
    WR_TRY(read_names(f, &s, &at, &n));
    WR_TRY(count_records(s, &rows));
    WR_TRY(wr_oip_frame_start(f, rows));
    for (size_t row = 0; row < rows; row++) {
        WR_TRY(read_record(f, &s, at, n, row));
        WR_TRY(wr_oip_frame_row_end(f, row));
    }
    return 0;
}
