/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - traces merged from pieces, sums over trees of spans, and what searches find. */
#include <math.h>

#include "track/track_testing.h"
#include "track/trace_search.h"

/* ---- spans made here ---- */

enum { MOST = 16 };
typedef struct {
    wr_otlp_span spans[MOST];
    wr_otlp_attr attrs[MOST][MOST];
    size_t n;
} sent;

static wr_otlp_attrs nothing;

static void add_span(sent *x, unsigned trace, unsigned id, unsigned parent, const char *name, int64_t start_ms,
                     int64_t end_ms)
{
    wr_otlp_span *s = &x->spans[x->n];
    *s = (wr_otlp_span){.name = wr_str_of(name),
                        .message = WR_STR(""),
                        .status = 1,
                        .start_ns = (uint64_t)start_ms * 1000000,
                        .end_ns = (uint64_t)end_ms * 1000000,
                        .attrs = {x->attrs[x->n], 0},
                        .resource = &nothing,
                        .has_parent = parent != 0};
    s->trace[15] = (unsigned char)trace;
    s->span[7] = (unsigned char)id;
    s->parent[7] = (unsigned char)parent;
    x->n++;
}

static void add_text(sent *x, const char *key, const char *value)
{
    wr_otlp_attrs *a = &x->spans[x->n - 1].attrs;
    a->at[a->n++] = (wr_otlp_attr){wr_str_of(key), {.kind = WR_OTLP_STR, .s = wr_str_of(value)}};
}

static void log_them(store *s, const sent *x)
{
    wr_otlp_spans in = {.spans = (wr_otlp_span *)(uintptr_t)x->spans, .n = x->n, .nresources = 1};
    wr_span_batch batch;
    OK(wr_span_batch_make(&batch, s->a, &in, &s->err));
    OK(wr_trace_log_spans(s->t, s->a, 0, &batch, &s->err));
}

static wr_trace trace(store *s, unsigned id)
{
    wr_trace t;
    OK(wr_trace_get(&t, s->a, s->t, wr_str_of(wr_arena_printf(s->a, "tr-%032x", id)), &s->err));
    OK(wr_trace_load(&t, 1, s->a, s->t, &s->err));
    return t;
}

/* ---- sums ---- */

static wr_span_node node(uint64_t id, uint64_t parent, const char *data)
{
    return (wr_span_node){id, parent, parent == 0, data ? wr_str_of(data) : (wr_str){NULL, 0}};
}

static void test_sums(void **state)
{
    (void)state;
    double sums[WR_TOKENS];
    /* 1 says nothing; 2 includes its children 4 and 5; 3 says its own */
    const wr_span_node tree[] = {node(1, 0, NULL), node(2, 1, "{\"input_tokens\": 10, \"total_tokens\": 10}"),
                                 node(3, 1, "{\"input_tokens\": 5, \"cache_read_input_tokens\": 1}"),
                                 node(4, 2, "{\"input_tokens\": 4}"), node(5, 4, "{\"input_tokens\": 6}")};
    assert_true(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, tree, 5));
    assert_true(sums[0] == 15 && sums[1] == 0 && sums[2] == 10 && sums[3] == 1 && isnan(sums[4]));
    /* a parent that is elsewhere hides nothing */
    assert_true(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, tree + 3, 1));
    assert_true(sums[0] == 4);
    assert_false(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, tree, 1));
    assert_false(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, tree, 0));
    /* circles end */
    const wr_span_node circle[] = {node(1, 2, NULL), node(2, 1, NULL), node(3, 1, "{\"input_tokens\": 2}"),
                                   node(4, 4, "{\"input_tokens\": 3}")};
    assert_true(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, circle, 4));
    assert_true(sums[0] == 2); /* 4 lies below itself */
}

