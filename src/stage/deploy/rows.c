/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - tensors to rows of cells, scores to tensors. */
#include "stage/deploy/rows.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"

enum { PROBABILITY, LABEL, OUTPUTS, ROOM_FOR_ROW = 8 };
static const char contributions[] = "contributions";
static const char *const output_names[] = {"probability", "label"};
static const wr_tensor_type output_types[] = {WR_TENSOR_FP64, WR_TENSOR_INT64};

int wr_serve_specs(wr_tensor_spec **in, size_t *nin, wr_tensor_spec **out, size_t *nout, const wr_served *m,
                   wr_arena *a, wr_err *err)
{
    const wr_view *v = m->view;
    *nin = v->nrequest;
    *nout = OUTPUTS;
    *in = wr_arena_calloc(a, *nin + 1, sizeof **in);
    *out = wr_arena_calloc(a, OUTPUTS, sizeof **out);
    if (!*in || !*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *nin; i++)
        (*in)[i] = (wr_tensor_spec){.name = v->request[i],
                                    .type = v->request_type[i] == WR_F64 ? WR_TENSOR_FP64 : WR_TENSOR_BYTES,
                                    .ndims = 1,
                                    .shape = {-1},
                                    .optional = v->looked_up[i],
                                    .lenient = true};
    for (size_t i = 0; i < OUTPUTS; i++)
        (*out)[i] = (wr_tensor_spec){.name = output_names[i], .type = output_types[i], .ndims = 1, .shape = {-1}};
    return 0;
}

/* ---- inputs ---- */

typedef struct {
    const wr_view *view;
    const char *endpoint;
    const wr_served *m; /* NULL: rows alone are read */
    const wr_infer_request *q;
    wr_arena *a;
    wr_err *err;
    wr_cell *cells;
    size_t rows;
} reading;

static int bad_value(reading *r, size_t column, size_t row, const char *want)
{
    return wr_err_set(r->err, WEIR_EINVAL, "input '%s': value %zu is not %s", r->view->request[column], row, want);
}

static int put_numbers(reading *r, const wr_tensor *t, size_t column)
{
    wr_tensor wide;
    int rc = wr_tensor_convert(&wide, t, WR_TENSOR_FP64, r->a, r->err);
    if (rc < 0) return wr_err_wrap(r->err, rc, "input '%s'", r->view->request[column]);
    for (size_t i = 0; i < r->rows; i++) {
        double v = ((const double *)wide.data)[i];
        r->cells[i * r->view->nrequest + column] = (wr_cell){.num = v, .missing = isnan(v)};
    }
    return 0;
}

static int put_texts(reading *r, const wr_tensor *t, size_t column)
{
    const wr_str *s = t->data;
    for (size_t i = 0; i < r->rows; i++)
        r->cells[i * r->view->nrequest + column] = (wr_cell){.num = NAN, .text = s[i], .missing = !s[i].p};
    return 0;
}

static int put_times(reading *r, const wr_tensor *t, size_t column)
{
    for (size_t i = 0; i < r->rows; i++) {
        wr_cell *c = &r->cells[i * r->view->nrequest + column];
        *c = (wr_cell){.num = NAN};
        if (t->type == WR_TENSOR_BYTES) {
            wr_str s = ((const wr_str *)t->data)[i];
            c->missing = !s.p;
            if (s.p && wr_time_parse(&c->ts, s, NULL) < 0)
                return bad_value(r, column, i, "a time such as 2001-06-14T13:05:00Z");
        } else {
            c->ts = ((const int64_t *)t->data)[i];
            c->missing = c->ts == INT64_MIN;
        }
    }
    return 0;
}

static int check_shape(reading *r, const wr_tensor *t, size_t column)
{
    const char *name = r->view->request[column];
    if (t->ndims < 1) return wr_err_set(r->err, WEIR_EINVAL, "input '%s' has no shape", name);
    for (int i = 1; i < t->ndims; i++)
        if (t->shape[i] != 1) return wr_err_set(r->err, WEIR_EINVAL, "input '%s': shape must be [n] or [n,1]", name);
    if (t->count > WR_LIMIT_ROWS_INFER)
        return wr_err_set(r->err, WEIR_ELIMIT, "input '%s' has more than %d rows", name, WR_LIMIT_ROWS_INFER);
    if (r->cells && t->count != r->rows)
        return wr_err_set(r->err, WEIR_EINVAL, "input '%s' has %zu rows, the input before it %zu", name, t->count,
                          r->rows);
    return 0;
}

