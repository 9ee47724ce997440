/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - the rules. */
#include "wire/mlflow/access.h"

#include <stdio.h>

#include "base/num.h"
#include "track/eval_dataset.h"
#include "track/experiment.h"
#include "track/run.h"

/* What a procedure touches, and where the request names it. */
typedef enum {
    ANYBODY, /* who is known */
    ADMIN,
    SELF,       /* the user that "username" names, or an administrator */
    FILTERED,   /* a search: its handler shows what may be read */
    EXPERIMENT, /* "experiment_id" */
    EXPERIMENT_NAME,
    EXPERIMENTS,      /* each of "experiment_ids" */
    RUN,              /* "run_id": its experiment */
    RUNS,             /* each of "run_ids" or "run_id" */
    MODEL,            /* "name" */
    LOGGED_MODEL,     /* {} is its id: its experiment */
    TRACE,            /* {} or "trace_id" or "request_id": its experiment */
    TRACES,           /* each of "trace_ids" */
    LOCATION,         /* trace.trace_info.trace_location */
    ISSUE,            /* {} is its id: its experiment */
    EVAL_DATASET,     /* {} is its id: one of its experiments to read it, each of them to change it */
    EVAL_EXPERIMENTS, /* the same, and each of "experiment_ids" */
    SCORER,           /* "experiment_id" and "name" or "scorer_name": what was granted on it, else on its experiment */
    ARTIFACT,         /* the rest of the path, or "path": the experiment that it begins with */
} resource;

typedef struct {
    /* NULL: any method. Without "2.0/" or "3.0/": either version; a star at the end: whatever begins so */
    const char *method, *path;
    resource of;
    wr_permission needs;
} rule;

