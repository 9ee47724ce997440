/* SPDX-License-Identifier: Apache-2.0 */
/* issues.c - issues/... (3.x): what is wrong with the traces of an experiment. */
#include <stdio.h>

#include "track/issue.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/rpcs.h"

static void put_some(wr_jsonw *w, const char *key, wr_str text)
{
    if (text.p) wr_jsonw_kslice(w, key, text);
}

static void put_list(wr_jsonw *w, const char *key, wr_str json)
{
    if (!json.p) return;
    wr_jsonw_key(w, key);
    wr_jsonw_raw(w, json);
}

static void put_issue(wr_jsonw *w, const char *key, const wr_issue *i)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)i->experiment);
    if (key) wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "issue_id", i->uuid);
    wr_jsonw_kstr(w, "experiment_id", id);
    wr_jsonw_kslice(w, "name", i->name);
    wr_jsonw_kslice(w, "description", i->description);
    wr_jsonw_kslice(w, "status", i->status);
    put_some(w, "severity", i->severity);
    put_list(w, "root_causes", i->causes);
    put_some(w, "source_run_id", i->run_id);
    wr_jsonw_ki64(w, "created_timestamp", i->created_ms);
    wr_jsonw_ki64(w, "last_updated_timestamp", i->updated_ms);
    put_some(w, "created_by", i->created_by);
    put_list(w, "categories", i->categories);
    if (i->traces >= 0) wr_jsonw_ki64(w, "trace_count", i->traces);
    wr_jsonw_end(w);
}

/* A list of texts as JSON; {NULL,0} without any. */
static int texts(wr_str *out, wr_mlflow_call *c, const char *name, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_str *all;
    size_t n;
    *out = (wr_str){NULL, 0};
    WR_TRY(wr_mlflow_strs(&all, &n, c, name, err));
    if (n > WR_ISSUE_TEXTS) return wr_err_set(err, WEIR_EINVAL, "\"%s\" has more than %d texts", name, WR_ISSUE_TEXTS);
    if (!n) return 0;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < n; i++) wr_jsonw_str(&w, all[i]);
    wr_jsonw_end(&w);
    *out = wr_arena_str(c->arena, wr_buf_view(&b));
    return b.failed || !out->p ? wr_err_nomem(err) : 0;
}

static wr_str some(const wr_mlflow_call *c, const char *name)
{
    wr_str v = wr_mlflow_str(c, name);
    return v.n ? v : (wr_str){NULL, 0};
}

static wr_issue read_issue(const wr_mlflow_call *c)
{
    return (wr_issue){.name = some(c, "name"),
                      .description = some(c, "description"),
                      .status = wr_mlflow_str(c, "status"),
                      .severity = wr_mlflow_str(c, "severity"),
                      .run_id = some(c, "source_run_id"),
                      .created_by = some(c, "created_by")};
}

static int create(wr_mlflow_call *c, wr_err *err)
{
    wr_issue in = read_issue(c), out;
    WR_TRY(wr_mlflow_experiment_id(&in.experiment, wr_mlflow_str(c, "experiment_id"), err));
    WR_TRY(texts(&in.causes, c, "root_causes", err));
    WR_TRY(texts(&in.categories, c, "categories", err));
    WR_TRY(wr_issue_create(&out, c->arena, c->track, &in, err));
    put_issue(&c->w, "issue", &out);
    return 0;
}

static int get(wr_mlflow_call *c, wr_err *err)
{
    wr_issue i;
    WR_TRY(wr_issue_get(&i, c->arena, c->track, c->segment[0], err));
    put_issue(&c->w, "issue", &i);
    return 0;
}

static int update(wr_mlflow_call *c, wr_err *err)
{
    wr_issue in = read_issue(c), out;
    WR_TRY(wr_issue_update(&out, c->arena, c->track, c->segment[0], &in, err));
    put_issue(&c->w, "issue", &out);
    return 0;
}

static int search(wr_mlflow_call *c, wr_err *err)
{
    wr_issue *found;
    size_t n;
    int64_t experiment = -1, left = wr_mlflow_i64(c, "max_results", 100);
    wr_str of = wr_mlflow_str(c, "experiment_id"), token = wr_mlflow_str(c, "page_token"), next = {NULL, 0};
    bool counted = wr_mlflow_bool(c, "include_trace_count", false);
    if (of.n) WR_TRY(wr_mlflow_experiment_id(&experiment, of, err));
    if (left < 1 || left > WR_ISSUE_PAGE)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value %lld for parameter 'max_results' supplied: It must be between 1 and %d",
                          (long long)left, WR_ISSUE_PAGE);
    wr_jsonw_key(&c->w, "issues");
    wr_jsonw_arr(&c->w);
    while (left > 0) {
        WR_TRY(wr_issue_search(&found, &n, &next, c->arena, c->track, experiment, wr_mlflow_str(c, "filter_string"),
                               counted, (size_t)left, token, err));
        for (size_t i = 0; i < n; i++) {
            if (!wr_mlflow_may_read_experiment(c, found[i].experiment)) continue;
            put_issue(&c->w, NULL, &found[i]);
            left--;
        }
        if (!next.n) break;
        token = next;
    }
    wr_jsonw_end(&c->w);
    wr_jsonw_kslice(&c->w, "next_page_token", next.p ? next : WR_STR(""));
    return 0;
}

#define ONE "3.0/mlflow/issues/{}"
static const wr_mlflow_rpc rpcs[] = {
    {"POST",
     "3.0/mlflow/issues",
     WR_MLFLOW_WRITE,
     create,
     {{"experiment_id", 's', true},
      {"name", 's', true},
      {"description", 's', true},
      {"status", 's', false},
      {"severity", 's', false},
      {"root_causes", 'a', false},
      {"categories", 'a', false},
      {"source_run_id", 's', false},
      {"created_by", 's', false}}},
    {"POST",
     "3.0/mlflow/issues/search",
     WR_MLFLOW_QUERY,
     search,
     {{"experiment_id", 's', false},
      {"filter_string", 's', false},
      {"max_results", 'i', false},
      {"page_token", 's', false},
      {"include_trace_count", 'b', false}}},
    {"GET", ONE, WR_MLFLOW_READ, get, {{0}}},
    {"PATCH",
     ONE,
     WR_MLFLOW_WRITE,
     update,
     {{"name", 's', false}, {"description", 's', false}, {"status", 's', false}, {"severity", 's', false}}},
};
const wr_mlflow_rpcs wr_mlflow_issues = {rpcs, sizeof rpcs / sizeof *rpcs};
