/* SPDX-License-Identifier: Apache-2.0 */
/* study_inside.h - what the checks of a feasibility study see: the model, open and in service; rows to ask it; the target. Private to this
 * folder.
 *
 * A package becomes a predictor too (model.c): its inputs are the columns that a request brings, as stage/deploy/rows.h has them, over an online
 * state that knows the view's events. So load, memory, noise and bad inputs are one code for all models.
 */
#pragma once
#include "core/lookup.h"
#include "core/model.h"
#include "core/package.h"
#include "predict/infer.h"
#include "stage/study/study.h"

typedef struct wr_feasibility_work {
    wr_arena *a;
    wr_project *p; /* NULL = none */
    const wr_feasibility_opt *opt;
    const wr_feasibility_target *t;
    wr_feasibility_report *report;
    /* the model */
    const char *path; /* of files; NULL: a package */
    bool registered;
    wr_registered_version version; /* when registered */
    wr_package *package;
    const wr_view *view;
    wr_online *online;
    wr_lookup *tables; /* NULL = none */
    wr_repository *repository;
    wr_instance *m; /* in service from the beginning to the end */
    double open_s, put_s, first_s;
    uint64_t rss_before, rss_after;
    /* its data, of a view */
    wr_frame *source, *events; /* the newest rows of the view's dataset, and events; NULL */
    const char *no_source;     /* why not */
    /* what was logged, with --replay */
    wr_frame *logged;
    const char *server_model; /* what a server calls it */
    const char *no_rows; /* what is wrong with rows that were asked for; NULL */
    /* rows to ask */
    wr_tensor *in; /* nin of them, nrows rows each (of a model without rows: one request) */
    size_t nin, nrows;
    /* what load has found out, for cost and energy */
    double rate, cpu_s_each, joules_each, idle_each, active_each; /* requests a second; of one prediction */
    char tier;
    const char *meter;
    double rel_uncertainty;
    uint64_t rss_peak;
} wr_feasibility_work;

#define WR_SERVED_AS "model"
enum { WR_FEASIBILITY_ROWS = 2000 /* at most, that a model is asked */ };

/* model.c */
int wr_feasibility_open(wr_feasibility_work *w, wr_err *err);
void wr_feasibility_close(wr_feasibility_work *w);
/* The model once more, from its file or package; as it was opened first. */
int wr_feasibility_predictor(wr_predictor **out, wr_feasibility_work *w, wr_err *err);

/* rows.c */
int wr_feasibility_rows(wr_feasibility_work *w, wr_err *err);
/* Its inputs from the columns of a table, by name. */
int wr_feasibility_from_frame(wr_feasibility_work *w, const wr_frame *f, wr_err *err);
/* Column c as element `at` of `width` in each row of t. */
int wr_feasibility_put_column(wr_feasibility_work *w, wr_tensor *t, const wr_col *c, size_t at, size_t width, size_t rows, wr_err *err);
/* Rows [from, from + n) of `in` as the tensors of one request, pointing into it. */
void wr_feasibility_slice(wr_tensor *out, const wr_feasibility_work *w, const wr_tensor *in, size_t from, size_t n);
/* A copy of `in` whose elements may be changed. */
int wr_feasibility_copy(wr_tensor **out, wr_feasibility_work *w, const wr_tensor *in, wr_arena *a, wr_err *err);
/* One request. */
int wr_feasibility_ask(wr_infer_answer *out, const wr_feasibility_work *w, const wr_tensor *in, wr_arena *a, wr_err *err);
/* Greatest difference between two answers' numbers, relative to the larger of the two and the mean size of the output, and rows with another
 * class (the first of the highest, a number from 0.5 on, or another text); what starts at row `at` of `whole` against all of `part`. */
typedef struct {
    double relative;
    size_t flips, rows;
    bool shape;
} wr_feasibility_gap;
void wr_feasibility_compare(wr_feasibility_gap *g, const wr_infer_answer *whole, size_t at, const wr_infer_answer *part);

/* logged.c: the newest predictions of an endpoint into w->logged; inputs of a model without a view out of them. has_log: WEIR_ENOTFOUND
 * with a hint when there is no such endpoint, or none of its predictions are in the lake. */
int wr_feasibility_has_log(wr_feasibility_work *w, const char *endpoint, wr_err *err);
int wr_feasibility_logged(wr_feasibility_work *w, const char *endpoint, wr_err *err);
int wr_feasibility_from_log(wr_feasibility_work *w, wr_err *err);

/* features.c, for check 2. fed: of a model without a view; judged: its endpoint puts one in front of it. served_view: of a package, after
 * its rows were judged. */
int wr_check_fed(bool *judged, wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err);
int wr_check_served_view(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err);

/* cost.c: the endpoint of weir.yaml that serves the model; NULL = none. */
const char *wr_feasibility_endpoint(wr_feasibility_work *w);

/* study.c: results */
int wr_check_says(wr_feasibility_work *w, wr_feasibility_result *r, wr_check_state state, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int wr_check_limit(wr_feasibility_work *w, wr_feasibility_result *r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void wr_check_number(wr_feasibility_work *w, wr_feasibility_result *r, const char *key, double v, const char *shown);
void wr_check_text(wr_feasibility_work *w, wr_feasibility_result *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* What to do about it, in place of the check's own hint; heeded when the check warns or fails. */
void wr_check_hint(wr_feasibility_work *w, wr_feasibility_result *r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* How a command names the model: "delay@2", or the file. */
const char *wr_feasibility_called(const wr_feasibility_work *w);

typedef int wr_feasibility_fn(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err);
wr_feasibility_fn wr_check_schema, wr_check_missing, wr_check_leakage, wr_check_parity, wr_check_drift;
wr_feasibility_fn wr_check_latency, wr_check_throughput, wr_check_memory;
wr_feasibility_fn wr_check_isa, wr_check_system, wr_check_dependencies, wr_check_artefact;
wr_feasibility_fn wr_check_behaviour, wr_check_degraded, wr_check_rollback;
wr_feasibility_fn wr_check_energy, wr_check_cost, wr_check_licence, wr_check_residency, wr_check_observed;
