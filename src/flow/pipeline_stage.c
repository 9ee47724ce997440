/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_stage.c - one stage: its keys, commands, dependencies, parameters and outputs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/vec.h"
#include "flow/pipeline_internal.h"
#include "io/file.h"

enum { MAX_REFS = 100000 };

typedef struct {
    wr_stage *stage;
    const wr_vars *vars;
    wr_arena *a;
    WR_VEC(wr_ref) deps;
    WR_VEC(wr_ref) outs;
    WR_VEC(wr_param_file) params;
} build;

static const char *const stage_keys[] = {"cmd",    "wdir",           "deps",   "params", "outs", "metrics", "plots",
                                         "frozen", "always_changed", "manual", "desc",   "meta", "vars",    NULL};
static const char *const out_keys[] = {"cache", "persist", "desc", "type", "labels", NULL};
static const char *const plot_keys[] = {"cache",   "persist", "desc",  "type",   "labels",   "x", "y",
                                        "x_label", "y_label", "title", "header", "template", NULL};

/* ---- paths ---- */

const char *wr_stage_path(wr_arena *a, const char *root, const char *wdir, const char *path)
{
    const char *dir = wr_path_join(a, root, wdir), *joined = dir ? wr_path_join(a, dir, path) : NULL;
    const char *full = joined ? wr_path_absolute(a, joined) : NULL;
    if (!full) return NULL;
    size_t n = strlen(root);
    if (strcmp(full, root) == 0) return ".";
    if (strncmp(full, root, n) != 0 || full[n] != '/') return full;
    const char *inside = full + n + 1, *colon = strchr(inside, ':');
    bool noun_like =
        colon && !memchr(inside, '/', (size_t)(colon - inside)) && !memchr(inside, '.', (size_t)(colon - inside));
    return noun_like ? wr_arena_printf(a, "./%s", inside) : inside;
}

static bool inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}

/* ---- deps and outs ---- */

static int parse_ref(wr_ref *out, build *b, const wr_yaml *node, const char *what, wr_err *err)
{
    wr_str text;
    wr_err why = {0};
    const char *name;
    WR_TRY(wr_yaml_str(&text, node, what, err));
    if (!text.n) return wr_yaml_error(node, WEIR_EINVAL, err, "%s is empty", what);
    if (strlen(text.p) != text.n) return wr_yaml_error(node, WEIR_EINVAL, err, "%s has a NUL byte in its name", what);
    *out = (wr_ref){.at = node, .cache = true};
    int rc = wr_noun_parse(&out->kind, &name, text.p, &why);
    if (rc < 0) {
        wr_yaml_error(node, rc, err, "%s", why.msg);
        return why.hint[0] ? wr_err_hint(err, rc, "%s", why.hint) : rc;
    }
    out->ref = out->kind == WR_NOUN_PATH ? wr_stage_path(b->a, b->vars->root, b->stage->wdir, text.p)
                                         : wr_arena_strdup(b->a, text.p);
    return out->ref ? 0 : wr_err_nomem(err);
}

static int parse_deps(build *b, const wr_yaml *list, wr_err *err)
{
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ) {
        int rc = wr_yaml_error(list, WEIR_ETYPE, err, "deps of stage \"%s\" is a list", b->stage->name);
        return wr_err_hint(err, rc, "deps: [data:flights, checks.yaml]");
    }
    if (list->n > MAX_REFS) return wr_yaml_error(list, WEIR_ELIMIT, err, "more than %d deps", MAX_REFS);
    for (size_t i = 0; i < list->n; i++) {
        wr_ref dep;
        WR_TRY(parse_ref(&dep, b, list->items[i], "a dep", err));
        if (wr_vec_push(&b->deps, dep) < 0) return wr_err_nomem(err);
    }
    return 0;
}

/* Weir's own files are nobody's output: a stage would remove them before it runs. */
static int check_out(const wr_ref *out, wr_err *err)
{
    static const char *const own[] = {".weir", "weir.yaml", "weir.lock", ".git", "params.yaml"};
    if (out->kind != WR_NOUN_PATH) return 0;
    if (out->ref[0] == '/')
        return wr_yaml_error(out->at, WEIR_EINVAL, err, "out \"%s\" is outside the project", out->at->text.p);
    if (strcmp(out->ref, ".") == 0)
        return wr_yaml_error(out->at, WEIR_EINVAL, err, "the whole project cannot be an out");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (inside(out->ref, own[i]))
            return wr_yaml_error(out->at, WEIR_EINVAL, err, "\"%s\" cannot be an out", out->ref);
    return 0;
}

