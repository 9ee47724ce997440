/* SPDX-License-Identifier: Apache-2.0 */
/* feature_service.h - feature services as weir.yaml declares them: a name for what a request to a model brings and what is found for it.
 *
 *   feature_services:
 *     trips: {view: features.yaml}
 *     rides: {view: rides.yaml, optional: [x]}       these columns of the request may be left out, and are missing then
 *     both: {views: [rides.yaml, riders.yaml]}       features of several: names are of one view; columns called the same are one
 *   endpoints:
 *     fare: {model: fare@champion, features: trips}
 *
 * With a service a request to the endpoint brings the keys and the columns that only the request knows. It may leave out the view's time (now),
 * columns that are looked up (core/lookup.h) and the optional ones; anything else that is not there is refused by name.
 */
#pragma once
#include "core/project.h"

enum { WR_FEATURE_VIEWS = 16 };
typedef struct {
    const char *name;
    const char **views; size_t nviews; /* absolute paths of their files; at least one, at most WR_FEATURE_VIEWS */
    const char **optional; size_t noptional;
    const wr_yaml *at, *optional_at;
} wr_feature_service;

int wr_feature_service_list(wr_feature_service **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);
/* What `text` (at a node of weir.yaml, or NULL) means: a service by name, else a view's file; *service is NULL then, *view its path (of the project's
 * folder, unless absolute; of a service its first view's). WEIR_ENOTFOUND with did-you-mean for what is neither. */
int wr_feature_service_find(const wr_feature_service **service, const char **view, wr_arena *a, wr_project *p, wr_str text, const wr_yaml *at,
                            wr_err *err);
