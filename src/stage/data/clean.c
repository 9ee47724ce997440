/* SPDX-License-Identifier: Apache-2.0 */
/* clean.c - flag rows, count, verify, then write two versions. */
#include "stage/data/clean.h"

#include "stage/data/check.h"
#include "stage/data/clean_steps.h"

typedef struct {
    wr_arena *a;
    wr_project *project;
    wr_tables *t;
    const wr_clean_opt *opt;
    wr_suite *suite;
    wr_run *run;
    wr_clean_report *report;
    wr_clean_steps steps;
    const wr_delta_snapshot *in;
    wr_buf out_sql, quarantine_sql;
} job;

static int exec(job *j, wr_buf *sql, wr_err *err)
{
    return sql->failed ? wr_err_nomem(err) : wr_tables_exec(j->t, wr_buf_cstr(sql), NULL, err);
}

/* ---- the rows with changed values and their number ---- */

static bool dropped(const job *j, size_t i) { return j->steps.dropped[i]; }

static int make_this(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "CREATE TEMP VIEW this AS SELECT ");
    for (size_t i = 0; i < j->in->nfields; i++) {
        wr_str name = wr_str_of(j->in->fields[i].name);
        if (j->steps.expr[i]) wr_buf_printf(&b, "%s AS ", j->steps.expr[i]);
        wr_sql_ident(&b, name);
        wr_buf_str(&b, ", ");
        if (!j->steps.expr[i]) continue;
        wr_sql_ident(&b, name);
        wr_buf_printf(&b, " AS _weir_o%zu, ", i);
        if (j->steps.uncast[i])
            wr_buf_printf(&b, "(%s IS NOT NULL AND %s IS NULL) AS _weir_u%zu, ", j->steps.uncast[i], j->steps.expr[i],
                          i);
    }
    wr_buf_str(&b, "row_number() OVER () AS _weir_row FROM _weir_in");
    return exec(j, &b, err);
}

/* ---- which rows go, and why ---- */

typedef struct {
    wr_buf any, names;
} reasons;

static void reason(reasons *r, const char *name, const char *condition)
{
    if (r->any.n) {
        wr_buf_str(&r->any, " OR ");
        wr_buf_str(&r->names, ", ");
    }
    wr_buf_str(&r->any, condition);
    wr_buf_printf(&r->names, "CASE WHEN %s THEN ", condition);
    wr_sql_text(&r->names, wr_str_of(name));
    wr_buf_str(&r->names, " END");
}

static int collect(job *j, reasons *r, wr_err *err)
{
    for (size_t i = 0; i < j->suite->n; i++) {
        WR_AUTOBUF wr_buf b = {0};
        if (!j->suite->check[i].quarantine) continue;
        wr_buf_init(&b, 0);
        wr_check_condition(&b, j->suite, i);
        if (b.failed) return wr_err_nomem(err);
        reason(r, j->suite->check[i].name, wr_buf_cstr(&b));
    }
    for (size_t i = 0; i < j->in->nfields; i++) {
        if (!j->steps.uncast[i]) continue;
        const char *name = wr_arena_printf(j->a, "cast_%s", j->in->fields[i].name),
                   *condition = wr_arena_printf(j->a, "_weir_u%zu", i);
        if (!name || !condition) return wr_err_nomem(err);
        reason(r, name, condition);
    }
    return r->any.failed || r->names.failed ? wr_err_nomem(err) : 0;
}

