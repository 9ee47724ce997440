/* SPDX-License-Identifier: Apache-2.0 */
/* categories_lightgbm.c - the categories of a LightGBM model that was trained on pandas.
 *
 * Each column of pandas' type category has a list, in the order of columns. Of which features they are, is worked out:
 * a feature can have a list when in training its values were codes of it. Columns with an order are numbers to LightGBM
 * ("[0:2]"), others are categorical features. Categorical features that were named by hand may be columns of whole
 * numbers, without lists. What cannot be told apart is left as it is: such a model takes codes.
 */
#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "predict/categories.h"

typedef struct {
    bool codes;   /* all values were whole numbers of 0 and up (or missing) */
    bool is_list; /* "0:3:1": a categorical feature */
    bool categorical;
    size_t need; /* greatest code + 1 */
} trained;

/* ---- what features were ---- */

static void take_code(trained *t, wr_str word, bool may_miss)
{
    int64_t code;
    if (wr_num_i64(&code, word, NULL) < 0 || code >= WR_CATEGORIES_MOST || code < (may_miss ? -1 : 0)) {
        t->codes = false;
        return;
    }
    if ((size_t)(code + 1) > t->need) t->need = (size_t)(code + 1);
}

static trained read_info(wr_str word)
{
    trained t = {.codes = true};
    if (wr_str_is(word, "none")) return t;
    t.is_list = !wr_str_starts(word, "[");
    if (!t.is_list) word = wr_str_sub(word, 1, wr_str_ends(word, "]") ? word.n - 1 : word.n);
    while (word.p) take_code(&t, wr_str_cut(&word, ':'), t.is_list);
    return t;
}

static bool read_infos(trained *out, size_t n, wr_str infos)
{
    size_t k = 0;
    while (infos.p) {
        wr_str word = wr_str_cut(&infos, ' ');
        if (!word.n) continue;
        if (k == n) return false;
        out[k] = read_info(word);
        out[k].categorical = out[k].is_list;
        k++;
    }
    return k == n;
}

/* The parameter knows also those whose values were all the same. */
static void read_categorical(trained *out, size_t n, wr_str list)
{
    int64_t at;
    if (!list.n) return;
    for (size_t i = 0; i < n; i++) out[i].categorical = false;
    while (list.p)
        if (wr_num_i64(&at, wr_str_trim(wr_str_cut(&list, ',')), NULL) == 0 && at >= 0 && (uint64_t)at < n)
            out[at].categorical = true;
}

/* ---- which has which list ---- */

typedef struct {
    const trained *t;
    const size_t *sizes; /* of the lists */
    size_t nfeatures, nlists;
    bool all;      /* categorical features have a list each; else none of them has */
    bool exact;    /* others that have one had its greatest code */
    uint8_t *ways; /* (features + 1) x (lists + 1): how often the last of them fit together: 0, 1, 2 = more */
} matching;

static bool may_have(const matching *m, size_t feature, size_t list)
{
    const trained *t = &m->t[feature];
    size_t n = m->sizes[list];
    if (!t->codes || t->need > n) return false;
    if (t->categorical) return m->all;
    return !m->exact || t->need == n || (t->need == 0 && n == 1);
}

static bool may_lack(const matching *m, size_t feature) { return !m->all || !m->t[feature].categorical; }

static unsigned count(matching *m)
{
    size_t width = m->nlists + 1;
    memset(m->ways, 0, (m->nfeatures + 1) * width);
    m->ways[m->nfeatures * width + m->nlists] = 1;
    for (size_t i = m->nfeatures; i-- > 0;) {
        for (size_t k = 0; k <= m->nlists; k++) {
            unsigned n = may_lack(m, i) ? m->ways[(i + 1) * width + k] : 0;
            if (k < m->nlists && may_have(m, i, k)) n += m->ways[(i + 1) * width + k + 1];
            m->ways[i * width + k] = (uint8_t)(n > 2 ? 2 : n);
        }
    }
    return m->ways[0];
}

