/* SPDX-License-Identifier: Apache-2.0 */
/* predictions.c - outputs as V1 and MLflow's scoring show them. */
#include "wire/oip/frame.h"

/* Elements from *at on as lists of the dimensions from `dim` on; at most WR_TENSOR_DIMS calls deep. */
static void nested(wr_buf *out, const wr_tensor *t, int dim, size_t *at, bool words)
{
    if (dim >= t->ndims) {
        wr_tensor_write_json_element(out, t, (*at)++, words);
        return;
    }
    wr_buf_char(out, '[');
    for (int64_t i = 0; i < t->shape[dim] && !out->failed; i++) {
        if (i) wr_buf_char(out, ',');
        nested(out, t, dim + 1, at, words);
    }
    wr_buf_char(out, ']');
}

void wr_oip_put_nested(wr_buf *out, const wr_tensor *t, bool words)
{
    size_t at = 0;
    nested(out, t, 0, &at, words);
}

static void put_name(wr_buf *out, wr_str name, bool comma)
{
    wr_jsonw w;
    if (comma) wr_buf_char(out, ',');
    wr_jsonw_init(&w, out, 0);
    wr_jsonw_str(&w, name);
    wr_buf_char(out, ':');
}

static void put_row(wr_buf *out, const wr_oip_result *r, const wr_tensor *skip, size_t row, bool words)
{
    bool comma = false;
    wr_buf_char(out, '{');
    for (size_t i = 0; i < r->nout; i++) {
        const wr_tensor *t = &r->out[i];
        size_t at = row * (t->count / (size_t)t->shape[0]);
        if (t == skip) continue;
        put_name(out, t->name, comma);
        nested(out, t, 1, &at, words);
        comma = true;
    }
    wr_buf_char(out, '}');
}

static bool all_of_rows(const wr_oip_result *r, const wr_tensor *skip, int64_t *rows)
{
    *rows = -1;
    for (size_t i = 0; i < r->nout; i++) {
        const wr_tensor *t = &r->out[i];
        if (t == skip) continue;
        if (!t->ndims || (*rows >= 0 && t->shape[0] != *rows)) return false;
        *rows = t->shape[0];
    }
    return *rows >= 0;
}

void wr_oip_put_predictions(wr_buf *out, const wr_oip_result *r, const wr_tensor *skip, bool rows, bool words)
{
    int64_t n;
    size_t shown = r->nout - (skip != NULL);
    if (shown == 1) {
        wr_oip_put_nested(out, &r->out[skip == &r->out[0]], words);
        return;
    }
    if (rows && all_of_rows(r, skip, &n)) {
        wr_buf_char(out, '[');
        for (int64_t row = 0; row < n && !out->failed; row++) {
            if (row) wr_buf_char(out, ',');
            put_row(out, r, skip, (size_t)row, words);
        }
        wr_buf_char(out, ']');
        return;
    }
    bool comma = false;
    wr_buf_char(out, '{');
    for (size_t i = 0; i < r->nout; i++) {
        if (&r->out[i] == skip) continue;
        put_name(out, r->out[i].name, comma);
        wr_oip_put_nested(out, &r->out[i], words);
        comma = true;
    }
    wr_buf_char(out, '}');
}

/* ---- contributions ---- */

static void put_margins(wr_jsonw *w, const double *x, size_t rows, size_t nmargins, size_t each)
{
    wr_jsonw_arr(w);
    for (size_t i = 0; i < rows; i++) {
        wr_jsonw_arr(w);
        for (size_t k = 0; k < nmargins; k++) {
            double sum = 0;
            for (size_t j = 0; j < each; j++) sum += *x++;
            wr_jsonw_f64(w, sum);
        }
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

void wr_oip_put_explained(wr_oip_call *c, const wr_tensor *t)
{
    wr_jsonw *w = &c->w;
    bool whole = t->ndims == 3 && t->type == WR_TENSOR_FP64 && t->shape[2] > 0;
    size_t rows = whole ? (size_t)t->shape[0] : 0, nmargins = whole ? (size_t)t->shape[1] : 0,
           each = whole ? (size_t)t->shape[2] : 0;
    const double *x = t->data;
    wr_jsonw_key(w, "features");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < c->m.nexplained; i++) wr_jsonw_cstr(w, c->m.explained[i]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "base_values");
    wr_jsonw_arr(w);
    for (size_t k = 0; k < nmargins && rows; k++) wr_jsonw_f64(w, x[k * each + each - 1]);
    wr_jsonw_end(w);
    wr_jsonw_key(w, "margins");
    put_margins(w, x, rows, nmargins, each);
}

const wr_tensor *wr_oip_contributions(const wr_oip_call *c, const wr_oip_result *r)
{
    for (size_t i = 0; c->explain && i < r->nout; i++)
        if (wr_str_is(r->out[i].name, "contributions")) return &r->out[i];
    return NULL;
}

void wr_oip_put_explanations(wr_oip_call *c, const wr_tensor *t)
{
    wr_jsonw_key(&c->w, "explanations");
    wr_jsonw_raw(&c->w, (wr_str){"", 0});
    wr_oip_put_nested(c->out->body, t, false);
    wr_oip_put_explained(c, t);
}
