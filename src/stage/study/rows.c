/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c - what the model of a study is asked: logged predictions, a file, the view's own rows, golden rows, or
 * made from its signature; and how answers are compared. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rng.h"
#include "core/view_source.h"
#include "io/file.h"
#include "stage/predlog/tables.h"
#include "stage/study/study_inside.h"

enum {
    ROWS_MAX = WR_FEASIBILITY_ROWS,
    MADE_ROWS = 256,
    WIDTH_UNKNOWN = 8,
    ELEMENTS_MAX = 1 << 22,
    GOLDEN_BYTES = 16 << 20
};

/* ---- a table into tensors ---- */

static const wr_col *find_column(const wr_frame *f, const char *name, wr_arena *a)
{
    const wr_col *c = wr_frame_col(f, name);
    const char *logged = c ? NULL : wr_drain_column(a, name); /* as the log has names that are its own */
    return c || !logged ? c : wr_frame_col(f, logged);
}

static wr_str text_of(const wr_col *c, size_t row, wr_arena *a)
{
    char text[WR_TIME_TEXT];
    if (wr_col_missing(c, row)) return (wr_str){NULL, 0};
    if (c->type == WR_TEXT) return wr_arena_str(a, wr_col_text(c, row)); /* the table goes */
    if (c->type == WR_TS) wr_time_format(text, c->i64[row]);
    else snprintf(text, sizeof text, "%.17g", wr_col_num(c, row));
    return wr_arena_str(a, wr_str_of(text));
}

static bool any_missing(const wr_col *c, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        if (wr_col_missing(c, i)) return true;
    return false;
}

/* Column c as element `at` of `width` in each row of t. */
int wr_feasibility_put_column(wr_feasibility_work *w, wr_tensor *t, const wr_col *c, size_t at, size_t width,
                              size_t rows, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    if (t->type == WR_TENSOR_BYTES) {
        for (size_t i = 0; i < rows; i++) ((wr_str *)t->data)[i * width + at] = text_of(c, i, w->a);
        return 0;
    }
    if (c->type == WR_TEXT || c->type == WR_TS)
        return wr_err_set(err, WEIR_ETYPE, "column \"%s\" is %s, and the model takes numbers", c->name,
                          wr_type_name(c->type));
    if (t->type == WR_TENSOR_INT64 && c->type == WR_I64 && !any_missing(c, rows)) { /* not by way of a double */
        for (size_t i = 0; i < rows; i++) ((int64_t *)t->data)[i * width + at] = c->i64[i];
        return 0;
    }
    double *v = wr_arena_alloc(a, (rows + 1) * sizeof *v);
    if (!v) return wr_err_nomem(err);
    for (size_t i = 0; i < rows; i++) v[i] = wr_col_num(c, i);
    wr_tensor wide = {.name = t->name,
                      .type = WR_TENSOR_FP64,
                      .ndims = 1,
                      .shape = {(int64_t)rows},
                      .count = rows,
                      .data = v},
              own;
    int rc = wr_tensor_convert(&own, &wide, t->type, a, err);
    if (rc < 0) return wr_err_wrap(err, rc, "column \"%s\"", c->name);
    size_t size = wr_tensor_type_size(t->type);
    for (size_t i = 0; i < rows; i++)
        memcpy((char *)t->data + (i * width + at) * size, (char *)own.data + i * size, size);
    return 0;
}

static int no_column(const wr_frame *f, const char *name, wr_err *err)
{
    const char *names[200];
    size_t n = 0;
    for (; n < f->ncols && n < 200; n++) names[n] = f->cols[n].name;
    wr_err_set(err, WEIR_ENOTFOUND, "the rows have no column \"%s\"", name);
    int near = wr_str_nearest(wr_str_of(name), names, n);
    return near >= 0 ? wr_err_hint(err, WEIR_ENOTFOUND, "did you mean \"%s\"?", names[near]) : WEIR_ENOTFOUND;
}

