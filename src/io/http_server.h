/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.h - HTTP/1.1 and HTTP/2 server on epoll: keep-alive, pipelining, chunked bodies both ways, limits, absolute deadlines.
 *
 * One or more loop threads (SO_REUSEPORT); a connection lives on one loop. Bytes are parsed by codec/http.h and nothing else
 * decides what is a request. HTTP/2 (RFC 9113, frames by libnghttp2) is spoken on the same port when the first bytes are its preface,
 * or when TLS agreed on it; routes and handlers see no difference. A stream of it is a request; what ends a connection of HTTP/1.1 ends
 * a stream. Its limits: WR_LIMIT_HTTP2_*.
 *
 * A request is answered in one of four ways by its handler, on the loop thread of its connection:
 *   wr_http_reply()   at once;
 *   wr_http_hold()    with others, when `settle` is called at the end of a round;
 *   wr_http_defer()   later, from any thread, by wr_http_finish() (the loop is woken by message);
 *   wr_http_stream()  a chunked response written piece by piece (server-sent events), from any thread.
 * Rounds: a loop reads all ready connections, runs their handlers, has what they hold settled, calls `round_end` once, then sends. Replies made in the
 * round are held back until round_end returned: a group commit acknowledges nothing early. If round_end returns an error, replies
 * marked `durable` in this round become 503.
 *
 * Bodies: `route` is called when the head is complete and says how the body arrives: buffered up to a cap (413 beyond), or handed
 * on in pieces. A body that nobody wants is read and dropped up to a cap, else the connection is closed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/http.h"

typedef struct wr_http_server wr_http_server;
typedef struct wr_http_req wr_http_req;

enum { WR_HTTP_PAUSE = 1 };
typedef struct wr_http_route {
    void (*handle)(wr_http_req *r);                            /* whole body is there (or it was streamed); must answer */
    size_t body_max;                                           /* buffered body cap; 413 beyond */
    /* Not NULL: streaming. 0, or < 0 aborts with that HTTP status (-4xx), or WR_HTTP_PAUSE: the piece was taken, but nothing more
     * comes (and `handle` is not called) until wr_http_resume(). */
    int (*body)(wr_http_req *r, wr_str piece);
    void (*abort)(wr_http_req *r);                             /* streaming: the body ends early, `handle` will not run */
    void *arg;
} wr_http_route;

typedef struct {
    const char *host;                                          /* "127.0.0.1" when NULL */
    int port;                                                  /* 0 = any free */
    int loops;                                                 /* 0 = 1 */
    const int *listeners;                                      /* sockets that listen already, one a loop, instead of host and port; they become the
                                                                * server's in every case */
    int nlisteners;
    size_t max_connections, max_per_ip;                        /* 0 = limits.h */
    const char *cert, *key;                                    /* PEM files: speak TLS and nothing else; NULL = plain */
    int head_ms, idle_ms, write_ms, body_grace_ms;             /* 0 = limits.h */
    /* Chooses the route of a request; must fill `out`. A NULL out->handle is answered 404. */
    void (*route)(void *ctx, wr_http_req *r, wr_http_route *out);
    /* Answers what handlers of this loop hold, each round that something is held: all of it when `all`. When it has to be called again
     * because of the rest: wr_clock_mono_ns, INT64_MAX = there is none. NULL = nothing is held. */
    int64_t (*settle)(void *ctx, int loop, bool all);
    /* End of a loop's round, only called when a handler ran or a durable answer was finished. NULL = none. */
    int (*round_end)(void *ctx, int loop);
    /* About once a second on loop 0. NULL = none. */
    void (*tick)(void *ctx);
    void *ctx;
} wr_http_server_opt;

/* Binds and listens (port in use: WEIR_EEXIST with a hint); serves after run(). The certificate's file may go on with the chain; a
 * certificate or key that cannot be used is WEIR_EINVAL, WEIR_ENOTFOUND or WEIR_EACCESS and names the file. */
int wr_http_server_open(wr_http_server **out, const wr_http_server_opt *opt, wr_err *err);
int wr_http_server_port(const wr_http_server *s);
/* Runs the loops: loop 0 in the caller, the others in threads. Returns after stop() when in-flight requests are answered or
 * after drain_ms. */
int wr_http_server_run(wr_http_server *s, wr_err *err);
void wr_http_server_stop(wr_http_server *s, int drain_ms);     /* async-signal-safe, any thread */
/* As stop(), but the listening sockets stay open: whoever connects from now on waits in their queues for who gets them. */
void wr_http_server_hand_over(wr_http_server *s, int drain_ms);
/* After run() returned from that: the sockets, from now on the caller's; how many. */
int wr_http_server_listeners(wr_http_server *s, int *out, int max);
/* After run() returned, or instead of it. Deferred requests and open streams may still be finished afterwards, from any thread:
 * nobody hears them, and the last one frees the rest of the server. */
