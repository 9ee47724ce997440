/* SPDX-License-Identifier: Apache-2.0 */
/* filter_test.c - the search language: MLflow's own judgement of generated expressions, its messages, our extensions,
 * the limits, page tokens. What searches find is in search_test.c. */
#include "track/grammar_testing.h"
#include "track/page.h"
#include "track/search_run.h"

static void runs_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR,
                    .file = "runs",
                    .noun = &wr_run_noun,
                    .extensions = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_FUNCTION};
    wr_grammar_check(&g, NULL);
    wr_grammar_check_order(&g);
}

static void experiments_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR,
                    .file = "experiments",
                    .noun = &wr_experiment_noun,
                    .extensions = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_CASE |
                                  WR_FILTER_EXT_QUOTE};
    wr_grammar_check(&g, NULL);
    wr_grammar_check_order(&g);
}

/* ---- messages ---- */

typedef struct {
    const char *filter, *message; /* a part of it; NULL: accepted */
} say;

static wr_arena *arena;
static int make_arena(void **state)
{
    (void)state;
    return (arena = wr_arena_new(0)) ? 0 : -1;
}
static int drop_arena(void **state)
{
    (void)state;
    wr_arena_free(arena);
    return 0;
}

static void says(const wr_filter_noun *noun, const say *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wr_filter f;
        wr_err err = {0};
        int rc = wr_filter_parse(&f, arena, noun, wr_str_of(cases[i].filter), &err);
        if (!cases[i].message ? rc < 0 : rc != WEIR_EINVAL || !strstr(err.msg, cases[i].message))
            fail_msg("%s: %d %s", cases[i].filter, rc, err.msg);
    }
}

static void errors_say_what_mlflow_says(void **state)
{
    (void)state;
    static const say cases[] = {
        {"m.acc >= 0.94",
         "Invalid entity type 'm'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"},
        {"p.model >= 'LR'", "Invalid entity type"},
        {"`a.x` != 1", "Invalid entity type"},
        {"acc >= 0.94", "Invalid attribute key 'acc' specified"},
        {"attribute.start != 1", "Invalid attribute key 'start' specified. Valid keys are '{'run_id', 'run_name', "},
        {"foo is null", "Invalid attribute key"},
        {"dataset.profile = 'num_rows: 10'", "Invalid dataset key 'profile'"},
        {"metrics.A > 0.1 NAND params.B = 'LR'", "Invalid clause(s) in filter string: 'NAND'"},
        {"metrics.acc >= 0.94; metrics.rmse < 1", "Invalid clause(s) in filter string"},
        {"`metrics.A > 0.1", "Invalid clause(s) in filter string"},
        {"param`.A > 0.1", "Invalid clause(s) in filter string"},
        {"attribute.status = true", "value is either not quoted"},
        {"metric.model = 'LR'", "Expected numeric value type for metric. Found 'LR'"},
        {"attribute.start_time = 'x'", "Expected numeric value type for numeric attribute: start_time. Found 'x'"},
        {"attribute.status = 1", "Expected a quoted string value for attributes"},
        {"dataset.name = 1", "Expected a quoted string value for dataset"},
        {"1.0 > metrics.acc", "Expected 'Identifier' found '1.0'"},
        {"1=1", "Expected 'Identifier' found"},
        {"1==2", "Expected 'Identifier' found"},
        {"params.acc = LR", "value is either not quoted or unidentified quote types"},
        {"params.acc = `LR`", "value is either not quoted or unidentified quote types"},
        {"params.'acc = LR", "Invalid clause(s) in filter string"},
        {"params.acc = 'LR", "Invalid clause(s) in filter string"},
        {"tags.acc = \"LR'", "Invalid clause(s) in filter string"},
        {"tags.acc = = 'LR'", "Invalid clause(s) in filter string"},
        {"attribute.status IS 'RUNNING'", "Invalid clause(s) in filter string"},
        {"params.acc LR !=", "Invalid clause(s) in filter string: 'params.acc'"},
        {"metric.acc !=", "Invalid clause(s) in filter string"},
        {"metrics.abc ~ 1.0", "Invalid comparator '~'"},
        {"params.abc > 'v'", "Invalid comparator '>' not one of"},
        {"attributes.start_time LIKE 1234", "Invalid comparator 'LIKE' not one of"},
        {"metrics.abc == 1", "Invalid comparator '=='"},
        {"run_id IN ()", "expected a non-empty list of string values, but got empty list"},
        {"run_id IN ('a' 'b')", "ill-formed list"},
        {"run_id IN ('a', 1)", "different types in list"},
        {"dataset.name IS NULL", "IS NULL / IS NOT NULL is only supported for tags and params"},
        {"a = '\xff'", "not a text in UTF-8"},
        {"metrics.acc > 1 --c", "Invalid clause(s) in filter string"},
        {"()", "Invalid clause(s)"},
        {"(status = 'a'", "Invalid clause(s)"},
        {"status = 'a')", "Invalid clause(s)"},
        {"OR status = 'a'", "Invalid clause(s)"},
        {"status = 'a' OR", "Invalid clause(s)"},
        {"NOT", "Invalid clause(s)"},
        {"params.a RLIKE '(x'", "Invalid regular expression '(x'"},
        {"params.a RLIKE '(?=x)'", "Invalid regular expression"},
        {"min(params.a) = 1", "Invalid entity type 'params'"},
    };
    says(&wr_run_noun, cases, sizeof cases / sizeof *cases);
    static const say of_experiments[] = {
        {"params.a = 'x'", "Invalid entity type 'params'. Valid values are ['attribute', 'tag']"},
        {"creation_time > 1.5", "Invalid value for numeric attribute 'creation_time': 1.5"},
        {"creation_time > 9223372036854775808", "Invalid value for numeric attribute"},
        {"creation_time > 9223372036854775807", NULL},
        {"experiment_id LIKE '1%'", "Invalid comparator 'LIKE'"},
    };
    says(&wr_experiment_noun, of_experiments, sizeof of_experiments / sizeof *of_experiments);
    wr_filter f;
    wr_err err = {0};
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, WR_STR("status = 'a\0b'"), &err), WEIR_EINVAL);
}

