/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - a suite as few queries, and their answers as results. */
#include "stage/data/check.h"

#include <math.h>

#include "base/clock.h"
#include "base/num.h"

typedef struct {
    wr_arena *arena;
    wr_project *project;
    wr_tables *tables;
    const wr_suite *suite;
    wr_check_report *report;
    const char *source; /* what to select from: this, or this with the windows */
} job;

/* ---- SQL ---- */

void wr_check_helpers(wr_buf *b, const wr_suite *suite, const char *row)
{
    for (size_t i = 0; i < suite->n; i++) {
        const wr_check *c = &suite->check[i];
        if (row && !c->quarantine) continue;
        if (c->helper) wr_buf_printf(b, ", %s AS _weir_h%zu", c->helper, i);
        if (c->groups && row)
            wr_buf_printf(b, ", row_number() OVER (PARTITION BY %s%s%s ORDER BY %s) AS _weir_h%zu", c->groups,
                          c->where ? ", " : "", c->where ? c->where : "", row, i);
    }
}

/* Rows that count, or nothing when all do. */
static bool judged(wr_buf *b, const wr_check *c)
{
    if (c->judged) wr_buf_printf(b, "(%s)", c->judged);
    if (c->judged && c->where) wr_buf_str(b, " AND ");
    if (c->where) wr_buf_str(b, c->where);
    return c->judged || c->where;
}

void wr_check_condition(wr_buf *b, const wr_suite *suite, size_t i)
{
    const wr_check *c = &suite->check[i];
    wr_buf_str(b, "coalesce(");
    if (judged(b, c)) wr_buf_str(b, " AND ");
    if (c->groups) wr_buf_printf(b, "_weir_h%zu > 1", i);
    else if (c->helper) wr_buf_printf(b, "(%s _weir_h%zu)", c->bad, i);
    else wr_buf_printf(b, "(%s)", c->bad);
    wr_buf_str(b, ", false)");
}

/* The columns check i adds to the common scan. */
static void scan_columns(wr_buf *b, const wr_suite *suite, size_t i)
{
    const wr_check *c = &suite->check[i];
    if (c->value) wr_buf_printf(b, ", CAST(%s AS DOUBLE) AS v%zu", c->value, i);
    if (!c->bad) return;
    wr_buf_str(b, ", count(*)");
    if (c->judged || c->where) {
        wr_buf_str(b, " FILTER (WHERE ");
        judged(b, c);
        wr_buf_char(b, ')');
    }
    wr_buf_printf(b, " AS j%zu, count(*) FILTER (WHERE ", i);
    wr_check_condition(b, suite, i);
    wr_buf_printf(b, ") AS b%zu", i);
}

/* ---- errors in the user's SQL ---- */

int wr_check_locate(wr_tables *t, const wr_suite *suite, const char *from, bool quarantine, int rc, wr_err *err)
{
    if (rc == WEIR_ENOMEM || rc == WEIR_ECANCELED || rc == WEIR_EIO || rc == WEIR_ENOSPC) return rc;
    for (size_t i = 0; i < suite->n; i++) {
        const wr_check *c = &suite->check[i];
        WR_AUTOBUF wr_buf b = {0};
        WR_AUTOFRAME wr_frame *f = NULL;
        wr_err own = {0};
        if ((!c->bad && !c->value) || (quarantine && !c->quarantine)) continue;
        wr_buf_init(&b, 0);
        wr_buf_str(&b, "SELECT 0");
        scan_columns(&b, suite, i);
        wr_buf_printf(&b, " FROM %s", from);
        if (b.failed || wr_tables_query(t, &f, wr_buf_cstr(&b), NULL, 0, &own) == 0) continue;
        if (err) *err = own;
        return wr_err_wrap(err, own.code, "%s:%d:%d: check \"%s\"", c->yaml->file, c->yaml->line, c->yaml->column,
                           c->name);
    }
    return rc;
}

/* ---- results ---- */

static int64_t whole(const wr_frame *f, const char *prefix, size_t i)
{
    char name[32];
    snprintf(name, sizeof name, "%s%zu", prefix, i);
    const wr_col *c = wr_frame_col(f, name);
    return c && c->n && c->type == WR_I64 ? c->i64[0] : 0;
}

