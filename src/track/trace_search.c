/* SPDX-License-Identifier: Apache-2.0 */
/* trace_search.c - what a search may name of a trace, and the search. */
#include "track/trace_search.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "track/search.h"
#include "track/trace_inside.h"

/* ---- clauses on spans ---- */

enum { SPAN_NAME = 1, SPAN_TYPE, SPAN_STATUS, SPAN_CONTENT, SPAN_ATTRIBUTE };

/* Into a regular expression: characters that mean something there get a backslash. */
static void literal(wr_buf *out, wr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("\\^$.|?*+()[]{}", s.p[i]) && s.p[i]) wr_buf_char(out, '\\');
        wr_buf_char(out, s.p[i]);
    }
}

/* One character of an attribute's JSON inside the kept JSON; and of a text, which was written as JSON twice, so that
 * its quotes are \\\" there and its end is \". */
#define UNIT      "([^\"\\\\]|\\\\.)"
#define TEXT_UNIT "([^\"\\\\]|\\\\\\\\([^\"\\\\]|\\\\.))"

/* The pattern of LIKE over an attribute's text, as a regular expression over the span's text. */
static void like_pattern(wr_buf *out, wr_str pattern, bool text)
{
    const char *unit = text ? TEXT_UNIT : UNIT;
    WR_AUTOBUF wr_buf once = {0}, twice = {0};
    for (size_t from = 0, i = 0; i <= pattern.n; i++) {
        if (i < pattern.n && pattern.p[i] != '%' && pattern.p[i] != '_') continue;
        wr_buf_clear(&once);
        wr_buf_clear(&twice);
        wr_span_json_str(&once, wr_str_sub(pattern, from, i));
        wr_span_json_str(&twice, wr_str_sub(wr_buf_view(&once), 1, once.n - 1));
        literal(out, wr_str_sub(wr_buf_view(&twice), 1, twice.n - 1));
        if (i < pattern.n) wr_buf_str(out, unit);
        if (i < pattern.n && pattern.p[i] == '%') wr_buf_char(out, '*');
        from = i + 1;
    }
}

static wr_str unquoted(wr_str key)
{
    bool quoted = key.n >= 2 && key.p[0] == key.p[key.n - 1] && (*key.p == '`' || *key.p == '"');
    return quoted ? wr_str_sub(key, 1, key.n - 1) : key;
}

/* "KEY": with what follows in the span's text */
static void attribute_start(wr_buf *out, wr_str key)
{
    wr_span_json_str(out, key);
    wr_buf_str(out, ": \"");
}

static void add_contains(wr_sql *q, const char *alias, wr_arena *a, const wr_buf *needle)
{
    wr_sql_add(q, "instr(");
    wr_sql_add(q, alias);
    wr_sql_add(q, ".content, ");
    wr_sql_str(q, wr_arena_str(a, wr_buf_view(needle)));
    wr_sql_add(q, ") > 0");
}

/* The attribute is this text; or, when the text is a number or the like, this JSON. */
static void attribute_is(wr_sql *q, const char *alias, wr_arena *a, wr_str key, wr_str value)
{
    WR_AUTOBUF wr_buf once = {0}, needle = {0};
    double number;
    wr_span_json_str(&once, value);
    wr_span_json_str(&needle, key);
    wr_buf_str(&needle, ": ");
    wr_span_json_str(&needle, wr_buf_view(&once));
    wr_sql_add(q, "(");
    add_contains(q, alias, a, &needle);
    if (wr_num_f64(&number, value, NULL) == 0 || wr_str_is(value, "true") || wr_str_is(value, "false") ||
        wr_str_is(value, "null")) {
        wr_buf_clear(&needle);
        wr_span_json_str(&needle, key);
        wr_buf_str(&needle, ": ");
        wr_span_json_str(&needle, value);
        wr_sql_add(q, " OR ");
        add_contains(q, alias, a, &needle);
    }
    wr_sql_add(q, ")");
}

