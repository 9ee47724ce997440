/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy_models.c - weir deploy list, load, unload: the models that a running server has. */
#include "base/limits.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/deploy_server.h"
#include "io/file.h"

/* ---- list ---- */

static const char *text(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "";
}

static yyjson_val *stats_of(yyjson_val *stats, const char *name, const char *version)
{
    yyjson_val *list = yyjson_obj_get(stats, "model_stats"), *v;
    size_t i, max;
    yyjson_arr_foreach(list, i, max, v)
    {
        if (strcmp(text(v, "name"), name) == 0 && strcmp(text(v, "version"), version) == 0) return v;
    }
    return NULL;
}

typedef struct {
    const char *name, *version, *state, *reason;
    bool counted;
    double requests, failed, rows, mean_us;
} row;

static void read_row(row *r, yyjson_val *entry, yyjson_val *stats)
{
    *r = (row){
        text(entry, "name"), text(entry, "version"), text(entry, "state"), text(entry, "reason"), false, 0, 0, 0, 0};
    yyjson_val *s = stats_of(stats, r->name, r->version);
    if (!s) return;
    r->counted = true;
    r->requests = yyjson_get_num(yyjson_ptr_get(s, "/inference_stats/success/count"));
    r->failed = yyjson_get_num(yyjson_ptr_get(s, "/inference_stats/fail/count"));
    r->rows = yyjson_get_num(yyjson_obj_get(s, "inference_count"));
    double ns = yyjson_get_num(yyjson_ptr_get(s, "/inference_stats/success/ns"));
    r->mean_us = r->requests > 0 ? ns / r->requests / 1000 : 0;
}

static void put_row(wr_jsonw *w, const row *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", r->name);
    wr_jsonw_kstr(w, "version", r->version);
    wr_jsonw_kstr(w, "state", r->state);
    if (r->reason[0]) wr_jsonw_kstr(w, "reason", r->reason);
    if (r->counted) {
        wr_jsonw_ki64(w, "requests", (int64_t)r->requests);
        wr_jsonw_ki64(w, "failed", (int64_t)r->failed);
        wr_jsonw_ki64(w, "rows", (int64_t)r->rows);
        wr_jsonw_kf64(w, "mean_us", r->mean_us);
    }
    wr_jsonw_end(w);
}

static void print_row(wr_table *t, const row *r)
{
    char n[WR_NUM_TEXT];
    wr_table_cell(t, "%s", r->name);
    wr_table_cell(t, "%s", r->version);
    wr_table_cell(t, "%s", r->state[0] ? r->state : "-");
    wr_table_cell(t, "%s", r->counted ? wr_fmt_count(n, r->requests) : "");
    wr_table_cell(t, "%s", r->counted ? wr_fmt_count(n, r->failed) : "");
    wr_table_cell(t, "%s", r->counted && r->requests > 0 ? wr_fmt_seconds(n, r->mean_us / 1e6) : "");
    wr_table_cell(t, "%s", r->reason);
}

