/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - events and the marks of their consumers, in the records database. */
#include "core/event.h"

#include "base/clock.h"
#include "base/vec.h"

typedef struct {
    const char *kind, *subject, *payload;
    int64_t id;
} add_arg;

static int add_fn(wr_db *db, void *arg, wr_err *err)
{
    add_arg *a = arg;
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s, "INSERT INTO events (time_us, kind, subject, payload) VALUES (?, ?, ?, ?)", err));
    wr_bind_i64(s, 1, wr_clock_wall_us());
    wr_bind_cstr(s, 2, a->kind);
    wr_bind_cstr(s, 3, a->subject);
    wr_bind_cstr(s, 4, a->payload ? a->payload : "{}");
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    a->id = wr_db_last_id(db);
    return rc < 0 ? rc : 0;
}

int wr_event_add(wr_project *p, const char *kind, const char *subject, const char *payload, int64_t *id, wr_err *err)
{
    wr_db *db;
    add_arg a = {kind, subject, payload, 0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_write(db, add_fn, &a, err));
    if (id) *id = a.id;
    return 0;
}

int wr_event_list(wr_event **out, size_t *n, wr_arena *a, wr_project *p, int64_t after, const char *kind, size_t limit,
                  wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_event) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s,
                         "SELECT id, time_us, kind, subject, payload FROM events WHERE id > ? AND (?2 IS NULL OR kind "
                         "= ?2) ORDER BY id LIMIT ?3",
                         err));
    wr_bind_i64(s, 1, after);
    wr_bind_cstr(s, 2, kind);
    wr_bind_i64(s, 3, limit ? (int64_t)limit : INT64_MAX);
    while ((rc = wr_step(s, err)) > 0) {
        wr_event e = {wr_stmt_i64(s, 0), wr_stmt_i64(s, 1), wr_arena_str(a, wr_stmt_str(s, 2)).p,
                      wr_arena_str(a, wr_stmt_str(s, 3)).p, wr_arena_str(a, wr_stmt_str(s, 4)).p};
        if ((rc = wr_vec_add(&rows, e, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}

int wr_event_acked(int64_t *out, wr_project *p, const char *consumer, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT id FROM event_acks WHERE consumer = ?", err));
    wr_bind_cstr(s, 1, consumer);
    int rc = wr_step(s, err);
    *out = rc > 0 ? wr_stmt_i64(s, 0) : 0;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

typedef struct {
    const char *consumer;
    int64_t id;
} ack_arg;

static int ack_fn(wr_db *db, void *arg, wr_err *err)
{
    ack_arg *a = arg;
    wr_stmt *s;
    WR_TRY(wr_db_prepare(db, &s,
                         "INSERT INTO event_acks (consumer, id) VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET id "
                         "= excluded.id WHERE excluded.id > event_acks.id",
                         err));
    wr_bind_cstr(s, 1, a->consumer);
    wr_bind_i64(s, 2, a->id);
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_event_ack(wr_project *p, const char *consumer, int64_t id, wr_err *err)
{
    wr_db *db;
    ack_arg a = {consumer, id};
    WR_TRY(wr_project_db(&db, p, err));
    return wr_db_write(db, ack_fn, &a, err);
}
