/* SPDX-License-Identifier: Apache-2.0 */
/* serve_test.c - serving without HTTP: features equal the offline ones, restarts, failed commits, swaps, drains that
 * are killed. */
#include "core/trips_testing.h"

#include <pthread.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "core/event.h"
#include "core/footprint.h"
#include "stage/deploy/drain.h"
#include "stage/deploy/serve.h"
#include "stage/predlog/feedback.h"

static wr_serve *start(trips *w)
{
    wr_serve *s = NULL;
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

static const char *number(trips *w, const char *prefix, size_t i) { return wr_arena_printf(w->a, "%s%zu", prefix, i); }

static double predict(trips *w, wr_serve *s, wr_round *r, size_t row, const char *prefix)
{
    wr_served *m;
    wr_cell cells[4];
    double score = NAN;
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    trips_request(w, row, cells);
    OK(wr_serve_predict(&score, r, m, cells, wr_str_of(number(w, prefix, row)), err));
    wr_serve_give(m);
    return score;
}

static void send_event(trips *w, wr_serve *s, wr_round *r, size_t i)
{
    wr_live *l;
    wr_cell cells[4];
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    trips_event(w, i, cells);
    OK(wr_serve_event(r, l, w->events->cols[0].i64[i], cells, err));
}

static void send_label(trips *w, wr_round *r, size_t i, const char *prefix)
{
    OK(wr_serve_label(r, WR_STR("late"), wr_str_of(number(w, prefix, i)), w->rows->cols[4].f64[i] > 15,
                      w->events->cols[0].i64[i], err));
}

/* Rows [from, to): events known by each row's time first. Scores in `out` (may be NULL). */
static void play(trips *w, wr_serve *s, size_t from, size_t to, const char *prefix, size_t *next_event, double *out)
{
    wr_round *r = wr_round_new(s);
    for (size_t i = from; i < to; i++) {
        while (*next_event < TRIPS && w->events->cols[0].i64[*next_event] <= w->rows->cols[0].i64[i])
            send_event(w, s, r, (*next_event)++);
        OK(wr_serve_round_end(r, err));
        double p = predict(w, s, r, i, prefix);
        if (out) out[i] = p;
        send_label(w, r, i, prefix);
    }
    OK(wr_serve_round_end(r, err));
    wr_round_free(r);
}

/* ---- parity ---- */

typedef struct {
    trips *w;
    size_t n, bad;
} parity;

static int check_record(void *ctx, uint32_t type, wr_str payload)
{
    parity *p = ctx;
    wr_predlog_prediction q;
    if (type != WR_PREDLOG_PREDICTION) return 0;
    OK(wr_predlog_get_prediction(&q, p->w->a, payload, err));
    size_t row = (size_t)((q.event_us - TRIPS_FROM_US) / TRIP_US);
    for (size_t k = 0; k < q.nfeatures; k++) {
        wr_col *c = wr_frame_col(p->w->features, p->w->view->features[k].name);
        if (c->type == WR_TEXT) p->bad += !wr_str_eq(q.text[k], wr_col_text(c, row));
        else p->bad += !(q.num[k] == c->f32[row] || (isnan(q.num[k]) && isnan(c->f32[row])));
    }
    p->n++;
    return 0;
}

/* What is logged is what training computes, bit for bit, also across a restart and a drain in between. */
static void test_parity(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    size_t next = 0;
    double score[TRIPS], offline[TRIPS];
    const char *log = trips_path(w, ".weir/log");
    parity p = {.w = w};
    wr_drained d;
    wr_serve *s = start(w);
    play(w, s, 0, 100, "p", &next, score);
    OK(wr_applog_read(log, 1, check_record, &p, err));
    wr_serve_close(s); /* without a drain: the state comes back from the log */
    s = start(w);
    play(w, s, 100, 200, "p", &next, score);
    p.n = 0;
    OK(wr_applog_read(log, 1, check_record, &p, err));
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.predictions, 200);
    assert_int_equal(d.labels, 200);
    assert_int_equal(d.events, next);
    play(w, s, 200, 250, "p", &next, score);
    wr_serve_close(s); /* the state comes back from the snapshot and the log */
    s = start(w);
    play(w, s, 250, TRIPS, "p", &next, score);
    p.n += TRIPS - 200;
    OK(wr_serve_drain(&d, s, err));
    wr_serve_close(s);
    assert_int_equal(p.n, TRIPS);
    assert_int_equal(p.bad, 0);
    wr_package *k;
    OK(wr_package_load(&k, w->project, w->package[0], err));
    OK(wr_package_predict(offline, k, w->features, NULL, err));
    wr_package_free(k);
    for (size_t i = 0; i < TRIPS; i++) assert_true(score[i] == offline[i]);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\" WHERE version = 1 AND model = 'late'"),
                     TRIPS);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"labels.late\""), TRIPS);
    /* km: request and feature, once, as the feature; `to` is of the request only */
    assert_int_equal(trips_number(w, "SELECT count(*) FROM (DESCRIBE SELECT * FROM \"predictions.late\") WHERE "
                                     "column_name = 'km' AND column_type = 'FLOAT'"),
                     1);
    assert_int_equal(
        trips_number(
            w, "SELECT count(*) FROM (DESCRIBE SELECT * FROM \"predictions.late\") WHERE column_name IN ('to', 'at')"),
        2);
}

