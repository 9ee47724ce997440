/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h - typed growing arrays.
 *
 * WR_VEC(int) v = {0};  if (wr_vec_push(&v, 7) < 0) nomem;  v.at[0]; v.n; wr_vec_fini(&v);
 *
 * Rows of unknown number into an arena:
 *   while ((rc = wr_step(s, err)) > 0 && (rc = wr_vec_add(&v, row, err)) == 0) {}
 *   return wr_vec_keep(&list, &n, arena, &v, rc, err);
 */
#pragma once
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

#define WR_VEC(T) struct { T *at; size_t n, cap; }

/* Makes room for one more element of `size` bytes; 0 or WEIR_ENOMEM. */
int wr_vec_grow_(void **at, size_t n, size_t *cap, size_t size, size_t more);

#define wr_vec_reserve(v, more) wr_vec_grow_((void **)&(v)->at, (v)->n, &(v)->cap, sizeof *(v)->at, (more))
#define wr_vec_push(v, x) (wr_vec_reserve(v, 1) < 0 ? WEIR_ENOMEM : ((v)->at[(v)->n++] = (x), 0))
#define wr_vec_fini(v) (wr_free((v)->at), (v)->at = NULL, (v)->n = (v)->cap = 0)
#define wr_vec_add(v, x, err) (wr_vec_push(v, x) < 0 ? wr_err_nomem(err) : 0)

/* Ends what filled `v` with the outcome `rc`: its elements are copied into the arena and `v` is freed. Returns rc, or WEIR_ENOMEM when the
 * arena could not hold them or anything before; then, and with rc < 0, there are none. */
#define wr_vec_keep(out, count, arena, v, rc, err)                                                                     \
    wr_vec_keep_((void **)(1 ? (out) : &(v)->at), (count), (arena), (void **)&(v)->at, &(v)->n, &(v)->cap,             \
                 sizeof *(v)->at, (rc), (err))
int wr_vec_keep_(void **out, size_t *count, wr_arena *arena, void **at, size_t *n, size_t *cap, size_t size, int rc,
                 wr_err *err);
