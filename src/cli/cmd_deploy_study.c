/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_study.c - weir deploy study: may this model run there? */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/num.h"
#include "cli/commands.h"
#include "core/feasibility.h"
#include "core/model.h"
#include "core/run.h"
#include "io/file.h"
#include "stage/study/study.h"
#include "track/run.h"

static const wr_cmd_arg args[] = {
    {"target", 't', WR_ARG_TEXT, "FILE", "profile of where it is to run; host is this machine", "host"},
    {"rows", 0, WR_ARG_TEXT, "FILE", "rows to ask it: CSV, Parquet or JSON", NULL},
    {"replay", 0, WR_ARG_TEXT, "ENDPOINT", "rows from the predictions that this endpoint logged", NULL},
    {"server", 0, WR_ARG_TEXT, "URL", "a server that has the model: latency over HTTP", NULL},
    {"seconds", 0, WR_ARG_NUM, "S", "of load, about", "20"},
    {"quick", 'q', WR_ARG_FLAG, NULL, "3 seconds of load", NULL},
    {"seed", 0, WR_ARG_INT, "N", "of what is made up", "1"},
    {"strict", 0, WR_ARG_FLAG, NULL, "a warning is a failure", NULL},
    {"out", 'o', WR_ARG_TEXT, "FILE", "write the report: FILE.md or FILE.json; may be repeated by the other ending",
     NULL},
};

static void progress(void *ctx, const char *what, double fraction) { wr_progress(ctx, what, fraction); }

static int options(wr_feasibility_opt *o, wr_feasibility_target *t, wr_cli *c, wr_err *err)
{
    const char *out = wr_cli_text(c, "out");
    *o = (wr_feasibility_opt){.model = wr_cli_arg(c, 0),
                              .target = t,
                              .rows = wr_cli_text(c, "rows"),
                              .replay = wr_cli_text(c, "replay"),
                              .server = wr_cli_text(c, "server"),
                              .seconds = wr_cli_flag(c, "quick") ? 3 : wr_cli_num(c, "seconds"),
                              .seed = (uint64_t)wr_cli_int(c, "seed"),
                              .progress = progress,
                              .ctx = c};
    if (!(o->seconds > 0 && o->seconds <= 3600))
        return wr_err_set(err, WEIR_EUSAGE, "weir deploy study: --seconds is above 0, at most 3600");
    if (out && !wr_str_ends(wr_str_of(out), ".md") && !wr_str_ends(wr_str_of(out), ".json"))
        return wr_err_set(err, WEIR_EUSAGE, "weir deploy study: --out ends with .md or .json");
    return wr_feasibility_target_read(t, wr_cli_arena(c), wr_cli_text(c, "target"), err);
}

/* ---- keeping it ---- */

static int to_json(wr_buf *b, const wr_feasibility_report *r, wr_err *err)
{
    wr_jsonw w;
    wr_jsonw_init(&w, b, 2);
    wr_feasibility_json(&w, r);
    wr_buf_char(b, '\n');
    return b->failed ? wr_err_nomem(err) : 0;
}

static int to_file(wr_cli *c, const wr_feasibility_report *r, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    const char *path = wr_cli_text(c, "out");
    if (!path) return 0;
    if (wr_str_ends(wr_str_of(path), ".json")) WR_TRY(to_json(&b, r, err));
    else wr_feasibility_markdown(&b, r);
    const char *dir = wr_path_dir(wr_cli_arena(c), path);
    if (b.failed || !dir) return wr_err_nomem(err);
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, wr_buf_view(&b), err);
}

/* Among the artifacts of the study's own run; of another store's folder its clients take care. */
static void with_run(wr_cli *c, wr_project *p, const wr_run *run, const char *name, wr_str content)
{
    static const char prefix[] = "mlflow-artifacts:/";
    wr_track *t;
    wr_track_run row;
    wr_artifacts *store;
    wr_err err = {0};
    if (wr_project_track(&t, p, NULL) < 0 ||
        wr_track_run_get(&row, wr_cli_arena(c), t, wr_str_of(wr_run_id(run)), NULL) < 0)
        return;
    if (!wr_str_starts(row.artifact_uri, prefix)) return;
    const char *path = wr_arena_printf(wr_cli_arena(c), "%s/study/%s", row.artifact_uri.p + sizeof prefix - 1, name);
    int rc = path ? wr_project_artifacts(&store, p, NULL, &err) : wr_err_nomem(&err);
    if (rc == 0) rc = wr_artifacts_put(store, wr_str_of(path), content, NULL, &err);
    if (rc < 0) wr_warn("\"%s\" is not kept with the run: %s", name, err.msg);
}

static int keep(wr_cli *c, wr_project *p, wr_run *run, const wr_feasibility_report *r, wr_err *err)
{
    WR_AUTOBUF wr_buf json = {0}, md = {0};
    char id[WR_SHA256_HEX];
    WR_TRY(to_json(&json, r, err));
    wr_feasibility_markdown(&md, r);
    if (md.failed) return wr_err_nomem(err);
    with_run(c, p, run, "feasibility.json", wr_buf_view(&json));
    with_run(c, p, run, "feasibility.md", wr_buf_view(&md));
    if (!r->version) return 0;
    return wr_feasibility_keep(id, p, r->model, r->version, r->target->hash, wr_buf_view(&json), err);
}

