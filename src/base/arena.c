/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - bump allocation in a chain of blocks.
 *
 *   current -> block -> block -> ...      the largest one of at most KEEP_MAX is what wr_arena_clear() keeps
 *
 * Invariants: (1) sum of block sizes, headers included, is `held` <= cap; (2) `used` of a block is a multiple of ALIGN;
 * (3) an allocation that would waste much of the current block gets a block of its own *behind* the current one, so the
 * room left in the current block stays in use. Under AddressSanitizer the part not handed out is poisoned.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 16, BLOCK_MIN = 4 << 10, BLOCK_MAX = 1 << 20, KEEP_MAX = 64 << 10 };

typedef struct block {
    struct block *next;
    size_t size, used; /* bytes of data[] */
    _Alignas(ALIGN) unsigned char data[];
} block;

struct wr_arena {
    block *current;
    size_t cap, held; /* cap 0 = none */
    size_t used;      /* handed out */
    size_t next_size; /* of the next block, header included */
    bool failed;
};

wr_arena *wr_arena_new(size_t cap)
{
    wr_arena *a = wr_calloc(1, sizeof *a);
    if (!a) return NULL;
    a->cap = cap;
    a->next_size = BLOCK_MIN;
    return a;
}

static void block_free(block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
    wr_free(b);
}

void wr_arena_free(wr_arena *a)
{
    if (!a) return;
    for (block *b = a->current, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    wr_free(a);
}

void wr_arena_free_ref(wr_arena **a) { wr_arena_free(*a); }

/* What is kept grows with what was needed: an arena that does the same again and again soon asks for no memory. */
void wr_arena_clear(wr_arena *a)
{
    block *keep = NULL;
    for (block *b = a->current; b; b = b->next)
        if (b->size <= KEEP_MAX && (!keep || b->size > keep->size)) keep = b;
    for (block *b = a->current, *next; b; b = next) {
        next = b->next;
        if (b != keep) block_free(b);
    }
    a->current = keep;
    a->held = a->used = 0;
    a->failed = false;
    a->next_size = BLOCK_MIN;
    if (!keep) return;
    keep->next = NULL;
    keep->used = 0;
    a->held = sizeof *keep + keep->size;
    while (a->next_size < KEEP_MAX && a->next_size <= a->held) a->next_size *= 2;
    ASAN_POISON_MEMORY_REGION(keep->data, keep->size);
}

bool wr_arena_failed(const wr_arena *a) { return a->failed; }
size_t wr_arena_used(const wr_arena *a) { return a->used; }

/* A block with room for n bytes and, if it can be, `want` bytes in all; NULL past the cap or out of memory. */
static block *block_new(wr_arena *a, size_t n, size_t want)
{
    if (n > SIZE_MAX / 2) return NULL;
    size_t size = n + sizeof(block);
    size_t room = a->cap ? a->cap - a->held : SIZE_MAX;
    if (size > room) return NULL;
    if (size < want) size = want < room ? want : room;
    block *b = wr_alloc(size);
    if (!b) return NULL;
    *b = (block){.size = size - sizeof *b};
    a->held += size;
    ASAN_POISON_MEMORY_REGION(b->data, b->size);
    return b;
}

/* The block to take n bytes (a multiple of ALIGN) from. */
static block *block_for(wr_arena *a, size_t n)
{
    block *cur = a->current;
    if (cur && cur->size - cur->used >= n) return cur;
    if (cur && n > a->next_size / 4) {
        block *own = block_new(a, n, 0);
        if (!own) return NULL;
        own->next = cur->next;
        cur->next = own;
        return own;
    }
    block *b = block_new(a, n, a->next_size);
    if (!b) return NULL;
    b->next = cur;
    a->current = b;
    if (a->next_size < BLOCK_MAX) a->next_size *= 2;
    return b;
}

void *wr_arena_alloc(wr_arena *a, size_t n)
{
    size_t want = n ? n : 1;
    size_t rounded = want > SIZE_MAX / 2 ? 0 : (want + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    block *b = rounded ? block_for(a, rounded) : NULL;
    if (!b) {
        a->failed = true;
        return NULL;
    }
    void *p = b->data + b->used;
    b->used += rounded;
    a->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(p, want);
    return p;
}

void *wr_arena_calloc(wr_arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        a->failed = true;
        return NULL;
    }
    void *p = wr_arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

wr_str wr_arena_str(wr_arena *a, wr_str s)
{
    char *p = s.n < SIZE_MAX ? wr_arena_alloc(a, s.n + 1) : NULL;
    if (!p) return (wr_str){0};
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (wr_str){p, s.n};
}

char *wr_arena_strdup(wr_arena *a, const char *s) { return s ? (char *)wr_arena_str(a, wr_str_of(s)).p : NULL; }

char *wr_arena_strndup(wr_arena *a, const char *s, size_t n)
{
    return s ? (char *)wr_arena_str(a, (wr_str){s, strnlen(s, n)}).p : NULL;
}

char *wr_arena_printf(wr_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : wr_arena_alloc(a, (size_t)n + 1);
    if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
    if (n < 0) a->failed = true;
    va_end(again);
    return p;
}

void *wr_arena_dup(wr_arena *a, const void *p, size_t n)
{
    void *copy = wr_arena_alloc(a, n ? n : 1);
    if (copy && n) memcpy(copy, p, n);
    return copy;
}
