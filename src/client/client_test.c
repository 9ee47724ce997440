/* SPDX-License-Identifier: Apache-2.0 */
/* client_test.c - the library against a server of the test that counts, fails, refuses, and gives other ids; and the
 * spool's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/spool.h"
#include "codec/json.h"
#include "io/file.h"
#include "io/http_server.h"
#include "weir/weir.h"

/* ---- a tracking server ---- */

enum { STEPS = 100000 };

static struct {
    wr_http_server *http;
    pthread_t thread;
    int port;
    atomic_int creates, batches, metrics, params, tags, ended, fail /* so many requests get 503 */,
        refuse /* every batch with this key: 400 */;
    char run[80], other[80]; /* the id that it was asked for, the one it gives */
    atomic_uchar seen[STEPS];
} server;

static void reply(wr_http_req *r, int status, const char *text)
{
    wr_http_reply(r, &(wr_http_reply_opt){.status = status}, wr_str_of(text));
}

static void take_batch(wr_http_req *r, yyjson_val *o)
{
    yyjson_val *v;
    size_t i, max;
    const char *run = yyjson_get_str(yyjson_obj_get(o, "run_id"));
    assert_non_null(run);
    yyjson_arr_foreach(yyjson_obj_get(o, "params"), i, max, v)
    {
        if (strcmp(yyjson_get_str(yyjson_obj_get(v, "key")), "bad") == 0) {
            reply(r, 400, "{\"error_code\":\"INVALID_PARAMETER_VALUE\"}");
            return;
        }
        server.params++;
    }
    yyjson_arr_foreach(yyjson_obj_get(o, "metrics"), i, max, v)
    {
        int64_t step = yyjson_get_sint(yyjson_obj_get(v, "step"));
        server.metrics++;
        if (step >= 0 && step < STEPS) server.seen[step]++;
    }
    server.tags += (int)yyjson_arr_size(yyjson_obj_get(o, "tags"));
    server.batches++;
    reply(r, 200, "{}");
}

static void handle(wr_http_req *r)
{
    char text[300];
    const wr_http_head *h = wr_http_req_head(r);
    WR_AUTOJSON wr_json j = {0};
    if (server.fail > 0) {
        server.fail--;
        reply(r, 503, "{}");
        return;
    }
    if (wr_str_ends(h->path, "/get-by-name")) {
        reply(r, 404, "{}");
        return;
    }
    wr_json_parse(&j, wr_http_req_body(r), "body", NULL);
    if (wr_str_ends(h->path, "/experiments/create")) reply(r, 200, "{\"experiment_id\":\"7\"}");
    else if (wr_str_ends(h->path, "/runs/create")) {
        server.creates++;
        snprintf(server.run, sizeof server.run, "%s", yyjson_get_str(yyjson_obj_get(j.root, "run_id")));
        snprintf(text, sizeof text, "{\"run\":{\"info\":{\"run_id\":\"%s\"}}}",
                 server.other[0] ? server.other : server.run);
        reply(r, 200, text);
    } else if (wr_str_ends(h->path, "/runs/update")) {
        server.ended++;
        reply(r, 200, "{}");
    } else take_batch(r, j.root);
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    (void)r;
    *out = (wr_http_route){.handle = handle, .body_max = 16 << 20};
}

static void *serve(void *arg)
{
    wr_err err;
    (void)arg;
    (void)wr_http_server_run(server.http, &err);
    return NULL;
}

