/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - malloc behind fault points. A size of 0 is taken as 1, so that NULL always means "out of memory". */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* No object is larger than PTRDIFF_MAX; refused here, because a sanitizer's malloc would abort. */
static int refused(size_t n) { return n > PTRDIFF_MAX || wr_fault_hit(WR_FAULT_ALLOC); }

void *wr_alloc(size_t n) { return refused(n) ? NULL : malloc(n ? n : 1); }

void *wr_calloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n) || refused(n)) return NULL;
    return n ? calloc(count, size) : calloc(1, 1);
}

void *wr_realloc(void *p, size_t n) { return refused(n) ? NULL : realloc(p, n ? n : 1); }

void wr_free(void *p) { free(p); }

char *wr_strdup(const char *s)
{
    if (!s) return NULL;
    size_t n = strlen(s) + 1;
    char *copy = wr_alloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

void wr_free_ref(void *pp)
{
    void *p;
    memcpy(&p, pp, sizeof p); /* pp is a T **, not a void ** */
    free(p);
}
