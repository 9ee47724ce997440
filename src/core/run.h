/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - a run: one execution of a stage or command, with its parameters, metrics, inputs, outputs, log and footprint.
 *
 * Inside a pipeline the runner makes the run, meters the process and hands its id down in WEIR_RUN_ID: wr_run_begin then joins it and
 * wr_run_end only records metrics and lineage. At the prompt wr_run_begin makes its own and wr_run_end adds the footprint.
 * Inputs and outputs become lineage: each output gets an edge from each input.
 */
#pragma once
#include "core/footprint.h"
#include "core/lineage.h"
#include "core/project.h"

typedef struct wr_run wr_run;

typedef struct {
    const char *kind;               /* "ingest", "train", ... (the verb) */
    const char *activity;           /* see footprint.h */
    const char *name;               /* what it works on */
    const char *command;            /* command line */
} wr_run_opt;

int wr_run_begin(wr_run **out, wr_project *p, const wr_run_opt *opt, wr_err *err);
const char *wr_run_id(const wr_run *r);                        /* 32 hex digits */
/* Buffered; written by end (also after failure). Strings are copied. */
void wr_run_param(wr_run *r, const char *key, const char *value);
void wr_run_metric(wr_run *r, const char *key, double value);
void wr_run_units(wr_run *r, double units, const char *unit);
void wr_run_input(wr_run *r, const wr_node *node);
void wr_run_output(wr_run *r, const wr_node *node);
/* rc: 0 fine, WEIR_ENO = finished but the check said no, else failed with `why`. Frees r; durable when it returns 0. */
int wr_run_end(wr_run *r, int rc, const wr_err *why, wr_err *err);

/* The runner's side: a run for a stage process that is still to be started, and its end. */
typedef struct { double wall_s, cpu_s, max_rss, read_bytes, write_bytes; int exit_code; wr_energy energy; double gco2e; int64_t t0_us, t1_us; } wr_run_usage;
int wr_run_open_stage(char id[33], wr_project *p, const char *stage, const char *command, wr_err *err);
/* A run for any command, in an experiment (made when it is not there; NULL = "weir"); `name` is the run's. */
int wr_run_open_command(char id[33], wr_project *p, const char *experiment, const char *name, const char *command, wr_err *err);
int wr_run_close_stage(wr_project *p, const char *id, const char *stage, const wr_run_usage *use, wr_err *err);

/* Runs of MLflow clients are there too: kind "run", the name of the run. ended_us 0 = running. Times are whole milliseconds. */
typedef struct { char *id, *kind, *name, *command, *status, *error, *code; int64_t started_us, ended_us; } wr_run_row;
int wr_run_list(wr_run_row **out, size_t *n, wr_arena *a, wr_project *p, size_t limit, wr_err *err); /* newest first */
int wr_run_get(wr_run_row *out, wr_arena *a, wr_project *p, const char *id, wr_err *err);
/* Keys and values as text, sorted by key. */
typedef struct { char *key, *value; double number; } wr_run_item;
int wr_run_params(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err);
int wr_run_metrics(wr_run_item **out, size_t *n, wr_arena *a, wr_project *p, const char *id, wr_err *err);
/* "git:<commit>[+dirty]" of the project folder or "weir:<version>" outside git; the version of the code that ran. */
const char *wr_run_code_version(wr_project *p);
