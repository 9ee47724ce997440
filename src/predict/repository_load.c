/* SPDX-License-Identifier: Apache-2.0 */
/* repository_load.c - from DIR/NAME to versions in service: which versions, opening, checking, warming up, swapping. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/file.h"
#include "predict/format_onnx.h"
#include "predict/repository_inside.h"

enum { PRINT_FILES = 20000, PRINT_DEPTH = 8, VERSIONS_MAX = 10000 };

/* ---- fingerprints ---- */

typedef struct {
    wr_arena *a;
    uint64_t sum;
    size_t files;
    bool failed; /* out of memory: the sum says nothing */
} printer;

static void print_one(printer *p, const char *path, int depth);

static void print_folder(printer *p, const char *dir, int depth)
{
    char **names;
    size_t n;
    int rc = depth > PRINT_DEPTH ? WEIR_ELIMIT : wr_file_list(&names, &n, p->a, dir, NULL);
    p->failed |= rc == WEIR_ENOMEM;
    for (size_t i = 0; rc == 0 && i < n && p->files < PRINT_FILES; i++) {
        char *path = wr_path_join(p->a, dir, names[i]);
        p->failed |= !path;
        if (path && names[i][0] != '.') print_one(p, path, depth);
    }
}

/* What changes when a file is written, replaced, renamed: not its content, which would have to be read. */
static void print_one(printer *p, const char *path, int depth)
{
    struct stat st;
    if (stat(path, &st) < 0) return;
    p->files++;
    p->sum = wr_hash64(path, strlen(path), p->sum);
    if (S_ISDIR(st.st_mode)) {
        print_folder(p, path, depth + 1);
        return;
    }
    int64_t what[] = {(int64_t)st.st_ino,         st.st_size,
                      (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec,
                      (int64_t)st.st_ctim.tv_sec, (int64_t)st.st_ctim.tv_nsec};
    p->sum = wr_hash64(what, sizeof what, p->sum);
}

uint64_t wr_model_print(const char *path)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    struct stat st;
    printer p = {a, 1, 0, false};
    if (!a || stat(path, &st) < 0) return 0;
    if (S_ISDIR(st.st_mode)) print_folder(&p, path, 0);
    else print_one(&p, path, 0);
    return p.failed ? 0 : p.sum ? p.sum : 1;
}

/* ---- an instance ---- */

static int fill(wr_served_instance *s, wr_served_model *m, wr_served_version *v, const wr_config *c, const char *dir,
                wr_err *err)
{
    WR_AUTOBUF wr_buf json = {0};
    wr_config_fit fit;
    const wr_tensor_spec *matrix = s->predictor->matrix;
    if (matrix && c->nin == 1 && wr_str_is(c->in[0].name, matrix->name)) s->predictor->in = matrix, s->predictor->nin = 1;
    WR_TRY(wr_config_fit_to(&fit, s->arena, c, s->predictor, m->name, dir, err));
    wr_config_write(&json, c, &fit, s->predictor, m->name);
    const char *platform = c->platform.n ? wr_arena_str(s->arena, c->platform).p : s->predictor->platform;
    s->in_map = fit.in_map;
    s->out_map = fit.out_map;
    s->pub.name = m->name;
    s->pub.version = v->name;
    s->pub.platform = platform;
    s->pub.predictor = s->predictor;
    s->pub.config = fit.c;
    s->pub.in = fit.in;
    s->pub.nin = fit.nin;
    s->pub.out = fit.out;
    s->pub.nout = fit.nout;
    s->pub.rows = fit.c.max_batch > 0;
    s->pub.stats = &v->stats;
    s->pub.config_json = wr_arena_str(s->arena, wr_buf_view(&json));
    return json.failed || wr_arena_failed(s->arena) ? wr_err_nomem(err) : 0;
}

