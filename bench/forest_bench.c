/* SPDX-License-Identifier: Apache-2.0 */
/* forest_bench.c - forests in service against XGBoost's own C library: its model, read from its JSON, answers one row, 20,000 rows, and
 * contributions; 100 and 300 trees of depth 6. A program of its own: it needs little of Weir.
 *
 * Both get the same floats on one thread. All margins are compared bit by bit before anything is timed. Single rows: a call each, through
 * XGBoost's in-place prediction from a dense array (the cheapest it has). Batches: in place too. Contributions: DMatrix and its option 2.
 * Each figure is the median of some turns, ours and theirs one after the other. Sizes by WEIR_BENCH_FOREST_ROWS (20000), _TURNS (5). Start
 * with OMP_WAIT_POLICY=passive.
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
#include "predict/forest_predictor.h"

enum { FEATURES = 30, DEPTH = 6, ROUNDS = 300, SINGLE = 2000, EXPLAINED = 200, MAX_TURNS = 50 };

typedef struct {
    size_t n, turns;
    float *rows, *label;
    double *out;
} problem;

typedef struct {
    BoosterHandle peer;
    wr_predictor *p;
    const wr_forest *f;
    int trees;
} pair;

static size_t setting(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    int64_t v;
    return text && wr_num_i64(&v, wr_str_of(text), NULL) == 0 && v > 0 ? (size_t)v : otherwise;
}

static bool problem_init(problem *p)
{
    *p = (problem){.n = setting("WEIR_BENCH_FOREST_ROWS", 20000), .turns = setting("WEIR_BENCH_FOREST_TURNS", 5)};
    if (p->turns > MAX_TURNS) p->turns = MAX_TURNS;
    p->rows = wr_calloc(p->n, FEATURES * sizeof *p->rows);
    p->label = wr_calloc(p->n, sizeof *p->label);
    p->out = wr_calloc(p->n, (FEATURES + 1) * sizeof *p->out);
    if (!p->rows || !p->label || !p->out) return false;
    wr_rng r;
    wr_rng_init(&r, 17);
    for (size_t i = 0; i < p->n; i++) {
        float *x = p->rows + i * FEATURES;
        double z = 0;
        for (size_t j = 0; j < FEATURES; j++) {
            double v = wr_rng_normal(&r);
            z += j < 8 ? v * (j % 2 ? 0.5 : -0.4) : j == 8 ? sin(3 * v) : j == 9 ? v * (double)x[8] * 0.5 : 0;
            x[j] = (float)v;
        }
        p->label[i] = wr_rng_f64(&r) < 1 / (1 + exp(-z));
        for (size_t j = 0; j < FEATURES; j++) {
            if (wr_rng_f64(&r) < 0.03) x[j] = NAN;
        }
    }
    return true;
}

static bool peer_train(BoosterHandle *b, const problem *p)
{
    static const char *const options[][2] = {{"objective", "binary:logistic"}, {"tree_method", "hist"}, {"max_depth", "6"}, {"eta", "0.1"},
                                             {"min_child_weight", "0"},        {"nthread", "1"},        {"verbosity", "0"}};
    DMatrixHandle d = NULL;
    bool ok = XGDMatrixCreateFromMat_omp(p->rows, p->n, FEATURES, NAN, &d, 1) == 0;
    ok = ok && XGDMatrixSetFloatInfo(d, "label", p->label, p->n) == 0 && XGBoosterCreate(&d, 1, b) == 0;
    for (size_t i = 0; ok && i < sizeof options / sizeof *options; i++) ok = XGBoosterSetParam(*b, options[i][0], options[i][1]) == 0;
    for (int k = 0; ok && k < ROUNDS; k++) ok = XGBoosterUpdateOneIter(*b, k, d) == 0;
    if (d) (void)XGDMatrixFree(d);
    return ok;
}

/* The first `trees` of a booster, and what we read of them. */
static bool pair_init(pair *a, BoosterHandle whole, int trees)
{
    bst_ulong n;
    const char *json;
    wr_err err = {0};
    *a = (pair){.trees = trees};
    if (XGBoosterSlice(whole, 0, trees, 1, &a->peer) != 0 || XGBoosterSetParam(a->peer, "nthread", "1") != 0) return false;
    if (XGBoosterSaveModelToBuffer(a->peer, "{\"format\": \"json\"}", &n, &json) != 0) return false;
    if (wr_xgboost_read(&a->p, (wr_str){json, n}, NULL, "model", &err) < 0) {
        (void)fprintf(stderr, "forest_bench: %s\n", err.msg);
        return false;
    }
    a->f = wr_forest_predictor_forest(a->p);
    return true;
}

static void pair_fini(pair *a)
{
    wr_predictor_free(a->p);
    if (a->peer) (void)XGBoosterFree(a->peer);
}

static bool peer_predict(const pair *a, const float *rows, size_t n, int type, const float **out)
{
    char array[256], config[256];
    bst_ulong const *shape;
    bst_ulong dim;
    int len = snprintf(array, sizeof array, "{\"data\": [%llu, true], \"shape\": [%zu, %d], \"typestr\": \"<f4\", \"version\": 3}",
                       (unsigned long long)(uintptr_t)rows, n, FEATURES);
    int len2 = snprintf(config, sizeof config,
                        "{\"type\": %d, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false, "
                        "\"missing\": NaN, \"cache_id\": 0}",
                        type);
    if (len < 0 || len2 < 0) return false;
    return XGBoosterPredictFromDense(a->peer, array, config, NULL, &shape, &dim, out) == 0;
}

