/* SPDX-License-Identifier: Apache-2.0 */
/* graph_gemm.c - the two kernels of graph_gemm.h. */
#include "predict/graph_gemm.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#endif

enum { P = WR_GEMM_PANEL, BLOCK = 48 };

bool wr_gemm_plain_only;

void wr_gemm_pack(float *to, const float *b, size_t k, size_t n, size_t row, size_t column, float alpha)
{
    if (k == 0) return;
    for (size_t i = 0; n == 1 && i < k; i++) to[i] = alpha * b[i * row];
    for (size_t j = 0; n != 1 && j < n; j += P)
        for (size_t i = 0; i < k; i++, to += P)
            for (size_t c = 0; c < P; c++) to[c] = j + c < n ? alpha * b[i * row + (j + c) * column] : 0;
}

/* Eight sums, every eighth element each, then pairs: as the vector kernel has them. */
static float column_scalar(const float *a, const float *b, float bias, size_t k)
{
    float s[8] = {0};
    for (size_t l = 0; l < k; l++) s[l % 8] += a[l] * b[l];
    float x = (s[0] + s[4]) + (s[2] + s[6]), y = (s[1] + s[5]) + (s[3] + s[7]);
    return (x + y) + bias;
}

static void put_one(float *out, float x, wr_gemm_after after) { *out = after == WR_GEMM_RELU && x < 0 ? 0 : x; }

static void begin(float *acc, const float *bias, size_t n)
{
    memset(acc, 0, P * sizeof *acc);
    if (bias) memcpy(acc, bias, (n < P ? n : P) * sizeof *acc);
}

static void finish(float *out, const float *acc, size_t n, wr_gemm_after after)
{
    size_t c = n < P ? n : P;
    if (after == WR_GEMM_RELU)
        for (size_t j = 0; j < c; j++) out[j] = acc[j] < 0 ? 0 : acc[j];
    else memcpy(out, acc, c * sizeof *out);
}

void wr_gemm_scalar(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k, size_t n,
                    wr_gemm_after after)
{
    if (m == 0) return;
    for (size_t i = 0; n == 1 && i < m; i++)
        put_one(out + i, column_scalar(a + i * k, packed, bias ? *bias : 0, k), after);
    for (size_t j = 0; n != 1 && j < n; j += P, packed += P * k) {
        for (size_t i = 0; i < m; i++) {
            float acc[P];
            begin(acc, bias ? bias + j : NULL, n - j);
            for (size_t l = 0; l < k; l++)
                for (size_t c = 0; c < P; c++) acc[c] += a[i * k + l] * packed[l * P + c];
            finish(out + i * n + j, acc, n - j, after);
        }
    }
}

#if defined(__x86_64__)

static AVX2 void put_line(float *out, __m256 x, __m256 y, size_t n, wr_gemm_after after)
{
    if (after == WR_GEMM_RELU) { /* second operand second: NaN stays */
        x = _mm256_max_ps(_mm256_setzero_ps(), x);
        y = _mm256_max_ps(_mm256_setzero_ps(), y);
    }
    if (n >= P) {
        _mm256_storeu_ps(out, x);
        _mm256_storeu_ps(out + 8, y);
        return;
    }
    float line[P];
    _mm256_storeu_ps(line, x);
    _mm256_storeu_ps(line + 8, y);
    memcpy(out, line, n * sizeof *out);
}

static AVX2 void bias_of(__m256 *x, __m256 *y, const float *bias, size_t n)
{
    float line[P];
    if (!bias) {
        *x = *y = _mm256_setzero_ps();
        return;
    }
    if (n < P) {
        begin(line, bias, n);
        bias = line;
    }
    *x = _mm256_loadu_ps(bias);
    *y = _mm256_loadu_ps(bias + 8);
}

static AVX2 float column_avx2(const float *a, const float *b, float bias, size_t k)
{
    __m256 s = _mm256_setzero_ps();
    size_t l = 0;
    for (; l + 8 <= k; l += 8) s = _mm256_fmadd_ps(_mm256_loadu_ps(a + l), _mm256_loadu_ps(b + l), s);
    if (l < k) {
        float x[8] = {0}, y[8] = {0};
        memcpy(x, a + l, (k - l) * sizeof *x);
        memcpy(y, b + l, (k - l) * sizeof *y);
        s = _mm256_fmadd_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(y), s);
    }
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)); /* 0+4 1+5 2+6 3+7 */
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return (_mm_cvtss_f32(h) + _mm_cvtss_f32(_mm_shuffle_ps(h, h, 1))) + bias;
}