static void add_matches(wr_sql *q, const char *function, const char *alias, wr_arena *a, const wr_buf *pattern)
{
    wr_sql_add(q, function);
    wr_sql_add(q, "(");
    wr_sql_add(q, alias);
    wr_sql_add(q, ".content, ");
    wr_sql_str(q, wr_arena_str(a, wr_buf_view(pattern)));
    wr_sql_add(q, ")");
}

/* LIKE is bounded by the value's own quotes: those of the text, or those of the JSON when it is no text. */
static void attribute_like(wr_sql *q, const char *alias, wr_arena *a, wr_str start, wr_str pattern)
{
    WR_AUTOBUF wr_buf begin = {0}, p = {0};
    wr_buf_slice(&begin, start);
    wr_buf_str(&begin, "\\\"");
    for (int text = 1; text >= 0; text--) {
        wr_buf_clear(&p);
        literal(&p, text ? wr_buf_view(&begin) : start);
        like_pattern(&p, pattern, text);
        wr_buf_str(&p, text ? "\\\\\"\"" : "\"");
        wr_sql_add(q, text ? "(" : " OR NOT ");
        add_contains(q, alias, a, &begin);
        wr_sql_add(q, " AND ");
        add_matches(q, "wr_rlike", alias, a, &p);
    }
    wr_sql_add(q, ")");
}

static void attribute_matches(wr_sql *q, const char *alias, wr_arena *a, wr_str key, const wr_filter_clause *c)
{
    WR_AUTOBUF wr_buf name = {0}, p = {0};
    wr_str value = c->values[0].text;
    attribute_start(&name, key);
    if (c->op & (WR_OP_LIKE | WR_OP_NOT_LIKE)) {
        attribute_like(q, alias, a, wr_buf_view(&name), value);
    } else if (c->op & (WR_OP_ILIKE | WR_OP_NOT_ILIKE)) { /* no bounds but the name, as in MLflow */
        wr_buf_char(&p, '%');
        wr_buf_slice(&p, wr_buf_view(&name));
        wr_buf_char(&p, '%');
        wr_buf_slice(&p, value);
        wr_buf_char(&p, '%');
        add_matches(q, "wr_ilike", alias, a, &p);
    } else {
        bool begin = value.n && value.p[0] == '^', end = value.n && value.p[value.n - 1] == '$';
        literal(&p, wr_buf_view(&name));
        wr_buf_str(&p, begin ? "(\\\\\")?" : UNIT "*");
        wr_buf_char(&p, '(');
        wr_buf_slice(&p, wr_str_sub(value, begin, value.n - end));
        wr_buf_char(&p, ')');
        if (end) wr_buf_str(&p, "(\\\\\")?\"");
        add_matches(q, "wr_rlike", alias, a, &p);
    }
}

static void attribute_condition(wr_sql *q, const char *alias, wr_arena *a, const wr_filter_clause *c)
{
    wr_str key = unquoted(c->key);
    unsigned negated = WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_LIKE | WR_OP_NOT_ILIKE | WR_OP_NOT_RLIKE;
    WR_AUTOBUF wr_buf start = {0};
    attribute_start(&start, key);
    add_contains(q, alias, a, &start);
    if (c->op & WR_OP_NOT_NULL) return;
    wr_sql_add(q, c->op & negated ? " AND NOT (" : " AND (");
    if (c->op & (WR_OP_EQ | WR_OP_NE | WR_OP_IN | WR_OP_NOT_IN)) {
        for (size_t i = 0; i < c->nvalues; i++) {
            if (i) wr_sql_add(q, " OR ");
            attribute_is(q, alias, a, key, c->values[i].text);
        }
    } else {
        attribute_matches(q, alias, a, key, c);
    }
    wr_sql_add(q, ")");
}