static int check_type(reading *r, const wr_tensor *t, size_t column)
{
    wr_type want = r->view->request_type[column];
    bool bytes = t->type == WR_TENSOR_BYTES;
    bool fits = want == WR_TEXT ? bytes : want == WR_TS ? bytes || t->type == WR_TENSOR_INT64 : !bytes;
    if (fits) return 0;
    return wr_err_set(r->err, WEIR_EINVAL, "input '%s' is of datatype %s, expected %s", r->view->request[column],
                      wr_tensor_type_name(t->type),
                      want == WR_TEXT ? "BYTES"
                      : want == WR_TS ? "BYTES or INT64"
                                      : "FP64");
}

static int put_input(reading *r, const wr_tensor *t, size_t column)
{
    WR_TRY(check_shape(r, t, column));
    WR_TRY(check_type(r, t, column));
    if (!r->cells) {
        r->rows = t->count;
        r->cells = wr_arena_alloc(r->a, (r->rows * r->view->nrequest + 1) * sizeof *r->cells);
        if (!r->cells) return wr_err_nomem(r->err);
    }
    switch (r->view->request_type[column]) {
    case WR_TS:
        return put_times(r, t, column);
    case WR_TEXT:
        return put_texts(r, t, column);
    default:
        return put_numbers(r, t, column);
    }
}

static int find_column(size_t *out, const reading *r, wr_str name, size_t guess)
{
    const wr_view *v = r->view;
    for (size_t k = 0; k < v->nrequest; k++) {
        *out = (guess + k) % v->nrequest; /* most send them in order */
        if (wr_str_is(name, v->request[*out])) return 0;
    }
    int near = wr_str_nearest(name, (const char *const *)v->request, v->nrequest);
    wr_err_set(r->err, WEIR_EINVAL, "unexpected inference input '%.*s' for model '%s'",
               (int)(name.n < 100 ? name.n : 100), name.p, r->endpoint);
    return near >= 0 ? wr_err_hint(r->err, WEIR_EINVAL, "did you mean '%s'?", v->request[near]) : WEIR_EINVAL;
}

static int lacking(const reading *r, const wr_tensor_spec *in, size_t column)
{
    size_t needed = 0, n = r->view->nrequest;
    for (size_t k = 0; k < n; k++) needed += !in[k].optional;
    return wr_err_set(r->err, WEIR_EINVAL, "expected %s%zu inputs but got %zu inputs for model '%s': '%s' is missing",
                      needed < n ? "at least " : "", needed, r->q->nin, r->endpoint, r->view->request[column]);
}

/* What did not come: missing, the time now, or refused. */
static int leave_out(reading *r, const wr_tensor_spec *in, const bool *seen)
{
    const wr_view *v = r->view;
    int64_t now = in[0].optional ? wr_clock_wall_us() : 0;
    for (size_t k = 0; k < v->nrequest; k++)
        if (!seen[k] && !in[k].optional) return lacking(r, in, k);
    if (!r->cells) r->cells = wr_arena_alloc(r->a, (r->rows * v->nrequest + 1) * sizeof *r->cells);
    if (!r->cells) return wr_err_nomem(r->err);
    for (size_t k = 0; k < v->nrequest; k++)
        for (size_t i = 0; i < r->rows && !seen[k]; i++)
            r->cells[i * v->nrequest + k] = (wr_cell){.num = NAN, .missing = true};
    for (size_t i = 0; i < r->rows; i++) {
        wr_cell *time = &r->cells[i * v->nrequest];
        if (!time->missing) continue;
        if (!in[0].optional)
            return wr_err_set(r->err, WEIR_EINVAL, "row %zu: \"%s\" is missing: it says when the prediction is made", i,
                              v->time);
        *time = (wr_cell){.num = NAN, .ts = now};
    }
    return 0;
}

static int read_rows(reading *r, wr_live *live, const wr_tensor_spec *in)
{
    bool *seen = wr_arena_calloc(r->a, r->view->nrequest + 1, sizeof *seen);
    if (!seen) return wr_err_nomem(r->err);
    for (size_t i = 0; i < r->q->nin; i++) {
        size_t column;
        WR_TRY(find_column(&column, r, r->q->in[i].name, i));
        if (seen[column]) return wr_err_set(r->err, WEIR_EINVAL, "input '%s' is there twice", r->view->request[column]);
        seen[column] = true;
        WR_TRY(put_input(r, &r->q->in[i], column));
    }
    WR_TRY(leave_out(r, in, seen));
    return wr_live_fill(live, r->cells, r->rows, r->a, r->err);
}