/* A chain as long as a request may be: found in time that does not grow with its square. */
static void test_long_chain(void **state)
{
    (void)state;
    enum { N = 100000 };
    double sums[WR_TOKENS];
    wr_span_node *chain = calloc(N, sizeof *chain);
    assert_non_null(chain);
    for (size_t i = 0; i < N; i++) chain[i] = node(i + 1, i, i >= N / 2 ? "{\"input_tokens\": 1}" : NULL);
    assert_true(wr_span_sum(sums, wr_token_names, WR_TOKENS, 3, chain, N));
    assert_true(sums[0] == 1);
    free(chain);
}

/* ---- merging ---- */

static void merging(store *s)
{
    sent child = {0}, root = {0};
    add_span(&child, 1, 2, 1, "child", 1500, 1800);
    add_text(&child, "mlflow.chat.tokenUsage", "{\"input_tokens\": 1, \"output_tokens\": 2, \"total_tokens\": 3}");
    log_them(s, &child);
    wr_trace t = trace(s, 1);
    assert_int_equal(t.state, WR_TRACE_IN_PROGRESS);
    assert_true(t.time_ms == 1500 && t.duration_ms == 300 && t.tokens[2] == 3 && !t.finalized);
    add_span(&root, 1, 1, 0, "root", 1000, 2000);
    root.spans[0].status = 2;
    add_text(&root, "mlflow.chat.tokenUsage", "{\"input_tokens\": 10, \"output_tokens\": 20, \"total_tokens\": 30}");
    add_text(&root, "mlflow.llm.cost", "{\"input_cost\": 0.5, \"output_cost\": 0.25, \"total_cost\": 0.75}");
    add_text(&root, "mlflow.spanInputs",
             "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"hi\"}]}]}");
    log_them(s, &root);
    t = trace(s, 1);
    assert_int_equal(t.state, WR_TRACE_ERROR);
    assert_true(t.time_ms == 1000 && t.duration_ms == 1000);
    assert_true(t.tokens[2] == 30); /* the root's covers the child's */
    assert_true(t.costs[2] == 0.75);
    assert_true(wr_str_is(t.request_preview, "hi"));
    log_them(s, &root); /* again changes nothing */
    t = trace(s, 1);
    assert_true(t.tokens[2] == 30 && t.duration_ms == 1000);

    wr_track_item meta[] = {{WR_STR("mlflow.trace.tokenUsage"), WR_STR("{\"input_tokens\": 7}")},
                            {WR_STR("k"), WR_STR("v")}};
    wr_trace said = {
        .uuid = t.uuid, .time_ms = 990, .duration_ms = 1010, .state = WR_TRACE_OK, .metadata = meta, .nmetadata = 2};
    OK(wr_trace_start(&t, s->a, s->t, &said, &s->err));
    assert_true(t.finalized && t.time_ms == 990 && t.state == WR_TRACE_OK && t.tokens[0] == 7 && t.tokens[2] == 30);
    sent late = {0};
    add_span(&late, 1, 3, 1, "late", 500, 9000);
    add_text(&late, "mlflow.chat.tokenUsage", "{\"input_tokens\": 1000}");
    log_them(s, &late);
    t = trace(s, 1);
    assert_true(t.time_ms == 990 && t.duration_ms == 1010 && t.state == WR_TRACE_OK &&
                t.tokens[0] == 7); /* what was said stands */
    wr_str *spans;
    size_t n;
    OK(wr_trace_spans(&spans, &n, s->a, s->t, &t, &s->err));
    assert_int_equal(n, 3);
    assert_non_null(strstr(spans[0].p, "\"name\": \"root\"")); /* first, though another began before */
    assert_non_null(strstr(spans[1].p, "\"name\": \"late\""));

    wr_trace elsewhere = {.uuid = WR_STR("tr-00000000000000000000000000000002"),
                          .duration_ms = WR_TRACE_NONE,
                          .tags = (wr_track_item[]){{WR_STR("mlflow.trace.spansLocation"), WR_STR("ARTIFACT_REPO")}},
                          .ntags = 1};
    OK(wr_trace_start(&t, s->a, s->t, &elsewhere, &s->err));
    late.spans[0].trace[15] = 2;
    wr_otlp_spans in = {.spans = late.spans, .n = 1};
    wr_span_batch batch;
    OK(wr_span_batch_make(&batch, s->a, &in, &s->err));
    FAILS(WEIR_ECONFLICT, "unavailable", wr_trace_log_spans(s->t, s->a, 0, &batch, &s->err));
    FAILS(WEIR_ENOTFOUND, "", wr_trace_log_spans(s->t, s->a, 9, &batch, &s->err));
}

