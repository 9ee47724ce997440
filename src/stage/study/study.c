/* SPDX-License-Identifier: Apache-2.0 */
/* study.c - the list of checks, one run over it, the report. */
#include "stage/study/study.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "core/feasibility.h"
#include "stage/study/study_inside.h"

const char *const wr_check_states[] = {"pass", "warn", "fail", "skip"};

const wr_feasibility_check wr_feasibility_checks[WR_FEASIBILITY_CHECKS] = {
    {1, "schema", "exact", "the rows it will get have its inputs, by name and type",
     "the evidence lists its inputs: give rows that have them, or train a model that takes the rows there are",
     wr_check_schema},
    {2, "missing features", "0 missing", "each input is filled at serving time, fresh, with the nulls of training",
     "fill what is named before it is asked, or train without it; features: of the target says what may be missing",
     wr_check_missing},
    {3, "leakage", "0 violations", "nothing of a feature is known later than the request",
     "known_at and the events' time of the view say when a value is really known: set them, build the features, train",
     wr_check_leakage},
    {4, "numeric parity", "1e-6, 0 flips", "all ways to an answer give the same: training, batch, one row, the wire",
     "the evidence says which two ways differ; parity: of the target says how much they may", wr_check_parity},
    {5, "distribution", "PSI below 0.2", "rows of today look like those of training",
     "train it on newer rows, or find what moved: weir data profile; drift: of the target says how much it may",
     wr_check_drift},
    {6, "latency", "p99 in budget", "answers at the expected concurrency; cold start and swap",
     "a smaller model, fewer requests at the same time, or another budget: latency: of the target", wr_check_latency},
    {7, "throughput", "2 x rps", "the most it can do, over what is expected",
     "a smaller model, more processors (host: {cpus}), or another load: of the target", wr_check_throughput},
    {8, "memory", "70 % of limit", "resident memory, loaded and under load",
     "a smaller model, or more memory: {limit} of the target", wr_check_memory},
    {9, "instruction set", "same answers", "the processor has what the target has; vector and plain code agree",
     "do the study on a machine of the target's kind: weir deploy study there, with the same files", wr_check_isa},
    {10, "system", "table", "kernel, C library, open files, clock, page size",
     "update the machine (open files: ulimit -n), or ask for less: host: of the target", wr_check_system},
    {11, "dependencies", "all resolved", "libraries, ports and folders that are needed",
     "install, free or make writable what is named, or take it out of host: of the target", wr_check_dependencies},
    {12, "artefact", "must pass", "declarative format, digest, signature, bill of materials",
     "export it in a declarative format, register it and sign it: weir model sign", wr_check_artefact},
    {13, "behaviour", "gates of evaluation", "the gate's verdict, invariance and noise",
     "the evidence says what changes its answers; behaviour: {noise} of the target says how many may",
     wr_check_behaviour},
    {14, "degraded inputs", "defined error", "NaN, huge, empty, unknown, too large: an answer or an error, no crash",
     "the evidence says what it did with each: bound these inputs in the model or before it", wr_check_degraded},
    {15, "rollback", "must pass", "the version before still opens and takes the same requests",
     "keep a version with the same requests to go back to, or plan that they change too", wr_check_rollback},
    {16, "energy and carbon", "budget", "joules and grams of 1,000 predictions, a month's forecast",
     "a smaller model, larger batches, a cleaner region, or another budget: energy: and carbon: of the target",
     wr_check_energy},
    {17, "cost", "budget", "a month at the target's prices",
     "a smaller model, fewer processors, or another budget: price: of the target", wr_check_cost},
    {18, "licence", "allow-list", "of the model, its data and libraries",
     "state it: models: {NAME: {license, data_license}} of weir.yaml; licences: of the target says what is allowed",
     wr_check_licence},
    {19, "residency", "must pass", "regions and privacy classes of the data it was made from",
     "state it: models: {NAME: {data_region, data_privacy}} of weir.yaml; residency: of the target says what may come",
     wr_check_residency},
    {20, "observability", "warn", "metrics, a log of predictions, labels that find them, monitors",
     "endpoints: and monitors: of weir.yaml: serve it, log what it says, send labels, watch both", wr_check_observed},
};

/* ---- results ---- */

int wr_check_says(wr_feasibility_work *w, wr_feasibility_result *r, wr_check_state state, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->state = state;
    wr_str cut = wr_str_fit(wr_str_of(text), sizeof text - 1);
    r->measured = wr_arena_strndup(w->a, cut.p, cut.n);
    return r->measured ? 0 : WEIR_ENOMEM;
}

