/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - libyaml's events into a tree.
 *
 * Limits: nodes are counted as if every alias were written out (an anchor remembers how many nodes it stands for), and
 * so is depth (an anchor remembers its height). A file of a kilobyte can therefore not make its readers walk a billion
 * nodes. An anchor gets its node when the node is complete; an alias met before that is inside its own anchor, which
 * would be a cycle.
 */
#include "codec/yaml.h"

#include <stdio.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"

enum { FEW_KEYS = 16 }; /* up to here comparing all keys is cheaper than a hash table */

typedef struct {
    wr_yaml *node;
    size_t size; /* nodes, aliases expanded */
    int height;  /* 1 for a scalar */
} built;

typedef struct {
    yaml_parser_t yaml;
    yaml_event_t event;
    bool has_event;
    wr_arena *a;
    const char *file;
    wr_str text;
    size_t size;
    wr_map anchors;             /* name -> 1 + index into targets */
    WR_VEC(built) targets;      /* node is NULL while the anchored node is being read */
    int quoted_from, quoted_to; /* lines of the last quoted scalar over several lines */
    wr_err *err;
} reader;

static int build(reader *r, built *out, int depth);

/* ---- errors ---- */

static int fail_at(reader *r, int code, yaml_mark_t mark, const char *message, wr_str subject)
{
    return wr_err_set(r->err, code, "%s:%zu:%zu: %s%.*s", r->file, mark.line + 1, mark.column + 1, message,
                      WR_STR_FMT(subject));
}

static int fail_here(reader *r, int code, const char *message)
{
    return fail_at(r, code, r->event.start_mark, message, WR_STR(""));
}

/* libyaml gives a byte offset for bytes that are not text at all; columns elsewhere count characters, so here too. */
static int reader_error(reader *r)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < r->yaml.problem_offset && i < r->text.n; i++) {
        unsigned char c = (unsigned char)r->text.p[i];
        if (c == '\n') mark.line++;
        if (c == '\n') mark.column = 0;
        else if ((c & 0xc0) != 0x80) mark.column++;
    }
    int rc = fail_at(r, WEIR_EPARSE, mark, r->yaml.problem, WR_STR(""));
    if (r->yaml.problem_value >= 0) wr_err_detail(r->err, rc, "byte 0x%02x", (unsigned)r->yaml.problem_value);
    return wr_err_hint(r->err, rc, "the file must be UTF-8 text");
}

/* The character at a mark: libyaml's index counts characters. */
static char char_at(const reader *r, yaml_mark_t mark)
{
    size_t i = 0;
    for (size_t chars = 0; i < r->text.n; i++) {
        if (((unsigned char)r->text.p[i] & 0xc0) == 0x80) continue;
        if (chars++ == mark.index) return r->text.p[i];
    }
    return 0;
}

static int open_quote(reader *r)
{
    int rc = fail_at(r, WEIR_EPARSE, r->yaml.context_mark, "the quote that opens here is never closed", WR_STR(""));
    return wr_err_detail(r->err, rc, "%s at line %zu", r->yaml.problem, r->yaml.problem_mark.line + 1);
}

static int bad_start(reader *r)
{
    char c = char_at(r, r->yaml.problem_mark);
    if (c == '\t') {
        int rc = fail_at(r, WEIR_EPARSE, r->yaml.problem_mark, "a tab is used for indentation", WR_STR(""));
        return wr_err_hint(r->err, rc, "indent with spaces");
    }
    wr_str shown = {&c, c != 0};
    int rc = fail_at(r, WEIR_EPARSE, r->yaml.problem_mark, "a value cannot start with ", shown);
    return wr_err_hint(r->err, rc, "put the text in quotes");
}

static const char *hint_for(const char *problem)
{
    if (strstr(problem, "tab character")) return "indent with spaces";
    if (strstr(problem, "mapping values are not allowed"))
        return "check the indentation; a text that contains ': ' needs quotes";
    if (strstr(problem, "did not find expected key") || strstr(problem, "expected '-'"))
        return "check the indentation of this line";
    return "";
}

static int syntax_error(reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    const char *problem = y->problem ? y->problem : "not YAML", *context = y->context ? y->context : "";
    if (strstr(context, "quoted scalar") && strstr(problem, "found unexpected")) return open_quote(r);
    if (strstr(problem, "cannot start any token")) return bad_start(r);
    int rc = fail_at(r, WEIR_EPARSE, y->problem_mark, problem, WR_STR(""));
    if (*context)
        wr_err_detail(r->err, rc, "%s that starts at line %zu, column %zu", context, y->context_mark.line + 1,
                      y->context_mark.column + 1);
    if (r->quoted_to && (size_t)r->quoted_to == y->problem_mark.line + 1)
        return wr_err_hint(r->err, rc, "is a quote missing? a quoted text starts at line %d and ends here",
                           r->quoted_from);
    return wr_err_hint(r->err, rc, "%s", hint_for(problem));
}

