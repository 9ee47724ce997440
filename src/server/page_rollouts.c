/* SPDX-License-Identifier: Apache-2.0 */
/* page_rollouts.c - rollouts: which arm gets how much, what each did, what guardrails say. Shown is what `weir deploy
 * status` reads (stage/rollout/run.h). */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "core/rollout.h"
#include "server/page.h"
#include "stage/rollout/run.h"

static const char *string(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "";
}

/* NaN when it is not known. */
static double number(yyjson_val *v, const char *key)
{
    yyjson_val *n = yyjson_obj_get(v, key);
    return yyjson_is_num(n) ? yyjson_get_num(n) : (double)NAN;
}

static void put_count(wr_buf *b, yyjson_val *arm, const char *key, const char *label, bool bad)
{
    char n[WR_NUM_TEXT];
    double v = number(arm, key);
    wr_buf_printf(b, "<td data-l=%s class=\"n%s\">%s</td>", label, bad && v > 0 ? " no" : "",
                  isnan(v) ? "" : wr_fmt_count(n, v));
}

static void put_measure(wr_buf *b, const char *label, double v, const char *unit)
{
    char n[40] = "";
    if (!isnan(v)) snprintf(n, sizeof n, "%.4g%s", v, unit);
    wr_buf_printf(b, "<td data-l=\"%s\" class=n>%s</td>", label, n);
}

static void put_seconds(wr_buf *b, const char *label, double ms)
{
    char n[WR_NUM_TEXT];
    wr_buf_printf(b, "<td data-l=%s class=n>%s</td>", label, isnan(ms) ? "" : wr_fmt_seconds(n, ms / 1000));
}

static void put_energy(wr_buf *b, double joules)
{
    char n[WR_NUM_TEXT];
    wr_buf_printf(b, "<td data-l=\"energy per 1000\" class=n>%s</td>", isnan(joules) ? "" : wr_fmt_si(n, joules, "J"));
}

static void put_guards(wr_buf *b, yyjson_val *arm)
{
    static const struct {
        const char *verdict, *class, *sign;
    } signs[] = {{"fine", "ok", "&#10003;"},
                 {"waits", "soft", "&hellip;"},
                 {"failed", "wait", "!"},
                 {"certain", "no", "&#10007;"}};
    size_t i, max;
    yyjson_val *g;
    wr_buf_str(b, "<td data-l=guardrails>");
    yyjson_arr_foreach(yyjson_obj_get(arm, "guardrails"), i, max, g)
    {
        const char *verdict = string(g, "verdict");
        size_t k = 0;
        while (k < 3 && strcmp(verdict, signs[k].verdict) != 0) k++;
        wr_buf_printf(b, "<span class=\"guard %s\"", signs[k].class);
        if (string(g, "why")[0]) {
            wr_buf_str(b, " title=\"");
            wr_page_cstr(b, string(g, "why"));
            wr_buf_char(b, '"');
        }
        wr_buf_printf(b, "><b aria-hidden=true>%s</b> ", signs[k].sign);
        wr_page_cstr(b, string(g, "name"));
        wr_buf_char(b, ' ');
        wr_page_cstr(b, strcmp(verdict, "certain") == 0 ? "certainly worse" : verdict);
        wr_buf_str(b, "</span>");
    }
    wr_buf_str(b, "</td>");
}

static void put_arm(wr_buf *b, yyjson_val *arm, size_t i)
{
    wr_buf_printf(b, "<tr><th scope=row><span class=\"key arm%zu\"></span>", i % 6);
    wr_page_cstr(b, string(arm, "name"));
    if (yyjson_get_bool(yyjson_obj_get(arm, "out"))) wr_buf_str(b, " <span class=no>taken out</span>");
    wr_buf_str(b, "<span class=\"under soft\">");
    wr_page_cstr(b, string(arm, "reference"));
    if (number(arm, "version") > 0) wr_buf_printf(b, ", version %.0f", number(arm, "version"));
    wr_buf_str(b, "</span>");
    if (string(arm, "error")[0]) {
        wr_buf_str(b, "<span class=\"under no\">");
        wr_page_cstr(b, string(arm, "error"));
        wr_buf_str(b, "</span>");
    }
    wr_buf_str(b, "</th>");
    put_measure(b, "share", number(arm, "share") * 100, "%");
    put_count(b, arm, "requests", "requests", false);
    put_count(b, arm, "errors", "failed", true);
    put_seconds(b, "p50", number(arm, "p50_ms"));
    put_seconds(b, "p99", number(arm, "p99_ms"));
    put_energy(b, number(arm, "joules_1000"));
    put_measure(b, "reward", number(arm, "reward"), "");
    put_guards(b, arm);
    wr_buf_str(b, "</tr>\n");
}

