/* SPDX-License-Identifier: Apache-2.0 */
/* track_bench.c - metric points: taking them durably, moving them into the database, reading them back.
 *
 * The peer is what MLflow's store does without its Python: the same SQLite with its table of metrics, a row a point and
 * the primary key over the whole row, a commit a request. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench.h"
#include "codec/series.h"
#include "io/file.h"
#include "store/db.h"
#include "track/metric.h"
#include "track/schema.h"
#include "track/track_inside.h"

enum { LOOPS = 2, ROUND = 32, BATCH = 1000, RUNS = 100, SERIES_KEYS = 8, PAGE = 320 };

typedef struct {
    wr_db *db, *peer;
    wr_track *t;
    char folder[4096];
} scene;

static const char *const peer_schema[] = {
    "CREATE TABLE metrics (key TEXT NOT NULL, value REAL NOT NULL, timestamp INTEGER NOT NULL, run_uuid TEXT NOT NULL, "
    "step INTEGER NOT NULL DEFAULT 0, is_nan INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (key, timestamp, step, run_uuid, "
    "value, is_nan)); CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);"
    "CREATE TABLE latest_metrics (key TEXT NOT NULL, value REAL NOT NULL, timestamp INTEGER, step INTEGER NOT NULL, "
    "is_nan INTEGER NOT NULL, run_uuid TEXT NOT NULL, PRIMARY KEY (key, run_uuid))"};

static double since(int64_t begin) { return (double)(wr_clock_mono_ns() - begin) / 1e9; }

/* ---- the scene ---- */

static wr_str uuid_of(char text[33], size_t run)
{
    (void)snprintf(text, 33, "%032zx", run + 1);
    return (wr_str){text, 32};
}

static int make_runs(wr_track *t, void *arg, wr_err *err)
{
    char text[33];
    (void)arg;
    for (size_t i = 0; i < RUNS; i++) {
        int rc =
            wr_track_exec(t, err,
                          "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, artifact_uri)"
                          " VALUES (?, 0, 'x', 'x', 1, 0, 'x')",
                          "s", uuid_of(text, i));
        if (rc < 0) return rc;
    }
    return 0;
}

static int open_scene(scene *s, wr_err *err)
{
    char path[4200], peer[4200], log[4200];
    const wr_db_opt opt = {.migrations = wr_track_migrations, .n = wr_track_migrations_count};
    const wr_db_opt peer_opt = {.migrations = peer_schema, .n = 1};
    (void)snprintf(path, sizeof path, "%s/ours.sqlite", s->folder);
    (void)snprintf(peer, sizeof peer, "%s/peer.sqlite", s->folder);
    (void)snprintf(log, sizeof log, "%s/log", s->folder);
    WR_TRY(wr_db_open(&s->db, path, &opt, err));
    WR_TRY(wr_db_open(&s->peer, peer, &peer_opt, err));
    WR_TRY(wr_track_open(&s->t, s->db, &(wr_track_opt){.log = log}, err));
    return wr_track_write(s->t, make_runs, NULL, err);
}

/* A curve with noise in every bit. */
static wr_track_point point(wr_rng *r, size_t step, const char *key)
{
    return (wr_track_point){.key = wr_str_of(key),
                            .step = (int64_t)step,
                            .time_ms = (int64_t)(1700000000000 + step * 100 + wr_rng_below(r, 12)),
                            .value = 0.4 + 2.0 / (1 + (double)step / 100) + 0.05 * wr_rng_normal(r)};
}

static const char *const keys[SERIES_KEYS] = {"loss", "accuracy",  "val/loss", "val/accuracy",
                                              "lr",   "grad_norm", "epoch",    "tokens_per_second"};

/* ---- the peer's rows ---- */

typedef struct {
    wr_str run;
    const wr_track_point *p;
    size_t n;
} rows;

