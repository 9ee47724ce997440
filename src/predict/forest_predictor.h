/* SPDX-License-Identifier: Apache-2.0 */
/* forest_predictor.h - a tree ensemble (or XGBoost's linear booster) as a predictor: one input of rows, one output, contributions.
 *
 * Input "input" FP32 [-1, features], other number types are converted, NaN is missing. With categories that have names the inputs are the
 * features instead, each by its name, values as they are (forest_columns.h); "input" then is the predictor's `matrix`. Output "output": [-1]
 * for one number a row, else [-1, k]. With labels: INT64, what a classifier of scikit-learn's kind answers: the class (softmax), or 1 where
 * the answer is above 0.5.
 */
#pragma once
#include "calc/forest.h"
#include "predict/categories.h"
#include "predict/predictor.h"

typedef struct {
    const char *platform;      /* lives for ever */
    wr_tensor_type type;       /* of the output: FP32 or FP64 */
    bool labels;
    const float *linear;       /* margins instead of trees: (features + 1) x margins, the last row is the bias; copied */
    const float *linear_base;  /* margins; before everything else */
    const wr_str *features;    /* names, wr_forest_nfeatures of them, or NULL; copied */
    wr_categories *categories; /* NULL = codes are sent; taken over */
    bool unseen_is_missing;    /* a category that was not there in training; else an error */
} wr_forest_predictor_opt;

/* Takes over `f`, which is finished, and the categories, also on failure. */
int wr_forest_predictor_new(wr_predictor **out, wr_forest *f, const wr_forest_predictor_opt *opt, wr_err *err);

/* Before the transformation: rows x nmargins numbers, nmargins as wr_forest_nmargins of the forest says. p: made here. */
const wr_forest *wr_forest_predictor_forest(const wr_predictor *p);
int wr_forest_predictor_margins(const wr_predictor *p, const float *rows, size_t n, double *out, wr_err *err);

/* Models in memory; `what` names the source in messages. as: class of the program's object that the file is of ("xgboost.sklearn.XGBClassifier",
 * from MLflow's model_class); NULL or a Booster's: the file's own answer. */
int wr_xgboost_read(wr_predictor **out, wr_str bytes, const char *as, const char *what, wr_err *err);
int wr_lightgbm_read(wr_predictor **out, wr_str bytes, const char *as, const char *what, wr_err *err);
