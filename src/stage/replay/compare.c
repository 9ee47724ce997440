/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - logged rows to tensors, the candidate's answers, and both compared. */
#include "stage/replay/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "calc/drift.h"
#include "core/dataset.h"
#include "core/endpoint.h"
#include "core/model.h"
#include "io/file.h"
#include "predict/predictor.h"
#include "stage/deploy/materialize.h"
#include "stage/predlog/tables.h"
#include "stage/replay/compare_inside.h"

enum { BATCH = 1024, TIMED = 2000, ROWS = 100000 };

typedef struct {
    const wr_compare_opt *opt;
    wr_arena *arena, *scratch;
    wr_project *project;
    wr_predictor *model;
    wr_delta_snapshot columns; /* of the predictions */
    wr_tensor *in, *out;       /* one row of each, without data */
    wr_layout layout;          /* of both */
    size_t nlogged;            /* outputs of the candidate that were logged, all the same tensors in front */
    wr_frame *rows;
    wr_tables *tables;
    wr_compare_pairs pairs;
    wr_compare_report *report;
} job;

/* ---- the candidate ---- */

static int open_candidate(job *j, wr_err *err)
{
    wr_registered_version v;
    char folder[WR_SHA256_HEX], *path;
    if (wr_file_exists(j->opt->candidate)) return wr_predictor_open(&j->model, j->opt->candidate, err);
    int rc = wr_model_registered(&v, j->arena, j->project, j->opt->candidate, err);
    if (rc < 0) return wr_model_no_file(rc, j->opt->candidate, j->arena, j->project, err);
    if (v.package.n) {
        wr_err_set(err, WEIR_EUNSUPPORTED,
                   "\"%.100s\" computes its features itself: the log has them, not its requests", j->opt->candidate);
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "weir deploy study %.100s --replay %.60s asks it what was logged",
                           j->opt->candidate, j->opt->endpoint);
    }
    wr_err why = {0};
    rc = wr_materialize(&path, folder, j->arena, j->project, wr_registered_version_location(&v), &why);
    if (rc < 0) {
        if (err) *err = why;
        return wr_err_wrap(err, rc, "candidate \"%s\"", j->opt->candidate);
    }
    return wr_predictor_open(&j->model, path, err);
}

static const char *column_there(const job *j, const char *name)
{
    for (size_t i = 0; i < j->columns.nfields; i++)
        if (strcasecmp(j->columns.fields[i].name, name) == 0) return j->columns.fields[i].name;
    return NULL;
}

/* Values a row of an output whose shape does not say: as many columns as were logged. */
static size_t logged_width(const job *j, const char *name)
{
    size_t n = 0;
    char text[300];
    if (column_there(j, name)) return 1;
    do snprintf(text, sizeof text, "%.200s_%zu", name, n);
    while (column_there(j, text) && ++n);
    return n;
}

static int shape_of(job *j, wr_tensor *t, const wr_tensor_spec *s, bool output, wr_err *err)
{
    *t = (wr_tensor){.name = wr_str_of(s->name), .type = s->type, .ndims = 2, .shape = {1, 1}};
    for (int d = 1; d < s->ndims; d++) {
        if (s->shape[d] >= 0) t->shape[1] *= s->shape[d];
        else if (output) t->shape[1] = (int64_t)logged_width(j, s->name);
        else
            return wr_err_set(err, WEIR_EUNSUPPORTED, "input \"%s\" of the candidate has no shape of its own", s->name);
    }
    if (s->ndims && s->shape[0] >= 0 && !output)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "the candidate does not take rows: input \"%s\" is of one size",
                          s->name);
    return wr_tensor_count(t, err);
}

static int lay_out(job *j, wr_err *err)
{
    const wr_predictor *m = j->model;
    wr_predlog_tensors r = {.rowwise = true};
    j->in = wr_arena_calloc(j->arena, m->nin + 1, sizeof *j->in);
    j->out = wr_arena_calloc(j->arena, m->nout + 1, sizeof *j->out);
    if (!j->in || !j->out) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nin; i++) WR_TRY(shape_of(j, &j->in[i], &m->in[i], false, err));
    for (size_t i = 0; i < m->nout; i++) WR_TRY(shape_of(j, &j->out[i], &m->out[i], true, err));
    r.in = j->in, r.nin = m->nin, r.out = j->out, r.nout = m->nout;
    bool named = m->nin == 1 && m->features && (int64_t)m->nfeatures == j->in[0].shape[1];
    return wr_drain_layout(&j->layout, j->arena, &r, named ? m->features : NULL, named ? m->nfeatures : 0, err);
}

