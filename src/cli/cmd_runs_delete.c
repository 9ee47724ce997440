/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_delete.c - weir runs delete, restore: of runs, or of an experiment with its runs. What is deleted can be
 * restored until it is purged (cmd_runs_purge.c). */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/runs_find.h"
#include "track/purge.h"

enum { ID_SHOWN = 12 };

typedef struct {
    wr_track_run *runs;
    size_t n;
    int (*change)(wr_track *t, wr_str uuid, wr_err *err);
} change;

static int change_fn(wr_track *t, void *arg, wr_err *err)
{
    change *ch = arg;
    for (size_t i = 0; i < ch->n; i++) WR_TRY(ch->change(t, ch->runs[i].uuid, err));
    return 0;
}

static int apply(wr_cli *c, change *ch, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    return wr_track_write(t, change_fn, ch, err);
}

static void tell(wr_cli *c, const char *what, const change *ch)
{
    if (wr_cli_json(c)) {
        wr_jsonw *w = wr_cli_jsonw(c);
        wr_jsonw_arr(w);
        for (size_t i = 0; i < ch->n; i++) wr_jsonw_str(w, ch->runs[i].uuid);
        wr_jsonw_end(w);
        return;
    }
    for (size_t i = 0; i < ch->n; i++) wr_say(c, "%s %.*s  %s", what, ID_SHOWN, ch->runs[i].uuid.p, ch->runs[i].name.p);
}

static int named(wr_cli *c, const char *what, int (*fn)(wr_track *t, wr_str uuid, wr_err *err), wr_err *err)
{
    change ch = {.n = (size_t)wr_cli_nargs(c), .change = fn};
    ch.runs = wr_arena_calloc(wr_cli_arena(c), ch.n, sizeof *ch.runs);
    if (!ch.runs) return wr_err_nomem(err);
    for (size_t i = 0; i < ch.n; i++) WR_TRY(wr_runs_one(&ch.runs[i], c, wr_cli_arg(c, (int)i), err));
    WR_TRY(apply(c, &ch, err));
    tell(c, what, &ch);
    return 0;
}

/* ---- an experiment ---- */

typedef struct {
    int64_t id;
    int (*change)(wr_track *t, int64_t id, wr_err *err);
} experiment_change;

static int experiment_fn(wr_track *t, void *arg, wr_err *err)
{
    const experiment_change *ch = arg;
    return ch->change(t, ch->id, err);
}

static void tell_experiment(wr_cli *c, const char *what, const wr_purge_experiment_facts *f)
{
    const wr_experiment *e = &f->experiment;
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "experiment", e->id);
    wr_jsonw_kslice(w, "name", e->name);
    wr_jsonw_ki64(w, "runs", f->runs);
    wr_jsonw_end(w);
    wr_say(c, "%s experiment %lld  %.*s, %lld run%s", what, (long long)e->id, WR_STR_FMT(e->name), (long long)f->runs,
           f->runs == 1 ? "" : "s");
}

/* `deleted`: the state it goes to. */
static int whole(wr_cli *c, bool deleted, wr_err *err)
{
    wr_project *p;
    wr_track *t;
    wr_purge_experiment_facts f;
    const char *what = deleted ? "deleted" : "restored", *name = wr_cli_text(c, "experiment");
    if (wr_cli_nargs(c)) return wr_err_set(err, WEIR_EUSAGE, "ids of runs, or --experiment for all of one, not both");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_track(&t, p, err));
    WR_TRY(wr_runs_experiment(&f.experiment, c, name, err));
    if (f.experiment.deleted == deleted) {
        wr_err_set(err, WEIR_ECONFLICT, "experiment \"%.*s\" is %s", WR_STR_FMT(wr_str_fit(f.experiment.name, 200)),
                   deleted ? "deleted already" : "not deleted");
        return deleted ? wr_err_hint(err, WEIR_ECONFLICT,
                                     "weir runs restore --experiment brings it back, "
                                     "weir runs purge --experiments removes it for good")
                       : WEIR_ECONFLICT;
    }
    experiment_change ch = {f.experiment.id, deleted ? wr_experiment_delete : wr_experiment_restore};
    WR_TRY(wr_track_write(t, experiment_fn, &ch, err));
    WR_TRY(wr_purge_look(&f, wr_cli_arena(c), t, ch.id, err));
    tell_experiment(c, what, &f);
    return 0;
}

static int some(wr_cli *c, bool deleted, wr_err *err)
{
    if (wr_cli_text(c, "experiment")) return whole(c, deleted, err);
    if (!wr_cli_nargs(c)) {
        wr_err_set(err, WEIR_EUSAGE, "which runs?");
        return wr_err_hint(err, WEIR_EUSAGE, "the first digits of their ids, or --experiment NAME for all of one");
    }
    return deleted ? named(c, "deleted", wr_track_run_delete, err) : named(c, "restored", wr_track_run_restore, err);
}

static int run_delete(wr_cli *c, wr_err *err) { return some(c, true, err); }
static int run_restore(wr_cli *c, wr_err *err) { return some(c, false, err); }

static const wr_cmd_arg delete_args[] = {
    {"experiment", 'e', WR_ARG_TEXT, "NAME", "the experiment of this name or number, with all its runs", NULL},
};
const wr_cmd wr_cmd_runs_delete = {
    "runs delete",
    "delete runs, or a whole experiment",
    "ID... | --experiment NAME",
    0,
    -1,
    delete_args,
    sizeof delete_args / sizeof *delete_args,
    "The name of a deleted experiment stays taken, so that it can be restored, until\nweir runs purge --experiments "
    "removes it for good.",
    "  # by the first digits of its id\n  weir runs delete 3f9a1c\n  # an experiment with its runs\n  weir runs "
    "delete --experiment churn",
    run_delete};

static const wr_cmd_arg restore_args[] = {
    {"experiment", 'e', WR_ARG_TEXT, "NAME", "the experiment of this name or number, with all its runs", NULL},
};
const wr_cmd wr_cmd_runs_restore = {
    "runs restore",
    "bring deleted runs back, or a whole experiment",
    "ID... | --experiment NAME",
    0,
    -1,
    restore_args,
    sizeof restore_args / sizeof *restore_args,
    "An experiment comes back with all its runs, also those that were deleted before\nit was.",
    "  # what was deleted\n  weir runs restore 3f9a1c\n  # an experiment with its runs\n  weir runs restore "
    "--experiment churn",
    run_restore};
