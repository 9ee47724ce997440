/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - counters of requests, and /metrics in Prometheus' text format 0.0.4. */
#include <math.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/os.h"
#include "server/server_inside.h"
#include "stage/deploy/keep.h"
#include "stage/rollout/run.h"

const double wr_latency_bounds[WR_LATENCY_BUCKETS] = {20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3,
                                                      10e-3, 20e-3, 50e-3,  100e-3, 200e-3, 0.5,  1,    INFINITY};
const char *const wr_kind_names[WR_KINDS] = {"infer", "labels", "events", "track", "other"};

void wr_server_count(wr_server_loop *l, wr_server_kind kind, int status, int64_t ns)
{
    wr_server_counts *k = &l->counts[kind];
    int b = 0;
    while (b < WR_LATENCY_BUCKETS - 1 && (double)ns > wr_latency_bounds[b] * 1e9) b++;
    atomic_fetch_add_explicit(&k->bucket[b], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&k->sum_ns, (uint64_t)ns, memory_order_relaxed);
    if (status >= 100 && status < 600) atomic_fetch_add_explicit(&k->status[status / 100], 1, memory_order_relaxed);
}

static void head(wr_buf *b, const char *name, const char *type, const char *help)
{
    wr_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(wr_buf *b, const char *name, double v)
{
    wr_buf_printf(b, "%s ", name);
    wr_buf_f64(b, v);
    wr_buf_char(b, '\n');
}

static uint64_t sum(const wr_server *s, wr_server_kind kind, size_t offset)
{
    uint64_t total = 0;
    for (int i = 0; i < s->nloops; i++) {
        const char *counts = (const char *)&s->loops[i].counts[kind];
        total +=
            atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(counts + offset), memory_order_relaxed);
    }
    return total;
}

static void put_requests(wr_buf *b, const wr_server *s)
{
    head(b, "weir_http_requests_total", "counter", "Requests answered, by kind and first digit of the status.");
    for (int k = 0; k < WR_KINDS; k++)
        for (size_t d = 1; d < 6; d++) {
            uint64_t n =
                sum(s, (wr_server_kind)k, offsetof(wr_server_counts, status) + d * sizeof(atomic_uint_fast64_t));
            if (n)
                wr_buf_printf(b, "weir_http_requests_total{kind=\"%s\",code=\"%zuxx\"} %llu\n", wr_kind_names[k], d,
                              (unsigned long long)n);
        }
}

static void put_latency(wr_buf *b, const wr_server *s, wr_server_kind kind)
{
    static const char name[] = "weir_http_request_duration_seconds";
    uint64_t total = 0;
    for (size_t i = 0; i < WR_LATENCY_BUCKETS; i++) {
        total += sum(s, kind, offsetof(wr_server_counts, bucket) + i * sizeof(atomic_uint_fast64_t));
        wr_buf_printf(b, "%s_bucket{kind=\"%s\",le=\"", name, wr_kind_names[kind]);
        if (i == WR_LATENCY_BUCKETS - 1) wr_buf_str(b, "+Inf");
        else wr_buf_f64(b, wr_latency_bounds[i]);
        wr_buf_printf(b, "\"} %llu\n", (unsigned long long)total);
    }
    wr_buf_printf(b, "%s_sum{kind=\"%s\"} ", name, wr_kind_names[kind]);
    wr_buf_f64(b, (double)sum(s, kind, offsetof(wr_server_counts, sum_ns)) / 1e9);
    wr_buf_printf(b, "\n%s_count{kind=\"%s\"} %llu\n", name, wr_kind_names[kind], (unsigned long long)total);
}

static void put_version(void *ctx, const char *endpoint, int64_t version, uint64_t n)
{
    wr_buf_printf(ctx, "weir_predictions_total{endpoint=\"%s\",version=\"%lld\"} %llu\n", endpoint, (long long)version,
                  (unsigned long long)n);
}

