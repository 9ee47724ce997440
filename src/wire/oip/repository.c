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
    if (wr_str_is(key, "config")) {
        if (wr_jscan_peek(s) == '"') return wr_jscan_str(s, config);
        return wr_err_set(&c->err, WEIR_EINVAL, "parameter 'config' is not a string of JSON");
    }
    if (wr_str_starts(key, "file:")) {
        wr_err_set(&c->err, WEIR_EUNSUPPORTED, "files of a model are not taken from requests");
        return wr_err_hint(&c->err, WEIR_EUNSUPPORTED, "put '%.*s' into the repository's folder and load it again",
                           WR_STR_FMT(wr_str_fit(wr_str_sub(key, 5, key.n), 80)));
    }
    if (wr_str_is(key, "unload_dependents")) {
        if (wr_jscan_word(s, "true") || wr_jscan_word(s, "false")) return 0; /* no model depends on another */
        return wr_err_set(&c->err, WEIR_EINVAL, "Unable to parse 'unload_dependents': it is not a boolean");
    }
    return wr_err_set(&c->err, WEIR_EINVAL, "unknown parameter '%.*s'", WR_STR_FMT(wr_str_fit(key, 80)));
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
    if (load ? !c->ops->load : !c->ops->unload) {
        wr_oip_fail_text(c, 501, "explicit model load / unload is not allowed", "this server has no model repository");
        return;
    }
    int rc = read_parameters(c, &config);
    if (rc == 0)
        rc = load ? c->ops->load(c->ops->ctx, c->model, config, &c->err)
                  : c->ops->unload(c->ops->ctx, c->model, &c->err);
    if (rc == 0) return;
    if (!wr_str_starts(wr_str_of(c->err.msg), "failed to"))
        wr_err_wrap(&c->err, rc, "failed to %s '%.*s'", load ? "load" : "unload",
                    WR_STR_FMT(wr_str_fit(c->model, 120)));
    wr_oip_fail_with(c, &c->err);
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
