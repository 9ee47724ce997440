/* SPDX-License-Identifier: Apache-2.0 */
/* frame_finish.c - what was read against what the model asks for: names that are missing, values that are missing,
 * shapes; then the tensors are the request's. */
#include <stdio.h>

#include "wire/oip/frame.h"

static void list_names(char *out, size_t room, const wr_str *names, size_t n, bool more)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used + 8 < room; i++) {
        int k = snprintf(out + used, room - used, "%s'%.*s'", i ? ", " : "", WR_STR_FMT(wr_str_fit(names[i], 60)));
        used += (size_t)k < room - used ? (size_t)k : room - used - 1;
    }
    if (more && used + 6 < room) snprintf(out + used, room - used, ", ...");
}

static int missing_columns(wr_oip_frame *f)
{
    wr_str names[8];
    size_t n = 0, all = 0;
    char missing[260], extra[160];
    for (size_t i = 0; i < f->ncolumns; i++) {
        const wr_oip_column *k = &f->columns[i];
        if (k->seen || k->optional) continue;
        if (n < sizeof names / sizeof *names) names[n++] = k->name;
        all++;
    }
    if (!all) return 0;
    list_names(missing, sizeof missing, names, n, all > n);
    list_names(extra, sizeof extra, f->extra, f->nextra, false);
    wr_err_set(f->err, WEIR_EINVAL, "Model is missing inputs [%s].", missing);
    if (f->nextra) return wr_err_hint(f->err, WEIR_EINVAL, "Note that there were extra inputs: [%s].", extra);
    return WEIR_EINVAL;
}

static int shape_tensor(wr_oip_frame *f, size_t i)
{
    wr_tensor *t = &f->t[i];
    const wr_tensor_spec *s = &f->m->in[i];
    size_t fixed = 1;
    t->ndims = s->ndims;
    t->shape[0] = (int64_t)f->rows;
    for (int k = 1; k < s->ndims; k++)
        if (s->shape[k] >= 0) fixed *= (size_t)s->shape[k];
    bool open = false; /* the first free dimension takes what is left, others are 1 */
    for (int k = 1; k < s->ndims; k++) {
        t->shape[k] = s->shape[k];
        if (s->shape[k] >= 0) continue;
        t->shape[k] = open || !fixed ? 1 : (int64_t)(f->each[i] / fixed);
        open = true;
    }
    WR_TRY(wr_tensor_count(t, f->err));
    if (t->count != f->rows * f->each[i])
        return wr_err_set(f->err, WEIR_EINVAL, "rows of %zu values do not fit the shape of input '%s'", f->each[i],
                          s->name);
    return wr_oip_fill_missing(t, f->missing[i], s, f->c->arena, f->err);
}

int wr_oip_frame_finish(wr_oip_frame *f, wr_oip_infer *q)
{
    size_t n = 0;
    if (f->rows || f->nextra) WR_TRY(missing_columns(f));
    for (size_t i = 0; i < f->ncolumns; i++) {
        const wr_oip_column *k = &f->columns[i];
        if (k->absent && k->seen)
            return wr_err_set(f->err, WEIR_EINVAL, "row %zu has no value for column '%.*s'", k->absent_row,
                              WR_STR_FMT(wr_str_fit(k->name, 80)));
    }
    for (size_t i = 0; i < f->m->nin; i++) {
        bool seen = f->matrix || f->columns[i].seen || !f->rows;
        if (!seen) continue;             /* optional */
        if (!f->each[i]) f->each[i] = 1; /* no rows, of any length */
        WR_TRY(wr_oip_frame_ready(f, i, f->m->in[i].type));
        WR_TRY(shape_tensor(f, i));
        f->t[n++] = f->t[i];
    }
    q->in = f->t;
    q->nin = n;
    return 0;
}
