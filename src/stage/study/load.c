/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - checks 6 to 8: latency at the expected concurrency, the most it can do, memory. What energy and cost
 * need is measured on the way.
 *
 * Load is closed: each of n threads asks, waits for the answer and asks again, row after row from its own place in the
 * rows. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/meter.h"
#include "stage/study/study_inside.h"

enum { THREADS_MAX = 256, SAMPLES_MAX = 1 << 18, KNEE_STEPS = 8, SERVER_TIMEOUT_MS = 5000 };

typedef struct {
    wr_feasibility_work *w;
    const char *url; /* over HTTP; NULL: in this process */
    int64_t until_ns;
    size_t from, step;
    double *took; /* seconds, room for `room`; later ones overwrite earlier */
    size_t room;
    uint64_t n, failed;
    char failure[200];
} worker;

typedef struct {
    double p50, p99, p999, most, rate, wall_s, cpu_s;
    uint64_t n, failed;
    char failure[200];
} load;

/* ---- one thread ---- */

static void put(worker *k, double seconds) { k->took[k->n++ % k->room] = seconds; }

static void ask_here(worker *k, wr_tensor *in, wr_arena *a)
{
    wr_infer_answer answer;
    wr_err why;
    for (size_t i = k->from;; i += k->step) {
        int64_t t0 = wr_clock_mono_ns();
        if (t0 >= k->until_ns && k->n) return; /* one at least, however busy the machine is */
        wr_feasibility_slice(in, k->w, k->w->in, k->w->m->rows ? i % k->w->nrows : 0, 1);
        int rc = wr_feasibility_ask(&answer, k->w, in, a, &why);
        if (rc < 0 && !k->failed++) snprintf(k->failure, sizeof k->failure, "%.199s", why.msg);
        put(k, (double)(wr_clock_mono_ns() - t0) / 1e9);
        wr_arena_clear(a);
    }
}

/* The row as a request of the Open Inference Protocol. */
static void write_body(wr_buf *b, const worker *k, const wr_tensor *in)
{
    wr_jsonw j;
    wr_jsonw_init(&j, b, 0);
    wr_jsonw_obj(&j);
    wr_jsonw_key(&j, "inputs");
    wr_jsonw_arr(&j);
    for (size_t i = 0; i < k->w->nin; i++) {
        WR_AUTOBUF wr_buf data = {0};
        wr_jsonw_obj(&j);
        wr_jsonw_kslice(&j, "name", in[i].name);
        wr_jsonw_kstr(&j, "datatype", wr_tensor_type_name(in[i].type));
        wr_jsonw_key(&j, "shape");
        wr_jsonw_arr(&j);
        for (int d = 0; d < in[i].ndims; d++) wr_jsonw_i64(&j, in[i].shape[d]);
        wr_jsonw_end(&j);
        wr_tensor_write_json(&data, &in[i]);
        wr_jsonw_key(&j, "data");
        wr_jsonw_raw(&j, wr_buf_view(&data));
        wr_jsonw_end(&j);
    }
    wr_jsonw_end(&j);
    wr_jsonw_end(&j);
}

static int call_there(worker *k, wr_http_client *c, const char *target, wr_tensor *in, wr_err *why)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_str reply;
    int status;
    for (size_t i = k->from;; i += k->step) {
        wr_feasibility_slice(in, k->w, k->w->in, k->w->m->rows ? i % k->w->nrows : 0, 1);
        wr_buf_clear(&body);
        write_body(&body, k, in);
        int64_t t0 = wr_clock_mono_ns();
        if (t0 >= k->until_ns && (k->n || k->failed)) return 0;
        WR_TRY(wr_http_client_call(c, "POST", target, wr_buf_view(&body), &status, &reply, why));
        if (status != 200 && !k->failed++)
            snprintf(k->failure, sizeof k->failure, "%d %.*s", status, (int)(reply.n < 150 ? reply.n : 150), reply.p);
        put(k, (double)(wr_clock_mono_ns() - t0) / 1e9);
    }
}

static void ask_there(worker *k, wr_tensor *in, wr_arena *a)
{
    wr_http_client *c;
    wr_err why = {0};
    const char *target = wr_arena_printf(a, "/v2/models/%s/infer", k->w->server_model);
    int rc = target ? wr_http_client_open(&c, k->url, SERVER_TIMEOUT_MS, &why) : WEIR_ENOMEM;
    if (rc == 0) {
        rc = call_there(k, c, target, in, &why);
        wr_http_client_close(c);
    }
    if (rc < 0 && !k->failed++) snprintf(k->failure, sizeof k->failure, "%.199s", why.msg);
}

