/* SPDX-License-Identifier: Apache-2.0 */
/* http_grpc_test.c - frames of messages, statuses, and calls as they were recorded from a real client (grpcio 1.85 of
 * Python): its bytes are sent again, the answer's frames are taken apart here. */
#include "io/http_grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/file.h"

/* ---- without a server ---- */

static int message(const char *bytes, size_t n, const char *want)
{
    wr_str m = {0};
    wr_err err = {0};
    int rc = wr_grpc_message(&m, (wr_str){bytes, n}, &err);
    if (rc == 0) assert_true(wr_str_is(m, want));
    else if (want) assert_string_equal(err.msg, want);
    return rc;
}

static void test_message(void **state)
{
    (void)state;
    assert_int_equal(message("\0\0\0\0\0", 5, ""), 0);
    assert_int_equal(message("\0\0\0\0\3abc", 8, "abc"), 0);
    assert_int_equal(message("", 0, "the call has no message"), WEIR_EPARSE);
    assert_int_equal(message("\0\0\0\0", 4, "the call has no message"), WEIR_EPARSE);
    assert_int_equal(message("\1\0\0\0\3abc", 8, "the message is compressed"), WEIR_EUNSUPPORTED);
    assert_int_equal(message("\2\0\0\0\3abc", 8, "the message begins with '2', not with 0 or 1"), WEIR_EPARSE);
    assert_int_equal(message("\0\0\0\0\4abc", 8, "the message has '3' bytes and says '4'"), WEIR_EPARSE);
    assert_int_equal(message("\0\0\0\0\2abc", 8, "the message has '3' bytes and says '2'"), WEIR_EPARSE);
    assert_int_equal(message("\0\xff\xff\xff\xff"
                             "abc",
                             8, "the message has '3' bytes and says '4294967295'"),
                     WEIR_EPARSE);
    assert_int_equal(message("\0\0\0\0\0\0\0\0\0\0", 10, NULL), WEIR_EPARSE); /* two messages */
}

