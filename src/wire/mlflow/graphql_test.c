/* SPDX-License-Identifier: Apache-2.0 */
/* GraphQL: documents, and answers out of the procedures. */
#include "wire/mlflow/graphql_parse.h"
#include "wire/mlflow/mlflow_testing.h"

/* The answer to a document with variables (JSON; NULL: none). */
static const char *ask(store *s, const char *query, const char *variables)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "query", query);
    wr_jsonw_key(&w, "variables");
    wr_jsonw_raw(&w, wr_str_of(variables ? variables : "null"));
    wr_jsonw_end(&w);
    return request(s, 200, "POST", "/graphql", "", wr_buf_cstr(&b));
}

static const char *new_run(store *s)
{
    const char *id = member(s, POST("runs/create", "{\"experiment_id\":\"0\",\"run_name\":\"one\"}"), "run_id");
    POST("runs/log-metric",
         wr_arena_printf(s->a, "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1.5,\"timestamp\":7,\"step\":3}", id));
    POST("runs/log-metric",
         wr_arena_printf(s->a, "{\"run_id\":\"%s\",\"key\":\"n\",\"value\":NaN,\"timestamp\":8}", id));
    return id;
}

static void a_run_is_told(void **state)
{
    store *s = *state;
    const char *id = new_run(s);
    const char *query =
        "query Q($id: String!, $no: Boolean = false) @component(name: \"X\") {"
        "  mlflowGetRun(input: {runId: $id}) { __typename run { ...I data { metrics { key value step } params { key } }"
        "    experiment { name tags { key } } modelVersions { name } inputs { datasetInputs { tags { key } } }"
        "    outputs @include(if: $no) { modelOutputs { step } } } apiError { code } } }"
        "fragment I on MlflowRun { info { status } info { endTime runName } }";
    const char *answer = ask(s, query, wr_arena_printf(s->a, "{\"id\":\"%s\"}", id));
    SAYS("{\"data\":{\"mlflowGetRun\":{\"__typename\":\"MlflowGetRunResponse\",\"run\":{\"info\":{\"status\":"
         "\"RUNNING\","
         "\"endTime\":\"0\",\"runName\":\"one\"},\"data\":{\"metrics\":[{\"key\":\"m\",\"value\":1.5,\"step\":\"3\"},"
         "{\"key\":\"n\",\"value\":null,\"step\":\"0\"}],\"params\":[]},\"experiment\":{\"name\":\"Default\",\"tags\":["
         "]},"
         "\"modelVersions\":[],\"inputs\":{\"datasetInputs\":[]}},\"apiError\":null}},\"errors\":null}",
         answer);
}

static void searches_take_variables_and_aliases(void **state)
{
    store *s = *state;
    const char *id = new_run(s);
    const char *answer =
        ask(s,
            "mutation($in: MlflowSearchRunsInput) { mine: mlflowSearchRuns(input: $in) { runs { info { runId } } }"
            " other: mlflowSearchRuns(input: {experimentIds: \"0\", runViewType: DELETED_ONLY, maxResults: 5}) "
            "{ runs { info { runId } } nextPageToken } }",
            "{\"in\":{\"experimentIds\":[\"0\"],\"filter\":\"metrics.m > 1\"}}");
    SAYS(wr_arena_printf(
             s->a,
             "{\"mine\":{\"runs\":[{\"info\":{\"runId\":\"%s\"}}]},\"other\":{\"runs\":[],\"nextPageToken\":\"\"}}",
             id),
         answer);
    answer = ask(s,
                 wr_arena_printf(s->a,
                                 "{ mlflowGetMetricHistoryBulkInterval(input: {runIds: \"%s\", metricKey: \"m\"}) "
                                 "{ metrics { key value timestamp runId } } }",
                                 id),
                 NULL);
    SAYS(
        wr_arena_printf(s->a, "{\"metrics\":[{\"key\":\"m\",\"value\":1.5,\"timestamp\":\"7\",\"runId\":\"%s\"}]}", id),
        answer);
    SAYS("\"output\":\"a\\\"\xc3\xa9\xf0\x9f\x98\x80\"",
         ask(s, "{ test(inputString: \"a\\\"\\u00e9\\ud83d\\ude00\") { output } }", NULL));
    SAYS("\"output\":\"b \\\"c\\\"\"",
         ask(s, "query($t: String = \"\"\" b \"c\" \"\"\") { test(inputString: $t) { output } }", NULL));
    SAYS("{\"a\":{\"output\":\"x\"}}",
         ask(s,
             "{ a: test(inputString: \"x\") { output } b: test(inputString: \"y\") @skip(if: true) "
             "{ output } }",
             NULL));
}

