/* SPDX-License-Identifier: Apache-2.0 */
/* up_test.c - a server's address: announced, found, withdrawn; what a killed one left does not count. */
#include "core/core_testing.h"
#include "core/up.h"

static int make(void **state)
{
    place *s = calloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/weir-up-XXXXXX");
    if (!mkdtemp(s->dir)) return -1;
    s->a = wr_arena_new(0);
    OK(wr_project_init(s->dir, &s->err));
    OK(wr_project_open(&s->p, s->dir, &s->err));
    *state = s;
    return 0;
}

static int end(void **state)
{
    place *s = *state;
    wr_project_close(s->p);
    (void)wr_file_remove_tree(s->dir, NULL);
    wr_arena_free(s->a);
    free(s);
    return 0;
}

static void test_up(void **state)
{
    place *s = *state;
    wr_up up;
    FAILS(WEIR_ENOTFOUND, wr_up_find(&up, s->a, s->p, &s->err));
    SAYS("weir up", s->err.hint);
    OK(wr_up_announce(s->p, "http://127.0.0.1:1234", &s->err));
    OK(wr_up_announce(s->p, "http://127.0.0.1:4321", &s->err)); /* again: another start */
    OK(wr_up_find(&up, s->a, s->p, &s->err));
    assert_string_equal(up.url, "http://127.0.0.1:4321");
    assert_int_equal(up.pid, getpid());
    wr_up_withdraw(s->p);
    FAILS(WEIR_ENOTFOUND, wr_up_find(&up, s->a, s->p, &s->err));
}

static void test_left_behind(void **state)
{
    place *s = *state;
    wr_up up;
    put(s, ".weir/up.json", "{\"url\": \"http://127.0.0.1:1\", \"pid\": 2147483646}");
    FAILS(WEIR_ENOTFOUND, wr_up_find(&up, s->a, s->p, &s->err));
    wr_up_withdraw(s->p); /* of another process: stays */
    assert_non_null(get(s, ".weir/up.json"));
    static const char *const bad[] = {"", "{", "[]", "{\"url\": 1, \"pid\": 1}", "{\"url\": \"x\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(s, ".weir/up.json", bad[i]);
        FAILS(WEIR_ENOTFOUND, wr_up_find(&up, s->a, s->p, &s->err));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_up), T(test_left_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
