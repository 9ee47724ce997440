/* SPDX-License-Identifier: Apache-2.0 */
/* trace_prediction.c - a prediction found again by its id in the datasets the server wrote. */
#include <math.h>

#include "base/clock.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/package.h"
#include "stage/sustain/trace.h"

static const char PREDICTIONS[] = "predictions.";
static const char *const own[] = {"prediction_id", "model", "version", "served_at", "event_time", "score", "joules"};

static int query(wr_frame **out, wr_arena *a, wr_tables *t, const char *format, const char *dataset, const char *id,
                 wr_err *err)
{
    wr_bind bind = {.kind = WR_BIND_TEXT, .s = wr_str_of(id)};
    WR_AUTOBUF wr_buf name;
    wr_buf_init(&name, 0);
    wr_sql_ident(&name, wr_str_of(dataset));
    const char *sql = wr_arena_printf(a, "%s FROM %s WHERE prediction_id = ?", format, wr_buf_cstr(&name));
    return sql && !name.failed ? wr_tables_query(t, out, sql, &bind, 1, err) : wr_err_nomem(err);
}

static const char *text_of(wr_arena *a, const wr_col *c)
{
    char time[WR_TIME_TEXT];
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    if (wr_col_missing(c, 0)) return NULL;
    switch (c->type) {
    case WR_TEXT:
        return wr_arena_str(a, wr_col_text(c, 0)).p;
    case WR_TS:
        wr_time_format(time, c->i64[0]);
        return wr_arena_strdup(a, time);
    case WR_BOOL:
        return c->b[0] ? "true" : "false";
    case WR_I64:
        return wr_arena_printf(a, "%lld", (long long)c->i64[0]);
    case WR_F32:
    case WR_F64:
    default:
        if (isnan(wr_col_num(c, 0))) return NULL;
        wr_buf_printf(&b, "%.*g", c->type == WR_F32 ? 8 : 15, wr_col_num(c, 0));
        return wr_arena_strdup(a, wr_buf_cstr(&b));
    }
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], name) == 0) return true;
    return false;
}

/* The first row of the frame: there may be more when a client used an id twice. */
static int fill(wr_trace_prediction *q, wr_arena *a, const wr_frame *f, wr_err *err)
{
    wr_col *id, *model, *version, *served, *event, *score;
    WR_TRY(wr_frame_need(&id, f, "prediction_id", WR_TEXT, err));
    WR_TRY(wr_frame_need(&model, f, "model", WR_TEXT, err));
    WR_TRY(wr_frame_need(&version, f, "version", WR_I64, err));
    WR_TRY(wr_frame_need(&served, f, "served_at", WR_TS, err));
    WR_TRY(wr_frame_need(&event, f, "event_time", WR_TS, err));
    WR_TRY(wr_frame_need(&score, f, "score", -1, err));
    q->id = text_of(a, id);
    q->model = text_of(a, model);
    q->version = version->i64[0];
    q->served_us = served->i64[0];
    q->event_us = event->i64[0];
    q->score = wr_col_num(score, 0);
    wr_col *own_j = wr_frame_col(f, "joules"); /* since the log tells it */
    q->own_j = own_j && own_j->type == WR_F64 && !wr_col_missing(own_j, 0) ? own_j->f64[0] : NAN;
    q->values = wr_arena_calloc(a, f->ncols, sizeof *q->values);
    if (!q->values || !q->id || !q->model) return wr_err_nomem(err);
    for (size_t i = 0; i < f->ncols; i++) {
        if (is_own(f->cols[i].name)) continue;
        q->values[q->nvalues++] =
            (wr_trace_value){.name = wr_arena_strdup(a, f->cols[i].name), .text = text_of(a, &f->cols[i])};
    }
    return 0;
}

