/* SPDX-License-Identifier: Apache-2.0 */
/* repository.h - models in service, by name and version: loading, swapping, draining, counting.
 *
 * Names come from two sides: a folder DIR/NAME/VERSION/(model file or folder) with DIR/NAME/config.json beside it (Triton's layout; a
 * config.pbtxt is read too), loaded and unloaded on demand; and wr_repository_put, for what others opened.
 * A version in service is a wr_instance: immutable and counted. A request takes it, answers with it, gives it back; so a load never waits
 * for requests, no request waits for a load, and the last one out frees the old. Loading: open, check against config, warm up (the config's
 * golden rows where there are any), then swap; a failing step leaves what served before and keeps the reason.
 * Versions: names of numbers, the greatest number is the default; other names are taken too, after all numbers by byte order.
 *
 * States (the index shows them): UNAVAILABLE, LOADING, READY, UNLOADING.
 * Threads: all functions from any thread; take and give cost one uncontended lock and one atomic. Loads of one name follow each other.
 */
#pragma once
#include <stdatomic.h>
#include "codec/json.h"
#include "predict/predictor.h"

typedef struct wr_repository wr_repository;

/* What Triton's model configuration says and Weir heeds. */
typedef struct {
    int64_t max_batch;             /* 0 = shapes are whole, without a batch dimension */
    int64_t queue_max;             /* requests waiting, 0 = no cap of its own */
    int64_t delay_us;              /* wait at most so long for a batch to fill; 0 = only what is queued */
    bool cache;                    /* response cache */
    int64_t instances;             /* kept and told, no meaning here */
} wr_model_config;

/* Nanoseconds and counts since the model was first loaded; written by many. */
typedef struct { atomic_uint_fast64_t n, ns; } wr_duration;
typedef struct {
    wr_duration success, fail, queue, input, infer, output, cache_hit, cache_miss;
    atomic_uint_fast64_t inferences, executions; /* rows; runs of the predictor */
    atomic_int_fast64_t last_ms, pending;
} wr_model_stats;

typedef struct wr_instance {
    const char *name, *version;
    const wr_predictor *predictor;
    wr_model_config config;
    wr_model_stats *stats;         /* of name and version; outlives the instance */
    wr_str config_json;            /* Triton's ModelConfig as JSON, for /config */
    atomic_int refs;               /* private, as all below */
    struct wr_repository *of;
    void *mem;
} wr_instance;

typedef struct {
    const char *dir;               /* NULL = none: only what is put */
    bool load_all;                 /* at the start, and new folders when polled */
} wr_repository_opt;

int wr_repository_open(wr_repository **out, const wr_repository_opt *opt, wr_err *err);
void wr_repository_close(wr_repository *r); /* nothing may be in flight */

/* version {NULL, 0}: the default one. WEIR_ENOTFOUND (did-you-mean), WEIR_EUNAVAILABLE (known, not ready: why is in detail). */
int wr_repository_take(wr_instance **out, wr_repository *r, wr_str name, wr_str version, wr_err *err);
void wr_instance_give(wr_instance *m);

/* From DIR. config: JSON of a ModelConfig that overrides the file's, or {NULL, 0}. WEIR_ENOTFOUND; any error of opening. */
int wr_repository_load(wr_repository *r, wr_str name, wr_str config, wr_err *err);
int wr_repository_unload(wr_repository *r, wr_str name, wr_err *err); /* WEIR_ENOTFOUND */
/* Takes over `p`, also on failure. Replaces that version. */
int wr_repository_put(wr_repository *r, const char *name, const char *version, wr_predictor *p, const wr_model_config *c, wr_err *err);
int wr_repository_poll(wr_repository *r, wr_err *err); /* looks at DIR; new and changed versions come, gone ones go */

typedef struct { wr_str name, version, state, reason; } wr_index_entry;
/* By name and version; known ones that are not loaded too. */
int wr_repository_index(wr_index_entry **out, size_t *n, wr_repository *r, wr_arena *a, wr_err *err);
/* Stats of name and version ({NULL, 0}: all versions, all names), of models in service. */
typedef struct { wr_str name, version; const wr_model_stats *stats; } wr_stats_entry;
int wr_repository_stats(wr_stats_entry **out, size_t *n, wr_repository *r, wr_str name, wr_str version, wr_arena *a, wr_err *err);
bool wr_repository_ready(wr_repository *r); /* nothing that should be there is missing */
