/* SPDX-License-Identifier: Apache-2.0 */
/* study.c - changing studies and trials.
 *
 * The study's row counts its trials: the number of a new one is taken there, under its lock, and with it the id; so ids
 * and numbers grow together even when several servers write. Distributions are interned (study_spaces): most trials
 * repeat the same few, and one that is known needs no look at its JSON. */
#include "track/study.h"

#include "base/clock.h"
#include "track/track_inside.h"

enum { NAME_MAX_BYTES = 4096 };

static const char *const state_names[] = {"running", "complete", "pruned", "fail", "waiting"};

const char *wr_trial_state_name(wr_trial_state s) { return s <= WR_TRIAL_WAITING ? state_names[s] : "unknown"; }

/* ---- studies ---- */

static int name_ok(wr_str name, const char *what, wr_err *err)
{
    if (name.n > NAME_MAX_BYTES)
        return wr_err_set(err, WEIR_EINVAL, "the %s has more than %d bytes", what, NAME_MAX_BYTES);
    if (memchr(name.n ? name.p : "", 0, name.n))
        return wr_err_set(err, WEIR_EINVAL, "the %s contains a NUL byte", what);
    return 0;
}

static int name_taken(wr_str name, wr_err *err)
{
    wr_str shown = wr_str_fit(name, 200);
    return wr_err_set(err, WEIR_EEXIST, "a study '%.*s' already exists", WR_STR_FMT(shown));
}

int wr_study_create(int64_t *out, wr_track *t, wr_str name, const bool *maximize, size_t n, wr_err *err)
{
    char directions[WR_STUDY_OBJECTIVES];
    if (n == 0 || n > WR_STUDY_OBJECTIVES)
        return wr_err_set(err, WEIR_EINVAL, "a study has 1 to %d directions, not '%zu'", WR_STUDY_OBJECTIVES, n);
    WR_TRY(name_ok(name, "name of the study", err));
    for (size_t i = 0; i < n; i++) directions[i] = maximize[i] ? '1' : '0';
    if (wr_study_find(out, t, name, NULL) == 0) return name_taken(name, err);
    int rc = wr_track_number(out, 0, t, err,
                             "INSERT INTO studies (name, directions, trials, created_ms) VALUES (?, ?, 0, ?) ON "
                             "CONFLICT DO NOTHING RETURNING id",
                             "ssi", name, (wr_str){directions, n}, wr_track_now_ms());
    if (rc < 0) return rc;
    return *out ? 0 : name_taken(name, err); /* by another server, just now */
}

static int no_study(int64_t study, wr_err *err)
{
    return wr_err_set(err, WEIR_ENOTFOUND, "there is no study with id '%lld'", (long long)study);
}

static int study_exists(wr_track *t, int64_t study, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_track_number(&id, 0, t, err, "SELECT id FROM studies WHERE id = ?", "i", study));
    return id ? 0 : no_study(study, err);
}

int wr_study_delete(wr_track *t, int64_t study, wr_err *err)
{
    static const char *const parts[] = {
        "DELETE FROM study_trials WHERE study = ?",      "DELETE FROM study_params WHERE study = ?",
        "DELETE FROM study_spaces WHERE study = ?",      "DELETE FROM study_steps WHERE study = ?",
        "DELETE FROM study_trial_attrs WHERE study = ?", "DELETE FROM study_attrs WHERE study = ?",
    };
    int rows = wr_track_exec(t, err, "DELETE FROM studies WHERE id = ? RETURNING id", "i", study);
    if (rows == 0) return no_study(study, err);
    for (size_t i = 0; rows > 0 && i < sizeof parts / sizeof *parts; i++)
        WR_TRY(wr_track_exec(t, err, parts[i], "i", study));
    return rows < 0 ? rows : 0;
}

static int attr_ok(wr_str key, wr_str json, wr_err *err)
{
    WR_TRY(name_ok(key, "key of the attribute", err));
    return wr_study_json_ok(json, "value of the attribute", err);
}

