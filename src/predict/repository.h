/* SPDX-License-Identifier: Apache-2.0 */
/* repository.h - models in service, by name and version: loading, swapping, draining, counting.
 *
 * Names come from two sides: a folder DIR/NAME/VERSION/(model file or folder) with DIR/NAME/config.json beside it (Triton's layout; a
 * config.pbtxt is read too), loaded and unloaded on demand; and wr_repository_put, for what others opened.
 * A version in service is a wr_instance: immutable and counted. A request takes it, answers with it, gives it back; so a load never waits
 * for requests, no request waits for a load, and the last one out frees the old. Loading: open, check against config, warm up (the config's
 * golden rows where there are any), then swap; a failing step leaves what served before and keeps the reason.
 * Versions: names of numbers, the greatest number in service is the default; other names are taken too (default only where there is no
 * number: the last by byte order), but such a folder without a model file is none.
 * A load takes what is good: a version that fails leaves the others, and while one fails none goes.
 *
 * States (the index shows them): UNAVAILABLE, LOADING, READY, UNLOADING.
 * Threads: all functions from any thread; take and give cost one uncontended lock and one atomic. Loads of one name follow each other.
 */
#pragma once
#include <stdatomic.h>
#include "base/pool.h"
#include "calc/histogram.h"
#include "codec/json.h"
#include "predict/predictor.h"

typedef struct wr_repository wr_repository;

enum { WR_PREFERRED_BATCHES = 16 };

/* What Triton's model configuration says and Weir heeds. */
typedef struct {
    int64_t max_batch;             /* 0 = shapes are whole, without a batch dimension */
    int64_t queue_max;             /* requests waiting, 0 = no cap of its own */
    bool batching;                 /* requests may share a run even where that moves the last digits */
    int64_t preferred[WR_PREFERRED_BATCHES]; /* rows with which a batch need not wait any more; 0s behind the last */
    int64_t delay_us;              /* wait at most so long for a batch to fill; 0 = only what is queued */
    bool cache;                    /* response cache */
    int64_t instances;             /* kept and told, no meaning here */
} wr_model_config;

/* Nanoseconds and counts since the model was first loaded; written by many. */
typedef struct { atomic_uint_fast64_t n, ns; } wr_duration;
void wr_duration_add(wr_duration *d, int64_t ns); /* one more of them; less than 0 counts as 0 */
void wr_durations_add(wr_duration *d, uint64_t n, int64_t ns); /* n more, of ns together */
typedef enum {
    WR_FAIL_REJECTED,              /* the queue is full */
    WR_FAIL_CANCELED,
    WR_FAIL_BACKEND,               /* the model could not */
    WR_FAIL_OTHER,                 /* the request does not fit */
    WR_FAIL_REASONS
} wr_fail_reason;
/* Durations of what succeeded, by bins (calc/histogram.h). */
typedef struct wr_latency {
    atomic_uint_fast64_t n[WR_DURATION_BINS];
    struct wr_latency *next;       /* the owner's */
} wr_latency;
typedef struct {
    wr_duration success, fail, queue, input, infer, output, cache_hit, cache_miss;
    atomic_uint_fast64_t inferences, executions; /* rows; runs of the predictor */
    atomic_uint_fast64_t failures[WR_FAIL_REASONS];
    atomic_int_fast64_t last_ms, pending;
    atomic_int_fast64_t held;      /* of pending: those that wait for company (delay_us) */
    /* Only while the version is in service; then another one's, but never freed before the repository. NULL: nothing is known. */
    wr_latency *_Atomic latency;
} wr_model_stats;
void wr_latency_count(wr_model_stats *s, int64_t ns);
void wr_latency_bins(uint64_t out[WR_DURATION_BINS], const wr_model_stats *s); /* copies; 0s when nothing is known */

