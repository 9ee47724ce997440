/* SPDX-License-Identifier: Apache-2.0 */
/* feature_service.c - the `feature_services:` section of weir.yaml. */
#include "core/feature_service.h"

#include "base/limits.h"
#include "io/file.h"

enum { OPTIONAL = 4000 };

static int read_optional(wr_feature_service *out, wr_arena *a, const wr_yaml *n, wr_err *err)
{
    out->optional_at = n;
    if (wr_yaml_null(n)) return 0;
    if (n->kind != WR_YAML_SEQ || n->n > OPTIONAL)
        return wr_yaml_error(n, WEIR_ETYPE, err, "optional is a list of columns, at most %d", OPTIONAL);
    out->optional = wr_arena_calloc(a, n->n + 1, sizeof *out->optional);
    if (!out->optional) return wr_err_nomem(err);
    for (; out->noptional < n->n; out->noptional++) {
        wr_str s;
        WR_TRY(wr_yaml_str(&s, n->items[out->noptional], "optional", err));
        out->optional[out->noptional] = s.p;
    }
    return 0;
}

static int add_view(wr_feature_service *out, wr_arena *a, wr_project *p, const wr_yaml *n, wr_err *err)
{
    wr_str file;
    WR_TRY(wr_yaml_str(&file, n, "view", err));
    if (!file.n) return wr_yaml_error(n, WEIR_EINVAL, err, "a view of feature service \"%s\" is empty", out->name);
    const char *path = wr_path_join(a, wr_project_root(p), file.p);
    out->views[out->nviews++] = path;
    return path ? 0 : wr_err_nomem(err);
}

static int read_views(wr_feature_service *out, wr_arena *a, wr_project *p, const wr_yaml *n, wr_err *err)
{
    const wr_yaml *one = wr_yaml_get(n, "view"), *list = wr_yaml_get(n, "views");
    out->views = wr_arena_calloc(a, WR_FEATURE_VIEWS, sizeof *out->views);
    if (!out->views) return wr_err_nomem(err);
    if (wr_yaml_null(one) == wr_yaml_null(list))
        return wr_yaml_error(n, WEIR_EINVAL, err, "feature service \"%s\" names %s", out->name,
                             wr_yaml_null(one) ? "no view" : "a view and views");
    if (!wr_yaml_null(one)) return add_view(out, a, p, one, err);
    if (list->kind != WR_YAML_SEQ || !list->n || list->n > WR_FEATURE_VIEWS)
        return wr_yaml_error(list, WEIR_ETYPE, err, "views is a list of 1 to %d files", WR_FEATURE_VIEWS);
    for (size_t i = 0; i < list->n; i++) WR_TRY(add_view(out, a, p, list->items[i], err));
    return 0;
}

static int read_service(wr_feature_service *out, wr_arena *a, wr_project *p, const wr_yaml *name, const wr_yaml *n,
                        wr_err *err)
{
    static const char *const keys[] = {"view", "views", "optional", NULL};
    if (!wr_name_ok(name->text))
        return wr_yaml_error(name, WEIR_EINVAL, err, "\"%s\" is no name of a feature service", name->text.p);
    if (n->kind != WR_YAML_MAP)
        return wr_yaml_error(n, WEIR_ETYPE, err, "a feature service is a map: {view: FILE.yaml}");
    WR_TRY(wr_yaml_known(n, "feature service", keys, err));
    out->name = name->text.p;
    out->at = n;
    WR_TRY(read_views(out, a, p, n, err));
    return read_optional(out, a, wr_yaml_get(n, "optional"), err);
}

int wr_feature_service_list(wr_feature_service **out, size_t *n, wr_arena *a, wr_project *p, wr_err *err)
{
    const wr_yaml *config;
    WR_TRY(wr_project_config(&config, p, err));
    const wr_yaml *all = wr_yaml_get(config, "feature_services");
    size_t count = wr_yaml_null(all) ? 0 : all->n;
    *n = 0;
    if (count && all->kind != WR_YAML_MAP)
        return wr_yaml_error(all, WEIR_ETYPE, err, "feature_services is a map of names");
    if (count > WR_LIMIT_FEATURE_SERVICES)
        return wr_yaml_error(all, WEIR_ELIMIT, err, "more than %d feature services", WR_LIMIT_FEATURE_SERVICES);
    *out = wr_arena_calloc(a, count + 1, sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (; *n < count; ++*n) WR_TRY(read_service(&(*out)[*n], a, p, all->keys[*n], all->items[*n], err));
    return 0;
}

static int neither(const wr_feature_service *all, size_t n, wr_arena *a, wr_str text, const wr_yaml *at, wr_err *err)
{
    const char **names = wr_arena_alloc(a, (n + 1) * sizeof *names);
    wr_str shown = wr_str_fit(text, 100);
    if (!names) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) names[i] = all[i].name;
    int near = wr_str_nearest(text, names, n);
    if (at) wr_yaml_error(at, WEIR_ENOTFOUND, err, "no feature service \"%.*s\" in weir.yaml", WR_STR_FMT(shown));
    else wr_err_set(err, WEIR_ENOTFOUND, "no feature service \"%.*s\" in weir.yaml", WR_STR_FMT(shown));
    if (near >= 0) return wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]);
    return wr_err_hint(err, WEIR_ENOTFOUND,
                       "declare it: feature_services: {%.*s: {view: FILE.yaml}}; or name a view's file",
                       WR_STR_FMT(shown));
}

int wr_feature_service_find(const wr_feature_service **service, const char **view, wr_arena *a, wr_project *p,
                            wr_str text, const wr_yaml *at, wr_err *err)
{
    wr_feature_service *all;
    size_t n;
    WR_TRY(wr_feature_service_list(&all, &n, a, p, err));
    for (size_t i = 0; i < n; i++) {
        if (!wr_str_is(text, all[i].name)) continue;
        *service = &all[i];
        *view = all[i].views[0];
        return 0;
    }
    const char *copy = wr_arena_strndup(a, text.p, text.n),
               *path = copy ? wr_path_join(a, wr_project_root(p), copy) : NULL;
    if (!path) return wr_err_nomem(err);
    *service = NULL;
    *view = path;
    bool file = strchr(copy, '/') || wr_str_ends(text, ".yaml") || wr_str_ends(text, ".yml") || wr_file_exists(path);
    return file ? 0 : neither(all, n, a, text, at, err);
}
