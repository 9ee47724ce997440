/* SPDX-License-Identifier: Apache-2.0 */
/* graph_gemm.h - products of float matrices whose right side is packed for the kernel: panels of WR_GEMM_PANEL columns,
 * each with its k rows one after the other, the last one filled up with zeros. A single column stays as it is.
 *
 * The order in which an element is summed does not depend on the number of rows: a row answers the same alone and in a
 * batch. Two kernels: AVX2 with FMA where the processor has them, plain C elsewhere; they differ by the rounding of the
 * fused step only.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { WR_GEMM_PANEL = 16 };

typedef enum { WR_GEMM_PLAIN, WR_GEMM_RELU } wr_gemm_after;

static inline size_t wr_gemm_packed(size_t k, size_t n)
{
    return n == 1 ? k : (n + WR_GEMM_PANEL - 1) / WR_GEMM_PANEL * WR_GEMM_PANEL * k;
}
/* b: k x n, element (i, j) at b[i * row + j * column]; `to` has wr_gemm_packed(k, n) floats. Each is multiplied by
 * alpha. */
void wr_gemm_pack(float *to, const float *b, size_t k, size_t n, size_t row, size_t column, float alpha);
/* out (m x n) = a (m x k) times packed b, plus bias (n numbers, or NULL). */
void wr_gemm(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k, size_t n,
             wr_gemm_after after);
void wr_gemm_scalar(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k, size_t n,
                    wr_gemm_after after);
bool wr_gemm_fast(void); /* is it the AVX2 kernel that runs? */
extern bool wr_gemm_plain_only; /* it is not, to compare the two */