/* One condition on the span with that alias. */
static int span_condition(wr_sql *q, wr_arena *a, const wr_filter_clause *c, int alias, wr_err *err)
{
    static const char *const columns[] = {
        NULL, "$.name", "$.type", "CASE $.status WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END", "$.content"};
    char name[16];
    snprintf(name, sizeof name, "f%d", alias);
    if (c->field->tag == SPAN_ATTRIBUTE) {
        if (!unquoted(c->key).n)
            return wr_err_set(err, WEIR_EINVAL, "Span attribute name cannot be empty after 'attributes.'");
        attribute_condition(q, name, a, c);
    } else {
        wr_filter_compare(q, columns[c->field->tag], alias, c);
    }
    return 0;
}

/* Arena for the texts that clauses bind; set around one call of the parser's writer. */
static _Thread_local wr_arena *writing_to;

static int span_open(wr_sql *q, int alias)
{
    wr_filter_template(q, "(EXISTS (SELECT 1 FROM track_spans $ WHERE $.trace = t.id AND ", alias);
    return 0;
}

static int write_span(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    (void)t;
    span_open(q, alias);
    WR_TRY(span_condition(q, writing_to, c, alias, err));
    wr_sql_add(q, "))");
    return 0;
}

/* ---- runs, prompts ---- */

static int write_run(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    int64_t key;
    WR_TRY(wr_track_key_find(&key, t, WR_STR("mlflow.sourceRun"), err));
    bool absent = c->op == WR_OP_IS_NULL, null = c->op & WR_OPS_NULL;
    wr_sql_add(q, absent ? "(NOT (" : "((");
    wr_filter_template(q, "EXISTS (SELECT 1 FROM track_trace_metadata $ WHERE $.trace = t.id AND $.key = ", alias);
    wr_sql_i64(q, key);
    if (!null) {
        wr_sql_add(q, " AND ");
        wr_filter_compare(q, "$.value", alias, c);
    }
    wr_filter_template(q, ") OR EXISTS (SELECT 1 FROM track_trace_links $ WHERE $.trace = t.uuid AND $.kind = 0",
                       alias);
    if (!null) {
        wr_sql_add(q, " AND ");
        wr_filter_compare(q, "$.target", alias, c);
    }
    wr_sql_add(q, ")))");
    return 0;
}

static int write_prompt(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    (void)t;
    wr_str value = c->nvalues ? c->values[0].text : WR_STR("");
    if (c->op != WR_OP_EQ)
        return wr_err_set(
            err, WEIR_EINVAL,
            "Invalid comparator '%s' for prompts filter. Only '=' is supported with format: prompt = \"name/version\"",
            wr_filter_op_name(c->op));
    const char *slash = memchr(value.p, '/', value.n);
    if (!slash || memchr(slash + 1, '/', value.n - (size_t)(slash + 1 - value.p)))
        return wr_err_set(err, WEIR_EINVAL,
                          "Invalid prompts filter value '%.*s'. Expected format: prompt = \"name/version\"",
                          WR_STR_FMT(wr_str_fit(value, 100)));
    wr_filter_template(
        q, "(EXISTS (SELECT 1 FROM track_trace_links $ WHERE $.trace = t.uuid AND $.kind = 1 AND $.target = ", alias);
    wr_sql_str(q, value);
    wr_sql_add(q, "))");
    return 0;
}

/* ---- feedback, expectations, issues ---- */

#define PLAIN "CASE WHEN substr($.value, 1, 1) = '\"' THEN substr($.value, 2, length($.value) - 2) ELSE $.value END"

/* Over the JSON as it is kept: a text is written with quotes and escapes there. */
static void value_is(wr_sql *q, wr_str value, int alias)
{
    WR_AUTOBUF wr_buf json = {0};
    double number;
    wr_span_json_str(&json, value);
    wr_filter_template(q, "$.value IN (", alias);
    wr_sql_str(q, value);
    wr_sql_add(q, ", ");
    wr_sql_str(q, wr_arena_str(writing_to, wr_buf_view(&json)));
    wr_sql_add(q, ")");
    if (wr_num_f64(&number, value, NULL) < 0 || !isfinite(number)) return;
    wr_filter_template(q, " OR coalesce($.number = ", alias);
    wr_sql_f64(q, number);
    wr_sql_add(q, ", 1 = 0)");
}

