/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_rollout.c - weir deploy rollout, split, shadow, switch, bandit: an endpoint's requests shared between
 * models, from now on. */
#include <limits.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/deploy_rollout.h"
#include "core/model.h"
#include "io/file.h"

/* ---- arms: [NAME=]MODEL[:WEIGHT] ---- */

/* A server of this project has the models of this project: one that is not registered is told before anything begins.
 * Of another server nothing is known here. */
static int known_here(wr_cli *c, const char *model, wr_err *err)
{
    wr_project *p;
    wr_registered_version v;
    wr_err none = {0};
    if (wr_cli_has(c, "url") || wr_cli_project(c, &p, &none) < 0) return 0;
    int rc = wr_model_registered(&v, wr_cli_arena(c), p, model, err);
    return rc < 0 ? wr_model_no_file(rc, model, wr_cli_arena(c), p, err) : 0;
}

/* A path is what has a slash or is there; the server is told where it is, whatever folder it runs in. */
static int put_model(wr_jsonw *w, wr_cli *c, wr_str model, wr_err *err)
{
    char full[PATH_MAX], *text = wr_arena_strndup(wr_cli_arena(c), model.p, model.n);
    if (!text) return wr_err_nomem(err);
    if ((!memchr(model.p, '/', model.n) && !wr_file_exists(text)) || strncmp(text, "models:/", 8) == 0) {
        wr_jsonw_kslice(w, "model", model);
        return known_here(c, text, err);
    }
    if (!realpath(text, full)) {
        wr_err_set(err, WEIR_ENOTFOUND, "there is no file or folder \"%.200s\"", text);
        wr_err_hint(err, WEIR_ENOTFOUND, "a model is NAME@VERSION, NAME@ALIAS, or the path of a model file");
        return wr_model_no_file(WEIR_ENOTFOUND, text, wr_cli_arena(c), NULL, err);
    }
    wr_jsonw_kstr(w, "path", full);
    return 0;
}

static int put_arm(wr_jsonw *w, wr_cli *c, const char *text, const char *name, const char *weight, wr_err *err)
{
    wr_str model = wr_str_of(text), rest = model, before = wr_str_cut(&rest, '=');
    char own[64];
    if (rest.p) {
        snprintf(own, sizeof own, "%.*s", WR_STR_FMT(wr_str_fit(before, sizeof own - 1)));
        name = own;
        model = rest;
    }
    for (size_t i = model.n;
         i-- > 0 && model.p[i] != '/' && model.p[i] != '@';) { /* the last colon, if it is a weight's */
        if (model.p[i] != ':') continue;
        weight = model.p + i + 1;
        model.n = i;
    }
    if (!wr_name_ok(wr_str_of(name)) || !model.n) {
        wr_err_set(err, WEIR_EUSAGE, "\"%.100s\" is not [NAME=]MODEL[:WEIGHT]", text);
        return wr_err_hint(err, WEIR_EUSAGE, "such as delay@7:20%%, b=delay@7:20%% or plain=./exports/plain.onnx");
    }
    wr_jsonw_key(w, name);
    wr_jsonw_obj(w);
    WR_TRY(put_model(w, c, model, err));
    if (weight) wr_jsonw_kstr(w, "weight", weight);
    wr_jsonw_end(w);
    return 0;
}

/* ---- guardrails: errors.worse_by=1% ---- */

typedef struct {
    const char *guard, *limit, *value;
} guard_limit;

static int read_guard(guard_limit *out, wr_cli *c, const char *text, wr_err *err)
{
    wr_arena *a = wr_cli_arena(c);
    wr_str rest = wr_str_of(text), limit = wr_str_cut(&rest, '='), guard = wr_str_cut(&limit, '.');
    if (!rest.n || !limit.n || !guard.n) {
        wr_err_set(err, WEIR_EUSAGE, "--guard %s is not GUARDRAIL.LIMIT=VALUE", text);
        return wr_err_hint(err, WEIR_EUSAGE, "such as --guard errors.worse_by=1%% or --guard p99.max=50ms");
    }
    *out = (guard_limit){wr_arena_strndup(a, guard.p, guard.n), wr_arena_strndup(a, limit.p, limit.n), rest.p};
    return out->guard && out->limit ? 0 : wr_err_nomem(err);
}

