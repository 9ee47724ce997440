/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_fuzz.c - any bytes as requests of MLflow's protocol, one after the other, on a store of this process:
 *
 *   METHOD PATH?QUERY
 *   body
 *   %%
 *   METHOD PATH ...
 *
 * @run, @model, @hook and @trace stand for the last id of that kind that an answer had.
 * Whatever comes, an answer is a JSON object or a refusal that says why, and nothing is our fault (INTERNAL_ERROR). All
 * of it happens in one write that is rolled back at the end, so no input finds what another left. Trying a webhook is
 * left out: it would call somebody. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "io/file.h"
#include "track/schema.h"
#include "wire/mlflow/mlflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char mlflow_dir[64];
static wr_db *mlflow_db;
static wr_track *mlflow_track;

static void mlflow_require(bool ok, const char *what, wr_str request, wr_str answer)
{
    if (ok) return;
    fprintf(stderr, "%s\n%.*s\n%.*s\n", what, WR_STR_FMT(request), WR_STR_FMT(answer));
    abort();
}

static void mlflow_gone(void)
{
    wr_track_close(mlflow_track);
    wr_db_close(mlflow_db);
    wr_file_remove_tree(mlflow_dir, NULL);
}

static void mlflow_open(void)
{
    char path[96];
    wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    snprintf(mlflow_dir, sizeof mlflow_dir, "/tmp/weir-mlflow-fuzz-XXXXXX");
    if (!mkdtemp(mlflow_dir)) abort();
    snprintf(path, sizeof path, "%s/records.db", mlflow_dir);
    if (wr_db_open(&mlflow_db, path, &opt, NULL) < 0) abort();
    if (wr_track_open(&mlflow_track, mlflow_db, &(wr_track_opt){0}, NULL) < 0) abort();
    atexit(mlflow_gone);
}

/* ---- ids ---- */

static struct {
    const char *mark, *member;
    char id[80];
} mlflow_ids[] = {{"@run", "\"run_id\":\"", ""},
                  {"@model", "\"model_id\":\"", ""},
                  {"@hook", "\"webhook_id\":\"", ""},
                  {"@trace", "\"trace_id\":\"", ""}};
enum { MLFLOW_IDS = sizeof mlflow_ids / sizeof *mlflow_ids };

static void mlflow_learn(wr_str answer)
{
    for (int i = 0; i < MLFLOW_IDS; i++) {
        size_t n = strlen(mlflow_ids[i].member), k = 0;
        const char *at = memmem(answer.p, answer.n, mlflow_ids[i].member, n);
        if (!at) continue;
        for (at += n; at[k] && at[k] != '"' && k < sizeof mlflow_ids[i].id - 1; k++) mlflow_ids[i].id[k] = at[k];
        mlflow_ids[i].id[k] = 0;
    }
}

static void mlflow_fill(wr_buf *out, wr_str request)
{
    for (size_t i = 0; i < request.n;) {
        int k = 0;
        wr_str rest = wr_str_sub(request, i, request.n);
        while (k < MLFLOW_IDS && !wr_str_starts(rest, mlflow_ids[k].mark)) k++;
        if (k < MLFLOW_IDS) wr_buf_str(out, mlflow_ids[k].id);
        else wr_buf_char(out, request.p[i]);
        i += k < MLFLOW_IDS ? strlen(mlflow_ids[k].mark) : 1;
    }
}

/* ---- requests ---- */

static void mlflow_check(const wr_mlflow_call *c, wr_str request)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str out = wr_buf_view(c->out);
    if (c->type) return; /* a page of HTML: no such path */
    mlflow_require(c->status >= 200 && c->status < 600, "status", request, out);
    mlflow_require(wr_json_parse(&j, out, "answer", NULL) == 0 && yyjson_is_obj(j.root), "not JSON", request, out);
    if (c->status == 200) return;
    const char *code = yyjson_get_str(yyjson_obj_get(j.root, "error_code"));
    mlflow_require(code && yyjson_is_str(yyjson_obj_get(j.root, "message")), "no reason", request, out);
    mlflow_require(strcmp(code, "INTERNAL_ERROR") != 0, "our fault", request, out);
}

static void mlflow_one(wr_str text)
{
    WR_AUTOBUF wr_buf out = {0}, filled = {0};
    mlflow_fill(&filled, text);
    wr_str request = wr_buf_view(&filled);
    wr_str body = request, line = wr_str_cut(&body, '\n'), target = line, method = wr_str_cut(&target, ' ');
    wr_str query = target, path = wr_str_cut(&query, '?');
    if (!target.p || wr_str_ends(path, "/test")) return;
    wr_mlflow_request in = {.method = method,
                            .path = path,
                            .query = query.p ? query : WR_STR(""),
                            .type = WR_STR("application/json"),
                            .body = body.p ? body : WR_STR("")};
    wr_mlflow_call c = {.track = mlflow_track, .arena = wr_arena_new(64 << 20), .out = &out};
    wr_err err = {0};
    if (wr_mlflow_begin(&c, &in) == 0) {
        int rc = wr_mlflow_handle(&c, &err);
        wr_mlflow_end(&c, rc, &err);
    }
    mlflow_check(&c, request);
    if (c.status == 200) mlflow_learn(wr_buf_view(&out));
    wr_arena_free(c.arena);
}

static int mlflow_all(wr_track *t, void *arg, wr_err *err)
{
    enum { REQUESTS = 64 };
    wr_str rest = *(wr_str *)arg;
    (void)t;
    for (int k = 0; k < MLFLOW_IDS; k++) mlflow_ids[k].id[0] = 0;
    for (int i = 0; i < REQUESTS && rest.n; i++) {
        const char *end = memmem(rest.p, rest.n, "\n%%\n", 4);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        mlflow_one((wr_str){rest.p, n});
        rest = wr_str_sub(rest, end ? n + 4 : n, rest.n);
    }
    return wr_err_set(err, WEIR_ECANCELED, "nothing of it stays");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wr_str input = {(const char *)data, size};
    if (!mlflow_db) mlflow_open();
    (void)wr_track_write(mlflow_track, mlflow_all, &input, NULL);
    return 0;
}