/* Four panels of one row at once: eight sums hide the latency of the fused step. */
static AVX2 void row_by_four(float *out, const float *a, const float *b, const float *bias, size_t k, size_t left,
                             wr_gemm_after after)
{
    __m256 s[8];
    size_t panel = P * k;
    for (size_t p = 0; p < 4; p++) bias_of(&s[2 * p], &s[2 * p + 1], bias ? bias + p * P : NULL, left - p * P);
    for (size_t l = 0; l < k; l++) {
        __m256 x = _mm256_broadcast_ss(a + l);
        for (size_t p = 0; p < 4; p++) {
            s[2 * p] = _mm256_fmadd_ps(x, _mm256_loadu_ps(b + p * panel + l * P), s[2 * p]);
            s[2 * p + 1] = _mm256_fmadd_ps(x, _mm256_loadu_ps(b + p * panel + l * P + 8), s[2 * p + 1]);
        }
    }
    for (size_t p = 0; p < 4; p++) put_line(out + p * P, s[2 * p], s[2 * p + 1], left - p * P, after);
}

/* `rows` (1 to 6) rows of one panel. A constant number of rows at each call makes the loops straight lines. */
static inline __attribute__((always_inline)) AVX2 void rows_by_one(float *out, const float *a, const float *b,
                                                                   const float *bias, size_t rows, size_t k, size_t n,
                                                                   size_t left, wr_gemm_after after)
{
    __m256 s[12], x, y;
    bias_of(&x, &y, bias, left);
    for (size_t i = 0; i < rows; i++) {
        s[2 * i] = x;
        s[2 * i + 1] = y;
    }
    for (size_t l = 0; l < k; l++) {
        x = _mm256_loadu_ps(b + l * P);
        y = _mm256_loadu_ps(b + l * P + 8);
        for (size_t i = 0; i < rows; i++) {
            __m256 v = _mm256_broadcast_ss(a + i * k + l);
            s[2 * i] = _mm256_fmadd_ps(v, x, s[2 * i]);
            s[2 * i + 1] = _mm256_fmadd_ps(v, y, s[2 * i + 1]);
        }
    }
    for (size_t i = 0; i < rows; i++) put_line(out + i * n, s[2 * i], s[2 * i + 1], left, after);
}

static AVX2 void gemm_avx2(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k,
                           size_t n, wr_gemm_after after)
{
    size_t i = 0;
    if (n == 1) {
        for (; i < m; i++) put_one(out + i, column_avx2(a + i * k, packed, bias ? *bias : 0, k), after);
        return;
    }
    while (i + 6 <= m) { /* a panel serves many rows while it is near */
        size_t end = i + BLOCK < m ? i + BLOCK : m;
        for (size_t j = 0; j < n; j += P)
            for (size_t l = i; l + 6 <= end; l += 6)
                rows_by_one(out + l * n + j, a + l * k, packed + j * k, bias ? bias + j : NULL, 6, k, n, n - j, after);
        i += (end - i) / 6 * 6;
    }
    for (; i < m; i++) {
        size_t j = 0;
        for (; j + 3 * P < n; j += 4 * P)
            row_by_four(out + i * n + j, a + i * k, packed + j * k, bias ? bias + j : NULL, k, n - j, after);
        for (; j < n; j += P)
            rows_by_one(out + i * n + j, a + i * k, packed + j * k, bias ? bias + j : NULL, 1, k, n, n - j, after);
    }
}

bool wr_gemm_fast(void) { return !wr_gemm_plain_only && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

void wr_gemm(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k, size_t n,
             wr_gemm_after after)
{
    if (wr_gemm_fast()) gemm_avx2(out, a, packed, bias, m, k, n, after);
    else wr_gemm_scalar(out, a, packed, bias, m, k, n, after);
}

#else

bool wr_gemm_fast(void) { return false; }

void wr_gemm(float *out, const float *a, const float *packed, const float *bias, size_t m, size_t k, size_t n,
             wr_gemm_after after)
{
    wr_gemm_scalar(out, a, packed, bias, m, k, n, after);
}

#endif
