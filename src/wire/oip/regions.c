/* SPDX-License-Identifier: Apache-2.0 */
/* regions.c - the paths of shared memory: status, register, unregister. */
#include "wire/oip/inside.h"

static int whole(wr_jscan *s, wr_str key, uint64_t *out)
{
    wr_jnumber n = {0};
    char c = wr_jscan_peek(s);
    if ((c < '0' || c > '9') || wr_jscan_number(s, &n) < 0 || !n.whole)
        return wr_err_set(s->err, WEIR_EINVAL, "'%.*s' is not a whole number from 0 on", WR_STR_FMT(key));
    *out = n.magnitude;
    return 0;
}

static int register_call(wr_oip_call *c, wr_str name)
{
    wr_jscan s;
    bool first, sized = false;
    wr_str key;
    wr_oip_region r = {.name = name};
    int more = 0;
    wr_jscan_init(&s, c->in->body, c->arena, &c->err);
    if (wr_jscan_peek(&s)) {
        WR_TRY(wr_jscan_open(&s, '{', &first));
        while ((more = wr_jscan_member(&s, &first, &key)) == 1) {
            sized |= wr_str_is(key, "byte_size");
            if (wr_str_is(key, "key")) WR_TRY(wr_jscan_str(&s, &r.key));
            else if (wr_str_is(key, "offset")) WR_TRY(whole(&s, key, &r.offset));
            else if (wr_str_is(key, "byte_size")) WR_TRY(whole(&s, key, &r.size));
            else WR_TRY(wr_jscan_skip(&s, NULL));
        }
        if (more < 0) return more;
        WR_TRY(wr_jscan_end(&s));
    }
    if (!r.key.p) return wr_err_set(&c->err, WEIR_EINVAL, "Shared memory register request has no 'key' field");
    if (!sized) return wr_err_set(&c->err, WEIR_EINVAL, "Shared memory register request has no 'byte_size' field");
    return wr_oip_region_register(c->o, &r, &c->err);
}

static int status(wr_oip_call *c, wr_str name)
{
    wr_jsonw *w = &c->w;
    wr_oip_region *r;
    size_t n;
    WR_TRY(wr_oip_regions(&r, &n, c->o, name, c->arena, &c->err));
    wr_jsonw_arr(w);
    for (size_t i = 0; i < n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kslice(w, "name", r[i].name);
        wr_jsonw_kslice(w, "key", r[i].key);
        wr_jsonw_key(w, "offset");
        wr_jsonw_u64(w, r[i].offset);
        wr_jsonw_key(w, "byte_size");
        wr_jsonw_u64(w, r[i].size);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    return 0;
}

/* "[region/NAME/]VERB" */
static bool split(wr_str rest, wr_str *name, wr_str *verb)
{
    *name = (wr_str){NULL, 0};
    *verb = wr_oip_segment(&rest);
    if (wr_str_is(*verb, "region") && rest.p) {
        *name = wr_oip_segment(&rest);
        *verb = wr_oip_segment(&rest);
        if (!name->n) return false;
    }
    return !rest.p && (wr_str_is(*verb, "status") || wr_str_is(*verb, "register") || wr_str_is(*verb, "unregister"));
}

static bool known(wr_oip_call *c, wr_str rest, wr_str *name, wr_str *verb)
{
    if (!split(rest, name, verb)) {
        wr_oip_fail_text(c, 404, "Not Found", "regions have /status, /register and /unregister");
        return false;
    }
    return wr_oip_method(c, wr_str_is(*verb, "status") ? "GET" : "POST");
}

void wr_oip_system_memory(wr_oip_call *c, wr_str rest)
{
    wr_str name, verb;
    int rc = 0;
    if (!known(c, rest, &name, &verb)) return;
    if (wr_str_is(verb, "status")) rc = status(c, name);
    else if (wr_str_is(verb, "unregister")) rc = wr_oip_region_unregister(c->o, name, &c->err);
    else if (!name.n)
        rc = wr_err_set(&c->err, WEIR_EINVAL, "'region name' is necessary to register system shared memory region");
    else rc = register_call(c, name);
    if (rc < 0) wr_oip_fail_with(c, &c->err);
}

void wr_oip_cuda_memory(wr_oip_call *c, wr_str rest)
{
    wr_str name, verb;
    int rc = 0;
    if (!known(c, rest, &name, &verb)) return;
    if (wr_str_is(verb, "status")) rc = wr_oip_cuda_status(name, &c->err);
    else if (wr_str_is(verb, "register")) rc = wr_oip_cuda_register(name, &c->err);
    if (rc < 0) wr_oip_fail_with(c, &c->err);
    else if (wr_str_is(verb, "status")) wr_buf_str(c->out->body, "[]");
}
