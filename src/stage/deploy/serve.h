/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - the endpoints of a project, answering: rows to predictions, labels and feature events into the log.
 *
 * One wr_serve a process; it holds the append log, so a second one on the same project is refused (WEIR_ECONFLICT).
 *
 * Models: each endpoint has one wr_served, immutable and counted; a request takes it, answers with it and gives it back, so a swap
 * never waits and a request in flight finishes on the model it began with. wr_serve_refresh looks whether the reference in weir.yaml
 * names another package now and swaps. A package whose feature view is another one than the endpoint's is refused (event
 * "rollback", once a package), the old one stays: its online state would not fit. An endpoint without a model is not ready.
 *
 * Rounds and acknowledgement: everything a loop does between two calls of wr_serve_round_end is one round and one commit of the log.
 *   1. A prediction is in the log (written, not synced) before its answer leaves; it is synced within 100 ms (wr_serve_sync).
 *   2. Labels and feature events are fdatasynced before their answer leaves.
 *   3. A feature event moves the online state after its commit, in order of arrival, and so survives a restart; when the commit fails it
 *      does not. So a prediction sees every event that was acknowledged before it was asked.
 * `gate` makes "event in segment N" and "event in a state tagged N" the same thing: a round holds it shared from its first event until the
 * event is applied; a drain holds it alone while it seals the segment and copies the states. Rank: drain, gate, then the states' locks.
 *
 * Models without a feature view (a registered version that a client made, or a path) are a repository's (predict/repository.h): the
 * endpoint's name and version are put there, checked and warmed up, and swapped as a package is. A registered one is brought out of the
 * artifacts into a folder of its content (.weir/cache/serving), read-only. Which side an endpoint is on may change with its alias. The repository also has the
 * models of a folder; an endpoint's name goes before a folder's.
 *
 * Threads: a wr_round belongs to one thread at a time, everything else may be called from any thread.
 */
#pragma once
#include <stdatomic.h>
#include "core/endpoint.h"
#include "core/package.h"
#include "predict/infer.h"
#include "stage/deploy/live.h"
#include "store/applog.h"

typedef struct wr_serve wr_serve;
typedef struct wr_round wr_round;

/* What an endpoint answers with now. Valid while held. */
typedef struct wr_served {
    atomic_int refs;                /* private */
    const wr_package *package;
    const wr_view *view;
    const char *endpoint, *model;   /* names; model as registered, "delay" */
    const wr_tensor_spec *in, *out; /* as a model of tensors (rows.h) */
    size_t nin, nout;
    const char *const *explained;   /* names of the features that contributions are of */
    size_t nexplained;
    int64_t version;                /* 0 = a candidate */
    double threshold;
    wr_live *live;
    uint64_t view_id;
    struct wr_serve_endpoint *of;   /* private */
    struct wr_serve_answerer *by;   /* private */
    atomic_uint_fast64_t *count;    /* predictions of this version since the start */
    wr_model_stats *stats;          /* of endpoint and version, as of a model of the repository */
    wr_arena *arena;                /* private: of texts and specs */
} wr_served;

typedef struct {
    const char *repository;         /* folder of models; NULL = none */
    bool load_all;                  /* of it, now and when they change */
    size_t cache_bytes;             /* as in wr_repository_opt */
    wr_pool *pool;                  /* the same */
    const struct wr_serve_rollouts *rollouts; /* &wr_rollouts (stage/rollout/run.h); NULL = there are none */
    const char *meter_root;         /* in place of "/", for the energy meter of tests; NULL = "/" */
    /* When the project's log is ours and before its records are read: what has to be opened in another way than the first reader would. */
    int (*before)(void *ctx, wr_err *err);
    void *ctx;
} wr_serve_opt;
/* Opens the log and starts every endpoint that has a model. opt may be NULL. */
int wr_serve_open(wr_serve **out, wr_project *p, const wr_serve_opt *opt, wr_err *err);
/* Nothing may be in flight. Does not drain. */
void wr_serve_close(wr_serve *s);
/* Look for models that moved. An endpoint's trouble is its own: kept as its error text. Loads, and so may take its time. */
int wr_serve_refresh(wr_serve *s, wr_err *err);
/* Endpoints' models without a view, and those of the folder. Ready, index and stats of both and of packages: wr_serve_ready, ... */
wr_repository *wr_serve_repository(wr_serve *s);

