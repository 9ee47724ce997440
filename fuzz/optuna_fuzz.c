/* SPDX-License-Identifier: Apache-2.0 */
/* optuna_fuzz.c - any bytes as a request of Optuna's storage protocol; the first byte chooses the method. What is read
 * keeps its limits: texts are UTF-8, every parameter of a template has a distribution, and a trial survives being
 * written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/protobuf.h"
#include "wire/optuna/optuna.h"
#include "wire/optuna/optuna_trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void optuna_require(bool ok)
{
    if (!ok) abort();
}

static void optuna_same(const wr_trial *a, const wr_trial *b)
{
    optuna_require(a->state == b->state && a->nvalues == b->nvalues && a->nparams == b->nparams &&
                   a->nsteps == b->nsteps);
    optuna_require(a->nuser == b->nuser && a->nsystem == b->nsystem);
    optuna_require(a->nvalues == 0 || memcmp(a->values, b->values, a->nvalues * sizeof *a->values) == 0);
    for (size_t i = 0; i < a->nparams; i++) {
        optuna_require(a->params[i].distribution.p != NULL && wr_str_utf8(a->params[i].name));
        optuna_require(wr_str_eq(a->params[i].name, b->params[i].name));
        optuna_require(memcmp(&a->params[i].value, &b->params[i].value, sizeof(double)) == 0);
    }
    for (size_t i = 0; i < a->nsteps; i++) optuna_require(a->steps[i].step == b->steps[i].step);
    for (size_t i = 0; i < a->nuser; i++) optuna_require(wr_str_eq(a->user[i].value, b->user[i].value));
}

static void optuna_round_trip(wr_arena *a, const wr_trial *first)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_trial again;
    wr_pb r;
    wr_pb_field f;
    wr_optuna_put_trial(&b, 2, first);
    optuna_require(!b.failed);
    wr_pb_init(&r, wr_buf_view(&b));
    optuna_require(wr_pb_next(&r, &f) && f.number == 2);
    optuna_require(wr_optuna_read_trial(&again, a, &r, &f, NULL) == 0 && wr_pb_end(&r, "again", NULL) == 0);
    optuna_same(first, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {
        "CreateNewStudy",    "SetStudyUserAttribute", "GetStudyIdFromName",        "CreateNewTrial",
        "SetTrialParameter", "SetTrialStateValues",   "SetTrialIntermediateValue", "GetTrials"};
    if (size == 0) return 0;
    wr_arena *a = wr_arena_new(0);
    wr_optuna_call c = {.arena = a};
    wr_err err = {0};
    int rc = wr_optuna_begin(&c, wr_str_of(methods[data[0] % 8]), (wr_str){(const char *)data + 1, size - 1}, &err);
    optuna_require(rc == 0 || err.msg[0]);
    if (rc == 0) {
        optuna_require(wr_str_utf8(c.key) && wr_str_utf8(c.text));
        optuna_require(c.nvalues <= size && c.ndirections <= size && c.nalso <= size);
        optuna_round_trip(a, &c.like);
    }
    wr_arena_free(a);
    return 0;
}
