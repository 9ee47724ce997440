/* SPDX-License-Identifier: Apache-2.0 */
/* Inference of V2: JSON, binary tensors, raw bodies, classes, packing; what Triton's own HTTP tests look at; memory. */
#include "base/clock.h"
#include "base/fault.h"
#include "codec/inflate.h"
#include "wire/oip/rest_testing.h"

#define AT         "{\"name\":\"at\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"2001-06-01T00:00:01Z\",\"2001-06-02\"]}"
#define KM         "{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[4,9.5]}"
#define FROM       "{\"name\":\"from\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"SFO\",\"\"]}"
#define IN(list)   "{\"inputs\":[" list "]}"
#define FP32(rest) IN("{\"name\":\"INPUT0\"," rest "}")

/* ---- JSON ---- */

static void test_endpoint(void **state)
{
    (void)state;
    assert_int_equal(infer("late", IN(FROM "," AT "," KM)), 200); /* any order */
    assert_true(answer.kept);
    assert_string_equal(text_at("/model_name"), "late");
    assert_string_equal(text_at("/model_version"), "3");
    assert_null(at("/id"));
    assert_string_equal(text_at("/parameters/prediction_ids/1"), "made-1");
    assert_string_equal(text_at("/outputs/0/name"), "probability");
    assert_string_equal(text_at("/outputs/0/datatype"), "FP64");
    assert_int_equal(yyjson_get_int(at("/outputs/0/shape/0")), 2);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 4 && yyjson_get_num(at("/outputs/0/data/1")) == 9.5);
    assert_int_equal(yyjson_get_int(at("/outputs/1/data/1")), 1);
    assert_int_equal(infer("late",
                           "{\"id\":\"x\",\"parameters\":{\"a\":1,\"binary_data_output\":false},\"outputs\":[{\"name\":"
                           "\"label\",\"parameters\":"
                           "{\"binary_data\":false}}],\"inputs\":[" AT "," KM "," FROM "],\"more\":{\"x\":[1]}}"),
                     200);
    assert_string_equal(text_at("/id"), "x");
    assert_string_equal(fake.ids[0], "x/0");
    assert_string_equal(fake.ids[1], "x/1");
    assert_int_equal(yyjson_arr_size(at("/outputs")), 1);
    assert_string_equal(text_at("/outputs/0/name"), "label");
    assert_int_equal(infer("simple", "{\"id\":\"x\",\"inputs\":[]}"), 400);
    assert_false(answer.kept);
}

/* Of lenient inputs null is a missing value, whatever the datatype. */
static void test_missing_values(void **state)
{
    (void)state;
    static const struct {
        const char *at, *km, *from;
        double want;
    } all[] = {{"\"datatype\":\"INT64\",\"data\":[-5]", "\"datatype\":\"FP64\",\"data\":[null]",
                "\"datatype\":\"BYTES\",\"data\":[\"\"]", 100},
               {"\"datatype\":\"INT64\",\"data\":[null]", "\"datatype\":\"FP32\",\"data\":[2]",
                "\"datatype\":\"BYTES\",\"data\":[\"\"]", 1002},
               {"\"datatype\":\"BYTES\",\"data\":[null]", "\"datatype\":\"INT8\",\"data\":[null]",
                "\"datatype\":\"BYTES\",\"data\":[null]", 11100},
               {"\"data\":[null],\"datatype\":\"BYTES\"", "\"data\":[true],\"datatype\":\"BOOL\"",
                "\"data\":[[\"x\"]],\"datatype\":\"BYTES\"", 1001}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "{\"id\":\"one\",\"inputs\":[{\"name\":\"at\",\"shape\":[1],%s},{\"name\":\"km\",%s,\"shape\":[1]},{%"
                 "s,\"shape\":[1],\"name\":\"from\"}]}",
                 all[i].at, all[i].km, all[i].from);
        if (infer("late", text) != 200) fail_msg("%s: %s", text, error());
        assert_string_equal(fake.ids[0], "one");
        if (yyjson_get_num(at("/outputs/0/data/0")) != all[i].want)
            fail_msg("%s: %g", text, yyjson_get_num(at("/outputs/0/data/0")));
    }
    assert_int_equal(infer("int64", FP32("\"shape\":[1,1],\"datatype\":\"INT64\",\"data\":[null]")),
                     400); /* not lenient */
}

