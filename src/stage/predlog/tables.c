/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c - records to rows. */
#include "stage/predlog/tables.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "stage/predlog/views.h"
#include "store/applog.h"

static const struct {
    const char *name;
    wr_type type;
} prediction_columns[] = {{"prediction_id", WR_TEXT}, {"model", WR_TEXT}, {"version", WR_I64}, {"served_at", WR_TS},
                          {"event_time", WR_TS},      {"score", WR_F64},  {"joules", WR_F64}};
enum { NPREDICTION = sizeof prediction_columns / sizeof *prediction_columns };
static const struct {
    const char *name;
    wr_type type;
} label_columns[] = {{"prediction_id", WR_TEXT}, {"label", WR_F64}, {"known_at", WR_TS}, {"received_at", WR_TS}};

static const struct {
    const char *name;
    wr_type type;
} tensor_columns[] = {{"prediction_id", WR_TEXT}, {"model", WR_TEXT}, {"version", WR_I64}, {"served_at", WR_TS},
                      {"latency_us", WR_F64},     {"joules", WR_F64}, {"arm", WR_TEXT},    {"propensity", WR_F64}};
enum { NTENSOR = sizeof tensor_columns / sizeof *tensor_columns, REWARDS = 1, TABLE_ROWS = 1 << 20 };
static const struct {
    const char *name;
    wr_type type;
} feedback_columns[][5] = {
    {{"prediction_id", WR_TEXT},
     {"label", WR_F64},
     {"label_text", WR_TEXT},
     {"known_at", WR_TS},
     {"received_at", WR_TS}},
    {{"prediction_id", WR_TEXT}, {"reward", WR_F64}, {"known_at", WR_TS}, {"received_at", WR_TS}}};

static const struct {
    const char *name;
    wr_type type;
} decision_columns[] = {{"prediction_id", WR_TEXT}, {"arm", WR_TEXT},    {"answered_by", WR_TEXT}, {"version", WR_I64},
                        {"propensity", WR_F64},     {"seconds", WR_F64}, {"decided_at", WR_TS}};
enum { NDECISION = sizeof decision_columns / sizeof *decision_columns };

int wr_drain_layout(wr_layout *out, wr_arena *a, const wr_predlog_tensors *r, const char *const *features,
                    size_t nfeatures, wr_err *err)
{
    const char *taken[NTENSOR];
    for (size_t i = 0; i < NTENSOR; i++) taken[i] = tensor_columns[i].name;
    return wr_layout_make(out, a, r->in, r->nin, r->out, r->nout, r->rowwise, features, nfeatures, taken, NTENSOR, err);
}

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

/* The first record of a layout says what all have. */
static int tensor_frame(wr_drain_table *t, wr_drain_rows *r, wr_str payload, wr_err *err)
{
    wr_predlog_tensors first;
    const char *const *names;
    size_t n;
    WR_TRY(wr_predlog_get_tensors(&first, r->scratch, payload, err));
    WR_TRY(wr_layout_names(&names, &n, r->arena, r->log_dir, t->view_id, err));
    WR_TRY(wr_drain_layout(&t->layout, r->arena, &first, names, n, err));
    for (size_t i = 0; i < NTENSOR; i++)
        WR_TRY(add_column(t->frame, tensor_columns[i].name, tensor_columns[i].type, err));
    for (size_t i = 0; i < t->layout.n; i++)
        WR_TRY(add_column(t->frame, t->layout.columns[i].name, t->layout.columns[i].type, err));
    return 0;
}

static int feedback_frame(wr_drain_table *t, wr_err *err)
{
    for (size_t i = 0; i < 5 && feedback_columns[t->view_id][i].name; i++)
        WR_TRY(add_column(t->frame, feedback_columns[t->view_id][i].name, feedback_columns[t->view_id][i].type, err));
    return 0;
}

