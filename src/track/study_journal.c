/* SPDX-License-Identifier: Apache-2.0 */
/* study_journal.c - replaying a journal into the store.
 *
 * The journal's ids become ours by two tables. A write takes a stretch of lines, so that other writers have their turn;
 * when one fails, the studies made so far are deleted again. */
#include "track/study_journal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/json.h"

enum {
    CREATE_STUDY,
    DELETE_STUDY,
    STUDY_USER,
    STUDY_SYSTEM,
    CREATE_TRIAL,
    TRIAL_PARAM,
    TRIAL_STATE,
    TRIAL_STEP,
    TRIAL_USER,
    TRIAL_SYSTEM,
    DISCARD
};
enum { STRETCH = 4096 /* lines of one write */ };

typedef struct {
    wr_track *t;
    wr_arena *arena; /* of a line */
    wr_str rest;
    const char *file;
    wr_journal_counts counts;
    WR_VEC(int64_t) studies, trials; /* by the journal's id; 0 = gone */
    WR_VEC(int64_t) made;            /* studies, whatever became of them */
    size_t committed;                /* of those; the id of a later one may be another's by now */
    yyjson_val *line;
} replay;

/* ---- values of a line ---- */

static yyjson_val *get(const replay *r, const char *key) { return yyjson_obj_get(r->line, key); }
static wr_str text_of(yyjson_val *v) { return (wr_str){yyjson_get_str(v), yyjson_get_len(v)}; }

static int malformed(const replay *r, const char *what, wr_err *err)
{
    return wr_err_set(err, WEIR_EPARSE, "%s:%lld: %s", r->file, (long long)r->counts.lines, what);
}

/* Integers beyond 64 bits come as their text. */
static bool number_of(double *out, yyjson_val *v)
{
    if (yyjson_is_raw(v)) return wr_num_f64(out, (wr_str){yyjson_get_raw(v), yyjson_get_len(v)}, NULL) == 0;
    *out = yyjson_get_num(v);
    return yyjson_is_num(v);
}

static int64_t ours(yyjson_val *id, const int64_t *table, size_t n)
{
    int64_t i = yyjson_is_int(id) ? yyjson_get_sint(id) : -1;
    return i >= 0 && (uint64_t)i < n ? table[i] : 0;
}

static int64_t study_of(const replay *r) { return ours(get(r, "study_id"), r->studies.at, r->studies.n); }
static int64_t trial_of(const replay *r) { return ours(get(r, "trial_id"), r->trials.at, r->trials.n); }

/* A value as the text that Python would write; NULL without memory. */
static wr_str json_of(const replay *r, yyjson_val *v)
{
    size_t n = 0;
    char *text = yyjson_val_write(v, YYJSON_WRITE_ALLOW_INF_AND_NAN, &n);
    wr_str kept = text ? wr_arena_str(r->arena, (wr_str){text, n}) : (wr_str){0};
    free(text);
    return kept;
}

/* With a zone since Optuna 5, local before. */
static int time_of(int64_t *out, yyjson_val *v, wr_err *err)
{
    wr_str s = text_of(v);
    *out = WR_TRIAL_NEVER;
    if (!s.p) return 0;
    bool zone = s.n > 19 && (memchr(s.p + 19, '+', s.n - 19) || memchr(s.p + 19, '-', s.n - 19) || s.p[s.n - 1] == 'Z');
    return zone ? wr_time_parse(out, s, err) : wr_study_local_parse(out, s, err);
}

static int values_of(double **out, size_t *n, const replay *r, wr_err *err)
{
    yyjson_val *list = get(r, "values"), *one = get(r, "value");
    bool many = yyjson_is_arr(list);
    *n = many ? yyjson_arr_size(list) : one && !yyjson_is_null(one) ? 1 : 0;
    *out = wr_arena_calloc(r->arena, *n ? *n : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t i = 0; i < *n; i++) {
        if (!number_of(&(*out)[i], many ? yyjson_arr_get(list, i) : one))
            return malformed(r, "a value is not a number", err);
    }
    return 0;
}

