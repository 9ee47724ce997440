/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_call_testing.h - a message sent to the models of oip_testing.h, its answer looked at; shared by the tests of
 * gRPC. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "codec/protobuf.h"
#include "wire/oip/grpc.h"
#include "wire/oip/oip_testing.h"

static wr_oip *oip;
static wr_arena *arena;
static wr_buf body, message;
static wr_oip_grpc_response answer;
static wr_oip_ops ops;
static int64_t start_ns, deadline_ns;

static inline int set_up(void **state)
{
    (void)state;
    static const wr_oip_opt opt = {.server_name = "triton", .server_version = "9", .shared_memory = true};
    arena = wr_arena_new(0);
    ops = oip_ops;
    fake = (oip_fakes){.ready = true};
    start_ns = deadline_ns = 0;
    return arena && wr_oip_new(&oip, &opt, NULL) == 0 ? 0 : -1;
}

static inline int tear_down(void **state)
{
    (void)state;
    wr_buf_fini(&body);
    wr_buf_fini(&message);
    wr_arena_free(arena);
    wr_oip_free(oip);
    return 0;
}

static inline wr_grpc_status call_path(const char *path, wr_str text)
{
    wr_oip_grpc_request in = {
        .path = wr_str_of(path), .message = text, .start_ns = start_ns, .deadline_ns = deadline_ns};
    wr_arena_clear(arena);
    wr_buf_clear(&body);
    wr_buf_str(&body, "12345"); /* what is there stays */
    answer = (wr_oip_grpc_response){.body = &body};
    wr_oip_grpc(&answer, oip, &in, &ops, arena);
    assert_int_equal(fake.held, 0);
    assert_memory_equal(body.p, "12345", 5);
    if (answer.status) assert_int_equal(body.n, 5);
    assert_int_equal(answer.status == WR_GRPC_OK, answer.text[0] == 0);
    return answer.status;
}

/* With what was put into `message`, which is empty afterwards. */
static inline wr_grpc_status call(const char *method)
{
    char path[100];
    snprintf(path, sizeof path, WR_OIP_GRPC_PATH "/%s", method);
    wr_grpc_status s = call_path(path, wr_buf_view(&message));
    wr_buf_clear(&message);
    return s;
}

#define CALL(method, status) assert_int_equal(call(method), status)
#define SAYS(words)          assert_non_null(strstr(answer.text, words))

/* ---- looking at answers ---- */

static inline wr_str reply(void) { return wr_str_sub(wr_buf_view(&body), 5, body.n); }

/* The nth field of that number; number 0 when there is none. */
static inline wr_pb_field nth(wr_str text, uint32_t number, int n)
{
    wr_pb r;
    wr_pb_field f;
    wr_pb_init(&r, text);
    while (wr_pb_next(&r, &f))
        if (f.number == number && n-- == 0) return f;
    assert_false(wr_pb_failed(&r));
    return (wr_pb_field){0};
}
static inline wr_str part(wr_str text, uint32_t number, int n) { return nth(text, number, n).bytes; }
static inline uint64_t whole(wr_str text, uint32_t number) { return nth(text, number, 0).value; }
static inline int count(wr_str text, uint32_t number)
{
    int n = 0;
    while (nth(text, number, n).number) n++;
    return n;
}
/* The value of a map's entry; p NULL when there is none. */
static inline wr_str entry(wr_str text, uint32_t number, const char *key)
{
    for (int i = 0; nth(text, number, i).number; i++)
        if (wr_str_is(part(part(text, number, i), 1, 0), key)) return part(part(text, number, i), 2, 0);
    return (wr_str){NULL, 0};
}
#define TEXT(is, want) assert_true(wr_str_is(is, want))

/* ---- making requests ---- */

static inline void named(const char *name, const char *version)
{
    wr_pbw_str(&message, 1, wr_str_of(name));
    if (version) wr_pbw_str(&message, 2, wr_str_of(version));
}

static inline void put_param(uint32_t number, const char *key, uint32_t choice, uint64_t v, const char *text)
{
    size_t e = wr_pbw_open(&message, number);
    wr_pbw_str(&message, 1, wr_str_of(key));
    size_t value = wr_pbw_open(&message, 2);
    if (text) wr_pbw_str(&message, choice, wr_str_of(text));
    else if (choice == 4) wr_pbw_fixed64(&message, 4, v);
    else if (choice) wr_pbw_u64(&message, choice, v);
    wr_pbw_close(&message, value);
    wr_pbw_close(&message, e);
}

static inline size_t open_input(const char *name, const char *type, int64_t a, int64_t b)
{
    size_t at = wr_pbw_open(&message, 5);
    wr_pbw_str(&message, 1, wr_str_of(name));
    wr_pbw_str(&message, 2, wr_str_of(type));
    wr_pbw_i64(&message, 3, a); /* unpacked, as some write it */
    if (b >= -1) {
        size_t list = wr_pbw_open(&message, 3);
        wr_pbw_varint(&message, (uint64_t)b);
        wr_pbw_close(&message, list);
    }
    return at;
}

static inline void put_input(const char *name, const char *type, int64_t a, int64_t b)
{
    wr_pbw_close(&message, open_input(name, type, a, b));
}

static inline void put_raw(const void *p, size_t n) { wr_pbw_str(&message, 7, (wr_str){p, n}); }

static inline void put_typed(const char *name, const char *type, int64_t a, int64_t b, uint32_t number, int n,
                             const uint64_t *v)
{
    size_t at = open_input(name, type, a, b), contents = wr_pbw_open(&message, 5);
    size_t list = wr_pbw_open(&message, number);
    for (int i = 0; i < n; i++) {
        if (number == 6) wr_pbw_raw32(&message, (uint32_t)v[i]);
        else if (number == 7) wr_pbw_raw64(&message, v[i]);
        else wr_pbw_varint(&message, v[i]);
    }
    wr_pbw_close(&message, list);
    wr_pbw_close(&message, contents);
    wr_pbw_close(&message, at);
}

static int32_t pair[2][16];
static inline void put_pair(void)
{
    for (int i = 0; i < 16; i++) {
        pair[0][i] = i;
        pair[1][i] = 1;
    }
    put_input("INPUT0", "INT32", 1, 16);
    put_input("INPUT1", "INT32", 1, 16);
    put_raw(pair[0], sizeof pair[0]);
    put_raw(pair[1], sizeof pair[1]);
}

static inline void check_pair(wr_str sum, wr_str difference)
{
    int32_t v[2][16];
    assert_int_equal(sum.n, 64);
    assert_int_equal(difference.n, 64);
    memcpy(v[0], sum.p, 64);
    memcpy(v[1], difference.p, 64);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(v[0][i], i + 1);
        assert_int_equal(v[1][i], i - 1);
    }
}