/* All limits of one guardrail stand under it, in whatever order they were given. */
static void put_limits(wr_jsonw *w, const guard_limit *all, size_t n, size_t first)
{
    for (size_t i = 0; i < first; i++)
        if (strcmp(all[i].guard, all[first].guard) == 0) return;
    wr_jsonw_key(w, all[first].guard);
    wr_jsonw_obj(w);
    for (size_t i = first; i < n; i++)
        if (strcmp(all[i].guard, all[first].guard) == 0) wr_jsonw_kstr(w, all[i].limit, all[i].value);
    wr_jsonw_end(w);
}

static int put_guards(wr_jsonw *w, wr_cli *c, wr_err *err)
{
    const char **list;
    size_t n = wr_cli_list(c, "guard", &list);
    guard_limit *all = wr_arena_alloc(wr_cli_arena(c), (n + 1) * sizeof *all);
    if (!all) return wr_err_nomem(err);
    if (n && wr_cli_flag(c, "no-guards"))
        return wr_err_set(err, WEIR_EUSAGE, "--guard and --no-guards exclude each other");
    if (wr_cli_flag(c, "no-guards")) wr_jsonw_kstr(w, "guardrails", "none");
    if (!n) return 0;
    for (size_t i = 0; i < n; i++) WR_TRY(read_guard(&all[i], c, list[i], err));
    wr_jsonw_key(w, "guardrails");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < n; i++) put_limits(w, all, n, i);
    wr_jsonw_end(w);
    return 0;
}

/* ---- the rest ---- */

static void put_text(wr_jsonw *w, wr_cli *c, const char *key, const char *option)
{
    if (wr_cli_has(c, option)) wr_jsonw_kstr(w, key, wr_cli_text(c, option));
}

static int put_number(wr_jsonw *w, wr_cli *c, const char *key, const char *option)
{
    if (wr_cli_has(c, option)) wr_jsonw_ki64(w, key, wr_cli_int(c, option));
    return 0;
}

static void put_duration(wr_jsonw *w, wr_cli *c, const char *key, const char *option)
{
    char text[40];
    if (!wr_cli_has(c, option)) return;
    snprintf(text, sizeof text, "%lldus", (long long)wr_cli_int(c, option));
    wr_jsonw_kstr(w, key, text);
}

static int put_common(wr_jsonw *w, wr_cli *c, wr_err *err)
{
    const char *header = wr_cli_text(c, "sticky-header"), *field = wr_cli_text(c, "sticky-field");
    if (header && field) return wr_err_set(err, WEIR_EUSAGE, "--sticky-header and --sticky-field exclude each other");
    if (header || field) {
        wr_jsonw_key(w, "sticky");
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, header ? "header" : "field", header ? header : field);
        wr_jsonw_end(w);
    }
    put_text(w, c, "salt", "salt");
    put_number(w, c, "min_samples", "min-samples");
    put_duration(w, c, "min_time", "min-time");
    if (wr_cli_has(c, "confidence")) wr_jsonw_kf64(w, "confidence", wr_cli_num(c, "confidence"));
    return put_guards(w, c, err);
}

static int send(wr_cli *c, wr_str body, const char *what, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    char *path = wr_deploy_path(c, "/api/weir/1/endpoints/", wr_cli_arg(c, 0), "/rollout");
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_deploy_ask(&j, c, "PUT", path, "application/json", body, err));
    wr_say(c, "%s", what);
    return wr_rollout_print(c, j.root, err);
}

/* ---- weir deploy rollout ---- */

static int run_rollout(wr_cli *c, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    const char *to = wr_cli_text(c, "to"), *file = wr_cli_text(c, "file");
    wr_jsonw w;
    if (!to == !file) {
        wr_err_set(err, WEIR_EUSAGE, "--to or --file is needed");
        return wr_err_hint(err, WEIR_EUSAGE, "weir deploy rollout %s --to MODEL@VERSION", wr_cli_arg(c, 0));
    }
    if (file) {
        WR_TRY(wr_file_read(&b, file, WR_ROLLOUT_TEXT, err));
        return send(c, wr_buf_view(&b), "the rollout has begun", err);
    }
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "arms");
    wr_jsonw_obj(&w);
    WR_TRY(put_arm(&w, c, to, "canary", NULL, err));
    wr_jsonw_end(&w);
    wr_jsonw_key(&w, "steps");
    wr_jsonw_obj(&w);
    put_duration(&w, c, "interval", "every");
    put_text(&w, c, "step_weight", "step");
    put_text(&w, c, "max_weight", "max");
    put_number(&w, c, "threshold", "threshold");
    wr_jsonw_end(&w);
    if (wr_cli_flag(c, "no-promote")) wr_jsonw_kbool(&w, "promote", false);
    WR_TRY(put_common(&w, c, err));
    wr_jsonw_end(&w);
    return b.failed ? wr_err_nomem(err) : send(c, wr_buf_view(&b), "the rollout has begun", err);
}

