/* SPDX-License-Identifier: Apache-2.0 */
/* track_testing.h - for tests of this room and the rooms above: a tracking store in a temporary folder. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "store/pg_testing.h"
#include "track/experiment.h"
#include "track/run.h"
#include "track/schema.h"

typedef struct {
    char dir[64], path[WR_PG_TESTING_URL];
    wr_arena *a;
    wr_db *db;
    wr_track *t;
    wr_err err;
} store;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        s->err = (wr_err){0};                                                                                          \
        if ((call) < 0) fail_msg("%s:%d: %s (%s) %s", __FILE__, __LINE__, s->err.msg, s->err.detail, s->err.hint);     \
    } while (0)
/* A call that must fail with this code and say this. */
#define FAILS(code, part, call)                                                                                        \
    do {                                                                                                               \
        s->err = (wr_err){0};                                                                                          \
        assert_int_equal((call), (code));                                                                              \
        if (!strstr(s->err.msg, part))                                                                                 \
            fail_msg("%s:%d: \"%s\" does not say \"%s\"", __FILE__, __LINE__, s->err.msg, part);                       \
    } while (0)
/* The body of a test that changes things runs inside one write. */
typedef void (*store_body)(store *s);
static inline int store_body_fn(wr_track *t, void *arg, wr_err *err)
{
    (void)t, (void)err;
    store *s = ((void **)arg)[0];
    (*(store_body *)((void **)arg)[1])(s);
    return 0;
}
static inline void store_write(store *s, store_body body)
{
    void *arg[] = {s, &body};
    OK(wr_track_write(s->t, store_body_fn, arg, &s->err));
}

/* One statement, in a write. */
static inline int store_sql_fn(wr_track *t, void *arg, wr_err *err) { return wr_db_exec(wr_track_db(t), arg, err); }
static inline void store_sql(store *s, const char *sql)
{
    OK(wr_track_write(s->t, store_sql_fn, (void *)(uintptr_t)sql, &s->err));
}

static inline void store_open(store *s)
{
    wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    OK(wr_db_open(&s->db, s->path, &opt, &s->err));
    OK(wr_track_open(&s->t, s->db, &(wr_track_opt){0}, &s->err));
}

static inline void store_close(store *s)
{
    wr_track_close(s->t);
    wr_db_close(s->db);
}

static inline int store_setup(void **state)
{
    static store place;
    store *s = &place;
    *s = (store){.dir = "/tmp/weir-track-XXXXXX"};
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%.63s/records.db", s->dir);
    assert_int_equal(wr_pg_testing_wanted(s->path, sizeof s->path), 0);
    s->a = wr_arena_new(0);
    store_open(s);
    *state = s;
    return 0;
}

static inline int store_teardown(void **state)
{
    store *s = *state;
    store_close(s);
    wr_arena_free(s->a);
    return wr_file_remove_tree(s->dir, NULL);
}
