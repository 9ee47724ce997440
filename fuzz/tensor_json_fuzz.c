/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_json_fuzz.c - any text as a tensor's data, of any type, against yyjson's tree: what the scanner takes is JSON with as many leaves as
 * the shape says; what it takes and writes is read again as the same bytes; it refuses nothing that is a list of numbers of the type; floats
 * and errors are the same when one digit is read after the other.
 *
 * The first byte chooses the type, the second the number of elements (255: as many as the tree has); the rest is the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "codec/json_scan.h"
#include "codec/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tensor_json_require(bool ok)
{
    if (!ok) abort();
}

static size_t tensor_json_leaves(yyjson_val *v, bool *numbers, int depth, int *deepest)
{
    size_t n = 0, i, max;
    yyjson_val *item;
    if (depth > *deepest) *deepest = depth;
    if (!yyjson_is_arr(v)) {
        *numbers &= yyjson_is_num(v);
        return 1;
    }
    if (depth > 200) return 0;
    yyjson_arr_foreach(v, i, max, item) n += tensor_json_leaves(item, numbers, depth + 1, deepest);
    return n;
}

static void tensor_json_again(const wr_tensor *t, wr_arena *a)
{
    WR_AUTOBUF wr_buf once = {0}, twice = {0};
    wr_tensor again = *t;
    size_t used;
    wr_tensor_write_json(&once, t);
    tensor_json_require(wr_tensor_read_json(&again, &used, wr_buf_view(&once), a, NULL) == 0 && used == once.n);
    wr_tensor_write_json(&twice, &again);
    tensor_json_require(wr_str_eq(wr_buf_view(&once), wr_buf_view(&twice)));
}

static void tensor_json_plain(const wr_tensor *t, int rc, size_t used, const wr_err *err, wr_str text, wr_arena *a)
{
    wr_tensor plain = {.type = t->type, .ndims = 1, .shape = {t->shape[0]}, .count = t->count};
    wr_err other = {0};
    size_t n = used;
    wr_jscan_plain = true;
    int again = wr_tensor_read_json(&plain, &n, text, a, &other);
    wr_jscan_plain = false;
    if (rc == WEIR_ENOMEM || again == WEIR_ENOMEM) return;
    tensor_json_require(rc == again && n == used && strcmp(err->msg, other.msg) == 0);
    if (rc == 0 && t->count) tensor_json_require(memcmp(t->data, plain.data, t->count * wr_tensor_type_size(t->type)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    wr_str text = {(const char *)data + 2, size - 2};
    wr_arena *a = wr_arena_new((size_t)64 << 20);
    if (!a) return 0;
    wr_err err = {0};
    size_t used = 0;
    bool numbers = true;
    int deepest = 0;
    yyjson_doc *doc = yyjson_read(text.p, text.n, YYJSON_READ_NOFLAG);
    yyjson_val *root = yyjson_doc_get_root(doc);
    size_t leaves = tensor_json_leaves(root, &numbers, 0, &deepest);
    wr_tensor t = {.type = (wr_tensor_type)(WR_TENSOR_BOOL + data[0] % (WR_TENSOR_TYPES - 1)), .ndims = 1};
    t.shape[0] = data[1] == 255 ? (int64_t)leaves : data[1];
    tensor_json_require(wr_tensor_count(&t, &err) == 0);
    int rc = wr_tensor_read_json(&t, &used, text, a, &err);
    tensor_json_require(rc == 0 || (err.code == rc && err.msg[0]));
    if (rc == 0) {
        yyjson_doc *whole = yyjson_read(text.p, used, YYJSON_READ_ALLOW_INF_AND_NAN);
        int ignored = 0;
        tensor_json_require(whole && tensor_json_leaves(yyjson_doc_get_root(whole), &numbers, 0, &ignored) == t.count);
        yyjson_doc_free(whole);
        tensor_json_again(&t, a);
    } else if (root && yyjson_is_arr(root) && numbers && leaves == t.count && deepest < 100 && t.type == WR_TENSOR_FP64) {
        tensor_json_require(rc == WEIR_ENOMEM);
    }
    if (t.type == WR_TENSOR_FP32 || t.type == WR_TENSOR_FP64) tensor_json_plain(&t, rc, used, &err, text, a);
    uint8_t *missing = NULL;
    int lenient = wr_tensor_read_json_missing(&t, &missing, &used, text, a, NULL);
    tensor_json_require(rc < 0 || lenient == 0 || lenient == WEIR_ENOMEM);
    yyjson_doc_free(doc);
    wr_arena_free(a);
    return 0;
}