/* Outputs of which some column is missing are none that were logged. */
static int check_columns(job *j, wr_err *err)
{
    size_t nin = j->model->nin;
    bool *missing = wr_arena_calloc(j->arena, j->model->nout + 1, sizeof *missing);
    if (!missing) return wr_err_nomem(err);
    for (size_t i = 0; i < j->layout.n; i++) {
        const wr_layout_column *c = &j->layout.columns[i];
        if (column_there(j, c->name)) continue;
        if ((size_t)c->tensor >= nin) {
            missing[(size_t)c->tensor - nin] = true;
            continue;
        }
        wr_err_set(err, WEIR_ENOTFOUND, "the candidate needs \"%s\", which was not logged", c->name);
        return wr_err_hint(err, WEIR_ENOTFOUND, "weir data show predictions.%s says what was", j->opt->endpoint);
    }
    for (size_t i = 0; i < j->model->nout; i++)
        if (!missing[i] && j->out[i].count) j->out[i].ndims = 2, j->nlogged++;
        else j->out[i].type = WR_TENSOR_NONE;
    if (j->opt->score && !column_there(j, j->opt->score))
        return wr_err_set(err, WEIR_ENOTFOUND, "no column \"%s\" was logged", j->opt->score);
    if (j->nlogged || j->opt->score) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "no output of the candidate was logged under its name");
    return wr_err_hint(err, WEIR_ENOTFOUND, "--score COLUMN names the score that was answered");
}

/* ---- reading ---- */

static void put_column(wr_buf *b, const wr_layout_column *c, size_t i)
{
    static const char *const types[] = {
        [WR_F64] = "DOUBLE", [WR_F32] = "DOUBLE", [WR_I64] = "BIGINT", [WR_BOOL] = "BIGINT", [WR_TEXT] = "VARCHAR"};
    wr_buf_str(b, ", CAST(p.");
    wr_sql_ident(b, wr_str_of(c->name));
    wr_buf_printf(b, " AS %s) AS c%zu", types[c->type], i);
}

static void put_sql(wr_buf *b, job *j, const char *predictions, const char *labels)
{
    char time[WR_TIME_TEXT];
    const wr_compare_opt *o = j->opt;
    bool text = labels && j->pairs.class_labels, latency = column_there(j, "latency_us") != NULL;
    wr_buf_printf(b, "SELECT %s AS _latency", latency ? "CAST(p.latency_us AS DOUBLE)" : "CAST(NULL AS DOUBLE)");
    wr_buf_printf(b, ", %s AS _label, %s AS _class", labels ? "CAST(l.label AS DOUBLE)" : "CAST(NULL AS DOUBLE)",
                  text ? "l.label_text" : "CAST(NULL AS VARCHAR)");
    wr_buf_str(b, ", ");
    if (o->score) {
        wr_buf_str(b, "CAST(p.");
        wr_sql_ident(b, wr_str_of(o->score));
        wr_buf_str(b, " AS DOUBLE)");
    } else {
        wr_buf_str(b, "CAST(NULL AS DOUBLE)");
    }
    wr_buf_str(b, " AS _score");
    for (size_t i = 0; i < j->layout.n; i++) {
        size_t t = (size_t)j->layout.columns[i].tensor;
        if (t < j->model->nin || j->out[t - j->model->nin].type != WR_TENSOR_NONE)
            put_column(b, &j->layout.columns[i], i);
    }
    wr_buf_str(b, " FROM (SELECT * FROM ");
    wr_sql_ident(b, wr_str_of(predictions));
    wr_buf_str(b, " WHERE true");
    if (o->has_from) wr_time_format(time, o->from_us), wr_buf_printf(b, " AND served_at >= TIMESTAMPTZ '%s'", time);
    if (o->has_until) wr_time_format(time, o->until_us), wr_buf_printf(b, " AND served_at < TIMESTAMPTZ '%s'", time);
    wr_buf_printf(b, " ORDER BY served_at DESC, prediction_id LIMIT %lld) p",
                  (long long)(o->rows > 0 ? o->rows : ROWS));
    if (labels) {
        wr_buf_str(b, " LEFT JOIN (SELECT * FROM ");
        wr_sql_ident(b, wr_str_of(labels));
        wr_buf_str(
            b, " QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY known_at DESC, received_at DESC) = 1) l"
               " ON l.prediction_id = p.prediction_id");
    }
    wr_buf_str(b, " ORDER BY p.served_at, p.prediction_id");
}

