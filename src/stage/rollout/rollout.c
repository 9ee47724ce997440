/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.c - points and shares. */
#include "stage/rollout/rollout.h"

#include <math.h>

#include "base/hash.h"

double wr_route_point(wr_str key, wr_str salt)
{
    uint64_t h = wr_hash64(key.p, key.n, wr_hash64(salt.p, salt.n, 0));
    return (double)(h >> 11) * 0x1p-53;
}

size_t wr_route_arm(const wr_route *r, double u)
{
    double upto = 0;
    for (size_t i = 1; i < r->n; i++) {
        upto += r->share[i];
        if (u < upto) return i;
    }
    if (r->share[0] > 0) return 0;
    for (size_t i = r->n; i-- > 1;) /* the shares fell short of 1 by rounding */
        if (r->share[i] > 0) return i;
    return 0;
}

static void bandit_shares(wr_route *out, const wr_rollout_spec *s, const bool *is_out, const wr_moments *reward)
{
    wr_moments in[WR_ROLLOUT_ARMS] = {0};
    double share[WR_ROLLOUT_ARMS];
    size_t at[WR_ROLLOUT_ARMS], n = 0;
    for (size_t i = 0; i < s->narms; i++) {
        if (is_out[i]) continue;
        in[n] = reward[i];
        at[n++] = i;
    }
    wr_bandit_shares(share, in, n, &s->bandit);
    for (size_t k = 0; k < n; k++) out->share[at[k]] = share[k];
}

void wr_route_make(wr_route *out, const wr_rollout_spec *s, const bool *is_out, double weight, const wr_moments *reward)
{
    double others = 0;
    *out = (wr_route){.n = s->narms};
    if (s->mode == WR_ROLLOUT_BANDIT) {
        bandit_shares(out, s, is_out, reward);
        for (size_t i = 1; i < s->narms; i++) others += out->share[i];
    } else {
        for (size_t i = 1; i < s->narms && s->mode != WR_ROLLOUT_SHADOW; i++) {
            if (is_out[i]) continue;
            out->share[i] = s->mode == WR_ROLLOUT_SWITCH ? s->active == i
                            : s->steps && i == 1         ? weight
                                                         : s->arms[i].weight;
            others += out->share[i];
        }
    }
    out->share[0] = others < 1 ? 1 - others : 0;
}

double wr_arm_p(const wr_arm_totals *t, double q)
{
    return wr_bins_quantile(t->latency, WR_DURATION_BINS, wr_duration_edge, q) / 1e9;
}

double wr_arm_joules_1000(const wr_arm_totals *t) { return t->rows > 0 ? t->joules / t->rows * 1000 : NAN; }