int wr_served_make(wr_instance **out, wr_repository *r, wr_served_model *m, wr_served_version *v, const wr_config *c,
                   wr_predictor *p, const char *dir, const char *version_dir, wr_err *err)
{
    wr_served_instance *s = wr_calloc(1, sizeof *s);
    wr_arena *a = s ? wr_arena_new(0) : NULL;
    if (!a) {
        wr_free(s);
        wr_predictor_free(p);
        return wr_err_nomem(err);
    }
    atomic_init(&s->pub.refs, 1);
    s->pub.of = r;
    s->arena = a;
    s->predictor = p;
    s->version = v;
    s->pub.generation = atomic_fetch_add(&r->generation, 1) + 1;
    wr_served_begin(r, v);
    int rc = fill(s, m, v, c, dir, err);
    if (rc == 0) rc = wr_warm_up(&s->pub, c, dir, version_dir, err);
    if (rc < 0) wr_instance_give(&s->pub);
    else *out = &s->pub;
    return rc;
}

/* ---- which versions ---- */

typedef struct {
    wr_repository *r;
    wr_served_model *m;
    wr_arena *a;
    const wr_config *config;
    const char *dir;
    uint64_t config_print;
    bool changed; /* only those that are others now */
    wr_served_version **wanted;
    size_t nwanted;
    size_t failed;
    char *reason; /* of the first that failed */
    int code;
} loader;

static bool is_version(const char *name)
{
    static const char *const others[] = {"configs", "warmup", "labels", "initial_state"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0) return false;
    return name[0] != '.' && wr_name_ok(wr_str_of(name)) && !strstr(name, ".tmp");
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool policy_takes(const wr_config *c, const wr_served_version *v)
{
    if (c->policy == WR_POLICY_ALL) return true;
    for (size_t i = 0; c->policy == WR_POLICY_SPECIFIC && i < c->nversions; i++)
        if (c->versions[i] == v->number) return true;
    return false;
}

/* Of those that are there, in order: the policy's. */
static void choose(loader *l)
{
    const wr_config *c = l->config;
    size_t n = 0, numbers = 0;
    if (c->policy != WR_POLICY_LATEST) {
        for (size_t i = 0; i < l->nwanted; i++)
            if (policy_takes(c, l->wanted[i])) l->wanted[n++] = l->wanted[i];
        l->nwanted = n;
        return;
    }
    while (numbers < l->nwanted && l->wanted[numbers]->number >= 0) numbers++;
    if (numbers) l->nwanted = numbers; /* names are the latest only where there is no number */
    size_t skip = l->nwanted > (size_t)c->latest ? l->nwanted - (size_t)c->latest : 0;
    l->wanted += skip;
    l->nwanted -= skip;
}

static int by_order(const void *a, const void *b)
{
    const wr_served_version *x = *(wr_served_version *const *)a, *y = *(wr_served_version *const *)b;
    if ((x->number < 0) != (y->number < 0)) return x->number < 0 ? 1 : -1;
    if (x->number >= 0) return x->number < y->number ? -1 : x->number > y->number;
    return strcmp(x->name, y->name);
}

static int list_versions(loader *l, wr_err *err)
{
    char **names;
    size_t n;
    printer config = {l->a, 1, 0, false};
    WR_TRY(wr_file_list(&names, &n, l->a, l->dir, err));
    if (n > VERSIONS_MAX) return wr_err_set(err, WEIR_ELIMIT, "'%s' has more than %d entries", l->dir, VERSIONS_MAX);
    l->wanted = wr_arena_alloc(l->a, (n + 1) * sizeof(wr_served_version *));
    if (!l->wanted) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        char *path = wr_path_join(l->a, l->dir, names[i]);
        if (!path) return wr_err_nomem(err);
        if (names[i][0] == '.') continue;
        if (!is_folder(path)) print_one(&config, path, 0);
        else if (is_version(names[i])) {
            wr_served_version *v = wr_served_version_get(l->r, l->m, wr_str_of(names[i]), true);
            if (!v) return wr_err_nomem(err);
            l->wanted[l->nwanted++] = v;
        }
    }
    if (config.failed) return wr_err_nomem(err);
    l->config_print = config.sum;
    qsort(l->wanted, l->nwanted, sizeof *l->wanted, by_order);
    choose(l);
    return 0;
}

