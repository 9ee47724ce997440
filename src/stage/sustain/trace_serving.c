/* SPDX-License-Identifier: Apache-2.0 */
/* trace_serving.c - where a version was in use: endpoints of weir.yaml, events of servers, predictions in the lake. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/vec.h"
#include "core/dataset.h"
#include "core/endpoint.h"
#include "core/event.h"
#include "core/model.h"
#include "stage/sustain/trace.h"

enum { EVENTS_MAX = 1000000 };
static const char PREDICTIONS[] = "predictions.", ENDPOINT[] = "endpoint:";

typedef WR_VEC(wr_trace_serving) servings;

/* The endpoint's entry, made when there is none. NULL: no memory. */
static wr_trace_serving *entry(servings *s, const char *endpoint)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->at[i].endpoint, endpoint) == 0) return &s->at[i];
    wr_trace_serving fresh = {.endpoint = endpoint};
    if (!endpoint || wr_vec_push(s, fresh) < 0) return NULL;
    return &s->at[s->n - 1];
}

static int declared(servings *s, wr_arena *a, wr_project *p, const char *model, int64_t version, wr_err *err)
{
    wr_endpoint *e;
    size_t n;
    wr_registered_version v;
    wr_err none;
    WR_TRY(wr_endpoint_list(&e, &n, a, p, err));
    for (size_t i = 0; i < n; i++) {
        if (!strpbrk(e[i].model, "@/") || wr_model_registered(&v, a, p, e[i].model, &none) < 0) continue;
        if (v.version != version || !wr_str_is(v.name, model) || !v.package.n) continue;
        wr_trace_serving *at = entry(s, e[i].name);
        if (!at) return wr_err_nomem(err);
        at->now = true;
    }
    return 0;
}

static int told(servings *s, wr_arena *a, wr_project *p, const char *model, int64_t version, wr_err *err)
{
    wr_event *e;
    size_t n;
    WR_TRY(wr_event_list(&e, &n, a, p, 0, "served", EVENTS_MAX, err));
    for (size_t i = 0; i < n; i++) {
        WR_AUTOJSON wr_json j = {0};
        wr_str name;
        int64_t number;
        wr_err none;
        if (!wr_str_starts(wr_str_of(e[i].subject), ENDPOINT)) continue;
        if (wr_json_parse(&j, wr_str_of(e[i].payload), "event", &none) < 0) continue;
        if (wr_json_str(&name, j.root, "model", &none) < 0 || wr_json_i64(&number, j.root, "version", &none) < 0)
            continue;
        if (!wr_str_is(name, model) || number != version) continue;
        wr_trace_serving *at = entry(s, e[i].subject + sizeof ENDPOINT - 1);
        if (!at) return wr_err_nomem(err);
        if (!at->loaded_us) at->loaded_us = e[i].time_us; /* oldest first */
    }
    return 0;
}

static int count(servings *s, wr_arena *a, wr_project *p, wr_tables *t, const char *dataset, const char *model,
                 int64_t version, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_AUTOBUF wr_buf name;
    wr_bind binds[2] = {{.kind = WR_BIND_TEXT, .s = wr_str_of(model)}, {.kind = WR_BIND_I64, .i = version}};
    wr_buf_init(&name, 0);
    wr_sql_ident(&name, wr_str_of(dataset));
    WR_TRY(wr_dataset_view(t, p, dataset, NULL, err));
    const char *sql = wr_arena_printf(a,
                                      "SELECT count(*), epoch_us(min(served_at)), epoch_us(max(served_at)) FROM %s "
                                      "WHERE model = ? AND version = ?",
                                      wr_buf_cstr(&name));
    if (!sql || name.failed) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(t, &f, sql, binds, 2, err));
    if (!f->nrows || !(wr_col_num(&f->cols[0], 0) > 0)) return 0;
    wr_trace_serving *at = entry(s, wr_arena_strdup(a, dataset + sizeof PREDICTIONS - 1));
    if (!at) return wr_err_nomem(err);
    at->predictions = wr_col_num(&f->cols[0], 0);
    at->first_us = f->cols[1].i64[0];
    at->last_us = f->cols[2].i64[0];
    return 0;
}

static int counted(servings *s, wr_arena *a, wr_project *p, const char *model, int64_t version, wr_err *err)
{
    wr_tables *t = NULL;
    char **names;
    size_t n;
    int rc = 0;
    WR_TRY(wr_dataset_list(&names, &n, a, p, err));
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (!wr_str_starts(wr_str_of(names[i]), PREDICTIONS)) continue;
        if (!t) rc = wr_project_tables(&t, p, NULL, err);
        if (rc == 0) rc = count(s, a, p, t, names[i], model, version, err);
    }
    wr_tables_close(t);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const wr_trace_serving *)a)->endpoint, ((const wr_trace_serving *)b)->endpoint);
}

int wr_trace_servings(wr_trace_serving **out, size_t *n, wr_arena *a, wr_project *p, const char *model, int64_t version,
                      wr_err *err)
{
    servings s = {0};
    int rc = declared(&s, a, p, model, version, err);
    if (rc == 0) rc = told(&s, a, p, model, version, err);
    if (rc == 0) rc = counted(&s, a, p, model, version, err);
    if (s.n) qsort(s.at, s.n, sizeof *s.at, by_name);
    return wr_vec_keep(out, n, a, &s, rc, err);
}

static void ktime(wr_jsonw *w, const char *key, int64_t us)
{
    char text[WR_TIME_TEXT];
    wr_time_format(text, us);
    wr_jsonw_kstr(w, key, us > 0 ? text : NULL);
}

void wr_trace_servings_json(wr_jsonw *w, const wr_trace_serving *s, size_t n)
{
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "endpoint", s[i].endpoint);
        wr_jsonw_kbool(w, "now", s[i].now);
        ktime(w, "loaded", s[i].loaded_us);
        wr_jsonw_kf64(w, "predictions", s[i].predictions);
        ktime(w, "first", s[i].first_us);
        ktime(w, "last", s[i].last_us);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}