static int other_frame(wr_drain_table *t, wr_err *err)
{
    for (size_t i = 0; t->type == WR_PREDLOG_DECISION && i < NDECISION; i++)
        WR_TRY(add_column(t->frame, decision_columns[i].name, decision_columns[i].type, err));
    if (t->type == WR_PREDLOG_DECISION) return 0;
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

static const char *dataset_of(wr_arena *a, const wr_drain_table *t)
{
    static const char *const prefix[] = {
        [WR_PREDLOG_PREDICTION] = "predictions", [WR_PREDLOG_LABEL] = "labels",    [WR_PREDLOG_EVENT] = "events",
        [WR_PREDLOG_TENSORS] = "predictions",    [WR_PREDLOG_FEEDBACK] = "labels", [WR_PREDLOG_DECISION] = "decisions"};
    bool rewards = t->type == WR_PREDLOG_FEEDBACK && t->view_id == REWARDS;
    return wr_arena_printf(a, "%s.%s", rewards ? "rewards" : prefix[t->type], t->name);
}

static int make_frame(wr_drain_table *t, wr_drain_rows *r, wr_str payload, wr_err *err)
{
    if (t->type == WR_PREDLOG_PREDICTION) return prediction_frame(t, r->arena, err);
    if (t->type == WR_PREDLOG_TENSORS) return tensor_frame(t, r, payload, err);
    return t->type == WR_PREDLOG_FEEDBACK ? feedback_frame(t, err) : other_frame(t, err);
}

static int new_table(wr_drain_table **out, wr_drain_rows *r, uint32_t type, wr_str name, uint64_t view_id,
                     wr_str payload, wr_err *err)
{
    wr_view *v = NULL;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        wr_drain_table *more = wr_realloc(r->tables, cap * sizeof *more);
        if (!more) return wr_err_nomem(err);
        r->tables = more;
        r->cap = cap;
    }
    if (type == WR_PREDLOG_PREDICTION || type == WR_PREDLOG_EVENT)
        WR_TRY(wr_predlog_view(&v, r->arena, r->log_dir, view_id, err));
    wr_drain_table *t = &r->tables[r->n];
    *t = (wr_drain_table){.type = type, .view_id = view_id, .view = v, .frame = wr_frame_new()};
    if (!t->frame) return wr_err_nomem(err);
    r->n++;
    t->name = wr_arena_strndup(r->arena, name.p, name.n);
    t->dataset = t->name ? dataset_of(r->arena, t) : NULL;
    if (!t->dataset) return wr_err_nomem(err);
    *out = t;
    return make_frame(t, r, payload, err);
}

