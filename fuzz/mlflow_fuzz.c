/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_fuzz.c - any bytes as requests of MLflow's protocol, one after the other, on a store of this process:
 *
 *   [USER:]METHOD PATH?QUERY
 *   body
 *   %%
 *   METHOD PATH ...
 *
 * @run, @model, ... (mlflow_ids) stand for the last id of that kind that an answer had. With USER somebody who is known
 * asks, as on a server with authentication: "root" may everything, "u" has what was granted, others were made by the
 * input. Uploads and /v1/traces (as JSON) are taken too, since procedures read what they leave.
 * Whatever comes, an answer is a JSON object, a file, or a refusal that says why, and nothing is our fault
 * (INTERNAL_ERROR). All of it happens in one write that is rolled back at the end, and files are put back as they were,
 * so no input finds what another left. A webhook is tried only where its address is refused unasked.
 * The corpus as a whole has each procedure answer 200 (wr_fuzz_done). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "io/file.h"
#include "store/artifacts.h"
#include "store/artifacts_sign.h"
#include "track/schema.h"
#include "track/webhook.h"
#include "wire/mlflow/access.h"
#include "wire/mlflow/artifacts.h"
#include "wire/mlflow/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool wr_fuzz_done(void);

enum { MLFLOW_MEMORY = 64 << 20 };
#define MLFLOW_HOOK_URL "https://127.0.0.1:1/" /* no address of the open internet: refused before anybody is called */

static char mlflow_dir[64], mlflow_files[96], mlflow_scratch[96], mlflow_hook[80];
static wr_db *mlflow_db;
static wr_track *mlflow_track;
static wr_artifacts *mlflow_store;
static bool mlflow_changed; /* files */

static void mlflow_require(bool ok, const char *what, wr_str request, wr_str answer)
{
    if (ok) return;
    fprintf(stderr, "%s\n%.*s\n%.*s\n", what, WR_STR_FMT(request), WR_STR_FMT(answer));
    abort();
}

static void mlflow_gone(void)
{
    wr_artifacts_close(mlflow_store);
    wr_track_close(mlflow_track);
    wr_db_close(mlflow_db);
    wr_file_remove_tree(mlflow_dir, NULL);
}

/* Who is there always, and the webhook that may be tried. */
static int mlflow_first(wr_track *t, void *arg, wr_err *err)
{
    int64_t id;
    wr_webhook hook;
    int event = 0;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    (void)arg;
    WR_TRY(wr_user_create(&id, t, WR_STR("root"), WR_STR("a long password"), true, err));
    WR_TRY(wr_user_create(&id, t, WR_STR("u"), WR_STR("a long password"), false, err));
    wr_webhook_allow(t, WR_WEBHOOK_PRIVATE);
    wr_webhook_set set = {
        .name = WR_STR("first"), .url = WR_STR(MLFLOW_HOOK_URL), .secret = WR_STR("s"), .events = &event, .nevents = 1};
    WR_TRY(wr_webhook_create(&hook, a, t, &set, err));
    wr_webhook_allow(t, 0);
    snprintf(mlflow_hook, sizeof mlflow_hook, "%.*s", WR_STR_FMT(hook.uuid));
    return 0;
}

/* The store of files holds "0/f". */
static void mlflow_fresh_files(void)
{
    wr_artifact_entry *list;
    size_t n;
    WR_AUTOARENA wr_arena *a = wr_arena_new(MLFLOW_MEMORY);
    if (wr_artifacts_list(&list, &n, a, mlflow_store, WR_STR(""), NULL) < 0) abort();
    for (size_t i = 0; i < n; i++)
        if (wr_artifacts_delete(mlflow_store, wr_str_of(list[i].name), NULL) < 0) abort();
    wr_file_remove_tree(mlflow_scratch, NULL);
    if (wr_artifacts_put(mlflow_store, WR_STR("0/f"), WR_STR("content"), NULL, NULL) < 0) abort();
    mlflow_changed = false;
}

