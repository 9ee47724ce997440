/* SPDX-License-Identifier: Apache-2.0 */
/* vars.c - merging of values and the substitution of ${...}. */
#include "flow/vars.h"

#include "base/limits.h"
#include "base/num.h"
#include "base/vec.h"
#include "io/file.h"

enum { MAX_TEXT = 256 << 10, SHOWN = 60 };

/* ---- trees ---- */

static wr_yaml *new_node(wr_arena *a, wr_yaml_kind kind, size_t n, const wr_yaml *at)
{
    wr_yaml *y = wr_arena_calloc(a, 1, sizeof *y);
    if (!y) return NULL;
    y->kind = kind;
    y->n = n;
    y->text = WR_STR("");
    y->plain = true;
    if (at) {
        y->line = at->line;
        y->column = at->column;
        y->file = at->file;
    }
    if (kind == WR_YAML_SCALAR) return y;
    y->items = wr_arena_calloc(a, n ? n : 1, sizeof *y->items);
    if (kind == WR_YAML_MAP) y->keys = wr_arena_calloc(a, n ? n : 1, sizeof *y->keys);
    return y->items && (kind != WR_YAML_MAP || y->keys) ? y : NULL;
}

/* Maps and lists are copied, scalars shared: they are never changed. */
static wr_yaml *copy_tree(wr_arena *a, wr_yaml *y)
{
    if (y->kind == WR_YAML_SCALAR) return y;
    wr_yaml *c = new_node(a, y->kind, y->n, y);
    for (size_t i = 0; c && i < y->n; i++) {
        if (c->keys) c->keys[i] = y->keys[i];
        c->items[i] = copy_tree(a, y->items[i]);
        if (!c->items[i]) return NULL;
    }
    return c;
}

static int add_entry(wr_arena *a, wr_yaml *map, wr_yaml *key, wr_yaml *value, wr_err *err)
{
    wr_yaml **keys = wr_arena_alloc(a, (map->n + 1) * sizeof *keys),
            **items = wr_arena_alloc(a, (map->n + 1) * sizeof *items);
    if (!keys || !items) return wr_err_nomem(err);
    if (map->n) memcpy(keys, map->keys, map->n * sizeof *keys);
    if (map->n) memcpy(items, map->items, map->n * sizeof *items);
    keys[map->n] = key;
    items[map->n] = value;
    map->keys = keys;
    map->items = items;
    map->n++;
    return 0;
}

static bool same_value(const wr_yaml *x, const wr_yaml *y)
{
    WR_AUTOBUF wr_buf a = {0};
    WR_AUTOBUF wr_buf b = {0};
    wr_yaml_to_json(&a, x);
    wr_yaml_to_json(&b, y);
    return !a.failed && !b.failed && wr_str_eq(wr_buf_view(&a), wr_buf_view(&b));
}

static int given_twice(const wr_yaml *key, const wr_yaml *first, wr_err *err)
{
    int rc = wr_yaml_error(key, WEIR_EINVAL, err, "variable \"%.*s\" has another value already",
                           WR_STR_FMT(wr_str_fit(key->text, SHOWN)));
    return wr_err_hint(err, rc, "the first one is at %s:%d:%d; -S changes a value for one run", first->file,
                       first->line, first->column);
}

static int merge(wr_arena *a, wr_yaml *into, const wr_yaml *from, wr_err *err)
{
    for (size_t i = 0; i < from->n; i++) {
        wr_yaml *there = wr_yaml_get(into, from->keys[i]->text.p), *value = from->items[i];
        if (there && there->kind == WR_YAML_MAP && value->kind == WR_YAML_MAP) {
            WR_TRY(merge(a, there, value, err));
        } else if (there) {
            if (!same_value(there, value)) return given_twice(from->keys[i], there, err);
        } else {
            wr_yaml *copy = copy_tree(a, value);
            if (!copy) return wr_err_nomem(err);
            WR_TRY(add_entry(a, into, from->keys[i], copy, err));
        }
    }
    return 0;
}

/* ---- sources ---- */

