/* SPDX-License-Identifier: Apache-2.0 */
/* http_grpc.c - the five bytes in front of a message and the trailers behind it. */
#include "io/http_grpc.h"

#include "codec/inflate.h"
#include "io/http_internal.h"

enum { PREFIX = 5, MESSAGE_MAX = 2000 };
static const char TYPE[] = "application/grpc";

bool wr_http_req_grpc(const wr_http_req *r)
{
    if (!r->id || !wr_str_is(r->head.method, "POST")) return false;
    wr_str type = wr_http_get(&r->head, "content-type");
    if (!wr_str_ieq(wr_str_sub(type, 0, sizeof TYPE - 1), TYPE)) return false;
    type = wr_str_trim(wr_str_sub(type, sizeof TYPE - 1, type.n));
    wr_str kind = wr_str_trim(wr_str_cut(&type, ';'));
    return kind.n == 0 || wr_str_ieq(kind, "+proto");
}

bool wr_grpc_is(const wr_http_req *r) { return wr_http_req_grpc(r); }

wr_grpc_status wr_grpc_status_of(int weir_code)
{
    switch (weir_code) {
    case 0:
        return WR_GRPC_OK;
    case WEIR_EINVAL:
    case WEIR_EPARSE:
    case WEIR_ETYPE:
        return WR_GRPC_INVALID_ARGUMENT;
    case WEIR_ENOTFOUND:
        return WR_GRPC_NOT_FOUND;
    case WEIR_EEXIST:
        return WR_GRPC_ALREADY_EXISTS;
    case WEIR_EACCESS:
        return WR_GRPC_PERMISSION_DENIED;
    case WEIR_ELIMIT:
    case WEIR_ENOSPC:
        return WR_GRPC_RESOURCE_EXHAUSTED;
    case WEIR_ENO:
        return WR_GRPC_FAILED_PRECONDITION;
    case WEIR_ECONFLICT:
        return WR_GRPC_ABORTED;
    case WEIR_ETIMEOUT:
        return WR_GRPC_DEADLINE_EXCEEDED;
    case WEIR_ECANCELED:
        return WR_GRPC_CANCELLED;
    case WEIR_EUNSUPPORTED:
        return WR_GRPC_UNIMPLEMENTED;
    case WEIR_EUNAVAILABLE:
        return WR_GRPC_UNAVAILABLE;
    case WEIR_ECORRUPT:
        return WR_GRPC_DATA_LOSS;
    default:
        return WR_GRPC_INTERNAL;
    }
}

int wr_grpc_http(wr_grpc_status status)
{
    static const short http[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
    return (size_t)status < sizeof http / sizeof *http ? http[status] : 500;
}

/* ---- deadlines ---- */

int64_t wr_grpc_parse_timeout(wr_str text)
{
    static const struct {
        char name;
        int64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000}, {'m', 1000000}, {'u', 1000}, {'n', 1}};
    enum { DIGITS = 8 };
    int64_t n = 0;
    if (text.n < 2 || text.n > DIGITS + 1) return 0;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return 0;
        n = n * 10 + (text.p[i] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        int64_t ns;
        if (text.p[text.n - 1] != units[i].name) continue;
        if (__builtin_mul_overflow(n, units[i].ns, &ns) || ns > INT64_MAX / 2) return INT64_MAX / 2;
        return ns > 0 ? ns : 1; /* none is left, which is not the same as unlimited */
    }
    return 0;
}

int64_t wr_grpc_timeout_ns(const wr_http_req *r)
{
    wr_str text = wr_http_get(&r->head, "grpc-timeout");
    return text.p ? wr_grpc_parse_timeout(text) : 0;
}

static wr_grpc_status status_of_http(int status)
{
    switch (status) {
    case 400:
        return WR_GRPC_INVALID_ARGUMENT;
    case 401:
        return WR_GRPC_UNAUTHENTICATED;
    case 403:
        return WR_GRPC_PERMISSION_DENIED;
    case 404:
        return WR_GRPC_UNIMPLEMENTED; /* no such method */
    case 408:
        return WR_GRPC_DEADLINE_EXCEEDED;
    case 413:
        return WR_GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 503:
        return WR_GRPC_UNAVAILABLE;
    default:
        return WR_GRPC_INTERNAL;
    }
}

/* What is behind the prefix. */
static int payload(wr_str *out, bool *packed, wr_str body, wr_err *err)
{
    if (body.n < PREFIX) return wr_err_set(err, WEIR_EPARSE, "the call has no message");
    const unsigned char *p = (const unsigned char *)body.p;
    size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    *packed = p[0] == 1;
    if (p[0] > 1) return wr_err_set(err, WEIR_EPARSE, "the message begins with '%d', not with 0 or 1", (int)p[0]);
    if (n != body.n - PREFIX)
        return wr_err_set(err, WEIR_EPARSE, "the message has '%zu' bytes and says '%zu'", body.n - PREFIX, n);
    *out = wr_str_sub(body, PREFIX, body.n);
    return 0;
}

static int compressed(wr_err *err)
{
    wr_err_set(err, WEIR_EUNSUPPORTED, "the message is compressed");
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "send it as it is: grpc-encoding identity");
}

