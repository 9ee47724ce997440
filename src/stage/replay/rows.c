/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - the rows, labels and events of a stretch of time, and the requests made of them. */
#include "stage/replay/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/json.h"
#include "core/endpoint.h"
#include "core/view_source.h"

static const int64_t MINUTE_US = (int64_t)60 * WR_US;

/* ---- reading ---- */

static int find_view(wr_replay_rows *r, wr_arena *a, wr_project *p, const wr_replay_opt *opt, wr_err *err)
{
    wr_endpoint e;
    wr_model_version v;
    WR_TRY(wr_endpoint_find(&e, a, p, opt->endpoint, err));
    WR_TRY(wr_model_find(&v, a, p, e.model, err));
    WR_TRY(wr_package_load(&r->package, p, v.package, err));
    r->view = wr_package_get(r->package)->view;
    return 0;
}

/* "CAST((expr) AS TIMESTAMP) >= from AND ... < until" */
static void between(wr_buf *b, const char *expr, const char *from_op, const wr_replay_opt *opt)
{
    char lo[WR_TIME_TEXT], hi[WR_TIME_TEXT];
    wr_time_format(lo, opt->from_us);
    wr_time_format(hi, opt->until_us);
    wr_buf_printf(b, "CAST((%s) AS TIMESTAMP) %s TIMESTAMP '%.*s' AND CAST((%s) AS TIMESTAMP) < TIMESTAMP '%.*s'", expr,
                  from_op, (int)strcspn(lo, "Z"), lo, expr, (int)strcspn(hi, "Z"), hi);
}

static int read_rows(wr_replay_rows *r, wr_project *p, wr_tables *t, const wr_replay_opt *opt, wr_run *run, wr_err *err)
{
    WR_AUTOBUF wr_buf where, time, count;
    char lo[WR_TIME_TEXT];
    wr_buf_init(&where, 0);
    wr_buf_init(&time, 0);
    wr_buf_init(&count, 0);
    wr_sql_ident(&time, wr_str_of(r->view->time));
    between(&where, wr_buf_cstr(&time), ">=", opt);
    wr_time_format(lo, opt->from_us);
    wr_buf_str(&count, "SELECT count(*) FROM ");
    wr_sql_ident(&count, wr_str_of(r->view->source));
    wr_buf_printf(&count, " WHERE CAST(%s AS TIMESTAMP) < TIMESTAMP '%.*s'", wr_buf_cstr(&time), (int)strcspn(lo, "Z"),
                  lo);
    if (where.failed || time.failed || count.failed) return wr_err_nomem(err);
    wr_view_rows_opt ro = {.where = wr_buf_cstr(&where)};
    WR_TRY(wr_view_rows(&r->rows, r->view, p, t, &ro, run, err));
    WR_TRY(wr_tables_i64(t, &r->first_number, wr_buf_cstr(&count), err));
    r->first_number++;
    if (r->rows->nrows) return 0;
    wr_err_set(err, WEIR_ENOTFOUND, "dataset \"%s\" has no row in that time", r->view->source);
    return wr_err_hint(err, WEIR_ENOTFOUND, "--from and --until are times of column \"%s\"", r->view->time);
}

static int read_events(wr_replay_rows *r, wr_project *p, wr_tables *t, const wr_replay_opt *opt, wr_run *run,
                       wr_err *err)
{
    WR_AUTOBUF wr_buf where;
    wr_buf_init(&where, 0);
    if (!r->view->event_source) return 0;
    between(&where, r->view->event_time, ">", opt); /* those of `from` itself are materialized */
    return where.failed ? wr_err_nomem(err) : wr_view_events(&r->events, r->view, p, t, wr_buf_cstr(&where), run, err);
}

static int find_columns(wr_replay_rows *r, wr_arena *a, wr_err *err)
{
    const wr_view *v = r->view;
    wr_col *time;
    r->request = wr_arena_calloc(a, v->nrequest + 1, sizeof *r->request);
    r->cells = wr_arena_calloc(a, v->nevent_columns + 1, sizeof *r->cells);
    if (!r->request || !r->cells) return wr_err_nomem(err);
    for (size_t i = 0; i < v->nrequest; i++) WR_TRY(wr_frame_need(&r->request[i], r->rows, v->request[i], -1, err));
    r->time_us = r->request[0]->i64;
    if (!r->events) return 0;
    WR_TRY(wr_frame_need(&time, r->events, "_time", WR_TS, err));
    r->event_us = time->i64;
    for (size_t i = 0; i < v->nevent_columns; i++)
        WR_TRY(wr_frame_need(&r->cells[i], r->events, v->event_columns[i], -1, err));
    return 0;
}

/* ---- labels in order ---- */

static int by_due(const void *a, const void *b)
{
    const wr_replay_label *x = a, *y = b;
    return x->due_us != y->due_us ? (x->due_us < y->due_us ? -1 : 1) : (x->row > y->row) - (x->row < y->row);
}

/* A label is never sent in the minute of its prediction or before: its prediction must be there first. */
static int64_t due(int64_t known, int64_t time, bool batch)
{
    int64_t next = time - time % MINUTE_US + MINUTE_US;
    if (known < next) known = next;
    return batch ? known - known % WR_DAY_US + WR_DAY_US : known;
}

