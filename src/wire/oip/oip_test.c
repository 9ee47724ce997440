/* SPDX-License-Identifier: Apache-2.0 */
/* oip_test.c - the protocol against a model that answers half its number plus the length of its text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/limits.h"
#include "codec/json.h"
#include "wire/oip/oip.h"

static char *const inputs[] = {"at", "km", "from"};
static const wr_type types[] = {WR_TS, WR_F64, WR_TEXT};
static struct {
    bool ready;
    int held;
    size_t rows;
    wr_cell first;
    int fail;
    char ids[8][80];
} fake;

static bool ready(void *ctx) { return ((void)ctx, fake.ready); }

static int model(void *ctx, wr_oip_model *out, wr_str name, wr_arena *a, wr_err *err)
{
    (void)ctx;
    (void)a;
    if (!wr_str_is(name, "late")) return wr_err_set(err, WEIR_ENOTFOUND, "no endpoint");
    if (!fake.ready) return wr_err_set(err, WEIR_EUNAVAILABLE, "endpoint \"late\" is not ready");
    *out = (wr_oip_model){
        .name = WR_STR("late"), .version = WR_STR("3"), .ninputs = 3, .inputs = inputs, .types = types, .threshold = 5};
    fake.held++;
    return 0;
}

static void release(void *ctx, wr_oip_model *m)
{
    (void)ctx;
    (void)m;
    fake.held--;
}

static int predict(void *ctx, const wr_oip_model *m, const wr_cell *cells, size_t n, double *scores, wr_str *ids,
                   wr_arena *a, wr_err *err)
{
    (void)ctx;
    if (fake.fail) return wr_err_set(err, fake.fail, "it failed");
    fake.rows = n;
    if (n) fake.first = cells[0];
    for (size_t i = 0; i < n; i++) {
        const wr_cell *c = cells + i * m->ninputs;
        scores[i] = (c[1].missing ? 100 : c[1].num / 2) + (c[2].missing ? 1000 : (double)c[2].text.n);
        if (!ids[i].p) ids[i] = wr_str_of(wr_arena_printf(a, "made-%zu", i));
        if (i < 8) snprintf(fake.ids[i], sizeof fake.ids[i], "%.*s", WR_STR_FMT(ids[i]));
    }
    return 0;
}

static wr_arena *arena;
static wr_buf body;
static wr_json parsed;
static bool predicted;

static int ask_raw(const char *method, const char *path, wr_str text, bool binary)
{
    wr_oip_ops ops = {.server_version = "9", .ready = ready, .model = model, .release = release, .predict = predict};
    wr_oip_request in = {wr_str_of(method), wr_str_of(path), text, binary};
    wr_oip_response out = {.body = &body};
    wr_arena_clear(arena);
    wr_buf_clear(&body);
    wr_json_free(&parsed);
    wr_oip_handle(&out, &in, &ops, arena);
    assert_int_equal(fake.held, 0);
    predicted = out.predicted;
    if (body.n && wr_json_parse(&parsed, wr_buf_view(&body), "answer", NULL) < 0) fail_msg("not JSON: %s", body.p);
    if (out.status != 200 && body.n) assert_non_null(yyjson_get_str(yyjson_obj_get(parsed.root, "error")));
    return out.status;
}

static int ask(const char *method, const char *path, const char *text)
{
    return ask_raw(method, path, wr_str_of(text), false);
}
static int infer(const char *text) { return ask("POST", "/v2/models/late/infer", text); }
static const char *error(void) { return yyjson_get_str(yyjson_obj_get(parsed.root, "error")); }
static yyjson_val *at(const char *pointer) { return yyjson_ptr_get(parsed.root, pointer); }

#define AT          "{\"name\":\"at\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"2001-06-01T00:00:01Z\",\"2001-06-02\"]}"
#define KM          "{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[4,9.5]}"
#define FROM        "{\"name\":\"from\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"SFO\",\"\"]}"
#define INFER(list) "{\"inputs\":[" list "]}"

static void test_metadata(void **state)
{
    (void)state;
    fake.ready = true;
    assert_int_equal(ask("GET", "/v2", ""), 200);
    assert_string_equal(yyjson_get_str(at("/name")), "weir");
    assert_string_equal(yyjson_get_str(at("/version")), "9");
    assert_int_equal(ask("HEAD", "/v2/", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/live", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/ready", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/late", ""), 200);
    assert_string_equal(yyjson_get_str(at("/versions/0")), "3");
    assert_string_equal(yyjson_get_str(at("/inputs/0/datatype")), "BYTES");
    assert_string_equal(yyjson_get_str(at("/inputs/1/datatype")), "FP64");
    assert_int_equal(yyjson_get_int(at("/inputs/2/shape/0")), -1);
    assert_string_equal(yyjson_get_str(at("/outputs/1/name")), "label");
    assert_int_equal(ask("GET", "/v2/models/late/versions/3", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/late/ready", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/late/versions/3/ready", ""), 200);
    fake.ready = false;
    assert_int_equal(ask("GET", "/v2/health/live", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/ready", ""), 400);
    assert_int_equal(ask("GET", "/v2/models/late/ready", ""), 400);
    assert_int_equal(infer(INFER(AT "," KM "," FROM)), 503);
}

static void test_paths(void **state)
{
    (void)state;
    fake.ready = true;
    static const struct {
        const char *method, *path;
        int status;
    } all[] = {{"GET", "/v2/models/nobody", 404},
               {"GET", "/v2/models/nobody/ready", 404},
               {"POST", "/v2/models/nobody/infer", 404},
               {"GET", "/v2/models/late/versions/4", 404},
               {"GET", "/v2/models/late/versions/", 404},
               {"GET", "/v2/models/", 404},
               {"GET", "/v2/models/late/config", 404},
               {"GET", "/v2/models/late/ready/more", 404},
               {"GET", "/v2/health", 404},
               {"GET", "/v2x", 404},
               {"POST", "/v2", 405},
               {"POST", "/v2/models/late", 405},
               {"GET", "/v2/models/late/infer", 405},
               {"DELETE", "/v2/health/live", 405}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = ask(all[i].method, all[i].path, "{}");
        if (status != all[i].status) fail_msg("%s %s: %d", all[i].method, all[i].path, status);
    }
    ask("GET", "/v2/models/nobody", "");
    assert_non_null(strstr(error(), "Request for unknown model: 'nobody'")); /* clients look for these words */
}