static void value_condition(wr_sql *q, const wr_filter_clause *c, int alias)
{
    unsigned negated = WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_LIKE | WR_OP_NOT_ILIKE | WR_OP_NOT_RLIKE;
    wr_filter_clause positive = *c;
    if (c->op & negated) /* each negated operator's plain one */
        positive.op = c->op == WR_OP_NE          ? WR_OP_EQ
                      : c->op == WR_OP_NOT_IN    ? WR_OP_IN
                      : c->op == WR_OP_NOT_LIKE  ? WR_OP_LIKE
                      : c->op == WR_OP_NOT_ILIKE ? WR_OP_ILIKE
                                                 : WR_OP_RLIKE;
    wr_sql_add(q, c->op & negated ? "NOT (" : "(");
    if (c->values[0].number) {
        wr_filter_template(q, "$.number IS NOT NULL AND ", alias);
        wr_filter_compare(q, "$.number", alias, &positive);
    } else if (positive.op & (WR_OP_EQ | WR_OP_IN)) {
        for (size_t i = 0; i < c->nvalues; i++) {
            if (i) wr_sql_add(q, " OR ");
            value_is(q, c->values[i].text, alias);
        }
    } else {
        wr_filter_compare(q, "$.value", alias, &positive);
        if (positive.op & (WR_OP_LIKE | WR_OP_ILIKE | WR_OP_RLIKE)) {
            wr_sql_add(q, " OR ");
            wr_filter_compare(q, PLAIN, alias, &positive);
        }
    }
    wr_sql_add(q, ")");
}

static void named_assessment(wr_sql *q, const wr_filter_clause *c, int alias)
{
    wr_filter_template(q, "$.name = ", alias);
    wr_sql_str(q, c->key);
    wr_filter_template(q, " AND $.kind = ", alias);
    wr_sql_int(q, c->field->tag);
    wr_filter_template(q, " AND $.valid = 1", alias);
    if (c->op & WR_OPS_NULL) return;
    wr_sql_add(q, " AND ");
    value_condition(q, c, alias);
}

static int write_assessment(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    (void)t, (void)err;
    wr_sql_add(q, c->op == WR_OP_IS_NULL ? "(NOT (" : "((");
    wr_filter_template(q, "EXISTS (SELECT 1 FROM track_assessments $ WHERE $.trace = t.id AND ", alias);
    named_assessment(q, c, alias);
    wr_sql_add(
        q,
        ") OR (t.session IS NOT NULL AND t.session IN (SELECT u.session FROM track_traces u JOIN track_assessments ");
    wr_filter_template(q, "$ ON $.trace = u.id WHERE u.session IS NOT NULL AND u.experiment = t.experiment AND ",
                       alias);
    wr_filter_template(q, "$.metadata IS NOT NULL AND instr($.metadata, '\"mlflow.trace.session\":') > 0 AND ", alias);
    named_assessment(q, c, alias);
    wr_sql_add(q, "))))");
    return 0;
}

static int write_issue(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    (void)t, (void)err;
    wr_filter_template(q, "(EXISTS (SELECT 1 FROM track_assessments $ WHERE $.trace = t.id AND $.kind = 3 AND ", alias);
    wr_filter_compare(q, "$.name", alias, c);
    wr_sql_add(q, "))");
    return 0;
}

/* ---- the table ---- */

#define TEXT_OPS (WR_OPS_TEXT | WR_OPS_IN | WR_OP_RLIKE)
#define NO_LISTS (WR_OPS_TEXT | WR_OP_RLIKE) /* MLflow keeps these as tags and metadata */
#define TIME(spellings, expression, never_null)                                                                        \
    {                                                                                                                  \
        .names = spellings, .number_ops = WR_OPS_NUMBER, .number_more = WR_OPS_NUMBER_MORE, .order = true,             \
        .always = never_null, .column = expression                                                                     \
    }
