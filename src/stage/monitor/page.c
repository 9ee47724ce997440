/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the windows and what happened, gathered and laid out. */
#include "stage/monitor/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/vec.h"
#include "core/endpoint.h"
#include "core/event.h"
#include "stage/monitor/chart.h"

enum { MOST_ROWS = 52, MOST_COLUMNS = 100, MOST_EVENTS = 40 };

typedef struct {
    int64_t t;
    const char *kind, *text;
} happened;

typedef struct {
    wr_buf *b;
    wr_arena *a;
    wr_project *p;
    const wr_monitor *m;
    wr_monitor_session *s;
    void (*progress)(void *ctx, double fraction);
    void *ctx;
    wr_monitor_result *row;
    size_t nrows; /* one after the other */
    wr_monitor_result *slide;
    size_t nslide; /* every so often, complete ones */
    int64_t *t;    /* ends of slide */
    happened *event;
    size_t nevents;
    wr_chart_mark *mark;
    size_t nmarks;
} page;

static const char style[] =
    ":root{--ink:#1c2024;--soft:#60666d;--line:#e3e6e9;--page:#fff;--panel:#f6f7f8;--bad:#b4232a;--badbg:#fdeceb;--"
    "good:#1a7f4b;--goodbg:#e6f4ec;"
    "--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#aa4499;--c4:#7a5195;--c5:#b8860b;--c6:#4b7bec;--c7:#8b4513}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#9aa1a9;--line:#33383e;--page:#15181b;--panel:#"
    "1d2125;--bad:#ff7b72;--badbg:#3b1d1e;"
    "--good:#56d391;--goodbg:#17301f;--c0:#56b4e9;--c1:#ff8c42;--c2:#2ec4a0;--c3:#dd77cc;--c4:#b39ddb;--c5:#e6b93d;--"
    "c6:#8ab4f8;--c7:#d19a66}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 "
    "system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:1040px;margin:0 auto;padding:32px 24px 48px}h1{font-size:26px;margin:0 0 "
    "2px}h2{font-size:17px;margin:36px 0 8px}p{margin:4px 0}"
    ".soft,figcaption,footer{color:var(--soft)}.cards{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}"
    ".card{flex:1 1 150px;background:var(--panel);border-radius:8px;padding:12px 16px}.card "
    "b{display:block;font-size:20px;line-height:1.4;white-space:nowrap}"
    ".card "
    "span{color:var(--soft);font-size:13px}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;"
    "font-size:14px}"
    ".wide{overflow-x:auto}th{text-align:left;color:var(--soft);font-weight:500;font-size:13px;border-bottom:1px solid "
    "var(--line);padding:6px 10px 6px 0;"
    "white-space:nowrap}td{border-bottom:1px solid var(--line);padding:6px 10px 6px "
    "0;white-space:nowrap}.r{text-align:right}"
    ".tag{border-radius:10px;padding:1px "
    "9px;font-size:12.5px;background:var(--panel);color:var(--soft)}.tag.bad{background:var(--badbg);color:var(--bad)}"
    ".tag.ok{background:var(--goodbg);color:var(--good)}.bar{display:inline-block;width:90px;height:8px;border-radius:"
    "4px;background:var(--line);overflow:hidden;"
    "vertical-align:middle}.bar i{display:block;height:8px;background:var(--c0)}.bar.over "
    "i{background:var(--bad)}figure{margin:20px 0}"
    "figcaption{font-size:14px}figcaption b{color:var(--ink)}svg{width:100%;height:auto;display:block}"
    "svg text{font:12px "
    "system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--line)}.line{fill:none;stroke-width:2;stroke-linejoin:"
    "round}"
    ".bound{stroke:var(--bad);stroke-dasharray:6 4}svg "
    "text.bound{fill:var(--bad);stroke:none}.mark{stroke:var(--soft);stroke-dasharray:2 3}"
    "circle.badge{fill:var(--ink)}svg text.badge{fill:var(--page);font-size:11px;font-weight:600}"
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{"
    "stroke:var(--c5)}.s6{stroke:var(--c6)}"
    ".s7{stroke:var(--c7)}.d0,svg .n0{fill:var(--c0)}.d1,svg .n1{fill:var(--c1)}.d2,svg .n2{fill:var(--c2)}.d3,svg "
    ".n3{fill:var(--c3)}"
    ".d4,svg .n4{fill:var(--c4)}.d5,svg .n5{fill:var(--c5)}.d6,svg .n6{fill:var(--c6)}.d7,svg .n7{fill:var(--c7)}svg "
    "text.name{font-weight:600}"
    ".no{display:inline-block;min-width:20px;height:20px;line-height:20px;border-radius:10px;background:var(--ink);"
    "color:var(--page);text-align:center;"
    "font-size:11px;font-weight:600}code{font:13px "
    "ui-monospace,Consolas,monospace;background:var(--panel);border-radius:4px;padding:1px 5px;"
    "white-space:pre-wrap;overflow-wrap:anywhere}footer{margin-top:36px;font-size:13px;border-top:1px solid "
    "var(--line);padding-top:12px}";

/* ---- gathering ---- */

static void tick(page *g, size_t done, size_t all)
{
    if (g->progress) g->progress(g->ctx, (double)done / (double)(all ? all : 1));
}

static int gather_windows(page *g, wr_err *err)
{
    int64_t *ends, last;
    size_t n, skip, slides = 0, stride = 1;
    WR_TRY(wr_monitor_ends(&ends, &n, g->a, g->s, err));
    skip = n > MOST_ROWS ? n - MOST_ROWS : 0;
    wr_monitor judged = *g->m;
    judged.label_lag_us = 0; /* the lag is for recording; here late labels may still be missing, and that is shown */
    if (wr_monitor_newest(&last, &judged, wr_monitor_watermark(g->s))) {
        slides = (size_t)((last - g->m->from_us - g->m->window_us) / g->m->every_us) + 1;
        stride = (slides + WR_MONITOR_PAGE_POINTS - 1) / WR_MONITOR_PAGE_POINTS;
        slides = (slides - 1) / stride + 1;
    }
    g->row = wr_arena_calloc(g->a, n + 1, sizeof *g->row);
    g->slide = wr_arena_calloc(g->a, slides + 1, sizeof *g->slide);
    g->t = wr_arena_calloc(g->a, slides + 1, sizeof *g->t);
    if (!g->row || !g->slide || !g->t) return wr_err_nomem(err);
    for (size_t i = skip; i < n; i++, g->nrows++) {
        tick(g, g->nrows, n - skip + slides);
        WR_TRY(wr_monitor_window(&g->row[g->nrows], g->a, g->s, ends[i], err));
    }
    for (; g->nslide < slides; g->nslide++) {
        int64_t end = last - (int64_t)((slides - 1 - g->nslide) * stride) * g->m->every_us;
        tick(g, g->nrows + g->nslide, n - skip + slides);
        g->t[g->nslide] = end;
        WR_TRY(wr_monitor_window(&g->slide[g->nslide], g->a, g->s, end, err));
    }
    return 0;
}

/* "model:NAME" of the endpoint's model. */
static int model_subject(const char **out, page *g, wr_err *err)
{
    wr_endpoint e;
    WR_TRY(wr_endpoint_find(&e, g->a, g->p, g->m->endpoint, err));
    wr_str rest = wr_str_of(e.model), name = wr_str_cut(&rest, '@');
    *out = wr_arena_printf(g->a, "model:%.*s", WR_STR_FMT(name));
    return *out ? 0 : wr_err_nomem(err);
}

/* When an event happened in the time of the data: windows and triggers say it; of others the clock is known, and with
 * it the newest event time that had been served by then. 1 = known. */
static int event_time(int64_t *out, page *g, const wr_event *e, yyjson_val *payload, wr_err *err)
{
    yyjson_val *end = yyjson_obj_get(payload, "window_end_us"), *at = yyjson_obj_get(payload, "at_us");
    if (yyjson_is_int(end) || yyjson_is_int(at)) {
        *out = yyjson_get_sint(yyjson_is_int(end) ? end : at);
        return 1;
    }
    WR_TRY(wr_monitor_event_time(out, g->s, e->time_us, err));
    return *out != INT64_MIN;
}

static const char *drift_text(page *g, yyjson_val *payload)
{
    yyjson_val *value = yyjson_obj_get(payload, "value");
    const char *column = yyjson_get_str(yyjson_obj_get(payload, "column")),
               *stat = yyjson_get_str(yyjson_obj_get(payload, "statistic"));
    if (!column || !stat) return "drift";
    if (!yyjson_is_num(value)) return wr_arena_printf(g->a, "drift: %s has no value any more", column);
    return wr_arena_printf(g->a, "drift: %s, %s %.3g", column, stat, yyjson_get_num(value));
}

static const char *run_text(page *g, yyjson_val *payload)
{
    const char *text = "";
    yyjson_val *list = yyjson_obj_get(payload, "run"), *item;
    yyjson_arr_iter it = yyjson_arr_iter_with(list);
    while (text && (item = yyjson_arr_iter_next(&it)))
        if (yyjson_is_str(item))
            text = wr_arena_printf(g->a, "%s%s%s", text, text[0] ? ", " : "", yyjson_get_str(item));
    return text && text[0] ? wr_arena_printf(g->a, "trigger fired: %s", text) : "trigger fired";
}

static const char *event_text(page *g, const wr_event *e, yyjson_val *payload)
{
    const char *model = yyjson_get_str(yyjson_obj_get(payload, "model")),
               *alias = yyjson_get_str(yyjson_obj_get(payload, "alias"));
    long long version = (long long)yyjson_get_sint(yyjson_obj_get(payload, "version"));
    if (strcmp(e->kind, "drift") == 0) return drift_text(g, payload);
    if (strcmp(e->kind, "triggered") == 0) return run_text(g, payload);
    if (!model) return e->kind;
    if (strcmp(e->kind, "promoted") == 0)
        return wr_arena_printf(g->a, "promoted: %s@%lld%s%s", model, version, alias ? " is now " : "",
                               alias ? alias : "");
    if (strcmp(e->kind, "served") == 0) return wr_arena_printf(g->a, "%s@%lld serves", model, version);
    if (strcmp(e->kind, "rollback") == 0) return wr_arena_printf(g->a, "%s@%lld was refused", model, version);
    return wr_arena_printf(g->a, "%s: %s@%lld", e->kind, model, version);
}

static int by_time(const void *a, const void *b)
{
    const happened *x = a, *y = b;
    return x->t != y->t ? (x->t > y->t) - (x->t < y->t) : (x > y) - (x < y);
}

/* Of windows that drift one after the other only the first is worth a mark, and a version that goes on serving after a
 * restart is no news. */
static bool is_news(const happened *h, int64_t every_us, int64_t *last_drift, const char **last_served)
{
    if (strcmp(h->kind, "drift") == 0) {
        int64_t before = *last_drift, since;
        *last_drift = h->t;
        return before == INT64_MIN || __builtin_sub_overflow(h->t, before, &since) || since < 0 || since > every_us;
    }
    if (strcmp(h->kind, "served") != 0) return true;
    bool same = *last_served && strcmp(*last_served, h->text) == 0;
    *last_served = h->text;
    return !same;
}

/* 1 = the event belongs here, and when. */
static int read_event(happened *h, page *g, const wr_event *e, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    if (wr_json_parse(&j, wr_str_of(e->payload), "event", NULL) < 0) return 0;
    int rc = event_time(&h->t, g, e, j.root, err);
    if (rc <= 0) return rc;
    h->kind = e->kind;
    h->text = event_text(g, e, j.root);
    h->text = h->text ? wr_arena_strdup(g->a, h->text) : NULL;
    return h->text ? h->t >= g->m->from_us : wr_err_nomem(err);
}

static int gather_events(page *g, wr_err *err)
{
    static const char *const kinds[] = {"drift", "triggered", "retrained", "promoted",
                                        "gate",  "served",    "rollback",  "performance"};
    wr_event *list;
    size_t n;
    const char *model;
    char endpoint[300];
    snprintf(endpoint, sizeof endpoint, "endpoint:%s", g->m->endpoint);
    WR_TRY(model_subject(&model, g, err));
    WR_TRY(wr_event_list(&list, &n, g->a, g->p, 0, NULL, 0, err));
    g->event = wr_arena_calloc(g->a, n + 1, sizeof *g->event);
    if (!g->event) return wr_err_nomem(err);
    int64_t last_drift = INT64_MIN;
    const char *last_served = NULL;
    for (size_t i = 0; i < n; i++) {
        happened h;
        bool known = false;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) known = known || strcmp(kinds[k], list[i].kind) == 0;
        if (!known || (strcmp(list[i].subject, endpoint) != 0 && strcmp(list[i].subject, model) != 0)) continue;
        int rc = read_event(&h, g, &list[i], err);
        if (rc < 0) return rc;
        if (rc && is_news(&h, g->m->every_us, &last_drift, &last_served)) g->event[g->nevents++] = h;
    }
    qsort(g->event, g->nevents, sizeof *g->event, by_time);
    if (g->nevents > MOST_EVENTS) {
        g->event += g->nevents - MOST_EVENTS;
        g->nevents = MOST_EVENTS;
    }
    g->mark = wr_arena_calloc(g->a, g->nevents + 1, sizeof *g->mark);
    if (!g->mark) return wr_err_nomem(err);
    for (; g->nmarks < g->nevents; g->nmarks++)
        g->mark[g->nmarks] = (wr_chart_mark){g->event[g->nmarks].t, (int)g->nmarks + 1};
    return 0;
}