static void test_merging(void **state) { store_write(*state, merging); }

/* Spans of one id in one request, near and far: the last counts. */
static void twice(store *s)
{
    enum { FAR = 70 };
    wr_otlp_span *many = wr_arena_calloc(s->a, FAR + 2, sizeof *many);
    wr_span_batch batch;
    wr_str *spans;
    size_t n;
    for (int i = 0; i < FAR + 2; i++) {
        many[i] = (wr_otlp_span){
            .name = wr_str_of(wr_arena_printf(s->a, "n%d", i)), .message = WR_STR(""), .resource = &nothing};
        many[i].span[7] = (unsigned char)(i < FAR ? i : 0);
    }
    OK(wr_span_batch_make(&batch, s->a, &(wr_otlp_spans){.spans = many, .n = FAR + 2}, &s->err));
    OK(wr_trace_log_spans(s->t, s->a, 0, &batch, &s->err));
    wr_trace t = trace(s, 0);
    OK(wr_trace_spans(&spans, &n, s->a, s->t, &t, &s->err));
    assert_int_equal(n, FAR);
    for (size_t i = 0; i < n; i++) assert_null(strstr(spans[i].p, "\"name\": \"n0\""));
}
static void test_twice(void **state) { store_write(*state, twice); }

/* ---- searching ---- */

static void fill(store *s)
{
    sent x = {0};
    add_span(&x, 1, 1, 0, "agent", 1000, 2000);
    add_text(&x, "mlflow.spanType", "\"AGENT\"");
    add_text(&x, "model", "\"gpt-4\"");
    add_text(&x, "odd key", "say \"it\"");
    add_span(&x, 1, 2, 1, "call", 1100, 1200);
    add_text(&x, "mlflow.spanType", "\"LLM\"");
    add_text(&x, "session.id", "s1");
    add_span(&x, 2, 1, 0, "agent", 3000, 3500);
    add_text(&x, "mlflow.spanType", "\"LLM\"");
    add_text(&x, "model", "gpt-40");
    add_text(&x, "session.id", "s1");
    add_span(&x, 3, 1, 0, "other", 5000, 5001);
    x.spans[3].status = 2;
    add_text(&x, "percent", "90% of it");
    x.attrs[3][1] = (wr_otlp_attr){WR_STR("n"), {.kind = WR_OTLP_F64, .f = 0.5}};
    x.spans[3].attrs.n = 2;
    log_them(s, &x);
    wr_assessment yes = {.trace = WR_STR("tr-00000000000000000000000000000001"),
                         .name = WR_STR("good"),
                         .kind = WR_ASSESS_FEEDBACK,
                         .value = WR_STR("\"yes\""),
                         .source_type = WR_STR("HUMAN")};
    wr_assessment five = {.trace = WR_STR("tr-00000000000000000000000000000003"),
                          .name = WR_STR("score"),
                          .kind = WR_ASSESS_FEEDBACK,
                          .value = WR_STR("5.0"),
                          .source_type = WR_STR("CODE")};
    wr_assessment whole = {.trace = yes.trace,
                           .name = WR_STR("session"),
                           .kind = WR_ASSESS_FEEDBACK,
                           .value = WR_STR("true"),
                           .source_type = WR_STR("CODE"),
                           .metadata = WR_STR("{\"mlflow.trace.session\":\"s1\"}")};
    OK(wr_assessment_create(s->t, s->a, &yes, &s->err));
    OK(wr_assessment_create(s->t, s->a, &five, &s->err));
    OK(wr_assessment_create(s->t, s->a, &whole, &s->err));
    OK(wr_trace_set_tag(s->t, s->a, yes.trace, WR_STR("env"), WR_STR("prod"), &s->err));
}

