/* SPDX-License-Identifier: Apache-2.0 */
/* series_fuzz.c - hostile chunks of metric points: what decodes agrees with its head's count, picks what a filter
 * picks, and comes back from a chunk of its own. */
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "codec/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool alike(const wr_series_point *a, const wr_series_point *b)
{
    return a->step == b->step && a->time_ms == b->time_ms &&
           wr_series_value_key(a->value) == wr_series_value_key(b->value);
}

static void again(const wr_series_point *p, size_t n)
{
    static wr_series_point other[WR_SERIES_MAX];
    WR_AUTOBUF wr_buf b = {0};
    size_t got;
    wr_series_encode(&b, NULL, p, n);
    if (b.failed) return;
    WR_BUG_IF(wr_series_decode(other, &got, wr_buf_view(&b), NULL) < 0 || got != n);
    for (size_t i = 0; i < n; i++) WR_BUG_IF(!alike(&p[i], &other[i]));
}

static void read(wr_str chunk)
{
    static wr_series_point all[WR_SERIES_MAX], picked[WR_SERIES_MAX];
    wr_series_head h;
    size_t n, got;
    bool head = wr_series_read_head(&h, chunk, NULL) == 0;
    bool body = wr_series_decode(all, &n, chunk, NULL) == 0;
    int64_t step = n ? all[n / 2].step : 0;
    bool pick = wr_series_pick(picked, &got, chunk, &step, 1, NULL) == 0;
    WR_BUG_IF(got > WR_SERIES_MAX || (body && (!head || !pick || n != h.n)));
    if (!body) return;
    for (size_t i = 0; i < got; i++) WR_BUG_IF(picked[i].step != step);
    again(all, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    read((wr_str){(const char *)data, n});
    if (n < 5) return 0;
    char *sealed = wr_alloc(n); /* the same with a version and a checksum that hold, so that mutations get past them */
    if (!sealed) return 0;
    memcpy(sealed, data, n);
    sealed[0] = 1;
    uint32_t sum = htole32((uint32_t)wr_hash64(data + 5, n - 5, 1));
    memcpy(sealed + 1, &sum, sizeof sum);
    read((wr_str){sealed, n});
    wr_free(sealed);
    return 0;
}