static void judge_rows(wr_check_result *r, int64_t rows, int64_t violating)
{
    r->judged = rows;
    r->violating = violating;
    r->share = rows ? (double)(rows - violating) / (double)rows : 1;
    r->success = violating == 0 || (r->check->mostly < 1 && r->share >= r->check->mostly);
}

static void judge_value(wr_check_result *r, double v)
{
    r->value = v;
    r->success = v >= r->check->lo && v <= r->check->hi; /* NaN fails */
    r->share = r->success ? 1 : 0;
}

static int scan(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "SELECT count(*) AS n0");
    for (size_t i = 0; i < j->suite->n; i++) scan_columns(&b, j->suite, i);
    wr_buf_printf(&b, " FROM %s", j->source);
    if (b.failed) return wr_err_nomem(err);
    int rc = wr_tables_query(j->tables, &f, wr_buf_cstr(&b), NULL, 0, err);
    if (rc < 0) return wr_check_locate(j->tables, j->suite, j->source, false, rc, err);
    j->report->rows = whole(f, "n", 0);
    for (size_t i = 0; i < j->suite->n; i++) {
        const wr_check *c = &j->suite->check[i];
        char name[32];
        if (c->bad) judge_rows(&j->report->result[i], whole(f, "j", i), whole(f, "b", i));
        if (!c->value) continue;
        snprintf(name, sizeof name, "v%zu", i);
        const wr_col *v = wr_frame_col(f, name);
        judge_value(&j->report->result[i], v && v->n ? wr_col_num(v, 0) : NAN);
    }
    return 0;
}

static const char *where_clause(wr_arena *a, const wr_check *c)
{
    return c->where ? wr_arena_printf(a, " WHERE %s", c->where) : "";
}

static int count_groups(job *j, wr_check_result *r, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    const wr_check *c = r->check;
    const char *where = where_clause(j->arena, c), *sql = NULL;
    if (where)
        sql = wr_arena_printf(j->arena,
                              "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS j0, "
                              "CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS b0 FROM "
                              "(SELECT count(*) AS n FROM this%s GROUP BY %s)",
                              where, c->groups);
    if (!sql) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(j->tables, &f, sql, NULL, 0, err));
    judge_rows(r, whole(f, "j", 0), whole(f, "b", 0));
    return 0;
}

static int ask_number(job *j, wr_check_result *r, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_TRY(wr_dataset_views_for(j->tables, j->project, r->check->select, NULL, NULL, j->arena, err));
    WR_TRY(wr_tables_query(j->tables, &f, r->check->select, NULL, 0, err));
    if (f->nrows != 1 || f->ncols != 1 || f->cols[0].type == WR_TEXT)
        return wr_err_set(err, WEIR_EINVAL, "the query must give one number, not %zu rows of %zu columns", f->nrows,
                          f->ncols);
    judge_value(r, wr_col_num(&f->cols[0], 0));
    return 0;
}

static int own_queries(job *j, wr_err *err)
{
    for (size_t i = 0; i < j->suite->n; i++) {
        const wr_check *c = &j->suite->check[i];
        int rc = c->groups   ? count_groups(j, &j->report->result[i], err)
                 : c->select ? ask_number(j, &j->report->result[i], err)
                             : 0;
        if (rc < 0)
            return wr_err_wrap(err, rc, "%s:%d:%d: check \"%s\"", c->yaml->file, c->yaml->line, c->yaml->column,
                               c->name);
    }
    return 0;
}

/* ---- examples ---- */

static int examples_sql(wr_buf *b, job *j, size_t i, wr_err *err)
{
    const wr_check *c = &j->suite->check[i];
    const char *where = where_clause(j->arena, c);
    wr_buf_str(b, "SELECT CAST(to_json(r) AS VARCHAR) FROM (SELECT ");
    if (c->groups) {
        wr_buf_printf(b, "%s, count(*) AS rows FROM this%s GROUP BY %s HAVING count(*) > 1 ORDER BY count(*) DESC, %s",
                      c->groups, where ? where : "", c->groups, c->groups);
    } else {
        wr_buf_str(b, "*");
        bool first = true;
        for (size_t k = 0; k < j->suite->n; k++) {
            if (!j->suite->check[k].helper) continue;
            wr_buf_printf(b, "%s_weir_h%zu", first ? " EXCLUDE (" : ", ", k);
            first = false;
        }
        wr_buf_printf(b, "%s FROM %s WHERE ", first ? "" : ")", j->source);
        wr_check_condition(b, j->suite, i);
        if (c->worst) wr_buf_printf(b, " ORDER BY %s DESC NULLS LAST", c->worst);
    }
    wr_buf_printf(b, " LIMIT %d) r", WR_CHECK_EXAMPLES);
    return b->failed || !where ? wr_err_nomem(err) : 0;
}