/* Digits of the traces found, the newest first. */
static void finds(store *s, const char *wanted, const char *filter)
{
    int64_t experiment = 0;
    wr_trace_search_opt opt = {.experiments = &experiment, .nexperiments = 1, .filter = wr_str_of(filter), .max = 10};
    wr_trace *found;
    wr_str next;
    size_t n;
    char got[16] = "";
    OK(wr_trace_search(&found, &n, &next, s->a, s->t, &opt, &s->err));
    for (size_t i = 0; i < n && i < 15; i++) got[i] = found[i].uuid.p[found[i].uuid.n - 1], got[i + 1] = 0;
    if (strcmp(got, wanted) != 0) fail_msg("%s: found \"%s\", not \"%s\"", filter, got, wanted);
}

static void test_search(void **state)
{
    store *s = *state;
    store_write(s, fill);
    finds(s, "321", "");
    finds(s, "3", "status = 'ERROR'");
    finds(s, "21", "status != 'ERROR' AND execution_time >= 500");
    finds(s, "32", "timestamp_ms > 1000");
    finds(s, "1", "end_time_ms <= 2000");
    finds(s, "1", "tags.env = 'prod'");
    finds(s, "32", "tag.env IS NULL");
    finds(s, "21", "metadata.`mlflow.trace.session` = 's1'");
    finds(s, "321", "tags.`mlflow.trace.spansLocation` LIKE 'TRACK%'");
    finds(s, "", "metadata.unknown != 'x'");
    /* one and the same span */
    finds(s, "21", "span.name = 'agent'");
    finds(s, "2", "span.name = 'agent' AND span.type = 'LLM'");
    finds(s, "21", "(span.name = 'agent') AND (span.type = 'LLM' OR span.type = 'AGENT')");
    finds(s, "3", "span.status = 'ERROR'");
    finds(s, "21", "span.type IN ('LLM', 'TOOL')");
    /* attributes: texts as they are, bounded by their own quotes */
    finds(s, "1", "span.attributes.model = 'gpt-4'");
    finds(s, "2", "span.attributes.model != 'gpt-4'");
    finds(s, "21", "span.attributes.model LIKE 'gpt%'");
    finds(s, "2", "span.attributes.model LIKE 'gpt-__'");
    finds(s, "", "span.attributes.model LIKE 'pt%'");
    finds(s, "21", "span.attributes.model LIKE '%4%'");
    finds(s, "", "span.attributes.model LIKE '%AGENT%'"); /* the next attribute's */
    finds(s, "21", "span.attributes.model ILIKE '%GPT%'");
    finds(s, "1", "span.attributes.model RLIKE '^gpt-[0-9]$'");
    finds(s, "2", "span.attributes.model RLIKE '0'");
    finds(s, "1", "span.attributes.`odd key` = 'say \"it\"'");
    finds(s, "1", "span.attributes.`odd key` LIKE '%\"it\"'");
    finds(s, "3", "span.attributes.n = '0.5'");
    finds(s, "3", "span.attributes.percent = '90% of it'");
    finds(s, "3", "trace.text LIKE '%90%%'");
    finds(s, "2", "span.content LIKE '%gpt-40%'");
    /* judgements */
    finds(s, "1", "feedback.good = 'yes'");
    finds(s, "1", "feedback.good LIKE 'y%'");
    finds(s, "", "feedback.good != 'yes'");
    finds(s, "3", "feedback.score = '5'");
    finds(s, "3", "feedback.score > 4.5");
    finds(s, "", "feedback.good > 0");
    finds(s, "32", "feedback.good IS NULL");
    finds(s, "21", "feedback.session = 'true'"); /* of the whole session */
    finds(s, "3", "feedback.session IS NULL");
    finds(s, "", "expectation.good IS NOT NULL");
    finds(s, "31", "status = 'ERROR' OR tags.env = 'prod'");
    finds(s, "1", "request_id IN ('tr-00000000000000000000000000000001', 'x')");
}

