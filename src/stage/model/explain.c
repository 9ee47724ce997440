/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - rows by name, into a package or the predictor of a file. */
#include "stage/model/explain.h"

#include <math.h>

#include "base/limits.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/package.h"
#include "io/file.h"
#include "predict/predictor.h"
#include "store/tables.h"

typedef struct {
    wr_explanation *out;
    wr_arena *a;
    wr_project *project;
    const wr_explain_opt *opt;
    wr_pool *pool;
    wr_err *err;
    wr_frame *rows;
} job;

/* ---- rows ---- */

static const char *reader_of(const char *path)
{
    wr_str s = wr_str_of(path);
    return wr_str_ends(s, ".csv") ? "read_csv" : wr_str_ends(s, ".json") ? "read_json" : wr_str_ends(s, ".parquet") ? "read_parquet" : NULL;
}

/* Only what can stand in FROM (...) is a query. */
static int make_sql(wr_buf *b, job *j, const char *path)
{
    const char *rows = j->opt->rows;
    wr_buf_str(b, "SELECT * FROM ");
    if (path) {
        wr_buf_printf(b, "%s(", reader_of(path));
        wr_sql_text(b, wr_str_of(path));
        wr_buf_str(b, ")");
    } else if (strpbrk(rows, " \n\t")) {
        wr_buf_printf(b, "(\n%s\n)", rows);
    } else {
        wr_sql_ident(b, wr_str_of(rows));
    }
    wr_buf_printf(b, " LIMIT %zu", j->opt->limit);
    return b->failed ? wr_err_nomem(j->err) : 0;
}

/* One word is a file or a dataset; that neither is there is told before the engine is asked, which knows neither. */
static int no_rows(job *j, const char *rows)
{
    char **names = NULL, **files = NULL;
    size_t n = 0, nfiles = 0;
    wr_err none;
    WR_TRY(wr_dataset_list(&names, &n, j->a, j->project, j->err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], rows) == 0) return 0;
    if (strchr(rows, '@') && !reader_of(rows)) return 0; /* a version */
    wr_err_set(j->err, WEIR_ENOTFOUND, "rows to explain: there is no file and no dataset \"%.200s\"", rows);
    int near = wr_str_nearest(wr_str_of(rows), (const char *const *)names, n);
    if (near >= 0) return wr_err_hint(j->err, WEIR_ENOTFOUND, "did you mean the dataset \"%s\"?", names[near]);
    if (!strchr(rows, '/') && wr_file_list(&files, &nfiles, j->a, ".", &none) == 0)
        near = wr_str_nearest(wr_str_of(rows), (const char *const *)files, nfiles);
    if (near >= 0) return wr_err_hint(j->err, WEIR_ENOTFOUND, "did you mean '%s'?", files[near]);
    return wr_err_hint(j->err, WEIR_ENOTFOUND, "rows are a CSV, JSON or Parquet file, a dataset, or SQL in quotes");
}

static int read_rows(job *j)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_tables *t;
    wr_node *used = NULL;
    size_t nused = 0;
    char *path = NULL;
    if (reader_of(j->opt->rows) && !strpbrk(j->opt->rows, " \n\t")) {
        path = wr_path_absolute(j->a, j->opt->rows);
        if (!path) return wr_err_nomem(j->err);
    }
    bool there = path && (wr_file_exists(path) || strpbrk(path, "*?[")); /* several files */
    if (!there && !strpbrk(j->opt->rows, " \n\t")) WR_TRY(no_rows(j, j->opt->rows));
    const char *extra[] = {path, NULL};
    WR_TRY(make_sql(&sql, j, path));
    WR_TRY(wr_project_tables(&t, j->project, path ? extra : NULL, j->err));
    int rc = path ? 0 : wr_dataset_views_for(t, j->project, wr_buf_cstr(&sql), &used, &nused, j->a, j->err);
    if (rc == 0) rc = wr_tables_query(t, &j->rows, wr_buf_cstr(&sql), NULL, 0, j->err);
    wr_tables_close(t);
    return rc < 0 ? wr_err_wrap(j->err, rc, "rows to explain") : 0;
}

