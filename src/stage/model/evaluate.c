/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c - one table of rows, every model judged on the same of them. */
#include "stage/model/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/view_source.h"
#include "stage/model/table.h"

typedef struct {
    const wr_evaluate_opt *opt;
    wr_project *project;
    wr_arena *arena;
    wr_pool *pool;
    wr_run *run;
    wr_package *own;
    wr_model_table table;
    size_t n;
    uint8_t *y;
    double *p; /* of the model judged */
} job;

static int load(wr_package **out, wr_judged *j, job *b, const char *ref, wr_err *err)
{
    wr_model_version v;
    WR_TRY(wr_model_find(&v, b->arena, b->project, ref, err));
    WR_TRY(wr_package_load(out, b->project, v.package, err));
    j->ref = wr_arena_strdup(b->arena, ref);
    j->version = v.version;
    snprintf(j->package, sizeof j->package, "%s", v.package);
    wr_node node;
    if (wr_model_node(&node, b->arena, &v) < 0) return wr_err_nomem(err);
    wr_run_input(b->run, &node);
    return 0;
}

/* Slicing columns that are neither features of the view nor time units are read besides. */
static const char *const *extra_columns(job *b)
{
    static const char *const units[] = {"week", "day", "month"};
    const char **extra = wr_arena_calloc(b->arena, b->opt->nby + 1, sizeof *extra);
    size_t n = 0;
    for (size_t i = 0; extra && i < b->opt->nby; i++) {
        bool unit = false;
        for (size_t u = 0; u < 3; u++) unit = unit || strcmp(b->opt->by[i], units[u]) == 0;
        if (!unit) extra[n++] = b->opt->by[i];
    }
    return extra;
}

/* The labelled rows of the range, in memory. */
static int read_table(job *b, wr_evaluation *e, wr_err *err)
{
    const wr_view *v = wr_package_get(b->own)->view;
    const char *asked = b->opt->rows,
               *name = asked && !strpbrk(asked, " \n\t\"(") ? asked : v->name; /* one word is a dataset */
    char *whole = wr_arena_printf(b->arena, "SELECT * FROM \"%s\"", name);
    wr_model_table_opt opt = {.rows = asked && name != asked ? asked : whole,
                              .from_us = b->opt->from_us,
                              .until_us = b->opt->until_us,
                              .extra = extra_columns(b)};
    wr_model_table all;
    if (!whole || !opt.extra) return wr_err_nomem(err);
    WR_TRY(wr_model_table_read(&all, b->project, v, &opt, b->run, err));
    WR_AUTOFREE uint32_t *rows = wr_alloc((all.frame->nrows + 1) * sizeof *rows);
    for (size_t i = 0; rows && i < all.frame->nrows; i++)
        if (!isnan(all.label[i])) rows[b->n++] = (uint32_t)i;
    int rc = rows ? 0 : wr_err_nomem(err);
    if (rc == 0 && b->n == 0) rc = wr_err_set(err, WEIR_EINVAL, "no row of the range has a label yet");
    if (rc == 0) rc = wr_frame_take(&b->table.frame, all.frame, rows, b->n, err);
    wr_model_table_free(&all);
    WR_TRY(rc);
    wr_col *c;
    WR_TRY(wr_frame_need(&c, b->table.frame, v->time, WR_TS, err));
    b->table.time_us = c->i64;
    WR_TRY(wr_frame_need(&c, b->table.frame, v->label, WR_F64, err));
    b->y = wr_arena_alloc(b->arena, b->n);
    b->p = wr_arena_alloc(b->arena, b->n * sizeof *b->p);
    if (!b->y || !b->p) return wr_err_nomem(err);
    for (size_t i = 0; i < b->n; i++) e->positives += b->y[i] = c->f64[i] > 0.5;
    e->rows = b->n;
    e->from_us = b->table.time_us[0];
    e->until_us = b->table.time_us[b->n - 1];
    return 0;
}

static int metrics(double *out, job *b, const double *p, wr_err *err)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    for (size_t k = 0; k < n && k < WR_EVALUATE_METRICS; k++)
        WR_TRY(m[k].compute(&out[k], b->y, p, b->n, b->opt->threshold, err));
    return 0;
}

