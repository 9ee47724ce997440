/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_http.c - a running MLflow server as a source: asking, pages, metric history, artifacts through its proxy. */
#include "stage/import/mlflow_http.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "codec/base64.h"

enum { ANSWER_MAX = 256 << 20, TRIES = 5, TIMEOUT_MS = 300000 };

/* ---- asking ---- */

void wr_mlflowhttp_encode(wr_buf *out, wr_str text, bool slashes)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.' || c == '~';
        if (plain || (slashes && c == '/')) wr_buf_char(out, (char)c);
        else wr_buf_printf(out, "%%%02X", c);
    }
}

static bool worth_a_retry(int rc, int status)
{
    if (rc < 0) return rc == WEIR_EUNAVAILABLE || rc == WEIR_ETIMEOUT || rc == WEIR_EIO;
    return status == 429 || status == 408 || (status >= 500 && status != 501);
}

static int send_once(wr_fetch_reply *r, wr_mlflowhttp *m, const char *path, wr_str body, wr_err *err)
{
    WR_AUTOBUF wr_buf url = {0};
    const char *headers[2];
    size_t n = 0;
    if (m->authorization) headers[n++] = m->authorization;
    if (body.p) headers[n++] = "Content-Type: application/json";
    wr_buf_printf(&url, "%s%s", m->base, path);
    if (url.failed) return wr_err_nomem(err);
    wr_fetch_opt opt = {.method = body.p ? "POST" : "GET",
                        .url = wr_buf_cstr(&url),
                        .headers = headers,
                        .nheaders = n,
                        .body = body,
                        .max = ANSWER_MAX,
                        .timeout_ms = TIMEOUT_MS};
    return wr_fetch_run(r, m->fetch, &opt, err);
}

static int refused(const wr_fetch_reply *r, const char *path, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    int code = r->status == 404 || r->status == 405   ? WEIR_ENOTFOUND
               : r->status == 401 || r->status == 403 ? WEIR_EACCESS
                                                      : WEIR_EUNAVAILABLE;
    wr_str why = wr_json_parse_lenient(&j, wr_buf_view(&r->body), NULL) == 0
                     ? wr_mlflowhttp_text(NULL, j.root, "message")
                     : (wr_str){NULL, 0};
    wr_err_set(err, code, "the server answers %d to %.120s", r->status, path);
    if (why.p) wr_err_detail(err, code, "%.*s", WR_STR_FMT(wr_str_fit(why, 300)));
    if (code == WEIR_EACCESS)
        wr_err_hint(err, code,
                    "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, say who asks");
    return code;
}

int wr_mlflowhttp_ask(wr_json *out, wr_mlflowhttp *m, const char *path, wr_str body, wr_err *err)
{
    wr_fetch_reply r = {0};
    int rc = 0;
    for (int i = 0; i < (m->answered ? TRIES : 1); i++) {
        if (i) nanosleep(&(struct timespec){.tv_sec = 1 << (i - 1)}, NULL);
        rc = send_once(&r, m, path, body, err);
        if (!worth_a_retry(rc, r.status)) break;
    }
    m->answered |= rc == 0;
    if (rc == 0 && r.status != 200) rc = refused(&r, path, err);
    if (rc == 0) rc = wr_json_parse_lenient(out, wr_buf_view(&r.body), err);
    if (rc == 0 && !yyjson_is_obj(out->root))
        rc = wr_err_set(err, WEIR_EPARSE, "the server's answer to %.120s is no object", path);
    wr_fetch_reply_free(&r);
    return rc;
}

/* ---- pages ---- */

typedef struct {
    int kind;
    const char *path, *list;
    const char *body; /* of a POST: the part before the token; %lld the experiment. NULL: a GET */
    bool grouped;     /* by experiment, or by model */
} pages;

static const pages walks[] = {
    {WR_IMPORT_EXPERIMENT, "/api/2.0/mlflow/experiments/search", "experiments",
     "{\"view_type\":\"ALL\",\"max_results\":1000", false},
    {WR_IMPORT_RUN, "/api/2.0/mlflow/runs/search", "runs",
     "{\"experiment_ids\":[\"%lld\"],\"run_view_type\":\"ALL\",\"max_results\":100", true},
    {WR_IMPORT_LOGGED, "/api/2.0/mlflow/logged-models/search", "models",
     "{\"experiment_ids\":[\"%lld\"],\"max_results\":50", true},
    {WR_IMPORT_MODEL, "/api/2.0/mlflow/registered-models/search", "registered_models", NULL, true},
    {WR_IMPORT_VERSION, "/api/2.0/mlflow/model-versions/search", "model_versions", NULL, true},
    {WR_IMPORT_TRACE, "/api/3.0/mlflow/traces/search", "traces",
     "{\"locations\":[{\"type\":\"MLFLOW_EXPERIMENT\",\"mlflow_experiment\":{\"experiment_id\":\"%lld\"}}],\"max_"
     "results\":100",
     true},
};

