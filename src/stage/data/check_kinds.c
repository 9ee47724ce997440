/* SPDX-License-Identifier: Apache-2.0 */
/* check_kinds.c - the kinds of checks: one line in the list and one function that turns it into SQL. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "stage/data/suite.h"

#define SQL(field, ...)                                                                                                \
    do {                                                                                                               \
        if (!((field) = wr_arena_printf(a, __VA_ARGS__))) return wr_err_nomem(err);                                    \
    } while (0)

static int needs(const wr_check *c, bool fits, const char *wanted, wr_err *err)
{
    if (fits) return 0;
    const wr_yaml *at = wr_yaml_get(c->yaml, "column");
    return wr_yaml_error(at ? at : c->yaml, WEIR_ETYPE, err, "check \"%s\" needs a %s column; \"%s\" is %s",
                         c->kind->name, wanted, c->column, c->field->type);
}

static bool is(const wr_check *c, const char *type) { return strcmp(c->field->type, type) == 0; }

static const char *shown(wr_arena *a, const wr_yaml *n)
{
    const char *s = wr_arena_printf(a, "%.*s", WR_STR_FMT(wr_str_fit(n->text, 40)));
    return s ? s : "";
}

/* "between 1 and 5", "at least 1", "at most 5" from the keys min and max. */
static int expect_bounds(wr_check *c, wr_arena *a, const char *what, wr_err *err)
{
    const wr_yaml *min = wr_yaml_get(c->yaml, "min"), *max = wr_yaml_get(c->yaml, "max");
    if (wr_yaml_null(min)) min = NULL;
    if (wr_yaml_null(max)) max = NULL;
    if (!min && !max)
        return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "check \"%s\" needs min, max or both", c->kind->name);
    const char *gap = *what ? " " : "";
    if (min && max) SQL(c->expected, "%s%sbetween %s and %s", what, gap, shown(a, min), shown(a, max));
    else SQL(c->expected, "%s%s%s %s", what, gap, min ? "at least" : "at most", shown(a, min ? min : max));
    return 0;
}

static int number_bounds(wr_check *c, wr_arena *a, const char *what, wr_err *err)
{
    WR_TRY(expect_bounds(c, a, what, err));
    WR_TRY(wr_yaml_get_f64(&c->lo, c->yaml, "min", -INFINITY, err));
    WR_TRY(wr_yaml_get_f64(&c->hi, c->yaml, "max", INFINITY, err));
    if (!(c->lo <= c->hi)) return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "min is greater than max");
    return 0;
}

static const char *filter(const wr_check *c, wr_arena *a)
{
    const char *s = c->where ? wr_arena_printf(a, " FILTER (WHERE %s)", c->where) : "";
    return s ? s : "";
}

/* ---- the schema ---- */

static int plan_type(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    static const char *const types[] = {"long",      "integer", "short",  "byte",   "double", "float",  "boolean",
                                        "timestamp", "date",    "string", "binary", "number", "decimal"};
    enum { N = sizeof types / sizeof *types };
    wr_str want;
    size_t known = 0;
    (void)s;
    WR_TRY(wr_yaml_str(&want, wr_yaml_get(c->yaml, "is"), "is", err));
    while (known < N && !wr_str_is(want, types[known])) known++;
    if (known == N && !wr_str_starts(want, "decimal(")) {
        wr_yaml_error(wr_yaml_get(c->yaml, "is"), WEIR_EINVAL, err, "unknown type \"%.*s\"",
                      WR_STR_FMT(wr_str_fit(want, 60)));
        int near = wr_str_nearest(want, types, N);
        return near >= 0 ? wr_err_hint(err, WEIR_EINVAL, "did you mean \"%s\"?", types[near])
                         : wr_err_hint(err, WEIR_EINVAL,
                                       "long, integer, short, byte, double, float, decimal, boolean, "
                                       "timestamp, date, string, binary, or number");
    }
    bool fits = wr_str_is(want, c->field->type) || (wr_str_is(want, "number") && wr_suite_is_number(c->field->type)) ||
                (wr_str_is(want, "decimal") && strncmp(c->field->type, "decimal", 7) == 0);
    c->decided = fits ? 1 : -1;
    if (fits) SQL(c->expected, "is %.*s", WR_STR_FMT(want));
    else SQL(c->expected, "is %s, expected %.*s", c->field->type, WR_STR_FMT(want));
    return 0;
}