static int judge_model(wr_judged *j, job *b, const char *ref, wr_err *err)
{
    wr_package *k = NULL;
    WR_AUTOFREE double *p = wr_alloc(b->n * sizeof *p);
    if (!p) return wr_err_nomem(err);
    int rc = load(&k, j, b, ref, err);
    if (rc == 0) {
        rc = wr_package_predict(p, k, b->table.frame, b->pool, err);
        if (rc < 0) rc = wr_err_wrap(err, rc, "\"%s\" on the rows of \"%s\"", ref, b->opt->model);
    }
    if (rc == 0) rc = metrics(j->metric, b, p, err);
    wr_package_free(k);
    return rc;
}

static int judge_constant(wr_judged *j, job *b, double share, wr_err *err)
{
    WR_AUTOFREE double *p = wr_alloc(b->n * sizeof *p);
    if (!p) return wr_err_nomem(err);
    for (size_t i = 0; i < b->n; i++) p[i] = share;
    j->ref = "constant";
    return metrics(j->metric, b, p, err);
}

/* ---- slices ---- */

static int64_t slice_start(const char *unit, int64_t us)
{
    wr_civil c;
    int64_t day = us - ((us % WR_DAY_US) + WR_DAY_US) % WR_DAY_US;
    if (strcmp(unit, "day") == 0) return day;
    wr_time_civil(&c, us);
    if (strcmp(unit, "week") == 0) return day - c.weekday * WR_DAY_US;
    return wr_time_from_civil(c.year, c.month, 1);
}

typedef struct {
    int64_t key; /* of the group: start of the time unit, code of the text, bits of the number; INT64_MIN = missing */
    uint32_t row;
} keyed;

static int64_t key_of(const wr_col *c, size_t row)
{
    int64_t bits;
    if (wr_col_missing(c, row)) return INT64_MIN;
    if (c->type == WR_TEXT) return (int64_t)c->code[row];
    if (c->type == WR_TS || c->type == WR_I64) return c->i64[row];
    double v = wr_col_num(c, row) + 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? INT64_MIN : bits;
}

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->row > y->row) - (x->row < y->row);
}

static int by_rows(const void *a, const void *b)
{
    const wr_slice *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->value, y->value);
}

static int fill_slice(wr_slice *s, job *b, const keyed *k, size_t n, wr_err *err)
{
    WR_AUTOFREE double *p = wr_alloc(n * sizeof *p);
    WR_AUTOFREE uint8_t *y = wr_alloc(n);
    double positives = 0, sum = 0;
    if (!p || !y) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        p[i] = b->p[k[i].row];
        y[i] = b->y[k[i].row];
        positives += y[i];
        sum += p[i];
    }
    s->n = n;
    s->positives = positives;
    s->mean_p = sum / (double)n;
    s->log_loss = wr_metric_log_loss(y, p, n);
    return wr_metric_auc(&s->auc, y, p, n, err);
}

static const char *slice_name(job *b, const wr_col *c, const keyed *k)
{
    char text[WR_TIME_TEXT];
    if (!c || c->type == WR_TS) wr_time_format(text, k->key);
    if (!c) return wr_arena_printf(b->arena, "%.10s", text);
    if (k->key == INT64_MIN) return "(missing)";
    if (c->type == WR_TEXT) return wr_arena_str(b->arena, wr_col_text(c, k->row)).p;
    if (c->type == WR_TS) return wr_arena_strdup(b->arena, text);
    if (c->type == WR_I64) return wr_arena_printf(b->arena, "%lld", (long long)c->i64[k->row]);
    return wr_arena_printf(b->arena, "%.9g", wr_col_num(c, k->row));
}

