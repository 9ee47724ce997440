/* SPDX-License-Identifier: Apache-2.0 */
/* What Triton's client library 2.73 and its example programs sent (tests/fixtures/triton, by tests/triton/record.py),
 * replayed: the same statuses, and for inferences the same outputs to the byte as the server answered from ONNX models.
 */
#include <glob.h>

#include "base/limits.h"
#include "codec/http.h"
#include "codec/inflate.h"
#include "io/file.h"
#include "wire/oip/rest_testing.h"

typedef struct {
    wr_http_head head;
    wr_buf file, plain;
    wr_str body; /* unpacked */
    wr_str json, behind;
} message;

static void unpack(message *m)
{
    wr_coding coding;
    m->body = wr_str_sub(wr_buf_view(&m->file), m->head.size, m->file.n);
    assert_int_equal(m->body.n, m->head.length);
    assert_int_equal(wr_coding_parse(&coding, wr_http_get(&m->head, "content-encoding"), NULL), 0);
    if (coding == WR_CODING_NONE) return;
    assert_int_equal(wr_inflate(&m->plain, m->body, coding, 100000, NULL), 0);
    m->body = wr_buf_view(&m->plain);
}

static void read_message(message *m, const char *path, bool answer_)
{
    size_t scanned = 0;
    *m = (message){0};
    assert_int_equal(wr_file_read(&m->file, path, 100000, NULL), 0);
    wr_str text = wr_buf_view(&m->file);
    int rc =
        answer_ ? wr_http_parse_response(&m->head, text, &scanned) : wr_http_parse_request(&m->head, text, &scanned);
    if (rc != 1) fail_msg("%s: %d", path, rc);
    unpack(m);
    wr_str length = wr_http_get(&m->head, "inference-header-content-length");
    size_t n = length.p ? strtoul(length.p, NULL, 10) : m->body.n;
    m->json = wr_str_sub(m->body, 0, n);
    m->behind = wr_str_sub(m->body, n, m->body.n);
}

static void free_message(message *m)
{
    wr_buf_fini(&m->file);
    wr_buf_fini(&m->plain);
}

static void compare(const char *path, const message *want, wr_str got, const char *pointer)
{
    WR_AUTOJSON wr_json a = {0}, b = {0};
    assert_int_equal(wr_json_parse(&a, want->json, "recorded", NULL), 0);
    assert_int_equal(wr_json_parse(&b, wr_str_sub(got, 0, got.n - want->behind.n), "answer", NULL), 0);
    yyjson_val *x = yyjson_ptr_get(a.root, pointer), *y = yyjson_ptr_get(b.root, pointer);
    if (!x || !yyjson_equals(x, y)) fail_msg("%s: %s differs: %.*s", path, pointer, WR_STR_FMT(got));
    if (!wr_str_eq(wr_str_sub(got, got.n - want->behind.n, got.n), want->behind)) fail_msg("%s: other bytes", path);
}

static void replay(const char *path)
{
    message in, want;
    char other[4096];
    snprintf(other, sizeof other, "%.*s.answer", (int)(strlen(path) - strlen(".request")), path);
    read_message(&in, path, false);
    read_message(&want, other, true);
    request = (wr_oip_request){.query = in.head.query,
                               .header_length = wr_http_get(&in.head, "inference-header-content-length"),
                               .content_type = wr_http_get(&in.head, "content-type"),
                               .accept_encoding = wr_http_get(&in.head, "accept-encoding")};
    char *method = wr_arena_strndup(arena, in.head.method.p, in.head.method.n),
         *target = strndup(in.head.path.p, in.head.path.n);
    bool get = strcmp(method, "GET") == 0;
    int status = ask_bytes(get ? "GET" : "POST", target, in.body);
    if (status != want.head.status)
        fail_msg("%s: %d instead of %d: %s", path, status, want.head.status, wr_buf_cstr(&body));
    WR_AUTOBUF wr_buf plain = {0};
    wr_str got = wr_buf_view(&body);
    const char *coding = strstr(answer.headers, "Content-Encoding: ");
    assert_int_equal(coding != NULL, wr_http_get(&want.head, "content-encoding").p != NULL);
    if (coding) {
        assert_int_equal(wr_inflate(&plain, got, coding[18] == 'g' ? WR_CODING_GZIP : WR_CODING_DEFLATE, 100000, NULL),
                         0);
        got = wr_buf_view(&plain);
    }
    bool inference = wr_str_ends(in.head.path, "/infer"), simple = wr_str_is(in.head.path, "/v2/models/simple");
    if (status == 200 && inference) compare(path, &want, got, "/outputs");
    if (simple) compare(path, &want, got, "/inputs");
    if (status != 200) assert_string_not_equal(error(), "(no text)");
    free(target);
    free_message(&in);
    free_message(&want);
}

static void test_recorded(void **state)
{
    (void)state;
    glob_t g;
    size_t n = 0;
    assert_int_equal(glob(WEIR_SOURCE_DIR "/tests/fixtures/triton/*.request", 0, NULL, &g), 0);
    for (; n < g.gl_pathc; n++) replay(g.gl_pathv[n]);
    globfree(&g);
    assert_true(n >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