/* ---- feedback ---- */

static void test_feedback(void **state)
{
    trips *w = *state;
    size_t next = 0;
    wr_drained d;
    wr_run *run;
    wr_feedback_made made;
    trips_promote(w, 0);
    trips_dataset(w);
    wr_feedback_opt opt = {.endpoint = "late", .out = "late_feedback"};
    wr_run_opt ro = {"feedback", "data-collection", "late", "weir deploy feedback"};
    OK(wr_run_begin(&run, w->project, &ro, err));
    assert_int_equal(wr_feedback(&made, w->project, &opt, run, NULL), WEIR_ENOTFOUND);
    wr_serve *s = start(w);
    play(w, s, 0, 100, "f", &next, NULL);
    wr_round *r = wr_round_new(s);
    OK(wr_serve_label(r, WR_STR("late"), WR_STR("f0"), 7, TRIPS_FROM_US, err)); /* a second label: does not count */
    OK(wr_serve_label(r, WR_STR("late"), WR_STR("nobody"), 1, TRIPS_FROM_US, err));
    OK(wr_serve_round_end(r, err));
    wr_round_free(r);
    OK(wr_serve_drain(&d, s, err));
    wr_serve_close(s);
    OK(wr_feedback(&made, w->project, &opt, run, err));
    assert_int_equal(made.written.rows, 100);
    assert_int_equal(made.predictions, 100);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM late_feedback WHERE late NOT IN (0, 1)"), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM late_feedback f JOIN trips t USING (\"at\") WHERE f.late = "
                                     "(t.delay > 15)::INT AND f.km IS NOT DISTINCT FROM t.km"),
                     100);
    opt.has_until = true; /* the 30 minutes of row 9 are over, those of row 10 are not */
    opt.until_us = w->events->cols[0].i64[9];
    OK(wr_feedback(&made, w->project, &opt, run, err));
    assert_int_equal(made.written.rows, 10);
    OK(wr_run_end(run, 0, NULL, err));
}

/* ---- failures ---- */

/* A commit that fails acknowledges nothing, moves no state, and the log goes on. */
static void test_commit_fails(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    wr_err why = {0};
    wr_live *l;
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    for (int kind = WR_FAULT_WRITE; kind <= WR_FAULT_FSYNC; kind++) {
        int64_t before = wr_live_newest(l);
        send_event(w, s, r, (size_t)(kind * 10));
        wr_fault_arm((wr_fault_kind)kind, 1, false);
        assert_true(wr_serve_round_end(r, &why) < 0);
        wr_fault_arm((wr_fault_kind)kind, 0, false);
        assert_int_equal(wr_live_newest(l), before);
        send_event(w, s, r, (size_t)(kind * 10));
        OK(wr_serve_round_end(r, err));
        assert_int_equal(wr_live_newest(l), w->events->cols[0].i64[kind * 10]);
    }
    wr_round_free(r);
    wr_serve_close(s);
    s = start(w);
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    assert_int_equal(l->replayed, 2);
    wr_serve_close(s);
}

