/* SPDX-License-Identifier: Apache-2.0 */
/* json_scan.c - tokens of JSON, taken one after the other. Numbers that are not short go through yyjson, which reads
 * them exactly. */
#include "codec/json_scan.h"

#include <math.h>
#include <yyjson.h>

#include "base/chars.h"
#include "base/limits.h"
#include "base/num.h"
#include "codec/json_scan_inside.h"

/* JSON that counts ends in a bracket, so a number at the very end is a text that was cut: without it, numbers end
 * before `end` does. */
void wr_jscan_init(wr_jscan *s, wr_str text, wr_arena *a, wr_err *err)
{
    size_t n = text.n;
    while (n && of_number(text.p[n - 1])) n--;
    *s = (wr_jscan){.at = text.p, .end = text.p ? text.p + n : NULL, .text = text.p, .arena = a, .err = err};
}

int wr_jscan_fail(const wr_jscan *s, const char *what)
{
    return wr_err_set(s->err, WEIR_EPARSE, "JSON at byte %zu: %s", (size_t)(s->at - s->text), what);
}

char wr_jscan_peek(wr_jscan *s)
{
    while (s->at < s->end && white(*s->at)) s->at++;
    return s->at < s->end ? *s->at : 0;
}

int wr_jscan_open(wr_jscan *s, char bracket, bool *first)
{
    if (wr_jscan_peek(s) != bracket) return wr_jscan_fail(s, bracket == '{' ? "expected an object" : "expected a list");
    s->at++;
    *first = true;
    return 0;
}

/* A comma but before the first one, or the closing bracket. */
static int next(wr_jscan *s, bool *first, char close)
{
    char c = wr_jscan_peek(s);
    if (c == close && c) {
        s->at++;
        return 0;
    }
    if (*first) {
        *first = false;
        return 1;
    }
    if (c != ',') return wr_jscan_fail(s, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    s->at++;
    return 1;
}

int wr_jscan_member(wr_jscan *s, bool *first, wr_str *key)
{
    int rc = next(s, first, '}');
    if (rc <= 0) return rc;
    WR_TRY(wr_jscan_str(s, key));
    if (wr_jscan_peek(s) != ':') return wr_jscan_fail(s, "expected ':'");
    s->at++;
    return 1;
}

int wr_jscan_item(wr_jscan *s, bool *first) { return next(s, first, ']'); }

bool wr_jscan_word(wr_jscan *s, const char *word)
{
    wr_jscan_peek(s);
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
    s->at += n;
    return true;
}

int wr_jscan_end(wr_jscan *s)
{
    return wr_jscan_peek(s) || s->at < s->end ? wr_jscan_fail(s, "unexpected content behind the value") : 0;
}

/* ---- strings ---- */

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int d = wr_hex_digit(p[i]);
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* "\uXXXX" at p (behind the u), of `n` bytes that are left; surrogates come in pairs. Bytes taken, 0 = wrong. */
static size_t unicode(uint32_t *out, const char *p, size_t n)
{
    int c = n >= 4 ? hex4(p) : -1;
    if (c < 0 || (c >= 0xdc00 && c < 0xe000)) return 0;
    *out = (uint32_t)c;
    if (c < 0xd800 || c >= 0xdc00) return 4;
    int low = n >= 10 && p[4] == '\\' && p[5] == 'u' ? hex4(p + 6) : -1;
    if (low < 0xdc00 || low >= 0xe000) return 0;
    *out = 0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 10;
}

static int unescape(wr_jscan *s, wr_str raw, wr_str *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *text = wr_arena_alloc(s->arena, raw.n + 1),
         *o = text; /* an escape is never shorter than what it stands for */
    if (!text) return wr_err_nomem(s->err);
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\\') {
            *o++ = raw.p[i];
            continue;
        }
        char c = raw.p[++i]; /* the closing quote was found behind it, so it is there */
        const char *known = c ? strchr(from, c) : NULL;
        uint32_t point;
        size_t taken = c == 'u' ? unicode(&point, raw.p + i + 1, raw.n - i - 1) : 0;
        if (known) *o++ = to[known - from];
        else if (taken) o += wr_utf8_put(o, point);
        else return wr_jscan_fail(s, "an escape that does not exist in a string");
        i += taken;
    }
    *o = 0;
    *out = (wr_str){text, (size_t)(o - text)};
    return 0;
}

/* Behind the bytes that stand for themselves, eight at a time: before a quote, a backslash, a control character or what
 * is not ASCII, or less than eight bytes before the end. Borrows run upwards, so the first is told right. */