int wr_rows_read(wr_cell **cells, size_t *rows, wr_live *live, const wr_tensor_spec *in, const char *endpoint,
                 const wr_infer_request *q, wr_arena *a, wr_err *err)
{
    reading r = {.view = live->view, .endpoint = endpoint, .q = q, .a = a, .err = err, .rows = *rows};
    WR_TRY(read_rows(&r, live, in));
    *cells = r.cells;
    *rows = r.rows;
    return 0;
}

/* ---- outputs ---- */

static int choose(int *which, size_t *n, const reading *r)
{
    const wr_infer_request *q = r->q;
    *n = 0;
    for (size_t i = 0; i < (q->noutputs ? q->noutputs : OUTPUTS); i++) {
        if (q->noutputs && q->explain && wr_str_is(q->outputs[i], contributions)) continue;
        int k = q->noutputs ? wr_str_is(q->outputs[i], "probability") ? PROBABILITY
                              : wr_str_is(q->outputs[i], "label")     ? LABEL
                                                                      : -1
                            : (int)i;
        if (k < 0) {
            wr_err_set(r->err, WEIR_EINVAL, "unexpected inference output '%.*s' for model '%s'",
                       (int)(q->outputs[i].n < 100 ? q->outputs[i].n : 100), q->outputs[i].p, r->endpoint);
            return wr_err_hint(r->err, WEIR_EINVAL, "there are 'probability' and 'label'");
        }
        if (*n == OUTPUTS || (*n == 1 && which[0] == k))
            return wr_err_set(r->err, WEIR_EINVAL, "an output is asked for twice");
        which[(*n)++] = k;
    }
    return 0;
}

static int put_outputs(wr_serve_answer *out, const reading *r, const int *which, size_t n, double *scores)
{
    out->out = wr_arena_calloc(r->a, n + 2, sizeof *out->out); /* room for contributions */
    if (!out->out) return wr_err_nomem(r->err);
    out->nout = n;
    for (size_t i = 0; i < n; i++) {
        wr_tensor *t = &out->out[i];
        *t = (wr_tensor){.name = wr_str_of(output_names[which[i]]),
                         .type = output_types[which[i]],
                         .ndims = 1,
                         .shape = {(int64_t)r->rows},
                         .count = r->rows,
                         .data = scores};
        if (which[i] == PROBABILITY) continue;
        int64_t *label = wr_arena_alloc(r->a, (r->rows + 1) * sizeof *label);
        if (!label) return wr_err_nomem(r->err);
        for (size_t k = 0; k < r->rows; k++) label[k] = scores[k] >= r->m->threshold;
        t->data = label;
    }
    return 0;
}

/* ---- predicting ---- */

int wr_serve_ids(wr_str *ids, size_t rows, wr_serve *s, wr_str id, wr_arena *a, wr_err *err)
{
    if (id.n > WR_LIMIT_ID - ROOM_FOR_ROW)
        return wr_err_set(err, WEIR_EINVAL, "the id is longer than %d bytes", WR_LIMIT_ID - ROOM_FOR_ROW);
    for (size_t i = 0; i < rows; i++) {
        char *text = id.n && rows == 1 ? NULL : wr_arena_alloc(a, id.n ? id.n + ROOM_FOR_ROW + 1 : WR_SERVE_ID);
        if (id.n && rows == 1) ids[i] = id;
        else if (!text) return wr_err_nomem(err);
        else if (!id.n) ids[i] = (wr_str){text, wr_serve_id(s, text)};
        else ids[i] = (wr_str){text, (size_t)snprintf(text, id.n + ROOM_FOR_ROW + 1, "%.*s/%zu", WR_STR_FMT(id), i)};
    }
    return 0;
}

static int predict(wr_serve_answer *out, wr_round *round, wr_served *m, reading *r, wr_str id)
{
    int which[OUTPUTS];
    size_t n;
    WR_TRY(choose(which, &n, r));
    WR_TRY(read_rows(r, m->live, m->in));
    double *scores = wr_arena_alloc(r->a, (r->rows + 1) * sizeof *scores);
    wr_str *ids = wr_arena_alloc(r->a, (r->rows + 1) * sizeof *ids);
    if (!scores || !ids) return wr_err_nomem(r->err);
    WR_TRY(wr_serve_ids(ids, r->rows, wr_round_serve(round), id, r->a, r->err));
    wr_round_rows(round, r->q->start_ns, r->q->start_ns ? r->rows : 0);
    for (size_t i = 0; i < r->rows; i++) {
        int rc = wr_serve_predict(&scores[i], round, m, r->cells + i * r->view->nrequest, ids[i], r->err);
        if (rc < 0) return r->rows > 1 ? wr_err_wrap(r->err, rc, "row %zu", i) : rc;
    }
    out->rows = r->rows;
    out->ids = ids;
    return put_outputs(out, r, which, n, scores);
}