static void test_refusals(void **state)
{
    trips *w = *state;
    wr_err why = {0};
    wr_serve *s = start(w), *second;
    wr_served *m;
    wr_live *l;
    assert_int_equal(wr_serve_take(&m, s, WR_STR("late"), &why), WEIR_EUNAVAILABLE); /* no model yet */
    assert_false(wr_serve_ready(s));
    assert_int_equal(wr_serve_take(&m, s, WR_STR("lat"), &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.hint, "late"));
    assert_int_equal(wr_serve_open(&second, w->project, NULL, &why), WEIR_ECONFLICT);
    assert_true(why.hint[0]);
    trips_promote(w, 0);
    OK(wr_serve_refresh(s, err));
    assert_true(wr_serve_ready(s));
    assert_int_equal(wr_serve_view(&l, s, WR_STR("trip_features"), &why), WEIR_ENOTFOUND);
    assert_non_null(strstr(why.hint, "trips_features"));
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    wr_round *r = wr_round_new(s);
    wr_cell cells[4];
    double p;
    trips_event(w, 0, cells);
    assert_int_equal(wr_serve_event(r, l, wr_clock_wall_us() + 2 * WR_DAY_US, cells, &why), WEIR_EINVAL);
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    trips_request(w, 0, cells);
    cells[0].missing = true;
    assert_int_equal(wr_serve_predict(&p, r, m, cells, WR_STR("x"), &why), WEIR_EINVAL);
    wr_serve_give(m);
    assert_int_equal(wr_serve_label(r, WR_STR("late"), WR_STR(""), 1, 0, &why), WEIR_EINVAL);
    assert_int_equal(wr_serve_label(r, WR_STR("late"), WR_STR("a"), NAN, 0, &why), WEIR_EINVAL);
    wr_round_free(r);
    wr_serve_close(s);
}

/* ---- swaps ---- */

typedef struct {
    trips *w;
    wr_serve *s;
    atomic_bool stop;
    atomic_int answered, wrong;
} swapping;

static void *ask_on(void *ctx)
{
    swapping *x = ctx;
    wr_round *r = wr_round_new(x->s);
    wr_cell cells[4];
    trips_request(x->w, 0, cells);
    while (!atomic_load(&x->stop)) {
        wr_served *m;
        double score;
        wr_err why;
        if (wr_serve_take(&m, x->s, WR_STR("late"), &why) < 0) {
            atomic_fetch_add(&x->wrong, 1);
            continue;
        }
        const char *id = m->version == 1 ? x->w->package[0] : x->w->package[1];
        if (strcmp(wr_package_id(m->package), id) != 0) atomic_fetch_add(&x->wrong, 1);
        if (wr_serve_predict(&score, r, m, cells, WR_STR("x"), &why) < 0 || wr_serve_round_end(r, &why) < 0)
            atomic_fetch_add(&x->wrong, 1);
        wr_serve_give(m);
        atomic_fetch_add(&x->answered, 1);
    }
    wr_round_free(r);
    return NULL;
}

static void test_swap_under_load(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    swapping x = {.w = w, .s = start(w)};
    pthread_t t[2];
    wr_serve_status st;
    for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, ask_on, &x);
    for (int i = 0; i < 20; i++) {
        int had = atomic_load(&x.answered);
        while (atomic_load(&x.answered) < had + 5) usleep(200);
        trips_promote(w, (i + 1) % 2);
        OK(wr_serve_refresh(x.s, err));
        wr_serve_status_of(&st, x.s, 0);
        assert_int_equal(st.version, i % 2 ? 1 : 2);
    }
    atomic_store(&x.stop, true);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    assert_int_equal(atomic_load(&x.wrong), 0);
    wr_serve_close(x.s);
}

