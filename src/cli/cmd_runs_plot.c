/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_plot.c - weir runs plot: the curves of metrics, drawn in the terminal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/plot.h"
#include "cli/runs_find.h"

enum { CHARTS_MAX = 6, POINTS_MAX = 4000, HEIGHT_MOST = 200, ID_SHOWN = 8 };

typedef struct {
    wr_track_run runs[WR_PLOT_SERIES];
    size_t n;
    wr_metric_series series[WR_PLOT_SERIES]; /* of the metric at hand */
} plot;

static int read_metric(plot *p, wr_cli *c, const char *key, wr_err *err)
{
    wr_project *project;
    wr_track *t;
    int64_t ids[WR_PLOT_SERIES];
    WR_TRY(wr_cli_project(c, &project, err));
    WR_TRY(wr_project_track(&t, project, err));
    for (size_t i = 0; i < p->n; i++) ids[i] = p->runs[i].id;
    memset(p->series, 0, sizeof p->series);
    return wr_metric_sample(p->series, wr_cli_arena(c), t, ids, p->n, wr_str_of(key), INT64_MIN, INT64_MAX, POINTS_MAX,
                            err);
}

static void put_json(wr_cli *c, const plot *p, const char *key)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "metric", key);
    wr_jsonw_key(w, "series");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < p->n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "run", p->runs[i].uuid);
        wr_jsonw_key(w, "points");
        wr_jsonw_arr(w);
        for (size_t k = 0; k < p->series[i].n; k++) {
            const wr_track_point *pt = &p->series[i].points[k];
            wr_jsonw_arr(w);
            wr_jsonw_i64(w, pt->step);
            wr_jsonw_i64(w, pt->time_ms);
            wr_jsonw_f64(w, pt->value);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static int draw(plot *p, wr_cli *c, const char *key, bool by_time, wr_err *err)
{
    wr_plot_series s[WR_PLOT_SERIES];
    wr_plot_opt opt = {.title = key, .height = (int)wr_cli_int(c, "height"), .log_y = wr_cli_flag(c, "log")};
    for (size_t i = 0; i < p->n; i++) {
        double *x = wr_arena_alloc(wr_cli_arena(c), (p->series[i].n + 1) * sizeof *x),
               *y = wr_arena_alloc(wr_cli_arena(c), (p->series[i].n + 1) * sizeof *y);
        if (!x || !y) return wr_err_nomem(err);
        for (size_t k = 0; k < p->series[i].n; k++) {
            const wr_track_point *pt = &p->series[i].points[k];
            x[k] = by_time ? (double)(pt->time_ms - p->runs[i].start_ms) / 1000 : (double)pt->step;
            y[k] = pt->value;
        }
        s[i] = (wr_plot_series){
            wr_arena_printf(wr_cli_arena(c), "%.*s %s", ID_SHOWN, p->runs[i].uuid.p, p->runs[i].name.p), x, y,
            p->series[i].n};
    }
    return wr_plot(c, s, p->n, &opt, err);
}

/* Without --metric: what the first run measured more than once. */
static size_t guess(const char **out, plot *p, wr_cli *c)
{
    size_t n = 0;
    for (size_t i = 0; i < p->runs[0].nmetrics && n < CHARTS_MAX; i++) {
        const char *key = p->runs[0].metrics[i].key.p;
        if (read_metric(p, c, key, NULL) == 0 && p->series[0].n > 1) out[n++] = key;
    }
    return n;
}

static size_t points_of(const plot *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) n += p->series[i].n;
    return n;
}

static int not_measured(const plot *p, wr_cli *c, const char *key, wr_err *err)
{
    const wr_track_run *r = &p->runs[0];
    const char **names = wr_arena_calloc(wr_cli_arena(c), r->nmetrics + 1, sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < r->nmetrics; i++) names[i] = r->metrics[i].key.p;
    int near = wr_str_nearest(wr_str_of(key), names, r->nmetrics);
    wr_err_set(err, WEIR_ENOTFOUND, "no values of \"%s\" in %s", key, p->n > 1 ? "these runs" : "this run");
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND, "weir runs show %.*s lists its metrics", ID_SHOWN, r->uuid.p);
}

static int run(wr_cli *c, wr_err *err)
{
    plot p = {.n = (size_t)wr_cli_nargs(c)};
    const char **given, *keys[CHARTS_MAX];
    size_t n = wr_cli_list(c, "metric", &given);
    const char *x = wr_cli_text(c, "x");
    if (p.n > WR_PLOT_SERIES) return wr_err_set(err, WEIR_EUSAGE, "at most %d runs in one picture", WR_PLOT_SERIES);
    if (n > CHARTS_MAX) return wr_err_set(err, WEIR_EUSAGE, "at most %d metrics", CHARTS_MAX);
    int64_t height = wr_cli_int(c, "height");
    if (height < 2 || height > HEIGHT_MOST)
        return wr_err_set(err, WEIR_EUSAGE, "--height is between 2 and %d", HEIGHT_MOST);
    if (strcmp(x, "step") != 0 && strcmp(x, "time") != 0) return wr_err_set(err, WEIR_EUSAGE, "--x is step or time");
    for (size_t i = 0; i < p.n; i++) WR_TRY(wr_runs_one(&p.runs[i], c, wr_cli_arg(c, (int)i), err));
    for (size_t i = 0; i < n; i++) keys[i] = given[i];
    if (!n) n = guess(keys, &p, c);
    if (!n) {
        wr_err_set(err, WEIR_EINVAL, "run %.*s measured nothing more than once", ID_SHOWN, p.runs[0].uuid.p);
        return wr_err_hint(err, WEIR_EINVAL, "weir runs show %.*s lists its metrics; --metric names one", ID_SHOWN,
                           p.runs[0].uuid.p);
    }
    if (wr_cli_json(c)) wr_jsonw_arr(wr_cli_jsonw(c));
    for (size_t i = 0; i < n; i++) {
        WR_TRY(read_metric(&p, c, keys[i], err));
        if (!points_of(&p)) return not_measured(&p, c, keys[i], err);
        if (wr_cli_json(c)) put_json(c, &p, keys[i]);
        else WR_TRY(draw(&p, c, keys[i], strcmp(x, "time") == 0, err));
    }
    if (wr_cli_json(c)) wr_jsonw_end(wr_cli_jsonw(c));
    return 0;
}

static const wr_cmd_arg args[] = {
    {"metric", 'm', WR_ARG_LIST, "KEY", "which metric (default: those measured more than once)", NULL},
    {"x", 0, WR_ARG_TEXT, "WHAT", "step, or time in seconds since the run's start", "step"},
    {"log", 0, WR_ARG_FLAG, NULL, "logarithmic scale", NULL},
    {"height", 0, WR_ARG_INT, "LINES", "of each picture", "12"},
};

const wr_cmd wr_cmd_runs_plot = {"runs plot",
                                 "draw the curves of metrics in the terminal",
                                 "ID...",
                                 1,
                                 -1,
                                 args,
                                 sizeof args / sizeof *args,
                                 NULL,
                                 "  # one run\n  weir runs plot 3f9a\n  # the loss of two, on a logarithmic scale\n  "
                                 "weir runs plot 3f9a 81bc -m loss --log",
                                 run};
