/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - a model's configuration: Triton's ModelConfig, as a file of the repository (config.pbtxt, config.json) or as JSON in a request
 * to load, read as far as it is heeded, brought together with what the model file itself says, and written again.
 *
 * A configuration may leave out what the model knows: inputs, outputs, whether there is a batch dimension. What it says must fit the model;
 * words of errors name the model, the tensor and both sides. Fields with no meaning here are read over.
 * Private to this folder.
 */
#pragma once
#include "base/arena.h"
#include "codec/json.h"
#include "predict/repository.h"

enum { WR_CONFIG_TENSORS = 10000 }; /* inputs, outputs */

typedef struct {
    wr_str name;
    wr_tensor_type type;
    int ndims;
    int64_t dims[WR_TENSOR_DIMS];      /* without the batch dimension */
    bool has_reshape;
    int nreshape;
    int64_t reshape[WR_TENSOR_DIMS];   /* as the model has it */
    bool optional;
    wr_str label_file;
} wr_config_tensor;

typedef enum { WR_POLICY_LATEST, WR_POLICY_ALL, WR_POLICY_SPECIFIC } wr_version_policy;

typedef struct {
    wr_json json;                      /* what all texts point into */
    wr_str name, platform, backend, model_file;
    bool has_max_batch;
    wr_model_config c;
    wr_config_tensor *in, *out;        /* nin 0: the model's own */
    size_t nin, nout;
    wr_version_policy policy;
    int64_t latest;                    /* so many */
    int64_t *versions;                 /* SPECIFIC */
    size_t nversions;
    yyjson_val *warmup, *parameters;   /* NULL = none */
} wr_config;

/* JSON of a ModelConfig; lists in `a`. WEIR_EPARSE, WEIR_ETYPE, WEIR_EINVAL, WEIR_ELIMIT. `out` is to be freed also after failure. */
int wr_config_parse(wr_config *out, wr_arena *a, wr_str json, const char *what, wr_err *err);
/* DIR/config.pbtxt or DIR/config.json, or neither: an empty one. */
int wr_config_read(wr_config *out, wr_arena *a, const char *dir, wr_err *err);
void wr_config_free(wr_config *c);
#define WR_AUTOCONFIG __attribute__((cleanup(wr_config_free)))

/* How inputs and outputs of a request meet those of the predictor. */
typedef struct {
    size_t at;                         /* index in the predictor's list */
    bool has_reshape;
    int nreshape;
    int64_t reshape[WR_TENSOR_DIMS];
} wr_config_map;

/* What clients see: specs with whole shapes (-1 first when there is a batch dimension), in the order of the configuration. */
typedef struct {
    wr_model_config c;
    wr_tensor_spec *in, *out;
    wr_config_map *in_map, *out_map;
    size_t nin, nout;
} wr_config_fit;

/* Does the configuration fit the model? `dir` is where label files are (NULL = none are read). Everything in `a`. */
int wr_config_fit_to(wr_config_fit *out, wr_arena *a, const wr_config *c, const wr_predictor *p, const char *name, const char *dir, wr_err *err);

/* Triton's JSON of the configuration that came out. */
void wr_config_write(wr_buf *out, const wr_config *c, const wr_config_fit *f, const wr_predictor *p, const char *name);
