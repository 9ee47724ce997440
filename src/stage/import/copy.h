/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - a tree of artifacts into the project's store. Private to this room.
 *
 * One folder after the other, a file in pieces: memory is that of the names of the folders on the way down. A file that
 * is there with the same size is taken for the same: artifacts are written once. A path that the store does not take is
 * left out and counted. */
#pragma once
#include "stage/import/import.h"
#include "stage/import/place.h"

typedef struct {
    wr_import_report *report;
    wr_import_places *places;
    wr_import_source *source;
    bool dry_run;
    void (*progress)(void *arg, const char *what, double fraction);
    void *arg;
    /* inside */
    wr_artifacts *from, *to;
    wr_artifact_writer *writer;
    wr_err *err;
} wr_import_copy;

int wr_import_copy_tree(wr_import_copy *c, wr_project *p, const char *where, wr_err *err);
int wr_import_copy_source(wr_import_copy *c, wr_project *p, wr_err *err); /* as the source has them */