typedef struct wr_instance {
    const char *name, *version, *platform;
    const wr_predictor *predictor;
    wr_model_config config;
    const wr_tensor_spec *in, *out; /* what clients see: as the configuration has it, whole shapes (-1 first: rows) */
    size_t nin, nout;
    bool rows;                     /* the first dimension counts rows: max_batch > 0 */
    wr_model_stats *stats;         /* of name and version; outlives the instance */
    wr_str config_json;            /* Triton's ModelConfig as JSON, for /config */
    uint64_t generation;           /* > 0; no other instance of the repository has it */
    atomic_int refs;               /* private, as all below */
    struct wr_repository *of;
    void *mem;
} wr_instance;

struct wr_infer_request;
struct wr_infer_answer;

typedef struct {
    const char *dir;               /* NULL = none: only what is put */
    bool load_all;                 /* at the start, and new folders when polled */
    size_t cache_bytes;            /* of all answers that models with a response cache keep; 0 = 64 MiB */
    wr_pool *pool;                 /* large batches of row-wise models go over it; NULL = not. Nobody who answers may run in it */
    /* Opens a version; NULL = wr_predictor_open. `path` is a file or a folder. */
    int (*open)(wr_predictor **out, const char *path, wr_err *err);
    /* May that version of DIR, a folder or file, be opened? Asked before it is. NULL = all may. */
    int (*admit)(void *ctx, const char *path, wr_err *err);
    /* Told of each answer with its tensors, before it goes out; by the thread that made it. NULL = nobody is. */
    void (*answered)(void *ctx, const wr_instance *m, const struct wr_infer_request *q, const struct wr_infer_answer *a);
    void *ctx;
} wr_repository_opt;

int wr_repository_open(wr_repository **out, const wr_repository_opt *opt, wr_err *err);
void wr_repository_close(wr_repository *r); /* nothing may be in flight */

/* version {NULL, 0}: the default one. WEIR_ENOTFOUND (did-you-mean), WEIR_EUNAVAILABLE (known, not ready: why is in detail). */
int wr_repository_take(wr_instance **out, wr_repository *r, wr_str name, wr_str version, wr_err *err);
void wr_instance_give(wr_instance *m);

/* From DIR. config: JSON of a ModelConfig in place of the file's, or {NULL, 0}. WEIR_ENOTFOUND; any error of opening. */
int wr_repository_load(wr_repository *r, wr_str name, wr_str config, wr_err *err);
int wr_repository_unload(wr_repository *r, wr_str name, wr_err *err); /* WEIR_ENOTFOUND */
/* Takes over `p`, also on failure. Checks and warms up; then it is the one version of that name, and the one before drains. A name that is
 * put is no longer looked for in DIR. `config`: JSON of a ModelConfig, {NULL, 0} = what the model says. */
int wr_repository_put(wr_repository *r, const char *name, const char *version, wr_predictor *p, wr_str config, wr_err *err);
/* What was put goes. WEIR_ENOTFOUND. */
int wr_repository_remove(wr_repository *r, const char *name, wr_err *err);
/* Looks at DIR: new and changed versions come, gone ones go, once two looks saw the same; so nobody sees half a version. */
int wr_repository_poll(wr_repository *r, wr_err *err);

typedef struct { wr_str name, version, state, reason; } wr_index_entry;
/* By name and version; known ones that are not loaded too. */
int wr_repository_index(wr_index_entry **out, size_t *n, wr_repository *r, wr_arena *a, wr_err *err);
/* Stats of name and version ({NULL, 0}: all versions, all names), of models in service. */
/* Versions of a name that are in service, in the order of versions; WEIR_ENOTFOUND as take. */
int wr_repository_versions(wr_str **out, size_t *n, wr_repository *r, wr_str name, wr_arena *a, wr_err *err);
typedef struct { wr_str name, version; const wr_model_stats *stats; } wr_stats_entry;
int wr_repository_stats(wr_stats_entry **out, size_t *n, wr_repository *r, wr_str name, wr_str version, wr_arena *a, wr_err *err);
/* Of all that is in a file or a folder, as far as names, sizes and times tell it; 0 = there is nothing, or no memory. */
uint64_t wr_model_print(const char *path);
bool wr_repository_ready(wr_repository *r); /* nothing that should be there is missing */
