/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - a feature view from YAML or JSON, and its canonical JSON.
 *
 * There is one parser. JSON (from a package, perhaps a hostile one) is first turned into the nodes that YAML gives, so
 * both are checked by the same lines. Canonical JSON has the keys of the YAML form in a fixed order, lists as lists,
 * durations in their largest whole unit: parsing it again gives the same view and the same bytes.
 */
#include "core/view.h"

#include <math.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/num.h"
#include "core/view_ops.h"
#include "io/file.h"

enum { KEEP_MAX = 1000, SQL_MAX = 64 << 10, JSON_DEPTH = 8, JSON_ENTRIES = 256 };
static const int64_t OVER_MAX_US = (int64_t)36600 * 86400 * 1000000; /* a hundred years */

typedef struct {
    wr_arena *a;
    wr_view *v;
    wr_map names; /* columns of the dataset to be, in lower case: the table engine does not tell cases apart */
    bool json;    /* scalars have types: a number is no text */
    wr_err *err;
} parser;

/* ---- texts ---- */

static bool printable(wr_str s, bool lines)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && !(lines && (c == '\n' || c == '\t' || c == '\r'))) || c == 0x7f) return false;
    }
    return true;
}

static int take_text(char **out, parser *p, const wr_yaml *n, const char *what, bool sql)
{
    wr_str s;
    size_t most = sql ? SQL_MAX : WR_LIMIT_NAME;
    WR_TRY(wr_yaml_str(&s, n, what, p->err));
    if (p->json && n->plain) return wr_yaml_error(n, WEIR_ETYPE, p->err, "\"%s\" must be a text", what);
    if (s.n == 0) return wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" is empty", what);
    if (s.n > most) return wr_yaml_error(n, WEIR_ELIMIT, p->err, "\"%s\" is longer than %zu bytes", what, most);
    if (!printable(s, sql)) return wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" has control characters", what);
    *out = (char *)wr_arena_str(p->a, s).p;
    return *out ? 0 : wr_err_nomem(p->err);
}

/* A key of a map as a column's name. */
static int take_key(char **out, parser *p, const wr_yaml *key)
{
    wr_str s = key->text;
    if (!s.n || s.n > WR_LIMIT_NAME || !printable(s, false))
        return wr_yaml_error(key, WEIR_EINVAL, p->err, "a column's name is 1 to %d bytes without control characters",
                             WR_LIMIT_NAME);
    *out = (char *)wr_arena_str(p->a, s).p;
    return *out ? 0 : wr_err_nomem(p->err);
}

/* Member of a map; NULL in *out when it is missing and may be. */
static int take_member(char **out, parser *p, const wr_yaml *map, const char *key, const char *needed_by, bool sql)
{
    const wr_yaml *n = wr_yaml_get(map, key);
    *out = NULL;
    if (!wr_yaml_null(n)) return take_text(out, p, n, key, sql);
    if (!needed_by) return 0;
    return wr_yaml_error(n ? n : map, WEIR_EINVAL, p->err, "%s has no \"%s\"", needed_by, key);
}

static int take_name(char **out, parser *p, const wr_yaml *map, const char *needed_by)
{
    WR_TRY(take_member(out, p, map, "name", needed_by, false));
    if (wr_name_ok(wr_str_of(*out))) return 0;
    const wr_yaml *n = wr_yaml_get(map, "name");
    int rc = wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" is not a name", *out);
    return wr_err_hint(p->err, rc, "names are letters, digits, _ . and -, and begin with a letter, a digit or _");
}

/* Each column of the dataset that the view makes has a name of its own. */
static int claim(parser *p, const wr_yaml *at, const char *name)
{
    char lower[WR_LIMIT_NAME + 1];
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    if (wr_map_find(&p->names, (wr_str){lower, n}) >= 0) {
        int rc = wr_yaml_error(at, WEIR_EEXIST, p->err, "\"%s\" is there already", name);
        return wr_err_hint(
            p->err, rc,
            "time, keep, known_at, label and features are columns of one dataset; upper and lower case are the same");
    }
    return wr_map_put(&p->names, (wr_str){lower, n}, NULL) < 0 ? wr_err_nomem(p->err) : 0;
}

static int finite_number(double *out, parser *p, const wr_yaml *n, const char *what)
{
    WR_TRY(wr_yaml_f64(out, n, what, p->err));
    *out += 0.0; /* -0 becomes 0: one canonical form */
    return isfinite(*out) ? 0 : wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" must be finite", what);
}

/* ---- columns that rows and events must bring ---- */

static const char *type_text(wr_type t) { return t == WR_TS ? "a time" : t == WR_TEXT ? "a text" : "a number"; }

static int need_column(char **names, wr_type *types, size_t *n, parser *p, const wr_yaml *at, char *name, wr_type type)
{
    ptrdiff_t i = wr_view_index(names, *n, name);
    if (i < 0) {
        names[*n] = name;
        types[(*n)++] = type;
        return 0;
    }
    if (types[i] == type) return 0;
    return wr_yaml_error(at, WEIR_ETYPE, p->err, "column \"%s\" cannot be %s here and %s elsewhere", name,
                         type_text(type), type_text(types[i]));
}