#define COMMON                                                                                                         \
    {                                                                                                                  \
        "sticky-header",                                                                                               \
        0,                                                                                                             \
        WR_ARG_TEXT,                                                                                                   \
        "NAME",                                                                                                        \
        "requests with the same value of this header stay with their arm",                                             \
        NULL},                                                                                                         \
        {"sticky-field", 0, WR_ARG_TEXT, "NAME", "the same for an input or a parameter of the requests", NULL},        \
        {"salt", 0, WR_ARG_TEXT, "TEXT", "another one deals the keys anew (default: the endpoint's name)", NULL},      \
        {"guard", 0, WR_ARG_LIST, "LIMIT", "guardrail, such as errors.worse_by=1% or p99.max=50ms", NULL},             \
        {"no-guards", 0, WR_ARG_FLAG, NULL, "no guardrails at all", NULL},                                             \
        {"confidence", 0, WR_ARG_NUM, "P", "how certain worse has to be (default 0.95)", NULL},                        \
        {"min-samples", 0, WR_ARG_INT, "N", "answers of an arm before it is judged (default 200)", NULL},              \
        {"min-time", 0, WR_ARG_DURATION, "TIME", "and time since the beginning (default 30s)", NULL}, WR_DEPLOY_URL

static const wr_cmd_arg rollout_args[] = {
    {"to", 0, WR_ARG_TEXT, "MODEL", "the new model: NAME@VERSION, NAME@ALIAS, or a path", NULL},
    {"file", 'f', WR_ARG_TEXT, "FILE", "all of it from a file, as under rollout: in weir.yaml", NULL},
    {"step", 0, WR_ARG_TEXT, "SHARE", "of the requests to begin with, and more at each step (default 10%)", NULL},
    {"every", 0, WR_ARG_DURATION, "TIME", "how long a step lasts (default 1m)", NULL},
    {"max", 0, WR_ARG_TEXT, "SHARE", "from here it is promoted (default 50%)", NULL},
    {"threshold", 0, WR_ARG_INT, "N", "failed checks that roll it back (default 5)", NULL},
    {"no-promote", 0, WR_ARG_FLAG, NULL, "leave the alias where it is at the end", NULL},
    COMMON,
};

const wr_cmd wr_cmd_deploy_rollout = {
    "deploy rollout",
    "bring a new model to an endpoint step by step",
    "ENDPOINT --to MODEL",
    1,
    1,
    rollout_args,
    sizeof rollout_args / sizeof *rollout_args,
    "The new model is loaded beside the one that serves and gets a share of the requests. It is judged by\n"
    "guardrails while it does; one that is worse is rolled back at once, one that is not gets more, and at\n"
    "the end the alias of the endpoint moves to it. A request that it cannot answer is answered by the old one.\n"
    "Guardrails: errors, p99, drift, reward, joules; .worse_by against the old model, .max (of reward .min) by\n"
    "itself in each interval.",
    "  # a tenth of the requests more each minute, up to half of them, then all\n  weir deploy rollout delay --to "
    "delay@challenger\n"
    "  # faster, the same users all along\n  weir deploy rollout delay --to delay@7 --step 20% --every 30s "
    "--sticky-header x-user\n"
    "  # stricter\n  weir deploy rollout delay --to delay@7 --guard errors.worse_by=0.5% --guard p99.max=20ms",
    run_rollout};

/* ---- split, shadow, switch, bandit ---- */