/* ---- models ---- */

static int room(double **phi, job *j, size_t outputs, size_t features)
{
    size_t each = outputs * (features + 1);
    if (j->rows->nrows > WR_LIMIT_EXPLAIN / each) {
        wr_err_set(j->err, WEIR_ELIMIT, "contributions of more than %d numbers", WR_LIMIT_EXPLAIN);
        return wr_err_hint(j->err, WEIR_ELIMIT, "--limit takes fewer rows");
    }
    *phi = wr_arena_alloc(j->a, (j->rows->nrows * each + 1) * sizeof **phi);
    *j->out = (wr_explanation){.phi = *phi, .rows = j->rows->nrows, .outputs = outputs, .features = features};
    return *phi ? 0 : wr_err_nomem(j->err);
}

static int by_package(job *j, const wr_package *k)
{
    size_t n = wr_package_get(k)->nuse, rows = j->rows->nrows;
    double *phi;
    WR_TRY(room(&phi, j, 1, n));
    float **cols = wr_arena_calloc(j->a, n + 1, sizeof *cols), *x = wr_arena_alloc(j->a, (rows * n + 1) * sizeof *x);
    const char **names = wr_arena_alloc(j->a, (n + 1) * sizeof *names);
    if (!cols || !x || !names) return wr_err_nomem(j->err);
    WR_TRY(wr_package_encode(cols, wr_package_get(k), j->rows, j->a, j->err));
    for (size_t i = 0; i < rows * n; i++) x[i] = cols[i % n][i / n];
    for (size_t i = 0; i < n; i++) names[i] = wr_arena_strdup(j->a, wr_package_feature_name(k, i));
    if (wr_arena_failed(j->a)) return wr_err_nomem(j->err);
    j->out->names = names;
    return wr_package_explain(phi, k, x, rows, j->pool, j->err);
}

/* The rows' column of feature `at`; a text where the model takes a number is refused. */
static int column_of(wr_col **out, job *j, const wr_predictor *p, size_t at, bool texts)
{
    if (p->features) WR_TRY(wr_frame_need(out, j->rows, p->features[at], -1, j->err));
    else *out = &j->rows->cols[at];
    if ((*out)->type != WR_TEXT || texts) return 0;
    wr_err_set(j->err, WEIR_ETYPE, "column \"%s\" is text, and the model takes a number", (*out)->name);
    return wr_err_hint(j->err, WEIR_ETYPE, "categories are given as their codes");
}

static int matrix(wr_tensor *out, job *j, const wr_predictor *p)
{
    size_t n = p->nfeatures, rows = j->rows->nrows;
    float *x = wr_arena_alloc(j->a, (rows * n + 1) * sizeof *x);
    if (!x) return wr_err_nomem(j->err);
    for (size_t k = 0; k < n; k++) {
        wr_col *c;
        WR_TRY(column_of(&c, j, p, k, false));
        for (size_t i = 0; i < rows; i++) x[i * n + k] = wr_col_missing(c, i) ? NAN : (float)wr_col_num(c, i);
    }
    *out = (wr_tensor){.type = WR_TENSOR_FP32, .ndims = 2, .shape = {(int64_t)rows, (int64_t)n}, .count = rows * n, .data = x};
    return 0;
}

