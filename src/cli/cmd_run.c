/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - weir run: bring the stages up to date, a line for each as it ends. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/flow_print.h"
#include "flow/runner.h"
#include "flow/wrap.h"
#include "io/proc.h"

enum { TAIL_LINES = 20 };

static volatile sig_atomic_t stop_signal; /* the one thing a handler may touch */

static void on_signal(int sig) { stop_signal = sig; }

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

/* ---- told by the runner ---- */

typedef struct {
    wr_cli *c;
    bool live, started; /* started: something is not up to date, so every stage gets its line */
    int width;
    WR_VEC(const wr_stage_result *) held; /* up to date, not shown yet */
} view;

static void show(view *v, const wr_stage_result *r)
{
    char wall[WR_NUM_TEXT], cpu[WR_NUM_TEXT], energy[WR_NUM_TEXT];
    const char *mark = wr_stage_mark(r->status);
    if (!r->run_id) {
        wr_say(v->c, r->why[0] ? "%s %-*s  %-10s  %s" : "%s %-*s  %s%s", mark, v->width, r->stage->name,
               wr_stage_status_text(r->status), r->why);
        return;
    }
    wr_say(v->c, "%s %-*s  %-10s  %s, CPU %s, %s  (%s)", mark, v->width, r->stage->name,
           wr_stage_status_text(r->status), wr_fmt_seconds(wall, r->seconds), wr_fmt_seconds(cpu, r->cpu_s),
           wr_fmt_si(energy, r->energy_j, "J"), r->why);
}

static void flush_held(view *v)
{
    for (size_t i = 0; i < v->held.n; i++) show(v, v->held.at[i]);
    v->held.n = 0;
    v->started = true;
}

static void on_waiting(void *ctx, const char *whom)
{
    (void)ctx;
    fprintf(stderr, "waiting for another weir run in this project%s%s ...\n", whom[0] ? ", " : "", whom);
}

static void on_started(void *ctx, const wr_stage *s, const char *why)
{
    view *v = ctx;
    wr_progress_end(v->c);
    flush_held(v);
    if (v->live) fprintf(stderr, "== %s (%s)\n%s\n", s->name, why, s->cmd);
    fflush(stdout);
}

static void on_ended(void *ctx, const wr_stage_result *r)
{
    view *v = ctx;
    wr_progress_end(v->c);
    if (r->status == WR_STAGE_UP_TO_DATE && !v->started) {
        if (wr_vec_push(&v->held, r) < 0) show(v, r);
        return;
    }
    if (!v->started) flush_held(v);
    show(v, r);
    fflush(stdout);
    bool bad = r->status == WR_STAGE_FAILED || r->status == WR_STAGE_REFUSED;
    if (bad && r->log && !v->live) wr_log_tail(stderr, wr_cli_arena(v->c), r->log, TAIL_LINES);
}

static void on_tick(void *ctx, const char *running)
{
    view *v = ctx;
    if (!v->live) wr_progress(v->c, running, -1);
}

/* ---- result ---- */

static void put_json(wr_cli *c, const wr_flow_result *res)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < res->n; i++) wr_stage_json(w, &res->stages[i]);
    wr_jsonw_end(w);
}

static double cpu_used(const wr_flow_result *res)
{
    double cpu = 0;
    for (size_t i = 0; i < res->n; i++) cpu += res->stages[i].cpu_s;
    return cpu;
}

static void put_totals(wr_cli *c, const wr_flow_result *res, size_t ran, size_t restored, size_t fresh)
{
    double energy = 0, grams = 0;
    char wall_t[WR_NUM_TEXT], cpu_t[WR_NUM_TEXT], energy_t[WR_NUM_TEXT], grams_t[WR_NUM_TEXT];
    for (size_t i = 0; i < res->n; i++) {
        energy += res->stages[i].energy_j;
        grams += res->stages[i].gco2e;
    }
    wr_say(c, "%zu ran, %zu restored, %zu up to date; %s, CPU %s, %s, %sCO2e", ran, restored, fresh,
           wr_fmt_seconds(wall_t, res->seconds), wr_fmt_seconds(cpu_t, cpu_used(res)), wr_fmt_si(energy_t, energy, "J"),
           wr_fmt_si(grams_t, grams, "g"));
}

static void put_summary(wr_cli *c, const wr_flow_result *res)
{
    char took[WR_NUM_TEXT];
    size_t count[WR_STAGE_BLOCKED + 1] = {0};
    for (size_t i = 0; i < res->n; i++) count[res->stages[i].status]++;
    size_t fresh = count[WR_STAGE_UP_TO_DATE];
    if (res->n == 0) wr_say(c, "there are no stages to run; weir.yaml describes them");
    else if (fresh == res->n)
        wr_say(c, "%zu stage%s up to date (%s)", res->n, res->n == 1 ? "" : "s", wr_fmt_seconds(took, res->seconds));
    else if (cpu_used(res) == 0)
        wr_say(c, "%zu restored, %zu up to date; %s", count[WR_STAGE_RESTORED], fresh,
               wr_fmt_seconds(took, res->seconds));
    else put_totals(c, res, count[WR_STAGE_RAN], count[WR_STAGE_RESTORED], fresh);
}