/* Prompts are registered models that a search gives only when it is asked for them. */
#define PROMPTS "tags.`mlflow.prompt.is_prompt` = 'true'"
enum { MODEL_GROUPS = 2 };

static size_t groups(const wr_mlflowhttp *m, const pages *w)
{
    if (!w->grouped) return 1;
    if (w->kind == WR_IMPORT_MODEL) return MODEL_GROUPS;
    return w->kind == WR_IMPORT_VERSION ? m->models.n : m->experiments.n;
}

static void add_filter(wr_buf *url, const wr_mlflowhttp *m, const pages *w)
{
    WR_AUTOBUF wr_buf filter = {0};
    bool prompts = w->kind == WR_IMPORT_MODEL ? m->group == 1 : m->group >= m->models.n - m->nprompts;
    if (w->kind == WR_IMPORT_VERSION) {
        wr_str name = m->models.at[m->group];
        const char *quote = memchr(name.p, '\'', name.n) ? "\"" : "'";
        wr_buf_printf(&filter, "name = %s%.*s%s%s", quote, WR_STR_FMT(name), quote, prompts ? " AND " : "");
    }
    if (prompts) wr_buf_str(&filter, PROMPTS);
    if (!filter.n) return;
    wr_buf_str(url, "&filter=");
    wr_mlflowhttp_encode(url, wr_buf_view(&filter), false);
}

static void get_url(wr_buf *url, const wr_mlflowhttp *m, const pages *w)
{
    wr_buf_printf(url, "%s?max_results=%d", w->path, w->kind == WR_IMPORT_MODEL ? 100 : 500);
    add_filter(url, m, w);
    if (!m->token.n) return;
    wr_buf_str(url, "&page_token=");
    wr_mlflowhttp_encode(url, wr_buf_view(&m->token), false);
}

/* MLflow 2 has the older question. */
static void old_traces_url(wr_buf *url, const wr_mlflowhttp *m)
{
    wr_buf_printf(url, "/api/2.0/mlflow/traces?experiment_ids=%lld&max_results=100",
                  (long long)m->experiments.at[m->group]);
    if (!m->token.n) return;
    wr_buf_str(url, "&page_token=");
    wr_mlflowhttp_encode(url, wr_buf_view(&m->token), false);
}

static int post_page(wr_mlflowhttp *m, const pages *w, wr_err *err)
{
    char start[256];
    wr_jsonw token;
    WR_AUTOBUF wr_buf body = {0};
    long long experiment = w->grouped ? (long long)m->experiments.at[m->group] : 0;
    const char *mark = strstr(w->body, "%lld");
    if (mark) snprintf(start, sizeof start, "%.*s%lld%s", (int)(mark - w->body), w->body, experiment, mark + 4);
    wr_buf_str(&body, mark ? start : w->body);
    if (m->token.n) {
        wr_buf_str(&body, ",\"page_token\":");
        wr_jsonw_init(&token, &body, 0);
        wr_jsonw_str(&token, wr_buf_view(&m->token));
    }
    wr_buf_char(&body, '}');
    if (body.failed) return wr_err_nomem(err);
    return wr_mlflowhttp_ask(&m->page, m, w->path, wr_buf_view(&body), err);
}

static int get_page(wr_mlflowhttp *m, const pages *w, wr_err *err)
{
    WR_AUTOBUF wr_buf url = {0};
    if (w->kind == WR_IMPORT_TRACE) old_traces_url(&url, m);
    else get_url(&url, m, w);
    return url.failed ? wr_err_nomem(err) : wr_mlflowhttp_ask(&m->page, m, wr_buf_cstr(&url), (wr_str){NULL, 0}, err);
}

