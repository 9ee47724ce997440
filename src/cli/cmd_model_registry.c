/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_registry.c - weir model rollback, weir model report, weir model diff. */
#include "cli/commands.h"

#include "base/num.h"
#include "base/vec.h"
#include "core/event.h"
#include "core/model.h"
#include "core/package.h"
#include "core/run.h"

static int version_arg(int64_t *out, wr_cli *c, const char *command, wr_err *err)
{
    if (wr_num_i64(out, wr_str_of(wr_cli_arg(c, 1)), NULL) == 0) return 0;
    wr_err_set(err, WEIR_EUSAGE, "weir model %s: \"%s\" is not a version number", command, wr_cli_arg(c, 1));
    return wr_err_hint(err, WEIR_EUSAGE, "weir model list %s shows them", wr_cli_arg(c, 0));
}

/* ---- rollback ---- */

static const wr_cmd_arg rollback_args[] = {{"alias", 'a', WR_ARG_TEXT, "ALIAS", "the alias to move back", "champion"}};

static int do_rollback(int64_t *version, wr_cli *c, wr_project *p, wr_run *r, wr_err *err)
{
    const char *name = wr_cli_arg(c, 0), *alias = wr_cli_text(c, "alias");
    wr_arena *a = wr_cli_arena(c);
    wr_model_version v;
    wr_node node;
    wr_run_param(r, "alias", alias);
    WR_TRY(wr_model_rollback(version, p, name, alias, err));
    char *ref = wr_arena_printf(a, "%s@%lld", name, (long long)*version);
    if (!ref) return wr_err_nomem(err);
    WR_TRY(wr_model_find(&v, a, p, ref, err));
    if (wr_model_node(&node, a, &v) < 0) return wr_err_nomem(err);
    wr_run_input(r, &node);
    char *subject = wr_arena_printf(a, "model:%s", name);
    char *payload = wr_arena_printf(a, "{\"model\":\"%s\",\"version\":%lld,\"alias\":\"%s\",\"package\":\"%s\"}", name,
                                    (long long)*version, alias, v.package);
    return subject && payload ? wr_event_add(p, "promoted", subject, payload, NULL, err) : wr_err_nomem(err);
}

static int run_rollback(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_run *r;
    int64_t version = 0;
    wr_err end = {0};
    const char *name = wr_cli_arg(c, 0), *alias = wr_cli_text(c, "alias");
    WR_TRY(wr_cli_project(c, &p, err));
    wr_run_opt opt = {"promote", "deployment", name, wr_cli_command_line(c)};
    WR_TRY(wr_run_begin(&r, p, &opt, err));
    int rc = do_rollback(&version, c, p, r, err);
    int rc_end = wr_run_end(r, rc, err, &end);
    if (rc == 0 && rc_end < 0 && err) *err = end;
    if (rc < 0 || rc_end < 0) return rc < 0 ? rc : rc_end;
    wr_say(c, "%s@%s is version %lld again", name, alias, (long long)version);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", name);
    wr_jsonw_ki64(w, "version", version);
    wr_jsonw_kstr(w, "alias", alias);
    wr_jsonw_end(w);
    return 0;
}

const wr_cmd wr_cmd_model_rollback = {
    "model rollback",
    "let an alias point where it pointed before",
    "MODEL",
    1,
    1,
    rollback_args,
    sizeof rollback_args / sizeof *rollback_args,
    "Again goes further back. Policies of weir.yaml are asked as for any move; a running\n"
    "server follows within a second.",
    "  weir model rollback delay",
    run_rollback};

/* ---- report ---- */

