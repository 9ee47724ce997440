/* SPDX-License-Identifier: Apache-2.0 */
/* sql.c - a statement under construction. */
#include "track/sql.h"

void wr_sql_fini(wr_sql *q)
{
    wr_buf_fini(&q->text);
    wr_vec_fini(&q->values);
}

void wr_sql_add(wr_sql *q, const char *text) { wr_buf_str(&q->text, text); }
void wr_sql_int(wr_sql *q, int64_t v) { wr_buf_i64(&q->text, v); }

void wr_sql_bind(wr_sql *q, const wr_sql_value *v)
{
    if (wr_vec_push(&q->values, *v) < 0) q->failed = true;
}

void wr_sql_val(wr_sql *q, const wr_sql_value *v)
{
    wr_buf_char(&q->text, '?');
    wr_sql_bind(q, v);
}

void wr_sql_i64(wr_sql *q, int64_t v) { wr_sql_val(q, &(wr_sql_value){.kind = 'i', .i = v}); }
void wr_sql_f64(wr_sql *q, double v) { wr_sql_val(q, &(wr_sql_value){.kind = 'f', .f = v}); }
void wr_sql_str(wr_sql *q, wr_str v) { wr_sql_val(q, &(wr_sql_value){.kind = 's', .s = v}); }

int wr_sql_prepare(wr_stmt **out, wr_track *t, const wr_sql *q, wr_err *err)
{
    wr_stmt *s;
    if (q->failed || q->text.failed) return wr_err_nomem(err);
    if (q->values.n > WR_SQL_VALUES)
        return wr_err_set(err, WEIR_ELIMIT, "the search names %zu values; %d are the most", q->values.n, WR_SQL_VALUES);
    WR_TRY(wr_db_prepare(wr_track_db(t), &s, wr_buf_cstr(&q->text), err));
    for (size_t i = 0; i < q->values.n; i++) {
        const wr_sql_value *v = &q->values.at[i];
        int at = (int)i + 1;
        if (v->kind == 'i') wr_bind_i64(s, at, v->i);
        else if (v->kind == 'f') wr_bind_f64(s, at, v->f);
        else if (v->s.p) wr_bind_str(s, at, v->s);
        else wr_bind_cstr(s, at, NULL);
    }
    *out = s;
    return 0;
}