#define TOKENS_JSON                                                                                                    \
    "CASE WHEN coalesce(t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_input_tokens, "                  \
    "t.cache_creation_input_tokens, "                                                                                  \
    "t.cache_creation_input_tokens_above_1hr) IS NOT NULL THEN '{' || substr(coalesce(', \"input_tokens\": ' || "      \
    "t.input_tokens, '')"                                                                                              \
    " || coalesce(', \"output_tokens\": ' || t.output_tokens, '') || coalesce(', \"total_tokens\": ' || "              \
    "t.total_tokens, '')"                                                                                              \
    " || coalesce(', \"cache_read_input_tokens\": ' || t.cache_read_input_tokens, '')"                                 \
    " || coalesce(', \"cache_creation_input_tokens\": ' || t.cache_creation_input_tokens, '')"                         \
    " || coalesce(', \"cache_creation_input_tokens_above_1hr\": ' || t.cache_creation_input_tokens_above_1hr, ''), "   \
    "3) || '}' END"
#define COSTS_JSON                                                                                                     \
    "CASE WHEN coalesce(t.input_cost, t.output_cost, t.total_cost) IS NOT NULL THEN '{' || substr(coalesce(', "        \
    "\"input_cost\": ' || "                                                                                            \
    "t.input_cost, '') || coalesce(', \"output_cost\": ' || t.output_cost, '') || coalesce(', \"total_cost\": ' || "   \
    "t.total_cost, ''), "                                                                                              \
    "3) || '}' END"
#define ARTIFACTS                                                                                                      \
    "(SELECT e.location || '/traces/' || t.uuid || '/artifacts' FROM experiments e WHERE e.id = t.experiment)"

static const wr_filter_field attributes[] = {
    {.names = "request_id|trace_id",
     .ops = TEXT_OPS,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column = "t.uuid"},
    TIME("timestamp|timestamp_ms", "t.time_ms", true),
    TIME("execution_time|execution_time_ms", "t.duration_ms", false),
    TIME("end_time|end_time_ms", "(t.time_ms + coalesce(t.duration_ms, 0))", true),
    {.names = "status|state",
     .ops = TEXT_OPS,
     .more = WR_OPS_MORE,
     .order = true,
     .always = true,
     .column =
         "CASE t.state WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' WHEN 3 THEN 'IN_PROGRESS' ELSE 'STATE_UNSPECIFIED' END"},
    {.names = "client_request_id",
     .ops = TEXT_OPS,
     .more = WR_OPS_MORE,
     .order = true,
     .column = "t.client_request_id"},
    {.names = "name", .ops = NO_LISTS, .more = WR_OPS_MORE, .order = true, .column = "t.name"},
    {.names = "run_id",
     .ops = NO_LISTS,
     .more = WR_OPS_MORE,
     .order = true,
     .write = write_run,
     .column = "(SELECT x.value FROM track_trace_metadata x JOIN track_keys k ON k.id = x.key WHERE x.trace = t.id AND "
               "k.name = "
               "'mlflow.sourceRun')"},
    {.names = "prompt", .ops = TEXT_OPS, .write = write_prompt},
    {.names = "text", .ops = WR_OP_LIKE | WR_OP_ILIKE, .more = WR_OP_RLIKE, .write = write_span, .tag = SPAN_CONTENT},
    {.names = "experiment_id",
     .more = WR_OP_EQ | WR_OP_NE,
     .order = true,
     .always = true,
     .column = "CAST(t.experiment AS TEXT)",
     .sort = "t.experiment"},
    {0}};