/* ---- events ---- */

static int next(reader *r)
{
    if (r->has_event) yaml_event_delete(&r->event);
    r->has_event = false;
    if (yaml_parser_parse(&r->yaml, &r->event)) {
        r->has_event = true;
        return 0;
    }
    if (r->yaml.error == YAML_MEMORY_ERROR) return wr_err_nomem(r->err);
    return r->yaml.error == YAML_READER_ERROR ? reader_error(r) : syntax_error(r);
}

static int too_many(reader *r)
{
    int rc = fail_here(r, WEIR_ELIMIT, "too many nodes");
    return wr_err_detail(r->err, rc, "at most %d are read, aliases written out", (int)WR_LIMIT_YAML_NODES);
}

static int too_deep(reader *r)
{
    int rc = fail_here(r, WEIR_ELIMIT, "nested too deep");
    return wr_err_detail(r->err, rc, "at most %d levels are read, aliases written out", (int)WR_LIMIT_YAML_DEPTH);
}

static int new_node(reader *r, wr_yaml **out, wr_yaml_kind kind)
{
    if (++r->size > WR_LIMIT_YAML_NODES) return too_many(r);
    wr_yaml *n = wr_arena_calloc(r->a, 1, sizeof *n);
    if (!n) return wr_err_nomem(r->err);
    n->kind = kind;
    n->line = (int)r->event.start_mark.line + 1;
    n->column = (int)r->event.start_mark.column + 1;
    n->file = r->file;
    n->text = WR_STR("");
    *out = n;
    return 0;
}

/* ---- anchors ---- */

/* Index of a fresh target, or -1 when there is no anchor. A name used again means the new node from there on. */
static int open_anchor(reader *r, const yaml_char_t *name, ptrdiff_t *slot)
{
    *slot = -1;
    if (!name) return 0;
    if (wr_vec_push(&r->targets, ((built){0})) < 0) return wr_err_nomem(r->err);
    *slot = (ptrdiff_t)r->targets.n - 1;
    void *value = (void *)(uintptr_t)r->targets.n;
    return wr_map_put(&r->anchors, wr_str_of((const char *)name), value) < 0 ? wr_err_nomem(r->err) : 0;
}

static int use_alias(reader *r, built *out, int depth)
{
    wr_str name = wr_str_of((const char *)r->event.data.alias.anchor);
    size_t index = (size_t)(uintptr_t)wr_map_get(&r->anchors, name);
    if (!index) return fail_at(r, WEIR_EPARSE, r->event.start_mark, "there is no anchor for the alias *", name);
    *out = r->targets.at[index - 1];
    if (!out->node)
        return fail_at(r, WEIR_EPARSE, r->event.start_mark, "the alias stands inside its own anchor: *", name);
    r->size += out->size;
    if (r->size > WR_LIMIT_YAML_NODES) return too_many(r);
    return depth + out->height - 1 > WR_LIMIT_YAML_DEPTH ? too_deep(r) : 0;
}

/* ---- scalars ---- */

/* The tags of the core schema say whether text is typed by its look; others would need a constructor that we do not
 * have. */
static int apply_tag(reader *r, const yaml_char_t *tag, bool *plain)
{
    static const char core[] = "tag:yaml.org,2002:";
    if (!tag) return 0;
    wr_str t = wr_str_of((const char *)tag);
    wr_str name = wr_str_starts(t, core) ? wr_str_sub(t, sizeof core - 1, t.n) : (wr_str){0};
    static const char *const typed[] = {"int", "float", "bool", "null", "map", "seq"};
    if (wr_str_is(t, "!") || wr_str_is(name, "str")) {
        *plain = false;
        return 0;
    }
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        if (wr_str_is(name, typed[i])) {
            *plain = true;
            return 0;
        }
    }
    return fail_at(r, WEIR_EUNSUPPORTED, r->event.start_mark, "this tag is not supported: ", t);
}

static int build_scalar(reader *r, built *out)
{
    const yaml_event_t *e = &r->event;
    wr_str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (memchr(text.p, 0, text.n)) return fail_here(r, WEIR_EPARSE, "a NUL character is not allowed");
    WR_TRY(new_node(r, &out->node, WR_YAML_SCALAR));
    out->node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    WR_TRY(apply_tag(r, e->data.scalar.tag, &out->node->plain));
    out->node->text = wr_arena_str(r->a, text);
    if (!out->node->text.p) return wr_err_nomem(r->err);
    bool quoted = e->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                  e->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (quoted && e->end_mark.line > e->start_mark.line) {
        r->quoted_from = (int)e->start_mark.line + 1;
        r->quoted_to = (int)e->end_mark.line + 1;
    }
    out->height = 1;
    return 0;
}