void wr_http_server_close(wr_http_server *s);

/* The request, valid until it is answered. */
const wr_http_head *wr_http_req_head(const wr_http_req *r);
wr_str wr_http_req_body(const wr_http_req *r);                 /* buffered bodies */
wr_arena *wr_http_req_arena(wr_http_req *r);                   /* lives as long as the request */
void *wr_http_req_arg(const wr_http_req *r);                   /* route.arg */
void *wr_http_req_ctx(const wr_http_req *r);                   /* opt.ctx */
bool wr_http_req_encrypted(const wr_http_req *r);              /* came over TLS */
int wr_http_req_loop(const wr_http_req *r);
int64_t wr_http_req_round(const wr_http_req *r);               /* wr_clock_mono_ns of the loop's round: when the last bytes of it came */
const char *wr_http_req_peer(const wr_http_req *r);            /* "127.0.0.1" */
void wr_http_req_set_user(wr_http_req *r, void *user);         /* a place for a streaming handler's state */
void *wr_http_req_user(const wr_http_req *r);

/* A part of a file as the body of an answer, sent without passing through our memory. `fd` becomes the request's in every case, and is
 * closed when it is sent, or cannot be. A file that turns out to be shorter ends the connection. */
typedef struct { int fd; int64_t offset, length; } wr_http_file;

typedef struct {
    int status;                                                /* 0 = 200 */
    const char *type;                                          /* Content-Type; NULL = application/json */
    const char *headers;                                       /* more "Name: value\r\n" lines, or NULL */
    bool durable;                                              /* must not be sent if round_end fails */
    const char *unkept;                                        /* JSON to say then, with 503; lasts as long as the server. NULL = {"error": ...} */
    bool close;                                                /* end the connection after it */
    const char *trailers;                                      /* "name: value\r\n" lines behind the body; HTTP/1.1 leaves them out */
    const wr_http_file *file;                                  /* instead of a body; NULL = none */
    uint64_t length;                                           /* streams: bytes that will come, for Content-Length; 0 = unknown, chunked */
} wr_http_reply_opt;

/* Answer now; body is copied. HEAD requests get the length only. `headers` is sent as it is: no CR or LF of the user's in there. */
void wr_http_reply(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body);
/* {"error": "..."} with the status of the error code; hint in the body as "hint". */
void wr_http_reply_err(wr_http_req *r, const wr_err *e);
/* Keep `r`, with all that was read of it, until a `settle` answers it by wr_http_reply(): nothing is copied, nobody else has it. */
void wr_http_hold(wr_http_req *r);
/* Keep `r` and answer later from any thread. */
void wr_http_defer(wr_http_req *r);
void wr_http_finish(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body); /* frees r */

/* Go on with a paused body; any thread. `r` must still be there: whoever calls this from another thread holds a lock that route.abort
 * takes too. Once for each pause. */
void wr_http_resume(wr_http_req *r);

/* Streaming response, opened in the handler or, after wr_http_defer(), by the thread that has the request (instead of finish; r
 * is not touched afterwards). NULL when out of memory: answer otherwise. At a stop of the server streams are ended cleanly and
 * their writers told. close() must be called whatever write() said. `write` returns 0, or WEIR_ECANCELED when the peer went away or is
 * too slow (WR_LIMIT_SSE_BACKLOG). With opt.length: a close() before so many bytes were written breaks the connection, so that the peer
 * knows; more are not taken (WEIR_EINVAL). */
typedef struct wr_http_stream wr_http_stream;
wr_http_stream *wr_http_stream_open(wr_http_req *r, const wr_http_reply_opt *opt);
int wr_http_stream_write(wr_http_stream *s, wr_str piece);
void wr_http_stream_close(wr_http_stream *s);
void wr_http_stream_close_with(wr_http_stream *s, const char *trailers); /* as in wr_http_reply_opt; copied */
/* For a writer that can wait, on a thread of its own: until there is room for at least half of WR_LIMIT_SSE_BACKLOG. 0, WEIR_ECANCELED. */
int wr_http_stream_wait(wr_http_stream *s);
/* One server-sent event: "id" (left out when negative), "event" (when not NULL), "data" (lines are split). */
int wr_http_sse(wr_http_stream *s, int64_t id, const char *event, wr_str data);

typedef struct { uint64_t connections, accepted, requests, errors_4xx, errors_5xx, bytes_in, bytes_out, rounds; } wr_http_stats;
void wr_http_server_stats(const wr_http_server *s, wr_http_stats *out);
