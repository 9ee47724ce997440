/* SPDX-License-Identifier: Apache-2.0 */
/* run_record.c - runs of the program as runs of the tracking store, written and read. */
#include "core/run_record.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"
#include "base/os.h"
#include "base/vec.h"
#include "track/experiment.h"

/* ---- writing ---- */

typedef struct {
    wr_arena *arena;
    const char *experiment, *kind, *name, *command, *code;
    char *id;
} start_arg;

/* The experiment of the program's own runs; the default one when somebody deleted it. */
static int experiment_of(int64_t *out, wr_arena *a, wr_track *t, const char *name, wr_err *err)
{
    wr_experiment e;
    int rc = wr_experiment_find(&e, a, t, wr_str_of(name), err);
    if (rc == WEIR_ENOTFOUND) return wr_experiment_create(out, t, wr_str_of(name), (wr_str){NULL, 0}, NULL, 0, err);
    WR_TRY(rc);
    *out = e.deleted ? 0 : e.id;
    return 0;
}

static const char *user_name(void)
{
    const struct passwd *pw = getpwuid(geteuid());
    const char *env = getenv("USER");
    return env && env[0] ? env : pw ? pw->pw_name : "";
}

static int start_fn(wr_track *t, void *arg, wr_err *err)
{
    start_arg *a = arg;
    const char *commit = strncmp(a->code, "git:", 4) == 0 ? a->code + 4 : "";
    const char *user = user_name();
    wr_track_item tags[] = {{WR_STR("weir.kind"), wr_str_of(a->kind)},
                            {WR_STR("weir.name"), wr_str_of(a->name)},
                            {WR_STR("weir.code"), wr_str_of(a->code)},
                            {WR_STR("weir.host"), wr_str_of(wr_os_hostname())},
                            {WR_STR("mlflow.user"), wr_str_of(user)},
                            {WR_STR("mlflow.source.name"), wr_str_of(a->command)},
                            {WR_STR("mlflow.source.type"), WR_STR("LOCAL")},
                            {WR_STR("mlflow.source.git.commit"), {commit, strcspn(commit, "+")}}};
    bool command = strcmp(a->kind, "command") == 0;
    char *name = command ? wr_arena_strdup(a->arena, a->name)
                         : wr_arena_printf(a->arena, "%s%s%s", a->kind, a->name[0] ? " " : "", a->name);
    if (!name) return wr_err_nomem(err);
    wr_track_run_new in = {.user = wr_str_of(user),
                           .name = wr_str_of(name),
                           .start_ms = wr_track_now_ms(),
                           .tags = tags,
                           .ntags = sizeof tags / sizeof *tags - (commit[0] ? 0 : 1)};
    wr_track_run run;
    WR_TRY(experiment_of(&in.experiment, a->arena, t, a->experiment, err));
    WR_TRY(wr_track_run_create(&run, a->arena, t, &in, err));
    snprintf(a->id, 33, "%s", run.uuid.p);
    return 0;
}

int wr_run_record_start(char id[33], wr_project *p, const char *experiment, const char *kind, const char *name,
                        const char *command, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_track *t;
    start_arg arg = {
        a, experiment ? experiment : "weir", kind, name ? name : "", command ? command : "", wr_run_code_version(p),
        id};
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_project_track(&t, p, err));
    return wr_track_write(t, start_fn, &arg, err);
}

wr_str wr_run_record_key(wr_arena *a, const char *key)
{
    char *k = wr_arena_strdup(a, key);
    for (char *c = k; c && *c; c++)
        if (wr_track_key_check((wr_str){c, 1}, 250, "key", NULL) < 0 && !strchr("/. ", *c) && (unsigned char)*c < 0x80)
            *c = '_';
    return k ? wr_str_of(k) : (wr_str){NULL, 0};
}

int wr_run_record_param(wr_track *t, const wr_track_run *r, const char *key, const char *value, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str k = a ? wr_run_record_key(a, key) : (wr_str){NULL, 0};
    if (!k.p) return wr_err_nomem(err);
    return wr_track_run_replace_param(t, r, k, wr_str_of(value), err);
}

int wr_run_record_status(wr_track *t, wr_track_run *r, const char *status, wr_err *err)
{
    bool finished = strcmp(status, "finished") == 0;
    if (strcmp(status, "refused") == 0) WR_TRY(wr_track_run_set_tag(t, r, WR_STR("weir.refused"), WR_STR("true"), err));
    return wr_track_run_update(t, r, finished ? WR_RUN_FINISHED : WR_RUN_FAILED, wr_track_now_ms(), (wr_str){NULL, 0},
                               err);
}

int wr_run_record_error(wr_track *t, wr_track_run *r, const char *error, wr_err *err)
{
    return wr_track_run_set_tag(t, r, WR_STR("weir.error"), wr_str_of(error), err);
}

