/* SPDX-License-Identifier: Apache-2.0 */
/* str.h - wr_str to read (slice, not owned, not terminated), wr_buf to build (owned, always NUL-terminated, capped).
 *
 * A wr_buf append that would pass `max` or finds no memory sets `failed` and changes nothing more; check once at the
 * end.
 * A zeroed wr_buf is valid. What is appended must not lie inside the same buffer.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { const char *p; size_t n; } wr_str;
#define WR_STR(lit) ((wr_str){ "" lit, sizeof(lit) - 1 })
#define WR_STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline wr_str wr_str_of(const char *s) { return (wr_str){ s ? s : "", s ? strlen(s) : 0 }; }
static inline bool wr_str_eq(wr_str a, wr_str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
/* Against a literal one comparison; against others byte by byte, as most differ in the first. */
static inline bool wr_str_is(wr_str a, const char *b)
{
    if (!b || __builtin_constant_p(strlen(b))) return wr_str_eq(a, wr_str_of(b));
    for (size_t i = 0; i < a.n; i++)
        if (!b[i] || b[i] != a.p[i]) return false;
    return !b[a.n];
}
bool wr_str_ieq(wr_str a, const char *b);                     /* ASCII case-insensitive */
static inline bool wr_str_starts(wr_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return n == 0 || (s.n >= n && memcmp(s.p, prefix, n) == 0);
}
static inline bool wr_str_ends(wr_str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return n == 0 || (s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0);
}
wr_str wr_str_trim(wr_str s);                                 /* spaces, tabs, CR, LF at both ends */
static inline wr_str wr_str_sub(wr_str s, size_t from, size_t to) /* clamped */
{
    if (to > s.n) to = s.n;
    if (from > to) from = to;
    return (wr_str){from ? s.p + from : s.p, to - from};
}
/* Cut `*rest` at the first `sep`; returns the part before; `*rest` becomes the part after (p = NULL when exhausted). */
wr_str wr_str_cut(wr_str *rest, char sep);
int wr_str_cmp(wr_str a, wr_str b);                           /* bytes, shorter first */
bool wr_str_utf8(wr_str s);                                   /* valid UTF-8, no surrogates, no overlong */
wr_str wr_str_fit(wr_str s, size_t max);                      /* longest prefix of <= max bytes, no character cut */
/* Did you mean: index of the nearest of `n` candidates (Damerau-Levenshtein), or -1 if none is near enough. */
int wr_str_nearest(wr_str s, const char *const *candidates, size_t n);
bool wr_name_ok(wr_str s);                                    /* [A-Za-z0-9_][A-Za-z0-9_.-]*, at most WR_LIMIT_NAME */

typedef struct { char *p; size_t n, cap, max; bool failed; } wr_buf;
#define WR_BUF_MAX ((size_t)1 << 31)

void wr_buf_init(wr_buf *b, size_t max);                      /* no allocation; max 0 = WR_BUF_MAX */
void wr_buf_fini(wr_buf *b);
void wr_buf_clear(wr_buf *b);                                 /* length 0, memory kept, failed reset */
bool wr_buf_grow(wr_buf *b, size_t more);                     /* use wr_buf_reserve */
static inline bool wr_buf_reserve(wr_buf *b, size_t more)     /* room for so many, and the NUL */
{
    return (!b->failed && more < b->cap - b->n) || wr_buf_grow(b, more);
}
void wr_buf_add(wr_buf *b, const void *p, size_t n);
void wr_buf_str(wr_buf *b, const char *s);
void wr_buf_slice(wr_buf *b, wr_str s);
void wr_buf_char_slow(wr_buf *b, char c);                    /* makes room first; use wr_buf_char */
void wr_buf_printf(wr_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void wr_buf_vprintf(wr_buf *b, const char *fmt, va_list ap);
void wr_buf_f64(wr_buf *b, double v);                         /* shortest text that reads back; "nan", "inf", "-inf" */
void wr_buf_i64(wr_buf *b, int64_t v);
void wr_buf_consume(wr_buf *b, size_t n);                     /* drop the first n <= b->n bytes */
static inline void wr_buf_char(wr_buf *b, char c)
{
    if (!b->failed && b->n + 2 <= b->cap) {
        b->p[b->n++] = c;
        b->p[b->n] = 0;
    } else {
        wr_buf_char_slow(b, c);
    }
}
static inline const char *wr_buf_cstr(const wr_buf *b) { return b->p ? b->p : ""; }
static inline wr_str wr_buf_view(const wr_buf *b) { return (wr_str){ wr_buf_cstr(b), b->n }; }
#define WR_AUTOBUF __attribute__((cleanup(wr_buf_fini)))
