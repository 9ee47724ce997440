/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c - the JSON writer. State is two bit sets with one bit a level: is it an array, has it an item already.
 *
 * What cannot be written (nesting beyond the limit) sets `failed` of the buffer, as running out of memory does; calls
 * in the wrong order (a value without a key, an end too many) are bugs of the caller and abort.
 */
#include <math.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/num.h"
#include "codec/json.h"

_Static_assert(WR_LIMIT_JSON_DEPTH <= 64, "one bit a level in is_array and has_item");

void wr_jsonw_init(wr_jsonw *w, wr_buf *out, int indent) { *w = (wr_jsonw){.out = out, .indent = indent}; }

static uint64_t level(const wr_jsonw *w) { return (uint64_t)1 << (w->depth - 1); }

static void new_line(wr_jsonw *w)
{
    if (w->indent <= 0) return;
    wr_buf_char(w->out, '\n');
    for (int i = 0; i < w->depth * w->indent; i++) wr_buf_char(w->out, ' ');
}

static void separate(wr_jsonw *w)
{
    if (w->has_item & level(w)) wr_buf_char(w->out, ',');
    w->has_item |= level(w);
    new_line(w);
}

/* What stands before a value. False when nothing is to be written any more. */
static bool begin_value(wr_jsonw *w)
{
    if (w->out->failed) return false;
    if (w->after_key) {
        w->after_key = false;
        return true;
    }
    if (w->depth == 0) return true;
    WR_BUG_IF(!(w->is_array & level(w)));
    separate(w);
    return true;
}

static void open_level(wr_jsonw *w, char bracket, bool array)
{
    if (!begin_value(w)) return;
    if (w->depth == WR_LIMIT_JSON_DEPTH) {
        w->out->failed = true;
        return;
    }
    wr_buf_char(w->out, bracket);
    w->depth++;
    w->has_item &= ~level(w);
    w->is_array = array ? w->is_array | level(w) : w->is_array & ~level(w);
}

void wr_jsonw_obj(wr_jsonw *w) { open_level(w, '{', false); }
void wr_jsonw_arr(wr_jsonw *w) { open_level(w, '[', true); }

void wr_jsonw_end(wr_jsonw *w)
{
    if (w->out->failed) return;
    WR_BUG_IF(w->depth == 0 || w->after_key);
    bool array = w->is_array & level(w), any = w->has_item & level(w);
    w->depth--;
    if (any) new_line(w);
    wr_buf_char(w->out, array ? ']' : '}');
}

/* Bytes of the UTF-8 sequence at p (which is not ASCII), or 0 if it is not one. */
static size_t sequence(const char *p, size_t n)
{
    unsigned char lead = (unsigned char)*p;
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    return want <= n && wr_str_utf8((wr_str){p, want}) ? want : 0;
}

static void escape(wr_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    switch (c) {
    case '"':
        wr_buf_add(out, "\\\"", 2);
        return;
    case '\\':
        wr_buf_add(out, "\\\\", 2);
        return;
    case '\b':
        wr_buf_add(out, "\\b", 2);
        return;
    case '\f':
        wr_buf_add(out, "\\f", 2);
        return;
    case '\n':
        wr_buf_add(out, "\\n", 2);
        return;
    case '\r':
        wr_buf_add(out, "\\r", 2);
        return;
    case '\t':
        wr_buf_add(out, "\\t", 2);
        return;
    default:
        break;
    }
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    wr_buf_add(out, text, sizeof text);
}

/* Of eight characters, those that do not stand for themselves: the top bit of their bytes. */
static inline uint64_t odd_ones(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t quote = x ^ '"' * ones, slash = x ^ '\\' * ones;
    return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((x - 0x20 * ones) & ~x) | x) & tops;
}

