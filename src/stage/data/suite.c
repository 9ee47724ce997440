/* SPDX-License-Identifier: Apache-2.0 */
/* suite.c - reading suites: shape, common keys, columns, literals. What each kind means is in check_kinds.c. */
#include "stage/data/suite.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/file.h"

enum { MOST_CHECKS = 2000, MOST_KEYS = 24 };

/* ---- columns and literals ---- */

bool wr_suite_is_float(const char *type) { return strcmp(type, "double") == 0 || strcmp(type, "float") == 0; }

bool wr_suite_is_number(const char *type)
{
    static const char *const whole[] = {"long", "integer", "short", "byte"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(type, whole[i]) == 0) return true;
    return wr_suite_is_float(type) || strncmp(type, "decimal", 7) == 0;
}

const char *wr_suite_ident(wr_arena *a, const char *name)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    wr_sql_ident(&b, wr_str_of(name));
    return b.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&b));
}

int wr_suite_column(const wr_delta_field **out, const wr_delta_snapshot *s, const wr_yaml *at, wr_err *err)
{
    wr_str name;
    WR_TRY(wr_yaml_str(&name, at, "column", err));
    for (size_t i = 0; i < s->nfields; i++)
        if (wr_str_is(name, s->fields[i].name)) return *out = &s->fields[i], 0;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    const char **names = a ? wr_arena_calloc(a, s->nfields + 1, sizeof *names) : NULL;
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nfields; i++) names[i] = s->fields[i].name;
    wr_yaml_error(at, WEIR_ENOTFOUND, err, "no column \"%.*s\" in the dataset", WR_STR_FMT(wr_str_fit(name, 60)));
    int near = wr_str_nearest(name, names, s->nfields);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]) : WEIR_ENOTFOUND;
}

int wr_suite_columns(const char ***out, size_t *n, wr_arena *a, const wr_delta_snapshot *s, const wr_yaml *at,
                     const char *what, wr_err *err)
{
    const wr_delta_field *f;
    bool one = at && at->kind == WR_YAML_SCALAR;
    if (!at || at->kind == WR_YAML_MAP || wr_yaml_null(at) || (!one && at->n == 0))
        return wr_yaml_error(at, WEIR_EINVAL, err, "\"%s\" must be a column or a list of columns", what);
    *n = one ? 1 : at->n;
    *out = wr_arena_calloc(a, *n + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        WR_TRY(wr_suite_column(&f, s, one ? at : at->items[i], err));
        (*out)[i] = wr_arena_strdup(a, f->name);
        if (!(*out)[i]) return wr_err_nomem(err);
        for (size_t j = 0; j < i; j++)
            if (strcmp((*out)[j], f->name) == 0)
                return wr_yaml_error(at->items[i], WEIR_EINVAL, err, "column \"%s\" is named twice", f->name);
    }
    return 0;
}

static const char *text_literal(wr_arena *a, wr_str s)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    wr_sql_text(&b, s);
    return b.failed ? NULL : wr_arena_strdup(a, wr_buf_cstr(&b));
}

static int time_literal(const char **out, wr_arena *a, const wr_yaml *at, bool date, const char *what, wr_err *err)
{
    int64_t us;
    wr_str s;
    WR_TRY(wr_yaml_str(&s, at, what, err));
    if (wr_time_parse(&us, s, NULL) < 0) {
        wr_yaml_error(at, WEIR_ETYPE, err, "\"%s\" must be a time, not \"%.*s\"", what, WR_STR_FMT(wr_str_fit(s, 60)));
        return wr_err_hint(err, WEIR_ETYPE, "for example 2001-06-30 or 2001-06-30T12:00:00Z");
    }
    *out = wr_arena_printf(a, date ? "CAST(make_timestamp(%lld) AS DATE)" : "make_timestamp(%lld)", (long long)us);
    return *out ? 0 : wr_err_nomem(err);
}

int wr_suite_literal(const char **out, wr_arena *a, const wr_yaml *at, const char *type, const char *what, wr_err *err)
{
    wr_str s;
    double number;
    int64_t whole;
    bool truth, date = strcmp(type, "date") == 0;
    if (wr_suite_is_number(type)) {
        if (wr_yaml_i64(&whole, at, what, NULL) == 0) *out = wr_arena_printf(a, "%lld", (long long)whole);
        else {
            WR_TRY(wr_yaml_f64(&number, at, what, err));
            *out = wr_arena_printf(a, "CAST('%.17g' AS DOUBLE)", number);
        }
    } else if (date || strcmp(type, "timestamp") == 0) {
        return time_literal(out, a, at, date, what, err);
    } else if (strcmp(type, "boolean") == 0) {
        WR_TRY(wr_yaml_bool(&truth, at, what, err));
        *out = truth ? "true" : "false";
    } else {
        WR_TRY(wr_yaml_str(&s, at, what, err));
        *out = text_literal(a, s);
    }
    return *out ? 0 : wr_err_nomem(err);
}

/* ---- one check ---- */

