/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf.c - fields of a message in and out. Fixed-size values are little-endian on the wire and, checked below,
 * here. */
#include "codec/protobuf.h"

#include "base/limits.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed-size values are copied as they stand");

enum { VARINT_MAX = 10, NUMBER_MAX = (1 << 29) - 1 };

/* ---- failure ---- */

static void fail_at(wr_pb *r, const char *where, int code, const char *why)
{
    wr_pb *top = r->top;
    if (top->why) return;
    top->why = why;
    top->where = where;
    top->code = code;
}

void wr_pb_fail(wr_pb *r, const char *why) { fail_at(r, r->p, WEIR_EPARSE, why); }
bool wr_pb_failed(const wr_pb *r) { return r->top->why != NULL; }

int wr_pb_end(const wr_pb *r, const char *what, wr_err *err)
{
    const wr_pb *top = r->top;
    if (!top->why) return 0;
    size_t at = (size_t)(top->where - top->start);
    return wr_err_set(err, top->code, "'%s' at byte %zu: %s", what, at, top->why);
}

/* ---- reading ---- */

void wr_pb_init(wr_pb *r, wr_str message)
{
    const char *p = message.p ? message.p : "";
    *r = (wr_pb){.p = p, .end = p + message.n, .top = r, .start = p, .depth = 1, .left = WR_LIMIT_PROTOBUF_FIELDS};
}

/* A varint at *p. NULL, or what is wrong with it. */
static const char *varint(uint64_t *out, const char **p, const char *end)
{
    uint64_t v = 0;
    for (int i = 0; i < VARINT_MAX; i++) {
        if (*p == end) return "the bytes end inside a number";
        unsigned char c = (unsigned char)*(*p)++;
        if (i == VARINT_MAX - 1 && c > 1) break;
        v |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *out = v;
            return NULL;
        }
    }
    return "a number has more than 64 bits";
}

/* The fixed-size value of n bytes at *p. */
static const char *fixed(uint64_t *out, const char **p, const char *end, size_t n)
{
    if ((size_t)(end - *p) < n) return "the bytes end inside a number";
    *out = 0;
    memcpy(out, *p, n);
    *p += n;
    return NULL;
}

static const char *scalar(uint64_t *out, const char **p, const char *end, wr_pb_type type)
{
    if (type == WR_PB_VARINT) return varint(out, p, end);
    return fixed(out, p, end, type == WR_PB_I64 ? 8 : 4);
}

static const char *value_of(wr_pb *r, wr_pb_field *f, unsigned type)
{
    switch (type) {
    case WR_PB_VARINT:
    case WR_PB_I64:
    case WR_PB_I32:
        return scalar(&f->value, &r->p, r->end, (wr_pb_type)type);
    case WR_PB_LEN: {
        uint64_t n = 0;
        const char *why = varint(&n, &r->p, r->end);
        if (why) return why;
        if (n > (uint64_t)(r->end - r->p)) return "a length goes beyond the end";
        f->bytes = (wr_str){r->p, (size_t)n};
        r->p += n;
        return NULL;
    }
    case 3:
    case 4:
        return "groups are not supported";
    default:
        return "an unknown wire type";
    }
}

bool wr_pb_next(wr_pb *r, wr_pb_field *out)
{
    wr_pb *top = r->top;
    *out = (wr_pb_field){0};
    if (top->why || r->p == r->end) return false;
    const char *at = r->p;
    if (top->left-- == 0) {
        top->left = 0;
        fail_at(r, at, WEIR_ELIMIT, "it has too many fields");
        return false;
    }
    uint64_t tag = 0;
    const char *why = varint(&tag, &r->p, r->end);
    if (!why && (tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)) why = "a field number is out of range";
    if (!why) why = value_of(r, out, (unsigned)(tag & 7));
    if (why) {
        *out = (wr_pb_field){0};
        fail_at(r, at, WEIR_EPARSE, why);
        return false;
    }
    out->number = (uint32_t)(tag >> 3);
    out->type = (wr_pb_type)(tag & 7);
    return true;
}

static bool is(wr_pb *r, const wr_pb_field *f, wr_pb_type type)
{
    if (r->top->why || f->number == 0) return false;
    if (f->type == type) return true;
    fail_at(r, f->type == WR_PB_LEN ? f->bytes.p : r->p, WEIR_EPARSE, "a field has another type than expected");
    return false;
}

void wr_pb_enter(wr_pb *out, wr_pb *r, const wr_pb_field *f)
{
    *out = (wr_pb){.p = "", .top = r->top, .depth = r->depth + 1};
    out->end = out->p;
    if (!is(r, f, WR_PB_LEN)) return;
    if (r->depth >= WR_LIMIT_PROTOBUF_DEPTH) {
        fail_at(r, f->bytes.p, WEIR_ELIMIT, "it is nested too deeply");
        return;
    }
    out->p = f->bytes.p;
    out->end = f->bytes.p + f->bytes.n;
}

void wr_pb_entry(wr_pb_field *key, wr_pb_field *value, wr_pb *r, const wr_pb_field *f)
{
    wr_pb entry;
    wr_pb_field of;
    *key = *value = (wr_pb_field){0};
    wr_pb_enter(&entry, r, f);
    while (wr_pb_next(&entry, &of)) {
        if (of.number == 1) *key = of;
        else if (of.number == 2) *value = of;
    }
}

