/* SPDX-License-Identifier: Apache-2.0 */
/* log_test.c - levels, the sink, escaping, cutting, threads. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

typedef struct {
    int lines;
    wr_log_level level;
    char last[4096];
} record;

static void keep(void *ctx, wr_log_level level, const char *line)
{
    record *r = ctx;
    r->lines++;
    r->level = level;
    snprintf(r->last, sizeof r->last, "%s", line);
    wr_warn("from inside the sink"); /* dropped: would wait for itself */
}

static int restore(void **state)
{
    (void)state;
    wr_log_set_sink(NULL, NULL);
    wr_log_set_level(WR_LOG_WARN);
    return 0;
}

/* Must run first: the variable is read at the first line. */
static void test_level_from_env(void **state)
{
    (void)state;
    record r = {0};
    setenv("WEIR_LOG", "Info", 1);
    wr_log_set_sink(keep, &r);
    wr_debug("no");
    assert_int_equal(r.lines, 0);
    wr_info("yes");
    assert_int_equal(r.lines, 1);
    setenv("WEIR_LOG", "error", 1); /* too late */
    wr_info("yes");
    assert_int_equal(r.lines, 2);
}

static void test_levels(void **state)
{
    (void)state;
    record r = {0};
    wr_log_set_sink(keep, &r);
    for (int least = WR_LOG_DEBUG; least <= WR_LOG_ERROR; least++) {
        wr_log_set_level((wr_log_level)least);
        r.lines = 0;
        for (int level = WR_LOG_DEBUG; level <= WR_LOG_ERROR; level++) wr_log((wr_log_level)level, "x");
        assert_int_equal(r.lines, 4 - least);
        assert_int_equal(r.level, WR_LOG_ERROR);
    }
}

static void test_line(void **state)
{
    (void)state;
    record r = {0};
    wr_log_set_sink(keep, &r);
    errno = ENOENT;
    wr_warn("drift in '%s' is %d", "age", 3);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(r.lines, 1);
    wr_str rest = wr_str_of(r.last);
    assert_true(wr_str_is(wr_str_cut(&rest, ' '), "warn"));
    rest = wr_str_trim(rest);
    int64_t us;
    assert_int_equal(wr_time_parse(&us, wr_str_cut(&rest, ' '), NULL), 0);
    assert_true(us <= wr_clock_wall_us() && us > wr_clock_wall_us() - 60 * WR_US);
    assert_true(wr_str_is(rest, "drift in 'age' is 3"));
}

static void test_escapes(void **state)
{
    (void)state;
    record r = {0};
    wr_log_set_sink(keep, &r);
    wr_warn("%s", "a\nerror 2001 forged\r\x1B[2J\x7F\tgr\xC3\xBC\xC3\x9F");
    assert_true(wr_str_ends(wr_str_of(r.last), "a\\nerror 2001 forged\\x0d\\x1b[2J\\x7f\tgr\xC3\xBC\xC3\x9F"));
}

static void test_cut(void **state)
{
    (void)state;
    record r = {0};
    wr_log_set_sink(keep, &r);
    for (int pad = 0; pad < 3; pad++) {
        char text[5000] = "xx";
        size_t n = (size_t)pad;
        while (n + 2 < sizeof text) {
            memcpy(text + n, "\xC3\xBC", 2);
            n += 2;
        }
        text[n] = 0;
        wr_warn("%s", text);
        size_t len = strlen(r.last);
        assert_true(len > 2000 && len < 2048);
        assert_true(wr_str_ends(wr_str_of(r.last), "..."));
        assert_true(wr_str_utf8(wr_str_of(r.last))); /* no half character */
        memset(text, '\n', sizeof text - 1);         /* each becomes two */
        text[sizeof text - 1] = 0;
        wr_warn("%s", text);
        assert_true(strlen(r.last) < 2048);
    }
}

enum { THREADS = 4, LINES = 300 };

static void *chatter(void *arg)
{
    for (int i = 0; i < LINES; i++) wr_warn("thread %d line %d end", (int)(intptr_t)arg, i);
    return NULL;
}

static void chatter_all(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, chatter, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
}

static void test_threads_sink(void **state)
{
    (void)state;
    record r = {0};
    wr_log_set_sink(keep, &r);
    chatter_all();
    assert_int_equal(r.lines, THREADS * LINES);
}

static void test_threads_stderr(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    chatter_all();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    int next[THREADS] = {0}, lines = 0;
    char line[256];
    while (fgets(line, sizeof line, f)) { /* every line whole, each thread's in order */
        int thread, number, end = 0;
        assert_int_equal(sscanf(line, "warn %*s thread %d line %d end\n%n", &thread, &number, &end), 2);
        assert_int_equal(end, strlen(line));
        assert_int_equal(number, next[thread]++);
        lines++;
    }
    fclose(f);
    assert_int_equal(lines, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_level_from_env, restore),
        cmocka_unit_test_teardown(test_levels, restore),
        cmocka_unit_test_teardown(test_line, restore),
        cmocka_unit_test_teardown(test_escapes, restore),
        cmocka_unit_test_teardown(test_cut, restore),
        cmocka_unit_test_teardown(test_threads_sink, restore),
        cmocka_unit_test_teardown(test_threads_stderr, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
