/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - where something comes from (or what came of it), with what each step cost.
 *
 * What can be traced: a prediction by its id, DATASET[@VERSION], MODEL[@VERSION|@ALIAS], a file or view by name, a run by id, anything
 * by hash (6 digits and more). "data:", "model:", "run:", "file:", "view:" or "prediction:" in front says which is meant.
 * The result is a tree in the order it is read: every node once, below the node it was first reached from. Code versions are not nodes
 * here but stand with the runs. Versions that MLflow's clients registered are no nodes of the lineage: their tree is made from the registry.
 */
#pragma once
#include "codec/json.h"
#include "core/footprint.h"
#include "core/lineage.h"
#include "core/run.h"

typedef struct {
    wr_node node;
    size_t parent;                  /* index of the node above in the tree; of the root 0 */
    int depth;
    bool last;                      /* of its siblings */
    const char *code;               /* runs: code version, else NULL */
    wr_run_row run;                 /* runs; id NULL else */
    size_t costs;                   /* ledger rows of the run */
    double wall_s, energy_j, gco2e; /* their sums */
} wr_trace_node;

typedef struct { const char *name, *text; bool feature; } wr_trace_value; /* text NULL = missing */
typedef struct {
    const char *id, *endpoint, *model;
    int64_t version, served_us, event_us;
    double score;
    wr_trace_value *values; size_t nvalues; /* request columns and features as logged */
    bool has_label;
    double label;
    int64_t known_us, received_us;
    double served;                  /* predictions of this model version so far, all endpoints */
    double own_j;                   /* of this prediction, as logged; NaN: not known */
    double serve_j, serve_g;        /* a prediction of this endpoint, from the ledger's serving rows; NaN when there are none */
    double train_j, train_g;        /* of the run that made the package, shared out to `served`; NaN when not known */
    double chain_j, chain_g;        /* of all runs above, shared out likewise; training included */
} wr_trace_prediction;

typedef struct {
    const char *what;
    bool down;
    wr_trace_prediction *prediction; /* NULL when something else was asked for */
    wr_trace_node *nodes; size_t n; /* nodes[0]: what was asked for, or the prediction's model */
    size_t runs;                    /* of the nodes, and the sums of their ledger rows */
    double energy_j, gco2e;
} wr_trace;

/* WEIR_ENOTFOUND when nothing is known by that name. Everything in `a`. Predictions are looked for in the datasets predictions.*. */
int wr_trace_make(wr_trace *out, wr_arena *a, wr_project *p, const char *what, bool down, wr_err *err);
void wr_trace_json(wr_jsonw *w, const wr_trace *t);

/* ---- who served a version ---- (trace_serving.c) */

typedef struct {
    const char *endpoint;
    bool now;                       /* weir.yaml names this version for it, by number or by an alias that is there now */
    int64_t loaded_us;              /* when a server took it first, 0 = never recorded */
    double predictions;             /* in the lake; what the server's log still holds comes with the next flush */
    int64_t first_us, last_us;      /* served; 0 = none */
} wr_trace_serving;
/* By name of the endpoint. Opens the table engine only when there are predictions in the lake. */
int wr_trace_servings(wr_trace_serving **out, size_t *n, wr_arena *a, wr_project *p, const char *model, int64_t version, wr_err *err);
void wr_trace_servings_json(wr_jsonw *w, const wr_trace_serving *s, size_t n);

/* Inside the room: what is known of a version that a client registered, as steps of a walk upwards: its logged model, its run with all
 * above it, the data that the run read (trace_registered.c). 1 = found, 0 = not; `start` is the version then. */
int wr_trace_registered(wr_node *start, wr_lineage_step **out, size_t *n, wr_arena *a, wr_project *p, const char *ref, wr_err *err);
/* The prediction alone, without costs; 1 = found, 0 = not. */
int wr_trace_prediction_find(wr_trace_prediction **out, wr_arena *a, wr_project *p, const char *id, wr_err *err);