static bool peer_explain(const pair *a, const float *rows, size_t n, const float **out)
{
    static const char config[] = "{\"type\": 2, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false}";
    DMatrixHandle d = NULL;
    bst_ulong const *shape;
    bst_ulong dim;
    bool ok = XGDMatrixCreateFromMat_omp(rows, n, FEATURES, NAN, &d, 1) == 0 && XGBoosterPredictFromDMatrix(a->peer, d, config, &shape, &dim, out) == 0;
    if (d) (void)XGDMatrixFree(d);
    return ok;
}

/* Margins to the bit; contributions to 1e-5. */
static bool same_answers(const problem *p, const pair *a)
{
    const float *theirs;
    if (!peer_predict(a, p->rows, p->n, 1, &theirs) || wr_forest_predict(a->f, p->rows, p->n, true, p->out, NULL, NULL) < 0) return false;
    for (size_t i = 0; i < p->n; i++) {
        if ((double)theirs[i] != p->out[i]) return false;
    }
    if (!peer_explain(a, p->rows, EXPLAINED, &theirs) || wr_forest_shap(a->f, p->rows, EXPLAINED, p->out, NULL, NULL) < 0) return false;
    for (size_t i = 0; i < (size_t)EXPLAINED * (FEATURES + 1); i++) {
        if (fabs((double)theirs[i] - p->out[i]) > 1e-5 * (1 + fabs(p->out[i]))) return false;
    }
    return true;
}

typedef struct { double ours[MAX_TURNS], theirs[MAX_TURNS]; } times;

static double median(double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && x[j] < x[j - 1]; j--) {
            double swap = x[j];
            x[j] = x[j - 1];
            x[j - 1] = swap;
        }
    }
    return x[n / 2];
}

static void write_entry(const problem *p, const pair *a, const char *what, const char *unit, times *t)
{
    int major, minor, patch;
    double ours = median(t->ours, p->turns), theirs = median(t->theirs, p->turns);
    XGBoostVersion(&major, &minor, &patch);
    (void)printf("{\"name\":\"forest: %s, %d trees\",\"unit\":\"%s\",\"ours\":%.6g,\"peer\":\"XGBoost\",\"theirs\":%.6g,\"ratio\":%.3g,\"how\":"
                 "\"depth %d, %d features, 3 %% missing, 1 thread, XGBoost %d.%d.%d; margins equal to the bit\"}\n",
                 what, a->trees, unit, ours, theirs, theirs / ours, DEPTH, FEATURES, major, minor, patch);
}

static void run_pair(const problem *p, const pair *a)
{
    times single, batch, explain;
    const float *out;
    for (size_t k = 0; k < p->turns; k++) {
        double start = wr_clock_cpu_s();
        for (size_t i = 0; i < SINGLE; i++) (void)wr_forest_predict(a->f, p->rows + i % p->n * FEATURES, 1, false, p->out, NULL, NULL);
        single.ours[k] = (wr_clock_cpu_s() - start) * 1e9 / SINGLE;
        start = wr_clock_cpu_s();
        for (size_t i = 0; i < SINGLE; i++) (void)peer_predict(a, p->rows + i % p->n * FEATURES, 1, 0, &out);
        single.theirs[k] = (wr_clock_cpu_s() - start) * 1e9 / SINGLE;
        start = wr_clock_cpu_s();
        (void)wr_forest_predict(a->f, p->rows, p->n, false, p->out, NULL, NULL);
        batch.ours[k] = (wr_clock_cpu_s() - start) * 1e9 / (double)p->n;
        start = wr_clock_cpu_s();
        (void)peer_predict(a, p->rows, p->n, 0, &out);
        batch.theirs[k] = (wr_clock_cpu_s() - start) * 1e9 / (double)p->n;
        start = wr_clock_cpu_s();
        (void)wr_forest_shap(a->f, p->rows, EXPLAINED, p->out, NULL, NULL);
        explain.ours[k] = (wr_clock_cpu_s() - start) * 1e6 / EXPLAINED;
        start = wr_clock_cpu_s();
        (void)peer_explain(a, p->rows, EXPLAINED, &out);
        explain.theirs[k] = (wr_clock_cpu_s() - start) * 1e6 / EXPLAINED;
    }
    write_entry(p, a, "one row a call", "ns", &single);
    write_entry(p, a, "many rows a call", "ns/row", &batch);
    write_entry(p, a, "contributions", "us/row", &explain);
}

int main(void)
{
    problem p;
    BoosterHandle whole = NULL;
    int rc = problem_init(&p) && p.n >= EXPLAINED && peer_train(&whole, &p) ? 0 : 1;
    for (int trees = 100; rc == 0 && trees <= ROUNDS; trees += 200) {
        pair a;
        rc = pair_init(&a, whole, trees) ? 0 : 1;
        if (rc == 0 && !same_answers(&p, &a)) {
            (void)fprintf(stderr, "forest_bench: %d trees: the answers differ\n", trees);
            rc = 1;
        }
        if (rc == 0) run_pair(&p, &a);
        pair_fini(&a);
    }
    if (rc != 0) (void)fprintf(stderr, "forest_bench: did not run: %s\n", XGBGetLastError());
    if (whole) (void)XGBoosterFree(whole);
    wr_free(p.rows);
    wr_free(p.label);
    wr_free(p.out);
    return rc;
}