static int has_classes(job *j, const char *labels, wr_err *err)
{
    wr_delta_snapshot s;
    WR_TRY(wr_dataset_read(&s, j->project, labels, err));
    for (size_t i = 0; i < s.nfields; i++) j->pairs.class_labels |= strcmp(s.fields[i].name, "label_text") == 0;
    wr_delta_free(&s);
    return 0;
}

static int read_rows(job *j, const char *predictions, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    const char *labels = wr_arena_printf(j->arena, "labels.%s", j->opt->endpoint);
    if (!labels) return wr_err_nomem(err);
    if (!wr_dataset_exists(j->project, labels)) labels = NULL;
    if (labels) WR_TRY(has_classes(j, labels, err));
    put_sql(&sql, j, predictions, labels);
    if (sql.failed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&j->tables, j->project, NULL, err));
    WR_TRY(wr_dataset_view(j->tables, j->project, predictions, NULL, err));
    if (labels) WR_TRY(wr_dataset_view(j->tables, j->project, labels, NULL, err));
    WR_TRY(wr_tables_query(j->tables, &j->rows, wr_buf_cstr(&sql), NULL, 0, err));
    if (j->rows->nrows) return 0;
    return wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has logged no prediction in that time", j->opt->endpoint);
}

/* ---- tensors ---- */

static const wr_col *column_of(const job *j, size_t i)
{
    char name[32];
    snprintf(name, sizeof name, "c%zu", i);
    return wr_frame_col(j->rows, name);
}

/* Columns of a tensor are adjacent in the layout: its first. */
static size_t first_column(const job *j, size_t tensor)
{
    size_t i = 0;
    while (i < j->layout.n && (size_t)j->layout.columns[i].tensor != tensor) i++;
    return i;
}

static bool is_real(wr_tensor_type t)
{
    return t == WR_TENSOR_FP16 || t == WR_TENSOR_BF16 || t == WR_TENSOR_FP32 || t == WR_TENSOR_FP64 ||
           t == WR_TENSOR_UINT64;
}

/* Rows [from, from + n) of `spec`, of the type that it says. */
static int fill(wr_tensor *out, job *j, const wr_tensor *spec, size_t tensor, const uint32_t *at, size_t n, wr_err *err)
{
    size_t width = (size_t)spec->shape[1], first = first_column(j, tensor), used;
    wr_tensor t = {.name = spec->name, .ndims = 2, .shape = {(int64_t)n, (int64_t)width}};
    bool text = spec->type == WR_TENSOR_BYTES;
    t.type = text ? WR_TENSOR_BYTES : is_real(spec->type) ? WR_TENSOR_FP64 : WR_TENSOR_INT64;
    WR_TRY(wr_tensor_count(&t, err));
    WR_TRY(wr_tensor_alloc(&t, j->scratch, err));
    if (width && first < j->layout.n && j->layout.columns[first].list) {
        const wr_col *c = column_of(j, first);
        for (size_t i = 0; i < n; i++) {
            wr_tensor row = t;
            row.shape[0] = 1;
            row.count = width;
            WR_TRY(wr_tensor_read_json(&row, &used, wr_col_text(c, at[i]), j->scratch, err));
            memcpy((char *)t.data + i * width * wr_tensor_type_size(t.type), row.data,
                   width * wr_tensor_type_size(t.type));
        }
        return text ? (*out = t, 0) : wr_tensor_convert(out, &t, spec->type, j->scratch, err);
    }
    for (size_t k = 0; k < width; k++) {
        const wr_col *c = column_of(j, first + k);
        for (size_t i = 0; c && i < n; i++) {
            size_t to = i * width + k;
            if (text) ((wr_str *)t.data)[to] = wr_col_text(c, at[i]);
            else if (t.type == WR_TENSOR_FP64) ((double *)t.data)[to] = wr_col_num(c, at[i]);
            else ((int64_t *)t.data)[to] = c->i64[at[i]];
        }
    }
    if (!text) return wr_tensor_convert(out, &t, spec->type, j->scratch, err);
    *out = t;
    return 0;
}

/* The model's own number of dimensions. */
static void reshape(wr_tensor *t, const wr_tensor_spec *s)
{
    int64_t n = t->shape[0];
    t->ndims = s->ndims > 0 ? s->ndims : 1;
    for (int d = 1; d < s->ndims; d++) t->shape[d] = s->shape[d];
    t->shape[0] = n;
}

