/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model.c - weir model register, weir model report. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/model_facts.h"
#include "core/run.h"
#include "io/file.h"

static const wr_cmd_arg register_args[] = {
    {"candidate", 0, WR_ARG_TEXT, "NAME", "register the candidate of another name (default: of MODEL)", NULL},
    {"alias", 'a', WR_ARG_TEXT, "ALIAS", "let this alias point at the new version, e.g. champion", NULL},
    {"report", 'r', WR_ARG_TEXT, "FILE", "evaluation report that must have passed its gate", NULL},
};

/* The report must be of this package and say that the gate passed. */
static int check_report(const char *path, const char *package, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *model, *gate;
    wr_str judged;
    bool passed;
    wr_buf_init(&text, 0);
    WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    WR_TRY(wr_json_parse(&j, wr_buf_view(&text), path, err));
    WR_TRY(wr_json_obj(&model, j.root, "model", err));
    WR_TRY(wr_json_obj(&gate, j.root, "gate", err));
    WR_TRY(wr_json_str(&judged, model, "package", err));
    WR_TRY(wr_json_bool(&passed, gate, "passed", err));
    if (!wr_str_is(judged, package)) {
        wr_err_set(err, WEIR_ECONFLICT, "\"%s\" judged package %.12s, not the candidate %.12s", path, judged.p,
                   package);
        return wr_err_hint(err, WEIR_ECONFLICT, "evaluate the candidate again");
    }
    return passed ? 0 : wr_err_set(err, WEIR_ENO, "\"%s\" says the gate failed: not registered", path);
}

static int do_register(wr_cli *c, wr_project *p, wr_run *r, int64_t *version, wr_err *err)
{
    const char *name = wr_cli_arg(c, 0), *alias = wr_cli_text(c, "alias"), *candidate = wr_cli_text(c, "candidate");
    wr_model_version v;
    wr_node from, to;
    WR_TRY(wr_model_find(&v, wr_cli_arena(c), p, candidate ? candidate : name, err));
    if (wr_cli_has(c, "report")) WR_TRY(check_report(wr_cli_text(c, "report"), v.package, err));
    WR_TRY(wr_model_publish(p, v.package, err));
    /* what is moved must have its report before */
    WR_TRY(wr_model_register(version, p, name, v.package, v.run_id, wr_cli_has(c, "report") ? NULL : alias, err));
    if (wr_cli_has(c, "report")) {
        WR_TRY(wr_model_report(p, name, *version, "evaluation", wr_cli_text(c, "report"), err));
        if (alias) WR_TRY(wr_model_alias(p, name, alias, *version, err));
    }
    if (wr_model_node(&from, wr_cli_arena(c), &v) < 0) return wr_err_nomem(err);
    to = (wr_node){.kind = "model", .name = name, .hash = v.package, .version = *version};
    wr_run_input(r, &from);
    wr_run_output(r, &to);
    wr_model_move move = {.name = name, .alias = alias, .version = *version};
    if (alias) WR_TRY(wr_model_announce(p, &move, v.package, err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", name);
    wr_jsonw_ki64(w, "version", *version);
    wr_jsonw_kstr(w, "package", v.package);
    wr_jsonw_kstr(w, "alias", alias);
    wr_jsonw_end(w);
    wr_say(c, "%s version %lld is package %.12s%s%s", name, (long long)*version, v.package, alias ? ", alias " : "",
           alias ? alias : "");
    return 0;
}

static int run_register(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    int64_t version = 0;
    wr_err end = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt opt = {"register", "deployment", wr_cli_arg(c, 0), wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &opt, err));
    int rc = do_register(c, p, r, &version, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    return rc < 0 ? rc : rc_end;
}

const wr_cmd wr_cmd_model_register = {
    "model register",
    "give the newest candidate a version, and an alias",
    "MODEL",
    1,
    1,
    register_args,
    sizeof register_args / sizeof *register_args,
    "A package that is registered already keeps its version. With --report, the evaluation must\n"
    "be of this very package and its gate must have passed; otherwise the exit code is 1.",
    "  weir model register delay --alias champion --report reports/evaluate.json",
    run_register};

/* ---- report ---- */

static int version_arg(int64_t *out, wr_cli *c, const char *command, wr_err *err)
{
    if (wr_num_i64(out, wr_str_of(wr_cli_arg(c, 1)), NULL) == 0) return 0;
    wr_err_set(err, WEIR_EUSAGE, "weir model %s: \"%s\" is not a version number", command, wr_cli_arg(c, 1));
    return wr_err_hint(err, WEIR_EUSAGE, "weir model list %s shows them", wr_cli_arg(c, 0));
}

static int run_report(wr_cli *c, wr_err *err)
{
    wr_project *p;
    int64_t version;
    wr_registered_version v;
    const char *name = wr_cli_arg(c, 0), *kind = wr_cli_arg(c, 2);
    WR_TRY(version_arg(&version, c, "report", err));
    WR_TRY(wr_cli_project(c, &p, err));
    const char *ref = wr_arena_printf(wr_cli_arena(c), "%s@%lld", name, (long long)version);
    WR_TRY(ref ? wr_model_registered(&v, wr_cli_arena(c), p, ref, err) : wr_err_nomem(err));
    WR_TRY(wr_model_report(p, name, version, kind, wr_cli_arg(c, 3), err));
    wr_say(c, "%s version %lld has the report \"%s\"", name, (long long)version, kind);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", name);
    wr_jsonw_ki64(w, "version", version);
    wr_jsonw_kstr(w, "report", kind);
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_model_report = {
    "model report",
    "keep a report of a version, as policies ask for it",
    "MODEL VERSION KIND FILE",
    4,
    4,
    NULL,
    0,
    "The file is kept by content hash; the version's tag weir.report.KIND names it. Policies\n"
    "(registry: in weir.yaml) may require kinds before an alias or a stage.",
    "  weir model report delay 3 feasibility reports/feasibility.pdf",
    run_report};