static void mlflow_open(void)
{
    char path[96];
    wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    wr_webhook_transport transport;
    wr_artifacts_opt files = {.scratch = mlflow_scratch};
    const char *tmp = getenv("TMPDIR");
    snprintf(mlflow_dir, sizeof mlflow_dir, "%s/weir-mlflow-fuzz-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (!mkdtemp(mlflow_dir)) abort();
    snprintf(path, sizeof path, "%s/records.db", mlflow_dir);
    snprintf(mlflow_files, sizeof mlflow_files, "%s/files", mlflow_dir);
    snprintf(mlflow_scratch, sizeof mlflow_scratch, "%s/scratch", mlflow_dir);
    if (wr_db_open(&mlflow_db, path, &opt, NULL) < 0) abort();
    if (wr_track_open(&mlflow_track, mlflow_db, &(wr_track_opt){0}, NULL) < 0) abort();
    if (wr_track_write(mlflow_track, mlflow_first, NULL, NULL) < 0) abort();
    if (wr_artifacts_open(&mlflow_store, mlflow_files, &files, NULL) < 0) abort();
    mlflow_fresh_files();
    /* TLS gives back what the writer's thread has of it when the thread ends, but not after its own exit handler: that
     * one is registered now, so that it runs after ours. */
    if (wr_webhook_transport_open(&transport, NULL, NULL) < 0) abort();
    wr_webhook_transport_close(&transport);
    atexit(mlflow_gone);
}

/* ---- ids ---- */

static struct {
    const char *mark, *member;
    char id[80];
} mlflow_ids[] = {{"@run", "\"run_id\":\"", ""},         {"@model", "\"model_id\":\"", ""},
                  {"@hook", "\"webhook_id\":\"", ""},    {"@trace", "\"trace_id\":\"", ""},
                  {"@request", "\"request_id\":\"", ""}, {"@dataset", "\"dataset_id\":\"", ""},
                  {"@issue", "\"issue_id\":\"", ""},     {"@assessment", "\"assessment_id\":\"", ""},
                  {"@upload", "\"upload_id\":\"", ""},   {"@page", "\"next_page_token\":\"", ""}};
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

enum { MLFLOW_RPCS = 256 };
static bool mlflow_reached[MLFLOW_RPCS]; /* answered 200, in the order of the tables */

static size_t mlflow_number(const wr_mlflow_rpc *r)
{
    size_t n = 0;
    for (size_t t = 0; t < wr_mlflow_tables_count; n += wr_mlflow_tables[t++]->n)
        if (r >= wr_mlflow_tables[t]->at && r < wr_mlflow_tables[t]->at + wr_mlflow_tables[t]->n)
            return n + (size_t)(r - wr_mlflow_tables[t]->at);
    abort();
}

static void mlflow_check_file(const wr_mlflow_call *c, wr_str request)
{
    char bytes[64];
    const wr_artifact_info *info = wr_artifact_reader_info(c->content);
    int64_t n = wr_artifact_get(c->content, 0, bytes, sizeof bytes, NULL);
    mlflow_require(c->status == 200 && c->type && c->headers, "a file without headers", request, c->content_path);
    mlflow_require(n == (info->size < 64 ? info->size : 64), "not the file", request, c->content_path);
}

static void mlflow_check(const wr_mlflow_call *c, wr_str request)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str out = wr_buf_view(c->out);
    mlflow_require(c->status >= 200 && c->status < 600, "status", request, out);
    if (c->content) mlflow_check_file(c, request);
    if (c->type) return; /* a file; or a page of HTML: no such path */
    mlflow_require(wr_json_parse(&j, out, "answer", NULL) == 0 && yyjson_is_obj(j.root), "not JSON", request, out);
    if (c->status == 200) return;
    const char *code = yyjson_get_str(yyjson_obj_get(j.root, "error_code"));
    mlflow_require(code && yyjson_is_str(yyjson_obj_get(j.root, "message")), "no reason", request, out);
    mlflow_require(strcmp(code, "INTERNAL_ERROR") != 0, "our fault", request, out);
}

/* Links for uploads straight into a store of files that runs do not have here: always refused. */
static bool mlflow_refuses(const wr_mlflow_call *c)
{
    return c->rpc && c->status == 400 && strcmp(c->rpc->path, "2.0/mlflow/artifacts/presigned-upload-url") == 0;
}

static void mlflow_rpc(const wr_mlflow_request *in, const wr_mlflow_access *access, wr_str request)
{
    static const wr_signer signer = {{0}};
    WR_AUTOBUF wr_buf out = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(MLFLOW_MEMORY);
    wr_mlflow_call c = {.track = mlflow_track, .arena = a, .out = &out, .artifacts = mlflow_store};
    wr_err err = {0};
    c.signer = &signer;
    c.base = "http://h";
    c.access = access;
    c.user = access ? access->user->name.p : NULL;
    if (wr_mlflow_begin(&c, in) == 0) {
        int rc = wr_mlflow_handle(&c, &err);
        wr_mlflow_end(&c, rc, &err);
    }
    mlflow_check(&c, request);
    wr_artifact_reader_close(c.content);
    if (c.status != 200 && !mlflow_refuses(&c)) return;
    mlflow_learn(wr_buf_view(&out));
    mlflow_reached[mlflow_number(c.rpc)] = true;
    if (memmem(in->path.p, in->path.n, "-artifacts/", 11) && !wr_str_is(in->method, "GET")) mlflow_changed = true;
}