static void test_shapes_and_types(void **state)
{
    (void)state;
    static const char *const good[] = {"\"shape\":[2,1],\"datatype\":\"FP64\",\"data\":[[4],[9.5]]",
                                       "\"shape\":[2,1],\"datatype\":\"FP32\",\"data\":[4,9.5]",
                                       "\"shape\":[2],\"datatype\":\"FP64\",\"data\":[[4,9.5]]",
                                       "\"data\":[[[4]],[[9.5]]],\"datatype\":\"FP64\",\"shape\":[2,1,1]",
                                       "\"shape\":[2],\"datatype\":\"FP64\",\"data\": [ 4 , 9.5 ] "};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[1000];
        snprintf(text, sizeof text, IN(AT "," FROM ",{\"name\":\"km\",%s}"), good[i]);
        if (infer("late", text) != 200) fail_msg("%s: %s", text, error());
        assert_true(yyjson_get_num(at("/outputs/0/data/1")) == 9.5);
    }
    static const char *const types[] = {"BOOL\",\"data\":[true,0]",
                                        "INT8\",\"data\":[-128,127]",
                                        "INT16\",\"data\":[-1,1]",
                                        "INT32\",\"data\":[1,2]",
                                        "INT64\",\"data\":[-9223372036854775808,9223372036854775807]",
                                        "UINT8\",\"data\":[0,255]",
                                        "UINT16\",\"data\":[0,65535]",
                                        "UINT32\",\"data\":[0,4294967295]",
                                        "UINT64\",\"data\":[0,18446744073709551615]"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char text[1000];
        snprintf(text, sizeof text, IN(AT "," FROM ",{\"name\":\"km\",\"shape\":[2],\"datatype\":\"%s}"), types[i]);
        if (infer("late", text) != 200) fail_msg("%s: %s", types[i], error());
    }
}

static const struct {
    const char *text, *error;
    int status;
} bad_requests[] = {
    {"", "The document is empty", 400},
    {"[1]", "not a JSON object", 400},
    {"{", "JSON at byte", 400},
    {"{}", "Unable to parse 'inputs'", 400},
    {"{\"inputs\":{}}", "Unable to parse 'inputs'", 400},
    {"{\"inputs\":[]}", "expected 3 inputs but got 0", 400},
    {IN(AT "," KM "," FROM "," KM), "input 'km' already exists in request", 400},
    {IN("{\"name\":\"kn\"}"), "unexpected inference input 'kn' for model 'late' (did you mean 'km'?)", 400},
    {IN("3"), "expected an object", 400},
    {IN("{\"datatype\":\"FP64\",\"shape\":[1],\"data\":[1]}"), "Unable to parse 'name'", 400},
    {IN("{\"name\":7}"), "Unable to parse 'name': attempt to access JSON non-string as string", 400},
    {IN("{\"name\":\"km\",\"datatype\":\"FP64\",\"data\":[1]}"), "Unable to parse 'shape'", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"data\":[1]}"), "Unable to parse 'datatype'", 400},
    {IN("{\"name\":\"km\",\"shape\":1,\"datatype\":\"FP64\",\"data\":[1]}"), "non-array as array", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP65\",\"data\":[1]}"), "unknown datatype 'FP65'", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP16\",\"data\":[1]}"),
     "receiving FP16 data via JSON is not supported", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"BF16\",\"data\":[1]}"),
     "receiving BF16 data via JSON is not supported", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\"}"), "But no field is set", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1],\"parameters\":{\"binary_data_size\":8}"
        "}"),
     "But set 'data' 'binary_data_size'", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"parameters\":{\"binary_data_size\":8}}"),
     "must specify valid 'Infer-Header-Content-Length'", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"parameters\":{\"binary_data_size\":-8}}"),
     "binary_data_size", 400},
    {IN("{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[1]}"),
     "Shape does not match true shape of 'data' field", 400},
    {IN("{\"name\":\"km\",\"data\":[1],\"shape\":[2],\"datatype\":\"FP64\"}"),
     "Shape does not match true shape of 'data' field", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[\"a\"]}"), "element 0 is not FP64: \"a\"", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[128]}"), "element 0 is not INT8: 128", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":5}"), "non-array as array", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]"), "JSON at byte", 400},
    {IN("{\"name\":\"km\",\"shape\":[1],\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}"), "'shape' is there twice",
     400},
    {"{\"inputs\":[],\"inputs\":[]}", "'inputs' is there twice", 400},
    {"{\"inputs\":[]} x", "unexpected content", 400},
    {"{\"id\":7,\"inputs\":[]}", "Unable to parse 'id'", 400},
    {"{\"parameters\":3,\"inputs\":[]}", "Unable to parse 'parameters'", 400},
    {"{\"parameters\":{\"triton_x\":3},\"inputs\":[]}", "reserved for Triton usage", 400},
    {"{\"parameters\":{\"x\":[3]},\"inputs\":[]}", "parameter 'x' has invalid type", 400},
    {"{\"parameters\":{\"timeout\":-3},\"inputs\":[]}", "Unable to parse 'timeout'", 400},
    {"{\"parameters\":{\"priority\":1.5},\"inputs\":[]}", "Unable to parse 'priority'", 400},
    {"{\"parameters\":{\"binary_data_output\":1},\"inputs\":[]}", "non-boolean as boolean", 400},
    {"{\"outputs\":[{\"name\":\"x\"}],\"inputs\":[]}", "unexpected inference output 'x' for model 'late'", 400},
    {"{\"outputs\":[{}],\"inputs\":[]}", "Unable to parse 'name'", 400},
    {"{\"outputs\":[{\"name\":\"label\"},{\"name\":\"label\"}],\"inputs\":[]}",
     "output 'label' already exists in request", 400},
    {"{\"outputs\":\"label\",\"inputs\":[]}", "Unable to parse 'outputs'", 400},
    {"{\"outputs\":[{\"name\":\"label\",\"parameters\":{\"shared_memory_region\":\"r\",\"classification\":2}}],"
     "\"inputs\":[]}",
     "Output can't set both 'shared_memory_region' and 'classification'", 400},
    {"{\"outputs\":[{\"name\":\"label\",\"parameters\":{\"shared_memory_region\":\"r\",\"binary_data\":true}}],"
     "\"inputs\":[]}",
     "Output can't set both 'shared_memory_region' and 'binary_data'", 400}};

