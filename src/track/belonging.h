/* SPDX-License-Identifier: Apache-2.0 */
/* belonging.h - rows of other tables (tags, params, aliases) that belong to many rows of one, asked for at once: a page
 * of a search is a handful of statements, also when the database is a network away. */
#pragma once
#include "track/track.h"

enum { WR_BELONGING_IDS = 64 }; /* owners asked for at once; a fixed number keeps the statement's text the same */

typedef struct {
    int64_t owner, number;
    wr_str key, value;
} wr_belonging;
typedef struct {
    wr_belonging *at;
    size_t n;
} wr_belongings;

/* `sql` ends where the list of the n ids begins (1 <= n <= WR_BELONGING_IDS), `tail` follows it. Step it, then
 * wr_stmt_done(). */
int wr_belonging_ask(wr_stmt **out, wr_track *t, const char *sql, const char *tail, const int64_t *ids, size_t n,
                     wr_err *err);
/* All rows (owner, key, value or number) of such a statement, sorted by owner and key. */
int wr_belonging_rows(wr_belongings *out, wr_arena *a, wr_track *t, const char *sql, const int64_t *ids, size_t n,
                      bool numbers, wr_err *err);
/* The part that is `owner`'s. */
wr_belongings wr_belonging_of(wr_belongings all, int64_t owner);
/* As (key, value). */
int wr_belonging_items(wr_track_item **out, size_t *n, wr_arena *a, wr_belongings mine, wr_err *err);
