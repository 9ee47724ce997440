/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - the `endpoints:` and `serving:` sections of weir.yaml. */
#include "core/endpoint.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/num.h"
#include "core/rollout.h"
#include "io/file.h"

/* Of the project's folder, unless it is absolute. */
static int path_of(const char **out, wr_arena *a, wr_project *p, const wr_yaml *map, const char *key, wr_err *err)
{
    wr_str s;
    *out = NULL;
    WR_TRY(wr_yaml_get_str(&s, map, key, NULL, err));
    if (!s.p || !s.n) return 0;
    *out = wr_path_join(a, wr_project_root(p), s.p);
    return *out ? 0 : wr_err_nomem(err);
}

/* ---- endpoints ---- */

static int read_features(wr_endpoint *out, wr_arena *a, wr_project *p, const wr_yaml *e, wr_err *err)
{
    wr_str s;
    WR_TRY(wr_yaml_get_str(&s, e, "features", NULL, err));
    if (!s.p || !s.n) return 0;
    return wr_feature_service_find(&out->service, &out->features, a, p, s, wr_yaml_get(e, "features"), err);
}

static int read_log(double *out, const wr_yaml *e, wr_err *err)
{
    static const char *const keys[] = {"sample", NULL};
    const wr_yaml *v = wr_yaml_get(e, "log");
    *out = 0;
    if (wr_yaml_null(v)) return 0;
    if (v->kind == WR_YAML_MAP) {
        WR_TRY(wr_yaml_known(v, "log", keys, err));
        const wr_yaml *share = wr_yaml_get(v, "sample");
        if (!share) return wr_yaml_error(v, WEIR_EINVAL, err, "log is {sample: SHARE}");
        v = share;
    }
    if (v->kind == WR_YAML_SCALAR && (wr_str_is(v->text, "none") || wr_str_is(v->text, "off"))) return 0;
    if (v->kind == WR_YAML_SCALAR && wr_str_is(v->text, "all")) *out = 1;
    else if (v->kind != WR_YAML_SCALAR || wr_num_f64(out, v->text, NULL) < 0 || !(*out >= 0 && *out <= 1))
        return wr_yaml_error(v, WEIR_EINVAL, err,
                             "log is all, off, or a share of the requests, 0 to 1: {sample: 0.01}");
    return 0;
}

static int read_config(wr_str *out, wr_arena *a, const wr_yaml *e, wr_err *err)
{
    WR_AUTOBUF wr_buf json = {0};
    const wr_yaml *v = wr_yaml_get(e, "config");
    *out = (wr_str){NULL, 0};
    if (wr_yaml_null(v)) return 0;
    if (v->kind != WR_YAML_MAP)
        return wr_yaml_error(v, WEIR_ETYPE, err, "config is a map: the fields of Triton's ModelConfig");
    wr_yaml_to_json(&json, v);
    *out = wr_arena_str(a, wr_buf_view(&json));
    return json.failed || !out->p ? wr_err_nomem(err) : 0;
}

static int read_sink(wr_endpoint_sink *out, const wr_yaml *v, wr_err *err)
{
    static const char *const keys[] = {"url", "mode", "sample", "source", "namespace", "component", NULL};
    wr_str url, mode, source, space, component;
    if (v->kind != WR_YAML_MAP) return wr_yaml_error(v, WEIR_ETYPE, err, "a sink is a map with \"url\"");
    WR_TRY(wr_yaml_known(v, "sink", keys, err));
    WR_TRY(wr_yaml_get_str(&url, v, "url", "", err));
    WR_TRY(wr_yaml_get_str(&mode, v, "mode", "all", err));
    WR_TRY(wr_yaml_get_str(&source, v, "source", NULL, err));
    WR_TRY(wr_yaml_get_str(&space, v, "namespace", "default", err));
    WR_TRY(wr_yaml_get_str(&component, v, "component", "predictor", err));
    WR_TRY(wr_yaml_get_f64(&out->sample, v, "sample", 1, err));
    if (!wr_str_starts(url, "http://") && !wr_str_starts(url, "https://"))
        return wr_yaml_error(v, WEIR_EINVAL, err, "the url of a sink begins with http:// or https://");
    if (!(out->sample >= 0 && out->sample <= 1))
        return wr_yaml_error(v, WEIR_EINVAL, err, "sample is a share of the requests, 0 to 1");
    bool all = wr_str_is(mode, "all");
    out->requests = all || wr_str_is(mode, "request");
    out->responses = all || wr_str_is(mode, "response");
    if (!out->requests && !out->responses)
        return wr_yaml_error(v, WEIR_EINVAL, err, "mode is all, request or response");
    out->url = url.p;
    out->source = source.p;
    out->name_space = space.p;
    out->component = component.p;
    return 0;
}

