/* SPDX-License-Identifier: Apache-2.0 */
/* features.h - an endpoint that names a feature service or a view's file (`features:` in weir.yaml, core/feature_service.h): requests bring entity keys
 * and what only they know; the rest is looked up and computed by the same code that training runs (core/view.h). A package has the view
 * itself, and the service says what requests to it may leave out; a model that knows nothing of views gets features as its inputs by name.
 *
 *   request tensors      called as columns of the view's request (its time, columns of row operations, keys), all of [n] or [n,1]. The time may be left
 *                        out: now. Columns that are looked up may, or be null: they are found by key. Of others those that the service says (of a view's
 *                        file: all): missing, as it is for training. The rest is refused by name when it does not come. Called as a feature (of a model that
 *                        has no view): that value, whatever the view says. Called as an input of the model that no feature is called: handed on as it is.
 *   model inputs         an input called as a feature gets its column; one input of [n,k] gets k features: those that the model's columns are
 *                        called after, or, when it does not say, the view's in order, if they are k numbers
 *
 * Aggregates are those of the view's online state, which events move (serve.h). What is logged are the features that the model saw.
 */
#pragma once
#include "stage/deploy/serve.h"

/* `out` is q with other inputs when the model is of such an endpoint (or an arm of it), else q itself. WEIR_EINVAL names the input or the feature. */
int wr_serve_features(wr_infer_request *out, wr_serve *s, const wr_instance *m, const wr_infer_request *q, wr_arena *a, wr_err *err);
/* What requests to it bring; false: what the model says. Lives as long as `s`. */
bool wr_serve_feature_specs(const wr_tensor_spec **in, size_t *nin, wr_serve *s, const char *model);