/* ---- text ---- */

static void number(page *g, double v, bool percent)
{
    if (isnan(v)) wr_buf_str(g->b, "<span class=soft>–</span>");
    else if (percent) wr_buf_printf(g->b, "%.1f %%", 100 * v);
    else wr_buf_printf(g->b, "%.4f", v);
}

static void cell(page *g, double v, bool percent)
{
    wr_buf_str(g->b, "<td class=r>");
    number(g, v, percent);
    wr_buf_str(g->b, "</td>");
}

static void bar(page *g, const wr_monitor_drift *d, double most)
{
    double share = isfinite(d->severity) ? d->severity / most : 1;
    wr_buf_printf(g->b, "<span class=\"bar%s\"><i style=\"width:%.0f%%\"></i></span>", d->drifts ? " over" : "",
                  100 * fmin(share, 1));
}

static void drift_value(page *g, const wr_monitor_drift *d)
{
    if (isnan(d->value)) wr_buf_str(g->b, "no value");
    else wr_buf_printf(g->b, "%.3f", d->value);
}

static void span_text(page *g, const wr_monitor_result *r)
{
    char from[32], to[32];
    wr_chart_day(from, r->start_us);
    wr_chart_day(to, r->end_us);
    wr_buf_printf(g->b, "%s – %s", from, to);
}

