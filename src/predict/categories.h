/* SPDX-License-Identifier: Apache-2.0 */
/* categories.h - what the categories of a model's features are called: from a value ("red", 20) to the code that its trees know.
 *
 * Model files that say it: XGBoost's since 3.1, when it was trained on a frame with columns of type category; LightGBM's, from pandas. A
 * feature has texts, numbers, or whole numbers of which some are beyond what a double tells apart (2^53), or none of it. The code of a value is its place
 * in the list of the feature. Built once, then immutable; any thread may look up.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "codec/json.h"

typedef struct wr_categories wr_categories;
typedef enum { WR_CATEGORIES_NONE, WR_CATEGORIES_TEXT, WR_CATEGORIES_NUMBER, WR_CATEGORIES_WHOLE } wr_categories_kind;

enum {
    WR_CATEGORIES_FEATURES = 4096, /* a model with more takes codes: each feature would be an input */
    WR_CATEGORIES_MOST = 1 << 24,  /* of a feature: codes are float32 */
};

int wr_categories_new(wr_categories **out, size_t nfeatures, wr_err *err);
void wr_categories_free(wr_categories *c); /* NULL is fine */
/* The list of a feature that has none yet, n > 0; copied. WEIR_ECORRUPT when a value is there twice or is no number. cut: 0, or of the last text
 * only the beginning is known, and that it has so many characters. */
int wr_categories_set_texts(wr_categories *c, size_t feature, const wr_str *values, size_t n, size_t cut, wr_err *err);
int wr_categories_set_numbers(wr_categories *c, size_t feature, const double *values, size_t n, wr_err *err);
int wr_categories_set_wholes(wr_categories *c, size_t feature, const int64_t *values, size_t n, wr_err *err);
/* A list of JSON as the kind that holds all of it: numbers and booleans (1 and 0) alone are numbers; with texts among them all are texts, as
 * JSON writes them. */
int wr_categories_set_json(wr_categories *c, size_t feature, yyjson_val *list, wr_err *err);

bool wr_categories_any(const wr_categories *c); /* does any feature have a list? */
wr_categories_kind wr_categories_kind_of(const wr_categories *c, size_t feature);
size_t wr_categories_count(const wr_categories *c, size_t feature);
/* The code, or -1. Of a feature of that kind. */
int64_t wr_categories_text(const wr_categories *c, size_t feature, wr_str value);
int64_t wr_categories_number(const wr_categories *c, size_t feature, double value);
int64_t wr_categories_whole(const wr_categories *c, size_t feature, int64_t value);
size_t wr_categories_memory(const wr_categories *c);

/* ---- out of model files ---- */

/* The member "cats" of a booster's model (NULL: not there); version: of XGBoost, a list. *out NULL: the file names no categories. WEIR_ECORRUPT,
 * WEIR_EUNSUPPORTED. */
int wr_categories_from_xgboost(wr_categories **out, yyjson_val *cats, yyjson_val *version, size_t nfeatures, wr_err *err);

/* Lines of a LightGBM model; empty: not there. */
typedef struct {
    wr_str infos;        /* "feature_infos": what each feature was in training: none, [least:greatest] or codes 0:3:1 */
    wr_str categorical;  /* of the parameters, "0,2" */
    wr_str lists;        /* "pandas_categorical": JSON, a list for each column of pandas' type */
} wr_lightgbm_lists;
/* The lists belong to features in order, but which these are the file does not say. The categorical features have one each, or (when these were
 * named by hand) others have; *out NULL when more than one way is left, or there are no lists. */
int wr_categories_from_lightgbm(wr_categories **out, const wr_lightgbm_lists *t, size_t nfeatures, wr_err *err);