static void errors_are_told_beside_the_data(void **state)
{
    store *s = *state;
    const char *answer = ask(s,
                             "{ mlflowGetExperiment(input: {experimentId: \"77\"}) { experiment { name } } "
                             "ok: mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { name } } }",
                             NULL);
    SAYS("\"mlflowGetExperiment\":null,\"ok\":{\"experiment\":{\"name\":\"Default\"}}", answer);
    SAYS("\"errors\":[\"No Experiment with id=77 exists\"]", answer);
    static const struct {
        const char *query, *says;
    } bad[] = {
        {"{ mlflowGetRun(input: {runId: \"x\"}) { run { nope } } }",
         "Cannot query field \\\"nope\\\" on type \\\"MlflowRunExtension\\\""},
        {"{ mlflowSearchDatasets(input: {}) { apiError { code } } }",
         "Cannot query field"}, /* a mutation, as in MLflow */
        {"{ mlflowGetRun { run } }", "must have a selection of subfields"},
        {"{ test(inputString: \"x\") { output { a } } }", "must not have a selection"},
        {"{ test(inputString: \"x\") { output(a: 1) } }", "Unknown argument"},
        {"{ mlflowGetRun(input: {nope: 1}) { run { info { runId } } } }", "not defined by the input"},
        {"{ mlflowGetRun(input: 3) { run { info { runId } } } }", "is no object"},
        {"query($x: Int!) { test(inputString: $x) { output } }", "Variable \\\"$x\\\""},
        {"query A { test { output } } query B { test { output } }", "Must provide operation name"},
        {"fragment F on X { a }", "Unknown operation"},
        {"{ ...F } fragment F on Query { ...F }", "within itself"},
        {"{ ...G }", "Unknown fragment"},
        {"{ a: test(inputString: \"x\") { output } a: test(inputString: \"y\") { output } }", "conflict"},
        {"{ test", "Syntax Error"},
        {"{ test(inputString: \"x) { output } }", "does not end"},
        {"{ test(inputString: \"\\ud800\") { output } }", "half a character"},
        {"{ test(inputString: 01) { output } }", "no number"},
        {"subscription { test { output } }", "expected a query"},
        {"query($a: Int = $a) { test { output } }", "cannot stand here"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) SAYS(bad[i].says, ask(s, bad[i].query, NULL));
    request(s, 400, "POST", "/graphql", "", "{}");
}

static const char *repeated(store *s, const char *before, const char *each, int n, const char *after)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, before);
    for (int i = 0; i < n; i++) wr_buf_printf(&b, each, i); /* NOLINT */
    wr_buf_str(&b, after);
    return ask(s, wr_arena_strdup(s->a, wr_buf_cstr(&b)), NULL);
}
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void what_is_too_much_is_refused(void **state)
{
    store *s = *state;
    SAYS("at most 10 root fields", repeated(s, "{", "k%d: test(inputString: \"a\") { output } ", 12, "}"));
    SAYS("at most 10 aliases", repeated(s, "{ test(inputString: \"a\") {", "k%d: output ", 11, "} }"));
    SAYS("maximum depth of 10", repeated(s, "{ a", "{ a%d ", 12, "}}}}}}}}}}}} }"));
    SAYS("maximum total selections of 1000", repeated(s, "{ test {", "f%d ", 1001, "} }"));
    SAYS("maximum depth of 64", repeated(s, "{ a", "{ a%d ", 200, ""));
    SAYS("maximum depth of 64", repeated(s, "{ a(b: ", "[ # %d\n", 200, ""));
    /* fragments that double each other: 2^30 fields in a few lines */
    SAYS("maximum total selections", repeated(s, "{ test { ...F0 } } fragment F30 on Q { output } ", "", 0,
                                              "fragment F0 on Q { ...F1 ...F1 } fragment F1 on Q { ...F2 ...F2 }"
                                              "fragment F2 on Q { ...F3 ...F3 } fragment F3 on Q { ...F4 ...F4 }"
                                              "fragment F4 on Q { ...F5 ...F5 } fragment F5 on Q { ...F6 ...F6 }"
                                              "fragment F6 on Q { ...F7 ...F7 } fragment F7 on Q { ...F8 ...F8 }"
                                              "fragment F8 on Q { ...F9 ...F9 } fragment F9 on Q { ...F30 ...F30 }"));
    char *long_one = wr_arena_calloc(s->a, 1, WR_GRAPHQL_TEXT + 2);
    memset(long_one, ' ', WR_GRAPHQL_TEXT + 1);
    SAYS("longer than", ask(s, long_one, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_told, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(searches_take_variables_and_aliases, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(errors_are_told_beside_the_data, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(what_is_too_much_is_refused, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