/* ---- loading ---- */

/* parameters { key: "executor" value { string_value: "weir" } }: who answers for an ONNX model (format_onnx.h). */
static int executor_of(wr_onnx_executor *out, const wr_config *c, wr_err *err)
{
    yyjson_val *v = yyjson_obj_get(yyjson_obj_get(c->parameters, "executor"), "string_value");
    return wr_onnx_executor_parse(out, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}, err);
}

static int open_version(wr_instance **out, loader *l, wr_served_version *v, const char *path, wr_err *err)
{
    wr_predictor *p;
    const char *file = path;
    if (l->r->opt.admit) WR_TRY(l->r->opt.admit(l->r->opt.ctx, path, err));
    if (l->config->model_file.n) {
        file = wr_path_join(l->a, path, l->config->model_file.p);
        if (!file) return wr_err_nomem(err);
        if (!wr_file_exists(file)) file = path; /* configurations name the file of another form of the same model */
    }
    wr_onnx_executor executor, before;
    WR_TRY(executor_of(&executor, l->config, err));
    before = wr_onnx_prefer(executor);
    int rc = l->r->opt.open(&p, file, err);
    (void)wr_onnx_prefer(before);
    WR_TRY(rc);
    return wr_served_make(out, l->r, l->m, v, l->config, p, l->dir, path, err);
}

static int print_version(uint64_t *out, loader *l, const char *path, wr_err *err)
{
    printer p = {l->a, l->config_print, 0, false};
    print_folder(&p, path, 0);
    *out = p.sum;
    return p.failed ? wr_err_nomem(err) : 0;
}

/* WEIR_ENOTFOUND: a folder with a name, not a number, that has no model: it is no version. */
static int load_version(loader *l, wr_served_version *v, wr_err *err)
{
    wr_instance *i;
    char *path = wr_path_join(l->a, l->dir, v->name);
    if (!path) return wr_err_nomem(err);
    uint64_t print, after;
    WR_TRY(print_version(&print, l, path, err));
    pthread_mutex_lock(&l->r->lock);
    bool same = l->changed && v->now && v->print == print;
    pthread_mutex_unlock(&l->r->lock);
    if (same) return 0;
    wr_served_loading(l->r, v);
    WR_TRY(open_version(&i, l, v, path, err));
    int rc = print_version(&after, l, path, err);
    if (rc == 0 && after != print) rc = wr_err_set(err, WEIR_EUNAVAILABLE, "its files changed while they were read");
    if (rc < 0) {
        wr_instance_give(i);
        return rc;
    }
    wr_served_install(l->r, v, i, print);
    return 0;
}

static void note_failure(loader *l, wr_served_version *v, int rc, const wr_err *why)
{
    char *reason = wr_arena_printf(l->a, "%s%s%s", why->msg, why->hint[0] ? " hint: " : "", why->hint);
    bool none = rc == WEIR_ENOTFOUND && v->number < 0;
    wr_served_fail(l->r, v, none ? NULL : reason);
    if (none) return;
    if (!l->failed++) {
        l->code = rc;
        l->reason = wr_arena_printf(l->a, "version %s: %s", v->name, why->msg);
    }
}

static void retire_others(loader *l)
{
    for (size_t i = 0; i < l->m->nversions; i++) {
        bool stays = false;
        for (size_t k = 0; k < l->nwanted && !stays; k++) stays = l->wanted[k] == l->m->versions[i];
        if (!stays) wr_served_retire(l->r, l->m->versions[i], "unloaded");
    }
}

static int read_config(wr_config *c, loader *l, wr_str config, wr_err *err)
{
    return config.p ? wr_config_parse(c, l->a, config, "the configuration of the request", err)
                    : wr_config_read(c, l->a, l->dir, err);
}

