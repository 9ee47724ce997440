/* SPDX-License-Identifier: Apache-2.0 */
/* bandit.h - shares of traffic for arms by what they earned: Thompson sampling and epsilon-greedy, with the probabilities themselves.
 *
 * Nothing is drawn here. Thompson sampling picks an arm with the probability that it is the best one; that probability is computed
 * (by quadrature over the posteriors), so whoever routes draws from known shares and can log the exact propensity of each decision.
 *
 * Posteriors: `binary` rewards in [0, 1] (a reward between is that share of a success): Beta(1 + sum, 1 + n - sum). Otherwise a mean with
 * unknown variance: Normal-inverse-gamma (mean 0 with weight `weight`, shape 1, scale `scale`), whose marginal of the mean is Student's t.
 * Floors: share = floor + (1 - arms floor) p, so that every arm goes on being tried and propensities stay away from 0.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "calc/sequential.h"

enum { WR_BANDIT_ARMS = 16 };

typedef enum { WR_BANDIT_THOMPSON, WR_BANDIT_EPSILON } wr_bandit_policy;
typedef struct {
    wr_bandit_policy policy;
    bool binary;
    double epsilon;                 /* share that goes to all arms alike; epsilon-greedy */
    double floor;                   /* least share of an arm; at most 1 / arms counts */
    double weight, scale;           /* of the prior, 0 = 1e-3 values, scale 1 */
} wr_bandit_opt;

/* Probability that each arm has the greatest mean; they sum to 1. Error below 1e-6 for posteriors that overlap at all. arms <= WR_BANDIT_ARMS. */
void wr_bandit_best(double *out, const wr_moments *reward, size_t arms, const wr_bandit_opt *opt);
/* Shares of the next requests; they sum to 1. Ties of epsilon-greedy share alike. An arm without rewards: its prior under Thompson; under
 * epsilon-greedy it is tried before all others. */
void wr_bandit_shares(double *out, const wr_moments *reward, size_t arms, const wr_bandit_opt *opt);
/* What the pulls so far have cost against the arm that is best by the posterior means: sum over arms of n (best - mean). */
double wr_bandit_regret(const wr_moments *reward, size_t arms);

/* ---- what another policy would have earned (off-policy evaluation) ----
 * Each logged decision has the reward, the propensity that the arm was taken with, and the probability that the policy in question would
 * have taken it; for the doubly robust estimate also a model's guess of the reward of the arm taken and of the policy's average.
 * Horvitz & Thompson 1952; Swaminathan & Joachims 2015; Dudik, Langford & Li 2011. Add decisions one by one; nothing is kept of them. */
typedef struct { double n, w, w2, wr, w2r, w2r2; wr_moments ips, dr; } wr_offpolicy;
typedef struct {
    wr_interval ips, snips, dr;     /* estimates with normal 1 - alpha intervals (snips by the delta method) */
    double n, effective;            /* decisions; (sum w)^2 / sum w^2 */
} wr_offpolicy_result;
/* propensity > 0 or the decision is left out. clip > 0: weights are cut there (a bias that is the price of less variance). */
void wr_offpolicy_add(wr_offpolicy *o, double reward, double propensity, double target, double guess_taken, double guess_policy, double clip);
wr_offpolicy_result wr_offpolicy_of(const wr_offpolicy *o, double alpha);
