/* SPDX-License-Identifier: Apache-2.0 */
/* track_inside.h - what the files of this room share. Private to track/. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "base/vec.h"
#include "track/registry.h"

typedef struct wr_metric_state wr_metric_state; /* metric_inside.h: log, memory table */

struct wr_track {
    wr_db *db;
    char *artifacts;
    wr_metric_state *metric;   /* NULL without a log to write or to look at */
    pthread_mutex_t keys_lock; /* guards what follows; rank 2 */
    wr_map keys;               /* name -> id as pointer; committed ones only */
    WR_VEC(wr_str) key_names;  /* by id; p NULL = not seen yet */
    wr_arena *key_memory;
    _Atomic unsigned webhook_allow; /* webhook.h */
    atomic_bool webhook_stirred;
    wr_arena *policy_memory; /* registry_policy.h */
    const struct wr_registered_policy *policies;
    size_t npolicies;
    int (*judge)(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err); /* NULL = none */
    void *judge_ctx;
};

/* metric.c */
int wr_metric_open(wr_track *t, const wr_track_opt *opt, wr_err *err);
void wr_metric_close(wr_track *t);
/* A write that called wr_metric_forget_run() is over: committed, or rolled back. Before its caller hears of it. */
void wr_metric_forgotten(wr_track *t);
/* In a write: wr_metric_forgotten() is called at its end. */
void wr_track_forget_at_end(void);

/* One statement. `kinds` has a letter for each parameter and argument: 'i' int64_t, 's' wr_str (p NULL binds NULL), 'f'
 * double. Returns the number of rows it gave (RETURNING tells whether an UPDATE met one), or a negative code. */
int wr_track_exec(wr_track *t, wr_err *err, const char *sql, const char *kinds, ...);
/* The same, prepared and bound, for reading rows: step it, then wr_stmt_done(). */
int wr_track_query(wr_stmt **out, wr_track *t, wr_err *err, const char *sql, const char *kinds, ...);
/* First column of the first row; `none` without one or when it is NULL. */
int wr_track_number(int64_t *out, int64_t none, wr_track *t, wr_err *err, const char *sql, const char *kinds, ...);

/* Id of a key if it is at hand without asking, else 0. */
int64_t wr_track_key_known(wr_track *t, wr_str name);

/* Tags and the like: rows of (key, value) texts into the arena. Takes over `s`. */
int wr_track_items(wr_track_item **out, size_t *n, wr_arena *a, wr_stmt *s, wr_err *err);