static int need_of_row(parser *p, const wr_yaml *at, char *name, wr_type type)
{
    wr_view *v = p->v;
    return need_column(v->request, v->request_type, &v->nrequest, p, at, name, type);
}

static int need_of_event(parser *p, const wr_yaml *at, char *name, wr_type type)
{
    wr_view *v = p->v;
    if (strcmp(name, "_time") == 0)
        return wr_yaml_error(at, WEIR_EINVAL, p->err, "\"_time\" is the time of the event itself");
    return need_column(v->event_columns, v->event_type, &v->nevent_columns, p, at, name, type);
}

/* ---- values and label ---- */

static int take_value(wr_view_value *out, parser *p, const wr_yaml *map, const char *what)
{
    const wr_yaml *above = wr_yaml_get(map, "above"), *clip = wr_yaml_get(map, "clip");
    WR_TRY(take_member(&out->of, p, map, "of", what, false));
    out->has_above = !wr_yaml_null(above);
    out->has_clip = !wr_yaml_null(clip);
    if (out->has_above && out->has_clip)
        return wr_yaml_error(clip, WEIR_EINVAL, p->err, "%s has both above and clip", what);
    if (out->has_above) WR_TRY(finite_number(&out->above, p, above, "above"));
    if (!out->has_clip) return 0;
    if (clip->kind != WR_YAML_SEQ || clip->n != 2)
        return wr_yaml_error(clip, WEIR_ETYPE, p->err, "\"clip\" must be a list of two numbers: [least, most]");
    WR_TRY(finite_number(&out->clip_lo, p, clip->items[0], "clip"));
    WR_TRY(finite_number(&out->clip_hi, p, clip->items[1], "clip"));
    if (out->clip_lo < out->clip_hi) return 0;
    return wr_yaml_error(clip, WEIR_EINVAL, p->err, "\"clip\" must have the smaller number first");
}

static int parse_label(parser *p, const wr_yaml *n)
{
    static const char *const known[] = {"name", "of", "above", "clip", NULL};
    wr_view *v = p->v;
    v->label_of.of = wr_arena_strdup(p->a, "");
    if (wr_yaml_null(n)) return 0;
    WR_TRY(wr_yaml_known(n, "the label", known, p->err));
    WR_TRY(take_name(&v->label, p, n, "the label"));
    WR_TRY(take_value(&v->label_of, p, n, "the label"));
    return claim(p, wr_yaml_get(n, "name"), v->label);
}

static int parse_value(parser *p, const wr_yaml *key, const wr_yaml *n)
{
    static const char *const known[] = {"of", "above", "clip", NULL};
    wr_view_value *value = &p->v->values[p->v->nvalues];
    char what[64];
    if (!wr_name_ok(key->text))
        return wr_yaml_error(key, WEIR_EINVAL, p->err, "a value needs a name of letters, digits, _ . and -");
    if (snprintf(what, sizeof what, "value \"%.40s\"", key->text.p) < 0) what[0] = 0;
    if (wr_yaml_null(n)) return wr_yaml_error(key, WEIR_EINVAL, p->err, "%s has no \"of\"", what);
    WR_TRY(wr_yaml_known(n, what, known, p->err));
    value->name = (char *)wr_arena_str(p->a, key->text).p;
    if (!value->name) return wr_err_nomem(p->err);
    WR_TRY(take_value(value, p, n, what));
    p->v->nvalues++;
    return 0;
}

static int parse_values(parser *p, const wr_yaml *n)
{
    if (wr_yaml_null(n)) return 0;
    if (n->kind != WR_YAML_MAP) return wr_yaml_error(n, WEIR_ETYPE, p->err, "\"values\" must be a map of names");
    if (n->n > WR_VIEW_VALUES)
        return wr_yaml_error(n, WEIR_ELIMIT, p->err, "more than %d event values", WR_VIEW_VALUES);
    p->v->values = wr_arena_calloc(p->a, n->n, sizeof *p->v->values);
    if (!p->v->values) return wr_err_nomem(p->err);
    for (size_t i = 0; i < n->n; i++) WR_TRY(parse_value(p, n->keys[i], n->items[i]));
    return 0;
}

static int parse_events(parser *p, const wr_yaml *n)
{
    static const char *const known[] = {"source", "time", "values", NULL};
    if (wr_yaml_null(n)) return 0;
    WR_TRY(wr_yaml_known(n, "events", known, p->err));
    WR_TRY(take_member(&p->v->event_source, p, n, "source", "events", false));
    WR_TRY(take_member(&p->v->event_time, p, n, "time", "events", true));
    return parse_values(p, wr_yaml_get(n, "values"));
}