/* The first that fits counts. */
static const rule rules[] = {
    {"POST", "mlflow/experiments/create", ANYBODY, 0},
    {NULL, "mlflow/experiments/search-datasets", EXPERIMENTS, WR_CAN_READ},
    {NULL, "mlflow/experiments/search", FILTERED, 0},
    {"GET", "mlflow/experiments/get", EXPERIMENT, WR_CAN_READ},
    {"GET", "mlflow/experiments/get-by-name", EXPERIMENT_NAME, WR_CAN_READ},
    {"POST", "mlflow/experiments/delete", EXPERIMENT, WR_CAN_MANAGE},
    {"POST", "mlflow/experiments/restore", EXPERIMENT, WR_CAN_MANAGE},
    {"POST", "mlflow/experiments/update", EXPERIMENT, WR_CAN_EDIT},
    {"POST", "mlflow/experiments/set-experiment-tag", EXPERIMENT, WR_CAN_EDIT},
    {"POST", "mlflow/experiments/delete-experiment-tag", EXPERIMENT, WR_CAN_EDIT},
    {NULL, "mlflow/experiments/permissions/*", EXPERIMENT, WR_CAN_MANAGE},
    {"POST", "mlflow/runs/create", EXPERIMENT, WR_CAN_EDIT},
    {"GET", "mlflow/runs/get", RUN, WR_CAN_READ},
    {NULL, "mlflow/runs/search", FILTERED, 0},
    {"POST", "mlflow/runs/delete", RUN, WR_CAN_MANAGE},
    {"POST", "mlflow/runs/restore", RUN, WR_CAN_MANAGE},
    {"POST", "mlflow/runs/*", RUN, WR_CAN_EDIT},
    {"GET", "mlflow/metrics/*", RUNS, WR_CAN_READ},
    {"GET", "mlflow/artifacts/list", RUN, WR_CAN_READ},
    {"POST", "mlflow/artifacts/presigned-upload-url", RUN, WR_CAN_EDIT},
    {"GET", "/get-artifact", RUN, WR_CAN_READ},
    {"GET", "/model-versions/get-artifact", MODEL, WR_CAN_READ},
    {"GET", "mlflow-artifacts/signed/*", ANYBODY, 0}, /* the link is the permission */
    {"GET", "mlflow-artifacts/*", ARTIFACT, WR_CAN_READ},
    {"DELETE", "mlflow-artifacts/*", ARTIFACT, WR_CAN_MANAGE},
    {"POST", "mlflow-artifacts/*", ARTIFACT, WR_CAN_EDIT},
    {"POST", "mlflow/registered-models/create", ANYBODY, 0},
    {NULL, "mlflow/registered-models/search", FILTERED, 0},
    {"GET", "mlflow/registered-models/get", MODEL, WR_CAN_READ},
    {"GET", "mlflow/registered-models/alias", MODEL, WR_CAN_READ},
    {NULL, "mlflow/registered-models/get-latest-versions", MODEL, WR_CAN_READ},
    {"DELETE", "mlflow/registered-models/delete", MODEL, WR_CAN_MANAGE},
    {NULL, "mlflow/registered-models/permissions/*", MODEL, WR_CAN_MANAGE},
    {NULL, "mlflow/registered-models/*", MODEL, WR_CAN_EDIT},
    {NULL, "mlflow/model-versions/search", FILTERED, 0},
    {"GET", "mlflow/model-versions/*", MODEL, WR_CAN_READ},
    {"DELETE", "mlflow/model-versions/delete", MODEL, WR_CAN_MANAGE},
    {NULL, "mlflow/model-versions/*", MODEL, WR_CAN_EDIT},
    {"POST", "mlflow/logged-models", EXPERIMENT, WR_CAN_EDIT},
    {"POST", "mlflow/logged-models/search", FILTERED, 0},
    {"GET", "mlflow/logged-models/*", LOGGED_MODEL, WR_CAN_READ},
    {"DELETE", "mlflow/logged-models/{}", LOGGED_MODEL, WR_CAN_MANAGE},
    {NULL, "mlflow/logged-models/*", LOGGED_MODEL, WR_CAN_EDIT},
    {"GET", "mlflow/traces", FILTERED, 0},
    {"POST", "2.0/mlflow/traces", EXPERIMENT, WR_CAN_EDIT},
    {"POST", "3.0/mlflow/traces", LOCATION, WR_CAN_EDIT},
    {"POST", "mlflow/traces/search", FILTERED, 0},
    {"POST", "mlflow/traces/metrics", EXPERIMENTS, WR_CAN_READ},
    {"POST", "mlflow/traces/calculate-filter-correlation", EXPERIMENTS, WR_CAN_READ},
    {"POST", "mlflow/traces/delete-traces", EXPERIMENT, WR_CAN_MANAGE},
    {"POST", "mlflow/traces/link-to-run", RUN, WR_CAN_EDIT},
    {NULL, "mlflow/traces/batchGet*", TRACES, WR_CAN_READ},
    {"GET", "mlflow/traces/*", TRACE, WR_CAN_READ},
    {NULL, "mlflow/traces/*", TRACE, WR_CAN_EDIT},
    {"GET", "mlflow/get-trace-artifact", TRACE, WR_CAN_READ},
    {"GET", "mlflow/users/current", ANYBODY, 0},
    {"GET", "mlflow/users/current/permissions", ANYBODY, 0},
    {"GET", "mlflow/users/get", SELF, 0},
    {"PATCH", "mlflow/users/update-password", SELF, 0},
    {"GET", "mlflow/users/permissions/list", SELF, 0},
    {"GET", "mlflow/users/permissions/get", SELF, 0},
    {"GET", "mlflow/users/roles/list", SELF, 0},
    {NULL, "mlflow/users/*", ADMIN, 0},
    {NULL, "mlflow/roles/*", ADMIN, 0},
    {NULL, "mlflow/webhooks*", ADMIN, 0},
    {"POST", "mlflow/datasets/create", EXPERIMENTS, WR_CAN_EDIT},
    {NULL, "mlflow/datasets/search", FILTERED, 0},
    {"POST", "mlflow/datasets/{}/add-experiments", EVAL_EXPERIMENTS, WR_CAN_EDIT},
    {"GET", "mlflow/datasets/*", EVAL_DATASET, WR_CAN_READ},
    {"DELETE", "mlflow/datasets/{}", EVAL_DATASET, WR_CAN_MANAGE},
    {NULL, "mlflow/datasets/*", EVAL_DATASET, WR_CAN_EDIT},
    {"POST", "mlflow/issues/search", FILTERED, 0},
    {"POST", "mlflow/issues", EXPERIMENT, WR_CAN_EDIT},
    {"GET", "mlflow/issues/*", ISSUE, WR_CAN_READ},
    {"PATCH", "mlflow/issues/*", ISSUE, WR_CAN_EDIT},
    {"POST", "mlflow/scorers/register", EXPERIMENT, WR_CAN_EDIT},
    {"GET", "mlflow/scorers/list", FILTERED, 0},
    {NULL, "mlflow/scorers/permissions/*", SCORER, WR_CAN_MANAGE},
    {"GET", "mlflow/scorers/online-configs", ANYBODY, 0}, /* there are none */
    {"PUT", "mlflow/scorers/online-config", SCORER, WR_CAN_EDIT},
    {"GET", "mlflow/scorers/*", SCORER, WR_CAN_READ},
    {"DELETE", "mlflow/scorers/delete", SCORER, WR_CAN_MANAGE},
    {"GET", "mlflow/server-info", ANYBODY, 0},
    {"POST", "/graphql", FILTERED, 0}, /* the procedures that it calls ask */
};

