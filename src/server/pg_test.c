/* SPDX-License-Identifier: Apache-2.0 */
/* pg_test.c - two real programs on one PostgreSQL database: what one was told the other one knows; restarts of the
 * database and SIGKILL of a program under load lose nothing that was acknowledged, and make nothing up. */
#include "server/program_testing.h"
#include "server/server_testing.h"

#include <pthread.h>

#include "base/rng.h"
#include "store/pg_testing.h"

enum { SERVERS = 2, WRITERS = 8, MOST = 20000, RESTARTS = 3 };

static char dirs[SERVERS][128];
static program programs[SERVERS];
static char url[WR_PG_TESTING_URL], run[40];
static atomic_bool stop;

static void launch(int number)
{
    if (!program_launch(&programs[number], dirs[number], "0"))
        fail_msg("it does not come up; see %s/up.err", dirs[number]);
}

static int setup(void **state)
{
    (void)state;
    if (wr_pg_testing_start(url) < 0) return -1;
    for (int i = 0; i < SERVERS; i++) {
        char path[160], text[300];
        const char *tmp = getenv("TMPDIR");
        snprintf(dirs[i], sizeof dirs[i], "%.90s/weir-two-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(dirs[i])) return -1;
        snprintf(path, sizeof path, "%s/weir.yaml", dirs[i]);
        snprintf(text, sizeof text, "database: %s\n", url);
        if (wr_file_write(path, wr_str_of(text), NULL) < 0) return -1;
        launch(i);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        if (program_end(&programs[i], SIGTERM) != 0) return -1;
        wr_file_remove_tree(dirs[i], NULL);
    }
    return 0;
}

/* --- load --- */

typedef struct {
    int number, sent;
    bool acked[MOST];
} writer;

static wr_http_client *client_of(const program *p)
{
    char at[64];
    wr_http_client *c = NULL;
    snprintf(at, sizeof at, "http://127.0.0.1:%d", atomic_load(&p->port));
    return wr_http_client_open(&c, at, 60000, NULL) < 0 ? NULL : c;
}

/* Each has its metric; the value is a function of the step. A program that is gone is asked again at its new port. */
static void *write_main(void *arg)
{
    writer *w = arg;
    const program *p = &programs[w->number % SERVERS];
    wr_http_client *c = client_of(p);
    for (; w->sent < MOST && !atomic_load(&stop); w->sent++) {
        char body[300];
        snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"m%d\",\"value\":%d.5,\"timestamp\":%d,\"step\":%d}",
                 run, w->number, w->sent * 3, w->sent + 1, w->sent);
        int status = c ? call(c, "POST", "/api/2.0/mlflow/runs/log-metric", body, NULL) : -1;
        w->acked[w->sent] = status == 200;
        if (status > 0 && status != 200 && status != 503) fail_msg("status %d", status);
        if (status > 0) continue;
        wr_http_client_close(c);
        usleep(20000);
        c = client_of(p);
    }
    wr_http_client_close(c);
    return NULL;
}

static size_t check(const writer *w)
{
    char target[200];
    wr_str reply;
    WR_AUTOJSON wr_json j = {0};
    static bool there[MOST];
    size_t acked = 0, i, n;
    yyjson_val *metrics, *m;
    wr_err e = {0};
    wr_http_client *c = client_of(&programs[(w->number + 1) % SERVERS]); /* of the other one */
    memset(there, 0, sizeof there);
    snprintf(target, sizeof target, "/api/2.0/mlflow/metrics/get-history?run_id=%s&metric_key=m%d&max_results=25000",
             run, w->number);
    assert_int_equal(call(c, "GET", target, "", &reply), 200);
    if (wr_json_parse(&j, reply, "history", &e) < 0 || wr_json_arr(&metrics, j.root, "metrics", &e) < 0)
        fail_msg("%s", e.msg);
    yyjson_arr_foreach(metrics, i, n, m)
    {
        int64_t step = yyjson_get_sint(yyjson_obj_get(m, "step"));
        assert_in_range(step, 0, w->sent);
        assert_true(yyjson_get_num(yyjson_obj_get(m, "value")) == (double)step * 3 + 0.5);
        assert_false(there[step]);
        there[step] = true;
    }
    for (int k = 0; k < w->sent; k++) {
        if (w->acked[k] && !there[k]) fail_msg("m%d step %d was acknowledged and is not there", w->number, k);
        acked += w->acked[k];
    }
    wr_http_client_close(c);
    return acked;
}

static void make_run(void)
{
    wr_str reply, id;
    wr_json j = {0};
    wr_err e = {0};
    yyjson_val *part;
    wr_http_client *c = client_of(&programs[0]), *other = client_of(&programs[1]);
    assert_int_equal(call(c, "POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\":\"0\"}", &reply), 200);
    if (wr_json_parse(&j, reply, "run", &e) < 0 || wr_json_obj(&part, j.root, "run", &e) < 0 ||
        wr_json_obj(&part, part, "info", &e) < 0 || wr_json_str(&id, part, "run_id", &e) < 0)
        fail_msg("%s", e.msg);
    snprintf(run, sizeof run, "%.*s", WR_STR_FMT(id));
    wr_json_free(&j);
    char target[100];
    snprintf(target, sizeof target, "/api/2.0/mlflow/runs/get?run_id=%s", run);
    assert_int_equal(call(other, "GET", target, "", &reply), 200); /* at once */
    wr_http_client_close(c);
    wr_http_client_close(other);
}

static void two_programs_one_database(void **state)
{
    (void)state;
    static writer w[WRITERS];
    pthread_t t[WRITERS];
    wr_rng rng;
    wr_rng_init(&rng, (uint64_t)getpid());
    make_run();
    atomic_store(&stop, false);
    for (int i = 0; i < WRITERS; i++) {
        w[i].number = i;
        assert_int_equal(pthread_create(&t[i], NULL, write_main, &w[i]), 0);
    }
    for (int i = 0; i < RESTARTS; i++) {
        usleep((useconds_t)(100000 + wr_rng_below(&rng, 400000)));
        assert_int_equal(wr_pg_testing_restart(), 0);
        usleep((useconds_t)(100000 + wr_rng_below(&rng, 400000)));
        int which = (int)wr_rng_below(&rng, SERVERS);
        assert_int_equal(program_end(&programs[which], SIGKILL), 128 + SIGKILL);
        launch(which);
    }
    usleep(300000);
    atomic_store(&stop, true);
    size_t acked = 0;
    for (int i = 0; i < WRITERS; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < WRITERS; i++) acked += check(&w[i]);
    print_message("%zu acknowledged points, all there\n", acked);
    assert_true(acked > 50);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    unsetenv("WEIR_DATABASE");
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(two_programs_one_database, setup, teardown)};
    return cmocka_run_group_tests_name("pg", tests, NULL, NULL);
}
