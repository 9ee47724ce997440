/* SPDX-License-Identifier: Apache-2.0 */
/* asked.c - a request as it is put together, whatever it is read from: names that the model has, each once. */
#include "base/limits.h"
#include "wire/oip/service.h"

int wr_oip_ask(wr_oip_asking *k, wr_oip_asked *out, const wr_oip_model *m, wr_arena *a, wr_err *err)
{
    *k = (wr_oip_asking){.out = out, .m = m, .arena = a, .cap_in = m->nin < 4096 ? m->nin + 1 : 4096};
    k->in = wr_arena_alloc(a, k->cap_in * sizeof *k->in);
    k->seen_in = wr_arena_calloc(a, m->nin + 1, 1);
    k->seen_out = wr_arena_calloc(a, m->nout + 1, 1);
    out->q.in = k->in;
    return k->in && k->seen_in && k->seen_out ? 0 : wr_err_nomem(err);
}

/* Room for one more of `size` bytes at *(void **)at; grows by doubling, in the arena. */
static int grow(wr_oip_asking *k, void *at, size_t n, size_t *cap, size_t size, wr_err *err)
{
    void *old, *more;
    if (n < *cap) return 0;
    size_t want = *cap ? *cap * 2 : 8;
    memcpy(&old, at, sizeof old);
    more = wr_arena_alloc(k->arena, want * size);
    if (!more) return wr_err_nomem(err);
    if (n) memcpy(more, old, n * size);
    memcpy(at, &more, sizeof more);
    *cap = want;
    return 0;
}

int wr_oip_ask_id(wr_oip_asking *k, wr_str id, wr_err *err)
{
    enum { ROOM_FOR_ROW = 8, MOST = WR_LIMIT_ID - ROOM_FOR_ROW };
    k->out->q.id = id;
    return id.n <= MOST ? 0 : wr_err_set(err, WEIR_EINVAL, "the id is longer than %d bytes", MOST);
}

/* ---- names ---- */

size_t wr_oip_find(const wr_tensor_spec *specs, size_t n, wr_str name, size_t guess)
{
    for (size_t k = 0; k < n; k++) {
        size_t i = guess + k < n ? guess + k : guess + k - n; /* most send them in order */
        if (wr_str_is(name, specs[i].name)) return i;
    }
    return n;
}

static int unexpected(const wr_oip_asking *k, const char *what, wr_str name, const wr_tensor_spec *specs, size_t n,
                      wr_err *err)
{
    enum { MOST = 1000 };
    const char *near = NULL, **names = n <= MOST ? wr_arena_alloc(k->arena, n * sizeof *names) : NULL;
    for (size_t i = 0; names && i < n; i++) names[i] = specs[i].name;
    int at = names ? wr_str_nearest(name, names, n) : -1;
    if (at >= 0) near = names[at];
    wr_err_set(err, WEIR_EINVAL, "unexpected inference %s '%.*s' for model '%.*s'", what,
               WR_STR_FMT(wr_str_fit(name, 100)), WR_STR_FMT(wr_str_fit(k->m->name, 100)));
    return near ? wr_err_hint(err, WEIR_EINVAL, "did you mean '%s'?", near) : WEIR_EINVAL;
}

static int again(const char *what, wr_str name, wr_err *err)
{
    return wr_err_set(err, WEIR_EINVAL, "%s '%.*s' already exists in request", what, WR_STR_FMT(wr_str_fit(name, 100)));
}

/* ---- inputs ---- */

int wr_oip_ask_name(wr_oip_asking *k, size_t *at, wr_str name, wr_err *err)
{
    const wr_oip_model *m = k->m;
    *at = wr_oip_find(m->in, m->nin, name, k->out->q.nin);
    if (*at == m->nin) return unexpected(k, "input", name, m->in, m->nin, err);
    if (k->seen_in[*at]) return again("input", name, err);
    k->seen_in[*at] = 1;
    return 0;
}

int wr_oip_ask_type(wr_tensor *t, wr_str text, wr_err *err)
{
    t->type = wr_tensor_type_parse(text);
    if (t->type) return 0;
    return wr_err_set(err, WEIR_EINVAL, "unknown datatype '%.*s'", WR_STR_FMT(wr_str_fit(text, 40)));
}

int wr_oip_ask_input(wr_oip_asking *k, const wr_tensor *t, wr_err *err)
{
    size_t n = k->out->q.nin;
    WR_TRY(grow(k, &k->in, n, &k->cap_in, sizeof *k->in, err));
    k->in[n] = *t;
    k->out->q.in = k->in;
    k->out->q.nin++;
    return 0;
}

/* ---- outputs ---- */

int wr_oip_ask_output(wr_oip_asking *k, const wr_oip_output *o, wr_err *err)
{
    const wr_oip_model *m = k->m;
    size_t n = k->out->q.noutputs, cap = k->cap_out;
    if (o->place.region.p && o->classes)
        return wr_err_set(err, WEIR_EINVAL, "Output can't set both 'shared_memory_region' and 'classification'");
    bool contributions = k->out->q.explain && wr_str_is(o->name, "contributions");
    size_t at = contributions ? m->nout : wr_oip_find(m->out, m->nout, o->name, n);
    if (!contributions && at == m->nout) return unexpected(k, "output", o->name, m->out, m->nout, err);
    if (k->seen_out[at]) return again("output", o->name, err);
    k->seen_out[at] = 1;
    WR_TRY(grow(k, &k->out->outputs, n, &cap, sizeof *o, err));
    WR_TRY(grow(k, &k->names, n, &k->cap_out, sizeof o->name, err));
    k->out->outputs[n] = *o;
    k->names[n] = o->name;
    k->out->q.outputs = k->names;
    k->out->q.noutputs++;
    return 0;
}

/* ---- parameters ---- */

int wr_oip_ask_param(wr_oip_asking *k, const wr_oip_param *p, wr_err *err)
{
    enum { MOST = 100 };
    size_t n = k->out->q.nparams;
    if (wr_str_starts(p->name, "triton_"))
        return wr_err_set(
            err, WEIR_EINVAL,
            "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.");
    if (n == MOST) return wr_err_set(err, WEIR_EINVAL, "more than %d parameters", MOST);
    WR_TRY(grow(k, &k->params, n, &k->cap_params, sizeof *p, err));
    k->params[n] = *p;
    k->out->q.params = k->params;
    k->out->q.nparams++;
    return 0;
}