/* As the server does it; in pieces of three bytes. */
static void mlflow_receive(const wr_mlflow_upload *to, wr_str body, wr_arena *a)
{
    wr_artifact_writer *w;
    wr_err err = {0};
    const char *id = wr_arena_str(a, to->upload).p;
    if (to->max >= 0 && body.n > (size_t)to->max) return;
    mlflow_changed = true;
    int rc = to->part ? wr_artifacts_part_write(&w, mlflow_store, to->path, id ? id : "", to->part, &err)
                      : wr_artifacts_write(&w, mlflow_store, to->path, (int64_t)body.n, &err);
    for (size_t i = 0; rc == 0 && i < body.n; i += 3) {
        rc = wr_artifact_add(w, wr_str_sub(body, i, i + 3 < body.n ? i + 3 : body.n), &err);
        if (rc < 0) wr_artifact_abort(w);
    }
    if (rc == 0) rc = wr_artifact_commit(w, NULL, &err);
    mlflow_require(rc == 0 || err.msg[0], "no reason", to->path, body);
}

static bool mlflow_upload(const wr_mlflow_request *in, const wr_mlflow_access *access)
{
    wr_mlflow_upload to;
    wr_err err = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(MLFLOW_MEMORY);
    int rc = wr_mlflow_upload_of(&to, a, mlflow_track, access, in->method, in->path, in->query, &err);
    mlflow_require(rc >= 0 || err.msg[0], "no reason", in->path, in->query);
    if (rc > 0) mlflow_receive(&to, in->body, a);
    return rc != 0;
}

static void mlflow_spans(const wr_mlflow_request *in, const wr_mlflow_access *access)
{
    WR_AUTOBUF wr_buf out = {0};
    WR_AUTOARENA wr_arena *a = wr_arena_new(MLFLOW_MEMORY);
    wr_otlp_call c = {.track = mlflow_track,
                      .arena = a,
                      .type = in->type,
                      .experiment = WR_STR("0"),
                      .body = in->body,
                      .access = access,
                      .out = &out};
    wr_err err = {0};
    if (wr_otlp_begin(&c) < 0) return;
    int rc = wr_otlp_store(&c, &err);
    wr_otlp_end(&c, rc, &err);
    mlflow_require(c.status >= 200 && c.status < 600 && c.status != 500, "our fault", in->body, wr_buf_view(&out));
}

static bool mlflow_calls_somebody(wr_str path)
{
    wr_webhook hook;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!wr_str_ends(path, "/test")) return false;
    return !memmem(path.p, path.n, mlflow_hook, strlen(mlflow_hook)) ||
           wr_webhook_get(&hook, a, mlflow_track, wr_str_of(mlflow_hook), NULL) < 0 ||
           !wr_str_is(hook.url, MLFLOW_HOOK_URL);
}

static void mlflow_ask(const wr_mlflow_request *in, const wr_mlflow_access *access, wr_str request)
{
    if (mlflow_calls_somebody(in->path)) return;
    if (wr_str_is(in->path, "/v1/traces")) mlflow_spans(in, access);
    else if (!mlflow_upload(in, access)) mlflow_rpc(in, access, request);
}

static void mlflow_one(wr_str text)
{
    WR_AUTOBUF wr_buf filled = {0};
    mlflow_fill(&filled, text);
    wr_str request = wr_buf_view(&filled);
    wr_str body = request, line = wr_str_cut(&body, '\n'), target = line, method = wr_str_cut(&target, ' ');
    wr_str query = target, path = wr_str_cut(&query, '?'), rest = method, name = wr_str_cut(&rest, ':');
    if (!target.p) return;
    wr_mlflow_request in = {.method = rest.p ? rest : method,
                            .path = path,
                            .query = query.p ? query : WR_STR(""),
                            .type = WR_STR("application/json"),
                            .body = body.p ? body : WR_STR("")};
    if (!rest.p) {
        mlflow_ask(&in, NULL, request);
        return;
    }
    wr_mlflow_access access = {.otherwise = WR_CAN_READ};
    wr_users *users;
    if (wr_users_read(&users, mlflow_track, NULL) < 0) abort();
    access.users = users;
    access.user = wr_users_find(users, name);
    if (access.user) mlflow_ask(&in, &access, request);
    wr_users_free(users);
}

static int mlflow_all(wr_track *t, void *arg, wr_err *err)
{
    enum { REQUESTS = 64 };
    wr_str rest = *(wr_str *)arg;
    (void)t;
    for (int k = 0; k < MLFLOW_IDS; k++) mlflow_ids[k].id[0] = 0;
    snprintf(mlflow_ids[2].id, sizeof mlflow_ids[2].id, "%s", mlflow_hook);
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
    if (mlflow_changed) mlflow_fresh_files();
    return 0;
}

bool wr_fuzz_done(void)
{
    size_t n = 0, reached = 0;
    for (size_t t = 0; t < wr_mlflow_tables_count; t++)
        for (size_t i = 0; i < wr_mlflow_tables[t]->n; i++, n++) {
            const wr_mlflow_rpc *r = &wr_mlflow_tables[t]->at[i];
            if (mlflow_reached[n]) reached++;
            else printf("no input has it answer 200: %s %s\n", r->method, r->path);
        }
    printf("%zu of %zu procedures\n", reached, n);
    return reached == n;
}