/* ---- what is beyond MLflow ---- */

static unsigned extensions_of(const char *text)
{
    wr_filter f;
    wr_err err = {0};
    if (wr_filter_parse(&f, arena, &wr_run_noun, wr_str_of(text), &err) < 0) fail_msg("%s: %s", text, err.msg);
    return f.extensions;
}

static void extensions_are_named(void **state)
{
    (void)state;
    assert_int_equal(extensions_of("metrics.a > 1 AND params.b LIKE 'x'"), 0);
    assert_int_equal(extensions_of("metrics.a > 1 OR params.b LIKE 'x'"), WR_FILTER_EXT_OR);
    assert_int_equal(extensions_of("NOT metrics.a > 1"), WR_FILTER_EXT_OR);
    assert_int_equal(extensions_of("(metrics.a > 1)"), WR_FILTER_EXT_OR);
    assert_int_equal(extensions_of("metrics.a BETWEEN 1 AND 2"), WR_FILTER_EXT_OP);
    assert_int_equal(extensions_of("params.a IN ('x', 'y',)"), WR_FILTER_EXT_OP);
    assert_int_equal(extensions_of("params.a < 0.1"), WR_FILTER_EXT_NUMBER);
    assert_int_equal(extensions_of("params.a not like 'x'"), WR_FILTER_EXT_OP | WR_FILTER_EXT_CASE);
    assert_int_equal(extensions_of("params.a = 'x' params.b = 'y'"), WR_FILTER_EXT_JOIN);
}

static const wr_filter_node *parsed(const char *text)
{
    wr_filter f;
    wr_err err = {0};
    if (wr_filter_parse(&f, arena, &wr_run_noun, wr_str_of(text), &err) < 0) fail_msg("%s: %s", text, err.msg);
    return f.root;
}

static void and_binds_closer_than_or(void **state)
{
    (void)state;
    const wr_filter_node *n =
        parsed("NOT status = 'a' AND status = 'b' OR status = 'c' AND (status = 'd' OR status = 'e')");
    assert_int_equal(n->kind, WR_FILTER_OR);
    assert_int_equal(n->nkids, 2);
    assert_int_equal(n->kids[0]->kind, WR_FILTER_AND);
    assert_int_equal(n->kids[0]->kids[0]->kind, WR_FILTER_NOT);
    assert_int_equal(n->kids[1]->kind, WR_FILTER_AND);
    assert_int_equal(n->kids[1]->kids[1]->kind, WR_FILTER_OR);
    n = parsed("metrics.a BETWEEN 1 AND 2 AND metrics.b = 3");
    assert_int_equal(n->kind, WR_FILTER_AND);
    assert_int_equal(n->kids[0]->clause.nvalues, 2);
    assert_null(parsed(" \n\t"));
    assert_null(parsed(""));
}

