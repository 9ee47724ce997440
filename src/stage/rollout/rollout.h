/* SPDX-License-Identifier: Apache-2.0 */
/* rollout.h - which arm answers, what each arm did, and whether it may go on: the parts without threads, models or files.
 *
 * Routing. A request has a point u in [0, 1): the hash of its sticky key and the salt, or a random number. Arms own adjoining pieces of
 * [0, 1) as long as their shares, the arms beside the primary first and in their order, the primary the rest. So a decision is a function of
 * key, salt and shares alone; an arm that grows keeps the keys it had as long as those before it stand still (a canary is the first).
 * The propensity of a decision is the share of its arm.
 *
 * Guardrails. Two ways to say no, after min_samples answers of the arm:
 *   certain   worse than the primary by more than worse_by, by tests that may be looked at each second (calc/sequential.h):
 *             errors  P(rate > primary's + worse_by) > confidence
 *             p99     lower end of the arm's interval > (1 + worse_by) upper end of the primary's
 *             drift   PSI >= max and its p-value below what this look may spend
 *             reward  upper end of (arm - primary) < -worse_by
 *             joules  lower end of mean ln(arm / primary) over seconds > ln(1 + worse_by)
 *   failed    an interval's own value beyond max (below min): a failed check.
 * p99 and drift look when the arm has a tenth more answers than at the last look; so a look's share of the error stays a useful one.
 */
#pragma once
#include "base/str.h"
#include "calc/histogram.h"
#include "core/rollout.h"

/* ---- routing ---- */

typedef struct { size_t n; double share[WR_ROLLOUT_ARMS]; } wr_route;
double wr_route_point(wr_str key, wr_str salt);
size_t wr_route_arm(const wr_route *r, double u);
/* Shares as the specification has them, without arms that are out; the weight of a plan's canary is `weight`. They sum to 1. */
void wr_route_make(wr_route *out, const wr_rollout_spec *s, const bool *arm_is_out, double weight, const wr_moments *reward);

/* ---- what an arm did ---- */

typedef struct {
    double requests, errors, rows;  /* answered or failed; failed by the arm's fault; predictions */
    double busy_s, joules;          /* in the model; active joules */
    double agree, pairs, most_apart;/* of shadows: answers that say the same class, compared ones, greatest |difference| of scores */
    double dropped;
    wr_moments reward, joule_ratio; /* rewards; ln of joules a prediction against the primary's, by second */
    wr_offpolicy value;             /* what it would earn alone, by inverse propensity */
    int64_t rewards_us;             /* wall time before reward and value were read */
    uint64_t latency[WR_DURATION_BINS], score[WR_VALUE_BINS];
} wr_arm_totals;

double wr_arm_p(const wr_arm_totals *t, double q);             /* seconds; NaN */
double wr_arm_joules_1000(const wr_arm_totals *t);             /* NaN without predictions */

/* ---- guardrails ---- */

typedef enum { WR_VERDICT_OFF, WR_VERDICT_WAITS, WR_VERDICT_FINE, WR_VERDICT_FAILED, WR_VERDICT_CERTAIN } wr_verdict_kind;
extern const char *const wr_verdict_names[];                   /* "off" "waits" "fine" "failed" "certain" */
typedef struct {
    wr_verdict_kind kind;
    double primary, arm;            /* the values compared; NaN = unknown */
    char why[200];                  /* evidence, for people; "" = none */
} wr_verdict;

typedef struct { uint64_t looks; double seen; } wr_look;
typedef struct {
    const wr_rollout_spec *spec;
    const wr_arm_totals *primary, *arm;         /* since the beginning */
    const wr_arm_totals *primary_then, *arm_then; /* at the beginning of the interval */
    const uint64_t *baseline;       /* scores that the arm's are compared with: of the primary */
    bool shadow;                    /* durations of copies are not judged: they run when nothing else does */
} wr_guard_case;
/* The sequential tests: sets CERTAIN, FINE or WAITS; leaves FAILED until the next interval's check. Returns whether one is certain. */
bool wr_guards_watch(wr_verdict *verdicts, wr_look *looks, const wr_guard_case *c);
/* The interval's values. Returns how many failed; -1: too few samples in it to say. */
int wr_guards_check(wr_verdict *verdicts, const wr_guard_case *c);
