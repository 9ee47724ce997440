/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_test.c - the protocol over gRPC: what the server and its models say of themselves, models that come and go,
 * shared memory, settings. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/oip/grpc_call_testing.h"

/* ---- the server and its models ---- */

static void test_health(void **state)
{
    (void)state;
    CALL("ServerLive", WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 1);
    CALL("ServerReady", WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 1);
    assert_int_equal(call_path("/grpc.health.v1.Health/Check", WR_STR("")), WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 1);
    fake.ready = false;
    CALL("ServerReady", WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 0);
    CALL("ServerLive", WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 1);
    wr_pbw_str(&message, 1, WR_STR("inference.GRPCInferenceService"));
    assert_int_equal(call_path("/grpc.health.v1.Health/Check", wr_buf_view(&message)), WR_GRPC_OK);
    assert_int_equal(whole(reply(), 1), 2);
    wr_buf_clear(&message);
    wr_pbw_str(&message, 1, WR_STR("other"));
    assert_int_equal(call_path("/grpc.health.v1.Health/Check", wr_buf_view(&message)), WR_GRPC_NOT_FOUND);
    assert_int_equal(call_path("/grpc.health.v1.Health/Watch", WR_STR("")), WR_GRPC_UNIMPLEMENTED);
    wr_buf_clear(&message);
    CALL("Nothing", WR_GRPC_UNIMPLEMENTED);
    CALL("ModelStreamInfer", WR_GRPC_UNIMPLEMENTED);
    SAYS("use ModelInfer");
    assert_int_equal(call_path(WR_OIP_GRPC_PATH, WR_STR("")), WR_GRPC_UNIMPLEMENTED);
}