static void test_bad_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++) {
        int status = infer("late", bad_requests[i].text);
        if (status != bad_requests[i].status || answer.kept || !strstr(error(), bad_requests[i].error))
            fail_msg("%s: %d %s", bad_requests[i].text, status, error());
    }
    char id[400];
    snprintf(id, sizeof id, "{\"id\":\"%0120d\",\"inputs\":[]}", 0);
    assert_int_equal(infer("late", id), 400);
    assert_non_null(strstr(error(), "expected 3 inputs"));
    snprintf(id, sizeof id, "{\"id\":\"%0121d\",\"inputs\":[]}", 0);
    assert_int_equal(infer("late", id), 400);
    assert_non_null(strstr(error(), "longer than 120 bytes"));
}

/* server/qa/L0_http/http_test.py: overflowing and negative shapes, deep JSON, outputs named twice, a full queue. */
static void test_as_triton(void **state)
{
    (void)state;
    assert_int_equal(infer("fp32", FP32("\"shape\":[16,1152921504606846978],\"datatype\":\"FP32\",\"data\":[1.0]")),
                     400);
    assert_non_null(strstr(error(), "causes total element count to exceed maximum size of 9223372036854775807"));
    assert_int_equal(infer("fp32", FP32("\"shape\":[4,1152921504606846978],\"datatype\":\"FP32\",\"data\":[1.0]")),
                     400);
    assert_non_null(strstr(error(), "byte size overflow for input 'INPUT0'"));
    assert_int_equal(infer("fp32", FP32("\"shape\":[2,-5],\"datatype\":\"FP32\",\"data\":[1.0]")), 500);
    assert_string_equal(error(),
                        "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer");
    assert_int_equal(infer("fp32", FP32("\"shape\":[18446744073709551615],\"datatype\":\"FP32\",\"data\":[1.0]")), 400);
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,1,1,1,1,1,1,1,1],\"datatype\":\"FP32\",\"data\":[1.0]")), 400);
    static const struct {
        const char *model, *type, *value;
    } deep[] = {{"bytes", "BYTES", "\"hello\""}, {"int64", "INT64", "123"}};
    for (size_t i = 0; i < 4; i++) {
        char text[600];
        size_t n = i & 1 ? 120 : 50;
        int k = snprintf(
            text, sizeof text,
            "{\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"%s\",\"shape\":[1,1],\"data\":", deep[i / 2].type);
        memset(text + k, '[', n);
        k += (int)n + snprintf(text + k + n, sizeof text - (size_t)k - n, "%s", deep[i / 2].value);
        memset(text + k, ']', n);
        memcpy(text + k + n, "}]}", 4);
        assert_int_equal(infer(deep[i / 2].model, text), i & 1 ? 400 : 200);
        if (i & 1) assert_non_null(strstr(error(), "JSON nesting depth exceeds maximum allowed limit (100)"));
    }
    assert_int_equal(
        infer("fp32",
              "{\"inputs\":[{\"name\":\"INPUT0\",\"datatype\":\"FP32\",\"shape\":[1,8],\"data\":[[0,1,2,3,4,5,6,7]]}],"
              "\"outputs\":[{\"name\":\"OUTPUT0\"},{\"name\":\"OUTPUT0\"}]}"),
        400);
    assert_string_equal(error(), "output 'OUTPUT0' already exists in request");
    fake.fail = WEIR_EUNAVAILABLE;
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1.0]")), 503);
    assert_string_equal(error(), "Exceeds maximum queue size");
    fake.fail = WEIR_ETIMEOUT;
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1.0]")), 503);
    fake.fail = 0;
}

