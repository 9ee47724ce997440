/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and columns: V1 of KServe and MLflow's scoring server. */
#include "wire/oip/rest_testing.h"

static int invoke(const char *model, const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "/endpoints/%s/invocations", model);
    return ask("POST", path, text);
}

static int csv(const char *model, const char *text)
{
    request.content_type = WR_STR("text/csv");
    return invoke(model, text);
}

static const char *message(void) { return text_at("/message"); }

/* Same rows, every form: the same answer. */
static void test_forms(void **state)
{
    (void)state;
    static const char *const all[] = {
        "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"index\":[0,1],\"data\":[[1,2,3],[4,5,6]]}}",
        "{\"dataframe_split\":{\"data\":[[3,1,9,2],[6,4,9,5]],\"columns\":[\"c\",\"a\",\"extra\",\"b\"]}}",
        "{\"dataframe_split\":{\"data\":[[1,2,3],[4,5,6]]}}",
        "{\"dataframe_split\":{\"columns\":[0,1,2],\"data\":[[1,2,3],[4,5,6]]}}",
        "{\"dataframe_records\":[{\"a\":1,\"b\":2,\"c\":3},{\"c\":6,\"a\":4,\"b\":5,\"d\":[7]}]}",
        "{\"instances\":[[1,2,3],[4,5,6]]}",
        "{\"instances\":[{\"a\":1,\"b\":2,\"c\":3},{\"input\":[4,5,6]}]}",
        "{\"instances\":[{\"input\":[1,2,3]},{\"input\":[[4],[5],[6]]}]}",
        "{\"inputs\":[[1,2,3],[4.0,5,6e0]]}",
        "{\"inputs\":{\"a\":[1,4],\"c\":[3,6],\"b\":[2,5],\"other\":7}}",
        "{\"inputs\":{\"input\":[[1,2,3],[4,5,6]]},\"params\":{\"t\":0.5,\"k\":[1]}}"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = invoke("tree", all[i]);
        if (status != 200) fail_msg("%s: %d %s", all[i], status, message());
        assert_string_equal(body.p, "{\"predictions\":[[321,1],[654,1]]}");
    }
    assert_true(fake.q.nparams == 1 && fake.q.params[0].f64 == 0.5);
    assert_int_equal(csv("tree", "c,a,\"b\",x\r\n3,1,2,\r\n6,4,\"5\",\"y\"\"z\"\r\n"), 200);
    assert_string_equal(body.p, "{\"predictions\":[[321,1],[654,1]]}");
    assert_int_equal(csv("tree", "\xef\xbb\xbf"
                                 "a,b,c\n+1,2.,.3e1\n4,5,6"),
                     200);
    assert_string_equal(body.p, "{\"predictions\":[[321,1],[654,1]]}");
}

static void test_missing_values(void **state)
{
    (void)state;
    static const char *const nan = "{\"predictions\":[[NaN,1],[654,1]]}"; /* as Python writes it */
    static const char *const all[] = {
        "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[[1,null,3],[4,5,6]]}}",
        "{\"dataframe_records\":[{\"a\":1,\"c\":3},{\"c\":6,\"a\":4,\"b\":5}]}", "{\"instances\":[[1,NaN,3],[4,5,6]]}",
        "{\"inputs\":{\"a\":[1,4],\"b\":[null,5],\"c\":[3,6]}}"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(invoke("tree", all[i]), 200);
        assert_string_equal(body.p, nan);
    }
    assert_int_equal(csv("tree", "a,b,c\n1,,3\n4,5,6\n"), 200);
    assert_string_equal(body.p, nan);
    assert_int_equal(csv("tree", "a,b,c\n1,NA,3\n4,5,6\n"), 200);
    assert_string_equal(body.p, nan);
    assert_int_equal(ask("POST", "/v1/models/tree:predict", all[2]), 200);
    assert_string_equal(body.p, "{\"predictions\":[[null,1],[654,1]]}"); /* V1 is JSON */
}

