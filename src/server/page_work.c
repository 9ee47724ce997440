/* SPDX-License-Identifier: Apache-2.0 */
/* page_work.c - jobs of the scheduler and the last events. */
#include "base/clock.h"
#include "core/event.h"
#include "server/page.h"

static void cell(wr_buf *b, yyjson_val *job, const char *key, const char *class)
{
    yyjson_val *v = yyjson_obj_get(job, key);
    wr_buf_printf(b, "<td data-l=%s class=\"%s\">", key, class);
    if (yyjson_is_str(v) && strcmp(class, "t") == 0) wr_page_short_time(b, yyjson_get_str(v));
    else if (yyjson_is_str(v)) wr_page_cstr(b, yyjson_get_str(v));
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
    wr_page_table(b, "jobs", "#no.|kind|what|state|started|ended|#exit");
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
    wr_page_table_end(b);
}

void wr_page_jobs(wr_page *p)
{
    wr_jsonw w;
    WR_AUTOBUF wr_buf json;
    wr_buf_init(&json, 0);
    wr_jsonw_init(&w, &json, 0);
    wr_server_put_jobs(&w, p->server);
    wr_page_section(p->b, "jobs", "Jobs");
    if (!p->server->schedule) wr_buf_str(p->b, "<p class=soft>The scheduler is off (<code>--no-schedule</code>).</p>");
    else put_job_rows(p->b, wr_buf_view(&json));
    wr_buf_str(p->b, "</section>\n");
}

/* Long ones are folded; the number of the event is the name of the fold, for the script. */
static void put_payload(wr_buf *b, int64_t id, const char *payload)
{
    enum { SHORT = 110 };
    wr_str all = wr_str_of(payload), some = wr_str_fit(all, SHORT);
    char first[SHORT + 1];
    memcpy(first, some.p, some.n);
    first[some.n] = 0;
    if (some.n < all.n) wr_buf_printf(b, "<details id=event-%lld><summary>", (long long)id);
    wr_buf_str(b, "<code class=soft>");
    wr_page_cstr(b, first);
    wr_buf_str(b, "</code>");
    if (some.n == all.n) return;
    wr_buf_str(b, "</summary><code class=soft>");
    wr_page_cstr(b, payload);
    wr_buf_str(b, "</code></details>");
}

static void put_event(wr_buf *b, const wr_event *e)
{
    wr_buf_printf(b, "<tr><td data-l=no. class=n>%lld</td><td data-l=time class=t>", (long long)e->id);
    wr_page_time(b, e->time_us - e->time_us % WR_US);
    wr_buf_str(b, "</td><td data-l=what>");
    wr_page_cstr(b, e->kind);
    wr_buf_str(b, "</td><td data-l=of>");
    wr_page_cstr(b, e->subject);
    wr_buf_str(b, "</td><td>");
    put_payload(b, e->id, e->payload);
    wr_buf_str(b, "</td></tr>\n");
}

/* The newest first; events are numbered from 1 without gaps worth speaking of, so the last few are near the newest
 * number. */
int wr_page_events(wr_page *p, wr_err *err)
{
    enum { SHOW = 20 };
    wr_event *e;
    size_t n;
    int64_t newest;
    WR_TRY(wr_server_newest_event(&newest, p->server->project, err));
    WR_TRY(wr_event_list(&e, &n, p->arena, p->server->project, newest > SHOW ? newest - SHOW : 0, NULL, SHOW, err));
    wr_page_section(p->b, "events", "Last events");
    if (n) wr_page_table(p->b, "last events", "#no.|time|what|of|details");
    else wr_buf_str(p->b, "<p class=soft>None yet.</p>");
    for (size_t i = n; i-- > 0;) put_event(p->b, &e[i]);
    if (n) wr_page_table_end(p->b);
    wr_buf_str(p->b, "</section>\n");
    return 0;
}
