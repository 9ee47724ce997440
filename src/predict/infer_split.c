/* SPDX-License-Identifier: Apache-2.0 */
/* infer_split.c - the run of a predictor; a large batch of a model that answers each row on its own goes over the pool
 * in parts.
 *
 * Which part a thread takes is not defined and makes no difference. Every part has its own arena; outputs are put
 * together in order. */
#include "base/mem.h"
#include "predict/repository_inside.h"

enum { PART_ROWS = 1024, PARTS_MAX = 64 };

typedef struct {
    wr_arena *a;
    wr_tensor *out;
    size_t from, rows;
    int rc;
    wr_err err;
} part;

typedef struct {
    const wr_predictor *p;
    const wr_tensor *in, *like;
    const bool *want;
    part *parts;
} split;

void wr_infer_cut(wr_tensor *out, const wr_tensor *t, size_t from, size_t rows)
{
    *out = *t;
    if (t->type == WR_TENSOR_NONE) return;
    size_t each = t->shape[0] ? t->count / (size_t)t->shape[0] : 0;
    out->shape[0] = (int64_t)rows;
    out->count = each * rows;
    out->data = (char *)t->data + from * each * wr_tensor_type_size(t->type);
}

static void run_part(void *ctx, size_t i)
{
    split *s = ctx;
    part *p = &s->parts[i];
    p->a = wr_arena_new(0);
    wr_tensor *in = p->a ? wr_arena_calloc(p->a, s->p->nin + 1, sizeof *in) : NULL;
    p->out = in ? wr_arena_dup(p->a, s->like, s->p->nout * sizeof *p->out) : NULL;
    p->rc = p->out ? 0 : wr_err_nomem(&p->err);
    if (p->rc < 0) return;
    for (size_t k = 0; k < s->p->nin; k++) wr_infer_cut(&in[k], &s->in[k], p->from, p->rows);
    p->rc = s->p->ops->run(s->p, p->out, s->want, in, p->a, &p->err);
}

/* Texts of outputs are copied: they may lie in the part's arena. */
static int append(wr_tensor *to, const wr_tensor *t, size_t at, wr_arena *a)
{
    size_t size = wr_tensor_type_size(t->type);
    if (t->type != WR_TENSOR_BYTES) {
        memcpy((char *)to->data + at * size, t->data, t->count * size);
        return 0;
    }
    for (size_t i = 0; i < t->count; i++) {
        wr_str s = wr_arena_str(a, ((const wr_str *)t->data)[i]);
        if (!s.p) return WEIR_ENOMEM;
        ((wr_str *)to->data)[at + i] = s;
    }
    return 0;
}

static int join(wr_tensor *out, const split *s, size_t nparts, size_t k, wr_arena *a, wr_err *err)
{
    *out = s->parts[0].out[k];
    for (size_t i = 1; i < nparts; i++) {
        out->shape[0] += s->parts[i].out[k].shape[0];
        out->count += s->parts[i].out[k].count;
    }
    WR_TRY(wr_tensor_alloc(out, a, err));
    size_t at = 0;
    for (size_t i = 0; i < nparts; i++) {
        if (append(out, &s->parts[i].out[k], at, a) < 0) return wr_err_nomem(err);
        at += s->parts[i].out[k].count;
    }
    return 0;
}

static int finish(wr_tensor *out, const split *s, size_t nparts, wr_arena *a, wr_err *err)
{
    for (size_t i = 0; i < nparts; i++) {
        if (s->parts[i].rc == 0) continue;
        if (err) *err = s->parts[i].err;
        return s->parts[i].rc;
    }
    for (size_t k = 0; k < s->p->nout; k++)
        if (s->want[k]) WR_TRY(join(&out[k], s, nparts, k, a, err));
    return 0;
}

int wr_infer_split(wr_tensor *out, const bool *want, const wr_instance *m, const wr_tensor *in, int64_t rows,
                   wr_arena *a, wr_err *err)
{
    const wr_predictor *p = m->predictor;
    wr_pool *pool = m->of->opt.pool;
    size_t n = rows > 0 ? (size_t)rows / PART_ROWS : 0;
    if (n > (size_t)wr_pool_threads(pool) * 2) n = (size_t)wr_pool_threads(pool) * 2;
    if (n > PARTS_MAX) n = PARTS_MAX;
    if (!pool || n < 2 || !p->rows || m->config.max_batch == 0) return p->ops->run(p, out, want, in, a, err);
    part parts[PARTS_MAX] = {0};
    split s = {p, in, out, want, parts};
    for (size_t i = 0; i < n; i++) {
        parts[i].from = (size_t)rows * i / n;
        parts[i].rows = (size_t)rows * (i + 1) / n - parts[i].from;
    }
    wr_pool_for(pool, n, run_part, &s);
    int rc = finish(out, &s, n, a, err);
    for (size_t i = 0; i < n; i++)
        if (parts[i].a) wr_arena_free(parts[i].a);
    return rc;
}
