/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the status page at "/": endpoints, jobs and the last events in one self-contained page without scripts. */
#include "base/clock.h"
#include "base/num.h"
#include "base/os.h"
#include "core/event.h"
#include "server/server_inside.h"

static const char style[] =
    "<style>:root{color-scheme:light dark;--line:#8883;--soft:#777}body{font:15px/1.5 "
    "system-ui,sans-serif;max-width:62rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 "
    ".4rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid "
    "var(--line);vertical-align:top}th{font-weight:600;color:var(--soft);"
    "font-size:.85rem}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font:13px "
    "ui-monospace,monospace;overflow-wrap:anywhere}"
    "td.t{white-space:nowrap;font-variant-numeric:tabular-nums}.soft{color:var(--soft)}.ok{color:#1a7f37}.no{color:#"
    "b35900}.scroll{overflow-x:auto}</style>";

static void text(wr_buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '<') wr_buf_str(b, "&lt;");
        else if (*s == '&') wr_buf_str(b, "&amp;");
        else if (*s == '"') wr_buf_str(b, "&quot;");
        else wr_buf_char(b, *s);
    }
}

static void put_endpoint(wr_buf *b, const wr_serve_status *st)
{
    char n[WR_NUM_TEXT], at[WR_TIME_TEXT] = "";
    if (st->watermark_us != INT64_MIN) wr_time_format(at, st->watermark_us);
    wr_buf_str(b, "<tr><td><strong>");
    text(b, st->name);
    wr_buf_printf(b, "</strong></td><td class=\"%s\">%s</td><td>", st->ready ? "ok" : "no",
                  st->ready ? "ready" : "not ready");
    text(b, st->ready ? st->model : st->reference);
    if (st->ready && st->version) wr_buf_printf(b, " version %lld", (long long)st->version);
    if (st->ready && !st->plain) wr_buf_printf(b, " <code class=soft title=\"package\">%.12s</code>", st->package);
    if (st->error[0]) {
        wr_buf_str(b, "<br><span class=no>");
        text(b, st->error);
        wr_buf_str(b, "</span>");
    }
    wr_buf_printf(b, "</td><td class=n>%s</td>", wr_fmt_count(n, (double)st->predictions));
    wr_buf_printf(b, "<td class=n>%s</td><td class=t>%s</td></tr>\n", wr_fmt_count(n, (double)st->labels), at);
}

static void put_endpoints(wr_buf *b, wr_server *s)
{
    size_t n = wr_serve_count(s->serve);
    wr_buf_str(b, "<h2>Endpoints</h2>");
    if (!n) {
        wr_buf_str(b, "<p class=soft>weir.yaml declares none. For example <code>endpoints: {delay: {model: "
                      "delay@champion}}</code></p>");
        return;
    }
    wr_buf_str(b, "<div class=scroll><table><tr><th>name</th><th>state</th><th>model</th><th "
                  "class=n>predictions</th><th class=n>labels</th>"
                  "<th>newest event time</th></tr>\n");
    for (size_t i = 0; i < n; i++) {
        wr_serve_status st;
        wr_serve_status_of(&st, s->serve, i);
        put_endpoint(b, &st);
    }
    wr_buf_str(b, "</table></div>");
}

/* "2026-11-23 23:16:32" of an RFC 3339 time: who looks at a status page wants neither its T nor its microseconds. */
static void short_time(wr_buf *b, const char *t)
{
    if (strlen(t) < 19) wr_buf_str(b, t);
    else wr_buf_printf(b, "%.10s %.8s", t, t + 11);
}

static void cell(wr_buf *b, yyjson_val *job, const char *key, const char *class)
{
    yyjson_val *v = yyjson_obj_get(job, key);
    wr_buf_printf(b, "<td class=\"%s\">", class);
    if (yyjson_is_str(v) && strcmp(class, "t") == 0) short_time(b, yyjson_get_str(v));
    else if (yyjson_is_str(v)) text(b, yyjson_get_str(v));
    else if (yyjson_is_int(v)) wr_buf_i64(b, yyjson_get_sint(v));
    wr_buf_str(b, "</td>");
}

/* The scheduler tells its jobs as JSON; this shows what is in it. */
static void put_job_rows(wr_buf *b, wr_str json)
{
    enum { SHOW = 10 };
    WR_AUTOJSON wr_json j = {0};
    size_t i, max;
    yyjson_val *job;
    if (wr_json_parse(&j, json, "jobs", NULL) < 0 || yyjson_arr_size(j.root) == 0) {
        wr_buf_str(b, "<p class=soft>None yet.</p>");
        return;
    }
    wr_buf_str(b, "<div class=scroll><table><tr><th "
                  "class=n>no.</th><th>kind</th><th>what</th><th>state</th><th>started</th><th>ended</th>"
                  "<th class=n>exit</th></tr>\n");
    yyjson_arr_foreach(j.root, i, max, job)
    {
        const char *state = yyjson_get_str(yyjson_obj_get(job, "state"));
        if (i == SHOW) break;
        wr_buf_str(b, "<tr>");
        cell(b, job, "id", "n");
        cell(b, job, "kind", "");
        cell(b, job, "what", "");
        cell(b, job, "state", state && strcmp(state, "failed") == 0 ? "no" : "ok");
        cell(b, job, "started", "t");
        cell(b, job, "ended", "t");
        cell(b, job, "exit_code", "n");
        wr_buf_str(b, "</tr>\n");
    }
    wr_buf_str(b, "</table></div>");
}

