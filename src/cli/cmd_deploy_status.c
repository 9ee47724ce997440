/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_status.c - weir deploy status, promote, rollback: how rollouts go, and ending them. */
#include <math.h>

#include "base/num.h"
#include "cli/commands.h"
#include "cli/deploy_rollout.h"

/* ---- shown ---- */

static const char *text(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "";
}

/* NaN for null. */
static double num(yyjson_val *v, const char *key)
{
    yyjson_val *n = yyjson_obj_get(v, key);
    return yyjson_is_num(n) ? yyjson_get_num(n) : NAN;
}

static const char *shown(wr_cli *c, double v, const char *fmt)
{
    char format[16];
    snprintf(format, sizeof format, "%s", fmt);
    if (isnan(v)) return "-";
    const char *s = strcmp(format, "count") == 0 ? wr_fmt_count(wr_arena_alloc(wr_cli_arena(c), WR_NUM_TEXT), v) : NULL;
    if (!s && strcmp(format, "ms") == 0) s = wr_fmt_seconds(wr_arena_alloc(wr_cli_arena(c), WR_NUM_TEXT), v / 1000);
    if (!s && strcmp(format, "joules") == 0) s = wr_fmt_si(wr_arena_alloc(wr_cli_arena(c), WR_NUM_TEXT), v, "J");
    if (!s && strcmp(format, "share") == 0) s = wr_arena_printf(wr_cli_arena(c), "%.3g %%", v * 100);
    return s ? s : wr_arena_printf(wr_cli_arena(c), "%.4g", v);
}

/* The arm's worst verdict. */
static const char *verdict(yyjson_val *arm)
{
    static const char *const order[] = {"waits", "fine", "failed", "certain"};
    yyjson_val *g;
    size_t i, max;
    int worst = -1;
    bool waits = false;
    yyjson_arr_foreach(yyjson_obj_get(arm, "guardrails"), i, max, g)
    {
        for (int k = 0; k < 4; k++)
            if (strcmp(text(g, "verdict"), order[k]) == 0 && k > worst) worst = k;
        waits |= strcmp(text(g, "verdict"), "waits") == 0;
    }
    if (yyjson_get_bool(yyjson_obj_get(arm, "out"))) return "out";
    if (worst < 0) return "";
    return worst == 1 && waits ? "fine so far" : worst == 3 ? "worse" : order[worst];
}

static int print_arms(wr_cli *c, yyjson_val *arms, wr_err *err)
{
    wr_table *t = wr_table_new(c, "ARM", "MODEL", ">SHARE", "", ">REQUESTS", ">ERRORS", ">P50", ">P99", ">REWARD",
                               ">J/1000", "GUARDRAILS", NULL);
    yyjson_val *a;
    size_t i, max;
    if (!t) return wr_err_nomem(err);
    yyjson_arr_foreach(arms, i, max, a)
    {
        double share = num(a, "share"), version = num(a, "version");
        bool ready = yyjson_get_bool(yyjson_obj_get(a, "ready"));
        wr_table_cell(t, "%s", text(a, "name"));
        if (ready && version > 0) wr_table_cell(t, "%s@%.0f", text(a, "model"), version);
        else wr_table_cell(t, "%s%s", text(a, "reference"), ready ? "" : " (not ready)");
        wr_table_cell(t, "%s", shown(c, share, "share"));
        wr_table_cell(t, "%s", wr_bar(c, share, 1, 10));
        wr_table_cell(t, "%s", shown(c, num(a, "requests"), "count"));
        wr_table_cell(t, "%s", shown(c, num(a, "errors"), "count"));
        wr_table_cell(t, "%s", shown(c, num(a, "p50_ms"), "ms"));
        wr_table_cell(t, "%s", shown(c, num(a, "p99_ms"), "ms"));
        wr_table_cell(t, "%s", shown(c, num(a, "reward"), "number"));
        wr_table_cell(t, "%s", shown(c, num(a, "joules_1000"), "joules"));
        wr_table_cell(t, "%s", verdict(a));
    }
    wr_table_print(t);
    return 0;
}

static void say_arm(wr_cli *c, yyjson_val *a)
{
    yyjson_val *g, *shadow = yyjson_obj_get(a, "shadow"), *value = yyjson_obj_get(a, "value");
    size_t i, max;
    if (text(a, "error")[0]) wr_say(c, "%s: %s", text(a, "name"), text(a, "error"));
    yyjson_arr_foreach(yyjson_obj_get(a, "guardrails"), i, max, g)
    {
        if (text(g, "why")[0])
            wr_say(c, "%s, %s: %s; %s", text(a, "name"), text(g, "name"), text(g, "verdict"), text(g, "why"));
    }
    if (shadow)
        wr_say(c, "%s agrees with the primary in %s of %s rows; scores at most %s apart; %s copies dropped",
               text(a, "name"), shown(c, num(shadow, "agree"), "share"), shown(c, num(shadow, "pairs"), "count"),
               shown(c, num(shadow, "most_apart"), "number"), shown(c, num(shadow, "dropped"), "count"));
    if (value)
        wr_say(c, "%s alone would earn %s a prediction, between %s and %s", text(a, "name"),
               shown(c, num(value, "at"), "number"), shown(c, num(value, "lo"), "number"),
               shown(c, num(value, "hi"), "number"));
}