/* A model of another version of the view is refused, once, and the old one stays. */
static void test_rollback(void **state)
{
    trips *w = *state;
    char other[WR_SHA256_HEX];
    int64_t version;
    wr_event *e;
    size_t n;
    wr_serve_status st;
    trips_promote(w, 0);
    trips_train(w, trips_view(w, true), 5, other);
    wr_serve *s = start(w);
    OK(wr_model_register(&version, w->project, "late", other, "", "champion", err));
    OK(wr_serve_refresh(s, err));
    OK(wr_serve_refresh(s, err));
    wr_serve_status_of(&st, s, 0);
    assert_true(st.ready);
    assert_int_equal(st.version, 1);
    assert_true(st.error[0]);
    OK(wr_event_list(&e, &n, w->a, w->project, 0, "rollback", 10, err));
    assert_int_equal(n, 1);
    assert_non_null(strstr(e[0].payload, "another version of view"));
    trips_promote(w, 1);
    OK(wr_serve_refresh(s, err));
    wr_serve_status_of(&st, s, 0);
    assert_int_equal(st.version, 3);
    assert_false(st.error[0]);
    wr_serve_close(s);
}

/* ---- the base of a state ---- */

static void materialize(trips *w, size_t events)
{
    wr_online *o;
    const char *path;
    wr_cell cells[4];
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_online_new(&o, w->view, err));
    for (size_t i = 0; i < events; i++) {
        trips_event(w, i, cells);
        OK(wr_online_add(o, w->events->cols[0].i64[i], cells, err));
    }
    OK(wr_online_save(o, &b, err));
    wr_online_free(o);
    OK(wr_noun_online_path(&path, w->project, "trips_features", err));
    usleep(20000); /* file times are coarse */
    OK(wr_file_write(path, wr_buf_view(&b), err));
    usleep(20000);
}

static wr_live *live_of(wr_serve *s)
{
    wr_live *l = NULL;
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    return l;
}

static void send_one(trips *w, wr_serve *s, size_t i)
{
    wr_round *r = wr_round_new(s);
    send_event(w, s, r, i);
    OK(wr_serve_round_end(r, err));
    wr_round_free(r);
}

static void test_base_of_state(void **state)
{
    trips *w = *state;
    wr_drained d;
    const int64_t *at = w->events->cols[0].i64;
    trips_promote(w, 0);
    materialize(w, 10);
    wr_serve *s = start(w); /* nothing yet but the materialized file */
    assert_int_equal(live_of(s)->base, WR_LIVE_MATERIALIZED);
    assert_int_equal(wr_live_newest(live_of(s)), at[9]);
    send_one(w, s, 10);
    wr_serve_close(s);
    s = start(w); /* the event is newer than the file: it counts */
    assert_int_equal(live_of(s)->base, WR_LIVE_MATERIALIZED);
    assert_int_equal(live_of(s)->replayed, 1);
    OK(wr_serve_drain(&d, s, err));
    send_one(w, s, 11);
    wr_serve_close(s);
    s = start(w); /* snapshot and what came after it */
    assert_int_equal(live_of(s)->base, WR_LIVE_SNAPSHOT);
    assert_int_equal(live_of(s)->replayed, 1);
    assert_int_equal(wr_live_newest(live_of(s)), at[11]);
    wr_serve_close(s);
    materialize(w, 5); /* a deliberate reset: what was received before does not count */
    s = start(w);
    assert_int_equal(live_of(s)->base, WR_LIVE_MATERIALIZED);
    assert_int_equal(live_of(s)->replayed, 0);
    assert_int_equal(wr_live_newest(live_of(s)), at[4]);
    send_one(w, s, 6);
    OK(wr_serve_drain(&d, s, err));
    wr_serve_close(s);
    s = start(w);
    assert_int_equal(live_of(s)->base, WR_LIVE_SNAPSHOT);
    assert_int_equal(wr_live_newest(live_of(s)), at[6]);
    wr_serve_close(s);
    trips_write(w, ".weir/online/trips_features.online.state", "WEIRLIVEgarbage");
    s = start(w); /* damaged: the endpoint is not ready and says why, the server runs */
    wr_serve_status st;
    wr_serve_status_of(&st, s, 0);
    assert_false(st.ready);
    assert_non_null(strstr(st.error, "cannot be used"));
    wr_serve_close(s);
}