static void up(void)
{
    wr_err err = {0};
    wr_http_server_opt opt = {.port = server.port, .route = route};
    if (wr_http_server_open(&server.http, &opt, &err) < 0) fail_msg("%s", err.msg);
    server.port = wr_http_server_port(server.http);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void down(void)
{
    wr_http_server_stop(server.http, 100);
    pthread_join(server.thread, NULL);
    wr_http_server_close(server.http);
    server.http = NULL;
}

static char dir[64], url[64];

static int setup(void **state)
{
    (void)state;
    memset(&server, 0, sizeof server);
    snprintf(dir, sizeof dir, "/tmp/weir-client-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    up();
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
    unsetenv("MLFLOW_RUN_ID");
    unsetenv("MLFLOW_TRACKING_TOKEN");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (server.http) down();
    return wr_file_remove_tree(dir, NULL);
}

static weir_run *start(const char *id, size_t buffer)
{
    weir_run *r = NULL;
    assert_int_equal(
        weir_run_start(
            &r, &(weir_run_options){.url = url, .spool = dir, .run_id = id, .buffer = buffer, .experiment = "a b"}),
        0);
    return r;
}

static void all_seen(int n)
{
    for (int i = 0; i < n; i++)
        if (!server.seen[i]) fail_msg("step %d is missing", i);
}

/* ---- tests ---- */

static void test_everything_arrives(void **state)
{
    weir_run_counts c;
    (void)state;
    weir_run *r = start(NULL, 0);
    assert_int_equal(strlen(weir_run_id(r)), 32);
    assert_int_equal(weir_log_param(r, "rate", "0.1"), 0);
    assert_int_equal(weir_set_tag(r, "who", "me"), 0);
    for (int i = 0; i < 5000; i++) assert_int_equal(weir_log_metric(r, "loss", 1.0 / (i + 1), i), 0);
    assert_int_equal(weir_run_flush(r, 10000), 0);
    weir_run_counters(r, &c);
    assert_int_equal(c.logged, 5002);
    assert_int_equal(c.acknowledged, 5002);
    assert_int_equal(c.dropped + c.refused, 0);
    all_seen(5000);
    assert_int_equal(server.params, 1);
    assert_int_equal(server.tags, 1);
    assert_int_equal(server.ended, 0);
    assert_string_equal(server.run, weir_run_id(r));
    assert_int_equal(weir_run_end(r, WEIR_RUN_FINISHED, 10000), 0);
    assert_int_equal(server.ended, 1);
    assert_int_equal(server.creates, 1);
    assert_int_equal(rmdir(dir), 0); /* nothing is left */
    assert_int_equal(mkdir(dir, 0700), 0);
}

static void test_server_comes_and_goes(void **state)
{
    (void)state;
    down();
    weir_run *r = start(NULL, 0);
    for (int i = 0; i < 2000; i++) weir_log_metric(r, "loss", i, i);
    assert_int_equal(weir_run_flush(r, 300), WEIR_CLIENT_ELATER);
    char why[256];
    weir_run_last_error(r, why, sizeof why);
    assert_true(strstr(why, "connect") != NULL);
    up();
    server.fail = 3;
    for (int i = 2000; i < 4000; i++) weir_log_metric(r, "loss", i, i);
    for (int turn = 0; turn < 50 && weir_run_flush(r, 200) != 0; turn++) continue;
    down();
    for (int i = 4000; i < 5000; i++) weir_log_metric(r, "loss", i, i);
    usleep(200000);
    up();
    assert_int_equal(weir_run_end(r, WEIR_RUN_KILLED, 20000), 0);
    all_seen(5000);
    assert_int_equal(server.ended, 1);
}

/* MLflow's own server takes no id: its id is used, also after a restart of the program. */
static void test_another_id(void **state)
{
    (void)state;
    snprintf(server.other, sizeof server.other, "feedfeedfeedfeed");
    weir_run *r = start(NULL, 0);
    weir_log_metric(r, "loss", 1, 0);
    assert_int_equal(weir_run_flush(r, 10000), 0);
    down();
    weir_log_metric(r, "loss", 1, 1);
    assert_int_equal(weir_run_end(r, WEIR_RUN_FINISHED, 200), WEIR_CLIENT_ELATER);
    up();
    size_t left = 9;
    assert_int_equal(weir_spool_send(dir, 10000, &left), 0);
    assert_int_equal(left, 0);
    all_seen(2);
    assert_int_equal(server.creates, 1);
    assert_int_equal(server.ended, 1);
}

static void test_refused_is_passed_over(void **state)
{
    weir_run_counts c;
    (void)state;
    weir_run *r = start(NULL, 0);
    weir_log_param(r, "bad", "x");
    weir_log_metric(r, "loss", 1, 0);
    weir_log_param(r, "good", "x");
    assert_int_equal(weir_run_flush(r, 10000), 0);
    weir_run_counters(r, &c);
    assert_int_equal(c.refused, 1);
    assert_int_equal(c.acknowledged, 2);
    assert_int_equal(weir_run_end(r, WEIR_RUN_FAILED, 10000), 0);
}

static void test_a_full_buffer_drops(void **state)
{
    weir_run_counts c;
    int full = 0;
    (void)state;
    weir_run *r = start(NULL, 1000);
    for (int i = 0; i < 3000; i++) full += weir_log_metric(r, "loss", i, i) == WEIR_CLIENT_EFULL;
    assert_int_equal(weir_run_flush(r, 10000), 0);
    weir_run_counters(r, &c);
    assert_true(full > 0);
    assert_int_equal(c.dropped, full);
    assert_int_equal(c.acknowledged + c.dropped, 3000);
    assert_int_equal(weir_run_end(r, WEIR_RUN_FINISHED, 10000), 0);
}

/* A trainer that dies: what it had spooled goes on by another. */
static void test_killed(void **state)
{
    (void)state;
    int pipes[2];
    char ready;
    down(); /* no threads across fork */
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        weir_run *r;
        if (weir_run_start(&r, &(weir_run_options){.url = url, .spool = dir, .experiment = "e"}) < 0) _exit(1);
        for (int i = 0; i < 1000; i++) weir_log_metric(r, "loss", i, i);
        weir_run_flush(r, 400);
        if (write(pipes[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(pipes[0], &ready, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    up();
    size_t left;
    assert_int_equal(weir_spool_send(dir, 10000, &left), 0);
    all_seen(1000);
    assert_int_equal(server.ended, 0); /* nobody knows how it ended */
}

static void test_bad_options(void **state)
{
    weir_run *r;
    (void)state;
    assert_int_equal(weir_run_start(&r, &(weir_run_options){.url = "ftp://x", .spool = dir}), WEIR_CLIENT_EINVAL);
    assert_int_equal(weir_run_start(&r, &(weir_run_options){.url = url, .spool = dir, .run_id = "a/b"}),
                     WEIR_CLIENT_EINVAL);
    assert_int_equal(weir_run_start(&r, &(weir_run_options){.url = url, .spool = "/proc/nothing/here"}),
                     WEIR_CLIENT_EIO);
    r = start("abc", 0);
    assert_int_equal(weir_log_metric(r, NULL, 1, 1), WEIR_CLIENT_EINVAL);
    assert_int_equal(weir_log_metric(r, "", 1, 1), WEIR_CLIENT_EINVAL);
    assert_int_equal(weir_log_param(r, "k", NULL), WEIR_CLIENT_EINVAL);
    weir_run *again = start("abc", 0); /* the same run, another spool */
    weir_log_metric(again, "k", 1, 3);
    assert_int_equal(weir_run_end(again, WEIR_RUN_FINISHED, 10000), 0);
    assert_int_equal(weir_run_end(r, WEIR_RUN_FINISHED, 10000), 0);
    assert_int_equal(server.creates, 0); /* an id that was given is of a run that is there */
    assert_int_equal(server.seen[3], 1);
}

/* ---- the file ---- */

static void test_torn_spool(void **state)
{
    wr_err err = {0};
    wr_spool *s;
    WR_AUTOBUF wr_buf b = {0};
    char path[128];
    (void)state;
    assert_int_equal(wr_spool_create(&s, dir, "run", &err), 0);
    for (int i = 0; i < 3; i++)
        wr_spool_encode(&b,
                        &(wr_spool_record){
                            .kind = WR_SPOOL_METRIC, .step = i, .value = i, .key = WR_STR("key"), .text = WR_STR("")});
    size_t whole = b.n / 3;
    assert_int_equal(wr_spool_append(s, wr_buf_view(&b), &err), 0);
    wr_spool *second;
    assert_int_equal(wr_spool_open(&second, dir, "run", &err), WEIR_ECONFLICT);
    uint64_t size = wr_spool_size(s);
    assert_int_equal(wr_spool_note(s, 8 + whole, "server-run", &err), 0);
    wr_spool_close(s);
    snprintf(path, sizeof path, "%s/run.spool", dir);
    for (size_t cut = 1; cut <= whole; cut += 5) {
        assert_int_equal(truncate(path, (off_t)(size - cut)), 0);
        assert_int_equal(wr_spool_open(&s, dir, "run", &err), 0);
        assert_int_equal(wr_spool_size(s), 8 + 2 * whole);
        assert_int_equal(wr_spool_sent(s), 8 + whole);
        assert_string_equal(wr_spool_server_run(s), "server-run");
        assert_int_equal(wr_spool_append(s, wr_str_sub(wr_buf_view(&b), 2 * whole, b.n), &err), 0);
        wr_spool_close(s);
    }
    int fd = open(path, O_WRONLY); /* a byte turned over in the second record: what is behind it is not trusted */
    assert_int_equal(pwrite(fd, "\xff", 1, (off_t)(8 + whole + 20)), 1);
    close(fd);
    assert_int_equal(wr_spool_open(&s, dir, "run", &err), 0);
    assert_int_equal(wr_spool_size(s), 8 + whole);
    wr_spool_remove(s);
    assert_int_equal(wr_spool_open(&s, dir, "run", &err), WEIR_ENOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_everything_arrives),  T(test_server_comes_and_goes),
                                       T(test_another_id),          T(test_refused_is_passed_over),
                                       T(test_a_full_buffer_drops), T(test_killed),
                                       T(test_bad_options),         T(test_torn_spool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