static void test_refused(void **state)
{
    store *s = *state;
    int64_t experiment = 0;
    wr_trace *found;
    wr_str next;
    size_t n;
    static const struct {
        const char *filter, *says;
    } lines[] = {{"span.duration = '1'", "Invalid span attribute 'duration'. Supported attributes: name, status, type"},
                 {"span.content = 'x'", "span.content comparator '=' not one of"},
                 {"nothing = 'x'", "nothing"},
                 {"timestamp = 'noon'", "timestamp"},
                 {"prompt = 'x'", "Expected format"},
                 {"span.attributes.m RLIKE '('", "regular expression"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        wr_trace_search_opt opt = {
            .experiments = &experiment, .nexperiments = 1, .filter = wr_str_of(lines[i].filter), .max = 10};
        if (i == 0) store_write(s, fill);
        FAILS(WEIR_EINVAL, lines[i].says, wr_trace_search(&found, &n, &next, s->a, s->t, &opt, &s->err));
    }
}

static void test_correlation(void **state)
{
    store *s = *state;
    int64_t experiment = 0;
    wr_trace_correlation c;
    store_write(s, fill);
    OK(wr_trace_correlate(&c, s->a, s->t, &experiment, 1, WR_STR("span.name = 'agent'"), WR_STR("status = 'OK'"),
                          WR_STR(""), &s->err));
    assert_true(c.total == 3 && c.first == 2 && c.second == 2 && c.both == 2);
    assert_true(fabs(c.npmi - 1) < 1e-12); /* log(2*3/(2*2)) / log(3/2) */
    OK(wr_trace_correlate(&c, s->a, s->t, &experiment, 1, WR_STR("status = 'ERROR'"), WR_STR("status = 'OK'"),
                          WR_STR(""), &s->err));
    assert_true(c.both == 0 && c.npmi == -1 && c.smoothed > -1 && c.smoothed < 0);
    OK(wr_trace_correlate(&c, s->a, s->t, &experiment, 1, WR_STR("status = 'ERROR'"), WR_STR("name = 'x'"), WR_STR(""),
                          &s->err));
    assert_true(c.second == 0 && isnan(c.npmi) && isnan(c.smoothed));
}

/* ---- gone for good ---- */

static void purged(store *s)
{
    static const char *const tables[] = {"track_traces",         "track_spans",       "track_trace_tags",
                                         "track_trace_metadata", "track_assessments", "track_trace_links"};
    fill(s);
    wr_str first = WR_STR("tr-00000000000000000000000000000001");
    OK(wr_trace_link_run(s->t, &first, 1, WR_STR("r"), &s->err));
    OK(wr_trace_purge_experiment(s->t, 0, &s->err));
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        wr_stmt *q;
        OK(wr_db_prepare(s->db, &q, wr_arena_printf(s->a, "SELECT count(*) FROM %s", tables[i]), &s->err));
        assert_int_equal(wr_step(q, &s->err), 1);
        assert_int_equal(wr_stmt_i64(q, 0), 0);
        wr_stmt_done(q);
    }
}
static void test_purged(void **state) { store_write(*state, purged); }

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums), cmocka_unit_test(test_long_chain),
        TEST(test_merging),          TEST(test_twice),
        TEST(test_search),           TEST(test_refused),
        TEST(test_correlation),      TEST(test_purged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