static int peer_insert(wr_db *db, void *arg, wr_err *err)
{
    const rows *x = arg;
    wr_stmt *s, *l;
    int rc = 0;
    WR_TRY(
        wr_db_prepare(db, &s,
                      "INSERT INTO metrics (key, value, timestamp, run_uuid, step) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
                      "DO NOTHING",
                      err));
    WR_TRY(wr_db_prepare(
        db, &l,
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, "
        "?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = "
        "excluded.timestamp, step = excluded.step",
        err));
    for (size_t i = 0; i < x->n && rc >= 0; i++) {
        wr_bind_str(s, 1, x->p[i].key);
        wr_bind_f64(s, 2, x->p[i].value);
        wr_bind_i64(s, 3, x->p[i].time_ms);
        wr_bind_str(s, 4, x->run);
        wr_bind_i64(s, 5, x->p[i].step);
        rc = wr_step(s, err);
    }
    for (size_t i = x->n < SERIES_KEYS ? 0 : x->n - SERIES_KEYS; i < x->n && rc >= 0; i++) {
        wr_bind_str(l, 1, x->p[i].key);
        wr_bind_f64(l, 2, x->p[i].value);
        wr_bind_i64(l, 3, x->p[i].time_ms);
        wr_bind_i64(l, 4, x->p[i].step);
        wr_bind_str(l, 5, x->run);
        rc = wr_step(l, err);
    }
    wr_stmt_done(s);
    wr_stmt_done(l);
    return rc < 0 ? rc : 0;
}

/* ---- taking points ---- */

typedef struct {
    scene *s;
    size_t calls, batch, loop;
    bool peer;
    int rc;
} loop;

static void *take(void *arg)
{
    loop *l = arg;
    char text[33];
    wr_err err = {0};
    wr_rng r;
    wr_rng_init(&r, l->loop);
    wr_track_point *p = malloc((l->batch + ROUND) * sizeof *p);
    if (!p) abort();
    for (size_t i = 0; i < l->calls && l->rc == 0; i++) {
        size_t run = (i * LOOPS + l->loop) % RUNS, step = i / RUNS;
        for (size_t k = 0; k < l->batch; k++)
            p[k] =
                point(&r, step * l->batch / SERIES_KEYS + k / SERIES_KEYS, keys[(l->batch > 1 ? k : i) % SERIES_KEYS]);
        if (l->peer) {
            rows x = {uuid_of(text, run), p, l->batch};
            l->rc = wr_db_write(l->s->peer, peer_insert, &x, &err);
            continue;
        }
        l->rc = wr_metric_append(l->s->t, uuid_of(text, run), p, l->batch, &err);
        bool ends = i + 1 == l->calls || (l->batch > 1 ? i % 8 == 7 : i % ROUND == ROUND - 1);
        if (l->rc == 0 && ends) l->rc = wr_metric_commit(l->s->t, &err);
    }
    if (l->rc < 0) (void)fprintf(stderr, "weir_bench: taking points: %s %s\n", err.msg, err.detail);
    free(p);
    return NULL;
}

/* Calls a second, 0 when one failed. */
static double take_all(scene *s, bool peer, size_t calls, size_t batch)
{
    pthread_t threads[LOOPS];
    loop loops[LOOPS];
    int started = 0;
    int64_t begin = wr_clock_mono_ns();
    for (; started < LOOPS; started++) {
        loops[started] = (loop){s, calls / LOOPS, batch, (size_t)started, peer, 0};
        if (pthread_create(&threads[started], NULL, take, &loops[started]) != 0) break;
    }
    bool ok = started == LOOPS;
    for (int i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
        ok &= loops[i].rc == 0;
    }
    return ok ? (double)(calls / LOOPS * LOOPS) / since(begin) : 0;
}