static int parse_keep(parser *p, const wr_yaml *n)
{
    wr_view *v = p->v;
    if (wr_yaml_null(n)) return 0;
    if (n->kind != WR_YAML_SEQ) return wr_yaml_error(n, WEIR_ETYPE, p->err, "\"keep\" must be a list of columns");
    if (n->n > KEEP_MAX) return wr_yaml_error(n, WEIR_ELIMIT, p->err, "\"keep\" has more than %d columns", KEEP_MAX);
    v->keep = wr_arena_calloc(p->a, n->n, sizeof *v->keep);
    if (!v->keep) return wr_err_nomem(p->err);
    for (size_t i = 0; i < n->n; i++) {
        WR_TRY(take_text(&v->keep[i], p, n->items[i], "keep", false));
        WR_TRY(claim(p, n->items[i], v->keep[i]));
        v->nkeep++;
    }
    return 0;
}

/* ---- features ---- */

/* Error at `n` for a name that is not one of `names`. */
static int not_one_of(parser *p, const wr_yaml *n, const char *what, const char *const *names, size_t count)
{
    wr_str shown = wr_str_fit(n->text, 60);
    int rc = wr_yaml_error(n, WEIR_EINVAL, p->err, "unknown %s \"%.*s\"", what, WR_STR_FMT(shown));
    int near = wr_str_nearest(n->text, names, count);
    if (near >= 0) return wr_err_hint(p->err, rc, "did you mean \"%s\"?", names[near]);
    WR_AUTOBUF wr_buf list;
    wr_buf_init(&list, 240);
    for (size_t i = 0; i < count && !list.failed; i++) wr_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    return wr_err_hint(p->err, rc, "known: %s%s", count ? wr_buf_cstr(&list) : "none", list.failed ? ", ..." : "");
}

static int parse_op(wr_view_feature *f, parser *p, const wr_yaml *map, const char *what)
{
    char *name;
    const char *names[32];
    WR_BUG_IF(wr_view_ops_count > 32);
    WR_TRY(take_member(&name, p, map, "op", what, false));
    f->op = wr_view_op_find(wr_str_of(name));
    if (f->op) return 0;
    for (size_t i = 0; i < wr_view_ops_count; i++) names[i] = wr_view_ops[i].name;
    return not_one_of(p, wr_yaml_get(map, "op"), "op", names, wr_view_ops_count);
}

static int parse_keys(char **key, int *nkey, parser *p, const wr_yaml *n, const char *what)
{
    bool list = !wr_yaml_null(n) && n->kind == WR_YAML_SEQ;
    size_t count = list ? n->n : !wr_yaml_null(n);
    if (list && count == 0) return wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" is an empty list", what);
    if (count > WR_VIEW_KEYS)
        return wr_yaml_error(n, WEIR_ELIMIT, p->err, "\"%s\" has more than %d columns", what, WR_VIEW_KEYS);
    for (size_t i = 0; i < count; i++) WR_TRY(take_text(&key[i], p, list ? n->items[i] : n, what, false));
    *nkey = (int)count;
    return 0;
}

static bool same_keys(const wr_view_group *g, char *const *key, int nkey)
{
    if (g->nkey != nkey) return false;
    for (int i = 0; i < nkey; i++) {
        if (strcmp(g->key[i], key[i]) != 0) return false;
    }
    return true;
}

/* Put the aggregate into the group of events with its key columns. */
static int join_group(wr_view_feature *f, parser *p, const wr_yaml *at, char **key, int nkey)
{
    wr_view *v = p->v;
    size_t g = 0;
    while (g < v->ngroups && !same_keys(&v->groups[g], key, nkey)) g++;
    wr_view_group *group = &v->groups[g];
    if (g == WR_VIEW_GROUPS)
        return wr_yaml_error(at, WEIR_ELIMIT, p->err, "more than %d different event keys", WR_VIEW_GROUPS);
    if (g == v->ngroups) {
        for (int i = 0; i < nkey; i++) {
            group->key[i] = key[i];
            WR_TRY(need_of_event(p, at, key[i], WR_TEXT));
        }
        group->nkey = nkey;
        group->value = wr_arena_calloc(p->a, v->nvalues + 1, sizeof *group->value);
        if (!group->value) return wr_err_nomem(p->err);
        v->ngroups++;
    }
    int slot = 0;
    while (slot < group->nvalue && group->value[slot] != f->value) slot++;
    if (slot == group->nvalue) group->value[group->nvalue++] = f->value;
    if (group->horizon_us < f->over_us) group->horizon_us = f->over_us;
    f->group = (int)g;
    f->slot = slot;
    return 0;
}

/* Which event value: index into values, or -1 for every event. */
static int parse_of_value(wr_view_feature *f, parser *p, const wr_yaml *map, const char *what)
{
    const wr_view *v = p->v;
    const wr_yaml *of = wr_yaml_get(map, "of");
    f->value = -1;
    if (wr_yaml_null(of) && f->op->every) return 0;
    WR_TRY(take_member(&f->of, p, map, "of", what, false));
    for (size_t i = 0; i < v->nvalues; i++) {
        if (strcmp(v->values[i].name, f->of) == 0) f->value = (int)i;
    }
    if (f->value < 0) {
        const char *names[WR_VIEW_VALUES];
        for (size_t i = 0; i < v->nvalues; i++) names[i] = v->values[i].name;
        return not_one_of(p, of, "event value", names, v->nvalues);
    }
    if (!f->op->flag || v->values[f->value].has_above) return 0;
    int rc = wr_yaml_error(of, WEIR_EINVAL, p->err, "%s takes a value with \"above\", which \"%s\" has not",
                           f->op->name, f->of);
    return wr_err_hint(p->err, rc, "mean takes any value");
}

