/* SPDX-License-Identifier: Apache-2.0 */
/* order.h - order_by of a search: one column an item, IDENT [ASC|DESC]; IDENT as in a filter, with its functions.
 *
 * Missing values come last in both directions, NaN behind the numbers and before the missing. Params and tags sort as
 * text, by bytes. Errors: WEIR_EINVAL with MLflow's texts.
 */
#pragma once
#include "track/filter.h"

typedef struct {
    wr_filter_clause at; /* field and key; op is 0 */
    bool desc;
} wr_order_item;

enum { WR_ORDER_ITEMS = 32 };

/* Unknown keys, fields that do not order, and a field named twice are errors. */
int wr_order_parse(wr_order_item **out, size_t *n, wr_arena *a, const wr_filter_noun *noun, const wr_str *texts,
                   size_t ntexts, wr_err *err);
/* One item whatever its field says of ordering: for a noun's own defaults and ties. */
int wr_order_item_parse(wr_order_item *out, wr_arena *a, const wr_filter_noun *noun, wr_str text, wr_err *err);
bool wr_order_same(const wr_order_item *x, const wr_order_item *y); /* the same field */
