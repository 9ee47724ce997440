/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, metadata, health, repository, statistics, settings. Inference: infer_test.c. */
#include "base/log.h"
#include "wire/oip/rest_testing.h"

static void test_server(void **state)
{
    (void)state;
    fake.ready = true;
    assert_int_equal(ask("GET", "/v2", ""), 200);
    assert_string_equal(text_at("/name"), "weir");
    assert_string_equal(text_at("/version"), "9");
    assert_int_equal(yyjson_arr_size(at("/extensions")), 9);
    assert_int_equal(ask("HEAD", "/v2/", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/live", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/ready", ""), 200);
    assert_int_equal(ask("GET", "/ping", ""), 200);
    assert_string_equal(body.p, "\n");
    fake.ready = false;
    assert_int_equal(ask("GET", "/v2/health/live", ""), 200);
    assert_int_equal(ask("GET", "/v2/health/ready", ""), 400);
    assert_int_equal(ask("GET", "/ping", ""), 404);
    fake.ready = true;
    wr_oip *named, *kept = oip; /* programs written for Triton ask for this name */
    assert_int_equal(wr_oip_new(&named, &(wr_oip_opt){.server_name = "triton"}, NULL), 0);
    oip = named;
    assert_int_equal(ask("GET", "/v2", ""), 200);
    assert_string_equal(text_at("/name"), "triton");
    oip = kept;
    wr_oip_free(named);
}

static void test_metadata(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/v2/models/simple", ""), 200);
    assert_string_equal(text_at("/name"), "simple");
    assert_string_equal(text_at("/versions/0"), "3");
    assert_string_equal(text_at("/platform"), "fake");
    assert_string_equal(text_at("/inputs/1/name"), "INPUT1");
    assert_string_equal(text_at("/inputs/1/datatype"), "INT32");
    assert_int_equal(yyjson_get_int(at("/inputs/1/shape/0")), -1);
    assert_int_equal(yyjson_get_int(at("/inputs/1/shape/1")), 16);
    assert_string_equal(text_at("/outputs/1/name"), "OUTPUT1");
    assert_int_equal(ask("GET", "/v2/models/simple/versions/3", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/simple/ready", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/simple/versions/3/ready", ""), 200);
    assert_int_equal(ask("GET", "/v2/models/gone/ready", ""), 400);
    assert_int_equal(ask("GET", "/v2/models/gone", ""), 503);
    assert_int_equal(infer("gone", "{}"), 503);
    assert_string_equal(error(), "Request for unknown model: 'gone' is not at ready state: model 'gone' was unloaded");
    assert_int_equal(ask("GET", "/v2/models/wrong_model_name", ""), 404);
    assert_string_equal(
        error(), "Request for unknown model: 'wrong_model_name' is not found"); /* clients look for these words */
    assert_int_equal(ask("GET", "/v2/models/simple/versions/4", ""), 404);
    assert_string_equal(error(), "Request for unknown model: 'simple' version 4 is not found");
}

