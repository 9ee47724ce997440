/* SPDX-License-Identifier: Apache-2.0 */
/* clean_steps.c - reading the `clean:` section. */
#include "stage/data/clean_steps.h"

enum { MOST_STEPS = 4000 };

typedef struct {
    wr_clean_steps *out;
    wr_arena *a;
    const wr_delta_snapshot *s;
} job;

static int field_index(size_t *out, job *j, const wr_yaml *at, wr_err *err)
{
    const wr_delta_field *f;
    WR_TRY(wr_suite_column(&f, j->s, at, err));
    *out = (size_t)(f - j->s->fields);
    return 0;
}

static const char *now(job *j, size_t field)
{
    return j->out->expr[field] ? j->out->expr[field] : wr_suite_ident(j->a, j->s->fields[field].name);
}

static int push(job *j, const char *op, size_t field, const char *after, const wr_yaml *at, wr_err *err)
{
    const char *before = now(j, field);
    if (!before || !after) return wr_err_nomem(err);
    if (j->out->nstep == MOST_STEPS)
        return wr_yaml_error(at, WEIR_ELIMIT, err, "more than %d cleaning steps", MOST_STEPS);
    j->out->step[j->out->nstep++] = (wr_clean_step){op, field, before, after};
    j->out->expr[field] = after;
    return 0;
}

static int of_text(job *j, size_t field, const char *op, const wr_yaml *at, wr_err *err)
{
    if (strcmp(j->s->fields[field].type, "string") == 0) return 0;
    return wr_yaml_error(at, WEIR_ETYPE, err, "%s needs a string column; \"%s\" is %s", op, j->s->fields[field].name,
                         j->s->fields[field].type);
}

/* trim and lower: a function over listed text columns. */
static int functions(job *j, const wr_yaml *section, const char *op, wr_err *err)
{
    const wr_yaml *list = wr_yaml_get(section, op);
    const char **names;
    size_t n, field;
    if (!list) return 0;
    WR_TRY(wr_suite_columns(&names, &n, j->a, j->s, list, op, err));
    for (size_t i = 0; i < n; i++) {
        const wr_yaml *at = list->kind == WR_YAML_SEQ ? list->items[i] : list;
        WR_TRY(field_index(&field, j, at, err));
        WR_TRY(of_text(j, field, op, at, err));
        const char *before = now(j, field);
        WR_TRY(push(j, op, field, before ? wr_arena_printf(j->a, "%s(%s)", op, before) : NULL, at, err));
    }
    return 0;
}

static int one_missing(job *j, const wr_yaml *m, wr_err *err)
{
    static const char *const keys[] = {"columns", "values", NULL};
    const wr_yaml *values = wr_yaml_get(m, "values"), *list = wr_yaml_get(m, "columns");
    const char **names, *literal;
    size_t n, field;
    WR_TRY(wr_yaml_known(m, "\"missing\"", keys, err));
    if (!values || values->kind != WR_YAML_SEQ || !values->n)
        return wr_yaml_error(m, WEIR_EINVAL, err, "\"missing\" needs a list of values");
    WR_TRY(wr_suite_columns(&names, &n, j->a, j->s, list, "columns", err));
    for (size_t i = 0; i < n; i++) {
        const wr_yaml *at = list->kind == WR_YAML_SEQ ? list->items[i] : list;
        WR_TRY(field_index(&field, j, at, err));
        const char *after = now(j, field);
        for (size_t v = 0; after && v < values->n; v++) {
            WR_TRY(wr_suite_literal(&literal, j->a, values->items[v], j->s->fields[field].type, "values", err));
            after = wr_arena_printf(j->a, "nullif(%s, %s)", after, literal);
        }
        WR_TRY(push(j, "missing", field, after, at, err));
    }
    return 0;
}

static int one_fill(job *j, const wr_yaml *m, wr_err *err)
{
    static const char *const keys[] = {"column", "value", NULL};
    const char *literal;
    size_t field;
    WR_TRY(wr_yaml_known(m, "\"fill\"", keys, err));
    const wr_yaml *at = wr_yaml_get(m, "column");
    if (!at) return wr_yaml_error(m, WEIR_EINVAL, err, "\"fill\" needs a column and a value");
    WR_TRY(field_index(&field, j, at, err));
    WR_TRY(wr_suite_literal(&literal, j->a, wr_yaml_get(m, "value"), j->s->fields[field].type, "value", err));
    const char *before = now(j, field);
    return push(j, "fill", field, before ? wr_arena_printf(j->a, "coalesce(%s, %s)", before, literal) : NULL, m, err);
}

/* One map or a list of maps. */
static int each(job *j, const wr_yaml *section, const char *op, int (*one)(job *, const wr_yaml *, wr_err *),
                wr_err *err)
{
    const wr_yaml *y = wr_yaml_get(section, op);
    if (!y) return 0;
    if (y->kind == WR_YAML_MAP) return one(j, y, err);
    if (y->kind != WR_YAML_SEQ) return wr_yaml_error(y, WEIR_ETYPE, err, "\"%s\" must be a map or a list of maps", op);
    for (size_t i = 0; i < y->n; i++) WR_TRY(one(j, y->items[i], err));
    return 0;
}

