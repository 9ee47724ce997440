/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model.c - weir model register, promote, list, show. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/num.h"
#include "cli/commands.h"
#include "core/event.h"
#include "core/package.h"
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

static int announce(wr_project *p, wr_cli *c, const char *name, int64_t version, const char *package, wr_err *err)
{
    char *subject = wr_arena_printf(wr_cli_arena(c), "model:%s", name);
    char *payload =
        wr_arena_printf(wr_cli_arena(c), "{\"model\":\"%s\",\"version\":%lld,\"alias\":\"%s\",\"package\":\"%s\"}",
                        name, (long long)version, wr_cli_text(c, "alias"), package);
    return subject && payload ? wr_event_add(p, "promoted", subject, payload, NULL, err) : wr_err_nomem(err);
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
    if (alias) WR_TRY(announce(p, c, name, *version, v.package, err));
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

static const wr_cmd_arg promote_args[] = {{"alias", 'a', WR_ARG_TEXT, "ALIAS", "the alias to move", "champion"}};

static int do_promote(wr_cli *c, wr_project *p, wr_run *r, const char *name, int64_t version, wr_err *err)
{
    wr_model_version v;
    wr_node node;
    const char *ref = wr_arena_printf(wr_cli_arena(c), "%s@%lld", name, (long long)version);
    if (!ref) return wr_err_nomem(err);
    WR_TRY(wr_model_find(&v, wr_cli_arena(c), p, ref, err));
    if (wr_model_node(&node, wr_cli_arena(c), &v) < 0) return wr_err_nomem(err);
    wr_run_input(r, &node);
    wr_run_param(r, "alias", wr_cli_text(c, "alias"));
    WR_TRY(wr_model_alias(p, name, wr_cli_text(c, "alias"), version, err));
    return announce(p, c, name, version, v.package, err);
}

static int run_promote(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    int64_t version;
    wr_err end = {0};
    const char *name = wr_cli_arg(c, 0);
    if (wr_num_i64(&version, wr_str_of(wr_cli_arg(c, 1)), NULL) < 0) {
        wr_err_set(err, WEIR_EUSAGE, "weir model promote: \"%s\" is not a version number", wr_cli_arg(c, 1));
        return wr_err_hint(err, WEIR_EUSAGE, "weir model list %s shows them", name);
    }
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt opt = {"promote", "deployment", name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &opt, err));
    int rc = do_promote(c, p, r, name, version, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    wr_say(c, "%s@%s is version %lld now", name, wr_cli_text(c, "alias"), (long long)version);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", name);
    wr_jsonw_ki64(w, "version", version);
    wr_jsonw_kstr(w, "alias", wr_cli_text(c, "alias"));
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_model_promote = {"model promote",
                                     "let an alias point at a version",
                                     "MODEL VERSION",
                                     2,
                                     2,
                                     promote_args,
                                     sizeof promote_args / sizeof *promote_args,
                                     "A running server follows the alias within a second, without failing a request.",
                                     "  # back to the first version\n  weir model promote delay 1",
                                     run_promote};

static int run_list(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_model_version *v;
    size_t n;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_model_versions(&v, &n, wr_cli_arena(c), p, wr_cli_arg(c, 0), err));
    wr_table *t = wr_table_new(c, "MODEL", ">VERSION", "ALIASES", "PACKAGE", "CREATED", "RUN", NULL);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        char when[WR_TIME_TEXT];
        wr_time_format(when, v[i].created_us);
        wr_table_cell(t, "%s", v[i].name);
        wr_table_cell(t, "%lld", (long long)v[i].version);
        wr_table_cell(t, "%s", v[i].aliases);
        wr_table_cell(t, "%.12s", v[i].package);
        wr_table_cell(t, "%.19s", when);
        wr_table_cell(t, "%.8s", v[i].run_id);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "model", v[i].name);
        wr_jsonw_ki64(w, "version", v[i].version);
        wr_jsonw_kstr(w, "aliases", v[i].aliases);
        wr_jsonw_kstr(w, "package", v[i].package);
        wr_jsonw_kstr(w, "run", v[i].run_id);
        wr_jsonw_kstr(w, "created", when);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    if (n) wr_table_print(t);
    else wr_say(c, "no model is registered yet: weir model train, then weir model register");
    return 0;
}

const wr_cmd wr_cmd_model_list = {"model list", "list registered versions", "[MODEL]", 0, 1, NULL, 0,
                                  NULL,         "  weir model list",        run_list};

static int run_show(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_model_version v;
    wr_package *k;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_model_find(&v, wr_cli_arena(c), p, wr_cli_arg(c, 0), err));
    WR_TRY(wr_package_load(&k, p, v.package, err));
    const wr_package_parts *parts = wr_package_get(k);
    wr_say(c, "model     %s%s%s", v.name, v.version ? " version " : " (candidate)",
           v.version ? wr_arena_printf(wr_cli_arena(c), "%lld", (long long)v.version) : "");
    wr_say(c, "package   %s", v.package);
    wr_say(c, "created   %s by run %s", parts->created ? parts->created : "-", parts->run_id ? parts->run_id : "-");
    wr_say(c, "view      %s (%zu of %zu features)", parts->view->name, parts->nuse, parts->view->nfeatures);
    wr_say(c, "learner   %d trees, options %s", wr_trees_count(parts->trees), parts->options_json);
    wr_say(c, "metrics   %s", parts->metrics_json);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", v.name);
    wr_jsonw_ki64(w, "version", v.version);
    wr_jsonw_kstr(w, "package", v.package);
    wr_jsonw_kstr(w, "run", parts->run_id);
    wr_jsonw_kstr(w, "view", parts->view->hash);
    wr_jsonw_key(w, "options");
    wr_jsonw_raw(w, wr_str_of(parts->options_json));
    wr_jsonw_key(w, "metrics");
    wr_jsonw_raw(w, wr_str_of(parts->metrics_json));
    wr_jsonw_key(w, "features");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < parts->nuse; i++) wr_jsonw_cstr(w, parts->view->features[parts->use[i]].name);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_package_free(k);
    return 0;
}

const wr_cmd wr_cmd_model_show = {"model show",
                                  "what is in a package",
                                  "MODEL",
                                  1,
                                  1,
                                  NULL,
                                  0,
                                  "MODEL is NAME (the newest candidate), NAME@ALIAS or NAME@VERSION.",
                                  "  weir model show delay@champion",
                                  run_show};