static bool path_fits(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    bool versioned = strncmp(path, "2.0/", 4) == 0 || strncmp(path, "3.0/", 4) == 0;
    if (versioned && strncmp(pattern, path, 4) != 0) path += 4;
    return n && pattern[n - 1] == '*' ? strncmp(pattern, path, n - 1) == 0 : strcmp(pattern, path) == 0;
}

static const rule *rule_of(const wr_mlflow_rpc *r)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if ((!rules[i].method || strcmp(rules[i].method, r->method) == 0) && path_fits(rules[i].path, r->path))
            return &rules[i];
    return NULL;
}

bool wr_mlflow_has_rule(const wr_mlflow_rpc *r) { return rule_of(r) != NULL; }

/* ---- checking ---- */

static int denied(wr_err *err) { return wr_err_set(err, WEIR_EACCESS, "Permission denied."); }

static wr_permission permission_of(const wr_mlflow_call *c, const char *type, wr_str id)
{
    return wr_users_check(c->access->user, wr_str_of(type), id, c->access->otherwise);
}

static int need(const wr_mlflow_call *c, const char *type, wr_str id, wr_permission needs, wr_err *err)
{
    return permission_of(c, type, id) >= needs ? 0 : denied(err);
}

static int need_experiment(const wr_mlflow_call *c, int64_t id, wr_permission needs, wr_err *err)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)id);
    return need(c, "experiment", (wr_str){text, (size_t)n}, needs, err);
}

/* A resource that is not there is the handler's to report: its error says no more than that. */
static int need_run(wr_mlflow_call *c, wr_str uuid, wr_permission needs, wr_err *err)
{
    wr_track_run r;
    if (!uuid.n) return 0;
    int rc = wr_track_run_get(&r, c->arena, c->track, uuid, err);
    if (rc == WEIR_ENOTFOUND) return 0;
    return rc < 0 ? rc : need_experiment(c, r.experiment, needs, err);
}

static int need_owner(wr_mlflow_call *c, const char *sql, wr_str id, wr_permission needs, wr_err *err)
{
    wr_stmt *s;
    int64_t experiment = -1;
    WR_TRY(wr_db_prepare(wr_track_db(c->track), &s, sql, err));
    wr_bind_str(s, 1, id);
    int rc = wr_step(s, err);
    if (rc > 0) experiment = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    if (rc <= 0) return rc;
    return need_experiment(c, experiment, needs, err);
}

int wr_mlflow_need_experiment(const wr_mlflow_access *access, int64_t id, wr_permission needs, wr_err *err)
{
    const wr_mlflow_call c = {.access = access};
    return !access || access->user->admin ? 0 : need_experiment(&c, id, needs, err);
}

int wr_mlflow_need_artifact(const wr_mlflow_access *access, wr_str path, wr_permission needs, wr_err *err)
{
    int64_t id;
    wr_str experiment = wr_str_cut(&path, '/');
    if (!access || access->user->admin) return 0;
    if (wr_num_i64(&id, experiment, NULL) == 0) return wr_mlflow_need_experiment(access, id, needs, err);
    if (wr_str_is(experiment, "packages") && needs > WR_CAN_READ) return denied(err); /* never change (core/model.h) */
    return access->otherwise >= needs ? 0 : denied(err);
}

#define OF_LOGGED_MODEL "SELECT experiment FROM logged_models WHERE uuid = ?"
#define OF_TRACE        "SELECT experiment FROM track_traces WHERE uuid = ?"