/* ---- sequences ---- */

static int copy_pointers(reader *r, wr_yaml ***out, wr_yaml **from, size_t n)
{
    *out = wr_arena_alloc(r->a, (n ? n : 1) * sizeof *from);
    if (!*out) return wr_err_nomem(r->err);
    if (n) memcpy(*out, from, n * sizeof *from);
    return 0;
}

static int build_sequence(reader *r, built *out, int depth)
{
    bool plain;
    WR_TRY(apply_tag(r, r->event.data.sequence_start.tag, &plain));
    WR_TRY(new_node(r, &out->node, WR_YAML_SEQ));
    WR_VEC(wr_yaml *) items = {0};
    out->height = 1;
    int rc;
    while ((rc = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        built item = {0};
        if ((rc = build(r, &item, depth + 1)) < 0) break;
        if (item.height >= out->height) out->height = item.height + 1;
        if (wr_vec_push(&items, item.node) < 0) {
            rc = wr_err_nomem(r->err);
            break;
        }
    }
    if (rc == 0) rc = copy_pointers(r, &out->node->items, items.at, items.n);
    out->node->n = items.n;
    wr_vec_fini(&items);
    return rc;
}

/* ---- maps ---- */

/* Where the keys of a growing map are found again: by comparison while they are few, by hash when they are many. */
typedef struct {
    WR_VEC(wr_yaml *) keys;
    WR_VEC(wr_yaml *) items;
    wr_map index; /* in use when there are more than FEW_KEYS */
} fields;

static wr_yaml *fields_find(const fields *f, wr_str key)
{
    if (f->keys.n > FEW_KEYS) return wr_map_get(&f->index, key);
    for (size_t i = 0; i < f->keys.n; i++) {
        if (wr_str_eq(f->keys.at[i]->text, key)) return f->keys.at[i];
    }
    return NULL;
}

static int fields_add(fields *f, wr_yaml *key, wr_yaml *item)
{
    if (wr_vec_push(&f->keys, key) < 0 || wr_vec_push(&f->items, item) < 0) return WEIR_ENOMEM;
    if (f->keys.n <= FEW_KEYS) return 0;
    size_t from = f->keys.n == FEW_KEYS + 1 ? 0 : f->keys.n - 1; /* the first time all of them */
    for (size_t i = from; i < f->keys.n; i++) {
        if (wr_map_put(&f->index, f->keys.at[i]->text, f->keys.at[i]) < 0) return WEIR_ENOMEM;
    }
    return 0;
}

static void fields_fini(fields *f)
{
    wr_vec_fini(&f->keys);
    wr_vec_fini(&f->items);
    wr_map_fini(&f->index);
}

static int duplicate_key(reader *r, const wr_yaml *key, const wr_yaml *first)
{
    int rc = wr_yaml_error(key, WEIR_EPARSE, r->err, "the key \"%s\" is given twice", key->text.p);
    return wr_err_detail(r->err, rc, "first at line %d", first->line);
}

/* Keys of `source` that the map does not have itself; the first source that has a key wins. */
static int merge_one(reader *r, fields *out, const fields *own, const wr_yaml *source)
{
    if (source->kind != WR_YAML_MAP)
        return wr_yaml_error(source, WEIR_EPARSE, r->err, "\"<<\" takes a map or a list of maps");
    for (size_t i = 0; i < source->n; i++) {
        wr_str key = source->keys[i]->text;
        if (fields_find(own, key) || fields_find(out, key)) continue;
        if (fields_add(out, source->keys[i], source->items[i]) < 0) return wr_err_nomem(r->err);
    }
    return 0;
}

static int merge(reader *r, fields *out, const fields *own, const wr_yaml *value)
{
    if (value->kind != WR_YAML_SEQ) return merge_one(r, out, own, value);
    for (size_t i = 0; i < value->n; i++) WR_TRY(merge_one(r, out, own, value->items[i]));
    return 0;
}

/* Own keys were checked to be unique; merged ones are put where their "<<" stands. */
static int resolve_merges(reader *r, fields *out, const fields *own)
{
    for (size_t i = 0; i < own->keys.n; i++) {
        wr_yaml *key = own->keys.at[i], *item = own->items.at[i];
        bool is_merge = key->plain && wr_str_is(key->text, "<<");
        if (is_merge) WR_TRY(merge(r, out, own, item));
        else if (fields_add(out, key, item) < 0) return wr_err_nomem(r->err);
    }
    return 0;
}

static int build_key(reader *r, built *out, const fields *own, int depth)
{
    yaml_mark_t mark = r->event.start_mark;
    WR_TRY(build(r, out, depth + 1));
    if (out->node->kind != WR_YAML_SCALAR) return fail_at(r, WEIR_EPARSE, mark, "a key must be a scalar", WR_STR(""));
    wr_yaml *first = fields_find(own, out->node->text);
    return first ? duplicate_key(r, out->node, first) : 0;
}

static int read_fields(reader *r, fields *own, built *out, bool *merges, int depth)
{
    for (;;) {
        WR_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return 0;
        built key = {0}, value = {0};
        WR_TRY(build_key(r, &key, own, depth));
        WR_TRY(next(r));
        WR_TRY(build(r, &value, depth + 1));
        if (value.height >= out->height) out->height = value.height + 1;
        if (key.node->plain && wr_str_is(key.node->text, "<<")) *merges = true;
        if (fields_add(own, key.node, value.node) < 0) return wr_err_nomem(r->err);
    }
}

static int build_map(reader *r, built *out, int depth)
{
    bool plain, merges = false;
    WR_TRY(apply_tag(r, r->event.data.mapping_start.tag, &plain));
    WR_TRY(new_node(r, &out->node, WR_YAML_MAP));
    fields own = {0}, merged = {0};
    wr_map_init(&own.index);
    wr_map_init(&merged.index);
    out->height = 2;
    int rc = read_fields(r, &own, out, &merges, depth);
    if (rc == 0 && merges) rc = resolve_merges(r, &merged, &own);
    const fields *f = merges ? &merged : &own;
    if (rc == 0) rc = copy_pointers(r, &out->node->keys, f->keys.at, f->keys.n);
    if (rc == 0) rc = copy_pointers(r, &out->node->items, f->items.at, f->items.n);
    if (rc == 0) out->node->n = f->keys.n;
    fields_fini(&own);
    fields_fini(&merged);
    return rc;
}

/* ---- the document ---- */

/* The node that starts at the current event; afterwards the current event is the node's last. */
static int build(reader *r, built *out, int depth)
{
    const yaml_event_t *e = &r->event;
    if (e->type == YAML_ALIAS_EVENT) return use_alias(r, out, depth);
    if (depth > WR_LIMIT_YAML_DEPTH) return too_deep(r);
    size_t before = r->size;
    ptrdiff_t slot = -1;
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        WR_TRY(open_anchor(r, e->data.scalar.anchor, &slot));
        WR_TRY(build_scalar(r, out));
        break;
    case YAML_SEQUENCE_START_EVENT:
        WR_TRY(open_anchor(r, e->data.sequence_start.anchor, &slot));
        WR_TRY(build_sequence(r, out, depth));
        break;
    case YAML_MAPPING_START_EVENT:
        WR_TRY(open_anchor(r, e->data.mapping_start.anchor, &slot));
        WR_TRY(build_map(r, out, depth));
        break;
    default:
        return fail_here(r, WEIR_EINTERNAL, "unexpected event");
    }
    out->size = r->size - before;
    if (slot >= 0) r->targets.at[slot] = *out;
    return 0;
}