static const char *tag(const wr_monitor_result *r)
{
    if (!r->complete) return "<span class=tag>open</span>";
    return r->drifts ? "<span class=\"tag bad\">drift</span>" : "<span class=\"tag ok\">ok</span>";
}

static double most_severe(const wr_monitor_result *r, size_t n)
{
    double most = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r[i].ndrift; k++)
            if (isfinite(r[i].drift[k].severity)) most = fmax(most, r[i].drift[k].severity);
    return most;
}

static void window_row(page *g, const wr_monitor_result *r, double most)
{
    char rows[WR_NUM_TEXT];
    const wr_monitor_drift *worst = r->ndrift ? &r->drift[r->worst] : NULL;
    wr_buf_str(g->b, "<tr><td>");
    span_text(g, r);
    wr_buf_printf(g->b, "</td><td class=r>%s</td>", wr_fmt_count(rows, (double)r->all.rows));
    cell(g, r->all.rows ? (double)r->all.labelled / (double)r->all.rows : NAN, true);
    cell(g, r->all.label_share, true);
    cell(g, r->all.mean_score, true);
    cell(g, r->all.auc, false);
    cell(g, r->all.log_loss, false);
    wr_buf_str(g->b, "<td>");
    for (size_t i = 0; i < r->nversions && i < 4; i++)
        wr_buf_printf(g->b, "%s%lld", i ? ", " : "", (long long)r->versions[i].version);
    wr_buf_str(g->b, "</td><td>");
    if (worst) wr_html_text(g->b, worst->column);
    wr_buf_str(g->b, "</td><td class=r>");
    if (worst) drift_value(g, worst);
    wr_buf_str(g->b, "</td><td>");
    if (worst) bar(g, worst, most);
    wr_buf_printf(g->b, "</td><td>%s</td></tr>\n", tag(r));
}

