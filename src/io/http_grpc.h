/* SPDX-License-Identifier: Apache-2.0 */
/* http_grpc.h - gRPC over the server's HTTP/2 (the protocol of grpc/grpc doc/PROTOCOL-HTTP2.md): unary calls, and answers of several
 * messages. Messages are bytes here; codec/protobuf.h reads and writes them.
 *
 * A call is a POST to "/package.Service/Method" with content type application/grpc: opt.route asks wr_grpc_is() and chooses by path. Its
 * body is one message behind a prefix of five bytes; route.body_max is the limit (RESOURCE_EXHAUSTED beyond). The status travels in
 * trailers, behind the message, or alone when there is none. Failures of the server itself (no route, body too large, commit failed)
 * reach a gRPC client as a status too.
 * Compressed messages (gzip, deflate) are for handlers that ask wr_grpc_unpacked(); wr_grpc_message() refuses them with UNIMPLEMENTED, as the
 * protocol asks: the answer names what is taken. Answers are never compressed. grpc-timeout is for handlers to
 * heed where that is cheap: the client gives up by itself and resets the stream.
 */
#pragma once
#include "io/http_server.h"

typedef enum {
    WR_GRPC_OK = 0,
    WR_GRPC_CANCELLED = 1,
    WR_GRPC_UNKNOWN = 2,
    WR_GRPC_INVALID_ARGUMENT = 3,
    WR_GRPC_DEADLINE_EXCEEDED = 4,
    WR_GRPC_NOT_FOUND = 5,
    WR_GRPC_ALREADY_EXISTS = 6,
    WR_GRPC_PERMISSION_DENIED = 7,
    WR_GRPC_RESOURCE_EXHAUSTED = 8,
    WR_GRPC_FAILED_PRECONDITION = 9,
    WR_GRPC_ABORTED = 10,
    WR_GRPC_OUT_OF_RANGE = 11,
    WR_GRPC_UNIMPLEMENTED = 12,
    WR_GRPC_INTERNAL = 13,
    WR_GRPC_UNAVAILABLE = 14,
    WR_GRPC_DATA_LOSS = 15,
    WR_GRPC_UNAUTHENTICATED = 16,
} wr_grpc_status;

bool wr_grpc_is(const wr_http_req *r);
wr_grpc_status wr_grpc_status_of(int weir_code);              /* WEIR_ENOTFOUND: NOT_FOUND ... */

int wr_grpc_http(wr_grpc_status status);                      /* for counters: NOT_FOUND: 404 ... */
/* Nanoseconds that the client gives the call (grpc-timeout); 0 when it does not say, or nothing that makes sense. */
int64_t wr_grpc_timeout_ns(const wr_http_req *r);
int64_t wr_grpc_parse_timeout(wr_str text);                   /* "250m" */

/* The message in a call's body, a slice of it. WEIR_EPARSE, or WEIR_EUNSUPPORTED when it is compressed. */
int wr_grpc_message(wr_str *out, wr_str body, wr_err *err);
/* The same of a call whose message may be compressed as its grpc-encoding says: unpacked, up to `max` bytes (WEIR_ELIMIT beyond), it is in the
 * request's arena. */
int wr_grpc_unpacked(wr_str *out, wr_http_req *r, size_t max, wr_err *err);

/* Answers, each in the handler or, after wr_http_defer(), from any thread: then `r` is gone afterwards.
 * Write the message between begin and reply; a buffer that failed becomes RESOURCE_EXHAUSTED. `durable` as in wr_http_reply_opt. */
void wr_grpc_begin(wr_buf *b);                                /* of an empty buffer */
void wr_grpc_reply(wr_http_req *r, bool durable, wr_buf *b);
void wr_grpc_fail(wr_http_req *r, wr_grpc_status status, const char *message);
void wr_grpc_fail_err(wr_http_req *r, const wr_err *e);       /* status of the code; message and hint */

/* Several messages: a wr_http_stream whose pieces are messages. close() says how it ended, whatever send() returned. */
wr_http_stream *wr_grpc_stream_open(wr_http_req *r);          /* NULL when out of memory */
int wr_grpc_stream_send(wr_http_stream *s, wr_buf *b);        /* b as for wr_grpc_reply */
void wr_grpc_stream_close(wr_http_stream *s, wr_grpc_status status, const char *message);

/* "grpc-status: 5\r\ngrpc-message: no%20such...\r\n" */
void wr_grpc_put_status(wr_buf *out, wr_grpc_status status, const char *message);
