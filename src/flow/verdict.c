/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - comparing a stage with its entry in weir.lock. */
#include "flow/verdict.h"

#include <stdio.h>

#include "base/vec.h"
#include "io/file.h"

enum {
    TOLD = 4,       /* reasons spelled out */
    SHOWN = 40,     /* bytes of a value shown */
    ONLY_ABOVE = -2 /* version of an assumed folder: something in it is assumed, not the folder itself */
};

typedef struct {
    wr_judge *j;
    wr_arena *a;
    const wr_stage *s;
    const wr_lock_stage *old;
    wr_verdict *v;
    wr_buf why;
    size_t reasons;
    bool unknown, blocked;
    const char *waits_for;
} trial;

__attribute__((format(printf, 2, 3))) static void reason(trial *t, const char *fmt, ...)
{
    va_list ap;
    if (t->blocked || t->reasons++ >= TOLD) return;
    if (t->why.n) wr_buf_str(&t->why, ", ");
    va_start(ap, fmt);
    wr_buf_vprintf(&t->why, fmt, ap);
    va_end(ap);
}

/* Outweighs every reason to run, so only what is missing is told. */
static void blocked(trial *t, const char *what, const char *name)
{
    if (!t->blocked) wr_buf_clear(&t->why);
    wr_buf_printf(&t->why, "%s%s %s does not exist", t->blocked ? ", " : "", what, name);
    t->blocked = true;
}

/* ---- what is there now ---- */

/* Identity of `ref`, or of what it is assumed to become; *unknown when nobody can tell yet: it, a folder it lies in, or
 * something in it is still to be made. */
static int now(wr_lock_ref *out, bool *unknown, trial *t, const char *ref, wr_err *err)
{
    wr_str path = wr_str_of(ref);
    const wr_lock_ref *self = wr_map_get(&t->j->assumed, path);
    *out = (wr_lock_ref){.path = ref, .version = -1};
    *unknown = self && !self->hash[0];
    if (self && self->hash[0]) {
        memcpy(out->hash, self->hash, sizeof out->hash);
        out->version = self->version;
    }
    while (!self && path.n) {
        while (path.n && path.p[path.n - 1] != '/') path.n--;
        if (path.n) path.n--;
        const wr_lock_ref *folder = path.n ? wr_map_get(&t->j->assumed, path) : NULL;
        if (folder && folder->version != ONLY_ABOVE) {
            *unknown = true;
            return 0;
        }
    }
    return self ? 0 : wr_identity_of(t->j->identity, ref, out->hash, &out->version, err);
}

static const wr_lock_ref *find_ref(const wr_lock_ref *refs, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(refs[i].path, path) == 0) return &refs[i];
    return NULL;
}

static int judge_dep(trial *t, wr_lock_ref *out, const wr_ref *dep, wr_err *err)
{
    bool unknown;
    WR_TRY(now(out, &unknown, t, dep->ref, err));
    const wr_lock_ref *old = t->old ? find_ref(t->old->deps, t->old->ndeps, dep->ref) : NULL;
    if (unknown) {
        t->unknown = true;
        if (!t->waits_for) t->waits_for = dep->ref;
    } else if (!out->hash[0]) blocked(t, "dep", dep->ref);
    else if (t->old && !old) reason(t, "dep %s is new", dep->ref);
    else if (t->old && strcmp(old->hash, out->hash) != 0) reason(t, "dep %s changed", dep->ref);
    return 0;
}

static int judge_deps(trial *t, wr_err *err)
{
    wr_lock_stage *is = &t->v->now;
    is->deps = wr_arena_calloc(t->a, t->s->ndeps + 1, sizeof *is->deps);
    if (!is->deps) return wr_err_nomem(err);
    for (size_t i = 0; i < t->s->ndeps; i++) WR_TRY(judge_dep(t, &is->deps[is->ndeps++], &t->s->deps[i], err));
    for (size_t i = 0; t->old && i < t->old->ndeps; i++)
        if (!find_ref(is->deps, is->ndeps, t->old->deps[i].path)) reason(t, "dep %s was dropped", t->old->deps[i].path);
    return 0;
}

/* ---- params ---- */

static const wr_lock_param *find_param(const wr_lock_param *list, size_t n, const wr_lock_param *like)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].file, like->file) == 0 && strcmp(list[i].key, like->key) == 0) return &list[i];
    return NULL;
}