/* The one attribute of a line; false when there is none. */
static bool attr_of(wr_track_item *out, const replay *r, const char *field)
{
    yyjson_obj_iter it;
    yyjson_obj_iter_init(get(r, field), &it);
    yyjson_val *key = yyjson_obj_iter_next(&it);
    if (!key) return false;
    *out = (wr_track_item){text_of(key), json_of(r, yyjson_obj_iter_get_val(key))};
    return true;
}

static int attrs_of(wr_track_item **out, size_t *n, const replay *r, const char *field, wr_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *obj = get(r, field), *key;
    *n = 0;
    *out = wr_arena_calloc(r->arena, yyjson_obj_size(obj) + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    yyjson_obj_iter_init(obj, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        wr_track_item i = {text_of(key), json_of(r, yyjson_obj_iter_get_val(key))};
        if (!i.value.p) return wr_err_nomem(err);
        (*out)[(*n)++] = i;
    }
    return 0;
}

/* ---- the kinds of lines; 1 = no effect ---- */

enum { IGNORED = 1 };

/* What Optuna would have refused has no effect. */
static int effect(int rc) { return rc == WEIR_ENOTFOUND || rc == WEIR_ECONFLICT || rc == WEIR_EINVAL ? IGNORED : rc; }

static int create_study(replay *r, wr_err *err)
{
    bool maximize[WR_STUDY_OBJECTIVES];
    wr_str name = text_of(get(r, "study_name"));
    yyjson_val *directions = get(r, "directions");
    size_t n = yyjson_arr_size(directions);
    int64_t id, other;
    if (!name.p || n == 0 || n > WR_STUDY_OBJECTIVES)
        return malformed(r, "a study without a name or without directions", err);
    for (size_t i = 0; i < n; i++) maximize[i] = yyjson_get_int(yyjson_arr_get(directions, i)) == 2; /* 1 = minimize */
    if (wr_study_find(&other, r->t, name, NULL) == 0) {
        for (size_t i = 0; i < r->studies.n; i++) {
            if (r->studies.at[i] == other) return IGNORED; /* the journal's own second attempt */
        }
    }
    WR_TRY(wr_study_create(&id, r->t, name, maximize, n, err));
    r->counts.studies++;
    return wr_vec_push(&r->studies, id) < 0 || wr_vec_push(&r->made, id) < 0 ? wr_err_nomem(err) : 0;
}

static int delete_study(replay *r, wr_err *err)
{
    int64_t study = study_of(r);
    if (!study) return IGNORED;
    WR_TRY(wr_study_delete(r->t, study, err));
    for (size_t i = 0; i < r->studies.n; i++) {
        if (r->studies.at[i] == study) r->studies.at[i] = 0;
    }
    r->counts.studies--;
    return 0;
}

static int study_attr(replay *r, bool system, wr_err *err)
{
    wr_track_item i;
    int64_t study = study_of(r);
    if (!study || !attr_of(&i, r, system ? "system_attr" : "user_attr")) return IGNORED;
    return effect(wr_study_set_attr(r->t, study, system, i.key, i.value, err));
}

static int params_of(wr_trial *out, const replay *r, wr_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *params = get(r, "params"), *distributions = get(r, "distributions"), *key;
    out->params = wr_arena_calloc(r->arena, yyjson_obj_size(params) + 1, sizeof *out->params);
    if (!out->params) return wr_err_nomem(err);
    yyjson_obj_iter_init(params, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        wr_trial_param *p = &out->params[out->nparams++];
        p->name = text_of(key);
        p->distribution = text_of(yyjson_obj_getn(distributions, p->name.p, p->name.n));
        if (!number_of(&p->value, yyjson_obj_iter_get_val(key)) || !p->distribution.p)
            return malformed(r, "a parameter without a number or without a distribution", err);
    }
    return 0;
}

static int steps_of(wr_trial *out, const replay *r, wr_err *err)
{
    yyjson_obj_iter it;
    yyjson_val *steps = get(r, "intermediate_values"), *key;
    out->steps = wr_arena_calloc(r->arena, yyjson_obj_size(steps) + 1, sizeof *out->steps);
    if (!out->steps) return wr_err_nomem(err);
    yyjson_obj_iter_init(steps, &it);
    while ((key = yyjson_obj_iter_next(&it))) {
        wr_trial_step *s = &out->steps[out->nsteps++];
        if (wr_num_i64(&s->step, text_of(key), NULL) < 0 || !number_of(&s->value, yyjson_obj_iter_get_val(key)))
            return malformed(r, "an intermediate value is not a number", err);
    }
    return 0;
}

static int create_trial(replay *r, wr_err *err)
{
    wr_trial like = {.state = WR_TRIAL_RUNNING};
    int64_t id, study = study_of(r);
    yyjson_val *state = get(r, "state");
    if (!study) return IGNORED;
    if (state && (!yyjson_is_uint(state) || yyjson_get_uint(state) > WR_TRIAL_WAITING))
        return malformed(r, "no trial state", err);
    if (state) like.state = (wr_trial_state)yyjson_get_uint(state);
    WR_TRY(time_of(&like.start_us, get(r, "datetime_start"), err));
    WR_TRY(time_of(&like.end_us, get(r, "datetime_complete"), err));
    WR_TRY(values_of(&like.values, &like.nvalues, r, err));
    WR_TRY(params_of(&like, r, err));
    WR_TRY(steps_of(&like, r, err));
    WR_TRY(attrs_of(&like.user, &like.nuser, r, "user_attrs", err));
    WR_TRY(attrs_of(&like.system, &like.nsystem, r, "system_attrs", err));
    WR_TRY(wr_trial_create(&id, r->t, study, &like, err));
    r->counts.trials++;
    return wr_vec_push(&r->trials, id) < 0 ? wr_err_nomem(err) : 0;
}

static int trial_param(replay *r, wr_err *err)
{
    wr_trial_param p = {.name = text_of(get(r, "param_name")), .distribution = text_of(get(r, "distribution"))};
    int64_t trial = trial_of(r);
    if (!p.name.p || !p.distribution.p || !number_of(&p.value, get(r, "param_value_internal")))
        return malformed(r, "a parameter is incomplete", err);
    return trial ? effect(wr_trial_set_param(r->t, trial, &p, err)) : IGNORED;
}

static int trial_state(replay *r, wr_err *err)
{
    double *values;
    size_t n;
    int64_t start, end, trial = trial_of(r);
    bool changed = false;
    yyjson_val *state = get(r, "state");
    if (!yyjson_is_uint(state) || yyjson_get_uint(state) > WR_TRIAL_WAITING) return malformed(r, "no trial state", err);
    WR_TRY(values_of(&values, &n, r, err));
    WR_TRY(time_of(&start, get(r, "datetime_start"), err));
    WR_TRY(time_of(&end, get(r, "datetime_complete"), err));
    if (!trial) return IGNORED;
    int rc = effect(wr_trial_set_state(&changed, r->t, trial, (wr_trial_state)yyjson_get_uint(state), values, n, err));
    if (rc != 0) return rc;
    return changed ? wr_trial_set_times(r->t, trial, start, end, err) : IGNORED;
}

static int trial_step(replay *r, wr_err *err)
{
    double value;
    int64_t trial = trial_of(r);
    yyjson_val *step = get(r, "step");
    if (!yyjson_is_int(step) || !number_of(&value, get(r, "intermediate_value")))
        return malformed(r, "an intermediate value is not a number", err);
    return trial ? effect(wr_trial_set_step(r->t, trial, yyjson_get_sint(step), value, err)) : IGNORED;
}

static int trial_attr(replay *r, bool system, wr_err *err)
{
    wr_track_item i;
    int64_t trial = trial_of(r);
    if (!trial || !attr_of(&i, r, system ? "system_attr" : "user_attr")) return IGNORED;
    return effect(wr_trial_set_attr(r->t, trial, system, i.key, i.value, err));
}

static int do_line(replay *r, wr_err *err)
{
    yyjson_val *op = get(r, "op_code");
    switch (yyjson_is_uint(op) ? (int)yyjson_get_uint(op) : -1) {
    case CREATE_STUDY:
        return create_study(r, err);
    case DELETE_STUDY:
        return delete_study(r, err);
    case STUDY_USER:
        return study_attr(r, false, err);
    case STUDY_SYSTEM:
        return study_attr(r, true, err);
    case CREATE_TRIAL:
        return create_trial(r, err);
    case TRIAL_PARAM:
        return trial_param(r, err);
    case TRIAL_STATE:
        return trial_state(r, err);
    case TRIAL_STEP:
        return trial_step(r, err);
    case TRIAL_USER:
        return trial_attr(r, false, err);
    case TRIAL_SYSTEM:
        return trial_attr(r, true, err);
    case DISCARD:
        return IGNORED; /* Optuna's own storage passes over it too */
    default:
        return malformed(r, "no operation that is known", err);
    }
}

/* ---- lines ---- */

static int parse_line(replay *r, wr_str line, wr_err *err)
{
    if (!wr_str_utf8(line)) return malformed(r, "not valid UTF-8", err);
    yyjson_doc *doc = yyjson_read(line.p, line.n, YYJSON_READ_ALLOW_INF_AND_NAN | YYJSON_READ_BIGNUM_AS_RAW);
    r->line = yyjson_doc_get_root(doc);
    int rc = yyjson_is_obj(r->line) ? do_line(r, err) : malformed(r, "not a JSON object", err);
    yyjson_doc_free(doc);
    return rc;
}

static int stretch(wr_track *t, void *arg, wr_err *err)
{
    replay *r = arg;
    (void)t;
    for (int i = 0; i < STRETCH; i++) {
        if (!r->rest.n || !memchr(r->rest.p, '\n', r->rest.n)) { /* half a line was never written */
            r->rest.n = 0;
            return 0;
        }
        wr_str line = wr_str_trim(wr_str_cut(&r->rest, '\n'));
        r->counts.lines++;
        wr_arena_clear(r->arena);
        int rc = parse_line(r, line, err);
        if (rc < 0) return rc;
        r->counts.ignored += rc == IGNORED;
    }
    return 0;
}

static int undo(wr_track *t, void *arg, wr_err *err)
{
    replay *r = arg;
    for (size_t i = 0; i < r->committed; i++) {
        int rc = wr_study_delete(t, r->made.at[i], err);
        if (rc < 0 && rc != WEIR_ENOTFOUND) return rc; /* the journal had deleted it itself */
    }
    return 0;
}

static int by_hint(int rc, wr_err *err)
{
    return rc == WEIR_EEXIST ? wr_err_hint(err, rc, "delete that study first, or import into another project") : rc;
}

int wr_study_import(wr_journal_counts *out, wr_track *t, wr_str journal, const char *name, wr_err *err)
{
    replay r = {.t = t, .rest = journal, .file = name, .arena = wr_arena_new(0)};
    int rc = r.arena ? 0 : wr_err_nomem(err);
    while (rc == 0 && r.rest.n) {
        rc = wr_track_write(t, stretch, &r, err);
        if (rc == 0) r.committed = r.made.n;
    }
    if (rc == 0 && journal.n && !r.counts.lines)
        rc = wr_err_set(err, WEIR_EPARSE, "%s: no whole line of a journal", name);
    if (rc < 0 && r.committed) wr_track_write(t, undo, &r, NULL);
    *out = r.counts;
    wr_arena_free(r.arena);
    wr_vec_fini(&r.studies);
    wr_vec_fini(&r.trials);
    wr_vec_fini(&r.made);
    return rc < 0 ? by_hint(rc, err) : 0;
}
