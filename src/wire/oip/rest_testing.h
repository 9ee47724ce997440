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
    wr_oip_rest(&answer, oip, &request, &ops, arena);
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
    alike = wr_oip_alike_new();
    return arena && alike && wr_oip_new(&oip, &opt, NULL) == 0 ? 0 : -1;
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
