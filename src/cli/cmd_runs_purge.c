/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_purge.c - weir runs purge: what was deleted goes for good. It cannot be undone, so it asks for --yes and can
 * be tried dry. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/vec.h"
#include "cli/commands.h"
#include "cli/runs_find.h"
#include "track/purge.h"

enum { ID_SHOWN = 12 };

typedef struct {
    wr_cli *c;
    wr_track *t;
    wr_arena *a;
    int64_t only;       /* experiment, -1 = all */
    int64_t until_ms;   /* deleted not after it */
    wr_purge_run *runs; /* of experiments that are not to go */
    size_t nruns;
    wr_purge_experiment_facts *experiments, *kept; /* to go; to go but for runs that were restored */
    size_t nexperiments, nkept;
    size_t named;                         /* deleted experiments of that age that nobody asked to go */
    size_t young_runs, young_experiments; /* counted when there is nothing of that age */
    int64_t done, of;
} purge;

static const char *s_of(int64_t n) { return n == 1 ? "" : "s"; }

/* ---- finding ---- */

static int find_experiments(purge *p, wr_err *err)
{
    int64_t *ids;
    size_t n;
    bool asked = wr_cli_flag(p->c, "experiments");
    WR_TRY(wr_purge_find_experiments(&ids, &n, p->a, p->t, p->until_ms, err));
    p->experiments = wr_arena_calloc(p->a, n + 1, sizeof *p->experiments);
    p->kept = wr_arena_calloc(p->a, n + 1, sizeof *p->kept);
    if (!p->experiments || !p->kept) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        wr_purge_experiment_facts f;
        if (p->only >= 0 && p->only != ids[i]) continue;
        if (!asked) {
            p->named++;
            continue;
        }
        WR_TRY(wr_purge_look(&f, p->a, p->t, ids[i], err));
        if (f.active) p->kept[p->nkept++] = f;
        else p->experiments[p->nexperiments++] = f;
    }
    return 0;
}

/* Those of experiments that go are not told of one by one. */
static int find_runs(purge *p, wr_err *err)
{
    size_t kept = 0;
    WR_TRY(wr_purge_find_runs(&p->runs, &p->nruns, p->a, p->t, p->only, p->until_ms, err));
    for (size_t i = 0; i < p->nruns; i++) {
        bool goes = false;
        for (size_t k = 0; k < p->nexperiments && !goes; k++)
            goes = p->experiments[k].experiment.id == p->runs[i].experiment;
        if (!goes) p->runs[kept++] = p->runs[i];
    }
    p->nruns = kept;
    return 0;
}

/* One experiment that was named: why it cannot go is said rather than passed over. */
static int check_named(purge *p, int64_t id, wr_err *err)
{
    wr_purge_experiment_facts f;
    if (!wr_cli_flag(p->c, "experiments")) return 0;
    WR_TRY(wr_purge_look(&f, p->a, p->t, id, err));
    return wr_purge_may(&f, err);
}

/* Nothing is old enough: is anything deleted at all? */
static int find_young(purge *p, wr_err *err)
{
    wr_purge_run *runs;
    int64_t *ids;
    size_t n;
    if (p->nruns || p->nexperiments || p->nkept) return 0;
    WR_TRY(wr_purge_find_runs(&runs, &p->young_runs, p->a, p->t, p->only, INT64_MAX, err));
    WR_TRY(wr_purge_find_experiments(&ids, &n, p->a, p->t, INT64_MAX, err));
    for (size_t i = 0; i < n && wr_cli_flag(p->c, "experiments"); i++)
        p->young_experiments += p->only < 0 || p->only == ids[i];
    return 0;
}

static int find(purge *p, wr_err *err)
{
    wr_project *project;
    wr_experiment e;
    const char *name = wr_cli_text(p->c, "experiment");
    WR_TRY(wr_cli_project(p->c, &project, err));
    WR_TRY(wr_project_track(&p->t, project, err));
    p->until_ms = (wr_clock_wall_us() - wr_cli_int(p->c, "older-than")) / 1000;
    if (name) {
        WR_TRY(wr_runs_experiment(&e, p->c, name, err));
        WR_TRY(check_named(p, e.id, err));
        p->only = e.id;
    }
    WR_TRY(find_experiments(p, err));
    WR_TRY(find_runs(p, err));
    return find_young(p, err);
}

