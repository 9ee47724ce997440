/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_data_check.c - weir data check. */
#include <math.h>

#include "base/num.h"
#include "cli/commands.h"
#include "core/run.h"
#include "io/file.h"
#include "stage/data/check.h"

static const wr_cmd_arg args[] = {
    {"suite", 's', WR_ARG_TEXT, "FILE", "the checks", "checks.yaml"},
    {"report", 'r', WR_ARG_TEXT, "FILE", "write the results as JSON", NULL},
    {"warn", 0, WR_ARG_FLAG, NULL, "failing checks are warnings: exit with 0", NULL},
    {"examples", 0, WR_ARG_INT, "N", "show at most N violating rows a check", "3"},
};

/* {"date":"2001-01-01","delay":-1116} as "date 2001-01-01, delay -1116". */
static const char *row_text(wr_cli *c, const char *json)
{
    WR_AUTOJSON wr_json j = {0};
    WR_AUTOBUF wr_buf b = {0};
    size_t i, n;
    yyjson_val *key, *value;
    wr_buf_init(&b, 0);
    if (wr_json_parse(&j, wr_str_of(json), "row", NULL) < 0 || !yyjson_is_obj(j.root)) return json;
    yyjson_obj_foreach(j.root, i, n, key, value)
    {
        if (i) wr_buf_str(&b, ", ");
        wr_buf_printf(&b, "%s ", yyjson_get_str(key));
        if (yyjson_is_str(value)) {
            wr_buf_str(&b, yyjson_get_str(value));
        } else {
            wr_jsonw w;
            wr_jsonw_init(&w, &b, 0);
            wr_jsonw_val(&w, value);
        }
    }
    const char *text = b.failed ? NULL : wr_arena_strdup(wr_cli_arena(c), wr_buf_cstr(&b));
    return text ? text : json;
}

static const char *word(const wr_check_result *r) { return r->success ? "pass" : r->check->warn ? "warn" : "FAIL"; }

static void print_text(wr_cli *c, const wr_check_report *r)
{
    char a[WR_NUM_TEXT], b[WR_NUM_TEXT];
    int64_t most = wr_cli_int(c, "examples");
    wr_table *t = wr_table_new(c, "", "CHECK", ">ROWS", ">VIOLATING", "EXPECTED", NULL);
    for (size_t i = 0; i < r->n; i++) {
        const wr_check_result *x = &r->result[i];
        bool rows = x->check->bad || x->check->groups;
        wr_table_cell(t, "%s", word(x));
        wr_table_cell(t, "%s", x->check->name);
        wr_table_cell(t, "%s", rows ? wr_fmt_count(a, (double)x->judged) : "-");
        wr_table_cell(t, "%s", rows ? wr_fmt_count(b, (double)x->violating) : "-");
        wr_table_cell(t, "%s", rows ? x->check->expected : x->message);
    }
    wr_table_print(t);
    for (size_t i = 0; i < r->n; i++) {
        const wr_check_result *x = &r->result[i];
        if (!x->nexamples || most <= 0) continue;
        wr_say(c, "\n%s, %s:", x->check->name, x->message);
        for (size_t k = 0; k < x->nexamples && (int64_t)k < most; k++) wr_say(c, "  %s", row_text(c, x->examples[k]));
    }
    wr_say(c, "\n%s version %lld, %s rows: %zu of %zu checks pass%s", r->node.name, (long long)r->node.version,
           wr_fmt_count(a, (double)r->rows), r->passed, r->n,
           r->failed   ? ""
           : r->warned ? ", the rest are warnings"
                       : "");
}

static int write_report(wr_cli *c, const wr_check_report *r, const wr_suite *suite, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    const char *path = wr_cli_text(c, "report");
    if (!path) return 0;
    wr_buf_init(&b, 0);
    wr_jsonw_init(&w, &b, 2);
    wr_check_json(&w, r, suite);
    wr_buf_char(&b, '\n');
    const char *dir = wr_path_dir(wr_cli_arena(c), path);
    if (b.failed || !dir) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, wr_buf_view(&b), err);
}

static void record(wr_run *run, const wr_check_report *r, const wr_suite *suite)
{
    wr_node file = {.kind = "file", .name = suite->path, .hash = suite->hash, .version = -1};
    wr_run_input(run, &r->node);
    wr_run_input(run, &file);
    wr_run_param(run, "suite", suite->path);
    wr_run_metric(run, "checks", (double)r->n);
    wr_run_metric(run, "checks_passed", (double)r->passed);
    wr_run_metric(run, "checks_failed", (double)r->failed);
    wr_run_metric(run, "checks_warned", (double)r->warned);
    for (size_t i = 0; i < r->n; i++) {
        char key[320];
        const wr_check_result *x = &r->result[i];
        if (!x->check->bad && !x->check->groups) continue;
        snprintf(key, sizeof key, "violating.%s", x->check->name);
        wr_run_metric(run, key, (double)x->violating);
    }
    wr_run_units(run, (double)r->rows, "rows");
}

static int check(wr_cli *c, wr_check_report *r, wr_suite *suite, wr_project *p, wr_run *run, wr_err *err)
{
    wr_progress(c, "checking", -1);
    WR_TRY(wr_check_run(r, wr_cli_arena(c), p, wr_cli_arg(c, 0), suite, err));
    record(run, r, suite);
    WR_TRY(write_report(c, r, suite, err));
    return r->success || wr_cli_flag(c, "warn") ? 0 : WEIR_ENO;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    wr_suite suite;
    wr_check_report report;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_suite_load(&suite, wr_cli_arena(c), wr_cli_text(c, "suite"), err));
    wr_run_opt ro = {"check", "data-preparation", wr_cli_arg(c, 0), wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &ro, err));
    int rc = check(c, &report, &suite, p, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    wr_progress_end(c);
    if (rc < 0 && rc != WEIR_ENO) return rc;
    if (rc_end < 0) {
        if (err) *err = end;
        return rc_end;
    }
    wr_check_json(wr_cli_jsonw(c), &report, &suite);
    print_text(c, &report);
    return rc;
}

const wr_cmd wr_cmd_data_check = {
    "data check",
    "judge a dataset by a suite of checks",
    "NAME[@VERSION] [--suite FILE]",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "The suite is a YAML file with a list of checks:\n"
    "  suite: flights\n"
    "  checks:\n"
    "    - {check: not_null, columns: [date, delay]}\n"
    "    - {check: between, column: delay, min: -90, max: 1440, action: quarantine}\n"
    "Kinds: type, columns, not_null, null_share, between, in_set, not_in_set, matches,\n"
    "length_between, unique, increasing, row_count, distinct_count, freshness, mean_between,\n"
    "std_between, quantile_between, sql. Every check may have name, where (only these rows) and\n"
    "severity: warn; checks of rows also mostly (share that must pass) and action: quarantine\n"
    "(weir data clean moves the rows). Exit 1 when a check fails that is not a warning.",
    "  # judge the newest version\n  weir data check flights --suite checks.yaml\n"
    "  # in a pipeline that cleans afterwards\n"
    "  weir data check flights --report reports/check.json --warn",
    run};