static int taking(FILE *out, scene *s, wr_err *err)
{
    size_t single = wr_bench_size(200000, 1000), batches = wr_bench_size(2000, 20);
    wr_bench_entry e = {.name = "metrics: one point a call, durable",
                        .unit = "calls/s",
                        .ours = take_all(s, false, single, 1),
                        .peer = "SQLite, MLflow's table",
                        .theirs = take_all(s, true, wr_bench_size(2000, 100), 1),
                        .more = true,
                        .how = "two threads; ours in rounds of 32 calls with a commit each, theirs a commit a call"};
    if (e.ours > 0 && e.theirs > 0) wr_bench_write(out, &e);
    WR_TRY(wr_metric_drain(s->t, true, err));
    e.name = "metrics: points of batches of 1000, durable";
    e.unit = "points/s";
    e.ours = take_all(s, false, batches, BATCH) * BATCH;
    int64_t begin = wr_clock_mono_ns();
    WR_TRY(wr_metric_drain(s->t, true, err));
    double drained = since(begin);
    e.theirs = take_all(s, true, wr_bench_size(100, 4), BATCH) * BATCH;
    e.how = "two threads, rounds of 8 batches of 8 keys; making the points is counted; the log drains meanwhile";
    if (e.ours > 0 && e.theirs > 0) wr_bench_write(out, &e);
    (void)fprintf(stderr, "weir_bench: last drain %.0f ms\n", drained * 1e3);
    return 0;
}

/* ---- draining ---- */

static int draining(FILE *out, scene *s, wr_err *err)
{
    enum { N = 400 };
    char text[33];
    wr_rng r;
    wr_rng_init(&r, 3);
    wr_track_point *p = wr_calloc(N * BATCH, sizeof *p);
    if (!p) return wr_err_nomem(err);
    for (size_t i = 0; i < N * BATCH; i++) p[i] = point(&r, 1000000 + i / RUNS / SERIES_KEYS, keys[i % SERIES_KEYS]);
    for (size_t i = 0; i < N; i++) WR_TRY(wr_metric_append(s->t, uuid_of(text, i % RUNS), p + i * BATCH, BATCH, err));
    WR_TRY(wr_metric_commit(s->t, err));
    int64_t begin = wr_clock_mono_ns();
    WR_TRY(wr_metric_drain(s->t, true, err));
    double ours = N * BATCH / since(begin);
    rows x = {uuid_of(text, 0), p, N * BATCH / 4};
    begin = wr_clock_mono_ns();
    WR_TRY(wr_db_write(s->peer, peer_insert, &x, err));
    double theirs = (double)x.n / since(begin);
    wr_free(p);
    wr_bench_write(out, &(wr_bench_entry){.name = "metrics: points into the database",
                                          .unit = "points/s",
                                          .ours = ours,
                                          .peer = "SQLite, MLflow's table",
                                          .theirs = theirs,
                                          .more = true,
                                          .how = "400,000 points of 800 series; theirs 100,000 in one transaction"});
    return 0;
}

/* ---- reading ---- */

typedef struct {
    int64_t run;
    size_t points;
} filling;

static int fill(wr_track *t, void *arg, wr_err *err)
{
    const filling *f = arg;
    wr_rng r;
    wr_rng_init(&r, (uint64_t)f->run);
    wr_track_point *p = wr_calloc(f->points, sizeof *p);
    if (!p) return wr_err_nomem(err);
    for (size_t i = 0; i < f->points; i++) p[i] = point(&r, i, "curve");
    int rc = wr_metric_put(t, &(wr_metric_run){.run = f->run}, p, f->points, err);
    wr_free(p);
    return rc;
}

static int peer_fill(wr_db *db, void *arg, wr_err *err)
{
    const filling *f = arg;
    char text[33];
    wr_rng r;
    wr_rng_init(&r, (uint64_t)f->run);
    wr_track_point *p = wr_calloc(f->points, sizeof *p);
    if (!p) return wr_err_nomem(err);
    for (size_t i = 0; i < f->points; i++) p[i] = point(&r, i, "curve");
    rows x = {uuid_of(text, (size_t)f->run - 1), p, f->points};
    int rc = peer_insert(db, &x, err);
    wr_free(p);
    return rc;
}