/* Several outputs are rows of records; ids of what was kept are told. */
static void test_endpoint(void **state)
{
    (void)state;
    static const char want[] = "{\"predictions\":[{\"probability\":4,\"label\":0},{\"probability\":1009.5,\"label\":1}]"
                               ",\"prediction_ids\":[\"made-0\",\"made-1\"]}";
    static const char *const all[] = {
        "{\"dataframe_records\":[{\"at\":\"2001-06-01\",\"km\":4,\"from\":\"SFO\"},{\"at\":null,\"km\":9.5,\"from\":"
        "\"x\"}]}",
        "{\"dataframe_records\":[{\"at\":991353601000000,\"km\":4,\"from\":\"SFO\"},{\"km\":9.5,\"from\":\"x\"}]}",
        "{\"instances\":[[\"2001-06-01\",4,\"SFO\"],[null,9.5,\"x\",\"extra\"]]}",
        "{\"inputs\":{\"from\":[\"SFO\",\"x\"],\"km\":[4,9.5],\"at\":[\"2001-06-01\",null]}}"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = invoke("late", all[i]);
        if (status != 200) fail_msg("%s: %d %s", all[i], status, message());
        assert_string_equal(body.p, want);
        assert_true(answer.kept);
        if (i >= 2) {
            assert_int_equal(ask("POST", "/v1/models/late/versions/3:predict", all[i]), 200);
            assert_string_equal(body.p, want);
        }
    }
    assert_int_equal(csv("late", "at,km,from\n2001-06-01,4,SFO\n,9.5,x\n"), 200);
    assert_string_equal(body.p, want);
    /* a time that is first missing and then a number; a truth value as a number */
    assert_int_equal(invoke("late", "{\"dataframe_records\":[{\"at\":null,\"km\":true,\"from\":\"x\"},{\"at\":5,\"km\":"
                                    "false,\"from\":\"x\"}]}"),
                     200);
    assert_string_equal(text_at("/prediction_ids/1"), "made-1");
    assert_true(yyjson_get_num(at("/predictions/0/probability")) == 1001);
    assert_true(yyjson_get_num(at("/predictions/1/probability")) == 0);
    assert_int_equal(invoke("late", "{\"dataframe_records\":[]}"), 200);
    assert_string_equal(body.p, "{\"predictions\":[]}");
    assert_int_equal(csv("late", "at,x,km,from\n"), 200);
    assert_string_equal(body.p, "{\"predictions\":[]}");
    assert_int_equal(invoke("late", "{\"inputs\":{\"at\":5,\"km\":1,\"from\":\"x\"}}"), 200); /* scalars: one row */
    assert_int_equal(yyjson_arr_size(at("/predictions")), 1);
}

