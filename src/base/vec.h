/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h - typed growing arrays.
 *
 * WR_VEC(int) v = {0};  if (wr_vec_push(&v, 7) < 0) nomem;  v.at[0]; v.n; wr_vec_fini(&v);
 */
#pragma once
#include <stddef.h>
#include "base/err.h"
#include "base/mem.h"

#define WR_VEC(T) struct { T *at; size_t n, cap; }

/* Makes room for one more element of `size` bytes; 0 or WEIR_ENOMEM. */
int wr_vec_grow_(void **at, size_t n, size_t *cap, size_t size, size_t more);

#define wr_vec_reserve(v, more) wr_vec_grow_((void **)&(v)->at, (v)->n, &(v)->cap, sizeof *(v)->at, (more))
#define wr_vec_push(v, x) (wr_vec_reserve(v, 1) < 0 ? WEIR_ENOMEM : ((v)->at[(v)->n++] = (x), 0))
#define wr_vec_fini(v) (wr_free((v)->at), (v)->at = NULL, (v)->n = (v)->cap = 0)