static void test_infer(void **state)
{
    (void)state;
    fake.ready = true;
    assert_int_equal(infer(INFER(FROM "," AT "," KM)), 200); /* any order */
    assert_true(predicted);
    assert_int_equal(fake.rows, 2);
    assert_int_equal(fake.first.ts, (int64_t)991353601 * 1000000);
    assert_string_equal(yyjson_get_str(at("/model_name")), "late");
    assert_string_equal(yyjson_get_str(at("/model_version")), "3");
    assert_null(at("/id"));
    assert_string_equal(yyjson_get_str(at("/parameters/prediction_ids/1")), "made-1");
    assert_string_equal(yyjson_get_str(at("/outputs/0/name")), "probability");
    assert_string_equal(yyjson_get_str(at("/outputs/0/datatype")), "FP64");
    assert_int_equal(yyjson_get_int(at("/outputs/0/shape/0")), 2);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 5 && yyjson_get_num(at("/outputs/0/data/1")) == 4.75);
    assert_int_equal(yyjson_get_int(at("/outputs/1/data/0")), 1); /* from the threshold on */
    assert_int_equal(yyjson_get_int(at("/outputs/1/data/1")), 0);
    assert_int_equal(infer("{\"id\":\"x\",\"parameters\":{\"a\":1,\"binary_data_output\":true},\"outputs\":[{\"name\":"
                           "\"label\",\"parameters\":{\"binary_data\":false}}],"
                           "\"inputs\":[" AT "," KM "," FROM "]}"),
                     200);
    assert_string_equal(yyjson_get_str(at("/id")), "x");
    assert_string_equal(fake.ids[0], "x/0");
    assert_string_equal(fake.ids[1], "x/1");
    assert_int_equal(yyjson_arr_size(at("/outputs")), 1);
    assert_string_equal(yyjson_get_str(at("/outputs/0/name")), "label");
    assert_int_equal(
        infer("{\"id\":\"one\",\"inputs\":[{\"name\":\"at\",\"shape\":[1],\"datatype\":\"INT64\",\"data\":[-5]},"
              "{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[null]},{\"name\":\"from\",\"shape\":[1],"
              "\"datatype\":\"BYTES\",\"data\":[null]}]}"),
        200);
    assert_string_equal(fake.ids[0], "one");
    assert_int_equal(fake.first.ts, -5);
    assert_true(yyjson_get_num(at("/outputs/0/data/0")) == 1100);
    assert_int_equal(infer("{\"inputs\":[{\"name\":\"at\",\"shape\":[0],\"datatype\":\"INT64\",\"data\":[]},{\"name\":"
                           "\"km\",\"shape\":[0],\"datatype\":\"FP64\",\"data\":[]},"
                           "{\"name\":\"from\",\"shape\":[0],\"datatype\":\"BYTES\",\"data\":[]}]}"),
                     200);
    assert_int_equal(yyjson_arr_size(at("/outputs/0/data")), 0);
}