static wr_str first_of(const wr_mlflow_call *c, const char *a, const char *b)
{
    wr_str s = wr_mlflow_str(c, a);
    return s.p ? s : wr_mlflow_str(c, b);
}

static int need_each(wr_mlflow_call *c, const rule *r, wr_err *err)
{
    static const char *const names[] = {"run_ids", "run_id", "experiment_ids", "trace_ids"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        wr_str *ids;
        size_t n;
        int64_t id;
        if (!wr_mlflow_val(c, names[k])) continue;
        WR_TRY(wr_mlflow_strs(&ids, &n, c, names[k], err));
        for (size_t i = 0; i < n; i++) {
            if (k < 2) WR_TRY(need_run(c, ids[i], r->needs, err));
            else if (k == 3) WR_TRY(need_owner(c, OF_TRACE, ids[i], r->needs, err));
            else if (wr_num_i64(&id, ids[i], NULL) == 0) WR_TRY(need_experiment(c, id, r->needs, err));
        }
    }
    return 0;
}

/* A dataset that is tied to no experiment is anybody's. */
static int need_eval_dataset(wr_mlflow_call *c, const rule *r, wr_err *err)
{
    int64_t *ids;
    size_t n, allowed = 0;
    WR_TRY(wr_eval_dataset_experiments(&ids, &n, c->arena, c->track, c->segment[0], err));
    for (size_t i = 0; i < n; i++) allowed += need_experiment(c, ids[i], r->needs, NULL) == 0;
    return allowed == n || (allowed && r->needs == WR_CAN_READ) ? 0 : denied(err);
}

static int need_named_experiment(wr_mlflow_call *c, const rule *r, wr_err *err)
{
    wr_experiment e;
    int rc = wr_experiment_find(&e, c->arena, c->track, wr_mlflow_str(c, "experiment_name"), err);
    if (rc == WEIR_ENOTFOUND) return 0;
    return rc < 0 ? rc : need_experiment(c, e.id, r->needs, err);
}

wr_str wr_mlflow_scorer_id(wr_arena *a, int64_t experiment, wr_str name)
{
    char *id = wr_arena_printf(a, "%lld/%.*s", (long long)experiment, WR_STR_FMT(name));
    return id ? wr_str_of(id) : (wr_str){NULL, 0};
}

/* What was granted on the scorer counts, else what its experiment gives; who is shut out of the experiment stays so. */
static wr_permission permission_of_scorer(const wr_mlflow_call *c, int64_t experiment, wr_str name)
{
    wr_str id = wr_mlflow_scorer_id(c->arena, experiment, name), of = id;
    if (!id.p) return WR_DENY;
    wr_permission p = permission_of(c, "experiment", wr_str_cut(&of, '/'));
    return p == WR_DENY ? p : wr_users_check(c->access->user, WR_STR("scorer"), id, p);
}

static int need_scorer(const wr_mlflow_call *c, const rule *r, wr_err *err)
{
    int64_t experiment;
    if (wr_num_i64(&experiment, wr_mlflow_str(c, "experiment_id"), NULL) < 0) return 0; /* the handler's to report */
    return permission_of_scorer(c, experiment, first_of(c, "name", "scorer_name")) >= r->needs ? 0 : denied(err);
}

static int need_location(wr_mlflow_call *c, const rule *r, wr_err *err)
{
    yyjson_val *v = yyjson_ptr_get(c->in, "/trace/trace_info/trace_location/mlflow_experiment/experiment_id");
    wr_str id = yyjson_is_str(v) ? (wr_str){yyjson_get_str(v), yyjson_get_len(v)} : WR_STR("0");
    return need(c, "experiment", id, r->needs, err);
}

