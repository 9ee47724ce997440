/* SPDX-License-Identifier: Apache-2.0 */
/* trees_bench.c - boosted trees against XGBoost's C library: training, one row, many rows, in one run on one thread.
 *
 * Both see the same floats; both grow leaf by leaf to the same number of leaves with the same step, l2, bins and
 * rounds. The AUC of both on rows kept aside is part of the result: speed at unequal quality means nothing. Sizes by
 * environment: WEIR_BENCH_TREES_ROWS (500000), _TEST_ROWS (100000), _FEATURES (30), _ROUNDS (100), _LEAVES (31). Start
 * with OMP_WAIT_POLICY=passive: XGBoost's OpenMP reads it when it is loaded, and spins without it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xgboost/c_api.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "calc/trees.h"

int wr_bench_trees(FILE *json);

enum { SINGLE_ROWS = 3000 };

typedef struct {
    size_t n, test, nf;
    int rounds, leaves;
    float *cols, *rows, *label; /* training columns, all rows row-major (training first), labels */
    double *out;
    wr_trees_feature *features;
} problem;

typedef struct {
    double train_s, single_ns, batch_ns, auc;
} result;

static size_t setting(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    int64_t v;
    return text && wr_num_i64(&v, wr_str_of(text), NULL) == 0 && v > 0 ? (size_t)v : otherwise;
}

static void problem_fini(problem *p)
{
    wr_free(p->cols);
    wr_free(p->rows);
    wr_free(p->label);
    wr_free(p->out);
    wr_free(p->features);
}

static int problem_init(problem *p)
{
    *p = (problem){.n = setting("WEIR_BENCH_TREES_ROWS", 500000),
                   .test = setting("WEIR_BENCH_TREES_TEST_ROWS", 100000),
                   .nf = setting("WEIR_BENCH_TREES_FEATURES", 30),
                   .rounds = (int)setting("WEIR_BENCH_TREES_ROUNDS", 100),
                   .leaves = (int)setting("WEIR_BENCH_TREES_LEAVES", 31)};
    size_t all = p->n + p->test;
    p->cols = wr_calloc(p->n, p->nf * sizeof *p->cols);
    p->rows = wr_calloc(all, p->nf * sizeof *p->rows);
    p->label = wr_calloc(all, sizeof *p->label);
    p->out = wr_calloc(p->test, sizeof *p->out);
    p->features = wr_calloc(p->nf, sizeof *p->features);
    if (!p->cols || !p->rows || !p->label || !p->out || !p->features) return WEIR_ENOMEM;
    wr_rng r;
    wr_rng_init(&r, 17);
    for (size_t i = 0; i < all; i++) {
        float *x = p->rows + i * p->nf;
        double z = 0;
        for (size_t j = 0; j < p->nf; j++) {
            double v = wr_rng_normal(&r);
            z += j < 8 ? v * (j % 2 ? 0.5 : -0.4) : j == 8 ? sin(3 * v) : j == 9 ? v * (double)x[8] * 0.5 : 0;
            x[j] = (float)v;
        }
        p->label[i] = wr_rng_f64(&r) < 1 / (1 + exp(-z));
        for (size_t j = 0; j < p->nf; j++) {
            if (wr_rng_f64(&r) < 0.03) x[j] = NAN;
            if (i < p->n) p->cols[j * p->n + i] = x[j];
        }
    }
    for (size_t j = 0; j < p->nf; j++) p->features[j] = (wr_trees_feature){.name = "x", .x = p->cols + j * p->n};
    return 0;
}

/* Area under the ROC curve from 65,536 equal steps of the score. */
static double auc(const double *p, const float *y, size_t n)
{
    static double pos[65537], neg[65537];
    double np = 0, nn = 0, wins = 0, below = 0;
    memset(pos, 0, sizeof pos);
    memset(neg, 0, sizeof neg);
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(p[i] * 65536);
        if (y[i] > 0.5f) pos[at]++, np++;
        else neg[at]++, nn++;
    }
    for (size_t k = 0; k <= 65536; k++) {
        wins += pos[k] * (below + neg[k] / 2);
        below += neg[k];
    }
    return wins / (np * nn);
}

static int run_ours(problem *p, result *r)
{
    wr_trees_set set = {.n = p->n, .nfeatures = p->nf, .features = p->features, .label = p->label};
    wr_trees_opt opt = {.rounds = p->rounds, .max_leaves = p->leaves};
    wr_trees *t = NULL;
    wr_err err;
    double start = wr_clock_cpu_s();
    int rc = wr_trees_train(&t, &set, NULL, &opt, NULL, NULL, NULL, &err);
    if (rc < 0) return rc;
    r->train_s = wr_clock_cpu_s() - start;
    const float *test = p->rows + p->n * p->nf;
    start = wr_clock_cpu_s();
    wr_trees_predict(t, test, p->test, p->out, NULL);
    r->batch_ns = (wr_clock_cpu_s() - start) * 1e9 / (double)p->test;
    r->auc = auc(p->out, p->label + p->n, p->test);
    start = wr_clock_cpu_s();
    for (size_t i = 0; i < SINGLE_ROWS; i++) wr_trees_predict(t, test + i % p->test * p->nf, 1, p->out, NULL);
    r->single_ns = (wr_clock_cpu_s() - start) * 1e9 / SINGLE_ROWS;
    wr_trees_free(t);
    return 0;
}