/* The column of feature k of a matrix: by its name, or by its place when names are not known. */
static int matrix_column(const wr_col **out, wr_feasibility_work *w, const wr_frame *f, size_t k, size_t width,
                         wr_err *err)
{
    const wr_predictor *p = w->m->predictor;
    if (p->features && p->nfeatures == width && (*out = find_column(f, p->features[k], w->a))) return 0;
    bool named = p->features && p->nfeatures == width && wr_frame_col(f, p->features[0]);
    if (named) return no_column(f, p->features[k], err);
    if (k >= f->ncols)
        return wr_err_set(err, WEIR_EINVAL, "the rows have %zu columns, the model takes %zu", f->ncols, width);
    *out = &f->cols[k];
    return 0;
}

static int put_input(wr_feasibility_work *w, wr_tensor *t, const wr_tensor_spec *s, const wr_frame *f, size_t rows,
                     wr_err *err)
{
    size_t width = 1;
    const wr_col *c;
    *t = (wr_tensor){.name = wr_arena_str(w->a, wr_str_of(s->name)), .type = s->type, .ndims = s->ndims};
    for (int d = 0; d < s->ndims; d++) t->shape[d] = s->shape[d];
    if (s->ndims < 1 || s->shape[0] != -1)
        return wr_err_set(err, WEIR_EUNSUPPORTED, "input \"%s\" does not take rows", s->name);
    for (int d = 1; d < s->ndims; d++) {
        if (t->shape[d] == -1) t->shape[d] = w->m->nin == 1 ? (int64_t)f->ncols : 1;
        width *= (size_t)t->shape[d];
    }
    t->shape[0] = (int64_t)rows;
    WR_TRY(wr_tensor_count(t, err));
    WR_TRY(wr_tensor_alloc(t, w->a, err));
    if (width == 1) {
        if (!(c = find_column(f, s->name, w->a))) return no_column(f, s->name, err);
        return wr_feasibility_put_column(w, t, c, 0, 1, rows, err);
    }
    for (size_t k = 0; k < width; k++) {
        WR_TRY(matrix_column(&c, w, f, k, width, err));
        WR_TRY(wr_feasibility_put_column(w, t, c, k, width, rows, err));
    }
    return 0;
}

