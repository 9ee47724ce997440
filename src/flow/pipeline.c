/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c - the sections vars and stages: unfolding of foreach and matrix, and what must hold between stages. */
#include "flow/pipeline.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/vec.h"
#include "flow/pipeline_internal.h"

typedef struct {
    wr_pipeline *pl;
    wr_vars vars;
    WR_VEC(wr_stage) stages;
} loader;

enum { SHOWN = 60 };

/* ---- one stage more ---- */

static int add_stage(loader *l, const wr_yaml *body, const char *name, const char *group, const wr_yaml *at,
                     wr_err *err)
{
    wr_stage s;
    if (l->stages.n >= WR_LIMIT_STAGES)
        return wr_yaml_error(at, WEIR_ELIMIT, err, "more than %d stages", WR_LIMIT_STAGES);
    WR_TRY(wr_stage_parse(&s, body, name, at, &l->vars, err));
    s.group = group;
    return wr_vec_push(&l->stages, s) < 0 ? wr_err_nomem(err) : 0;
}

/* `suffix` comes from the user's values: whatever is printable may stand in it. */
static int add_instance(loader *l, const wr_yaml *body, const char *group, const char *suffix, const wr_yaml *at,
                        wr_err *err)
{
    const char *name = wr_arena_printf(l->pl->arena, "%s@%s", group, suffix);
    if (!name) return wr_err_nomem(err);
    for (const char *c = suffix; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return wr_yaml_error(at, WEIR_EINVAL, err, "a value of foreach has a control character");
    if (!*suffix || strlen(name) > WR_LIMIT_NAME)
        return wr_yaml_error(at, WEIR_ELIMIT, err, "\"%.60s\" is not the name of a stage", name);
    return add_stage(l, body, name, group, at, err);
}

/* ---- foreach ---- */

static wr_yaml *text_node(wr_arena *a, const char *text, const wr_yaml *at)
{
    wr_yaml *y = wr_arena_calloc(a, 1, sizeof *y);
    if (!y || !text) return NULL;
    *y = (wr_yaml){.kind = WR_YAML_SCALAR,
                   .plain = true,
                   .text = wr_str_of(text),
                   .line = at->line,
                   .column = at->column,
                   .file = at->file};
    return y;
}

static bool composite(const wr_yaml *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i]->kind != WR_YAML_SCALAR) return true;
    return false;
}

static int unfold_item(loader *l, const wr_yaml *over, size_t i, bool numbered, const wr_yaml *body, const char *group,
                       wr_err *err)
{
    wr_arena *a = l->pl->arena;
    const char *suffix = over->kind == WR_YAML_MAP ? over->keys[i]->text.p
                         : numbered                ? wr_arena_printf(a, "%zu", i)
                                                   : over->items[i]->text.p;
    l->vars.item = over->items[i];
    l->vars.key = text_node(a, suffix, over->items[i]);
    if (!l->vars.key) return wr_err_nomem(err);
    int rc = add_instance(l, body, group, suffix, over->items[i], err);
    l->vars.item = l->vars.key = NULL;
    return rc;
}

static int unfold_foreach(loader *l, const wr_yaml *y, const char *group, wr_err *err)
{
    static const char *const keys[] = {"foreach", "do", NULL};
    const wr_yaml *body = wr_yaml_get(y, "do"), *each = wr_yaml_get(y, "foreach");
    wr_yaml *over;
    WR_TRY(wr_yaml_known(y, "a stage with foreach", keys, err));
    if (!body) return wr_yaml_error(y, WEIR_EINVAL, err, "foreach of \"%s\" has no \"do\"", group);
    WR_TRY(wr_vars_resolve(&over, &l->vars, each, false, err));
    if (over->kind == WR_YAML_SCALAR) {
        int rc = wr_yaml_error(each, WEIR_ETYPE, err, "foreach of \"%s\" is a list or a map", group);
        return wr_err_hint(err, rc, "foreach: [us, uk], or foreach: ${countries}");
    }
    bool numbered = over->kind == WR_YAML_SEQ && composite(over);
    for (size_t i = 0; i < over->n; i++) WR_TRY(unfold_item(l, over, i, numbered, body, group, err));
    return 0;
}

/* ---- matrix ---- */

static int check_matrix(const wr_yaml *m, const char *group, wr_err *err)
{
    size_t total = 1;
    if (m->kind != WR_YAML_MAP || !m->n)
        return wr_yaml_error(m, WEIR_ETYPE, err, "matrix of \"%s\" is a map of lists", group);
    for (size_t i = 0; i < m->n; i++) {
        if (m->items[i]->kind != WR_YAML_SEQ)
            return wr_yaml_error(m->items[i], WEIR_ETYPE, err, "\"%.*s\" in the matrix is a list",
                                 WR_STR_FMT(wr_str_fit(m->keys[i]->text, SHOWN)));
        total *= m->items[i]->n;
        if (total > WR_LIMIT_STAGES)
            return wr_yaml_error(m, WEIR_ELIMIT, err, "the matrix has more than %d stages", WR_LIMIT_STAGES);
    }
    return 0;
}

