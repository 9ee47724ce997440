/* SPDX-License-Identifier: Apache-2.0 */
/* limits_test.c - what a server does not take on, by counts: requests a second of a client, predictions that wait. */
#include "server/models_testing.h"

static int setup(void **state)
{
    (void)state;
    return setup_from(WEIR_SOURCE_DIR);
}

static void configure(const char *serving)
{
    WR_AUTOBUF wr_buf text = {0};
    char path[400];
    snprintf(path, sizeof path, "%s/weir.yaml", dir);
    OK(wr_file_read(&text, path, 1 << 20, err));
    wr_buf_str(&text, serving);
    OK(wr_file_write(path, wr_buf_view(&text), err));
}

/* n requests in one write on one connection; how many of the answers have each status. The last one closes. */
typedef struct {
    int fine, busy, many, other;
    bool retry; /* every refusal says when to come back */
} statuses;

static statuses ask_at_once(const char *method, const char *path, const char *body, int n)
{
    WR_AUTOBUF wr_buf out = {0}, in = {0};
    statuses st = {.retry = true};
    int fd = dial();
    for (int i = 0; i < n; i++)
        wr_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", method, path,
                      i == n - 1 ? "Connection: close\r\n" : "", strlen(body), body);
    for (size_t at = 0; at < out.n;) {
        ssize_t sent = send(fd, out.p + at, out.n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
    for (ssize_t got = 1; got > 0;) {
        assert_true(wr_buf_reserve(&in, 64 << 10));
        got = recv(fd, in.p + in.n, 64 << 10, 0);
        if (got > 0) in.n += (size_t)got;
    }
    close(fd);
    assert_true(wr_buf_reserve(&in, 1));
    in.p[in.n] = 0;
    for (const char *p = in.p; (p = strstr(p, "HTTP/1.1 ")); p += 9) {
        long status = strtol(p + 9, NULL, 10);
        const char *end = strstr(p, "\r\n\r\n");
        bool says = end && memmem(p, (size_t)(end - p), "Retry-After: 1", 14);
        st.fine += status == 200;
        st.busy += status == 503;
        st.many += status == 429;
        st.other += status != 200 && status != 503 && status != 429;
        if (status != 200) st.retry &= says;
    }
    return st;
}

#define ROW                                                                                                            \
    "{\"inputs\":[{\"name\":\"INPUT0\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8,9,10,11,12,"  \
    "13,14,15,16]},{\"name\":\"INPUT1\",\"shape\":[1,16],\"datatype\":\"INT32\",\"data\":[1,2,3,4,5,6,7,8,9,10,11,12," \
    "13,14,15,16]}]}"

/* A round takes on so many predictions and refuses the rest at once; what is no prediction is not counted, and the next
 * round is empty again. */
static void test_predictions_that_wait(void **state)
{
    (void)state;
    configure("serving: {queue: 8}\n");
    start(false);
    statuses st = ask_at_once("POST", "/v2/models/simple/infer", ROW, 40);
    assert_int_equal(st.fine + st.busy, 40);
    assert_in_range(st.fine, 8, 32); /* one read: 8; more when the kernel hands it over in pieces */
    assert_true(st.retry);
    assert_int_equal(st.other, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(ask_at_once("POST", "/v2/models/simple/infer", ROW, 1).fine, 1);
    assert_int_equal(ask_at_once("GET", "/v2/models/simple", "", 40).fine, 40);
    stop();
}

static void test_no_limit_by_default(void **state)
{
    (void)state;
    start(false);
    assert_int_equal(ask_at_once("POST", "/v2/models/simple/infer", ROW, 64).fine, 64);
    stop();
}

/* So many at once, whatever connection they come by; health is for everybody. */
static void test_rate_of_a_client(void **state)
{
    (void)state;
    configure("serving: {rate: 0.001, burst: 25}\n");
    start(false);
    statuses st = ask_at_once("POST", "/v2/models/simple/infer", ROW, 20);
    assert_int_equal(st.fine, 20);
    st = ask_at_once("GET", "/v2/models/simple", "", 20);
    assert_int_equal(st.fine, 5);
    assert_int_equal(st.many, 15);
    assert_true(st.retry);
    assert_int_equal(ask_at_once("GET", "/v2/health/live", "", 30).fine, 30);
    stop();
}

/* The status of one request with that body. */
static int size_status(size_t n)
{
    WR_AUTOBUF wr_buf b = {0};
    int status = -1;
    wr_str reply = {"", 0};
    wr_buf_str(&b, ROW);
    while (b.n < n) wr_buf_char(&b, ' ');
    wr_http_client *c = client_at(port);
    assert_int_equal(wr_http_client_call(c, "POST", "/v2/models/simple/infer", wr_buf_view(&b), &status, &reply, NULL),
                     0);
    if (status == 413) {
        char says[100];
        snprintf(says, sizeof says, "request size of %zu bytes exceeds the maximum allowed input size of 4096 bytes",
                 n);
        assert_non_null(memmem(reply.p, reply.n, says, strlen(says)));
    }
    wr_http_client_close(c);
    return status;
}

static void test_size_of_a_body(void **state)
{
    (void)state;
    configure("serving: {body: 4KiB}\n");
    start(false);
    assert_int_equal(size_status(4096), 200);
    assert_int_equal(size_status(4097), 413);
    assert_int_equal(size_status(100000), 413);
    assert_int_equal(size_status(1000), 200);
    stop();
}

static void test_settings(void **state)
{
    (void)state;
    wr_err why = {0};
    char models[400];
    snprintf(models, sizeof models, "%s/models", dir);
    wr_server_opt opt = {.loops = 1, .repository = models};
    static const char *const bad[] = {"rate: -1", "queue: 0", "body: 3", "body: 1GiB", "body: much"};
    char path[400];
    WR_AUTOBUF wr_buf before = {0};
    snprintf(path, sizeof path, "%s/weir.yaml", dir);
    OK(wr_file_read(&before, path, 1 << 20, err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[60];
        snprintf(text, sizeof text, "serving: {%s}\n", bad[i]);
        OK(wr_file_write(path, wr_buf_view(&before), err));
        configure(text);
        OK(wr_project_open(&project, dir, err));
        assert_int_equal(wr_server_open(&server, project, &opt, &why), WEIR_EINVAL);
        wr_project_close(project);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_predictions_that_wait), T(test_no_limit_by_default),
                                       T(test_rate_of_a_client), T(test_size_of_a_body), T(test_settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