static int widest(const wr_pipeline *pl)
{
    int width = 4;
    for (size_t i = 0; i < pl->n; i++)
        if ((int)strlen(pl->stages[i].name) > width) width = (int)strlen(pl->stages[i].name);
    return width < 40 ? width : 40;
}

static int dry_run(wr_cli *c, wr_project *p, const wr_pipeline *pl, const wr_graph_pick *pick, wr_err *err)
{
    wr_flow_result res;
    WR_TRY(wr_flow_plan(&res, wr_cli_arena(c), p, pl, pick, wr_cli_flag(c, "force"), err));
    if (wr_cli_json(c)) put_json(c, &res);
    else wr_plan_print(c, &res);
    return 0;
}

static int real_run(wr_cli *c, wr_project *p, const wr_pipeline *pl, const wr_graph_pick *pick, wr_err *err)
{
    view v = {.c = c, .live = wr_cli_flag(c, "verbose"), .width = widest(pl)};
    wr_flow_opt opt = {.pick = *pick,
                       .force = wr_cli_flag(c, "force"),
                       .keep_going = wr_cli_flag(c, "keep-going"),
                       .live = v.live,
                       .jobs = (int)wr_cli_int(c, "jobs"),
                       .wait_ms = (int)(wr_cli_int(c, "wait") / 1000),
                       .stop = &stop_signal,
                       .ctx = &v,
                       .waiting = on_waiting,
                       .started = on_started,
                       .ended = on_ended,
                       .tick = on_tick};
    wr_flow_result res;
    catch_signals();
    int rc = wr_flow_run(&res, wr_cli_arena(c), p, pl, &opt, err);
    wr_progress_end(c);
    if (wr_cli_json(c)) put_json(c, &res);
    else if (rc == 0 || rc == WEIR_ENO) put_summary(c, &res);
    wr_vec_fini(&v.held);
    return rc;
}

/* ---- one command as a run ---- */

static void wrapped_json(wr_cli *c, const wr_wrap_result *r)
{
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "run", r->run_id);
    wr_jsonw_ki64(w, "exit_code", r->exit_code);
    wr_jsonw_kf64(w, "seconds", r->wall_s);
    wr_jsonw_kf64(w, "cpu_seconds", r->cpu_s);
    wr_jsonw_kf64(w, "energy_j", r->energy_j);
    wr_jsonw_kf64(w, "gco2e", r->gco2e);
    wr_jsonw_kstr(w, "log", r->log);
    wr_jsonw_end(w);
}

/* Ends as weir run does for a stage: 1 = the command says no, anything else is a failure. */
static int wrapped(wr_cli *c, wr_project *p, const char *const *argv, wr_err *err)
{
    char wall[WR_NUM_TEXT], cpu[WR_NUM_TEXT], energy[WR_NUM_TEXT], grams[WR_NUM_TEXT];
    wr_wrap_result r;
    wr_wrap_opt opt = {.argv = argv,
                       .command = wr_cli_command_line(c),
                       .experiment = wr_cli_text(c, "experiment"),
                       .name = wr_cli_text(c, "name"),
                       .stop = &stop_signal};
    catch_signals();
    WR_TRY(wr_wrap_run(&r, wr_cli_arena(c), p, &opt, err));
    if (wr_cli_json(c)) wrapped_json(c, &r);
    else
        fprintf(stderr, "run %.12s: exit code %d, %s, CPU %s, %s, %sCO2e\n", r.run_id, r.exit_code,
                wr_fmt_seconds(wall, r.wall_s), wr_fmt_seconds(cpu, r.cpu_s), wr_fmt_si(energy, r.energy_j, "J"),
                wr_fmt_si(grams, r.gco2e, "g"));
    if (r.exit_code == 0) return 0;
    if (r.exit_code == 1) return wr_err_set(err, WEIR_ENO, "\"%s\" says no (exit code 1)", argv[0]);
    wr_err_set(err, WEIR_EINTERNAL, "\"%s\" ended with exit code %d", argv[0], r.exit_code);
    return wr_err_hint(err, WEIR_EINTERNAL, "%s",
                       wr_proc_exit_hint(r.exit_code)[0] ? wr_proc_exit_hint(r.exit_code) : r.log);
}

