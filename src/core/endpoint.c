/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - the `endpoints:` section of weir.yaml. */
#include "core/endpoint.h"

static const char *const keys[] = {"model", "threshold", NULL};

static int read_endpoint(wr_endpoint *out, const wr_yaml *name, const wr_yaml *e, wr_err *err)
{
    wr_str model;
    if (!wr_name_ok(name->text))
        return wr_yaml_error(name, WEIR_EINVAL, err, "\"%s\" is not an endpoint name", name->text.p);
    WR_TRY(wr_yaml_known(e, "endpoint", keys, err));
    WR_TRY(wr_yaml_get_str(&model, e, "model", "", err));
    WR_TRY(wr_yaml_get_f64(&out->threshold, e, "threshold", 0.5, err));
    if (!(out->threshold >= 0 && out->threshold <= 1))
        return wr_yaml_error(wr_yaml_get(e, "threshold"), WEIR_EINVAL, err, "threshold is a probability, 0 to 1");
    if (!model.n) return wr_yaml_error(e, WEIR_EINVAL, err, "endpoint \"%s\" names no model", name->text.p);
    out->name = name->text.p;
    out->model = model.p;
    out->at = e;
    return 0;
}

int wr_endpoint_list(wr_endpoint **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *all = wr_yaml_get(config, "endpoints");
    *n = 0;
    *out = wr_arena_calloc(a, all ? all->n + 1 : 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    if (wr_yaml_null(all)) return 0;
    if (all->kind != WR_YAML_MAP) return wr_yaml_error(all, WEIR_ETYPE, err, "endpoints is a map of names");
    for (; *n < all->n; ++*n) WR_TRY(read_endpoint(&(*out)[*n], all->keys[*n], all->items[*n], err));
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