int wr_rollout_print(wr_cli *c, yyjson_val *status, wr_err *err)
{
    yyjson_val *arms = yyjson_obj_get(status, "arms"), *a, *spec = yyjson_obj_get(status, "rollout");
    yyjson_val *steps = yyjson_obj_get(spec, "steps");
    size_t i, max;
    if (wr_cli_json(c)) {
        wr_jsonw_val(wr_cli_jsonw(c), status);
        return 0;
    }
    wr_say(c, "%s: %s, %s since %s%s%s", text(status, "endpoint"), text(status, "mode"), text(status, "phase"),
           text(status, "started"), text(status, "why")[0] ? "; " : "", text(status, "why"));
    if (steps) {
        double step = num(steps, "step_weight"), most = num(steps, "max_weight"), at = num(status, "step");
        double n = ceil((most - step) / step - 1e-9) + 1;
        wr_say(c, "step %.0f of %.0f  %s  failed checks %.0f of %.0f", at + 1, n, wr_bar(c, at + 1, n, 20),
               num(yyjson_arr_get(arms, 1), "failed_checks"), num(steps, "threshold"));
    }
    WR_TRY(print_arms(c, arms, err));
    yyjson_arr_foreach(arms, i, max, a) say_arm(c, a);
    if (!isnan(num(status, "regret"))) wr_say(c, "regret so far %s", shown(c, num(status, "regret"), "number"));
    return 0;
}

/* ---- status ---- */

static int ask_one(wr_json *out, wr_cli *c, const char *endpoint, wr_err *err)
{
    char *path = wr_deploy_path(c, "/api/weir/1/endpoints/", endpoint, "/rollout");
    return path ? wr_deploy_ask(out, c, "GET", path, "application/json", WR_STR(""), err) : wr_err_nomem(err);
}

static int status_all(wr_cli *c, wr_err *err)
{
    WR_AUTOJSON wr_json all = {0};
    yyjson_val *e;
    size_t i, max, shown_n = 0;
    WR_TRY(wr_deploy_ask(&all, c, "GET", "/api/weir/1/endpoints", "application/json", WR_STR(""), err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    yyjson_arr_foreach(yyjson_obj_get(all.root, "endpoints"), i, max, e)
    {
        WR_AUTOJSON wr_json one = {0};
        wr_err why = {0};
        int rc = ask_one(&one, c, text(e, "name"), &why);
        if (rc == WEIR_ENOTFOUND) continue;
        if (rc < 0) {
            if (err) *err = why;
            return rc;
        }
        if (shown_n++) wr_say(c, "%s", "");
        WR_TRY(wr_rollout_print(c, one.root, err));
    }
    wr_jsonw_end(w);
    if (!shown_n) wr_say(c, "no endpoint has a rollout; weir deploy rollout ENDPOINT --to MODEL begins one");
    return 0;
}

static int run_status(wr_cli *c, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    if (!wr_cli_nargs(c)) return status_all(c, err);
    WR_TRY(ask_one(&j, c, wr_cli_arg(c, 0), err));
    return wr_rollout_print(c, j.root, err);
}

static const wr_cmd_arg url_args[] = {WR_DEPLOY_URL};

const wr_cmd wr_cmd_deploy_status = {
    "deploy status",
    "show how rollouts go: shares, counts, guardrails",
    "[ENDPOINT]",
    0,
    1,
    url_args,
    1,
    "Without a name: of all endpoints that have one.",
    "  # of one endpoint\n  weir deploy status delay\n  # for a program\n  weir deploy status delay --json",
    run_status};

/* ---- promote and rollback ---- */

static int act(wr_cli *c, const char *action, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_jsonw w;
    char *path = wr_deploy_path(c, "/api/weir/1/endpoints/", wr_cli_arg(c, 0), "/rollout");
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "action", action);
    if (wr_cli_nargs(c) > 1) wr_jsonw_kstr(&w, "arm", wr_cli_arg(c, 1));
    wr_jsonw_end(&w);
    if (!path || b.failed) return wr_err_nomem(err);
    WR_TRY(wr_deploy_ask(&j, c, "POST", path, "application/json", wr_buf_view(&b), err));
    return wr_rollout_print(c, j.root, err);
}

static int run_promote(wr_cli *c, wr_err *err) { return act(c, "promote", err); }
static int run_back(wr_cli *c, wr_err *err) { return act(c, "rollback", err); }

const wr_cmd wr_cmd_deploy_promote = {
    "deploy promote",
    "end a rollout now: its new model takes over",
    "ENDPOINT [ARM]",
    1,
    2,
    url_args,
    1,
    "The alias that the endpoint names moves to the arm's version, as its policies allow; a model of a path or\n"
    "of another name keeps all requests as an arm.",
    "  # do not wait for the last steps\n  weir deploy promote delay\n  # of several arms\n  weir deploy promote "
    "offers b",
    run_promote};

const wr_cmd wr_cmd_deploy_rollback = {
    "deploy rollback",
    "end a rollout now: the endpoint's own model answers",
    "ENDPOINT",
    1,
    1,
    url_args,
    1,
    "The next request already goes to it. What was promoted before is taken back by `weir model rollback`.",
    "  # enough\n  weir deploy rollback delay",
    run_back};