int wr_mlflow_allowed(wr_mlflow_call *c, wr_err *err)
{
    if (!c->access || c->access->user->admin) return 0;
    const rule *r = rule_of(c->rpc);
    if (!r) return denied(err);
    wr_str id;
    switch (r->of) {
    case ANYBODY:
    case FILTERED:
        return 0;
    case ADMIN:
        return denied(err);
    case SELF:
        return wr_str_eq(wr_mlflow_str(c, "username"), c->access->user->name) ? 0 : denied(err);
    case EXPERIMENT:
        id = wr_mlflow_str(c, "experiment_id");
        return need(c, "experiment", id.n ? id : WR_STR("0"), r->needs, err);
    case EXPERIMENT_NAME:
        return need_named_experiment(c, r, err);
    case EXPERIMENTS:
    case RUNS:
    case TRACES:
        return need_each(c, r, err);
    case RUN:
        return need_run(c, first_of(c, "run_id", "run_uuid"), r->needs, err);
    case MODEL:
        return need(c, "registered_model", wr_mlflow_str(c, "name"), r->needs, err);
    case LOGGED_MODEL:
        return need_owner(c, OF_LOGGED_MODEL, c->segment[0], r->needs, err);
    case TRACE:
        id = c->segment[0].p ? c->segment[0] : first_of(c, "trace_id", "request_id");
        return need_owner(c, OF_TRACE, id.p ? id : WR_STR(""), r->needs, err);
    case LOCATION:
        return need_location(c, r, err);
    case EVAL_EXPERIMENTS:
        WR_TRY(need_each(c, r, err));
        return need_eval_dataset(c, r, err);
    case ISSUE:
        return need_owner(c, "SELECT experiment FROM track_issues WHERE uuid = ?", c->segment[0], r->needs, err);
    case EVAL_DATASET:
        return need_eval_dataset(c, r, err);
    case SCORER:
        return need_scorer(c, r, err);
    case ARTIFACT:
        id = c->segment[0].p ? c->segment[0] : wr_mlflow_str(c, "path");
        return wr_mlflow_need_artifact(c->access, id, r->needs, err);
    }
    return denied(err);
}

int wr_mlflow_edits_experiment(const wr_mlflow_access *access, int64_t id, wr_err *err)
{
    wr_mlflow_call c = {.access = access};
    return !access || access->user->admin ? 0 : need_experiment(&c, id, WR_CAN_EDIT, err);
}

int wr_mlflow_edits_trace(const wr_mlflow_access *access, wr_track *t, wr_str uuid, wr_err *err)
{
    wr_mlflow_call c = {.access = access, .track = t};
    return !access || access->user->admin ? 0 : need_owner(&c, OF_TRACE, uuid, WR_CAN_EDIT, err);
}

/* ---- what follows ---- */

int wr_mlflow_granted(wr_mlflow_call *c, wr_err *err)
{
    wr_str user = c->access ? c->access->user->name : (wr_str){NULL, 0}, name = wr_mlflow_str(c, "name");
    const char *path = c->rpc->path;
    if (!c->access) return 0;
    if (strcmp(path, "2.0/mlflow/experiments/create") == 0)
        return wr_grant_set(c->track, user, WR_STR("experiment"), c->made, WR_CAN_MANAGE, err);
    if (strcmp(path, "2.0/mlflow/registered-models/create") == 0)
        return wr_grant_set(c->track, user, WR_STR("registered_model"), name, WR_CAN_MANAGE, err);
    if (strcmp(path, "2.0/mlflow/registered-models/delete") == 0)
        return wr_grant_forget(c->track, WR_STR("registered_model"), name, err);
    if (strcmp(path, "2.0/mlflow/registered-models/rename") == 0)
        return wr_grant_rename(c->track, WR_STR("registered_model"), name, wr_mlflow_str(c, "new_name"), err);
    if (c->made.n && strcmp(path, "3.0/mlflow/scorers/register") == 0)
        return wr_grant_set(c->track, user, WR_STR("scorer"), c->made, WR_CAN_MANAGE, err);
    if (c->made.n && strcmp(path, "3.0/mlflow/scorers/delete") == 0)
        return wr_grant_forget(c->track, WR_STR("scorer"), c->made, err);
    return 0;
}

bool wr_mlflow_may_read(const wr_mlflow_call *c, const char *type, wr_str id)
{
    return !c->access || permission_of(c, type, id) >= WR_CAN_READ;
}

bool wr_mlflow_may_read_experiment(const wr_mlflow_call *c, int64_t id)
{
    return !c->access || need_experiment(c, id, WR_CAN_READ, NULL) == 0;
}

bool wr_mlflow_may_read_scorer(const wr_mlflow_call *c, int64_t experiment, wr_str name)
{
    return !c->access || permission_of_scorer(c, experiment, name) >= WR_CAN_READ;
}
