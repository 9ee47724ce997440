/* SPDX-License-Identifier: Apache-2.0 */
/* drain_rows.c - records to rows. */
#include "stage/deploy/drain_rows.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "store/applog.h"

static const struct {
    const char *name;
    wr_type type;
} prediction_columns[] = {{"prediction_id", WR_TEXT}, {"model", WR_TEXT},    {"version", WR_I64},
                          {"served_at", WR_TS},       {"event_time", WR_TS}, {"score", WR_F64}};
enum { NPREDICTION = sizeof prediction_columns / sizeof *prediction_columns };
static const struct {
    const char *name;
    wr_type type;
} label_columns[] = {{"prediction_id", WR_TEXT}, {"label", WR_F64}, {"known_at", WR_TS}, {"received_at", WR_TS}};

const char *wr_drain_column(wr_arena *a, const char *name)
{
    for (size_t i = 0; i < NPREDICTION; i++)
        if (strcasecmp(name, prediction_columns[i].name) == 0) return wr_arena_printf(a, "%s_", name);
    return name;
}

/* ---- columns ---- */

static int add_column(wr_frame *f, const char *name, wr_type type, wr_err *err)
{
    return wr_frame_add(f, name, type) ? (int)f->ncols - 1 : wr_err_nomem(err);
}

static bool is_feature(const wr_view *v, const char *name)
{
    for (size_t i = 0; i < v->nfeatures; i++)
        if (strcasecmp(v->features[i].name, name) == 0) return true;
    return false;
}

static int prediction_frame(wr_drain_table *t, wr_arena *a, wr_err *err)
{
    const wr_view *v = t->view;
    t->request_at = wr_arena_alloc(a, (v->nrequest + 1) * sizeof *t->request_at);
    t->feature_at = wr_arena_alloc(a, (v->nfeatures + 1) * sizeof *t->feature_at);
    if (!t->request_at || !t->feature_at) return wr_err_nomem(err);
    for (size_t i = 0; i < NPREDICTION; i++)
        WR_TRY(add_column(t->frame, prediction_columns[i].name, prediction_columns[i].type, err));
    for (size_t i = 0; i < v->nrequest; i++) {
        t->request_at[i] = -1;
        if (is_feature(v, v->request[i])) continue;
        const char *name = wr_drain_column(a, v->request[i]);
        if (!name) return wr_err_nomem(err);
        WR_TRY(t->request_at[i] = add_column(t->frame, name, v->request_type[i], err));
    }
    for (size_t i = 0; i < v->nfeatures; i++) {
        const char *name = wr_drain_column(a, v->features[i].name);
        if (!name) return wr_err_nomem(err);
        WR_TRY(t->feature_at[i] = add_column(t->frame, name, v->features[i].category ? WR_TEXT : WR_F32, err));
    }
    return 0;
}

static int other_frame(wr_drain_table *t, wr_err *err)
{
    if (t->type == WR_PREDLOG_LABEL) {
        for (size_t i = 0; i < 4; i++) WR_TRY(add_column(t->frame, label_columns[i].name, label_columns[i].type, err));
        return 0;
    }
    WR_TRY(add_column(t->frame, "_time", WR_TS, err));
    for (size_t i = 0; i < t->view->nevent_columns; i++)
        WR_TRY(add_column(t->frame, t->view->event_columns[i], t->view->event_type[i], err));
    return 0;
}

/* ---- tables ---- */

static int new_table(wr_drain_table **out, wr_drain_rows *r, uint32_t type, wr_str name, uint64_t view_id, wr_err *err)
{
    static const char *const prefix[] = {"", "predictions", "labels", "events"};
    wr_view *v = NULL;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        wr_drain_table *more = wr_realloc(r->tables, cap * sizeof *more);
        if (!more) return wr_err_nomem(err);
        r->tables = more;
        r->cap = cap;
    }
    if (type != WR_PREDLOG_LABEL) WR_TRY(wr_live_view(&v, r->arena, r->log_dir, view_id, err));
    wr_drain_table *t = &r->tables[r->n];
    *t = (wr_drain_table){.type = type, .view_id = view_id, .view = v, .frame = wr_frame_new()};
    if (!t->frame) return wr_err_nomem(err);
    r->n++;
    t->name = wr_arena_strndup(r->arena, name.p, name.n);
    t->dataset = t->name ? wr_arena_printf(r->arena, "%s.%s", prefix[type], t->name) : NULL;
    if (!t->dataset) return wr_err_nomem(err);
    *out = t;
    return type == WR_PREDLOG_PREDICTION ? prediction_frame(t, r->arena, err) : other_frame(t, err);
}

static int table_for(wr_drain_table **out, wr_drain_rows *r, uint32_t type, wr_str payload, wr_err *err)
{
    wr_str name;
    uint64_t view;
    WR_TRY(wr_predlog_peek(&name, &view, type, payload, err));
    for (size_t i = 0; i < r->n; i++) {
        wr_drain_table *t = &r->tables[i];
        if (t->type != type || t->view_id != view || !wr_str_is(name, t->name)) continue;
        *out = t;
        return 0;
    }
    return new_table(out, r, type, name, view, err);
}

/* ---- rows ---- */

static int put_text(wr_col *c, size_t row, wr_str s, wr_err *err)
{
    int rc = wr_col_code(c, s, &c->code[row]);
    return rc < 0 ? wr_err_set(err, rc, "column \"%s\": %s", c->name, wr_err_text(rc)) : 0;
}