static void put_endpoints(wr_buf *b, wr_server *s)
{
    wr_serve_status st;
    head(b, "weir_predictions_total", "counter", "Predictions made, by endpoint and model version.");
    wr_serve_counts(s->serve, put_version, b);
    head(b, "weir_labels_total", "counter", "Labels received, by endpoint.");
    for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
        wr_serve_status_of(&st, s->serve, i);
        wr_buf_printf(b, "weir_labels_total{endpoint=\"%s\"} %llu\n", st.name, (unsigned long long)st.labels);
    }
    head(b, "weir_rewards_total", "counter", "Rewards received, by endpoint.");
    for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
        wr_serve_status_of(&st, s->serve, i);
        wr_buf_printf(b, "weir_rewards_total{endpoint=\"%s\"} %llu\n", st.name, (unsigned long long)st.rewards);
    }
    head(b, "weir_endpoint_ready", "gauge", "1 when the endpoint has a model.");
    for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
        wr_serve_status_of(&st, s->serve, i);
        wr_buf_printf(b, "weir_endpoint_ready{endpoint=\"%s\"} %d\n", st.name, st.ready);
    }
}

static void put_rows(void *ctx, const char *view, const wr_lookup_info *info)
{
    wr_buf_printf(ctx, "weir_lookup_rows{view=\"%s\"} %zu\n", view, info->rows);
}

static void put_as_of(void *ctx, const char *view, const wr_lookup_info *info)
{
    wr_buf_printf(ctx, "weir_lookup_as_of_seconds{view=\"%s\"} ", view);
    wr_buf_f64(ctx, (double)info->as_of_us / 1e6);
    wr_buf_char(ctx, '\n');
}

static void put_lookups(wr_buf *b, wr_server *s)
{
    head(b, "weir_lookup_rows", "gauge", "Rows of the tables that a view's columns are looked up in.");
    wr_serve_lookups(s->serve, put_rows, b);
    head(b, "weir_lookup_as_of_seconds", "gauge", "The moment as of which they were made, since 1970.");
    wr_serve_lookups(s->serve, put_as_of, b);
}

typedef struct {
    wr_buf *b;
    const char *name;
    bool dropped;
} sink_line;

static void put_sink(void *ctx, const wr_sink_status *st)
{
    sink_line *l = ctx;
    wr_buf_printf(l->b, "%s{endpoint=\"%s\",url=\"", l->name, st->endpoint);
    for (const char *p = st->url; *p; p++) wr_buf_printf(l->b, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    wr_buf_printf(l->b, "\"} %llu\n", (unsigned long long)(l->dropped ? st->dropped : st->sent));
}

static void put_sinks(wr_buf *b, wr_server *s)
{
    sink_line sent = {b, "weir_sink_answers_total", false}, dropped = {b, "weir_sink_dropped_total", true};
    head(b, sent.name, "counter", "Requests with their answers that a sink of CloudEvents took.");
    wr_serve_sinks(s->serve, put_sink, &sent);
    head(b, dropped.name, "counter", "Those that were dropped: the sink did not take them, or its queue was full.");
    wr_serve_sinks(s->serve, put_sink, &dropped);
}

static void put_keep(wr_buf *b, wr_server *s)
{
    wr_queue_stats k;
    wr_serve_keep_stats(&k, s->serve);
    head(b, "weir_kept_answers_total", "counter", "Answers of models without a view that were handed to the log.");
    value(b, "weir_kept_answers_total", (double)k.put);
    head(b, "weir_kept_answers_dropped_total", "counter",
         "Of those that should have been logged: not kept, for want of room.");
    value(b, "weir_kept_answers_dropped_total", (double)k.dropped);
    head(b, "weir_kept_answers_waiting_bytes", "gauge", "Bytes on their way to the log.");
    value(b, "weir_kept_answers_waiting_bytes", (double)k.waiting);
}

/* ---- models, by the names that dashboards for Triton look for ---- */

typedef struct {
    wr_buf *b;
    const wr_stats_entry *all;
    size_t n;
} models;

static void labels(wr_buf *b, const wr_stats_entry *e)
{
    wr_str texts[] = {e->name, e->version};
    for (int k = 0; k < 2; k++) { /* names of endpoints and versions are plain; those of folders too (wr_name_ok) */
        wr_buf_str(b, k ? "\",version=\"" : "{model=\"");
        wr_buf_slice(b, texts[k]);
    }
    wr_buf_char(b, '"');
}

static void put_counter(models *m, const char *name, const char *help, size_t offset, uint64_t divisor)
{
    head(m->b, name, "counter", help);
    for (size_t i = 0; i < m->n; i++) {
        const char *stats = (const char *)m->all[i].stats;
        uint64_t v =
            atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(stats + offset), memory_order_relaxed);
        wr_buf_str(m->b, name);
        labels(m->b, &m->all[i]);
        wr_buf_printf(m->b, "} %llu\n", (unsigned long long)(v / divisor));
    }
}

