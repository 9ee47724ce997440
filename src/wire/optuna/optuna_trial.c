/* SPDX-License-Identifier: Apache-2.0 */
/* optuna_trial.c - trials in and out of messages. A trial's parameters come as two maps, name to value and name to
 * distribution. */
#include "wire/optuna/optuna_trial.h"

#include "base/map.h"
#include "base/vec.h"

/* ---- out ---- */

void wr_optuna_put_attrs(wr_buf *b, uint32_t number, const wr_track_item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = wr_pbw_open(b, number);
        wr_pbw_str(b, 1, items[i].key);
        wr_pbw_str(b, 2, items[i].value);
        wr_pbw_close(b, at);
    }
}

void wr_optuna_put_directions(wr_buf *b, uint32_t number, const wr_study *s)
{
    size_t at = wr_pbw_open(b, number);
    for (size_t i = 0; i < s->nobjectives; i++) wr_pbw_varint(b, s->maximize[i]);
    wr_pbw_close(b, at);
}

static void put_time(wr_buf *b, uint32_t number, int64_t us)
{
    char text[WR_STUDY_TIME_TEXT];
    if (us == WR_TRIAL_NEVER) return;
    wr_study_local_text(text, us);
    wr_pbw_str(b, number, wr_str_of(text));
}

static void put_params(wr_buf *b, const wr_trial *t)
{
    for (size_t i = 0; i < t->nparams; i++) {
        size_t at = wr_pbw_open(b, 7);
        wr_pbw_str(b, 1, t->params[i].name);
        wr_pbw_f64(b, 2, t->params[i].value);
        wr_pbw_close(b, at);
    }
    for (size_t i = 0; i < t->nparams; i++) {
        size_t at = wr_pbw_open(b, 8);
        wr_pbw_str(b, 1, t->params[i].name);
        wr_pbw_str(b, 2, t->params[i].distribution);
        wr_pbw_close(b, at);
    }
}

void wr_optuna_put_trial(wr_buf *b, uint32_t number, const wr_trial *t)
{
    size_t whole = wr_pbw_open(b, number);
    wr_pbw_i64(b, 1, t->id);
    wr_pbw_i64(b, 2, t->number);
    wr_pbw_u64(b, 3, t->state);
    if (t->nvalues) {
        size_t at = wr_pbw_open(b, 4);
        for (size_t i = 0; i < t->nvalues; i++) {
            uint64_t bits;
            memcpy(&bits, &t->values[i], sizeof bits);
            wr_pbw_raw64(b, bits);
        }
        wr_pbw_close(b, at);
    }
    put_time(b, 5, t->start_us);
    put_time(b, 6, t->end_us);
    put_params(b, t);
    wr_optuna_put_attrs(b, 9, t->user, t->nuser);
    wr_optuna_put_attrs(b, 10, t->system, t->nsystem);
    for (size_t i = 0; i < t->nsteps; i++) {
        size_t at = wr_pbw_open(b, 11);
        wr_pbw_i64(b, 1, t->steps[i].step);
        wr_pbw_f64(b, 2, t->steps[i].value);
        wr_pbw_close(b, at);
    }
    wr_pbw_close(b, whole);
}

/* ---- in ---- */

typedef struct {
    WR_VEC(double) values;
    WR_VEC(wr_trial_param) params;
    WR_VEC(wr_track_item) distributions, user, system;
    WR_VEC(wr_trial_step) steps;
} parts;

static void parts_fini(parts *p)
{
    wr_vec_fini(&p->values);
    wr_vec_fini(&p->params);
    wr_vec_fini(&p->distributions);
    wr_vec_fini(&p->user);
    wr_vec_fini(&p->system);
    wr_vec_fini(&p->steps);
}

static int read_time(int64_t *out, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    wr_str s = wr_pb_str(r, f);
    return s.n ? wr_study_local_parse(out, s, err) : 0;
}

