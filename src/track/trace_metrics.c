/* SPDX-License-Identifier: Apache-2.0 */
/* trace_metrics.c - one statement: rows with their value and dimensions inside, groups of them outside.
 *
 * A percentile is the sum of the two values around its place, each weighed by how near it is: 1 - |rank - place| where
 * that is positive. So every aggregate is a plain one over ranked rows, in the SQL that both databases have. */
#include "track/trace_metrics.h"

#include <math.h>
#include <stdio.h>

#include "track/filter.h"
#include "track/trace_inside.h"

const char *const wr_trace_agg_names[WR_AGGS] = {"", "COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX"};

/* ---- what there is ---- */

enum {
    COUNTS = 1 << WR_AGG_COUNT,
    RANGE = 1 << WR_AGG_AVG | 1 << WR_AGG_MIN | 1 << WR_AGG_MAX | 1 << WR_AGG_PERCENTILE,
    SUMS = RANGE | 1 << WR_AGG_SUM
};
enum { NAME = 1, STATUS = 2, TYPE = 4, MODEL = 8, PROVIDER = 16, VALUE = 32 };

typedef struct {
    wr_trace_view view;
    const char *name, *value;
    int aggs, dimensions;
    bool span_time; /* spans: by their own start, not by their trace's */
} metric;

#define NUMBER_OF                                                                                                      \
    "coalesce(x.number, CASE lower(x.value) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 WHEN '\"yes\"' THEN 1.0 WHEN "  \
    "'\"no\"' THEN 0.0 END)"
static const metric metrics[] = {
    {WR_TRACE_VIEW_TRACES, "trace_count", "t.uuid", COUNTS, NAME | STATUS, false},
    {WR_TRACE_VIEW_TRACES, "session_count", "t.session", COUNTS, 0, false},
    {WR_TRACE_VIEW_TRACES, "latency", "t.duration_ms", RANGE, NAME, false},
    {WR_TRACE_VIEW_TRACES, "input_tokens", "t.input_tokens", SUMS, NAME, false},
    {WR_TRACE_VIEW_TRACES, "output_tokens", "t.output_tokens", SUMS, NAME, false},
    {WR_TRACE_VIEW_TRACES, "total_tokens", "t.total_tokens", SUMS, NAME, false},
    {WR_TRACE_VIEW_TRACES, "cache_read_input_tokens", "t.cache_read_input_tokens", SUMS, NAME, false},
    {WR_TRACE_VIEW_TRACES, "cache_creation_input_tokens", "t.cache_creation_input_tokens", SUMS, NAME, false},
    {WR_TRACE_VIEW_SPANS, "span_count", "s.span", COUNTS, NAME | TYPE | STATUS | MODEL | PROVIDER, false},
    {WR_TRACE_VIEW_SPANS, "latency", "(s.end_ns - s.start_ns) / 1000000", RANGE, NAME | STATUS, false},
    {WR_TRACE_VIEW_SPANS, "input_cost", "s.input_cost", SUMS, MODEL | PROVIDER, true},
    {WR_TRACE_VIEW_SPANS, "output_cost", "s.output_cost", SUMS, MODEL | PROVIDER, true},
    {WR_TRACE_VIEW_SPANS, "total_cost", "s.total_cost", SUMS, MODEL | PROVIDER, true},
    {WR_TRACE_VIEW_ASSESSMENTS, "assessment_count", "x.id", COUNTS, NAME | VALUE, false},
    {WR_TRACE_VIEW_ASSESSMENTS, "assessment_value", NUMBER_OF, RANGE, NAME, false},
};

typedef struct {
    wr_trace_view view;
    int bit;
    const char *name, *column;
} dimension;
static const dimension dimensions[] = {
    {WR_TRACE_VIEW_TRACES, NAME, "trace_name", "t.name"},
    {WR_TRACE_VIEW_TRACES, STATUS, "trace_status",
     "CASE t.state WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' WHEN 3 THEN 'IN_PROGRESS' ELSE 'STATE_UNSPECIFIED' END"},
    {WR_TRACE_VIEW_SPANS, NAME, "span_name", "s.name"},
    {WR_TRACE_VIEW_SPANS, TYPE, "span_type", "s.type"},
    {WR_TRACE_VIEW_SPANS, STATUS, "span_status", "CASE s.status WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END"},
    {WR_TRACE_VIEW_SPANS, MODEL, "span_model_name", "s.model"},
    {WR_TRACE_VIEW_SPANS, PROVIDER, "span_model_provider", "s.provider"},
    {WR_TRACE_VIEW_ASSESSMENTS, NAME, "assessment_name", "x.name"},
    {WR_TRACE_VIEW_ASSESSMENTS, VALUE, "assessment_value", "x.value"},
};
static const char *const from[] = {"", "track_traces t", "track_spans s JOIN track_traces t ON t.id = s.trace",
                                   "track_assessments x JOIN track_traces t ON t.id = x.trace"};
