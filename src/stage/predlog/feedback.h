/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.h - what was served, joined with what came true: training data made by production.
 *
 * The dataset has the columns of the view's training table that serving knows, under the same names and types: the time column, known_at,
 * the label, the features; and prediction_id. So `SELECT * FROM flights_features UNION ALL BY NAME SELECT * FROM flights_feedback`
 * works; kept columns that are no features are NULL there. The label received is taken as it is (0/1, or the clipped value).
 * Of several labels of one prediction known by `until`, the one known last counts (then the last received); of several
 * predictions of one id, the first served.
 * Features are those the model saw, not computed again. What came longer after its prediction than the endpoint's `feedback_ttl` is left out.
 * Of a model without a view: the columns of predictions.ENDPOINT, then label, label_text (classes by name), known_at, reward, as far as there are any.
 */
#pragma once
#include "core/dataset.h"
#include "core/run.h"

typedef struct { const char *endpoint, *out; bool has_until; int64_t until_us; } wr_feedback_opt;
typedef struct { wr_dataset_written written; int64_t predictions /* considered */; } wr_feedback_made;

/* Replaces dataset opt->out. WEIR_ENOTFOUND when nothing was served or labelled yet. */
int wr_feedback(wr_feedback_made *out, wr_project *p, const wr_feedback_opt *opt, wr_run *run, wr_err *err);