static int empty_map(reader *r, wr_yaml **out)
{
    wr_yaml *n = wr_arena_calloc(r->a, 1, sizeof *n);
    if (!n) return wr_err_nomem(r->err);
    *n = (wr_yaml){.kind = WR_YAML_MAP, .line = 1, .column = 1, .file = r->file, .text = WR_STR("")};
    *out = n;
    return 0;
}

static int read_document(reader *r, wr_yaml **out)
{
    WR_TRY(next(r)); /* stream start */
    WR_TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return empty_map(r, out);
    WR_TRY(next(r)); /* after document start */
    built root = {0};
    WR_TRY(build(r, &root, 1));
    WR_TRY(next(r)); /* document end */
    WR_TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail_here(r, WEIR_EPARSE, "a second document starts here; only one is read");
    if (wr_yaml_null(root.node)) return empty_map(r, out);
    *out = root.node;
    return 0;
}

int wr_yaml_parse(wr_yaml **out, wr_arena *a, wr_str text, const char *file, wr_err *err)
{
    *out = NULL;
    if (wr_str_starts(text, "\xef\xbb\xbf")) text = wr_str_sub(text, 3, text.n); /* a byte order mark is no column */
    reader r = {.a = a, .text = text, .err = err};
    r.file = wr_arena_strdup(a, file ? file : "yaml");
    if (!r.file || !yaml_parser_initialize(&r.yaml)) return wr_err_nomem(err);
    wr_map_init(&r.anchors);
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc = read_document(&r, out);
    if (r.has_event) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    wr_map_fini(&r.anchors);
    wr_vec_fini(&r.targets);
    return rc;
}
