/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - strict HTTP/1.1 syntax (RFC 9110, RFC 9112): heads, chunked bodies, targets. Bytes in, slices out; no sockets.
 *
 * Refused with the status given, because a proxy in front might read them otherwise: both Content-Length and Transfer-Encoding,
 * differing or malformed Content-Length ("+5", "5, 6", " 5x"), a transfer coding other than "chunked" as the only one (501),
 * missing or repeated Host in HTTP/1.1, space before the colon, obsolete line folding, bare LF or CR, NUL and control bytes,
 * an invalid method or target, more than the limits of base/limits.h (431, 414), another version (505).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/limits.h"
#include "base/str.h"

typedef struct { wr_str name, value; } wr_http_header;

typedef struct wr_http_head {
    wr_str method, target;           /* request */
    wr_str path, query;              /* target split at '?'; path still percent-encoded */
    int status;                      /* response */
    int minor;                       /* HTTP/1.minor */
    size_t nheaders;
    wr_http_header headers[WR_LIMIT_HTTP_HEADERS];
    bool keep_alive;                 /* after version and Connection */
    bool chunked;
    bool has_length;
    bool expect_continue;
    uint64_t length;                 /* of the body; 0 when neither Content-Length nor chunked (request) */
    size_t size;                     /* bytes of the head including the empty line */
} wr_http_head;

/* Returns 1 when a whole head was parsed (slices point into `data`), 0 when more bytes are needed, or minus the HTTP status to
 * answer (-400, -414, -431, -501, -505). `scanned` remembers how far an incomplete head was searched; start with 0. */
int wr_http_parse_request(wr_http_head *out, wr_str data, size_t *scanned);
/* The same for a response (client side); -502 on any syntax error. */
int wr_http_parse_response(wr_http_head *out, wr_str data, size_t *scanned);
/* Heads that were read, for others like them: most requests of a connection differ from the one before in the number of Content-Length alone, and are
 * compared instead of read. Eight of them, the most useful ones stay. For one thread. `hint` is the connection's, 0 at first. */
typedef struct wr_http_forms wr_http_forms;
wr_http_forms *wr_http_forms_new(void);
void wr_http_forms_free(wr_http_forms *t);
/* True when `data` begins with a head like one of them: `out` is what wr_http_parse_request() makes of it. */
bool wr_http_forms_read(wr_http_head *out, wr_http_forms *t, unsigned *hint, wr_str data);
/* Remembers what was read from the start of `data`. */
void wr_http_forms_keep(wr_http_forms *t, unsigned *hint, const wr_http_head *h, wr_str data);
/* The head of an HTTP/2 request (RFC 9113 8.3), field by field as they were unpacked; slices must live as long as `out`. The result is
 * what the same request of HTTP/1.1 gives, with ":authority" as the header "host". `add` returns 0 or minus the status to answer (-400,
 * -414, -417, -431); `end` judges the whole. Fields that belong to a connection are refused. */
void wr_http_fields_start(wr_http_head *out);
int wr_http_fields_add(wr_http_head *out, wr_str name, wr_str value);
int wr_http_fields_end(wr_http_head *out);
/* Value of a header, first occurrence, or {NULL,0}. */
wr_str wr_http_find(const wr_http_head *h, wr_str name);
static inline wr_str wr_http_get(const wr_http_head *h, const char *name) { return wr_http_find(h, (wr_str){name, strlen(name)}); }

/* Chunked decoding, incremental. Feed bytes; payload comes out as slices of the input. */
typedef struct { int state; uint64_t left; size_t line; bool done; } wr_http_chunks;
void wr_http_chunks_init(wr_http_chunks *c);
/* Consumes from `*in`; when a piece of payload is ready returns 1 with `piece` set; 0 = needs more input (or done is set); -400, -431. */
int wr_http_chunks_next(wr_http_chunks *c, wr_str *in, wr_str *piece);

/* Percent-decoding into out (NUL-terminated); false if malformed or a NUL byte would appear. `plus` turns + into space. */
bool wr_http_decode(wr_buf *out, wr_str s, bool plus);
/* The same in place as lenient readers do it: what is no %xx stays, any byte may come out. Returns the length then. */
size_t wr_http_undo(char *s, size_t n, bool plus);
/* The reverse: everything but letters, digits and -._~ as %XX; with `slashes` '/' stays as it is. */
void wr_http_encode(wr_buf *out, wr_str s, bool slashes);
/* Value of query parameter `key`, decoded into out; false if absent or malformed. */
bool wr_http_query(wr_buf *out, wr_str query, const char *key);
const char *wr_http_reason(int status);
