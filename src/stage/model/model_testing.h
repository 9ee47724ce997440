/* SPDX-License-Identifier: Apache-2.0 */
/* model_testing.h - for the tests of this room: a small project whose label can be learned.
 *
 * Dataset rides: 4,000 rows, one each ten minutes from 2001-01-01 on; delay grows with x and with the place; known half an hour later. */
#pragma once
#include "core/core_testing.h"

#include "base/clock.h"
#include "stage/model/evaluate.h"
#include "stage/model/feature.h"
#include "stage/model/train.h"

#define RIDES                                                                                                          \
    "SELECT TIMESTAMP '2001-01-01' + to_minutes(i * 10) AS t, chr((65 + i * 7919 % 4)::INTEGER) AS place,"             \
    " (i * 7907 % 1000) / 1000.0::DOUBLE AS x, ((i * 7907 % 1000) / 40 + (i * 7919 % 4) * 4 + i * 104729 % 13)::BIGINT" \
    " AS delay, (i % 5 - 2) / 2.0::DOUBLE AS half FROM range(4000) r(i)"

#define VIEW                                                                                                           \
    "name: rides_features\nsource: rides\ntime: t\nkeep: [delay, half]\nlabel: {name: late, of: delay, above: 22}\n"   \
    "known_at: t + INTERVAL 30 MINUTE\n"                                                                               \
    "events:\n  source: rides\n  time: t + INTERVAL 30 MINUTE\n"                                                       \
    "  values: {delay: {of: delay}, late: {of: delay, above: 22}}\n"                                                   \
    "features:\n  - {name: minute, op: minute_of_day, of: t}\n  - {name: x, op: number, of: x}\n"                      \
    "  - {name: place, op: category, of: place}\n  - {name: late_2h, op: share, of: late, key: place, over: 2h}\n"     \
    "  - {name: delay_2h, op: mean, of: delay, over: 2h}\n  - {name: rides_2h, op: count, key: place, over: 2h}\n"

#define TRAIN                                                                                                          \
    "model: delay\nview: features.yaml\nrows: SELECT * FROM rides_features\n"                                          \
    "train: {from: 2001-01-01, until: 2001-01-18}\nvalid: {from: 2001-01-18, until: 2001-01-23}\n"                     \
    "learner: {name: trees, rounds: 40, leaves: 15, learning_rate: 0.2, min_child_weight: 5, early_stop: 5, seed: 1}\n"

static inline wr_run *begin(place *s, const char *kind)
{
    wr_run *r = NULL;
    wr_run_opt opt = {kind, "other", "test", "test"};
    OK(wr_run_begin(&r, s->p, &opt, &s->err));
    return r;
}

static inline wr_view *load_view(place *s, const char *file)
{
    wr_view *v = NULL;
    OK(wr_view_load(&v, s->a, at(s, file), &s->err));
    return v;
}

static inline wr_feature_built build(place *s, const char *file, int threads)
{
    wr_feature_built b;
    wr_pool *pool = wr_pool_new(threads);
    wr_run *r = begin(s, "build");
    OK(wr_feature_build(&b, s->p, load_view(s, file), pool, r, &s->err));
    OK(wr_run_end(r, 0, NULL, &s->err));
    wr_pool_free(pool);
    return b;
}

/* Train by a specification; the error code. */
static inline int train(wr_trained *out, place *s, const char *spec, int threads)
{
    wr_train_spec t;
    s->err = (wr_err){0};
    put(s, "train.yaml", spec);
    WR_TRY(wr_train_spec_load(&t, s->a, "train.yaml", s->dir, &s->err));
    wr_pool *pool = wr_pool_new(threads);
    wr_run *r = begin(s, "train");
    int rc = wr_train(out, s->a, s->p, &t, pool, r, NULL, NULL, &s->err);
    wr_err end = {0};
    assert_int_equal(wr_run_end(r, rc, &s->err, &end), 0);
    wr_pool_free(pool);
    return rc;
}

static inline int make_rides(void **state)
{
    if (make_place(state) < 0) return -1;
    place *s = *state;
    put(s, "features.yaml", VIEW);
    write_rows(s, "rides", WR_DELTA_OVERWRITE, RIDES);
    return 0;
}

static inline int make_features(void **state)
{
    if (make_rides(state) < 0) return -1;
    build(*state, "features.yaml", 1);
    return 0;
}