int wr_run_record_exit(wr_track *t, wr_track_run *r, const char *why, wr_err *err)
{
    static const wr_str error = {"weir.error", 10};
    if (!why) {
        int rc = wr_track_run_delete_tag(t, r, error, err);
        return rc == WEIR_ENOTFOUND ? 0 : rc;
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    wr_track_run loaded = *r;
    WR_TRY(wr_track_run_load(&loaded, a, t, err));
    for (size_t i = 0; i < loaded.ntags; i++)
        if (wr_str_eq(loaded.tags[i].key, error)) return 0;
    return wr_run_record_error(t, r, why, err);
}

/* ---- reading ---- */

#define TAG(name)                                                                                                      \
    "coalesce((SELECT value FROM track_tags WHERE run = r.id AND key = (SELECT id FROM track_keys WHERE name = '" name \
    "')), '')"
/* of an MLflow client's run: the commit that its library noted */
#define CODE                                                                                                           \
    "coalesce(nullif(" TAG("weir.code") ", ''), nullif('git:' || " TAG("mlflow.source.git.commit") ", 'git:'), '')"
#define RUN_COLUMNS                                                                                                    \
    "SELECT r.uuid, " TAG("weir.kind") ", " TAG("weir.name") ", " TAG("mlflow.source.name") ", r.status, " TAG(        \
        "weir.error") ", " TAG("weir.refused") ", " CODE ", r.start_ms, r.end_ms, r.name FROM track_runs r "

static const char *status_of(int status, bool refused)
{
    switch (status) {
    case WR_RUN_RUNNING:
        return "running";
    case WR_RUN_SCHEDULED:
        return "scheduled";
    case WR_RUN_FINISHED:
        return "finished";
    case WR_RUN_KILLED:
        return "killed";
    default:
        return refused ? "refused" : "failed";
    }
}

static char *text(wr_arena *a, wr_stmt *s, int at) { return (char *)(uintptr_t)wr_arena_str(a, wr_stmt_str(s, at)).p; }

static wr_run_row read_run(wr_arena *a, wr_stmt *s)
{
    wr_run_row r = {.id = text(a, s, 0),
                    .kind = text(a, s, 1),
                    .name = text(a, s, 2),
                    .command = text(a, s, 3),
                    .status = (char *)(uintptr_t)status_of((int)wr_stmt_i64(s, 4), wr_stmt_str(s, 6).n > 0),
                    .error = text(a, s, 5),
                    .code = text(a, s, 7),
                    .started_us = wr_stmt_i64(s, 8) * 1000,
                    .ended_us = wr_stmt_null(s, 9) ? 0 : wr_stmt_i64(s, 9) * 1000};
    if (r.kind && !r.kind[0]) { /* of another program: an MLflow client */
        r.kind = (char *)(uintptr_t) "run";
        r.name = text(a, s, 10);
    }
    return r;
}

int wr_run_list(wr_run_row **out, size_t *n, wr_arena *a, wr_project *p, size_t limit, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_run_row) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, RUN_COLUMNS "WHERE r.deleted_ms IS NULL ORDER BY r.id DESC LIMIT ?", err));
    wr_bind_i64(s, 1, limit ? (int64_t)limit : INT64_MAX);
    while ((rc = wr_step(s, err)) > 0)
        if ((rc = wr_vec_add(&rows, read_run(a, s), err)) < 0) break;
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_run_get(wr_run_row *out, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    if (!id[0]) return wr_err_set(err, WEIR_EINVAL, "the id of a run is empty");
    char *end = wr_arena_printf(a, "%s~", id); /* behind every digit */
    if (!end) return wr_err_nomem(err);
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, RUN_COLUMNS "WHERE r.uuid >= ? AND r.uuid < ? LIMIT 2", err));
    wr_bind_cstr(s, 1, id);
    wr_bind_cstr(s, 2, end);
    int rc = wr_step(s, err), more = 0;
    if (rc > 0) *out = read_run(a, s);
    if (rc > 0) more = wr_step(s, err);
    wr_stmt_done(s);
    if (rc < 0 || more < 0) return rc < 0 ? rc : more;
    if (more) {
        wr_err_set(err, WEIR_EINVAL, "more than one run begins with \"%s\"", id);
        return wr_err_hint(err, WEIR_EINVAL, "give more digits; weir runs list shows them");
    }
    if (rc == 0) {
        wr_err_set(err, WEIR_ENOTFOUND, "no run \"%s\"", id);
        return wr_err_hint(err, WEIR_ENOTFOUND, "weir runs list shows them; the first digits are enough");
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

static int load(wr_track_run *r, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_track *t;
    WR_TRY(wr_project_track(&t, p, err));
    int rc = wr_track_run_get(r, a, t, wr_str_of(id), err);
    if (rc == WEIR_ENOTFOUND) {
        *r = (wr_track_run){0};
        return 0;
    }
    return rc < 0 ? rc : wr_track_run_load(r, a, t, err);
}

int wr_run_params(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_track_run r;
    WR_TRY(load(&r, a, p, id, err));
    *n = r.nparams;
    *out = wr_arena_calloc(a, r.nparams + 1, sizeof **out);
    for (size_t i = 0; *out && i < r.nparams; i++)
        (*out)[i] = (wr_run_item){(char *)(uintptr_t)r.params[i].key.p, (char *)(uintptr_t)r.params[i].value.p, 0};
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_run_metrics(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err)
{
    wr_track_run r;
    char number[32];
    WR_TRY(load(&r, a, p, id, err));
    *n = r.nmetrics;
    *out = wr_arena_calloc(a, r.nmetrics + 1, sizeof **out);
    for (size_t i = 0; *out && i < r.nmetrics; i++) {
        wr_f64_text(number, r.metrics[i].value);
        (*out)[i] =
            (wr_run_item){(char *)(uintptr_t)r.metrics[i].key.p, wr_arena_strdup(a, number), r.metrics[i].value};
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}
