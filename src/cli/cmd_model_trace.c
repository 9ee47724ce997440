/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_trace.c - weir model trace: where a version comes from, what came of it, and who served it. */
#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/trace_print.h"
#include "core/model.h"

typedef struct {
    const char *model;
    int64_t version; /* 0 = a candidate */
    wr_trace up, down;
    wr_trace_serving *served;
    size_t nserved;
} traced;

/* The reference that the trace understands: the candidate's, or NAME@VERSION of what is registered. */
static int resolve(traced *t, const char **ref, wr_cli *c, wr_project *p, const char *asked, wr_err *err)
{
    wr_arena *a = wr_cli_arena(c);
    wr_registered_version v;
    wr_model_version candidate;
    wr_err none;
    if (!strpbrk(asked, "@/") && wr_model_find(&candidate, a, p, asked, &none) == 0) {
        t->model = candidate.name;
        *ref = wr_arena_printf(a, "model:%s", candidate.name);
    } else {
        WR_TRY(wr_model_registered(&v, a, p, asked, err));
        t->model = v.name.p;
        t->version = v.version;
        *ref = wr_arena_printf(a, "model:%s@%lld", v.name.p, (long long)v.version);
    }
    return *ref ? 0 : wr_err_nomem(err);
}

static void when(wr_table *table, int64_t us)
{
    char text[WR_TIME_TEXT];
    wr_time_format(text, us);
    text[16] = 0, text[10] = ' ';
    wr_table_cell(table, "%s", us > 0 ? text : "");
}

static void print_text(wr_cli *c, const traced *t)
{
    wr_trace_print(c, &t->up);
    if (t->down.n > 1) {
        wr_say(c, "%s", "");
        wr_trace_print(c, &t->down);
    }
    if (!t->version) return;
    if (!t->nserved) {
        wr_say(c, "no endpoint has served it");
        return;
    }
    wr_say(c, "%s", "");
    wr_table *table = wr_table_new(c, "ENDPOINT", "NOW", "LOADED (UTC)", ">PREDICTIONS", "FIRST", "LAST", NULL);
    for (size_t i = 0; i < t->nserved; i++) {
        char count[WR_NUM_TEXT];
        wr_table_cell(table, "%s", t->served[i].endpoint);
        wr_table_cell(table, "%s", t->served[i].now ? "yes" : "no");
        when(table, t->served[i].loaded_us);
        wr_table_cell(table, "%s", wr_fmt_count(count, t->served[i].predictions));
        when(table, t->served[i].first_us);
        when(table, t->served[i].last_us);
    }
    wr_table_print(table);
}

static void print_json(wr_cli *c, const traced *t)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "model", t->model);
    wr_jsonw_ki64(w, "version", t->version);
    wr_jsonw_key(w, "up");
    wr_trace_json(w, &t->up);
    wr_jsonw_key(w, "down");
    wr_trace_json(w, &t->down);
    wr_jsonw_key(w, "endpoints");
    wr_trace_servings_json(w, t->served, t->nserved);
    wr_jsonw_end(w);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    traced t = {0};
    const char *ref;
    wr_arena *a = wr_cli_arena(c);
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(resolve(&t, &ref, c, p, wr_cli_arg(c, 0), err));
    WR_TRY(wr_trace_make(&t.up, a, p, ref, false, err));
    WR_TRY(wr_trace_make(&t.down, a, p, ref, true, err));
    if (t.version) WR_TRY(wr_trace_servings(&t.served, &t.nserved, a, p, t.model, t.version, err));
    if (wr_cli_json(c)) print_json(c, &t);
    else print_text(c, &t);
    return 0;
}

const wr_cmd wr_cmd_model_trace = {
    "model trace",
    "where a version comes from, and who served it",
    "MODEL",
    1,
    1,
    NULL,
    0,
    "The tree goes from the version to its package, run, data versions and files, with the version\n"
    "of the code and the energy of every run; for a version that an MLflow client registered, to its\n"
    "logged model, run and the datasets the run had read. Predictions are counted in the lake:\n"
    "weir deploy flush brings what the server's log still holds. MODEL is NAME (the newest\n"
    "candidate), NAME@ALIAS or NAME@VERSION.",
    "  # of the one in use\n  weir model trace delay@champion\n  weir model trace churn@2 --json",
    run};