int wr_check_limit(wr_feasibility_work *w, wr_feasibility_result *r, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->limit = wr_arena_strdup(w->a, text);
    return r->limit ? 0 : WEIR_ENOMEM;
}

void wr_check_hint(wr_feasibility_work *w, wr_feasibility_result *r, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->hint = wr_arena_strdup(w->a, text); /* no memory: the run ends with that */
}

const char *wr_feasibility_called(const wr_feasibility_work *w)
{
    if (!w->registered) return w->opt->model;
    const char *s = wr_arena_printf(w->a, "%s@%lld", w->report->model, (long long)w->report->version);
    return s ? s : "";
}

void wr_check_number(wr_feasibility_work *w, wr_feasibility_result *r, const char *key, double v, const char *shown)
{
    char text[WR_NUM_TEXT];
    if (r->nfacts == WR_FEASIBILITY_FACTS) return;
    if (!shown) {
        snprintf(text, sizeof text, "%.6g", v);
        shown = text;
    }
    wr_feasibility_fact f = {wr_arena_strdup(w->a, key), wr_arena_strdup(w->a, shown), v};
    if (f.key && f.value) r->facts[r->nfacts++] = f;
}

void wr_check_text(wr_feasibility_work *w, wr_feasibility_result *r, const char *key, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    if (r->nfacts == WR_FEASIBILITY_FACTS) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    wr_feasibility_fact f = {wr_arena_strdup(w->a, key), wr_arena_strdup(w->a, text), NAN};
    if (f.key && f.value) r->facts[r->nfacts++] = f;
}

/* ---- a run ---- */

static void tell(const wr_feasibility_work *w, const char *what, double fraction)
{
    if (w->opt->progress) w->opt->progress(w->opt->ctx, what, fraction);
}

static int run_check(wr_feasibility_work *w, const wr_feasibility_check *c, wr_err *err)
{
    wr_feasibility_result *r = &w->report->results[c->number - 1];
    wr_err why = {0};
    int64_t from = wr_clock_mono_ns();
    *r = (wr_feasibility_result){.check = c, .state = WR_CHECK_SKIP, .limit = c->limit};
    tell(w, c->name, (double)(c->number - 1) / WR_FEASIBILITY_CHECKS);
    int rc = c->run(w, r, &why);
    r->seconds = (double)(wr_clock_mono_ns() - from) / 1e9;
    if (rc == WEIR_ENOMEM || wr_arena_failed(w->a)) return wr_err_nomem(err);
    if (rc < 0) {
        wr_check_says(w, r, WR_CHECK_SKIP, "could not be done: %s", why.msg);
        if (why.detail[0]) wr_check_text(w, r, "detail", "%s", why.detail);
    }
    if (!r->measured) r->measured = "nothing was measured";
    if (r->state != WR_CHECK_WARN && r->state != WR_CHECK_FAIL) r->hint = NULL;
    else if (!r->hint) r->hint = c->hint;
    return 0;
}

static int run_all(wr_feasibility_work *w, wr_err *err)
{
    wr_feasibility_report *o = w->report;
    WR_TRY(wr_feasibility_open(w, err));
    WR_TRY(wr_feasibility_rows(w, err));
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) WR_TRY(run_check(w, &wr_feasibility_checks[i], err));
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) o->count[o->results[i].state]++;
    o->verdict = o->count[WR_CHECK_FAIL] ? WR_CHECK_FAIL : o->count[WR_CHECK_WARN] ? WR_CHECK_WARN : WR_CHECK_PASS;
    return 0;
}

int wr_feasibility_run(wr_feasibility_report *out, wr_arena *a, wr_project *p, const wr_feasibility_opt *opt,
                       wr_err *err)
{
    wr_feasibility_work w = {.a = a, .p = p, .opt = opt, .t = opt->target, .report = out};
    int64_t from = wr_clock_mono_ns();
    *out = (wr_feasibility_report){.model = opt->model, .target = opt->target, .time_us = wr_clock_wall_us()};
    int rc = run_all(&w, err);
    wr_feasibility_close(&w);
    out->seconds = (double)(wr_clock_mono_ns() - from) / 1e9;
    return rc;
}

/* ---- JSON ---- */

static void put_result(wr_jsonw *w, const wr_feasibility_result *r)
{
    wr_jsonw_obj(w);
    wr_jsonw_ki64(w, "number", r->check->number);
    wr_jsonw_kstr(w, "name", r->check->name);
    wr_jsonw_kstr(w, "state", wr_check_states[r->state]);
    wr_jsonw_kstr(w, "measured", r->measured);
    wr_jsonw_kstr(w, "limit", r->limit);
    wr_jsonw_kstr(w, "about", r->check->text);
    wr_jsonw_kstr(w, "hint", r->hint);
    wr_jsonw_key(w, "evidence");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < r->nfacts; i++)
        if (isnan(r->facts[i].number)) wr_jsonw_kstr(w, r->facts[i].key, r->facts[i].value);
        else wr_jsonw_kf64(w, r->facts[i].key, r->facts[i].number);
    wr_jsonw_end(w);
    wr_jsonw_kf64(w, "seconds", r->seconds);
    wr_jsonw_end(w);
}