static int find_kind(const wr_check_kind **out, const wr_yaml *y, wr_err *err)
{
    const char *names[64];
    wr_str name;
    size_t n = wr_check_kinds_count < 64 ? wr_check_kinds_count : 64;
    const wr_yaml *at = wr_yaml_get(y, "check");
    if (y->kind != WR_YAML_MAP || !at)
        return wr_yaml_error(y, WEIR_EINVAL, err, "a check is a map that says which: {check: not_null, column: ...}");
    WR_TRY(wr_yaml_str(&name, at, "check", err));
    for (size_t i = 0; i < n; i++) {
        names[i] = wr_check_kinds[i].name;
        if (wr_str_is(name, names[i])) return *out = &wr_check_kinds[i], 0;
    }
    wr_yaml_error(at, WEIR_EINVAL, err, "unknown check \"%.*s\"", WR_STR_FMT(wr_str_fit(name, 60)));
    int near = wr_str_nearest(name, names, n);
    return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, WEIR_EINVAL, "weir data check --help lists the checks");
}

static int known_keys(const wr_check_kind *k, const wr_yaml *y, wr_err *err)
{
    const char *known[MOST_KEYS + 1] = {"check", "name", "severity", "where"};
    size_t n = 4;
    char what[80];
    if (k->shape & WR_CHECK_COLUMN) known[n++] = "column";
    if (k->shape & (WR_CHECK_COLUMN | WR_CHECK_COLUMNS)) known[n++] = "columns";
    if (k->shape & WR_CHECK_ROWS) {
        known[n++] = "mostly";
        known[n++] = "action";
    }
    for (size_t i = 0; k->keys[i] && n < MOST_KEYS; i++) known[n++] = k->keys[i];
    snprintf(what, sizeof what, "check \"%s\"", k->name);
    return wr_yaml_known(y, what, known, err);
}

/* One of two words; `*second` says which. */
static int choice(bool *second, const wr_yaml *y, const char *key, const char *first, const char *other, wr_err *err)
{
    wr_str word;
    const char *const words[] = {first, other};
    *second = false;
    WR_TRY(wr_yaml_get_str(&word, y, key, first, err));
    *second = wr_str_is(word, other);
    if (*second || wr_str_is(word, first)) return 0;
    wr_yaml_error(wr_yaml_get(y, key), WEIR_EINVAL, err, "\"%s\" is %s or %s, not \"%.*s\"", key, first, other,
                  WR_STR_FMT(wr_str_fit(word, 60)));
    int near = wr_str_nearest(word, words, 2);
    return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", words[near]) : WEIR_EINVAL;
}

static int common(wr_check *c, wr_arena *a, const wr_yaml *y, wr_err *err)
{
    wr_str where;
    WR_TRY(choice(&c->warn, y, "severity", "error", "warn", err));
    WR_TRY(choice(&c->quarantine, y, "action", "none", "quarantine", err));
    WR_TRY(wr_yaml_get_f64(&c->mostly, y, "mostly", 1, err));
    if (!(c->mostly >= 0 && c->mostly <= 1))
        return wr_yaml_error(wr_yaml_get(y, "mostly"), WEIR_EINVAL, err, "\"mostly\" is a share between 0 and 1");
    WR_TRY(wr_yaml_get_str(&where, y, "where", NULL, err));
    if (where.p) c->where = wr_arena_printf(a, "(%.*s)", WR_STR_FMT(where));
    return where.p && !c->where ? wr_err_nomem(err) : 0;
}

/* The name given, or "COLUMN_KIND", made unique with a number; for the _reason of quarantined rows and for metrics. */
static int name_check(wr_suite *suite, wr_check *c, wr_arena *a, bool many, wr_err *err)
{
    wr_str given;
    const wr_yaml *at = wr_yaml_get(c->yaml, "name");
    WR_TRY(wr_yaml_get_str(&given, c->yaml, "name", NULL, err));
    if (given.p && !wr_name_ok(given)) {
        wr_yaml_error(at, WEIR_EINVAL, err, "\"%.*s\" is not a name", WR_STR_FMT(wr_str_fit(given, 60)));
        return wr_err_hint(err, WEIR_EINVAL, "letters, digits, '_', '-' and '.'");
    }
    char *base = given.p && many ? wr_arena_printf(a, "%.*s_%s", WR_STR_FMT(given), c->column)
                 : given.p       ? wr_arena_strdup(a, given.p)
                 : c->column     ? wr_arena_printf(a, "%s_%s", c->column, c->kind->name)
                                 : wr_arena_strdup(a, c->kind->name);
    for (char *p = base; p && *p; p++)
        if (*p == ',' || (unsigned char)*p <= ' ') *p = '_'; /* reasons are joined by commas */
    c->name = base;
    for (size_t i = 0, k = 2; base && c->name && i < suite->n;) {
        if (strcmp(suite->check[i++].name, c->name) != 0) continue;
        if (given.p && !many) return wr_yaml_error(at, WEIR_EINVAL, err, "two checks are called \"%s\"", base);
        c->name = wr_arena_printf(a, "%s_%zu", base, k++);
        i = 0;
    }
    return c->name ? 0 : wr_err_nomem(err);
}

