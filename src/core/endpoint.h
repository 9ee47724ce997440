/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - endpoints as weir.yaml declares them.
 *
 *   endpoints:
 *     delay: {model: delay@champion, threshold: 0.5}
 *
 * The feature view comes with the model. Predictions of NAME go to dataset "predictions.NAME", labels to "labels.NAME".
 */
#pragma once
#include "core/project.h"

typedef struct { const char *name, *model; double threshold; const wr_yaml *at; } wr_endpoint;
int wr_endpoint_list(wr_endpoint **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);
int wr_endpoint_find(wr_endpoint *out, wr_arena *a, wr_project *p, const char *name, wr_err *err);