static void test_config(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/v2/models/one/config", ""), 200);
    assert_string_equal(text_at("/name"), "one");
    assert_int_equal(yyjson_get_int(at("/max_batch_size")), 100000);
    assert_string_equal(text_at("/input/0/data_type"), "TYPE_STRING");
    assert_int_equal(yyjson_get_int(at("/input/0/dims/0")), 1);
    assert_int_equal(yyjson_arr_size(at("/input/0/dims")), 1);
    assert_int_equal(ask("GET", "/v2/models/whole/versions/3/config", ""), 200);
    assert_int_equal(yyjson_get_int(at("/max_batch_size")), 0);
    assert_int_equal(yyjson_get_int(at("/input/0/dims/0")), -1);
    assert_int_equal(yyjson_arr_size(at("/output/0/dims")), 0);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
    } all[] = {{"GET", "/v2/models/nobody", 404},
               {"GET", "/v2/models/nobody/ready", 404},
               {"POST", "/v2/models/nobody/infer", 404},
               {"GET", "/v2/models/simple/versions/", 404},
               {"GET", "/v2/models/", 404},
               {"GET", "/v2/models/simple/nothing", 404},
               {"GET", "/v2/models/simple/ready/more", 404},
               {"POST", "/v2/models/simple/generate", 501},
               {"GET", "/v2/health", 404},
               {"GET", "/v2/", 200},
               {"POST", "/v2", 405},
               {"POST", "/v2/models/simple", 405},
               {"GET", "/v2/models/simple/infer", 405},
               {"GET", "/v2/models/simple/explain", 405},
               {"POST", "/v2/models/simple/config", 405},
               {"POST", "/v2/models/simple/stats", 405},
               {"POST", "/v2/models/stats", 405},
               {"GET", "/v2/repository/index", 405},
               {"GET", "/v2/repository/models/simple/load", 405},
               {"POST", "/v2/repository/models/simple/move", 404},
               {"POST", "/v2/repository/other/index", 404},
               {"PUT", "/v2/logging", 405},
               {"DELETE", "/v2/trace/setting", 405},
               {"DELETE", "/v2/health/live", 405},
               {"POST", "/v2/systemsharedmemory/status", 405},
               {"GET", "/v2/systemsharedmemory/unregister", 405},
               {"GET", "/v2/systemsharedmemory/region//status", 404},
               {"GET", "/v2/systemsharedmemory/what", 404},
               {"GET", "/invocations", 405},
               {"POST", "/ping", 405},
               {"POST", "/v1/models", 405},
               {"GET", "/v1/models/simple:predict", 405},
               {"POST", "/v1/models/simple:what", 404},
               {"GET", "/v1/models/", 404},
               {"GET", "/v1/models/simple/more", 404},
               {"POST", "/endpoints/late/other/invocations", 404},
               {"POST", "/endpoints//invocations", 404}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_true(wr_oip_knows(wr_str_of(all[i].path)));
        int status = ask(all[i].method, all[i].path, "");
        if (status != all[i].status) fail_msg("%s %s: %d", all[i].method, all[i].path, status);
        bool told = at("/error") || at("/message");
        if (status != 200 && !told) fail_msg("%s: no error", all[i].path);
    }
    assert_false(wr_oip_knows(WR_STR("/v2x")) || wr_oip_knows(WR_STR("/")) || wr_oip_knows(WR_STR("/v1")) ||
                 wr_oip_knows(WR_STR("/metrics")));
}

/* Whom a request is for that is refused before it is read. */
static void test_asked_model(void **state)
{
    static const struct {
        const char *path, *model, *version;
    } all[] = {{"/v2/models/m/infer", "m", NULL},
               {"/v2/models/m/versions/3/infer", "m", "3"},
               {"/v2/models/a:b/infer", "a:b", NULL},
               {"/v1/models/m:predict", "m", NULL},
               {"/v1/models/m/versions/v1:predict", "m", "v1"},
               {"/v1/models/m:explain", "m", NULL},
               {"/endpoints/m/invocations", "m", NULL}};
    wr_str model, version;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_true(wr_oip_asked_model(&model, &version, wr_str_of(all[i].path)));
        bool same = all[i].version ? wr_str_is(version, all[i].version) : version.n == 0;
        if (!wr_str_is(model, all[i].model) || !same) fail_msg("%s: '%.*s'", all[i].path, WR_STR_FMT(model));
    }
    static const char *const none[] = {"/invocations", "/v2", "/v2/models/", "/v1/models/", "/v1/models", "/", ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(wr_oip_asked_model(&model, &version, wr_str_of(none[i])));
}

