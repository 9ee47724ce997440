/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_binary_fuzz.c - any bytes as a tensor in binary form: what is taken is written as the same bytes (BOOL as 0 or 1), and conversion to
 * every other type either says no or holds what it promises.
 *
 * The first byte chooses the type, the second and third two dimensions (signed); the rest is the data.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tensor_binary_require(bool ok)
{
    if (!ok) abort();
}

static void tensor_binary_convert(const wr_tensor *t, wr_arena *a)
{
    for (int type = WR_TENSOR_BOOL; type < WR_TENSOR_TYPES; type++) {
        wr_tensor out, back;
        wr_err err = {0};
        int rc = wr_tensor_convert(&out, t, (wr_tensor_type)type, a, &err);
        tensor_binary_require(rc == 0 || rc == WEIR_ETYPE || rc == WEIR_ENOMEM);
        if (rc < 0) continue;
        tensor_binary_require(out.count == t->count && out.type == (wr_tensor_type)type);
        /* a whole number that went into a wider or equal whole number comes back */
        bool whole = t->type >= WR_TENSOR_BOOL && t->type <= WR_TENSOR_INT64 && type <= WR_TENSOR_INT64;
        if (!whole) continue;
        rc = wr_tensor_convert(&back, &out, t->type, a, &err);
        if (rc == WEIR_ENOMEM) continue;
        tensor_binary_require(rc == 0 && memcmp(back.data, t->data, t->count * wr_tensor_type_size(t->type)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    wr_str bytes = {(const char *)data + 3, size - 3};
    wr_arena *a = wr_arena_new((size_t)16 << 20);
    if (!a) return 0;
    wr_err err = {0};
    wr_tensor t = {.name = WR_STR("x"),
                   .type = (wr_tensor_type)(WR_TENSOR_BOOL + data[0] % (WR_TENSOR_TYPES - 1)),
                   .ndims = 2,
                   .shape = {(int8_t)data[1], (int8_t)data[2]}};
    if (wr_tensor_count(&t, &err) == 0 && wr_tensor_read_binary(&t, bytes, a, &err) == 0) {
        WR_AUTOBUF wr_buf out = {0};
        tensor_binary_require(wr_tensor_binary_size(&t) == bytes.n);
        wr_tensor_write_binary(&out, &t);
        tensor_binary_require(t.type == WR_TENSOR_BOOL ? out.n == bytes.n : wr_str_eq(wr_buf_view(&out), bytes));
        tensor_binary_convert(&t, a);
        wr_buf_clear(&out);
        wr_tensor_write_json(&out, &t);
        tensor_binary_require(!out.failed);
    } else {
        tensor_binary_require(err.code < 0 && err.msg[0]);
    }
    wr_arena_free(a);
    return 0;
}
