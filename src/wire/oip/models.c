/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - what a model says of itself: metadata, readiness, configuration, statistics. */
#include "wire/oip/inside.h"

/* ---- metadata ---- */

/* `optional` is ours: what a request may leave out. */
static void put_spec(wr_jsonw *w, const wr_tensor_spec *s)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", s->name);
    wr_jsonw_kstr(w, "datatype", wr_tensor_type_name(s->type));
    wr_oip_put_shape(w, s->shape, s->ndims);
    if (s->optional) wr_jsonw_kbool(w, "optional", true);
    wr_jsonw_end(w);
}

static void put_specs(wr_jsonw *w, const char *key, const wr_tensor_spec *specs, size_t n)
{
    wr_jsonw_key(w, key);
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) put_spec(w, &specs[i]);
    wr_jsonw_end(w);
}

static void metadata(wr_oip_call *c)
{
    wr_jsonw *w = &c->w;
    size_t n;
    const wr_str *versions = wr_oip_versions(&n, &c->m, c->version);
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", c->m.name);
    wr_jsonw_key(w, "versions");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) wr_jsonw_str(w, versions[i]);
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "platform", c->m.platform ? c->m.platform : "weir");
    put_specs(w, "inputs", c->m.in, c->m.nin);
    put_specs(w, "outputs", c->m.out, c->m.nout);
    wr_jsonw_end(w);
}

static void ready(wr_oip_call *c)
{
    wr_jsonw_obj(&c->w);
    wr_jsonw_kslice(&c->w, "name", c->m.name);
    wr_jsonw_kbool(&c->w, "ready", true);
    wr_jsonw_end(&c->w);
}

/* ---- configuration ---- */

static void config(wr_oip_call *c)
{
    wr_str json;
    if (wr_oip_config(&json, c->ops, &c->m, c->arena, &c->err) < 0) wr_oip_fail_with(c, &c->err);
    else wr_jsonw_raw(&c->w, json);
}

/* ---- statistics ---- */

static void put_duration(wr_jsonw *w, const char *key, const wr_duration *d)
{
    wr_jsonw_key(w, key);
    wr_jsonw_obj(w);
    wr_jsonw_key(w, "count");
    wr_jsonw_u64(w, d->n);
    wr_jsonw_key(w, "ns");
    wr_jsonw_u64(w, d->ns);
    wr_jsonw_end(w);
}

static void put_stats(wr_jsonw *w, const wr_stats_entry *e)
{
    const wr_model_stats *s = e->stats;
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", e->name);
    wr_jsonw_kslice(w, "version", e->version);
    wr_jsonw_ki64(w, "last_inference", s->last_ms);
    wr_jsonw_key(w, "inference_count");
    wr_jsonw_u64(w, s->inferences);
    wr_jsonw_key(w, "execution_count");
    wr_jsonw_u64(w, s->executions);
    wr_jsonw_key(w, "inference_stats");
    wr_jsonw_obj(w);
    put_duration(w, "success", &s->success);
    put_duration(w, "fail", &s->fail);
    put_duration(w, "queue", &s->queue);
    put_duration(w, "compute_input", &s->input);
    put_duration(w, "compute_infer", &s->infer);
    put_duration(w, "compute_output", &s->output);
    put_duration(w, "cache_hit", &s->cache_hit);
    put_duration(w, "cache_miss", &s->cache_miss);
    wr_jsonw_end(w);
    static const char *const lists[] = {"batch_stats", "memory_usage"}; /* not kept by batch size */
    for (int i = 0; i < 2; i++) {
        wr_jsonw_key(w, lists[i]);
        wr_jsonw_arr(w);
        wr_jsonw_end(w);
    }
    wr_jsonw_key(w, "response_stats");
    wr_jsonw_obj(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void stats(wr_oip_call *c, wr_str name, wr_str version)
{
    wr_stats_entry *e;
    size_t n;
    if (wr_oip_find_stats(&e, &n, c->ops, name, version, c->arena, &c->err) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_jsonw_obj(&c->w);
    wr_jsonw_key(&c->w, "model_stats");
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++) put_stats(&c->w, &e[i]);
    wr_jsonw_end(&c->w);
    wr_jsonw_end(&c->w);
}

void wr_oip_all_stats(wr_oip_call *c)
{
    if (wr_oip_method(c, "GET")) stats(c, (wr_str){NULL, 0}, (wr_str){NULL, 0});
}

/* ---- paths ---- */

static void explain(wr_oip_call *c)
{
    c->explain = true;
    wr_oip_infer_v2(c);
}

/* "M[/versions/V][/VERB]"; *rest becomes the verb, p NULL for none */
static bool split(wr_oip_call *c, wr_str *rest)
{
    c->model = wr_oip_segment(rest);
    if (rest->p && wr_str_starts(*rest, "versions/")) {
        *rest = wr_str_sub(*rest, strlen("versions/"), rest->n);
        c->version = wr_oip_segment(rest);
        if (!c->version.n) return false;
    }
    return c->model.n > 0;
}

void wr_oip_models(wr_oip_call *c, wr_str rest)
{
    static const struct {
        const char *verb, *method;
        void (*then)(wr_oip_call *c);
    } verbs[] = {{"infer", "POST", wr_oip_infer_v2},
                 {"ready", "GET", ready},
                 {"config", "GET", config},
                 {"explain", "POST", explain}};
    if (!split(c, &rest)) {
        wr_oip_fail_text(c, 404, "Not Found",
                         "models are at /v2/models/NAME[/versions/V][/ready|/infer|/config|/stats]");
        return;
    }
    if (!rest.p) {
        wr_oip_with_model(c, "GET", metadata);
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!wr_str_is(rest, verbs[i].verb)) continue;
        wr_oip_with_model(c, verbs[i].method, verbs[i].then);
        /* a model that is not ready is a plain no to who asks whether it is */
        if (verbs[i].then == ready && c->out->status == 503) c->out->status = 400;
        return;
    }
    if (wr_str_is(rest, "stats")) {
        if (wr_oip_method(c, "GET")) stats(c, c->model, c->version);
    } else if (wr_str_is(rest, "trace/setting") && !c->version.p) {
        wr_oip_trace(c);
    } else if (wr_str_is(rest, "generate") || wr_str_is(rest, "generate_stream")) {
        wr_oip_fail_text(c, 501, "generation is not supported", "models here answer /infer");
    } else {
        wr_oip_fail_text(c, 404, "Not Found", "a model has /ready, /infer, /config, /stats and /explain");
    }
}