static int parse_aggregate(wr_view_feature *f, parser *p, const wr_yaml *map, const char *what)
{
    static const char *const known[] = {"name", "op", "of", "key", "event_key", "over", NULL};
    char *event_key[WR_VIEW_KEYS];
    int nevent_key;
    const wr_yaml *over = wr_yaml_get(map, "over"), *other = wr_yaml_get(map, "event_key"),
                  *op = wr_yaml_get(map, "op");
    WR_TRY(wr_yaml_known(map, what, known, p->err));
    if (!p->v->event_source) {
        int rc = wr_yaml_error(op, WEIR_EINVAL, p->err, "%s is an aggregate, and the view has no events", what);
        return wr_err_hint(p->err, rc, "say what is aggregated: events: {source: DATASET, time: SQL, values: {...}}");
    }
    WR_TRY(parse_of_value(f, p, map, what));
    WR_TRY(parse_keys(f->key, &f->nkey, p, wr_yaml_get(map, "key"), "key"));
    if (wr_yaml_null(over))
        return wr_yaml_error(map, WEIR_EINVAL, p->err, "%s has no \"over\" (a duration such as 3h)", what);
    if (p->json && over->plain) return wr_yaml_error(over, WEIR_ETYPE, p->err, "\"over\" must be a text");
    WR_TRY(wr_yaml_duration_us(&f->over_us, over, "over", p->err));
    if (f->over_us <= 0 || f->over_us > OVER_MAX_US)
        return wr_yaml_error(over, WEIR_EINVAL, p->err, "\"over\" must be above 0 and at most a hundred years");
    WR_TRY(parse_keys(event_key, &nevent_key, p, other, "event_key"));
    if (nevent_key && nevent_key != f->nkey)
        return wr_yaml_error(other, WEIR_EINVAL, p->err, "\"event_key\" has %d columns and \"key\" %d", nevent_key,
                             f->nkey);
    for (int i = 0; i < f->nkey; i++) WR_TRY(need_of_row(p, wr_yaml_get(map, "key"), f->key[i], WR_TEXT));
    return join_group(f, p, nevent_key ? other : op, nevent_key ? event_key : f->key, f->nkey);
}

static int parse_row_op(wr_view_feature *f, parser *p, const wr_yaml *map, const char *what)
{
    static const char *const known[] = {"name", "op", "of", NULL};
    static const char *const of_aggregates[] = {"key", "event_key", "over", NULL};
    static const wr_type types[] = {[WR_VIEW_NUMBER] = WR_F64, [WR_VIEW_TIME] = WR_TS, [WR_VIEW_TEXT] = WR_TEXT};
    for (const char *const *key = of_aggregates; *key; key++) {
        const wr_yaml *n = wr_yaml_get(map, *key);
        if (n)
            return wr_yaml_error(n, WEIR_EINVAL, p->err, "\"%s\" is for aggregates; %s needs the row alone", *key,
                                 f->op->name);
    }
    WR_TRY(wr_yaml_known(map, what, known, p->err));
    WR_TRY(take_member(&f->of, p, map, "of", what, false));
    f->category = f->op->input == WR_VIEW_TEXT;
    f->value = f->group = f->slot = -1;
    return need_of_row(p, wr_yaml_get(map, "of"), f->of, types[f->op->input]);
}

static int parse_feature(parser *p, const wr_yaml *map)
{
    wr_view_feature *f = &p->v->features[p->v->nfeatures];
    char what[64];
    if (map->kind != WR_YAML_MAP)
        return wr_yaml_error(map, WEIR_ETYPE, p->err, "a feature must be a map: {name: ..., op: ..., of: ...}");
    WR_TRY(take_name(&f->name, p, map, "a feature"));
    WR_TRY(claim(p, wr_yaml_get(map, "name"), f->name));
    if (snprintf(what, sizeof what, "feature \"%.40s\"", f->name) < 0) what[0] = 0;
    WR_TRY(parse_op(f, p, map, what));
    p->v->nfeatures++;
    return f->op->input == WR_VIEW_WINDOW ? parse_aggregate(f, p, map, what) : parse_row_op(f, p, map, what);
}

/* Of what looks like a list of them, for room; judged later. */
static size_t lookup_count(const wr_yaml *n)
{
    return wr_yaml_null(n) || n->n > WR_VIEW_LOOKUPS ? WR_VIEW_LOOKUPS : n->n;
}