static void put_shares(wr_buf *b, yyjson_val *arms)
{
    double share[WR_ROLLOUT_ARMS];
    char title[WR_ROLLOUT_ARMS * 16] = "";
    size_t i, max, n = 0, at = 0;
    yyjson_val *arm;
    yyjson_arr_foreach(arms, i, max, arm)
    {
        if (n == WR_ROLLOUT_ARMS) break;
        share[n] = number(arm, "share");
        at += (size_t)snprintf(title + at, sizeof title - at, "%s%.3g%%", n ? ", " : "shares: ", share[n] * 100);
        n++;
    }
    wr_page_shares(b, title, share, n);
}

static void put_rollout(wr_buf *b, yyjson_val *r)
{
    const char *phase = string(r, "phase");
    const char *class = strcmp(phase, "running") == 0 || strcmp(phase, "promoted") == 0 ? "ok"
                        : strcmp(phase, "rolled_back") == 0                             ? "no"
                                                                                        : "wait";
    yyjson_val *arms = yyjson_obj_get(r, "arms");
    size_t i, max;
    yyjson_val *arm;
    wr_buf_str(b, "<article><h3>");
    wr_page_cstr(b, string(r, "endpoint"));
    wr_buf_printf(b, " <small class=soft>%s</small> <small class=%s>%s</small></h3><p class=soft>since ",
                  string(r, "mode"), class, strcmp(phase, "rolled_back") == 0 ? "rolled back" : phase);
    wr_page_short_time(b, string(r, "started"));
    if (number(r, "step") > 0) wr_buf_printf(b, " &middot; step %.0f", number(r, "step"));
    if (number(r, "failed_checks") > 0) wr_buf_printf(b, " &middot; %.0f failed checks", number(r, "failed_checks"));
    wr_buf_str(b, "</p>");
    if (string(r, "why")[0]) {
        wr_buf_str(b, "<p>");
        wr_page_cstr(b, string(r, "why"));
        wr_buf_str(b, "</p>");
    }
    put_shares(b, arms);
    wr_page_table(b, "arms", "arm|#share|#requests|#failed|#p50|#p99|#energy per 1000|#reward|guardrails");
    yyjson_arr_foreach(arms, i, max, arm) put_arm(b, arm, i);
    wr_page_table_end(b);
    wr_buf_str(b, "</article>\n");
}

static void put_one(wr_page *p, wr_str endpoint, size_t *shown)
{
    WR_AUTOBUF wr_buf json = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_err none;
    if (wr_asker_may(p->access, endpoint, WR_CAN_USE, &none) < 0) return;
    if (wr_rollout_status(&json, p->server->serve, endpoint, &none) < 0) return; /* it has none */
    if (wr_json_parse(&j, wr_buf_view(&json), "rollout", &none) < 0) return;
    put_rollout(p->b, j.root);
    (*shown)++;
}

void wr_page_rollouts(wr_page *p)
{
    size_t shown = 0;
    wr_page_section(p->b, "rollouts", "Rollouts");
    for (size_t i = 0; i < wr_serve_count(p->server->serve); i++) {
        wr_serve_status st;
        wr_serve_status_of(&st, p->server->serve, i);
        put_one(p, wr_str_of(st.name), &shown);
    }
    if (!shown)
        wr_buf_str(
            p->b,
            "<p class=soft>None. <code>weir deploy rollout ENDPOINT --to MODEL@VERSION</code> brings a new model to an "
            "endpoint step by step.</p>");
    wr_buf_str(p->b, "</section>\n");
}
