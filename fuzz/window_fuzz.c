/* SPDX-License-Identifier: Apache-2.0 */
/* window_fuzz.c - hostile snapshots: whatever loads must answer, take events, and save to the same bytes again. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "calc/window.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(wr_window *w)
{
    double sum, values[WR_WINDOW_VALUES] = {0};
    uint32_t count;
    int64_t now = wr_window_newest(w);
    wr_window_get(w, WR_STR("a"), now, 1000, 0, &sum, &count);
    for (int64_t i = 0; i < 5; i++) {
        int64_t t;
        values[0] = (double)i;
        if (__builtin_add_overflow(now, i * 3 - 6, &t)) continue;
        int rc = wr_window_add(w, i % 2 ? WR_STR("a") : WR_STR("b"), t, values, NULL);
        WR_BUG_IF(rc < 0 && rc != WEIR_ELIMIT && rc != WEIR_ENOMEM);
    }
    wr_window_get(w, WR_STR("b"), now, INT64_MAX, 0, &sum, &count);
}

/* Save and load again: a snapshot is a fixed point. */
static void again(const wr_window *w)
{
    wr_buf a, b;
    wr_window *copy = NULL;
    wr_buf_init(&a, 0);
    wr_buf_init(&b, 0);
    WR_BUG_IF(wr_window_save(w, &a, NULL) < 0);
    WR_BUG_IF(wr_window_load(&copy, wr_buf_view(&a), NULL) < 0);
    WR_BUG_IF(wr_window_save(copy, &b, NULL) < 0);
    WR_BUG_IF(!wr_str_eq(wr_buf_view(&a), wr_buf_view(&b)));
    wr_window_free(copy);
    wr_buf_fini(&a);
    wr_buf_fini(&b);
}

static void load(wr_str bytes)
{
    wr_window *w = NULL;
    if (wr_window_load(&w, bytes, NULL) < 0) return;
    again(w);
    use(w);
    again(w);
    wr_window_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    load((wr_str){(const char *)data, n});
    if (n < sizeof(uint64_t)) return 0;
    char *sealed = wr_alloc(n); /* the same with a checksum that holds, so that mutations get past it */
    if (!sealed) return 0;
    memcpy(sealed, data, n);
    uint64_t sum = wr_hash64(data, n - sizeof sum, 0);
    memcpy(sealed + n - sizeof sum, &sum, sizeof sum);
    load((wr_str){sealed, n});
    wr_free(sealed);
    return 0;
}