static int fetch_examples(job *j, size_t i, wr_err *err)
{
    wr_check_result *r = &j->report->result[i];
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOFRAME wr_frame *f = NULL;
    wr_buf_init(&b, 0);
    WR_TRY(examples_sql(&b, j, i, err));
    WR_TRY(wr_tables_query(j->tables, &f, wr_buf_cstr(&b), NULL, 0, err));
    r->examples = wr_arena_calloc(j->arena, f->nrows + 1, sizeof *r->examples);
    if (!r->examples) return wr_err_nomem(err);
    for (size_t k = 0; k < f->nrows; k++) {
        wr_str s = wr_arena_str(j->arena, wr_col_text(&f->cols[0], k));
        if (!s.p) return wr_err_nomem(err);
        r->examples[r->nexamples++] = (char *)s.p;
    }
    return 0;
}

/* ---- words ---- */

static const char *value_text(wr_arena *a, const wr_check_result *r)
{
    char text[WR_TIME_TEXT + 32];
    if (isnan(r->value)) return "nothing";
    if (r->check->is_time) wr_time_format(text, (int64_t)r->value);
    else if (r->value == floor(r->value) && fabs(r->value) < 1e15) wr_fmt_count(text, r->value);
    else snprintf(text, sizeof text, "%.6g", r->value);
    return wr_arena_strdup(a, text);
}

static int say(wr_check_result *r, wr_arena *a, wr_err *err)
{
    const wr_check *c = r->check;
    char bad[WR_NUM_TEXT], all[WR_NUM_TEXT];
    if (c->decided) r->message = c->expected;
    else if (c->value || c->select) {
        const char *v = value_text(a, r);
        r->message = v ? wr_arena_printf(a, "%s: %s", c->expected, v) : NULL;
    } else if (!r->violating) r->message = c->expected;
    else {
        r->message = wr_arena_printf(a, "%s: %s of %s rows violate", c->expected,
                                     wr_fmt_count(bad, (double)r->violating), wr_fmt_count(all, (double)r->judged));
        if (r->message && c->mostly < 1)
            r->message =
                wr_arena_printf(a, "%s (%.4g %% pass, %.4g %% must)", r->message, 100 * r->share, 100 * c->mostly);
    }
    return r->message ? 0 : wr_err_nomem(err);
}

static int finish(job *j, wr_err *err)
{
    wr_check_report *out = j->report;
    for (size_t i = 0; i < out->n; i++) {
        wr_check_result *r = &out->result[i];
        if (r->violating) WR_TRY(fetch_examples(j, i, err));
        WR_TRY(say(r, j->arena, err));
        if (r->success) out->passed++;
        else if (r->check->warn) out->warned++;
        else out->failed++;
    }
    out->success = out->failed == 0;
    return 0;
}

static int run(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf windows = {0};
    wr_buf_init(&windows, 0);
    wr_check_helpers(&windows, j->suite, NULL);
    j->source = windows.n ? wr_arena_printf(j->arena, "(SELECT *%s FROM this)", wr_buf_cstr(&windows)) : "this";
    if (windows.failed || !j->source) return wr_err_nomem(err);
    WR_TRY(scan(j, err));
    WR_TRY(own_queries(j, err));
    return finish(j, err);
}

static int prepare(job *j, wr_delta_snapshot *s, const char *ref, wr_suite *suite, wr_err *err)
{
    wr_check_report *out = j->report;
    WR_TRY(wr_suite_bind(suite, j->arena, s, err));
    out->dataset = wr_arena_strdup(j->arena, ref);
    out->n = suite->n;
    out->result = wr_arena_calloc(j->arena, suite->n + 1, sizeof *out->result);
    if (!out->dataset || !out->result || wr_dataset_node(&out->node, j->arena, ref, s) < 0) return wr_err_nomem(err);
    for (size_t i = 0; i < suite->n; i++) {
        const wr_check *c = &suite->check[i];
        out->result[i] =
            (wr_check_result){.check = c, .value = NAN, .share = c->decided >= 0, .success = c->decided > 0};
    }
    return 0;
}

