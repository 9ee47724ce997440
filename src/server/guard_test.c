/* SPDX-License-Identifier: Apache-2.0 */
/* guard_test.c - which hosts and origins pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "server/guard.h"

static bool passes(const wr_guard *g, const char *method, const char *host, const char *origin)
{
    char text[600];
    wr_http_head h;
    size_t scanned = 0;
    int n = snprintf(text, sizeof text, "%s /x HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", method, host,
                     origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
    assert_int_equal(wr_http_parse_request(&h, (wr_str){text, (size_t)n}, &scanned), 1);
    return wr_guard_refuses(g, &h) == NULL;
}

static void test_hosts(void **state)
{
    static const char *const fine[] = {"localhost",  "localhost:5000", "LOCALHOST",  "127.0.0.1:1",       "127.1.2.3",
                                       "[::1]:8080", "10.1.2.3",       "172.16.0.1", "172.31.255.255:80", "192.168.1.1",
                                       "[fd00::1]",  "[fe80::1]",      "0.0.0.0",    "a.localhost"};
    static const char *const bad[] = {"example.com",   "localhost.example.com", "172.32.0.1", "8.8.8.8", "192.169.0.1",
                                      "[2001:db8::1]", "127.0.0.1.example.com", "11.0.0.1"};
    wr_guard none = {0}, some = {.hosts = "weir.example.com, *.corp.example:443 ,*.lab.example"}, all = {.hosts = "*"};
    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (!passes(&none, "GET", fine[i], NULL)) fail_msg("%s", fine[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (passes(&none, "GET", bad[i], NULL)) fail_msg("%s", bad[i]);
        assert_true(passes(&all, "GET", bad[i], NULL));
    }
    assert_true(passes(&some, "GET", "weir.example.com:8080", NULL));
    assert_true(passes(&some, "GET", "a.lab.example", NULL));
    assert_false(passes(&some, "GET", "lab.example", NULL));
    assert_false(passes(&some, "GET", "xlab.example", NULL));
}

static void test_origins(void **state)
{
    wr_guard none = {0}, some = {.origins = "https://app.example,ui.example"};
    (void)state;
    assert_true(passes(&none, "GET", "localhost", "https://evil.example"));
    assert_false(passes(&none, "POST", "localhost", "https://evil.example"));
    assert_false(passes(&none, "DELETE", "localhost", "null"));
    assert_true(passes(&none, "POST", "localhost:5000", "http://localhost:3000"));
    assert_true(passes(&none, "POST", "192.168.0.7:5000", "http://192.168.0.7:5000"));
    assert_false(passes(&none, "POST", "192.168.0.7:5000", "http://192.168.0.8:5000"));
    assert_false(passes(&none, "POST", "localhost", "http://localhost.evil.example"));
    assert_true(passes(&some, "POST", "localhost", "https://app.example"));
    assert_true(passes(&some, "PATCH", "localhost", "http://ui.example:81"));
    assert_false(passes(&some, "POST", "localhost", "http://app.example:81"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_origins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
