/* SPDX-License-Identifier: Apache-2.0 */
/* model_facts.h - what the model commands know of one version: its record, run, data, files, MLmodel and package.
 *
 * A version may come from weir (it has a package) or from a client (its source names files): files are looked at when
 * they are among the project's artifacts, and `elsewhere` says it when they are not. A run that was purged is missing,
 * what it had read is kept with the version.
 */
#pragma once
#include "cli/cli.h"
#include "core/mlmodel.h"
#include "core/model_files.h"
#include "core/package.h"
#include "track/run.h"

typedef struct {
    const char *key, *value;
    double number; /* of a metric, exact; its value is for people unless --json */
} wr_model_fact;
typedef struct {
    wr_model_fact *at;
    size_t n, cap;
} wr_model_fact_list;

typedef struct {
    const char *title;       /* "delay version 3", "delay (candidate)" */
    wr_registered_version v; /* version 0: a candidate, then name, package, run and created alone */
    bool has_run;
    wr_track_run run;
    const char *code; /* version of the code that made it; NULL */
    wr_model_fact_list params, metrics, data, tags, reports;
    wr_model_file *files;
    size_t nfiles;
    int64_t size;          /* of the files, -1 = not known */
    const char *elsewhere; /* why the files are not known; NULL */
    bool has_mlmodel;
    wr_mlmodel mlmodel;
    wr_package *package; /* NULL: it has none */
} wr_model_facts;

/* NAME@ALIAS, NAME@VERSION, models:/...; NAME is the newest candidate, or the newest version when there is none. What
 * cannot be read of files is a reason in `elsewhere`, no error. End with fini, also after a failure. */
int wr_model_facts_read(wr_model_facts *f, wr_cli *c, const char *ref, wr_err *err);
/* `v` is already there. */
int wr_model_facts_of(wr_model_facts *f, wr_cli *c, const wr_registered_version *v, wr_err *err);
void wr_model_facts_fini(wr_model_facts *f);

/* The event of a move: "promoted", or "withdrawn" when the alias was taken away. `package` NULL: it has none. */
int wr_model_announce(wr_project *p, const wr_model_move *m, const char *package, wr_err *err);