int wr_feasibility_from_frame(wr_feasibility_work *w, const wr_frame *f, wr_err *err)
{
    size_t rows = f->nrows < ROWS_MAX ? f->nrows : ROWS_MAX;
    if (!rows) return wr_err_set(err, WEIR_ENOTFOUND, "there are no rows");
    wr_tensor *in = wr_arena_calloc(w->a, w->m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    size_t n = 0;
    for (size_t i = 0; i < w->m->nin; i++) {
        int rc = put_input(w, &in[n], &w->m->in[i], f, rows, err);
        if (rc == WEIR_ENOTFOUND && w->m->in[i].optional) continue;
        WR_TRY(rc);
        n++;
    }
    w->in = in;
    w->nin = n;
    w->nrows = rows;
    return 0;
}

/* ---- tensors of a JSON: {"inputs": [{name, shape, datatype, data}]} ---- */

static int json_input(wr_feasibility_work *w, wr_tensor *t, yyjson_val *v, wr_err *err)
{
    wr_str type;
    yyjson_val *shape, *d, *data = yyjson_obj_get(v, "data");
    size_t i, max, used;
    *t = (wr_tensor){0};
    WR_TRY(wr_json_str(&t->name, v, "name", err));
    WR_TRY(wr_json_str(&type, v, "datatype", err));
    WR_TRY(wr_json_arr(&shape, v, "shape", err));
    t->name = wr_arena_str(w->a, t->name);
    t->type = wr_tensor_type_parse(type);
    if (t->type == WR_TENSOR_NONE || yyjson_arr_size(shape) > WR_TENSOR_DIMS || !data)
        return wr_err_set(err, WEIR_EINVAL, "input \"%.*s\" has no datatype, shape and data",
                          WR_STR_FMT(wr_str_fit(t->name, 100)));
    yyjson_arr_foreach(shape, i, max, d) t->shape[t->ndims++] = yyjson_get_sint(d);
    WR_TRY(wr_tensor_count(t, err));
    size_t n;
    char *text = yyjson_val_write(data, 0, &n);
    if (!text) return wr_err_nomem(err);
    wr_str copy = wr_arena_str(w->a, (wr_str){text, n});
    free(text);
    return copy.p ? wr_tensor_read_json(t, &used, copy, w->a, err) : wr_err_nomem(err);
}

static int from_json(wr_feasibility_work *w, wr_str text, const char *what, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *list, *v;
    size_t i, max;
    WR_TRY(wr_json_parse(&j, text, what, err));
    WR_TRY(wr_json_arr(&list, j.root, "inputs", err));
    if (yyjson_arr_size(list) > w->m->nin)
        return wr_err_set(err, WEIR_EINVAL, "'%s' has more inputs than the model", what);
    wr_tensor *in = wr_arena_calloc(w->a, w->m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v) WR_TRY(json_input(w, &in[i], v, err));
    if (!max) return wr_err_set(err, WEIR_EINVAL, "'%s' has no inputs", what);
    size_t rows = w->m->rows && in[0].ndims ? (size_t)in[0].shape[0] : 1;
    for (size_t k = 0; w->m->rows && k < max; k++)
        if (!in[k].ndims || (size_t)in[k].shape[0] != rows || !rows)
            return wr_err_set(err, WEIR_EINVAL, "inputs of '%s' have different numbers of rows, or none", what);
    w->in = in;
    w->nin = max;
    w->nrows = rows;
    return 0;
}

/* ---- where rows come from ---- */

static int table_file(wr_frame **out, wr_feasibility_work *w, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf sql = {0};
    wr_tables *t;
    const char *full = wr_path_absolute(w->a, path), *allow[] = {full, NULL};
    if (!full) return wr_err_nomem(err);
    wr_tables_opt alone = {.spill = "/tmp", .allow = allow};
    WR_TRY(w->p ? wr_project_tables(&t, w->p, allow, err) : wr_tables_open(&t, &alone, err));
    wr_str name = wr_str_of(full);
    wr_buf_str(&sql, wr_str_ends(name, ".csv")       ? "SELECT * FROM read_csv("
                     : wr_str_ends(name, ".parquet") ? "SELECT * FROM read_parquet("
                                                     : "SELECT * FROM read_json_auto(");
    wr_sql_text(&sql, name);
    wr_buf_printf(&sql, ") LIMIT %d", ROWS_MAX);
    int rc = sql.failed ? wr_err_nomem(err) : wr_tables_query(t, out, wr_buf_cstr(&sql), NULL, 0, err);
    wr_tables_close(t);
    return rc;
}

static int from_file(wr_feasibility_work *w, wr_err *err)
{
    WR_AUTOFRAME wr_frame *f = NULL;
    WR_AUTOBUF wr_buf text;
    const char *path = w->opt->rows;
    wr_buf_init(&text, WR_LIMIT_HTTP_BODY_INFER + 1);
    if (wr_file_size(path) < 0) return wr_err_set(err, WEIR_ENOTFOUND, "there is no '%s'", path);
    if (wr_str_ends(wr_str_of(path), ".json")) {
        WR_TRY(wr_file_read(&text, path, WR_LIMIT_HTTP_BODY_INFER, err));
        wr_str start = wr_str_trim(wr_buf_view(&text));
        if (start.n && start.p[0] == '{' && strstr(wr_buf_cstr(&text), "\"inputs\""))
            return from_json(w, start, path, err);
    }
    WR_TRY(table_file(&f, w, path, err));
    return wr_feasibility_from_frame(w, f, err);
}

static const char *golden_file(wr_feasibility_work *w)
{
    if (!w->path) return NULL;
    const char *inside = wr_path_join(w->a, w->path, "golden.json"), *dir = wr_path_dir(w->a, w->path),
               *beside = dir ? wr_path_join(w->a, dir, "golden.json") : NULL;
    if (inside && wr_file_size(inside) >= 0) return inside;
    return beside && wr_file_size(beside) >= 0 ? beside : NULL;
}

static int from_golden(wr_feasibility_work *w, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, GOLDEN_BYTES + 1);
    WR_TRY(wr_file_read(&text, path, GOLDEN_BYTES, err));
    return from_json(w, wr_buf_view(&text), path, err);
}

