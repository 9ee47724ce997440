/* SPDX-License-Identifier: Apache-2.0 */
/* optuna.c - the 19 procedures. A request is flat but for a template trial: a table says which field goes where. */
#include "wire/optuna/optuna.h"

#include "base/vec.h"
#include "codec/protobuf.h"
#include "wire/optuna/optuna_trial.h"

/* ---- requests ---- */

typedef enum { INT, FLAG, STRING, DOUBLE, ENUM, ENUMS, INTS, DOUBLES, TRIAL } field_kind;
typedef struct {
    uint32_t number;
    field_kind kind;
    size_t at; /* in wr_optuna_call */
} field;
enum { FIELDS = 4 };
struct wr_optuna_rpc {
    const char *name;
    wr_optuna_mode mode;
    int (*run)(wr_optuna_call *c, wr_err *err);
    field fields[FIELDS];
};

/* Numbers are collected in a buffer and move into the arena at the end. */
typedef WR_VEC(uint64_t) numbers;

static int take_list(numbers *to, wr_pb *r, const wr_pb_field *f, wr_pb_type type, wr_err *err)
{
    wr_pb_list l;
    uint64_t v;
    wr_pb_list_of(&l, r, f, type);
    while (wr_pb_list_next(&l, &v)) {
        if (wr_vec_push(to, v) < 0) return wr_err_nomem(err);
    }
    return 0;
}

static int keep_list(wr_optuna_call *c, const numbers *n, const field *how, wr_err *err)
{
    void *copy = wr_arena_dup(c->arena, n->at, n->n * sizeof *n->at);
    if (!copy) return wr_err_nomem(err);
    if (how->kind == ENUMS) {
        c->directions = copy;
        c->ndirections = n->n;
    } else if (how->kind == INTS) {
        c->also = copy; /* two's complement, as it stands */
        c->nalso = n->n;
    } else {
        c->values = copy; /* the bits of doubles */
        c->nvalues = n->n;
    }
    return 0;
}

static int take(wr_optuna_call *c, numbers *list, const field *how, wr_pb *r, const wr_pb_field *f, wr_err *err)
{
    void *to = (char *)c + how->at;
    switch (how->kind) {
    case INT:
        *(int64_t *)to = wr_pb_i64(r, f);
        return 0;
    case FLAG:
        *(bool *)to = wr_pb_bool(r, f);
        return 0;
    case STRING:
        *(wr_str *)to = wr_pb_str(r, f);
        return 0;
    case DOUBLE:
        *(double *)to = wr_pb_f64(r, f);
        return 0;
    case ENUM:
        *(uint64_t *)to = wr_pb_u64(r, f);
        return 0;
    case ENUMS:
    case INTS:
        return take_list(list, r, f, WR_PB_VARINT, err);
    case DOUBLES:
        return take_list(list, r, f, WR_PB_I64, err);
    case TRIAL:
        return wr_optuna_read_trial(&c->like, c->arena, r, f, err);
    }
    return 0;
}

static const field *field_of(const wr_optuna_rpc *rpc, uint32_t number)
{
    for (int i = 0; i < FIELDS && rpc->fields[i].number; i++) {
        if (rpc->fields[i].number == number) return &rpc->fields[i];
    }
    return NULL;
}

static int read_request(wr_optuna_call *c, wr_str message, wr_err *err)
{
    wr_pb r;
    wr_pb_field f;
    numbers list = {0}; /* no request has two */
    const field *of_list = NULL;
    int rc = 0;
    wr_pb_init(&r, message);
    while (rc == 0 && wr_pb_next(&r, &f)) {
        const field *how = field_of(c->rpc, f.number);
        if (!how) continue;
        rc = take(c, &list, how, &r, &f, err);
        if (how->kind >= ENUMS && how->kind <= DOUBLES) of_list = how;
    }
    if (rc == 0) rc = wr_pb_end(&r, c->rpc->name, err);
    if (rc == 0 && of_list) rc = keep_list(c, &list, of_list, err);
    wr_vec_fini(&list);
    return rc;
}

/* ---- studies ---- */

static int create_study(wr_optuna_call *c, wr_err *err)
{
    bool maximize[WR_STUDY_OBJECTIVES];
    int64_t id;
    for (size_t i = 0; i < c->ndirections && i < WR_STUDY_OBJECTIVES; i++) maximize[i] = c->directions[i] != 0;
    WR_TRY(wr_study_create(&id, c->track, c->key, maximize, c->ndirections, err));
    wr_pbw_i64(c->out, 1, id);
    return 0;
}