static bool has_field(const wr_delta_snapshot *s, wr_str name)
{
    for (size_t i = 0; i < s->nfields; i++)
        if (wr_str_is(name, s->fields[i].name)) return true;
    return false;
}

static bool has_item(const wr_yaml *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (wr_str_is(list->items[i]->text, name)) return true;
    return false;
}

static int plan_columns(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const wr_yaml *exact = wr_yaml_get(c->yaml, "exact"), *list = exact ? exact : wr_yaml_get(c->yaml, "required");
    WR_AUTOBUF wr_buf b = {0};
    bool ordered = true;
    wr_buf_init(&b, 0);
    if (!list || list->kind != WR_YAML_SEQ || (exact && wr_yaml_get(c->yaml, "required")))
        return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "check \"columns\" needs a list: exact or required");
    for (size_t i = 0; i < list->n; i++) {
        wr_str name;
        WR_TRY(wr_yaml_str(&name, list->items[i], "column", err));
        ordered = ordered && i < s->nfields && wr_str_is(name, s->fields[i].name);
        if (!has_field(s, name)) wr_buf_printf(&b, "%sno column \"%.*s\"", b.n ? ", " : "", WR_STR_FMT(name));
    }
    for (size_t i = 0; exact && i < s->nfields; i++)
        if (!has_item(exact, s->fields[i].name))
            wr_buf_printf(&b, "%sunexpected column \"%s\"", b.n ? ", " : "", s->fields[i].name);
    if (exact && !b.n && !ordered) wr_buf_str(&b, "the columns stand in another order");
    c->decided = b.n ? -1 : 1;
    if (b.failed) return wr_err_nomem(err);
    SQL(c->expected, "%s", b.n ? wr_buf_cstr(&b) : exact ? "exactly the columns listed" : "the columns required");
    return 0;
}

/* ---- rows ---- */

static int plan_not_null(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    c->expected = "not null";
    SQL(c->bad, wr_suite_is_float(c->field->type) ? "%s IS NULL OR isnan(%s)" : "%s IS NULL", c->quoted, c->quoted);
    return 0;
}

/* Missing values are judged by not_null alone. */
static int judged_present(wr_check *c, wr_arena *a, wr_err *err)
{
    SQL(c->judged, "%s IS NOT NULL", c->quoted);
    return 0;
}

static int plan_between(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const wr_yaml *min = wr_yaml_get(c->yaml, "min"), *max = wr_yaml_get(c->yaml, "max");
    const char *lo = NULL, *hi = NULL, *nan = wr_suite_is_float(c->field->type) ? "isnan" : NULL;
    bool strict;
    (void)s;
    WR_TRY(needs(c, !is(c, "boolean") && !is(c, "binary"), "number, time or string", err));
    WR_TRY(wr_yaml_get_bool(&strict, c->yaml, "strict", false, err));
    WR_TRY(expect_bounds(c, a, strict ? "strictly" : "", err));
    if (!wr_yaml_null(min)) WR_TRY(wr_suite_literal(&lo, a, min, c->field->type, "min", err));
    if (!wr_yaml_null(max)) WR_TRY(wr_suite_literal(&hi, a, max, c->field->type, "max", err));
    if (lo && hi && wr_suite_is_number(c->field->type)) {
        double l = 0, h = 0;
        WR_TRY(wr_yaml_f64(&l, min, "min", err));
        WR_TRY(wr_yaml_f64(&h, max, "max", err));
        if (!(l <= h)) return wr_yaml_error(min, WEIR_EINVAL, err, "min is greater than max");
    }
    WR_TRY(judged_present(c, a, err));
    const char *low = "false", *high = "false", *low_by;
    if (lo) SQL(low, "%s %s %s", c->quoted, strict ? "<=" : "<", lo);
    if (hi) SQL(high, "%s %s %s", c->quoted, strict ? ">=" : ">", hi);
    if (wr_suite_is_number(c->field->type)) {
        SQL(low_by, lo ? "%s - CAST(%s AS DOUBLE)" : "-1e308", lo, c->quoted);
        SQL(c->worst, hi ? "greatest(%s, CAST(%s AS DOUBLE) - %s)" : "%s", low_by, c->quoted, hi);
    }
    if (nan) SQL(c->bad, "%s OR %s OR isnan(%s)", low, high, c->quoted);
    else SQL(c->bad, "%s OR %s", low, high);
    return 0;
}