/* The label that counts is the one known last; of several known then the one received last. */
static int label(wr_trace_prediction *q, wr_arena *a, wr_project *p, wr_tables *t, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    char *name = wr_arena_printf(a, "labels.%s", q->endpoint);
    if (!name) return wr_err_nomem(err);
    if (!wr_dataset_exists(p, name)) return 0;
    WR_TRY(wr_dataset_view(t, p, name, NULL, err));
    WR_TRY(query(&f, a, t, "SELECT CAST(label AS DOUBLE) AS label, known_at, received_at", name, q->id, err));
    wr_col *value, *known, *received;
    WR_TRY(wr_frame_need(&value, f, "label", WR_F64, err));
    WR_TRY(wr_frame_need(&known, f, "known_at", WR_TS, err));
    WR_TRY(wr_frame_need(&received, f, "received_at", WR_TS, err));
    for (size_t i = 0; i < f->nrows; i++) {
        bool older = q->has_label && (known->i64[i] < q->known_us ||
                                      (known->i64[i] == q->known_us && received->i64[i] <= q->received_us));
        if (!isfinite(wr_col_num(value, i)) || older) continue;
        q->has_label = true;
        q->label = value->f64[i];
        q->known_us = known->i64[i];
        q->received_us = received->i64[i];
    }
    return 0;
}

/* Which of the values the model looked at: those of its view. A package that is gone leaves them unmarked. */
static void mark_features(wr_trace_prediction *q, wr_arena *a, wr_project *p)
{
    wr_model_version v;
    wr_package *k;
    char *ref = wr_arena_printf(a, "%s@%lld", q->model, (long long)q->version);
    if (!ref || wr_model_find(&v, a, p, ref, NULL) < 0 || wr_package_load(&k, p, v.package, NULL) < 0) return;
    const wr_package_parts *parts = wr_package_get(k);
    for (size_t i = 0; i < q->nvalues; i++)
        for (size_t j = 0; j < parts->nuse; j++)
            if (strcmp(q->values[i].name, parts->view->features[parts->use[j]].name) == 0) q->values[i].feature = true;
    wr_package_free(k);
}

/* How many predictions the model version has made so far, in all endpoints. */
static int count(wr_trace_prediction *q, wr_arena *a, wr_project *p, wr_tables *t, char **names, size_t n, wr_err *err)
{
    wr_bind binds[2] = {{.kind = WR_BIND_TEXT, .s = wr_str_of(q->model)}, {.kind = WR_BIND_I64, .i = q->version}};
    for (size_t i = 0; i < n; i++) {
        WR_AUTOFRAME wr_frame *f = NULL;
        if (!wr_str_starts(wr_str_of(names[i]), PREDICTIONS)) continue;
        WR_TRY(wr_dataset_view(t, p, names[i], NULL, err));
        const char *sql = wr_arena_printf(a, "SELECT count(*) FROM \"%s\" WHERE model = ? AND version = ?", names[i]);
        if (!sql) return wr_err_nomem(err);
        WR_TRY(wr_tables_query(t, &f, sql, binds, 2, err));
        q->served += f->nrows ? wr_col_num(&f->cols[0], 0) : 0;
    }
    return 0;
}

static int search(wr_trace_prediction **out, wr_arena *a, wr_project *p, wr_tables *t, char **names, size_t n,
                  const char *id, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        WR_AUTOFRAME wr_frame *f = NULL;
        if (!wr_str_starts(wr_str_of(names[i]), PREDICTIONS)) continue;
        WR_TRY(wr_dataset_view(t, p, names[i], NULL, err));
        WR_TRY(query(&f, a, t, "SELECT *", names[i], id, err));
        if (!f->nrows) continue;
        wr_trace_prediction *q = wr_arena_calloc(a, 1, sizeof *q);
        if (!q) return wr_err_nomem(err);
        q->endpoint = wr_arena_strdup(a, names[i] + sizeof PREDICTIONS - 1);
        if (!q->endpoint) return wr_err_nomem(err);
        WR_TRY(fill(q, a, f, err));
        WR_TRY(label(q, a, p, t, err));
        WR_TRY(count(q, a, p, t, names, n, err));
        mark_features(q, a, p);
        *out = q;
        return 1;
    }
    return 0;
}

int wr_trace_prediction_find(wr_trace_prediction **out, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    char **names;
    size_t n, any = 0;
    wr_tables *t;
    WR_TRY(wr_dataset_list(&names, &n, a, p, err));
    for (size_t i = 0; i < n; i++) any += wr_str_starts(wr_str_of(names[i]), PREDICTIONS);
    if (!any) return 0;
    WR_TRY(wr_project_tables(&t, p, NULL, err));
    int rc = search(out, a, p, t, names, n, id, err);
    wr_tables_close(t);
    return rc;
}