/* Of a model that takes its features one by one. */
static int feature(wr_tensor *out, job *j, const wr_predictor *p, size_t at)
{
    size_t rows = j->rows->nrows;
    wr_tensor wide;
    wr_col *c;
    bool text = p->in[at].type == WR_TENSOR_BYTES;
    WR_TRY(column_of(&c, j, p, at, text));
    bool whole = p->in[at].type == WR_TENSOR_INT64 && c->type == WR_I64; /* beyond what a double holds */
    for (size_t i = 0; whole && i < rows; i++) whole = !wr_col_missing(c, i);
    *out = (wr_tensor){.name = wr_str_of(c->name),
                       .type = text ? WR_TENSOR_BYTES : whole ? WR_TENSOR_INT64 : WR_TENSOR_FP64,
                       .ndims = 1,
                       .shape = {(int64_t)rows},
                       .count = rows};
    if (text && c->type != WR_TEXT) {
        return wr_err_set(j->err, WEIR_ETYPE, "column \"%s\" is %s, and the model takes text", c->name, wr_type_name(c->type));
    }
    WR_TRY(wr_tensor_alloc(out, j->a, j->err));
    for (size_t i = 0; i < rows; i++) {
        if (text) ((wr_str *)out->data)[i] = wr_col_text(c, i);
        else if (whole) ((int64_t *)out->data)[i] = c->i64[i];
        else ((double *)out->data)[i] = wr_col_num(c, i);
    }
    if (text) return 0;
    wide = *out;
    int rc = wr_tensor_convert(out, &wide, p->in[at].type, j->a, j->err);
    return rc < 0 ? wr_err_wrap(j->err, rc, "column \"%s\"", c->name) : 0;
}

static int by_predictor(job *j, const wr_predictor *p)
{
    size_t n = p->nfeatures, rows = j->rows->nrows;
    bool each = p->in->ndims == 1;
    wr_tensor out = {0};
    if (!p->ops->explain) {
        return wr_err_set(j->err, WEIR_EUNSUPPORTED, "'%s' cannot explain itself%s%s", j->opt->model, p->no_explain ? ": " : "",
                          p->no_explain ? p->no_explain : "");
    }
    if (!p->features && j->rows->ncols != n) {
        return wr_err_set(j->err, WEIR_EINVAL, "the rows have %zu columns, '%s' has %zu features without names", (size_t)j->rows->ncols,
                          j->opt->model, n);
    }
    const char **names = wr_arena_alloc(j->a, (n + 1) * sizeof *names);
    wr_tensor *in = wr_arena_calloc(j->a, p->nin + 1, sizeof *in);
    if (!names || !in) return wr_err_nomem(j->err);
    if (!each) WR_TRY(matrix(in, j, p));
    for (size_t k = 0; each && k < n; k++) WR_TRY(feature(&in[k], j, p, k));
    for (size_t k = 0; k < n; k++) names[k] = wr_arena_strdup(j->a, p->features ? p->features[k] : j->rows->cols[k].name);
    if (wr_arena_failed(j->a)) return wr_err_nomem(j->err);
    WR_TRY(p->ops->explain(p, &out, in, j->a, j->err));
    *j->out = (wr_explanation){
        .phi = out.data, .rows = rows, .outputs = (size_t)out.shape[1], .features = n, .names = names};
    return 0;
}

static int explain_file(job *j)
{
    wr_predictor *p;
    WR_TRY(wr_predictor_open(&p, j->opt->model, j->err));
    int rc = read_rows(j);
    if (rc == 0) rc = by_predictor(j, p);
    wr_predictor_free(p);
    return rc;
}

static int explain_package(job *j)
{
    wr_model_version v;
    wr_package *k;
    int rc = wr_model_find(&v, j->a, j->project, j->opt->model, j->err);
    if (rc < 0) return wr_model_no_file(rc, j->opt->model, j->a, j->project, j->err);
    WR_TRY(wr_package_load(&k, j->project, v.package, j->err));
    rc = read_rows(j);
    if (rc == 0) rc = by_package(j, k);
    wr_package_free(k);
    return rc;
}

int wr_explain(wr_explanation *out, wr_arena *a, wr_project *p, const wr_explain_opt *opt, wr_pool *pool, wr_err *err)
{
    job j = {.out = out, .a = a, .project = p, .opt = opt, .pool = pool, .err = err};
    *out = (wr_explanation){0};
    int rc = wr_file_exists(opt->model) ? explain_file(&j) : explain_package(&j);
    wr_frame_free(j.rows);
    return rc;
}