/* ---- showing it ---- */

static void print(wr_cli *c, const wr_feasibility_report *r)
{
    char seconds[WR_NUM_TEXT];
    wr_table *t = wr_table_new(c, ">#", "CHECK", "STATE", "MEASURED", "LIMIT", NULL);
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_result *x = &r->results[i];
        wr_table_cell(t, "%d", x->check->number);
        wr_table_cell(t, "%s", x->check->name);
        wr_table_cell(t, "%s", x->state == WR_CHECK_FAIL ? "FAIL" : wr_check_states[x->state]);
        wr_table_cell(t, "%s", x->measured);
        wr_table_cell(t, "%s", x->limit);
    }
    wr_table_print(t);
    for (size_t i = 0, n = 0; i < WR_FEASIBILITY_CHECKS; i++)
        if (r->results[i].hint)
            wr_say(c, "%s %2d %s: %s", n++ ? "      " : "to do:", r->results[i].check->number,
                   r->results[i].check->name, r->results[i].hint);
    wr_say(c, "rows: %zu, %s", r->nrows, r->rows);
    wr_say(c, "%s on %s: %s; %zu pass, %zu warn, %zu fail, %zu skipped, in %s", r->model, r->target->name,
           wr_check_states[r->verdict], r->count[0], r->count[1], r->count[2], r->count[3],
           wr_fmt_seconds(seconds, r->seconds));
}

static int verdict(wr_cli *c, const wr_feasibility_report *r, wr_err *err)
{
    bool strict = wr_cli_flag(c, "strict");
    if (r->verdict != WR_CHECK_FAIL && !(strict && r->verdict == WR_CHECK_WARN)) return 0;
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_result *x = &r->results[i];
        if (x->state != r->verdict) continue;
        wr_err_set(err, WEIR_ENO, "\"%.100s\" is not feasible on %.60s: %s: %.180s", r->model, r->target->name,
                   x->check->name, x->measured);
        if (x->hint) wr_err_hint(err, WEIR_ENO, "%s", x->hint);
        if (r->count[r->verdict] > 1) wr_err_detail(err, WEIR_ENO, "%zu checks say so", r->count[r->verdict]);
        return WEIR_ENO;
    }
    return WEIR_ENO;
}

static int study(wr_cli *c, wr_project *p, wr_run *run, const wr_feasibility_opt *o, wr_err *err)
{
    wr_feasibility_report *r = wr_arena_calloc(wr_cli_arena(c), 1, sizeof *r);
    if (!r) return wr_err_nomem(err);
    int rc = wr_feasibility_run(r, wr_cli_arena(c), p, o, err);
    wr_progress_end(c);
    if (rc < 0) return rc;
    if (run) {
        wr_run_param(run, "target", r->target->hash);
        for (size_t i = 0; i < 4; i++) wr_run_metric(run, wr_check_states[i], (double)r->count[i]);
        WR_TRY(keep(c, p, run, r, err));
    }
    WR_TRY(to_file(c, r, err));
    wr_feasibility_json(wr_cli_jsonw(c), r);
    print(c, r);
    return verdict(c, r, err);
}

/* A file can be studied outside of a project; then nothing is kept. */
static int run(wr_cli *c, wr_err *err)
{
    wr_project *p = NULL;
    wr_run *r = NULL;
    wr_feasibility_target t;
    wr_feasibility_opt o;
    wr_err end = {0}, none = {0};
    WR_TRY(options(&o, &t, c, err));
    int rc = wr_cli_project(c, &p, &none);
    if (rc == WEIR_ENOTFOUND && (wr_file_exists(o.model) || wr_model_is_path(o.model))) p = NULL;
    else if (rc < 0) return wr_cli_project(c, &p, err);
    wr_run_opt ro = {"study", "validation", o.model, wr_cli_command_line(c)};
    if (p) WR_TRY(wr_run_begin(&r, p, &ro, err));
    rc = study(c, p, r, &o, err);
    int rc_end = r ? wr_run_end(r, rc, err, &end) : 0;
    if (rc == 0 && rc_end < 0 && err) *err = end;
    return rc < 0 ? rc : rc_end;
}

const wr_cmd wr_cmd_deploy_study = {
    "deploy study",
    "may this model run there? twenty checks with evidence",
    "MODEL",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "MODEL is NAME (the newest candidate, or newest version), NAME@ALIAS, NAME@VERSION, or a model\n"
    "file or folder. The target is a YAML file: latency, load, memory, prices, licences, ... Each\n"
    "check says pass, warn, fail or skip, what was measured, and what to do. Rows come from --replay, --rows,\n"
    "the view's dataset, golden rows, or are made from the signature. The report of a version is\n"
    "kept with it, for policies that require feasibility. A failing check makes the exit code 1.",
    "  weir deploy study delay@2 --target targets/prod.yaml --out reports/study.md\n"
    "  # a file, on this machine, in a few seconds\n  weir deploy study exports/fraud.onnx --quick",
    run};