static int answer(wr_tensor *out, job *j, const wr_tensor *in, wr_err *err)
{
    const wr_predictor *m = j->model;
    bool *want = wr_arena_alloc(j->scratch, (m->nout + 1) * sizeof *want);
    if (!want) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nout; i++) {
        out[i] = (wr_tensor){.name = wr_str_of(m->out[i].name), .type = m->out[i].type};
        want[i] = true;
    }
    return m->ops->run(m, out, want, in, j->scratch, err);
}

static int fill_inputs(wr_tensor **out, job *j, const uint32_t *at, size_t n, wr_err *err)
{
    const wr_predictor *m = j->model;
    wr_tensor *in = wr_arena_calloc(j->scratch, m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    for (size_t i = 0; i < m->nin; i++) {
        WR_TRY(fill(&in[i], j, &j->in[i], i, at, n, err));
        reshape(&in[i], &m->in[i]);
    }
    *out = in;
    return 0;
}

/* ---- pairs ---- */

static uint64_t class_of_label(job *j, size_t row, const wr_tensor *klass)
{
    const wr_col *label = wr_frame_col(j->rows, "_label"), *name = wr_frame_col(j->rows, "_class");
    double x = wr_col_num(label, row);
    wr_tensor t = {.type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1}, as;
    wr_str text = wr_col_text(name, row);
    int64_t whole = (int64_t)x;
    if (text.p) {
        t.data = &text;
        return wr_row_verdict_of(&t, 1, 1, 0, 0).klass;
    }
    if (isnan(x) || x != (double)whole) return UINT64_MAX;
    if (!klass || klass->type == WR_TENSOR_BYTES) return (uint64_t)whole;
    t = (wr_tensor){.type = WR_TENSOR_INT64, .ndims = 1, .shape = {1}, .count = 1, .data = &whole};
    if (wr_tensor_convert(&as, &t, klass->type, j->scratch, NULL) < 0) return UINT64_MAX;
    return wr_row_verdict_of(&as, 1, 1, 0, 0).klass;
}

static const wr_tensor *class_output(const wr_tensor *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_real(out[i].type) || out[i].type == WR_TENSOR_UINT64) return &out[i];
    return NULL;
}

static int logged_outputs(wr_tensor **out, size_t *nout, job *j, const uint32_t *at, size_t n, wr_err *err)
{
    *out = wr_arena_calloc(j->scratch, j->model->nout + 1, sizeof **out);
    *nout = 0;
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < j->model->nout; i++)
        if (j->out[i].type != WR_TENSOR_NONE)
            WR_TRY(fill(&(*out)[(*nout)++], j, &j->out[i], j->model->nin + i, at, n, err));
    return 0;
}

static int compare_batch(job *j, const uint32_t *at, size_t n, wr_err *err)
{
    wr_compare_pairs *p = &j->pairs;
    double threshold = j->opt->threshold;
    size_t nlogged;
    wr_tensor *in, *logged, *out = wr_arena_calloc(j->scratch, j->model->nout + 1, sizeof *out);
    if (!out) return wr_err_nomem(err);
    WR_TRY(fill_inputs(&in, j, at, n, err));
    int64_t start = wr_clock_mono_ns();
    WR_TRY(answer(out, j, in, err));
    j->report->batch_us += (double)(wr_clock_mono_ns() - start) / 1e3;
    WR_TRY(logged_outputs(&logged, &nlogged, j, at, n, err));
    for (size_t i = 0; i < n; i++) {
        wr_row_verdict c = wr_row_verdict_of(out, j->model->nout, n, i, threshold);
        wr_row_verdict l = wr_row_verdict_of(logged, nlogged, n, i, threshold);
        if (j->opt->score) {
            l.score = wr_col_num(wr_frame_col(j->rows, "_score"), at[i]);
            if (!nlogged) l.klass = l.score >= threshold, c.klass = isnan(c.score) ? UINT64_MAX : c.score >= threshold;
        }
        size_t k = p->n++;
        p->candidate[k] = c;
        p->logged[k] = l;
        p->label[k] = wr_col_num(wr_frame_col(j->rows, "_label"), at[i]);
        p->klass[k] = class_of_label(j, at[i], class_output(out, j->model->nout));
    }
    return 0;
}