static void *work(void *arg)
{
    worker *k = arg;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_tensor *in = wr_calloc(k->w->nin + 1, sizeof *in);
    if (!a || !in) k->failed++;
    else if (k->url) ask_there(k, in, a);
    else ask_here(k, in, a);
    wr_free(in);
    return NULL;
}

/* ---- all threads ---- */

static int up(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_up(load *out, worker *k, size_t n, double *all)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        size_t kept = k[i].n < k[i].room ? k[i].n : k[i].room;
        memcpy(all + m, k[i].took, kept * sizeof *all);
        m += kept;
        out->n += k[i].n;
        if (k[i].failed && !out->failed) snprintf(out->failure, sizeof out->failure, "%s", k[i].failure);
        out->failed += k[i].failed;
    }
    if (!m) return;
    qsort(all, m, sizeof *all, up);
    out->p50 = all[m / 2];
    out->p99 = all[(size_t)((double)(m - 1) * 0.99)];
    out->p999 = all[(size_t)((double)(m - 1) * 0.999)];
    out->most = all[m - 1];
}

static int run_load(load *out, wr_feasibility_work *w, const char *url, size_t threads, double seconds, wr_err *err)
{
    WR_AUTOFREE worker *k = wr_calloc(threads, sizeof *k);
    WR_AUTOFREE double *took = wr_alloc(2 * sizeof(double) * SAMPLES_MAX);
    WR_AUTOFREE pthread_t *t = wr_calloc(threads, sizeof *t);
    size_t started = 0, room = SAMPLES_MAX / threads;
    if (!k || !took || !t) return wr_err_nomem(err);
    *out = (load){0};
    double cpu = wr_clock_cpu_s();
    int64_t from = wr_clock_mono_ns();
    for (; started < threads; started++) {
        k[started] = (worker){.w = w,
                              .url = url,
                              .until_ns = from + (int64_t)(seconds * 1e9),
                              .from = started,
                              .step = threads,
                              .took = took + started * room,
                              .room = room};
        if (pthread_create(&t[started], NULL, work, &k[started]) != 0) break;
    }
    for (size_t i = 0; i < started; i++) pthread_join(t[i], NULL);
    out->wall_s = (double)(wr_clock_mono_ns() - from) / 1e9;
    out->cpu_s = wr_clock_cpu_s() - cpu;
    add_up(out, k, started, took + SAMPLES_MAX);
    out->rate = out->wall_s > 0 ? (double)out->n / out->wall_s : 0;
    return started == threads
               ? 0
               : wr_err_set(err, WEIR_EUNAVAILABLE, "only %zu of %zu threads can be started", started, threads);
}

static double seconds_of(const wr_feasibility_work *w, double share)
{
    return share * (w->opt->seconds > 0 ? w->opt->seconds : 20);
}

/* ---- 6 latency ---- */

/* What the server calls it: the endpoint of weir.yaml that has it, or its own name without folders and ending. */
static const char *name_there(wr_feasibility_work *w)
{
    const char *endpoint = wr_feasibility_endpoint(w), *base = wr_path_base(w->report->model);
    if (endpoint) return endpoint;
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? wr_arena_strndup(w->a, base, (size_t)(dot - base)) : base;
}

/* From nothing to an answer; and the first answer after another copy took its place. */
static int starts(wr_feasibility_work *w, double *cold_s, double *swap_s, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_str none = {NULL, 0};
    wr_predictor *p;
    wr_instance *next;
    wr_infer_answer answer;
    wr_tensor *in = a ? wr_arena_alloc(a, (w->nin + 1) * sizeof *in) : NULL;
    if (!in) return wr_err_nomem(err);
    wr_feasibility_slice(in, w, w->in, 0, 1);
    int64_t t0 = wr_clock_mono_ns();
    WR_TRY(wr_feasibility_predictor(&p, w, err));
    WR_TRY(wr_repository_put(w->repository, WR_SERVED_AS, "1", p, none, err));
    WR_TRY(wr_repository_take(&next, w->repository, WR_STR(WR_SERVED_AS), none, err));
    wr_instance_give(w->m);
    w->m = next;
    int64_t t1 = wr_clock_mono_ns();
    WR_TRY(wr_feasibility_ask(&answer, w, in, a, err));
    *swap_s = (double)(wr_clock_mono_ns() - t1) / 1e9;
    *cold_s = fmax(w->open_s + w->put_s, (double)(t1 - t0) / 1e9) + *swap_s;
    return 0;
}