static const char *plain_bytes(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    for (; end - p >= 8; p += 8) {
        uint64_t x;
        memcpy(&x, p, sizeof x);
        uint64_t quote = x ^ '"' * ones, slash = x ^ '\\' * ones;
        uint64_t found = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((x - 0x20 * ones) & ~x) | x) & tops;
        if (found) return p + (__builtin_ctzll(found) >> 3);
    }
#endif
    return p;
}

int wr_jscan_str(wr_jscan *s, wr_str *out)
{
    if (wr_jscan_peek(s) != '"') return wr_jscan_fail(s, "expected a string");
    const char *from = s->at + 1, *p = plain_bytes(from, s->end);
    bool escapes = false;
    signed char high = 0; /* its sign: some byte is not ASCII */
    for (; p < s->end && *p != '"'; p++) {
        high |= (signed char)*p;
        if (*p == '\\') {
            escapes = true;
            if (++p == s->end) break;
        }
        if ((unsigned char)*p < 0x20) return wr_jscan_fail(s, "a control character in a string");
        high |= (signed char)*p;
    }
    if (p >= s->end) return wr_jscan_fail(s, "a string without end");
    *out = (wr_str){from, (size_t)(p - from)};
    if (high < 0 && !wr_str_utf8(*out)) return wr_jscan_fail(s, "a string that is not UTF-8");
    if (escapes) WR_TRY(unescape(s, *out, out));
    s->at = p + 1;
    return 0;
}

/* ---- numbers ---- */

static void whole(wr_jnumber *out, bool minus, uint64_t v)
{
    *out = (wr_jnumber){.whole = true, .minus = minus, .magnitude = v, .real = minus ? -(double)v : (double)v};
}

/* How many of the eight bytes at `p` are digits before the first that is none; their values as bytes, the last one on
 * top. A carry begins only in a byte that is no digit, so the first of those is told right. */
static inline int leading_digits(uint64_t *values, const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    x ^= 0x3030303030303030u;
    uint64_t other = ((x + 0x7676767676767676u) | x) & 0x8080808080808080u;
    int n = other ? __builtin_ctzll(other) >> 3 : 8;
    *values = n ? x << (64 - 8 * n) : 0;
    return n;
}

/* Digits at *at, into *v as long as they fit 19 of them; false when there may be more. Eight at a time, without a
 * branch on how many there are, where eight bytes are left. Zeros in front of the first digit count for nothing, but
 * those that come in one of the eights with it. */
static inline bool take_digits(const char **at, const char *end, uint64_t *v, int *n)
{
    const char *p = *at;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    for (int k = 8; k == 8 && end - p >= 8; p += k) {
        uint64_t values;
        k = leading_digits(&values, p);
        if (*n + k > 19) return false;
        *v = *v * tens[k] + eight_digits(values);
        *n += *v ? k : 0;
    }
    if (end - p >= 8) { /* it ended at what is no digit */
        *at = p;
        return true;
    }
#endif
    for (; digit(*p); p++) {
        if (*n == 19) return false;
        *v = *v * 10 + (uint64_t)(*p - '0');
        *n += *v > 0;
    }
    *at = p;
    return true;
}

/* "e-12" at *at, if there is one; false when it is malformed or far off. */
static bool take_exponent(const char **at, int *exp)
{
    const char *p = *at;
    int e = 0;
    if (*p != 'e' && *p != 'E') return true;
    p++;
    bool minus = *p == '-';
    p += minus || *p == '+';
    if (!digit(*p)) return false;
    for (; digit(*p); p++) {
        if (e > 1000) return false;
        e = e * 10 + (*p - '0');
    }
    *exp += minus ? -e : e;
    *at = p;
    return true;
}

/* Both factors exact: one rounding. Else the long way of base/num, which may not know. */
static bool scale(double *out, uint64_t v, int exp)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (v <= (uint64_t)1 << 53 && exp >= -22 && exp <= 22) {
        *out = exp < 0 ? (double)v / tens[-exp] : (double)v * tens[exp];
        return true;
    }
    return wr_f64_nearest(out, v, exp);
}

/* What most numbers are: at most 19 digits, v * 10^exp. *at is moved only when it is one. */
typedef struct {
    bool minus, whole;
    uint64_t v;
    int exp;
} parts;

static inline bool take_number(parts *out, const char **at, const char *end)
{
    const char *p = *at;
    bool minus = *p == '-';
    const char *first = p += minus;
    uint64_t v = 0;
    int n = 0, exp = 0;
    if (digit(p[0]) && p[1] == '.') { /* most numbers that are not whole */
        v = (uint64_t)(*p++ - '0');
        n = v > 0;
    } else if (!take_digits(&p, end, &v, &n) || p == first || (*first == '0' && p - first > 1)) {
        return false;
    }
    bool whole = !of_number(*p);
    if (*p == '.') {
        const char *point = ++p;
        if (!take_digits(&p, end, &v, &n) || p == point) return false;
        exp = (int)(point - p);
    }
    if (!whole && (!take_exponent(&p, &exp) || of_number(*p))) return false;
    *at = p;
    *out = (parts){minus, whole, v, exp};
    return true;
}