/* ---- drains that are killed ---- */

/* In a child: drain with the n-th crash point ending it. Returns whether it died there. */
static bool drain_killed(trips *w, long n)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        wr_project *p;
        wr_serve *s;
        wr_drained d;
        if (wr_project_open(&p, w->dir, NULL) < 0 || wr_serve_open(&s, p, NULL, NULL) < 0) _exit(3);
        wr_fault_arm(WR_FAULT_CRASH, n, false);
        if (wr_serve_drain(&d, s, NULL) < 0) _exit(4);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 137);
    return WEXITSTATUS(status) == 137;
}

/* A child makes new predictions, labels and events numbered i and leaves without a drain. */
static void log_some(trips *w, size_t from, size_t to)
{
    wr_project *p;
    OK(wr_project_open(&p, w->dir, err));
    wr_serve *s = NULL;
    OK(wr_serve_open(&s, p, NULL, err));
    size_t next = from;
    wr_round *r = wr_round_new(s);
    for (; next < to; next++) {
        predict(w, s, r, next, "k");
        send_label(w, r, next, "k");
        send_event(w, s, r, next);
    }
    OK(wr_serve_round_end(r, err));
    wr_round_free(r);
    wr_serve_close(s);
    wr_project_close(p);
}

static void test_drain_killed(void **state)
{
    trips *w = *state;
    trips_promote(w, 0);
    size_t done = 0;
    long n = 1, step = 1;
    for (int round = 0; round < 60; round++) { /* DuckDB is loaded by children only: it does not survive a fork */
        log_some(w, done, done + 3);
        done += 3;
        if (!drain_killed(w, n)) break;
        n += step;
        if (n > 6) step = 5; /* one after the other would take long; where it dies differs from round to round anyway */
    }
    assert_true(done > 12);
    assert_false(drain_killed(w, 100000));
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), done);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"predictions.late\""), done);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"labels.late\""), done);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"labels.late\""), done);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"events.trips_features\""), done);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT _time) FROM \"events.trips_features\""), done);
    wr_serve *s = start(w); /* and the state has every event once */
    wr_cell cells[4];
    float num[8];
    wr_str text[8];
    trips_request(w, done, cells);
    cells[0].ts = w->events->cols[0].i64[done - 1];
    wr_live_row(live_of(s), cells, num, text);
    wr_frame *rows = NULL, *events = NULL, *out = wr_frame_new();
    uint32_t *take = wr_arena_calloc(w->a, done, sizeof *take), one = (uint32_t)done;
    for (size_t i = 0; i < done; i++) take[i] = (uint32_t)i;
    OK(wr_frame_take(&rows, w->rows, &one, 1, err));
    OK(wr_frame_take(&events, w->events, take, done, err));
    rows->cols[0].i64[0] = cells[0].ts;
    OK(wr_view_compute(out, w->view, rows, events, NULL, err));
    for (size_t k = 0; k < w->view->nfeatures; k++) {
        wr_col *c = wr_frame_col(out, w->view->features[k].name);
        if (c->type == WR_F32) assert_true(num[k] == c->f32[0] || (isnan(num[k]) && isnan(c->f32[0])));
    }
    wr_frame_free(rows);
    wr_frame_free(events);
    wr_frame_free(out);
    wr_serve_close(s);
}

/* ---- changed views, strays, the ledger ---- */