int wr_vars_read(wr_yaml **out, wr_arena *a, const char *root, const char *file, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    const char *path = wr_path_join(a, root, file), *name = wr_arena_strdup(a, file);
    if (!path || !name) return wr_err_nomem(err);
    wr_str s = wr_str_of(file);
    if (wr_str_ends(s, ".toml") || wr_str_ends(s, ".py"))
        return wr_err_set(err, WEIR_EUNSUPPORTED, "\"%s\": parameters are read from YAML and JSON files", file);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    wr_str copy = wr_arena_str(a, wr_buf_view(&text));
    if (!copy.p) return wr_err_nomem(err);
    WR_TRY(wr_yaml_parse(out, a, copy, name, err));
    if ((*out)->kind != WR_YAML_MAP) return wr_yaml_error(*out, WEIR_EPARSE, err, "a file of parameters is a map");
    return 0;
}

int wr_vars_init(wr_vars *out, wr_arena *a, const char *root, wr_err *err)
{
    *out = (wr_vars){.arena = a, .root = root, .values = new_node(a, WR_YAML_MAP, 0, NULL)};
    const char *path = wr_path_join(a, root, "params.yaml");
    wr_yaml *params;
    if (!out->values || !path) return wr_err_nomem(err);
    if (!wr_file_exists(path)) return 0;
    WR_TRY(wr_vars_read(&params, a, root, "params.yaml", err));
    return merge(a, out->values, params, err);
}

/* "FILE" or "FILE:key1,key2" */
static int add_file(wr_vars *v, const wr_yaml *at, wr_err *err)
{
    wr_str keys = at->text, name = wr_str_cut(&keys, ':');
    const char *file = wr_arena_strndup(v->arena, name.p, name.n);
    wr_yaml *tree;
    if (!file) return wr_err_nomem(err);
    int rc = wr_vars_read(&tree, v->arena, v->root, file, err);
    if (rc == WEIR_ENOTFOUND) return wr_yaml_error(at, rc, err, "there is no file \"%s\"", file);
    WR_TRY(rc);
    if (!keys.p) return merge(v->arena, v->values, tree, err);
    while (keys.p) {
        wr_str key = wr_str_trim(wr_str_cut(&keys, ','));
        wr_yaml *part = new_node(v->arena, WR_YAML_MAP, 0, at);
        const char *text = wr_arena_strndup(v->arena, key.p, key.n);
        if (!part || !text) return wr_err_nomem(err);
        size_t i = 0;
        while (i < tree->n && !wr_str_is(tree->keys[i]->text, text)) i++;
        if (i == tree->n) return wr_yaml_error(at, WEIR_EINVAL, err, "there is no \"%s\" in \"%s\"", text, file);
        WR_TRY(add_entry(v->arena, part, tree->keys[i], tree->items[i], err));
        WR_TRY(merge(v->arena, v->values, part, err));
    }
    return 0;
}

int wr_vars_add(wr_vars *v, const wr_yaml *vars, wr_err *err)
{
    if (wr_yaml_null(vars)) return 0;
    if (vars->kind == WR_YAML_MAP) return merge(v->arena, v->values, vars, err);
    if (vars->kind == WR_YAML_SCALAR) return add_file(v, vars, err);
    for (size_t i = 0; i < vars->n; i++) {
        if (vars->items[i]->kind == WR_YAML_SEQ)
            return wr_yaml_error(vars->items[i], WEIR_ETYPE, err, "vars is a map or a list of maps and files");
        WR_TRY(wr_vars_add(v, vars->items[i], err));
    }
    return 0;
}

int wr_vars_copy(wr_vars *out, const wr_vars *v, wr_err *err)
{
    *out = *v;
    out->values = copy_tree(v->arena, v->values);
    return out->values ? 0 : wr_err_nomem(err);
}

/* ---- names ---- */

/* Takes the next component of "a.b[0].c": a key or an index. False at the end or at what cannot be a name. */
static bool next_part(wr_str *rest, wr_str *part)
{
    if (!rest->n) return false;
    bool bracket = rest->p[0] == '[';
    if (bracket || rest->p[0] == '.') *rest = wr_str_sub(*rest, 1, rest->n);
    size_t n = 0;
    while (n < rest->n && (bracket ? rest->p[n] != ']' : !strchr(".[]", rest->p[n]))) n++;
    if (n == 0 || (bracket && n == rest->n) || (!bracket && n < rest->n && rest->p[n] == ']')) return false;
    *part = wr_str_sub(*rest, 0, n);
    *rest = wr_str_sub(*rest, n + bracket, rest->n);
    return true;
}