static int make_flagged(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0}, from = {0};
    reasons r;
    wr_buf_init(&b, 0);
    wr_buf_init(&from, 0);
    wr_buf_init(&r.any, 0);
    wr_buf_init(&r.names, 0);
    int rc = collect(j, &r, err);
    const char *any = r.any.n ? wr_buf_cstr(&r.any) : "false", *names = r.names.n ? wr_buf_cstr(&r.names) : "NULL";
    wr_buf_str(&from, "(SELECT *");
    wr_check_helpers(&from, j->suite, "_weir_row");
    wr_buf_str(&from, " FROM this)");
    wr_buf_str(&b, "CREATE TEMP TABLE _weir_flagged AS ");
    if (j->steps.dedupe)
        wr_buf_printf(
            &b,
            "SELECT _weir_row, CASE WHEN _weir_bad THEN _weir_why ELSE 'dedupe' END AS _reason FROM (SELECT "
            "_weir_row, _weir_bad, _weir_why, row_number() OVER (PARTITION BY _weir_bad, %s ORDER BY _weir_row%s)"
            " AS _weir_d FROM (SELECT *, %s AS _weir_bad, concat_ws(',', %s) AS _weir_why FROM %s)) "
            "WHERE _weir_bad OR _weir_d > 1",
            j->steps.dedupe, j->steps.keep_last ? " DESC" : "", any, names, wr_buf_cstr(&from));
    else
        wr_buf_printf(&b, "SELECT _weir_row, concat_ws(',', %s) AS _reason FROM %s WHERE %s", names, wr_buf_cstr(&from),
                      any);
    wr_buf_fini(&r.any);
    wr_buf_fini(&r.names);
    if (rc == 0) rc = exec(j, &b, err);
    return rc < 0 && !from.failed ? wr_check_locate(j->t, j->suite, wr_buf_cstr(&from), true, rc, err) : rc;
}

/* ---- the two halves ---- */

static int halves(job *j, wr_err *err)
{
    bool none = j->report->rows_quarantine == 0;
    wr_buf *o = &j->out_sql, *q = &j->quarantine_sql;
    wr_buf_str(o, "SELECT ");
    wr_buf_str(q, "SELECT ");
    bool first = true;
    for (size_t i = 0; i < j->in->nfields; i++) {
        wr_str name = wr_str_of(j->in->fields[i].name);
        if (!dropped(j, i)) {
            if (!first) wr_buf_str(o, ", ");
            wr_sql_ident(o, name);
            first = false;
        }
        if (j->steps.expr[i]) wr_buf_printf(q, "_weir_o%zu AS ", i);
        wr_sql_ident(q, name);
        wr_buf_str(q, ", ");
    }
    /* Joins promise no order; where nothing is flagged the scan's own order stands. */
    wr_buf_str(o, none ? " FROM this" : " FROM this ANTI JOIN _weir_flagged USING (_weir_row) ORDER BY _weir_row");
    wr_buf_printf(q,
                  "_reason, CAST(%lld AS BIGINT) AS _source_version FROM this JOIN _weir_flagged USING (_weir_row) "
                  "ORDER BY _weir_row",
                  (long long)j->in->version);
    return o->failed || q->failed ? wr_err_nomem(err) : 0;
}

/* ---- counts ---- */

static int count_changes(job *j, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOFRAME wr_frame *f = NULL;
    const wr_clean_steps *s = &j->steps;
    if (!s->nstep) return 0;
    wr_buf_init(&b, 0);
    wr_buf_str(&b, "SELECT ");
    for (size_t i = 0; i < s->nstep; i++) {
        const wr_clean_step *step = &s->step[i];
        if (i) wr_buf_str(&b, ", ");
        if (strcmp(step->op, "cast") == 0) wr_buf_printf(&b, "count(%s) AS c%zu", step->after, i);
        else wr_buf_printf(&b, "count(*) FILTER (WHERE %s IS DISTINCT FROM %s) AS c%zu", step->after, step->before, i);
    }
    wr_buf_str(&b, " FROM _weir_in");
    if (b.failed) return wr_err_nomem(err);
    WR_TRY(wr_tables_query(j->t, &f, wr_buf_cstr(&b), NULL, 0, err));
    j->report->change = wr_arena_calloc(j->a, s->nstep, sizeof *j->report->change);
    if (!j->report->change) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nstep; i++)
        j->report->change[i] = (wr_clean_count){
            s->step[i].op, wr_arena_strdup(j->a, j->in->fields[s->step[i].field].name), f->cols[i].i64[0]};
    j->report->nchange = s->nstep;
    return 0;
}