#define ITEM_OPS (WR_OPS_TEXT | WR_OP_RLIKE | WR_OPS_NULL)
static const wr_filter_field tags[] = {
    {.names = "mlflow.traceName", .ops = ITEM_OPS, .more = WR_OPS_MORE, .order = true, .column = "t.name"},
    {.names = "mlflow.trace.spansLocation", .ops = ITEM_OPS, .more = WR_OPS_MORE, .order = true, .column = "t.spans"},
    {.names = "mlflow.artifactLocation", .ops = ITEM_OPS, .more = WR_OPS_MORE, .order = true, .column = ARTIFACTS},
    {.names = "mlflow.linkedPrompts", .ops = ITEM_OPS, .write = write_prompt},
    {.names = "*",
     .ops = ITEM_OPS,
     .more = WR_OPS_MORE,
     .order = true,
     .key = WR_KEY_INTERNED,
     .table = "track_trace_tags $",
     .link = "$.trace = t.id AND $.key = ?",
     .column = "$.value"},
    {0}};
static const wr_filter_field metadata[] = {
    {.names = "mlflow.trace.session", .ops = ITEM_OPS, .more = WR_OPS_MORE, .order = true, .column = "t.session"},
    {.names = "mlflow.trace.tokenUsage", .ops = ITEM_OPS, .more = WR_OPS_MORE, .column = TOKENS_JSON},
    {.names = "mlflow.trace.cost", .ops = ITEM_OPS, .more = WR_OPS_MORE, .column = COSTS_JSON},
    {.names = "mlflow.trace.infoFinalized",
     .ops = ITEM_OPS,
     .more = WR_OPS_MORE,
     .column = "CASE t.finalized WHEN 1 THEN 'true' END"},
    {.names = "mlflow.sourceRun", .ops = ITEM_OPS, .more = WR_OPS_MORE, .write = write_run},
    {.names = "*",
     .ops = ITEM_OPS,
     .more = WR_OPS_MORE,
     .order = true,
     .key = WR_KEY_INTERNED,
     .table = "track_trace_metadata $",
     .link = "$.trace = t.id AND $.key = ?",
     .column = "$.value"},
    {0}};
static const wr_filter_field spans[] = {
    {.names = "name", .ops = TEXT_OPS, .more = WR_OPS_MORE, .write = write_span, .tag = SPAN_NAME},
    {.names = "type", .ops = TEXT_OPS, .more = WR_OPS_MORE, .write = write_span, .tag = SPAN_TYPE},
    {.names = "status", .ops = TEXT_OPS, .more = WR_OPS_MORE, .write = write_span, .tag = SPAN_STATUS},
    {.names = "content",
     .ops = WR_OP_LIKE | WR_OP_ILIKE,
     .more = WR_OP_RLIKE,
     .write = write_span,
     .tag = SPAN_CONTENT},
    {.names = "attributes.*",
     .ops = TEXT_OPS,
     .more = WR_OP_NOT_LIKE | WR_OP_NOT_ILIKE | WR_OP_NOT_RLIKE | WR_OP_NOT_NULL,
     .write = write_span,
     .tag = SPAN_ATTRIBUTE},
    {0}};
#define ASSESSMENT(of)                                                                                                 \
    {                                                                                                                  \
        .names = "*", .ops = WR_OPS_TEXT | WR_OP_RLIKE | WR_OPS_NULL,                                                  \
        .number_ops = WR_OP_LT | WR_OP_LE | WR_OP_GT | WR_OP_GE, .more = WR_OPS_MORE,                                  \
        .number_more = WR_OP_EQ | WR_OP_NE | WR_OP_BETWEEN, .write = write_assessment, .tag = of                       \
    }
static const wr_filter_field feedback[] = {ASSESSMENT(WR_ASSESS_FEEDBACK), {0}};
static const wr_filter_field expectation[] = {ASSESSMENT(WR_ASSESS_EXPECTATION), {0}};
static const wr_filter_field issue[] = {{.names = "id", .ops = WR_OP_EQ, .more = WR_OPS_IN, .write = write_issue}, {0}};
static const wr_filter_entity entities[] = {{.names = "attribute|attributes|trace", .bare = true, .fields = attributes},
                                            {.names = "tag|tags", .fields = tags},
                                            {.names = "request_metadata|metadata", .fields = metadata},
                                            {.names = "span", .names_key = true, .fields = spans},
                                            {.names = "feedback", .fields = feedback},
                                            {.names = "expectation", .fields = expectation},
                                            {.names = "issue", .fields = issue},
                                            {0}};