/* Hold an endpoint's model. WEIR_ENOTFOUND (did-you-mean), WEIR_EUNAVAILABLE when it is not ready (why is in detail). */
int wr_serve_take(wr_served **out, wr_serve *s, wr_str endpoint, wr_err *err);
void wr_serve_give(wr_served *m);
/* Whatever has this name: an endpoint's package, or else a model of the repository; one of both is set, to be given back. version {NULL, 0}:
 * the default one. WEIR_ENOTFOUND (did-you-mean), WEIR_EUNAVAILABLE. */
int wr_serve_find(wr_served **package, wr_instance **model, wr_serve *s, wr_str name, wr_str version, wr_err *err);
/* The state of a view by name; WEIR_ENOTFOUND. Lives as long as `s`. */
int wr_serve_view(wr_live **out, wr_serve *s, wr_str view, wr_err *err);

wr_round *wr_round_new(wr_serve *s);                           /* NULL when out of memory */
wr_serve *wr_round_serve(wr_round *r);
void wr_round_free(wr_round *r);                               /* ends it */
/* Score of one row (cells in order of the view's request; kinds as its types say). `id` is kept with it. WEIR_EINVAL when the time is missing. */
int wr_serve_predict(double *score, wr_round *r, wr_served *m, const wr_cell *request, wr_str id, wr_err *err);
/* The next `rows` calls of it answer one request that was there at start_ns: each takes what it takes and its part of the time before. So the log
 * can tell their joules (drain.h); rows that nobody announces have none. */
void wr_round_rows(wr_round *r, int64_t start_ns, size_t rows);
/* A new id nobody else has, into out[WR_SERVE_ID]; returns its length. */
enum { WR_SERVE_ID = 40 };
size_t wr_serve_id(wr_serve *s, char out[WR_SERVE_ID]);
int wr_serve_label(wr_round *r, wr_str endpoint, wr_str id, double label, int64_t known_us, wr_err *err);
/* WEIR_EINVAL for a time more than a day ahead of this machine's clock: it would empty the windows. */
int wr_serve_event_time(int64_t time_us, const wr_live *l, wr_err *err);
/* An event of an acceptable time. */
int wr_serve_event(wr_round *r, wr_live *l, int64_t time_us, const wr_cell *event, wr_err *err);
/* Commits what the round did and moves the states. When it fails nothing of the round may be acknowledged. */
int wr_serve_round_end(wr_round *r, wr_err *err);
/* Syncs predictions that are only written; cheap when there are none. */
int wr_serve_sync(wr_serve *s, wr_err *err);

/* ---- looking at it ---- */

typedef struct {
    const char *name, *reference;   /* "delay", "delay@champion", or the path */
    bool ready;
    bool plain;                     /* no package and no view: a model of the repository */
    char model[256], package[WR_SHA256_HEX], view[256], error[320];
    int64_t version;
    uint64_t predictions, labels, rewards; /* since the start */
    int64_t watermark_us;           /* newest event time seen in predictions and feature events, INT64_MIN = none */
    double threshold;
} wr_serve_status;
/* Of endpoint i < wr_serve_count(). */
size_t wr_serve_count(const wr_serve *s);
void wr_serve_status_of(wr_serve_status *out, wr_serve *s, size_t i);
bool wr_serve_ready(wr_serve *s);                              /* every endpoint is, and what the folder should have */
/* As wr_repository_index and wr_repository_stats, with the endpoints. */
int wr_serve_index(wr_index_entry **out, size_t *n, wr_serve *s, wr_arena *a, wr_err *err);
int wr_serve_stats(wr_stats_entry **out, size_t *n, wr_serve *s, wr_str name, wr_str version, wr_arena *a, wr_err *err);
/* Predictions by version: calls fn for each version that answered since the start. */
void wr_serve_counts(wr_serve *s, void (*fn)(void *ctx, const char *endpoint, int64_t version, uint64_t n), void *ctx);
/* Views whose columns are looked up: calls fn for each that has tables. */
void wr_serve_lookups(wr_serve *s, void (*fn)(void *ctx, const char *view, const wr_lookup_info *info), void *ctx);
uint64_t wr_serve_log_bytes(const wr_serve *s);
