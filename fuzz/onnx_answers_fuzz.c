/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_answers_fuzz.c - records of answers as somebody else might leave them in the cache: read or refused, and what is read can be looked at to
 * the last byte. */
#include <stdint.h>
#include <stdlib.h>

#include "predict/onnx_answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t look(const wr_tensor *t)
{
    uint64_t sum = 0;
    if (t->type != WR_TENSOR_BYTES) {
        for (size_t i = 0; i < t->count * wr_tensor_type_size(t->type); i++) sum += ((const uint8_t *)t->data)[i];
        return sum;
    }
    for (size_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < ((const wr_str *)t->data)[i].n; k++) sum += (uint8_t)((const wr_str *)t->data)[i].p[k];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char inputs[] = "0000000000000000000000000000000000000000000000000000000000000000";
    wr_onnx_answers *r;
    wr_err err = {0};
    wr_tensor out[64];
    volatile uint64_t sum = 0;
    if (wr_onnx_answers_read(&r, (wr_str){(const char *)data, size}, &err) < 0) {
        if (!err.code || !err.msg[0]) abort();
        return 0;
    }
    for (wr_golden_kind k = WR_GOLDEN_PLAIN; k < WR_GOLDEN_KINDS; k++)
        for (size_t n = 0; n <= 64; n++)
            if (wr_onnx_answers_of(out, n, r, k, inputs) == 0)
                for (size_t i = 0; i < n; i++) sum = sum + look(&out[i]);
    wr_onnx_answers_free(r);
    return 0;
}