static int slice(wr_slices *out, job *b, const char *by, wr_err *err)
{
    bool unit = strcmp(by, "week") == 0 || strcmp(by, "day") == 0 || strcmp(by, "month") == 0;
    wr_col *c = NULL;
    if (!unit) WR_TRY(wr_frame_need(&c, b->table.frame, by, -1, err));
    WR_AUTOFREE keyed *k = wr_alloc(b->n * sizeof *k);
    if (!k) return wr_err_nomem(err);
    for (size_t i = 0; i < b->n; i++) {
        k[i] = (keyed){unit ? slice_start(by, b->table.time_us[i]) : key_of(c, i), (uint32_t)i};
    }
    qsort(k, b->n, sizeof *k, by_key);
    size_t groups = 1;
    for (size_t i = 1; i < b->n; i++) groups += k[i].key != k[i - 1].key;
    if (groups > 10000)
        return wr_err_set(err, WEIR_ELIMIT, "column \"%s\" has %zu values, too many to slice by", by, groups);
    *out = (wr_slices){by, wr_arena_calloc(b->arena, groups, sizeof *out->slices), 0};
    if (!out->slices) return wr_err_nomem(err);
    for (size_t i = 0, end; i < b->n; i = end) {
        for (end = i + 1; end < b->n && k[end].key == k[i].key;) end++;
        wr_slice *s = &out->slices[out->n++];
        s->value = slice_name(b, c, &k[i]);
        if (!s->value) return wr_err_nomem(err);
        WR_TRY(fill_slice(s, b, k + i, end - i, err));
    }
    if (!unit) qsort(out->slices, out->n, sizeof *out->slices, by_rows);
    return 0;
}

/* ---- the whole ---- */

static int judge_others(wr_evaluation *e, job *b, wr_err *err)
{
    wr_err none = {0};
    wr_model_version v;
    if (b->opt->against) {
        /* Only a reference that leads nowhere is "none yet"; a package or a column that is missing is an error. */
        int rc = wr_model_find(&v, b->arena, b->project, b->opt->against, &none);
        e->has_against = rc == 0;
        if (rc < 0 && rc != WEIR_ENOTFOUND) {
            if (err) *err = none;
            return rc;
        }
    }
    if (e->has_against) WR_TRY(judge_model(&e->against, b, b->opt->against, err));
    if (b->opt->baseline) return judge_model(&e->baseline, b, b->opt->baseline, err);
    return judge_constant(&e->baseline, b, (double)e->positives / (double)e->rows, err);
}

static int judge_gate(wr_evaluation *e, job *b, wr_err *err)
{
    const wr_gate *g = b->opt->gate;
    e->passed = true;
    if (!g) return 0;
    e->gate = wr_arena_calloc(b->arena, g->n, sizeof *e->gate);
    if (!e->gate) return wr_err_nomem(err);
    for (; e->ngate < g->n; e->ngate++) {
        wr_gate_judge(&e->gate[e->ngate], &g->rules[e->ngate], e->own.metric, e->has_against ? e->against.metric : NULL,
                      e->baseline.metric);
        if (e->gate[e->ngate].state == WR_GATE_FAILED) e->passed = false;
    }
    return 0;
}

static void record(const wr_evaluation *e, wr_run *run)
{
    size_t n;
    const wr_metric *m = wr_metrics(&n);
    for (size_t k = 0; k < n && k < WR_EVALUATE_METRICS; k++) wr_run_metric(run, m[k].name, e->own.metric[k]);
    wr_run_metric(run, "gate_passed", e->passed);
    wr_run_units(run, (double)e->rows, "rows");
}

static int evaluate(wr_evaluation *e, job *b, wr_err *err)
{
    WR_TRY(load(&b->own, &e->own, b, b->opt->model, err));
    WR_TRY(read_table(b, e, err));
    WR_TRY(wr_package_predict(b->p, b->own, b->table.frame, b->pool, err));
    WR_TRY(metrics(e->own.metric, b, b->p, err));
    wr_metric_confusion(&e->confusion, b->y, b->p, b->n, b->opt->threshold);
    wr_metric_calibration(e->calibration, WR_EVALUATE_BINS, b->y, b->p, b->n);
    WR_TRY(judge_others(e, b, err));
    e->by = wr_arena_calloc(b->arena, b->opt->nby + 1, sizeof *e->by);
    if (!e->by) return wr_err_nomem(err);
    for (; e->nby < b->opt->nby; e->nby++) WR_TRY(slice(&e->by[e->nby], b, b->opt->by[e->nby], err));
    return judge_gate(e, b, err);
}

int wr_evaluate(wr_evaluation *out, wr_arena *a, wr_project *p, const wr_evaluate_opt *opt, wr_pool *pool, wr_run *run,
                wr_err *err)
{
    job b = {.opt = opt, .project = p, .arena = a, .pool = pool, .run = run};
    memset(out, 0, sizeof *out);
    int rc = evaluate(out, &b, err);
    if (rc == 0) record(out, run);
    wr_model_table_free(&b.table);
    wr_package_free(b.own);
    return rc;
}
