/* SPDX-License-Identifier: Apache-2.0 */
/* rest_testing.h - a request sent to the models of oip_testing.h, its answer looked at; shared by the tests of this
 * folder. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "codec/json.h"
#include "wire/oip/oip_testing.h"

static wr_oip *oip;
static wr_arena *arena;
static wr_buf body;
static wr_json parsed;
static wr_oip_response answer;
static wr_oip_request request; /* headers of the next request; cleared by it */
static wr_oip_ops ops;
static wr_oip_alike *alike; /* of all requests of a test */

/* ---- requests that wait for others ---- */

static int begun, done; /* of the request that waits */

static void later_begin(void *arg)
{
    assert_ptr_equal(arg, &begun);
    assert_int_equal(begun++, 0);
    wr_buf_clear(&body);
}

static void later_done(void *arg)
{
    assert_ptr_equal(arg, &begun);
    assert_true(begun == 1 && done++ == 0);
}

/* The stack is somebody else's meanwhile, so is the buffer for answers. */
static __attribute__((noinline)) void others_are_answered(void)
{
    volatile char stack[16384];
    for (size_t i = 0; i < sizeof stack; i++) stack[i] = (char)0xdd;
    wr_buf_clear(&body);
    wr_buf_str(&body, "{\"answer\":\"somebody else's\"}");
}

static void go_on(void)
{
    assert_int_equal(fake.held, 1);
    assert_true(begun == 0 && body.n == 0);
    others_are_answered();
    oip_go_on();
    assert_true(begun == 1 && done == 1);
}

static int ask_bytes(const char *method, const char *path, wr_str text)
{
    request.method = wr_str_of(method);
    request.path = wr_str_of(path);
    request.body = text;
    request.alike = alike;
    answer = (wr_oip_response){.body = &body};
    wr_arena_clear(arena);
    wr_buf_clear(&body);
    wr_json_free(&parsed);
    begun = done = 0;
    if (fake.waits) request.later = (wr_oip_later){later_begin, later_done, &begun};
    wr_oip_rest(&answer, oip, &request, &ops, arena);
    if (answer.waits) go_on();
    assert_int_equal(fake.held, 0);
    request = (wr_oip_request){0};
    wr_str json = wr_buf_view(&body);
    const char *header = strstr(answer.headers, "Inference-Header-Content-Length: ");
    if (header) json.n = (size_t)strtoul(header + 33, NULL, 10);
    bool packed = strstr(answer.headers, "Content-Encoding") != NULL, type = strcmp(answer.type, "text/plain") == 0;
    if (json.n && !packed && !type && json.p[0] != '\n' && wr_json_parse_lenient(&parsed, json, NULL) < 0)
        fail_msg("not JSON: %s", body.p);
    return answer.status;
}

static inline int ask(const char *method, const char *path, const char *text)
{
    return ask_bytes(method, path, wr_str_of(text));
}
static inline yyjson_val *at(const char *pointer) { return yyjson_ptr_get(parsed.root, pointer); }
static inline const char *text_at(const char *pointer)
{
    const char *s = yyjson_get_str(at(pointer));
    return s ? s : "(no text)";
}
static inline const char *error(void) { return text_at("/error"); }
static inline int infer(const char *model, const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "/v2/models/%s/infer", model);
    return ask("POST", path, text);
}

static int set_up(void **state)
{
    (void)state;
    static const wr_oip_opt opt = {.server_version = "9", .shared_memory = true};
    arena = wr_arena_new(0);
    ops = oip_ops;
    fake.ready = true;
    fake.waits = false;
    alike = wr_oip_alike_new();
    return arena && alike && wr_oip_new(&oip, &opt, NULL) == 0 ? 0 : -1;
}

/* As set_up, but who may wait has to. */
static inline int set_up_waiting(void **state)
{
    int rc = set_up(state);
    fake.waits = true;
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    wr_json_free(&parsed);
    wr_buf_fini(&body);
    wr_arena_free(arena);
    wr_oip_alike_free(alike);
    wr_oip_free(oip);
    return 0;
}
