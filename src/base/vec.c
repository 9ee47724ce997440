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

int wr_vec_keep_(void **out, size_t *count, wr_arena *arena, void **at, size_t *n, size_t *cap, size_t size, int rc,
                 wr_err *err)
{
    void *all, *kept = NULL;
    memcpy(&all, at, sizeof all); /* as above */
    if (rc >= 0) kept = wr_arena_dup(arena, all, *n * size);
    if (rc >= 0 && wr_arena_failed(arena)) rc = wr_err_nomem(err);
    if (rc < 0) kept = NULL;
    memcpy(out, &kept, sizeof kept);
    *count = kept ? *n : 0;
    wr_free(all);
    memset(at, 0, sizeof all);
    *n = *cap = 0;
    return rc < 0 ? rc : 0;
}