/* ---- rows out of the signature ---- */

static wr_str made_text(wr_feasibility_work *w, const wr_tensor_spec *s, wr_rng *rng)
{
    char text[WR_TIME_TEXT];
    if (w->view && strcmp(s->name, w->view->time) == 0) {
        wr_time_format(text, w->report->time_us - (int64_t)wr_rng_below(rng, 86400) * WR_US);
        return wr_arena_str(w->a, wr_str_of(text));
    }
    const wr_package_parts *parts = w->package ? wr_package_get(w->package) : NULL;
    for (size_t j = 0; parts && j < parts->nuse; j++) { /* a category of the dictionary */
        const wr_view_feature *f = &w->view->features[parts->use[j]];
        if (f->category && strcmp(f->of, s->name) == 0 && parts->dict[j].n)
            return parts->dict[j].at[wr_rng_below(rng, parts->dict[j].n)].key;
    }
    snprintf(text, sizeof text, "%u", (unsigned)wr_rng_below(rng, 20));
    return wr_arena_str(w->a, wr_str_of(text));
}

static int made_input(wr_feasibility_work *w, wr_tensor *t, const wr_tensor_spec *s, size_t rows, wr_rng *rng,
                      wr_err *err)
{
    *t = (wr_tensor){.name = wr_arena_str(w->a, wr_str_of(s->name)), .type = s->type, .ndims = s->ndims};
    for (int d = 0; d < s->ndims; d++)
        t->shape[d] = s->shape[d] != -1          ? s->shape[d]
                      : d == 0                   ? (int64_t)rows
                      : w->m->nin == 1 && d == 1 ? WIDTH_UNKNOWN
                                                 : 1;
    WR_TRY(wr_tensor_count(t, err));
    if (t->count > ELEMENTS_MAX) return wr_err_set(err, WEIR_ELIMIT, "input \"%s\" is too large to try", s->name);
    if (t->type == WR_TENSOR_BYTES) {
        WR_TRY(wr_tensor_alloc(t, w->a, err));
        for (size_t i = 0; i < t->count; i++) ((wr_str *)t->data)[i] = made_text(w, s, rng);
        return 0;
    }
    double *v = wr_arena_alloc(w->a, (t->count + 1) * sizeof *v);
    if (!v) return wr_err_nomem(err);
    bool whole = t->type != WR_TENSOR_FP32 && t->type != WR_TENSOR_FP64 && t->type != WR_TENSOR_FP16 &&
                 t->type != WR_TENSOR_BF16;
    for (size_t i = 0; i < t->count; i++)
        v[i] = t->type == WR_TENSOR_BOOL ? (double)wr_rng_below(rng, 2)
               : whole                   ? (double)wr_rng_below(rng, 10)
                                         : wr_rng_normal(rng);
    wr_tensor wide = *t, own;
    wide.type = WR_TENSOR_FP64;
    wide.data = v;
    WR_TRY(wr_tensor_convert(&own, &wide, t->type, w->a, err));
    t->data = own.data;
    return 0;
}

static int from_signature(wr_feasibility_work *w, wr_err *err)
{
    wr_rng rng;
    size_t rows = w->m->rows ? MADE_ROWS : 1, n = 0;
    wr_tensor *in = wr_arena_calloc(w->a, w->m->nin + 1, sizeof *in);
    if (!in) return wr_err_nomem(err);
    wr_rng_init(&rng, w->opt->seed);
    for (size_t i = 0; i < w->m->nin; i++)
        if (!w->m->in[i].optional) WR_TRY(made_input(w, &in[n++], &w->m->in[i], rows, &rng, err));
    w->in = in;
    w->nin = n;
    w->nrows = rows;
    return 0;
}

