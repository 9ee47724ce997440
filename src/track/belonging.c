/* SPDX-License-Identifier: Apache-2.0 */
/* belonging.c - rows of other tables that belong to many rows of one. */
#include "track/belonging.h"

#include "base/vec.h"

/* `sql` ends where the list of ids begins; `tail` follows it. */
int wr_belonging_ask(wr_stmt **out, wr_track *t, const char *sql, const char *tail, const int64_t *ids, size_t n,
                     wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, sql);
    for (int i = 0; i < WR_BELONGING_IDS; i++) wr_buf_str(&b, i ? ", ?" : "(?");
    wr_buf_str(&b, ")");
    wr_buf_str(&b, tail);
    if (b.failed) return wr_err_nomem(err);
    WR_TRY(wr_db_prepare(wr_track_db(t), out, wr_buf_cstr(&b), err));
    for (size_t i = 0; i < WR_BELONGING_IDS; i++) wr_bind_i64(*out, (int)i + 1, ids[i < n ? i : n - 1]);
    return 0;
}

/* Rows (owner, key, value or number), sorted by owner and key. */
int wr_belonging_rows(wr_belongings *out, wr_arena *a, wr_track *t, const char *sql, const int64_t *ids, size_t n,
                      bool numbers, wr_err *err)
{
    WR_VEC(wr_belonging) rows = {0};
    wr_stmt *s;
    int rc;
    WR_TRY(wr_belonging_ask(&s, t, sql, " ORDER BY 1, 2", ids, n, err));
    while ((rc = wr_step(s, err)) > 0) {
        wr_belonging b = {.owner = wr_stmt_i64(s, 0), .key = wr_stmt_text(a, s, 1)};
        if (numbers) b.number = wr_stmt_i64(s, 2);
        else b.value = wr_stmt_text(a, s, 2);
        if ((rc = wr_vec_add(&rows, b, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(&out->at, &out->n, a, &rows, rc, err);
}

/* The part of sorted rows that is `owner`'s. */
wr_belongings wr_belonging_of(wr_belongings all, int64_t owner)
{
    size_t lo = 0, hi = all.n, end;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (all.at[mid].owner < owner) lo = mid + 1;
        else hi = mid;
    }
    for (end = lo; end < all.n && all.at[end].owner == owner;) end++;
    return (wr_belongings){all.at + lo, end - lo};
}

int wr_belonging_items(wr_track_item **out, size_t *n, wr_arena *a, wr_belongings mine, wr_err *err)
{
    *out = wr_arena_alloc(a, (mine.n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < mine.n; i++) (*out)[i] = (wr_track_item){mine.at[i].key, mine.at[i].value};
    *n = mine.n;
    return 0;
}