static int parse_features(parser *p, const wr_yaml *root, const wr_yaml *n, size_t nlookups)
{
    wr_view *v = p->v;
    if (wr_yaml_null(n)) return wr_yaml_error(root, WEIR_EINVAL, p->err, "the view has no \"features\"");
    if (n->kind != WR_YAML_SEQ) return wr_yaml_error(n, WEIR_ETYPE, p->err, "\"features\" must be a list");
    if (n->n == 0) return wr_yaml_error(n, WEIR_EINVAL, p->err, "\"features\" is an empty list");
    if (n->n > WR_VIEW_FEATURES)
        return wr_yaml_error(n, WEIR_ELIMIT, p->err, "more than %d features", WR_VIEW_FEATURES);
    size_t columns = 1 + (n->n + nlookups) * (1 + WR_VIEW_KEYS),
           event_columns = WR_VIEW_GROUPS * WR_VIEW_KEYS + v->nvalues;
    v->features = wr_arena_calloc(p->a, n->n, sizeof *v->features);
    v->groups = wr_arena_calloc(p->a, WR_VIEW_GROUPS, sizeof *v->groups);
    v->request = wr_arena_calloc(p->a, columns, sizeof *v->request);
    v->request_type = wr_arena_calloc(p->a, columns, sizeof *v->request_type);
    v->event_columns = wr_arena_calloc(p->a, event_columns, sizeof *v->event_columns);
    v->event_type = wr_arena_calloc(p->a, event_columns, sizeof *v->event_type);
    if (wr_arena_failed(p->a)) return wr_err_nomem(p->err);
    WR_TRY(need_of_row(p, root, v->time, WR_TS));
    for (size_t i = 0; i < n->n; i++) WR_TRY(parse_feature(p, n->items[i]));
    const wr_yaml *values = wr_yaml_get(wr_yaml_get(root, "events"), "values");
    for (size_t i = 0; i < v->nvalues; i++)
        WR_TRY(need_of_event(p, wr_yaml_get(values->items[i], "of"), v->values[i].of, WR_F64));
    return 0;
}

/* ---- lookups ---- */

/* The column is one that something reads, and that no other lookup has. */
static int place_column(wr_view_lookup *l, parser *p, const wr_yaml *at, char *name, char *of)
{
    wr_view *v = p->v;
    ptrdiff_t i = wr_view_index(v->request, v->nrequest, name);
    if (i == 0) return wr_yaml_error(at, WEIR_EINVAL, p->err, "\"%s\" is the row's time", name);
    if (i < 0) {
        int rc = wr_yaml_error(at, WEIR_EINVAL, p->err, "no feature reads column \"%s\"", name);
        return wr_err_hint(p->err, rc, "features name it as \"of\" or \"key\", or a later lookup as its \"key\"");
    }
    if (v->looked_up[i]) return wr_yaml_error(at, WEIR_EEXIST, p->err, "column \"%s\" is looked up twice", name);
    v->looked_up[i] = true;
    l->at[l->ncolumns] = (uint32_t)i;
    l->column[l->ncolumns] = name;
    l->of[l->ncolumns++] = of;
    return 0;
}

static int parse_lookup_columns(wr_view_lookup *l, parser *p, const wr_yaml *map)
{
    const wr_yaml *n = wr_yaml_get(map, "columns");
    if (wr_yaml_null(n) || n->kind == WR_YAML_SCALAR || !n->n)
        return wr_yaml_error(n ? n : map, WEIR_EINVAL, p->err,
                             "a lookup's columns are a list, or a map of column: source's column");
    if (n->n > WR_VIEW_LOOKED_UP)
        return wr_yaml_error(n, WEIR_ELIMIT, p->err, "more than %d columns of a lookup", WR_VIEW_LOOKED_UP);
    l->column = wr_arena_calloc(p->a, n->n, sizeof *l->column);
    l->of = wr_arena_calloc(p->a, n->n, sizeof *l->of);
    l->at = wr_arena_calloc(p->a, n->n, sizeof *l->at);
    if (wr_arena_failed(p->a)) return wr_err_nomem(p->err);
    for (size_t i = 0; i < n->n; i++) {
        char *name, *of;
        const wr_yaml *at = n->kind == WR_YAML_MAP ? n->keys[i] : n->items[i];
        WR_TRY(take_text(&of, p, n->items[i], "columns", false));
        name = of;
        if (n->kind == WR_YAML_MAP) WR_TRY(take_key(&name, p, at));
        WR_TRY(place_column(l, p, at, name, of));
    }
    return 0;
}

static int parse_lookup_keys(wr_view_lookup *l, parser *p, const wr_yaml *n)
{
    int nsource;
    const wr_yaml *key = wr_yaml_get(n, "key"), *source = wr_yaml_get(n, "source_key");
    WR_TRY(parse_keys(l->key, &l->nkey, p, key, "key"));
    if (!l->nkey) return wr_yaml_error(n, WEIR_EINVAL, p->err, "a lookup has no \"key\"");
    WR_TRY(parse_keys(l->source_key, &nsource, p, source, "source_key"));
    if (nsource && nsource != l->nkey)
        return wr_yaml_error(source, WEIR_EINVAL, p->err, "\"source_key\" has %d columns and \"key\" %d", nsource,
                             l->nkey);
    for (int i = 0; i < l->nkey; i++) {
        if (!nsource) l->source_key[i] = l->key[i];
        WR_TRY(need_of_row(p, key, l->key[i], WR_TEXT));
        l->key_at[i] = (uint32_t)wr_view_index(p->v->request, p->v->nrequest, l->key[i]);
    }
    return 0;
}

