/* SPDX-License-Identifier: Apache-2.0 */
/* schedule_test.c - the schedule with this program in the place of weir: called with arguments it plays the command. */
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "core/event.h"
#include "flow/flow_testing.h"
#include "flow/schedule.h"

static const char config[] =
    "vars: {until: x}\n"
    "stages: {retrain: {cmd: x, manual: true}}\n"
    "endpoints: {delay: {model: m@champion}}\n"
    "monitors: {delay: {from: 2001-06-01, window: 7d, every: 1d, reference: SELECT 1}}\n"
    "triggers: [{on: drift, endpoint: delay, above: 0.5, cooldown: 14d, run: [retrain], set: {until: window_end}}]\n";

/* ---- weir, as far as the schedule calls it ---- */

static int note(const char *root, int argc, char **argv)
{
    char path[256];
    snprintf(path, sizeof path, "%s/calls", root);
    FILE *f = fopen(path, "a");
    for (int i = 1; f && i < argc; i++)
        if (strcmp(argv[i], root) != 0 && strcmp(argv[i], "-C") != 0) fprintf(f, "%s ", argv[i]);
    if (f) fprintf(f, "\n");
    if (f) fclose(f);
    return 0;
}

/* Every window drifts more than the one before. */
static int play_monitor(wr_project *p, const char *end)
{
    char payload[128];
    int64_t us = 0;
    wr_time_parse(&us, wr_str_of(end), NULL);
    snprintf(payload, sizeof payload, "{\"value\": 0.7, \"window_end\": \"%s\", \"window_end_us\": %lld}", end,
             (long long)us);
    int rc = wr_event_add(p, "drift", "endpoint:delay", payload, NULL, NULL);
    if (rc == 0) rc = wr_event_add(p, "window", "endpoint:delay", payload, NULL, NULL);
    return rc < 0 ? 2 : 0;
}

static int play_weir(int argc, char **argv)
{
    const char *root = argv[3], *mode = getenv("FAKE_WEIR");
    wr_project *p;
    note(root, argc, argv);
    if (mode && strcmp(argv[1], mode) == 0) return 2;
    if (mode && strcmp(mode, "slow") == 0 && strcmp(argv[1], "run") == 0) sleep(20);
    if (strcmp(argv[1], "monitor") != 0) return 0;
    if (wr_project_open(&p, root, NULL) < 0) return 2;
    int rc = play_monitor(p, argv[5]);
    wr_project_close(p);
    return rc;
}

/* ---- the owner ---- */

typedef struct {
    _Atomic int64_t watermark;
    atomic_int flushed, monitors, runs;
} owner;

static size_t marks(void *ctx, wr_endpoint_mark *out, size_t max)
{
    owner *o = ctx;
    if (max == 0 || o->watermark == INT64_MIN) return 0;
    snprintf(out[0].name, sizeof out[0].name, "delay");
    out[0].watermark_us = o->watermark;
    return 1;
}

static int flush(void *ctx, const char *endpoint, wr_err *err)
{
    (void)err;
    assert_string_equal(endpoint, "delay");
    ((owner *)ctx)->flushed++;
    return 0;
}

static void job_ended(void *ctx, const char *kind, int exit_code)
{
    owner *o = ctx;
    (void)exit_code;
    if (kind[0] == 'm') o->monitors++;
    else o->runs++;
}

static wr_schedule *begin(place *t, owner *o)
{
    wr_schedule *s;
    wr_err err = {0};
    wr_schedule_ops ops = {o, marks, flush, job_ended};
    put(t, "weir.yaml", config);
    if (wr_schedule_start(&s, reopen(t), &ops, &err) < 0) fail_msg("%s", err.msg);
    return s;
}