static int no_remotes(const wr_yaml *flags, wr_err *err)
{
    static const char *const keys[] = {"remote", "push"};
    for (size_t k = 0; k < 2; k++) {
        if (!wr_yaml_get(flags, keys[k])) continue;
        return wr_yaml_error(wr_yaml_get(flags, keys[k]), WEIR_EUNSUPPORTED, err,
                             "\"%s\" of an out is not supported yet: outs are kept in .weir/objects only", keys[k]);
    }
    return 0;
}

static int parse_flags(wr_ref *out, const wr_yaml *flags, wr_err *err)
{
    if (wr_yaml_null(flags)) return 0;
    if (flags->kind != WR_YAML_MAP)
        return wr_yaml_error(flags, WEIR_ETYPE, err, "flags of out \"%s\" are a map such as {cache: false}", out->ref);
    WR_TRY(no_remotes(flags, err));
    WR_TRY(wr_yaml_known(flags, "the flags of an out", out->plot ? plot_keys : out_keys, err));
    WR_TRY(wr_yaml_get_bool(&out->cache, flags, "cache", true, err));
    return wr_yaml_get_bool(&out->persist, flags, "persist", false, err);
}

/* An entry of outs, metrics or plots: a name, or {name: {flag: value}}. */
static int parse_out(build *b, const wr_yaml *node, char section, wr_err *err)
{
    wr_ref out;
    const wr_yaml *flags = NULL, *name = node;
    if (node->kind == WR_YAML_MAP && node->n == 1) {
        name = node->keys[0];
        flags = node->items[0];
    }
    WR_TRY(parse_ref(&out, b, name, "an out", err));
    out.metric = section == 'm';
    out.plot = section == 'p';
    WR_TRY(check_out(&out, err));
    WR_TRY(parse_flags(&out, flags, err));
    return wr_vec_push(&b->outs, out) < 0 ? wr_err_nomem(err) : 0;
}

static int parse_outs(build *b, const wr_yaml *list, const char *section, wr_err *err)
{
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ) {
        int rc = wr_yaml_error(list, WEIR_ETYPE, err, "%s of stage \"%s\" is a list", section, b->stage->name);
        return wr_err_hint(err, rc, "%s: [a.json, {b.bin: {cache: false}}]", section);
    }
    if (list->n > MAX_REFS) return wr_yaml_error(list, WEIR_ELIMIT, err, "more than %d outs", MAX_REFS);
    for (size_t i = 0; i < list->n; i++) WR_TRY(parse_out(b, list->items[i], section[0], err));
    return 0;
}

static int by_ref(const void *x, const void *y)
{
    const wr_ref *a = x, *b = y;
    int c = strcmp(a->ref, b->ref);
    return c                            ? c
           : a->at->line != b->at->line ? (a->at->line > b->at->line) - (a->at->line < b->at->line)
                                        : (a->at->column > b->at->column) - (a->at->column < b->at->column);
}

static int finish_deps(build *b, wr_err *err)
{
    size_t n = 0;
    if (b->deps.n) qsort(b->deps.at, b->deps.n, sizeof *b->deps.at, by_ref);
    for (size_t i = 0; i < b->deps.n; i++)
        if (n == 0 || strcmp(b->deps.at[n - 1].ref, b->deps.at[i].ref) != 0) b->deps.at[n++] = b->deps.at[i];
    b->stage->deps = wr_arena_dup(b->a, b->deps.at, n * sizeof(wr_ref));
    b->stage->ndeps = n;
    return b->stage->deps ? 0 : wr_err_nomem(err);
}

static int finish_outs(build *b, wr_err *err)
{
    if (b->outs.n) qsort(b->outs.at, b->outs.n, sizeof *b->outs.at, by_ref);
    for (size_t i = 1; i < b->outs.n; i++) {
        const wr_ref *twice = &b->outs.at[i];
        if (strcmp(twice->ref, twice[-1].ref) == 0)
            return wr_yaml_error(twice->at, WEIR_EINVAL, err, "out \"%s\" stands twice in stage \"%s\"", twice->ref,
                                 b->stage->name);
    }
    b->stage->outs = wr_arena_dup(b->a, b->outs.at, b->outs.n * sizeof(wr_ref));
    b->stage->nouts = b->outs.n;
    return b->stage->outs ? 0 : wr_err_nomem(err);
}

/* ---- params ---- */

static wr_param_file *param_file(build *b, const char *file, const wr_yaml *at)
{
    for (size_t i = 0; i < b->params.n; i++)
        if (strcmp(b->params.at[i].file, file) == 0) return &b->params.at[i];
    wr_param_file f = {.file = file, .at = at};
    return wr_vec_push(&b->params, f) < 0 ? NULL : &b->params.at[b->params.n - 1];
}