/* What a version of the server does not have is empty. */
static int ask_page(wr_mlflowhttp *m, const pages *w, wr_err *err)
{
    wr_err why = {0};
    bool old = w->kind == WR_IMPORT_TRACE && m->asked_traces && !m->v3_traces;
    int rc = !w->body || old ? get_page(m, w, &why) : post_page(m, w, &why);
    if (w->kind == WR_IMPORT_TRACE && !m->asked_traces) {
        m->asked_traces = true;
        m->v3_traces = rc == 0;
        if (rc == WEIR_ENOTFOUND) rc = get_page(m, w, &why);
    }
    if (rc == WEIR_ENOTFOUND && (w->kind == WR_IMPORT_LOGGED || w->kind == WR_IMPORT_TRACE)) {
        m->group = groups(m, w) - 1;
        return 0;
    }
    if (rc < 0 && err) *err = why;
    return rc;
}

static void keep_page(wr_mlflowhttp *m, const pages *w)
{
    yyjson_val *list = yyjson_obj_get(m->page.root, w->list);
    wr_str token = m->page.root ? wr_mlflowhttp_text(NULL, m->page.root, "next_page_token") : (wr_str){NULL, 0};
    wr_buf_clear(&m->token);
    if (token.p) wr_buf_slice(&m->token, token);
    if (!yyjson_is_arr(list) || !yyjson_arr_iter_init(list, &m->items)) m->items = (yyjson_arr_iter){0};
    m->open = true;
}

static const pages *walk_of(wr_import_kind kind)
{
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
        if (walks[i].kind == (int)kind) return &walks[i];
    return NULL;
}

static int next_value(yyjson_val **out, wr_mlflowhttp *m, const pages *w, wr_err *err)
{
    for (;;) {
        if (m->open && (*out = yyjson_arr_iter_next(&m->items))) return 1;
        if (m->open && !m->token.n) {
            m->group++;
            m->open = false;
        }
        if (!m->open && m->group >= groups(m, w)) break;
        wr_json_free(&m->page);
        m->page = (wr_json){0};
        WR_TRY(ask_page(m, w, err));
        keep_page(m, w);
    }
    m->group = 0; /* for the next kind */
    return 0;
}

/* ---- rows ---- */

static int remember_model(wr_mlflowhttp *m, wr_str name, wr_err *err)
{
    wr_str copy = wr_arena_str(m->kept, name);
    if (!copy.p || wr_vec_push(&m->models, copy) < 0) return wr_err_nomem(err);
    if (m->group == 1) m->nprompts++;
    return 0;
}

/* Where its files are, when the source only names another model. */
static int version_storage(wr_mlflowhttp *m, wr_arena *a, wr_registered_version *v, wr_err *err)
{
    WR_AUTOBUF wr_buf url = {0};
    WR_AUTOJSON wr_json j = {0};
    if (!wr_str_starts(v->source, "models:")) return 0;
    wr_buf_str(&url, "/api/2.0/mlflow/model-versions/get-download-uri?name=");
    wr_mlflowhttp_encode(&url, v->name, false);
    wr_buf_printf(&url, "&version=%lld", (long long)v->version);
    WR_TRY(wr_mlflowhttp_ask(&j, m, wr_buf_cstr(&url), (wr_str){NULL, 0}, err));
    v->storage = wr_mlflowhttp_text(a, j.root, "artifact_uri");
    return 0;
}

static int fill(wr_import_row *out, wr_mlflowhttp *m, wr_import_kind kind, wr_arena *a, yyjson_val *v, wr_err *err)
{
    switch (kind) {
    case WR_IMPORT_EXPERIMENT:
        WR_TRY(wr_mlflowhttp_experiment(&out->experiment, a, v, err));
        return wr_vec_push(&m->experiments, out->experiment.id) < 0 ? wr_err_nomem(err) : 0;
    case WR_IMPORT_RUN:
        return wr_mlflowhttp_run(&out->run, a, v, err);
    case WR_IMPORT_LOGGED:
        return wr_mlflowhttp_logged(&out->logged, a, v, err);
    case WR_IMPORT_MODEL:
        WR_TRY(wr_mlflowhttp_model(&out->model, a, v, err));
        return remember_model(m, out->model.name, err);
    case WR_IMPORT_VERSION:
        WR_TRY(wr_mlflowhttp_version(&out->version, a, v, err));
        return version_storage(m, a, &out->version, err);
    case WR_IMPORT_TRACE:
        return wr_mlflowhttp_trace(&out->trace, a, m, v, err);
    default:
        return 0;
    }
}

