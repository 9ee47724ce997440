/* SPDX-License-Identifier: Apache-2.0 */
/* predictor.h - a model that answers: tensors in, tensors out. What a file of some format becomes when it is opened.
 *
 * A predictor is immutable once it is open; run and explain may be called by any number of threads. Inputs are checked by the caller
 * (infer.h) before run: type, dimensions, sizes, so an implementation may rely on its own specification.
 *
 * Adding a format: one file with a wr_format, one line in the list of formats.c, one test file. Declarative formats only: nothing in a model
 * file is ever executed; a pickle is refused with a hint how to export the model.
 */
#pragma once
#include "codec/tensor.h"

typedef struct wr_predictor wr_predictor;

typedef struct {
    const char *name;
    wr_tensor_type type;
    int ndims;
    int64_t shape[WR_TENSOR_DIMS]; /* -1 = any */
    bool optional;                 /* input: may be left out */
    bool lenient;                  /* input: other number types are converted, values may be missing; [n, 1] is taken for [n] */
    const char *const *labels;     /* output: names of classes, for the classification extension; NULL = none */
    size_t nlabels;
} wr_tensor_spec;

typedef struct {
    /* in: nin tensors in the order of p->in (type WR_TENSOR_NONE: left out). out: nout tensors in the order of p->out, name and type set;
     * run sets shape, count and data (in `a`, or pointing into `in`). Outputs with `want` false may be left as they are. */
    int (*run)(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err);
    /* Contributions of the features to the margin: out FP64 [rows, outputs, features + 1], the last is the base value. NULL = cannot. */
    int (*explain)(const wr_predictor *p, wr_tensor *out, const wr_tensor *in, wr_arena *a, wr_err *err);
    void (*free)(wr_predictor *p);
} wr_predictor_ops;

/* The head of every implementation's own struct. */
struct wr_predictor {
    const wr_predictor_ops *ops;
    const char *platform;          /* "xgboost_json", "onnxruntime_onnx", "weir_onnx", ... */
    const wr_tensor_spec *in, *out;
    size_t nin, nout;
    const wr_tensor_spec *matrix;  /* one input in place of `in`, for who writes it there before the first run; NULL = there is none */
    bool rows;                     /* first dimension of every input and output counts rows, each answered on its own: may be batched and split */
    bool steady;                   /* with rows: what a row is answered is the same to the bit, whatever rows stand beside it */
    const char *no_explain;        /* why ops->explain is not there, as the end of a sentence; NULL = nothing to say */
    const char *const *features;   /* names of the columns that explain tells of; NULL = unknown */
    size_t nfeatures;
    size_t memory;                 /* bytes it holds, about */
};

typedef struct {
    const char *name;              /* "xgboost" */
    const char *summary;
    /* Could this file (not folder) be of this format? By name and first bytes; `head` holds up to 4 KiB. */
    bool (*knows)(wr_str file_name, wr_str head);
    /* WEIR_ECORRUPT (says where), WEIR_EUNSUPPORTED (says what), WEIR_ELIMIT. */
    int (*open)(wr_predictor **out, const char *path, wr_err *err);
    /* May be NULL. The same, to answer as objects of that class of the format's library do (MLflow's model_class: an XGBClassifier tells the
     * class, its Booster the probability). */
    int (*open_as)(wr_predictor **out, const char *path, const char *as, wr_err *err);
} wr_format;

extern const wr_format *const wr_formats[]; /* NULL at the end */

/* Opens a model file, or a folder with exactly one (or with an MLmodel that names it). WEIR_ENOTFOUND, WEIR_EUNSUPPORTED with a hint. */
int wr_predictor_open(wr_predictor **out, const char *path, wr_err *err);
static inline void wr_predictor_free(wr_predictor *p) { if (p) p->ops->free(p); }
/* Plain C in place of vector code, in all executors of our own: to compare the two, while nothing else predicts. */
void wr_predictor_plain(bool on);