/* Nested as the shape says, flat, and one list around all: the same values. */
static void test_shapes(void **state)
{
    (void)state;
    fake.ready = true;
    static const char *const good[] = {
        "{\"name\":\"km\",\"shape\":[2,1],\"datatype\":\"FP64\",\"data\":[[4],[9.5]]}",
        "{\"name\":\"km\",\"shape\":[2,1],\"datatype\":\"FP32\",\"data\":[4,9.5]}",
        "{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[[4,9.5]]}",
        "{\"name\":\"km\",\"shape\":[2,1,1],\"datatype\":\"FP64\",\"data\":[[[4]],[[9.5]]]}"};
    for (size_t i = 0; i < 4; i++) {
        char text[1000];
        snprintf(text, sizeof text, INFER(AT "," FROM ",%s"), good[i]);
        assert_int_equal(infer(text), 200);
        assert_true(yyjson_get_num(at("/outputs/0/data/1")) == 4.75);
    }
    static const char *const types_ok[] = {"BOOL\",\"data\":[true,0]",
                                           "INT8\",\"data\":[-128,127]",
                                           "INT16\",\"data\":[-1,1]",
                                           "INT32\",\"data\":[1,2]",
                                           "INT64\",\"data\":[-9223372036854775808,9223372036854775807]",
                                           "UINT8\",\"data\":[0,255]",
                                           "UINT16\",\"data\":[0,65535]",
                                           "UINT32\",\"data\":[0,4294967295]",
                                           "UINT64\",\"data\":[0,18446744073709551615]"};
    for (size_t i = 0; i < sizeof types_ok / sizeof *types_ok; i++) {
        char text[1000];
        snprintf(text, sizeof text, INFER(AT "," FROM ",{\"name\":\"km\",\"shape\":[2],\"datatype\":\"%s}"),
                 types_ok[i]);
        if (infer(text) != 200) fail_msg("%s: %s", types_ok[i], error());
    }
}