static int run_list(wr_cli *c, wr_err *err)
{
    WR_AUTOJSON wr_json index = {0};
    WR_AUTOJSON wr_json stats = {0};
    size_t i, max;
    yyjson_val *v;
    WR_TRY(wr_deploy_ask(&index, c, "POST", "/v2/repository/index", "application/json", WR_STR("{}"), err));
    WR_TRY(wr_deploy_ask(&stats, c, "GET", "/v2/models/stats", "application/json", WR_STR(""), err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_table *t = wr_table_new(c, "MODEL", "VERSION", "STATE", ">REQUESTS", ">FAILED", ">MEAN", "REASON", NULL);
    if (!t) return wr_err_nomem(err);
    wr_jsonw_arr(w);
    yyjson_arr_foreach(index.root, i, max, v)
    {
        row r;
        read_row(&r, v, stats.root);
        put_row(w, &r);
        print_row(t, &r);
    }
    wr_jsonw_end(w);
    if (max) wr_table_print(t);
    else wr_say(c, "the server has no models");
    return 0;
}

static const wr_cmd_arg list_args[] = {WR_DEPLOY_URL};

const wr_cmd wr_cmd_deploy_list = {
    "deploy list",
    "list the models that a running server has",
    "",
    0,
    0,
    list_args,
    1,
    "Endpoints and the models of its repository, with their state and what they have answered. Models that\n"
    "are there but not loaded have no state.",
    "  # of this project's server\n  weir deploy list\n"
    "  # of another one\n  weir deploy list --url http://127.0.0.1:9000",
    run_list};

/* ---- load and unload ---- */

static int load_body(wr_buf *b, wr_cli *c, wr_err *err)
{
    WR_AUTOBUF wr_buf config = {0};
    const char *file = wr_cli_text(c, "config");
    wr_jsonw w;
    if (file) WR_TRY(wr_file_read(&config, file, WR_LIMIT_FILE_CONFIG, err));
    wr_jsonw_init(&w, b, 0);
    wr_jsonw_obj(&w);
    if (file) {
        wr_jsonw_key(&w, "parameters");
        wr_jsonw_obj(&w);
        wr_jsonw_kslice(&w, "config", wr_buf_view(&config));
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
    return b->failed ? wr_err_nomem(err) : 0;
}

static bool is_endpoint(wr_cli *c, const char *name)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *v;
    size_t i, max;
    wr_err none;
    if (wr_deploy_ask(&j, c, "GET", "/api/weir/1/endpoints", "application/json", WR_STR(""), &none) < 0) return false;
    yyjson_arr_foreach(yyjson_obj_get(j.root, "endpoints"), i, max, v)
    {
        if (strcmp(text(v, "endpoint"), name) == 0 || strcmp(text(v, "name"), name) == 0) return true;
    }
    return false;
}

enum { NAMES = 1000 };

/* Names of the index; *found: is it one of them? */
static size_t names_of(const char **names, yyjson_val *index, const char *name, bool *found)
{
    yyjson_val *v;
    size_t i, max, n = 0;
    yyjson_arr_foreach(index, i, max, v)
    {
        if (n < NAMES) names[n++] = text(v, "name");
        if (strcmp(text(v, "name"), name) == 0) *found = true;
    }
    return n;
}

/* The server speaks as Triton does; what it means here, and what to do, is told instead. `said`: its words. */
static int tell(wr_cli *c, const char *name, bool unload, int code, const wr_err *said, wr_err *err)
{
    WR_AUTOJSON wr_json index = {0};
    const char *names[NAMES];
    bool found = false;
    wr_err none;
    if (is_endpoint(c, name)) {
        wr_err_set(err, code, "\"%.100s\" is an endpoint, not a model of the server's repository", name);
        wr_err_detail(err, code, "%s", said->msg);
        return wr_err_hint(err, code,
                           unload ? "take it out of endpoints: of weir.yaml, then start the server anew"
                                  : "it takes a new version by itself: weir model promote, or the file at its path");
    }
    if (wr_deploy_ask(&index, c, "POST", "/v2/repository/index", "application/json", WR_STR("{}"), &none) < 0)
        return code;
    size_t n = names_of(names, index.root, name, &found);
    wr_err_set(err, code,
               found && unload ? "model \"%.100s\" is not loaded"
               : found         ? "model \"%.100s\" cannot be loaded"
                               : "the server's repository has no model \"%.100s\"",
               name);
    wr_err_detail(err, code, "%s", said->msg);
    if (found) return wr_err_hint(err, code, "weir deploy list shows the models and their states");
    int near = wr_str_nearest(wr_str_of(wr_path_base(name)), names, n);
    if (near >= 0) return wr_err_hint(err, code, "did you mean \"%s\"?", names[near]);
    if (wr_file_exists(name))
        return wr_err_hint(err, code,
                           "a file is served as an endpoint (endpoints: {NAME: {path: FILE}} of weir.yaml), or from "
                           "NAME/1/ of the repository");
    return wr_err_hint(
        err, code,
        "weir deploy list shows what it has; serving: {repository: FOLDER} of weir.yaml says where it looks");
}

static int change(wr_cli *c, const char *verb, wr_str body, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_err said = {0};
    const char *name = wr_cli_arg(c, 0);
    char *path = wr_deploy_path(c, "/v2/repository/models/", name, verb);
    int rc = path ? wr_deploy_ask(&j, c, "POST", path, "application/json", body, &said) : wr_err_nomem(&said);
    if (rc == 0) return 0;
    if (err) *err = said;
    bool about_it = rc == WEIR_EINVAL || rc == WEIR_ENOTFOUND || rc == WEIR_EUNSUPPORTED;
    return about_it ? tell(c, name, strcmp(verb, "/unload") == 0, rc, &said, err) : rc;
}

static int run_load(wr_cli *c, wr_err *err)
{
    WR_AUTOBUF wr_buf body = {0};
    WR_AUTOJSON wr_json j = {0};
    const char *name = wr_cli_arg(c, 0);
    WR_TRY(load_body(&body, c, err));
    WR_TRY(change(c, "/load", wr_buf_view(&body), err));
    char *path = wr_deploy_path(c, "/v2/models/", name, "");
    if (!path) return wr_err_nomem(err);
    WR_TRY(wr_deploy_ask(&j, c, "GET", path, "application/json", WR_STR(""), err));
    WR_AUTOBUF wr_buf versions = {0};
    yyjson_val *list = yyjson_obj_get(j.root, "versions"), *v;
    size_t i, max;
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", name);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    yyjson_arr_foreach(list, i, max, v)
    {
        wr_jsonw_val(w, v);
        wr_buf_printf(&versions, "%s%s", i ? ", " : "", yyjson_get_str(v) ? yyjson_get_str(v) : "");
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_say(c, "%s is ready: version%s %s", name, max == 1 ? "" : "s", wr_buf_cstr(&versions));
    return 0;
}

static int run_unload(wr_cli *c, wr_err *err)
{
    const char *name = wr_cli_arg(c, 0);
    WR_TRY(change(c, "/unload", WR_STR("{}"), err));
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", name);
    wr_jsonw_kbool(w, "unloaded", true);
    wr_jsonw_end(w);
    wr_say(c, "%s answers no more; requests it has are finished", name);
    return 0;
}

static const wr_cmd_arg load_args[] = {
    {"config", 0, WR_ARG_TEXT, "FILE", "a model configuration (JSON) in place of the folder's", NULL},
    WR_DEPLOY_URL,
};

const wr_cmd wr_cmd_deploy_load = {
    "deploy load",
    "load, or load anew, a model of a server's repository",
    "NAME",
    1,
    1,
    load_args,
    sizeof load_args / sizeof *load_args,
    "The versions that the model's configuration wants (the newest, without one) are opened, checked and\n"
    "warmed up; then they answer, and what answered before finishes its requests. A version that cannot be\n"
    "loaded never replaces one that answers.",
    "  # after a new version was put into the folder\n  weir deploy load fraud\n"
    "  # with larger batches\n  weir deploy load fraud --config fraud.json",
    run_load};

const wr_cmd wr_cmd_deploy_unload = {"deploy unload",
                                     "take a model of a server's repository out of service",
                                     "NAME",
                                     1,
                                     1,
                                     list_args,
                                     1,
                                     "It stays out until it is loaded again, also when its folder changes.",
                                     "  # for a while\n  weir deploy unload fraud",
                                     run_unload};
