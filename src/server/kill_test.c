/* SPDX-License-Identifier: Apache-2.0 */
/* kill_test.c - the real program: killed at random moments under load, it loses nothing that it acknowledged and
 * doubles nothing. And its manners: one line when it is up, small when idle, exit 0 on SIGTERM, exit 2 with a hint when
 * it cannot start. */
#include "server/program_testing.h"
#include "server/server_testing.h"

#include <pthread.h>

#include "base/rng.h"
#include "base/vec.h"

/* ---- load until it dies ---- */

typedef struct {
    trips *w;
    size_t next;
    WR_VEC(size_t) predictions, labels, events;
} ledger; /* what was acknowledged, by number */

typedef enum { PREDICT, LABEL, EVENT, KINDS } kind;

static void queue(ledger *g, wr_http_client *c, kind k, size_t i, wr_buf *b)
{
    const char *id = wr_arena_printf(g->w->a, "%zu", i);
    const char *body = k == PREDICT ? infer_body(g->w, b, id, i, i + 1)
                       : k == LABEL ? wr_arena_printf(g->w->a, "{\"labels\":[{\"id\":\"%zu\",\"label\":1}]}", i)
                                    : events_body(g->w, b, 0, 1, (int64_t)i); /* told apart by their time */
    static const char *const target[] = {"/v2/models/late/infer", "/api/weir/1/endpoints/late/labels",
                                         "/api/weir/1/views/trips_features/events"};
    (void)wr_http_client_send(c, "POST", target[k], NULL, wr_str_of(body), NULL);
}

static void acknowledge(ledger *g, kind k, size_t i)
{
    int rc = k == PREDICT ? wr_vec_push(&g->predictions, i)
             : k == LABEL ? wr_vec_push(&g->labels, i)
                          : wr_vec_push(&g->events, i);
    assert_int_equal(rc, 0);
}

/* Several requests in flight; false when the server is gone. */
static bool burst(ledger *g, wr_http_client *c, wr_buf *b)
{
    enum { N = 12 };
    int status;
    wr_str reply = {"", 0};
    size_t first = g->next;
    for (size_t i = 0; i < N; i++) queue(g, c, (kind)((first + i) % KINDS), first + i, b);
    g->next += N;
    if (wr_http_client_flush(c, NULL) < 0) return false;
    for (size_t i = 0; i < N; i++) {
        if (wr_http_client_recv(c, &status, &reply, NULL) < 0) return false;
        assert_int_equal(status, 200);
        acknowledge(g, (kind)((first + i) % KINDS), first + i);
    }
    return true;
}

static void *killer(void *ctx)
{
    const int64_t *plan = ctx; /* pid, microseconds */
    usleep((useconds_t)plan[1]);
    kill((pid_t)plan[0], SIGKILL);
    return NULL;
}

/* Every number in `v` stands once in the dataset, and no number stands there twice. */
static void verify(trips *w, const size_t *at, size_t n, const char *dataset, const char *expression)
{
    WR_AUTOBUF wr_buf sql = {0};
    char text[300];
    wr_buf_str(&sql, "SELECT count(*) FROM (VALUES (-1)");
    for (size_t i = 0; i < n; i++) wr_buf_printf(&sql, ",(%zu)", at[i]);
    wr_buf_printf(&sql, ") a(n) JOIN (SELECT %s AS n FROM \"%s\") d ON a.n = d.n", expression, dataset);
    assert_int_equal(trips_number(w, wr_buf_cstr(&sql)), n);
    snprintf(text, sizeof text, "SELECT count(*) - count(DISTINCT %s) FROM \"%s\"", expression, dataset);
    assert_int_equal(trips_number(w, text), 0);
}