static void tell_load(wr_feasibility_work *w, wr_feasibility_result *r, const load *l)
{
    char text[WR_NUM_TEXT];
    wr_check_number(w, r, "p50", l->p50, wr_fmt_seconds(text, l->p50));
    wr_check_number(w, r, "p99", l->p99, wr_fmt_seconds(text, l->p99));
    wr_check_number(w, r, "p99.9", l->p999, wr_fmt_seconds(text, l->p999));
    wr_check_number(w, r, "slowest", l->most, wr_fmt_seconds(text, l->most));
    wr_check_number(w, r, "answers", (double)l->n, wr_fmt_count(text, (double)l->n));
}

static const char *server_of(const wr_feasibility_work *w)
{
    const char *url = w->opt->server ? w->opt->server : w->t->server;
    return url && *url ? url : NULL;
}

int wr_check_latency(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    char p99[WR_NUM_TEXT], limit[WR_NUM_TEXT], cold[WR_NUM_TEXT];
    double cold_s = 0, swap_s = 0, p99_max = (double)w->t->p99_us / 1e6, p50_max = (double)w->t->p50_us / 1e6;
    const char *url = server_of(w);
    load warm, l;
    if (!(w->server_model = name_there(w))) return wr_err_nomem(err);
    WR_TRY(wr_check_limit(w, r, "p99 %s", wr_fmt_seconds(limit, p99_max)));
    WR_TRY(starts(w, &cold_s, &swap_s, err));
    WR_TRY(run_load(&warm, w, url, 1, seconds_of(w, 0.02), err));
    WR_TRY(run_load(&l, w, url, (size_t)w->t->concurrency, seconds_of(w, 0.25), err));
    wr_check_text(w, r, "asked", "%s, %lld at a time, one row each", url ? url : "in this process, without a network",
                  (long long)w->t->concurrency);
    tell_load(w, r, &l);
    wr_check_number(w, r, "cold start", cold_s, wr_fmt_seconds(cold, cold_s));
    wr_check_number(w, r, "first after a swap", swap_s, wr_fmt_seconds(p99, swap_s));
    if (l.failed || !l.n)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%llu of %llu requests failed: %s", (unsigned long long)l.failed,
                             (unsigned long long)l.n, l.failure);
    wr_fmt_seconds(p99, l.p99);
    wr_fmt_seconds(cold, cold_s);
    if (p99_max > 0 && l.p99 > p99_max) return wr_check_says(w, r, WR_CHECK_FAIL, "p99 %s is over %s", p99, limit);
    if (p50_max > 0 && l.p50 > p50_max)
        return wr_check_says(w, r, WR_CHECK_FAIL, "p50 %s is over %s", wr_fmt_seconds(p99, l.p50),
                             wr_fmt_seconds(limit, p50_max));
    if (w->t->cold_us && cold_s > (double)w->t->cold_us / 1e6)
        return wr_check_says(w, r, WR_CHECK_FAIL, "cold start %s is over %s", cold,
                             wr_fmt_seconds(limit, (double)w->t->cold_us / 1e6));
    bool others = !w->t->file || w->t->cpus == 0 || w->t->cpus == wr_os_cpus();
    return wr_check_says(w, r, others ? WR_CHECK_PASS : WR_CHECK_WARN, "p99 %s, cold start %s%s", p99, cold,
                         others ? "" : "; measured on another number of processors");
}

/* ---- 7 throughput ---- */

/* Joules of a thousand, from the meter around the load. */
static void energy_of(wr_feasibility_work *w, const load *l, wr_meter *meter, const wr_meter_mark *from,
                      const wr_meter_mark *to)
{
    wr_energy e;
    wr_meter_energy(meter, from, to, l->cpu_s, &e);
    if (!l->n) return;
    w->joules_each = e.energy_j / (double)l->n;
    w->active_each = e.active_j / (double)l->n;
    w->idle_each = e.idle_j / (double)l->n;
    w->cpu_s_each = l->cpu_s / (double)l->n;
    w->tier = e.tier;
    w->rel_uncertainty = e.rel_uncertainty;
    w->meter = wr_arena_strdup(w->a, e.source);
}