int wr_grpc_message(wr_str *out, wr_str body, wr_err *err)
{
    bool packed;
    WR_TRY(payload(out, &packed, body, err));
    return packed ? compressed(err) : 0;
}

int wr_grpc_unpacked(wr_str *out, wr_http_req *r, size_t max, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_coding coding;
    bool packed;
    WR_TRY(payload(out, &packed, wr_http_req_body(r), err));
    if (!packed) return 0;
    if (wr_coding_parse(&coding, wr_http_get(&r->head, "grpc-encoding"), NULL) < 0 || coding == WR_CODING_NONE)
        return compressed(err);
    WR_TRY(wr_inflate(&b, *out, coding, max, err));
    *out = wr_arena_str(r->arena, wr_buf_view(&b));
    return out->p ? 0 : wr_err_nomem(err);
}

/* ---- answers ---- */

void wr_grpc_put_status(wr_buf *out, wr_grpc_status status, const char *message)
{
    wr_buf_printf(out, "grpc-status: %d\r\n", (int)status);
    wr_str m = wr_str_fit(wr_str_of(message), MESSAGE_MAX);
    if (m.n == 0) return;
    wr_buf_str(out, "grpc-message: ");
    for (size_t i = 0; i < m.n; i++) {
        if (m.p[i] >= ' ' && m.p[i] <= '~' && m.p[i] != '%') wr_buf_char(out, m.p[i]);
        else wr_buf_printf(out, "%%%02X", (unsigned char)m.p[i]);
    }
    wr_buf_str(out, "\r\n");
}

static void answer(wr_http_req *r, const wr_http_reply_opt *opt, wr_str body)
{
    if (r->state == REQ_DEFERRED) wr_http_finish(r, opt, body);
    else wr_http_reply(r, opt, body);
}

/* The status alone. */
static wr_http_reply_opt status_only(wr_buf *headers, wr_grpc_status status, const char *message)
{
    wr_grpc_put_status(headers, status, message);
    if (status == WR_GRPC_UNIMPLEMENTED) wr_buf_str(headers, "grpc-accept-encoding: identity,gzip,deflate\r\n");
    return (wr_http_reply_opt){.type = TYPE, .headers = headers->failed ? "grpc-status: 8\r\n" : wr_buf_cstr(headers)};
}

void wr_grpc_fail(wr_http_req *r, wr_grpc_status status, const char *message)
{
    WR_AUTOBUF wr_buf headers = {0};
    wr_http_reply_opt opt = status_only(&headers, status, message);
    answer(r, &opt, (wr_str){0});
}

void wr_http_grpc_error(wr_http_req *r, int status, wr_str text)
{
    WR_AUTOBUF wr_buf headers = {0}, message = {0};
    wr_buf_slice(&message, wr_str_trim(wr_str_fit(text, MESSAGE_MAX)));
    wr_http_reply_opt opt =
        status_only(&headers, status_of_http(status), message.n ? message.p : wr_http_reason(status));
    wr_http_req_answer(r, &opt, (wr_str){0});
}

void wr_grpc_fail_err(wr_http_req *r, const wr_err *e)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_buf_str(&text, e->msg[0] ? e->msg : wr_err_text(e->code));
    if (e->detail[0]) wr_buf_printf(&text, ": %s", e->detail);
    if (e->hint[0]) wr_buf_printf(&text, " (hint: %s)", e->hint);
    wr_grpc_fail(r, wr_grpc_status_of(e->code), wr_buf_cstr(&text));
}

void wr_grpc_begin(wr_buf *b) { wr_buf_add(b, "\0\0\0\0\0", PREFIX); }

/* False when there is no message to send. */
static bool seal(wr_buf *b)
{
    if (b->failed || b->n < PREFIX || b->n - PREFIX > UINT32_MAX) return false;
    size_t n = b->n - PREFIX;
    for (int i = 0; i < 4; i++) b->p[1 + i] = (char)(n >> (24 - 8 * i));
    return true;
}

void wr_grpc_reply(wr_http_req *r, bool durable, wr_buf *b)
{
    if (!seal(b)) {
        wr_grpc_fail(r, WR_GRPC_RESOURCE_EXHAUSTED, "the answer is too large");
        return;
    }
    wr_http_reply_opt opt = {.type = TYPE, .trailers = "grpc-status: 0\r\n", .durable = durable};
    answer(r, &opt, wr_buf_view(b));
}

/* ---- several messages ---- */

wr_http_stream *wr_grpc_stream_open(wr_http_req *r)
{
    return wr_http_stream_open(r, &(wr_http_reply_opt){.type = TYPE});
}

int wr_grpc_stream_send(wr_http_stream *s, wr_buf *b)
{
    if (!seal(b)) return WEIR_ENOMEM;
    return wr_http_stream_write(s, wr_buf_view(b));
}

void wr_grpc_stream_close(wr_http_stream *s, wr_grpc_status status, const char *message)
{
    WR_AUTOBUF wr_buf trailers = {0};
    wr_grpc_put_status(&trailers, status, message);
    wr_http_stream_close_with(s, trailers.failed ? "grpc-status: 8\r\n" : wr_buf_cstr(&trailers));
}
