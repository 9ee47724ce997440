/* SPDX-License-Identifier: Apache-2.0 */
/* package_read.c - weir.json and golden.json back into parts. They may come from anywhere: every field is checked. */
#include <math.h>

#include "codec/json.h"
#include "core/package_files.h"

enum { LONG_TEXT = 256 };

/* A text member copied into the arena. */
static int take_text(char **out, wr_arena *a, yyjson_val *obj, const char *key, wr_err *err)
{
    wr_str s;
    WR_TRY(wr_json_str(&s, obj, key, err));
    if (s.n > LONG_TEXT || memchr(s.p, 0, s.n))
        return wr_err_set(err, WEIR_EINVAL, "'%s' is too long or has a NUL character", key);
    *out = (char *)wr_arena_str(a, s).p;
    return *out ? 0 : wr_err_nomem(err);
}

/* An object member as text. */
static int take_object(char **out, wr_arena *a, yyjson_val *obj, const char *key, wr_err *err)
{
    yyjson_val *v;
    wr_jsonw w;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    WR_TRY(wr_json_obj(&v, obj, key, err));
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_val(&w, v);
    *out = b.failed ? NULL : (char *)wr_arena_str(a, wr_buf_view(&b)).p;
    return *out ? 0 : wr_err_nomem(err);
}

static int check_format(yyjson_val *root, wr_err *err)
{
    int64_t format;
    wr_str learner;
    WR_TRY(wr_json_i64(&format, root, "format", err));
    if (format != WR_PACKAGE_FORMAT) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "package format %lld is not known", (long long)format);
        return wr_err_hint(err, WEIR_EUNSUPPORTED,
                           "this weir reads format %d; a newer weir made this package: install that one",
                           WR_PACKAGE_FORMAT);
    }
    WR_TRY(wr_json_str(&learner, root, "learner", err));
    if (wr_str_is(learner, "trees")) return 0;
    return wr_err_set(err, WEIR_EUNSUPPORTED, "learner '%.*s' is not known", WR_STR_FMT(wr_str_fit(learner, 60)));
}

static int read_view(wr_package_parts *parts, wr_arena *a, yyjson_val *root, wr_err *err)
{
    yyjson_val *j;
    wr_view *v;
    wr_str hash;
    WR_TRY(wr_json_obj(&j, root, "view", err));
    WR_TRY(wr_json_str(&hash, root, "view_sha256", err));
    int rc = wr_view_from_json(&v, a, j, err);
    if (rc < 0) return wr_err_wrap(err, rc, "view");
    if (!wr_str_is(hash, v->hash)) return wr_err_set(err, WEIR_ECORRUPT, "'view_sha256' is not the hash of the view");
    parts->view = v;
    return 0;
}

static int read_categories(wr_map *dict, yyjson_val *obj, const char *name, wr_err *err)
{
    yyjson_val *list, *v;
    int64_t count;
    size_t i, n;
    WR_TRY(wr_json_arr(&list, obj, "categories", err));
    WR_TRY(wr_json_i64(&count, obj, "count", err));
    if (count < 0 || (size_t)count != yyjson_arr_size(list))
        return wr_err_set(err, WEIR_ECORRUPT, "feature \"%s\" has %zu categories, and its count is %lld", name,
                          yyjson_arr_size(list), (long long)count);
    yyjson_arr_foreach(list, i, n, v)
    {
        if (!yyjson_is_str(v))
            return wr_err_set(err, WEIR_ETYPE, "category %zu of feature \"%s\" is not a text", i, name);
        ptrdiff_t at = wr_map_put(dict, (wr_str){yyjson_get_str(v), yyjson_get_len(v)}, NULL);
        if (at < 0) return wr_err_nomem(err);
        if ((size_t)at != i)
            return wr_err_set(err, WEIR_ECORRUPT, "category %zu of feature \"%s\" stands there twice", i, name);
    }
    return 0;
}

static int read_feature(wr_package_parts *parts, size_t j, yyjson_val *obj, wr_err *err)
{
    wr_str name;
    const wr_view *v = parts->view;
    size_t at = 0;
    WR_TRY(wr_json_str(&name, obj, "name", err));
    while (at < v->nfeatures && !wr_str_is(name, v->features[at].name)) at++;
    if (at == v->nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "the view has no feature '%.*s'", WR_STR_FMT(wr_str_fit(name, 60)));
    parts->use[j] = at;
    if (v->features[at].category) return read_categories(&parts->dict[j], obj, v->features[at].name, err);
    if (!yyjson_obj_get(obj, "categories")) return 0;
    return wr_err_set(err, WEIR_ECORRUPT, "feature \"%s\" is a number and has categories", v->features[at].name);
}

static int read_features(wr_package_parts *parts, wr_arena *a, yyjson_val *root, wr_err *err)
{
    yyjson_val *list, *obj;
    size_t i, n;
    WR_TRY(wr_json_arr(&list, root, "features", err));
    n = yyjson_arr_size(list);
    if (n < 1 || n > parts->view->nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "%zu features of the view's %zu", n, parts->view->nfeatures);
    parts->use = wr_arena_calloc(a, n, sizeof *parts->use);
    parts->dict = wr_arena_calloc(a, n, sizeof *parts->dict);
    if (!parts->use || !parts->dict) return wr_err_nomem(err);
    parts->nuse = n;
    yyjson_arr_foreach(list, i, n, obj)
    {
        if (!yyjson_is_obj(obj)) return wr_err_set(err, WEIR_ETYPE, "feature %zu is not an object", i);
        WR_TRY(read_feature(parts, i, obj, err));
    }
    return 0;
}