static int cast_one(job *j, size_t field, const wr_yaml *to, wr_err *err)
{
    static const char *const types[] = {"long",  "integer", "short", "byte",   "double",
                                        "float", "boolean", "date",  "string", "timestamp"};
    static const char *const forms[] = {
        "TRY_CAST(%s AS BIGINT)", "TRY_CAST(%s AS INTEGER)",  "TRY_CAST(%s AS SMALLINT)", "TRY_CAST(%s AS TINYINT)",
        "TRY_CAST(%s AS DOUBLE)", "TRY_CAST(%s AS FLOAT)",    "TRY_CAST(%s AS BOOLEAN)",  "TRY_CAST(%s AS DATE)",
        "CAST(%s AS VARCHAR)",    "TRY_CAST(%s AS TIMESTAMP)"};
    enum { N = sizeof types / sizeof *types };
    wr_str name;
    size_t t = 0;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    WR_TRY(wr_yaml_str(&name, to, "type", err));
    while (t < N && !wr_str_is(name, types[t])) t++;
    if (t == N) {
        wr_yaml_error(to, WEIR_EINVAL, err, "cannot cast to \"%.*s\"", WR_STR_FMT(wr_str_fit(name, 60)));
        int near = wr_str_nearest(name, types, N);
        return wr_err_hint(err, WEIR_EINVAL, near >= 0 ? "did you mean \"%s\"?" : "for example %s",
                           types[near >= 0 ? near : 0]);
    }
    const char *before = now(j, field), *gap = strstr(forms[t], "%s");
    if (!before) return wr_err_nomem(err);
    wr_buf_add(&b, forms[t], (size_t)(gap - forms[t]));
    wr_buf_str(&b, before);
    wr_buf_str(&b, gap + 2);
    j->out->uncast[field] = before;
    j->out->fields[field].type = (char *)types[t];
    return push(j, "cast", field, b.failed ? NULL : wr_arena_strdup(j->a, wr_buf_cstr(&b)), to, err);
}

static int casts(job *j, const wr_yaml *section, wr_err *err)
{
    const wr_yaml *y = wr_yaml_get(section, "cast");
    size_t field;
    if (!y) return 0;
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_ETYPE, err, "\"cast\" must be a map of columns to types");
    for (size_t i = 0; i < y->n; i++) {
        WR_TRY(field_index(&field, j, y->keys[i], err));
        WR_TRY(cast_one(j, field, y->items[i], err));
    }
    return 0;
}

static int dedupe(job *j, const wr_yaml *section, wr_err *err)
{
    static const char *const keys[] = {"columns", "keep", NULL};
    const wr_yaml *y = wr_yaml_get(section, "dedupe");
    const char **names;
    size_t n;
    wr_str keep;
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    if (!y) return 0;
    WR_TRY(wr_yaml_known(y, "\"dedupe\"", keys, err));
    WR_TRY(wr_suite_columns(&names, &n, j->a, j->s, wr_yaml_get(y, "columns"), "columns", err));
    WR_TRY(wr_yaml_get_str(&keep, y, "keep", "first", err));
    j->out->keep_last = wr_str_is(keep, "last");
    if (!j->out->keep_last && !wr_str_is(keep, "first"))
        return wr_yaml_error(wr_yaml_get(y, "keep"), WEIR_EINVAL, err, "\"keep\" is first or last");
    for (size_t i = 0; i < n; i++) {
        if (i) wr_buf_str(&b, ", ");
        wr_sql_ident(&b, wr_str_of(names[i]));
    }
    j->out->dedupe = b.failed ? NULL : wr_arena_strdup(j->a, wr_buf_cstr(&b));
    return j->out->dedupe ? 0 : wr_err_nomem(err);
}

static int drops(job *j, const wr_yaml *section, wr_err *err)
{
    const wr_yaml *y = wr_yaml_get(section, "drop_columns");
    const char **names;
    size_t n, field;
    if (!y) return 0;
    WR_TRY(wr_suite_columns(&names, &n, j->a, j->s, y, "drop_columns", err));
    if (n == j->s->nfields) return wr_yaml_error(y, WEIR_EINVAL, err, "no column would be left");
    for (size_t i = 0; i < n; i++) {
        WR_TRY(field_index(&field, j, y->kind == WR_YAML_SEQ ? y->items[i] : y, err));
        j->out->dropped[field] = true;
    }
    return 0;
}

int wr_clean_steps_read(wr_clean_steps *out, wr_arena *a, const wr_yaml *section, const wr_delta_snapshot *s,
                        wr_err *err)
{
    static const char *const keys[] = {"trim", "lower", "missing", "fill", "cast", "dedupe", "drop_columns", NULL};
    job j = {out, a, s};
    memset(out, 0, sizeof *out);
    out->nfields = s->nfields;
    out->step = wr_arena_calloc(a, section ? MOST_STEPS : 1, sizeof *out->step);
    out->expr = wr_arena_calloc(a, s->nfields + 1, sizeof *out->expr);
    out->uncast = wr_arena_calloc(a, s->nfields + 1, sizeof *out->uncast);
    out->dropped = wr_arena_calloc(a, s->nfields + 1, sizeof *out->dropped);
    out->fields = wr_arena_dup(a, s->fields, s->nfields * sizeof *s->fields);
    if (!out->step || !out->expr || !out->uncast || !out->dropped || !out->fields) return wr_err_nomem(err);
    if (!section) return 0;
    WR_TRY(wr_yaml_known(section, "\"clean\"", keys, err));
    WR_TRY(functions(&j, section, "trim", err));
    WR_TRY(functions(&j, section, "lower", err));
    WR_TRY(each(&j, section, "missing", one_missing, err));
    WR_TRY(each(&j, section, "fill", one_fill, err));
    WR_TRY(casts(&j, section, err));
    WR_TRY(dedupe(&j, section, err));
    return drops(&j, section, err);
}
