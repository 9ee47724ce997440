/* SPDX-License-Identifier: Apache-2.0 */
/* page_models.c - models in service: endpoints, arms of their rollouts, models of the repository. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/os.h"
#include "server/page.h"
#include "stage/deploy/keep.h"

enum { SHOW = 200, BARS = 24 };

typedef struct {
    const wr_index_entry *index;
    const wr_model_stats *stats; /* NULL: never in service */
    wr_serve_status endpoint;    /* name NULL: it is none */
} row;

static const wr_model_stats *stats_of(const wr_stats_entry *all, size_t n, const wr_index_entry *e)
{
    for (size_t i = 0; i < n; i++)
        if (wr_str_eq(all[i].name, e->name) && (wr_str_eq(all[i].version, e->version) || !e->version.n))
            return all[i].stats;
    return NULL;
}

static void find_endpoint(wr_serve_status *out, wr_serve *s, wr_str name)
{
    for (size_t i = 0; i < wr_serve_count(s); i++) {
        wr_serve_status_of(out, s, i);
        if (wr_str_is(name, out->name)) return;
    }
    *out = (wr_serve_status){.watermark_us = INT64_MIN};
}

/* ---- cells ---- */

static void put_name(wr_page *p, const row *r)
{
    wr_buf *b = p->b;
    const wr_serve_status *st = &r->endpoint;
    wr_str reason = r->index->reason;
    wr_buf_str(b, "<tr><th scope=row><strong>");
    wr_page_text(b, r->index->name);
    wr_buf_str(b, "</strong>");
    if (st->name) {
        wr_buf_str(b, "<span class=\"under soft\">endpoint of ");
        wr_page_cstr(b, st->reference);
        if (st->ready && !st->plain) wr_buf_printf(b, " &middot; package <code>%.12s</code>", st->package);
        wr_buf_str(b, "</span>");
    }
    if (st->name && st->error[0]) reason = wr_str_of(st->error);
    if (reason.n && !wr_str_is(reason, "unloaded")) {
        wr_buf_str(b, "<span class=\"under no\">");
        wr_page_text(b, reason);
        wr_buf_str(b, "</span>");
    }
    wr_buf_str(b, "</th>");
}

/* A sign, a colour and a word: who sees no colours reads the others. */
static void put_state(wr_buf *b, const wr_index_entry *e)
{
    static const struct {
        const char *state, *class, *text;
    } states[] = {{"READY", "ok", "&#9679; ready"},
                  {"LOADING", "wait", "&#9684; loading"},
                  {"UNLOADING", "wait", "&#9684; unloading"},
                  {"UNAVAILABLE", "no", "&#9675; not ready"}};
    const char *class = "soft", *text = "&#9675; not loaded";
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (!wr_str_is(e->state, states[i].state)) continue;
        class = states[i].class;
        text = states[i].text;
    }
    if (wr_str_is(e->reason, "unloaded")) {
        class = "soft";
        text = "&#9675; unloaded";
    }
    wr_buf_printf(b, "<td data-l=state class=\"w %s\">%s</td>", class, text);
}

/* What answers: of a package "weir", else as the model's file. */
static void put_platform(wr_page *p, const row *r)
{
    wr_served *package = NULL;
    wr_instance *model = NULL;
    wr_err none;
    wr_buf *b = p->b;
    wr_buf_str(b, "<td data-l=version>");
    wr_page_text(b, r->index->version);
    wr_buf_str(b, "</td><td data-l=platform class=w>");
    if (wr_str_is(r->index->state, "READY") &&
        wr_serve_find(&package, &model, p->server->serve, r->index->name, r->index->version, &none) == 0) {
        wr_page_cstr(b, model ? model->platform : "weir");
        if (package) wr_serve_give(package);
        if (model) wr_instance_give(model);
    }
    wr_buf_str(b, "</td>");
}