static int peer_predict(BoosterHandle b, const float *rows, size_t n, size_t nf, const float **out)
{
    char array[256];
    static const char config[] =
        "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false, "
        "\"missing\": NaN, \"cache_id\": 0}";
    int len = snprintf(array, sizeof array,
                       "{\"data\": [%llu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
                       (unsigned long long)(uintptr_t)rows, n, nf);
    bst_ulong const *shape;
    bst_ulong dim;
    if (len < 0 || (size_t)len >= sizeof array) return -1;
    return XGBoosterPredictFromDense(b, array, config, NULL, &shape, &dim, out);
}

static int peer_train(problem *p, result *r, DMatrixHandle *d, BoosterHandle *b)
{
    char leaves[16];
    if (snprintf(leaves, sizeof leaves, "%d", p->leaves) < 0) return -1;
    const char *const options[][2] = {
        {"objective", "binary:logistic"},
        {"tree_method", "hist"},
        {"grow_policy", "lossguide"},
        {"max_leaves", leaves},
        {"max_depth", "0"},
        {"eta", "0.1"},
        {"lambda", "1"},
        {"min_child_weight", "1"},
        {"max_bin", "254"},
        {"nthread", "1"},
        {"verbosity", "0"},
    };
    double start = wr_clock_cpu_s();
    if (XGDMatrixCreateFromMat_omp(p->rows, p->n, p->nf, NAN, d, 1) != 0) return -1;
    if (XGDMatrixSetFloatInfo(*d, "label", p->label, p->n) != 0 || XGBoosterCreate(d, 1, b) != 0) return -1;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (XGBoosterSetParam(*b, options[i][0], options[i][1]) != 0) return -1;
    }
    for (int k = 0; k < p->rounds; k++) {
        if (XGBoosterUpdateOneIter(*b, k, *d) != 0) return -1;
    }
    r->train_s = wr_clock_cpu_s() - start;
    return 0;
}

static int run_peer(problem *p, result *r)
{
    DMatrixHandle d = NULL;
    BoosterHandle b = NULL;
    const float *test = p->rows + p->n * p->nf, *out = NULL;
    int rc = peer_train(p, r, &d, &b);
    if (rc == 0) rc = peer_predict(b, test, p->test, p->nf, &out); /* warm */
    double start = wr_clock_cpu_s();
    if (rc == 0) rc = peer_predict(b, test, p->test, p->nf, &out);
    r->batch_ns = (wr_clock_cpu_s() - start) * 1e9 / (double)p->test;
    for (size_t i = 0; rc == 0 && i < p->test; i++) p->out[i] = (double)out[i];
    if (rc == 0) r->auc = auc(p->out, p->label + p->n, p->test);
    start = wr_clock_cpu_s();
    for (size_t i = 0; rc == 0 && i < SINGLE_ROWS; i++)
        rc = peer_predict(b, test + i % p->test * p->nf, 1, p->nf, &out);
    r->single_ns = (wr_clock_cpu_s() - start) * 1e9 / SINGLE_ROWS;
    if (rc != 0) (void)fprintf(stderr, "xgboost: %s\n", XGBGetLastError());
    if (b) XGBoosterFree(b);
    if (d) XGDMatrixFree(d);
    return rc;
}

static void entry(FILE *json, const char *name, const char *unit, double ours, double theirs, const char *how)
{
    (void)fprintf(json,
                  "{\"name\":\"%s\",\"unit\":\"%s\",\"ours\":%.6g,\"peer\":\"XGBoost\",\"theirs\":%.6g,\"ratio\":%.3g,"
                  "\"how\":\"%s\"}\n",
                  name, unit, ours, theirs, theirs / ours, how);
}

/* One JSON object a line; ratio = theirs / ours, so above 1 is faster (AUC: theirs / ours, 1 is equal). 0 or negative.
 */
int wr_bench_trees(FILE *json)
{
    problem p;
    result ours = {0}, theirs = {0};
    int major, minor, patch, rc = problem_init(&p);
    if (rc == 0) rc = run_ours(&p, &ours);
    if (rc == 0) rc = run_peer(&p, &theirs);
    if (rc == 0) {
        char how[256];
        XGBoostVersion(&major, &minor, &patch);
        rc = snprintf(
                 how, sizeof how,
                 "%zu x %zu floats, 3 %% missing, %d rounds of %d leaves, 1 thread, XGBoost %d.%d.%d hist lossguide",
                 p.n, p.nf, p.rounds, p.leaves, major, minor, patch) < 0
                 ? -1
                 : 0;
        entry(json, "trees: train", "CPU s", ours.train_s, theirs.train_s, how);
        entry(json, "trees: predict one row", "ns", ours.single_ns, theirs.single_ns, how);
        entry(json, "trees: predict many rows", "ns/row", ours.batch_ns, theirs.batch_ns, how);
        entry(json, "trees: AUC on rows kept aside", "AUC", ours.auc, theirs.auc, how);
    }
    problem_fini(&p);
    return rc;
}