static const char *const view_names[] = {"", "TRACES", "SPANS", "ASSESSMENTS"};

/* ---- checking ---- */

static int find_metric(const metric **out, const wr_trace_metric_opt *opt, wr_err *err)
{
    WR_AUTOBUF wr_buf names = {0};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (metrics[i].view != opt->view) continue;
        *out = &metrics[i];
        if (wr_str_is(opt->metric, metrics[i].name)) return 0;
        wr_buf_printf(&names, "%s'%s'", names.n ? ", " : "", metrics[i].name);
    }
    return wr_err_set(err, WEIR_EINVAL, "metric_name must be one of [%s], got '%.*s'", wr_buf_cstr(&names),
                      WR_STR_FMT(wr_str_fit(opt->metric, 60)));
}

static int check_aggs(const metric *m, const wr_trace_metric_opt *opt, wr_err *err)
{
    WR_AUTOBUF wr_buf names = {0};
    if (!opt->naggs || opt->naggs > WR_TRACE_AGGS)
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid value for parameter 'aggregations' supplied: 1 to %d can be asked for",
                          WR_TRACE_AGGS);
    for (int k = 1; k < WR_AGGS; k++)
        if (m->aggs & 1 << k) wr_buf_printf(&names, "%s'%s'", names.n ? ", " : "", wr_trace_agg_names[k]);
    for (size_t i = 0; i < opt->naggs; i++) {
        const wr_trace_agg *g = &opt->aggs[i];
        if (!(m->aggs & 1 << g->kind))
            return wr_err_set(err, WEIR_EINVAL,
                              "Found invalid aggregation_type(s): ['%s']. Supported aggregation types: [%s]",
                              wr_trace_agg_names[g->kind], wr_buf_cstr(&names));
        if (g->kind == WR_AGG_PERCENTILE && !(g->percentile >= 0 && g->percentile <= 100))
            return wr_err_set(err, WEIR_EINVAL, "Percentile value must be between 0 and 100, got %g", g->percentile);
    }
    return 0;
}

static int find_dimension(const dimension **out, const metric *m, wr_str name, wr_err *err)
{
    WR_AUTOBUF wr_buf names = {0};
    for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++) {
        if (dimensions[i].view != m->view || !(m->dimensions & dimensions[i].bit)) continue;
        *out = &dimensions[i];
        if (wr_str_is(name, dimensions[i].name)) return 0;
        wr_buf_printf(&names, "%s'%s'", names.n ? ", " : "", dimensions[i].name);
    }
    return wr_err_set(err, WEIR_EINVAL, "Found invalid dimension(s): ['%.*s']. Supported dimensions: [%s]",
                      WR_STR_FMT(wr_str_fit(name, 60)), wr_buf_cstr(&names));
}

/* ---- filters: one clause each, equal to a text ---- */

static wr_str unquoted(wr_str key)
{
    bool quoted = key.n >= 2 && key.p[0] == key.p[key.n - 1] && (*key.p == '`' || *key.p == '"');
    return quoted ? wr_str_sub(key, 1, key.n - 1) : key;
}

static int write_item(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    int64_t id;
    wr_str key = unquoted(c->key);
    bool tag = c->field->tag == 1, run = !tag && wr_str_is(key, "mlflow.sourceRun");
    const char *column = tag && wr_str_is(key, "mlflow.traceName")        ? "t.name"
                         : !tag && wr_str_is(key, "mlflow.trace.session") ? "t.session"
                                                                          : NULL;
    if (column) {
        wr_sql_add(q, "(");
        wr_sql_add(q, column);
        wr_sql_add(q, " IS NOT NULL AND ");
        wr_filter_compare(q, column, alias, c);
        wr_sql_add(q, ")");
        return 0;
    }
    WR_TRY(wr_track_key_find(&id, t, key, err));
    wr_sql_add(q, tag ? "(EXISTS (SELECT 1 FROM track_trace_tags " : "(EXISTS (SELECT 1 FROM track_trace_metadata ");
    wr_filter_template(q, "$ WHERE $.trace = t.id AND $.key = ", alias);
    wr_sql_i64(q, id);
    wr_sql_add(q, " AND ");
    wr_filter_compare(q, "$.value", alias, c);
    wr_sql_add(q, ")");
    if (run) {
        wr_filter_template(
            q, " OR EXISTS (SELECT 1 FROM track_trace_links $ WHERE $.trace = t.uuid AND $.kind = 0 AND ", alias);
        wr_filter_compare(q, "$.target", alias, c);
        wr_sql_add(q, ")");
    }
    wr_sql_add(q, ")");
    return 0;
}