static int run_report(wr_cli *c, wr_err *err)
{
    wr_project *p;
    int64_t version;
    const char *name = wr_cli_arg(c, 0), *kind = wr_cli_arg(c, 2);
    WR_TRY(version_arg(&version, c, "report", err));
    WR_TRY(wr_cli_project(c, &p, err));
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

/* ---- diff ---- */

typedef struct {
    const char *ref;
    wr_model_version version;
    wr_package *package;
    wr_json options, metrics;
} side;

static int open_side(side *s, wr_cli *c, wr_project *p, const char *ref, wr_err *err)
{
    s->ref = ref;
    WR_TRY(wr_model_find(&s->version, wr_cli_arena(c), p, ref, err));
    WR_TRY(wr_package_load(&s->package, p, s->version.package, err));
    const wr_package_parts *parts = wr_package_get(s->package);
    WR_TRY(wr_json_parse(&s->options, wr_str_of(parts->options_json), "options", err));
    return wr_json_parse(&s->metrics, wr_str_of(parts->metrics_json), "metrics", err);
}

static void close_side(side *s)
{
    wr_json_free(&s->options);
    wr_json_free(&s->metrics);
    wr_package_free(s->package);
}

static const char *value_text(wr_cli *c, yyjson_val *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    if (!v) return "-";
    if (yyjson_is_str(v)) return yyjson_get_str(v);
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_val(&w, v);
    const char *text = wr_arena_strdup(wr_cli_arena(c), wr_buf_cstr(&b));
    return text ? text : "";
}

/* A row for what differs. */
static void differ(wr_cli *c, wr_table *t, wr_jsonw *w, const char *what, const char *key, const char *a, const char *b)
{
    if (strcmp(a, b) == 0) return;
    wr_table_cell(t, "%s", what);
    wr_table_cell(t, "%s", key);
    wr_table_cell(t, "%s", a);
    wr_table_cell(t, "%s", b);
    (void)c;
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "what", what);
    wr_jsonw_kstr(w, "key", key);
    wr_jsonw_kstr(w, "a", a);
    wr_jsonw_kstr(w, "b", b);
    wr_jsonw_end(w);
}

static void differ_maps(wr_cli *c, wr_table *t, wr_jsonw *w, const char *what, yyjson_val *a, yyjson_val *b)
{
    yyjson_val *k, *v;
    size_t i, max;
    yyjson_obj_foreach(a, i, max, k, v)
        differ(c, t, w, what, yyjson_get_str(k), value_text(c, v), value_text(c, yyjson_obj_get(b, yyjson_get_str(k))));
    yyjson_obj_foreach(b, i, max, k, v) if (!yyjson_obj_get(a, yyjson_get_str(k)))
        differ(c, t, w, what, yyjson_get_str(k), "-", value_text(c, v));
}

static bool uses(const wr_package_parts *p, const char *feature)
{
    for (size_t i = 0; i < p->nuse; i++)
        if (strcmp(p->view->features[p->use[i]].name, feature) == 0) return true;
    return false;
}

static void differ_features(wr_cli *c, wr_table *t, wr_jsonw *w, const wr_package_parts *a, const wr_package_parts *b)
{
    for (size_t i = 0; i < a->nuse; i++) {
        const char *name = a->view->features[a->use[i]].name;
        if (!uses(b, name)) differ(c, t, w, "feature", name, "used", "-");
    }
    for (size_t i = 0; i < b->nuse; i++) {
        const char *name = b->view->features[b->use[i]].name;
        if (!uses(a, name)) differ(c, t, w, "feature", name, "-", "used");
    }
}

static void print_diff(wr_cli *c, const side *a, const side *b)
{
    const wr_package_parts *x = wr_package_get(a->package), *y = wr_package_get(b->package);
    wr_table *t = wr_table_new(c, "WHAT", "KEY", a->ref, b->ref, NULL);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    differ(c, t, w, "package", "", a->version.package, b->version.package);
    differ(c, t, w, "run", "", a->version.run_id, b->version.run_id);
    differ(c, t, w, "view", x->view->name, x->view->hash, y->view->hash);
    differ_features(c, t, w, x, y);
    differ_maps(c, t, w, "option", a->options.root, b->options.root);
    differ_maps(c, t, w, "metric", a->metrics.root, b->metrics.root);
    wr_jsonw_end(w);
    if (strcmp(a->version.package, b->version.package) == 0) wr_say(c, "the same package");
    else wr_table_print(t);
}

static int run_diff(wr_cli *c, wr_err *err)
{
    wr_project *p;
    side a = {0}, b = {0};
    WR_TRY(wr_cli_project(c, &p, err));
    int rc = open_side(&a, c, p, wr_cli_arg(c, 0), err);
    if (rc == 0) rc = open_side(&b, c, p, wr_cli_arg(c, 1), err);
    if (rc == 0) print_diff(c, &a, &b);
    close_side(&a);
    close_side(&b);
    return rc;
}

const wr_cmd wr_cmd_model_diff = {
    "model diff",
    "what two packages do not have in common",
    "MODEL MODEL",
    2,
    2,
    NULL,
    0,
    "View, features, options of the learner and metrics. MODEL is NAME (the newest candidate),\n"
    "NAME@ALIAS or NAME@VERSION.",
    "  weir model diff delay@champion delay",
    run_diff};
