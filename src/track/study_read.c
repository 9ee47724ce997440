/* SPDX-License-Identifier: Apache-2.0 */
/* study_read.c - studies and trials out of their tables.
 *
 * Trials of a range of ids are read with one statement a table, each in order of trial, and put together in one pass.
 * The trials' own rows come first: whoever is seen there as finished has all its parts in the tables already. */
#include <stdlib.h>

#include "base/num.h"
#include "track/study.h"
#include "track/track_inside.h"

enum { ALSO_EACH = 64 }; /* more of them are found faster by reading the range */

/* ---- studies ---- */

int wr_study_find(int64_t *out, wr_track *t, wr_str name, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM studies WHERE name = ?", "s", name));
    if (*out) return 0;
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no study '%.*s'", WR_STR_FMT(wr_str_fit(name, 200)));
}

static int attrs_of(wr_track_item **out, size_t *n, wr_arena *a, wr_track *t, int64_t study, bool system, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT key, value FROM study_attrs WHERE study = ? AND system = ? ORDER BY key",
                          "ii", study, (int64_t)system));
    return wr_track_items(out, n, a, s, err);
}

static int study_row(wr_study *out, wr_arena *a, wr_stmt *s, wr_err *err)
{
    *out = (wr_study){.id = wr_stmt_i64(s, 0), .ntrials = wr_stmt_i64(s, 3), .created_ms = wr_stmt_i64(s, 4)};
    out->name = wr_arena_str(a, wr_stmt_str(s, 1));
    wr_str directions = wr_stmt_str(s, 2);
    out->nobjectives = directions.n < WR_STUDY_OBJECTIVES ? directions.n : WR_STUDY_OBJECTIVES;
    for (size_t i = 0; i < out->nobjectives; i++) out->maximize[i] = directions.p[i] == '1';
    return out->name.p ? 0 : wr_err_nomem(err);
}

static int study_attrs(wr_study *out, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_TRY(attrs_of(&out->user, &out->nuser, a, t, out->id, false, err));
    return attrs_of(&out->system, &out->nsystem, a, t, out->id, true, err);
}

#define STUDY_COLUMNS "SELECT id, name, directions, trials, created_ms FROM studies"

int wr_study_get(wr_study *out, wr_arena *a, wr_track *t, int64_t study, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, STUDY_COLUMNS " WHERE id = ?", "i", study));
    int rc = wr_step(s, err), row = rc > 0 ? study_row(out, a, s, err) : 0;
    wr_stmt_done(s);
    if (rc < 0 || row < 0) return rc < 0 ? rc : row;
    if (rc == 0) return wr_err_set(err, WEIR_ENOTFOUND, "there is no study with id '%lld'", (long long)study);
    return study_attrs(out, a, t, err);
}

