/* SPDX-License-Identifier: Apache-2.0 */
/* runner.c - the loop over stages. One thread starts, watches and ends all processes: the kernel ties a child to the
 * thread that started it. */
#include "flow/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/vec.h"
#include "core/run.h"
#include "flow/runner_process.h"
#include "flow/verdict.h"
#include "io/file.h"

enum { GRACE_MS = 5000, WAIT_STEP_MS = 200, LOOK_ONE_MS = 100, LOOK_MANY_MS = 10 };

typedef enum { ST_UNWANTED, ST_WAITING, ST_RUNNING, ST_DONE, ST_BROKEN } progress;

typedef struct {
    size_t stage;
    wr_stage_process *process;
    wr_verdict verdict;
} running_stage;

typedef struct {
    wr_project *p;
    const wr_pipeline *pl;
    const wr_flow_opt *opt;
    wr_arena *a;
    wr_graph graph;
    wr_lock lock;
    wr_lock_file file;
    bool file_changed;
    wr_judge judge;
    wr_stage_host host;
    progress *at;            /* of each stage */
    wr_stage_result *result; /* of each stage */
    WR_VEC(running_stage) running;
    bool any_broken;
} flow;

const char *wr_stage_status_text(wr_stage_status s)
{
    static const char *const text[] = {"up to date", "ran",       "restored",      "refused", "failed",
                                       "not run",    "would run", "would restore", "may run", "blocked"};
    return text[s];
}

/* ---- ends ---- */

static void settle(flow *f, size_t i, wr_stage_status status, const char *why)
{
    wr_stage_result *r = &f->result[i];
    r->status = status;
    r->why = why;
    bool good = status == WR_STAGE_UP_TO_DATE || status == WR_STAGE_RAN || status == WR_STAGE_RESTORED;
    f->at[i] = good ? ST_DONE : ST_BROKEN;
    f->any_broken |= !good;
    if (f->opt->ended) f->opt->ended(f->opt->ctx, r);
}

static int remember(flow *f, const wr_verdict *v, const wr_lock_ref *outs, size_t nouts, wr_err *err)
{
    wr_lock_stage s = v->now;
    s.outs = (wr_lock_ref *)(uintptr_t)outs;
    s.nouts = nouts;
    f->file_changed = true;
    return wr_lock_file_put(&f->file, &s, err);
}

/* Before we wait for anything: what is finished survives whatever happens to us. */
static int flush(flow *f, wr_err *err)
{
    if (!f->file_changed) return 0;
    WR_TRY(wr_lock_file_save(&f->file, f->pl->root, &f->pl->by_name, err));
    f->file_changed = false;
    return wr_identity_save(f->judge.identity, err);
}

/* ---- restoring ---- */

/* 1 when all outs are back, 0 when something is gone. */
static int restore(flow *f, const wr_stage *s, const wr_verdict *v, wr_err *err)
{
    wr_err why = {0};
    for (size_t i = 0; i < s->nouts; i++) {
        char hash[WR_SHA256_HEX];
        WR_TRY(wr_identity_of(f->judge.identity, s->outs[i].ref, hash, NULL, err));
        if (strcmp(hash, v->cached[i].hash) == 0) continue;
        int rc = wr_noun_restore(f->p, s->outs[i].ref, v->cached[i].hash, &why);
        wr_identity_forget(f->judge.identity);
        if (rc == WEIR_ENOMEM || rc == WEIR_ENOSPC) {
            if (err) *err = why;
            return rc;
        }
        if (rc == 0) WR_TRY(wr_identity_of(f->judge.identity, s->outs[i].ref, hash, NULL, err));
        if (rc == 0 && strcmp(hash, v->cached[i].hash) == 0) continue;
        wr_info("%s cannot be restored (%s): stage \"%s\" runs", s->outs[i].ref, why.msg, s->name);
        return 0;
    }
    return 1;
}

/* ---- one stage at its turn ---- */

