/* SPDX-License-Identifier: Apache-2.0 */
/* mlmodel_test.c - flavours and signatures as MLflow 2 and 3 write them, and what is no MLmodel. */
#include "core/core_testing.h"
#include "core/mlmodel.h"

static int setup(void **state)
{
    *state = wr_arena_new(0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    wr_arena_free(*state);
    return 0;
}

static void test_columns(void **state)
{
    wr_mlmodel m;
    wr_err err = {0};
    static const char text[] =
        "artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    code: "
        "null\n"
        "mlflow_version: 2.22.5\nmodel_uuid: abc\nrun_id: r1\nsignature:\n"
        "  inputs: '[{\"type\": \"double\", \"name\": \"x\", \"required\": true}, {\"type\": \"long\", \"name\": "
        "\"it''s\", "
        "\"optional\": true},\n    {\"type\": \"array\", \"items\": {\"type\": \"object\", \"properties\": {\"a\": "
        "{\"type\": "
        "\"long\", \"required\": true}, \"b\": {\"type\": \"string\", \"required\": false}}}, \"name\": \"l\"},\n    "
        "{\"type\": "
        "\"map\", \"values\": {\"type\": \"double\"}, \"name\": \"m\"}]'\n"
        "  outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float64\", \"shape\": [-1, 4]}}]'\n"
        "  params: '[{\"name\": \"cut\", \"default\": 0.5, \"shape\": null, \"type\": \"double\"}, {\"name\": \"old\", "
        "\"default\": NaN, \"dtype\": \"float\"}]'\n";
    assert_int_equal(wr_mlmodel_parse(&m, *state, wr_str_of(text), "MLmodel", &err), 0);
    assert_string_equal(m.flavors, "python_function, sklearn");
    assert_string_equal(m.mlflow_version, "2.22.5");
    assert_string_equal(m.run_id, "r1");
    assert_true(m.has_signature);
    assert_int_equal(m.inputs.n, 4);
    assert_string_equal(m.inputs.at[0].name, "x");
    assert_string_equal(m.inputs.at[0].type, "double");
    assert_false(m.inputs.at[0].optional);
    assert_string_equal(m.inputs.at[1].name, "it's");
    assert_true(m.inputs.at[1].optional);
    assert_string_equal(m.inputs.at[2].type, "array<{a: long, b?: string}>");
    assert_string_equal(m.inputs.at[3].type, "map<double>");
    assert_int_equal(m.outputs.n, 1);
    assert_string_equal(m.outputs.at[0].name, "");
    assert_string_equal(m.outputs.at[0].type, "float64[-1,4]");
    assert_int_equal(m.params.n, 2);
    assert_string_equal(m.params.at[0].value, "0.5");
    assert_string_equal(m.params.at[1].type, "float");
}

static void test_missing(void **state)
{
    wr_mlmodel m;
    wr_err err = {0};
    static const char *const texts[] = {"", "flavors: {}", "flavors: 3\nsignature: null", "signature: ~"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(wr_mlmodel_parse(&m, *state, wr_str_of(texts[i]), "MLmodel", &err), 0);
        assert_false(m.has_signature);
        assert_string_equal(m.flavors, "");
        assert_null(m.mlflow_version);
    }
    assert_int_equal(wr_mlmodel_parse(&m, *state, WR_STR("signature: {outputs: null}"), "MLmodel", &err), 0);
    assert_true(m.has_signature);
    assert_int_equal(m.inputs.n + m.outputs.n + m.params.n, 0);
    /* strange columns are shown as far as they go */
    assert_int_equal(wr_mlmodel_parse(&m, *state,
                                      WR_STR("signature: {inputs: '[7, \"long\", {\"type\": \"array\"}, {}]'}"),
                                      "MLmodel", &err),
                     0);
    assert_int_equal(m.inputs.n, 4);
    assert_string_equal(m.inputs.at[1].type, "long");
    assert_string_equal(m.inputs.at[2].type, "array<?>");
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *says;
        int code;
    } cases[] = {
        {"a: [", "MLmodel:", WEIR_EPARSE},
        {"[a]", "MLmodel:1:1: this is no MLmodel", WEIR_ETYPE},
        {"mlflow_version: [1]", "MLmodel:1:", WEIR_ETYPE},
        {"signature: text", "MLmodel:1:", WEIR_ETYPE},
        {"signature: {inputs: '{}'}", "MLmodel: inputs of the signature is no list", WEIR_ETYPE},
        {"signature: {outputs: '[1,'}", "MLmodel: outputs of the signature", WEIR_EPARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_mlmodel m;
        wr_err err = {0};
        assert_int_equal(wr_mlmodel_parse(&m, *state, wr_str_of(cases[i].text), "MLmodel", &err), cases[i].code);
        if (!strstr(err.msg, cases[i].says)) fail_msg("\"%s\": %s", cases[i].text, err.msg);
    }
}

static void test_limits(void **state)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_mlmodel m;
    wr_err err = {0};
    wr_buf_str(&b, "signature: {inputs: '[");
    for (int i = 0; i <= WR_MLMODEL_COLUMNS; i++) wr_buf_printf(&b, "%s{}", i ? "," : "");
    wr_buf_str(&b, "]'}");
    assert_int_equal(wr_mlmodel_parse(&m, *state, wr_buf_view(&b), "MLmodel", &err), WEIR_ELIMIT);
    wr_buf_clear(&b);
    while (b.n <= WR_MLMODEL_MAX) wr_buf_str(&b, "# a comment that is longer than it need be\n");
    assert_int_equal(wr_mlmodel_parse(&m, *state, wr_buf_view(&b), "MLmodel", &err), WEIR_ELIMIT);
    wr_buf_clear(&b); /* types in types: as deep as JSON may be */
    wr_buf_str(&b, "signature: {inputs: '[");
    for (int i = 0; i < 500; i++) wr_buf_str(&b, "{\"type\":\"array\",\"items\":");
    wr_buf_str(&b, "1");
    for (int i = 0; i < 500; i++) wr_buf_char(&b, '}');
    wr_buf_str(&b, "]'}");
    assert_int_equal(wr_mlmodel_parse(&m, *state, wr_buf_view(&b), "MLmodel", &err), WEIR_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
