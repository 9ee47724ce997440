/* SPDX-License-Identifier: Apache-2.0 */
/* rollout_fuzz.c - any bytes as a rollout: refused with a reason, or written and read back as the same, with shares
 * that sum to 1. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "stage/rollout/rollout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void written(wr_buf *out, const wr_rollout_spec *s)
{
    wr_jsonw w;
    wr_jsonw_init(&w, out, 0);
    wr_rollout_spec_write(&w, s);
}

static void share(const wr_rollout_spec *s)
{
    static const bool nobody[WR_ROLLOUT_ARMS];
    static const wr_moments none[WR_ROLLOUT_ARMS];
    wr_route r;
    double sum = 0;
    wr_route_make(&r, s, nobody, s->step_weight, none);
    for (size_t i = 0; i < r.n; i++) sum += r.share[i];
    if (!(fabs(sum - 1) < 1e-6) || wr_route_arm(&r, 0.5) >= s->narms) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    WR_AUTOBUF wr_buf first = {0};
    WR_AUTOBUF wr_buf second = {0};
    wr_rollout_spec s;
    wr_err err = {0};
    if (!a) return 0;
    if (wr_rollout_spec_parse(&s, a, "/root", (wr_str){(const char *)data, size}, "input", &err) < 0) {
        if (!err.msg[0] || !err.code) abort();
        return 0;
    }
    if (s.narms < 2 || s.narms > WR_ROLLOUT_ARMS || s.active >= s.narms) abort();
    share(&s);
    written(&first, &s);
    if (wr_rollout_spec_parse(&s, a, "/root", wr_buf_view(&first), "again", &err) < 0) abort();
    written(&second, &s);
    if (!wr_str_eq(wr_buf_view(&first), wr_buf_view(&second))) abort();
    return 0;
}