void wr_feasibility_json(wr_jsonw *w, const wr_feasibility_report *r)
{
    char time[WR_TIME_TEXT];
    wr_time_format(time, r->time_us);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "report", WR_FEASIBILITY_FORMAT);
    wr_jsonw_kstr(w, "verdict", wr_check_states[r->verdict]);
    wr_jsonw_kstr(w, "model", r->model);
    if (r->version) wr_jsonw_ki64(w, "version", r->version);
    wr_jsonw_kstr(w, "model_sha256", r->hash[0] ? r->hash : NULL);
    wr_jsonw_kstr(w, "source", r->source);
    wr_jsonw_kstr(w, "platform", r->platform);
    wr_jsonw_kstr(w, "time", time);
    wr_jsonw_kf64(w, "seconds", r->seconds);
    wr_jsonw_key(w, "rows");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "from", r->rows);
    wr_jsonw_ki64(w, "count", (int64_t)r->nrows);
    wr_jsonw_kbool(w, "real", r->rows_real);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "target");
    wr_feasibility_target_json(w, r->target);
    wr_jsonw_key(w, "counts");
    wr_jsonw_obj(w);
    for (size_t i = 0; i < 4; i++) wr_jsonw_ki64(w, wr_check_states[i], (int64_t)r->count[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "checks");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) put_result(w, &r->results[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

/* ---- Markdown ---- */

/* A cell: no line breaks, no bars. */
static void put_cell(wr_buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '|') wr_buf_char(b, '\\');
        wr_buf_char(b, *s == '\n' || *s == '\r' ? ' ' : *s);
    }
}

static void put_line(wr_buf *b, const wr_feasibility_result *r)
{
    wr_buf_printf(b, "| %d | %s | %s | ", r->check->number, r->check->name, wr_check_states[r->state]);
    put_cell(b, r->measured);
    wr_buf_str(b, " | ");
    put_cell(b, r->limit);
    wr_buf_str(b, " |\n");
}

static void put_evidence(wr_buf *b, const wr_feasibility_result *r)
{
    if (!r->nfacts && !r->hint) return;
    wr_buf_printf(b, "\n### %d. %s: %s\n\n%c%s.\n\n", r->check->number, r->check->name, wr_check_states[r->state],
                  toupper((unsigned char)r->check->text[0]), r->check->text + 1);
    if (r->hint) {
        wr_buf_str(b, "To do: ");
        put_cell(b, r->hint);
        wr_buf_str(b, r->nfacts ? ".\n\n" : ".\n");
    }
    for (size_t i = 0; i < r->nfacts; i++) {
        wr_buf_printf(b, "- %s: ", r->facts[i].key);
        put_cell(b, r->facts[i].value);
        wr_buf_char(b, '\n');
    }
}

void wr_feasibility_markdown(wr_buf *out, const wr_feasibility_report *r)
{
    char time[WR_TIME_TEXT];
    wr_time_format(time, r->time_us);
    wr_buf_printf(out, "# Feasibility of %s", r->model);
    if (r->version) wr_buf_printf(out, " version %lld", (long long)r->version);
    wr_buf_printf(out, " on %s: %s\n\n", r->target->name, wr_check_states[r->verdict]);
    wr_buf_printf(out, "%zu pass, %zu warn, %zu fail, %zu skipped; %s, %.1f s.\n\n", r->count[0], r->count[1],
                  r->count[2], r->count[3], time, r->seconds);
    wr_buf_printf(out, "Model: %s (%s)", r->source, r->platform);
    if (r->hash[0]) wr_buf_printf(out, ", SHA-256 %s", r->hash);
    wr_buf_printf(out, ".\nRows: %zu, %s.\nTarget: %s, SHA-256 %s.\n\n", r->nrows, r->rows,
                  r->target->file ? r->target->file : "this machine", r->target->hash);
    wr_buf_str(out, "| # | Check | State | Measured | Limit |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) put_line(out, &r->results[i]);
    wr_buf_str(out, "\n## Evidence\n");
    for (size_t i = 0; i < WR_FEASIBILITY_CHECKS; i++) put_evidence(out, &r->results[i]);
}
