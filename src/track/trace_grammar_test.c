/* SPDX-License-Identifier: Apache-2.0 */
/* trace_grammar_test.c - the search language of traces, judged by MLflow's own parser. */
#include "track/grammar_testing.h"
#include "track/trace_search.h"

enum { MORE = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_CASE | WR_FILTER_EXT_QUOTE };

/* MLflow keeps some attributes elsewhere and says so in its parse. */
static bool same_key(const wr_filter_clause *c, const char *type, const char *key)
{
    static const struct {
        const char *ours, *type, *key;
    } moved[] = {
        {"name", "tag", "mlflow.traceName"},
        {"prompt", "tag", "mlflow.linkedPrompts"},
        {"run_id", "request_metadata", "mlflow.sourceRun"},
        {"text", "span", "content"},
        {"timestamp", "attribute", "timestamp_ms"},
        {"execution_time", "attribute", "execution_time_ms"},
        {"end_time", "attribute", "end_time_ms"},
    };
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++)
        if (wr_str_is(c->key, moved[i].ours) && strcmp(type, moved[i].type) == 0 && strcmp(key, moved[i].key) == 0)
            return true;
    if (strcmp(type, "span") == 0 && strncmp(key, "attributes.", 11) == 0) return wr_str_is(c->key, key + 11);
    return false;
}

static void traces_as_mlflow(void **state)
{
    /* What MLflow's parser does by accident: `text` and `timestamp` are words of SQL to it; a key of feedback or of an
     * issue that is also the name of an attribute becomes that attribute; a time may be compared with a text. And
     * prompts, which the search refuses later. */
    static const char *const beside[] = {
        "span.attributes.a.b.c ='0.5' and attributes.name ILIKE 'RandomForest' AND tags.loss='it is' AND text ILIKE "
        "'0.5'",
        "tags.lr is not null AND feedback.name <= 0",
        "issue.name = \"\" aND expectation.team IS NULL",
        "tags.`x:y` like \"größe\" and issue.name ='a;b' and attributes.run_id RLIKE '0.5'",
        "issue.name LIKE '0.5' and feedback._private >= 00012 and trace.execution_time >-0.25 AND feedback.val_loss IS "
        "NULL",
        "attribute.prompt = \"it is\"",
        "attribute.prompt != '/* d */'",
        "trace.prompt RLIKE \"\" AND feedback.`mlflow.prompt.is_prompt` LIKE 'x'",
        "expectation.acc IS NOT NULL AND AND attributes.timestamp_ms>= 1 AND attributes.prompt LIKE \"RandomForest\"",
        "tags.`it's`!=  \"A\\b\" AND timestamp  <= -0.25 and attributes.request_id NOT IN ('m-0a1b','true',)",
        "issue.name like 'x'",
        "trace.execution_time <= \"_b%\" AND trace.end_time_ms >= -1",
        "prompt!=\"it is\" AND attributes.status ILIKE 'a%'",
        "issue.name != 'x'",
        NULL};
    (void)state;
    wr_grammar g = {
        .root = WEIR_SOURCE_DIR, .file = "traces", .noun = &wr_trace_noun, .extensions = MORE, .same_key = same_key};
    wr_grammar_check(&g, beside);
}

static void orders_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR, .file = "traces", .noun = &wr_trace_noun, .same_key = same_key};
    wr_grammar_check_order(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(traces_as_mlflow), cmocka_unit_test(orders_as_mlflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
