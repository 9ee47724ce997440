/* SPDX-License-Identifier: Apache-2.0 */
/* forest_columns.c - columns to rows, categories to codes. */
#include "predict/forest_columns.h"

#include <math.h>
#include <stdio.h>

#include "base/vec.h"

/* ---- what the inputs are ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int check_names(const wr_forest_columns *c, wr_arena *a, wr_err *err)
{
    const char **sorted = wr_arena_dup(a, c->names, c->n * sizeof *sorted);
    if (!sorted) return wr_err_nomem(err);
    qsort(sorted, c->n, sizeof *sorted, by_name);
    for (size_t i = 1; i < c->n; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return wr_err_set(err, WEIR_ECORRUPT, "two features are called \"%.*s\"",
                              WR_STR_FMT(wr_str_fit(wr_str_of(sorted[i]), 80)));
    return 0;
}

static wr_tensor_type type_of(wr_categories_kind kind)
{
    switch (kind) {
    case WR_CATEGORIES_TEXT:
        return WR_TENSOR_BYTES;
    case WR_CATEGORIES_WHOLE:
        return WR_TENSOR_INT64;
    case WR_CATEGORIES_NUMBER:
        return WR_TENSOR_FP64;
    case WR_CATEGORIES_NONE:
        break;
    }
    return WR_TENSOR_FP32;
}

int wr_forest_columns_specs(wr_tensor_spec **out, const wr_forest_columns *c, wr_arena *a, wr_err *err)
{
    wr_tensor_spec *s = wr_arena_calloc(a, c->n, sizeof *s);
    *out = s;
    if (!s) return wr_err_nomem(err);
    for (size_t i = 0; i < c->n; i++)
        s[i] = (wr_tensor_spec){.name = c->names[i],
                                .type = type_of(wr_categories_kind_of(c->categories, i)),
                                .ndims = 1,
                                .shape = {-1},
                                .lenient = true};
    return check_names(c, a, err);
}

/* ---- rows ---- */

/* XGBoost's words; the library's user looks for them. */
static int unseen(const wr_forest_columns *c, size_t at, wr_str value, wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "Found a category not in the training set for the %zuth (0-based) column: `%.*s`", at,
               WR_STR_FMT(wr_str_fit(value, 80)));
    return wr_err_hint(err, WEIR_EINVAL, "column '%.*s' has %zu categories; a missing value is null",
                       WR_STR_FMT(wr_str_fit(wr_str_of(c->names[at]), 80)), wr_categories_count(c->categories, at));
}

static int text_column(float *x, const wr_forest_columns *c, size_t at, const wr_str *values, size_t n, wr_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t code = values[i].p ? wr_categories_text(c->categories, at, values[i]) : -1;
        if (code < 0 && values[i].p && !c->unseen_is_missing) return unseen(c, at, values[i], err);
        x[i * c->n] = code < 0 ? NAN : (float)code;
    }
    return 0;
}

static int number_column(float *x, const wr_forest_columns *c, size_t at, const double *values, size_t n, wr_err *err)
{
    char text[40];
    for (size_t i = 0; i < n; i++) {
        bool there = !isnan(values[i]);
        int64_t code = there ? wr_categories_number(c->categories, at, values[i]) : -1;
        x[i * c->n] = code < 0 ? NAN : (float)code;
        if (code >= 0 || !there || c->unseen_is_missing) continue;
        snprintf(text, sizeof text, fabs(values[i]) < 0x1p63 && values[i] == floor(values[i]) ? "%.0f" : "%.17g",
                 values[i]);
        return unseen(c, at, wr_str_of(text), err);
    }
    return 0;
}

static int whole_column(float *x, const wr_forest_columns *c, size_t at, const int64_t *values, size_t n, wr_err *err)
{
    char text[40];
    for (size_t i = 0; i < n; i++) {
        int64_t code = wr_categories_whole(c->categories, at, values[i]);
        x[i * c->n] = code < 0 ? NAN : (float)code;
        if (code >= 0 || c->unseen_is_missing) continue;
        snprintf(text, sizeof text, "%lld", (long long)values[i]);
        return unseen(c, at, wr_str_of(text), err);
    }
    return 0;
}

static int column(float *x, const wr_forest_columns *c, size_t at, const wr_tensor *t, size_t from, size_t n,
                  wr_err *err)
{
    switch (wr_categories_kind_of(c->categories, at)) {
    case WR_CATEGORIES_TEXT:
        return text_column(x, c, at, (const wr_str *)t->data + from, n, err);
    case WR_CATEGORIES_NUMBER:
        return number_column(x, c, at, (const double *)t->data + from, n, err);
    case WR_CATEGORIES_WHOLE:
        return whole_column(x, c, at, (const int64_t *)t->data + from, n, err);
    case WR_CATEGORIES_NONE:
        break;
    }
    const float *values = (const float *)t->data + from;
    for (size_t i = 0; i < n; i++) x[i * c->n] = values[i];
    return 0;
}

int wr_forest_columns_matrix(float **out, size_t *rows, const wr_forest_columns *c, const wr_tensor *in, wr_arena *a,
                             wr_err *err)
{
    enum { BLOCK = 64 }; /* rows that stay in the cache while columns go into them */
    size_t n = *rows = (size_t)in->shape[0];
    for (size_t k = 1; k < c->n; k++)
        if (in[k].shape[0] != in->shape[0])
            return wr_err_set(err, WEIR_EINVAL, "input '%.*s' has %lld rows, '%.*s' %zu",
                              WR_STR_FMT(wr_str_fit(wr_str_of(c->names[k]), 80)), (long long)in[k].shape[0],
                              WR_STR_FMT(wr_str_fit(wr_str_of(c->names[0]), 80)), n);
    *out = wr_arena_alloc(a, (n * c->n + 1) * sizeof **out);
    if (!*out) return wr_err_nomem(err);
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t some = n - from < BLOCK ? n - from : BLOCK;
        for (size_t k = 0; k < c->n; k++) WR_TRY(column(*out + from * c->n + k, c, k, &in[k], from, some, err));
    }
    return 0;
}
