/* SPDX-License-Identifier: Apache-2.0 */
/* filter_sql.c - the search language: from clauses to SQL with bound values. */
#include <stdio.h>

#include "track/filter.h"

void wr_filter_template(wr_sql *q, const char *text, int alias)
{
    char name[16];
    snprintf(name, sizeof name, "f%d", alias);
    for (; *text; text++) {
        if (*text == '$' && text[1] == '$') wr_buf_char(&q->text, *text++);
        else if (*text == '$') wr_buf_str(&q->text, name);
        else wr_buf_char(&q->text, *text);
    }
}

static void bind(wr_sql *q, const wr_filter_value *v)
{
    if (!v->number) wr_sql_str(q, v->text);
    else if (v->whole) wr_sql_i64(q, v->i);
    else wr_sql_f64(q, v->f);
}

static void call(wr_sql *q, const char *function, const char *expression, int alias, const wr_filter_value *v)
{
    wr_sql_add(q, function);
    wr_filter_template(q, expression, alias);
    wr_sql_add(q, ", ");
    bind(q, v);
    wr_sql_add(q, ")");
}

static void compare_list(wr_sql *q, const wr_filter_clause *c)
{
    wr_sql_add(q, c->op == WR_OP_IN ? " IN (" : " NOT IN (");
    for (size_t i = 0; i < c->nvalues; i++) {
        if (i) wr_sql_add(q, ", ");
        bind(q, &c->values[i]);
    }
    wr_sql_add(q, ")");
}