static int took(wr_feasibility_work *w, int rc, const wr_err *why, bool real, const char *from)
{
    wr_feasibility_report *r = w->report;
    if (rc == 0) {
        r->rows = from;
        r->nrows = w->nrows;
        r->rows_real = real;
        return 1;
    }
    if (rc == WEIR_ENOMEM) return rc;
    w->no_rows = wr_arena_printf(w->a, "%s: %s%s%s", from, why->msg, why->hint[0] ? "; " : "", why->hint);
    return w->no_rows ? 0 : WEIR_ENOMEM;
}

/* In order of preference; what was asked for and cannot be used is the schema check's to tell. */
static int choose(wr_feasibility_work *w)
{
    wr_err why = {0};
    const char *endpoint = w->opt->replay ? w->opt->replay : w->t->replay, *golden = golden_file(w);
    int rc;
    if (endpoint && *endpoint) {
        rc = wr_feasibility_logged(w, endpoint, &why);
        if (rc == 0) rc = w->view ? wr_feasibility_from_frame(w, w->logged, &why) : wr_feasibility_from_log(w, &why);
        if ((rc = took(w, rc, &why, true, wr_arena_printf(w->a, "logged predictions of endpoint \"%s\"", endpoint))))
            return rc;
    }
    if (w->opt->rows) {
        rc = from_file(w, &why);
        if ((rc = took(w, rc, &why, true, wr_arena_printf(w->a, "file '%s'", w->opt->rows)))) return rc;
    }
    if (w->source && w->source->nrows) {
        rc = wr_feasibility_from_frame(w, w->source, &why);
        if ((rc = took(w, rc, &why, true, wr_arena_printf(w->a, "newest rows of dataset \"%s\"", w->view->source))))
            return rc;
    }
    if (golden) {
        rc = from_golden(w, golden, &why);
        if ((rc = took(w, rc, &why, true, "golden rows"))) return rc;
    }
    rc = from_signature(w, &why);
    return took(w, rc, &why, false, "made from the signature, no real data");
}

int wr_feasibility_rows(wr_feasibility_work *w, wr_err *err)
{
    if (w->opt->replay) WR_TRY(wr_feasibility_has_log(w, w->opt->replay, err));
    if (w->opt->rows && wr_file_size(w->opt->rows) < 0)
        return wr_err_set(err, WEIR_ENOTFOUND, "there is no '%s'", w->opt->rows);
    int rc = choose(w);
    if (rc < 0) return wr_err_nomem(err);
    if (rc == 0) return wr_err_set(err, WEIR_EUNSUPPORTED, "no row to ask the model: %s", w->no_rows);
    return 0;
}

/* ---- asking ---- */

void wr_feasibility_slice(wr_tensor *out, const wr_feasibility_work *w, const wr_tensor *in, size_t from, size_t n)
{
    for (size_t i = 0; i < w->nin; i++) {
        out[i] = in[i];
        if (!w->m->rows || w->nrows == 0) continue;
        size_t each = in[i].count / w->nrows;
        out[i].shape[0] = (int64_t)n;
        out[i].count = n * each;
        out[i].data = (char *)in[i].data + from * each * wr_tensor_type_size(in[i].type);
    }
}

int wr_feasibility_copy(wr_tensor **out, wr_feasibility_work *w, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    wr_tensor *to = wr_arena_dup(a, in, w->nin * sizeof *in);
    if (!to) return wr_err_nomem(err);
    for (size_t i = 0; i < w->nin; i++)
        if (!(to[i].data = wr_arena_dup(a, in[i].data, in[i].count * wr_tensor_type_size(in[i].type))))
            return wr_err_nomem(err);
    *out = to;
    return 0;
}

