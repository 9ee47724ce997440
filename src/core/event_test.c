/* SPDX-License-Identifier: Apache-2.0 */
/* event_test.c - events are numbered and kept; a consumer that dies goes on where it was. */
#include "core/core_testing.h"

#include "core/event.h"

static int64_t add(place *s, const char *kind, const char *payload)
{
    int64_t id = 0;
    OK(wr_event_add(s->p, kind, "endpoint:delay", payload, &id, &s->err));
    return id;
}

static void test_list(void **state)
{
    place *s = *state;
    wr_event *e;
    size_t n;
    OK(wr_event_list(&e, &n, s->a, s->p, 0, NULL, 10, &s->err));
    assert_int_equal(n, 0);
    int64_t one = add(s, "drift", "{\"value\":1.5}"), two = add(s, "promoted", NULL), three = add(s, "drift", "{}");
    assert_true(one < two && two < three);
    OK(wr_event_list(&e, &n, s->a, s->p, 0, NULL, 10, &s->err));
    assert_int_equal(n, 3);
    assert_string_equal(e[0].payload, "{\"value\":1.5}");
    assert_string_equal(e[0].subject, "endpoint:delay");
    assert_true(e[0].time_us > 0 && e[0].time_us <= e[2].time_us);
    assert_string_equal(e[1].kind, "promoted");
    assert_string_equal(e[1].payload, "{}");
    OK(wr_event_list(&e, &n, s->a, s->p, 0, "drift", 10, &s->err));
    assert_int_equal(n, 2);
    assert_int_equal(e[1].id, three);
    OK(wr_event_list(&e, &n, s->a, s->p, one, "drift", 10, &s->err));
    assert_int_equal(n, 1);
    OK(wr_event_list(&e, &n, s->a, s->p, 0, NULL, 2, &s->err));
    assert_int_equal(n, 2);
    assert_int_equal(e[1].id, two); /* oldest first: a limit never skips */
    OK(wr_event_list(&e, &n, s->a, s->p, three, NULL, 0, &s->err));
    assert_int_equal(n, 0);
    OK(wr_event_add(s->p, "drift", "x", NULL, NULL, &s->err));
}

/* Each consumer acts once on each event, also when it is started again in the middle. */
static void test_marks(void **state)
{
    place *s = *state;
    int acted[11] = {0};
    int64_t mark, other;
    for (int i = 0; i < 10; i++) add(s, "drift", NULL);
    for (int life = 0; life < 4; life++) {
        wr_event *e;
        size_t n;
        OK(wr_event_acked(&mark, s->p, "trigger", &s->err));
        OK(wr_event_list(&e, &n, s->a, s->p, mark, NULL, 3, &s->err));
        for (size_t i = 0; i < n; i++) {
            acted[e[i].id]++;
            OK(wr_event_ack(s->p, "trigger", e[i].id, &s->err));
        }
        reopen(s);
    }
    for (int i = 1; i <= 10; i++) assert_int_equal(acted[i], 1);
    OK(wr_event_acked(&other, s->p, "someone else", &s->err));
    assert_int_equal(other, 0);
    OK(wr_event_ack(s->p, "trigger", 4, &s->err)); /* a late, older mark does not turn the clock back */
    OK(wr_event_acked(&mark, s->p, "trigger", &s->err));
    assert_int_equal(mark, 10);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_list), T(test_marks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
