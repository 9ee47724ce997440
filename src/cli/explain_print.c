/* SPDX-License-Identifier: Apache-2.0 */
/* explain_print.c - a row's contributions, the greatest first. */
#include "cli/explain_print.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_SHOWN = 100, BAR = 16 };

typedef struct {
    double x;
    size_t at;
} part;

/* By size, then in the model's order, so that ties print the same everywhere. */
static int by_size(const void *a, const void *b)
{
    const part *p = a, *q = b;
    double x = fabs(p->x), y = fabs(q->x);
    if (x != y) return x > y ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static void head(wr_table *t, const wr_explained *e, size_t row, size_t output)
{
    wr_table_cell(t, "%zu", row);
    if (e->outputs > 1) wr_table_cell(t, "%zu", output);
}

static void line(wr_cli *c, wr_table *t, const char *name, double x, double most)
{
    wr_table_cell(t, "%s", name);
    wr_table_cell(t, "%+.4f", x);
    wr_table_cell(t, "%s", most > 0 && fabs(x) <= most ? wr_bar(c, fabs(x), most, BAR) : "");
}

static const char *name_of(wr_cli *c, const wr_explained *e, size_t j)
{
    return e->names ? e->names[j] : wr_arena_printf(wr_cli_arena(c), "feature %zu", j);
}

static void print_row(wr_cli *c, wr_table *t, const wr_explained *e, size_t top, size_t row, size_t output, part *parts)
{
    const double *x = e->phi + (row * e->outputs + output) * (e->features + 1);
    double rest = 0, margin = x[e->features];
    size_t shown = top < e->features ? top : e->features;
    for (size_t j = 0; j < e->features; j++) {
        parts[j] = (part){x[j], j};
        margin += x[j];
    }
    qsort(parts, e->features, sizeof *parts, by_size);
    while (shown && parts[shown - 1].x == 0) shown--;
    for (size_t k = shown; k < e->features; k++) rest += parts[k].x;
    double most = shown ? fabs(parts[0].x) : 0;
    for (size_t k = 0; k < shown; k++) {
        const char *name = name_of(c, e, parts[k].at);
        head(t, e, row, output);
        line(c, t, name ? name : "?", parts[k].x, most);
    }
    if (shown < e->features && rest != 0) {
        head(t, e, row, output);
        line(c, t, "(others)", rest, most);
    }
    head(t, e, row, output);
    line(c, t, "(base value)", x[e->features], 0);
    head(t, e, row, output);
    line(c, t, "= margin", margin, 0);
}

int wr_explained_print(wr_cli *c, const wr_explained *e, size_t top, wr_err *err)
{
    size_t shown = e->rows < ROWS_SHOWN ? e->rows : ROWS_SHOWN;
    part *parts = wr_arena_alloc(wr_cli_arena(c), (e->features + 1) * sizeof *parts);
    wr_table *t = e->outputs > 1 ? wr_table_new(c, ">ROW", ">OUTPUT", "FEATURE", ">ADDS", "", NULL)
                                 : wr_table_new(c, ">ROW", "FEATURE", ">ADDS", "", NULL);
    if (!t || !parts) return wr_err_nomem(err);
    for (size_t i = 0; i < shown; i++)
        for (size_t k = 0; k < e->outputs; k++) print_row(c, t, e, top, i, k, parts);
    wr_table_print(t);
    if (e->rows > shown) wr_say(c, "... %zu rows in all; --json has them", e->rows);
    return 0;
}

static void put_row(wr_jsonw *w, const wr_explained *e, size_t row, bool margins)
{
    wr_jsonw_arr(w);
    for (size_t k = 0; k < e->outputs; k++) {
        const double *x = e->phi + (row * e->outputs + k) * (e->features + 1);
        double sum = 0;
        if (!margins) wr_jsonw_arr(w);
        for (size_t j = 0; j <= e->features; j++) {
            sum += x[j];
            if (!margins) wr_jsonw_f64(w, x[j]);
        }
        if (margins) wr_jsonw_f64(w, sum);
        else wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

void wr_explained_json(wr_jsonw *w, const wr_explained *e)
{
    wr_jsonw_obj(w);
    for (int margins = 0; margins < 2; margins++) {
        wr_jsonw_key(w, margins ? "margins" : "explanations");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < e->rows; i++) put_row(w, e, i, margins);
        wr_jsonw_end(w);
    }
    wr_jsonw_key(w, "features");
    wr_jsonw_arr(w);
    for (size_t j = 0; e->names && j < e->features; j++) wr_jsonw_cstr(w, e->names[j]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "base_values");
    wr_jsonw_arr(w);
    for (size_t k = 0; e->rows && k < e->outputs; k++) wr_jsonw_f64(w, e->phi[(k + 1) * (e->features + 1) - 1]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}
