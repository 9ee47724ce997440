/* SPDX-License-Identifier: Apache-2.0 */
/* study.h - hyper-parameter studies and their trials, with the meaning that Optuna's storages give them (optuna.storages.BaseStorage).
 *
 * A study has a unique name and one direction an objective. Its trials are numbered 0, 1, 2, ... without gaps; ids of trials grow with
 * their numbers, so that "all above this id" finds what is new. A trial is RUNNING or WAITING until it is COMPLETE, PRUNED or FAIL; from
 * then on nothing of it changes (WEIR_ECONFLICT). A WAITING trial is claimed by setting it RUNNING: one caller succeeds.
 * All distributions of a parameter in a study are of one kind: same class, same `log`, same choices (else WEIR_EINVAL).
 * What does not exist is WEIR_ENOTFOUND. Attributes and distributions are JSON as Python writes it (NaN and Infinity are numbers).
 */
#pragma once
#include "track/track.h"

typedef enum {
    WR_TRIAL_RUNNING = 0, /* the numbers of Optuna */
    WR_TRIAL_COMPLETE = 1,
    WR_TRIAL_PRUNED = 2,
    WR_TRIAL_FAIL = 3,
    WR_TRIAL_WAITING = 4,
} wr_trial_state;
static inline bool wr_trial_finished(wr_trial_state s) { return s != WR_TRIAL_RUNNING && s != WR_TRIAL_WAITING; }
const char *wr_trial_state_name(wr_trial_state s); /* "running" */

/* `value` is the internal one: an index for a categorical, the number itself for others. */
typedef struct {
    wr_str name, distribution;
    double value;
} wr_trial_param;

typedef struct {
    int64_t step;
    double value;
} wr_trial_step;

enum { WR_STUDY_OBJECTIVES = 64 };
#define WR_TRIAL_NEVER INT64_MIN /* no time */
typedef struct {
    int64_t id, number, study;
    wr_trial_state state;
    int64_t start_us, end_us;
    double *values;
    wr_trial_param *params;
    wr_trial_step *steps; /* intermediate values, by step */
    wr_track_item *user, *system;
    size_t nvalues, nparams, nsteps, nuser, nsystem;
} wr_trial;

typedef struct {
    int64_t id, ntrials, created_ms;
    wr_str name;
    bool maximize[WR_STUDY_OBJECTIVES];
    size_t nobjectives;
    wr_track_item *user, *system;
    size_t nuser, nsystem;
} wr_study;

/* ---- in a write ---- */

int wr_study_create(int64_t *out, wr_track *t, wr_str name, const bool *maximize, size_t n, wr_err *err); /* WEIR_EEXIST */
int wr_study_delete(wr_track *t, int64_t study, wr_err *err);
int wr_study_set_attr(wr_track *t, int64_t study, bool system, wr_str key, wr_str json, wr_err *err);
/* `like` gives state and contents (not id, number, study); NULL: RUNNING since now. */
int wr_trial_create(int64_t *out, wr_track *t, int64_t study, const wr_trial *like, wr_err *err);
int wr_trial_set_param(wr_track *t, int64_t trial, const wr_trial_param *p, wr_err *err);
/* *changed false: it was to be RUNNING and is not WAITING. n = 0 leaves the values. */
int wr_trial_set_state(bool *changed, wr_track *t, int64_t trial, wr_trial_state state, const double *values, size_t n, wr_err *err);
int wr_trial_set_step(wr_track *t, int64_t trial, int64_t step, double value, wr_err *err);
int wr_trial_set_attr(wr_track *t, int64_t trial, bool system, wr_str key, wr_str json, wr_err *err);
/* Times of an imported trial; WR_TRIAL_NEVER leaves one. */
int wr_trial_set_times(wr_track *t, int64_t trial, int64_t start_us, int64_t end_us, wr_err *err);

/* ---- readers ---- */

int wr_study_find(int64_t *out, wr_track *t, wr_str name, wr_err *err);
int wr_study_get(wr_study *out, wr_arena *a, wr_track *t, int64_t study, wr_err *err);
int wr_study_all(wr_study **out, size_t *n, wr_arena *a, wr_track *t, wr_err *err); /* by id */
int wr_trial_find(int64_t *out, wr_track *t, int64_t study, int64_t number, wr_err *err);
int wr_trial_get(wr_trial *out, wr_arena *a, wr_track *t, int64_t trial, wr_err *err);
/* Trials of a study with an id above `after`, and those named in `also`; by number. */
int wr_study_trials(wr_trial **out, size_t *n, wr_arena *a, wr_track *t, int64_t study, int64_t after, const int64_t *also, size_t nalso,
                    wr_err *err);

/* ---- JSON as Python writes it ---- */

int wr_study_json_ok(wr_str json, const char *what, wr_err *err);
/* May both be distributions of one parameter? `fresh` must be one at all; `first` is known to be. */
int wr_study_compatible(wr_str first, wr_str fresh, wr_err *err);
int wr_study_distribution_ok(wr_str json, wr_err *err);

/* Naive local time of Python: "2026-01-31 13:05:07.250000", or with "T". */
enum { WR_STUDY_TIME_TEXT = 32 };
int wr_study_local_parse(int64_t *out_us, wr_str text, wr_err *err);
void wr_study_local_text(char out[WR_STUDY_TIME_TEXT], int64_t us);