#define EQUALS(what, expression)                                                                                       \
    {                                                                                                                  \
        .names = what, .ops = WR_OP_EQ, .column = expression                                                           \
    }
static const wr_filter_field trace_fields[] = {EQUALS("status",
                                                      "CASE t.state WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' WHEN 3 THEN "
                                                      "'IN_PROGRESS' ELSE 'STATE_UNSPECIFIED' END"),
                                               {.names = "tag.*", .ops = WR_OP_EQ, .write = write_item, .tag = 1},
                                               {.names = "metadata.*", .ops = WR_OP_EQ, .write = write_item, .tag = 2},
                                               {0}};
static const wr_filter_field span_fields[] = {
    EQUALS("name", "s.name"),
    EQUALS("type", "s.type"),
    EQUALS("status", "CASE s.status WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END"),
    {0}};
static const wr_filter_field assessment_fields[] = {
    EQUALS("name", "x.name"),
    EQUALS("type", "CASE x.kind WHEN 1 THEN 'feedback' WHEN 2 THEN 'expectation' ELSE 'issue' END"),
    {0}};
static const wr_filter_entity filter_entities[] = {{.names = "trace", .fields = trace_fields},
                                                   {.names = "span", .fields = span_fields},
                                                   {.names = "assessment", .fields = assessment_fields},
                                                   {0}};
static const wr_filter_noun filter_noun = {.name = "trace metric", .entities = filter_entities};

/* The words that MLflow has for filters of metrics alone. */
static int parse(wr_filter *f, wr_arena *a, wr_str text, wr_err *err)
{
    char name[64];
    int rc = wr_filter_parse(f, a, &filter_noun, text, err);
    if (rc == 0 || !err) return rc;
    const char *quote = strchr(err->msg, '\'');
    snprintf(name, sizeof name, "%.*s", quote ? (int)strcspn(quote + 1, "'") : 0, quote ? quote + 1 : "");
    if (strncmp(err->msg, "Invalid entity type", 19) == 0)
        return wr_err_set(err, rc, "Invalid identifier '%s', expected trace.KEY, span.KEY or assessment.KEY", name);
    if (strncmp(err->msg, "Invalid comparator", 18) == 0)
        return wr_err_set(err, rc, "Invalid comparator: '%s', only '=' operator is supported", name);
    if (!strstr(err->msg, " key '")) return rc;
    if (strchr(name, '.'))
        return wr_err_set(err, rc, "Invalid filter: entity '%.*s' does not require a key", (int)strcspn(name, "."),
                          name);
    return wr_err_set(err, rc, "Invalid entity '%s' specified", name);
}

static int add_filter(wr_sql *q, wr_arena *a, wr_track *t, wr_trace_view view, wr_str text, int *alias, wr_err *err)
{
    wr_filter f;
    WR_TRY(parse(&f, a, text, err));
    const wr_filter_node *n = f.root;
    if (n && n->kind == WR_FILTER_AND && n->nkids == 1) n = n->kids[0];
    if (!n || n->kind != WR_FILTER_CLAUSE)
        return wr_err_set(err, WEIR_EINVAL, "Invalid filter: '%.*s'. Expected one filter clause.",
                          WR_STR_FMT(wr_str_fit(text, 100)));
    const wr_filter_entity *of = n->clause.entity;
    wr_trace_view needs = of == &filter_entities[1]   ? WR_TRACE_VIEW_SPANS
                          : of == &filter_entities[2] ? WR_TRACE_VIEW_ASSESSMENTS
                                                      : view;
    if (needs != view)
        return wr_err_set(err, WEIR_EINVAL, "Filtering by %s is only supported for %s view type, got %s", of->names,
                          view_names[needs], view_names[view]);
    wr_sql_add(q, " AND ");
    return wr_filter_node_sql(q, t, n, alias, err);
}