static int peer_history(wr_db *db, size_t *n, wr_err *err)
{
    char text[33];
    wr_stmt *s;
    int rc;
    double sum = 0;
    *n = 0;
    WR_TRY(wr_db_prepare(
        db, &s,
        "SELECT value, timestamp, step FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY timestamp, step, "
        "value",
        err));
    wr_bind_str(s, 1, uuid_of(text, 0));
    wr_bind_cstr(s, 2, "curve");
    while ((rc = wr_step(s, err)) > 0) {
        sum += wr_stmt_f64(s, 0) + (double)wr_stmt_i64(s, 1) + (double)wr_stmt_i64(s, 2);
        ++*n;
    }
    wr_stmt_done(s);
    return isnan(sum) ? WEIR_ENO : rc;
}

static int reading_history(FILE *out, scene *s, size_t points, wr_err *err)
{
    enum { TIMES = 5 };
    double ours[TIMES], theirs[TIMES];
    for (int i = 0; i < TIMES; i++) {
        WR_AUTOARENA wr_arena *a = wr_arena_new(0);
        wr_track_point *p;
        size_t n, m;
        int64_t begin = wr_clock_mono_ns();
        WR_TRY(wr_metric_history(&p, &n, a, s->t, 1, WR_STR("curve"), NULL, 0, err));
        ours[i] = since(begin) * 1e3;
        begin = wr_clock_mono_ns();
        WR_TRY(peer_history(s->peer, &m, err));
        theirs[i] = since(begin) * 1e3;
        if (n != points || m != points) return wr_err_set(err, WEIR_EINTERNAL, "%zu and %zu points came back", n, m);
    }
    wr_bench_write(out,
                   &(wr_bench_entry){.name = "metrics: history of 100,000 points",
                                     .unit = "ms",
                                     .ours = wr_bench_median(ours, TIMES),
                                     .peer = "SQLite, MLflow's table",
                                     .theirs = wr_bench_median(theirs, TIMES),
                                     .how = "of one series among 100; rows in order of time, without making JSON"});
    return 0;
}

/* MLflow's three queries. */
static int peer_sample(wr_db *db, size_t *n, wr_err *err)
{
    WR_AUTOBUF wr_buf in = {0}, sql = {0};
    char text[33];
    wr_stmt *s;
    int rc;
    int64_t *steps = malloc(sizeof *steps * 2000000);
    size_t nsteps = 0;
    if (!steps) return wr_err_nomem(err);
    for (size_t i = 0; i < RUNS; i++) wr_buf_printf(&in, "%s'%s'", i ? "," : "", uuid_of(text, i).p);
    wr_buf_printf(&sql, "SELECT DISTINCT step FROM metrics WHERE key = 'curve' AND run_uuid IN (%s) ORDER BY step",
                  in.p);
    WR_TRY(wr_db_prepare(db, &s, sql.p, err));
    while ((rc = wr_step(s, err)) > 0 && nsteps < 2000000) steps[nsteps++] = wr_stmt_i64(s, 0);
    wr_stmt_done(s);
    wr_buf_clear(&sql);
    wr_buf_printf(&sql,
                  "SELECT min(step), max(step) FROM metrics WHERE key = 'curve' AND run_uuid IN (%s) GROUP BY run_uuid",
                  in.p);
    WR_TRY(wr_db_prepare(db, &s, sql.p, err));
    while ((rc = wr_step(s, err)) > 0) {}
    wr_stmt_done(s);
    *n = 0;
    for (size_t r = 0; r < RUNS && rc >= 0; r++) {
        wr_buf_clear(&sql);
        wr_buf_printf(&sql,
                      "SELECT value, timestamp, step FROM metrics WHERE key = 'curve' AND run_uuid = ? AND step IN (");
        for (size_t i = 0; i < PAGE; i++)
            wr_buf_printf(&sql, "%lld,", (long long)steps[(size_t)((double)i * (double)nsteps / PAGE)]);
        wr_buf_printf(&sql, "%lld) ORDER BY step, timestamp, value", (long long)steps[nsteps - 1]);
        WR_TRY(wr_db_prepare(db, &s, sql.p, err));
        wr_bind_str(s, 1, uuid_of(text, r));
        while ((rc = wr_step(s, err)) > 0) ++*n;
        wr_stmt_done(s);
    }
    free(steps);
    return rc;
}