static void test_whole_numbers_and_texts(void **state)
{
    (void)state;
    assert_int_equal(invoke("int64", "{\"instances\":[1,-2,9007199254740993]}"), 200);
    assert_string_equal(body.p, "{\"predictions\":[[1],[-2],[9007199254740993]]}");
    assert_int_equal(csv("int64", "INPUT0\n1\n3.0\n"), 200);
    assert_string_equal(body.p, "{\"predictions\":[[1],[3]]}");
    assert_int_equal(invoke("bytes", "{\"instances\":[[\"a\",\"b\"],[\"c\",\"d\"]]}"),
                     200); /* as long as the first row */
    assert_string_equal(body.p, "{\"predictions\":[[\"a\",\"b\"],[\"c\",\"d\"]]}");
    assert_int_equal(csv("one", "INPUT0\n\"a,\n\"\"b\"\nNA\n"), 200);
    assert_string_equal(body.p, "{\"predictions\":[[\"a,\\n\\\"b\"],[\"NA\"]]}");
    assert_int_equal(invoke("simple", "{\"instances\":[{\"INPUT0\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15],\"INPUT1\":["
                                      "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}"),
                     200);
    assert_int_equal(yyjson_get_int(at("/predictions/0/OUTPUT0/15")), 16);
    assert_int_equal(yyjson_get_int(at("/predictions/0/OUTPUT1/0")), -1);
    assert_int_equal(invoke("whole", "{\"inputs\":{\"x\":[1,2.5,3]}}"), 200);
    assert_string_equal(body.p, "{\"predictions\":6.5}");
    assert_int_equal(ask("POST", "/v1/models/whole:predict", "{\"inputs\":[1,2]}"), 200);
    assert_string_equal(body.p, "{\"predictions\":3}");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *model, *text, *error;
    } all[] = {
        {"tree", "{\"dataframe_records\":[{\"a\":1,\"x\":2}]}",
         "Model is missing inputs ['b', 'c']. (Note that there were extra inputs: ['x'].)"},
        {"tree", "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[[1]]}}", "Model is missing inputs ['b', 'c']."},
        {"tree", "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[[1,2]]}}",
         "3 columns passed, passed data had 2 columns"},
        {"tree", "{\"dataframe_split\":{\"columns\":[\"a\",\"a\",\"c\"],\"data\":[[1,2,3]]}}",
         "column 'a' is there twice"},
        {"tree", "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"]}}", "has no 'data'"},
        {"tree", "{\"dataframe_split\":[1]}", "is no object"},
        {"tree", "{\"dataframe_split\":{\"columns\":[\"a\",\"b\",\"c\"],\"data\":[1]}}", "row 0 of 'data' is no list"},
        {"tree", "{\"instances\":[[1,2]]}", "Shape does not match"},
        {"tree", "{\"instances\":[[1,2,3,4]]}", "Shape does not match"},
        {"tree", "{\"instances\":[1]}", "expected a list of 3 elements"},
        {"tree", "{\"instances\":{\"a\":1}}", "no list"},
        {"tree", "{\"instances\":[[1,\"x\",3]]}",
         "Incompatible input types for column input, row 0: element 1 is not FP32: \"x\""},
        {"tree", "{\"dataframe_records\":[{\"a\":1,\"b\":2,\"c\":\"3\"}]}",
         "Incompatible input types for column c, row 0"},
        {"tree", "{\"dataframe_records\":[{\"a\":1,\"a\":2,\"c\":3}]}", "'a' is there twice in row 0"},
        {"tree", "{\"inputs\":{\"a\":[1,2],\"b\":[1],\"c\":[3,4]}}", "All arrays must be of the same length"},
        {"tree", "{\"inputs\":{\"a\":[1],\"b\":[1],\"c\":[3],\"a\":[1]}}", "'a' is there twice"},
        {"tree", "{\"instances\":[[1,2,3]],\"inputs\":[[1,2,3]]}", "exactly one of the input fields"},
        {"tree", "{\"messages\":[]}", "Received dictionary with input fields: ['messages']"},
        {"tree", "{\"instances\":[[1,2,3]],\"signature_name\":\"x\"}",
         "'signature_name' parameter is currently not supported"},
        {"tree", "{\"instances\":[[1,2,3]],\"params\":[]}", "'params' is no object"},
        {"tree", "[[1,2,3]]", "Received a list."},
        {"tree", "5", "valid JSON formatted string"},
        {"tree", "{\"instances\":[[1,2,3]]",
         "Invalid input. Ensure that input is a valid JSON formatted string. Error: JSON at byte"},
        {"int64", "{\"instances\":[1.5]}",
         "Incompatible input types for column INPUT0, row 0: element 0 is not INT64: 1.5"},
        {"int64", "{\"instances\":[null]}", "row 0 has no value for column 'INPUT0'"},
        {"simple", "{\"instances\":[[[1]]]}", "Shape does not match"},
        {"late", "{\"instances\":[[1]]}",
         "Model inference is missing inputs. The model signature declares 3 inputs but row 0 only has 1 inputs"},
        {"late", "{\"instances\":[5]}", "row 0 is one value, the model has 3 inputs"},
        {"late", "{\"dataframe_records\":[{\"at\":\"x\",\"km\":1,\"from\":\"a\"},{\"at\":5,\"km\":1,\"from\":\"a\"}]}",
         "element 1 is not BYTES: 5"},
        {"whole", "{\"instances\":[1]}", "model 'whole' does not take rows"},
        {"whole", "{\"inputs\":{\"x\":[1,\"a\"]}}", "element 1 is not FP64"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = invoke(all[i].model, all[i].text);
        if (status != 400 || !strstr(message(), all[i].error)) fail_msg("%s: %d %s", all[i].text, status, message());
        assert_string_equal(text_at("/error_code"), "BAD_REQUEST");
    }
    static const struct {
        const char *text, *error;
    } tables[] = {{"", "no columns"},
                  {"a,b,c\n1,2,3,4\n", "line 3: more fields than the header has"},
                  {"a,b\n1,2\n", "Model is missing inputs ['c']."},
                  {"a,b,c\n1,2,\"3\n", "a quote is not closed"},
                  {"a,b,c\n1,2,\"3\"x\n", "something behind a closing quote"},
                  {"a,b,c\n1,x,3\n", "Incompatible input types for column b, row 0"}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        int status = csv("tree", tables[i].text);
        if (status != 400 || !strstr(message(), tables[i].error))
            fail_msg("%s: %d %s", tables[i].text, status, message());
    }
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int status;
    } all[] = {{"application/json", 200},
               {"application/json; charset=UTF-8", 200},
               {"Application/JSON;", 200},
               {"application/json; charset=latin1", 415},
               {"application/json; format=x", 415},
               {"text/plain", 415},
               {"application/vnd.apache.parquet", 415}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        request.content_type = wr_str_of(all[i].type);
        int status = invoke("tree", "{\"instances\":[[1,2,3]]}");
        if (status != all[i].status) fail_msg("%s: %d", all[i].type, status);
        assert_string_equal(answer.type, status == 200 ? "application/json" : "text/plain");
    }
    assert_non_null(strstr(body.p, "This predictor only supports the following content types"));
}