static void put_failures(models *m)
{
    static const char name[] = "nv_inference_request_failure";
    static const char *const reasons[] = {"REJECTED", "CANCELED", "BACKEND", "OTHER"};
    head(m->b, name, "counter", "Number of failed inference requests, by reason.");
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < WR_FAIL_REASONS; k++) {
            uint64_t v = atomic_load_explicit(&m->all[i].stats->failures[k], memory_order_relaxed);
            wr_buf_str(m->b, name);
            labels(m->b, &m->all[i]);
            wr_buf_printf(m->b, ",reason=\"%s\"} %llu\n", reasons[k], (unsigned long long)v);
        }
}

static void put_pending(models *m)
{
    static const char name[] = "nv_inference_pending_request_count";
    head(m->b, name, "gauge", "Requests that are being answered.");
    for (size_t i = 0; i < m->n; i++) {
        int64_t v = atomic_load_explicit(&m->all[i].stats->pending, memory_order_relaxed);
        wr_buf_str(m->b, name);
        labels(m->b, &m->all[i]);
        wr_buf_printf(m->b, "} %lld\n", (long long)(v > 0 ? v : 0));
    }
}

/* ---- arms of rollouts ---- */

static double look_value(const wr_rollout_look *l, int what)
{
    const double values[] = {l->share, (double)l->requests, (double)l->errors, (double)l->dropped};
    return values[what];
}

static void put_rollouts(wr_buf *b, wr_server *s)
{
    static const struct {
        const char *name, *type, *help;
    } all[] = {{"weir_rollout_share", "gauge", "Share of the requests that an arm of a rollout gets."},
               {"weir_rollout_requests_total", "counter", "Requests that an arm answered or failed."},
               {"weir_rollout_errors_total", "counter", "Requests that an arm failed; the primary answered them."},
               {"weir_rollout_dropped_total", "counter", "Copies of requests that found no room."}};
    for (int k = 0; k < 4; k++) {
        wr_rollout_look l;
        head(b, all[k].name, all[k].type, all[k].help);
        for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
            wr_serve_status st;
            if (wr_rollout_look_at(&l, s->serve, i, 0)) wr_serve_status_of(&st, s->serve, i);
            for (size_t arm = 0; wr_rollout_look_at(&l, s->serve, i, arm); arm++) {
                wr_buf_printf(b, "%s{endpoint=\"%s\",arm=\"%s\"} ", all[k].name, st.name, l.name);
                wr_buf_f64(b, look_value(&l, k));
                wr_buf_char(b, '\n');
            }
        }
    }
}

static void put_models(wr_buf *b, wr_server *s, wr_arena *a)
{
    wr_stats_entry *all;
    models m = {.b = b};
#define AT(member) offsetof(wr_model_stats, member)
    static const struct {
        const char *name, *help;
        size_t offset;
        uint64_t divisor;
    } counters[] = {
        {"nv_inference_request_success", "Number of successful inference requests.", AT(success.n), 1},
        {"nv_inference_count", "Number of inferences: rows, without those that the response cache answered.",
         AT(inferences), 1},
        {"nv_inference_exec_count", "Number of model executions, without cached requests.", AT(executions), 1},
        {"nv_inference_request_duration_us", "Cumulative duration of successful requests.", AT(success.ns), 1000},
        {"nv_inference_queue_duration_us", "Cumulative time that requests waited.", AT(queue.ns), 1000},
        {"nv_inference_compute_input_duration_us", "Cumulative time of reading and checking inputs.", AT(input.ns),
         1000},
        {"nv_inference_compute_infer_duration_us", "Cumulative time of the models.", AT(infer.ns), 1000},
        {"nv_inference_compute_output_duration_us", "Cumulative time of making outputs.", AT(output.ns), 1000},
        {"nv_cache_num_hits_per_model", "Number of requests that the response cache answered.", AT(cache_hit.n), 1},
        {"nv_cache_num_misses_per_model", "Number of requests that the response cache could not answer.",
         AT(cache_miss.n), 1},
        {"nv_cache_hit_duration_us", "Cumulative time of answering from the response cache.", AT(cache_hit.ns), 1000},
        {"nv_cache_miss_duration_us", "Cumulative time of looking into and filling the response cache in vain.",
         AT(cache_miss.ns), 1000},
    };
#undef AT
    if (wr_serve_stats(&all, &m.n, s->serve, (wr_str){NULL, 0}, (wr_str){NULL, 0}, a, NULL) < 0) return;
    m.all = all;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        put_counter(&m, counters[i].name, counters[i].help, counters[i].offset, counters[i].divisor);
    put_failures(&m);
    put_pending(&m);
}

