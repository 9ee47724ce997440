/* SPDX-License-Identifier: Apache-2.0 */
/* track.h - the tracking store: experiments, runs, params, tags, metrics, the registry, traces, over the records
 * database.
 *
 *   track.h       opening; writes           experiment.h, run.h, metric.h, ...   the nouns
 *   filter.h      the search language       schema.h                             the tables
 *
 * Functions whose header says "in a write" change the database and run inside wr_track_write(): all that one write
 * changes is seen together or not at all, and is durable when it returns. They may read what they changed. All others
 * are readers: any thread, also inside a write. Metrics have a second way in, the metric log (metric.h): a round of an
 * event loop appends, one fdatasync covers all of them. Memory of results is the caller's arena. Strings in results are
 * NUL-terminated.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "store/db.h"

typedef struct wr_track wr_track;

typedef struct {
    /* Folder of the metric log. NULL: points go straight into the database, as when another process holds the log or
     * when the database is shared by several servers. */
    const char *log;
    /* With `log` NULL: folder of a log that another process may be filling. What it holds when metrics are first read is
     * seen by readers too, so that a command beside a server shows what was acknowledged. NULL: the database alone. */
    const char *peek;
    /* Root of the artifact URIs of new experiments, "ROOT/ID"; NULL = "mlflow-artifacts:". */
    const char *artifacts;
} wr_track_opt;

/* `db` has the migrations of schema.h and outlives the store. With `log` what the log still holds is read first.
 * WEIR_ECONFLICT if another process has the log, or if it holds points of another database. */
int wr_track_open(wr_track **out, wr_db *db, const wr_track_opt *opt, wr_err *err);
void wr_track_close(wr_track *t); /* moves the log into the database */
wr_db *wr_track_db(wr_track *t);
const char *wr_track_artifacts(const wr_track *t);
/* Is the URI of this server's own store of artifacts: "mlflow-artifacts:/PATH", with or without a host, or the same behind
 * http(s)://HOST/.../mlflow-artifacts/artifacts? Then `path` is PATH, part of `uri`, without slashes around it; it may
 * still be no path that a store takes. */
bool wr_track_artifact_path(wr_str *path, wr_str uri);

/* Run `fn` in the database's writer, wait until durable. As wr_db_write; `fn` may be called for a group of writes in
 * one commit, and a failing one is rolled back alone. */
typedef int (*wr_track_fn)(wr_track *t, void *arg, wr_err *err);
int wr_track_write(wr_track *t, wr_track_fn fn, void *arg, wr_err *err);
/* The same without waiting: `done` is called on the writer's thread after the commit or the failure. `job` is the
 * caller's and stays valid until then; nothing is called when this returns an error. */
typedef struct wr_track_job {
    wr_track_fn fn;
    void (*done)(struct wr_track_job *job, int rc, const wr_err *err);
    void *arg;
    wr_track *track; /* set by the call */
    bool forgot;     /* the same */
} wr_track_job;
int wr_track_write_async(wr_track *t, wr_track_job *job, wr_err *err);
bool wr_track_writing(void); /* is this thread inside a write? */

/* Key and value of a param or tag. */
typedef struct {
    wr_str key, value;
} wr_track_item;

int64_t wr_track_now_ms(void);
/* 32 lower-case hexadecimal digits. */
void wr_track_new_id(char out[33]);
/* Id of an interned key: an existing one (0 = there is none), or made (in a write). */
int wr_track_key_find(int64_t *out, wr_track *t, wr_str name, wr_err *err);
int wr_track_key_make(int64_t *out, wr_track *t, wr_str name, wr_err *err);
/* Name of a key; kept until the store is closed. */
int wr_track_key_name(wr_str *out, wr_track *t, int64_t id, wr_err *err);