static void test_which_model(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/invocations", "{\"instances\":[[1,2,3]]}"), 400);
    assert_non_null(strstr(message(), "there are several models: the request must name one"));
    request.query = WR_STR("x=1&endpoint=tree");
    assert_int_equal(ask("POST", "/invocations", "{\"instances\":[[1,2,3]]}"), 200);
    request.endpoint = WR_STR("tree");
    assert_int_equal(ask("POST", "/invocations", "{\"instances\":[[1,2,3]]}"), 200);
    ops.ctx = &ops; /* the only one */
    assert_int_equal(ask("POST", "/invocations", "{\"instances\":[[1,2,3]]}"), 200);
    ops.ctx = NULL;
    assert_int_equal(invoke("nobody", "{}"), 404);
    assert_string_equal(text_at("/error_code"), "RESOURCE_DOES_NOT_EXIST");
    assert_int_equal(invoke("gone", "{}"), 503);
    assert_string_equal(text_at("/error_code"), "TEMPORARILY_UNAVAILABLE");
}

static void test_v1(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/v1/models", ""), 200);
    assert_int_equal(yyjson_arr_size(at("/models")), OIP_MODELS + 1);
    assert_int_equal(ask("GET", "/v1/models/tree", ""), 200);
    assert_true(yyjson_get_bool(at("/ready")));
    assert_int_equal(ask("GET", "/v1/models/nobody", ""), 404);
    assert_int_equal(ask("GET", "/v1/models/gone", ""), 503);
    assert_int_equal(
        ask("POST", "/v1/models/tree:predict", "{\"instances\":[[1,2,3]],\"signature_name\":\"serving_default\"}"),
        200);
    assert_string_equal(body.p, "{\"predictions\":[[321,1]]}");
    assert_int_equal(ask("POST", "/v1/models/tree:explain", "{\"instances\":[[1,2,3]]}"), 200);
    assert_string_equal(body.p,
                        "{\"predictions\":[[321,1]],\"explanations\":[[[1,2,3,0.5]]],\"features\":[\"a\",\"b\",\"c\"],"
                        "\"base_values\":[0.5],\"margins\":[[6.5]]}");
    request.query = WR_STR("explain=true");
    assert_int_equal(ask("POST", "/endpoints/tree/invocations", "{\"instances\":[[1,2,3]]}"), 200);
    assert_string_equal(text_at("/features/0"), "a");
    assert_true(yyjson_get_num(at("/explanations/0/0/3")) == 0.5 && yyjson_get_num(at("/predictions/0/0")) == 321);
    request.query = WR_STR("explain=true");
    assert_int_equal(ask("POST", "/endpoints/late/invocations", "{\"instances\":[[1,2,3]]}"), 501);
    request.query = WR_STR("explain=no");
    assert_int_equal(ask("POST", "/endpoints/tree/invocations", "{\"instances\":[[1,2,3]]}"), 200);
    assert_null(at("/explanations"));
    static const struct {
        const char *path, *text;
        int status;
    } bad[] = {{"/v1/models/tree:predict", "{}", 400},
               {"/v1/models/tree:predict", "[]", 400},
               {"/v1/models/tree:predict", "{\"instances\":[[1,2,3]],\"inputs\":[]}", 400},
               {"/v1/models/tree:predict", "{\"instances\":5}", 400},
               {"/v1/models/tree/versions/4:predict", "{\"instances\":[[1,2,3]]}", 404},
               {"/v1/models/tree/versions/:predict", "{\"instances\":[[1,2,3]]}", 404},
               {"/v1/models/late:explain", "{\"instances\":[[1,2,3]]}", 501}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = ask("POST", bad[i].path, bad[i].text);
        if (status != bad[i].status) fail_msg("%s %s: %d", bad[i].path, bad[i].text, status);
        assert_string_not_equal(error(), "(no text)");
    }
}