/* Two columns an octave, from the fastest to the slowest. */
static void put_latency(wr_buf *b, const uint64_t *count, double mean, double p99)
{
    enum { STEP = 8 };
    uint64_t sum[WR_DURATION_BINS / STEP] = {0}, bars[BARS] = {0};
    size_t lo = 0, hi = WR_DURATION_BINS / STEP - 1, n;
    char title[200], a[WR_NUM_TEXT], z[WR_NUM_TEXT], m[WR_NUM_TEXT], q[WR_NUM_TEXT];
    for (size_t i = 0; i < WR_DURATION_BINS; i++) sum[i / STEP] += count[i];
    while (lo < hi && !sum[lo]) lo++;
    while (hi > lo && !sum[hi]) hi--;
    n = hi - lo + 1 < BARS ? hi - lo + 1 : BARS;
    for (size_t i = lo; i <= hi; i++) bars[i - lo < BARS ? i - lo : BARS - 1] += sum[i];
    snprintf(title, sizeof title, "how long answers took: from %s to %s, mean %s, 99 of 100 below %s",
             wr_fmt_seconds(a, wr_duration_edge(lo * STEP) / 1e9),
             wr_fmt_seconds(z, wr_duration_edge((hi + 1) * STEP) / 1e9), wr_fmt_seconds(m, mean),
             wr_fmt_seconds(q, p99));
    wr_page_bars(b, title, bars, NULL, n < BARS ? BARS : n); /* as wide as all others: columns of one width */
}

static void put_numbers(wr_page *p, const row *r)
{
    wr_buf *b = p->b;
    char n[WR_NUM_TEXT];
    uint64_t latency[WR_DURATION_BINS], ok = 0, bad = 0;
    const wr_model_stats *s = r->stats;
    if (s) {
        ok = atomic_load_explicit(&s->success.n, memory_order_relaxed);
        bad = atomic_load_explicit(&s->fail.n, memory_order_relaxed);
    }
    wr_buf_printf(b, "<td data-l=requests class=n>%s</td>", s ? wr_fmt_count(n, (double)(ok + bad)) : "");
    wr_buf_printf(b, "<td data-l=failed class=\"n%s\">%s</td>", bad ? " no" : "",
                  s ? wr_fmt_count(n, (double)bad) : "");
    if (!s || !ok) {
        wr_buf_str(b, "<td class=n></td><td class=n></td><td></td><td></td></tr>\n");
        return;
    }
    wr_latency_bins(latency, s);
    double mean = (double)atomic_load_explicit(&s->success.ns, memory_order_relaxed) / (double)ok / 1e9;
    double p99 = wr_bins_quantile(latency, WR_DURATION_BINS, wr_duration_edge, 0.99) / 1e9;
    wr_buf_printf(b, "<td data-l=mean class=n>%s</td>", wr_fmt_seconds(n, mean));
    wr_buf_printf(b, "<td data-l=p99 class=n>%s</td><td data-l=latency>", isnan(p99) ? "" : wr_fmt_seconds(n, p99));
    if (!isnan(p99)) put_latency(b, latency, mean, p99);
    wr_buf_str(b, "</td><td data-l=\"last answer\" class=t>");
    wr_page_ago(b, p->now_us, atomic_load_explicit(&s->last_ms, memory_order_relaxed) * 1000);
    wr_buf_str(b, "</td></tr>\n");
}

/* What only endpoints with features have. */
static void put_watched(wr_page *p, const row *r)
{
    const wr_serve_status *st = &r->endpoint;
    char n[WR_NUM_TEXT];
    if (!st->name || (!st->labels && st->watermark_us == INT64_MIN)) return;
    wr_buf_printf(p->b, "<tr class=more><td colspan=9 class=soft>");
    wr_page_cstr(p->b, st->name);
    wr_buf_printf(p->b, ": %s predictions", wr_fmt_count(n, (double)st->predictions));
    wr_buf_printf(p->b, ", %s labels", wr_fmt_count(n, (double)st->labels));
    if (st->watermark_us != INT64_MIN) {
        wr_buf_str(p->b, ", newest event time ");
        wr_page_time(p->b, st->watermark_us);
    }
    wr_buf_str(p->b, "</td></tr>\n");
}

/* ---- the section ---- */

static void put_log(wr_page *p)
{
    wr_queue_stats k;
    char n[WR_NUM_TEXT];
    wr_serve_keep_stats(&k, p->server->serve);
    wr_buf_printf(p->b, "<div><dt>Answers logged</dt><dd>%s <small>",
                  wr_fmt_count(n, (double)(k.put > k.dropped ? k.put - k.dropped : k.put)));
    if (k.dropped) wr_buf_printf(p->b, "<span class=no>%s dropped</span>", wr_fmt_count(n, (double)k.dropped));
    else wr_buf_str(p->b, "none dropped");
    if (k.waiting) wr_buf_printf(p->b, " &middot; %s waiting", wr_fmt_bytes(n, (double)k.waiting));
    wr_buf_str(p->b, "</small></dd></div>");
}

