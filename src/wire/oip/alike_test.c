/* SPDX-License-Identifier: Apache-2.0 */
/* alike_test.c - a request that is compared with one before means what it means when it is read in full. */
#include "wire/oip/alike.h"
#include "wire/oip/rest_testing.h"

#define IN(list)   "{\"inputs\":[" list "]}"
#define FP32(rest) IN("{\"name\":\"INPUT0\"," rest "}")
#define X(a)                                                                                                           \
    "{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" a ",1,2,3,4,5,6,7,8,9,10,11,12,13,14,"   \
                                                                                "15]}"
#define Y(a)                                                                                                           \
    "{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[" a ",0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}"

/* Its form is known: by the look that a request takes. */
static bool known(uint64_t generation, bool explain, const char *json)
{
    return wr_oip_form_of(alike, generation, explain, wr_str_of(json)) != NULL;
}

/* Asks without and with what is known, and compares; the status. */
static int same(const char *model, const char *verb, const char *length, wr_str text)
{
    WR_AUTOBUF wr_buf full = {0};
    char path[100], headers[sizeof answer.headers];
    wr_oip_alike *table = alike;
    snprintf(path, sizeof path, "/v2/models/%s/%s", model, verb);
    alike = NULL;
    request.header_length = length ? wr_str_of(length) : (wr_str){NULL, 0};
    int status = ask_bytes("POST", path, text);
    wr_buf_slice(&full, wr_buf_view(&body));
    memcpy(headers, answer.headers, sizeof headers);
    alike = table;
    for (int i = 0; i < 3; i++) {
        request.header_length = length ? wr_str_of(length) : (wr_str){NULL, 0};
        assert_int_equal(ask_bytes("POST", path, text), status);
        assert_string_equal(wr_buf_cstr(&body), wr_buf_cstr(&full));
        assert_int_equal(body.n, full.n);
        assert_memory_equal(body.p, full.p, full.n);
        assert_string_equal(answer.headers, headers);
    }
    return status;
}

static int same_text(const char *model, const char *text) { return same(model, "infer", NULL, wr_str_of(text)); }