int wr_study_all(wr_study **out, size_t *n, wr_arena *a, wr_track *t, wr_err *err)
{
    WR_VEC(wr_study) all = {0};
    wr_stmt *s;
    int rc;
    *n = 0;
    WR_TRY(wr_track_query(&s, t, err, STUDY_COLUMNS " ORDER BY id", ""));
    while ((rc = wr_step(s, err)) > 0) {
        wr_study one;
        rc = study_row(&one, a, s, err);
        if (rc == 0) rc = wr_vec_add(&all, one, err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    for (size_t i = 0; rc >= 0 && i < all.n; i++) rc = study_attrs(&all.at[i], a, t, err);
    return wr_vec_keep(out, n, a, &all, rc, err);
}

/* ---- trials ---- */

typedef struct {
    WR_VEC(wr_trial) trials;
    WR_VEC(wr_trial_param) params;
    WR_VEC(wr_trial_step) steps;
    WR_VEC(wr_track_item) user, system;
    wr_arena *arena;
    wr_track *t;
    int64_t study, from, to; /* ids, both included */
} loader;

static void loader_fini(loader *l)
{
    wr_vec_fini(&l->trials);
    wr_vec_fini(&l->params);
    wr_vec_fini(&l->steps);
    wr_vec_fini(&l->user);
    wr_vec_fini(&l->system);
}

static int values_of(wr_trial *out, wr_arena *a, wr_str text, wr_err *err)
{
    size_t n = text.n ? 1 : 0;
    for (size_t i = 0; i < text.n; i++) n += text.p[i] == ' ';
    out->values = wr_arena_calloc(a, n ? n : 1, sizeof *out->values);
    if (!out->values) return wr_err_nomem(err);
    for (; out->nvalues < n; out->nvalues++) {
        wr_str one = wr_str_cut(&text, ' ');
        WR_TRY(wr_num_f64(&out->values[out->nvalues], one, err));
    }
    return 0;
}

static int64_t time_of(wr_stmt *s, int at) { return wr_stmt_null(s, at) ? WR_TRIAL_NEVER : wr_stmt_i64(s, at); }

static int read_rows(loader *l, wr_err *err)
{
    wr_stmt *s;
    int rc;
    WR_TRY(wr_track_query(
        &s, l->t, err,
        "SELECT id, number, state, start_us, end_us, vals FROM study_trials WHERE study = ? AND id >= ? AND id <= ?"
        " ORDER BY id",
        "iii", l->study, l->from, l->to));
    while ((rc = wr_step(s, err)) > 0) {
        wr_trial one = {.id = wr_stmt_i64(s, 0), .number = wr_stmt_i64(s, 1), .study = l->study};
        one.state = (wr_trial_state)wr_stmt_i64(s, 2);
        one.start_us = time_of(s, 3);
        one.end_us = time_of(s, 4);
        rc = values_of(&one, l->arena, wr_stmt_str(s, 5), err);
        if (rc == 0) rc = wr_vec_add(&l->trials, one, err);
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

/* One table's rows, whose first column is the trial; `take` keeps a row for it. */
static int read_parts(loader *l, const char *sql, int (*take)(loader *l, wr_trial *to, wr_stmt *s, wr_err *err),
                      wr_err *err)
{
    wr_stmt *s;
    size_t at = 0;
    int rc;
    WR_TRY(wr_track_query(&s, l->t, err, sql, "iii", l->study, l->from, l->to));
    while ((rc = wr_step(s, err)) > 0) {
        int64_t trial = wr_stmt_i64(s, 0);
        while (at < l->trials.n && l->trials.at[at].id < trial) at++;
        if (at == l->trials.n) break;
        if (l->trials.at[at].id == trial) rc = take(l, &l->trials.at[at], s, err); /* else it came after read_rows() */
        if (rc < 0) break;
    }
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

static int take_param(loader *l, wr_trial *to, wr_stmt *s, wr_err *err)
{
    wr_trial_param p = {.value = wr_stmt_f64(s, 2)};
    p.name = wr_arena_str(l->arena, wr_stmt_str(s, 1));
    p.distribution = wr_arena_str(l->arena, wr_stmt_str(s, 3));
    to->nparams++;
    return p.name.p && p.distribution.p && wr_vec_push(&l->params, p) == 0 ? 0 : wr_err_nomem(err);
}

static int take_step(loader *l, wr_trial *to, wr_stmt *s, wr_err *err)
{
    wr_trial_step v = {wr_stmt_i64(s, 1), wr_stmt_f64(s, 2)};
    to->nsteps++;
    return wr_vec_push(&l->steps, v) == 0 ? 0 : wr_err_nomem(err);
}

static int take_attr(loader *l, wr_trial *to, wr_stmt *s, wr_err *err)
{
    bool system = wr_stmt_i64(s, 1) != 0;
    wr_track_item i = {wr_arena_str(l->arena, wr_stmt_str(s, 2)), wr_arena_str(l->arena, wr_stmt_str(s, 3))};
    *(system ? &to->nsystem : &to->nuser) += 1;
    int rc = system ? wr_vec_push(&l->system, i) : wr_vec_push(&l->user, i);
    return rc == 0 && i.key.p && i.value.p ? 0 : wr_err_nomem(err);
}

/* The rows were kept in order of trial: every trial gets its stretch of them. */
static int hand_out(loader *l, wr_err *err)
{
    wr_trial_param *params = wr_arena_dup(l->arena, l->params.at, l->params.n * sizeof *params);
    wr_trial_step *steps = wr_arena_dup(l->arena, l->steps.at, l->steps.n * sizeof *steps);
    wr_track_item *user = wr_arena_dup(l->arena, l->user.at, l->user.n * sizeof *user);
    wr_track_item *system = wr_arena_dup(l->arena, l->system.at, l->system.n * sizeof *system);
    if (!params || !steps || !user || !system) return wr_err_nomem(err);
    for (size_t i = 0; i < l->trials.n; i++) {
        wr_trial *one = &l->trials.at[i];
        one->params = params;
        one->steps = steps;
        one->user = user;
        one->system = system;
        params += one->nparams;
        steps += one->nsteps;
        user += one->nuser;
        system += one->nsystem;
    }
    return 0;
}

static int read_all(loader *l, wr_err *err)
{
    WR_TRY(read_rows(l, err));
    if (l->trials.n == 0) return 0;
    WR_TRY(read_parts(
        l,
        "SELECT p.trial, p.name, p.value, d.distribution FROM study_params p JOIN study_spaces d ON d.id = p.space"
        " WHERE p.study = ? AND p.trial >= ? AND p.trial <= ? ORDER BY p.trial, p.name",
        take_param, err));
    WR_TRY(read_parts(
        l,
        "SELECT trial, step, value FROM study_steps WHERE study = ? AND trial >= ? AND trial <= ? ORDER BY trial, step",
        take_step, err));
    WR_TRY(read_parts(
        l,
        "SELECT trial, system, key, value FROM study_trial_attrs WHERE study = ? AND trial >= ? AND trial <= ?"
        " ORDER BY trial, system, key",
        take_attr, err));
    return hand_out(l, err);
}

typedef WR_VEC(wr_trial) trials;

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Adds the trials of a range of ids; with `only`, those of it alone. */
static int append(trials *all, wr_arena *a, wr_track *t, int64_t study, int64_t from, int64_t to, const int64_t *only,
                  size_t nonly, wr_err *err)
{
    loader l = {.arena = a, .t = t, .study = study, .from = from, .to = to};
    int rc = read_all(&l, err);
    for (size_t i = 0; rc == 0 && i < l.trials.n; i++) {
        if (only && !bsearch(&l.trials.at[i].id, only, nonly, sizeof *only, by_id)) continue;
        rc = wr_vec_add(all, l.trials.at[i], err);
    }
    loader_fini(&l);
    return rc;
}

static int append_also(trials *all, wr_arena *a, wr_track *t, int64_t study, int64_t after, const int64_t *also,
                       size_t n, wr_err *err)
{
    int64_t *ids = wr_arena_dup(a, also, n * sizeof *ids);
    if (!ids) return wr_err_nomem(err);
    qsort(ids, n, sizeof *ids, by_id);
    if (n > ALSO_EACH) return append(all, a, t, study, ids[0], ids[n - 1] < after ? ids[n - 1] : after, ids, n, err);
    for (size_t i = 0; i < n && ids[i] <= after; i++) {
        if (i && ids[i] == ids[i - 1]) continue;
        WR_TRY(append(all, a, t, study, ids[i], ids[i], NULL, 0, err));
    }
    return 0;
}

int wr_study_trials(wr_trial **out, size_t *n, wr_arena *a, wr_track *t, int64_t study, int64_t after,
                    const int64_t *also, size_t nalso, wr_err *err)
{
    int64_t id;
    trials all = {0};
    *n = 0;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM studies WHERE id = ?", "i", study));
    if (!id) return wr_err_set(err, WEIR_ENOTFOUND, "there is no study with id '%lld'", (long long)study);
    int rc = nalso ? append_also(&all, a, t, study, after, also, nalso, err) : 0;
    if (rc == 0 && after < INT64_MAX) rc = append(&all, a, t, study, after + 1, INT64_MAX, NULL, 0, err);
    return wr_vec_keep(out, n, a, &all, rc, err);
}

int wr_trial_find(int64_t *out, wr_track *t, int64_t study, int64_t number, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err, "SELECT id FROM study_trials WHERE study = ? AND number = ?", "ii", study,
                           number));
    if (*out) return 0;
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no trial number '%lld' in the study with id '%lld'",
                      (long long)number, (long long)study);
}

int wr_trial_get(wr_trial *out, wr_arena *a, wr_track *t, int64_t trial, wr_err *err)
{
    int64_t study;
    trials all = {0};
    WR_TRY(wr_track_number(&study, 0, t, err, "SELECT study FROM study_trials WHERE id = ?", "i", trial));
    int rc = study ? append(&all, a, t, study, trial, trial, NULL, 0, err) : 0;
    if (rc == 0 && all.n) *out = all.at[0];
    else if (rc == 0) rc = wr_err_set(err, WEIR_ENOTFOUND, "there is no trial with id '%lld'", (long long)trial);
    wr_vec_fini(&all);
    return rc;
}