bool wr_jscan_quick(wr_jnumber *out, const char **at, const char *end)
{
    const char *p = *at;
    parts n;
    double x;
    if (!take_number(&n, &p, end) || (!n.whole && !scale(&x, n.v, n.exp))) return false;
    if (n.whole) whole(out, n.minus, n.v);
    else *out = (wr_jnumber){.minus = n.minus, .real = n.minus ? -x : x};
    *at = p;
    return true;
}

bool wr_jscan_quick_real(double *out, const char **at, const char *end)
{
    const char *p = *at;
    parts n;
    double x;
    if (!take_number(&n, &p, end)) return false;
    if (n.whole) x = (double)n.v;
    else if (!scale(&x, n.v, n.exp)) return false;
    *out = n.minus ? -x : x;
    *at = p;
    return true;
}

int wr_jscan_number(wr_jscan *s, wr_jnumber *out)
{
    char c = wr_jscan_peek(s);
    if (!digit(c) && c != '-') return wr_jscan_fail(s, "expected a number");
    if (wr_jscan_quick(out, &s->at, s->end)) return 0;
    yyjson_val v;
    const char *behind = yyjson_read_number(s->at, &v, YYJSON_READ_NOFLAG, NULL, NULL);
    if (!behind || of_number(*behind)) return wr_jscan_fail(s, "a number that is malformed or too large");
    if (yyjson_is_uint(&v)) {
        whole(out, c == '-', yyjson_get_uint(&v));
    } else if (yyjson_is_sint(&v)) {
        int64_t i = yyjson_get_sint(&v);
        whole(out, i < 0 || c == '-', i < 0 ? -(uint64_t)i : (uint64_t)i);
    } else {
        *out = (wr_jnumber){.real = yyjson_get_real(&v)};
    }
    s->at = behind;
    return 0;
}

/* ---- whole values ---- */

static int skip_scalar(wr_jscan *s, char c)
{
    wr_str text;
    wr_jnumber number;
    if (c == '"') return wr_jscan_str(s, &text);
    if (wr_jscan_word(s, "true") || wr_jscan_word(s, "false") || wr_jscan_word(s, "null")) return 0;
    if (wr_jscan_word(s, "NaN") || wr_jscan_word(s, "Infinity") || wr_jscan_word(s, "-Infinity")) return 0;
    if (digit(c) || c == '-') return wr_jscan_number(s, &number);
    return wr_jscan_fail(s, c ? "expected a value" : "the text ends too early");
}

typedef struct {
    uint64_t object[2]; /* bit: this level is an object */
    int depth;
} levels;

static int open_level(wr_jscan *s, levels *l, char c)
{
    if (l->depth >= WR_LIMIT_TENSOR_DEPTH)
        return wr_err_set(s->err, WEIR_EPARSE, "JSON nesting depth exceeds maximum allowed limit (%d)",
                          WR_LIMIT_TENSOR_DEPTH);
    uint64_t bit = (uint64_t)1 << (l->depth & 63);
    if (c == '{') l->object[l->depth >> 6] |= bit;
    else l->object[l->depth >> 6] &= ~bit;
    l->depth++;
    s->at++;
    return 0;
}

/* Closes what ends here, up to the next value; 0: all is closed. */
static int close_levels(wr_jscan *s, levels *l, bool *first)
{
    while (l->depth) {
        int top = l->depth - 1;
        wr_str key;
        bool object = l->object[top >> 6] >> (top & 63) & 1;
        int rc = object ? wr_jscan_member(s, first, &key) : wr_jscan_item(s, first);
        if (rc) return rc;
        l->depth--;
        *first = false;
    }
    return 0;
}

int wr_jscan_skip(wr_jscan *s, wr_str *raw)
{
    levels l = {0};
    char c = wr_jscan_peek(s);
    const char *from = s->at;
    for (int more = 1; more; c = wr_jscan_peek(s)) {
        bool first = c == '{' || c == '[';
        WR_TRY(first ? open_level(s, &l, c) : skip_scalar(s, c));
        more = close_levels(s, &l, &first);
        if (more < 0) return more;
        if (!more) break;
    }
    if (raw) *raw = (wr_str){from, (size_t)(s->at - from)};
    return 0;
}
