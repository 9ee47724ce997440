/* SPDX-License-Identifier: Apache-2.0 */
/* config_fit.c - a configuration and a model brought together. */
#include <stdio.h>

#include "base/limits.h"
#include "base/vec.h"
#include "io/file.h"
#include "predict/config.h"

enum { LABELS_FILE = 16 << 20, SHAPE_TEXT = 256 };

typedef struct {
    const wr_config *c;
    const wr_predictor *p;
    const char *name, *dir;
    wr_arena *a;
    wr_err *err;
} fit;

static char *shape_text(char out[SHAPE_TEXT], const int64_t *dims, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, SHAPE_TEXT - at, "%s%lld", i ? "," : "", (long long)dims[i]);
    if (!n) out[0] = 0;
    return out;
}

/* ---- is there a batch dimension? ---- */

static bool free_first(const wr_tensor_spec *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i].ndims < 1 || s[i].shape[0] != -1) return false;
    return true;
}

static const wr_tensor_spec *spec_of(const wr_tensor_spec *s, size_t n, wr_str name, size_t *at)
{
    for (*at = 0; *at < n; ++*at)
        if (wr_str_is(name, s[*at].name)) return &s[*at];
    return NULL;
}

/* Without "max_batch_size" the shapes tell: those of a configuration that have as many dimensions as the model's are
 * whole. */
static int batch(int64_t *out, const fit *f)
{
    const wr_predictor *p = f->p;
    bool can = free_first(p->in, p->nin) && free_first(p->out, p->nout);
    size_t at;
    *out = f->c->c.max_batch;
    if (f->c->has_max_batch) {
        if (*out == 0 || can) return 0;
        wr_err_set(f->err, WEIR_EINVAL, "model '%s' has max_batch_size %lld, but its file has no free first dimension",
                   f->name, (long long)*out);
        return wr_err_hint(f->err, WEIR_EINVAL, "set max_batch_size to 0 and write whole shapes");
    }
    *out = can && p->rows ? WR_LIMIT_ROWS_INFER : 0;
    if (!f->c->nin) return 0;
    const wr_tensor_spec *s = spec_of(p->in, p->nin, f->c->in[0].name, &at);
    int n = f->c->in[0].has_reshape ? f->c->in[0].nreshape : f->c->in[0].ndims;
    if (s && n == s->ndims) *out = 0;
    return 0;
}

/* ---- one tensor ---- */

static const char *type_text(wr_tensor_type t) { return t == WR_TENSOR_BYTES ? "STRING" : wr_tensor_type_name(t); }

static int fit_type(wr_tensor_spec *out, const fit *f, const char *what, const wr_config_tensor *t,
                    const wr_tensor_spec *s)
{
    if (t->type == WR_TENSOR_NONE || t->type == s->type) return 0;
    if (s->lenient && t->type != WR_TENSOR_BYTES && s->type != WR_TENSOR_BYTES) {
        out->type = t->type;
        return 0;
    }
    return wr_err_set(f->err, WEIR_EINVAL,
                      "model '%s', %s '%s': the configuration has data type TYPE_%s, the model file TYPE_%s", f->name,
                      what, s->name, type_text(t->type), type_text(s->type));
}

static int fit_shape(wr_tensor_spec *out, wr_config_map *map, const fit *f, const char *what, const wr_config_tensor *t,
                     const wr_tensor_spec *s, bool batched)
{
    int n = t->has_reshape ? t->nreshape : t->ndims, first = batched ? 1 : 0;
    const int64_t *dims = t->has_reshape ? t->reshape : t->dims;
    bool same = n + first == s->ndims;
    bool out_free = what[0] == 'o'; /* of an output the configuration may know less than the file */
    for (int i = 0; same && i < n; i++)
        same = s->shape[i + first] == -1 || s->shape[i + first] == dims[i] || (out_free && dims[i] == -1);
    if (!same) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        return wr_err_set(f->err, WEIR_EINVAL,
                          "model '%s', %s '%s': the configuration has dims [%s]%s, the model file has shape [%s]",
                          f->name, what, s->name, shape_text(a, dims, n), batched ? " after the batch dimension" : "",
                          shape_text(b, s->shape, s->ndims));
    }
    int free_from = 0, free_to = 0;
    for (int i = 0; i < t->ndims; i++) free_from += t->dims[i] == -1;
    for (int i = 0; i < n; i++) free_to += dims[i] == -1;
    if (free_from != free_to)
        return wr_err_set(f->err, WEIR_EINVAL,
                          "model '%s', %s '%s': dims and reshape have different numbers of free dimensions", f->name,
                          what, s->name);
    out->ndims = t->ndims + first;
    if (batched) out->shape[0] = -1;
    memcpy(out->shape + first, t->dims, (size_t)t->ndims * sizeof *t->dims);
    map->has_reshape = t->has_reshape;
    map->nreshape = t->nreshape;
    memcpy(map->reshape, t->reshape, sizeof map->reshape);
    return 0;
}