static void test_index(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v2/repository/index", ""), 200);
    assert_int_equal(yyjson_arr_size(parsed.root), OIP_MODELS + 1);
    assert_string_equal(text_at("/0/state"), "READY");
    assert_int_equal(ask("POST", "/v2/repository/index", "{\"ready\":true}"), 200);
    assert_int_equal(yyjson_arr_size(parsed.root), OIP_MODELS);
    assert_int_equal(ask("POST", "/v2/repository/index", "{\"ready\":false,\"more\":[1]}"), 200);
    assert_int_equal(yyjson_arr_size(parsed.root), OIP_MODELS + 1);
    assert_string_equal(text_at("/11/reason"), "unloaded");
    assert_int_equal(ask("POST", "/v2/repository/index", "{\"ready\":1}"), 400);
    assert_int_equal(ask("POST", "/v2/repository/index", "[]"), 400);
    enum { DEEP = 250000 };
    char *deep = malloc(2 * DEEP + 20);
    size_t n = (size_t)snprintf(deep, 20, "{\"ready\":");
    memset(deep + n, '[', DEEP);
    memset(deep + n + DEEP, ']', DEEP);
    deep[n + 2 * DEEP] = '}';
    assert_int_equal(ask_bytes("POST", "/v2/repository/index", (wr_str){deep, n + 2 * DEEP + 1}), 400);
    assert_string_equal(error(), "Invalid value for 'ready': expected a boolean");
    deep[2] = 'x'; /* stepped over, up to the limit */
    assert_int_equal(ask_bytes("POST", "/v2/repository/index", (wr_str){deep, n + 2 * DEEP + 1}), 400);
    assert_non_null(strstr(error(), "JSON nesting depth exceeds maximum allowed limit (100)"));
    free(deep);
}

static void test_load(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load", ""), 200);
    assert_string_equal(fake.loaded, "simple");
    assert_string_equal(fake.config, "");
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load",
                         "{\"parameters\":{\"config\":\"{\\\"max_batch_size\\\":\\\"16\\\"}\"}}"),
                     200);
    assert_string_equal(fake.config, "{\"max_batch_size\":\"16\"}");
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load", "{\"parameters\":null}"), 200);
    static const struct {
        const char *verb, *text, *error;
        int status;
    } bad[] = {{"load", "{\"parameters\":{\"config\":7}}", "failed to load 'simple': parameter 'config'", 400},
               {"load", "{\"parameters\":{\"other\":7}}", "unknown parameter 'other'", 400},
               {"load", "{\"parameters\":{\"file:1/model.onnx\":\"YQ==\"}}", "files of a model are not taken", 501},
               {"load", "{\"parameters\":[]}", "expected an object", 400},
               {"load", "{", "JSON at byte", 400},
               {"unload", "{\"parameters\":{\"unload_dependents\":3}}", "failed to unload 'simple'", 400}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[100];
        snprintf(path, sizeof path, "/v2/repository/models/simple/%s", bad[i].verb);
        int status = ask("POST", path, bad[i].text);
        if (status != bad[i].status || !strstr(error(), bad[i].error))
            fail_msg("%s: %d %s", bad[i].text, status, error());
    }
    assert_int_equal(ask("POST", "/v2/repository/models/wrong_model_name/load", ""), 404);
    assert_non_null(strstr(error(), "failed to load 'wrong_model_name'"));
    assert_int_equal(
        ask("POST", "/v2/repository/models/simple/unload", "{\"parameters\":{\"unload_dependents\":true}}"), 200);
    assert_string_equal(fake.loaded, "");
    ops.load = NULL;
    assert_int_equal(ask("POST", "/v2/repository/models/simple/load", ""), 501);
    ops = oip_ops;
}