static int next(wr_import_source *source, wr_import_kind kind, wr_arena *a, wr_import_row *out, wr_err *err)
{
    wr_mlflowhttp *m = (wr_mlflowhttp *)source;
    const pages *w = walk_of(kind);
    yyjson_val *v;
    int rc = w ? next_value(&v, m, w, err) : 0;
    if (rc <= 0) return rc;
    rc = fill(out, m, kind, a, v, err);
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    return rc < 0 ? rc : 1;
}

static int count(int64_t *out, wr_import_source *source, wr_import_kind kind, wr_err *err)
{
    (void)source;
    (void)kind;
    (void)err;
    *out = -1;
    return 0;
}

/* ---- metrics ---- */

static int npoints(int64_t *out, wr_import_source *source, wr_str run, wr_err *err)
{
    (void)source;
    (void)run;
    (void)err;
    *out = -1;
    return 0;
}

static int history_page(wr_buf *token, wr_mlflowhttp *m, wr_str run, wr_str key, wr_import_points_fn fn, void *arg,
                        wr_err *err)
{
    WR_AUTOBUF wr_buf url = {0};
    WR_AUTOJSON wr_json j = {0};
    WR_VEC(wr_track_point) points = {0};
    size_t i, max;
    yyjson_val *v;
    wr_buf_str(&url, "/api/2.0/mlflow/metrics/get-history?max_results=25000&run_id=");
    wr_mlflowhttp_encode(&url, run, false);
    wr_buf_str(&url, "&metric_key=");
    wr_mlflowhttp_encode(&url, key, false);
    if (token->n) {
        wr_buf_str(&url, "&page_token=");
        wr_mlflowhttp_encode(&url, wr_buf_view(token), false);
    }
    WR_TRY(wr_mlflowhttp_ask(&j, m, wr_buf_cstr(&url), (wr_str){NULL, 0}, err));
    int rc = 0;
    yyjson_arr_foreach(yyjson_obj_get(j.root, "metrics"), i, max, v)
    {
        double value = wr_mlflowhttp_number(yyjson_obj_get(v, "value"));
        wr_track_point p = {key, wr_import_value(value, isnan(value)), wr_mlflowhttp_int(v, "step", 0),
                            wr_mlflowhttp_int(v, "timestamp", 0)};
        if ((rc = wr_vec_add(&points, p, err)) < 0) break;
    }
    if (rc == 0 && points.n) rc = fn(arg, points.at, points.n, err);
    wr_str next_token = wr_mlflowhttp_text(NULL, j.root, "next_page_token");
    wr_buf_clear(token);
    if (next_token.p && points.n) wr_buf_slice(token, next_token);
    wr_vec_fini(&points);
    return rc;
}

static int points(wr_import_source *source, const wr_track_run *run, wr_import_points_fn fn, void *arg, wr_err *err)
{
    wr_mlflowhttp *m = (wr_mlflowhttp *)source;
    for (size_t i = 0; i < run->nmetrics; i++) {
        WR_AUTOBUF wr_buf token = {0};
        do WR_TRY(history_page(&token, m, run->uuid, run->metrics[i].key, fn, arg, err));
        while (token.n);
    }
    return 0;
}

/* ---- artifacts ---- */

#define ARTIFACTS "/api/2.0/mlflow-artifacts/artifacts"