/* An error that comes after the wait is the protocol's own, and nothing of the answer before it is left. */
static void test_failures_after_a_wait(void **state)
{
    (void)state;
    static const char rows[] = "{\"instances\":[[1,2,3]]}";
    assert_int_equal(invoke("tree", rows), 200);
    assert_int_equal(answer.waits, fake.waits);
    fake.fail = WEIR_EUNAVAILABLE;
    assert_int_equal(invoke("tree", rows), 503);
    assert_int_equal(answer.waits, fake.waits);
    assert_string_equal(text_at("/error_code"), "TEMPORARILY_UNAVAILABLE");
    assert_int_equal(ask("POST", "/v1/models/tree:predict", rows), 503);
    assert_int_equal(answer.waits, fake.waits);
    assert_string_equal(body.p, "{\"error\":\"Exceeds maximum queue size\"}");
    fake.fail = WEIR_EINVAL;
    assert_int_equal(csv("tree", "a,b,c\n1,2,3\n"), 400);
    assert_string_equal(body.p, "{\"error_code\":\"BAD_REQUEST\",\"message\":\"Exceeds maximum queue size\"}");
    fake.fail = 0;
    request.query = WR_STR("explain=true");
    assert_int_equal(invoke("tree", rows), 200); /* waits for nobody */
    assert_false(answer.waits);
    assert_int_equal(invoke("tree", "{}"), 400);
    assert_false(answer.waits);
}

/* Few bytes do not become many values; names that nobody knows cost little. */
static void test_hostile_sizes(void **state)
{
    (void)state;
    enum { MANY = 400000 };
    char *text = malloc(16 * MANY);
    size_t n = (size_t)sprintf(text, "{\"dataframe_records\":[");
    for (int i = 0; i < MANY; i++) n += (size_t)sprintf(text + n, "%s{}", i ? "," : "");
    n += (size_t)sprintf(text + n, "]}");
    assert_int_equal(invoke("tree", text), 413);
    n = (size_t)sprintf(text, "{\"inputs\":{");
    for (int i = 0; i < MANY; i++) n += (size_t)sprintf(text + n, "%s\"%x_\":1", i ? "," : "", i);
    sprintf(text + n, "}}");
    assert_int_equal(invoke("tree", text), 400);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),         cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_endpoint),      cmocka_unit_test(test_whole_numbers_and_texts),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_types),
        cmocka_unit_test(test_which_model),   cmocka_unit_test(test_v1),
        cmocka_unit_test(test_hostile_sizes), cmocka_unit_test(test_failures_after_a_wait)};
    int failed = cmocka_run_group_tests_name("at once", tests, set_up, tear_down);
    return failed + cmocka_run_group_tests_name("after a wait", tests, set_up_waiting, tear_down);
}