static int parse_lookup(wr_view_lookup *l, parser *p, const wr_yaml *n)
{
    static const char *const known[] = {"source", "time", "key", "source_key", "columns", "ttl", NULL};
    const wr_yaml *ttl = wr_yaml_get(n, "ttl");
    if (n->kind != WR_YAML_MAP)
        return wr_yaml_error(n, WEIR_ETYPE, p->err,
                             "a lookup must be a map: {source: ..., time: ..., key: ..., columns: ...}");
    WR_TRY(wr_yaml_known(n, "a lookup", known, p->err));
    WR_TRY(take_member(&l->source, p, n, "source", "a lookup", false));
    WR_TRY(take_member(&l->time, p, n, "time", "a lookup", true));
    WR_TRY(parse_lookup_keys(l, p, n));
    if (wr_yaml_null(ttl)) return 0;
    if (p->json && ttl->plain) return wr_yaml_error(ttl, WEIR_ETYPE, p->err, "\"ttl\" must be a text");
    WR_TRY(wr_yaml_duration_us(&l->ttl_us, ttl, "ttl", p->err));
    if (l->ttl_us > 0 && l->ttl_us <= OVER_MAX_US) return 0;
    return wr_yaml_error(ttl, WEIR_EINVAL, p->err, "\"ttl\" must be above 0 and at most a hundred years");
}

/* Lookups are done in their order: a key is of the request, or of a lookup before. */
static int check_lookup_order(const wr_view *v, parser *p, const wr_yaml *n)
{
    for (size_t i = 0; i < v->nlookups; i++)
        for (size_t k = i; k < v->nlookups; k++)
            for (size_t c = 0; c < v->lookups[k].ncolumns; c++)
                for (int j = 0; j < v->lookups[i].nkey; j++)
                    if (v->lookups[k].at[c] == v->lookups[i].key_at[j])
                        return wr_yaml_error(n->items[i], WEIR_EINVAL, p->err,
                                             "the key \"%s\" of this lookup is looked up %s", v->lookups[i].key[j],
                                             k == i ? "by itself" : "by a later one");
    return 0;
}

static int parse_lookups(parser *p, const wr_yaml *n)
{
    wr_view *v = p->v;
    size_t count = wr_yaml_null(n) ? 0 : n->n;
    if (count && n->kind != WR_YAML_SEQ) return wr_yaml_error(n, WEIR_ETYPE, p->err, "\"lookup\" must be a list");
    if (count > WR_VIEW_LOOKUPS) return wr_yaml_error(n, WEIR_ELIMIT, p->err, "more than %d lookups", WR_VIEW_LOOKUPS);
    v->lookups = wr_arena_calloc(p->a, count + 1, sizeof *v->lookups);
    if (!v->lookups) return wr_err_nomem(p->err);
    for (size_t i = 0; i < count; i++) WR_TRY(parse_lookup(&v->lookups[i], p, n->items[i])); /* all keys first */
    v->looked_up = wr_arena_calloc(p->a, v->nrequest + 1, sizeof *v->looked_up);
    if (!v->looked_up) return wr_err_nomem(p->err);
    for (; v->nlookups < count; v->nlookups++)
        WR_TRY(parse_lookup_columns(&v->lookups[v->nlookups], p, n->items[v->nlookups]));
    return check_lookup_order(v, p, n);
}

static int parse_view(parser *p, const wr_yaml *y)
{
    static const char *const known[] = {"name",     "source", "time",     "keep",   "label",
                                        "known_at", "events", "features", "lookup", NULL};
    wr_view *v = p->v;
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_ETYPE, p->err, "a feature view must be a map");
    WR_TRY(wr_yaml_known(y, "a feature view", known, p->err));
    WR_TRY(take_name(&v->name, p, y, "the view"));
    WR_TRY(take_member(&v->source, p, y, "source", "the view", false));
    WR_TRY(take_member(&v->time, p, y, "time", "the view", false));
    WR_TRY(claim(p, wr_yaml_get(y, "time"), v->time));
    WR_TRY(take_member(&v->known_at, p, y, "known_at", NULL, true));
    if (v->known_at) WR_TRY(claim(p, wr_yaml_get(y, "known_at"), "known_at"));
    WR_TRY(parse_keep(p, wr_yaml_get(y, "keep")));
    WR_TRY(parse_label(p, wr_yaml_get(y, "label")));
    WR_TRY(parse_events(p, wr_yaml_get(y, "events")));
    WR_TRY(parse_features(p, y, wr_yaml_get(y, "features"), lookup_count(wr_yaml_get(y, "lookup"))));
    WR_TRY(parse_lookups(p, wr_yaml_get(y, "lookup")));
    return wr_arena_failed(p->a) ? wr_err_nomem(p->err) : 0;
}