/* ---- the statement ---- */

static void add_numbered(wr_sql *q, const char *text, size_t i)
{
    wr_sql_add(q, text);
    wr_sql_int(q, (int64_t)i);
}

/* "d0, d1, ..." */
static void add_groups(wr_sql *q, size_t n)
{
    for (size_t i = 0; i < n; i++) add_numbered(q, i ? ", d" : "d", i);
}

static void add_range(wr_sql *q, const metric *m, const wr_trace_metric_opt *opt)
{
    int64_t unit = m->span_time ? 1000000 : 1, low, high;
    const char *column = m->span_time ? "s.start_ns" : "t.time_ms";
    bool from_set = opt->from_ms != WR_TRACE_NONE && !__builtin_mul_overflow(opt->from_ms, unit, &low);
    bool to_set =
        opt->to_ms != WR_TRACE_NONE && opt->to_ms < INT64_MAX && !__builtin_mul_overflow(opt->to_ms + 1, unit, &high);
    if (from_set) {
        wr_sql_add(q, " AND ");
        wr_sql_add(q, column);
        wr_sql_add(q, " >= ");
        wr_sql_i64(q, low);
    }
    if (to_set) {
        wr_sql_add(q, " AND ");
        wr_sql_add(q, column);
        wr_sql_add(q, " < ");
        wr_sql_i64(q, high);
    }
}

/* Rows: groups d0, d1, ..., and the value v. */
static int rows(wr_sql *q, wr_arena *a, wr_track *t, const metric *m, const wr_trace_metric_opt *opt,
                const char *const *columns, size_t ngroups, wr_err *err)
{
    int alias = 0;
    wr_sql_add(q, "SELECT ");
    for (size_t i = 0; i < ngroups; i++) {
        wr_sql_add(q, columns[i]);
        add_numbered(q, " AS d", i);
        wr_sql_add(q, ", ");
    }
    wr_sql_add(q, m->value);
    wr_sql_add(q, " AS v FROM ");
    wr_sql_add(q, from[m->view]);
    wr_sql_add(q, opt->nexperiments ? " WHERE t.experiment IN (" : " WHERE (1 = 0");
    for (size_t i = 0; i < opt->nexperiments; i++) {
        if (i) wr_sql_add(q, ", ");
        wr_sql_i64(q, opt->experiments[i]);
    }
    wr_sql_add(q, ") AND ");
    wr_sql_add(q, m->value);
    wr_sql_add(q, " IS NOT NULL");
    if (m->view == WR_TRACE_VIEW_ASSESSMENTS) wr_sql_add(q, " AND x.valid = 1");
    for (size_t i = 0; i < ngroups; i++) {
        wr_sql_add(q, " AND ");
        wr_sql_add(q, columns[i]);
        wr_sql_add(q, " IS NOT NULL");
    }
    add_range(q, m, opt);
    for (size_t i = 0; i < opt->nfilters; i++) WR_TRY(add_filter(q, a, t, m->view, opt->filters[i], &alias, err));
    return 0;
}

static void add_agg(wr_sql *q, const metric *m, const wr_trace_agg *g)
{
    switch (g->kind) {
    case WR_AGG_COUNT:
        wr_sql_add(q, strcmp(m->name, "session_count") == 0 ? "count(DISTINCT v)" : "count(*)");
        break;
    case WR_AGG_SUM:
        wr_sql_add(q, "sum(v)");
        break;
    case WR_AGG_AVG:
        wr_sql_add(q, "avg(v)");
        break;
    case WR_AGG_MIN:
        wr_sql_add(q, "min(v)");
        break;
    case WR_AGG_MAX:
        wr_sql_add(q, "max(v)");
        break;
    default: { /* the place is p * (n - 1), ranks count from 0 */
        char place[64];
        snprintf(place, sizeof place, "abs(rn - 1 - %.17g * (cnt - 1))", g->percentile / 100);
        wr_sql_add(q, "sum(CASE WHEN ");
        wr_sql_add(q, place);
        wr_sql_add(q, " < 1 THEN v * (1.0 - ");
        wr_sql_add(q, place);
        wr_sql_add(q, ") ELSE 0 END)");
    }
    }
}