/* Combination number `c`; the last axis runs fastest. */
static int combination(wr_yaml **item, const char **suffix, wr_arena *a, const wr_yaml *m, size_t c, wr_err *err)
{
    WR_AUTOBUF wr_buf name = {0};
    wr_yaml *map = wr_arena_dup(a, m, sizeof *m);
    if (map) map->items = wr_arena_calloc(a, m->n, sizeof *map->items);
    if (!map || !map->items) return wr_err_nomem(err);
    size_t below = 1;
    for (size_t i = m->n; i-- > 0;) {
        map->items[i] = m->items[i]->items[c / below % m->items[i]->n];
        below *= m->items[i]->n;
    }
    for (size_t i = 0; i < m->n; i++) {
        wr_buf_str(&name, i ? "-" : "");
        if (map->items[i]->kind == WR_YAML_SCALAR) wr_buf_slice(&name, map->items[i]->text);
        else { /* too big for a name: its place in the list */ size_t at = 0;
            while (m->items[i]->items[at] != map->items[i]) at++;
            wr_buf_printf(&name, "%s%zu", m->keys[i]->text.p, at);
        }
    }
    *item = map;
    *suffix = name.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&name));
    return *suffix ? 0 : wr_err_nomem(err);
}

static wr_yaml *without(wr_arena *a, const wr_yaml *y, const char *key)
{
    wr_yaml *c = wr_arena_dup(a, y, sizeof *y);
    if (!c) return NULL;
    c->keys = wr_arena_calloc(a, y->n, sizeof *c->keys);
    c->items = wr_arena_calloc(a, y->n, sizeof *c->items);
    c->n = 0;
    if (!c->keys || !c->items) return NULL;
    for (size_t i = 0; i < y->n; i++) {
        if (wr_str_is(y->keys[i]->text, key)) continue;
        c->keys[c->n] = y->keys[i];
        c->items[c->n++] = y->items[i];
    }
    return c;
}

static int unfold_matrix(loader *l, const wr_yaml *y, const char *group, wr_err *err)
{
    wr_arena *a = l->pl->arena;
    wr_yaml *m = NULL, *item = NULL, *body = without(a, y, "matrix");
    const char *suffix = NULL;
    if (!body) return wr_err_nomem(err);
    WR_TRY(wr_vars_resolve(&m, &l->vars, wr_yaml_get(y, "matrix"), false, err));
    WR_TRY(check_matrix(m, group, err));
    size_t total = 1;
    for (size_t i = 0; i < m->n; i++) total *= m->items[i]->n;
    for (size_t c = 0; c < total; c++) {
        WR_TRY(combination(&item, &suffix, a, m, c, err));
        l->vars.item = item;
        l->vars.key = text_node(a, suffix, m);
        int rc = l->vars.key ? add_instance(l, body, group, suffix, m, err) : wr_err_nomem(err);
        l->vars.item = l->vars.key = NULL;
        WR_TRY(rc);
    }
    return 0;
}

/* ---- the section ---- */

static int load_stage(loader *l, const wr_yaml *key, const wr_yaml *body, wr_err *err)
{
    if (!wr_name_ok(key->text)) {
        int rc = wr_yaml_error(key, WEIR_EINVAL, err, "\"%.*s\" is not a name for a stage",
                               WR_STR_FMT(wr_str_fit(key->text, SHOWN)));
        return wr_err_hint(err, rc, "letters, digits, \"_\", \"-\" and \".\"");
    }
    if (wr_yaml_get(body, "foreach")) return unfold_foreach(l, body, key->text.p, err);
    if (wr_yaml_get(body, "matrix")) return unfold_matrix(l, body, key->text.p, err);
    return add_stage(l, body, key->text.p, NULL, key, err);
}

static int load_stages(loader *l, const wr_yaml *stages, wr_err *err)
{
    if (wr_yaml_null(stages)) return 0;
    if (stages->kind != WR_YAML_MAP)
        return wr_yaml_error(stages, WEIR_ETYPE, err, "stages is a map of name: {cmd: ...}");
    for (size_t i = 0; i < stages->n; i++) WR_TRY(load_stage(l, stages->keys[i], stages->items[i], err));
    return 0;
}

static int index_names(wr_pipeline *pl, wr_err *err)
{
    for (size_t i = 0; i < pl->n; i++) {
        wr_str name = wr_str_of(pl->stages[i].name);
        if (wr_map_find(&pl->by_name, name) >= 0)
            return wr_yaml_error(pl->stages[i].at, WEIR_EINVAL, err, "there are two stages \"%s\"", name.p);
        if (wr_map_put(&pl->by_name, name, &pl->stages[i]) < 0) return wr_err_nomem(err);
    }
    return 0;
}

/* ---- between stages: who makes what ---- */

typedef struct {
    const wr_stage *stage;
    const wr_ref *out;
} maker;

