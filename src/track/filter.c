/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c - operators of the search language. */
#include "track/filter.h"

static const char *const op_names[] = {
    "=",  "!=",     "<",       "<=",          ">",       ">=",          "LIKE",     "ILIKE",     "RLIKE",
    "IN", "NOT IN", "IS NULL", "IS NOT NULL", "BETWEEN", "NOT BETWEEN", "NOT LIKE", "NOT ILIKE", "NOT RLIKE"};

const char *wr_filter_op_name(unsigned op) { return op_names[__builtin_ctz(op)]; }
