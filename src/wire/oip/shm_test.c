/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in shared memory: as tritonclient's example does it, and as nobody should. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/oip/rest_testing.h"

static char key[64];
static int32_t *memory; /* 4 * 16 numbers */
enum { BYTES = 256 };

static void make(void)
{
    snprintf(key, sizeof key, "/weir-shm-test-%d", (int)getpid());
    int fd = shm_open(key, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0 && ftruncate(fd, BYTES) == 0);
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    for (int i = 0; i < 64; i++) memory[i] = i < 16 ? i : i < 32 ? 1 : -7;
}

static int do_register(const char *region, const char *object, const char *offset, const char *size)
{
    char path[120], text[300];
    snprintf(path, sizeof path, "/v2/systemsharedmemory/region/%s/register", region);
    snprintf(text, sizeof text, "{\"key\":\"%s\",\"offset\":%s,\"byte_size\":%s}", object, offset, size);
    return ask("POST", path, text);
}

#define SHM(r, o, n)                                                                                                   \
    "\"parameters\":{\"shared_memory_region\":\"" r "\",\"shared_memory_offset\":" o ",\"shared_memory_byte_size\":" n \
    "}"
#define INPUTS(a, b)                                                                                                   \
    "\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\"," a                                      \
    "},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\"," b "}]}"

static void test_round_trip(void **state)
{
    (void)state;
    make();
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/unregister", ""), 200);
    assert_int_equal(ask("POST", "/v2/cudasharedmemory/unregister", ""), 200);
    assert_int_equal(do_register("in", key, "0", "128"), 200);
    assert_int_equal(do_register("out", key + 1, "128", "128"), 200);
    assert_int_equal(ask("GET", "/v2/systemsharedmemory/status", ""), 200);
    assert_int_equal(yyjson_arr_size(parsed.root), 2);
    assert_int_equal(ask("GET", "/v2/systemsharedmemory/region/out/status", ""), 200);
    assert_string_equal(text_at("/0/name"), "out");
    assert_string_equal(text_at("/0/key"), key + 1);
    assert_int_equal(yyjson_get_int(at("/0/offset")), 128);
    assert_int_equal(yyjson_get_int(at("/0/byte_size")), 128);
    assert_int_equal(
        infer("simple", "{\"outputs\":[{\"name\":\"OUTPUT0\"," SHM("out", "0", "64") "},{\"name\":\"OUTPUT1\"," SHM(
                            "out", "64", "64") "}]," INPUTS(SHM("in", "0", "64"), SHM("in", "64", "64"))),
        200);
    for (int i = 0; i < 16; i++) assert_true(memory[32 + i] == i + 1 && memory[48 + i] == i - 1);
    assert_null(at("/outputs/0/data"));
    assert_int_equal(yyjson_get_int(at("/outputs/1/shape/1")), 16);
    assert_string_equal(answer.headers, "");
    memory[32] = 5;
    assert_int_equal(infer("simple", "{" INPUTS(SHM("in", "0", "64"), "\"data\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]")),
                     200);
    assert_int_equal(memory[32], 5);
    assert_int_equal(yyjson_get_int(at("/outputs/0/data/15")), 16);
}

static void test_bad_uses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } all[] = {
        {"{" INPUTS(SHM("none", "0", "64"), SHM("in", "64", "64")), "Unable to find shared memory region: 'none'"},
        {"{" INPUTS(SHM("in", "65", "64"), SHM("in", "0", "64")),
         "Invalid offset + byte size for shared memory region: 'in'"},
        {"{" INPUTS(SHM("in", "128", "64"), SHM("in", "0", "64")), "Invalid offset for shared memory region: 'in'"},
        {"{" INPUTS(SHM("in", "18446744073709551600", "64"), SHM("in", "0", "64")), "Invalid offset"},
        {"{" INPUTS(SHM("in", "0", "60"), SHM("in", "64", "64")),
         "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 60"},
        {"{" INPUTS(SHM("in", "0", "99999999999"), SHM("in", "64", "64")), "'shared_memory_byte_size' is 99999999999"},
        {"{" INPUTS(SHM("in", "-1", "64"), SHM("in", "64", "64")), "shared_memory_offset"},
        {"{\"outputs\":[{\"name\":\"OUTPUT0\"," SHM("out", "0", "63") "}]," INPUTS(SHM("in", "0", "64"),
                                                                                   SHM("in", "64", "64")),
         "shared memory size specified with the request for output 'OUTPUT0' (63 bytes) should be at least 64 bytes to "
         "hold the results"},
        {"{\"outputs\":[{\"name\":\"OUTPUT0\"," SHM("out", "100", "64") "}]," INPUTS(SHM("in", "0", "64"),
                                                                                     SHM("in", "64", "64")),
         "Invalid offset + byte size for shared memory region: 'out'"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int status = infer("simple", all[i].text);
        if (status != 400 || !strstr(error(), all[i].error)) fail_msg("%s: %d %s", all[i].text, status, error());
    }
}

static void test_strings(void **state)
{
    (void)state;
    memcpy(memory, "\3\0\0\0abc\0\0\0\0", 11);
    assert_int_equal(
        infer("bytes",
              "{\"outputs\":[{\"name\":\"OUTPUT0\"," SHM(
                  "out", "0",
                  "100") "}],\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,2],\"datatype\":\"BYTES\"," SHM("in", "0",
                                                                                                           "11") "}]}"),
        200);
    assert_memory_equal(memory + 32, "\3\0\0\0abc\0\0\0\0", 11);
}