static void window_table(page *g)
{
    double most = most_severe(g->row, g->nrows);
    wr_buf_str(g->b, "<h2>Windows</h2><div class=wide><table><tr><th>Window<th class=r>Predictions<th "
                     "class=r>Labelled<th class=r>Label share"
                     "<th class=r>Mean score<th class=r>AUC<th class=r>Log loss<th>Model<th>Worst column<th "
                     "class=r>Drift<th><th></tr>\n");
    for (size_t i = 0; i < g->nrows; i++) window_row(g, &g->row[i], most);
    wr_buf_str(g->b, "</table></div>\n");
}

static void column_row(page *g, const wr_monitor_drift *d, double most)
{
    wr_buf_str(g->b, "<tr><td>");
    wr_html_text(g->b, d->column);
    wr_buf_printf(g->b, "</td><td>%s</td><td class=r>", d->stat->name);
    drift_value(g, d);
    wr_buf_printf(g->b, "</td><td class=r>%s %g</td><td>", d->stat->p_value ? "p ≤" : "≥", d->threshold);
    bar(g, d, most);
    wr_buf_str(g->b, "</td>");
    cell(g, d->all.mean_ref, false);
    cell(g, d->all.mean_cur, false);
    cell(g, d->all.missing_ref, true);
    cell(g, d->all.missing_cur, true);
    wr_buf_printf(g->b, "<td>%s</td></tr>\n",
                  d->drifts ? "<span class=\"tag bad\">drift</span>" : "<span class=\"tag ok\">ok</span>");
}

