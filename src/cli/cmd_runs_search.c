/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_search.c - weir runs search: MLflow's filters over all runs, at the prompt. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/runs_find.h"

enum { ID_SHOWN = 12, COLUMNS_MAX = 12, GUESSED = 4 };

/* Without --show: the metrics and params of the first run, those of the program's own footprint last. */
static size_t guess_columns(const char **out, wr_cli *c, const wr_track_run *r)
{
    size_t n = 0;
    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < r->nmetrics && n < GUESSED; i++)
            if (wr_str_starts(r->metrics[i].key, "weir.") == (own == 1))
                out[n++] = wr_arena_printf(wr_cli_arena(c), "metrics.%.*s", WR_STR_FMT(r->metrics[i].key));
    for (size_t i = 0; i < r->nparams && n < 2 * GUESSED && i < GUESSED; i++)
        out[n++] = wr_arena_printf(wr_cli_arena(c), "params.%.*s", WR_STR_FMT(r->params[i].key));
    return n;
}

static void print_table(wr_cli *c, const wr_track_run *runs, size_t n, const char *const *columns, size_t ncolumns)
{
    char start[WR_TIME_TEXT];
    const char *h[COLUMNS_MAX] = {0}; /* a table takes its headers as arguments */
    for (size_t i = 0; i < ncolumns; i++) h[i] = columns[i];
    wr_table *t = wr_table_new(c, "RUN", "STARTED", "STATUS", "NAME", h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7],
                               h[8], h[9], h[10], h[11], NULL);
    for (size_t i = 0; i < n; i++) {
        wr_time_format(start, runs[i].start_ms * 1000 - runs[i].start_ms * 1000 % WR_US);
        wr_table_cell(t, "%.*s", ID_SHOWN, runs[i].uuid.p);
        wr_table_cell(t, "%s", start);
        wr_table_cell(t, "%s", wr_runs_status(&runs[i]));
        wr_table_cell(t, "%s", runs[i].name.p);
        for (size_t k = 0; k < ncolumns; k++) wr_table_cell(t, "%.80s", wr_runs_cell(c, &runs[i], columns[k]));
    }
    wr_table_print(t);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_runs_query q = {.experiment = wr_cli_text(c, "experiment"),
                       .filter = wr_cli_arg(c, 0),
                       .view = wr_cli_flag(c, "deleted") ? WR_VIEW_DELETED : WR_VIEW_ACTIVE};
    int64_t max = wr_cli_int(c, "limit");
    const char **show, *columns[COLUMNS_MAX];
    wr_track_run *runs;
    size_t n, nshow = wr_cli_list(c, "show", &show);
    if (max < 1 || max > 50000) return wr_err_set(err, WEIR_EUSAGE, "--limit is between 1 and 50000");
    if (nshow > COLUMNS_MAX) return wr_err_set(err, WEIR_EUSAGE, "at most %d columns", COLUMNS_MAX);
    q.max = (size_t)max;
    q.norder = wr_cli_list(c, "order-by", &q.order);
    WR_TRY(wr_runs_search(&runs, &n, c, &q, err));
    if (wr_cli_json(c)) {
        wr_jsonw *w = wr_cli_jsonw(c);
        wr_jsonw_arr(w);
        for (size_t i = 0; i < n; i++) wr_runs_json(w, &runs[i]);
        wr_jsonw_end(w);
        return 0;
    }
    if (!n) {
        wr_say(c, "no runs that match");
        return 0;
    }
    for (size_t i = 0; i < nshow; i++) columns[i] = show[i];
    if (!nshow) nshow = guess_columns(columns, c, &runs[0]);
    print_table(c, runs, n, columns, nshow);
    return 0;
}

static const wr_cmd_arg args[] = {
    {"experiment", 'e', WR_ARG_TEXT, "NAME", "only runs of this experiment (name or number)", NULL},
    {"order-by", 'o', WR_ARG_LIST, "WHAT", "such as \"metrics.auc DESC\"", NULL},
    {"show", 0, WR_ARG_LIST, "COLUMN", "metrics.KEY, params.KEY, tags.KEY", NULL},
    {"limit", 'n', WR_ARG_INT, "N", "how many", "20"},
    {"deleted", 0, WR_ARG_FLAG, NULL, "deleted runs instead", NULL},
};

const wr_cmd wr_cmd_runs_search = {
    "runs search",
    "find runs by metrics, params, tags or name",
    "[FILTER]",
    0,
    1,
    args,
    sizeof args / sizeof *args,
    "FILTER is MLflow's language: metrics.auc > 0.8 AND params.model = 'trees'; beyond it OR, NOT,\n"
    "parentheses, BETWEEN, IN on everything, numbers for params, min(metrics.loss) < 0.1.",
    "  # the best of an experiment\n  weir runs search \"metrics.auc > 0.8\" -e churn -o \"metrics.auc DESC\" -n 5\n"
    "  # what failed today\n  weir runs search \"status = 'FAILED'\"",
    run};