int wr_package_read_weir(wr_package_parts *parts, char trees_sha256[WR_SHA256_HEX], wr_arena *a, wr_str text,
                         wr_err *err)
{
    WR_AUTOJSON wr_json j;
    char *sha;
    WR_TRY(wr_json_parse(&j, text, "package", err));
    WR_TRY(check_format(j.root, err));
    WR_TRY(take_text(&parts->name, a, j.root, "name", err));
    WR_TRY(take_text(&parts->created, a, j.root, "created", err));
    WR_TRY(take_text(&parts->run_id, a, j.root, "run", err));
    WR_TRY(take_text(&sha, a, j.root, "trees_sha256", err));
    if (strlen(sha) != WR_SHA256_HEX - 1) return wr_err_set(err, WEIR_ECORRUPT, "'trees_sha256' is not a hash");
    memcpy(trees_sha256, sha, WR_SHA256_HEX);
    WR_TRY(take_object(&parts->options_json, a, j.root, "options", err));
    WR_TRY(take_object(&parts->metrics_json, a, j.root, "metrics", err));
    WR_TRY(take_object(&parts->parents_json, a, j.root, "parents", err));
    WR_TRY(read_view(parts, a, j.root, err));
    WR_TRY(read_features(parts, a, j.root, err));
    return wr_package_check(parts, err);
}

void wr_package_fini_dict(wr_package_parts *parts)
{
    for (size_t j = 0; j < parts->nuse; j++) wr_map_fini(&parts->dict[j]);
    parts->nuse = 0;
}

/* ---- golden.json ---- */

static int read_cell(float *num, wr_str *text, wr_arena *a, bool category, yyjson_val *v, size_t row, wr_err *err)
{
    *num = NAN;
    *text = (wr_str){NULL, 0};
    if (yyjson_is_null(v)) return 0;
    if (category && yyjson_is_str(v)) {
        *text = wr_arena_str(a, (wr_str){yyjson_get_str(v), yyjson_get_len(v)});
        return text->p ? 0 : wr_err_nomem(err);
    }
    if (category || !yyjson_is_num(v))
        return wr_err_set(err, WEIR_ETYPE, "row %zu has a value of the wrong type", row + 1);
    double x = yyjson_get_num(v);
    *num = (float)x;
    return (double)*num == x && isfinite(x)
               ? 0
               : wr_err_set(err, WEIR_ECORRUPT, "row %zu has a number that is no float", row + 1);
}

static int read_row(wr_golden *g, wr_arena *a, const wr_package_parts *parts, yyjson_val *row, yyjson_val *expected,
                    wr_err *err)
{
    size_t j, n, at = g->n * parts->nuse;
    yyjson_val *v;
    if (!yyjson_is_arr(row) || yyjson_arr_size(row) != parts->nuse)
        return wr_err_set(err, WEIR_ECORRUPT, "row %zu is not a list of %zu values", g->n + 1, parts->nuse);
    yyjson_arr_foreach(row, j, n, v)
        WR_TRY(read_cell(&g->num[at + j], &g->text[at + j], a, wr_package_feature(parts, j)->category, v, g->n, err));
    if (!yyjson_is_num(expected)) return wr_err_set(err, WEIR_ETYPE, "row %zu expects what is not a number", g->n + 1);
    g->expected[g->n++] = yyjson_get_num(expected);
    return 0;
}

static int check_names(const wr_package_parts *parts, yyjson_val *root, wr_err *err)
{
    yyjson_val *names, *v;
    size_t j, n;
    WR_TRY(wr_json_arr(&names, root, "features", err));
    bool same = yyjson_arr_size(names) == parts->nuse;
    yyjson_arr_foreach(names, j, n, v) same = same && yyjson_equals_str(v, wr_package_feature(parts, j)->name);
    return same ? 0 : wr_err_set(err, WEIR_ECORRUPT, "its features are not the model's");
}

int wr_package_read_golden(wr_golden *out, wr_arena *a, const wr_package_parts *parts, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j;
    yyjson_val *rows, *expected, *row;
    size_t i, n;
    WR_TRY(wr_json_parse(&j, text, "golden rows", err));
    WR_TRY(check_names(parts, j.root, err));
    WR_TRY(wr_json_arr(&rows, j.root, "rows", err));
    WR_TRY(wr_json_arr(&expected, j.root, "expected", err));
    n = yyjson_arr_size(rows);
    if (n > WR_PACKAGE_GOLDEN || n != yyjson_arr_size(expected))
        return wr_err_set(err, WEIR_ECORRUPT, "%zu rows and %zu expected answers", n, yyjson_arr_size(expected));
    size_t cells = n * parts->nuse;
    *out = (wr_golden){.num = wr_arena_calloc(a, cells, sizeof *out->num),
                       .text = wr_arena_calloc(a, cells, sizeof *out->text),
                       .expected = wr_arena_calloc(a, n, sizeof *out->expected)};
    if (wr_arena_failed(a)) return wr_err_nomem(err);
    yyjson_arr_foreach(rows, i, n, row) WR_TRY(read_row(out, a, parts, row, yyjson_arr_get(expected, i), err));
    return 0;
}