/* server/qa/L0_infer_zero: tensors without elements go through, as JSON and binary. */
static void test_zero_size(void **state)
{
    (void)state;
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,0],\"datatype\":\"FP32\",\"data\":[]")), 200);
    assert_int_equal(yyjson_arr_size(at("/outputs/0/data")), 0);
    assert_int_equal(yyjson_get_int(at("/outputs/0/shape/1")), 0);
    assert_int_equal(infer("bytes", FP32("\"shape\":[0,5],\"datatype\":\"BYTES\",\"data\":[]")), 200);
    assert_int_equal(infer("fp32", "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"INPUT0\","
                                   "\"shape\":[1,0],\"datatype\":\"FP32\","
                                   "\"parameters\":{\"binary_data_size\":0}}]}"),
                     200);
    assert_string_equal(answer.headers, ""); /* nothing is behind the JSON */
    assert_int_equal(yyjson_get_int(at("/outputs/0/parameters/binary_data_size")), 0);
    assert_null(at("/outputs/0/data"));
    assert_int_equal(
        infer("late", "{\"inputs\":[{\"name\":\"at\",\"shape\":[0],\"datatype\":\"INT64\",\"data\":[]},{\"name\":"
                      "\"km\",\"shape\":[0],\"datatype\":"
                      "\"FP64\",\"data\":[]},{\"name\":\"from\",\"shape\":[0],\"datatype\":\"BYTES\",\"data\":[]}]}"),
        200);
    assert_int_equal(yyjson_arr_size(at("/outputs/0/data")), 0);
}

static void test_parameters(void **state)
{
    (void)state;
    assert_int_equal(infer("fp32", "{\"id\":\"\",\"parameters\":{\"s\":\"text\",\"b\":true,\"i\":-7,\"f\":0.5,\"u\":"
                                   "18446744073709551615,\"timeout\":50,"
                                   "\"priority\":2,\"sequence_id\":3,\"sequence_start\":true},\"outputs\":null,"
                                   "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,1],"
                                   "\"datatype\":\"FP32\",\"data\":[1],\"parameters\":{\"any\":{\"x\":[]}}}]}"),
                     200);
    const wr_oip_param *p = fake.q.params;
    assert_int_equal(fake.q.nparams, 7);
    assert_true(p[0].kind == WR_OIP_STR && wr_str_is(p[0].str, "text") && wr_str_is(p[0].name, "s"));
    assert_true(p[1].kind == WR_OIP_BOOL && p[1].b);
    assert_true(p[2].kind == WR_OIP_I64 && p[2].i64 == -7);
    assert_true(p[3].kind == WR_OIP_F64 && p[3].f64 == 0.5);
    assert_true(p[4].kind == WR_OIP_F64 && p[4].f64 == 0x1p64);
    assert_true(fake.q.timeout_us == 50 && fake.q.priority == 2);
    char many[3000] = "{\"inputs\":[],\"parameters\":{";
    for (int i = 0; i <= 100; i++) snprintf(many + strlen(many), 20, "%s\"p%d\":1", i ? "," : "", i);
    strncat(many, "}}", 3);
    assert_int_equal(infer("fp32", many), 400);
    assert_non_null(strstr(error(), "more than 100 parameters"));
}

/* ---- binary tensors ---- */

static wr_buf sent;

static int send_binary(const char *model, const char *json, const void *tensors, size_t n)
{
    char path[100], header[24];
    snprintf(path, sizeof path, "/v2/models/%s/infer", model);
    snprintf(header, sizeof header, "%zu", strlen(json));
    wr_buf_clear(&sent);
    wr_buf_str(&sent, json);
    wr_buf_add(&sent, tensors, n);
    request.header_length = wr_str_of(header);
    return ask_bytes("POST", path, wr_buf_view(&sent));
}