static void test_kill(void **state)
{
    trips *w = *state;
    ledger g = {.w = w};
    WR_AUTOBUF wr_buf b = {0};
    program p;
    wr_rng r;
    wr_rng_init(&r, (uint64_t)getpid());
    trips_promote(w, 0);
    for (int life = 0; life < 10; life++) {
        assert_true(program_launch(&p, w->dir, "0"));
        int64_t plan[2] = {p.pid, (int64_t)(5000 + wr_rng_below(&r, 150000))};
        pthread_t t;
        wr_http_client *c = client_at(p.port), *flusher = client_at(p.port);
        if (life % 3 == 2) { /* killed while it drains */
            (void)wr_http_client_send(flusher, "POST", "/api/weir/1/flush", NULL, (wr_str){"", 0}, NULL);
            (void)wr_http_client_flush(flusher, NULL);
            plan[1] *= 3;
        }
        pthread_create(&t, NULL, killer, plan);
        while (burst(&g, c, &b)) continue;
        pthread_join(t, NULL);
        assert_int_equal(program_wait(&p), 128 + SIGKILL);
        wr_http_client_close(c);
        wr_http_client_close(flusher);
    }
    assert_true(program_launch(&p, w->dir, "0"));
    wr_http_client *c = client_at(p.port);
    assert_true(burst(&g, c, &b));
    assert_int_equal(call(c, "POST", "/api/weir/1/flush", "", NULL), 200);
    assert_true(burst(&g, c, &b));
    wr_http_client_close(c);
    assert_int_equal(program_end(&p, SIGTERM), 0); /* drains the rest */
    assert_true(g.predictions.n > 20 && g.labels.n > 20 && g.events.n > 20);
    verify(w, g.predictions.at, g.predictions.n, "predictions.late", "CAST(prediction_id AS BIGINT)");
    verify(w, g.labels.at, g.labels.n, "labels.late", "CAST(prediction_id AS BIGINT)");
    char expression[100];
    snprintf(expression, sizeof expression, "epoch_us(_time) - %lld", (long long)w->events->cols[0].i64[0]);
    verify(w, g.events.at, g.events.n, "events.trips_features", expression);
    wr_vec_fini(&g.predictions);
    wr_vec_fini(&g.labels);
    wr_vec_fini(&g.events);
}

/* ---- manners ---- */

static bool said(trips *w, const char *text)
{
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_file_read(&b, trips_path(w, "up.err"), 1 << 20, err));
    return strstr(wr_buf_cstr(&b), text) != NULL;
}

static void test_manners(void **state)
{
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0};
    program p, second;
    char port[16];
    trips_promote(w, 0);
    assert_true(program_launch(&p, w->dir, "0"));
    wr_http_client *c = client_at(p.port);
    assert_int_equal(call(c, "POST", "/v2/models/late/infer", infer_body(w, &b, NULL, 0, 1), NULL), 200);
#ifndef __SANITIZE_ADDRESS__
    assert_in_range(program_resident_kb(&p), 1, 32 << 10);
#else
    assert_true(program_resident_kb(&p) > 0);
#endif
    snprintf(port, sizeof port, "%d", p.port);
    assert_false(program_launch(&second, w->dir, port)); /* the port */
    assert_int_equal(second.pid, -2);
    assert_true(said(w, "is in use") && said(w, "hint:"));
    assert_false(program_launch(&second, w->dir, "0")); /* the project */
    assert_int_equal(second.pid, -2);
    assert_true(said(w, "served already") && said(w, "hint:"));
    wr_http_client_close(c);
    assert_int_equal(program_end(&p, SIGINT), 0);
    assert_int_equal(trips_number(w, "SELECT count(*) FROM \"predictions.late\""), 1);
    wr_project_close(w->project);
    trips_write(w, "weir.yaml", "endpoints: [late]\n");
    OK(wr_project_open(&w->project, w->dir, err));
    assert_false(program_launch(&second, w->dir, "0"));
    assert_true(second.pid < 0 && said(w, "weir.yaml:1"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, trips_make, trips_end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_kill), TEST(test_manners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