const wr_filter_noun wr_trace_noun = {.name = "trace", .entities = entities};

/* ---- the condition ---- */

static bool on_span(const wr_filter_node *n)
{
    return n->kind == WR_FILTER_CLAUSE && n->clause.field->write == write_span;
}

/* Clauses on spans beside each other: one span must pass them all. */
static int same_span(wr_sql *q, wr_arena *a, const wr_filter_node *root, int *alias, wr_err *err)
{
    int mine = (*alias)++;
    bool first = true;
    span_open(q, mine);
    for (size_t i = 0; i < root->nkids; i++) {
        if (!on_span(root->kids[i])) continue;
        wr_sql_add(q, first ? "(" : " AND (");
        WR_TRY(span_condition(q, a, &root->kids[i]->clause, mine, err));
        wr_sql_add(q, ")");
        first = false;
    }
    wr_sql_add(q, "))");
    return 0;
}

static int filter_condition(wr_sql *q, wr_arena *a, wr_track *t, const wr_filter *f, int *alias, wr_err *err)
{
    const wr_filter_node *root = f->root;
    size_t spans_here = 0;
    if (!root || root->kind != WR_FILTER_AND) return wr_filter_sql(q, t, f, alias, err);
    for (size_t i = 0; i < root->nkids; i++) spans_here += on_span(root->kids[i]);
    if (spans_here < 2) return wr_filter_sql(q, t, f, alias, err);
    WR_TRY(same_span(q, a, root, alias, err));
    for (size_t i = 0; i < root->nkids; i++) {
        if (on_span(root->kids[i])) continue;
        wr_sql_add(q, " AND ");
        WR_TRY(wr_filter_node_sql(q, t, root->kids[i], alias, err));
    }
    return 0;
}

/* Keys of spans are listed in MLflow's own words. */
static int parse(wr_filter *f, wr_arena *a, wr_str filter, wr_err *err)
{
    static const char start[] = "Invalid span key '";
    int rc = wr_filter_parse(f, a, &wr_trace_noun, filter, err);
    if (rc == 0 || !err || strncmp(err->msg, start, sizeof start - 1) != 0) return rc;
    char key[64];
    const char *at = err->msg + sizeof start - 1;
    snprintf(key, sizeof key, "%.*s", (int)strcspn(at, "'"), at);
    return wr_err_set(
        err, rc, "Invalid span attribute '%s'. Supported attributes: name, status, type, attributes.<attribute_name>.",
        key);
}

int wr_trace_condition(wr_sql *q, wr_arena *a, wr_track *t, const int64_t *experiments, size_t n, wr_str filter,
                       int *alias, wr_err *err)
{
    wr_filter f;
    WR_TRY(parse(&f, a, filter, err));
    wr_sql_add(q, n == 1 ? "t.experiment = " : n ? "t.experiment IN (" : "1 = 0");
    for (size_t i = 0; i < n; i++) {
        if (i) wr_sql_add(q, ", ");
        wr_sql_i64(q, experiments[i]);
    }
    if (n > 1) wr_sql_add(q, ")");
    wr_sql_add(q, " AND ");
    writing_to = a;
    int rc = filter_condition(q, a, t, &f, alias, err);
    writing_to = NULL;
    return rc;
}

/* ---- the search ---- */

