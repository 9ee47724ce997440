/* SPDX-License-Identifier: Apache-2.0 */
/* study_json.c - attributes and distributions as text. Python's json writes NaN and Infinity for numbers, which strict
 * JSON has not. */
#include <math.h>

#include "codec/json.h"
#include "track/study.h"

enum { CHOICES_MAX = 100000 };

/* NULL when it is not JSON of that kind. */
static yyjson_doc *parse(wr_str json)
{
    return yyjson_read(json.p ? json.p : "", json.n, YYJSON_READ_ALLOW_INF_AND_NAN);
}

static int not_json(wr_str json, const char *what, wr_err *err)
{
    wr_str shown = wr_str_fit(json, 80);
    return wr_err_set(err, WEIR_EINVAL, "the %s '%.*s' is not JSON", what, WR_STR_FMT(shown));
}

int wr_study_json_ok(wr_str json, const char *what, wr_err *err)
{
    yyjson_doc *doc = parse(json);
    if (!doc) return not_json(json, what, err);
    yyjson_doc_free(doc);
    return 0;
}

/* ---- distributions ---- */

typedef struct {
    yyjson_doc *doc;
    wr_str name; /* class */
    bool log;
    yyjson_val *choices; /* NULL of a numerical one */
} distribution;

static wr_str text_of(yyjson_val *v) { return (wr_str){yyjson_get_str(v), yyjson_get_len(v)}; }

/* {"name": CLASS, "attributes": {...}}, or short {"type": "float", ...}: the latter has a class of today. */
static bool read_it(distribution *d)
{
    static const char *const known[] = {
        "FloatDistribution", "UniformDistribution",    "LogUniformDistribution",    "DiscreteUniformDistribution",
        "IntDistribution",   "IntUniformDistribution", "IntLogUniformDistribution", "CategoricalDistribution"};
    yyjson_val *root = yyjson_doc_get_root(d->doc), *name = yyjson_obj_get(root, "name"), *at = root;
    if (name) {
        at = yyjson_obj_get(root, "attributes");
        d->name = text_of(name);
    } else {
        wr_str type = text_of(yyjson_obj_get(root, "type"));
        d->name = wr_str_is(type, "float")         ? WR_STR("FloatDistribution")
                  : wr_str_is(type, "int")         ? WR_STR("IntDistribution")
                  : wr_str_is(type, "categorical") ? WR_STR("CategoricalDistribution")
                                                   : (wr_str){0};
    }
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known && d->name.p; i++) found |= wr_str_is(d->name, known[i]);
    if (!found || !yyjson_is_obj(at)) return false;
    d->log = yyjson_get_bool(yyjson_obj_get(at, "log"));
    if (!wr_str_is(d->name, "CategoricalDistribution"))
        return yyjson_is_num(yyjson_obj_get(at, "low")) && yyjson_is_num(yyjson_obj_get(at, "high"));
    d->choices = yyjson_obj_get(at, "choices");
    return yyjson_is_arr(d->choices) && yyjson_arr_size(d->choices) > 0 && yyjson_arr_size(d->choices) <= CHOICES_MAX;
}

static int read_distribution(distribution *d, wr_str json, wr_err *err)
{
    *d = (distribution){.doc = parse(json)};
    if (d->doc && read_it(d)) return 0;
    yyjson_doc_free(d->doc);
    d->doc = NULL;
    wr_str shown = wr_str_fit(json, 80);
    return wr_err_set(err, WEIR_EINVAL, "'%.*s' is not a distribution", WR_STR_FMT(shown));
}

int wr_study_distribution_ok(wr_str json, wr_err *err)
{
    distribution d;
    WR_TRY(read_distribution(&d, json, err));
    yyjson_doc_free(d.doc);
    return 0;
}

/* Equal as Python's == says, where 1, 1.0 and True are equal, and NaN equals NaN. */
static bool same_choice(yyjson_val *a, yyjson_val *b)
{
    bool numbers = (yyjson_is_num(a) || yyjson_is_bool(a)) && (yyjson_is_num(b) || yyjson_is_bool(b));
    if (!numbers) return yyjson_equals(a, b);
    if (yyjson_is_int(a) && yyjson_is_int(b)) return yyjson_equals(a, b);
    double x = yyjson_is_bool(a) ? yyjson_get_bool(a) : yyjson_get_num(a);
    double y = yyjson_is_bool(b) ? yyjson_get_bool(b) : yyjson_get_num(b);
    return x == y || (isnan(x) && isnan(y));
}

static bool same_choices(yyjson_val *a, yyjson_val *b)
{
    size_t n = yyjson_arr_size(a);
    if (n != yyjson_arr_size(b)) return false;
    yyjson_arr_iter ia, ib;
    yyjson_arr_iter_init(a, &ia);
    yyjson_arr_iter_init(b, &ib);
    for (size_t i = 0; i < n; i++) {
        if (!same_choice(yyjson_arr_iter_next(&ia), yyjson_arr_iter_next(&ib))) return false;
    }
    return true;
}

int wr_study_compatible(wr_str first, wr_str fresh, wr_err *err)
{
    distribution a, b;
    int rc = 0;
    WR_TRY(read_distribution(&b, fresh, err));
    if (read_distribution(&a, first, NULL) < 0) a = (distribution){0};
    if (!wr_str_eq(a.name, b.name))
        rc = wr_err_set(err, WEIR_EINVAL, "Cannot set different distribution kind to the same parameter name.");
    else if (a.log != b.log)
        rc = wr_err_set(err, WEIR_EINVAL, "Cannot set different log configuration to the same parameter name.");
    else if (a.choices && !same_choices(a.choices, b.choices))
        rc = wr_err_set(err, WEIR_EINVAL, "CategoricalDistribution does not support dynamic value space.");
    yyjson_doc_free(a.doc);
    yyjson_doc_free(b.doc);
    return rc;
}
