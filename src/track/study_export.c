/* SPDX-License-Identifier: Apache-2.0 */
/* study_export.c - studies as a journal of Optuna: a line for the study, one an attribute, one a trial with all it has.
 */
#include <math.h>
#include <stdio.h>

#include "codec/json.h"
#include "track/study_journal.h"

/* As Python's json writes a float. */
static void put_f64(wr_jsonw *w, double v)
{
    WR_AUTOBUF wr_buf b = {0};
    if (isnan(v)) wr_buf_str(&b, "NaN");
    else if (isinf(v)) wr_buf_str(&b, v < 0 ? "-Infinity" : "Infinity");
    else wr_buf_f64(&b, v);
    if (isfinite(v) && !strpbrk(wr_buf_cstr(&b), ".e")) wr_buf_str(&b, ".0");
    wr_jsonw_raw(w, wr_buf_view(&b));
    if (b.failed) w->out->failed = true;
}

/* An attribute's own JSON; inside a line it has no line breaks. */
static void put_json(wr_jsonw *w, wr_str json)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_slice(&b, json);
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == '\n' || b.p[i] == '\r') b.p[i] = ' '; /* never inside a string */
    }
    wr_jsonw_raw(w, wr_buf_view(&b));
    if (b.failed) w->out->failed = true;
}

static void put_key(wr_jsonw *w, wr_str key)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_slice(&b, key);
    wr_jsonw_key(w, wr_buf_cstr(&b)); /* keys hold no NUL */
    if (b.failed) w->out->failed = true;
}

static void begin(wr_jsonw *w, wr_buf *out, int op)
{
    wr_jsonw_init(w, out, 0);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "op_code", op);
    wr_jsonw_kstr(w, "worker_id", "weir");
}

static void end(wr_jsonw *w)
{
    wr_jsonw_end(w);
    wr_buf_char(w->out, '\n');
}

static void put_attrs(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) {
        put_key(w, items[i].key);
        put_json(w, items[i].value);
    }
    wr_jsonw_end(w);
}

static void put_study(wr_buf *out, const wr_study *s, int64_t number)
{
    wr_jsonw w;
    begin(&w, out, 0);
    wr_jsonw_kslice(&w, "study_name", s->name);
    wr_jsonw_key(&w, "directions");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < s->nobjectives; i++) wr_jsonw_i64(&w, s->maximize[i] ? 2 : 1);
    wr_jsonw_end(&w);
    end(&w);
    for (size_t i = 0; i < s->nuser + s->nsystem; i++) {
        bool system = i >= s->nuser;
        begin(&w, out, system ? 3 : 2);
        wr_jsonw_ki64(&w, "study_id", number);
        put_attrs(&w, system ? "system_attr" : "user_attr", system ? &s->system[i - s->nuser] : &s->user[i], 1);
        end(&w);
    }
}

/* Local and without a zone, as Optuna before 5 writes; 5 takes both, the others cannot subtract one kind from the
 * other. */
static void put_time(wr_jsonw *w, const char *key, int64_t us)
{
    char text[WR_STUDY_TIME_TEXT];
    wr_study_local_text(text, us);
    text[10] = 'T';
    wr_jsonw_kstr(w, key, text);
}

static void put_params(wr_jsonw *w, const wr_trial *t)
{
    wr_jsonw_key(w, "distributions");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < t->nparams; i++) {
        put_key(w, t->params[i].name);
        wr_jsonw_str(w, t->params[i].distribution);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "params");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < t->nparams; i++) {
        put_key(w, t->params[i].name);
        put_f64(w, t->params[i].value);
    }
    wr_jsonw_end(w);
}

static void put_values(wr_jsonw *w, const wr_trial *t)
{
    wr_jsonw_key(w, "value");
    if (t->nvalues == 1) put_f64(w, t->values[0]);
    else wr_jsonw_null(w);
    wr_jsonw_key(w, "values");
    if (t->nvalues < 2) {
        wr_jsonw_null(w);
        return;
    }
    wr_jsonw_arr(w);
    for (size_t i = 0; i < t->nvalues; i++) put_f64(w, t->values[i]);
    wr_jsonw_end(w);
}

static void put_trial(wr_buf *out, const wr_trial *t, int64_t study)
{
    wr_jsonw w;
    begin(&w, out, 4);
    wr_jsonw_ki64(&w, "study_id", study);
    wr_jsonw_ki64(&w, "state", t->state);
    put_values(&w, t);
    if (t->start_us != WR_TRIAL_NEVER) {
        put_time(&w, "datetime_start", t->start_us);
    } else {
        wr_jsonw_key(&w, "datetime_start");
        wr_jsonw_null(&w);
    }
    if (t->end_us != WR_TRIAL_NEVER) put_time(&w, "datetime_complete", t->end_us);
    put_params(&w, t);
    put_attrs(&w, "user_attrs", t->user, t->nuser);
    put_attrs(&w, "system_attrs", t->system, t->nsystem);
    wr_jsonw_key(&w, "intermediate_values");
    wr_jsonw_obj(&w);
    for (size_t i = 0; i < t->nsteps; i++) {
        char step[24];
        snprintf(step, sizeof step, "%lld", (long long)t->steps[i].step);
        wr_jsonw_key(&w, step);
        put_f64(&w, t->steps[i].value);
    }
    wr_jsonw_end(&w);
    end(&w);
}

static int export_one(wr_buf *out, wr_arena *a, wr_track *t, int64_t study, int64_t number, wr_err *err)
{
    wr_study s;
    wr_trial *all;
    size_t n;
    WR_TRY(wr_study_get(&s, a, t, study, err));
    put_study(out, &s, number);
    WR_TRY(wr_study_trials(&all, &n, a, t, study, -1, NULL, 0, err));
    for (size_t i = 0; i < n; i++) put_trial(out, &all[i], number);
    return 0;
}

int wr_study_export(wr_buf *out, wr_track *t, const int64_t *studies, size_t n, wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    int rc = a ? 0 : wr_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        wr_arena_clear(a);
        rc = export_one(out, a, t, studies[i], (int64_t)i, err);
    }
    wr_arena_free(a);
    if (rc == 0 && out->failed)
        rc = wr_err_set(err, WEIR_ELIMIT, "the journal is too large or there is no memory for it");
    return rc;
}
