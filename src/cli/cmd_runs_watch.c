/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_runs_watch.c - weir runs watch: a line for each new value of a run's metrics, until it ends. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/runs_find.h"

static volatile sig_atomic_t stopped;

static void on_signal(int sig) { stopped = sig; }

/* What the server has acknowledged lately stands in its log, which is read when a store is opened: so one is opened for
 * each look. */
static int look(wr_track_run *out, wr_arena *a, wr_project *p, wr_str uuid, wr_err *err)
{
    wr_db *db;
    wr_track *t;
    wr_track_opt opt = {0};
    WR_TRY(wr_project_db(&db, p, err));
    if (!wr_db_is_shared(db)) WR_TRY(wr_project_state(&opt.peek, p, "track", false, err));
    WR_TRY(wr_track_open(&t, db, &opt, err));
    int rc = wr_track_run_get(out, a, t, uuid, err);
    if (rc == 0) rc = wr_track_run_load(out, a, t, err);
    for (size_t i = 0; rc == 0 && i < out->nmetrics; i++) { /* names of keys end with the store */
        out->metrics[i].key = wr_arena_str(a, out->metrics[i].key);
        if (!out->metrics[i].key.p) rc = wr_err_nomem(err);
    }
    wr_track_close(t);
    return rc;
}

static const wr_track_point *last_of(const wr_track_run *r, wr_str key)
{
    for (size_t i = 0; i < r->nmetrics; i++)
        if (wr_str_eq(r->metrics[i].key, key)) return &r->metrics[i];
    return NULL;
}

static bool news(const wr_track_run *before, const wr_track_point *p)
{
    const wr_track_point *old = last_of(before, p->key);
    return !old || old->step != p->step || old->time_ms != p->time_ms ||
           memcmp(&old->value, &p->value, sizeof p->value) != 0;
}

static void tell(wr_cli *c, const wr_track_run *before, const wr_track_run *now)
{
    char time[WR_TIME_TEXT];
    for (size_t i = 0; i < now->nmetrics; i++) {
        const wr_track_point *p = &now->metrics[i];
        if (!news(before, p)) continue;
        wr_time_format(time, p->time_ms * 1000);
        if (wr_cli_json(c)) {
            WR_AUTOBUF wr_buf b;
            wr_jsonw w;
            wr_buf_init(&b, 0);
            wr_jsonw_init(&w, &b, 0);
            wr_jsonw_obj(&w);
            wr_jsonw_kslice(&w, "metric", p->key);
            wr_jsonw_kf64(&w, "value", p->value);
            wr_jsonw_ki64(&w, "step", p->step);
            wr_jsonw_kstr(&w, "time", time);
            wr_jsonw_end(&w);
            printf("%s\n", wr_buf_cstr(&b));
        } else printf("%s  step %-8lld %-24s %.6g\n", time, (long long)p->step, p->key.p, p->value);
    }
    if (now->status != before->status && !wr_cli_json(c)) printf("%s is %s\n", now->name.p, wr_runs_status(now));
    fflush(stdout);
}

static int run(wr_cli *c, wr_err *err)
{
    struct sigaction a = {.sa_handler = on_signal};
    wr_arena *arenas[2] = {wr_arena_new(0), wr_arena_new(0)};
    wr_track_run first, before = {0}, now;
    wr_project *p;
    int rc = arenas[0] && arenas[1] ? 0 : wr_err_nomem(err);
    if (rc == 0) rc = wr_runs_one(&first, c, wr_cli_arg(c, 0), err);
    if (rc == 0) rc = wr_cli_project(c, &p, err);
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    for (int i = 0; rc == 0 && !stopped; i ^= 1) {
        wr_arena_clear(arenas[i]);
        rc = look(&now, arenas[i], p, first.uuid, err);
        if (rc < 0) break;
        tell(c, &before, &now);
        before = now;
        if (now.status != WR_RUN_RUNNING && now.status != WR_RUN_SCHEDULED) break;
        usleep((useconds_t)(wr_cli_num(c, "every") * 1e6));
    }
    wr_arena_free(arenas[0]);
    wr_arena_free(arenas[1]);
    return rc;
}

static const wr_cmd_arg args[] = {{"every", 0, WR_ARG_NUM, "SECONDS", "how often to look", "1"}};

const wr_cmd wr_cmd_runs_watch = {"runs watch",
                                  "show new metric values of a run until it ends",
                                  "ID",
                                  1,
                                  1,
                                  args,
                                  1,
                                  "With --json one object a line. Ctrl-C ends it; the run goes on.",
                                  "  # while it trains\n  weir runs watch 3f9a",
                                  run};