/* The version read first is the one queried, whatever is committed meanwhile. */
static int with_tables(job *j, const wr_delta_snapshot *s, wr_err *err)
{
    char *name = wr_arena_strdup(j->arena, j->report->dataset);
    if (!name) return wr_err_nomem(err);
    name[strcspn(name, "@")] = 0;
    const char *fixed = wr_arena_printf(j->arena, "%s@%lld", name, (long long)s->version);
    if (!fixed) return wr_err_nomem(err);
    WR_TRY(wr_project_tables(&j->tables, j->project, NULL, err));
    int rc = wr_dataset_view(j->tables, j->project, fixed, "this", err);
    if (rc == 0) rc = run(j, err);
    wr_tables_close(j->tables);
    return rc;
}

int wr_check_run(wr_check_report *out, wr_arena *a, wr_project *p, const char *ref, wr_suite *suite, wr_err *err)
{
    wr_delta_snapshot s;
    job j = {.arena = a, .project = p, .suite = suite, .report = out};
    memset(out, 0, sizeof *out);
    WR_TRY(wr_dataset_read(&s, p, ref, err));
    int rc = prepare(&j, &s, ref, suite, err);
    if (rc == 0) rc = with_tables(&j, &s, err);
    for (size_t i = 0; i < suite->n; i++) suite->check[i].field = NULL; /* they go with the snapshot */
    wr_delta_free(&s);
    return rc;
}

/* ---- JSON ---- */

static void result_json(wr_jsonw *w, const wr_check_result *r)
{
    const wr_check *c = r->check;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", c->name);
    wr_jsonw_kstr(w, "check", c->kind->name);
    if (c->column) wr_jsonw_kstr(w, "column", c->column);
    wr_jsonw_kbool(w, "success", r->success);
    wr_jsonw_kstr(w, "severity", c->warn ? "warn" : "error");
    wr_jsonw_kstr(w, "action", c->quarantine ? "quarantine" : "none");
    if (c->bad || c->groups) {
        wr_jsonw_ki64(w, "evaluated", r->judged);
        wr_jsonw_ki64(w, "violating", r->violating);
        wr_jsonw_kf64(w, "share", r->share);
        wr_jsonw_kf64(w, "mostly", c->mostly);
    }
    if (c->is_time && !isnan(r->value)) {
        char text[WR_TIME_TEXT];
        wr_time_format(text, (int64_t)r->value);
        wr_jsonw_kstr(w, "observed_value", text);
    } else if (c->value || c->select) wr_jsonw_kf64(w, "observed_value", r->value);
    wr_jsonw_kstr(w, "message", r->message);
    wr_jsonw_key(w, "examples");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->nexamples; i++) wr_jsonw_raw(w, wr_str_of(r->examples[i]));
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

void wr_check_json(wr_jsonw *w, const wr_check_report *r, const wr_suite *suite)
{
    wr_jsonw_obj(w);
    wr_jsonw_kbool(w, "success", r->success);
    wr_jsonw_kstr(w, "suite", suite->name);
    wr_jsonw_kstr(w, "dataset", r->node.name);
    wr_jsonw_ki64(w, "version", r->node.version);
    wr_jsonw_kstr(w, "hash", r->node.hash);
    wr_jsonw_ki64(w, "rows", r->rows);
    wr_jsonw_key(w, "statistics");
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "evaluated", (int64_t)r->n);
    wr_jsonw_ki64(w, "successful", (int64_t)r->passed);
    wr_jsonw_ki64(w, "unsuccessful", (int64_t)(r->failed + r->warned));
    wr_jsonw_ki64(w, "warnings", (int64_t)r->warned);
    wr_jsonw_kf64(w, "success_percent", r->n ? 100.0 * (double)r->passed / (double)r->n : 100);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "results");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < r->n; i++) result_json(w, &r->result[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}