static int read_rows(wr_trace **out, size_t *n, wr_search *s, wr_arena *a, wr_err *err)
{
    WR_VEC(wr_trace) rows = {0};
    int rc;
    while ((rc = wr_search_next(s, err)) > 0) {
        wr_trace tr;
        wr_trace_row(&tr, a, s->row);
        if ((rc = wr_vec_add(&rows, tr, err)) < 0) break;
    }
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_trace_search(wr_trace **out, size_t *n, wr_str *next, wr_arena *a, wr_track *t, const wr_trace_search_opt *opt,
                    wr_err *err)
{
    static const char *const defaults[] = {"timestamp DESC", NULL}, *const ties[] = {"timestamp DESC", "request_id ASC",
                                                                                     NULL};
    wr_search s = {.noun = &wr_trace_noun,
                   .columns = wr_trace_columns,
                   .ncolumns = WR_TRACE_ROW,
                   .from = "track_traces t",
                   .defaults = defaults,
                   .ties = ties,
                   .token = opt->token,
                   .order = opt->order,
                   .norder = opt->norder,
                   .max = opt->max};
    int alias = 0;
    *n = 0;
    *out = NULL;
    int rc = wr_trace_condition(&s.scope, a, t, opt->experiments, opt->nexperiments, opt->filter, &alias, err);
    if (rc == 0) rc = wr_search_begin(&s, a, t, err);
    if (rc == 0) rc = read_rows(out, n, &s, a, err);
    WR_TRY(wr_search_end(&s, rc, next, err));
    return wr_trace_load(*out, *n, a, t, err);
}

/* ---- correlation ---- */

static double npmi(double n11, double n10, double n01, double n00, double smoothing)
{
    double all = n11 + n10 + n01 + n00 + 4 * smoothing, both = n11 + smoothing;
    double first = both + n10 + smoothing, second = both + n01 + smoothing;
    if (!(first > 0 && second > 0 && both > 0)) return NAN;
    if (n10 == 0 && n01 == 0 && n00 == 0) return 1;
    double v = (log(both) + log(all) - log(first) - log(second)) / (log(all) - log(both));
    return fmax(-1, fmin(1, v));
}

static int conditions(wr_sql *q, wr_arena *a, wr_track *t, const int64_t *experiments, size_t n, wr_str first,
                      wr_str second, wr_str base, wr_err *err)
{
    int alias = 0;
    wr_sql_add(q, "SELECT count(*), coalesce(sum(q.a), 0), coalesce(sum(q.b), 0), coalesce(sum(q.a * q.b), 0) FROM "
                  "(SELECT CASE WHEN ");
    WR_TRY(wr_trace_condition(q, a, t, experiments, n, first, &alias, err));
    wr_sql_add(q, " THEN 1 ELSE 0 END AS a, CASE WHEN ");
    WR_TRY(wr_trace_condition(q, a, t, experiments, n, second, &alias, err));
    wr_sql_add(q, " THEN 1 ELSE 0 END AS b FROM track_traces t WHERE ");
    WR_TRY(wr_trace_condition(q, a, t, experiments, n, base, &alias, err));
    wr_sql_add(q, ") q");
    return 0;
}

int wr_trace_correlate(wr_trace_correlation *out, wr_arena *a, wr_track *t, const int64_t *experiments, size_t n,
                       wr_str first, wr_str second, wr_str base, wr_err *err)
{
    WR_AUTOSQL wr_sql q = {0};
    wr_stmt *s;
    *out = (wr_trace_correlation){.npmi = NAN, .smoothed = NAN};
    WR_TRY(conditions(&q, a, t, experiments, n, first, second, base, err));
    WR_TRY(wr_sql_prepare(&s, t, &q, err));
    int rc = wr_step(s, err);
    if (rc > 0) {
        out->total = wr_stmt_i64(s, 0);
        out->first = wr_stmt_i64(s, 1);
        out->second = wr_stmt_i64(s, 2);
        out->both = wr_stmt_i64(s, 3);
    }
    wr_stmt_done(s);
    if (rc < 0) return rc;
    if (!out->first || !out->second) return 0;
    double n11 = (double)out->both, n10 = (double)(out->first - out->both), n01 = (double)(out->second - out->both);
    double n00 = (double)(out->total - out->first - out->second + out->both);
    out->npmi = out->both ? npmi(n11, n10, n01, n00, 0) : -1;
    out->smoothed = npmi(n11, n10, n01, n00, 0.5);
    return 0;
}