int wr_study_set_attr(wr_track *t, int64_t study, bool system, wr_str key, wr_str json, wr_err *err)
{
    WR_TRY(attr_ok(key, json, err));
    WR_TRY(study_exists(t, study, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO study_attrs (study, system, key, value) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT (study, system, key) DO UPDATE SET value = excluded.value",
                           "iiss", study, (int64_t)system, key, json);
    return rc < 0 ? rc : 0;
}

/* ---- trials ---- */

typedef struct {
    int64_t study, number;
    wr_trial_state state;
} trial_row;

static int trial_row_of(trial_row *out, wr_track *t, int64_t trial, wr_err *err)
{
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT study, number, state FROM study_trials WHERE id = ?", "i", trial));
    int rc = wr_step(s, err);
    if (rc > 0) *out = (trial_row){wr_stmt_i64(s, 0), wr_stmt_i64(s, 1), (wr_trial_state)wr_stmt_i64(s, 2)};
    wr_stmt_done(s);
    if (rc == 0) return wr_err_set(err, WEIR_ENOTFOUND, "there is no trial with id '%lld'", (long long)trial);
    return rc < 0 ? rc : 0;
}

/* The row of a trial that may be changed. */
static int open_trial(trial_row *out, wr_track *t, int64_t trial, wr_err *err)
{
    WR_TRY(trial_row_of(out, t, trial, err));
    if (!wr_trial_finished(out->state)) return 0;
    return wr_err_set(err, WEIR_ECONFLICT, "trial '%lld' has already finished and can not be updated",
                      (long long)out->number);
}

/* Values as text, one column: "0.5 1e-3"; p NULL when there are none. */
static wr_str values_text(wr_buf *b, const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_char(b, ' ');
        wr_buf_f64(b, values[i]);
    }
    return n ? wr_buf_view(b) : (wr_str){0};
}

static int values_ok(size_t n, wr_err *err)
{
    if (n <= WR_STUDY_OBJECTIVES) return 0;
    return wr_err_set(err, WEIR_EINVAL, "a trial has at most %d values, not '%zu'", WR_STUDY_OBJECTIVES, n);
}

static int put_attr(wr_track *t, int64_t study, int64_t trial, bool system, wr_str key, wr_str json, wr_err *err)
{
    WR_TRY(attr_ok(key, json, err));
    int rc = wr_track_exec(t, err,
                           "INSERT INTO study_trial_attrs (study, trial, system, key, value) VALUES (?, ?, ?, ?, ?)"
                           " ON CONFLICT (study, trial, system, key) DO UPDATE SET value = excluded.value",
                           "iiiss", study, trial, (int64_t)system, key, json);
    return rc < 0 ? rc : 0;
}

static int put_step(wr_track *t, int64_t study, int64_t trial, int64_t step, double value, wr_err *err)
{
    int rc = wr_track_exec(t, err,
                           "INSERT INTO study_steps (study, trial, step, value) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT (study, trial, step) DO UPDATE SET value = excluded.value",
                           "iiif", study, trial, step, value);
    return rc < 0 ? rc : 0;
}

/* Id of a distribution of a parameter, after it was held against one that the study has. */
static int space_of(int64_t *out, wr_track *t, int64_t study, const wr_trial_param *p, wr_err *err)
{
    WR_TRY(wr_track_number(out, 0, t, err,
                           "SELECT id FROM study_spaces WHERE study = ? AND name = ? AND distribution = ?", "iss",
                           study, p->name, p->distribution));
    if (*out) return 0;
    wr_stmt *s;
    WR_TRY(wr_track_query(&s, t, err, "SELECT distribution FROM study_spaces WHERE study = ? AND name = ? LIMIT 1",
                          "is", study, p->name));
    int rc = wr_step(s, err);
    if (rc > 0) rc = wr_study_compatible(wr_stmt_str(s, 0), p->distribution, err);
    else if (rc == 0) rc = wr_study_distribution_ok(p->distribution, err);
    wr_stmt_done(s);
    if (rc < 0) return rc;
    return wr_track_number(out, 0, t, err,
                           "INSERT INTO study_spaces (study, name, distribution) VALUES (?, ?, ?) RETURNING id", "iss",
                           study, p->name, p->distribution);
}

static int put_param(wr_track *t, int64_t study, int64_t trial, const wr_trial_param *p, wr_err *err)
{
    int64_t space;
    WR_TRY(name_ok(p->name, "name of the parameter", err));
    WR_TRY(space_of(&space, t, study, p, err));
    int rc =
        wr_track_exec(t, err,
                      "INSERT INTO study_params (study, trial, name, value, space) VALUES (?, ?, ?, ?, ?)"
                      " ON CONFLICT (study, trial, name) DO UPDATE SET value = excluded.value, space = excluded.space",
                      "iisfi", study, trial, p->name, p->value, space);
    return rc < 0 ? rc : 0;
}

static int put_contents(wr_track *t, int64_t study, int64_t trial, const wr_trial *like, wr_err *err)
{
    for (size_t i = 0; i < like->nparams; i++) WR_TRY(put_param(t, study, trial, &like->params[i], err));
    for (size_t i = 0; i < like->nsteps; i++)
        WR_TRY(put_step(t, study, trial, like->steps[i].step, like->steps[i].value, err));
    for (size_t i = 0; i < like->nuser; i++)
        WR_TRY(put_attr(t, study, trial, false, like->user[i].key, like->user[i].value, err));
    for (size_t i = 0; i < like->nsystem; i++)
        WR_TRY(put_attr(t, study, trial, true, like->system[i].key, like->system[i].value, err));
    return 0;
}

