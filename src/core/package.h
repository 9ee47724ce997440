/* SPDX-License-Identifier: Apache-2.0 */
/* package.h - what training emits and serving loads: a folder, kept as an object tree.
 *
 *   MLmodel         so that MLflow's tools know it; signature   model.trees   the learner's own file (calc/trees.h)
 *   weir.json       view, features used, dictionary of categories, learner, options, metrics, parents
 *   golden.json     rows with their expected outputs        card.md       model card
 *
 * Declarative only: nothing in a package is executed. Loading checks every part and replays the golden rows; a mismatch is WEIR_ECORRUPT.
 * A loaded package is immutable and may be used from any thread.
 */
#pragma once
#include "calc/trees.h"
#include "core/model.h"
#include "core/view.h"

typedef struct {
    char *name;
    const wr_view *view;
    size_t *use; size_t nuse;       /* which features of the view the learner sees, in order */
    wr_map *dict;                   /* per used feature: category text -> code (order of the map); empty for numbers */
    wr_trees *trees;
    char *created, *run_id;         /* time as text (base/clock.h); may be NULL */
    char *metrics_json, *options_json, *parents_json; /* objects; NULL = {}. The card lists metrics energy*, carbon*, co2*, cpu_s* as footprint */
} wr_package_parts;

typedef struct wr_package wr_package;

/* Write the folder and store it: object id in `id`. Same parts, same id. golden: the first 100 rows of raw features (columns by name)
 * without infinities and invalid UTF-8; NULL = none. WEIR_EINVAL when the parts do not fit together. */
int wr_package_save(char id[65], wr_project *p, const wr_package_parts *parts, const wr_frame *golden, wr_err *err);
/* WEIR_ENOTFOUND: no such object; WEIR_EUNSUPPORTED: of a newer weir; WEIR_ECORRUPT: any other fault of the content. */
int wr_package_load(wr_package **out, wr_project *p, const char *id, wr_err *err);
void wr_package_free(wr_package *k);
const wr_package_parts *wr_package_get(const wr_package *k);
const char *wr_package_id(const wr_package *k);

/* Learner's input from feature columns (by name; F32/F64 or TEXT) -> float columns with codes; the one place where text becomes codes.
 * Unknown category: the dictionary's size; missing: NaN. F32 columns are not copied: `cols` may point into `features`. Of `parts` only view,
 * use, nuse and dict are looked at. */
int wr_package_encode(float **cols, const wr_package_parts *parts, const wr_frame *features, wr_arena *a, wr_err *err);
/* Probability for one row of view features as wr_online_row gives them. No allocation. */
double wr_package_predict_row(const wr_package *k, const float *num, const wr_str *text);
/* The learner's row (nuse floats) of the same. No allocation. */
void wr_package_row(float *row, const wr_package *k, const float *num, const wr_str *text);
/* Exact Shapley values (calc/forest.h) of n rows that wr_package_row made: out n x (nuse + 1), of the used features in order, then the base value.
 * A row's numbers sum to its margin (log-odds). The trees become a forest at the first call, which all threads share; WEIR_EUNSUPPORTED beyond
 * WR_FOREST_SHAP_PATH features on one path. */
int wr_package_explain(double *out, const wr_package *k, const float *rows, size_t n, wr_pool *pool, wr_err *err);
/* Of used feature j. */
const char *wr_package_feature_name(const wr_package *k, size_t j);
/* Probabilities for a frame of features. */
int wr_package_predict(double *out, const wr_package *k, const wr_frame *features, wr_pool *pool, wr_err *err);
