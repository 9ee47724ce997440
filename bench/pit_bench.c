/* SPDX-License-Identifier: Apache-2.0 */
/* pit_bench.c - point-in-time join against DuckDB's ASOF JOIN, in one run, both from memory to memory.
 *
 * Entity rows ask for the newest event of their key and its three features. Both sides start from columns in memory
 * (DuckDB's in a table of its own) and end with three columns in memory; the answers are compared before anything is
 * reported. CPU seconds of the process, all threads, the median of WEIR_BENCH_REPEAT runs. Environment:
 * WEIR_BENCH_EVENTS (10M), WEIR_BENCH_ROWS (1M), WEIR_BENCH_KEYS (100k), WEIR_BENCH_REPEAT (3), WEIR_DUCKDB. Output:
 * a JSON array on stdout. Exit 2 when something fails or the answers differ.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"
#include "base/rng.h"
#include "calc/frame.h"
#include "calc/pit.h"
#include "io/file.h"
#include "store/tables.h"

enum { FEATURES = 3, REPEAT_MAX = 25 };

typedef struct {
    size_t nevents, nrows, nkeys, repeat;
    wr_frame *events, *rows;
    uint32_t *event_key, *row_key;
    double *out[FEATURES];      /* ours */
    char spill[256];
    wr_tables *t;
} bench;

static _Noreturn void die(const char *what, const wr_err *err)
{
    (void)fprintf(stderr, "pit_bench: %s: %s %s %s\n", what, err ? err->msg : "", err ? err->detail : "",
                  err ? err->hint : "");
    exit(2);
}

static size_t size_of(const char *name, size_t otherwise, size_t most)
{
    const char *text = getenv(name);
    int64_t v;
    if (!text) return otherwise;
    if (wr_num_i64(&v, wr_str_of(text), NULL) < 0 || v < 1 || (uint64_t)v > most) die(name, NULL);
    return (size_t)v;
}

static void *need(void *p)
{
    if (!p) die("out of memory", NULL);
    return p;
}

/* Times are a permutation, so that no two events of a key tie: ASOF leaves the choice open. */
static void fill(bench *b, bool in_order)
{
    static const char *const names[FEATURES] = {"f0", "f1", "f2"};
    wr_rng r;
    wr_rng_init(&r, 1);
    wr_frame_free(b->events), wr_frame_free(b->rows);
    b->events = need(wr_frame_new()), b->rows = need(wr_frame_new());
    if (wr_frame_resize(b->events, b->nevents) < 0 || wr_frame_resize(b->rows, b->nrows) < 0)
        die("out of memory", NULL);
    int64_t *key = ((wr_col *)need(wr_frame_add(b->events, "key", WR_I64)))->i64;
    int64_t *at = ((wr_col *)need(wr_frame_add(b->events, "at", WR_I64)))->i64;
    uint32_t *order = need(wr_alloc(b->nevents * sizeof *order));
    for (size_t i = 0; i < b->nevents; i++) order[i] = (uint32_t)i;
    if (!in_order) wr_rng_shuffle(&r, order, b->nevents);
    for (size_t i = 0; i < b->nevents; i++) {
        b->event_key[i] = (uint32_t)wr_rng_below(&r, b->nkeys);
        key[i] = b->event_key[i];
        at[i] = (int64_t)order[i] * 3 * WR_US;
    }
    wr_free(order);
    for (int f = 0; f < FEATURES; f++) {
        double *x = ((wr_col *)need(wr_frame_add(b->events, names[f], WR_F64)))->f64;
        for (size_t i = 0; i < b->nevents; i++) x[i] = (double)wr_rng_below(&r, 1000);
    }
    int64_t *id = ((wr_col *)need(wr_frame_add(b->rows, "id", WR_I64)))->i64;
    key = ((wr_col *)need(wr_frame_add(b->rows, "key", WR_I64)))->i64;
    at = ((wr_col *)need(wr_frame_add(b->rows, "at", WR_I64)))->i64;
    for (size_t i = 0; i < b->nrows; i++) {
        id[i] = (int64_t)i;
        b->row_key[i] = (uint32_t)wr_rng_below(&r, b->nkeys);
        key[i] = b->row_key[i];
        at[i] = (int64_t)wr_rng_below(&r, b->nevents * 3 * (uint64_t)WR_US);
    }
}

static double ours(bench *b)
{
    double start = wr_clock_cpu_s();
    wr_pit *p;
    wr_err err = {0};
    int64_t *last = need(wr_alloc(b->nrows * sizeof *last));
    if (wr_pit_new(&p, b->event_key, wr_frame_col(b->events, "at")->i64, b->nevents, (uint32_t)b->nkeys, NULL, 0,
                   &err) < 0)
        die("join", &err);
    wr_pit_last(p, b->row_key, wr_frame_col(b->rows, "at")->i64, b->nrows, 0, last, NULL);
    for (int f = 0; f < FEATURES; f++) {
        const double *x = b->events->cols[2 + f].f64;
        for (size_t i = 0; i < b->nrows; i++) b->out[f][i] = last[i] < 0 ? NAN : x[last[i]];
    }
    wr_pit_free(p);
    wr_free(last);
    return wr_clock_cpu_s() - start;
}

