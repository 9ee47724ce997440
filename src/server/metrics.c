/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - counters of requests, and /metrics in Prometheus' text format 0.0.4. */
#include <math.h>

#include "base/clock.h"
#include "base/os.h"
#include "server/server_inside.h"

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
    head(b, "weir_endpoint_ready", "gauge", "1 when the endpoint has a model.");
    for (size_t i = 0; i < wr_serve_count(s->serve); i++) {
        wr_serve_status_of(&st, s->serve, i);
        wr_buf_printf(b, "weir_endpoint_ready{endpoint=\"%s\"} %d\n", st.name, st.ready);
    }
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
    put_process(b, c->server);
    wr_http_reply_opt opt = {.status = b->failed ? 500 : 200, .type = "text/plain; version=0.0.4; charset=utf-8"};
    wr_http_reply(c->req, &opt, b->failed ? WR_STR("") : wr_buf_view(b));
    c->status = opt.status;
}