int wr_feasibility_ask(wr_infer_answer *out, const wr_feasibility_work *w, const wr_tensor *in, wr_arena *a,
                       wr_err *err)
{
    wr_infer_request q = {.in = in, .nin = w->nin};
    return wr_infer(out, w->m, &q, a, err);
}

/* ---- comparing ---- */

static bool number_at(double *out, const wr_tensor *t, size_t i)
{
    bool known = t->type == WR_TENSOR_FP32 || t->type == WR_TENSOR_FP64 || t->type == WR_TENSOR_INT64 ||
                 t->type == WR_TENSOR_INT32;
    if (known) *out = wr_tensor_f64(t, i);
    return known;
}

/* Of numbers that are small beside the others of the output, the size of those counts: their digits are cancelled away.
 */
static double relative(double x, double y, double size)
{
    if (x == y || (isnan(x) && isnan(y))) return 0;
    double most = fmax(fmax(fabs(x), fabs(y)), size), d = fabs(x - y) / fmax(most, 1e-30);
    return isnan(d) || isinf(most) ? INFINITY : d;
}

static double mean_size(const wr_tensor *t)
{
    double sum = 0, n = 0, v;
    for (size_t i = 0; i < t->count; i++)
        if (number_at(&v, t, i) && isfinite(v)) sum += fabs(v), n++;
    return n > 0 ? sum / n : 0;
}

static size_t best(const wr_tensor *t, size_t from, size_t n)
{
    size_t k = 0;
    double most = -INFINITY, v;
    for (size_t i = 0; i < n; i++)
        if (number_at(&v, t, from + i) && v > most) most = v, k = i;
    return k;
}

static bool flipped(const wr_tensor *x, size_t i, const wr_tensor *y, size_t j, size_t each)
{
    double a, b;
    if (!number_at(&a, x, i) || !number_at(&b, y, j)) return false;
    if (x->type == WR_TENSOR_INT64 || x->type == WR_TENSOR_INT32) return a != b;
    if (each > 1) return best(x, i, each) != best(y, j, each);
    return a >= 0 && a <= 1 && b >= 0 && b <= 1 && (a >= 0.5) != (b >= 0.5);
}

static void compare_output(wr_feasibility_gap *g, bool *flips, const wr_tensor *x, size_t from, const wr_tensor *y,
                           size_t rows)
{
    size_t each = rows ? y->count / rows : 0;
    size_t size = wr_tensor_type_size(x->type);
    double a, b, size_of_all = y->count > 1 ? mean_size(y) : 0;
    if (x->type != y->type || x->count < from * each + y->count) {
        g->shape = true;
        return;
    }
    for (size_t i = 0; i < y->count; i++) {
        size_t at = from * each + i;
        if (number_at(&a, x, at) && number_at(&b, y, i)) g->relative = fmax(g->relative, relative(a, b, size_of_all));
        else if (x->type == WR_TENSOR_BYTES
                     ? !wr_str_eq(((const wr_str *)x->data)[at], ((const wr_str *)y->data)[i])
                     : memcmp((char *)x->data + at * size, (char *)y->data + i * size, size) != 0)
            flips[i / (each ? each : 1)] = true;
    }
    for (size_t i = 0; i < rows && each; i++) flips[i] |= flipped(x, (from + i) * each, y, i * each, each);
}

void wr_feasibility_compare(wr_feasibility_gap *g, const wr_infer_answer *whole, size_t at, const wr_infer_answer *part)
{
    bool flips[ROWS_MAX] = {false};
    size_t rows = part->rows && part->rows <= ROWS_MAX ? part->rows : 1;
    if (whole->nout != part->nout) g->shape = true;
    for (size_t k = 0; k < part->nout && k < whole->nout; k++)
        compare_output(g, flips, &whole->out[k], at, &part->out[k], rows);
    for (size_t i = 0; i < rows; i++) g->flips += flips[i];
    g->rows += rows;
}