static const char *behind(void)
{
    const char *header = strstr(answer.headers, "Inference-Header-Content-Length: ");
    assert_non_null(header);
    return body.p + strtoul(header + 33, NULL, 10);
}

#define PAIR(a, b)                                                                                                     \
    "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\"," a                                      \
    "},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\"," b "}]}"
#define BIN  "\"parameters\":{\"binary_data_size\":64}"
#define ONES "\"data\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"

static void test_binary(void **state)
{
    (void)state;
    int32_t both[33], got[16];
    for (int i = 0; i < 33; i++) both[i] = i < 16 ? i : 1;
    assert_int_equal(send_binary("simple", "{\"parameters\":{\"binary_data_output\":true}," PAIR(BIN, BIN), both, 128),
                     200);
    assert_string_equal(answer.type, "application/octet-stream");
    assert_int_equal(yyjson_get_int(at("/outputs/0/parameters/binary_data_size")), 64);
    assert_null(at("/outputs/0/data"));
    memcpy(got, behind(), sizeof got);
    for (int i = 0; i < 16; i++) assert_int_equal(got[i], i + 1);
    memcpy(got, behind() + 64, sizeof got);
    for (int i = 0; i < 16; i++) assert_int_equal(got[i], i - 1);
    assert_int_equal(body.n, (size_t)(behind() - body.p) + 128);
    /* one input binary, the other JSON; one output binary, the other not */
    assert_int_equal(
        send_binary(
            "simple",
            "{\"outputs\":[{\"name\":\"OUTPUT1\"},{\"name\":\"OUTPUT0\",\"parameters\":{\"binary_data\":true}}]," PAIR(
                ONES, BIN),
            both, 64),
        200);
    assert_string_equal(text_at("/outputs/0/name"), "OUTPUT1");
    assert_int_equal(yyjson_get_int(at("/outputs/0/data/15")), 1 - 15);
    memcpy(got, behind(), sizeof got);
    assert_int_equal(got[15], 16);
    static const struct {
        const char *json, *error;
        size_t n;
    } bad[] = {
        {"{" PAIR(BIN, BIN), "unexpected size for input 'INPUT1', expecting 4 additional bytes for model 'simple'",
         124},
        {"{" PAIR(BIN, BIN), "unexpected size for input 'INPUT0', expecting 60 additional bytes for model 'simple'", 4},
        {"{" PAIR(BIN, BIN), "unexpected additional input data for model 'simple'", 132},
        {"{" PAIR(ONES, ONES), "unexpected additional input data for model 'simple'", 1},
        {"{" PAIR("\"parameters\":{\"binary_data_size\":60}", BIN),
         "input byte size mismatch for input 'INPUT0'. Expected 64, got 60", 124}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = send_binary("simple", bad[i].json, both, bad[i].n);
        if (status != 400 || strcmp(error(), bad[i].error) != 0) fail_msg("%zu: %d %s", i, status, error());
        assert_string_equal(answer.headers, "");
    }
}

static void test_binary_strings(void **state)
{
    (void)state;
    static const char json[] = "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"INPUT0\","
                               "\"shape\":[1,2],\"datatype\":\"BYTES\","
                               "\"parameters\":{\"binary_data_size\":11}}]}";
    assert_int_equal(send_binary("bytes", json, "\3\0\0\0a\0b\0\0\0\0", 11), 200);
    assert_memory_equal(behind(), "\3\0\0\0a\0b\0\0\0\0", 11);
    assert_int_equal(send_binary("bytes", json, "\4\0\0\0a\0b\0\0\0\0", 11), 400);
    assert_non_null(strstr(error(), "incomplete string length indicator"));
    assert_int_equal(infer("bytes", FP32("\"shape\":[1,2],\"datatype\":\"BYTES\",\"data\":[\"a\\u0000\",\"\\u00e4\"]")),
                     200);
    assert_string_equal(text_at("/outputs/0/data/1"), "\xc3\xa4");
}

static void test_half(void **state)
{
    (void)state;
    static const char json[] = "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"INPUT0\","
                               "\"shape\":[1,2,1],\"datatype\":\"FP16\","
                               "\"parameters\":{\"binary_data_size\":4}}]}";
    assert_int_equal(send_binary("fp16", json, "\0\x3c\0\x40", 4), 200);
    assert_memory_equal(behind(), "\0\x3c\0\x40", 4);
    assert_int_equal(send_binary("fp16", json + 43, "\0\x3c\0\x40", 4), 400); /* no object any more */
    assert_int_equal(send_binary("fp16",
                                 "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2,1],\"datatype\":\"FP16\","
                                 "\"parameters\":{\"binary_data_size\":4}}]}",
                                 "\0\x3c\0\x40", 4),
                     400);
    assert_non_null(
        strstr(error(), "sending FP16 data via JSON is not supported. Please use the binary data format for output"));
}