/* A client that shrinks its object gets an error; this process lives. */
static void test_shrunk(void **state)
{
    (void)state;
    int fd = shm_open(key, O_RDWR, 0);
    assert_true(fd >= 0 && ftruncate(fd, 10) == 0);
    assert_int_equal(infer("simple", "{" INPUTS(SHM("in", "0", "64"), SHM("in", "64", "64"))), 400);
    assert_non_null(strstr(error(), "Invalid shared memory region: 'in': the object became smaller"));
    assert_int_equal(
        infer("fp32",
              "{\"outputs\":[{\"name\":\"OUTPUT0\"," SHM(
                  "out", "0",
                  "64") "}],\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,1],\"datatype\":\"FP32\",\"data\":[1]}]}"),
        400);
    struct stat st;
    assert_true(fstat(fd, &st) == 0 && st.st_size == 10); /* and was not made larger again */
    close(fd);
}

static void test_registering(void **state)
{
    (void)state;
    int fd = shm_open(key, O_RDWR, 0);
    assert_true(fd >= 0 && ftruncate(fd, BYTES) == 0);
    close(fd);
    assert_int_equal(do_register("in", key, "0", "128"), 400);
    assert_string_equal(error(), "shared memory region 'in' already in manager");
    static const struct {
        const char *key, *offset, *size, *error;
    } bad[] = {{NULL, "0", "257", "failed to register shared memory region 'r': invalid args"},
               {NULL, "256", "1", "invalid args"},
               {NULL, "18446744073709551615", "2", "invalid args"},
               {NULL, "0", "0", "invalid args"},
               {NULL, "-1", "8", "'offset' is not a whole number"},
               {NULL, "0", "1.5", "'byte_size' is not a whole number"},
               {"/weir-no-such-object", "0", "8", "Unable to open shared memory region: '/weir-no-such-object'"},
               {"/../etc/passwd", "0", "8", "no name under /dev/shm"},
               {"../../etc/passwd", "0", "8", "no name under /dev/shm"},
               {"/etc/passwd", "0", "8", "no name under /dev/shm"},
               {"/", "0", "8", "no name under /dev/shm"},
               {"", "0", "8", "no name under /dev/shm"},
               {".", "0", "8", "no name under /dev/shm"},
               {"a\\u0000b", "0", "8", "no name under /dev/shm"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = do_register("r", bad[i].key ? bad[i].key : key, bad[i].offset, bad[i].size);
        if (status != 400 || !strstr(error(), bad[i].error)) fail_msg("%zu: %d %s", i, status, error());
    }
    static const char reg[] = "/v2/systemsharedmemory/region/r/register";
    assert_int_equal(ask("POST", reg, ""), 400);
    assert_string_equal(error(), "Shared memory register request has no 'key' field");
    assert_int_equal(ask("POST", reg, "{\"key\":\"x\"}"), 400);
    assert_string_equal(error(), "Shared memory register request has no 'byte_size' field");
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/register", "{}"), 400);
    assert_non_null(strstr(error(), "'region name' is necessary"));
    assert_int_equal(ask("GET", "/v2/systemsharedmemory/region/r/status", ""), 400);
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/region/in/unregister", ""), 200);
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/region/in/unregister", ""), 200); /* was not there: fine */
    assert_int_equal(ask("GET", "/v2/systemsharedmemory/status", ""), 200);
    assert_int_equal(yyjson_arr_size(parsed.root), 1);
    for (int i = 0; i < 1024; i++) { /* a cap */
        char region[20];
        snprintf(region, sizeof region, "x%d", i);
        assert_int_equal(do_register(region, key, "0", "8"), i < 1023 ? 200 : 400);
    }
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/unregister", ""), 200);
    assert_int_equal(ask("GET", "/v2/systemsharedmemory/status", ""), 200);
    assert_string_equal(body.p, "[]");
}

static void test_cuda_and_off(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/v2/cudasharedmemory/status", ""), 200);
    assert_string_equal(body.p, "[]");
    assert_int_equal(ask("GET", "/v2/cudasharedmemory/region/r/status", ""), 400);
    assert_int_equal(ask("POST", "/v2/cudasharedmemory/region/r/unregister", ""), 200);
    assert_int_equal(ask("POST", "/v2/cudasharedmemory/region/r/register", "{}"), 400);
    assert_string_equal(error(), "failed to register CUDA shared memory region: 'r', GPUs not supported");
    wr_oip *kept = oip;
    assert_int_equal(wr_oip_new(&oip, &(wr_oip_opt){.server_version = "9"}, NULL), 0);
    assert_int_equal(do_register("r", key, "0", "8"), 501);
    assert_non_null(strstr(error(), "shared memory is not enabled on this server"));
    assert_int_equal(ask("POST", "/v2/systemsharedmemory/unregister", ""), 501);
    assert_int_equal(infer("simple", "{" INPUTS(SHM("in", "0", "64"), SHM("in", "64", "64"))), 501);
    wr_oip_free(oip);
    oip = kept;
    shm_unlink(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_bad_uses),
                                       cmocka_unit_test(test_strings),     cmocka_unit_test(test_shrunk),
                                       cmocka_unit_test(test_registering), cmocka_unit_test(test_cuda_and_off)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