static int run_mode(wr_cli *c, const char *mode, const char *said, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    char name[16] = "";
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "mode", mode);
    wr_jsonw_key(&w, "arms");
    wr_jsonw_obj(&w);
    for (int i = 1; i < wr_cli_nargs(c); i++) {
        snprintf(name, sizeof name, i == 1 ? "other" : "other%d", i);
        WR_TRY(put_arm(&w, c, wr_cli_arg(c, i), name, NULL, err));
    }
    wr_jsonw_end(&w);
    if (strcmp(mode, "switch") == 0) {
        wr_str rest = wr_str_of(wr_cli_arg(c, 1)), before = wr_str_cut(&rest, '=');
        wr_jsonw_kslice(&w, "active", rest.p ? before : WR_STR("other"));
    }
    if (strcmp(mode, "bandit") == 0) {
        wr_jsonw_key(&w, "bandit");
        wr_jsonw_obj(&w);
        put_text(&w, c, "policy", "policy");
        put_text(&w, c, "reward", "reward");
        put_text(&w, c, "epsilon", "epsilon");
        put_text(&w, c, "floor", "floor");
        wr_jsonw_end(&w);
    }
    WR_TRY(put_common(&w, c, err));
    wr_jsonw_end(&w);
    return b.failed ? wr_err_nomem(err) : send(c, wr_buf_view(&b), said, err);
}

static int run_split(wr_cli *c, wr_err *err) { return run_mode(c, "split", "requests are split", err); }
static int run_shadow(wr_cli *c, wr_err *err)
{
    return run_mode(c, "shadow", "copies of requests go to the shadow", err);
}
static int run_switch(wr_cli *c, wr_err *err) { return run_mode(c, "switch", "requests are switched over", err); }
static int run_bandit(wr_cli *c, wr_err *err) { return run_mode(c, "bandit", "the bandit has begun", err); }

static const wr_cmd_arg common_args[] = {COMMON};
enum { NCOMMON = sizeof common_args / sizeof *common_args };

const wr_cmd wr_cmd_deploy_split = {
    "deploy split",
    "share requests between models by weight",
    "ENDPOINT [NAME=]MODEL:WEIGHT ...",
    2,
    WR_ROLLOUT_ARMS,
    common_args,
    NCOMMON,
    "The endpoint's own model keeps what is left. Weights stay until something else is said, or until a\n"
    "guardrail takes a model out.",
    "  # an A/B test by user\n  weir deploy split delay b=delay@7:50% --sticky-header x-user-id\n"
    "  # three models, one of a file\n  weir deploy split delay delay@7:20% plain=./exports/plain.onnx:10%",
    run_split};

const wr_cmd wr_cmd_deploy_shadow = {
    "deploy shadow",
    "let another model answer copies, and compare",
    "ENDPOINT [NAME=]MODEL ...",
    2,
    WR_ROLLOUT_ARMS,
    common_args,
    NCOMMON,
    "Nobody gets its answers. Copies are made after the answer and run when the machine has nothing else to\n"
    "do; when too many wait they are dropped and counted.",
    "  # what would the challenger have said?\n  weir deploy shadow delay delay@challenger --no-guards\n  weir deploy "
    "status delay",
    run_shadow};

const wr_cmd wr_cmd_deploy_switch = {
    "deploy switch",
    "let another model answer all, with the way back open",
    "ENDPOINT [NAME=]MODEL",
    2,
    2,
    common_args,
    NCOMMON,
    "The endpoint's own model stays loaded: a guardrail or `weir deploy rollback` brings it back within\n"
    "microseconds, and it answers what the other one cannot. No alias moves.",
    "  # all at once\n  weir deploy switch delay delay@7",
    run_switch};

static const wr_cmd_arg bandit_args[] = {
    {"policy", 0, WR_ARG_TEXT, "NAME", "thompson or epsilon (default thompson)", NULL},
    {"reward", 0, WR_ARG_TEXT, "KIND", "binary or gaussian (default binary)", NULL},
    {"epsilon", 0, WR_ARG_TEXT, "SHARE", "of the requests that go to all models alike (default 10%)", NULL},
    {"floor", 0, WR_ARG_TEXT, "SHARE", "least share of each model (default 1%)", NULL},
    COMMON,
};

const wr_cmd wr_cmd_deploy_bandit = {
    "deploy bandit",
    "share requests between models by what they earn",
    "ENDPOINT [NAME=]MODEL ...",
    2,
    WR_ROLLOUT_ARMS,
    bandit_args,
    sizeof bandit_args / sizeof *bandit_args,
    "Rewards come by prediction id. Each decision is logged with its propensity in decisions.ENDPOINT.",
    "  # clicks\n  weir deploy bandit offers b=offers@7 c=offers@8 --floor 5%\n"
    "  # money\n  weir deploy bandit offers b=offers@7 --reward gaussian --policy epsilon --epsilon 5%",
    run_bandit};
