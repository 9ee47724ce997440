/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - what a request means, whatever it was written in: shared by the protocols of this folder, private to it. Texts of errors are
 * Triton's, since its clients' tests look at them. */
#pragma once
#include "wire/oip/ops.h"

/* ---- the server and its models: service.c ---- */

/* Message, detail and hint as one text. */
void wr_oip_error_text(wr_buf *out, const wr_err *e);
/* ops->model, in the words that clients know. */
int wr_oip_take_model(wr_oip_model *out, const wr_oip_ops *ops, wr_str name, wr_str version, wr_arena *a, wr_err *err);
enum { WR_OIP_EXTENSIONS = 16 };
/* Names of the protocol's extensions that this server has; how many. */
size_t wr_oip_extensions(const char *out[WR_OIP_EXTENSIONS], const wr_oip *o, const wr_oip_ops *ops);
/* Versions to be told in a model's metadata, asked for with `version`. */
const wr_str *wr_oip_versions(size_t *n, const wr_oip_model *m, wr_str version);
/* ops->config, or one made of the model's specs: JSON of a ModelConfig (config.c). */
int wr_oip_config(wr_str *json, const wr_oip_ops *ops, const wr_oip_model *m, wr_arena *a, wr_err *err);
/* ops->stats, in the words that clients know; WEIR_EUNSUPPORTED when there is none. */
int wr_oip_find_stats(wr_stats_entry **out, size_t *n, const wr_oip_ops *ops, wr_str name, wr_str version, wr_arena *a, wr_err *err);
/* A parameter of a load by its name: *config says whether it is the configuration, else it means nothing; or it is refused. */
int wr_oip_load_parameter(bool *config, wr_str key, wr_err *err);
/* May this server load and unload at all? */
int wr_oip_may_control(const wr_oip_ops *ops, bool load, wr_err *err);
/* Says in `err` what failed, as clients look for it; its code. */
int wr_oip_uncontrolled(bool load, wr_str name, wr_err *err);
int wr_oip_control(const wr_oip_ops *ops, bool load, wr_str name, wr_str config, wr_err *err);

/* ---- what a request asks for: asked.c ---- */

typedef struct {
    wr_str region;                    /* p NULL = none */
    uint64_t offset, size;
} wr_oip_place;

typedef struct {
    wr_str name;
    bool binary;
    uint64_t classes;                 /* 0 = as it is */
    wr_oip_place place;               /* region.p NULL = in the answer */
} wr_oip_output;

typedef struct {
    wr_oip_infer q;                   /* for ops->infer */
    wr_oip_output *outputs;           /* of q.outputs */
    bool binary;                      /* outputs that were not named are binary */
    bool raw;                         /* binary even when empty */
} wr_oip_asked;

/* One that is being put together. */
typedef struct {
    wr_oip_asked *out;
    const wr_oip_model *m;
    wr_arena *arena;
    wr_tensor *in;
    wr_str *names;                    /* of outputs */
    wr_oip_param *params;
    size_t cap_in, cap_out, cap_params;
    uint8_t *seen_in, *seen_out;      /* by place in the model */
} wr_oip_asking;

/* *out keeps what was set in it before. */
int wr_oip_ask(wr_oip_asking *k, wr_oip_asked *out, const wr_oip_model *m, wr_arena *a, wr_err *err);
int wr_oip_ask_id(wr_oip_asking *k, wr_str id, wr_err *err);
/* The name of the next input: which of the model's it is. */
int wr_oip_ask_name(wr_oip_asking *k, size_t *at, wr_str name, wr_err *err);
int wr_oip_ask_type(wr_tensor *t, wr_str text, wr_err *err);
int wr_oip_ask_input(wr_oip_asking *k, const wr_tensor *t, wr_err *err);
int wr_oip_ask_output(wr_oip_asking *k, const wr_oip_output *o, wr_err *err);
int wr_oip_ask_param(wr_oip_asking *k, const wr_oip_param *p, wr_err *err);
/* Index of `name` in specs, looked for from `guess` on; n when there is none. */
size_t wr_oip_find(const wr_tensor_spec *specs, size_t n, wr_str name, size_t guess);

/* ---- what becomes of outputs: classify.c ---- */

/* The k greatest of each row instead of the values: BYTES "value:index[:label]". */
int wr_oip_classify(wr_tensor *t, uint64_t classes, const wr_oip_model *m, wr_arena *a, wr_err *err);

/* ---- shared memory: shm.c ---- */

/* Copies: a client that shrinks its file meanwhile gets an error, where a mapping would end this process. */
int wr_oip_region_read(void *to, wr_oip *o, wr_str name, uint64_t offset, uint64_t size, wr_err *err);
int wr_oip_region_write(wr_oip *o, wr_str name, uint64_t offset, wr_str bytes, wr_err *err);
/* Tensors in regions. Type and shape of `t` are set. */
int wr_oip_region_get(wr_tensor *t, wr_oip *o, const wr_oip_place *from, const wr_oip_model *m, wr_arena *a, wr_err *err);
int wr_oip_region_put(wr_oip *o, const wr_oip_place *to, const wr_tensor *t, wr_err *err);

typedef struct { wr_str name, key; uint64_t offset, size; } wr_oip_region;
int wr_oip_region_register(wr_oip *o, const wr_oip_region *r, wr_err *err);
int wr_oip_region_unregister(wr_oip *o, wr_str name, wr_err *err);           /* "": all */
/* Copies of all or the one of a name ("": all). */
int wr_oip_regions(wr_oip_region **out, size_t *n, wr_oip *o, wr_str name, wr_arena *a, wr_err *err);
/* No graphics processor takes part, so there is never a region: to unregister is done at once, to ask for all is none. */
int wr_oip_cuda_status(wr_str name, wr_err *err);
int wr_oip_cuda_register(wr_str name, wr_err *err);
const wr_oip_opt *wr_oip_options(const wr_oip *o);

/* ---- settings: settings.c ---- */

/* Triton's switches of the log as one level: each means itself and all that is more serious. */
typedef struct { bool verbose, info, warning; } wr_oip_log;
wr_oip_log wr_oip_log_get(void);
void wr_oip_log_set(wr_oip_log *now);                         /* becomes what it then is */
typedef enum { WR_OIP_LOG_OTHER, WR_OIP_LOG_FLAG, WR_OIP_LOG_VERBOSE, WR_OIP_LOG_FORMAT } wr_oip_log_kind;
/* What a setting of that name takes; refused: log_file. */
int wr_oip_log_setting(wr_oip_log_kind *out, wr_str key, wr_err *err);
int wr_oip_log_flag(wr_oip_log *l, wr_str key, bool on, wr_err *err);
int wr_oip_log_format(wr_str value, wr_err *err);
/* Tracing, of which there is none: what it may be set to. */
int wr_oip_trace_setting(bool *level, wr_str key, wr_err *err); /* refused: trace_file */
int wr_oip_trace_level(wr_str value, wr_err *err);
/* Name and value; level is a list of one. Ends with {NULL, NULL}. */
extern const char *const wr_oip_trace_settings[][2];