static int count_reasons(job *j, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_TRY(wr_tables_query(j->t, &f,
                           "SELECT r, count(*) AS n FROM (SELECT unnest(string_split(_reason, ',')) AS r "
                           "FROM _weir_flagged) GROUP BY r ORDER BY n DESC, r",
                           NULL, 0, err));
    j->report->reason = wr_arena_calloc(j->a, f->nrows + 1, sizeof *j->report->reason);
    if (!j->report->reason) return wr_err_nomem(err);
    for (size_t i = 0; i < f->nrows; i++) {
        wr_str name = wr_arena_str(j->a, wr_col_text(&f->cols[0], i));
        if (!name.p) return wr_err_nomem(err);
        j->report->reason[j->report->nreason++] = (wr_clean_count){name.p, NULL, f->cols[1].i64[i]};
    }
    return 0;
}

static int count_of(int64_t *out, job *j, const wr_buf *sql, wr_err *err)
{
    const char *count = wr_arena_printf(j->a, "SELECT count(*) FROM (%s)", wr_buf_cstr(sql));
    return count ? wr_tables_i64(j->t, out, count, err) : wr_err_nomem(err);
}

static int lost(const wr_clean_report *r, wr_err *err)
{
    wr_err_set(err, WEIR_EINTERNAL, "%lld rows came in, %lld and %lld would go out", (long long)r->rows_in,
               (long long)r->rows_out, (long long)r->rows_quarantine);
    return wr_err_hint(err, WEIR_EINTERNAL, "nothing was written; please report this");
}

static int count(job *j, wr_err *err)
{
    wr_clean_report *r = j->report;
    int64_t different;
    WR_TRY(wr_tables_i64(j->t, &r->rows_in, "SELECT count(*) FROM _weir_in", err));
    WR_TRY(wr_tables_i64(j->t, &r->rows_quarantine, "SELECT count(*) FROM _weir_flagged", err));
    WR_TRY(wr_tables_i64(j->t, &different, "SELECT count(DISTINCT _weir_row) FROM _weir_flagged", err));
    WR_TRY(halves(j, err));
    WR_TRY(count_of(&r->rows_out, j, &j->out_sql, err));
    if (different != r->rows_quarantine || r->rows_out + r->rows_quarantine != r->rows_in) return lost(r, err);
    WR_TRY(count_changes(j, err));
    return count_reasons(j, err);
}

/* ---- writing ---- */

static int write_one(wr_dataset_written *w, job *j, const char *name, const wr_buf *sql, int64_t rows, wr_err *err)
{
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE, .operation = "CLEAN", .run_id = wr_run_id(j->run)};
    opt.parameters = wr_arena_printf(j->a, "{\"source\":\"%s\",\"version\":%lld,\"suite\":\"%.64s\"}",
                                     j->report->in.name, (long long)j->in->version, j->suite->hash);
    if (!opt.parameters) return wr_err_nomem(err);
    WR_TRY(wr_dataset_write(w, j->t, j->project, name, wr_buf_cstr(sql), &opt, err));
    return w->rows == rows ? 0 : lost(j->report, err);
}

static void lineage(job *j, const char *name, const wr_dataset_written *w)
{
    wr_node node = {.kind = "dataset", .name = name, .hash = w->hash, .version = w->version};
    node.detail = wr_arena_printf(j->a, "{\"rows\":%lld}", (long long)w->rows);
    wr_run_output(j->run, &node);
}