static int set_hash(wr_view *v, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_view_json(&b, v);
    if (b.failed) return wr_err_nomem(err);
    wr_sha256_of(b.p, b.n, v->hash);
    return 0;
}

static int parse(wr_view **out, wr_arena *a, const wr_yaml *y, bool json, wr_err *err)
{
    parser p = {.a = a, .json = json, .err = err, .v = wr_arena_calloc(a, 1, sizeof(wr_view))};
    if (!p.v) return wr_err_nomem(err);
    wr_map_init(&p.names);
    int rc = parse_view(&p, y);
    wr_map_fini(&p.names);
    if (rc == 0) rc = set_hash(p.v, err);
    if (rc == 0) *out = p.v;
    return rc;
}

int wr_view_parse(wr_view **out, wr_arena *a, const wr_yaml *y, wr_err *err) { return parse(out, a, y, false, err); }

int wr_view_load(wr_view **out, wr_arena *a, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    wr_yaml *y;
    WR_TRY(wr_yaml_parse(&y, a, wr_buf_view(&text), path, err));
    return wr_view_parse(out, a, y, err);
}

/* ---- JSON in ---- */

static const char json_file[] = "json"; /* such nodes have no place: "json:0:0: " is taken off the message */

static wr_yaml *node(wr_arena *a, wr_yaml_kind kind, size_t n)
{
    wr_yaml *y = wr_arena_calloc(a, 1, sizeof *y);
    if (!y) return NULL;
    *y = (wr_yaml){.kind = kind, .plain = true, .text = WR_STR(""), .n = n, .file = json_file};
    if (kind == WR_YAML_SCALAR) return y;
    y->items = wr_arena_calloc(a, n ? n : 1, sizeof *y->items);
    y->keys = kind == WR_YAML_MAP ? wr_arena_calloc(a, n ? n : 1, sizeof *y->keys) : NULL;
    return y->items && (y->keys || kind != WR_YAML_MAP) ? y : NULL;
}

static wr_yaml *scalar(wr_arena *a, yyjson_val *j)
{
    wr_yaml *y = node(a, WR_YAML_SCALAR, 0);
    char text[32];
    if (!y) return NULL;
    if (yyjson_is_str(j)) {
        y->plain = false;
        y->text = (wr_str){yyjson_get_str(j), yyjson_get_len(j)};
    } else if (yyjson_is_num(j)) {
        size_t n = wr_f64_text(text, yyjson_get_num(j));
        y->text = wr_arena_str(a, (wr_str){text, n});
    } else if (!yyjson_is_null(j)) {
        y->text = wr_str_of(yyjson_get_bool(j) ? "true" : "false");
    }
    return y->text.p ? y : NULL;
}

static int to_node(wr_yaml **out, wr_arena *a, yyjson_val *j, int depth, wr_err *err);

static int to_map(wr_yaml *map, wr_arena *a, yyjson_val *j, int depth, wr_err *err)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(j, i, n, key, value)
    {
        map->keys[i] = scalar(a, key);
        if (!map->keys[i]) return wr_err_nomem(err);
        for (size_t k = 0; k < i; k++) {
            if (wr_str_eq(map->keys[k]->text, map->keys[i]->text))
                return wr_err_set(err, WEIR_EPARSE, "key \"%.60s\" is there twice", map->keys[i]->text.p);
        }
        WR_TRY(to_node(&map->items[i], a, value, depth + 1, err));
    }
    return 0;
}

static int to_list(wr_yaml *list, wr_arena *a, yyjson_val *j, int depth, wr_err *err)
{
    size_t i, n;
    yyjson_val *value;
    yyjson_arr_foreach(j, i, n, value) WR_TRY(to_node(&list->items[i], a, value, depth + 1, err));
    return 0;
}

static int to_node(wr_yaml **out, wr_arena *a, yyjson_val *j, int depth, wr_err *err)
{
    bool map = yyjson_is_obj(j), list = yyjson_is_arr(j);
    size_t n = map ? yyjson_obj_size(j) : list ? yyjson_arr_size(j) : 0;
    if (depth > JSON_DEPTH || n > (map ? (size_t)JSON_ENTRIES : (size_t)WR_VIEW_FEATURES + 1))
        return wr_err_set(err, WEIR_ELIMIT, "a feature view is not as deep or large as this");
    wr_yaml *y = map ? node(a, WR_YAML_MAP, n) : list ? node(a, WR_YAML_SEQ, n) : scalar(a, j);
    if (!y) return wr_err_nomem(err);
    *out = y;
    return map ? to_map(y, a, j, depth, err) : list ? to_list(y, a, j, depth, err) : 0;
}