static int set_list(const char **out, wr_check *c, wr_arena *a, wr_err *err)
{
    const wr_yaml *list = wr_yaml_get(c->yaml, "values");
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    if (!list || list->kind != WR_YAML_SEQ || !list->n)
        return wr_yaml_error(list ? list : c->yaml, WEIR_EINVAL, err, "check \"%s\" needs a list of values",
                             c->kind->name);
    for (size_t i = 0; i < list->n; i++) {
        const char *value;
        WR_TRY(wr_suite_literal(&value, a, list->items[i], c->field->type, "values", err));
        if (i) wr_buf_char(&b, ',');
        wr_buf_str(&b, value);
    }
    if (b.failed) return wr_err_nomem(err);
    SQL(*out, "%s", wr_buf_cstr(&b));
    SQL(c->expected, list->n == 1 ? "%s the value given" : "%s the %zu values given",
        strcmp(c->kind->name, "in_set") == 0 ? "among" : "none of", list->n);
    return 0;
}

static int plan_in_set(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const char *list;
    (void)s;
    WR_TRY(set_list(&list, c, a, err));
    WR_TRY(judged_present(c, a, err));
    SQL(c->bad, "%s NOT IN (%s)", c->quoted, list);
    return 0;
}

static int plan_not_in_set(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const char *list;
    (void)s;
    WR_TRY(set_list(&list, c, a, err));
    WR_TRY(judged_present(c, a, err));
    SQL(c->bad, "%s IN (%s)", c->quoted, list);
    return 0;
}

static int plan_matches(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    wr_str regex;
    const char *text;
    (void)s;
    WR_TRY(needs(c, is(c, "string"), "string", err));
    WR_TRY(wr_yaml_str(&regex, wr_yaml_get(c->yaml, "regex"), "regex", err));
    WR_TRY(wr_suite_literal(&text, a, wr_yaml_get(c->yaml, "regex"), "string", "regex", err));
    WR_TRY(judged_present(c, a, err));
    SQL(c->bad, "NOT regexp_full_match(%s, %s)", c->quoted, text);
    SQL(c->expected, "matches %.*s", WR_STR_FMT(wr_str_fit(regex, 60)));
    return 0;
}

static int plan_length_between(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    WR_TRY(needs(c, is(c, "string"), "string", err));
    WR_TRY(number_bounds(c, a, "length", err));
    WR_TRY(judged_present(c, a, err));
    double lo = fmax(c->lo, 0), hi = fmin(c->hi, 9e15);
    SQL(c->bad, "length(%s) NOT BETWEEN %.17g AND %.17g", c->quoted, lo, hi);
    return 0;
}

static int plan_unique(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    (void)s;
    wr_buf_init(&b, 0);
    for (size_t i = 0; i < c->ncolumns; i++) {
        if (i) wr_buf_str(&b, ", ");
        wr_sql_ident(&b, wr_str_of(c->columns[i]));
    }
    if (b.failed) return wr_err_nomem(err);
    SQL(c->groups, "%s", wr_buf_cstr(&b));
    c->expected = "no row twice";
    return 0;
}

