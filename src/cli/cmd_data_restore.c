/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_restore.c - weir data restore. */
#include "base/num.h"
#include "cli/commands.h"
#include "core/dataset.h"
#include "core/run.h"

static const wr_cmd_arg args[] = {
    {"empty", 0, WR_ARG_FLAG, NULL, "the next version has no rows", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "say what would happen, change nothing", NULL},
};

typedef struct {
    const char *name;
    int64_t version, rows_now, rows_then, now;
    wr_node source;
} plan;

static int make_plan(plan *out, wr_cli *c, wr_project *p, wr_err *err)
{
    wr_delta_snapshot s;
    wr_arena *a = wr_cli_arena(c);
    bool empty = wr_cli_flag(c, "empty");
    *out = (plan){.name = wr_cli_arg(c, 0), .version = -1};
    if (empty == (wr_cli_nargs(c) == 2)) {
        wr_err_set(err, WEIR_EUSAGE, "weir data restore: name a version%s",
                   empty ? " or --empty, not both" : ", or --empty");
        return wr_err_hint(err, WEIR_EUSAGE, "weir data history %s lists the versions", out->name);
    }
    if (!empty && (wr_num_i64(&out->version, wr_str_of(wr_cli_arg(c, 1)), NULL) < 0 || out->version < 0))
        return wr_err_set(err, WEIR_EUSAGE, "\"%s\" is not a version", wr_cli_arg(c, 1));
    if (strchr(out->name, '@')) return wr_err_set(err, WEIR_EUSAGE, "\"%s\" is not a dataset's name", out->name);
    WR_TRY(wr_dataset_read(&s, p, out->name, err));
    out->now = s.version;
    out->rows_now = s.rows;
    int rc = empty ? wr_dataset_node(&out->source, a, out->name, &s) : 0;
    wr_delta_free(&s);
    if (rc < 0) return wr_err_nomem(err);
    if (empty) return 0;
    const char *ref = wr_arena_printf(a, "%s@%lld", out->name, (long long)out->version);
    if (!ref) return wr_err_nomem(err);
    WR_TRY(wr_dataset_read(&s, p, ref, err));
    out->rows_then = s.rows;
    rc = wr_dataset_node(&out->source, a, out->name, &s);
    wr_delta_free(&s);
    return rc < 0 ? wr_err_nomem(err) : 0;
}

static int act(wr_dataset_written *w, wr_cli *c, wr_project *p, const plan *pl, wr_err *err)
{
    wr_run *r;
    wr_err end = {0};
    wr_run_opt ro = {"restore", "data-preparation", pl->name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    int rc = wr_dataset_restore(w, p, pl->name, pl->version, err);
    if (rc == 0) {
        wr_node node = {.kind = "dataset", .name = pl->name, .hash = w->hash, .version = w->version};
        wr_run_input(r, &pl->source);
        wr_run_output(r, &node);
        wr_run_metric(r, "rows", (double)w->rows);
    }
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    return rc < 0 ? rc : rc_end;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    plan pl;
    wr_dataset_written w = {.version = -1};
    char now[WR_NUM_TEXT], then[WR_NUM_TEXT];
    bool dry = wr_cli_flag(c, "dry-run");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(make_plan(&pl, c, p, err));
    if (!dry) WR_TRY(act(&w, c, p, &pl, err));
    int64_t made = dry ? pl.now + 1 : w.version;
    wr_jsonw *j = wr_cli_jsonw(c);
    wr_jsonw_obj(j);
    wr_jsonw_kbool(j, "dry_run", dry);
    wr_jsonw_kstr(j, "dataset", pl.name);
    wr_jsonw_ki64(j, "version", made);
    wr_jsonw_ki64(j, "rows", pl.rows_then);
    wr_jsonw_ki64(j, "rows_before", pl.rows_now);
    wr_jsonw_end(j);
    wr_fmt_count(now, (double)pl.rows_now);
    wr_fmt_count(then, (double)pl.rows_then);
    if (pl.version < 0)
        wr_say(c, "%s version %lld %s empty; version %lld had %s rows", pl.name, (long long)made,
               dry ? "would be" : "is", (long long)pl.now, now);
    else
        wr_say(c, "%s version %lld %s version %lld again: %s rows, version %lld had %s", pl.name, (long long)made,
               dry ? "would be" : "is", (long long)pl.version, then, (long long)pl.now, now);
    return 0;
}

const wr_cmd wr_cmd_data_restore = {
    "data restore",
    "make an older version of a dataset the newest one",
    "NAME VERSION | NAME --empty",
    1,
    2,
    args,
    sizeof args / sizeof *args,
    "Writes a new version with the content of the old one; nothing is copied and nothing is\n"
    "lost: every version stays readable.",
    "  # what would change\n  weir data restore flights 0 --dry-run\n"
    "  # go back\n  weir data restore flights 0",
    run};