/* ---- telling ---- */

static void json_experiments(wr_jsonw *w, const char *key, const wr_purge_experiment_facts *f, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_ki64(w, "id", f[i].experiment.id);
        wr_jsonw_kslice(w, "name", f[i].experiment.name);
        wr_jsonw_ki64(w, "runs", f[i].runs);
        wr_jsonw_ki64(w, "active_runs", f[i].active);
        wr_jsonw_ki64(w, "models", f[i].models);
        wr_jsonw_ki64(w, "traces", f[i].traces);
        wr_jsonw_ki64(w, "registered_versions", f[i].versions);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

static void json(const purge *p)
{
    wr_jsonw *w = wr_cli_jsonw(p->c);
    bool experiments = wr_cli_flag(p->c, "experiments");
    if (experiments) {
        wr_jsonw_obj(w);
        wr_jsonw_key(w, "runs");
    }
    wr_jsonw_arr(w);
    for (size_t i = 0; i < p->nruns; i++) wr_jsonw_str(w, p->runs[i].uuid);
    wr_jsonw_end(w);
    if (!experiments) return;
    json_experiments(w, "experiments", p->experiments, p->nexperiments);
    json_experiments(w, "kept", p->kept, p->nkept);
    wr_jsonw_end(w);
}

static void tell_nothing(const purge *p)
{
    bool experiments = wr_cli_flag(p->c, "experiments");
    wr_say(p->c, experiments ? "no deleted runs or experiments of that age" : "no deleted runs of that age");
    if (p->young_runs || p->young_experiments)
        wr_say(p->c, "%zu run%s%s deleted since: --older-than 0s takes all", p->young_runs,
               p->young_runs == 1 ? "" : "s",
               !experiments                ? ""
               : p->young_experiments == 1 ? wr_arena_printf(p->a, " and %zu experiment", p->young_experiments)
                                           : wr_arena_printf(p->a, " and %zu experiments", p->young_experiments));
}

static void tell(const purge *p, const char *what)
{
    wr_cli *c = p->c;
    if (wr_cli_json(c)) {
        json(p);
        return;
    }
    for (size_t i = 0; i < p->nruns; i++)
        wr_say(c, "%s %.*s  %.*s", what, ID_SHOWN, p->runs[i].uuid.p, WR_STR_FMT(p->runs[i].name));
    for (size_t i = 0; i < p->nexperiments; i++) {
        const wr_purge_experiment_facts *f = &p->experiments[i];
        wr_say(c, "%s experiment %" PRId64 "  %.*s, %" PRId64 " run%s, %" PRId64 " model%s, %" PRId64 " trace%s", what,
               f->experiment.id, WR_STR_FMT(f->experiment.name), f->runs, s_of(f->runs), f->models, s_of(f->models),
               f->traces, s_of(f->traces));
        if (f->versions)
            wr_say(c, "  %" PRId64 " registered version%s: on record, without files", f->versions, s_of(f->versions));
    }
    for (size_t i = 0; i < p->nkept; i++)
        wr_say(c, "kept experiment %" PRId64 "  %.*s: %" PRId64 " of its runs %s not deleted", p->kept[i].experiment.id,
               WR_STR_FMT(p->kept[i].experiment.name), p->kept[i].active, p->kept[i].active == 1 ? "is" : "are");
    if (!p->nruns && !p->nexperiments && !p->nkept) tell_nothing(p);
    if (p->named)
        wr_say(c, "%zu deleted experiment%s keep%s the name: weir runs purge --experiments", p->named,
               p->named == 1 ? "" : "s", p->named == 1 ? "s" : "");
}

static int ask(const purge *p, wr_err *err)
{
    char runs[80] = "", experiments[80] = "";
    int64_t versions = 0;
    for (size_t i = 0; i < p->nexperiments; i++) versions += p->experiments[i].versions;
    if (p->nruns) snprintf(runs, sizeof runs, "%zu run%s", p->nruns, p->nruns == 1 ? "" : "s");
    if (p->nexperiments)
        snprintf(experiments, sizeof experiments, "%s%zu experiment%s with all %s", p->nruns ? " and " : "",
                 p->nexperiments, p->nexperiments == 1 ? "" : "s", p->nexperiments == 1 ? "it has" : "they have");
    wr_err_set(err, WEIR_EUSAGE, "this removes %s%s for good", runs, experiments);
    if (versions)
        wr_err_detail(err, WEIR_EUSAGE, "%" PRId64 " registered version%s lose%s the files", versions, s_of(versions),
                      versions == 1 ? "s" : "");
    return wr_err_hint(err, WEIR_EUSAGE, "--yes does it, --dry-run shows them");
}

/* ---- doing ---- */

static void step(void *arg, int64_t done)
{
    purge *p = arg;
    wr_progress(p->c, "purging", p->of ? (double)(p->done + done) / (double)p->of : -1);
}

static int purge_all(purge *p, wr_err *err)
{
    wr_project *project;
    size_t kept = 0;
    wr_purge_opt opt = {.step = step, .arg = p};
    bool *purged = wr_arena_calloc(p->a, p->nruns + 1, sizeof *purged);
    if (!purged) return wr_err_nomem(err);
    WR_TRY(wr_cli_project(p->c, &project, err));
    WR_TRY(wr_project_artifacts(&opt.files, project, NULL, err));
    p->of = (int64_t)p->nruns;
    for (size_t i = 0; i < p->nexperiments; i++)
        p->of += p->experiments[i].runs + p->experiments[i].models + p->experiments[i].traces;
    WR_TRY(wr_purge_runs(purged, p->t, p->runs, p->nruns, &opt, err));
    p->done = (int64_t)p->nruns;
    for (size_t i = 0; i < p->nexperiments; i++) {
        const wr_purge_experiment_facts *f = &p->experiments[i];
        WR_TRY(wr_purge_experiment(p->t, f->experiment.id, &opt, err));
        p->done += f->runs + f->models + f->traces;
    }
    for (size_t i = 0; i < p->nruns; i++)
        if (purged[i]) p->runs[kept++] = p->runs[i];
    p->nruns = kept;
    return 0;
}

static int run(wr_cli *c, wr_err *err)
{
    purge p = {.c = c, .a = wr_cli_arena(c), .only = -1};
    WR_TRY(find(&p, err));
    if (wr_cli_flag(c, "dry-run")) {
        tell(&p, "would purge");
        return 0;
    }
    if ((p.nruns || p.nexperiments) && !wr_cli_flag(c, "yes")) return ask(&p, err);
    int rc = purge_all(&p, err);
    wr_progress_end(c);
    if (rc < 0) return rc;
    tell(&p, "purged");
    return 0;
}

static const wr_cmd_arg args[] = {
    {"older-than", 0, WR_ARG_DURATION, "TIME", "deleted at least so long ago", "30d"},
    {"experiment", 'e', WR_ARG_TEXT, "NAME", "only this experiment, by name or number", NULL},
    {"experiments", 0, WR_ARG_FLAG, NULL, "deleted experiments too, with all they have", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "only say which", NULL},
    {"yes", 'y', WR_ARG_FLAG, NULL, "do it", NULL},
};
const wr_cmd wr_cmd_runs_purge = {
    "runs purge",
    "remove deleted runs and experiments for good",
    "",
    0,
    0,
    args,
    sizeof args / sizeof *args,
    "With --experiments deleted experiments go too, with their runs, logged models and\n"
    "traces, and their names are free again. It is what mlflow gc does, and works\n"
    "beside a running server. Cut off in the middle, it is finished by doing it again.\n"
    "\n"
    "Files are removed from the project's own store (mlflow-artifacts:) alone; what\n"
    "clients keep elsewhere, in a bucket of theirs, stays. Registered versions stay on\n"
    "record; the files of those that were a purged run's or model's are gone.",
    "  # what would go\n  weir runs purge --older-than 90d --dry-run\n"
    "  # all runs that are deleted\n  weir runs purge --older-than 0s --yes\n"
    "  # one experiment, so that its name is free\n  weir runs delete --experiment churn\n"
    "  weir runs purge --experiments --experiment churn --older-than 0s --yes",
    run};
