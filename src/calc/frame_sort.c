/* SPDX-License-Identifier: Apache-2.0 */
/* frame_sort.c - rows in the order of one column, stable. */
#include "base/mem.h"
#include "calc/frame.h"
#include "calc/sort.h"

static bool in_order(const wr_col *c)
{
    for (size_t i = 1; i < c->n; i++)
        if (c->i64[i] < c->i64[i - 1]) return false;
    return true;
}

static int order_of(uint32_t *row, const wr_col *c, wr_err *err)
{
    WR_AUTOFREE uint64_t *key = wr_alloc(c->n * sizeof *key);
    WR_AUTOFREE uint64_t *key_scratch = wr_alloc(c->n * sizeof *key_scratch);
    WR_AUTOFREE uint32_t *row_scratch = wr_alloc(c->n * sizeof *row_scratch);
    if (!key || !key_scratch || !row_scratch) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++) {
        key[i] = wr_key_i64(c->i64[i]);
        row[i] = (uint32_t)i;
    }
    wr_sort_u64_u32(key, row, key_scratch, row_scratch, c->n);
    return 0;
}

int wr_frame_sort(wr_frame **f, const char *column, wr_err *err)
{
    wr_col *c;
    wr_frame *sorted;
    WR_TRY(wr_frame_need(&c, *f, column, -1, err));
    if (c->type != WR_TS && c->type != WR_I64)
        return wr_err_set(err, WEIR_ETYPE, "rows cannot be put in the order of \"%s\", a %s", column,
                          wr_type_name(c->type));
    if (in_order(c)) return 0;
    if (c->n >= UINT32_MAX) return wr_err_set(err, WEIR_ELIMIT, "%zu rows to sort", c->n);
    WR_AUTOFREE uint32_t *row = wr_alloc(c->n * sizeof *row);
    if (!row) return wr_err_nomem(err);
    WR_TRY(order_of(row, c, err));
    WR_TRY(wr_frame_take(&sorted, *f, row, c->n, err));
    wr_frame_free(*f);
    *f = sorted;
    return 0;
}