static void settle(wr_schedule *s)
{
    int64_t deadline = wr_clock_mono_ns() + 20000000000LL;
    while (wr_schedule_busy(s)) {
        assert_true(wr_clock_mono_ns() < deadline);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

static int64_t day(const char *text)
{
    int64_t us;
    assert_int_equal(wr_time_parse(&us, wr_str_of(text), NULL), 0);
    return us;
}

static void test_whole_turn(void **state)
{
    place *t = *state;
    owner o = {.watermark = INT64_MIN};
    wr_schedule *s = begin(t, &o);
    settle(s);
    o.watermark = day("2001-06-07 23:00");
    settle(s);
    assert_int_equal(o.monitors, 0);
    o.watermark = day("2001-06-08 01:00");
    settle(s); /* window until the 8th, drift, retrain; and nothing is left to do when it is quiet */
    assert_int_equal(o.monitors, 1);
    assert_int_equal(o.runs, 1);
    assert_int_equal(o.flushed, 1);
    o.watermark = day("2001-06-09");
    settle(s); /* drifts again, within the cooldown */
    assert_int_equal(o.monitors, 2);
    assert_int_equal(o.runs, 1);
    assert_string_equal(get(t, "calls"), "monitor --window-end 2001-06-08 --record delay \n"
                                         "run --wait 600s -S until=2001-06-08 retrain \n"
                                         "monitor --window-end 2001-06-09 --record delay \n");
    wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_schedule_jobs(s, &w);
    WR_AUTOJSON wr_json j = {0};
    assert_int_equal(wr_json_parse(&j, wr_buf_view(&b), "jobs", NULL), 0);
    assert_int_equal(yyjson_arr_size(j.root), 3);
    yyjson_val *run = yyjson_arr_get(j.root, 1);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(run, "kind")), "run");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(run, "state")), "ended");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(run, "what")), "retrain until=2001-06-08");
    wr_buf_fini(&b);
    wr_schedule_stop(s);
}

static void test_restart(void **state)
{
    place *t = *state;
    owner o = {.watermark = day("2001-06-08")};
    setenv("FAKE_WEIR", "slow", 1);
    wr_schedule *s = begin(t, &o);
    for (int i = 0; i < 1000 && !strstr(get(t, "calls"), "run"); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(wr_schedule_busy(s));
    int64_t before = wr_clock_mono_ns();
    wr_schedule_stop(s); /* the job is ended with it */
    assert_true(wr_clock_mono_ns() - before < 4000000000LL);
    assert_int_equal(o.runs, 0);
    unsetenv("FAKE_WEIR");
    s = begin(t, &o);
    settle(s);
    assert_int_equal(o.runs, 1);
    assert_int_equal(o.monitors, 1);
    wr_schedule_stop(s);
    s = begin(t, &o);
    settle(s);
    assert_int_equal(o.runs, 1);
    wr_schedule_stop(s);
}

static void test_failures(void **state)
{
    place *t = *state;
    owner o = {.watermark = day("2001-06-08")};
    setenv("FAKE_WEIR", "monitor", 1);
    wr_schedule *s = begin(t, &o);
    settle(s); /* it failed; it is not tried again at once, and does not keep us busy */
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    assert_int_equal(o.monitors, 1);
    wr_schedule_stop(s);
    setenv("FAKE_WEIR", "run", 1);
    s = begin(t, &o);
    settle(s);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_int_equal(o.runs, 1); /* failed, and done with */
    wr_schedule_stop(s);
    unsetenv("FAKE_WEIR");
}

static void test_bad_config(void **state)
{
    place *t = *state;
    wr_schedule *s;
    wr_err err = {0};
    wr_schedule_ops ops = {0};
    put(t, "weir.yaml", "triggers: [{on: drift, endpoint: nope, run: [x]}]");
    assert_int_equal(wr_schedule_start(&s, reopen(t), &ops, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "weir.yaml:1:"));
    put(t, "weir.yaml", "{}");
    assert_int_equal(wr_schedule_start(&s, reopen(t), &ops, &err), 0);
    settle(s);
    wr_schedule_stop(s);
    wr_schedule_stop(NULL);
}

int main(int argc, char **argv)
{
    if (argc > 3) return play_weir(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_turn, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_restart, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_failures, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_bad_config, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