void wr_filter_compare(wr_sql *q, const char *expression, int alias, const wr_filter_clause *c)
{
    static const struct {
        unsigned op;
        const char *sign;
    } signs[] = {{WR_OP_EQ, " = "},  {WR_OP_NE, " <> "}, {WR_OP_LT, " < "},
                 {WR_OP_LE, " <= "}, {WR_OP_GT, " > "},  {WR_OP_GE, " >= "}};
    static const struct {
        unsigned op;
        const char *call;
    } calls[] = {{WR_OP_LIKE, "wr_like("},   {WR_OP_NOT_LIKE, "NOT wr_like("},
                 {WR_OP_ILIKE, "wr_ilike("}, {WR_OP_NOT_ILIKE, "NOT wr_ilike("},
                 {WR_OP_RLIKE, "wr_rlike("}, {WR_OP_NOT_RLIKE, "NOT wr_rlike("}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (c->op == calls[i].op) {
            call(q, calls[i].call, expression, alias, &c->values[0]);
            return;
        }
    wr_filter_template(q, expression, alias);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (c->op == signs[i].op) {
            wr_sql_add(q, signs[i].sign);
            bind(q, &c->values[0]);
            return;
        }
    if (c->op & WR_OPS_IN) {
        compare_list(q, c);
    } else if (c->op & (WR_OP_BETWEEN | WR_OP_NOT_BETWEEN)) {
        wr_sql_add(q, c->op == WR_OP_BETWEEN ? " BETWEEN " : " NOT BETWEEN ");
        bind(q, &c->values[0]);
        wr_sql_add(q, " AND ");
        bind(q, &c->values[1]);
    } else {
        wr_sql_add(q, c->op == WR_OP_IS_NULL ? " IS NULL" : " IS NOT NULL");
    }
}

static const char *expression_of(const wr_filter_clause *c)
{
    return c->nvalues && c->values[0].number && c->field->number ? c->field->number : c->field->column;
}

/* A field of the noun's own row. */
static void own(wr_sql *q, const wr_filter_clause *c, int alias)
{
    const char *expression = expression_of(c);
    wr_sql_add(q, "(");
    if (!(c->op & WR_OPS_NULL) && !(c->field->always && expression == c->field->column)) {
        wr_filter_template(q, expression, alias);
        wr_sql_add(q, " IS NOT NULL AND ");
    }
    wr_filter_compare(q, expression, alias, c);
    wr_sql_add(q, ")");
}

int wr_filter_link(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    const wr_filter_field *f = c->field;
    int64_t id = 0;
    if (f->key == WR_KEY_INTERNED) {
        WR_TRY(wr_track_key_find(&id, t, c->key, err));
        if (id == 0) return 0; /* nothing has it */
    }
    wr_filter_template(q, f->link, alias);
    if (strchr(f->link, '?')) {
        if (f->key == WR_KEY_INTERNED) wr_sql_bind(q, &(wr_sql_value){.kind = 'i', .i = id});
        else wr_sql_bind(q, &(wr_sql_value){.kind = 's', .s = c->key});
    }
    return 1;
}

/* A field in a table of its own. */
static int elsewhere(wr_sql *q, wr_track *t, const wr_filter_clause *c, int alias, wr_err *err)
{
    const wr_filter_field *f = c->field;
    bool absent = c->op == WR_OP_IS_NULL;
    size_t start = q->text.n;
    wr_sql_add(q, absent ? "(NOT EXISTS (SELECT 1 FROM " : "(EXISTS (SELECT 1 FROM ");
    wr_filter_template(q, f->table, alias);
    wr_sql_add(q, " WHERE ");
    int rc = wr_filter_link(q, t, c, alias, err);
    if (rc < 0) return rc;
    if (rc == 0) {
        q->text.n = start;
        wr_sql_add(q, absent ? "(1 = 1)" : "(1 = 0)");
        return 0;
    }
    if (!(c->op & WR_OPS_NULL)) {
        unsigned apart = WR_OP_NE | WR_OP_NOT_IN | WR_OP_NOT_BETWEEN;
        wr_sql_add(q, " AND (");
        wr_filter_compare(q, expression_of(c), alias, c);
        if (f->nan && c->op & apart) {
            wr_sql_add(q, " OR ");
            wr_filter_template(q, f->column, alias);
            wr_sql_add(q, " IS NULL");
        }
        wr_sql_add(q, ")");
    }
    /* PostgreSQL would make a join of it and plan for minutes when there are hundreds; an OFFSET keeps it a probe */
    wr_sql_add(q, t && wr_db_is_shared(wr_track_db(t)) ? " LIMIT 1 OFFSET 0))" : "))");
    return 0;
}

static int clause(wr_sql *q, wr_track *t, const wr_filter_clause *c, int *alias, wr_err *err)
{
    int mine = (*alias)++;
    if (c->field->write) return c->field->write(q, t, c, mine, err);
    if (c->field->table) return elsewhere(q, t, c, mine, err);
    own(q, c, mine);
    return 0;
}

/* Joined as a balanced tree: SQLite bounds the depth of an expression. */
static int joined(wr_sql *q, wr_track *t, const wr_filter_node *n, size_t from, size_t to, int *alias, wr_err *err)
{
    if (to - from == 1) return wr_filter_node_sql(q, t, n->kids[from], alias, err);
    size_t middle = from + (to - from) / 2;
    wr_sql_add(q, "(");
    WR_TRY(joined(q, t, n, from, middle, alias, err));
    wr_sql_add(q, n->kind == WR_FILTER_AND ? " AND " : " OR ");
    WR_TRY(joined(q, t, n, middle, to, alias, err));
    wr_sql_add(q, ")");
    return 0;
}

int wr_filter_node_sql(wr_sql *q, wr_track *t, const wr_filter_node *n, int *alias, wr_err *err)
{
    if (n->kind == WR_FILTER_CLAUSE) return clause(q, t, &n->clause, alias, err);
    if (n->kind == WR_FILTER_NOT) {
        wr_sql_add(q, "(NOT ");
        WR_TRY(wr_filter_node_sql(q, t, n->kids[0], alias, err));
        wr_sql_add(q, ")");
        return 0;
    }
    if (n->nkids > 0) return joined(q, t, n, 0, n->nkids, alias, err);
    wr_sql_add(q, n->kind == WR_FILTER_AND ? "(1 = 1)" : "(1 = 0)");
    return 0;
}

int wr_filter_sql(wr_sql *q, wr_track *t, const wr_filter *f, int *alias, wr_err *err)
{
    if (f->root) return wr_filter_node_sql(q, t, f->root, alias, err);
    wr_sql_add(q, "(1 = 1)");
    return 0;
}