static int statement(wr_sql *q, wr_arena *a, wr_track *t, const metric *m, const wr_trace_metric_opt *opt,
                     const char *const *columns, size_t ngroups, wr_err *err)
{
    bool ranked = false;
    for (size_t i = 0; i < opt->naggs; i++) ranked |= opt->aggs[i].kind == WR_AGG_PERCENTILE;
    wr_sql_add(q, "SELECT ");
    for (size_t i = 0; i < ngroups; i++) {
        add_numbered(q, "d", i);
        wr_sql_add(q, ", ");
    }
    for (size_t i = 0; i < opt->naggs; i++) {
        wr_sql_add(q, i ? ", CAST(" : "CAST(");
        add_agg(q, m, &opt->aggs[i]);
        wr_sql_add(q, " AS REAL)");
    }
    wr_sql_add(q, " FROM (");
    if (ranked) {
        const char *by = ngroups ? "PARTITION BY " : "";
        wr_sql_add(q, "SELECT r.*, row_number() OVER (");
        wr_sql_add(q, by);
        add_groups(q, ngroups);
        wr_sql_add(q, " ORDER BY v) AS rn, count(*) OVER (");
        wr_sql_add(q, by);
        add_groups(q, ngroups);
        wr_sql_add(q, ") AS cnt FROM (");
    }
    WR_TRY(rows(q, a, t, m, opt, columns, ngroups, err));
    wr_sql_add(q, ranked ? ") r) g" : ") g");
    if (ngroups) {
        wr_sql_add(q, " GROUP BY ");
        add_groups(q, ngroups);
        wr_sql_add(q, " ORDER BY ");
        add_groups(q, ngroups);
    }
    wr_sql_add(q, " LIMIT ");
    wr_sql_i64(q, (int64_t)opt->max);
    return 0;
}

static int read_points(wr_trace_point **out, size_t *n, wr_arena *a, wr_stmt *s, const wr_trace_metric_opt *opt,
                       wr_err *err)
{
    WR_VEC(wr_trace_point) points = {0};
    int rc;
    while ((rc = wr_step(s, err)) > 0) {
        wr_trace_point p = {.bucket_ms = WR_TRACE_NONE};
        int at = 0;
        bool any = false;
        if (opt->interval_s) p.bucket_ms = wr_stmt_i64(s, at++);
        for (size_t i = 0; i < opt->ndimensions; i++) p.dimensions[i] = wr_arena_str(a, wr_stmt_str(s, at++));
        for (size_t i = 0; i < opt->naggs; i++) any |= !isnan(p.values[i] = wr_stmt_f64(s, at++));
        if (any && (rc = wr_vec_add(&points, p, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &points, rc, err);
}

int wr_trace_metrics(wr_trace_point **out, size_t *n, wr_arena *a, wr_track *t, const wr_trace_metric_opt *opt,
                     wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    const metric *m;
    const dimension *d;
    const char *columns[WR_TRACE_DIMENSIONS + 1];
    char bucket[120];
    size_t ngroups = 0;
    wr_stmt *s;
    WR_TRY(find_metric(&m, opt, err));
    WR_TRY(check_aggs(m, opt, err));
    if (opt->interval_s < 0 || opt->interval_s > 1000000000)
        return wr_err_set(err, WEIR_EINVAL, "Invalid value %lld for parameter 'time_interval_seconds' supplied.",
                          (long long)opt->interval_s);
    if (opt->interval_s && (opt->from_ms == WR_TRACE_NONE || opt->to_ms == WR_TRACE_NONE))
        return wr_err_set(err, WEIR_EINVAL,
                          "start_time_ms and end_time_ms are required if time_interval_seconds is set");
    if (opt->ndimensions > WR_TRACE_DIMENSIONS || opt->nfilters > WR_TRACE_FILTERS)
        return wr_err_set(err, WEIR_EINVAL, "at most %d dimensions and %d filters can be asked for",
                          WR_TRACE_DIMENSIONS, WR_TRACE_FILTERS);
    if (opt->interval_s) {
        long long size = (long long)opt->interval_s * 1000;
        snprintf(bucket, sizeof bucket, "%s / %lld * %lld",
                 m->view == WR_TRACE_VIEW_SPANS ? "(s.start_ns / 1000000)" : "t.time_ms", size, size);
        columns[ngroups++] = bucket;
    }
    for (size_t i = 0; i < opt->ndimensions; i++) {
        WR_TRY(find_dimension(&d, m, opt->dimensions[i], err));
        columns[ngroups++] = d->column;
    }
    WR_TRY(statement(&q, a, t, m, opt, columns, ngroups, err));
    WR_TRY(wr_sql_prepare(&s, t, &q, err));
    return read_points(out, n, a, s, opt, err);
}
