/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_clean.c - weir data clean. */
#include "base/num.h"
#include "cli/commands.h"
#include "stage/data/clean.h"

static const wr_cmd_arg args[] = {
    {"suite", 's', WR_ARG_TEXT, "FILE", "the checks and the clean section", "checks.yaml"},
    {"out", 'o', WR_ARG_TEXT, "DATASET", "rows that are fine (default: NAME_clean)", NULL},
    {"quarantine", 'q', WR_ARG_TEXT, "DATASET", "rows that are not, with reasons (default: NAME_quarantine)", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "count, write nothing", NULL},
};

static void json_counts(wr_jsonw *w, const char *key, const wr_clean_count *c, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, c[i].column ? "operation" : "reason", c[i].what);
        if (c[i].column) wr_jsonw_kstr(w, "column", c[i].column);
        wr_jsonw_ki64(w, "rows", c[i].rows);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void json_side(wr_jsonw *w, const char *key, const char *name, const wr_dataset_written *v, int64_t rows,
                      bool dry)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "dataset", name);
    wr_jsonw_ki64(w, "rows", rows);
    if (!dry) {
        wr_jsonw_ki64(w, "version", v->version);
        wr_jsonw_ki64(w, "bytes", v->bytes);
        wr_jsonw_kstr(w, "hash", v->hash);
    }
    wr_jsonw_end(w);
}

static void print_json(wr_cli *c, const wr_clean_opt *o, const wr_clean_report *r)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kbool(w, "dry_run", o->dry_run);
    wr_jsonw_kstr(w, "dataset", r->in.name);
    wr_jsonw_ki64(w, "version", r->in.version);
    wr_jsonw_ki64(w, "rows", r->rows_in);
    json_side(w, "out", o->out, &r->out, r->rows_out, o->dry_run);
    json_side(w, "quarantine", o->quarantine, &r->quarantine, r->rows_quarantine, o->dry_run);
    json_counts(w, "reasons", r->reason, r->nreason);
    json_counts(w, "changes", r->change, r->nchange);
    wr_jsonw_end(w);
}

static void print_text(wr_cli *c, const wr_clean_opt *o, const wr_clean_report *r)
{
    char in[WR_NUM_TEXT], out[WR_NUM_TEXT], bad[WR_NUM_TEXT];
    wr_table *t = wr_table_new(c, "CHANGED", "COLUMN", ">ROWS", NULL);
    for (size_t i = 0; i < r->nchange; i++) {
        wr_table_cell(t, "%s", r->change[i].what);
        wr_table_cell(t, "%s", r->change[i].column);
        wr_table_cell(t, "%s", wr_fmt_count(in, (double)r->change[i].rows));
    }
    if (r->nchange) wr_table_print(t);
    t = wr_table_new(c, "QUARANTINED FOR", ">ROWS", NULL);
    for (size_t i = 0; i < r->nreason; i++) {
        wr_table_cell(t, "%s", r->reason[i].what);
        wr_table_cell(t, "%s", wr_fmt_count(in, (double)r->reason[i].rows));
    }
    if (r->nreason) wr_table_print(t);
    wr_fmt_count(in, (double)r->rows_in);
    wr_fmt_count(out, (double)r->rows_out);
    wr_fmt_count(bad, (double)r->rows_quarantine);
    if (o->dry_run)
        wr_say(c, "%s version %lld: of %s rows, %s would go to %s and %s to %s; nothing was written", r->in.name,
               (long long)r->in.version, in, out, o->out, bad, o->quarantine);
    else
        wr_say(c, "%s version %lld: %s rows = %s in %s version %lld + %s in %s version %lld", r->in.name,
               (long long)r->in.version, in, out, o->out, (long long)r->out.version, bad, o->quarantine,
               (long long)r->quarantine.version);
}

static int clean(wr_cli *c, wr_clean_report *rep, wr_project *p, const wr_clean_opt *o, wr_suite *suite, wr_err *err)
{
    wr_run *r;
    wr_err end = {0};
    wr_run_opt ro = {"clean", "data-preparation", o->name, wr_cli_command_line(c)};
    wr_progress(c, "cleaning", -1);
    if (o->dry_run) return wr_clean(rep, wr_cli_arena(c), p, o, suite, NULL, err);
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    wr_run_param(r, "suite", suite->path);
    int rc = wr_clean(rep, wr_cli_arena(c), p, o, suite, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    return rc < 0 ? rc : rc_end;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_suite suite;
    wr_clean_report rep;
    const char *name = wr_cli_arg(c, 0);
    int plain = (int)strcspn(name, "@");
    wr_clean_opt o = {name, wr_cli_text(c, "out"), wr_cli_text(c, "quarantine"), wr_cli_flag(c, "dry-run")};
    if (!o.out) o.out = wr_arena_printf(wr_cli_arena(c), "%.*s_clean", plain, name);
    if (!o.quarantine) o.quarantine = wr_arena_printf(wr_cli_arena(c), "%.*s_quarantine", plain, name);
    if (!o.out || !o.quarantine) return wr_err_nomem(err);
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_suite_load(&suite, wr_cli_arena(c), wr_cli_text(c, "suite"), err));
    int rc = clean(c, &rep, p, &o, &suite, err);
    wr_progress_end(c);
    if (rc < 0) return rc;
    print_json(c, &o, &rep);
    print_text(c, &o, &rep);
    return 0;
}

const wr_cmd wr_cmd_data_clean = {
    "data clean",
    "split a dataset into fine rows and rows in quarantine",
    "NAME[@VERSION] [--suite FILE]",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "Rows that violate a check with action: quarantine go to the quarantine, with the columns\n"
    "_reason and _source_version; all others go to the output, in their order. No row is lost:\n"
    "the counts are verified before anything is written. The suite may also have a section\n"
    "  clean:\n"
    "    trim: [origin]\n"
    "    lower: [origin]\n"
    "    missing: {columns: [job], values: [\"?\"]}\n"
    "    fill: {column: delay, value: 0}\n"
    "    cast: {distance: double}\n"
    "    dedupe: {columns: [date, origin], keep: first}\n"
    "    drop_columns: [note]\n"
    "whose value changes come before the checks. Repeated rows and values that cannot be cast\n"
    "are quarantined as well (reasons dedupe and cast_COLUMN).",
    "  # what would happen\n  weir data clean flights --suite checks.yaml --dry-run\n"
    "  # do it\n  weir data clean flights --out flights_clean --quarantine flights_quarantine",
    run};
