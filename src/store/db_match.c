/* SPDX-License-Identifier: Apache-2.0 */
/* db_match.c - LIKE. */
#include "store/db_match.h"

static unsigned char folded(char c, bool fold)
{
    unsigned char u = (unsigned char)c;
    return fold && u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

/* Bytes of the character at `at`; a byte that begins none counts alone. */
static size_t width(wr_str s, size_t at)
{
    size_t n = 1;
    if ((unsigned char)s.p[at] < 0xc0) return n;
    while (n < 4 && at + n < s.n && ((unsigned char)s.p[at + n] & 0xc0) == 0x80) n++;
    return n;
}

/* Only the last '%' is ever tried again: what an earlier one could take, the last one can take too. */
bool wr_match_like(wr_str text, wr_str pattern, bool fold)
{
    size_t t = 0, p = 0, again_t = 0, again_p = 0;
    bool any = false;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '%') {
            any = true;
            again_p = ++p;
            again_t = t;
        } else if (p < pattern.n && pattern.p[p] == '_') {
            p++;
            t += width(text, t);
        } else if (p < pattern.n && folded(pattern.p[p], fold) == folded(text.p[t], fold)) {
            p++;
            t++;
        } else if (any) {
            p = again_p;
            t = again_t += width(text, again_t);
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '%') p++;
    return p == pattern.n;
}