static int our_sample(scene *s, size_t *n, double *ms, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_metric_series series[RUNS];
    int64_t runs[RUNS], begin = wr_clock_mono_ns();
    for (size_t i = 0; i < RUNS; i++) runs[i] = (int64_t)i + 1;
    WR_TRY(wr_metric_sample(series, a, s->t, runs, RUNS, WR_STR("curve"), 0, INT64_MAX, PAGE, err));
    *ms = since(begin) * 1e3;
    *n = 0;
    for (size_t i = 0; i < RUNS; i++) *n += series[i].n;
    return 0;
}

static int reading_samples(FILE *out, scene *s, size_t points, wr_err *err)
{
    enum { TIMES = 5 };
    double ours[TIMES], theirs;
    size_t n = 0, m = 0;
    for (int i = 0; i < TIMES; i++) WR_TRY(our_sample(s, &n, &ours[i], err));
    int64_t begin = wr_clock_mono_ns();
    WR_TRY(peer_sample(s->peer, &m, err));
    theirs = since(begin) * 1e3;
    if (m > n) return wr_err_set(err, WEIR_EINTERNAL, "%zu and %zu points came back", n, m);
    char how[200];
    (void)snprintf(how, sizeof how, "320 steps of 100 runs of %zu points each, ours; theirs has a tenth of the points",
                   points);
    wr_bench_write(out, &(wr_bench_entry){.name = "metrics: a chart of 100 runs",
                                          .unit = "ms",
                                          .ours = wr_bench_median(ours, TIMES),
                                          .peer = "SQLite, MLflow's table",
                                          .theirs = theirs,
                                          .how = how});
    return 0;
}

static int reading(FILE *out, scene *s, wr_err *err)
{
    size_t points = wr_bench_size(100000, 2000);
    for (int64_t run = 1; run <= RUNS; run++) {
        filling f = {run, points};
        WR_TRY(wr_track_write(s->t, fill, &f, err));
        if (run > 1) f.points = points / 10;
        WR_TRY(wr_db_write(s->peer, peer_fill, &f, err));
    }
    WR_TRY(reading_history(out, s, points, err));
    return reading_samples(out, s, points, err);
}

/* ---- coding ---- */

enum { CHUNK = 1024, CHUNKS = 200 };

typedef struct {
    double encode_ns, decode_ns, bytes; /* of a point */
} cost;

static int our_coding(cost *out, const wr_series_point *p, wr_err *err)
{
    static wr_series_point back[WR_SERIES_MAX];
    WR_AUTOBUF wr_buf b = {0};
    size_t ends[CHUNKS + 1] = {0}, n;
    int64_t begin = wr_clock_mono_ns();
    for (size_t i = 0; i < CHUNKS; i++) {
        wr_series_encode(&b, NULL, p + i * CHUNK, CHUNK);
        ends[i + 1] = b.n;
    }
    out->encode_ns = since(begin) * 1e9 / CHUNK / CHUNKS;
    if (b.failed) return wr_err_nomem(err);
    begin = wr_clock_mono_ns();
    for (size_t i = 0; i < CHUNKS; i++)
        WR_TRY(wr_series_decode(back, &n, (wr_str){b.p + ends[i], ends[i + 1] - ends[i]}, err));
    out->decode_ns = since(begin) * 1e9 / CHUNK / CHUNKS;
    out->bytes = (double)b.n / CHUNK / CHUNKS;
    return 0;
}