static int add_key(build *b, wr_param_file *f, const wr_yaml *node, wr_err *err)
{
    wr_str key;
    WR_TRY(wr_yaml_str(&key, node, "a parameter's name", err));
    if (!key.n) return wr_yaml_error(node, WEIR_EINVAL, err, "a parameter's name is empty");
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->keys[i], key.p) == 0) return 0;
    const char **keys = wr_arena_alloc(b->a, (f->n + 1) * sizeof *keys);
    if (!keys) return wr_err_nomem(err);
    size_t at = 0; /* keeps them sorted */
    while (at < f->n && strcmp(f->keys[at], key.p) < 0) at++;
    if (f->n) {
        memcpy(keys, f->keys, at * sizeof *keys);
        memcpy(keys + at + 1, f->keys + at, (f->n - at) * sizeof *keys);
    }
    keys[at] = key.p;
    f->keys = keys;
    f->n++;
    return 0;
}

/* {FILE: [keys]} or {FILE: } */
static int parse_param_map(build *b, const wr_yaml *map, wr_err *err)
{
    for (size_t i = 0; i < map->n; i++) {
        const wr_yaml *keys = map->items[i];
        const char *file = wr_stage_path(b->a, b->vars->root, b->stage->wdir, map->keys[i]->text.p);
        wr_param_file *f = file ? param_file(b, file, map->keys[i]) : NULL;
        if (!f) return wr_err_nomem(err);
        if (wr_yaml_null(keys)) continue;
        if (keys->kind != WR_YAML_SEQ) {
            int rc = wr_yaml_error(keys, WEIR_ETYPE, err, "parameters of \"%s\" are a list of keys", file);
            return wr_err_hint(err, rc, "params: [train.lr, {other.yaml: [a.b]}]");
        }
        for (size_t k = 0; k < keys->n; k++) WR_TRY(add_key(b, f, keys->items[k], err));
    }
    return 0;
}

static int by_file(const void *x, const void *y)
{
    return strcmp(((const wr_param_file *)x)->file, ((const wr_param_file *)y)->file);
}

static int parse_params(build *b, const wr_yaml *list, wr_err *err)
{
    if (!wr_yaml_null(list) && list->kind != WR_YAML_SEQ) {
        int rc = wr_yaml_error(list, WEIR_ETYPE, err, "params of stage \"%s\" is a list", b->stage->name);
        return wr_err_hint(err, rc, "params: [train.lr, {other.yaml: [a.b]}]");
    }
    for (size_t i = 0; !wr_yaml_null(list) && i < list->n; i++) {
        const wr_yaml *node = list->items[i];
        if (node->kind == WR_YAML_MAP) {
            WR_TRY(parse_param_map(b, node, err));
            continue;
        }
        const char *file = wr_stage_path(b->a, b->vars->root, b->stage->wdir, "params.yaml");
        wr_param_file *f = file ? param_file(b, file, node) : NULL;
        if (!f) return wr_err_nomem(err);
        WR_TRY(add_key(b, f, node, err));
    }
    if (b->params.n) qsort(b->params.at, b->params.n, sizeof *b->params.at, by_file);
    b->stage->params = wr_arena_dup(b->a, b->params.at, b->params.n * sizeof *b->params.at);
    b->stage->nparams = b->params.n;
    return b->stage->params ? 0 : wr_err_nomem(err);
}

/* ---- cmd and the rest ---- */

static int parse_cmd(build *b, const wr_yaml *cmd, wr_err *err)
{
    wr_stage *s = b->stage;
    wr_yaml *done;
    WR_AUTOBUF wr_buf joined = {0};
    if (wr_yaml_null(cmd) || (cmd->kind == WR_YAML_SEQ && cmd->n == 0)) {
        int rc = wr_yaml_error(cmd ? cmd : s->at, WEIR_EINVAL, err, "stage \"%s\" has no cmd", s->name);
        return wr_err_hint(err, rc, "cmd is the command line that makes its outs");
    }
    if (cmd->kind == WR_YAML_MAP) return wr_yaml_error(cmd, WEIR_ETYPE, err, "cmd is a text or a list of texts");
    WR_TRY(wr_vars_resolve(&done, b->vars, cmd, true, err));
    s->ncmds = done->kind == WR_YAML_SEQ ? done->n : 1;
    s->cmds = wr_arena_calloc(b->a, s->ncmds, sizeof *s->cmds);
    if (!s->cmds) return wr_err_nomem(err);
    for (size_t i = 0; i < s->ncmds; i++) {
        wr_str text;
        const wr_yaml *node = done->kind == WR_YAML_SEQ ? done->items[i] : done;
        WR_TRY(wr_yaml_str(&text, node, "a command", err));
        text = wr_str_trim(text);
        if (!text.n || memchr(text.p, 0, text.n)) return wr_yaml_error(node, WEIR_EINVAL, err, "a command is empty");
        s->cmds[i] = wr_arena_strndup(b->a, text.p, text.n);
        if (!s->cmds[i]) return wr_err_nomem(err);
        wr_buf_printf(&joined, "%s%s", i ? "\n" : "", s->cmds[i]);
    }
    s->cmd = joined.failed ? NULL : wr_arena_strdup(b->a, wr_buf_cstr(&joined));
    return s->cmd ? 0 : wr_err_nomem(err);
}