static int load_all(loader *l, wr_config *c, wr_str config, wr_err *err)
{
    l->dir = wr_path_join(l->a, l->r->dir, l->m->name);
    if (!l->dir) return wr_err_nomem(err);
    WR_TRY(read_config(c, l, config, err));
    l->config = c;
    WR_TRY(list_versions(l, err));
    if (config.p) l->config_print = wr_hash64(config.p, config.n, l->config_print);
    if (!l->nwanted) return wr_err_set(err, WEIR_ENOTFOUND, "no version is available");
    for (size_t i = 0; i < l->nwanted; i++) {
        wr_err why = {0};
        int rc = load_version(l, l->wanted[i], &why);
        if (rc < 0) note_failure(l, l->wanted[i], rc, &why);
    }
    if (!l->failed) retire_others(l);
    if (l->failed && !l->reason) return wr_err_nomem(err);
    return l->failed ? wr_err_set(err, l->code, "%s", l->reason) : 0;
}

int wr_served_load(wr_repository *r, wr_served_model *m, wr_str config, bool changed, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOCONFIG wr_config c = {0};
    loader l = {.r = r, .m = m, .a = a, .changed = changed};
    if (!a) return wr_err_nomem(err);
    wr_err why = {0};
    int rc = load_all(&l, &c, config, &why);
    wr_served_tell(r, m, rc < 0 ? why.msg : NULL);
    if (rc == 0) return 0;
    wr_err_set(err, rc, "failed to load '%s', %s", m->name, why.msg); /* Triton's form, its clients look for it */
    if (why.detail[0]) wr_err_detail(err, rc, "%s", why.detail);
    return why.hint[0] ? wr_err_hint(err, rc, "%s", why.hint) : rc;
}

/* What cannot be the name of a folder in the repository, in Triton's words; others are looked for. */
static int check_name(wr_str name, wr_err *err)
{
    static const char spaces[] = " \t\n\r\f\v";
    while (name.n && memchr(spaces, name.p[0], sizeof spaces - 1)) name = wr_str_sub(name, 1, name.n);
    while (name.n && memchr(spaces, name.p[name.n - 1], sizeof spaces - 1)) name.n--;
    if (!name.n)
        return wr_err_set(err, WEIR_EINVAL, "Model name cannot be empty. Please enter a valid name to deploy.");
    if (memchr(name.p, '/', name.n) || wr_str_is(name, "..") || wr_str_is(name, "."))
        return wr_err_set(err, WEIR_EINVAL, "model name must not contain path traversal characters");
    return 0;
}

int wr_repository_load(wr_repository *r, wr_str name, wr_str config, wr_err *err)
{
    WR_TRY(check_name(name, err));
    if (!r->dir) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "failed to load '%.*s', this server has no model repository",
                   WR_STR_FMT(name));
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "weir up --model-repository FOLDER");
    }
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    char *text = a ? wr_arena_printf(a, "%s/%.*s", r->dir, WR_STR_FMT(name)) : NULL;
    if (!text) return wr_err_nomem(err);
    if (!wr_name_ok(name) || !is_folder(text))
        return wr_err_set(err, WEIR_ENOTFOUND, "failed to load '%.*s', failed to poll from model repository",
                          WR_STR_FMT(name));
    wr_served_model *m = wr_served_model_get(r, name, true);
    if (!m) return wr_err_nomem(err);
    pthread_mutex_lock(&m->load);
    if (m->put) {
        pthread_mutex_unlock(&m->load);
        return wr_err_set(err, WEIR_ECONFLICT, "failed to load '%s', an endpoint has this name", m->name);
    }
    uint64_t print = wr_model_print(text);
    int rc = wr_served_load(r, m, config, false, err);
    pthread_mutex_lock(&r->lock);
    m->unloaded = false;
    for (size_t i = 0; i < m->nversions; i++) m->wanted |= m->versions[i]->now != NULL;
    m->wanted |= rc == 0;
    pthread_mutex_unlock(&r->lock);
    m->seen = m->tried = print;
    pthread_mutex_unlock(&m->load);
    return rc;
}