/* Copies `s` and says whether all of it stands for itself. The last part of eight, or of four, overlaps the one before. */
static inline bool put_plain(char *to, wr_str s)
{
    uint64_t x, odd = 0;
    uint32_t a, b;
    if (s.n >= sizeof x) {
        for (size_t i = 0; i < s.n - sizeof x; i += sizeof x) {
            memcpy(&x, s.p + i, sizeof x);
            memcpy(to + i, &x, sizeof x);
            odd |= odd_ones(x);
        }
        memcpy(&x, s.p + s.n - sizeof x, sizeof x);
        memcpy(to + s.n - sizeof x, &x, sizeof x);
    } else if (s.n >= sizeof a) {
        memcpy(&a, s.p, sizeof a);
        memcpy(&b, s.p + s.n - sizeof b, sizeof b);
        memcpy(to, &a, sizeof a);
        memcpy(to + s.n - sizeof b, &b, sizeof b);
        x = (uint64_t)a << 32 | b;
    } else {
        x = 0x6161616161616161u; /* letters */
        for (size_t i = 0; i < s.n; i++) {
            to[i] = s.p[i];
            x = x << 8 | (unsigned char)s.p[i];
        }
    }
    return !(odd | odd_ones(x));
}

static void quoted_slow(wr_buf *out, wr_str s)
{
    wr_buf_char(out, '"');
    size_t from = 0; /* start of the run that can be copied as it is */
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t good = c >= 0x80 ? sequence(s.p + i, s.n - i) : (c >= 0x20 && c != '"' && c != '\\');
        if (good) {
            i += good;
            continue;
        }
        wr_buf_add(out, s.p + from, i - from);
        if (c >= 0x80) wr_buf_add(out, "\xef\xbf\xbd", 3); /* U+FFFD */
        else escape(out, c);
        from = ++i;
    }
    if (s.n > from) wr_buf_add(out, s.p + from, s.n - from);
    wr_buf_char(out, '"');
}

static inline void quoted(wr_buf *out, wr_str s)
{
    if (!wr_buf_reserve(out, s.n + 2) || !put_plain(out->p + out->n + 1, s)) {
        quoted_slow(out, s);
        return;
    }
    char *p = out->p + out->n;
    p[0] = p[s.n + 1] = '"';
    p[s.n + 2] = 0;
    out->n += s.n + 2;
}

static inline void put_key(wr_jsonw *w, wr_str key)
{
    separate(w);
    quoted(w->out, key);
    wr_buf_char(w->out, ':');
    if (w->indent > 0) wr_buf_char(w->out, ' ');
    w->after_key = true;
}

void wr_jsonw_key(wr_jsonw *w, const char *key)
{
    if (w->out->failed) return;
    WR_BUG_IF(w->depth == 0 || (w->is_array & level(w)) || w->after_key);
    put_key(w, wr_str_of(key));
}

void wr_jsonw_str(wr_jsonw *w, wr_str s)
{
    if (begin_value(w)) quoted(w->out, s);
}

void wr_jsonw_cstr(wr_jsonw *w, const char *s)
{
    if (s) wr_jsonw_str(w, wr_str_of(s));
    else wr_jsonw_null(w);
}

void wr_jsonw_i64(wr_jsonw *w, int64_t v)
{
    if (begin_value(w)) wr_buf_i64(w->out, v);
}

void wr_jsonw_u64(wr_jsonw *w, uint64_t v)
{
    if (begin_value(w)) wr_buf_printf(w->out, "%llu", (unsigned long long)v);
}

/* The text of wr_f64_text() for the usual magnitudes, its digits found by yyjson some five times as fast. */
static bool shortest(wr_buf *out, double v)
{
    char memory[512], text[40];
    yyjson_alc alc;
    yyjson_val val = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = v};
    size_t n = 0;
    double m = fabs(v);
    if (m < 1e-4 || m >= 1e15 || v == trunc(v)) return false; /* other forms: exponents, whole numbers */
    if (!yyjson_alc_pool_init(&alc, memory, sizeof memory)) return false;
    char *s = yyjson_val_write_opts(&val, YYJSON_WRITE_NOFLAG, &alc, &n, NULL);
    if (!s || n >= sizeof text || memchr(s, 'e', n)) return false;
    wr_buf_add(out, s, n);
    return true;
}

