/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c - least-significant-digit radix sort with digits of 8 bits.
 *
 * All histograms are counted in one pass; a digit with a single occupied bucket is skipped. Wider digits need fewer
 * passes, but were measured slower: their write streams exceed the first-level caches' and the translation buffer's
 * entries.
 */
#include "calc/sort.h"

enum {
    DIGITS = 8,
    BUCKETS = 256,
    INSERTION_MAX = 40,
    INSERTION_WITH_MAX = 20,
    MERGE_MAX = 640, /* below, merging beats clearing and summing the counters */
};

typedef struct { size_t count[DIGITS][BUCKETS]; } plan;

static void plan_count(plan *p, const uint64_t *key, size_t n)
{
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < n; i++) {
        for (int d = 0; d < DIGITS; d++) p->count[d][(key[i] >> (8 * d)) & 0xff]++;
    }
}

/* Counts of digit `d` become first positions; NULL when all keys share the digit, as `any` of them has it. */
static size_t *plan_starts(plan *p, int d, uint64_t any, size_t n)
{
    size_t *count = p->count[d], sum = 0;
    if (count[(any >> (8 * d)) & 0xff] == n) return NULL;
    for (int b = 0; b < BUCKETS; b++) {
        size_t c = count[b];
        count[b] = sum;
        sum += c;
    }
    return count;
}

static void insertion(uint64_t *key, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t k = key[i];
        size_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) key[j] = key[j - 1];
        key[j] = k;
    }
}

void wr_sort_u64(uint64_t *key, uint64_t *scratch, size_t n)
{
    if (n <= INSERTION_MAX) {
        insertion(key, n);
        return;
    }
    plan p;
    plan_count(&p, key, n);
    uint64_t *from = key, *to = scratch;
    for (int d = 0; d < DIGITS; d++) {
        size_t *at = plan_starts(&p, d, from[0], n);
        if (!at) continue;
        for (size_t i = 0; i < n; i++) {
            uint64_t k = from[i];
            to[at[(k >> (8 * d)) & 0xff]++] = k;
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != key) memcpy(key, from, n * sizeof *key);
}

static void insertion_with(uint64_t *key, uint32_t *with, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t k = key[i];
        uint32_t w = with[i];
        size_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) {
            key[j] = key[j - 1];
            with[j] = with[j - 1];
        }
        key[j] = k;
        with[j] = w;
    }
}

static void merge_with(uint64_t *key, uint32_t *with, uint64_t *key_scratch, uint32_t *with_scratch, size_t half,
                       size_t n)
{
    memcpy(key_scratch, key, half * sizeof *key);
    memcpy(with_scratch, with, half * sizeof *with);
    size_t a = 0, b = half, out = 0;
    while (a < half && b < n) {
        if (key[b] < key_scratch[a]) {
            key[out] = key[b];
            with[out++] = with[b++];
        } else {
            key[out] = key_scratch[a];
            with[out++] = with_scratch[a++];
        }
    }
    memcpy(key + out, key_scratch + a, (half - a) * sizeof *key);
    memcpy(with + out, with_scratch + a, (half - a) * sizeof *with);
}

void wr_sort_u64_u32(uint64_t *key, uint32_t *with, uint64_t *key_scratch, uint32_t *with_scratch, size_t n)
{
    if (n <= INSERTION_WITH_MAX) {
        insertion_with(key, with, n);
        return;
    }
    if (n <= MERGE_MAX) {
        size_t half = n / 2;
        wr_sort_u64_u32(key, with, key_scratch, with_scratch, half);
        wr_sort_u64_u32(key + half, with + half, key_scratch, with_scratch, n - half);
        if (key[half] < key[half - 1]) merge_with(key, with, key_scratch, with_scratch, half, n);
        return;
    }
    plan p;
    plan_count(&p, key, n);
    uint64_t *from = key, *to = key_scratch;
    uint32_t *from_with = with, *to_with = with_scratch;
    for (int d = 0; d < DIGITS; d++) {
        size_t *at = plan_starts(&p, d, from[0], n);
        if (!at) continue;
        for (size_t i = 0; i < n; i++) {
            size_t j = at[(from[i] >> (8 * d)) & 0xff]++;
            to[j] = from[i];
            to_with[j] = from_with[i];
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
        uint32_t *swap_with = from_with;
        from_with = to_with;
        to_with = swap_with;
    }
    if (from != key) {
        memcpy(key, from, n * sizeof *key);
        memcpy(with, from_with, n * sizeof *with);
    }
}

void wr_sort_f64(double *x, double *scratch, size_t n)
{
    /* The same storage seen as keys: memcpy keeps the compiler's aliasing rules and vanishes in the machine code. */
    uint64_t k;
    for (size_t i = 0; i < n; i++) {
        k = wr_key_f64(x[i]);
        memcpy(&x[i], &k, sizeof k);
    }
    wr_sort_u64((uint64_t *)(void *)x, (uint64_t *)(void *)scratch, n);
    for (size_t i = 0; i < n; i++) {
        memcpy(&k, &x[i], sizeof k);
        x[i] = wr_f64_of_key(k);
    }
}

size_t wr_sorted_lower(const double *x, size_t n, double v)
{
    size_t lo = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (x[lo + half] < v) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo;
}