static void test_header_length(void **state)
{
    (void)state;
    static const struct {
        const char *header, *error;
    } bad[] = {{"99999999999", "Unable to parse Inference-Header-Content-Length, value is out of range [ -2147483648, "
                               "2147483647 ], got: 99999999999"},
               {"99999999999999999999999", "value is out of range"},
               {"2147483648", "value is out of range"},
               {"2147483647", "inference header size should be in range (0, 13), got: 2147483647"},
               {"14", "inference header size should be in range (0, 13), got: 14"},
               {"-1", "inference header size should be in range (0, 13), got: -1"},
               {"abc", "Unable to parse Inference-Header-Content-Length, got: abc"},
               {"", "Unable to parse Inference-Header-Content-Length, got: "},
               {"12", "JSON at byte"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request.header_length = wr_str_of(bad[i].header);
        int status = ask("POST", "/v2/models/fp32/infer", "{\"inputs\":[]}");
        if (status != 400 || !strstr(error(), bad[i].error)) fail_msg("%s: %d %s", bad[i].header, status, error());
    }
}

/* The header 0: the body is the one input. */
static int send_raw(const char *model, const void *bytes, size_t n)
{
    char path[100];
    snprintf(path, sizeof path, "/v2/models/%s/infer", model);
    request.header_length = WR_STR("0");
    return ask_bytes("POST", path, (wr_str){bytes, n});
}

static void test_raw(void **state)
{
    (void)state;
    float x[32];
    for (int i = 0; i < 32; i++) x[i] = (float)i;
    for (size_t n = 8; n <= 32; n *= 4) {
        assert_int_equal(send_raw("fp32", x, n * 4), 200);
        assert_memory_equal(behind(), x, n * 4);
        assert_int_equal(yyjson_get_int(at("/outputs/0/shape/0")), 1);
        assert_int_equal(yyjson_get_int(at("/outputs/0/shape/1")), n);
    }
    assert_int_equal(send_raw("fp32", x, 0), 200);
    assert_non_null(behind());
    assert_int_equal(send_raw("fp32", x, 5), 400);
    assert_int_equal(send_raw("one", "427", 3), 200);
    assert_memory_equal(behind(),
                        "\3\0\0\0"
                        "427",
                        7);
    assert_int_equal(send_raw("bytes", "427", 3), 400);
    assert_non_null(strstr(error(), "For BYTE datatype raw input 'INPUT0', the model must have input shape [1]"));
    assert_int_equal(send_raw("fp16", x, 8), 400);
    assert_non_null(strstr(error(), "The shape of the raw input 'INPUT0' can not be deduced because there are more "
                                    "than one variable-sized dimension"));
    assert_int_equal(send_raw("late", x, 96), 400);
    assert_non_null(strstr(error(), "Raw request must only have 1 input (found 1) to be deduced but got 3 inputs in"));
    assert_int_equal(send_raw("whole", (double[]){1, 2}, 16), 200);
}

/* ---- classes, explanations, packing ---- */

static void test_classification(void **state)
{
    (void)state;
    assert_int_equal(infer("tree", "{\"outputs\":[{\"name\":\"score\",\"parameters\":{\"classification\":1}}],"
                                   "\"inputs\":[{\"name\":\"input\",\"shape\":[2,3],"
                                   "\"datatype\":\"FP32\",\"data\":[0.5,0,0,2,0,0]}]}"),
                     200);
    assert_string_equal(text_at("/outputs/0/datatype"), "BYTES");
    assert_int_equal(yyjson_get_int(at("/outputs/0/shape/0")), 2);
    assert_int_equal(yyjson_get_int(at("/outputs/0/shape/1")), 1);
    assert_string_equal(text_at("/outputs/0/data/0"), "1:1:high");
    assert_string_equal(text_at("/outputs/0/data/1"), "2:0:low");
    assert_int_equal(infer("tree", "{\"outputs\":[{\"name\":\"score\",\"parameters\":{\"classification\":9}}],"
                                   "\"inputs\":[{\"name\":\"input\",\"shape\":[1,3],"
                                   "\"datatype\":\"FP32\",\"data\":[-1,0,0]}]}"),
                     200);
    assert_string_equal(text_at("/outputs/0/data/0"), "-1:0:low"); /* what is no number comes last */
    assert_string_equal(text_at("/outputs/0/data/1"), "NaN:1:high");
    assert_int_equal(infer("fp32", "{\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"classification\":3,\"binary_"
                                   "data\":true}}],\"inputs\":[{\"name\":\"INPUT0\","
                                   "\"shape\":[1,7],\"datatype\":\"FP32\",\"data\":[1,5,10,4,10,-2,7.5]}]}"),
                     200);
    assert_memory_equal(behind(),
                        "\4\0\0\0"
                        "10:2\4\0\0\0"
                        "10:4\5\0\0\0"
                        "7.5:6",
                        25);
    assert_int_equal(infer("bytes", "{\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"classification\":3}}],"
                                    "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,1],"
                                    "\"datatype\":\"BYTES\",\"data\":[\"a\"]}]}"),
                     400);
    assert_non_null(strstr(error(), "unsupported type 'BYTES'"));
    assert_int_equal(infer("fp32", "{\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"classification\":3}}],"
                                   "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[0,4],"
                                   "\"datatype\":\"FP32\",\"data\":[]}]}"),
                     200);
}

/* Against sorting, over lengths and k. */
static void test_classification_is_sorting(void **state)
{
    (void)state;
    for (int n = 1; n <= 40; n++) {
        char text[1000], data[400] = "";
        int values[40], k = 1 + n / 2, rank = 0;
        for (int i = 0; i < n; i++) {
            values[i] = (i * 7919 + n * 13) % 23;
            snprintf(data + strlen(data), 8, "%s%d", i ? "," : "", values[i]);
        }
        snprintf(text, sizeof text,
                 "{\"outputs\":[{\"name\":\"OUTPUT0\",\"parameters\":{\"classification\":%d}}],\"inputs\":[{\"name\":"
                 "\"INPUT0\",\"shape\":[1,%d],"
                 "\"datatype\":\"FP32\",\"data\":[%s]}]}",
                 k, n, data);
        assert_int_equal(infer("fp32", text), 200);
        for (int v = 22; v >= 0; v--) {
            for (int i = 0; i < n && rank < k; i++) {
                char want[32], pointer[40];
                if (values[i] != v) continue;
                snprintf(want, sizeof want, "%d:%d", v, i);
                snprintf(pointer, sizeof pointer, "/outputs/0/data/%d", rank++);
                assert_string_equal(text_at(pointer), want);
            }
        }
    }
}

static void test_explain(void **state)
{
    (void)state;
    static const char in[] =
        "{\"inputs\":[{\"name\":\"input\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3]}]}";
    assert_int_equal(ask("POST", "/v2/models/tree/explain", in), 200);
    assert_int_equal(yyjson_arr_size(at("/outputs")), 2);
    assert_string_equal(text_at("/outputs/1/name"), "contributions");
    assert_int_equal(yyjson_get_int(at("/outputs/1/shape/2")), 4);
    assert_true(yyjson_get_num(at("/outputs/1/data/3")) == 0.5);
    assert_string_equal(text_at("/outputs/1/parameters/features/2"), "c");
    assert_true(yyjson_get_num(at("/outputs/1/parameters/base_values/0")) == 0.5);
    assert_true(yyjson_get_num(at("/outputs/1/parameters/margins/0/0")) == 6.5);
    assert_null(at("/outputs/0/parameters"));
    assert_int_equal(ask("POST", "/v2/models/tree/versions/3/explain",
                         "{\"outputs\":[{\"name\":\"contributions\"}],\"inputs\":[{\"name\":\"input\",\"shape\":[1,3],"
                         "\"datatype\":\"FP32\",\"data\":[1,2,3]}]}"),
                     200);
    assert_int_equal(yyjson_arr_size(at("/outputs")), 1);
    assert_int_equal(ask("POST", "/v2/models/fp32/explain", in), 501);
    assert_int_equal(infer("tree", "{\"outputs\":[{\"name\":\"contributions\"}],\"inputs\":[]}"),
                     400); /* not an output of infer */
}

static void test_packed_answers(void **state)
{
    (void)state;
    float x[300] = {1};
    static const char *const codings[] = {"gzip", "deflate", "br, gzip;q=0.5"};
    for (size_t i = 0; i < 3; i++) {
        WR_AUTOBUF wr_buf plain = {0};
        request.accept_encoding = wr_str_of(codings[i]);
        assert_int_equal(send_raw("fp32", x, sizeof x), 200);
        bool gzip = strstr(answer.headers, "Content-Encoding: gzip\r\n") != NULL;
        assert_true(gzip == (i != 1));
        assert_int_equal(wr_inflate(&plain, wr_buf_view(&body), gzip ? WR_CODING_GZIP : WR_CODING_DEFLATE, 10000, NULL),
                         0);
        const char *header = strstr(answer.headers, "Inference-Header-Content-Length: ");
        size_t json = strtoul(header + 33, NULL, 10); /* counts the JSON as it was */
        assert_int_equal(plain.n, json + sizeof x);
        assert_true(plain.p[json - 1] == '}' && memcmp(plain.p + json, x, sizeof x) == 0);
    }
    request.accept_encoding = WR_STR("gzip");
    assert_int_equal(infer("fp32", FP32("\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]")), 200);
    assert_string_equal(answer.headers, ""); /* too short to gain by it */
}

/* ---- memory ---- */

static void test_no_memory(void **state)
{
    (void)state;
    for (long n = 1; n < 60; n++) {
        wr_oip_request in = {.method = WR_STR("POST"),
                             .path = WR_STR("/v2/models/late/infer"),
                             .body = wr_str_of(IN(AT "," KM "," FROM))};
        wr_buf b = {0};
        wr_oip_response out = {.body = &b};
        wr_arena *a = wr_arena_new(0);
        wr_fault_arm(WR_FAULT_ALLOC, n, true);
        wr_oip_rest(&out, oip, &in, &ops, a);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(out.status, fired ? 500 : 200);
        assert_int_equal(fake.held, 0);
        wr_buf_fini(&b);
        wr_arena_free(a);
        if (!fired) return;
    }
    fail_msg("never without a fault");
}

/* After a few requests arena and buffer have what they need: a fault at the first allocation is never met. */
static void test_warm_requests_allocate_nothing(void **state)
{
    (void)state;
    char text[9000] = "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[8,50],\"datatype\":\"FP32\",\"data\":[";
    for (int i = 0; i < 400; i++) snprintf(text + strlen(text), 24, "%s%.9g", i ? "," : "", i * 0.37);
    strncat(text, "]}]}", 5);
    int32_t both[32] = {0};
    for (int i = 0; i < 12; i++) {
        bool warm = i >= 6;
        if (warm) wr_fault_arm(WR_FAULT_ALLOC, 1, true);
        wr_oip_request json = {
            .method = WR_STR("POST"), .path = WR_STR("/v2/models/fp32/infer"), .body = wr_str_of(text), .start_ns = 1};
        wr_oip_response out = {.body = &body};
        wr_arena_clear(arena);
        wr_buf_clear(&body);
        wr_oip_rest(&out, oip, &json, &ops, arena);
        assert_int_equal(out.status, 200);
        static const char head[] = "{\"parameters\":{\"binary_data_output\":true}," PAIR(BIN, BIN);
        char bytes[sizeof head + sizeof both], length[24];
        memcpy(bytes, head, sizeof head - 1);
        memcpy(bytes + sizeof head - 1, both, sizeof both);
        snprintf(length, sizeof length, "%zu", sizeof head - 1);
        wr_oip_request binary = {.method = WR_STR("POST"),
                                 .path = WR_STR("/v2/models/simple/infer"),
                                 .body = {bytes, sizeof bytes - 1},
                                 .header_length = wr_str_of(length)};
        wr_arena_clear(arena);
        wr_buf_clear(&body);
        wr_oip_rest(&out, oip, &binary, &ops, arena);
        assert_int_equal(out.status, 200);
        if (warm) assert_false(wr_fault_fired(WR_FAULT_ALLOC));
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
    }
}

static int end(void **state)
{
    wr_buf_fini(&sent);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint),         cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_shapes_and_types), cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_as_triton),        cmocka_unit_test(test_zero_size),
        cmocka_unit_test(test_parameters),       cmocka_unit_test(test_binary),
        cmocka_unit_test(test_binary_strings),   cmocka_unit_test(test_half),
        cmocka_unit_test(test_header_length),    cmocka_unit_test(test_raw),
        cmocka_unit_test(test_classification),   cmocka_unit_test(test_classification_is_sorting),
        cmocka_unit_test(test_explain),          cmocka_unit_test(test_packed_answers),
        cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_warm_requests_allocate_nothing)};
    int failed = cmocka_run_group_tests_name("at once", tests, set_up, end);
    return failed + cmocka_run_group_tests_name("after a wait", tests, set_up_waiting, end);
}
