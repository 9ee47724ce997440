/* SPDX-License-Identifier: Apache-2.0 */
/* str.c - slices and the growing buffer. */
#include "base/str.h"

#include <stdio.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/num.h"

static unsigned char lower(char c) { return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

bool wr_str_ieq(wr_str a, const char *b)
{
    for (size_t i = 0; i < a.n; i++) {
        if (!b[i] || lower(a.p[i]) != lower(b[i])) return false;
    }
    return !b[a.n];
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

wr_str wr_str_trim(wr_str s)
{
    while (s.n && blank(s.p[s.n - 1])) s.n--;
    while (s.n && blank(*s.p)) s.p++, s.n--;
    return s;
}

wr_str wr_str_cut(wr_str *rest, char sep)
{
    wr_str s = *rest;
    const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;
    if (!at) {
        *rest = (wr_str){0};
        return s;
    }
    size_t n = (size_t)(at - s.p);
    *rest = (wr_str){at + 1, s.n - n - 1};
    return (wr_str){s.p, n};
}

int wr_str_cmp(wr_str a, wr_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Bytes of the character that starts with `lead` (0 = not a start), and the range its second byte must lie in: that
 * range alone excludes overlong forms, surrogates and values past U+10FFFF (Unicode 15, table 3-7). */
static size_t utf8_lead(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    if (lead < 0xE0) return 2;
    if (lead == 0xE0) *lo = 0xA0;
    if (lead == 0xED) *hi = 0x9F;
    if (lead < 0xF0) return 3;
    if (lead == 0xF0) *lo = 0x90;
    if (lead == 0xF4) *hi = 0x8F;
    return 4;
}

bool wr_str_utf8(wr_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        uint64_t eight;
        if (s.n - i >= 8 && (memcpy(&eight, p + i, 8), (eight & 0x8080808080808080U) == 0)) {
            i += 8;
            continue;
        }
        unsigned char lo, hi;
        size_t n = utf8_lead(p[i], &lo, &hi);
        if (n == 0 || n > s.n - i) return false;
        if (n > 1 && (p[i + 1] < lo || p[i + 1] > hi)) return false;
        for (size_t k = 2; k < n; k++) {
            if ((p[i + k] & 0xC0) != 0x80) return false;
        }
        i += n;
    }
    return true;
}

wr_str wr_str_fit(wr_str s, size_t max)
{
    if (s.n <= max) return s;
    size_t n = max; /* s.p[n] is the first byte left out: if it continues a character, leave that out as a whole */
    for (int back = 0; back < 4 && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80; back++) n--;
    if (((unsigned char)s.p[n] & 0xC0) == 0x80) n = max; /* not UTF-8 anyway */
    return (wr_str){s.p, n};
}

enum { NEAREST_MAX = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Optimal string alignment: edits are insert, delete, replace and swap of neighbours. Both at most NEAREST_MAX long. */
static size_t distance(wr_str a, wr_str b)
{
    size_t rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= b.n; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = a.p[i - 1] == b.p[j - 1];
            now[j] = least(least(up[j], now[j - 1]) + 1, up[j - 1] + !same);
            bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
            if (swapped) now[j] = least(now[j], up2[j - 2] + 1);
        }
    }
    return rows[a.n % 3][b.n];
}

/* Near enough: at most a third of the word is wrong (one edit for short words), and something of it is right. */
int wr_str_nearest(wr_str s, const char *const *candidates, size_t n)
{
    if (s.n > NEAREST_MAX) return -1;
    size_t best = (s.n < 3 ? 3 : s.n) / 3 + 1;
    int found = -1;
    for (size_t i = 0; i < n; i++) {
        wr_str c = wr_str_of(candidates[i]);
        if (c.n > NEAREST_MAX) continue;
        size_t d = distance(s, c);
        if (d >= best || (d > 0 && d >= (s.n > c.n ? s.n : c.n))) continue;
        best = d;
        found = (int)i;
    }
    return found;
}

bool wr_name_ok(wr_str s)
{
    if (s.n == 0 || s.n > WR_LIMIT_NAME) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
        if (!word && (i == 0 || (c != '.' && c != '-'))) return false;
    }
    return true;
}

/* ---- wr_buf. Invariant: p is NULL and cap 0, or n < cap, p[n] = 0. max 0 (a zeroed struct) counts as WR_BUF_MAX. ----
 */

void wr_buf_init(wr_buf *b, size_t max) { *b = (wr_buf){.max = max ? max : WR_BUF_MAX}; }

void wr_buf_fini(wr_buf *b)
{
    wr_free(b->p);
    *b = (wr_buf){.max = b->max};
}

void wr_buf_clear(wr_buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p) b->p[0] = 0;
}

static bool fail(wr_buf *b)
{
    b->failed = true;
    return false;
}

bool wr_buf_grow(wr_buf *b, size_t more)
{
    if (b->failed) return false;
    size_t max = b->max ? b->max : WR_BUF_MAX;
    if (b->n > max || more > max - b->n) return fail(b);
    size_t need = b->n + more + 1;
    if (need <= b->cap) return true;
    size_t cap = b->cap < 64 ? 64 : b->cap * 2;
    if (cap > max) cap = max + 1;
    if (cap < need) cap = need;
    char *p = wr_realloc(b->p, cap);
    if (!p) return fail(b);
    p[b->n] = 0;
    b->p = p;
    b->cap = cap;
    return true;
}

void wr_buf_add(wr_buf *b, const void *p, size_t n)
{
    if (n == 0 || !wr_buf_reserve(b, n)) return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void wr_buf_str(wr_buf *b, const char *s)
{
    if (s) wr_buf_add(b, s, strlen(s));
}

void wr_buf_slice(wr_buf *b, wr_str s) { wr_buf_add(b, s.p, s.n); }

void wr_buf_char_slow(wr_buf *b, char c) { wr_buf_add(b, &c, 1); }

void wr_buf_vprintf(wr_buf *b, const char *fmt, va_list ap)
{
    if (b->failed) return;
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->n; /* with the NUL */
    int n = vsnprintf(b->p ? b->p + b->n : NULL, room, fmt, ap);
    if (n < 0) fail(b);
    if (n >= 0 && (size_t)n >= room && wr_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (!b->failed) b->n += (size_t)n;
    if (b->p) b->p[b->n] = 0;
}

void wr_buf_printf(wr_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    wr_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void wr_buf_f64(wr_buf *b, double v)
{
    char text[32];
    wr_buf_add(b, text, wr_f64_text(text, v));
}

void wr_buf_i64(wr_buf *b, int64_t v)
{
    char text[20]; /* -9223372036854775808 */
    char *p = text + sizeof text;
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (v < 0) *--p = '-';
    wr_buf_add(b, p, (size_t)(text + sizeof text - p));
}

void wr_buf_consume(wr_buf *b, size_t n)
{
    WR_BUG_IF(n > b->n);
    if (n == 0) return;
    b->n -= n;
    memmove(b->p, b->p + n, b->n + 1);
}