static void test_stats(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v2/models/simple/stats", "/v2/models/simple/versions/3/stats",
                                        "/v2/models/stats"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask("GET", paths[i], ""), 200);
        assert_int_equal(yyjson_arr_size(at("/model_stats")), 1);
        assert_string_equal(text_at("/model_stats/0/name"), "simple");
        assert_int_equal(yyjson_get_int(at("/model_stats/0/inference_count")), 5);
        assert_int_equal(yyjson_get_int(at("/model_stats/0/execution_count")), 2);
        assert_int_equal(yyjson_get_int(at("/model_stats/0/last_inference")), 77);
        assert_int_equal(yyjson_get_int(at("/model_stats/0/inference_stats/success/count")), 2);
        assert_int_equal(yyjson_get_int(at("/model_stats/0/inference_stats/success/ns")), 300);
        assert_non_null(at("/model_stats/0/inference_stats/compute_output/ns"));
    }
    assert_int_equal(ask("GET", "/v2/models/nobody/stats", ""), 404);
    assert_non_null(strstr(error(), "requested model 'nobody' is not available"));
    ops.stats = NULL;
    assert_int_equal(ask("GET", "/v2/models/stats", ""), 501);
    ops = oip_ops;
}

static void test_logging(void **state)
{
    (void)state;
    wr_log_level before = wr_log_get_level();
    wr_log_set_level(WR_LOG_WARN);
    assert_int_equal(ask("GET", "/v2/logging", ""), 200);
    assert_false(yyjson_get_bool(at("/log_info")));
    assert_true(yyjson_get_bool(at("/log_warning")));
    assert_int_equal(ask("POST", "/v2/logging", "{\"log_info\":true,\"log_format\":\"ISO8601\",\"log_file\":null}"),
                     200);
    assert_true(yyjson_get_bool(at("/log_info")));
    assert_int_equal(wr_log_get_level(), WR_LOG_INFO);
    assert_int_equal(ask("POST", "/v2/logging", "{\"log_verbose_level\":1}"), 200);
    assert_int_equal(wr_log_get_level(), WR_LOG_DEBUG);
    assert_int_equal(ask("POST", "/v2/logging", "{\"log_verbose_level\":0,\"log_info\":false,\"log_warning\":false}"),
                     200);
    assert_int_equal(wr_log_get_level(), WR_LOG_ERROR);
    assert_int_equal(ask("POST", "/v2/logging", ""), 200);
    assert_int_equal(wr_log_get_level(), WR_LOG_ERROR);
    static const struct {
        const char *text;
        int status;
    } bad[] = {{"{\"log_file\":\"/tmp/x\"}", 501},  {"{\"log_info\":1}", 400},
               {"{\"log_error\":false}", 501},      {"{\"log_format\":\"default\"}", 400},
               {"{\"log_verbose_level\":-1}", 400}, {"[]", 400},
               {"{\"log_info\":true", 400}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = ask("POST", "/v2/logging", bad[i].text);
        if (status != bad[i].status) fail_msg("%s: %d", bad[i].text, status);
    }
    assert_int_equal(wr_log_get_level(), WR_LOG_ERROR); /* nothing of a bad request is done */
    wr_log_set_level(before);
}

static void test_trace(void **state)
{
    (void)state;
    static const char *const paths[] = {"/v2/trace/setting", "/v2/models/simple/trace/setting"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask("GET", paths[i], ""), 200);
        assert_string_equal(text_at("/trace_level/0"), "OFF");
        assert_int_equal(
            ask("POST", paths[i], "{\"trace_level\":[\"OFF\"],\"trace_rate\":\"100\",\"trace_count\":null}"), 200);
        assert_int_equal(ask("POST", paths[i], "{\"trace_level\":[\"TIMESTAMPS\"]}"), 501);
        assert_int_equal(ask("POST", paths[i], "{\"trace_file\":\"x\"}"), 501);
        assert_int_equal(ask("POST", paths[i], "{\"trace_level\":7}"), 400);
    }
    assert_int_equal(ask("GET", "/v2/models/simple/versions/3/trace/setting", ""), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server), cmocka_unit_test(test_metadata), cmocka_unit_test(test_config),
        cmocka_unit_test(test_paths),  cmocka_unit_test(test_index),    cmocka_unit_test(test_load),
        cmocka_unit_test(test_stats),  cmocka_unit_test(test_logging),  cmocka_unit_test(test_trace),
        cmocka_unit_test(test_asked_model)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
