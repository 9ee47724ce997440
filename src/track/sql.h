/* SPDX-License-Identifier: Apache-2.0 */
/* sql.h - a statement under construction: text with `?` marks, and the values they stand for, in step.
 *
 *   WR_AUTOSQL wr_sql q = {0};
 *   wr_sql_add(&q, "SELECT id FROM track_runs WHERE experiment = ");
 *   wr_sql_i64(&q, id);
 *   wr_stmt *s;
 *   WR_TRY(wr_sql_prepare(&s, t, &q, err)); ... wr_stmt_done(s);
 *
 * Values of users are only ever bound. A zeroed wr_sql is valid; want of memory shows at wr_sql_prepare(). Texts that
 * were bound must live until then. At most WR_SQL_VALUES values. */
#pragma once
#include "base/vec.h"
#include "track/track.h"

enum { WR_SQL_VALUES = 30000 };

typedef struct {
    char kind; /* 'i', 'f', 's' */
    int64_t i;
    double f;
    wr_str s; /* p NULL binds NULL */
} wr_sql_value;

typedef struct {
    wr_buf text;
    WR_VEC(wr_sql_value) values;
    bool failed;
} wr_sql;

void wr_sql_fini(wr_sql *q);
#define WR_AUTOSQL __attribute__((cleanup(wr_sql_fini)))
void wr_sql_add(wr_sql *q, const char *text); /* as it is; `?` in it needs its wr_sql_value from wr_sql_bind */
void wr_sql_int(wr_sql *q, int64_t v);        /* digits, for what is no user's text */
/* `?` and its value. */
void wr_sql_i64(wr_sql *q, int64_t v);
void wr_sql_f64(wr_sql *q, double v);
void wr_sql_str(wr_sql *q, wr_str v);
void wr_sql_val(wr_sql *q, const wr_sql_value *v);
/* The value alone, for a `?` in a text that was added. */
void wr_sql_bind(wr_sql *q, const wr_sql_value *v);
/* Prepared and bound: step it, then wr_stmt_done(). */
int wr_sql_prepare(wr_stmt **out, wr_track *t, const wr_sql *q, wr_err *err);