static int begin(flow *f, size_t i, const wr_verdict *v, wr_err *err)
{
    running_stage r = {.stage = i, .verdict = *v};
    const wr_stage *s = &f->pl->stages[i];
    WR_TRY(flush(f, err));
    f->result[i].why = v->why;
    if (f->opt->started) f->opt->started(f->opt->ctx, s, v->why);
    WR_TRY(wr_stage_begin(&r.process, &f->host, s, &f->result[i], err));
    wr_identity_forget(f->judge.identity); /* its outs were removed */
    if (wr_vec_push(&f->running, r) < 0) {
        wr_stage_stop(r.process, 0, &f->result[i]);
        return wr_err_nomem(err);
    }
    f->at[i] = ST_RUNNING;
    return 0;
}

/* Who makes the missing dep, for the message. */
static const char *blame(flow *f, size_t i, const char *why)
{
    for (size_t k = 0; k < f->graph.up[i].n; k++) {
        const wr_stage *u = &f->pl->stages[f->graph.up[i].at[k]];
        if (f->at[f->graph.up[i].at[k]] != ST_UNWANTED) continue;
        for (size_t o = 0; o < u->nouts; o++)
            if (strstr(why, u->outs[o].ref))
                return wr_arena_printf(f->a, "%s (stage \"%s\" makes it: weir run %s)", why, u->name, u->name);
    }
    return why;
}

static int turn(flow *f, size_t i, wr_err *err)
{
    const wr_stage *s = &f->pl->stages[i];
    wr_verdict v;
    WR_TRY(wr_judge_stage(&v, f->a, &f->judge, s, err));
    if (v.kind == WR_VERDICT_BLOCKED) {
        settle(f, i, WR_STAGE_FAILED, blame(f, i, v.why));
        return 0;
    }
    if (v.kind == WR_VERDICT_FRESH) {
        settle(f, i, WR_STAGE_UP_TO_DATE, s->frozen ? "frozen" : "");
        return 0;
    }
    if (v.kind == WR_VERDICT_RESTORE) {
        int rc = restore(f, s, &v, err);
        WR_TRY(rc);
        if (rc > 0) {
            WR_TRY(remember(f, &v, v.cached, s->nouts, err));
            settle(f, i, WR_STAGE_RESTORED, v.why);
            return 0;
        }
    }
    return begin(f, i, &v, err);
}

/* 1 when all it needs is there, 0 when not yet, -1 when it never will be. */
static int readiness(const flow *f, size_t i)
{
    bool wait = false;
    for (size_t k = 0; k < f->graph.up[i].n; k++) {
        progress up = f->at[f->graph.up[i].at[k]];
        if (up == ST_BROKEN) return -1;
        wait |= up == ST_WAITING || up == ST_RUNNING;
    }
    return !wait;
}

static bool stopped(const flow *f) { return f->opt->stop && *f->opt->stop; }

/* Give a turn to every stage that can have one, in order. */
static int advance(flow *f, wr_err *err)
{
    size_t most = f->opt->jobs > 1 ? (size_t)f->opt->jobs : 1;
    for (size_t k = 0; k < f->pl->n; k++) {
        size_t i = f->graph.order[k];
        if (f->at[i] != ST_WAITING) continue;
        if (f->running.n >= most || stopped(f)) return 0;
        int ready = readiness(f, i);
        if (ready < 0 || (f->any_broken && !f->opt->keep_going)) {
            settle(f, i, WR_STAGE_NOT_RUN,
                   ready < 0 ? "what it needs did not succeed" : "another stage did not succeed");
            continue;
        }
        if (ready) WR_TRY(turn(f, i, err));
    }
    return 0;
}

/* ---- after a process ---- */

static int collect_outs(flow *f, const wr_stage *s, wr_lock_ref *outs, const char **missing, wr_err *err)
{
    WR_AUTOBUF wr_buf names = {0};
    wr_identity_forget(f->judge.identity);
    for (size_t i = 0; i < s->nouts; i++) {
        outs[i].path = s->outs[i].ref;
        WR_TRY(wr_identity_of(f->judge.identity, s->outs[i].ref, outs[i].hash, &outs[i].version, err));
        if (!outs[i].hash[0]) wr_buf_printf(&names, "%s%s", names.n ? ", " : "", s->outs[i].ref);
    }
    *missing = names.n ? wr_arena_printf(f->a, "it did not make %s", wr_buf_cstr(&names)) : NULL;
    return names.failed || wr_arena_failed(f->a) ? wr_err_nomem(err) : 0;
}