static void column_table(page *g, const wr_monitor_result *r)
{
    double most = most_severe(r, 1);
    wr_buf_str(g->b, "<h2>Columns, ");
    span_text(g, r);
    wr_buf_str(g->b, "</h2><div class=wide><table><tr><th>Column<th>Statistic<th class=r>Value<th class=r>Drifts "
                     "at<th><th class=r>Mean, reference"
                     "<th class=r>Mean, window<th class=r>Missing, reference<th class=r>Missing, window<th></tr>\n");
    for (size_t i = 0; i < r->ndrift && i < MOST_COLUMNS; i++) column_row(g, &r->drift[i], most);
    wr_buf_str(g->b, "</table></div>\n");
}

static void event_table(page *g)
{
    char day[32];
    if (!g->nevents) return;
    wr_buf_str(g->b, "<h2>What happened</h2><div class=wide><table>\n");
    for (size_t i = 0; i < g->nevents; i++) {
        wr_chart_day(day, g->event[i].t);
        wr_buf_printf(
            g->b, "<tr><td style=\"width:40px\"><span class=no>%zu</span></td><td style=\"width:120px\">%s</td><td>",
            i + 1, day);
        wr_html_text(g->b, g->event[i].text);
        wr_buf_str(g->b, "</td></tr>\n");
    }
    wr_buf_str(g->b, "</table></div>\n");
}

static void card(page *g, const char *name, const char *value)
{
    wr_buf_str(g->b, "<div class=card><b>");
    wr_html_text(g->b, value);
    wr_buf_str(g->b, "</b><span>");
    wr_html_text(g->b, name);
    wr_buf_str(g->b, "</span></div>");
}

static void cards(page *g, const wr_monitor_result *r)
{
    char text[WR_NUM_TEXT];
    size_t all = 0, drifting = 0, complete = 0;
    for (size_t i = 0; i < g->nrows; i++) {
        all += g->row[i].all.rows;
        complete += g->row[i].complete;
        drifting += g->row[i].complete && g->row[i].drifts;
    }
    if (r) {
        wr_buf_str(g->b, "<p class=soft>Newest complete window: ");
        span_text(g, r);
        wr_buf_str(g->b, "</p>");
    }
    wr_buf_str(g->b, "<div class=cards>");
    card(g, "predictions", wr_fmt_count(text, (double)all));
    snprintf(text, sizeof text, "%zu of %zu", drifting, complete);
    card(g, "complete windows drift", text);
    if (r && r->ndrift) {
        snprintf(text, sizeof text, isnan(r->drift[r->worst].value) ? "no value" : "%.2f", r->drift[r->worst].value);
        const char *name = wr_arena_printf(g->a, "worst drift: %s", r->drift[r->worst].column);
        card(g, name ? name : "worst drift", text);
    }
    if (r && isfinite(r->all.auc)) {
        snprintf(text, sizeof text, "%.3f", r->all.auc);
        card(g, "AUC", text);
    }
    if (r && isfinite(r->all.label_share)) {
        snprintf(text, sizeof text, "%.1f / %.1f %%", 100 * r->all.label_share, 100 * r->all.mean_score_labelled);
        card(g, "positive: seen / predicted", text);
    }
    wr_buf_str(g->b, "</div>\n");
}

