/* SPDX-License-Identifier: Apache-2.0 */
/* project.h - a folder with weir.yaml and, beside it, .weir/ where everything Weir keeps lives.
 *
 *   .weir/weir.db      records (SQLite)          .weir/objects/   immutable blobs by SHA-256
 *                      or PostgreSQL: "database" in weir.yaml, WEIR_DATABASE in the environment
 *   .weir/lake/NAME/   datasets (Delta tables)   .weir/log/       append log of the server
 *   .weir/online/      feature snapshots         .weir/tmp/       spill files, scratch
 *   .weir/track/       metric log of the server  .weir/artifacts/ content of the files of runs and models
 *
 * The project is found by walking up from the current folder. Opening is cheap: the database is opened on first use of a
 * record, the table engine on first query. One wr_project is shared by all threads of the process.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "codec/yaml.h"
#include "store/artifacts.h"
#include "store/db.h"
#include "store/objects.h"
#include "store/tables.h"
#include "track/track.h"

typedef struct wr_project wr_project;

/* Make weir.yaml (a commented start) and .weir/ in `dir`; WEIR_EEXIST if there is a weir.yaml already. */
int wr_project_init(const char *dir, wr_err *err);
/* Open the project that `dir` (NULL = current folder) is in; WEIR_ENOTFOUND with the hint to run weir init. */
int wr_project_open(wr_project **out, const char *dir, wr_err *err);
void wr_project_close(wr_project *p);

const char *wr_project_root(const wr_project *p);              /* absolute, no slash at the end */
/* "ROOT/.weir/NAME", in the project's memory; made if `dir` and missing. */
int wr_project_state(const char **out, wr_project *p, const char *name, bool dir, wr_err *err);
/* weir.yaml parsed, its top-level keys checked (did-you-mean). An empty map when the file is empty. */
int wr_project_config(const wr_yaml **out, wr_project *p, wr_err *err);
int wr_project_db(wr_db **out, wr_project *p, wr_err *err);
/* The tracking store over that database, opened on first use. The server opens it with the metric log (.weir/track), before anybody uses
 * it: WEIR_ECONFLICT if another process has the log. A shared database (PostgreSQL) has no log. */
int wr_project_track(wr_track **out, wr_project *p, wr_err *err);
int wr_project_track_log(wr_track **out, wr_project *p, wr_err *err);
int wr_project_objects(wr_objects **out, wr_project *p, wr_err *err);
/* The files of runs and models, opened on first use: in `where`, else where "artifacts" of weir.yaml says, else in .weir/artifacts. */
int wr_project_artifacts(wr_artifacts **out, wr_project *p, const char *where, wr_err *err);
/* A fresh table engine that may read and write the lake, the project folder and the extra paths (NULL-terminated, may be NULL). Caller closes. */
int wr_project_tables(wr_tables **out, wr_project *p, const char *const *extra, wr_err *err);