/* Not being able to keep outs costs the run cache an entry, nothing else. */
static void keep(flow *f, const wr_stage *s, const wr_verdict *v, const wr_lock_ref *outs, const char *run)
{
    wr_err why = {0};
    int rc = 0;
    if (!v->key[0]) return;
    for (size_t i = 0; rc == 0 && i < s->nouts; i++) rc = wr_noun_keep(f->p, s->outs[i].ref, &why);
    if (rc == 0) rc = wr_cache_put(f->p, s, v->key, outs, run, &why);
    if (rc < 0) wr_warn("the outs of stage \"%s\" are not kept for later: %s", s->name, why.msg);
}

static int conclude(flow *f, const running_stage *r, wr_err *err)
{
    const wr_stage *s = &f->pl->stages[r->stage];
    wr_stage_result *res = &f->result[r->stage];
    const char *missing = NULL;
    if (res->exit_code != 0) {
        wr_identity_forget(f->judge.identity);
        const char *why = wr_arena_printf(f->a, "exit code %d", res->exit_code);
        settle(f, r->stage, res->exit_code == 1 ? WR_STAGE_REFUSED : WR_STAGE_FAILED, why ? why : "");
        return 0;
    }
    wr_lock_ref *outs = wr_arena_calloc(f->a, s->nouts + 1, sizeof *outs);
    if (!outs) return wr_err_nomem(err);
    WR_TRY(collect_outs(f, s, outs, &missing, err));
    if (missing) {
        settle(f, r->stage, WR_STAGE_FAILED, missing);
        return 0;
    }
    wr_fault_crash_point();
    keep(f, s, &r->verdict, outs, res->run_id);
    wr_fault_crash_point();
    WR_TRY(remember(f, &r->verdict, outs, s->nouts, err));
    settle(f, r->stage, WR_STAGE_RAN, r->verdict.why);
    return 0;
}

static void tell_tick(flow *f)
{
    WR_AUTOBUF wr_buf names = {0};
    if (!f->opt->tick) return;
    for (size_t i = 0; i < f->running.n; i++)
        wr_buf_printf(&names, "%s%s", i ? ", " : "", f->pl->stages[f->running.at[i].stage].name);
    f->opt->tick(f->opt->ctx, wr_buf_cstr(&names));
}

/* Wait a moment for each running process; take in those that ended. */
static int watch(flow *f, wr_err *err)
{
    WR_TRY(flush(f, err));
    tell_tick(f);
    for (size_t k = 0; k < f->running.n;) {
        running_stage r = f->running.at[k];
        int rc = wr_stage_wait(r.process, &f->result[r.stage], f->running.n > 1 ? LOOK_MANY_MS : LOOK_ONE_MS, err);
        if (rc == 0) {
            k++;
            continue;
        }
        f->running.at[k] = f->running.at[--f->running.n];
        WR_TRY(rc);
        WR_TRY(conclude(f, &r, err));
    }
    return 0;
}

static void stop_all(flow *f)
{
    for (size_t k = 0; k < f->running.n; k++) {
        size_t i = f->running.at[k].stage;
        wr_stage_stop(f->running.at[k].process, GRACE_MS, &f->result[i]);
        settle(f, i, WR_STAGE_FAILED, "interrupted");
    }
    f->running.n = 0;
}

static int loop(flow *f, wr_err *err)
{
    for (;;) {
        WR_TRY(advance(f, err));
        if (stopped(f)) return wr_err_set(err, WEIR_ECANCELED, "stopped");
        if (!f->running.n) return 0;
        WR_TRY(watch(f, err));
    }
}

/* ---- the verdict over all ---- */

