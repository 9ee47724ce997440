/* SPDX-License-Identifier: Apache-2.0 */
/* vec.c - growth of typed arrays: half as much again, overflow checked. */
#include "base/vec.h"

#include <stdint.h>
#include <string.h>

int wr_vec_grow_(void **at, size_t n, size_t *cap, size_t size, size_t more)
{
    size_t need, bytes;
    if (__builtin_add_overflow(n, more, &need)) return WEIR_ENOMEM;
    if (need <= *cap) return 0;
    size_t want = *cap + *cap / 2 + 8; /* cannot overflow: cap elements are in memory */
    if (want < need) want = need;
    if (__builtin_mul_overflow(want, size, &bytes)) return WEIR_ENOMEM;
    void *old;
    memcpy(&old, at, sizeof old); /* `at` is a T **: reading it as void ** would break aliasing rules */
    void *p = wr_realloc(old, bytes);
    if (!p) return WEIR_ENOMEM;
    memcpy(at, &p, sizeof p);
    *cap = want;
    return 0;
}
