/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_model.h - an ONNX file (onnx.proto3, ModelProto) as plain structs: graph, initializers, what goes in and comes
 * out.
 *
 * Nothing is interpreted here: names stay names, attributes stay attributes. Strings and numbers point into the file's
 * bytes where they lie aligned, else into the model's arena; all live as long as the model. Tensors of more than
 * WR_TENSOR_DIMS dimensions, of types that wr_tensor has no word for (complex, 4 and 8 bit floats) and sparse ones are
 * WEIR_EUNSUPPORTED where they are initializers; as attributes they are left out, and who needs them says so. Subgraphs
 * (If, Loop) and local functions are noted, not read.
 *
 * External data (data_location = EXTERNAL): only files of the model's own folder and below, no path out of it, by ".."
 * or by a link.
 *
 * Errors: WEIR_ECORRUPT (says where), WEIR_EUNSUPPORTED, WEIR_ELIMIT, WEIR_ENOTFOUND (external file). Threads:
 * immutable once read.
 */
#pragma once
#include "codec/tensor.h"

typedef enum {
    WR_ONNX_TENSOR,
    WR_ONNX_MAPS,
    WR_ONNX_OTHER
} wr_onnx_kind; /* maps: sequence of maps, what ZipMap gives */

typedef struct {
    wr_str name;
    wr_onnx_kind kind;
    wr_tensor_type type; /* of MAPS: of the maps' values */
    bool shaped;         /* a shape is given */
    int ndims;
    int64_t shape[WR_TENSOR_DIMS]; /* -1 = symbolic or unknown */
} wr_onnx_value;

/* AttributeProto.AttributeType, the ones that are read. */
typedef enum {
    WR_ONNX_ATTR_NONE = 0,
    WR_ONNX_ATTR_FLOAT = 1,
    WR_ONNX_ATTR_INT = 2,
    WR_ONNX_ATTR_STRING = 3,
    WR_ONNX_ATTR_TENSOR = 4,
    WR_ONNX_ATTR_GRAPH = 5,
    WR_ONNX_ATTR_FLOATS = 6,
    WR_ONNX_ATTR_INTS = 7,
    WR_ONNX_ATTR_STRINGS = 8,
} wr_onnx_attr_type;

typedef struct {
    wr_str name;
    wr_onnx_attr_type type;
    float f;
    int64_t i;
    wr_str s;
    size_t n; /* of the list below that type names */
    float *floats;
    int64_t *ints;
    wr_str *strings;
    wr_tensor *tensor; /* NULL: of a kind that is not read */
} wr_onnx_attr;

typedef struct {
    wr_str domain, op, name; /* domain "" is ai.onnx */
    wr_str *in, *out;        /* "" = left out */
    size_t nin, nout;
    wr_onnx_attr *attrs;
    size_t nattrs;
} wr_onnx_node;

typedef struct {
    wr_str key, value;
} wr_onnx_pair;

typedef struct wr_onnx_model {
    int64_t ir_version, opset, opset_ml; /* 0 = not imported */
    wr_str producer, graph_name;
    wr_onnx_node *nodes;
    size_t nnodes;
    wr_tensor *init;
    size_t ninit;
    wr_onnx_value *in, *out; /* in: without those that are initializers (IR 3 lists these too) */
    size_t nin, nout;
    wr_onnx_pair *meta;
    size_t nmeta;
    size_t nfunctions;
    bool has_external;
    wr_str bytes;    /* the file */
    const char *dir; /* the model's folder, NULL when it came from memory */
    wr_arena *mem;
    wr_buf file; /* private */
} wr_onnx_model;

/* The file at `path`. */
int wr_onnx_model_open(wr_onnx_model **out, const char *path, wr_err *err);
/* From memory; `bytes` must outlive the model. dir NULL: external data are refused. */
int wr_onnx_model_read(wr_onnx_model **out, wr_str bytes, const char *dir, wr_err *err);
void wr_onnx_model_free(wr_onnx_model *m); /* NULL is fine */

/* A single TensorProto ("input_0.pb" of a model's test data). It points into `bytes` or `a`. */
int wr_onnx_tensor_read(wr_tensor *out, wr_str bytes, wr_arena *a, wr_err *err);
/* TensorProto.DataType; WR_TENSOR_NONE for what wr_tensor has no word for. The other way 0. */
wr_tensor_type wr_onnx_type(uint64_t data_type);
int wr_onnx_type_number(wr_tensor_type t);

/* The attribute or NULL. */
const wr_onnx_attr *wr_onnx_attr_find(const wr_onnx_node *n, const char *name);

/* The same model with every ZipMap at an output replaced by Identity and the output's type by a tensor [-1, -1], for
 * executors that want tensors only; the file's bytes when there is none. `a` holds the result. */
int wr_onnx_model_plain(wr_str *out, const wr_onnx_model *m, wr_arena *a, wr_err *err);
