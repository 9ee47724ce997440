/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_import.c - weir import: take over another tracking server. */
#include "cli/commands.h"
#include "stage/import/import.h"

static void progress(void *arg, const char *what, double fraction) { wr_progress(arg, what, fraction); }

static void print(wr_cli *c, const wr_import_report *r, bool dry)
{
    wr_table *t = wr_table_new(c, "WHAT", ">FOUND", dry ? NULL : ">NEW", NULL);
    for (int i = 0; i < WR_IMPORT_KINDS; i++) {
        if (!r->kinds[i].found) continue;
        wr_table_cell(t, "%s", wr_import_names[i]);
        wr_table_cell(t, "%lld", (long long)r->kinds[i].found);
        if (!dry) wr_table_cell(t, "%lld", (long long)r->kinds[i].made);
    }
    if (r->points) {
        wr_table_cell(t, "points of metrics");
        wr_table_cell(t, "%lld", (long long)r->points);
        if (!dry) wr_table_cell(t, "%s", "");
    }
    if (r->files) {
        wr_table_cell(t, "artifacts");
        wr_table_cell(t, "%lld", (long long)r->files);
        if (!dry) wr_table_cell(t, "%lld", (long long)r->files_copied);
    }
    wr_table_print(t);
    if (r->moved) wr_say(c, "%lld experiments have another id here: theirs was taken", (long long)r->moved);
    if (r->skipped) wr_say(c, "%lld left out; the first: %s", (long long)r->skipped, r->why);
    if (dry) wr_say(c, "nothing was written (--dry-run)");
}

static void json(wr_cli *c, const wr_import_report *r, bool dry)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    for (int i = 0; i < WR_IMPORT_KINDS; i++) {
        wr_jsonw_key(w, wr_arena_printf(wr_cli_arena(c), "%s", wr_import_names[i]));
        wr_jsonw_obj(w);
        wr_jsonw_ki64(w, "found", r->kinds[i].found);
        wr_jsonw_ki64(w, "new", r->kinds[i].made);
        wr_jsonw_end(w);
    }
    wr_jsonw_ki64(w, "points", r->points);
    wr_jsonw_key(w, "artifacts");
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "found", r->files);
    wr_jsonw_ki64(w, "new", r->files_copied);
    wr_jsonw_ki64(w, "bytes", r->bytes);
    wr_jsonw_end(w);
    wr_jsonw_ki64(w, "moved", r->moved);
    wr_jsonw_ki64(w, "skipped", r->skipped);
    if (r->skipped) wr_jsonw_kstr(w, "why", r->why);
    wr_jsonw_kbool(w, "dry_run", dry);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_import_report r;
    wr_import_opt opt = {.source = wr_cli_arg(c, 0),
                         .auth = wr_cli_text(c, "auth-db"),
                         .artifacts = wr_cli_text(c, "artifacts"),
                         .root = wr_cli_text(c, "artifact-root"),
                         .prefix = wr_cli_text(c, "prefix"),
                         .dry_run = wr_cli_flag(c, "dry-run"),
                         .progress = progress,
                         .arg = c};
    WR_TRY(wr_cli_project(c, &p, err));
    int rc = wr_import_mlflow(&r, p, &opt, err);
    wr_progress_end(c);
    if (rc < 0) return rc;
    if (wr_cli_json(c)) json(c, &r, opt.dry_run);
    else print(c, &r, opt.dry_run);
    return 0;
}

static const wr_cmd_arg args[] = {
    {"artifacts", 'a', WR_ARG_TEXT, "DIR|s3://...", "the artifact tree, copied into the project's store", NULL},
    {"artifact-root", 0, WR_ARG_TEXT, "URI", "what artifact URIs begin with, if the tree has moved since", NULL},
    {"auth-db", 0, WR_ARG_TEXT, "URL", "database of the users (basic_auth.db)", NULL},
    {"prefix", 0, WR_ARG_TEXT, "TEXT", "put it in front of the names of experiments and models", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "only read and count", NULL},
};

const wr_cmd wr_cmd_import = {
    "import mlflow",
    "take over an MLflow server: its database, or over HTTP",
    "SOURCE",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "SOURCE is the file of MLflow's SQLite database, the address of its PostgreSQL database, or the\n"
    "address of a running server (then MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and\n"
    "MLFLOW_TRACKING_PASSWORD, say who asks, and artifacts come through the server).\n"
    "Ids and times are kept, ids of experiments when they are free. An import that was cut short is\n"
    "started again; later imports add what is new. A server may be up meanwhile. Users keep their\n"
    "passwords.",
    "  # what is there\n  weir import mlflow mlflow.db --dry-run\n"
    "  # everything, with artifacts and users\n"
    "  weir import mlflow sqlite:///mlflow.db --artifacts mlartifacts --auth-db basic_auth.db\n"
    "  # from a running server\n  weir import mlflow http://mlflow.example:5000",
    run};