static int add_check(wr_suite *suite, const wr_check *proto, wr_arena *a, const wr_delta_snapshot *s, bool many,
                     wr_err *err)
{
    if (suite->n == MOST_CHECKS)
        return wr_yaml_error(proto->yaml, WEIR_ELIMIT, err, "more than %d checks", MOST_CHECKS);
    wr_check *c = &suite->check[suite->n];
    *c = *proto;
    if (c->field) {
        c->column = wr_arena_strdup(a, c->field->name);
        c->quoted = wr_suite_ident(a, c->field->name);
        if (!c->column || !c->quoted) return wr_err_nomem(err);
    }
    WR_TRY(name_check(suite, c, a, many, err));
    WR_TRY(c->kind->plan(c, a, s, err));
    if (!c->expected) return wr_err_nomem(err);
    suite->n++;
    return 0;
}

static int per_column(wr_suite *suite, wr_check *proto, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const wr_yaml *one = wr_yaml_get(proto->yaml, "column"), *list = wr_yaml_get(proto->yaml, "columns");
    const char **names;
    size_t n;
    if (!one == !list)
        return wr_yaml_error(proto->yaml, WEIR_EINVAL, err, "check \"%s\" needs %s of column and columns",
                             proto->kind->name, one ? "only one" : "one");
    if (one) {
        WR_TRY(wr_suite_column(&proto->field, s, one, err));
        return add_check(suite, proto, a, s, false, err);
    }
    WR_TRY(wr_suite_columns(&names, &n, a, s, list, "columns", err));
    for (size_t i = 0; i < n; i++) {
        for (size_t f = 0; f < s->nfields; f++)
            if (strcmp(s->fields[f].name, names[i]) == 0) proto->field = &s->fields[f];
        WR_TRY(add_check(suite, proto, a, s, true, err));
    }
    return 0;
}

static int bind_one(wr_suite *suite, const wr_yaml *y, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    wr_check c = {.yaml = y, .lo = -INFINITY, .hi = INFINITY};
    WR_TRY(find_kind(&c.kind, y, err));
    WR_TRY(known_keys(c.kind, y, err));
    WR_TRY(common(&c, a, y, err));
    if (c.kind->shape & WR_CHECK_COLUMN) return per_column(suite, &c, a, s, err);
    if (c.kind->shape & WR_CHECK_COLUMNS)
        WR_TRY(wr_suite_columns(&c.columns, &c.ncolumns, a, s, wr_yaml_get(y, "columns"), "columns", err));
    return add_check(suite, &c, a, s, false, err);
}

int wr_suite_bind(wr_suite *suite, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    suite->n = 0;
    suite->check = wr_arena_calloc(a, MOST_CHECKS, sizeof *suite->check);
    if (!suite->check) return wr_err_nomem(err);
    for (size_t i = 0; suite->checks && i < suite->checks->n; i++)
        WR_TRY(bind_one(suite, suite->checks->items[i], a, s, err));
    return 0;
}

/* ---- the file ---- */

static int shape(wr_suite *out, const wr_yaml *y, wr_err *err)
{
    static const char *const keys[] = {"suite", "checks", "clean", NULL};
    const wr_check_kind *kind;
    wr_str name;
    WR_TRY(wr_yaml_known(y, "the suite", keys, err));
    WR_TRY(wr_yaml_get_str(&name, y, "suite", "", err));
    out->name = name.p;
    out->checks = wr_yaml_get(y, "checks");
    out->clean = wr_yaml_get(y, "clean");
    if (wr_yaml_null(out->clean)) out->clean = NULL;
    if (wr_yaml_null(out->checks)) out->checks = NULL;
    if (out->checks && out->checks->kind != WR_YAML_SEQ)
        return wr_yaml_error(out->checks, WEIR_ETYPE, err, "\"checks\" must be a list");
    if (!out->checks && !out->clean) {
        wr_yaml_error(y, WEIR_EINVAL, err, "the suite has no checks");
        return wr_err_hint(err, WEIR_EINVAL, "checks: [{check: not_null, column: date}]");
    }
    for (size_t i = 0; out->checks && i < out->checks->n; i++) {
        WR_TRY(find_kind(&kind, out->checks->items[i], err));
        WR_TRY(known_keys(kind, out->checks->items[i], err));
    }
    return 0;
}

int wr_suite_load(wr_suite *out, wr_arena *a, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_yaml *y;
    wr_buf_init(&text, 0);
    memset(out, 0, sizeof *out);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    wr_str kept = wr_arena_str(a, wr_buf_view(&text));
    out->path = wr_arena_strdup(a, path);
    if (!kept.p || !out->path) return wr_err_nomem(err);
    wr_sha256_of(kept.p, kept.n, out->hash);
    WR_TRY(wr_yaml_parse(&y, a, kept, out->path, err));
    return shape(out, y, err);
}