static int parse_wdir(build *b, const wr_yaml *node, wr_err *err)
{
    wr_str text;
    b->stage->wdir = ".";
    if (wr_yaml_null(node)) return 0;
    WR_TRY(wr_yaml_str(&text, node, "wdir", err));
    b->stage->wdir = wr_stage_path(b->a, b->vars->root, ".", text.n ? text.p : ".");
    if (!b->stage->wdir) return wr_err_nomem(err);
    if (b->stage->wdir[0] == '/')
        return wr_yaml_error(node, WEIR_EINVAL, err, "wdir \"%s\" is outside the project", text.p);
    return 0;
}

/* Variables are replaced in everything but cmd (which allows maps), desc and meta (which are for people). */
static int resolved(wr_yaml **out, build *b, const wr_yaml *body, const char *key, wr_err *err)
{
    const wr_yaml *node = wr_yaml_get(body, key);
    *out = NULL;
    return node ? wr_vars_resolve(out, b->vars, node, false, err) : 0;
}

static int parse_lists(build *b, const wr_yaml *body, wr_err *err)
{
    static const char *const out_sections[] = {"outs", "metrics", "plots"};
    wr_yaml *node;
    WR_TRY(resolved(&node, b, body, "wdir", err));
    WR_TRY(parse_wdir(b, node, err));
    WR_TRY(parse_cmd(b, wr_yaml_get(body, "cmd"), err));
    WR_TRY(resolved(&node, b, body, "deps", err));
    WR_TRY(parse_deps(b, node, err));
    WR_TRY(resolved(&node, b, body, "params", err));
    WR_TRY(parse_params(b, node, err));
    for (size_t i = 0; i < 3; i++) {
        WR_TRY(resolved(&node, b, body, out_sections[i], err));
        WR_TRY(parse_outs(b, node, out_sections[i], err));
    }
    WR_TRY(finish_deps(b, err));
    return finish_outs(b, err);
}

static int parse_rest(wr_stage *s, const wr_yaml *body, wr_err *err)
{
    wr_str desc;
    WR_TRY(wr_yaml_get_bool(&s->frozen, body, "frozen", false, err));
    WR_TRY(wr_yaml_get_bool(&s->always_changed, body, "always_changed", false, err));
    WR_TRY(wr_yaml_get_bool(&s->manual, body, "manual", false, err));
    if (!wr_yaml_get(body, "desc")) return 0;
    WR_TRY(wr_yaml_get_str(&desc, body, "desc", "", err));
    s->desc = desc.p;
    return 0;
}

int wr_stage_parse(wr_stage *out, const wr_yaml *body, const char *name, const wr_yaml *at, const wr_vars *vars,
                   wr_err *err)
{
    char what[WR_LIMIT_NAME + 64];
    wr_vars own = *vars;
    build b = {.stage = out, .vars = &own, .a = vars->arena};
    *out = (wr_stage){.name = name, .at = at};
    snprintf(what, sizeof what, "stage \"%s\"", name);
    if (body->kind != WR_YAML_MAP) {
        int rc = wr_yaml_error(body, WEIR_ETYPE, err, "%s is a map with a cmd", what);
        return wr_err_hint(err, rc, "%s: {cmd: ..., deps: [...], outs: [...]}", name);
    }
    WR_TRY(wr_yaml_known(body, what, stage_keys, err));
    if (wr_yaml_get(body, "vars")) {
        WR_TRY(wr_vars_copy(&own, vars, err));
        WR_TRY(wr_vars_add(&own, wr_yaml_get(body, "vars"), err));
    }
    int rc = parse_lists(&b, body, err);
    wr_vec_fini(&b.deps);
    wr_vec_fini(&b.outs);
    wr_vec_fini(&b.params);
    return rc < 0 ? rc : parse_rest(out, body, err);
}

const char *wr_stage_shell(wr_arena *a, const wr_stage *s)
{
    WR_AUTOBUF wr_buf line = {0};
    if (s->ncmds == 1) return s->cmds[0];
    for (size_t i = 0; i < s->ncmds; i++) wr_buf_printf(&line, "%s( %s\n)", i ? " && " : "", s->cmds[i]);
    return line.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&line));
}