static void test_status_text(void **state)
{
    (void)state;
    static const struct {
        const char *message, *want;
    } all[] = {
        {NULL, "grpc-status: 5\r\n"},
        {"", "grpc-status: 5\r\n"},
        {"no study 'x'", "grpc-status: 5\r\ngrpc-message: no study 'x'\r\n"},
        {"100%\r\nSet-Cookie: a", "grpc-status: 5\r\ngrpc-message: 100%25%0D%0ASet-Cookie: a\r\n"},
        {"\xc3\xa9\x7f", "grpc-status: 5\r\ngrpc-message: %C3%A9%7F\r\n"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_grpc_put_status(&b, WR_GRPC_NOT_FOUND, all[i].message);
        assert_string_equal(wr_buf_cstr(&b), all[i].want);
    }
    WR_AUTOBUF wr_buf b = {0}, text = {0};
    for (int i = 0; i < 100000; i++) wr_buf_str(&text, "\xc3\xa9");
    wr_grpc_put_status(&b, WR_GRPC_NOT_FOUND, text.p);
    assert_true(b.n < 7000); /* a head has a limit at the client too */
    assert_true(b.n % 6 == strlen("grpc-status: 5\r\ngrpc-message: \r\n") % 6); /* no character was cut */
}

static void test_codes(void **state)
{
    (void)state;
#define X(sym, val, text, http, ex) assert_in_range(wr_grpc_status_of(sym), 1, 16);
    WEIR_ERRORS(X)
#undef X
    assert_int_equal(wr_grpc_status_of(0), WR_GRPC_OK);
    assert_int_equal(wr_grpc_status_of(WEIR_ENOTFOUND), WR_GRPC_NOT_FOUND);
    assert_int_equal(wr_grpc_status_of(WEIR_EEXIST), WR_GRPC_ALREADY_EXISTS);
}

static void test_timeout(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } all[] = {{"250m", 250000000},
               {"1H", 3600000000000},
               {"2M", 120000000000},
               {"99999999S", 99999999000000000},
               {"7u", 7000},
               {"7n", 7},
               {"0n", 1},
               {"99999999H", INT64_MAX / 2},
               {"123456789S", 0},
               {"S", 0},
               {"", 0},
               {"5", 0},
               {"-5S", 0},
               {"5s", 0},
               {"5 S", 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(wr_grpc_parse_timeout(wr_str_of(all[i].text)), all[i].ns);
    assert_int_equal(wr_grpc_http(WR_GRPC_OK), 200);
    for (int i = 1; i < 20; i++) assert_in_range(wr_grpc_http(i), 400, 599);
}

/* ---- a server ---- */

static wr_http_server *server;
static pthread_t thread;
static atomic_int round_rc;

static void echo(wr_http_req *r)
{
    wr_err err = {0};
    wr_str m;
    if (wr_grpc_message(&m, wr_http_req_body(r), &err) < 0) {
        wr_grpc_fail_err(r, &err);
        return;
    }
    WR_AUTOBUF wr_buf b = {0};
    wr_grpc_begin(&b);
    wr_buf_slice(&b, m);
    wr_grpc_reply(r, true, &b);
}

static void fail_it(wr_http_req *r)
{
    wr_http_defer(r);
    wr_grpc_fail(r, WR_GRPC_ALREADY_EXISTS, "a study '\xc3\xa9' 100%");
}

static void several(wr_http_req *r)
{
    wr_http_stream *s = wr_grpc_stream_open(r);
    assert_non_null(s);
    for (int i = 0; i < 3; i++) {
        WR_AUTOBUF wr_buf b = {0};
        wr_grpc_begin(&b);
        wr_buf_printf(&b, "m%d", i);
        assert_int_equal(wr_grpc_stream_send(s, &b), 0);
    }
    wr_grpc_stream_close(s, WR_GRPC_OUT_OF_RANGE, "no more");
}

static void plain(wr_http_req *r)
{
    wr_http_reply(r, &(wr_http_reply_opt){.status = 401}, WR_STR("{\"error\":\"who are you?\"}\n"));
}

static void too_large(wr_http_req *r)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 100);
    wr_grpc_begin(&b);
    for (int i = 0; i < 100; i++) wr_buf_str(&b, "long");
    wr_grpc_reply(r, false, &b);
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    if (!wr_grpc_is(r)) return;
    wr_str path = wr_http_req_head(r)->path;
    if (wr_str_is(path, "/t.T/Echo")) out->handle = echo;
    if (wr_str_is(path, "/t.T/Fail")) out->handle = fail_it;
    if (wr_str_is(path, "/t.T/Multi")) out->handle = several;
    if (wr_str_is(path, "/t.T/Large")) out->handle = too_large;
    if (wr_str_is(path, "/t.T/Plain")) out->handle = plain;
    out->body_max = 1000;
}

static int round_end(void *ctx, int loop)
{
    (void)ctx, (void)loop;
    return atomic_load(&round_rc);
}

static void *serve(void *arg)
{
    assert_int_equal(wr_http_server_run(server, NULL), 0);
    return arg;
}

static int start(void **state)
{
    (void)state;
    atomic_store(&round_rc, 0);
    assert_int_equal(wr_http_server_open(&server, &(wr_http_server_opt){.route = route, .round_end = round_end}, NULL),
                     0);
    return pthread_create(&thread, NULL, serve, NULL);
}

static int stop(void **state)
{
    (void)state;
    wr_http_server_stop(server, 2000);
    pthread_join(thread, NULL);
    wr_http_server_close(server);
    return 0;
}

/* ---- what comes back, frame by frame ---- */

enum { CALLS = 9 };
typedef struct {
    wr_buf fields, data;
    int nheads;
    bool ended;
} call;