static void compare_param(trial *t, const wr_lock_param *p)
{
    const wr_lock_param *old = t->old ? find_param(t->old->params, t->old->nparams, p) : NULL;
    const char *key = p->key[0] ? p->key : p->file;
    if (!t->old) return;
    if (!old) reason(t, "param %s is new", key);
    else if (strcmp(old->value, p->value) == 0) return;
    else if (!p->key[0]) reason(t, "params of %s changed", key);
    else reason(t, "param %s changed (%.*s -> %.*s)", key, SHOWN, old->value, SHOWN, p->value);
}

static int add_param(trial *t, const char *file, const char *key, const char *json, wr_err *err)
{
    wr_lock_stage *is = &t->v->now;
    wr_lock_param *p = &is->params[is->nparams++];
    *p = (wr_lock_param){file, key, wr_arena_strdup(t->a, json)};
    if (!p->value) return wr_err_nomem(err);
    compare_param(t, p);
    return 0;
}

static int judge_keys(trial *t, const wr_param_file *f, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_yaml *tree;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_vars_read(&tree, a, t->j->pl->root, f->file, err));
    for (size_t i = 0; i < f->n; i++) {
        WR_AUTOBUF wr_buf json = {0};
        const wr_yaml *value = wr_vars_lookup(tree, wr_str_of(f->keys[i]));
        if (!value) {
            blocked(t, "param", wr_arena_printf(a, "%s of %s", f->keys[i], f->file));
            continue;
        }
        wr_yaml_to_json(&json, value);
        if (json.failed) return wr_err_nomem(err);
        WR_TRY(add_param(t, f->file, f->keys[i], wr_buf_cstr(&json), err));
    }
    return 0;
}

static int judge_params_of(trial *t, const wr_param_file *f, wr_err *err)
{
    bool unknown;
    wr_lock_ref file;
    char json[WR_SHA256_HEX + 2];
    WR_TRY(now(&file, &unknown, t, f->file, err));
    if (unknown) {
        t->unknown = true;
        if (!t->waits_for) t->waits_for = f->file;
        return 0;
    }
    if (!file.hash[0]) {
        blocked(t, "file of params", f->file);
        return 0;
    }
    if (f->n) return judge_keys(t, f, err);
    snprintf(json, sizeof json, "\"%s\"", file.hash);
    return add_param(t, f->file, "", json, err);
}

static int judge_params(trial *t, wr_err *err)
{
    wr_lock_stage *is = &t->v->now;
    size_t n = 0;
    for (size_t i = 0; i < t->s->nparams; i++) n += t->s->params[i].n ? t->s->params[i].n : 1;
    is->params = wr_arena_calloc(t->a, n + 1, sizeof *is->params);
    if (!is->params) return wr_err_nomem(err);
    for (size_t i = 0; i < t->s->nparams; i++) WR_TRY(judge_params_of(t, &t->s->params[i], err));
    if (t->unknown || t->blocked) return 0; /* not all values are known */
    for (size_t i = 0; t->old && i < t->old->nparams; i++)
        if (!find_param(is->params, is->nparams, &t->old->params[i]))
            reason(t, "param %s was dropped",
                   t->old->params[i].key[0] ? t->old->params[i].key : t->old->params[i].file);
    return 0;
}

/* ---- outs ---- */

static int judge_outs(trial *t, wr_err *err)
{
    for (size_t i = 0; i < t->s->nouts; i++) {
        char hash[WR_SHA256_HEX];
        const char *ref = t->s->outs[i].ref;
        WR_TRY(wr_identity_of(t->j->identity, ref, hash, NULL, err));
        const wr_lock_ref *old = t->old ? find_ref(t->old->outs, t->old->nouts, ref) : NULL;
        if (!hash[0] && t->s->frozen) blocked(t, "out", ref);
        else if (t->s->frozen || !t->old) continue;
        else if (!hash[0]) reason(t, "out %s is missing", ref);
        else if (!old) reason(t, "out %s is new", ref);
        else if (strcmp(old->hash, hash) != 0) reason(t, "out %s changed", ref);
    }
    for (size_t i = 0; t->old && !t->s->frozen && i < t->old->nouts; i++) {
        bool there = false;
        for (size_t k = 0; k < t->s->nouts; k++) there |= strcmp(t->s->outs[k].ref, t->old->outs[i].path) == 0;
        if (!there) reason(t, "out %s was dropped", t->old->outs[i].path);
    }
    return 0;
}