static int read_sinks(wr_endpoint *out, wr_arena *a, const wr_yaml *e, wr_err *err)
{
    const wr_yaml *list = wr_yaml_get(e, "sinks");
    if (wr_yaml_null(list)) return 0;
    if (list->kind != WR_YAML_SEQ || list->n > WR_ENDPOINT_SINKS)
        return wr_yaml_error(list, WEIR_ETYPE, err, "sinks is a list of at most %d", WR_ENDPOINT_SINKS);
    wr_endpoint_sink *sinks = wr_arena_calloc(a, list->n + 1, sizeof *sinks);
    if (!sinks) return wr_err_nomem(err);
    for (size_t i = 0; i < list->n; i++) WR_TRY(read_sink(&sinks[i], list->items[i], err));
    out->sinks = sinks;
    out->nsinks = list->n;
    return 0;
}

/* Mistakes are told where weir.yaml is read, not when a server begins it. */
static int read_rollout(const wr_yaml **out, wr_arena *a, wr_project *p, const wr_yaml *e, wr_err *err)
{
    wr_rollout_spec *spec = wr_arena_alloc(a, sizeof *spec);
    const wr_yaml *v = wr_yaml_get(e, "rollout");
    *out = wr_yaml_null(v) ? NULL : v;
    if (!spec) return wr_err_nomem(err);
    return *out ? wr_rollout_spec_read(spec, a, wr_project_root(p), v, err) : 0;
}

static int read_endpoint(wr_endpoint *out, wr_arena *a, wr_project *p, const wr_yaml *name, const wr_yaml *e,
                         wr_err *err)
{
    static const char *const keys[] = {"model",   "path",  "threshold",    "log",      "config",
                                       "rollout", "sinks", "feedback_ttl", "features", NULL};
    wr_str model;
    if (!wr_name_ok(name->text))
        return wr_yaml_error(name, WEIR_EINVAL, err, "\"%s\" is not an endpoint name", name->text.p);
    WR_TRY(wr_yaml_known(e, "endpoint", keys, err));
    WR_TRY(wr_yaml_get_str(&model, e, "model", "", err));
    WR_TRY(path_of(&out->path, a, p, e, "path", err));
    WR_TRY(wr_yaml_get_f64(&out->threshold, e, "threshold", 0.5, err));
    WR_TRY(read_log(&out->log, e, err));
    WR_TRY(read_config(&out->config, a, e, err));
    WR_TRY(read_sinks(out, a, e, err));
    WR_TRY(read_features(out, a, p, e, err));
    out->feedback_ttl_us = (int64_t)365 * WR_DAY_US;
    WR_TRY(wr_yaml_get_duration_us(&out->feedback_ttl_us, e, "feedback_ttl", out->feedback_ttl_us, err));
    if (!(out->threshold >= 0 && out->threshold <= 1))
        return wr_yaml_error(wr_yaml_get(e, "threshold"), WEIR_EINVAL, err, "threshold is a probability, 0 to 1");
    if (!model.n && !out->path)
        return wr_yaml_error(e, WEIR_EINVAL, err, "endpoint \"%s\" names no model", name->text.p);
    if (model.n && out->path)
        return wr_yaml_error(e, WEIR_EINVAL, err, "endpoint \"%s\" names a model and a path", name->text.p);
    WR_TRY(read_rollout(&out->rollout, a, p, e, err));
    out->name = name->text.p;
    out->model = model.p;
    out->at = e;
    return 0;
}