static void take_frame(call *all, nghttp2_hd_inflater *hpack, int type, int flags, unsigned id, const uint8_t *p,
                       size_t n)
{
    call *c = id % 2 == 1 && id / 2 < CALLS ? &all[id / 2] : NULL;
    if (type == NGHTTP2_DATA && c) wr_buf_add(&c->data, p, n);
    if (type == NGHTTP2_HEADERS) {
        assert_non_null(c);
        for (int state = 0; !(state & NGHTTP2_HD_INFLATE_FINAL);) {
            nghttp2_nv nv;
            ssize_t used = nghttp2_hd_inflate_hd2(hpack, &nv, &state, p, n, 1);
            assert_true(used >= 0);
            p += used;
            n -= (size_t)used;
            if (state & NGHTTP2_HD_INFLATE_EMIT)
                wr_buf_printf(&c->fields, "%.*s=%.*s\n", (int)nv.namelen, nv.name, (int)nv.valuelen, nv.value);
        }
        nghttp2_hd_inflate_end_headers(hpack);
        c->nheads++;
    }
    if (c && (type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && (flags & NGHTTP2_FLAG_END_STREAM)) c->ended = true;
}

static void exchange(call *all, wr_str bytes, int calls)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wr_http_server_port(server))};
    inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
    nghttp2_hd_inflater *hpack;
    assert_int_equal(nghttp2_hd_inflate_new(&hpack), 0);
    wr_buf in = {0};
    int ended = 0;
    char piece[4096];
    for (ssize_t n; ended < calls && (n = recv(fd, piece, sizeof piece, 0)) > 0;) {
        wr_buf_add(&in, piece, (size_t)n);
        const uint8_t *p = (const uint8_t *)in.p;
        size_t size;
        while (in.n >= 9 && in.n >= 9 + (size = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2])) {
            take_frame(all, hpack, p[3], p[4], (unsigned)p[7] << 8 | p[8], p + 9, size);
            wr_buf_consume(&in, 9 + size);
            p = (const uint8_t *)in.p;
        }
        ended = 0;
        for (int i = 0; i < CALLS; i++) ended += all[i].ended;
    }
    assert_int_equal(ended, calls);
    nghttp2_hd_inflate_del(hpack);
    wr_buf_fini(&in);
    close(fd);
}

static void drop(call *all)
{
    for (int i = 0; i < CALLS; i++) {
        wr_buf_fini(&all[i].fields);
        wr_buf_fini(&all[i].data);
    }
}

static void has(const call *c, const char *field) { assert_non_null(strstr(wr_buf_cstr(&c->fields), field)); }

static void test_recorded_client(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf bytes = {0};
    assert_int_equal(wr_file_read(&bytes, WEIR_SOURCE_DIR "/tests/fixtures/grpc/grpcio-1.85-calls.bin", 1 << 20, NULL),
                     0);
    call all[CALLS] = {0};
    exchange(all, wr_buf_view(&bytes), 3);
    has(&all[0], ":status=200\n");
    has(&all[0], "content-type=application/grpc\n");
    has(&all[0], "grpc-status=0\n");
    assert_int_equal(all[0].nheads, 2); /* head and trailers */
    assert_int_equal(all[0].data.n, 5 + 17);
    assert_memory_equal(all[0].data.p, "\0\0\0\0\21hello from grpcio", 22);
    assert_int_equal(all[1].nheads, 1); /* "trailers only" */
    assert_int_equal(all[1].data.n, 0);
    has(&all[1], "grpc-status=6\n");
    has(&all[1], "grpc-message=a study '%C3%A9' 100%25\n");
    assert_memory_equal(all[2].data.p, "\0\0\0\0\5again", 10);
    drop(all);
}

static void test_commit_fails(void **state)
{
    (void)state;
    atomic_store(&round_rc, WEIR_EIO);
    WR_AUTOBUF wr_buf bytes = {0};
    assert_int_equal(wr_file_read(&bytes, WEIR_SOURCE_DIR "/tests/fixtures/grpc/grpcio-1.85-calls.bin", 1 << 20, NULL),
                     0);
    call all[CALLS] = {0};
    exchange(all, wr_buf_view(&bytes), 3);
    assert_int_equal(all[0].nheads, 1);
    assert_int_equal(all[0].data.n, 0);
    has(&all[0], ":status=200\n");
    has(&all[0], "grpc-status=14\n");
    drop(all);
}

/* ---- calls of our own ---- */

