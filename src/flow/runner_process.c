/* SPDX-License-Identifier: Apache-2.0 */
/* runner_process.c - starting and ending the process of a stage. */
#include "flow/runner_process.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "core/run.h"
#include "io/file.h"

enum { LOOK_BACK = 100, KILLED = 137 };

struct wr_stage_process {
    wr_stage_host *h;
    const wr_stage *s;
    wr_proc *proc;
    char id[33];
    wr_meter_mark mark;
    int64_t t0_us;
};

/* ---- what all share ---- */

/* Runs of stages that nobody can be running any more (we hold the project) were killed with their weir run. */
static int close_orphans(wr_stage_host *h, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_run_row *rows;
    size_t n;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_run_list(&rows, &n, a, h->p, LOOK_BACK, err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i].kind, "stage") != 0 || strcmp(rows[i].status, "running") != 0) continue;
        wr_run_usage use = {.exit_code = KILLED, .t0_us = rows[i].started_us, .t1_us = wr_clock_wall_us()};
        wr_meter_model(h->meter, 0, 0, &use.energy);
        WR_TRY(wr_run_close_stage(h->p, rows[i].id, rows[i].name, &use, err));
    }
    return 0;
}

static int make_ready(wr_stage_host *h, wr_err *err)
{
    if (h->ready) return 0;
    const char *path = getenv("PATH"), *dir = wr_path_dir(h->a, wr_os_exe());
    if (!dir) return wr_err_nomem(err);
    h->path_env = path && *path ? wr_arena_printf(h->a, "PATH=%s:%s", dir, path)
                                : wr_arena_printf(h->a, "PATH=%s:/usr/bin:/bin", dir);
    h->root_env = wr_arena_printf(h->a, "WEIR_ROOT=%s", wr_project_root(h->p));
    h->code_env = wr_arena_printf(h->a, "WEIR_CODE_VERSION=%s", wr_run_code_version(h->p));
    if (!h->path_env || !h->root_env || !h->code_env) return wr_err_nomem(err);
    WR_TRY(wr_carbon_of(&h->carbon, h->p, err));
    if (!h->meter) WR_TRY(wr_meter_open(&h->meter, NULL, err));
    WR_TRY(close_orphans(h, err));
    h->ready = true;
    return 0;
}

void wr_stage_host_fini(wr_stage_host *h)
{
    wr_meter_close(h->meter);
    h->meter = NULL;
}

/* ---- start ---- */

/* Old outs go first: a command that forgets one must not look as if it had made it. */
static int prepare_outs(wr_stage_host *h, const wr_stage *s, wr_err *err)
{
    for (size_t i = 0; i < s->nouts; i++) {
        if (s->outs[i].kind != WR_NOUN_PATH) continue;
        const char *path = wr_path_join(h->a, wr_project_root(h->p), s->outs[i].ref),
                   *dir = path ? wr_path_dir(h->a, path) : NULL;
        if (!dir) return wr_err_nomem(err);
        if (!s->outs[i].persist) WR_TRY(wr_file_remove_tree(path, err));
        WR_TRY(wr_file_mkdirs(dir, err));
    }
    return 0;
}

static int start(wr_stage_process *sp, wr_stage_result *r, wr_err *err)
{
    wr_stage_host *h = sp->h;
    const char *logs, *shell = wr_stage_shell(h->a, sp->s),
                      *cwd = wr_path_join(h->a, wr_project_root(h->p), sp->s->wdir);
    WR_TRY(wr_project_state(&logs, h->p, "logs", true, err));
    const char *run_env = wr_arena_printf(h->a, "WEIR_RUN_ID=%s", sp->id);
    const char *stage_env = wr_arena_printf(h->a, "WEIR_STAGE=%s", sp->s->name);
    const char *const env[] = {h->path_env, h->root_env, h->code_env, run_env, stage_env, NULL};
    r->run_id = wr_arena_strdup(h->a, sp->id);
    r->log = wr_arena_printf(h->a, "%s/%s.log", logs, sp->id);
    if (!shell || !cwd || !run_env || !stage_env || !r->run_id || !r->log) return wr_err_nomem(err);
    wr_proc_opt opt = {.shell = shell, .cwd = cwd, .env = env, .log = r->log, .tee = h->live};
    wr_meter_read(h->meter, &sp->mark);
    sp->t0_us = wr_clock_wall_us();
    return wr_proc_start(&sp->proc, &opt, err);
}

/* The record and the ledger; `res` is zeros but for the exit code when the process never ran. */
static int close_record(wr_stage_process *sp, wr_stage_result *r, const wr_proc_result *res, wr_err *err)
{
    wr_meter_mark now;
    wr_run_usage use = {.wall_s = res->wall_s,
                        .cpu_s = res->cpu_s,
                        .max_rss = (double)res->max_rss,
                        .read_bytes = (double)res->read_bytes,
                        .write_bytes = (double)res->write_bytes,
                        .exit_code = res->exit_code,
                        .t0_us = sp->t0_us,
                        .t1_us = wr_clock_wall_us()};
    wr_meter_read(sp->h->meter, &now);
    wr_meter_energy(sp->h->meter, &sp->mark, &now, res->cpu_s, &use.energy);
    r->exit_code = res->exit_code;
    r->seconds = res->wall_s;
    r->cpu_s = res->cpu_s;
    r->energy_j = use.energy.energy_j;
    r->gco2e = use.gco2e = use.energy.energy_j / 3.6e6 * sp->h->carbon.pue * sp->h->carbon.g_per_kwh;
    return wr_run_close_stage(sp->h->p, sp->id, sp->s->name, &use, err);
}

int wr_stage_begin(wr_stage_process **out, wr_stage_host *h, const wr_stage *s, wr_stage_result *r, wr_err *err)
{
    WR_TRY(make_ready(h, err));
    WR_TRY(prepare_outs(h, s, err));
    wr_stage_process *sp = wr_calloc(1, sizeof *sp);
    if (!sp) return wr_err_nomem(err);
    sp->h = h;
    sp->s = s;
    int rc = wr_run_open_stage(sp->id, h->p, s->name, s->cmd, err);
    if (rc == 0 && (rc = start(sp, r, err)) < 0) {
        wr_proc_result none = {.exit_code = 126};
        sp->t0_us = wr_clock_wall_us();
        wr_meter_read(h->meter, &sp->mark);
        close_record(sp, r, &none, NULL);
    }
    if (rc < 0) {
        wr_free(sp);
        return wr_err_wrap(err, rc, "stage \"%s\"", s->name);
    }
    *out = sp;
    return 0;
}

/* ---- end ---- */

int wr_stage_wait(wr_stage_process *sp, wr_stage_result *r, int timeout_ms, wr_err *err)
{
    wr_proc_result res = {0};
    int rc = wr_proc_wait(sp->proc, &res, timeout_ms, err);
    if (rc == 0) return 0;
    if (rc < 0) res.exit_code = KILLED;
    int closed = close_record(sp, r, &res, rc < 0 ? NULL : err);
    wr_free(sp);
    return rc < 0 ? rc : closed < 0 ? closed : 1;
}

void wr_stage_stop(wr_stage_process *sp, int grace_ms, wr_stage_result *r)
{
    wr_proc_result res = {0};
    wr_err err = {0};
    wr_proc_stop(sp->proc, grace_ms, &res);
    if (res.exit_code == 0 || res.exit_code == 1) res.exit_code = 143; /* whatever it says, it was not let finish */
    if (close_record(sp, r, &res, &err) < 0)
        wr_warn("the record of stage \"%s\" is not closed: %s", sp->s->name, err.msg);
    wr_free(sp);
}