int wr_view_from_json(wr_view **out, wr_arena *a, yyjson_val *j, wr_err *err)
{
    static const char place[] = "json:0:0: ";
    WR_AUTOARENA wr_arena *nodes = wr_arena_new(64 << 20);
    if (!nodes) return wr_err_nomem(err);
    wr_yaml *y;
    if (!j) return wr_err_set(err, WEIR_EINVAL, "there is no feature view");
    WR_TRY(to_node(&y, nodes, j, 0, err));
    int rc = parse(out, a, y, true, err);
    if (rc < 0 && err && wr_str_starts(wr_str_of(err->msg), place)) {
        size_t cut = sizeof place - 1;
        memmove(err->msg, err->msg + cut, strlen(err->msg) - cut + 1);
    }
    return rc;
}

/* ---- JSON out ---- */

static void write_duration(wr_jsonw *w, const char *key, int64_t us)
{
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {
        {86400000000, "d"}, {3600000000, "h"}, {60000000, "m"}, {1000000, "s"}, {1000, "ms"}, {1, "us"},
    };
    char text[48];
    size_t i = 0;
    while (us % units[i].us) i++;
    int n = snprintf(text, sizeof text, "%lld%s", (long long)(us / units[i].us), units[i].name);
    wr_jsonw_key(w, key);
    wr_jsonw_str(w, (wr_str){text, n < 0 ? 0 : (size_t)n});
}

static void write_list(wr_jsonw *w, const char *key, char *const *names, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_cstr(w, names[i]);
    wr_jsonw_end(w);
}

/* Members of an open object. */
static void write_value(wr_jsonw *w, const wr_view_value *value)
{
    wr_jsonw_kstr(w, "of", value->of);
    if (value->has_above) wr_jsonw_kf64(w, "above", value->above);
    if (!value->has_clip) return;
    wr_jsonw_key(w, "clip");
    wr_jsonw_arr(w);
    wr_jsonw_f64(w, value->clip_lo);
    wr_jsonw_f64(w, value->clip_hi);
    wr_jsonw_end(w);
}

static void write_events(wr_jsonw *w, const wr_view *v)
{
    wr_jsonw_key(w, "events");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "source", v->event_source);
    wr_jsonw_kstr(w, "time", v->event_time);
    wr_jsonw_key(w, "values");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < v->nvalues; i++) {
        wr_jsonw_key(w, v->values[i].name);
        wr_jsonw_obj(w);
        write_value(w, &v->values[i]);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void write_lookup(wr_jsonw *w, const wr_view_lookup *l)
{
    bool same = true, own = true; /* columns and keys are called the same */
    for (size_t i = 0; i < l->ncolumns; i++) same = same && strcmp(l->column[i], l->of[i]) == 0;
    for (int i = 0; i < l->nkey; i++) own = own && strcmp(l->key[i], l->source_key[i]) == 0;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "source", l->source);
    wr_jsonw_kstr(w, "time", l->time);
    write_list(w, "key", l->key, (size_t)l->nkey);
    if (!own) write_list(w, "source_key", l->source_key, (size_t)l->nkey);
    if (same) {
        write_list(w, "columns", l->column, l->ncolumns);
    } else {
        wr_jsonw_key(w, "columns");
        wr_jsonw_obj(w);
        for (size_t i = 0; i < l->ncolumns; i++) wr_jsonw_kstr(w, l->column[i], l->of[i]);
        wr_jsonw_end(w);
    }
    if (l->ttl_us) write_duration(w, "ttl", l->ttl_us);
    wr_jsonw_end(w);
}

static void write_feature(wr_jsonw *w, const wr_view *v, const wr_view_feature *f)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", f->name);
    wr_jsonw_kstr(w, "op", f->op->name);
    if (f->of) wr_jsonw_kstr(w, "of", f->of);
    if (f->op->input == WR_VIEW_WINDOW) {
        const wr_view_group *g = &v->groups[f->group];
        if (f->nkey) write_list(w, "key", f->key, (size_t)f->nkey);
        if (!same_keys(g, f->key, f->nkey)) write_list(w, "event_key", g->key, (size_t)g->nkey);
        write_duration(w, "over", f->over_us);
    }
    wr_jsonw_end(w);
}

void wr_view_json(wr_buf *out, const wr_view *v)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "name", v->name);
    wr_jsonw_kstr(&w, "source", v->source);
    wr_jsonw_kstr(&w, "time", v->time);
    if (v->nkeep) write_list(&w, "keep", v->keep, v->nkeep);
    if (v->label) {
        wr_jsonw_key(&w, "label");
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "name", v->label);
        write_value(&w, &v->label_of);
        wr_jsonw_end(&w);
    }
    if (v->known_at) wr_jsonw_kstr(&w, "known_at", v->known_at);
    if (v->event_source) write_events(&w, v);
    wr_jsonw_key(&w, "features");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < v->nfeatures; i++) write_feature(&w, v, &v->features[i]);
    wr_jsonw_end(&w);
    if (v->nlookups) wr_jsonw_key(&w, "lookup"), wr_jsonw_arr(&w);
    for (size_t i = 0; i < v->nlookups; i++) write_lookup(&w, &v->lookups[i]);
    if (v->nlookups) wr_jsonw_end(&w);
    wr_jsonw_end(&w);
}
