/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - one thread, one job at a time. */
#include "flow/schedule.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/vec.h"
#include "flow/trigger.h"
#include "io/proc.h"
#include "stage/monitor/monitor.h"

enum {
    TICK_MS = 200,
    MAX_MARKS = 256,
    KEPT_JOBS = 100,
    GRACE_MS = 5000,
    LOOK_MS = 50,
    RETRY_S = 30,
    RETRY_MAX_S = 600
};

typedef enum { JOB_RUNNING, JOB_ENDED, JOB_FAILED, JOB_STOPPED } job_state;

typedef struct {
    int64_t id, started_us, ended_us;
    const char *kind;
    char what[256], log[512];
    job_state state;
    int exit_code;
} job;

typedef struct {
    const char *endpoint;
    int64_t not_before_ns;
    int pause_s;
} watched;

struct wr_schedule {
    wr_project *p;
    wr_schedule_ops ops;
    wr_arena *a; /* for life */
    wr_trigger *triggers;
    size_t ntriggers;
    watched *monitors;
    size_t nmonitors;
    const char *logs;
    char complaint[sizeof((wr_err *)0)->msg]; /* the thread's: the last one logged, so that it is said once */
    pthread_t thread;
    pthread_mutex_t mutex; /* rank: leaf; guards what follows */
    pthread_cond_t wake;
    bool stopping, working, poked;
    wr_endpoint_mark seen[MAX_MARKS];
    size_t nseen; /* looked at, and nothing was due */
    job jobs[KEPT_JOBS];
    size_t njobs; /* ring: job i is at i % KEPT_JOBS */
};

/* ---- jobs ---- */

static bool is_stopping(wr_schedule *s)
{
    pthread_mutex_lock(&s->mutex);
    bool stop = s->stopping;
    pthread_mutex_unlock(&s->mutex);
    return stop;
}

static job *add_job(wr_schedule *s, const char *kind, const char *what)
{
    pthread_mutex_lock(&s->mutex);
    job *j = &s->jobs[s->njobs % KEPT_JOBS];
    int64_t id = (int64_t)++s->njobs, now = wr_clock_wall_us();
    *j = (job){.id = id, .kind = kind, .started_us = now, .state = JOB_RUNNING};
    snprintf(j->what, sizeof j->what, "%s", what);
    snprintf(j->log, sizeof j->log, "%s/job-%lld-%lld.log", s->logs, (long long)(now / WR_US), (long long)id);
    pthread_mutex_unlock(&s->mutex);
    return j;
}

static void end_job(wr_schedule *s, job *j, job_state state, int exit_code)
{
    pthread_mutex_lock(&s->mutex);
    j->state = state;
    j->exit_code = exit_code;
    j->ended_us = wr_clock_wall_us();
    pthread_mutex_unlock(&s->mutex);
}

/* Exit code, or WEIR_ECANCELED when the schedule was stopped meanwhile. Exit code 1 is an answer, not a failure. */
static int run_job(wr_schedule *s, const char *kind, const char *what, const char *const *argv)
{
    job *j = add_job(s, kind, what);
    wr_proc_opt opt = {.argv = argv, .cwd = wr_project_root(s->p), .log = j->log};
    wr_proc_result res = {0};
    wr_proc *proc;
    wr_err err = {0};
    int rc = wr_proc_start(&proc, &opt, &err);
    while (rc == 0) {
        rc = wr_proc_wait(proc, &res, LOOK_MS, &err);
        if (rc != 0) break;
        if (!is_stopping(s)) continue;
        wr_proc_stop(proc, GRACE_MS, &res);
        end_job(s, j, JOB_STOPPED, res.exit_code);
        return WEIR_ECANCELED;
    }
    if (rc < 0) {
        wr_warn("job %s %s: %s", kind, what, err.msg);
        res.exit_code = 2;
    }
    end_job(s, j, res.exit_code == 0 || res.exit_code == 1 ? JOB_ENDED : JOB_FAILED, res.exit_code);
    if (res.exit_code > 1) wr_warn("job %s %s ended with exit code %d; see %s", kind, what, res.exit_code, j->log);
    if (s->ops.job_ended) s->ops.job_ended(s->ops.ctx, kind, res.exit_code);
    return res.exit_code;
}

/* ---- a trigger's job ---- */

