/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - what is counted of a model: by many threads, a relaxed addition each. */
#include "predict/repository.h"

void wr_durations_add(wr_duration *d, uint64_t n, int64_t ns)
{
    atomic_fetch_add_explicit(&d->n, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&d->ns, ns > 0 ? (uint64_t)ns : 0, memory_order_relaxed);
}

void wr_duration_add(wr_duration *d, int64_t ns) { wr_durations_add(d, 1, ns); }

void wr_latency_count(wr_model_stats *s, int64_t ns)
{
    wr_latency *l = atomic_load_explicit(&s->latency, memory_order_acquire);
    size_t bin = wr_duration_bin(ns > 0 ? (uint64_t)ns : 0);
    if (l) atomic_fetch_add_explicit(&l->n[bin], 1, memory_order_relaxed);
}

void wr_latency_bins(uint64_t out[WR_DURATION_BINS], const wr_model_stats *s)
{
    const wr_latency *l = atomic_load_explicit(&s->latency, memory_order_acquire);
    for (size_t i = 0; i < WR_DURATION_BINS; i++)
        out[i] = l ? atomic_load_explicit(&l->n[i], memory_order_relaxed) : 0;
}
