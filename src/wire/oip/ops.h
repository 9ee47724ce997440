/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - what the protocols of serving ask of who has the models, as a table of functions: tensors in, tensors out. A model is an endpoint
 * with a feature view whose predictions are kept, or a plain model of a repository; the protocols (rest.h) see no difference.
 *
 * Inputs arrive as the client sent them, by name, scanned straight into tensors (codec/tensor.h). What the protocol itself can judge is
 * judged here (names twice, sizes, counts, types of data); whether they fit the model is `infer`'s to say. Of an input whose spec is
 * `lenient` null is a missing value: NaN where the tensor is of numbers (BOOL and whole numbers become FP64 then), {NULL, 0} where it is
 * BYTES, INT64_MIN where a lenient spec of BYTES (a time: ISO 8601 or microseconds since 1970) got INT64. Null is refused elsewhere, but for
 * FP32 and FP64, where it is NaN.
 *
 * Predictions that are kept have ids: the id of the request; of several rows, row i is ID/i; without one `infer` makes them. They are told in
 * parameters.prediction_ids.
 *
 * Threads: the functions are called from any, also at once; what they hand out is in the request's arena. Caps: base/limits.h.
 */
#pragma once
#include "base/arena.h"
#include "base/str.h"
#include "predict/infer.h"

/* What a name stands for, while a request is answered. */
typedef struct {
    wr_str name, version;             /* version "" when it has none */
    const wr_str *versions;           /* all in service, for the metadata; NULL = the one above */
    size_t nversions;
    const char *platform;
    const wr_tensor_spec *in, *out;   /* whole shapes: -1 = any, the first dimension counts rows when `rows` */
    size_t nin, nout;
    bool rows;
    bool explains;
    const char *no_explain;           /* why not, as the end of a sentence; NULL = nothing to say */
    const char *const *explained;     /* names of what contributions are of, but for the last (the base value); NULL = unknown */
    size_t nexplained;
    const char *const *features;      /* of a model with one input of [rows, n]: the names of its columns; NULL = unknown */
    size_t nfeatures;
    uint64_t generation;              /* another whenever the specs may be others, also under the same name; 0 = not known */
    void *handle;                     /* the ops' own */
} wr_oip_model;

typedef enum { WR_OIP_BOOL, WR_OIP_I64, WR_OIP_F64, WR_OIP_STR } wr_oip_param_kind;
typedef struct {
    wr_str name;
    wr_oip_param_kind kind;
    union { bool b; int64_t i64; double f64; wr_str str; };
} wr_oip_param;

typedef struct {
    wr_str id;                        /* "" = none */
    const wr_tensor *in;              /* as sent, each name once */
    size_t nin;
    const wr_str *outputs;            /* names that were asked for, each once; noutputs 0 = all */
    size_t noutputs;
    const wr_oip_param *params;       /* of the request, but for those that this protocol takes for itself */
    size_t nparams;
    uint64_t timeout_us, priority;    /* 0 = none */
    int64_t start_ns;                 /* wr_clock_mono_ns when the request was there; 0 = not known */
    bool explain;
    void (*done)(void *arg, int rc);  /* NULL: to be answered at once */
    void *arg;
} wr_oip_infer;

typedef struct {
    wr_tensor *out;                   /* named, in the order asked for */
    size_t nout;
    wr_str version;                   /* that answered; {NULL, 0} = the model's */
    const wr_str *ids;                /* of the predictions that were kept, one a row; nids 0 = none was */
    size_t nids;
    bool kept;                        /* something waits for the log: the answer must, too */
} wr_oip_result;

/* Functions that may be NULL are named; then the path answers that this server does not have it (501). */
typedef struct {
    void *ctx;
    bool (*ready)(void *ctx);
    /* version {NULL, 0}: the default. WEIR_ENOTFOUND, WEIR_EUNAVAILABLE (known, not ready). Strings in `a` or as long as it is held. */
    int (*model)(void *ctx, wr_oip_model *out, wr_str name, wr_str version, wr_arena *a, wr_err *err);
    void (*release)(void *ctx, wr_oip_model *m);
    /* WEIR_EINVAL, WEIR_ETYPE: the request does not fit; WEIR_EUNAVAILABLE: too busy; WEIR_ETIMEOUT. The result in `a`. 1, only when there is
     * q->done: it waits for others, and q->done will be called, on this thread, with what would have been returned; q may be gone by then, but not
     * what it points to. */
    int (*infer)(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a, wr_err *err);
    int (*config)(void *ctx, wr_str *json, const wr_oip_model *m, wr_arena *a, wr_err *err); /* Triton's ModelConfig. NULL: made of the specs */
    int (*index)(void *ctx, wr_index_entry **out, size_t *n, wr_arena *a, wr_err *err); /* all that has a name, ready or not */
    int (*load)(void *ctx, wr_str name, wr_str config, wr_err *err);                    /* may be NULL */
    int (*unload)(void *ctx, wr_str name, wr_err *err);                                 /* may be NULL */
    /* Of name and version; {NULL, 0}: all. WEIR_ENOTFOUND. May be NULL. */
    int (*stats)(void *ctx, wr_stats_entry **out, size_t *n, wr_str name, wr_str version, wr_arena *a, wr_err *err);
} wr_oip_ops;

/* Who asks may let a request wait for others to share a run with (predict/batch.h). Then, when the answer comes, begin is called, which makes out->body
 * what it was; the answer is written; and done is called. Request, response, ops and arena last until then. */
typedef struct {
    void (*begin)(void *arg);         /* NULL: nobody waits */
    void (*done)(void *arg);
    void *arg;
} wr_oip_later;

/* What lasts longer than a request: options, registered regions of shared memory, settings. */
typedef struct wr_oip wr_oip;
typedef struct {
    const char *server_name;          /* NULL = "weir"; programs written for Triton may ask for "triton" */
    const char *server_version;
    bool shared_memory;               /* clients may name regions under /dev/shm: for servers that only this machine reaches */
} wr_oip_opt;
int wr_oip_new(wr_oip **out, const wr_oip_opt *opt, wr_err *err); /* strings of opt live as long */
void wr_oip_free(wr_oip *o);