/* ---- the verdict ---- */

static void judge_self(trial *t)
{
    if (t->j->force) reason(t, "forced");
    if (!t->old) reason(t, "never ran");
    else if (strcmp(t->old->cmd, t->s->cmd) != 0) reason(t, "cmd changed");
    if (t->s->always_changed) reason(t, "always changed");
    else if (!t->s->ndeps && !t->s->nouts && !t->s->nparams) reason(t, "it has neither deps nor outs");
}

static int gather(trial *t, wr_err *err)
{
    if (!t->s->frozen) {
        judge_self(t);
        WR_TRY(judge_deps(t, err));
        WR_TRY(judge_params(t, err));
    }
    return judge_outs(t, err);
}

/* Everything is known and something differs: perhaps it was made before. */
static int look_in_cache(trial *t, wr_err *err)
{
    if (!wr_cache_able(t->s)) return 0;
    WR_TRY(wr_cache_key(t->v->key, t->s, &t->v->now, err));
    if (t->j->force) return 0;
    int rc = wr_cache_get(&t->v->cached, t->a, t->j->p, t->s, t->v->key, err);
    if (rc > 0) t->v->kind = WR_VERDICT_RESTORE;
    return rc < 0 ? rc : 0;
}

static int decide(trial *t, wr_err *err)
{
    wr_verdict *v = t->v;
    if (t->blocked) v->kind = WR_VERDICT_BLOCKED;
    else if (t->reasons) v->kind = WR_VERDICT_RUN;
    else if (t->unknown) v->kind = WR_VERDICT_MAY_RUN;
    else v->kind = WR_VERDICT_FRESH;
    if (v->kind == WR_VERDICT_MAY_RUN) reason(t, "waits for %s", t->waits_for);
    if (t->reasons > TOLD && !t->blocked) wr_buf_printf(&t->why, " and %zu more", t->reasons - TOLD);
    v->why = t->why.failed ? NULL : wr_arena_strdup(t->a, wr_buf_cstr(&t->why));
    if (!v->why) return wr_err_nomem(err);
    return v->kind == WR_VERDICT_RUN && !t->unknown ? look_in_cache(t, err) : 0;
}

int wr_judge_stage(wr_verdict *out, wr_arena *a, wr_judge *j, const wr_stage *s, wr_err *err)
{
    trial t = {.j = j, .a = a, .s = s, .v = out, .old = wr_lock_file_get(j->lock, s->name)};
    *out = (wr_verdict){.now = {.name = s->name, .cmd = s->cmd}};
    int rc = gather(&t, err);
    if (rc == 0) rc = decide(&t, err);
    wr_buf_fini(&t.why);
    return rc < 0 ? wr_err_wrap(err, rc, "stage \"%s\"", s->name) : 0;
}

/* ---- plans ---- */

static int assume(wr_judge *j, wr_arena *a, wr_str path, const wr_lock_ref *as, wr_err *err)
{
    wr_lock_ref *r = wr_arena_dup(a, as, sizeof *as);
    return !r || wr_map_put(&j->assumed, path, r) < 0 ? wr_err_nomem(err) : 0;
}

int wr_judge_assume(wr_judge *j, wr_arena *a, const wr_stage *s, const wr_lock_ref *outs, wr_err *err)
{
    for (size_t i = 0; i < s->nouts; i++) {
        wr_lock_ref unknown = {.path = s->outs[i].ref, .version = -1}, above = {.path = "", .version = ONLY_ABOVE};
        wr_str path = wr_str_of(s->outs[i].ref);
        WR_TRY(assume(j, a, path, outs ? &outs[i] : &unknown, err));
        if (s->outs[i].kind != WR_NOUN_PATH) continue;
        while (path.n) { /* a dep on a folder above it is unknown too, a file beside it is not */
            while (path.n && path.p[path.n - 1] != '/') path.n--;
            if (path.n) path.n--;
            wr_str folder = path.n ? path : WR_STR(".");
            if (!wr_map_get(&j->assumed, folder)) WR_TRY(assume(j, a, folder, &above, err));
        }
    }
    return 0;
}

void wr_judge_fini(wr_judge *j) { wr_map_fini(&j->assumed); }