static void bind_time(wr_stmt *s, int at, int64_t us)
{
    if (us == WR_TRIAL_NEVER) wr_bind_cstr(s, at, NULL);
    else wr_bind_i64(s, at, us);
}

static int insert_trial(int64_t *out, wr_track *t, const trial_row *row, const wr_trial *like, wr_err *err)
{
    wr_stmt *s;
    WR_AUTOBUF wr_buf text = {0};
    wr_str values = values_text(&text, like->values, like->nvalues);
    if (text.failed) return wr_err_nomem(err);
    WR_TRY(wr_track_query(&s, t, err,
                          "INSERT INTO study_trials (study, number, state, vals, start_us, end_us) VALUES (?, ?, ?, ?, "
                          "?, ?) RETURNING id",
                          "iiis", row->study, row->number, (int64_t)row->state, values));
    bind_time(s, 5, like->start_us);
    bind_time(s, 6, like->end_us);
    int rc = wr_step(s, err);
    *out = rc > 0 ? wr_stmt_i64(s, 0) : 0;
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_trial_create(int64_t *out, wr_track *t, int64_t study, const wr_trial *like, wr_err *err)
{
    int64_t count;
    wr_trial fresh = {.state = WR_TRIAL_RUNNING, .start_us = wr_clock_wall_us(), .end_us = WR_TRIAL_NEVER};
    if (!like) like = &fresh;
    WR_TRY(values_ok(like->nvalues, err));
    WR_TRY(wr_track_number(&count, 0, t, err, "UPDATE studies SET trials = trials + 1 WHERE id = ? RETURNING trials",
                           "i", study));
    if (count == 0) return no_study(study, err);
    trial_row row = {.study = study, .number = count - 1, .state = like->state};
    WR_TRY(insert_trial(out, t, &row, like, err));
    return put_contents(t, study, *out, like, err);
}

int wr_trial_set_param(wr_track *t, int64_t trial, const wr_trial_param *p, wr_err *err)
{
    trial_row row;
    WR_TRY(open_trial(&row, t, trial, err));
    return put_param(t, row.study, trial, p, err);
}

int wr_trial_set_step(wr_track *t, int64_t trial, int64_t step, double value, wr_err *err)
{
    trial_row row;
    WR_TRY(open_trial(&row, t, trial, err));
    return put_step(t, row.study, trial, step, value, err);
}

int wr_trial_set_attr(wr_track *t, int64_t trial, bool system, wr_str key, wr_str json, wr_err *err)
{
    trial_row row;
    WR_TRY(open_trial(&row, t, trial, err));
    return put_attr(t, row.study, trial, system, key, json, err);
}

int wr_trial_set_state(bool *changed, wr_track *t, int64_t trial, wr_trial_state state, const double *values, size_t n,
                       wr_err *err)
{
    trial_row row;
    WR_AUTOBUF wr_buf text = {0};
    WR_TRY(values_ok(n, err));
    wr_str vals = values_text(&text, values, n);
    if (text.failed) return wr_err_nomem(err);
    int rows;
    /* One statement decides, so that of several servers one wins: only WAITING becomes RUNNING, nothing leaves a final
     * state. */
    if (state == WR_TRIAL_RUNNING)
        rows = wr_track_exec(t, err,
                             "UPDATE study_trials SET state = 0, vals = coalesce(?, vals), start_us = ? WHERE id = ? "
                             "AND state = 4 RETURNING id",
                             "sii", vals, wr_clock_wall_us(), trial);
    else if (state == WR_TRIAL_WAITING)
        rows = wr_track_exec(
            t, err,
            "UPDATE study_trials SET state = 4, vals = coalesce(?, vals) WHERE id = ? AND state IN (0, 4) RETURNING id",
            "si", vals, trial);
    else
        rows = wr_track_exec(t, err,
                             "UPDATE study_trials SET state = ?, vals = coalesce(?, vals), end_us = ? WHERE id = ? AND "
                             "state IN (0, 4) RETURNING id",
                             "isii", (int64_t)state, vals, wr_clock_wall_us(), trial);
    if (rows < 0) return rows;
    *changed = rows > 0;
    return rows > 0 ? 0 : open_trial(&row, t, trial, err);
}

int wr_trial_set_times(wr_track *t, int64_t trial, int64_t start_us, int64_t end_us, wr_err *err)
{
    int rc = 0;
    if (start_us != WR_TRIAL_NEVER)
        rc = wr_track_exec(t, err, "UPDATE study_trials SET start_us = ? WHERE id = ?", "ii", start_us, trial);
    if (rc >= 0 && end_us != WR_TRIAL_NEVER)
        rc = wr_track_exec(t, err, "UPDATE study_trials SET end_us = ? WHERE id = ?", "ii", end_us, trial);
    return rc < 0 ? rc : 0;
}