static int delete_study(wr_optuna_call *c, wr_err *err) { return wr_study_delete(c->track, c->study, err); }

static int set_study_user(wr_optuna_call *c, wr_err *err)
{
    return wr_study_set_attr(c->track, c->study, false, c->key, c->text, err);
}

static int set_study_system(wr_optuna_call *c, wr_err *err)
{
    return wr_study_set_attr(c->track, c->study, true, c->key, c->text, err);
}

static int study_id(wr_optuna_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_study_find(&id, c->track, c->key, err));
    wr_pbw_i64(c->out, 1, id);
    return 0;
}

static int study_name(wr_optuna_call *c, wr_err *err)
{
    wr_study s;
    WR_TRY(wr_study_get(&s, c->arena, c->track, c->study, err));
    wr_pbw_str(c->out, 1, s.name);
    return 0;
}

static int study_directions(wr_optuna_call *c, wr_err *err)
{
    wr_study s;
    WR_TRY(wr_study_get(&s, c->arena, c->track, c->study, err));
    wr_optuna_put_directions(c->out, 1, &s);
    return 0;
}

static int study_user(wr_optuna_call *c, wr_err *err)
{
    wr_study s;
    WR_TRY(wr_study_get(&s, c->arena, c->track, c->study, err));
    wr_optuna_put_attrs(c->out, 1, s.user, s.nuser);
    return 0;
}

static int study_system(wr_optuna_call *c, wr_err *err)
{
    wr_study s;
    WR_TRY(wr_study_get(&s, c->arena, c->track, c->study, err));
    wr_optuna_put_attrs(c->out, 1, s.system, s.nsystem);
    return 0;
}

static int all_studies(wr_optuna_call *c, wr_err *err)
{
    wr_study *all;
    size_t n;
    WR_TRY(wr_study_all(&all, &n, c->arena, c->track, err));
    for (size_t i = 0; i < n; i++) {
        size_t at = wr_pbw_open(c->out, 1);
        wr_pbw_i64(c->out, 1, all[i].id);
        wr_pbw_str(c->out, 2, all[i].name);
        wr_optuna_put_directions(c->out, 3, &all[i]);
        wr_optuna_put_attrs(c->out, 4, all[i].user, all[i].nuser);
        wr_optuna_put_attrs(c->out, 5, all[i].system, all[i].nsystem);
        wr_pbw_close(c->out, at);
    }
    return 0;
}

/* ---- trials ---- */

static int create_trial(wr_optuna_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_trial_create(&id, c->track, c->study, c->no_template ? NULL : &c->like, err));
    wr_pbw_i64(c->out, 1, id);
    return 0;
}

static int set_param(wr_optuna_call *c, wr_err *err)
{
    wr_trial_param p = {.name = c->key, .distribution = c->text, .value = c->value};
    return wr_trial_set_param(c->track, c->trial, &p, err);
}

static int trial_id(wr_optuna_call *c, wr_err *err)
{
    int64_t id;
    WR_TRY(wr_trial_find(&id, c->track, c->study, c->number, err));
    wr_pbw_i64(c->out, 1, id);
    return 0;
}

static int set_state(wr_optuna_call *c, wr_err *err)
{
    bool changed = false;
    if (c->state > WR_TRIAL_WAITING)
        return wr_err_set(err, WEIR_EINVAL, "there is no trial state '%llu'", (unsigned long long)c->state);
    WR_TRY(wr_trial_set_state(&changed, c->track, c->trial, (wr_trial_state)c->state, c->values, c->nvalues, err));
    wr_pbw_bool(c->out, 1, changed);
    return 0;
}

static int set_step(wr_optuna_call *c, wr_err *err)
{
    return wr_trial_set_step(c->track, c->trial, c->number, c->value, err);
}

static int set_trial_user(wr_optuna_call *c, wr_err *err)
{
    return wr_trial_set_attr(c->track, c->trial, false, c->key, c->text, err);
}

static int set_trial_system(wr_optuna_call *c, wr_err *err)
{
    return wr_trial_set_attr(c->track, c->trial, true, c->key, c->text, err);
}

static int get_trial(wr_optuna_call *c, wr_err *err)
{
    wr_trial t;
    WR_TRY(wr_trial_get(&t, c->arena, c->track, c->trial, err));
    wr_optuna_put_trial(c->out, 1, &t);
    return 0;
}

static int get_trials(wr_optuna_call *c, wr_err *err)
{
    wr_trial *all;
    size_t n;
    WR_TRY(wr_study_trials(&all, &n, c->arena, c->track, c->study, c->after, c->also, c->nalso, err));
    for (size_t i = 0; i < n; i++) wr_optuna_put_trial(c->out, 1, &all[i]);
    return 0;
}