static int failure(const flow *f, const wr_stage_result *r, wr_err *err)
{
    if (r->status == WR_STAGE_REFUSED) {
        wr_err_set(err, WEIR_ENO, "stage \"%s\" says no (exit code 1)", r->stage->name);
        return wr_err_hint(err, WEIR_ENO, "weir runs show %.12s tells what it found; nothing after it was run",
                           r->run_id);
    }
    wr_err_set(err, WEIR_EUNAVAILABLE, "stage \"%s\" failed: %s", r->stage->name, r->why);
    const char *hint = r->exit_code ? wr_proc_exit_hint(r->exit_code) : "";
    if (hint[0]) return wr_err_hint(err, WEIR_EUNAVAILABLE, "%s", hint);
    if (!r->run_id) return wr_err_hint(err, WEIR_EUNAVAILABLE, "weir graph shows which stage makes what");
    (void)f;
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "weir runs show %.12s shows its log", r->run_id);
}

static int summary(const flow *f, wr_err *err)
{
    const wr_stage_result *refused = NULL;
    for (size_t k = 0; k < f->pl->n; k++) {
        const wr_stage_result *r = &f->result[f->graph.order[k]];
        if (f->at[f->graph.order[k]] != ST_BROKEN) continue;
        if (r->status == WR_STAGE_FAILED) return failure(f, r, err);
        if (r->status == WR_STAGE_REFUSED && !refused) refused = r;
    }
    return refused ? failure(f, refused, err) : 0;
}

static int list_results(wr_flow_result *out, const flow *f, wr_err *err)
{
    out->stages = wr_arena_calloc(f->a, f->pl->n + 1, sizeof *out->stages);
    if (!out->stages) return wr_err_nomem(err);
    for (size_t k = 0; k < f->pl->n; k++)
        if (f->at[f->graph.order[k]] != ST_UNWANTED) out->stages[out->n++] = f->result[f->graph.order[k]];
    return 0;
}

/* ---- life ---- */

/* A stage that calls weir run would wait for itself. */
static int not_inside(const wr_project *p, wr_err *err)
{
    const char *stage = getenv("WEIR_STAGE"), *root = getenv("WEIR_ROOT");
    if (!stage || !root || strcmp(root, wr_project_root(p)) != 0) return 0;
    wr_err_set(err, WEIR_ECONFLICT, "weir run inside stage \"%s\" of the same project", stage);
    return wr_err_hint(err, WEIR_ECONFLICT, "name what it needs in its deps instead");
}

static int take_lock(flow *f, wr_err *err)
{
    const char *path;
    WR_TRY(wr_project_state(&path, f->p, "", true, err));
    WR_TRY(wr_project_state(&path, f->p, "run.lock", false, err));
    int64_t deadline = wr_clock_mono_ns() + f->opt->wait_ms * 1000000LL;
    for (bool told = false;; told = true) {
        wr_err why = {0};
        int64_t left = (deadline - wr_clock_mono_ns()) / 1000000;
        int rc = wr_lock_take(&f->lock, path,
                              left <= 0 || !told    ? 0
                              : left < WAIT_STEP_MS ? (int)left
                                                    : WAIT_STEP_MS,
                              &why);
        if (rc == 0) return 0;
        if (stopped(f)) return wr_err_set(err, WEIR_ECANCELED, "stopped while waiting for another weir run");
        if (rc != WEIR_ETIMEOUT || left <= 0) {
            if (err) *err = why;
            if (rc == WEIR_ETIMEOUT && err)
                snprintf(err->msg, sizeof err->msg, "another weir run works in this project");
            return rc;
        }
        if (!told && f->opt->waiting) f->opt->waiting(f->opt->ctx, why.detail);
    }
}

static int prepare(flow *f, const wr_graph_pick *pick, wr_err *err)
{
    size_t n = f->pl->n;
    WR_AUTOFREE bool *wanted = wr_calloc(n + 1, sizeof *wanted);
    f->at = wr_arena_calloc(f->a, n + 1, sizeof *f->at);
    f->result = wr_arena_calloc(f->a, n + 1, sizeof *f->result);
    if (!wanted || !f->at || !f->result) return wr_err_nomem(err);
    WR_TRY(wr_graph_build(&f->graph, f->a, f->pl, err));
    WR_TRY(wr_graph_select(wanted, &f->graph, pick, err));
    for (size_t i = 0; i < n; i++) {
        f->at[i] = wanted[i] ? ST_WAITING : ST_UNWANTED;
        f->result[i] = (wr_stage_result){.stage = &f->pl->stages[i], .status = WR_STAGE_NOT_RUN, .why = ""};
    }
    return 0;
}