static int put_missing(wr_col *c, size_t row, wr_err *err)
{
    return wr_col_set_missing(c, row) < 0 ? wr_err_nomem(err) : 0;
}

static int put_time(wr_col *c, size_t row, int64_t us, wr_err *err)
{
    c->i64[row] = us;
    return us == WR_PREDLOG_NO_TIME ? put_missing(c, row, err) : 0;
}

static int put_cell(wr_col *c, size_t row, const wr_cell *cell, wr_err *err)
{
    if (cell->missing) return put_missing(c, row, err);
    if (c->type == WR_TEXT) return put_text(c, row, cell->text, err);
    if (c->type == WR_TS) c->i64[row] = cell->ts;
    else c->f64[row] = cell->num;
    return c->type == WR_F64 && isnan(cell->num) ? put_missing(c, row, err) : 0;
}

static int put_feature(wr_col *c, size_t row, float num, wr_str text, wr_err *err)
{
    if (c->type == WR_TEXT) return text.p ? put_text(c, row, text, err) : put_missing(c, row, err);
    c->f32[row] = num;
    return isnan(num) ? put_missing(c, row, err) : 0;
}

static void note_model(wr_drain_rows *r, const wr_predlog_prediction *p)
{
    for (size_t i = 0; i < r->nserved; i++)
        if (r->served[i].version == p->version && wr_str_is(p->model, r->served[i].model)) return;
    if (r->nserved == 64 || p->model.n >= sizeof r->served[0].model) return;
    memcpy(r->served[r->nserved].model, p->model.p, p->model.n);
    r->served[r->nserved].model[p->model.n] = 0;
    r->served[r->nserved++].version = p->version;
}

static int add_prediction(wr_drain_rows *r, wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_prediction p;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_prediction(&p, r->scratch, payload, err));
    if (p.nrequest != t->view->nrequest || p.nfeatures != t->view->nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "a prediction of \"%s\" does not fit its view", t->name);
    note_model(r, &p);
    WR_TRY(put_text(&c[0], row, p.id, err));
    WR_TRY(put_text(&c[1], row, p.model, err));
    c[2].i64[row] = p.version;
    WR_TRY(put_time(&c[3], row, p.served_us, err));
    WR_TRY(put_time(&c[4], row, p.event_us, err));
    c[5].f64[row] = p.score;
    if (isnan(p.score)) WR_TRY(put_missing(&c[5], row, err));
    for (size_t i = 0; i < p.nrequest; i++)
        if (t->request_at[i] >= 0) WR_TRY(put_cell(&c[t->request_at[i]], row, &p.request[i], err));
    for (size_t i = 0; i < p.nfeatures; i++) WR_TRY(put_feature(&c[t->feature_at[i]], row, p.num[i], p.text[i], err));
    return 0;
}

static int add_label(wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_label l;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_label(&l, payload, err));
    WR_TRY(put_text(&c[0], row, l.id, err));
    c[1].f64[row] = l.label;
    WR_TRY(put_time(&c[2], row, l.known_us, err));
    return put_time(&c[3], row, l.received_us, err);
}

static int add_event(wr_drain_rows *r, wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_event e;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_event(&e, r->scratch, payload, err));
    if (e.ncells != t->view->nevent_columns)
        return wr_err_set(err, WEIR_ECORRUPT, "an event of \"%s\" does not fit its view", t->name);
    WR_TRY(put_time(&c[0], row, e.time_us, err));
    for (size_t i = 0; i < e.ncells; i++) WR_TRY(put_cell(&c[1 + i], row, &e.cells[i], err));
    return 0;
}

static int add_record(void *ctx, uint32_t type, wr_str payload)
{
    wr_drain_rows *r = ctx;
    wr_drain_table *t = NULL;
    WR_TRY(table_for(&t, r, type, payload, &r->err));
    size_t row = t->frame->nrows;
    if (row && (row & (row - 1)) == 0 && wr_frame_reserve(t->frame, row * 2) < 0) return wr_err_nomem(&r->err);
    if (wr_frame_resize(t->frame, row + 1) < 0) return wr_err_nomem(&r->err);
    wr_arena_clear(r->scratch);
    if (type == WR_PREDLOG_PREDICTION) return add_prediction(r, t, row, payload, &r->err);
    return type == WR_PREDLOG_LABEL ? add_label(t, row, payload, &r->err) : add_event(r, t, row, payload, &r->err);
}

int wr_drain_rows_read(wr_drain_rows *out, const char *log_dir, uint64_t segment, wr_err *err)
{
    wr_err why = {0};
    *out = (wr_drain_rows){.arena = wr_arena_new(0), .scratch = wr_arena_new(0), .log_dir = log_dir};
    if (!out->arena || !out->scratch) return wr_err_nomem(err);
    int rc = wr_applog_read(log_dir, segment, add_record, out, &why);
    if (rc < 0 && err) *err = out->err.code ? out->err : why;
    return rc < 0 ? wr_err_wrap(err, rc, "segment %llu of the serving log", (unsigned long long)segment) : 0;
}

void wr_drain_rows_fini(wr_drain_rows *r)
{
    for (size_t i = 0; i < r->n; i++) wr_frame_free(r->tables[i].frame);
    wr_free(r->tables);
    wr_arena_free(r->scratch);
    wr_arena_free(r->arena);
}