static void test_metadata(void **state)
{
    (void)state;
    CALL("ServerMetadata", WR_GRPC_OK);
    TEXT(part(reply(), 1, 0), "triton");
    TEXT(part(reply(), 2, 0), "9");
    TEXT(part(reply(), 3, 0), "classification");
    int found = 0;
    for (int i = 0; i < count(reply(), 3); i++)
        found += wr_str_is(part(reply(), 3, i), "model_repository") || wr_str_is(part(reply(), 3, i), "statistics");
    assert_int_equal(found, 2);
    named("simple", "3");
    CALL("ModelMetadata", WR_GRPC_OK);
    TEXT(part(reply(), 1, 0), "simple");
    TEXT(part(reply(), 2, 0), "3");
    TEXT(part(reply(), 3, 0), "fake");
    assert_int_equal(count(reply(), 4), 2);
    wr_str out = part(reply(), 5, 1);
    TEXT(part(out, 1, 0), "OUTPUT1");
    TEXT(part(out, 2, 0), "INT32");
    assert_memory_equal(part(out, 3, 0).p, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10", 11); /* -1, 16 */
    named("wrong_model_name", NULL);
    CALL("ModelMetadata", WR_GRPC_NOT_FOUND);
    SAYS("Request for unknown model: 'wrong_model_name' is not found");
    named("simple", "4");
    CALL("ModelMetadata", WR_GRPC_NOT_FOUND);
    named("gone", NULL);
    CALL("ModelMetadata", WR_GRPC_UNAVAILABLE);
    SAYS("is not at ready state");
}

static void test_model_ready(void **state)
{
    (void)state;
    static const struct {
        const char *name, *version;
        uint64_t ready;
    } cases[] = {{"simple", NULL, 1}, {"simple", "3", 1}, {"simple", "4", 0}, {"gone", NULL, 0}, {"none", NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        named(cases[i].name, cases[i].version);
        CALL("ModelReady", WR_GRPC_OK);
        assert_int_equal(whole(reply(), 1), cases[i].ready);
    }
}

static void test_statistics(void **state)
{
    (void)state;
    named("simple", NULL);
    CALL("ModelStatistics", WR_GRPC_OK);
    wr_str s = part(reply(), 1, 0);
    TEXT(part(s, 1, 0), "simple");
    assert_int_equal(whole(s, 3), 77);
    assert_int_equal(whole(s, 4), 5);
    assert_int_equal(whole(s, 5), 2);
    assert_int_equal(whole(part(part(s, 6, 0), 1, 0), 2), 300);
    CALL("ModelStatistics", WR_GRPC_OK);
    assert_int_equal(count(reply(), 1), 1);
    named("none", NULL);
    CALL("ModelStatistics", WR_GRPC_NOT_FOUND);
    SAYS("requested model 'none' is not available");
    ops.stats = NULL;
    CALL("ModelStatistics", WR_GRPC_UNIMPLEMENTED);
}

/* ---- configuration ---- */

static int config_of_test(void *ctx, wr_str *json, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    (void)ctx, (void)m, (void)a, (void)err;
    *json = WR_STR(
        "{\"name\":\"simple\",\"max_batch_size\":16,\"unknown\":[1],\"version_policy\":{\"latest\":{\"num_versions\":2}"
        "},"
        "\"input\":[{\"name\":\"A\",\"data_type\":\"TYPE_STRING\",\"format\":\"FORMAT_NCHW\",\"dims\":[\"-1\",7],"
        "\"reshape\":{\"shape\":[]},\"optional\":true},{\"name\":\"B\",\"data_type\":\"TYPE_NONE\"}],"
        "\"dynamic_batching\":{\"max_queue_delay_microseconds\":\"100\",\"preserve_ordering\":false},"
        "\"sequence_batching\":{\"direct\":{\"minimum_slot_utilization\":0.5}},"
        "\"parameters\":{\"k\":{\"string_value\":\"v\"}},\"cc_model_filenames\":{\"7.5\":\"f\"},"
        "\"instance_group\":[{\"kind\":\"KIND_CPU\",\"count\":3}],\"response_cache\":{\"enable\":true},\"platform\":"
        "null}");
    return 0;
}

static void test_config(void **state)
{
    (void)state;
    named("simple", NULL);
    CALL("ModelConfig", WR_GRPC_OK);
    wr_str c = part(reply(), 1, 0);
    TEXT(part(c, 1, 0), "simple");
    TEXT(part(c, 17, 0), "weir");
    assert_int_equal(whole(part(c, 5, 1), 2), 8); /* TYPE_INT32 */
    assert_int_equal(whole(part(c, 5, 1), 4), 16);
    assert_int_equal(count(c, 6), 2);
    ops.config = config_of_test;
    named("simple", NULL);
    CALL("ModelConfig", WR_GRPC_OK);
    c = part(reply(), 1, 0);
    assert_int_equal(whole(c, 4), 16);
    assert_int_equal(whole(part(part(c, 3, 0), 1, 0), 1), 2);
    wr_str a = part(c, 5, 0);
    assert_int_equal(whole(a, 2), 13);
    assert_int_equal(whole(a, 3), 2);
    assert_int_equal((int64_t)nth(a, 4, 0).value, -1);
    assert_int_equal(nth(a, 4, 1).value, 7);
    assert_int_equal(nth(a, 5, 0).number, 5);
    assert_int_equal(part(a, 5, 0).n, 0);
    assert_int_equal(whole(a, 8), 1);
    assert_int_equal(nth(part(c, 5, 1), 2, 0).number, 0); /* a type that is none */
    assert_int_equal(whole(part(c, 11, 0), 2), 100);
    assert_true(wr_pb_as_f32(whole(part(part(c, 13, 0), 3, 0), 2)) == 0.5F);
    TEXT(part(entry(c, 14, "k"), 1, 0), "v");
    TEXT(entry(c, 9, "7.5"), "f");
    assert_int_equal(whole(part(c, 7, 0), 4), 2);
    assert_int_equal(whole(part(c, 24, 0), 1), 1);
    assert_int_equal(count(c, 2), 0);
    named("none", NULL);
    CALL("ModelConfig", WR_GRPC_NOT_FOUND);
}

/* ---- repository ---- */

static void test_index(void **state)
{
    (void)state;
    CALL("RepositoryIndex", WR_GRPC_OK);
    assert_int_equal(count(reply(), 1), OIP_MODELS + 1);
    wr_str gone = part(reply(), 1, OIP_MODELS);
    TEXT(part(gone, 1, 0), "gone");
    TEXT(part(gone, 3, 0), "UNAVAILABLE");
    TEXT(part(gone, 4, 0), "unloaded");
    wr_pbw_bool(&message, 2, true);
    CALL("RepositoryIndex", WR_GRPC_OK);
    assert_int_equal(count(reply(), 1), OIP_MODELS);
}

static void test_control(void **state)
{
    (void)state;
    wr_pbw_str(&message, 2, WR_STR("simple"));
    put_param(3, "config", 3, 0, "{\"max_batch_size\":\"16\"}");
    CALL("RepositoryModelLoad", WR_GRPC_OK);
    assert_string_equal(fake.loaded, "simple");
    assert_string_equal(fake.config, "{\"max_batch_size\":\"16\"}");
    assert_int_equal(body.n, 5);
    wr_pbw_str(&message, 2, WR_STR("simple"));
    put_param(3, "unload_dependents", 1, 1, NULL);
    CALL("RepositoryModelUnload", WR_GRPC_OK);
    assert_string_equal(fake.loaded, "");
    wr_pbw_str(&message, 2, WR_STR("wrong_model_name"));
    CALL("RepositoryModelLoad", WR_GRPC_NOT_FOUND);
    SAYS("failed to load 'wrong_model_name'");
    wr_pbw_str(&message, 2, WR_STR("wrong_model_name"));
    CALL("RepositoryModelUnload", WR_GRPC_NOT_FOUND);
    SAYS("failed to unload 'wrong_model_name'");
    static const struct {
        const char *key;
        uint32_t choice;
        wr_grpc_status status;
    } wrong[] = {{"config", 2, WR_GRPC_INVALID_ARGUMENT},
                 {"config", 0, WR_GRPC_INVALID_ARGUMENT},
                 {"other", 2, WR_GRPC_INVALID_ARGUMENT},
                 {"file:1/model.onnx", 2, WR_GRPC_INTERNAL}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wr_pbw_str(&message, 2, WR_STR("simple"));
        put_param(3, wrong[i].key, wrong[i].choice, 1, NULL);
        CALL("RepositoryModelLoad", wrong[i].status);
        SAYS("failed to load 'simple'");
        assert_string_equal(fake.loaded, "");
    }
    SAYS("failed to poll from model repository");
    ops.load = NULL;
    wr_pbw_str(&message, 2, WR_STR("simple"));
    CALL("RepositoryModelLoad", WR_GRPC_UNIMPLEMENTED);
    SAYS("explicit model load / unload is not allowed");
}

/* ---- shared memory ---- */

static void put_region(const char *name, const char *key, uint64_t offset, uint64_t size)
{
    wr_pbw_str(&message, 1, wr_str_of(name));
    wr_pbw_str(&message, 2, wr_str_of(key));
    wr_pbw_u64(&message, 3, offset);
    wr_pbw_u64(&message, 4, size);
}

static void put_place(const char *region, uint64_t offset, uint64_t size, uint32_t number)
{
    put_param(number, "shared_memory_region", 3, 0, region);
    put_param(number, "shared_memory_byte_size", 2, size, NULL);
    if (offset) put_param(number, "shared_memory_offset", 2, offset, NULL);
}

static void ask_regions(bool with_contents)
{
    wr_pbw_str(&message, 1, WR_STR("simple"));
    for (uint64_t i = 0; i < 2; i++) {
        size_t at = open_input(i ? "INPUT1" : "INPUT0", "INT32", 1, 16);
        put_place("data", i * 64, 64, 4);
        if (with_contents) wr_pbw_str(&message, 5, WR_STR(""));
        wr_pbw_close(&message, at);
    }
    size_t at = wr_pbw_open(&message, 6);
    wr_pbw_str(&message, 1, WR_STR("OUTPUT1"));
    put_place("data", 128, 64, 2);
    wr_pbw_close(&message, at);
    at = wr_pbw_open(&message, 6);
    wr_pbw_str(&message, 1, WR_STR("OUTPUT0"));
    wr_pbw_close(&message, at);
}

static void test_regions(void **state)
{
    (void)state;
    char key[64];
    snprintf(key, sizeof key, "/weir_grpc_test_%d", (int)getpid());
    int fd = shm_open(key, O_CREAT | O_RDWR, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 200) == 0);
    char *p = mmap(NULL, 200, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    for (int i = 0; i < 16; i++) pair[0][i] = i, pair[1][i] = 1;
    memcpy(p, pair, sizeof pair);
    put_region("data", key, 0, 192);
    CALL("SystemSharedMemoryRegister", WR_GRPC_OK);
    assert_int_equal(body.n, 5);
    put_region("data", key, 0, 192);
    CALL("SystemSharedMemoryRegister", WR_GRPC_ALREADY_EXISTS);
    SAYS("shared memory region 'data' already in manager");
    put_region("more", key, 100, 192);
    CALL("SystemSharedMemoryRegister", WR_GRPC_INVALID_ARGUMENT);
    CALL("SystemSharedMemoryStatus", WR_GRPC_OK);
    wr_str r = entry(reply(), 1, "data");
    TEXT(part(r, 1, 0), "data");
    TEXT(part(r, 2, 0), key);
    assert_int_equal(whole(r, 4), 192);
    ask_regions(false);
    CALL("ModelInfer", WR_GRPC_OK);
    TEXT(part(part(reply(), 5, 0), 1, 0), "OUTPUT1");
    assert_int_equal(count(reply(), 6), 2); /* one each; empty for what is elsewhere */
    assert_int_equal(part(reply(), 6, 0).n, 0);
    check_pair(part(reply(), 6, 1), (wr_str){p + 128, 64});
    ask_regions(true);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("unexpected 'content' provided when using shared memory for input tensor 'INPUT0' for model 'simple'");
    wr_pbw_str(&message, 1, WR_STR("data"));
    CALL("SystemSharedMemoryUnregister", WR_GRPC_OK);
    ask_regions(false);
    CALL("ModelInfer", WR_GRPC_INVALID_ARGUMENT);
    SAYS("Unable to find shared memory region: 'data'");
    wr_pbw_str(&message, 1, WR_STR("data"));
    CALL("SystemSharedMemoryStatus", WR_GRPC_INVALID_ARGUMENT);
    CALL("SystemSharedMemoryUnregister", WR_GRPC_OK);
    munmap(p, 200);
    close(fd);
    shm_unlink(key);
}

static void test_cuda(void **state)
{
    (void)state;
    CALL("CudaSharedMemoryStatus", WR_GRPC_OK);
    assert_int_equal(body.n, 5);
    CALL("CudaSharedMemoryUnregister", WR_GRPC_OK);
    named("x", NULL);
    CALL("CudaSharedMemoryStatus", WR_GRPC_INVALID_ARGUMENT);
    named("x", NULL);
    CALL("CudaSharedMemoryRegister", WR_GRPC_INVALID_ARGUMENT);
    SAYS("GPUs not supported");
}

/* ---- settings ---- */

static void put_trace(const char *key, const char *value)
{
    size_t e = wr_pbw_open(&message, 1);
    wr_pbw_str(&message, 1, wr_str_of(key));
    size_t v = wr_pbw_open(&message, 2);
    wr_pbw_str(&message, 1, wr_str_of(value));
    wr_pbw_close(&message, v);
    wr_pbw_close(&message, e);
}

static void test_trace(void **state)
{
    (void)state;
    CALL("TraceSetting", WR_GRPC_OK);
    TEXT(part(entry(reply(), 1, "trace_level"), 1, 0), "OFF");
    TEXT(part(entry(reply(), 1, "trace_rate"), 1, 0), "0");
    put_trace("trace_level", "OFF");
    put_trace("trace_rate", "100");
    CALL("TraceSetting", WR_GRPC_OK);
    put_trace("trace_level", "TIMESTAMPS");
    CALL("TraceSetting", WR_GRPC_UNIMPLEMENTED);
    put_trace("trace_file", "x");
    CALL("TraceSetting", WR_GRPC_UNIMPLEMENTED);
}

static void test_log(void **state)
{
    (void)state;
    wr_log_level before = wr_log_get_level();
    put_param(1, "log_verbose_level", 2, 1, NULL);
    put_param(1, "log_format", 3, 0, "ISO8601");
    CALL("LogSettings", WR_GRPC_OK);
    assert_int_equal(wr_log_get_level(), WR_LOG_DEBUG);
    assert_int_equal(whole(entry(reply(), 1, "log_verbose_level"), 2), 1);
    assert_int_equal(whole(entry(reply(), 1, "log_info"), 1), 1);
    put_param(1, "log_verbose_level", 2, 0, NULL);
    put_param(1, "log_info", 1, 0, NULL);
    CALL("LogSettings", WR_GRPC_OK);
    assert_int_equal(wr_log_get_level(), WR_LOG_WARN);
    assert_int_equal(whole(entry(reply(), 1, "log_info"), 1), 0);
    put_param(1, "log_info", 3, 0, "true");
    CALL("LogSettings", WR_GRPC_INVALID_ARGUMENT);
    SAYS("expect bool_param for 'log_info'");
    put_param(1, "log_error", 1, 0, NULL);
    CALL("LogSettings", WR_GRPC_UNIMPLEMENTED);
    put_param(1, "log_file", 3, 0, "x");
    CALL("LogSettings", WR_GRPC_UNIMPLEMENTED);
    put_param(1, "log_format", 3, 0, "default");
    CALL("LogSettings", WR_GRPC_INVALID_ARGUMENT);
    assert_int_equal(wr_log_get_level(), WR_LOG_WARN);
    wr_log_set_level(before);
}

/* ---- what a call does ---- */

static void test_asked_model(void **state)
{
    wr_str model, version;
    (void)state;
    wr_pbw_str(&message, 1, WR_STR("m"));
    wr_pbw_str(&message, 2, WR_STR("7"));
    wr_pbw_str(&message, 3, WR_STR("id"));
    wr_pbw_str(&message, 1, WR_STR("behind the rest"));
    wr_oip_grpc_asked_model(&model, &version, wr_buf_view(&message));
    assert_true(wr_str_is(model, "m") && wr_str_is(version, "7"));
    wr_oip_grpc_asked_model(&model, &version, WR_STR("\x0a\x7fshort"));
    assert_int_equal(model.n + version.n, 0);
}

static void test_controls(void **state)
{
    (void)state;
    wr_str name;
    wr_pbw_str(&message, 2, WR_STR("m"));
    assert_true(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/RepositoryModelLoad"), wr_buf_view(&message)));
    TEXT(name, "m");
    assert_true(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/RepositoryModelUnload"), wr_buf_view(&message)));
    assert_false(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/RepositoryIndex"), wr_buf_view(&message)));
    assert_false(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/TraceSetting"), wr_buf_view(&message)));
    wr_buf_clear(&message);
    put_trace("trace_level", "OFF");
    assert_true(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/TraceSetting"), wr_buf_view(&message)));
    TEXT(name, "*");
    assert_true(wr_oip_grpc_controls(&name, WR_STR(WR_OIP_GRPC_PATH "/LogSettings"), wr_buf_view(&message)));
    assert_false(wr_oip_grpc_controls(&name, WR_STR("/other/RepositoryModelLoad"), wr_buf_view(&message)));
    wr_buf_clear(&message);
    assert_true(wr_oip_grpc_is_open(WR_STR(WR_OIP_GRPC_PATH "/ServerReady")));
    assert_true(wr_oip_grpc_is_open(WR_STR(WR_OIP_HEALTH_PATH "/Check")));
    assert_false(wr_oip_grpc_is_open(WR_STR(WR_OIP_GRPC_PATH "/ModelReady")));
    assert_false(wr_oip_grpc_is_open(WR_STR(WR_OIP_GRPC_PATH "ServerReady")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_health),     TEST(test_metadata), TEST(test_model_ready),
                                       TEST(test_statistics), TEST(test_config),   TEST(test_index),
                                       TEST(test_control),    TEST(test_regions),  TEST(test_cuda),
                                       TEST(test_trace),      TEST(test_log),      TEST(test_controls),
                                       TEST(test_asked_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