static void put_limits(wr_buf *b, wr_server *s)
{
    static const char name[] = "weir_refused_total";
    head(b, name, "counter", "Requests refused at once: too many predictions wait, or a client sends too many.");
    wr_buf_printf(b, "%s{reason=\"queue\"} %llu\n%s{reason=\"rate\"} %llu\n", name,
                  (unsigned long long)atomic_load(&s->refused), name, (unsigned long long)atomic_load(&s->over_rate));
    head(b, "weir_infer_waiting", "gauge", "Large predictions that wait for a thread, or have one.");
    value(b, "weir_infer_waiting", (double)atomic_load(&s->waiting));
}

static void put_method(wr_buf *b, wr_server *s)
{
    wr_energy e;
    if (!wr_serve_energy_method(&e, s->serve)) return;
    head(b, "weir_energy_method_info", "gauge", "How the energy of logged predictions is measured: A, B counters, C model.");
    wr_buf_printf(b, "weir_energy_method_info{tier=\"%c\",source=\"", e.tier);
    for (const char *p = e.source; *p; p++) wr_buf_printf(b, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    wr_buf_str(b, "\"} 1\n");
    head(b, "weir_energy_rel_uncertainty", "gauge", "Its stated uncertainty: 0.15 is 15 % either way.");
    value(b, "weir_energy_rel_uncertainty", e.rel_uncertainty);
}

static void put_process(wr_buf *b, wr_server *s)
{
    wr_http_stats h;
    wr_http_server_stats(s->http, &h);
    head(b, "weir_http_connections", "gauge", "Open connections.");
    value(b, "weir_http_connections", (double)h.connections);
    head(b, "weir_http_received_bytes_total", "counter", "Bytes received.");
    value(b, "weir_http_received_bytes_total", (double)h.bytes_in);
    head(b, "weir_http_sent_bytes_total", "counter", "Bytes sent.");
    value(b, "weir_http_sent_bytes_total", (double)h.bytes_out);
    head(b, "weir_log_bytes", "gauge", "Bytes in the newest segment of the serving log, not drained yet.");
    value(b, "weir_log_bytes", (double)wr_serve_log_bytes(s->serve));
    head(b, "weir_energy_joules_total", "counter", "Energy attributed to this process since its start.");
    value(b, "weir_energy_joules_total", wr_serve_energy(s->serve));
    put_method(b, s);
    head(b, "weir_jobs_busy", "gauge", "1 while the scheduler runs a job.");
    value(b, "weir_jobs_busy", s->schedule && wr_schedule_busy(s->schedule));
    head(b, "process_cpu_seconds_total", "counter", "CPU time of this process.");
    value(b, "process_cpu_seconds_total", wr_clock_cpu_s());
    head(b, "process_resident_memory_bytes", "gauge", "Resident memory of this process.");
    value(b, "process_resident_memory_bytes", (double)wr_os_rss());
    head(b, "process_start_time_seconds", "gauge", "Start of this process, seconds since 1970.");
    value(b, "process_start_time_seconds", (double)s->started_us / 1e6);
}

void wr_handle_metrics(wr_call *c)
{
    wr_buf *b = &c->loop->body;
    put_requests(b, c->server);
    head(b, "weir_http_request_duration_seconds", "histogram",
         "From the whole request to its answer, without the commit of the log.");
    for (int k = 0; k < WR_KINDS; k++) put_latency(b, c->server, (wr_server_kind)k);
    put_endpoints(b, c->server);
    put_lookups(b, c->server);
    put_keep(b, c->server);
    put_sinks(b, c->server);
    put_models(b, c->server, c->arena);
    put_rollouts(b, c->server);
    put_limits(b, c->server);
    put_process(b, c->server);
    wr_http_reply_opt opt = {.status = b->failed ? 500 : 200, .type = "text/plain; version=0.0.4; charset=utf-8"};
    wr_http_reply(c->req, &opt, b->failed ? WR_STR("") : wr_buf_view(b));
    c->status = opt.status;
}
