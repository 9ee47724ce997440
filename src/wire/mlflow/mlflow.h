/* SPDX-License-Identifier: Apache-2.0 */
/* mlflow.h - MLflow's REST protocol (2.x and 3.x): a request value in, a response value out, over track/.
 *
 * Every remote procedure is one line in a table of its file (experiments.c, runs.c, ...); the tables are listed in
 * rpcs.c. A line names method, path, how it is run, its handler and its fields, which are checked before the handler is
 * called, with MLflow's messages. Paths are served under /api/ and /ajax-api/. Details that clients rely on:
 * docs/mlflow.md.
 *
 * How a procedure is run (the server does it, wr_mlflow_run() in one thread does the same for tests):
 *   READ   short reading, in the event loop         QUERY  reading that may take long, on a worker
 *   WRITE  inside one write of track (wr_track_write): all of it or nothing, answered when durable
 *   APPEND on the loop, through the metric log; answered after the round's commit. Returning WR_MLFLOW_IN_WRITE asks to
 * be run again as WRITE.
 * Bodies of bytes (artifacts.h) are the server's.
 */
#pragma once
#include "base/arena.h"
#include "codec/json.h"
#include "track/track.h"
#include "wire/mlflow/scan.h"

typedef enum { WR_MLFLOW_READ, WR_MLFLOW_QUERY, WR_MLFLOW_WRITE, WR_MLFLOW_APPEND } wr_mlflow_mode;
#define WR_MLFLOW_VERSION "3.17.2" /* what GET /version says; clients choose their endpoints by it */
enum { WR_MLFLOW_IN_WRITE = 1, WR_MLFLOW_SEGMENTS = 3, WR_MLFLOW_FIELDS = 12 };

typedef struct wr_mlflow_call wr_mlflow_call;

/* type: s string, i integer, f float, b bool, a array, o object, * anything. Numbers may come as strings. */
typedef struct {
    const char *name;
    char type;
    bool required;
} wr_mlflow_field;

typedef struct wr_mlflow_rpc {
    /* "POST", "2.0/mlflow/experiments/create"; {} is one segment, * at the end the rest; a path with / in front has no prefix */
    const char *method, *path;
    wr_mlflow_mode mode;
    int (*handle)(wr_mlflow_call *c, wr_err *err);
    wr_mlflow_field fields[WR_MLFLOW_FIELDS]; /* ends with a NULL name */
} wr_mlflow_rpc;

typedef struct {
    const wr_mlflow_rpc *at;
    size_t n;
} wr_mlflow_rpcs;
extern const wr_mlflow_rpcs *const wr_mlflow_tables[]; /* rpcs.c */
extern const size_t wr_mlflow_tables_count;

struct wr_mlflow_call {
    wr_track *track;
    wr_arena *arena;  /* of the request */
    const struct wr_mlflow_access *access; /* who asks (access.h); NULL without authentication */
    const char *user;               /* their name; NULL without */
    struct wr_artifacts *artifacts; /* the store of files; NULL = none */
    const struct wr_signer *signer; /* for links; NULL = none */
    const char *base;               /* "http://HOST" as the client names us, for links; NULL = unknown */
    /* filled by wr_mlflow_begin */
    const wr_mlflow_rpc *rpc;
    wr_str segment[WR_MLFLOW_SEGMENTS]; /* decoded {} of the path */
    wr_json json;
    wr_mlflow_scan *scanned;        /* the body of an APPEND in its usual form; then `in` is NULL */
    yyjson_val *in; /* object: of the body or of the query */
    /* filled by the handler */
    wr_jsonw w;                 /* inside the object of the answer: write its members */
    struct wr_artifact_reader *content; /* instead of JSON: the answer is this file; the caller closes it */
    wr_str content_path;
    wr_str made;                    /* id of what was created or is gone, where access.c asks for it */
    const char *error_code;     /* instead of the one that goes with the WEIR_ code */
    int status;                 /* of the answer; 0 = 200 */
    const char *type, *headers; /* 0 = application/json */
    wr_buf *out;
};

/* The procedure of a request, NULL when there is none; `known` says whether the path exists with another method. */
const wr_mlflow_rpc *wr_mlflow_find(wr_str method, wr_str path, wr_str segment[WR_MLFLOW_SEGMENTS], bool *known);

typedef struct {
    wr_str method, path /* as sent, percent-encoded */, query, type /* Content-Type */, body;
} wr_mlflow_request;
/* c->track, arena, out, access are set. Finds, parses and checks; 0, or the answer is an error, already in c->out with
 * c->status. */
int wr_mlflow_begin(wr_mlflow_call *c, const wr_mlflow_request *in);
/* Run the handler in the thread that the mode asks for; rc 0, WR_MLFLOW_IN_WRITE, or < 0 (in a write: rolled back by
 * returning it). */
int wr_mlflow_handle(wr_mlflow_call *c, wr_err *err);
/* The answer of what handle (or the commit after it) returned, complete in c->out, with c->status. Frees the parsed
 * request. */
void wr_mlflow_end(wr_mlflow_call *c, int rc, const wr_err *err);
/* All of it, waiting for writes. */
void wr_mlflow_run(wr_mlflow_call *c, const wr_mlflow_request *in);

/* ---- for handlers: fields of c->in that were checked ---- */

yyjson_val *wr_mlflow_val(const wr_mlflow_call *c, const char *name); /* NULL when absent or null */
wr_str wr_mlflow_str(const wr_mlflow_call *c, const char *name);      /* {NULL,0} when absent */
int64_t wr_mlflow_i64(const wr_mlflow_call *c, const char *name, int64_t fallback);
double wr_mlflow_f64(const wr_mlflow_call *c, const char *name, double fallback);
bool wr_mlflow_bool(const wr_mlflow_call *c, const char *name, bool fallback);
/* The same of any object. Numbers may be strings; false (and `out` untouched) when it is not one. */
wr_str wr_mlflow_str_of(yyjson_val *obj, const char *name);
bool wr_mlflow_i64_of(int64_t *out, yyjson_val *v);
bool wr_mlflow_f64_of(double *out, yyjson_val *v); /* "NaN", "Infinity" too */
/* Elements of an array of strings; a single string counts as one (query arguments). */
int wr_mlflow_strs(wr_str **out, size_t *n, wr_mlflow_call *c, const char *name, wr_err *err);
/* [{key, value}] */
int wr_mlflow_items(wr_track_item **out, size_t *n, wr_mlflow_call *c, const char *name, wr_err *err);
/* ACTIVE_ONLY, DELETED_ONLY, ALL, or 1 to 3; absent: 1. */
int wr_mlflow_view(int *out, wr_mlflow_call *c, const char *name, wr_err *err);
/* "experiment_ids" as numbers, those that the caller may not read left out. */
int wr_mlflow_experiment_ids(int64_t **out, size_t *n, wr_mlflow_call *c, wr_err *err);
/* An id of an experiment: decimal text. */
int wr_mlflow_experiment_id(int64_t *out, wr_str text, wr_err *err);

/* ---- errors in MLflow's words ---- */

int wr_mlflow_missing(wr_err *err, const char *parameter);
int wr_mlflow_invalid(wr_err *err, const char *parameter, yyjson_val *value, const char *why);

/* ---- answers ---- */

void wr_mlflow_put_double(wr_jsonw *w, const char *key, double v); /* NaN and infinities as strings */
void wr_mlflow_put_items(wr_jsonw *w, const char *key, const wr_track_item *items, size_t n); /* left out when empty */