/* ---- the service ---- */

#define AT(what) offsetof(wr_optuna_call, what)
#define STUDY                                                                                                          \
    {                                                                                                                  \
        1, INT, AT(study)                                                                                              \
    }
#define OF_TRIAL                                                                                                       \
    {                                                                                                                  \
        1, INT, AT(trial)                                                                                              \
    }
#define KEY_VALUE                                                                                                      \
    {2, STRING, AT(key)}, { 3, STRING, AT(text) }

static const wr_optuna_rpc rpcs[] = {
    {"CreateNewStudy", WR_OPTUNA_WRITE, create_study, {{1, ENUMS, 0}, {2, STRING, AT(key)}}},
    {"DeleteStudy", WR_OPTUNA_WRITE, delete_study, {STUDY}},
    {"SetStudyUserAttribute", WR_OPTUNA_WRITE, set_study_user, {STUDY, KEY_VALUE}},
    {"SetStudySystemAttribute", WR_OPTUNA_WRITE, set_study_system, {STUDY, KEY_VALUE}},
    {"GetStudyIdFromName", WR_OPTUNA_READ, study_id, {{1, STRING, AT(key)}}},
    {"GetStudyNameFromId", WR_OPTUNA_READ, study_name, {STUDY}},
    {"GetStudyDirections", WR_OPTUNA_READ, study_directions, {STUDY}},
    {"GetStudyUserAttributes", WR_OPTUNA_READ, study_user, {STUDY}},
    {"GetStudySystemAttributes", WR_OPTUNA_READ, study_system, {STUDY}},
    {"GetAllStudies", WR_OPTUNA_QUERY, all_studies, {{0}}},
    {"CreateNewTrial", WR_OPTUNA_WRITE, create_trial, {STUDY, {2, TRIAL, 0}, {3, FLAG, AT(no_template)}}},
    {"SetTrialParameter",
     WR_OPTUNA_WRITE,
     set_param,
     {OF_TRIAL, {2, STRING, AT(key)}, {3, DOUBLE, AT(value)}, {4, STRING, AT(text)}}},
    {"GetTrialIdFromStudyIdTrialNumber", WR_OPTUNA_READ, trial_id, {STUDY, {2, INT, AT(number)}}},
    {"SetTrialStateValues", WR_OPTUNA_WRITE, set_state, {OF_TRIAL, {2, ENUM, AT(state)}, {3, DOUBLES, 0}}},
    {"SetTrialIntermediateValue", WR_OPTUNA_WRITE, set_step, {OF_TRIAL, {2, INT, AT(number)}, {3, DOUBLE, AT(value)}}},
    {"SetTrialUserAttribute", WR_OPTUNA_WRITE, set_trial_user, {OF_TRIAL, KEY_VALUE}},
    {"SetTrialSystemAttribute", WR_OPTUNA_WRITE, set_trial_system, {OF_TRIAL, KEY_VALUE}},
    {"GetTrial", WR_OPTUNA_READ, get_trial, {OF_TRIAL}},
    {"GetTrials", WR_OPTUNA_QUERY, get_trials, {STUDY, {2, INTS, 0}, {3, INT, AT(after)}}},
};

int wr_optuna_begin(wr_optuna_call *c, wr_str method, wr_str message, wr_err *err)
{
    c->rpc = NULL;
    for (size_t i = 0; i < sizeof rpcs / sizeof *rpcs; i++) {
        if (wr_str_is(method, rpcs[i].name)) c->rpc = &rpcs[i];
    }
    if (!c->rpc) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "Optuna's storage has no method '%.*s'",
                   WR_STR_FMT(wr_str_fit(method, 100)));
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "the protocol is that of Optuna 4.2 to 5.0");
    }
    c->mode = c->rpc->mode;
    c->key = c->text = WR_STR("");
    c->like = (wr_trial){.start_us = WR_TRIAL_NEVER, .end_us = WR_TRIAL_NEVER};
    return read_request(c, message, err);
}

int wr_optuna_run(wr_optuna_call *c, wr_err *err)
{
    WR_TRY(c->rpc->run(c, err));
    return c->out->failed ? wr_err_set(err, WEIR_ELIMIT, "the answer is too large") : 0;
}

wr_grpc_status wr_optuna_status(int weir_code)
{
    return weir_code == WEIR_ECONFLICT ? WR_GRPC_FAILED_PRECONDITION : wr_grpc_status_of(weir_code);
}