static void run(bench *b, const char *sql)
{
    wr_err err = {0};
    if (wr_tables_exec(b->t, sql, NULL, &err) < 0) die(sql, &err);
}

static void load(bench *b)
{
    wr_err err = {0};
    if (wr_tables_register(b->t, "events_in", b->events, &err) < 0) die("events", &err);
    if (wr_tables_register(b->t, "rows_in", b->rows, &err) < 0) die("rows", &err);
    run(b, "CREATE OR REPLACE TABLE events AS SELECT * FROM events_in");
    run(b, "CREATE OR REPLACE TABLE entity AS SELECT * FROM rows_in");
    if (wr_tables_register(b->t, "events_in", NULL, &err) < 0 || wr_tables_register(b->t, "rows_in", NULL, &err) < 0)
        die("tables", &err);
}

static double theirs(bench *b)
{
    double start = wr_clock_cpu_s();
    run(b, "CREATE OR REPLACE TABLE joined AS SELECT r.id, e.f0, e.f1, e.f2 FROM entity r "
           "ASOF LEFT JOIN events e ON r.key = e.key AND r.at >= e.at");
    return wr_clock_cpu_s() - start;
}

static void compare(bench *b)
{
    wr_frame *f = NULL;
    wr_err err = {0};
    if (wr_tables_query(b->t, &f, "SELECT f0, f1, f2 FROM joined ORDER BY id", NULL, 0, &err) < 0)
        die("read back", &err);
    if (f->nrows != b->nrows) die("number of joined rows differs", NULL);
    for (size_t i = 0; i < b->nrows; i++) {
        for (int k = 0; k < FEATURES; k++) {
            double mine = b->out[k][i], other = wr_col_num(&f->cols[k], i);
            if (!(mine == other || (isnan(mine) && isnan(other)))) die("answers differ", NULL);
        }
    }
    wr_frame_free(f);
}

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

static void measure(bench *b, bool in_order)
{
    double mine[REPEAT_MAX], other[REPEAT_MAX];
    fill(b, in_order);
    load(b);
    for (size_t i = 0; i < b->repeat; i++) {
        mine[i] = ours(b);
        other[i] = theirs(b);
    }
    compare(b);
    double m = median(mine, b->repeat), o = median(other, b->repeat);
    (void)printf("  {\"name\": \"point-in-time join, events in %s order\", \"unit\": \"CPU s\", \"ours\": %.4f, "
                 "\"peer\": \"DuckDB ASOF JOIN\", \"theirs\": %.4f, \"ratio\": %.2f, "
                 "\"how\": \"%zu rows x %zu events, %zu keys, %d features, memory to memory, median of %zu, "
                 "CPU of the process, all threads\"}",
                 in_order ? "time" : "any", m, o, o / m, b->nrows, b->nevents, b->nkeys, FEATURES, b->repeat);
}

static void open_engine(bench *b)
{
    const char *tmp = getenv("TMPDIR");
    wr_err err = {0};
    (void)snprintf(b->spill, sizeof b->spill, "%s/weir-pit-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b->spill)) die("temporary folder", NULL);
    const char *allow[] = {NULL};
    const wr_tables_opt opt = {.memory = UINT64_C(8) << 30, .threads = 0, .spill = b->spill, .allow = allow};
    if (wr_tables_open(&b->t, &opt, &err) < 0) die("DuckDB", &err);
}

int main(void)
{
    bench b = {
        .nevents = size_of("WEIR_BENCH_EVENTS", 10000000, UINT32_MAX - 1),
        .nrows = size_of("WEIR_BENCH_ROWS", 1000000, UINT32_MAX - 1),
        .nkeys = size_of("WEIR_BENCH_KEYS", 100000, UINT32_MAX - 1),
        .repeat = size_of("WEIR_BENCH_REPEAT", 3, REPEAT_MAX),
    };
    b.event_key = need(wr_alloc(b.nevents * sizeof *b.event_key));
    b.row_key = need(wr_alloc(b.nrows * sizeof *b.row_key));
    for (int f = 0; f < FEATURES; f++) b.out[f] = need(wr_alloc(b.nrows * sizeof **b.out));
    open_engine(&b);
    (void)printf("[\n");
    measure(&b, true);
    (void)printf(",\n");
    measure(&b, false);
    (void)printf("\n]\n");
    wr_tables_close(b.t);
    (void)wr_file_remove_tree(b.spill, NULL);
    wr_frame_free(b.events), wr_frame_free(b.rows);
    wr_free(b.event_key), wr_free(b.row_key);
    for (int f = 0; f < FEATURES; f++) wr_free(b.out[f]);
    return 0;
}