static int put_contributions(wr_tensor *t, const reading *r, const float *rows)
{
    *t = (wr_tensor){.name = wr_str_of(contributions),
                     .type = WR_TENSOR_FP64,
                     .ndims = 3,
                     .shape = {(int64_t)r->rows, 1, (int64_t)r->m->nexplained + 1}};
    WR_TRY(wr_tensor_count(t, r->err));
    if (t->count > WR_LIMIT_EXPLAIN)
        return wr_err_set(r->err, WEIR_ELIMIT, "contributions of more than %d numbers: ask for fewer rows",
                          WR_LIMIT_EXPLAIN);
    WR_TRY(wr_tensor_alloc(t, r->a, r->err));
    return wr_package_explain(t->data, r->m->package, rows, r->rows, NULL, r->err);
}

int wr_serve_try(wr_serve_answer *out, wr_served *m, const wr_infer_request *q, wr_arena *a, wr_err *err)
{
    reading r = {.view = m->view, .endpoint = m->endpoint, .m = m, .q = q, .a = a, .err = err, .rows = 1};
    int which[OUTPUTS];
    size_t n;
    *out = (wr_serve_answer){0};
    WR_TRY(choose(which, &n, &r));
    WR_TRY(read_rows(&r, m->live, m->in));
    double *scores = wr_arena_alloc(a, (r.rows + 1) * sizeof *scores);
    float *num = wr_arena_alloc(a, WR_VIEW_FEATURES * sizeof *num);
    wr_str *text = wr_arena_alloc(a, WR_VIEW_FEATURES * sizeof *text);
    size_t each = m->nexplained;
    float *rows = wr_arena_alloc(a, ((q->explain ? r.rows * each : 0) + 1) * sizeof *rows);
    if (!scores || !num || !text || !rows) return wr_err_nomem(err);
    for (size_t i = 0; i < r.rows; i++) {
        wr_live_row(m->live, r.cells + i * m->view->nrequest, num, text);
        scores[i] = wr_package_predict_row(m->package, num, text);
        if (q->explain) wr_package_row(rows + i * each, m->package, num, text);
    }
    out->rows = r.rows;
    WR_TRY(put_outputs(out, &r, which, n, scores));
    return q->explain ? put_contributions(&out->out[out->nout++], &r, rows) : 0;
}

int wr_serve_infer(wr_serve_answer *out, wr_round *round, wr_served *m, const wr_infer_request *q, wr_str id,
                   wr_arena *a, wr_err *err)
{
    reading r = {.view = m->view, .endpoint = m->endpoint, .m = m, .q = q, .a = a, .err = err, .rows = 1};
    int64_t start = q->start_ns ? q->start_ns : wr_clock_mono_ns(), ready = wr_clock_mono_ns();
    *out = (wr_serve_answer){0};
    int rc = q->explain ? wr_serve_try(out, m, q, a, err) : predict(out, round, m, &r, id);
    int64_t end = wr_clock_mono_ns();
    wr_model_stats *s = m->stats;
    if (rc < 0) {
        wr_duration_add(&s->fail, end - start);
        atomic_fetch_add_explicit(
            &s->failures[rc == WEIR_EINVAL || rc == WEIR_ETYPE || rc == WEIR_ELIMIT ? WR_FAIL_OTHER : WR_FAIL_BACKEND],
            1, memory_order_relaxed);
        return rc;
    }
    wr_duration_add(&s->success, end - start);
    wr_latency_count(s, end - start);
    wr_duration_add(&s->queue, 0);
    wr_duration_add(&s->input, ready - start);
    wr_duration_add(&s->infer, end - ready);
    wr_duration_add(&s->output, 0);
    atomic_fetch_add_explicit(&s->inferences, out->rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->executions, 1, memory_order_relaxed);
    atomic_store_explicit(&s->last_ms, wr_clock_wall_us() / 1000, memory_order_relaxed);
    return 0;
}