/* One name a line. */
static int labels(wr_tensor_spec *out, const fit *f, const wr_config_tensor *t)
{
    WR_AUTOBUF wr_buf text = {0};
    WR_VEC(const char *) names = {0};
    wr_str rest;
    int rc = 0;
    if (!t->label_file.n || !f->dir) return 0;
    if (memchr(t->label_file.p, '/', t->label_file.n))
        return wr_err_set(f->err, WEIR_EINVAL, "model '%s', output '%s': label_filename is no name of a file", f->name,
                          out->name);
    char *path = wr_path_join(f->a, f->dir, t->label_file.p);
    if (!path) return wr_err_nomem(f->err);
    WR_TRY(wr_file_read(&text, path, LABELS_FILE, f->err));
    rest = wr_str_trim(wr_buf_view(&text));
    while (rc == 0 && rest.n) {
        wr_str line = wr_arena_str(f->a, wr_str_trim(wr_str_cut(&rest, '\n')));
        if (!line.p || wr_vec_push(&names, line.p) < 0) rc = wr_err_nomem(f->err);
    }
    if (rc == 0 && names.n) {
        out->labels = wr_arena_dup(f->a, names.at, names.n * sizeof *names.at);
        out->nlabels = names.n;
        if (!out->labels) rc = wr_err_nomem(f->err);
    }
    wr_vec_fini(&names);
    return rc;
}

static int unknown(const fit *f, const char *what, wr_str name, const wr_tensor_spec *s, size_t n)
{
    WR_AUTOBUF wr_buf allowed = {0};
    for (size_t i = 0; i < n && allowed.n < 200; i++) wr_buf_printf(&allowed, "%s%s", i ? ", " : "", s[i].name);
    return wr_err_set(f->err, WEIR_EINVAL, "unexpected inference %s '%.*s' for model '%s', allowed %ss are: %s", what,
                      WR_STR_FMT(name), f->name, what, wr_buf_cstr(&allowed));
}

static int fit_one(wr_tensor_spec *out, wr_config_map *map, const fit *f, const char *what, const wr_config_tensor *t,
                   const wr_tensor_spec *specs, size_t n, bool batched)
{
    const wr_tensor_spec *s = spec_of(specs, n, t->name, &map->at);
    if (!s) return unknown(f, what, t->name, specs, n);
    *out = *s;
    out->optional = s->optional || t->optional;
    WR_TRY(fit_type(out, f, what, t, s));
    WR_TRY(fit_shape(out, map, f, what, t, s, batched));
    if (t->optional && !s->optional)
        return wr_err_set(f->err, WEIR_EINVAL,
                          "model '%s', input '%s' is optional in the configuration, but not in the model file", f->name,
                          s->name);
    return what[0] == 'o' ? labels(out, f, t) : 0;
}

/* Of a side that the configuration says nothing of. */
static int as_it_is(wr_tensor_spec *out, wr_config_map *map, const wr_tensor_spec *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = s[i];
        map[i].at = i;
    }
    return 0;
}

static int fit_side(wr_tensor_spec **out, wr_config_map **map, size_t *n, const fit *f, const char *what, bool batched)
{
    bool in = what[0] == 'i';
    const wr_tensor_spec *s = in ? f->p->in : f->p->out;
    const wr_config_tensor *t = in ? f->c->in : f->c->out;
    size_t ns = in ? f->p->nin : f->p->nout, nt = in ? f->c->nin : f->c->nout;
    *n = nt ? nt : ns;
    *out = wr_arena_calloc(f->a, *n + 1, sizeof **out);
    *map = wr_arena_calloc(f->a, *n + 1, sizeof **map);
    bool *seen = wr_arena_calloc(f->a, ns + 1, sizeof *seen);
    if (!*out || !*map || !seen) return wr_err_nomem(f->err);
    if (!nt) return as_it_is(*out, *map, s, ns);
    for (size_t i = 0; i < nt; i++) {
        WR_TRY(fit_one(&(*out)[i], &(*map)[i], f, what, &t[i], s, ns, batched));
        if (seen[(*map)[i].at])
            return wr_err_set(f->err, WEIR_EINVAL, "model '%s': %s '%.*s' comes twice in the configuration", f->name,
                              what, WR_STR_FMT(t[i].name));
        seen[(*map)[i].at] = true;
    }
    for (size_t i = 0; in && i < ns; i++)
        if (!seen[i] && !s[i].optional)
            return wr_err_set(f->err, WEIR_EINVAL, "model '%s': the configuration says nothing of input '%s'", f->name,
                              s[i].name);
    return 0;
}

int wr_config_fit_to(wr_config_fit *out, wr_arena *a, const wr_config *c, const wr_predictor *p, const char *name,
                     const char *dir, wr_err *err)
{
    fit f = {c, p, name, dir, a, err};
    *out = (wr_config_fit){.c = c->c};
    if (c->name.n && !wr_str_is(c->name, name))
        return wr_err_set(err, WEIR_EINVAL,
                          "unexpected directory name '%s' for model '%.*s', directory name must equal model name", name,
                          WR_STR_FMT(c->name));
    WR_TRY(batch(&out->c.max_batch, &f));
    WR_TRY(fit_side(&out->in, &out->in_map, &out->nin, &f, "input", out->c.max_batch > 0));
    return fit_side(&out->out, &out->out_map, &out->nout, &f, "output", out->c.max_batch > 0);
}