/* After a restart with another version of the view the dataset has both. */
static void test_changed_view(void **state)
{
    trips *w = *state;
    char other[WR_SHA256_HEX];
    int64_t version;
    wr_drained d;
    size_t next = 0;
    trips_promote(w, 0);
    wr_serve *s = start(w);
    play(w, s, 0, 20, "a", &next, NULL);
    OK(wr_serve_drain(&d, s, err));
    play(w, s, 20, 30, "a", &next, NULL);
    wr_serve_close(s); /* some are of the old view and not drained yet */
    trips_train(w, trips_view(w, true), 5, other);
    OK(wr_model_register(&version, w->project, "late", other, "", "champion", err));
    s = start(w);
    play(w, s, 30, 45, "a", &next, NULL);
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.predictions, 25);
    wr_serve_close(s);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), 45);
    assert_int_equal(trips_number(w, "SELECT count(DISTINCT prediction_id) FROM \"predictions.late\""), 45);
    assert_int_equal(trips_number(w, "SELECT count(trips_1h) FROM \"predictions.late\""), 15);
}

/* Events of a view that nobody serves any more are kept in its snapshot before their segment goes. */
static void test_stray(void **state)
{
    trips *w = *state;
    wr_drained d;
    trips_promote(w, 0);
    wr_serve *s = start(w);
    send_one(w, s, 0);
    send_one(w, s, 1);
    wr_serve_close(s);
    wr_project_close(w->project);
    trips_write(w, "weir.yaml", "endpoints: {}\n");
    OK(wr_project_open(&w->project, w->dir, err));
    s = start(w);
    OK(wr_serve_drain(&d, s, err));
    assert_int_equal(d.events, 2);
    wr_serve_close(s);
    wr_project_close(w->project);
    trips_write(w, "weir.yaml", "endpoints:\n  late: {model: late@champion, threshold: 0.4}\n");
    OK(wr_project_open(&w->project, w->dir, err));
    s = start(w);
    assert_int_equal(live_of(s)->base, WR_LIVE_SNAPSHOT);
    assert_int_equal(wr_live_newest(live_of(s)), w->events->cols[0].i64[1]);
    wr_serve_close(s);
}

static void test_ledger(void **state)
{
    trips *w = *state;
    size_t next = 0, n;
    wr_footprint *f;
    trips_promote(w, 0);
    wr_serve *s = start(w);
    OK(wr_serve_footprint(s, false, err)); /* nothing yet: no row */
    play(w, s, 0, 30, "l", &next, NULL);
    OK(wr_serve_footprint(s, false, err));
    OK(wr_serve_footprint(s, false, err));
    OK(wr_footprint_list(&f, &n, w->a, w->project, "serve", err));
    assert_int_equal(n, 1);
    assert_true(f[0].units == 30 && strcmp(f[0].unit, "predictions") == 0 &&
                strcmp(f[0].subject, "endpoint:late") == 0);
    assert_string_equal(f[0].answered_by, "model:late@1");
    assert_true(f[0].cpu_s > 0 && f[0].energy.energy_j > 0 && f[0].t1_us > f[0].t0_us);
    OK(wr_serve_footprint(s, true, err));
    OK(wr_footprint_list(&f, &n, w->a, w->project, "serve", err));
    assert_int_equal(n, 2);
    assert_true(f[1].units == 0 && !f[1].answered_by[0]);
    assert_true(wr_serve_energy(s) > 0);
    wr_serve_close(s);
}

static void test_ids(void **state)
{
    trips *w = *state;
    char a[WR_SERVE_ID], b[WR_SERVE_ID];
    wr_serve *s = start(w);
    for (int i = 0; i < 40; i++) {
        size_t n = wr_serve_id(s, a);
        assert_int_equal(n, strlen(a));
        (void)wr_serve_id(s, b);
        assert_string_not_equal(a, b);
    }
    wr_serve_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_drain_killed), TEST(test_parity),        TEST(test_feedback),
                                       TEST(test_commit_fails), TEST(test_refusals),      TEST(test_swap_under_load),
                                       TEST(test_rollback),     TEST(test_base_of_state), TEST(test_changed_view),
                                       TEST(test_stray),        TEST(test_ledger),        TEST(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
