/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - malloc with fault points (see fault.h). All return NULL when out of memory, and only then (size 0 is fine);
 * sizes are checked for overflow. */
#pragma once
#include <stddef.h>

void *wr_alloc(size_t n);
void *wr_calloc(size_t count, size_t size);
void *wr_realloc(void *p, size_t n);
void wr_free(void *p);
char *wr_strdup(const char *s);

/* WR_AUTOFREE char *p = wr_alloc(n); freed when it leaves the scope. */
void wr_free_ref(void *pp);
#define WR_AUTOFREE __attribute__((cleanup(wr_free_ref)))