static void test_bad_requests(void **state)
{
    (void)state;
    fake.ready = true;
    static const struct {
        const char *text, *error;
    } all[] = {{"", "no value"},
               {"[1]", "not a JSON object"},
               {"{", "line 1"},
               {"{}", "no inputs"},
               {"{\"inputs\":{}}", "no inputs"},
               {"{\"inputs\":[]}", "expected 3 inputs but got 0"},
               {INFER(AT "," KM), "'from' is missing"},
               {INFER(AT "," KM "," FROM "," KM), "twice"},
               {INFER("{\"name\":\"kn\"}"), "did you mean 'km'?"},
               {INFER("3"), "no name"},
               {INFER("{\"name\":\"km\",\"datatype\":\"FP64\",\"data\":[1]}"), "no shape"},
               {INFER("{\"name\":\"km\",\"shape\":[],\"datatype\":\"FP64\",\"data\":[1]}"), "no shape"},
               {INFER("{\"name\":\"km\",\"shape\":[-1],\"datatype\":\"FP64\",\"data\":[1]}"), "dimension"},
               {INFER("{\"name\":\"km\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[1,2]}"), "[n,1]"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"data\":[1]}"), "no datatype"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP65\",\"data\":[1]}"), "unknown datatype"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP16\",\"data\":[1]}"), "binary tensors only"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"1\"]}"), "expected FP64"},
               {INFER("{\"name\":\"from\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}"), "expected BYTES"},
               {INFER("{\"name\":\"at\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}"), "BYTES or INT64"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\"}"), "no data"},
               {INFER("{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[1]}"), "its shape says 2"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[\"a\"]}"), "a number"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[128]}"), "INT8"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"INT32\",\"data\":[1.5]}"), "INT32"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"UINT8\",\"data\":[-1]}"), "UINT8"},
               {INFER("{\"name\":\"km\",\"shape\":[1],\"datatype\":\"BOOL\",\"data\":[2]}"), "true or false"},
               {INFER("{\"name\":\"from\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[7]}"), "text"},
               {INFER("{\"name\":\"at\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"yesterday\"]}"), "2001-06-14"},
               {INFER("{\"name\":\"km\",\"shape\":[2],\"datatype\":\"FP64\",\"data\":[1,[2,3]]}"), "one value"},
               {INFER(AT ",{\"name\":\"km\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[1]}"), "has 1 rows"},
               {"{\"id\":7,\"inputs\":[]}", "id"},
               {"{\"parameters\":3,\"inputs\":[]}", "parameters"},
               {"{\"outputs\":[{\"name\":\"x\"}],\"inputs\":[]}", "unexpected inference output 'x'"},
               {"{\"outputs\":[{\"name\":\"label\"},{\"name\":\"label\"}],\"inputs\":[]}", "twice"},
               {"{\"outputs\":\"label\",\"inputs\":[]}", "not a list"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = infer(all[i].text);
        if (status != 400 || predicted || !strstr(error(), all[i].error))
            fail_msg("%s: %d %s", all[i].text, status, error() ? error() : "");
    }
    assert_int_equal(ask_raw("POST", "/v2/models/late/infer", WR_STR("{}"), true), 400);
    assert_int_equal(infer(INFER("{\"name\":\"km\",\"shape\":[100001],\"datatype\":\"FP64\",\"data\":[1]}")), 413);
    char deep[4000], id[400];
    memset(deep, '[', sizeof deep);
    assert_int_equal(ask_raw("POST", "/v2/models/late/infer", (wr_str){deep, sizeof deep}, false), 400);
    snprintf(id, sizeof id, "{\"id\":\"%0200d\",\"inputs\":[]}", 0);
    assert_int_equal(infer(id), 400);
    fake.fail = WEIR_EUNAVAILABLE;
    assert_int_equal(infer(INFER(AT "," KM "," FROM)), 503);
    assert_false(predicted);
    fake.fail = 0;
}

static void test_no_memory(void **state)
{
    (void)state;
    fake.ready = true;
    for (long n = 1; n < 30; n++) {
        wr_oip_ops ops = {
            .server_version = "9", .ready = ready, .model = model, .release = release, .predict = predict};
        wr_oip_request in = {WR_STR("POST"), WR_STR("/v2/models/late/infer"), wr_str_of(INFER(AT "," KM "," FROM)),
                             false};
        wr_buf b = {0};
        wr_oip_response out = {.body = &b};
        wr_arena *a = wr_arena_new(0);
        wr_fault_arm(WR_FAULT_ALLOC, n, true);
        wr_oip_handle(&out, &in, &ops, a);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_int_equal(out.status, fired ? 500 : 200);
        wr_buf_fini(&b);
        wr_arena_free(a);
        if (!fired) return;
    }
}

static int set_up(void **state)
{
    (void)state;
    arena = wr_arena_new(0);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    wr_json_free(&parsed);
    wr_buf_fini(&body);
    wr_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_metadata),     cmocka_unit_test(test_paths),
                                       cmocka_unit_test(test_infer),        cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_bad_requests), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
