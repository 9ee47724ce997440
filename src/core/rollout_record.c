/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_record.c - rollouts in the records database: what they are and how far they have come. */
#include "base/clock.h"
#include "core/rollout.h"

const char wr_rollout_schema[] =
    "CREATE TABLE rollouts (endpoint TEXT PRIMARY KEY, spec TEXT NOT NULL, state TEXT NOT NULL, declared TEXT NOT NULL,"
    "  updated_us INTEGER NOT NULL);";

int wr_rollout_record_get(wr_rollout_record *out, wr_arena *a, wr_project *p, const char *endpoint, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT spec, state, declared, updated_us FROM rollouts WHERE endpoint = ?", err));
    wr_bind_cstr(s, 1, endpoint);
    int rc = wr_step(s, err);
    if (rc > 0)
        *out =
            (wr_rollout_record){wr_stmt_text(a, s, 0), wr_stmt_text(a, s, 1), wr_stmt_text(a, s, 2), wr_stmt_i64(s, 3)};
    wr_stmt_done(s);
    if (rc > 0) return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
    return rc < 0 ? rc : wr_err_set(err, WEIR_ENOTFOUND, "endpoint \"%s\" has no rollout", endpoint);
}

typedef struct {
    const char *endpoint;
    const wr_rollout_record *r;
} put_arg;

static int put_fn(wr_db *db, void *arg, wr_err *err)
{
    const put_arg *p = arg;
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s,
                         "INSERT INTO rollouts (endpoint, spec, state, declared, updated_us) VALUES (?, ?, ?, ?, ?)"
                         " ON CONFLICT (endpoint) DO UPDATE SET spec = excluded.spec, state = excluded.state,"
                         " declared = excluded.declared, updated_us = excluded.updated_us",
                         err));
    wr_bind_cstr(s, 1, p->endpoint);
    wr_bind_str(s, 2, p->r->spec);
    wr_bind_str(s, 3, p->r->state);
    wr_bind_str(s, 4, p->r->declared);
    wr_bind_i64(s, 5, wr_clock_wall_us());
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_rollout_record_put(wr_project *p, const char *endpoint, const wr_rollout_record *r, wr_err *err)
{
    wr_db *db;
    put_arg arg = {endpoint, r};
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, put_fn, &arg, err);
}