/* A row violates when it is below the greatest value before it: without such rows the column does increase. */
static int plan_increasing(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    bool strict;
    (void)s;
    WR_TRY(wr_yaml_get_bool(&strict, c->yaml, "strict", false, err));
    WR_TRY(judged_present(c, a, err));
    SQL(c->helper, "max(%s)%s OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND %s)", c->quoted, filter(c, a),
        strict ? "1 PRECEDING" : "CURRENT ROW");
    SQL(c->bad, "%s %s ", c->quoted, strict ? "<=" : "<"); /* the helper's name follows: see check.c */
    c->expected = strict ? "strictly increasing" : "never decreasing";
    return 0;
}

/* ---- numbers ---- */

static int plan_null_share(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    WR_TRY(wr_yaml_f64(&c->hi, wr_yaml_get(c->yaml, "max"), "max", err));
    SQL(c->value, "avg(CASE WHEN %s IS NULL THEN 1 ELSE 0 END)%s", c->quoted, filter(c, a));
    SQL(c->expected, "share of missing values at most %g", c->hi);
    return 0;
}

static int plan_row_count(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    WR_TRY(number_bounds(c, a, "rows", err));
    SQL(c->value, "count(*)%s", filter(c, a));
    return 0;
}

static int plan_distinct_count(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    WR_TRY(number_bounds(c, a, "distinct values", err));
    SQL(c->value, "count(DISTINCT %s)%s", c->quoted, filter(c, a));
    return 0;
}

static int plan_freshness(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    const wr_yaml *bound = wr_yaml_get(c->yaml, "not_before"), *age = wr_yaml_get(c->yaml, "max_age");
    int64_t us;
    char text[WR_TIME_TEXT];
    wr_str at;
    (void)s;
    WR_TRY(needs(c, is(c, "timestamp") || is(c, "date"), "timestamp or date", err));
    if (!bound == !age)
        return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "check \"freshness\" needs not_before or max_age");
    if (bound) {
        WR_TRY(wr_yaml_str(&at, bound, "not_before", err));
        if (wr_time_parse(&us, at, NULL) < 0)
            return wr_yaml_error(bound, WEIR_ETYPE, err, "\"not_before\" must be a time such as 2001-06-30");
    } else {
        WR_TRY(wr_yaml_duration_us(&us, age, "max_age", err));
        us = wr_clock_wall_us() - us;
    }
    c->lo = (double)us;
    c->is_time = true;
    wr_time_format(text, us);
    SQL(c->value, "epoch_us(max(%s)%s)", c->quoted, filter(c, a));
    SQL(c->expected, "newest not before %s", text);
    return 0;
}

static int number_value(wr_check *c, wr_arena *a, const char *what, const char *function, double q, wr_err *err)
{
    WR_TRY(needs(c, wr_suite_is_number(c->field->type), "number", err));
    WR_TRY(number_bounds(c, a, what, err));
    if (q >= 0) SQL(c->value, "%s(CAST(%s AS DOUBLE), %.17g)%s", function, c->quoted, q, filter(c, a));
    else SQL(c->value, "%s(CAST(%s AS DOUBLE))%s", function, c->quoted, filter(c, a));
    return 0;
}

static int plan_mean(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    return number_value(c, a, "mean", "avg", -1, err);
}

static int plan_std(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    (void)s;
    return number_value(c, a, "standard deviation", "stddev_samp", -1, err);
}

static int plan_quantile(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    double q;
    char what[48];
    const wr_yaml *at = wr_yaml_get(c->yaml, "q");
    (void)s;
    WR_TRY(wr_yaml_f64(&q, at, "q", err));
    if (!(q >= 0 && q <= 1)) return wr_yaml_error(at, WEIR_EINVAL, err, "\"q\" is between 0 and 1");
    snprintf(what, sizeof what, "quantile %g", q);
    return number_value(c, a, what, "quantile_cont", q, err);
}