static int table_for(wr_drain_table **out, wr_drain_rows *r, uint32_t type, wr_str payload, wr_err *err)
{
    wr_str name;
    uint64_t view;
    wr_predlog_feedback f;
    WR_TRY(wr_predlog_peek(&name, &view, type, payload, err));
    if (type == WR_PREDLOG_FEEDBACK) {
        WR_TRY(wr_predlog_get_feedback(&f, payload, err));
        view = f.reward ? REWARDS : 0;
    }
    for (size_t i = 0; i < r->n; i++) {
        wr_drain_table *t = &r->tables[i];
        if (t->type != type || t->view_id != view || !wr_str_is(name, t->name)) continue;
        if (t->frame->nrows >= TABLE_ROWS) continue; /* a column holds so many different texts and no more */
        *out = t;
        return 0;
    }
    return new_table(out, r, type, name, view, payload, err);
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

static void note_model(wr_drain_rows *r, wr_str model, int64_t version)
{
    for (size_t i = 0; i < r->nserved; i++)
        if (r->served[i].version == version && wr_str_is(model, r->served[i].model)) return;
    if (r->nserved == 64 || model.n >= sizeof r->served[0].model) return;
    memcpy(r->served[r->nserved].model, model.p, model.n);
    r->served[r->nserved].model[model.n] = 0;
    r->served[r->nserved++].version = version;
}

static int add_prediction(wr_drain_rows *r, wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_prediction p;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_prediction(&p, r->scratch, payload, err));
    if (p.nrequest != t->view->nrequest || p.nfeatures != t->view->nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "a prediction of \"%s\" does not fit its view", t->name);
    note_model(r, p.model, p.version);
    WR_TRY(put_text(&c[0], row, p.id, err));
    WR_TRY(put_text(&c[1], row, p.model, err));
    c[2].i64[row] = p.version;
    WR_TRY(put_time(&c[3], row, p.served_us, err));
    WR_TRY(put_time(&c[4], row, p.event_us, err));
    c[5].f64[row] = p.score;
    if (isnan(p.score)) WR_TRY(put_missing(&c[5], row, err));
    c[6].f64[row] = p.joules;
    if (isnan(p.joules)) WR_TRY(put_missing(&c[6], row, err));
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

static int add_decision(wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_decision d;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_decision(&d, payload, err));
    WR_TRY(put_text(&c[0], row, d.id, err));
    WR_TRY(put_text(&c[1], row, d.arm, err));
    WR_TRY(put_text(&c[2], row, d.answered, err));
    c[3].i64[row] = d.version;
    c[4].f64[row] = d.propensity;
    c[5].f64[row] = d.took_s;
    return put_time(&c[6], row, d.decided_us, err);
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

static int put_number(wr_col *c, size_t row, double v, wr_err *err)
{
    c->f64[row] = v;
    return isnan(v) ? put_missing(c, row, err) : 0;
}

static int add_feedback(wr_drain_table *t, size_t row, wr_str payload, wr_err *err)
{
    wr_predlog_feedback f;
    wr_col *c = t->frame->cols;
    WR_TRY(wr_predlog_get_feedback(&f, payload, err));
    WR_TRY(put_text(&c[0], row, f.id, err));
    WR_TRY(put_number(&c[1], row, f.text.p ? NAN : f.value, err));
    int at = 2;
    if (!f.reward) WR_TRY(f.text.p ? put_text(&c[at], row, f.text, err) : put_missing(&c[at], row, err));
    if (!f.reward) at++;
    WR_TRY(put_time(&c[at], row, f.known_us, err));
    return put_time(&c[at + 1], row, f.received_us, err);
}

/* ID of the only row, ID/i of several. */
static int put_row_id(wr_col *c, size_t row, const wr_predlog_tensors *r, size_t i, wr_err *err)
{
    char text[512];
    if (r->total == 1) return put_text(c, row, r->id, err);
    int n = snprintf(text, sizeof text, "%.*s/%zu", WR_STR_FMT(wr_str_fit(r->id, 480)), r->first + i);
    return put_text(c, row, (wr_str){text, (size_t)n}, err);
}

static int add_tensor_row(wr_drain_table *t, size_t row, const wr_predlog_tensors *r, size_t i, wr_err *err)
{
    wr_col *c = t->frame->cols;
    WR_TRY(put_row_id(&c[0], row, r, i, err));
    WR_TRY(put_text(&c[1], row, r->model, err));
    c[2].i64[row] = r->version;
    WR_TRY(put_time(&c[3], row, r->served_us, err));
    WR_TRY(put_number(&c[4], row, r->took_s * 1e6, err));
    WR_TRY(put_number(&c[5], row, r->joules, err));
    WR_TRY(r->arm.n ? put_text(&c[6], row, r->arm, err) : put_missing(&c[6], row, err));
    WR_TRY(put_number(&c[7], row, r->propensity, err));
    for (size_t k = 0; k < t->layout.n; k++) {
        const wr_layout_column *lc = &t->layout.columns[k];
        const wr_tensor *x = (size_t)lc->tensor < r->nin ? &r->in[lc->tensor] : &r->out[(size_t)lc->tensor - r->nin];
        WR_TRY(wr_layout_put(&c[NTENSOR + k], row, lc, x, i, r->rowwise, err));
    }
    return 0;
}

/* Layouts are known by a hash; a record that does not fit the one it names is damaged. */
static int check_layout(const wr_drain_table *t, const wr_predlog_tensors *r, wr_err *err)
{
    for (size_t k = 0; k < t->layout.n; k++) {
        const wr_layout_column *lc = &t->layout.columns[k];
        size_t at = (size_t)lc->tensor;
        const wr_tensor *x = at < r->nin ? &r->in[at] : at - r->nin < r->nout ? &r->out[at - r->nin] : NULL;
        if (!x || (!lc->list && lc->at >= wr_layout_width(x, r->rowwise)) ||
            (!lc->list && wr_layout_type(x) != lc->type))
            return wr_err_set(err, WEIR_ECORRUPT, "a prediction of \"%s\" does not fit its layout", t->name);
    }
    return 0;
}

static int more_rows(wr_drain_table *t, size_t n, wr_err *err)
{
    size_t row = t->frame->nrows, cap = row + n;
    if (row && (row & (row - 1)) == 0 && cap < row * 2) cap = row * 2;
    if (cap > row + 1 && wr_frame_reserve(t->frame, cap) < 0) return wr_err_nomem(err);
    return wr_frame_resize(t->frame, row + n) < 0 ? wr_err_nomem(err) : 0;
}

static int add_tensors(wr_drain_rows *r, wr_drain_table *t, wr_str payload, wr_err *err)
{
    wr_predlog_tensors p;
    size_t row = t->frame->nrows;
    wr_arena_clear(r->scratch);
    WR_TRY(wr_predlog_get_tensors(&p, r->scratch, payload, err));
    WR_TRY(check_layout(t, &p, err));
    note_model(r, p.model, p.version);
    WR_TRY(more_rows(t, p.rows, err));
    for (size_t i = 0; i < p.rows; i++) WR_TRY(add_tensor_row(t, row + i, &p, i, err));
    return 0;
}

static int add_record(void *ctx, uint32_t type, wr_str payload)
{
    wr_drain_rows *r = ctx;
    wr_drain_table *t = NULL;
    wr_arena_clear(r->scratch);
    WR_TRY(table_for(&t, r, type, payload, &r->err));
    if (type == WR_PREDLOG_TENSORS) return add_tensors(r, t, payload, &r->err);
    size_t row = t->frame->nrows;
    WR_TRY(more_rows(t, 1, &r->err));
    wr_arena_clear(r->scratch);
    if (type == WR_PREDLOG_PREDICTION) return add_prediction(r, t, row, payload, &r->err);
    if (type == WR_PREDLOG_FEEDBACK) return add_feedback(t, row, payload, &r->err);
    if (type == WR_PREDLOG_DECISION) return add_decision(t, row, payload, &r->err);
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
