/* SPDX-License-Identifier: Apache-2.0 */
/* oip_checked_testing.h - for fuzzing: the models of oip_testing.h behind a look at all that reaches them. Tensors are
 * whole, aligned, named once, their strings and shapes true. */
#pragma once
#include <stdint.h>
#include <stdlib.h>

#include "wire/oip/oip_testing.h"

static void oip_require(bool ok)
{
    if (!ok) abort();
}

static size_t oip_touch(const wr_tensor *t)
{
    size_t n = 1, sum = 0;
    for (int i = 0; i < t->ndims; i++) n *= (size_t)t->shape[i];
    oip_require(n == t->count && t->data && t->type > WR_TENSOR_NONE && t->type < WR_TENSOR_TYPES);
    if (t->type == WR_TENSOR_BYTES) {
        const wr_str *s = t->data;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < s[i].n; k++) sum += (unsigned char)s[i].p[k];
        return sum;
    }
    size_t size = wr_tensor_type_size(t->type);
    oip_require((uintptr_t)t->data % size == 0);
    for (size_t i = 0; i < n * size; i++) sum += ((const unsigned char *)t->data)[i];
    if (t->type == WR_TENSOR_BOOL)
        for (size_t i = 0; i < n; i++) oip_require(((const uint8_t *)t->data)[i] <= 1);
    return sum;
}

static int oip_checked(void *ctx, wr_oip_result *out, const wr_oip_model *m, const wr_oip_infer *q, wr_arena *a,
                       wr_err *err)
{
    static volatile size_t sum;
    for (size_t i = 0; i < q->nin; i++) {
        sum += oip_touch(&q->in[i]);
        oip_require(wr_str_utf8(q->in[i].name));
        for (size_t k = 0; k < i; k++) oip_require(!wr_str_eq(q->in[i].name, q->in[k].name));
    }
    for (size_t i = 0; i < q->noutputs; i++)
        for (size_t k = 0; k < i; k++) oip_require(!wr_str_eq(q->outputs[i], q->outputs[k]));
    for (size_t i = 0; i < q->nparams; i++) sum += q->params[i].kind == WR_OIP_STR ? q->params[i].str.n : 1;
    oip_require(q->id.n <= 120 && sum < SIZE_MAX / 2);
    return oip_infer(ctx, out, m, q, a, err);
}
