/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_delete.c - weir runs delete, restore, purge. Deleting can be undone, purging cannot: it asks for --yes and
 * can be tried dry. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/runs_find.h"

enum { ID_SHOWN = 12, PURGE_MAX = 50000 };

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

static int run_delete(wr_cli *c, wr_err *err) { return named(c, "deleted", wr_track_run_delete, err); }
static int run_restore(wr_cli *c, wr_err *err) { return named(c, "restored", wr_track_run_restore, err); }

/* ---- purge ---- */

/* Files first: a run whose files are gone can be purged again, files without a run cannot be found. */
static int purge_files(wr_cli *c, const wr_track_run *r, wr_err *err)
{
    static const char prefix[] = "mlflow-artifacts:/";
    wr_project *p;
    wr_artifacts *store;
    wr_str path = wr_str_sub(r->artifact_uri, sizeof prefix - 1, r->artifact_uri.n);
    if (!wr_str_starts(r->artifact_uri, prefix)) return 0;
    if (wr_str_ends(path, "/artifacts")) path.n -= strlen("/artifacts");
    WR_TRY(wr_cli_project(c, &p, err));
    WR_TRY(wr_project_artifacts(&store, p, NULL, err));
    int rc = wr_artifacts_delete(store, path, err);
    return rc == WEIR_ENOTFOUND ? 0 : rc;
}

static int find_old(change *ch, wr_cli *c, wr_err *err)
{
    wr_runs_query q = {.experiment = wr_cli_text(c, "experiment"), .view = WR_VIEW_DELETED, .max = PURGE_MAX};
    int64_t before = (wr_clock_wall_us() - wr_cli_int(c, "older-than")) / 1000;
    size_t kept = 0;
    WR_TRY(wr_runs_search(&ch->runs, &ch->n, c, &q, err));
    for (size_t i = 0; i < ch->n; i++)
        if (ch->runs[i].deleted_ms <= before) ch->runs[kept++] = ch->runs[i];
    ch->n = kept;
    return 0;
}

static int run_purge(wr_cli *c, wr_err *err)
{
    change ch = {.change = wr_track_run_purge};
    WR_TRY(find_old(&ch, c, err));
    if (wr_cli_flag(c, "dry-run")) {
        tell(c, "would purge", &ch);
        return 0;
    }
    if (ch.n && !wr_cli_flag(c, "yes")) {
        wr_err_set(err, WEIR_EUSAGE, "this removes %zu run%s for good", ch.n, ch.n == 1 ? "" : "s");
        return wr_err_hint(err, WEIR_EUSAGE, "--yes does it, --dry-run shows them");
    }
    for (size_t i = 0; i < ch.n; i++) WR_TRY(purge_files(c, &ch.runs[i], err));
    WR_TRY(apply(c, &ch, err));
    tell(c, "purged", &ch);
    if (!ch.n) wr_say(c, "no deleted runs of that age");
    return 0;
}

const wr_cmd wr_cmd_runs_delete = {"runs delete",
                                   "delete runs; weir runs restore brings them back",
                                   "ID...",
                                   1,
                                   -1,
                                   NULL,
                                   0,
                                   NULL,
                                   "  # by the first digits of its id\n  weir runs delete 3f9a1c",
                                   run_delete};
const wr_cmd wr_cmd_runs_restore = {"runs restore",
                                    "bring deleted runs back",
                                    "ID...",
                                    1,
                                    -1,
                                    NULL,
                                    0,
                                    NULL,
                                    "  # what was deleted\n  weir runs restore 3f9a1c",
                                    run_restore};

static const wr_cmd_arg purge_args[] = {
    {"older-than", 0, WR_ARG_DURATION, "TIME", "deleted at least so long ago", "30d"},
    {"experiment", 'e', WR_ARG_TEXT, "NAME", "only runs of this experiment", NULL},
    {"dry-run", 0, WR_ARG_FLAG, NULL, "only say which", NULL},
    {"yes", 'y', WR_ARG_FLAG, NULL, "do it", NULL},
};
const wr_cmd wr_cmd_runs_purge = {"runs purge",
                                  "remove deleted runs for good, with metrics and files",
                                  "",
                                  0,
                                  0,
                                  purge_args,
                                  sizeof purge_args / sizeof *purge_args,
                                  NULL,
                                  "  # what would go\n  weir runs purge --older-than 90d --dry-run\n  # all that is "
                                  "deleted\n  weir runs purge --older-than 0s --yes",
                                  run_purge};