/* ---- lines ---- */

static double *series(page *g) { return wr_arena_calloc(g->a, g->nslide + 1, sizeof(double)); }

static void chart(page *g, wr_chart *c)
{
    c->t = g->t;
    c->n = g->nslide;
    c->marks = g->mark;
    c->nmarks = g->nmarks;
    wr_chart_svg(g->b, c);
}

/* Do all columns share statistic and threshold, so that their values may stand on one axis? */
static bool one_scale(const page *g)
{
    const wr_monitor_drift *first = NULL;
    for (size_t i = 0; i < g->nslide; i++)
        for (size_t k = 0; k < g->slide[i].ndrift; k++) {
            const wr_monitor_drift *d = &g->slide[i].drift[k];
            if (!first) first = d;
            if (d->stat != first->stat || fabs(d->threshold - first->threshold) > 1e-12 || d->stat->p_value)
                return false;
        }
    return first != NULL;
}

/* The columns drawn: the score and those that came nearest to their thresholds, in the monitor's order. */
static size_t chosen(size_t out[WR_CHART_LINES], page *g)
{
    double *peak = wr_arena_calloc(g->a, g->m->ncolumns, sizeof *peak);
    size_t n = 0;
    if (!peak) return 0;
    for (size_t i = 0; i < g->nslide; i++)
        for (size_t k = 0; k < g->slide[i].ndrift; k++)
            if (isfinite(g->slide[i].drift[k].severity)) peak[k] = fmax(peak[k], g->slide[i].drift[k].severity);
    peak[g->m->ncolumns - 1] = INFINITY;
    for (size_t k = 0; k < g->m->ncolumns; k++) {
        size_t before = 0;
        for (size_t o = 0; o < g->m->ncolumns; o++) before += peak[o] > peak[k] || (peak[o] >= peak[k] && o < k);
        if (before < WR_CHART_LINES) out[n++] = k;
    }
    return n;
}

static int drift_chart(page *g, wr_err *err)
{
    size_t column[WR_CHART_LINES], n = chosen(column, g);
    wr_chart_line lines[WR_CHART_LINES];
    bool raw = one_scale(g);
    char note[160], bound[48];
    for (size_t l = 0; l < n; l++) {
        double *v = series(g);
        if (!v) return wr_err_nomem(err);
        for (size_t i = 0; i < g->nslide; i++) {
            const wr_monitor_drift *d = g->slide[i].ndrift ? &g->slide[i].drift[column[l]] : NULL;
            v[i] = !d ? NAN : raw ? d->value : fmin(d->severity, 1000);
        }
        lines[l] = (wr_chart_line){g->m->columns[column[l]].name, v, (int)l};
    }
    snprintf(note, sizeof note,
             raw ? "by %s from the reference, at the end of each window%s"
                 : "in multiples of each column's threshold%s%s",
             raw ? g->m->stat->name : "", n < g->m->ncolumns ? " (the most severe columns)" : "");
    snprintf(bound, sizeof bound, raw ? "threshold %g" : "threshold", g->m->threshold);
    double at = 1;
    for (size_t i = 0; raw && i < g->nslide; i++)
        if (g->slide[i].ndrift) at = g->slide[i].drift[0].threshold;
    wr_chart c = {.title = "Drift",
                  .note = note,
                  .lines = lines,
                  .nlines = n,
                  .has_bound = true,
                  .bound = at,
                  .bound_name = bound,
                  .from_zero = true,
                  .height = 270};
    chart(g, &c);
    return 0;
}

