/* SPDX-License-Identifier: Apache-2.0 */
/* package_files.c - weir.json, golden.json and MLmodel. Same parts, same bytes.
 *
 *   weir.json    {"format": 1, "name", "created", "run", "learner": "trees", "view_sha256", "view": {...},
 *                 "features": [{"name"} or {"name", "count", "categories": [text of code 0, 1, ...]}],
 *                 "options": {...}, "metrics": {...}, "parents": {...}, "trees_sha256"}
 *   golden.json  {"features": [names], "rows": [[number, text or null, ...]], "expected": [numbers]}
 */
#include "core/package_files.h"

#include <math.h>

#include "base/clock.h"
#include "codec/json.h"

/* ---- checks ---- */

static int check_time(const char *created, wr_err *err)
{
    int64_t us;
    return wr_time_parse(&us, wr_str_of(created), err);
}

static int check_dict(const wr_map *dict, const wr_view_feature *f, wr_err *err)
{
    if (!f->category && dict->n)
        return wr_err_set(err, WEIR_EINVAL, "feature \"%s\" is a number and has categories", f->name);
    for (size_t i = 0; i < dict->n; i++) {
        if (!wr_str_utf8(dict->at[i].key))
            return wr_err_set(err, WEIR_EINVAL, "category %zu of feature \"%s\" is not UTF-8", i, f->name);
    }
    return 0;
}

static int check_feature(const wr_package_parts *parts, size_t j, wr_err *err)
{
    if (parts->use[j] >= parts->view->nfeatures)
        return wr_err_set(err, WEIR_EINVAL, "the view has no feature %zu", parts->use[j]);
    const wr_view_feature *f = wr_package_feature(parts, j);
    for (size_t k = 0; k < j; k++) {
        if (parts->use[k] == parts->use[j])
            return wr_err_set(err, WEIR_EINVAL, "feature \"%s\" is used twice", f->name);
    }
    WR_TRY(check_dict(&parts->dict[j], f, err));
    const char *learned = parts->trees ? wr_trees_feature_name(parts->trees, j) : f->name;
    if (learned && strcmp(learned, f->name) == 0) return 0;
    return wr_err_set(err, WEIR_EINVAL, "feature %zu is \"%s\" here and \"%.200s\" in the learner", j, f->name,
                      learned ? learned : "");
}

int wr_package_check(const wr_package_parts *parts, wr_err *err)
{
    if (!parts->name || !wr_name_ok(wr_str_of(parts->name)))
        return wr_err_set(err, WEIR_EINVAL, "\"%.60s\" is not a model name", parts->name ? parts->name : "");
    if (!parts->created) return wr_err_set(err, WEIR_EINVAL, "the time of creation is missing");
    WR_TRY(check_time(parts->created, err));
    if (!parts->view || parts->nuse < 1 || parts->nuse > WR_VIEW_FEATURES)
        return wr_err_set(err, WEIR_EINVAL, "a model uses 1 to %d features of a view, not %zu", WR_VIEW_FEATURES,
                          parts->nuse);
    if (parts->trees && wr_trees_nfeatures(parts->trees) != parts->nuse)
        return wr_err_set(err, WEIR_EINVAL, "the learner takes %zu features, and %zu are given",
                          wr_trees_nfeatures(parts->trees), parts->nuse);
    for (size_t j = 0; j < parts->nuse; j++) WR_TRY(check_feature(parts, j, err));
    return 0;
}

/* A failed buffer that is nearly full has met its limit. */
static int finished(const wr_buf *b, const char *file, wr_err *err)
{
    if (!b->failed) return 0;
    return b->n > b->max / 2 ? wr_err_set(err, WEIR_ELIMIT, "%s would be larger than %zu bytes", file, b->max)
                             : wr_err_nomem(err);
}

/* ---- weir.json ---- */

static int write_object(wr_jsonw *w, const char *key, const char *json, wr_err *err)
{
    WR_AUTOJSON wr_json j;
    WR_TRY(wr_json_parse(&j, wr_str_of(json ? json : "{}"), key, err));
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_ETYPE, "\"%s\" must be a JSON object", key);
    wr_jsonw_key(w, key);
    wr_jsonw_val(w, j.root);
    return 0;
}

static int write_view(wr_jsonw *w, const wr_view *v, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_view_json(&b, v);
    if (b.failed) return wr_err_nomem(err);
    wr_jsonw_kstr(w, "view_sha256", v->hash);
    wr_jsonw_key(w, "view");
    wr_jsonw_raw(w, wr_buf_view(&b));
    return 0;
}