static void put_process(wr_page *p)
{
    char n[WR_NUM_TEXT];
    wr_server *s = p->server;
    wr_buf_printf(p->b, "<div><dt>Log not drained</dt><dd>%s</dd></div>",
                  wr_fmt_bytes(n, (double)wr_serve_log_bytes(s->serve)));
    wr_buf_printf(p->b, "<div><dt>Memory</dt><dd>%s</dd></div>", wr_fmt_bytes(n, (double)wr_os_rss()));
    wr_buf_printf(p->b, "<div><dt>Energy since the start</dt><dd>%s</dd></div>",
                  wr_fmt_si(n, wr_serve_energy(s->serve), "J"));
}

static void put_tiles(wr_page *p, const wr_index_entry *index, size_t n)
{
    size_t ready = 0, wrong = 0;
    for (size_t i = 0; i < n; i++) {
        bool is = wr_str_is(index[i].state, "READY");
        ready += is;
        wrong += !is && index[i].reason.n && !wr_str_is(index[i].reason, "unloaded");
    }
    wr_buf_str(p->b, "<section id=now data-part aria-label=\"right now\"><dl class=tiles>");
    wr_page_pulse(p);
    wr_buf_printf(p->b, "<div><dt>Models ready</dt><dd>%zu <small>of %zu", ready, n);
    if (wrong) wr_buf_printf(p->b, " &middot; <span class=no>%zu could not be loaded</span>", wrong);
    wr_buf_str(p->b, "</small></dd></div>");
    put_log(p);
    put_process(p);
    wr_buf_str(p->b, "</dl></section>\n");
}

/* An arm, ENDPOINT:ARM, is seen by who may see its endpoint. */
static size_t visible(wr_page *p, wr_index_entry *index, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        wr_str name = index[i].name;
        const char *colon = memchr(name.p, ':', name.n);
        wr_err none;
        if (colon) name.n = (size_t)(colon - name.p);
        if (wr_asker_may(p->access, name, WR_CAN_USE, &none) == 0) index[kept++] = index[i];
    }
    return kept;
}

static void put_none(wr_buf *b)
{
    wr_buf_str(
        b,
        "<p>None yet. An endpoint of <code>weir.yaml</code> is a registered model or a file:</p><pre><code>endpoints:\n"
        "  fraud: {path: exports/fraud.onnx}\n  churn: {model: churn@champion}</code></pre>"
        "<p class=soft><code>weir up --model-repository FOLDER</code> serves a folder of models beside them.</p>");
}

static void put_rows(wr_page *p, const wr_index_entry *index, size_t n, const wr_stats_entry *stats, size_t nstats)
{
    wr_page_table(p->b, "models in service",
                  "model|state|version|platform|#requests|#failed|#mean|#p99|latency|last answer");
    for (size_t i = 0; i < n && i < SHOW; i++) {
        row r = {.index = &index[i], .stats = stats_of(stats, nstats, &index[i])};
        find_endpoint(&r.endpoint, p->server->serve, index[i].name);
        put_name(p, &r);
        put_state(p->b, r.index);
        put_platform(p, &r);
        put_numbers(p, &r);
        put_watched(p, &r);
    }
    wr_page_table_end(p->b);
    if (n > SHOW) wr_buf_printf(p->b, "<p class=soft>and %zu more: <code>weir deploy list</code></p>", n - SHOW);
}

int wr_page_models(wr_page *p, wr_err *err)
{
    wr_index_entry *index;
    wr_stats_entry *stats;
    size_t n, nstats;
    WR_TRY(wr_serve_index(&index, &n, p->server->serve, p->arena, err));
    WR_TRY(wr_serve_stats(&stats, &nstats, p->server->serve, (wr_str){NULL, 0}, (wr_str){NULL, 0}, p->arena, err));
    n = visible(p, index, n);
    put_tiles(p, index, n);
    wr_page_section(p->b, "models", "Models in service");
    if (n) put_rows(p, index, n, stats, nstats);
    else put_none(p->b);
    wr_buf_str(p->b, "</section>\n");
    return 0;
}
