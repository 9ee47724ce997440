/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_testing.h - for tests only: a client of gRPC, one call after the other on a connection, frames by libnghttp2. */
#pragma once
#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/server_testing.h"

typedef struct {
    int fd, status; /* of the last call; -1: there was none */
    nghttp2_session *h2;
    wr_buf reply, text; /* of the last call: the message, or what the status says */
    wr_buf body;
    wr_str sending; /* of it */
    bool ended, packed; /* the messages to send are packed, */
    const char *coding; /* as grpc-encoding says; NULL = it does not */
} grpc_client;

static inline int grpc_client_field(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t nname,
                                    const uint8_t *value, size_t nvalue, uint8_t flags, void *arg)
{
    grpc_client *c = arg;
    wr_str key = {(const char *)name, nname}, v = {(const char *)value, nvalue};
    (void)s, (void)f, (void)flags;
    if (wr_str_is(key, "grpc-status")) c->status = (int)strtol((const char *)value, NULL, 10);
    if (wr_str_is(key, "grpc-message")) {
        for (size_t i = 0; i < v.n; i++) {
            unsigned byte = 0;
            if (v.p[i] == '%' && sscanf(v.p + i, "%%%2x", &byte) == 1) i += 2;
            wr_buf_char(&c->text, byte ? (char)byte : v.p[i]);
        }
    }
    return 0;
}

static inline int grpc_client_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    (void)s, (void)flags, (void)id;
    wr_buf_add(&((grpc_client *)arg)->reply, p, n);
    return 0;
}

static inline int grpc_client_closed(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
    (void)s, (void)id, (void)code;
    ((grpc_client *)arg)->ended = true;
    return 0;
}

static inline ssize_t grpc_client_send(nghttp2_session *s, const uint8_t *p, size_t n, int flags, void *arg)
{
    (void)s, (void)flags;
    ssize_t sent = send(((grpc_client *)arg)->fd, p, n, MSG_NOSIGNAL);
    return sent < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : sent;
}

static inline ssize_t grpc_client_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                                       nghttp2_data_source *source, void *arg)
{
    wr_str *left = source->ptr;
    (void)s, (void)id, (void)arg;
    if (n > left->n) n = left->n;
    memcpy(to, left->p, n);
    *left = wr_str_sub(*left, n, left->n);
    if (!left->n) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline void grpc_client_open(grpc_client *c, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    nghttp2_session_callbacks *cb;
    *c = (grpc_client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct timeval tv = {.tv_sec = 60};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_on_header_callback(cb, grpc_client_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, grpc_client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, grpc_client_closed);
    nghttp2_session_callbacks_set_send_callback(cb, grpc_client_send);
    assert_int_equal(nghttp2_session_client_new(&c->h2, cb, c), 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 16 << 20};
    nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, &window, 1);
}

static inline void grpc_client_close(grpc_client *c)
{
    nghttp2_session_del(c->h2);
    close(c->fd);
    wr_buf_fini(&c->reply);
    wr_buf_fini(&c->text);
    wr_buf_fini(&c->body);
}

/* "name: value", or NULL. */
static inline nghttp2_nv grpc_client_nv(const char *name, wr_str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value.p, strlen(name), value.n, 0};
}

/* Sends a call; `who` is a value of authorization, `timeout` of grpc-timeout; NULL = none. What does not fit the peer's
 * window yet goes with grpc_client_end. */
static inline void grpc_client_begin(grpc_client *c, wr_str path, wr_str message, const char *who, const char *timeout)
{
    enum { PREFIX = 5 };
    nghttp2_nv nv[9] = {grpc_client_nv(":method", WR_STR("POST")),
                        grpc_client_nv(":scheme", WR_STR("http")),
                        grpc_client_nv(":path", path),
                        grpc_client_nv(":authority", WR_STR("localhost")),
                        grpc_client_nv("content-type", WR_STR("application/grpc")),
                        grpc_client_nv("te", WR_STR("trailers"))};
    size_t n = 6;
    if (who) nv[n++] = grpc_client_nv("authorization", wr_str_of(who));
    if (timeout) nv[n++] = grpc_client_nv("grpc-timeout", wr_str_of(timeout));
    if (c->coding) nv[n++] = grpc_client_nv("grpc-encoding", wr_str_of(c->coding));
    char prefix[PREFIX] = {c->packed};
    for (int i = 0; i < 4; i++) prefix[1 + i] = (char)(message.n >> (24 - 8 * i));
    wr_buf_clear(&c->body);
    wr_buf_add(&c->body, prefix, PREFIX);
    wr_buf_slice(&c->body, message);
    c->sending = wr_buf_view(&c->body);
    nghttp2_data_provider source = {{.ptr = &c->sending}, grpc_client_body};
    c->status = -1;
    c->ended = false;
    wr_buf_clear(&c->reply);
    wr_buf_clear(&c->text);
    assert_true(nghttp2_submit_request(c->h2, NULL, nv, n, &source, NULL) > 0);
    assert_int_equal(nghttp2_session_send(c->h2), 0);
}

/* Its status; c->reply or c->text says more. */
static inline int grpc_client_end(grpc_client *c)
{
    enum { PREFIX = 5 };
    char piece[16384];
    while (!c->ended) {
        assert_int_equal(nghttp2_session_send(c->h2), 0);
        ssize_t got = recv(c->fd, piece, sizeof piece, 0);
        if (got <= 0) fail_msg("the connection ends");
        assert_true(nghttp2_session_mem_recv(c->h2, (const uint8_t *)piece, (size_t)got) == got);
    }
    assert_int_equal(nghttp2_session_send(c->h2), 0);
    if (c->status == 0) {
        assert_true(c->reply.n >= PREFIX);
        wr_buf_consume(&c->reply, PREFIX);
    }
    return c->status;
}

static inline int grpc_client_call(grpc_client *c, wr_str path, wr_str message, const char *who, const char *timeout)
{
    grpc_client_begin(c, path, message, who, timeout);
    return grpc_client_end(c);
}