/* An option that would say nothing is a mistake: --dry-run of a command would run it. */
static int only_the_right(wr_cli *c, bool command, wr_err *err)
{
    static const char *const of_stages[] = {"set",     "force",      "single", "downstream",
                                            "dry-run", "keep-going", "jobs",   "wait"};
    static const char *const of_command[] = {"experiment", "name"};
    for (size_t i = 0; command && i < sizeof of_stages / sizeof *of_stages; i++)
        if (wr_cli_has(c, of_stages[i]))
            return wr_err_set(err, WEIR_EUSAGE, "--%s is about stages, not about a command behind \"--\"",
                              of_stages[i]);
    for (size_t i = 0; !command && i < sizeof of_command / sizeof *of_command; i++)
        if (wr_cli_has(c, of_command[i])) {
            wr_err_set(err, WEIR_EUSAGE, "--%s is about a command behind \"--\", not about stages", of_command[i]);
            return wr_err_hint(err, WEIR_EUSAGE, "weir run --%s %s -- COMMAND...", of_command[i],
                               wr_cli_text(c, of_command[i]));
        }
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    const char *const *argv;
    WR_TRY(only_the_right(c, wr_cli_dashes(c), err));
    if (wr_cli_dashes(c)) {
        size_t n = wr_cli_rest(c, &argv);
        if ((size_t)wr_cli_nargs(c) > n)
            return wr_err_set(err, WEIR_EUSAGE, "stages, or one command behind \"--\", not both");
        if (!n) return wr_err_set(err, WEIR_EUSAGE, "there is no command behind \"--\"");
        WR_TRY(wr_cli_project(c, &p, err));
        return wrapped(c, p, argv, err);
    }
    WR_AUTOPIPELINE wr_pipeline *pl = NULL;
    const char **set;
    size_t nset = wr_cli_list(c, "set", &set);
    int64_t jobs = wr_cli_int(c, "jobs"), wait = wr_cli_int(c, "wait");
    if (jobs < 1 || jobs > 256) return wr_err_set(err, WEIR_EUSAGE, "--jobs is between 1 and 256");
    if (wait < 0 || wait > WR_US * 86400) return wr_err_set(err, WEIR_EUSAGE, "--wait is between 0 and a day");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_pipeline_load(&pl, p, set, nset, err));
    wr_graph_pick pick;
    WR_TRY(wr_cli_pick(&pick, c, err));
    return wr_cli_flag(c, "dry-run") ? dry_run(c, p, pl, &pick, err) : real_run(c, p, pl, &pick, err);
}

static const wr_cmd_arg args[] = {
    {"set", 'S', WR_ARG_LIST, "KEY=VALUE", "another value for a variable, for this run", NULL},
    {"force", 'f', WR_ARG_FLAG, NULL, "run stages that are up to date too", NULL},
    {"single", 's', WR_ARG_FLAG, NULL, "only the stages named, nothing they need", NULL},
    {"downstream", 0, WR_ARG_FLAG, NULL, "the stages named and what needs them", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "only say what would run and why", NULL},
    {"keep-going", 'k', WR_ARG_FLAG, NULL, "after a failure run what does not depend on it", NULL},
    {"jobs", 'j', WR_ARG_INT, "N", "stages at a time", "1"},
    {"experiment", 0, WR_ARG_TEXT, "NAME", "of a command behind --: its experiment (default weir)", NULL},
    {"name", 0, WR_ARG_TEXT, "NAME", "of a command behind --: the name of its run", NULL},
    {"wait", 0, WR_ARG_DURATION, "TIME", "how long to wait for another weir run", "60s"},
};

const wr_cmd wr_cmd_run = {
    "run",
    "run what is out of date, or any command as a run",
    "[STAGE...] | -- COMMAND...",
    0,
    -1,
    args,
    sizeof args / sizeof *args,
    "Brings the stages of weir.yaml up to date, or those named and what they need.\n"
    "A stage runs when its command, its deps, its params or its outs are not what\n"
    "weir.lock says; if the run cache knows the result, it is restored instead.\n"
    "Stages with `manual: true` run only when they are named.\n"
    "\n"
    "A command that ends with exit code 1 says no: nothing after it runs, and\n"
    "weir run ends with 1. Any other code is a failure (2).\n"
    "\n"
    "With -- the command behind it is executed as one run, on record like a stage:\n"
    "command, git commit and diff, surroundings, input files by content, output, time,\n"
    "energy and carbon. An MLflow client in it logs into that run.",
    "  # everything that is out of date\n  weir run\n  # one stage and what it needs, with another value\n"
    "  weir run retrain -S until=2001-06-16\n  # what would run, and why\n  weir run --dry-run\n"
    "  # two stages at a time\n  weir run -j 2\n"
    "  # a training script as a run of the experiment churn\n  weir run --experiment churn -- python train.py --lr 0.1",
    run};