/* The only way: feature by list. */
static void follow(size_t *feature_of, const matching *m)
{
    size_t width = m->nlists + 1, k = 0;
    for (size_t i = 0; i < m->nfeatures && k < m->nlists; i++)
        if (may_have(m, i, k) && m->ways[(i + 1) * width + k + 1]) feature_of[k++] = i;
}

static int match(bool *found, size_t *feature_of, const wr_lightgbm_lists *t, const size_t *sizes, size_t nfeatures,
                 size_t nlists, wr_err *err)
{
    WR_AUTOFREE trained *of = wr_calloc(nfeatures, sizeof *of);
    WR_AUTOFREE uint8_t *ways = wr_alloc((nfeatures + 1) * (nlists + 1));
    if (!of || !ways) return wr_err_nomem(err);
    *found = false;
    if (!read_infos(of, nfeatures, t->infos)) return 0;
    read_categorical(of, nfeatures, t->categorical);
    matching m = {.t = of, .sizes = sizes, .nfeatures = nfeatures, .nlists = nlists, .all = true, .ways = ways};
    unsigned n = count(&m);
    if (n == 0) {
        m.all = false;
        n = count(&m);
    }
    if (n > 1) {
        m.exact = true;
        n = count(&m);
    }
    *found = n == 1;
    if (*found) follow(feature_of, &m);
    return 0;
}

/* ---- all of it ---- */

static int read_lists(wr_categories **out, yyjson_val *lists, const wr_lightgbm_lists *t, size_t nfeatures, wr_err *err)
{
    size_t i, n = yyjson_arr_size(lists);
    yyjson_val *v;
    bool found;
    WR_AUTOFREE size_t *sizes = wr_alloc((n + 1) * sizeof *sizes);
    WR_AUTOFREE size_t *feature_of = wr_alloc((n + 1) * sizeof *feature_of);
    if (!sizes || !feature_of) return wr_err_nomem(err);
    yyjson_arr_foreach(lists, i, n, v)
    {
        if (!yyjson_is_arr(v)) return wr_err_set(err, WEIR_ECORRUPT, "\"pandas_categorical\" is not a list of lists");
        sizes[i] = yyjson_arr_size(v);
    }
    WR_TRY(match(&found, feature_of, t, sizes, nfeatures, n, err));
    if (!found) return 0;
    int rc = wr_categories_new(out, nfeatures, err);
    yyjson_arr_foreach(lists, i, n, v)
    {
        if (rc == 0 && sizes[i]) rc = wr_categories_set_json(*out, feature_of[i], v, err);
    }
    if (rc == 0 && wr_categories_any(*out)) return 0;
    wr_categories_free(*out);
    *out = NULL;
    return rc;
}

int wr_categories_from_lightgbm(wr_categories **out, const wr_lightgbm_lists *t, size_t nfeatures, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    *out = NULL;
    if (!t->lists.n || nfeatures > WR_CATEGORIES_FEATURES) return 0;
    int rc = wr_json_parse(&j, t->lists, "pandas_categorical", err);
    if (rc < 0) {
        if (rc != WEIR_ENOMEM && err) err->code = WEIR_ECORRUPT;
        return rc == WEIR_ENOMEM ? rc : WEIR_ECORRUPT;
    }
    size_t n = yyjson_arr_size(j.root);
    if (yyjson_is_null(j.root) || (yyjson_is_arr(j.root) && n == 0)) return 0;
    if (!yyjson_is_arr(j.root)) return wr_err_set(err, WEIR_ECORRUPT, "\"pandas_categorical\" is not a list of lists");
    if (n > nfeatures)
        return wr_err_set(err, WEIR_ECORRUPT, "\"pandas_categorical\" has more lists than the model has features");
    return read_lists(out, j.root, t, nfeatures, err);
}