void wr_jsonw_f64(wr_jsonw *w, double v)
{
    if (!isfinite(v)) wr_jsonw_null(w);
    else if (!begin_value(w)) return;
    else if (v == 0 && signbit(v)) wr_buf_add(w->out, "-0.0", 4); /* readers take "-0" for the integer 0 */
    else if (!shortest(w->out, v)) wr_buf_f64(w->out, v);
}

void wr_jsonw_bool(wr_jsonw *w, bool v)
{
    if (begin_value(w)) wr_buf_str(w->out, v ? "true" : "false");
}

void wr_jsonw_null(wr_jsonw *w)
{
    if (begin_value(w)) wr_buf_add(w->out, "null", 4);
}

void wr_jsonw_raw(wr_jsonw *w, wr_str json)
{
    if (begin_value(w)) wr_buf_slice(w->out, json);
}

static void write_key(wr_jsonw *w, yyjson_val *key)
{
    if (w->out->failed) return;
    put_key(w, (wr_str){yyjson_get_str(key), yyjson_get_len(key)}); /* may hold NUL, so not wr_jsonw_key */
}

static void write_number(wr_jsonw *w, yyjson_val *v)
{
    if (yyjson_is_uint(v)) wr_jsonw_u64(w, yyjson_get_uint(v));
    else if (yyjson_is_sint(v)) wr_jsonw_i64(w, yyjson_get_sint(v));
    else wr_jsonw_f64(w, yyjson_get_real(v));
}

/* Recursion ends at the depth limit: open_level sets `failed` there. */
void wr_jsonw_val(wr_jsonw *w, yyjson_val *v)
{
    if (w->out->failed) return;
    size_t i, n;
    yyjson_val *key, *item;
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_BOOL:
        wr_jsonw_bool(w, yyjson_get_bool(v));
        return;
    case YYJSON_TYPE_NUM:
        write_number(w, v);
        return;
    case YYJSON_TYPE_STR:
        wr_jsonw_str(w, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
        return;
    case YYJSON_TYPE_RAW:
        wr_jsonw_raw(w, (wr_str){yyjson_get_raw(v), yyjson_get_len(v)});
        return;
    case YYJSON_TYPE_ARR:
        wr_jsonw_arr(w);
        yyjson_arr_foreach(v, i, n, item) wr_jsonw_val(w, item);
        wr_jsonw_end(w);
        return;
    case YYJSON_TYPE_OBJ:
        wr_jsonw_obj(w);
        yyjson_obj_foreach(v, i, n, key, item)
        {
            write_key(w, key);
            wr_jsonw_val(w, item);
        }
        wr_jsonw_end(w);
        return;
    default:
        wr_jsonw_null(w);
        return;
    }
}

void wr_jsonw_kstr(wr_jsonw *w, const char *key, const char *s)
{
    wr_jsonw_key(w, key);
    wr_jsonw_cstr(w, s);
}

void wr_jsonw_kslice(wr_jsonw *w, const char *key, wr_str s)
{
    wr_jsonw_key(w, key);
    wr_jsonw_str(w, s);
}

void wr_jsonw_ki64(wr_jsonw *w, const char *key, int64_t v)
{
    wr_jsonw_key(w, key);
    wr_jsonw_i64(w, v);
}

void wr_jsonw_kf64(wr_jsonw *w, const char *key, double v)
{
    wr_jsonw_key(w, key);
    wr_jsonw_f64(w, v);
}

void wr_jsonw_kbool(wr_jsonw *w, const char *key, bool v)
{
    wr_jsonw_key(w, key);
    wr_jsonw_bool(w, v);
}
