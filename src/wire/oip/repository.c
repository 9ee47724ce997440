/* SPDX-License-Identifier: Apache-2.0 */
/* repository.c - which models there are; loading and unloading them. */
#include "wire/oip/inside.h"

static bool has_body(const wr_oip_call *c) { return wr_str_trim(c->in->body).n > 0; }

/* ---- the index ---- */

static int read_index_request(wr_oip_call *c, bool *ready)
{
    wr_jscan s;
    bool first;
    wr_str key;
    int more;
    *ready = false;
    if (!has_body(c)) return 0;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    WR_TRY(wr_jscan_open(&s, '{', &first));
    while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
        if (!wr_str_is(key, "ready")) {
            WR_TRY(wr_jscan_skip(&s, NULL));
            continue;
        }
        *ready = wr_jscan_word(&s, "true");
        if (!*ready && !wr_jscan_word(&s, "false"))
            return wr_err_set(&c->err, WEIR_EINVAL, "Invalid value for 'ready': expected a boolean");
    }
    return more < 0 ? more : wr_jscan_end(&s);
}

static void put_entry(wr_jsonw *w, const wr_index_entry *e)
{
    wr_jsonw_obj(w);
    wr_jsonw_kslice(w, "name", e->name);
    if (e->version.n) wr_jsonw_kslice(w, "version", e->version);
    if (e->state.n) wr_jsonw_kslice(w, "state", e->state);
    if (e->reason.n) wr_jsonw_kslice(w, "reason", e->reason);
    wr_jsonw_end(w);
}

static void index_models(wr_oip_call *c)
{
    bool ready;
    wr_index_entry *e = NULL;
    size_t n = 0;
    if (!wr_oip_method(c, "POST")) return;
    int rc = read_index_request(c, &ready);
    if (rc == 0) rc = c->ops->index(c->ops->ctx, &e, &n, c->arena, &c->err);
    if (rc < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    wr_jsonw_arr(&c->w);
    for (size_t i = 0; i < n; i++)
        if (!ready || wr_str_is(e[i].state, "READY")) put_entry(&c->w, &e[i]);
    wr_jsonw_end(&c->w);
}

/* ---- load and unload ---- */

static int load_parameter(wr_oip_call *c, wr_jscan *s, wr_str key, wr_str *config)
{
    bool is_config;
    WR_TRY(wr_oip_load_parameter(&is_config, key, &c->err));
    if (is_config) {
        if (wr_jscan_peek(s) == '"') return wr_jscan_str(s, config);
        return wr_err_set(&c->err, WEIR_EINVAL, "parameter 'config' is not a string of JSON");
    }
    if (wr_jscan_word(s, "true") || wr_jscan_word(s, "false")) return 0;
    return wr_err_set(&c->err, WEIR_EINVAL, "Unable to parse '%.*s': it is not a boolean", WR_STR_FMT(key));
}

static int read_parameters(wr_oip_call *c, wr_str *config)
{
    wr_jscan s;
    bool first, inner;
    wr_str key;
    int more;
    if (!has_body(c)) return 0;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    WR_TRY(wr_jscan_open(&s, '{', &first));
    while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
        if (!wr_str_is(key, "parameters") || wr_jscan_word(&s, "null")) {
            if (!wr_str_is(key, "parameters")) WR_TRY(wr_jscan_skip(&s, NULL));
            continue;
        }
        WR_TRY(wr_jscan_open(&s, '{', &inner));
        while ((more = wr_jscan_member(&s, &inner, &key)) == 1) WR_TRY(load_parameter(c, &s, key, config));
        if (more < 0) return more;
    }
    return more < 0 ? more : wr_jscan_end(&s);
}

static void control(wr_oip_call *c, bool load)
{
    wr_str config = {NULL, 0};
    if (!wr_oip_method(c, "POST")) return;
    if (wr_oip_may_control(c->ops, load, &c->err) < 0) {
        wr_oip_fail_with(c, &c->err);
        return;
    }
    int rc = read_parameters(c, &config);
    if (rc == 0) rc = wr_oip_control(c->ops, load, c->model, config, &c->err);
    else wr_oip_uncontrolled(load, c->model, &c->err);
    if (rc < 0) wr_oip_fail_with(c, &c->err);
}

void wr_oip_repository(wr_oip_call *c, wr_str rest)
{
    wr_str verb = wr_oip_segment(&rest);
    if (wr_str_is(verb, "index") && !rest.p) {
        index_models(c);
        return;
    }
    if (wr_str_is(verb, "models")) {
        c->model = wr_oip_segment(&rest);
        if (c->model.n && rest.p && (wr_str_is(rest, "load") || wr_str_is(rest, "unload"))) {
            control(c, wr_str_is(rest, "load"));
            return;
        }
    }
    wr_oip_fail_text(c, 404, "Not Found",
                     "there are /v2/repository/index and /v2/repository/models/NAME/load and /unload");
}
