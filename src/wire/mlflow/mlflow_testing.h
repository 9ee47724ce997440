/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow_testing.h - for tests of this folder: requests to a store in a temporary folder, in one thread. */
#pragma once
#include "track/track_testing.h"
#include "wire/mlflow/mlflow.h"

/* The answer's body, in the store's arena. */
static inline const char *request(store *s, int status, const char *method, const char *path, const char *query,
                                  const char *body)
{
    WR_AUTOBUF wr_buf out = {0};
    wr_mlflow_call c = {.track = s->t, .arena = s->a, .out = &out};
    wr_mlflow_request in = {.method = wr_str_of(method),
                            .path = wr_str_of(path),
                            .query = wr_str_of(query),
                            .type = WR_STR("application/json"),
                            .body = wr_str_of(body)};
    wr_mlflow_run(&c, &in);
    if (c.status != status)
        fail_msg("%s %s %s %s: %d, not %d: %s", method, path, query ? query : "", body ? body : "", c.status, status,
                 wr_buf_cstr(&out));
    return wr_arena_strdup(s->a, wr_buf_cstr(&out));
}

#define API                "/api/2.0/mlflow/"
#define POST(path, body)   request(s, 200, "POST", API path, "", body)
#define GET(path, query)   request(s, 200, "GET", API path, query, "")
#define PATCH(path, body)  request(s, 200, "PATCH", API path, "", body)
#define DELETE(path, body) request(s, 200, "DELETE", API path, "", body)

#define SAYS(part, text)                                                                                               \
    do {                                                                                                               \
        const char *said_ = (text);                                                                                    \
        if (!strstr(said_, part)) fail_msg("%s:%d: \"%s\" does not say \"%s\"", __FILE__, __LINE__, said_, part);      \
    } while (0)
#define LACKS(part, text)                                                                                              \
    do {                                                                                                               \
        const char *said_ = (text);                                                                                    \
        if (strstr(said_, part)) fail_msg("%s:%d: \"%s\" says \"%s\"", __FILE__, __LINE__, said_, part);               \
    } while (0)

/* Value of the first member of that name: a string without its quotes, else the digits. */
static inline const char *member(store *s, const char *json, const char *name)
{
    char *key = wr_arena_printf(s->a, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (!at) fail_msg("no \"%s\" in %s", name, json);
    at += strlen(key);
    return *at == '"' ? wr_arena_strndup(s->a, at + 1, strcspn(at + 1, "\""))
                      : wr_arena_strndup(s->a, at, strcspn(at, ",}]"));
}