static int write_both(job *j, wr_err *err)
{
    char hash[WR_SHA256_HEX];
    int64_t before;
    wr_dataset_written back;
    wr_clean_report *r = j->report;
    WR_TRY(wr_dataset_hash(hash, &before, j->project, j->opt->quarantine, err));
    WR_TRY(write_one(&r->quarantine, j, j->opt->quarantine, &j->quarantine_sql, r->rows_quarantine, err));
    int rc = write_one(&r->out, j, j->opt->out, &j->out_sql, r->rows_out, err);
    if (rc < 0) {
        (void)wr_dataset_restore(&back, j->project, j->opt->quarantine, before, NULL);
        return rc;
    }
    wr_node file = {.kind = "file", .name = j->suite->path, .hash = j->suite->hash, .version = -1};
    wr_run_input(j->run, &r->in);
    wr_run_input(j->run, &file);
    lineage(j, j->opt->out, &r->out);
    lineage(j, j->opt->quarantine, &r->quarantine);
    wr_run_metric(j->run, "rows_in", (double)r->rows_in);
    wr_run_metric(j->run, "rows_out", (double)r->rows_out);
    wr_run_metric(j->run, "rows_quarantined", (double)r->rows_quarantine);
    wr_run_units(j->run, (double)r->rows_in, "rows");
    return 0;
}

/* ---- from the start ---- */

static int check_names(const job *j, wr_err *err)
{
    const wr_clean_opt *o = j->opt;
    if (strcmp(o->out, o->quarantine) == 0)
        return wr_err_set(err, WEIR_EINVAL, "output and quarantine are both \"%s\"", o->out);
    const char *const names[] = {o->out, o->quarantine};
    for (size_t i = 0; i < 2; i++)
        if (!wr_name_ok(wr_str_of(names[i])))
            return wr_err_set(err, WEIR_EINVAL, "\"%s\" is not a dataset name", names[i]);
    for (size_t i = 0; i < j->in->nfields; i++) {
        const char *f = j->in->fields[i].name;
        if (strncasecmp(f, "_weir_", 6) != 0 && strcasecmp(f, "_reason") != 0 && strcasecmp(f, "_source_version") != 0)
            continue;
        wr_err_set(err, WEIR_EINVAL, "column \"%s\" has a name that cleaning needs itself", f);
        return wr_err_hint(err, WEIR_EINVAL, "rename it when ingesting: --select '* RENAME (\"%s\" AS other)'", f);
    }
    return 0;
}

static int run(job *j, wr_err *err)
{
    const char *fixed = wr_arena_printf(j->a, "%s@%lld", j->report->in.name, (long long)j->in->version);
    if (!fixed) return wr_err_nomem(err);
    WR_TRY(wr_dataset_view(j->t, j->project, fixed, "_weir_in", err));
    WR_TRY(make_this(j, err));
    WR_TRY(make_flagged(j, err));
    WR_TRY(count(j, err));
    return j->opt->dry_run ? 0 : write_both(j, err);
}

static int prepare(job *j, wr_err *err)
{
    wr_delta_snapshot after = *j->in;
    WR_TRY(check_names(j, err));
    if (wr_dataset_node(&j->report->in, j->a, j->opt->name, j->in) < 0) return wr_err_nomem(err);
    WR_TRY(wr_clean_steps_read(&j->steps, j->a, j->suite->clean, j->in, err));
    after.fields = j->steps.fields;
    return wr_suite_bind(j->suite, j->a, &after, err);
}

int wr_clean(wr_clean_report *report, wr_arena *a, wr_project *p, const wr_clean_opt *opt, wr_suite *suite,
             wr_run *run_record, wr_err *err)
{
    wr_delta_snapshot s;
    job j = {.a = a, .project = p, .opt = opt, .suite = suite, .run = run_record, .report = report, .in = &s};
    memset(report, 0, sizeof *report);
    wr_buf_init(&j.out_sql, 0);
    wr_buf_init(&j.quarantine_sql, 0);
    WR_TRY(wr_dataset_read(&s, p, opt->name, err));
    int rc = prepare(&j, err);
    if (rc == 0) rc = wr_project_tables(&j.t, p, NULL, err);
    if (rc == 0) {
        rc = run(&j, err);
        wr_tables_close(j.t);
    }
    wr_buf_fini(&j.out_sql);
    wr_buf_fini(&j.quarantine_sql);
    for (size_t i = 0; i < suite->n; i++) suite->check[i].field = NULL; /* they go with the snapshot */
    wr_delta_free(&s);
    return rc;
}