static int two_makers(const maker *first, const maker *second, wr_err *err)
{
    const char *a = first->out->ref, *b = second->out->ref;
    if (strcmp(a, b) == 0) {
        int rc = wr_yaml_error(second->out->at, WEIR_EINVAL, err, "stages \"%s\" and \"%s\" both make \"%s\"",
                               first->stage->name, second->stage->name, a);
        return wr_err_hint(err, rc, "the first is at %s:%d:%d", first->out->at->file, first->out->at->line,
                           first->out->at->column);
    }
    return wr_yaml_error(second->out->at, WEIR_EINVAL, err,
                         "out \"%s\" of stage \"%s\" overlaps \"%s\" of stage \"%s\"", b, second->stage->name, a,
                         first->stage->name);
}

/* Every out once, none inside another: each is looked up with all the folders above it. */
static int check_makers(wr_map *makers, const wr_pipeline *pl, wr_err *err)
{
    for (size_t i = 0; i < pl->n; i++)
        for (size_t o = 0; o < pl->stages[i].nouts; o++) {
            maker *m = wr_arena_calloc(pl->arena, 1, sizeof *m);
            if (!m) return wr_err_nomem(err);
            *m = (maker){&pl->stages[i], &pl->stages[i].outs[o]};
            maker *there = wr_map_get(makers, wr_str_of(m->out->ref));
            if (there) return two_makers(there, m, err);
            if (wr_map_put(makers, wr_str_of(m->out->ref), m) < 0) return wr_err_nomem(err);
        }
    for (size_t i = 0; i < makers->n; i++) {
        maker *m = makers->at[i].value;
        for (wr_str path = makers->at[i].key; m->out->kind == WR_NOUN_PATH && path.n; path.n--) {
            if (path.p[path.n - 1] != '/') continue;
            maker *above = wr_map_get(makers, wr_str_sub(path, 0, path.n - 1));
            if (above) return two_makers(above, m, err);
        }
    }
    return 0;
}

/* ---- life ---- */

static int parse(loader *l, const wr_yaml *config, const char *const *set, size_t nset, wr_err *err)
{
    wr_pipeline *pl = l->pl;
    wr_map makers = {0};
    WR_TRY(wr_vars_init(&l->vars, pl->arena, pl->root, err));
    WR_TRY(wr_vars_add(&l->vars, wr_yaml_get(config, "vars"), err));
    for (size_t i = 0; i < nset; i++) WR_TRY(wr_vars_set(&l->vars, set[i], err));
    WR_TRY(load_stages(l, wr_yaml_get(config, "stages"), err));
    pl->n = l->stages.n;
    pl->stages = wr_arena_dup(pl->arena, l->stages.at, l->stages.n * sizeof *l->stages.at);
    if (!pl->stages) return wr_err_nomem(err);
    WR_TRY(index_names(pl, err));
    int rc = check_makers(&makers, pl, err);
    wr_map_fini(&makers);
    return rc;
}

int wr_pipeline_parse(wr_pipeline **out, const wr_yaml *config, const char *root, const char *const *set, size_t nset,
                      wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_pipeline *pl = a ? wr_arena_calloc(a, 1, sizeof *pl) : NULL;
    loader l = {.pl = pl};
    if (!pl) {
        wr_arena_free(a);
        return wr_err_nomem(err);
    }
    pl->arena = a;
    pl->root = wr_arena_strdup(a, root);
    int rc = pl->root ? parse(&l, config, set, nset, err) : wr_err_nomem(err);
    wr_vec_fini(&l.stages);
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    if (rc == 0) *out = pl;
    else wr_pipeline_free(pl);
    return rc;
}

int wr_pipeline_load(wr_pipeline **out, wr_project *p, const char *const *set, size_t nset, wr_err *err)
{
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    return wr_pipeline_parse(out, config, wr_project_root(p), set, nset, err);
}

void wr_pipeline_free(wr_pipeline *pl)
{
    if (!pl) return;
    wr_map_fini(&pl->by_name);
    wr_arena_free(pl->arena);
}

void wr_pipeline_free_ref(wr_pipeline **pl) { wr_pipeline_free(*pl); }

/* ---- names ---- */

ptrdiff_t wr_pipeline_find(const wr_pipeline *pl, const char *name)
{
    return wr_map_find(&pl->by_name, wr_str_of(name));
}

static int unknown_stage(const wr_pipeline *pl, const char *target, wr_err *err)
{
    const char **names = wr_arena_calloc(pl->arena, 2 * pl->n + 1, sizeof *names);
    size_t n = 0;
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < pl->n; i++) {
        names[n++] = pl->stages[i].name;
        if (pl->stages[i].group) names[n++] = pl->stages[i].group;
    }
    int near = wr_str_nearest(wr_str_of(target), names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "there is no stage \"%s\"", target);
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir graph shows the stages; weir run -- COMMAND runs a command");
}

int wr_pipeline_mark(const wr_pipeline *pl, const char *target, bool *marked, wr_err *err)
{
    bool any = false;
    for (size_t i = 0; i < pl->n; i++) {
        const wr_stage *s = &pl->stages[i];
        if (strcmp(s->name, target) != 0 && (!s->group || strcmp(s->group, target) != 0)) continue;
        marked[i] = any = true;
    }
    return any ? 0 : unknown_stage(pl, target, err);
}
