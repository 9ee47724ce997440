/* SPDX-License-Identifier: Apache-2.0 */
/* batching_test.c - requests over the wire that share runs, told by the statistics; each gets its own answer. */
#include <poll.h>

#include "base/clock.h"
#include "server/models_testing.h"

static int setup(void **state)
{
    (void)state;
    loops = 1;
    return setup_from(WEIR_SOURCE_DIR);
}

static void put_input(wr_buf *b, const char *name, int value)
{
    wr_buf_printf(b, "{\"name\":\"%s\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[", name);
    for (int i = 0; i < 16; i++) wr_buf_printf(b, "%s%d", i ? "," : "", value);
    wr_buf_str(b, "]}");
}

/* The first input is all `value`, the second all ones. */
static void put_request(wr_buf *out, const char *model, int value)
{
    WR_AUTOBUF wr_buf body = {0};
    wr_buf_str(&body, "{\"inputs\":[");
    put_input(&body, "INPUT0", value);
    wr_buf_char(&body, ',');
    put_input(&body, "INPUT1", 1);
    wr_buf_printf(&body, "],\"id\":\"%d\"}", value);
    wr_buf_printf(out, "POST /v2/models/%s/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", model,
                  body.n, wr_buf_cstr(&body));
}

static void say(int fd, const wr_buf *out) { assert_int_equal(send(fd, out->p, out->n, MSG_NOSIGNAL), out->n); }

static void ask(int fd, const char *model, int value)
{
    WR_AUTOBUF wr_buf out = {0};
    put_request(&out, model, value);
    say(fd, &out);
}

static bool readable(int fd, int ms) { return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) == 1; }

/* Answers that come until `n` are there: to `value`, value + 1, ... */
static void hear(int fd, int value, int n)
{
    WR_AUTOBUF wr_buf in = {0};
    const char *p = NULL;
    for (int k = 0; k < n;) {
        char want[60];
        assert_true(readable(fd, 5000));
        assert_true(wr_buf_reserve(&in, 64 << 10));
        size_t from = p ? (size_t)(p - in.p) : 0;
        ssize_t got = recv(fd, in.p + in.n, 64 << 10, 0);
        assert_true(got > 0);
        in.n += (size_t)got;
        in.p[in.n] = 0;
        for (p = in.p + from; k < n; k++) {
            const char *next = strstr(p, "}]}");
            if (!next) break;
            assert_int_equal(strncmp(p, "HTTP/1.1 200", 12), 0);
            snprintf(want, sizeof want, "\"id\":\"%d\"", value + k);
            assert_true(strstr(p, want) && strstr(p, want) < next);
            snprintf(want, sizeof want, "\"data\":[%d,%d,", value + k + 1, value + k + 1);
            assert_true(strstr(p, want) && strstr(p, want) < next);
            p = next + 3;
        }
    }
    assert_true(p && *p == 0);
}

/* A count of the model's statistics. */
static int count(const char *model, const char *what)
{
    WR_AUTOBUF wr_buf b = {0};
    char path[100], key[60];
    snprintf(path, sizeof path, "/v2/models/%s/stats", model);
    snprintf(key, sizeof key, "\"%s\":", what);
    int fd = dial();
    wr_buf_printf(&b, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    say(fd, &b);
    wr_buf_clear(&b);
    for (ssize_t got = 1; got > 0;) {
        assert_true(wr_buf_reserve(&b, 4096));
        got = recv(fd, b.p + b.n, 4096, 0);
        if (got > 0) b.n += (size_t)got;
    }
    close(fd);
    assert_true(wr_buf_reserve(&b, 1));
    b.p[b.n] = 0;
    const char *at = strstr(b.p, key);
    assert_non_null(at);
    return (int)strtol(at + strlen(key), NULL, 10);
}

static void test_what_is_there_shares_runs(void **state)
{
    (void)state;
    enum { N = 64 };
    WR_AUTOBUF wr_buf out = {0};
    start(false);
    int fd = dial();
    for (int i = 0; i < N; i++) put_request(&out, "simple", 100 + i);
    say(fd, &out);
    hear(fd, 100, N);
    close(fd);
    assert_int_equal(count("simple", "inference_count"), N);
    int runs = count("simple", "execution_count");
    assert_true(runs >= N / 8 && runs < N); /* eight rows a run at most; how much one read brought is the kernel's matter */
    stop();
}

static void test_a_delay_fills_runs(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf config = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/models/simple/config.pbtxt", dir);
    OK(wr_file_read(&config, path, 1 << 20, err));
    wr_buf_str(&config, "\ndynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 300000 }\n");
    OK(wr_file_write(path, wr_buf_view(&config), err));
    start(false);
    int fd[4];
    for (int i = 0; i < 4; i++) fd[i] = dial();
    for (int i = 0; i < 3; i++) ask(fd[i], "simple", 10 * i);
    assert_false(readable(fd[0], 50));
    assert_int_equal(count("simple", "execution_count"), 0);
    ask(fd[3], "simple", 30);
    for (int i = 0; i < 4; i++) hear(fd[i], 10 * i, 1);
    assert_int_equal(count("simple", "execution_count"), 1);
    int64_t from = wr_clock_mono_ns();
    ask(fd[0], "simple", 7);
    hear(fd[0], 7, 1);
    assert_true(wr_clock_mono_ns() - from >= 300000000);
    assert_int_equal(count("simple", "execution_count"), 2);
    ask(fd[0], "simple", 8); /* who stops the server waits for nobody */
    assert_false(readable(fd[0], 20));
    wr_server_stop(server);
    hear(fd[0], 8, 1);
    for (int i = 0; i < 4; i++) close(fd[i]);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_there_shares_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_delay_fills_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