static int read_entries(wr_artifact_entry **out, size_t *n, wr_arena *a, yyjson_val *files, wr_err *err)
{
    size_t i, max;
    yyjson_val *v;
    *n = 0;
    *out = wr_arena_calloc(a, yyjson_arr_size(files) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_arr_foreach(files, i, max, v)
    {
        wr_artifact_entry *e = &(*out)[*n];
        wr_str name = wr_mlflowhttp_text(a, v, "path");
        if (!name.n || memchr(name.p, '/', name.n)) continue;
        e->name = (char *)name.p;
        e->is_dir = yyjson_is_true(yyjson_obj_get(v, "is_dir"));
        e->size = wr_mlflowhttp_int(v, "file_size", -1);
        ++*n;
    }
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

/* A server that does not keep the artifacts itself has none to give; their URIs stay. */
static int list(wr_artifact_entry **out, size_t *n, wr_import_source *source, wr_arena *a, wr_str path, wr_err *err)
{
    wr_mlflowhttp *m = (wr_mlflowhttp *)source;
    WR_AUTOBUF wr_buf url = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_err why = {0};
    wr_buf_str(&url, ARTIFACTS);
    if (path.n) {
        wr_buf_str(&url, "?path=");
        wr_mlflowhttp_encode(&url, path, false);
    }
    int rc = url.failed ? wr_err_nomem(err) : wr_mlflowhttp_ask(&j, m, wr_buf_cstr(&url), (wr_str){NULL, 0}, &why);
    *n = 0;
    if (rc == WEIR_ENOTFOUND || (rc == WEIR_EUNAVAILABLE && !path.n)) return 0;
    if (rc < 0) {
        if (err) *err = why;
        return rc;
    }
    return read_entries(out, n, a, yyjson_obj_get(j.root, "files"), err);
}

typedef struct {
    int (*fn)(void *arg, wr_str piece);
    void *arg;
} pipe_to;

static int pass_on(void *arg, wr_str piece)
{
    pipe_to *p = arg;
    return p->fn(p->arg, piece);
}

static int read_file(wr_import_source *source, wr_str path, int (*fn)(void *arg, wr_str piece), void *arg, wr_err *err)
{
    wr_mlflowhttp *m = (wr_mlflowhttp *)source;
    WR_AUTOBUF wr_buf url = {0};
    wr_fetch_reply r = {0};
    pipe_to to = {fn, arg};
    wr_buf_printf(&url, "%s" ARTIFACTS "/", m->base);
    wr_mlflowhttp_encode(&url, path, true);
    if (url.failed) return wr_err_nomem(err);
    wr_fetch_opt opt = {.method = "GET",
                        .url = wr_buf_cstr(&url),
                        .headers = (const char *const *)&m->authorization,
                        .nheaders = m->authorization != NULL,
                        .write = pass_on,
                        .arg = &to};
    int rc = wr_fetch_run(&r, m->fetch, &opt, err);
    if (rc == 0 && r.status != 200) rc = refused(&r, wr_buf_cstr(&url), err);
    wr_fetch_reply_free(&r);
    return rc;
}

/* ---- the source ---- */

static void close_source(wr_import_source *source)
{
    wr_mlflowhttp *m = (wr_mlflowhttp *)source;
    wr_json_free(&m->page);
    if (m->fetch) wr_fetch_close(m->fetch);
    wr_vec_fini(&m->experiments);
    wr_vec_fini(&m->models);
    wr_buf_fini(&m->token);
    wr_arena_free(m->kept);
    wr_free(m);
}

static const wr_import_ops ops = {.next = next,
                                  .count = count,
                                  .npoints = npoints,
                                  .points = points,
                                  .list = list,
                                  .read = read_file,
                                  .close = close_source};

static int set_authorization(wr_mlflowhttp *m, wr_err *err)
{
    const char *token = getenv("MLFLOW_TRACKING_TOKEN"), *user = getenv("MLFLOW_TRACKING_USERNAME"),
               *password = getenv("MLFLOW_TRACKING_PASSWORD");
    WR_AUTOBUF wr_buf pair = {0}, coded = {0};
    if (token && *token) {
        m->authorization = wr_arena_printf(m->kept, "Authorization: Bearer %s", token);
    } else if (user && *user) {
        wr_buf_printf(&pair, "%s:%s", user, password ? password : "");
        wr_base64_encode(&coded, wr_buf_view(&pair), false);
        m->authorization = wr_arena_printf(m->kept, "Authorization: Basic %s", wr_buf_cstr(&coded));
    } else {
        return 0;
    }
    if (!m->authorization) return wr_err_nomem(err);
    if (strpbrk(m->authorization, "\r\n"))
        return wr_err_set(err, WEIR_EINVAL, "the token or password for the server has a line break");
    return 0;
}

int wr_import_mlflow_http(wr_import_source **out, const char *url, wr_err *err)
{
    wr_mlflowhttp *m = wr_calloc(1, sizeof *m);
    size_t n = strlen(url);
    if (!m) return wr_err_nomem(err);
    while (n && url[n - 1] == '/') n--;
    m->source.ops = &ops;
    m->kept = wr_arena_new(0);
    m->base = m->kept ? wr_arena_strndup(m->kept, url, n) : NULL;
    int rc = m->base ? set_authorization(m, err) : wr_err_nomem(err);
    if (rc == 0) rc = wr_fetch_open(&m->fetch, err);
    if (rc < 0) {
        close_source(&m->source);
        return rc;
    }
    *out = &m->source;
    return 0;
}