static wr_yaml **slot(const wr_yaml *y, wr_str part)
{
    int64_t at;
    if (y->kind == WR_YAML_SEQ && wr_num_i64(&at, part, NULL) == 0 && at >= 0 && (size_t)at < y->n)
        return &y->items[at];
    for (size_t i = 0; y->kind == WR_YAML_MAP && i < y->n; i++)
        if (wr_str_eq(y->keys[i]->text, part)) return &y->items[i];
    return NULL;
}

static bool begins_well(wr_str path) { return path.n && path.p[0] != '.' && path.p[0] != '['; }

/* The place of `path`, which may begin with "." or "["; on failure `*deepest` is the node that has no such part. */
static wr_yaml **find_slot(wr_yaml **top, wr_str path, const wr_yaml **deepest, wr_str *missing)
{
    wr_yaml **at = top;
    wr_str part = {"", 0};
    *deepest = *top;
    *missing = path;
    while (path.n) {
        *deepest = *at;
        *missing = path;
        if (!next_part(&path, &part)) return NULL;
        *missing = part;
        at = slot(*at, part);
        if (!at) return NULL;
    }
    return at;
}

const wr_yaml *wr_vars_lookup(const wr_yaml *tree, wr_str path)
{
    const wr_yaml *deepest;
    wr_str missing;
    wr_yaml *top = (wr_yaml *)(uintptr_t)tree;
    wr_yaml **at = begins_well(path) ? find_slot(&top, path, &deepest, &missing) : NULL;
    return at ? *at : NULL;
}

static int suggest(wr_err *err, int rc, const wr_yaml *in, wr_str missing, const char *otherwise)
{
    enum { MOST = 256 };
    const char *names[MOST];
    size_t n = 0;
    for (; in->kind == WR_YAML_MAP && n < in->n && n < MOST; n++) names[n] = in->keys[n]->text.p;
    int near = wr_str_nearest(missing, names, n);
    if (near >= 0) return wr_err_hint(err, rc, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, rc, "%s", otherwise);
}

static int undefined(const wr_yaml *at, wr_str path, const wr_yaml *deepest, wr_str missing, wr_err *err)
{
    int rc = wr_yaml_error(at, WEIR_EINVAL, err, "undefined variable \"%.*s\"", WR_STR_FMT(wr_str_fit(path, SHOWN)));
    return suggest(err, rc, deepest, missing,
                   "variables come from vars: and params.yaml; \\${...} leaves it to the shell");
}

int wr_vars_get(const wr_yaml **out, const wr_vars *v, wr_str path, const wr_yaml *at, wr_err *err)
{
    const wr_yaml *deepest, *special = NULL;
    wr_str missing, head, rest = path;
    if (!begins_well(path) || !next_part(&rest, &head)) return undefined(at, path, v->values, path, err);
    if (wr_str_is(head, "item")) special = v->item;
    if (wr_str_is(head, "key")) special = v->key;
    wr_yaml *top = special ? (wr_yaml *)(uintptr_t)special : v->values;
    wr_yaml **found = find_slot(&top, special ? rest : path, &deepest, &missing);
    if (!found) return undefined(at, path, deepest, missing, err);
    *out = *found;
    return 0;
}

static int override_value(wr_yaml **out, wr_arena *a, wr_str text, wr_err *err)
{
    wr_str copy = wr_arena_str(a, text);
    wr_yaml *y = new_node(a, WR_YAML_SCALAR, 0, NULL);
    if (!copy.p || !y) return wr_err_nomem(err);
    y->text = copy;
    y->file = "-S";
    *out = y;
    if (!copy.n) return 0;
    wr_yaml *parsed;
    if (wr_yaml_parse(&parsed, a, copy, "-S", NULL) == 0) *out = parsed; /* otherwise it is meant as it stands */
    return 0;
}

