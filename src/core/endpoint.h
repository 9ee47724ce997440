/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - endpoints as weir.yaml declares them, and what its `serving` section says.
 *
 *   endpoints:
 *     delay: {model: delay@champion, threshold: 0.5}     a registered version: a package of ours, or a model that a client registered
 *     fraud: {path: exports/fraud.onnx}                  a model file, or a folder with one
 *     churn: {model: churn@champion, log: 0.1, config: {max_batch_size: 64, response_cache: {enable: true}}}
 *     risky: {model: risky@champion, rollout: {arms: {canary: {model: risky@challenger}}, steps: {}}}     rollout.h
 *     told: {path: m.onnx, sinks: [{url: "http://logs:8080", mode: all, sample: 0.1, namespace: shop, component: predictor}], feedback_ttl: 30d}
 *                                  mode: all, request or response; sample: share of requests, default 1; feedback_ttl: default 365d
 *     fed: {model: m@champion, features: features.yaml}      a view for a model that has none: requests bring keys (stage/deploy/features.h)
 *     rides: {model: m@champion, features: rides}            a feature service (core/feature_service.h), for any model
 *   serving:
 *     repository: models           a folder NAME/VERSION/model file, as Triton's
 *     load: all                    at the start and when it changes; none = on demand
 *     poll: 1s                     how often it is looked at; 0 = never
 *     name: triton                 what the server calls itself; programs written for Triton may ask for that name
 *     cache: 64MiB                 for the answers of models whose configuration has a response cache
 *     shared_memory: true          clients of this machine may name regions under /dev/shm
 *
 * The feature view comes with the package. Predictions of NAME go to dataset "predictions.NAME", labels to "labels.NAME". `log` is about models
 * without a view: all, off (default; none is the same) or {sample: SHARE} of the requests (or the share alone); `config` is Triton's ModelConfig for them.
 */
#pragma once
#include "core/feature_service.h"

/* Who is told of requests and answers (stage/deploy/sink.h). */
typedef struct {
    const char *url;                /* http or https */
    bool requests, responses;       /* mode */
    double sample;                  /* share of requests */
    const char *source, *name_space, *component; /* of the events; source NULL = made of the endpoint's name */
} wr_endpoint_sink;
enum { WR_ENDPOINT_SINKS = 8 };

typedef struct {
    const char *name;
    const char *model;              /* "" when it has a path */
    const char *path;               /* absolute; NULL = none */
    double threshold;
    double log;                     /* share of requests */
    wr_str config;                  /* JSON; {NULL, 0} = none */
    const wr_endpoint_sink *sinks; size_t nsinks;
    const char *features;           /* absolute path of a view's file; NULL = none */
    const wr_feature_service *service; /* that named it; NULL = none */
    int64_t feedback_ttl_us;        /* what comes true later than that is not joined any more */
    const wr_yaml *rollout;         /* core/rollout.h, which has read it once; NULL = none */
    const wr_yaml *at;
} wr_endpoint;
int wr_endpoint_list(wr_endpoint **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err);
int wr_endpoint_find(wr_endpoint *out, wr_arena *a, wr_project *p, const char *name, wr_err *err);

typedef struct {
    const char *repository;         /* absolute; NULL = none */
    bool load_all;
    int64_t poll_us;
    const char *name;               /* NULL = weir */
    uint64_t cache_bytes;           /* 0 = default */
    bool shared_memory;
    double rate, burst;             /* requests a second of a client, and at once; rate 0 = no limit */
    int64_t queue;                  /* predictions that wait at once on a loop, and large ones */
    uint64_t body_max;              /* bytes of a request for predictions */
} wr_serving;
int wr_serving_read(wr_serving *out, wr_arena *a, wr_project *p, wr_err *err);