int wr_endpoint_list(wr_endpoint **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    const wr_yaml *config;
    wr_feature_service *services;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *all = wr_yaml_get(config, "endpoints");
    WR_TRY(wr_feature_service_list(&services, n, a, p, err)); /* their mistakes are told too when nobody names them */
    *n = 0;
    *out = wr_arena_calloc(a, all ? all->n + 1 : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (wr_yaml_null(all)) return 0;
    if (all->kind != WR_YAML_MAP) return wr_yaml_error(all, WEIR_ETYPE, err, "endpoints is a map of names");
    for (; *n < all->n; ++*n) WR_TRY(read_endpoint(&(*out)[*n], a, p, all->keys[*n], all->items[*n], err));
    return 0;
}

int wr_endpoint_find(wr_endpoint *out, wr_arena *a, wr_project *p, const char *name, wr_err *err)
{
    wr_endpoint *all;
    size_t n;
    WR_TRY(wr_endpoint_list(&all, &n, a, p, err));
    const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        names[i] = all[i].name;
        if (strcmp(all[i].name, name) != 0) continue;
        *out = all[i];
        return 0;
    }
    int near = wr_str_nearest(wr_str_of(name), names, n);
    wr_err_set(err, WEIR_ENOTFOUND, "no endpoint \"%s\" in weir.yaml", name);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near])
                     : wr_err_hint(err, WEIR_ENOTFOUND, "declare it: endpoints: {%s: {model: NAME@champion}}", name);
}

/* ---- serving ---- */

int wr_serving_read(wr_serving *out, wr_arena *a, wr_project *p, wr_err *err)
{
    static const char *const keys[] = {"repository", "load",  "poll",  "name", "cache", "shared_memory",
                                       "rate",       "burst", "queue", "body", NULL};
    const wr_yaml *config;
    wr_str load, name, cache, body;
    *out = (wr_serving){
        .load_all = true, .poll_us = 1000000, .queue = WR_LIMIT_INFER_QUEUE, .body_max = WR_LIMIT_HTTP_BODY_INFER};
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *s = wr_yaml_get(config, "serving");
    if (wr_yaml_null(s)) return 0;
    WR_TRY(wr_yaml_known(s, "serving", keys, err));
    WR_TRY(path_of(&out->repository, a, p, s, "repository", err));
    WR_TRY(wr_yaml_get_str(&load, s, "load", "all", err));
    if (!wr_str_is(load, "all") && !wr_str_is(load, "none"))
        return wr_yaml_error(wr_yaml_get(s, "load"), WEIR_EINVAL, err, "load is all or none");
    out->load_all = wr_str_is(load, "all");
    WR_TRY(wr_yaml_get_duration_us(&out->poll_us, s, "poll", out->poll_us, err));
    WR_TRY(wr_yaml_get_str(&name, s, "name", NULL, err));
    WR_TRY(wr_yaml_get_str(&cache, s, "cache", NULL, err));
    if (cache.p && wr_num_size(&out->cache_bytes, cache, err) < 0)
        return wr_yaml_error(wr_yaml_get(s, "cache"), WEIR_EINVAL, err, "cache is a size, such as 64MiB");
    out->name = name.p;
    WR_TRY(wr_yaml_get_str(&body, s, "body", NULL, err));
    bool sized = !body.p || wr_num_size(&out->body_max, body, err) == 0;
    if (!sized || out->body_max < 1024 || out->body_max > WR_LIMIT_HTTP2_BODIES)
        return wr_yaml_error(wr_yaml_get(s, "body"), WEIR_EINVAL, err, "body is a size, 1KiB to %dMiB",
                             WR_LIMIT_HTTP2_BODIES >> 20);
    WR_TRY(wr_yaml_get_f64(&out->rate, s, "rate", 0, err));
    WR_TRY(wr_yaml_get_f64(&out->burst, s, "burst", out->rate < 1 ? 1 : out->rate, err));
    WR_TRY(wr_yaml_get_i64(&out->queue, s, "queue", out->queue, err));
    if (!(out->rate >= 0 && out->rate <= 1e9) || (out->rate > 0 && out->rate < 1e-3) ||
        !(out->burst >= 1 && out->burst <= 1e9))
        return wr_yaml_error(
            wr_yaml_get(s, "rate"), WEIR_EINVAL, err,
            "rate is requests a second of one client, burst how many at once: at least 0.001 and 1, at most 1e9");
    if (out->queue < 1 || out->queue > WR_LIMIT_INFER_QUEUE)
        return wr_yaml_error(wr_yaml_get(s, "queue"), WEIR_EINVAL, err, "queue is 1 to %d requests",
                             WR_LIMIT_INFER_QUEUE);
    return wr_yaml_get_bool(&out->shared_memory, s, "shared_memory", true, err);
}