static int read_values(parts *p, wr_pb *r, const wr_pb_field *f)
{
    wr_pb_list l;
    uint64_t v;
    int rc = 0;
    wr_pb_list_of(&l, r, f, WR_PB_I64);
    while (rc == 0 && wr_pb_list_next(&l, &v)) rc = wr_vec_push(&p->values, wr_pb_as_f64(v));
    return rc;
}

/* An entry of one of the maps. */
static int read_entry(parts *p, wr_pb *r, const wr_pb_field *f)
{
    wr_pb_field k, v;
    wr_pb_entry(&k, &v, r, f);
    if (f->number == 11) return wr_vec_push(&p->steps, ((wr_trial_step){wr_pb_i64(r, &k), wr_pb_f64(r, &v)}));
    if (f->number == 7)
        return wr_vec_push(&p->params, ((wr_trial_param){.name = wr_pb_str(r, &k), .value = wr_pb_f64(r, &v)}));
    wr_track_item i = {wr_pb_str(r, &k), wr_pb_str(r, &v)};
    if (f->number == 8) return wr_vec_push(&p->distributions, i);
    return f->number == 9 ? wr_vec_push(&p->user, i) : wr_vec_push(&p->system, i);
}

static int read_field(wr_trial *out, parts *p, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    switch (f->number) {
    case 3: {
        uint64_t state = wr_pb_u64(r, f);
        if (state > WR_TRIAL_WAITING) wr_pb_fail(r, "there is no such trial state");
        else out->state = (wr_trial_state)state;
        return 0;
    }
    case 4:
        return read_values(p, r, f) < 0 ? wr_err_nomem(err) : 0;
    case 5:
        return read_time(&out->start_us, r, f, err);
    case 6:
        return read_time(&out->end_us, r, f, err);
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        return read_entry(p, r, f) < 0 ? wr_err_nomem(err) : 0;
    default:
        return 0;
    }
}

/* Every parameter gets its distribution. */
static int join(parts *p, wr_err *err)
{
    wr_map of = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->distributions.n; i++) {
        if (wr_map_put(&of, p->distributions.at[i].key, &p->distributions.at[i]) < 0) rc = wr_err_nomem(err);
    }
    for (size_t i = 0; rc == 0 && i < p->params.n; i++) {
        wr_trial_param *one = &p->params.at[i];
        const wr_track_item *d = wr_map_get(&of, one->name);
        if (d) one->distribution = d->value;
        else
            rc = wr_err_set(err, WEIR_EINVAL, "parameter '%.*s' has no distribution",
                            WR_STR_FMT(wr_str_fit(one->name, 100)));
    }
    wr_map_fini(&of);
    return rc;
}

static int keep(wr_trial *out, wr_arena *a, const parts *p, wr_err *err)
{
    out->values = wr_arena_dup(a, p->values.at, p->values.n * sizeof *out->values);
    out->params = wr_arena_dup(a, p->params.at, p->params.n * sizeof *out->params);
    out->steps = wr_arena_dup(a, p->steps.at, p->steps.n * sizeof *out->steps);
    out->user = wr_arena_dup(a, p->user.at, p->user.n * sizeof *out->user);
    out->system = wr_arena_dup(a, p->system.at, p->system.n * sizeof *out->system);
    out->nvalues = p->values.n;
    out->nparams = p->params.n;
    out->nsteps = p->steps.n;
    out->nuser = p->user.n;
    out->nsystem = p->system.n;
    return wr_arena_failed(a) ? wr_err_nomem(err) : 0;
}

int wr_optuna_read_trial(wr_trial *out, wr_arena *a, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    parts p = {0};
    wr_pb trial;
    wr_pb_field of;
    int rc = 0;
    *out = (wr_trial){.start_us = WR_TRIAL_NEVER, .end_us = WR_TRIAL_NEVER};
    wr_pb_enter(&trial, r, f);
    while (rc == 0 && wr_pb_next(&trial, &of)) rc = read_field(out, &p, &trial, &of, err);
    if (rc == 0 && !wr_pb_failed(r)) rc = join(&p, err);
    if (rc == 0) rc = keep(out, a, &p, err);
    parts_fini(&p);
    return rc;
}