int wr_vars_set(wr_vars *v, const char *assignment, wr_err *err)
{
    const wr_yaml *deepest;
    wr_yaml *value = NULL;
    wr_str rest = wr_str_of(assignment), name = wr_str_trim(wr_str_cut(&rest, '=')), missing;
    if (!rest.p || !name.n) {
        wr_err_set(err, WEIR_EUSAGE, "\"%s\" is not of the form KEY=VALUE", assignment);
        return wr_err_hint(err, WEIR_EUSAGE, "for example -S until=2001-06-16");
    }
    WR_TRY(override_value(&value, v->arena, rest, err));
    wr_yaml **at = find_slot(&v->values, name, &deepest, &missing);
    if (!at || !begins_well(name)) {
        wr_err_set(err, WEIR_EINVAL, "-S %s: there is no variable \"%.*s\"", assignment, WR_STR_FMT(name));
        return suggest(err, WEIR_EINVAL, deepest, missing, "give it a default in the vars section of weir.yaml");
    }
    *at = value;
    return 0;
}

/* ---- text ---- */

static void quote(wr_buf *out, wr_str s)
{
    wr_buf_char(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') wr_buf_str(out, "'\\''");
        else wr_buf_char(out, s.p[i]);
    }
    wr_buf_char(out, '\'');
}

/* What a scalar is in JSON decides: texts are quoted for the shell, numbers stand as they are. */
static void put_argument(wr_buf *out, const wr_yaml *y)
{
    WR_AUTOBUF wr_buf json = {0};
    wr_yaml_to_json(&json, y);
    wr_buf_char(out, ' ');
    if (wr_buf_cstr(&json)[0] == '"') quote(out, y->text);
    else wr_buf_slice(out, y->text);
}

static bool is_json(const wr_yaml *y, const char *text)
{
    WR_AUTOBUF wr_buf json = {0};
    wr_yaml_to_json(&json, y);
    return y->kind == WR_YAML_SCALAR && strcmp(wr_buf_cstr(&json), text) == 0;
}

static int put_options(wr_buf *out, const wr_yaml *map, const char *prefix, const wr_yaml *at, wr_err *err);

static int put_option(wr_buf *out, const char *name, const wr_yaml *value, const wr_yaml *at, wr_err *err)
{
    if (value->kind == WR_YAML_MAP) return put_options(out, value, name, at, err);
    if (is_json(value, "false")) return 0;
    if (out->n && out->p[out->n - 1] != ' ') wr_buf_char(out, ' ');
    wr_buf_printf(out, "--%s", name);
    if (is_json(value, "true")) return 0;
    if (value->kind == WR_YAML_SCALAR) {
        put_argument(out, value);
        return 0;
    }
    for (size_t i = 0; i < value->n; i++) {
        if (value->items[i]->kind != WR_YAML_SCALAR)
            return wr_yaml_error(at, WEIR_ETYPE, err, "list \"%s\" in a command holds scalars only", name);
        put_argument(out, value->items[i]);
    }
    return 0;
}

/* {lr: 0.1, deep: {x: 1}} as "--lr 0.1 --deep.x 1" */
static int put_options(wr_buf *out, const wr_yaml *map, const char *prefix, const wr_yaml *at, wr_err *err)
{
    for (size_t i = 0; i < map->n; i++) {
        WR_AUTOBUF wr_buf name = {0};
        wr_buf_printf(&name, "%s%s%s", prefix, prefix[0] ? "." : "", map->keys[i]->text.p);
        WR_TRY(put_option(out, wr_buf_cstr(&name), map->items[i], at, err));
    }
    return 0;
}

static int put_value(wr_buf *out, const wr_yaml *value, wr_str path, const wr_yaml *at, bool cmd, wr_err *err)
{
    if (value->kind == WR_YAML_SCALAR) {
        if (!wr_yaml_null(value)) wr_buf_slice(out, value->text);
        return 0;
    }
    if (cmd && value->kind == WR_YAML_MAP) return put_options(out, value, "", at, err);
    int rc = wr_yaml_error(at, WEIR_ETYPE, err, "variable \"%.*s\" is a %s and cannot stand inside a text",
                           WR_STR_FMT(wr_str_fit(path, SHOWN)), value->kind == WR_YAML_MAP ? "map" : "list");
    return wr_err_hint(err, rc, "name one of its members: ${%.*s%s}", WR_STR_FMT(wr_str_fit(path, SHOWN)),
                       value->kind == WR_YAML_MAP ? ".key" : "[0]");
}