/* The three columns of each chunk through zstd. */
static int zstd_coding(cost *out, const wr_series_point *p, wr_err *err)
{
    enum { RAW = CHUNK * 24, ROOM = RAW + 1024 };
    static char raw[CHUNKS][RAW], packed[CHUNKS][ROOM], back[RAW];
    size_t sizes[CHUNKS], bytes = 0;
    for (size_t i = 0; i < CHUNKS; i++) {
        for (size_t k = 0; k < CHUNK; k++) {
            memcpy(raw[i] + k * 8, &p[i * CHUNK + k].step, 8);
            memcpy(raw[i] + (CHUNK + k) * 8, &p[i * CHUNK + k].time_ms, 8);
            memcpy(raw[i] + (2 * CHUNK + k) * 8, &p[i * CHUNK + k].value, 8);
        }
    }
    int64_t begin = wr_clock_mono_ns();
    for (size_t i = 0; i < CHUNKS; i++) {
        sizes[i] = ZSTD_compress(packed[i], ROOM, raw[i], RAW, 1);
        if (ZSTD_isError(sizes[i])) return wr_err_set(err, WEIR_EINTERNAL, "zstd failed");
        bytes += sizes[i];
    }
    out->encode_ns = since(begin) * 1e9 / CHUNK / CHUNKS;
    begin = wr_clock_mono_ns();
    for (size_t i = 0; i < CHUNKS; i++) {
        if (ZSTD_decompress(back, RAW, packed[i], sizes[i]) != RAW)
            return wr_err_set(err, WEIR_EINTERNAL, "zstd failed");
    }
    out->decode_ns = since(begin) * 1e9 / CHUNK / CHUNKS;
    out->bytes = (double)bytes / CHUNK / CHUNKS;
    return 0;
}

static int coding(FILE *out, wr_err *err)
{
    enum { TIMES = 5 };
    static wr_series_point p[CHUNKS * CHUNK];
    double values[6][TIMES];
    wr_rng r;
    wr_rng_init(&r, 9);
    for (size_t i = 0; i < CHUNKS * CHUNK; i++) {
        wr_track_point x = point(&r, i, "loss");
        p[i] = (wr_series_point){x.step, x.time_ms, (double)(float)x.value};
    }
    for (int i = 0; i < TIMES; i++) {
        cost ours, theirs;
        WR_TRY(our_coding(&ours, p, err));
        WR_TRY(zstd_coding(&theirs, p, err));
        const double all[6] = {ours.encode_ns,   theirs.encode_ns, ours.decode_ns,
                               theirs.decode_ns, ours.bytes,       theirs.bytes};
        for (int k = 0; k < 6; k++) values[k][i] = all[k];
    }
    static const char *const names[] = {"metrics: encoding a point", "metrics: decoding a point",
                                        "metrics: size of a point"};
    for (int k = 0; k < 3; k++) {
        wr_bench_write(
            out, &(wr_bench_entry){.name = names[k],
                                   .unit = k < 2 ? "ns" : "bytes",
                                   .ours = wr_bench_median(values[2 * k], TIMES),
                                   .peer = "zstd level 1 over the columns",
                                   .theirs = wr_bench_median(values[2 * k + 1], TIMES),
                                   .how = "chunks of 1024 points: steps of 1, jittery times, a noisy loss of float32"});
    }
    return 0;
}

static int all(FILE *out, scene *s, wr_err *err)
{
    WR_TRY(coding(out, err));
    WR_TRY(open_scene(s, err));
    WR_TRY(taking(out, s, err));
    WR_TRY(draining(out, s, err));
    return reading(out, s, err);
}

int wr_bench_track(FILE *out)
{
    scene s = {0};
    wr_err err = {0};
    char *folder = wr_bench_folder();
    if (!folder) return -1;
    (void)snprintf(s.folder, sizeof s.folder, "%s", folder);
    int rc = all(out, &s, &err);
    if (rc < 0) (void)fprintf(stderr, "weir_bench: track: %s %s\n", err.msg, err.detail);
    wr_track_close(s.t);
    wr_db_close(s.db);
    wr_db_close(s.peer);
    (void)wr_file_remove_tree(folder, NULL);
    free(folder);
    return rc;
}