static const char **run_argv(wr_arena *a, wr_project *p, const wr_trigger_job *t)
{
    const char **argv = wr_arena_calloc(a, t->nrun + 2 * t->nset + 8, sizeof *argv);
    size_t n = 0;
    if (!argv) return NULL;
    argv[n++] = wr_os_exe();
    argv[n++] = "run";
    argv[n++] = "-C";
    argv[n++] = wr_project_root(p);
    argv[n++] = "--wait";
    argv[n++] = "600s";
    for (size_t i = 0; i < t->nset; i++) {
        argv[n++] = "-S";
        argv[n++] = t->set[i];
    }
    for (size_t i = 0; i < t->nrun; i++) argv[n++] = t->run[i];
    return argv;
}

/* 1 = something was done. */
static int serve_triggers(wr_schedule *s, wr_arena *a, wr_err *err)
{
    wr_trigger_job t;
    char what[256];
    size_t used = 0;
    int rc = wr_trigger_next(&t, a, s->p, s->triggers, s->ntriggers, err);
    if (rc <= 0) return rc;
    const char **argv = run_argv(a, s->p, &t);
    if (!argv) return wr_err_nomem(err);
    what[0] = 0;
    for (size_t i = 0; i < t.nrun + t.nset && used < sizeof what; i++) {
        int n =
            snprintf(what + used, sizeof what - used, "%s%s", i ? " " : "", i < t.nrun ? t.run[i] : t.set[i - t.nrun]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (run_job(s, "run", what, argv) == WEIR_ECANCELED) return 1;
    WR_TRY(wr_trigger_done(s->p, &t, err));
    return 1;
}

/* ---- monitors ---- */

static void retry_later(watched *m)
{
    m->pause_s = m->pause_s ? (m->pause_s * 2 < RETRY_MAX_S ? m->pause_s * 2 : RETRY_MAX_S) : RETRY_S;
    m->not_before_ns = wr_clock_mono_ns() + (int64_t)m->pause_s * 1000000000;
}

static void judge_window(wr_schedule *s, watched *m, int64_t end_us)
{
    char end[WR_TIME_TEXT], what[320];
    wr_err err = {0};
    wr_monitor_time(end, end_us);
    const char *const argv[] = {wr_os_exe(), "monitor",   "-C", wr_project_root(s->p), "--window-end", end,
                                "--record",  m->endpoint, NULL};
    snprintf(what, sizeof what, "%s until %s", m->endpoint, end);
    if (s->ops.flush && s->ops.flush(s->ops.ctx, m->endpoint, &err) < 0) {
        wr_warn("the log of endpoint \"%s\" cannot be flushed: %s", m->endpoint, err.msg);
        retry_later(m);
        return;
    }
    int rc = run_job(s, "monitor", what, argv);
    if (rc == 0 || rc == 1) m->pause_s = 0;
    else if (rc != WEIR_ECANCELED) retry_later(m);
}

static const wr_endpoint_mark *mark_of(const wr_endpoint_mark *marks, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(marks[i].name, name) == 0) return &marks[i];
    return NULL;
}

/* 1 = a window was judged, or tried. */
static int serve_monitors(wr_schedule *s, const wr_endpoint_mark *marks, size_t n, wr_err *err)
{
    for (size_t i = 0; i < s->nmonitors; i++) {
        watched *m = &s->monitors[i];
        const wr_endpoint_mark *mark = mark_of(marks, n, m->endpoint);
        int64_t end, before = 0;
        if (!mark || wr_clock_mono_ns() < m->not_before_ns) continue;
        int rc = wr_monitor_due(&end, s->p, m->endpoint, mark->watermark_us, err);
        WR_TRY(rc);
        if (rc == 0) continue;
        judge_window(s, m, end);
        /* a monitor that says it is done but has recorded nothing would be asked for ever */
        rc = wr_monitor_due(&before, s->p, m->endpoint, mark->watermark_us, err);
        if (rc > 0 && before == end && m->pause_s == 0) retry_later(m);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

/* ---- the thread ---- */

static void remember(wr_schedule *s, const wr_endpoint_mark *marks, size_t n)
{
    pthread_mutex_lock(&s->mutex);
    memcpy(s->seen, marks, n * sizeof *marks);
    s->nseen = n;
    s->working = false;
    pthread_mutex_unlock(&s->mutex);
}

/* True: look again at once. */
static bool tick(wr_schedule *s, wr_arena *a, wr_endpoint_mark *marks)
{
    wr_err err = {0};
    size_t n = s->ops.marks ? s->ops.marks(s->ops.ctx, marks, MAX_MARKS) : 0;
    int rc = serve_triggers(s, a, &err);
    if (rc == 0) rc = serve_monitors(s, marks, n, &err);
    if (rc > 0) return true;
    if (rc < 0 && strcmp(s->complaint, err.msg) != 0)
        wr_warn("schedule: %s%s%s", err.msg, err.detail[0] ? ": " : "", err.detail);
    memcpy(s->complaint, err.msg, sizeof s->complaint);
    remember(s, marks, n);
    return false;
}

static void rest(wr_schedule *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&s->mutex);
    while (!s->stopping && !s->poked && pthread_cond_timedwait(&s->wake, &s->mutex, &until) != ETIMEDOUT) {}
    s->poked = false;
    s->working = true;
    pthread_mutex_unlock(&s->mutex);
}

static void *turn(void *arg)
{
    wr_schedule *s = arg;
    wr_arena *a = wr_arena_new(0);
    wr_endpoint_mark *marks = wr_calloc(MAX_MARKS, sizeof *marks);
    if (!a || !marks) wr_warn("the schedule stands still: out of memory");
    while (a && marks && !is_stopping(s)) {
        wr_arena_clear(a);
        if (!tick(s, a, marks)) rest(s);
    }
    wr_free(marks);
    wr_arena_free(a);
    return NULL;
}

/* ---- life ---- */

static int load(wr_schedule *s, wr_err *err)
{
    char **names;
    WR_TRY(wr_trigger_list(&s->triggers, &s->ntriggers, s->a, s->p, err));
    WR_TRY(wr_monitor_names(&names, &s->nmonitors, s->a, s->p, err));
    s->monitors = wr_arena_calloc(s->a, s->nmonitors + 1, sizeof *s->monitors);
    if (!s->monitors) return wr_err_nomem(err);
    for (size_t i = 0; i < s->nmonitors; i++) s->monitors[i].endpoint = names[i];
    return wr_project_state(&s->logs, s->p, "logs", true, err);
}

/* The thread takes no signals: they belong to the server's own. */
static int launch(wr_schedule *s, wr_err *err)
{
    pthread_condattr_t attr;
    sigset_t all, before;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    s->working = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int sys = pthread_create(&s->thread, NULL, turn, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return sys ? wr_err_sys(err, sys, "cannot start the schedule's thread") : 0;
}

int wr_schedule_start(wr_schedule **out, wr_project *p, const wr_schedule_ops *ops, wr_err *err)
{
    wr_schedule *s = wr_calloc(1, sizeof *s);
    if (!s) return wr_err_nomem(err);
    s->p = p;
    s->ops = *ops;
    s->a = wr_arena_new(0);
    int rc = s->a ? load(s, err) : wr_err_nomem(err);
    if (rc == 0) rc = launch(s, err);
    if (rc < 0) {
        wr_arena_free(s->a);
        wr_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void wr_schedule_stop(wr_schedule *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->mutex);
    wr_arena_free(s->a);
    wr_free(s);
}

/* ---- asking ---- */

static void put_job(wr_jsonw *w, const job *j)
{
    static const char *const state[] = {"running", "ended", "failed", "stopped"};
    char text[WR_TIME_TEXT];
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "id", j->id);
    wr_jsonw_kstr(w, "kind", j->kind);
    wr_jsonw_kstr(w, "what", j->what);
    wr_jsonw_kstr(w, "state", state[j->state]);
    wr_time_format(text, j->started_us);
    wr_jsonw_kstr(w, "started", text);
    if (j->state != JOB_RUNNING) {
        wr_time_format(text, j->ended_us);
        wr_jsonw_kstr(w, "ended", text);
        wr_jsonw_ki64(w, "exit_code", j->exit_code);
    }
    wr_jsonw_kstr(w, "log", j->log);
    wr_jsonw_end(w);
}

void wr_schedule_jobs(wr_schedule *s, wr_jsonw *w)
{
    wr_jsonw_arr(w);
    pthread_mutex_lock(&s->mutex);
    for (size_t i = s->njobs; i > 0 && i + KEPT_JOBS > s->njobs; i--) put_job(w, &s->jobs[(i - 1) % KEPT_JOBS]);
    pthread_mutex_unlock(&s->mutex);
    wr_jsonw_end(w);
}

bool wr_schedule_busy(wr_schedule *s)
{
    WR_AUTOFREE wr_endpoint_mark *marks = wr_calloc(MAX_MARKS, sizeof *marks);
    if (!marks) return true;
    size_t n = s->ops.marks ? s->ops.marks(s->ops.ctx, marks, MAX_MARKS) : 0;
    pthread_mutex_lock(&s->mutex);
    bool news = false;
    for (size_t i = 0; i < n; i++) {
        const wr_endpoint_mark *seen = mark_of(s->seen, s->nseen, marks[i].name);
        news |= !seen || seen->watermark_us < marks[i].watermark_us;
    }
    bool busy = s->working || news;
    if (news && !s->working) {
        s->poked = true;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->mutex);
    return busy;
}
