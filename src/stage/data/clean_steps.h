/* SPDX-License-Identifier: Apache-2.0 */
/* clean_steps.h - the `clean:` section of a suite as SQL expressions. */
#pragma once
#include "stage/data/suite.h"

typedef struct {
    const char *op;
    size_t field;                   /* index into the snapshot's fields */
    const char *before, *after;     /* expressions over the input */
} wr_clean_step;

typedef struct {
    wr_clean_step *step; size_t nstep;
    const char **expr;              /* per field of the input: its value now (NULL = unchanged) */
    const char **uncast;            /* per field: the expression that is cast, where one is; NULL elsewhere */
    bool *dropped;                  /* per field */
    wr_delta_field *fields;         /* the input's with the types after casting */
    size_t nfields;
    const char *dedupe;             /* columns to group by, or NULL */
    bool keep_last;
} wr_clean_steps;

/* `section` may be NULL: nothing to do. */
int wr_clean_steps_read(wr_clean_steps *out, wr_arena *a, const wr_yaml *section, const wr_delta_snapshot *s, wr_err *err);