static void put_jobs(wr_buf *b, wr_server *s)
{
    wr_jsonw w;
    WR_AUTOBUF wr_buf json;
    wr_buf_init(&json, 0);
    wr_jsonw_init(&w, &json, 0);
    wr_server_put_jobs(&w, s);
    wr_buf_str(b, "<h2>Jobs</h2>");
    if (!s->schedule) wr_buf_str(b, "<p class=soft>The scheduler is off (<code>--no-schedule</code>).</p>");
    else put_job_rows(b, wr_buf_view(&json));
}

/* Long ones are folded. */
static void put_payload(wr_buf *b, const char *payload)
{
    enum { SHORT = 110 };
    wr_str all = wr_str_of(payload), some = wr_str_fit(all, SHORT);
    char first[SHORT + 1];
    memcpy(first, some.p, some.n);
    first[some.n] = 0;
    if (some.n < all.n) wr_buf_str(b, "<details><summary>");
    wr_buf_str(b, "<code class=soft>");
    text(b, first);
    wr_buf_str(b, "</code>");
    if (some.n == all.n) return;
    wr_buf_str(b, "</summary><code class=soft>");
    text(b, payload);
    wr_buf_str(b, "</code></details>");
}

/* The newest first; events are numbered from 1 without gaps worth speaking of, so the last few are near the newest
 * number. */
static int put_events(wr_buf *b, wr_server *s, wr_arena *a, wr_err *err)
{
    enum { SHOW = 20 };
    wr_event *e;
    size_t n;
    int64_t newest;
    char at[WR_TIME_TEXT];
    WR_TRY(wr_server_newest_event(&newest, s->project, err));
    WR_TRY(wr_event_list(&e, &n, a, s->project, newest > SHOW ? newest - SHOW : 0, NULL, SHOW, err));
    wr_buf_str(b, "<h2>Last events</h2>");
    if (!n) wr_buf_str(b, "<p class=soft>None yet.</p>");
    else
        wr_buf_str(b, "<div class=scroll><table><tr><th "
                      "class=n>no.</th><th>time</th><th>what</th><th>of</th><th>details</th></tr>\n");
    for (size_t i = n; i-- > 0;) {
        wr_time_format(at, e[i].time_us - e[i].time_us % WR_US);
        wr_buf_printf(b, "<tr><td class=n>%lld</td><td class=t>", (long long)e[i].id);
        short_time(b, at);
        wr_buf_str(b, "</td><td>");
        text(b, e[i].kind);
        wr_buf_str(b, "</td><td>");
        text(b, e[i].subject);
        wr_buf_str(b, "</td><td>");
        put_payload(b, e[i].payload);
        wr_buf_str(b, "</td></tr>\n");
    }
    if (n) wr_buf_str(b, "</table></div>");
    return 0;
}

static void put_head(wr_buf *b, wr_server *s)
{
    char started[WR_TIME_TEXT], rss[WR_NUM_TEXT], energy[WR_NUM_TEXT], log[WR_NUM_TEXT];
    wr_time_format(started, s->started_us - s->started_us % WR_US);
    wr_buf_str(
        b, "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
           "<meta http-equiv=refresh content=10><title>Weir</title>");
    wr_buf_str(b, style);
    wr_buf_printf(b,
                  "</head><body><h1>Weir</h1><p class=soft>%s &middot; since %s &middot; %s of memory &middot; %s "
                  "&middot; %s in the log &middot; ",
                  WEIR_VERSION, started, wr_fmt_bytes(rss, (double)wr_os_rss()),
                  wr_fmt_si(energy, wr_serve_energy(s->serve), "J"),
                  wr_fmt_bytes(log, (double)wr_serve_log_bytes(s->serve)));
    text(b, wr_project_root(s->project));
    wr_buf_str(b, "</p>");
}

static const char tail[] = "<h2>Addresses</h2><p><code>POST /v2/models/NAME/infer</code> (Open Inference Protocol) "
                           "&middot; <a href=/metrics>/metrics</a> &middot; "
                           "<a href=/api/weir/1/endpoints>endpoints</a> &middot; <a href=/api/weir/1/jobs>jobs</a> "
                           "&middot; <a href=/api/weir/1/events>events</a></p>"
                           "</body></html>\n";

void wr_handle_page(wr_call *c)
{
    wr_err err = {0};
    wr_buf *b = &c->loop->body;
    put_head(b, c->server);
    put_endpoints(b, c->server);
    put_jobs(b, c->server);
    if (put_events(b, c->server, c->arena, &err) < 0) {
        wr_call_err(c, &err);
        return;
    }
    wr_buf_str(b, tail);
    wr_http_reply_opt opt = {
        .status = b->failed ? 500 : 200,
        .type = "text/html; charset=utf-8",
        .headers =
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nCache-Control: no-store\r\n"};
    wr_http_reply(c->req, &opt, b->failed ? WR_STR("") : wr_buf_view(b));
    c->status = opt.status;
}