/* At "${": `*inner` is what stands between the braces, `*text` moves behind them. */
static int take_reference(wr_str *inner, wr_str *text, const wr_yaml *at, wr_err *err)
{
    wr_str rest = wr_str_sub(*text, 2, text->n);
    *inner = wr_str_trim(wr_str_cut(&rest, '}'));
    if (!rest.p) return wr_yaml_error(at, WEIR_EPARSE, err, "\"${\" without \"}\"");
    if (!inner->n) return wr_yaml_error(at, WEIR_EPARSE, err, "\"${}\" names no variable");
    *text = rest;
    return 0;
}

static int substitute(wr_buf *out, const wr_vars *v, const wr_yaml *scalar, bool cmd, wr_err *err)
{
    wr_str s = scalar->text, inner;
    const wr_yaml *value;
    while (s.n) {
        if (out->n > MAX_TEXT)
            return wr_yaml_error(scalar, WEIR_ELIMIT, err, "the text with its variables is too long");
        if (wr_str_starts(s, "\\${")) {
            wr_buf_str(out, "${");
            s = wr_str_sub(s, 3, s.n);
        } else if (wr_str_starts(s, "${")) {
            WR_TRY(take_reference(&inner, &s, scalar, err));
            WR_TRY(wr_vars_get(&value, v, inner, scalar, err));
            WR_TRY(put_value(out, value, inner, scalar, cmd, err));
        } else {
            wr_buf_char(out, s.p[0]);
            s = wr_str_sub(s, 1, s.n);
        }
    }
    return 0;
}

/* "${x}" and nothing else: the value itself, standing where the reference stands. */
static int whole_value(wr_yaml **out, const wr_vars *v, const wr_yaml *scalar, wr_err *err)
{
    const wr_yaml *value;
    wr_str s = scalar->text, inner;
    WR_TRY(take_reference(&inner, &s, scalar, err));
    WR_TRY(wr_vars_get(&value, v, inner, scalar, err));
    *out = wr_arena_dup(v->arena, value, sizeof *value);
    if (!*out) return wr_err_nomem(err);
    (*out)->line = scalar->line;
    (*out)->column = scalar->column;
    (*out)->file = scalar->file;
    return 0;
}

static bool is_whole(wr_str s)
{
    const char *close = wr_str_starts(s, "${") ? memchr(s.p, '}', s.n) : NULL;
    return close && close == s.p + s.n - 1;
}

static int resolve_scalar(wr_yaml **out, const wr_vars *v, const wr_yaml *scalar, bool cmd, wr_err *err)
{
    *out = (wr_yaml *)(uintptr_t)scalar; /* shared when there is nothing to replace */
    if (!memmem(scalar->text.p, scalar->text.n, "${", 2)) return 0;
    if (!cmd && is_whole(scalar->text)) return whole_value(out, v, scalar, err);
    WR_AUTOBUF wr_buf text = {0};
    WR_TRY(substitute(&text, v, scalar, cmd, err));
    if (text.failed) return wr_err_nomem(err);
    *out = new_node(v->arena, WR_YAML_SCALAR, 0, scalar);
    if (!*out) return wr_err_nomem(err);
    (*out)->plain = scalar->plain;
    (*out)->text = wr_arena_str(v->arena, wr_buf_view(&text));
    return (*out)->text.p ? 0 : wr_err_nomem(err);
}

int wr_vars_resolve(wr_yaml **out, const wr_vars *v, const wr_yaml *node, bool cmd, wr_err *err)
{
    if (node->kind == WR_YAML_SCALAR) return resolve_scalar(out, v, node, cmd, err);
    wr_yaml *copy = new_node(v->arena, node->kind, node->n, node);
    if (!copy) return wr_err_nomem(err);
    for (size_t i = 0; i < node->n; i++) {
        if (copy->keys) WR_TRY(resolve_scalar(&copy->keys[i], v, node->keys[i], true, err));
        WR_TRY(wr_vars_resolve(&copy->items[i], v, node->items[i], cmd, err));
    }
    *out = copy;
    return 0;
}