static void test_values(void **state)
{
    (void)state;
    static const char *const good[] = {FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]"),
                                       FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[-1.5e3,null,3]"),
                                       FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[[ 0.25 , NaN],[7] ]"),
                                       FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3] ")};
    static const char *const bad[] = {
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2]"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3,4]"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,\"a\"]"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]]"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3],\"data\":[1,2,3]"),
        FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":"),
        "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":}]}"};
    assert_false(known(1, false, good[0]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_int_equal(same_text("fp32", good[i]), 200);
    assert_true(known(1, false, good[0]));
    assert_true(known(1, false, good[1])); /* the same form: seen before its values are read */
    assert_false(known(2, false, good[0]));
    assert_false(known(1, true, good[0]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(same_text("fp32", bad[i]), 400);
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[8.5,2,3]")), 200);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 8.5);
}

static void test_several_inputs(void **state)
{
    (void)state;
    static const char chosen[] =
        "{\"outputs\":[{\"name\":\"OUTPUT1\"},{\"name\":\"OUTPUT0\",\"parameters\":{\"binary_data\":false}}],"
        "\"inputs\":[" X("100") "," Y("7") "]}";
    assert_int_equal(same_text("simple", IN(X("0") "," Y("1"))), 200);
    assert_int_equal(same_text("simple", IN(X("1234567890") "," Y("-5"))), 200);
    assert_int_equal(yyjson_get_int(at("/outputs/0/data/0")), 1234567885);
    assert_int_equal(same_text("simple", IN(Y("3") "," X("4"))), 200); /* the other order is another form */
    assert_int_equal(yyjson_get_int(at("/outputs/1/data/0")), 1);
    assert_int_equal(same_text("simple", chosen), 200);
    assert_true(known(6, false, chosen));
    assert_string_equal(text_at("/outputs/0/name"), "OUTPUT1");
    assert_int_equal(yyjson_get_int(at("/outputs/0/data/0")), 93);
    assert_int_equal(same_text("simple", IN(X("0") "," X("1"))), 400);
    assert_int_equal(same_text("simple", IN(X("0"))), 400);
    assert_int_equal(same("tree", "explain", NULL,
                          WR_STR(IN("{\"name\":\"input\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]}"))),
                     200);
    assert_int_equal(same("tree", "infer", NULL,
                          WR_STR(IN("{\"name\":\"input\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[3,2,1]}"))),
                     200);
}

/* Strings of a request are moved with what stands before them. */
static void test_names_behind_values(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"inputs\":[" X("0") "," Y("1") "],\"outputs\":[{\"name\":\"OUTPUT0\"}]}",
        "{\"inputs\":[" X("-100000") "," Y("1000000000") "],\"outputs\":[{\"name\":\"OUTPUT0\"}]}",
        "{\"inputs\":[" X("7") "," Y("8") "],\"outputs\":[{\"name\":\"OUTPUT1\"}]}",
        "{\"inputs\":[" X("7") "," Y("8") "],\"outputs\":[{\"name\":\"OUTPUT2\"}]}"};
    static const int status[] = {200, 200, 200, 400};
    for (size_t i = 0; i < 4; i++) assert_int_equal(same_text("simple", texts[i]), status[i]);
}

static void test_binary(void **state)
{
    (void)state;
    char text[400];
    for (int i = 0; i < 3; i++) {
        int n = snprintf(text, sizeof text, "%s",
                         "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2],\"datatype\":\"FP32\",\"parameters\":{"
                         "\"binary_data_size\":8}}],\"parameters\":{\"binary_data_output\":true}}");
        char length[12];
        float values[2] = {(float)i, 0.5F};
        snprintf(length, sizeof length, "%d", n);
        memcpy(text + n, values, sizeof values);
        assert_int_equal(same("fp32", "infer", length, (wr_str){text, (size_t)n + 8}), 200);
        assert_memory_equal(body.p + body.n - 8, values, 8);
        assert_int_equal(same("fp32", "infer", length, (wr_str){text, (size_t)n + 7}), 400);
        assert_int_equal(same("fp32", "infer", length, (wr_str){text, (size_t)n + 9}), 400);
        assert_true(known(1, false, text));
    }
}

/* What differs from request to request besides values, or is not understood by its place, is read in full. */
static void test_without_form(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"id\":\"a\",\"inputs\":[" X("0") "," Y("1") "]}",
        "{\"parameters\":{\"p\":1},\"inputs\":[" X("0") "," Y("1") "]}",
        FP32("\"data\":[1,2,3],\"shape\":[1,3],\"datatype\":\"FP32\""),
        IN("{\"name\":\"INPUT\\u0030\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]}")};
    static const char *const models[] = {"simple", "simple", "fp32", "fp32"};
    static const uint64_t generations[] = {6, 6, 1, 1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(same_text(models[i], texts[i]), 200);
        assert_false(known(generations[i], false, texts[i]));
    }
}

static void test_missing_values(void **state)
{
    (void)state;
#define LATE(t, k)                                                                                                     \
    IN("{\"name\":\"at\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[" t "]},{\"name\":\"km\",\"shape\":[1],"       \
       "\"datatype\":\"INT8\",\"data\":[" k                                                                            \
       "]},{\"name\":\"from\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"SF\\u004f\"]}")
    assert_int_equal(same_text("late", LATE("5", "null")), 200);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 100);
    assert_int_equal(same_text("late", LATE("5", "3")), 200);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 3);
    assert_int_equal(same_text("late", LATE("null", "3")), 200);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 1003);
    assert_true(known(9, false, LATE("null", "null")));
    assert_int_equal(same_text("late", LATE("5", "1.5")), 400); /* INT8, although the first one's was missing */
}

/* Eight forms, and the useful ones stay. */
static void test_many_forms(void **state)
{
    (void)state;
    static const char useful[] = FP32("\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]");
    char text[300];
    for (int i = 0; i < 20; i++) assert_int_equal(infer("fp32", useful), 200);
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text,
                 "{\"x\":%d,\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[%d]}]}", i,
                 i);
        assert_int_equal(same_text("fp32", text), 200);
    }
    assert_true(known(1, false, useful));
}

static void test_long_text(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, "{\"inputs\":[{\"name\":\"INPUT0\",");
    for (int i = 0; i < 1100; i++) wr_buf_char(&b, ' ');
    wr_buf_str(&b, "\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}");
    assert_int_equal(same_text("fp32", b.p), 200);
    assert_false(known(1, false, b.p));
    wr_buf_clear(&b);
    wr_buf_str(&b, "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2000],\"datatype\":\"FP32\",\"data\":[1");
    for (int i = 1; i < 2000; i++) wr_buf_printf(&b, ",%d", i);
    wr_buf_str(&b, "]}]}");
    assert_int_equal(same_text("fp32", b.p), 200);
    assert_true(known(1, false, b.p)); /* values do not count */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_several_inputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_behind_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_binary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_text, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