static int performance_charts(page *g, wr_err *err)
{
    double *auc = series(g), *seen = series(g), *predicted = series(g);
    bool any = false;
    if (!auc || !seen || !predicted) return wr_err_nomem(err);
    for (size_t i = 0; i < g->nslide; i++) {
        auc[i] = g->slide[i].all.auc;
        seen[i] = g->slide[i].all.label_share;
        predicted[i] = g->slide[i].all.mean_score_labelled;
        any = any || isfinite(seen[i]);
    }
    if (!any) {
        wr_buf_str(g->b, "<p class=soft>No labels have come yet: performance is not known.</p>\n");
        return 0;
    }
    const wr_monitor_performance *last = &g->slide[g->nslide - 1].all;
    char note[120];
    snprintf(note, sizeof note, "AUC of the labelled predictions of each window; of the newest %.0f %% are labelled",
             last->rows ? 100 * (double)last->labelled / (double)last->rows : 0.0);
    wr_chart_line one[] = {{"AUC", auc, 0}}, two[] = {{"seen", seen, 2}, {"predicted", predicted, 1}};
    wr_chart ranking = {.title = "Performance", .note = note, .lines = one, .nlines = 1, .height = 150};
    wr_chart calibration = {.title = "Calibration",
                            .note = "share of positive labels, seen and predicted",
                            .lines = two,
                            .nlines = 2,
                            .percent = true,
                            .height = 150};
    chart(g, &ranking);
    chart(g, &calibration);
    return 0;
}

/* ---- the whole ---- */

static void head(page *g)
{
    wr_buf_str(g->b, "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport "
                     "content=\"width=device-width\"><title>");
    wr_html_text(g->b, g->m->endpoint);
    wr_buf_printf(g->b, " – monitor</title><style>%s</style></head><body><main>\n<h1>", style);
    wr_html_text(g->b, g->m->endpoint);
    wr_buf_str(g->b, "</h1><p class=soft>What the endpoint was asked and answered, against how it used to be and what "
                     "came true.</p>\n");
}

static void foot(page *g)
{
    char now[WR_TIME_TEXT], window[WR_NUM_TEXT];
    wr_time_format(now, wr_clock_wall_us() / WR_US * WR_US);
    wr_buf_printf(g->b, "<footer><p>Reference: <code>");
    wr_html_text(g->b, g->m->reference);
    wr_buf_printf(g->b,
                  "</code></p><p>Windows of %s in event time. %s: %s. Labels are joined by prediction id, the first "
                  "received counts; windows are "
                  "judged on the labels that have come so far. The reference is scored by the newest model version in "
                  "each window.</p><p>Weir ",
                  wr_fmt_seconds(window, (double)g->m->window_us / 1e6), g->m->stat->name, g->m->stat->summary);
    wr_html_text(g->b, WEIR_VERSION);
    wr_buf_printf(g->b, ", %s</p></footer>\n</main></body></html>\n", now);
}

static int body(page *g, wr_err *err)
{
    const wr_monitor_result *newest = NULL;
    for (size_t i = 0; i < g->nrows; i++)
        if (g->row[i].complete && g->row[i].all.rows) newest = &g->row[i];
    head(g);
    cards(g, newest);
    if (g->nslide) {
        WR_TRY(drift_chart(g, err));
        WR_TRY(performance_charts(g, err));
    } else {
        wr_buf_str(g->b, "<p class=soft>No window is complete yet.</p>\n");
    }
    event_table(g);
    window_table(g);
    if (newest && newest->ndrift) column_table(g, newest);
    foot(g);
    return g->b->failed ? wr_err_nomem(err) : 0;
}

int wr_monitor_page(wr_buf *out, wr_project *p, const wr_monitor *m, wr_monitor_session *s,
                    void (*progress)(void *ctx, double fraction), void *ctx, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    page g = {.b = out, .a = a, .p = p, .m = m, .s = s, .progress = progress, .ctx = ctx};
    if (!a) return wr_err_nomem(err);
    WR_TRY(gather_windows(&g, err));
    WR_TRY(gather_events(&g, err));
    return body(&g, err);
}