static int open_state(flow *f, bool force, wr_err *err)
{
    f->judge = (wr_judge){.p = f->p, .pl = f->pl, .lock = &f->file, .force = force};
    f->host = (wr_stage_host){.p = f->p, .a = f->a};
    WR_TRY(wr_lock_file_open(&f->file, f->pl->root, err));
    return wr_identity_open(&f->judge.identity, f->p, err);
}

static void close_state(flow *f)
{
    wr_judge_fini(&f->judge);
    wr_identity_close(f->judge.identity);
    wr_lock_file_close(&f->file);
    wr_stage_host_fini(&f->host);
    wr_vec_fini(&f->running);
    wr_lock_drop(&f->lock);
}

static int run_locked(flow *f, wr_err *err)
{
    WR_TRY(open_state(f, f->opt->force, err));
    f->host.live = f->opt->live;
    int rc = loop(f, err);
    stop_all(f); /* none is left when all went well */
    wr_err late = {0};
    int saved = flush(f, &late);
    if (saved == 0) saved = wr_identity_save(f->judge.identity, &late);
    if (rc == 0 && saved < 0 && err) *err = late;
    return rc < 0 ? rc : saved;
}

int wr_flow_run(wr_flow_result *out, wr_arena *a, wr_project *p, const wr_pipeline *pl, const wr_flow_opt *opt,
                wr_err *err)
{
    flow f = {.p = p, .pl = pl, .opt = opt, .a = a, .lock = {.fd = -1}};
    int64_t start = wr_clock_mono_ns();
    *out = (wr_flow_result){0};
    WR_TRY(not_inside(p, err));
    WR_TRY(prepare(&f, &opt->pick, err));
    int rc = take_lock(&f, err);
    if (rc == 0) rc = run_locked(&f, err);
    if (rc == 0) rc = summary(&f, err);
    close_state(&f);
    int listed = list_results(out, &f, rc < 0 ? NULL : err);
    out->seconds = (double)(wr_clock_mono_ns() - start) / 1e9;
    return rc < 0 ? rc : listed;
}

/* ---- plans ---- */

static int plan_stage(flow *f, size_t i, wr_err *err)
{
    static const wr_stage_status as[] = {WR_STAGE_UP_TO_DATE, WR_STAGE_WOULD_RUN, WR_STAGE_WOULD_RESTORE,
                                         WR_STAGE_MAY_RUN, WR_STAGE_BLOCKED};
    const wr_stage *s = &f->pl->stages[i];
    wr_verdict v;
    WR_TRY(wr_judge_stage(&v, f->a, &f->judge, s, err));
    f->result[i].status = as[v.kind];
    f->result[i].why = v.kind == WR_VERDICT_FRESH && s->frozen ? "frozen" : v.why;
    if (v.kind == WR_VERDICT_FRESH) return 0;
    return wr_judge_assume(&f->judge, f->a, s, v.kind == WR_VERDICT_RESTORE ? v.cached : NULL, err);
}

int wr_flow_plan(wr_flow_result *out, wr_arena *a, wr_project *p, const wr_pipeline *pl, const wr_graph_pick *pick,
                 bool force, wr_err *err)
{
    flow f = {.p = p, .pl = pl, .a = a, .lock = {.fd = -1}};
    int64_t start = wr_clock_mono_ns();
    *out = (wr_flow_result){0};
    WR_TRY(prepare(&f, pick, err));
    int rc = open_state(&f, force, err);
    for (size_t k = 0; rc == 0 && k < pl->n; k++)
        if (f.at[f.graph.order[k]] == ST_WAITING) rc = plan_stage(&f, f.graph.order[k], err);
    if (rc == 0) wr_identity_save(f.judge.identity, NULL); /* a help for the next look; a project may be read-only */
    close_state(&f);
    if (rc == 0) rc = list_results(out, &f, err);
    out->seconds = (double)(wr_clock_mono_ns() - start) / 1e9;
    return rc;
}