static int climb(wr_feasibility_work *w, wr_feasibility_result *r, load *best, size_t *knee, wr_meter *meter,
                 wr_err *err)
{
    size_t most = (size_t)(2 * wr_os_cpus()), steps = 0;
    if (most > THREADS_MAX) most = THREADS_MAX;
    for (size_t n = 1; n <= most; n *= 2) steps++;
    for (size_t n = 1; n <= most && steps; n *= 2) {
        load l;
        wr_meter_mark from, to;
        char key[48], text[WR_NUM_TEXT];
        wr_meter_read(meter, &from);
        WR_TRY(run_load(&l, w, NULL, n, seconds_of(w, 0.35 / (double)steps), err));
        wr_meter_read(meter, &to);
        snprintf(key, sizeof key, "%zu at a time", n);
        wr_check_number(w, r, key, l.rate, wr_fmt_count(text, floor(l.rate)));
        uint64_t rss = wr_os_rss();
        if (rss > w->rss_peak) w->rss_peak = rss;
        if (l.failed) snprintf(best->failure, sizeof best->failure, "%s", l.failure);
        best->failed += l.failed;
        if (l.rate < best->rate * 1.05) continue; /* past the knee */
        uint64_t failed = best->failed;
        *best = l;
        best->failed = failed;
        *knee = n;
        energy_of(w, &l, meter, &from, &to);
    }
    return 0;
}

int wr_check_throughput(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    char rate[WR_NUM_TEXT], text[WR_NUM_TEXT];
    load best = {0};
    size_t knee = 0;
    wr_meter *meter;
    WR_TRY(wr_check_limit(w, r, "%g x %g a second", w->t->headroom, w->t->rps));
    WR_TRY(wr_meter_open(&meter, NULL, err));
    int rc = climb(w, r, &best, &knee, meter, err);
    wr_meter_close(meter);
    WR_TRY(rc);
    w->rate = best.rate;
    wr_check_number(w, r, "knee", (double)knee, NULL);
    wr_check_number(w, r, "processor time of one", w->cpu_s_each, wr_fmt_seconds(text, w->cpu_s_each));
    wr_check_text(w, r, "measured", "in this process, one row a request, without a network");
    if (best.failed)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%llu requests failed: %s", (unsigned long long)best.failed,
                             best.failure);
    double here = wr_os_cpus(), there = w->t->cpus > 0 ? w->t->cpus : here, scaled = best.rate * fmin(1, there / here);
    double headroom = w->t->rps > 0 ? scaled / w->t->rps : INFINITY;
    if (there != here) wr_check_number(w, r, "scaled to the target's processors", scaled, NULL);
    wr_fmt_count(rate, floor(scaled));
    snprintf(text, sizeof text, "%.3g", headroom);
    if (headroom >= 1000 && isfinite(headroom)) wr_fmt_count(text, floor(headroom));
    wr_check_number(w, r, "headroom", headroom, NULL);
    return wr_check_says(w, r, headroom >= w->t->headroom ? WR_CHECK_PASS : WR_CHECK_FAIL,
                         "%s a second, %s times what is expected; knee at %zu", rate, text, knee);
}

/* ---- 8 memory ---- */

int wr_check_memory(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    char used[WR_NUM_TEXT], limit[WR_NUM_TEXT], text[WR_NUM_TEXT];
    uint64_t most = w->t->memory ? w->t->memory : wr_os_memory(), now = wr_os_rss();
    (void)err;
    if (now > w->rss_peak) w->rss_peak = now;
    double model = (double)w->m->predictor->memory, peak = (double)w->rss_peak;
    double grown = peak > (double)w->rss_before ? peak - (double)w->rss_before : 0;
    WR_TRY(wr_check_limit(w, r, "%.0f %% of %s", 100 * w->t->memory_share, wr_fmt_bytes(limit, (double)most)));
    wr_check_number(w, r, "resident before loading", (double)w->rss_before, wr_fmt_bytes(text, (double)w->rss_before));
    wr_check_number(w, r, "resident under load", peak, wr_fmt_bytes(text, peak));
    wr_check_number(w, r, "of the model and its load", grown, wr_fmt_bytes(text, grown));
    if (model > 0) wr_check_number(w, r, "the model, as it says", model, wr_fmt_bytes(text, model));
    wr_check_text(w, r, "limit", "%s", w->t->memory ? "of the target" : "the control group's, or the machine's memory");
    double need = fmax(peak, model);
    wr_fmt_bytes(used, need);
    bool good = need <= w->t->memory_share * (double)most;
    return wr_check_says(w, r, good ? WR_CHECK_PASS : WR_CHECK_FAIL, "%s resident under load, %.1f %% of %s%s", used,
                         100 * need / (double)most, limit, w->view ? " (with the table engine of the study)" : "");
}