uint64_t wr_pb_u64(wr_pb *r, const wr_pb_field *f) { return is(r, f, WR_PB_VARINT) ? f->value : 0; }
int64_t wr_pb_i64(wr_pb *r, const wr_pb_field *f) { return (int64_t)wr_pb_u64(r, f); }
int64_t wr_pb_s64(wr_pb *r, const wr_pb_field *f) { return wr_pb_unzigzag(wr_pb_u64(r, f)); }
bool wr_pb_bool(wr_pb *r, const wr_pb_field *f) { return wr_pb_u64(r, f) != 0; }
uint64_t wr_pb_fixed64(wr_pb *r, const wr_pb_field *f) { return is(r, f, WR_PB_I64) ? f->value : 0; }
uint32_t wr_pb_fixed32(wr_pb *r, const wr_pb_field *f) { return is(r, f, WR_PB_I32) ? (uint32_t)f->value : 0; }
double wr_pb_f64(wr_pb *r, const wr_pb_field *f) { return wr_pb_as_f64(wr_pb_fixed64(r, f)); }
float wr_pb_f32(wr_pb *r, const wr_pb_field *f) { return wr_pb_as_f32(wr_pb_fixed32(r, f)); }
wr_str wr_pb_bytes(wr_pb *r, const wr_pb_field *f) { return is(r, f, WR_PB_LEN) ? f->bytes : WR_STR(""); }

wr_str wr_pb_str(wr_pb *r, const wr_pb_field *f)
{
    wr_str s = wr_pb_bytes(r, f);
    if (wr_str_utf8(s)) return s;
    fail_at(r, s.p, WEIR_EPARSE, "a text is not valid UTF-8");
    return WR_STR("");
}

void wr_pb_list_of(wr_pb_list *out, wr_pb *r, const wr_pb_field *f, wr_pb_type element)
{
    *out = (wr_pb_list){.of = r, .type = element};
    if (f->type == WR_PB_LEN) {
        wr_str s = wr_pb_bytes(r, f);
        out->p = s.p;
        out->end = s.p + s.n;
    } else {
        out->single = is(r, f, element);
        out->one = f->value;
    }
}

bool wr_pb_list_next(wr_pb_list *l, uint64_t *out)
{
    *out = 0;
    if (l->of->top->why) return false;
    if (l->single) {
        *out = l->one;
        l->single = false;
        return true;
    }
    if (l->p == l->end) return false;
    const char *at = l->p, *why = scalar(out, &l->p, l->end, l->type);
    if (why) fail_at(l->of, at, WEIR_EPARSE, why);
    return !why;
}

/* ---- writing ---- */

static size_t put_varint(char out[VARINT_MAX], uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (char)(v | 0x80);
    out[n++] = (char)v;
    return n;
}

void wr_pbw_varint(wr_buf *b, uint64_t v)
{
    char text[VARINT_MAX];
    wr_buf_add(b, text, put_varint(text, v));
}

void wr_pbw_raw64(wr_buf *b, uint64_t v) { wr_buf_add(b, &v, sizeof v); }
void wr_pbw_raw32(wr_buf *b, uint32_t v) { wr_buf_add(b, &v, sizeof v); }

static void tag(wr_buf *b, uint32_t number, wr_pb_type type)
{
    WR_BUG_IF(number == 0 || number > NUMBER_MAX);
    wr_pbw_varint(b, (uint64_t)number << 3 | type);
}

void wr_pbw_u64(wr_buf *b, uint32_t number, uint64_t v)
{
    tag(b, number, WR_PB_VARINT);
    wr_pbw_varint(b, v);
}

void wr_pbw_fixed64(wr_buf *b, uint32_t number, uint64_t v)
{
    tag(b, number, WR_PB_I64);
    wr_pbw_raw64(b, v);
}

void wr_pbw_fixed32(wr_buf *b, uint32_t number, uint32_t v)
{
    tag(b, number, WR_PB_I32);
    wr_pbw_raw32(b, v);
}

void wr_pbw_f64(wr_buf *b, uint32_t number, double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    wr_pbw_fixed64(b, number, u);
}

void wr_pbw_f32(wr_buf *b, uint32_t number, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    wr_pbw_fixed32(b, number, u);
}

void wr_pbw_i64(wr_buf *b, uint32_t number, int64_t v) { wr_pbw_u64(b, number, (uint64_t)v); }
void wr_pbw_s64(wr_buf *b, uint32_t number, int64_t v) { wr_pbw_u64(b, number, wr_pb_zigzag(v)); }
void wr_pbw_bool(wr_buf *b, uint32_t number, bool v) { wr_pbw_u64(b, number, v); }

void wr_pbw_str(wr_buf *b, uint32_t number, wr_str v)
{
    tag(b, number, WR_PB_LEN);
    wr_pbw_varint(b, v.n);
    wr_buf_slice(b, v);
}

size_t wr_pbw_open(wr_buf *b, uint32_t number)
{
    tag(b, number, WR_PB_LEN);
    wr_buf_char(b, 0); /* the length of most */
    return b->n;
}

void wr_pbw_close(wr_buf *b, size_t at)
{
    if (b->failed) return;
    WR_BUG_IF(at == 0 || at > b->n);
    char length[VARINT_MAX];
    size_t n = b->n - at, size = put_varint(length, n);
    wr_buf_add(b, length, size - 1); /* room; the bytes do not matter */
    if (b->failed) return;
    memmove(b->p + at + size - 1, b->p + at, n);
    memcpy(b->p + at - 1, length, size);
}
