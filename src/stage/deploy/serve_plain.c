/* SPDX-License-Identifier: Apache-2.0 */
/* serve_plain.c - endpoints whose model has no feature view: from an artifact or a path into the repository. */
#include <stdio.h>

#include "base/log.h"
#include "core/signing.h"
#include "predict/onnx_answers.h"
#include "stage/deploy/materialize.h"
#include "stage/deploy/serve_inside.h"

_Thread_local bool wr_serve_silent;

static void answered(void *ctx, const wr_instance *m, const wr_infer_request *q, const wr_infer_answer *a)
{
    wr_str rest = wr_str_of(m->name); /* an arm's is ENDPOINT:ARM */
    wr_serve_endpoint *e = wr_serve_silent || q->explain ? NULL : wr_serve_endpoint_named(ctx, wr_str_cut(&rest, ':'));
    if (!e) return;
    atomic_fetch_add_explicit(&e->predictions, a->rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&wr_serve_answerer_of(e, m)->n, a->rows, memory_order_relaxed);
}

static int admit(void *ctx, const char *path, wr_err *err)
{
    return wr_signature_check_path(((wr_serve *)ctx)->project, path, err);
}

int wr_serve_repository_open(wr_serve *s, const wr_serve_opt *opt, wr_err *err)
{
    static const wr_serve_opt none = {0};
    const char *answers = NULL;
    if (!opt) opt = &none;
    (void)wr_project_state(&answers, s->project, "cache/onnx", false, NULL);
    wr_onnx_answers_folder(answers);
    wr_repository_opt o = {.dir = opt->repository,
                           .load_all = opt->load_all,
                           .cache_bytes = opt->cache_bytes,
                           .pool = opt->pool,
                           .admit = admit,
                           .answered = answered,
                           .ctx = s};
    return wr_repository_open(&s->repository, &o, err);
}

wr_repository *wr_serve_repository(wr_serve *s) { return s->repository; }

/* ---- installing ---- */

static void install(wr_serve *s, wr_serve_endpoint *e, const wr_model_version *v)
{
    pthread_mutex_lock(&e->lock);
    wr_served *old = e->now;
    int64_t before = old ? old->version : e->plain ? e->plain_version : -1;
    e->now = NULL;
    e->package[0] = 0;
    e->plain = true;
    e->plain_version = v->version;
    snprintf(e->plain_model, sizeof e->plain_model, "%s", v->name);
    e->error[0] = 0;
    pthread_mutex_unlock(&e->lock);
    e->refused[0] = 0;
    wr_serve_say(s, e, "served", v, before, NULL);
    wr_serve_give(old);
}

static int put(wr_serve *s, wr_serve_endpoint *e, const char *version, const wr_model_version *v, const char *path,
               wr_err *err)
{
    wr_predictor *p;
    WR_TRY(wr_predictor_open(&p, path, err));
    if (!wr_serve_answerer_add(s, e, version, v)) {
        wr_predictor_free(p);
        return wr_err_nomem(err);
    }
    return wr_repository_put(s->repository, e->name, version, p, e->config, err);
}

void wr_serve_plain_ends(wr_serve *s, wr_serve_endpoint *e)
{
    wr_err err;
    e->served[0] = e->folder[0] = 0;
    if (wr_repository_remove(s->repository, e->name, &err) < 0) wr_warn("%s", err.msg);
}

/* ---- a version that a client registered ---- */

static void identity(char out[WR_SHA256_HEX], const wr_registered_version *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_str location = wr_registered_version_location(v);
    wr_buf_printf(&b, "%.*s/%lld %.*s", WR_STR_FMT(v->name), (long long)v->version, WR_STR_FMT(location));
    wr_sha256_of(wr_buf_cstr(&b), b.n, out);
}

/* What is said of the files names where they came from, not where the cache has them. */
static void name_source(wr_err *err, const char *path, wr_str location)
{
    char *at = err ? strstr(err->msg, path) : NULL;
    if (!at) return;
    char text[sizeof err->msg];
    snprintf(text, sizeof text, "%.*s%.*s%s", (int)(at - err->msg), err->msg, WR_STR_FMT(wr_str_fit(location, 120)),
             at + strlen(path));
    memcpy(err->msg, text, sizeof text);
}

static int load_registered(wr_serve *s, wr_serve_endpoint *e, const wr_registered_version *v,
                           const wr_model_version *told, wr_arena *a, wr_err *err)
{
    char *path, version[24], folder[WR_SHA256_HEX];
    snprintf(version, sizeof version, "%lld", (long long)v->version);
    WR_TRY(wr_materialize(&path, folder, a, s->project, wr_registered_version_location(v), err));
    WR_TRY(wr_signature_check_loaded(s->project, v->name.p, v->version, path, err));
    int rc = put(s, e, version, told, path, err);
    if (rc < 0) {
        name_source(err, path, wr_registered_version_location(v));
        return rc;
    }
    memcpy(e->folder, folder, sizeof folder);
    return 0;
}

int wr_serve_look_registered(wr_serve *s, wr_serve_endpoint *e, const wr_registered_version *v, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char id[WR_SHA256_HEX], empty[1] = "";
    wr_err why = {0};
    if (!a) return wr_err_nomem(err);
    identity(id, v);
    if (e->plain && strcmp(id, e->served) == 0) return 0;
    if (strcmp(id, e->spurned) == 0) return 0;
    wr_model_version told = {
        .name = wr_arena_strndup(a, v->name.p, v->name.n), .version = v->version, .package = empty};
    if (!told.name) return wr_err_nomem(err);
    int rc = load_registered(s, e, v, &told, a, &why);
    if (rc == 0) {
        memcpy(e->served, id, sizeof id);
        e->spurned[0] = 0;
        install(s, e, &told);
        return 0;
    }
    bool again = rc == WEIR_ENOMEM || rc == WEIR_ENOTFOUND || rc == WEIR_EUNAVAILABLE || rc == WEIR_ETIMEOUT ||
                 rc == WEIR_ENO; /* files and signatures may still come */
    if (!again) memcpy(e->spurned, id, sizeof id);
    if (!again || !wr_serve_is_said(e, &why)) wr_serve_refuse(s, e, &told, &why);
    return 0;
}

/* ---- a path ---- */

/* As the repository's folder: loaded when two looks saw the same, other than what was tried last. */
int wr_serve_look_path(wr_serve *s, wr_serve_endpoint *e, wr_err *err)
{
    char empty[1] = "", name[256];
    wr_err why = {0};
    uint64_t print = wr_model_print(e->path);
    bool still = !s->opened || print == e->seen;
    (void)err;
    e->seen = print;
    snprintf(name, sizeof name, "%s", e->path);
    wr_model_version told = {.name = name, .version = 0, .package = empty};
    if (!print) {
        wr_err_set(&why, WEIR_ENOTFOUND, "there is no '%s'", e->path);
        if (!wr_serve_is_said(e, &why)) wr_serve_refuse(s, e, &told, &why);
        return 0;
    }
    if (!still || print == e->tried) return 0;
    e->tried = print;
    int rc = wr_signature_check_path(s->project, e->path, &why);
    if (rc == WEIR_ENO) e->tried = 0; /* its signature may still come */
    if (rc == 0) rc = put(s, e, e->version ? e->version : "1", &told, e->path, &why);
    if (rc == 0) install(s, e, &told);
    else if (rc != WEIR_ENO || !wr_serve_is_said(e, &why)) wr_serve_refuse(s, e, &told, &why);
    return 0;
}
