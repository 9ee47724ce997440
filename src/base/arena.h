/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory that is freed all at once: one per request, run or command.
 *
 * Blocks grow by doubling up to 1 MiB; `cap` bounds the total, block headers included (0 = no cap). A failed allocation
 * returns NULL and is sticky: wr_arena_failed() says so at the end of an operation (wr_arena_clear() forgets it). Not
 * thread-safe.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

typedef struct wr_arena wr_arena;

wr_arena *wr_arena_new(size_t cap);       /* NULL when out of memory */
void wr_arena_free(wr_arena *a);          /* NULL is fine */
void wr_arena_clear(wr_arena *a);         /* keeps the largest block up to 64 KiB for reuse */
bool wr_arena_failed(const wr_arena *a);
size_t wr_arena_used(const wr_arena *a);  /* bytes handed out, rounded to 16 each */

void *wr_arena_alloc(wr_arena *a, size_t n);              /* 16-byte aligned, not zeroed */
void *wr_arena_calloc(wr_arena *a, size_t count, size_t size);
char *wr_arena_strdup(wr_arena *a, const char *s);        /* NULL in, NULL out */
char *wr_arena_strndup(wr_arena *a, const char *s, size_t n); /* stops at a NUL before n */
void *wr_arena_dup(wr_arena *a, const void *p, size_t n);   /* copy of n bytes; n = 0 gives a valid pointer */
wr_str wr_arena_str(wr_arena *a, wr_str s);               /* copy, also NUL-terminated; p = NULL on failure */
char *wr_arena_printf(wr_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void wr_arena_free_ref(wr_arena **a);
#define WR_AUTOARENA __attribute__((cleanup(wr_arena_free_ref)))