static int plan_sql(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err)
{
    wr_str select;
    const wr_yaml *at = wr_yaml_get(c->yaml, "select");
    (void)s;
    if (!at == !c->where)
        return wr_yaml_error(c->yaml, WEIR_EINVAL, err,
                             "check \"sql\" needs where (violating rows) or select (a number)");
    if (c->where) {
        if (wr_yaml_get(c->yaml, "min") || wr_yaml_get(c->yaml, "max"))
            return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "min and max go with select, not with where");
        c->bad = c->where;
        SQL(c->expected, "no row where %.100s", wr_yaml_get(c->yaml, "where")->text.p);
        c->where = NULL; /* here it says what violates, not what is judged */
        return 0;
    }
    if (c->quarantine || c->mostly < 1)
        return wr_yaml_error(c->yaml, WEIR_EINVAL, err, "mostly and action need rows: write where instead of select");
    WR_TRY(wr_yaml_str(&select, at, "select", err));
    WR_TRY(number_bounds(c, a, "", err));
    SQL(c->select, "%.*s", WR_STR_FMT(select));
    return 0;
}

#define KEYS(...)                                                                                                      \
    (const char *const[]) { __VA_ARGS__, NULL }
#define NONE                                                                                                           \
    (const char *const[]) { NULL }
const wr_check_kind wr_check_kinds[] = {
    {"type", "the column's type (is: timestamp)", WR_CHECK_COLUMN, KEYS("is"), plan_type},
    {"columns", "the dataset's columns (exact: [...] or required: [...])", WR_CHECK_TABLE, KEYS("exact", "required"),
     plan_columns},
    {"not_null", "no missing value", WR_CHECK_COLUMN | WR_CHECK_ROWS, NONE, plan_not_null},
    {"null_share", "share of missing values (max)", WR_CHECK_COLUMN, KEYS("max"), plan_null_share},
    {"between", "value from min to max (strict: true leaves the bounds out)", WR_CHECK_COLUMN | WR_CHECK_ROWS,
     KEYS("min", "max", "strict"), plan_between},
    {"in_set", "value is one of `values`", WR_CHECK_COLUMN | WR_CHECK_ROWS, KEYS("values"), plan_in_set},
    {"not_in_set", "value is none of `values`", WR_CHECK_COLUMN | WR_CHECK_ROWS, KEYS("values"), plan_not_in_set},
    {"matches", "the whole text matches `regex` (RE2)", WR_CHECK_COLUMN | WR_CHECK_ROWS, KEYS("regex"), plan_matches},
    {"length_between", "characters of the text (min, max)", WR_CHECK_COLUMN | WR_CHECK_ROWS, KEYS("min", "max"),
     plan_length_between},
    {"unique", "no two rows equal in `columns`; the second and later ones violate", WR_CHECK_COLUMNS | WR_CHECK_ROWS,
     NONE, plan_unique},
    {"increasing", "never below a value before it (strict: true: never equal)", WR_CHECK_COLUMN | WR_CHECK_ROWS,
     KEYS("strict"), plan_increasing},
    {"row_count", "number of rows (min, max)", WR_CHECK_TABLE, KEYS("min", "max"), plan_row_count},
    {"distinct_count", "number of different values (min, max)", WR_CHECK_COLUMN, KEYS("min", "max"),
     plan_distinct_count},
    {"freshness", "newest time (not_before: TIME or max_age: 2d)", WR_CHECK_COLUMN, KEYS("not_before", "max_age"),
     plan_freshness},
    {"mean_between", "mean (min, max)", WR_CHECK_COLUMN, KEYS("min", "max"), plan_mean},
    {"std_between", "standard deviation (min, max)", WR_CHECK_COLUMN, KEYS("min", "max"), plan_std},
    {"quantile_between", "quantile `q` (min, max)", WR_CHECK_COLUMN, KEYS("q", "min", "max"), plan_quantile},
    {"sql", "where: condition of violating rows, or select: query of one number (min, max) over `this`",
     WR_CHECK_TABLE | WR_CHECK_ROWS, KEYS("select", "min", "max"), plan_sql},
};
const size_t wr_check_kinds_count = sizeof wr_check_kinds / sizeof *wr_check_kinds;
