/* SPDX-License-Identifier: Apache-2.0 */
/* import.h - take over what another tracking server keeps: MLflow 2.9 or later and 3.x, from its database or over its
 * REST interface.
 *
 * Everything is streamed: memory does not grow with the source. A write is some hundred rows, so that a server on the
 * same records goes on answering. An import that was cut short is simply started again: what is there already is left
 * alone (track/import.h), and a run whose points are not all there yet is RUNNING until they are. Importing again later
 * adds what is new.
 *
 * Ids of experiments are kept when they are free here. Artifacts go to the project's store; URIs below the old root
 * become mlflow-artifacts:/... with the same path behind it (the first part of the path, the experiment's id, as it is
 * here). */
#pragma once
#include "core/project.h"
#include "stage/import/source.h"

typedef struct {
    const char *source;    /* http(s)://..., postgresql://..., sqlite:///FILE, or FILE */
    const char *auth;      /* database of MLflow's users, or NULL */
    const char *artifacts; /* the old tree, as wr_artifacts_open takes it, or NULL */
    const char *root;      /* what artifact URIs begin with when the tree has moved since, or NULL */
    const char *prefix;    /* in front of names of experiments and models, or NULL */
    bool dry_run;          /* only count */
    void (*progress)(void *arg, const char *what, double fraction); /* fraction < 0: unknown */
    void *arg;
} wr_import_opt;

typedef struct {
    struct {
        int64_t found, made;
    } kinds[WR_IMPORT_KINDS];
    int64_t points;                     /* sent into the store; those of runs that were complete are not read again */
    int64_t files, files_copied, bytes; /* of artifacts; bytes: of the copied ones */
    int64_t skipped;                    /* things that cannot be taken over, */
    char why[256];                      /* and why the first was not */
    int64_t moved;                      /* experiments that have another id here */
} wr_import_report;

extern const char *const wr_import_names[WR_IMPORT_KINDS]; /* "experiments", ... */

/* WEIR_EEXIST: a name is taken by something else. `out` is filled as far as it went, also when it fails. */
int wr_import_mlflow(wr_import_report *out, wr_project *p, const wr_import_opt *opt, wr_err *err);
