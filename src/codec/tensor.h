/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.h - tensors as the Open Inference Protocol V2 has them: a datatype, a shape, elements in row-major order; from and to JSON and
 * the binary form of Triton's extension (server/docs/protocol/extension_binary_data.md).
 *
 * In memory: `data` holds `count` elements one after the other, aligned for their type; numbers in this machine's form (little-endian on
 * the wire too), BOOL one byte 0 or 1, FP16 and BF16 as their 16 bits, BYTES as wr_str. Slices may point into the request's body, which
 * outlives the tensor. count is the product of the shape; [] has one element, a 0 in the shape means none.
 *
 * JSON: `data` is flat or nested, whatever its shape; no tree is built. A number becomes the nearest value of its type; what does not fit
 * (300 as UINT8, 1.5 as INT32, "a" as FP32) is WEIR_ETYPE and names the element. Whole numbers may be written 3.0; BOOL takes 0 and 1 too.
 * null and the words NaN, Infinity, -Infinity are taken for FP32 and FP64 (null = NaN). FP16 and BF16 are refused: they travel binary only,
 * as Triton has it. Written: the shortest text that reads back as the same value; what JSON has no word for (NaN) as null, a missing
 * string ({NULL, 0}) too.
 * Binary: BYTES elements are a 32-bit length and that many bytes each.
 *
 * Threads: none. Memory: the arena's. Caps: base/limits.h.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef enum {
    WR_TENSOR_NONE, /* no tensor: an optional input that was left out */
    WR_TENSOR_BOOL,
    WR_TENSOR_UINT8,
    WR_TENSOR_UINT16,
    WR_TENSOR_UINT32,
    WR_TENSOR_UINT64,
    WR_TENSOR_INT8,
    WR_TENSOR_INT16,
    WR_TENSOR_INT32,
    WR_TENSOR_INT64,
    WR_TENSOR_FP16,
    WR_TENSOR_BF16,
    WR_TENSOR_FP32,
    WR_TENSOR_FP64,
    WR_TENSOR_BYTES,
    WR_TENSOR_TYPES
} wr_tensor_type;

enum { WR_TENSOR_DIMS = 8, WR_TENSOR_SHAPE_TEXT = 200 };

typedef struct {
    wr_str name;
    wr_tensor_type type;
    int ndims;
    int64_t shape[WR_TENSOR_DIMS];
    size_t count;
    void *data;
} wr_tensor;

/* "FP32"; "" for WR_TENSOR_NONE. Parse: WR_TENSOR_NONE for what is none. */
const char *wr_tensor_type_name(wr_tensor_type t);
wr_tensor_type wr_tensor_type_parse(wr_str s);
/* Bytes of an element in memory; sizeof(wr_str) for BYTES. */
size_t wr_tensor_type_size(wr_tensor_type t);

bool wr_tensor_is_float(wr_tensor_type t); /* FP16, BF16, FP32, FP64 */

/* Element i of a tensor of numbers: as the nearest double (BOOL: 0 or 1); of whole types and BOOL exactly (UINT64 above 2^63 wraps, which is
 * right for every whole type it goes into); set, of float types, to the nearest value. */
double wr_tensor_f64(const wr_tensor *t, size_t i);
int64_t wr_tensor_i64(const wr_tensor *t, size_t i);
void wr_tensor_set_f64(wr_tensor *t, size_t i, double x);

/* count from shape. WEIR_EINVAL for a negative dimension, WEIR_ELIMIT for too many dimensions or elements (also by overflow). */
int wr_tensor_count(wr_tensor *t, wr_err *err);
/* "[-1,16]", as messages show a shape. */
void wr_tensor_shape_text(char out[WR_TENSOR_SHAPE_TEXT], const int64_t *shape, int ndims);
/* Room for t->count elements in `a`, zeroed only for BYTES. */
int wr_tensor_alloc(wr_tensor *t, wr_arena *a, wr_err *err);

/* The text of a JSON value (from its '[' on) into t, whose type and shape are set; *used: bytes it took. WEIR_EINVAL when it has another
 * number of elements than the shape says. */
int wr_tensor_read_json(wr_tensor *t, size_t *used, wr_str text, wr_arena *a, wr_err *err);
/* The same where null is fine for every type: (*missing)[i] is 1 where element i was null (its value 0, NaN or {NULL, 0}); *missing is
 * NULL when none was. */
int wr_tensor_read_json_missing(wr_tensor *t, uint8_t **missing, size_t *used, wr_str text, wr_arena *a, wr_err *err);
void wr_tensor_write_json(wr_buf *out, const wr_tensor *t); /* flat: [1,2,3] */
/* Piece by piece, for data that is not in the tensor's order: the next value of `s` (json_scan.h), a scalar when n is 1 or lists with n in
 * all, into elements from..from+n of t, which has room for them; `missing` (count bytes of 0, or NULL: null is refused as above) gets 1s. */
struct wr_jscan;
int wr_tensor_read_json_part(wr_tensor *t, size_t from, size_t n, uint8_t *missing, struct wr_jscan *s);
/* Element i alone; `words`: NaN, Infinity, -Infinity as Python has them, instead of null. */
void wr_tensor_write_json_element(wr_buf *out, const wr_tensor *t, size_t i, bool words);

/* Binary form of exactly `bytes`. Numbers are not copied when they lie aligned: t->data then points into `bytes`. */
int wr_tensor_read_binary(wr_tensor *t, wr_str bytes, wr_arena *a, wr_err *err);
size_t wr_tensor_binary_size(const wr_tensor *t);
void wr_tensor_write_binary(wr_buf *out, const wr_tensor *t);

/* Another number type: `out` has t's shape. Any number or BOOL to any other; BYTES to numbers and back is WEIR_ETYPE; a value that the new
 * type cannot hold is WEIR_ETYPE. Not copied when the type is the same. */
int wr_tensor_convert(wr_tensor *out, const wr_tensor *t, wr_tensor_type type, wr_arena *a, wr_err *err);

float wr_half_to_float(uint16_t bits); /* IEEE 754 binary16 */
uint16_t wr_float_to_half(float x);    /* nearest, ties to even */
float wr_bf16_to_float(uint16_t bits);
uint16_t wr_float_to_bf16(float x);
