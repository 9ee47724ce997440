/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_trace.c - weir trace: where something comes from, what came of it, and what that cost. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cli/commands.h"
#include "cli/trace_print.h"
#include "stage/predlog/predlog.h"
#include "store/applog.h"

static const wr_cmd_arg args[] = {
    {"down", 'd', WR_ARG_FLAG, NULL, "what came of it, instead of where it comes from", NULL},
};

/* ---- a prediction that is in the server's log only ---- */

typedef struct {
    wr_str id;
    wr_arena *arena;
    bool found;
} log_search;

static int log_record(void *ctx, uint32_t type, wr_str payload)
{
    log_search *l = ctx;
    wr_predlog_prediction q;
    if (type != WR_PREDLOG_PREDICTION || !memmem(payload.p, payload.n, l->id.p, l->id.n)) return 0;
    wr_arena_clear(l->arena);
    if (wr_predlog_get_prediction(&q, l->arena, payload, NULL) == 0 && wr_str_eq(q.id, l->id)) l->found = true;
    return l->found ? WEIR_ECANCELED : 0;
}

static bool in_log(wr_project *p, const char *what)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0), *scratch = wr_arena_new(0);
    uint64_t *numbers;
    size_t n;
    const char *dir;
    log_search l = {.id = wr_str_of(what), .arena = scratch};
    if (!a || !scratch || !l.id.n) return false;
    if (wr_project_state(&dir, p, "log", false, NULL) < 0 || wr_applog_list(&numbers, &n, a, dir, NULL) < 0)
        return false;
    for (size_t i = n; i-- > 0 && !l.found;) wr_applog_read(dir, numbers[i], log_record, &l, NULL);
    return l.found;
}

static int unflushed(wr_project *p, const char *what, int rc, wr_err *err)
{
    const char *id = wr_str_starts(wr_str_of(what), "prediction:") ? what + 11 : what;
    if (rc != WEIR_ENOTFOUND || !in_log(p, id)) return rc;
    wr_err_set(err, rc, "prediction \"%s\" is still in the server's log only", id);
    return wr_err_hint(err, rc, "weir deploy flush writes what was served to the lake; then it can be traced");
}

/* ---- text ---- */

static const char *joules(char *out, double v, const char *unit)
{
    return isnan(v) ? "unknown" : wr_fmt_si(out, v, unit);
}

static void print_values(wr_cli *c, const wr_trace_prediction *q, bool features)
{
    const char *line = "";
    for (size_t i = 0; line && i < q->nvalues; i++) {
        if (q->values[i].feature != features) continue;
        const char *text = q->values[i].text ? q->values[i].text : "missing";
        if (strlen(line) + strlen(q->values[i].name) + strlen(text) > 96) {
            wr_say(c, "%-12s%s", features ? "  features" : "  request", line);
            line = "";
        }
        line = wr_arena_printf(wr_cli_arena(c), "%s%s%s=%s", line, line[0] ? " " : "", q->values[i].name, text);
    }
    if (line && line[0]) wr_say(c, "%-12s%s", features ? "  features" : "  request", line);
}

static void print_cost(wr_cli *c, const wr_trace_prediction *q)
{
    char a[WR_NUM_TEXT], b[WR_NUM_TEXT], n[WR_NUM_TEXT];
    if (!isnan(q->own_j)) wr_say(c, "  %-10s%s (by the time it took)", "this one", joules(a, q->own_j, "J"));
    if (isnan(q->serve_j)) wr_say(c, "  %-10s%s", "serving", "not in the ledger");
    else
        wr_say(c, "  %-10s%s, %s CO2e a prediction", "serving", joules(a, q->serve_j, "J"), joules(b, q->serve_g, "g"));
    if (isnan(q->chain_j)) return;
    wr_fmt_count(n, q->served);
    wr_say(c, "  %-10s%s, %s CO2e (its run shared out to the %s predictions of %s@%lld so far)", "training",
           joules(a, q->train_j, "J"), joules(b, q->train_g, "g"), n, q->model, (long long)q->version);
    wr_say(c, "  %-10s%s, %s CO2e (every run from the raw data on, shared out)", "whole", joules(a, q->chain_j, "J"),
           joules(b, q->chain_g, "g"));
}

static void print_prediction(wr_cli *c, const wr_trace_prediction *q)
{
    char served[WR_TIME_TEXT], event[WR_TIME_TEXT], known[WR_TIME_TEXT];
    wr_time_format(served, q->served_us);
    wr_time_format(event, q->event_us);
    wr_say(c, "prediction %s", q->id);
    wr_say(c, "  %-10s%.6g by %s@%lld of endpoint %s", "score", q->score, q->model, (long long)q->version, q->endpoint);
    wr_say(c, "  %-10s%s, for %s", "served", served, event);
    if (q->has_label) {
        wr_time_format(known, q->known_us);
        wr_say(c, "  %-10s%g, known %s", "label", q->label, known);
    } else {
        wr_say(c, "  %-10s%s", "label", "not known yet");
    }
    print_values(c, q, true);
    print_values(c, q, false);
    print_cost(c, q);
}

static void print_text(wr_cli *c, const wr_trace *t)
{
    if (t->prediction) {
        print_prediction(c, t->prediction);
        wr_say(c, "%s", "");
    }
    wr_trace_print(c, t);
}

static int run(wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_trace t;
    const char *what = wr_cli_arg(c, 0);
    WR_TRY(wr_cli_project(c, &p, err));
    int rc = wr_trace_make(&t, wr_cli_arena(c), p, what, wr_cli_flag(c, "down"), err);
    if (rc < 0) return unflushed(p, what, rc, err);
    wr_trace_json(wr_cli_jsonw(c), &t);
    print_text(c, &t);
    return 0;
}

const wr_cmd wr_cmd_trace = {
    "trace",
    "where a prediction, model or dataset comes from",
    "WHAT",
    1,
    1,
    args,
    sizeof args / sizeof *args,
    "WHAT is a prediction id, DATASET[@VERSION], MODEL[@VERSION|@ALIAS], a file, a view, a run id or\n"
    "a hash (6 digits and more); \"data:\", \"model:\", \"run:\", \"file:\", \"view:\" or \"prediction:\" in\n"
    "front says which is meant. The tree goes back to the raw file's hash, with the version of the\n"
    "code and the energy of every run. A prediction also shows what it was made from, its label\n"
    "once known, and its cost: serving, and the training shared out to all predictions so far.\n"
    "Energy is measured or modelled as weir sustain report says.",
    "  weir trace delay-1200345\n  weir trace delay@champion\n  # what depends on a file\n  weir trace "
    "data/flights-3m.parquet --down",
    run};