static void keys_keep_dots_and_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
    } cases[] = {{"params.a.b.c = 'x'", "a.b.c"},
                 {"params.`a b/c.d` = 'x'", "a b/c.d"},
                 {"params.\"it's\" = 'x'", "it's"},
                 {"`params`.k = 'x'", "k"},
                 {"tags.gr\xc3\xb6\xc3\x9f"
                  "e = 'x'",
                  "gr\xc3\xb6\xc3\x9f"
                  "e"},
                 {"tags..a = 'x'", ".a"},
                 {"attribute.`run name` = 'x'", "run_name"},
                 {"attr.created = 1", "start_time"},
                 {"params.`` = 'x'", ""},
                 {"metrics.1st > 1", "1st"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!wr_str_is(parsed(cases[i].text)->clause.key, cases[i].key)) fail_msg("%s", cases[i].text);
    assert_true(wr_str_is(parsed("params.a = 'it''s'")->clause.values[0].text, "it''s"));
    assert_true(wr_str_is(parsed("params.a = 'it\\'s'")->clause.values[0].text, "it\\'s"));
    assert_true(wr_str_is(parsed("params.a = 'a\\'")->clause.values[0].text, "a\\"));
}

/* ---- limits ---- */

static void repeated(wr_buf *b, const char *head, const char *body, size_t n, const char *tail)
{
    wr_buf_clear(b);
    wr_buf_str(b, head);
    for (size_t i = 0; i < n; i++) wr_buf_str(b, body);
    wr_buf_str(b, tail);
}

static void limits_hold(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_filter f;
    wr_err err = {0};
    repeated(&b, "", "(", 64, "status = 'a'");
    for (int i = 0; i < 64; i++) wr_buf_char(&b, ')');
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), 0);
    repeated(&b, "", "(", 65, "");
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "nested deeper than 64"));
    repeated(&b, "", "NOT ", 1000, "status = 'a'");
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), WEIR_EINVAL);
    repeated(&b, "status = 'a'", " OR status = 'a'", 999, "");
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), 0);
    wr_buf_str(&b, " OR status = 'a'");
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "more than 1000"));
    repeated(&b, "status = '", "x", WR_FILTER_LENGTH, "'");
    assert_int_equal(wr_filter_parse(&f, arena, &wr_run_noun, wr_buf_view(&b), &err), WEIR_EINVAL);
    wr_str many[WR_ORDER_ITEMS + 1];
    wr_order_item *items;
    size_t n;
    for (size_t i = 0; i < WR_ORDER_ITEMS + 1; i++) many[i] = WR_STR("status");
    assert_int_equal(wr_order_parse(&items, &n, arena, &wr_run_noun, many, WR_ORDER_ITEMS + 1, &err), WEIR_EINVAL);
}