static void frame(wr_buf *b, int type, int flags, unsigned id, wr_str payload)
{
    const char head[9] = {(char)(payload.n >> 16),
                          (char)(payload.n >> 8),
                          (char)payload.n,
                          (char)type,
                          (char)flags,
                          0,
                          0,
                          (char)(id >> 8),
                          (char)id};
    wr_buf_add(b, head, 9);
    wr_buf_slice(b, payload);
}

static void put(wr_buf *b, nghttp2_hd_deflater *hpack, unsigned id, const char *method, const char *path,
                const char *type, wr_str body)
{
    nghttp2_nv nv[] = {
        {(uint8_t *)(uintptr_t) ":method", (uint8_t *)(uintptr_t)method, 7, strlen(method), 0},
        {(uint8_t *)(uintptr_t) ":scheme", (uint8_t *)(uintptr_t) "http", 7, 4, 0},
        {(uint8_t *)(uintptr_t) ":path", (uint8_t *)(uintptr_t)path, 5, strlen(path), 0},
        {(uint8_t *)(uintptr_t) ":authority", (uint8_t *)(uintptr_t) "a", 10, 1, 0},
        {(uint8_t *)(uintptr_t) "content-type", (uint8_t *)(uintptr_t)type, 12, strlen(type), 0},
    };
    uint8_t block[1024];
    ssize_t n = nghttp2_hd_deflate_hd(hpack, block, sizeof block, nv, 5);
    assert_true(n > 0);
    frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, (wr_str){(const char *)block, (size_t)n});
    frame(b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, body);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char none[] = "\0\0\0\0\0";
    char large[2000] = {0};
    const wr_str empty = {none, 5};
    nghttp2_hd_deflater *hpack;
    assert_int_equal(nghttp2_hd_deflate_new(&hpack, 4096), 0);
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_str(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    frame(&b, NGHTTP2_SETTINGS, 0, 0, (wr_str){0});
    put(&b, hpack, 1, "POST", "/t.T/None", "application/grpc", empty);
    put(&b, hpack, 3, "POST", "/t.T/Echo", "application/grpc+proto; v=1", (wr_str){"\1\0\0\0\1x", 6});
    put(&b, hpack, 5, "POST", "/t.T/Echo", "application/grpc", (wr_str){"\0\0", 2});
    put(&b, hpack, 7, "POST", "/t.T/Echo", "application/grpc", (wr_str){large, sizeof large});
    put(&b, hpack, 9, "POST", "/t.T/Large", "application/grpc", empty);
    put(&b, hpack, 11, "POST", "/t.T/Echo", "application/grpc+json", empty); /* not ours: plain HTTP */
    put(&b, hpack, 13, "GET", "/t.T/Echo", "application/grpc", empty);
    put(&b, hpack, 15, "POST", "/t.T/Multi", "Application/GRPC", empty);
    put(&b, hpack, 17, "POST", "/t.T/Plain", "application/grpc", empty);
    nghttp2_hd_deflate_del(hpack);
    call all[CALLS] = {0};
    exchange(all, wr_buf_view(&b), CALLS);
    static const char *const want[CALLS] = {"grpc-status=12\n", "grpc-status=12\n", "grpc-status=3\n",
                                            "grpc-status=8\n",  "grpc-status=8\n",  ":status=404\n",
                                            ":status=404\n",    "grpc-status=11\n", "grpc-status=16\n"};
    for (int i = 0; i < CALLS; i++) has(&all[i], want[i]);
    has(&all[8], "grpc-message={\"error\":\"who are you?\"}\n");
    assert_int_equal(all[8].data.n, 0);
    has(&all[1], "grpc-accept-encoding=identity,gzip,deflate\n");
    has(&all[7], "grpc-message=no more\n");
    assert_int_equal(all[7].data.n, 21);
    assert_memory_equal(all[7].data.p, "\0\0\0\0\2m0\0\0\0\0\2m1\0\0\0\0\2m2", 21);
    drop(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_status_text),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test_setup_teardown(test_recorded_client, start, stop),
        cmocka_unit_test_setup_teardown(test_commit_fails, start, stop),
        cmocka_unit_test_setup_teardown(test_refusals, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