static void write_features(wr_jsonw *w, const wr_package_parts *parts)
{
    wr_jsonw_key(w, "features");
    wr_jsonw_arr(w);
    for (size_t j = 0; j < parts->nuse; j++) {
        const wr_view_feature *f = wr_package_feature(parts, j);
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", f->name);
        if (f->category) {
            const wr_map *dict = &parts->dict[j];
            wr_jsonw_ki64(w, "count", (int64_t)dict->n);
            wr_jsonw_key(w, "categories");
            wr_jsonw_arr(w);
            for (size_t i = 0; i < dict->n; i++) wr_jsonw_str(w, dict->at[i].key);
            wr_jsonw_end(w);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

int wr_package_write_weir(wr_buf *out, const wr_package_parts *parts, const char trees_sha256[WR_SHA256_HEX],
                          wr_err *err)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_ki64(&w, "format", WR_PACKAGE_FORMAT);
    wr_jsonw_kstr(&w, "name", parts->name);
    wr_jsonw_kstr(&w, "created", parts->created);
    wr_jsonw_kstr(&w, "run", parts->run_id ? parts->run_id : "");
    wr_jsonw_kstr(&w, "learner", "trees");
    WR_TRY(write_view(&w, parts->view, err));
    write_features(&w, parts);
    WR_TRY(write_object(&w, "options", parts->options_json, err));
    WR_TRY(write_object(&w, "metrics", parts->metrics_json, err));
    WR_TRY(write_object(&w, "parents", parts->parents_json, err));
    wr_jsonw_kstr(&w, "trees_sha256", trees_sha256);
    wr_jsonw_end(&w);
    return finished(out, "weir.json", err);
}

/* ---- golden.json ---- */

static void write_golden_row(wr_jsonw *w, const wr_package_parts *parts, const float *num, const wr_str *text)
{
    wr_jsonw_arr(w);
    for (size_t j = 0; j < parts->nuse; j++) {
        if (!wr_package_feature(parts, j)->category) wr_jsonw_f64(w, (double)num[j]); /* NaN becomes null */
        else if (text[j].p) wr_jsonw_str(w, text[j]);
        else wr_jsonw_null(w);
    }
    wr_jsonw_end(w);
}

int wr_package_write_golden(wr_buf *out, const wr_package_parts *parts, const wr_golden *golden, wr_err *err)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_key(&w, "features");
    wr_jsonw_arr(&w);
    for (size_t j = 0; j < parts->nuse; j++) wr_jsonw_cstr(&w, wr_package_feature(parts, j)->name);
    wr_jsonw_end(&w);
    wr_jsonw_key(&w, "rows");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < golden->n; i++)
        write_golden_row(&w, parts, golden->num + i * parts->nuse, golden->text + i * parts->nuse);
    wr_jsonw_end(&w);
    wr_jsonw_key(&w, "expected");
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < golden->n; i++) wr_jsonw_f64(&w, golden->expected[i]);
    wr_jsonw_end(&w);
    wr_jsonw_end(&w);
    return finished(out, "golden.json", err);
}

/* ---- MLmodel ---- */

/* MLflow keeps the columns as JSON in a YAML text: in single quotes, where only the quote itself is doubled. */
static void quote_single(wr_buf *out, wr_str json)
{
    wr_buf_char(out, '\'');
    for (size_t i = 0; i < json.n; i++) {
        if (json.p[i] == '\'') wr_buf_char(out, '\'');
        wr_buf_char(out, json.p[i]);
    }
    wr_buf_char(out, '\'');
}

static void write_inputs(wr_buf *out, const wr_view *v)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_arr(&w);
    for (size_t i = 0; i < v->nrequest; i++) {
        wr_type t = v->request_type[i];
        wr_jsonw_obj(&w);
        wr_jsonw_kstr(&w, "type", t == WR_TS ? "datetime" : t == WR_TEXT ? "string" : "double");
        wr_jsonw_kstr(&w, "name", v->request[i]);
        wr_jsonw_kbool(&w, "required", i == 0); /* the time; whatever else is missing is a missing value */
        wr_jsonw_end(&w);
    }
    wr_jsonw_end(&w);
}

/* "2026-11-23 21:40:05.000000", as MLflow writes it. */
static int write_created(wr_buf *out, const char *created, wr_err *err)
{
    int64_t us;
    wr_civil c;
    WR_TRY(wr_time_parse(&us, wr_str_of(created), err));
    wr_time_civil(&c, us);
    int64_t fraction = us % WR_US;
    wr_buf_printf(out, "utc_time_created: '%04d-%02d-%02d %02d:%02d:%02d.%06d'\n", c.year, c.month, c.day, c.hour,
                  c.minute, c.second, (int)(fraction < 0 ? fraction + WR_US : fraction));
    return 0;
}

int wr_package_write_mlmodel(wr_buf *out, const wr_package_parts *parts, wr_err *err)
{
    WR_AUTOBUF wr_buf inputs;
    char uuid[WR_SHA256_HEX];
    wr_jsonw w;
    const char *run = parts->run_id ? parts->run_id : "";
    wr_buf_init(&inputs, 0);
    write_inputs(&inputs, parts->view);
    if (inputs.failed) return wr_err_nomem(err);
    wr_sha256_of(run, strlen(run), uuid);
    wr_buf_str(out, "artifact_path: model\nflavors:\n  weir:\n    data: .\n    definition: weir.json\n");
    wr_buf_printf(out, "    format: %d\n    learner: trees\n    model: model.trees\n    name: ", WR_PACKAGE_FORMAT);
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_cstr(&w, parts->name);
    wr_buf_printf(out, "\nmodel_uuid: '%.32s'\nrun_id: ", uuid);
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_cstr(&w, run);
    wr_buf_str(out, "\nsignature:\n  inputs: ");
    quote_single(out, wr_buf_view(&inputs));
    wr_buf_str(out,
               "\n  outputs: '[{\"type\":\"double\",\"name\":\"prediction\",\"required\":true}]'\n  params: null\n");
    WR_TRY(write_created(out, parts->created, err));
    return finished(out, "MLmodel", err);
}