static void order_errors(void **state)
{
    (void)state;
    static const struct {
        const char *one, *two, *message;
    } cases[] = {
        {"start_time, status", NULL, "Invalid order_by clause 'start_time, status'. Could not be parsed."},
        {"", NULL, "Invalid order_by clause ''. Could not be parsed."},
        {"status ASC DESC", NULL, "Could not be parsed"},
        {"status ACS", NULL, "Invalid ordering key in order_by clause 'status ACS'"},
        {"nothing", NULL, "Invalid attribute key 'nothing' specified"},
        {"dataset.name", NULL, "Invalid order_by entity `dataset` with key `name`"},
        {"metrics.a", "metric.`a` DESC", "`order_by` contains duplicate fields"},
        {"created", "start_time DESC", "`order_by` contains duplicate fields"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str texts[] = {wr_str_of(cases[i].one), wr_str_of(cases[i].two)};
        wr_order_item *items;
        size_t n;
        wr_err err = {0};
        int rc = wr_order_parse(&items, &n, arena, &wr_run_noun, texts, cases[i].two ? 2 : 1, &err);
        if (rc != WEIR_EINVAL || !strstr(err.msg, cases[i].message)) fail_msg("%s: %d %s", cases[i].one, rc, err.msg);
    }
}

/* ---- tokens ---- */

static void tokens_come_back(void **state)
{
    (void)state;
    const wr_page_key keys[] = {{.value = {.kind = 'f', .f = -INFINITY}},
                                {.phase = 2},
                                {.value = {.kind = 's',
                                           .s = WR_STR("gr\xc3\xb6\xc3\x9f"
                                                       "e 'x'")}},
                                {.value = {.kind = 'i', .i = INT64_MIN}}};
    wr_page p;
    wr_err err = {0};
    wr_str token = wr_page_token(arena, 42, keys, 4);
    assert_int_equal(wr_page_read(&p, arena, token, 42, 4, &err), 0);
    assert_true(p.given && p.nkeys == 4 && p.offset == 0);
    assert_true(isinf(p.keys[0].value.f) && p.keys[1].phase == 2 && wr_str_eq(p.keys[2].value.s, keys[2].value.s));
    assert_int_equal(p.keys[3].value.i, INT64_MIN);
    assert_int_equal(wr_page_read(&p, arena, token, 43, 4, &err), WEIR_EINVAL); /* another query */
    assert_non_null(strstr(err.msg, "Invalid page token"));
    assert_int_equal(wr_page_read(&p, arena, token, 42, 3, &err), WEIR_EINVAL);
    assert_int_equal(wr_page_read(&p, arena, (wr_str){0}, 42, 4, &err), 0);
    assert_false(p.given);
}

static void every_cut_and_flip_of_a_token_is_refused_or_harmless(void **state)
{
    (void)state;
    const wr_page_key keys[] = {{.value = {.kind = 's', .s = WR_STR("abc")}}, {.value = {.kind = 'i', .i = 7}}};
    wr_page p;
    wr_str token = wr_page_token(arena, 42, keys, 2);
    for (size_t n = 1; n < token.n; n++)
        assert_int_equal(wr_page_read(&p, arena, (wr_str){token.p, n}, 42, 2, NULL), WEIR_EINVAL);
    for (size_t i = 0; i < token.n; i++)
        for (int c = 0; c < 256; c++) {
            char *copy = wr_arena_dup(arena, token.p, token.n);
            copy[i] = (char)c;
            if (wr_page_read(&p, arena, (wr_str){copy, token.n}, 42, 2, NULL) == 0) assert_int_equal(p.nkeys, 2);
            wr_arena_clear(arena);
            token = wr_page_token(arena, 42, keys, 2);
        }
}

static void mlflows_tokens_are_understood(void **state)
{
    (void)state;
    wr_page p;
    wr_err err = {0};
    assert_int_equal(wr_page_read(&p, arena, WR_STR("eyJvZmZzZXQiOiAxMDB9"), 1, 2, &err), 0); /* {"offset": 100} */
    assert_true(p.offset == 100 && p.nkeys == 0);
    assert_int_equal(wr_page_read(&p, arena, WR_STR("eyJvZmZzZXQiOiAiNyJ9"), 1, 2, &err), 0); /* {"offset": "7"} */
    assert_int_equal(p.offset, 7);
    static const char *const bad[] = {
        "eyJvZmZzZXQiOiAwfQ==", "eyJvZmZzZXQiOiAtMX0=", "eyJ4IjogMX0=", "e30=", "!!!!", "abcde", "evilcookie"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wr_page_read(&p, arena, wr_str_of(bad[i]), 1, 2, &err), WEIR_EINVAL);
        assert_non_null(strstr(err.msg, "Invalid page token"));
    }
    assert_int_equal(wr_page_read(&p, arena, wr_page_offset(arena, 55), 1, 2, &err), 0);
    assert_int_equal(p.offset, 55);
}

#define WITH_ARENA(f) cmocka_unit_test_setup_teardown(f, make_arena, drop_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_as_mlflow),
        cmocka_unit_test(experiments_as_mlflow),
        WITH_ARENA(errors_say_what_mlflow_says),
        WITH_ARENA(extensions_are_named),
        WITH_ARENA(and_binds_closer_than_or),
        WITH_ARENA(keys_keep_dots_and_quotes),
        WITH_ARENA(limits_hold),
        WITH_ARENA(order_errors),
        WITH_ARENA(tokens_come_back),
        WITH_ARENA(every_cut_and_flip_of_a_token_is_refused_or_harmless),
        WITH_ARENA(mlflows_tokens_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