static int order_labels(wr_replay_rows *r, wr_arena *a, const wr_replay_opt *opt, wr_err *err)
{
    size_t n = r->rows->nrows;
    wr_col *outcome, *known = wr_frame_col(r->rows, "_known_at");
    if (!r->view->label) return 0;
    WR_TRY(wr_frame_need(&outcome, r->rows, "_outcome", -1, err));
    r->label = wr_arena_alloc(a, n * sizeof *r->label);
    r->known_us = wr_arena_alloc(a, n * sizeof *r->known_us);
    r->labels = wr_arena_alloc(a, n * sizeof *r->labels);
    if (!r->label || !r->known_us || !r->labels) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        bool never = known && wr_col_missing(known, i);
        r->label[i] = never ? NAN : wr_view_value_of(&r->view->label_of, wr_col_num(outcome, i));
        r->known_us[i] = known ? known->i64[i] : r->time_us[i];
        int64_t at = due(r->known_us[i], r->time_us[i], opt->label_batch);
        if (!isnan(r->label[i]) && at < opt->until_us) r->labels[r->nlabels++] = (wr_replay_label){at, (uint32_t)i};
    }
    qsort(r->labels, r->nlabels, sizeof *r->labels, by_due);
    return 0;
}

int wr_replay_rows_read(wr_replay_rows *out, wr_arena *a, wr_project *p, const wr_replay_opt *opt, wr_run *run,
                        wr_err *err)
{
    wr_tables *t;
    *out = (wr_replay_rows){0};
    if (opt->from_us >= opt->until_us) return wr_err_set(err, WEIR_EINVAL, "--from is not before --until");
    WR_TRY(find_view(out, a, p, opt, err));
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    int rc = read_rows(out, p, t, opt, run, err);
    if (rc == 0) rc = read_events(out, p, t, opt, run, err);
    wr_tables_close(t);
    if (rc == 0) rc = find_columns(out, a, err);
    return rc < 0 ? rc : order_labels(out, a, opt, err);
}

void wr_replay_rows_fini(wr_replay_rows *r)
{
    wr_frame_free(r->rows);
    wr_frame_free(r->events);
    wr_package_free(r->package);
}

/* ---- requests ---- */

static void put_value(wr_jsonw *w, const wr_col *c, size_t row)
{
    if (wr_col_missing(c, row)) wr_jsonw_null(w);
    else if (c->type == WR_TEXT) wr_jsonw_str(w, wr_col_text(c, row));
    else if (c->type == WR_TS) wr_jsonw_i64(w, c->i64[row]);
    else wr_jsonw_f64(w, wr_col_num(c, row));
}

static void put_id(wr_jsonw *w, const wr_replay_rows *r, const char *endpoint, size_t row)
{
    char id[300];
    int n = snprintf(id, sizeof id, "%s-%lld", endpoint, (long long)(r->first_number + (int64_t)row));
    wr_jsonw_key(w, "id");
    wr_jsonw_str(w, (wr_str){id, n < 0 ? 0 : (size_t)n});
}

static void put_input(wr_jsonw *w, const wr_col *c, size_t row)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", c->name);
    wr_jsonw_kstr(w, "datatype", c->type == WR_TEXT ? "BYTES" : c->type == WR_TS ? "INT64" : "FP64");
    wr_jsonw_key(w, "shape");
    wr_jsonw_arr(w);
    wr_jsonw_i64(w, 1);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "data");
    wr_jsonw_arr(w);
    put_value(w, c, row);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

void wr_replay_put_prediction(wr_buf *b, const wr_replay_rows *r, const char *endpoint, size_t row)
{
    wr_jsonw w;
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_obj(&w);
    put_id(&w, r, endpoint, row);
    wr_jsonw_key(&w, "inputs");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < r->view->nrequest; i++) put_input(&w, r->request[i], row);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
}

void wr_replay_put_events(wr_buf *b, const wr_replay_rows *r, size_t from, size_t to)
{
    wr_jsonw w;
    const char *time = "time";
    for (size_t k = 0; k < r->view->nevent_columns; k++)
        if (strcmp(r->view->event_columns[k], "time") == 0) time = "_time";
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "events");
    wr_jsonw_arr(&w);
    for (size_t i = from; i < to; i++) {
        wr_jsonw_obj(&w);
        wr_jsonw_ki64(&w, time, r->event_us[i]);
        for (size_t k = 0; k < r->view->nevent_columns; k++) {
            wr_jsonw_key(&w, r->view->event_columns[k]);
            put_value(&w, r->cells[k], i);
        }
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
}

void wr_replay_put_labels(wr_buf *b, const wr_replay_rows *r, const char *endpoint, size_t from, size_t to)
{
    wr_jsonw w;
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "labels");
    wr_jsonw_arr(&w);
    for (size_t i = from; i < to; i++) {
        uint32_t row = r->labels[i].row;
        wr_jsonw_obj(&w);
        put_id(&w, r, endpoint, row);
        wr_jsonw_kf64(&w, "label", r->label[row]);
        wr_jsonw_ki64(&w, "known_at", r->known_us[row]);
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
}
