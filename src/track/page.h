/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - page tokens: where a search goes on.
 *
 * A token holds the sort values of the last row that was given, so what is inserted or deleted meanwhile moves nothing:
 * a row is neither given twice nor left out (unless its own sort values change). It also holds a hash of the query, and
 * one that comes back with another query is refused. MLflow's own tokens, base64 of {"offset": N}, are understood.
 * Tokens are base64url without padding; they hide nothing and promise nothing: every value in them is checked.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "track/sql.h"

/* A sort value: which phase (0 a value, 1 NaN, 2 missing) and the value in phase 0. */
typedef struct {
    int phase;
    wr_sql_value value;
} wr_page_key;

typedef struct {
    bool given;     /* there was a token */
    int64_t offset; /* rows to skip: MLflow's kind; then no keys */
    wr_page_key *keys;
    size_t nkeys;
} wr_page;

enum { WR_PAGE_KEYS = 40, WR_PAGE_TOKEN = 1 << 20 };

/* An empty token is the first page. WEIR_EINVAL with MLflow's texts; `nkeys` is how many the query has. */
int wr_page_read(wr_page *out, wr_arena *a, wr_str token, uint64_t query, size_t nkeys, wr_err *err);
/* p NULL without memory. */
wr_str wr_page_token(wr_arena *a, uint64_t query, const wr_page_key *keys, size_t nkeys);
/* MLflow's kind, for what counts rows. */
wr_str wr_page_offset(wr_arena *a, int64_t offset);