/* Whole numbers cannot say that they are missing. */
static bool usable(const job *j, size_t row)
{
    for (size_t i = 0; i < j->layout.n; i++) {
        const wr_layout_column *c = &j->layout.columns[i];
        const wr_col *col = column_of(j, i);
        if (col && (c->type == WR_I64 || c->type == WR_BOOL || c->list) && wr_col_missing(col, row)) return false;
    }
    return true;
}

static int compare_rows(job *j, uint32_t *at, size_t n, wr_err *err)
{
    size_t step = j->model->rows ? BATCH : 1;
    for (size_t from = 0; from < n; from += step) {
        wr_arena_clear(j->scratch);
        WR_TRY(compare_batch(j, at + from, n - from < step ? n - from : step, err));
    }
    j->report->batch_us /= (double)n;
    return 0;
}

static int time_rows(job *j, const uint32_t *at, size_t n, wr_err *err)
{
    size_t most = n < TIMED ? n : TIMED;
    double *us = wr_arena_alloc(j->arena, (most + 1) * sizeof *us);
    wr_tensor *in, *out = wr_arena_calloc(j->arena, j->model->nout + 1, sizeof *out);
    if (!us || !out) return wr_err_nomem(err);
    for (size_t i = 0; i < most; i++) {
        wr_arena_clear(j->scratch);
        WR_TRY(fill_inputs(&in, j, &at[i * (n / most)], 1, err));
        int64_t start = wr_clock_mono_ns();
        WR_TRY(answer(out, j, in, err));
        us[i] = (double)(wr_clock_mono_ns() - start) / 1e3;
    }
    wr_compare_quantiles(&j->report->candidate_us, &j->report->candidate_p99_us, us, most);
    return 0;
}

static int logged_latency(job *j, wr_err *err)
{
    const wr_col *c = wr_frame_col(j->rows, "_latency");
    double *us = wr_arena_alloc(j->arena, (j->rows->nrows + 1) * sizeof *us);
    size_t n = 0;
    if (!us) return wr_err_nomem(err);
    for (size_t i = 0; i < j->rows->nrows; i++)
        if (!wr_col_missing(c, i)) us[n++] = wr_col_num(c, i);
    wr_compare_quantiles(&j->report->logged_us, &j->report->logged_p99_us, us, n);
    return 0;
}

static int run(job *j, wr_err *err)
{
    const char *predictions = wr_arena_printf(j->arena, "predictions.%s", j->opt->endpoint);
    if (!predictions) return wr_err_nomem(err);
    if (!wr_dataset_exists(j->project, predictions)) {
        wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no predictions in the lake yet", j->opt->endpoint);
        return wr_err_hint(err, WEIR_ENOTFOUND,
                           "log: all in weir.yaml keeps them; weir deploy flush brings them there");
    }
    WR_TRY(wr_dataset_read(&j->columns, j->project, predictions, err));
    WR_TRY(open_candidate(j, err));
    WR_TRY(lay_out(j, err));
    WR_TRY(check_columns(j, err));
    WR_TRY(read_rows(j, predictions, err));
    size_t n = 0, all = j->rows->nrows;
    uint32_t *at = wr_arena_alloc(j->arena, (all + 1) * sizeof *at);
    if (!at) return wr_err_nomem(err);
    for (size_t i = 0; i < all; i++)
        if (usable(j, i)) at[n++] = (uint32_t)i;
    j->report->skipped = all - n;
    if (!n) return wr_err_set(err, WEIR_ENOTFOUND, "every row lacks a value that the candidate needs");
    WR_TRY(wr_compare_pairs_new(&j->pairs, j->arena, n, err));
    WR_TRY(compare_rows(j, at, n, err));
    WR_TRY(time_rows(j, at, n, err));
    WR_TRY(logged_latency(j, err));
    return wr_compare_pairs_judge(j->report, &j->pairs, j->opt->seed, j->arena, err);
}

int wr_compare(wr_compare_report *out, wr_arena *a, wr_project *p, const wr_compare_opt *opt, wr_err *err)
{
    WR_AUTOARENA wr_arena *scratch = wr_arena_new(0);
    wr_endpoint e;
    job j = {.opt = opt, .arena = a, .scratch = scratch, .project = p, .report = out};
    *out = (wr_compare_report){0};
    if (!scratch) return wr_err_nomem(err);
    WR_TRY(wr_endpoint_find(&e, a, p, opt->endpoint, err));
    int rc = run(&j, err);
    wr_predictor_free(j.model);
    wr_frame_free(j.rows);
    wr_tables_close(j.tables);
    wr_delta_free(&j.columns);
    return rc;
}
