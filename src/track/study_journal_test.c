/* SPDX-License-Identifier: Apache-2.0 */
/* study_journal_test.c - a journal that Optuna 5.0 wrote, into the store and out again; lines without effect; what is
 * refused, and that it leaves nothing. */
#include "track/study_journal.h"

#include <math.h>
#include <time.h>

#include "track/track_testing.h"

#define STUDY "{\"op_code\":0,\"worker_id\":\"w\",\"study_name\":\"s\",\"directions\":[1]}\n"
#define TRIAL                                                                                                          \
    "{\"op_code\":4,\"worker_id\":\"w\",\"study_id\":0,\"datetime_start\":\"2026-01-31T13:05:07.250000+00:00\"}\n"
#define DONE                                                                                                           \
    "{\"op_code\":6,\"worker_id\":\"w\",\"trial_id\":0,\"state\":1,\"values\":[0.5],\"datetime_complete\":\"2026-01-"  \
    "31T13:05:08.000001+00:00\"}\n"

static wr_journal_counts imported(store *s, const char *text)
{
    wr_journal_counts n;
    OK(wr_study_import(&n, s->t, wr_str_of(text), "a.log", &s->err));
    return n;
}

static int64_t the_study(store *s)
{
    int64_t id;
    OK(wr_study_find(&id, s->t, WR_STR("s"), &s->err));
    return id;
}

static size_t trials_of(store *s, int64_t study, wr_trial **all)
{
    size_t n;
    OK(wr_study_trials(all, &n, s->a, s->t, study, -1, NULL, 0, &s->err));
    return n;
}

/* In a write; `arg` is the arena of the list. */
static int delete_all(wr_track *t, void *arg, wr_err *err)
{
    wr_study *all;
    size_t n;
    WR_TRY(wr_study_all(&all, &n, arg, t, err));
    for (size_t i = 0; i < n; i++) WR_TRY(wr_study_delete(t, all[i].id, err));
    return 0;
}

static void test_recorded_journal(void **state)
{
    store *s = *state;
    wr_journal_counts n;
    wr_study *all;
    wr_trial *trials;
    size_t nstudies;
    WR_AUTOBUF wr_buf text = {0}, first = {0}, second = {0};
    OK(wr_file_read(&text, WEIR_SOURCE_DIR "/tests/fixtures/optuna/journal-5.0.log", 1 << 20, &s->err));
    OK(wr_study_import(&n, s->t, wr_buf_view(&text), "journal", &s->err));
    assert_true(n.lines == 316 && n.studies == 3 && n.trials == 41 && n.ignored == 2);
    OK(wr_study_all(&all, &nstudies, s->a, s->t, &s->err));
    assert_int_equal(nstudies, 3);
    assert_string_equal(all[0].name.p, "j1 \xc3\xa9");
    assert_true(all[1].nobjectives == 2 && !all[1].maximize[0] && all[1].maximize[1]);
    assert_int_equal(trials_of(s, all[0].id, &trials), 31);
    assert_true(trials[0].state == WR_TRIAL_PRUNED || trials[0].state == WR_TRIAL_COMPLETE);
    assert_int_equal(trials[7].nuser, 2);
    assert_true(wr_str_is(trials[7].user[0].value, "1000000000000000000000000000000")); /* beyond 64 bits, untouched */
    assert_int_equal(trials[30].state, WR_TRIAL_RUNNING);
    const int64_t ids[] = {all[0].id, all[1].id, all[2].id};
    OK(wr_study_export(&first, s->t, ids, 3, &s->err));
    OK(wr_track_write(s->t, delete_all, s->a, &s->err));
    OK(wr_study_import(&n, s->t, wr_buf_view(&first), "again", &s->err));
    assert_true(n.ignored == 0 && n.studies == 3 && n.trials == 41 - 3); /* those of the deleted study are gone */
    OK(wr_study_all(&all, &nstudies, s->a, s->t, &s->err));
    const int64_t again[] = {all[0].id, all[1].id, all[2].id};
    OK(wr_study_export(&second, s->t, again, 3, &s->err));
    assert_true(wr_str_eq(wr_buf_view(&first), wr_buf_view(&second)));
}

static void test_times_and_values(void **state)
{
    store *s = *state;
    wr_trial *all;
    setenv("TZ", "Asia/Kolkata", 1); /* 5:30 ahead of UTC */
    tzset();
    imported(s, STUDY TRIAL DONE);
    assert_int_equal(trials_of(s, the_study(s), &all), 1);
    assert_true(all[0].start_us == 1769864707250000 && all[0].end_us == 1769864708000001);
    assert_true(all[0].state == WR_TRIAL_COMPLETE && all[0].nvalues == 1 && all[0].values[0] == 0.5);
    WR_AUTOBUF wr_buf out = {0};
    const int64_t id = the_study(s);
    OK(wr_study_export(&out, s->t, &id, 1, &s->err));
    assert_non_null(strstr(
        out.p,
        "\"datetime_start\":\"2026-01-31T18:35:07.250000\",\"datetime_complete\":\"2026-01-31T18:35:08.000001\""));
    assert_non_null(strstr(out.p, "\"value\":0.5,\"values\":null"));
    OK(wr_track_write(s->t, delete_all, s->a, &s->err));
    imported(s, out.p); /* and back */
    assert_int_equal(trials_of(s, the_study(s), &all), 1);
    assert_true(all[0].start_us == 1769864707250000 && all[0].end_us == 1769864708000001);
    unsetenv("TZ");
    tzset();
}

/* As for Optuna's own replay. */
static void test_lines_without_effect(void **state)
{
    store *s = *state;
    wr_trial *all;
    wr_journal_counts n =
        imported(s, STUDY STUDY TRIAL DONE                                      /* a second study of the name */
                 "{\"op_code\":8,\"trial_id\":0,\"user_attr\":{\"k\":1}}\n"     /* the trial has finished */
                 "{\"op_code\":6,\"trial_id\":0,\"state\":3,\"values\":null}\n" /* again */
                 "{\"op_code\":7,\"trial_id\":5,\"step\":1,\"intermediate_value\":1.0}\n" /* of nobody */
                 "{\"op_code\":2,\"study_id\":4,\"user_attr\":{\"k\":1}}\n" TRIAL         /* of nobody */
                 "{\"op_code\":6,\"trial_id\":1,\"state\":0,\"values\":null,\"datetime_start\":\"2026-01-31T13:05:07."
                 "250000+00:00\"}\n"                    /* runs already */
                 "{\"op_code\":10,\"trial_ids\":[1]}\n" /* Optuna passes over it */
                 "{\"op_code\":5,\"trial_id\":1,\"param_name\":\"x\",\"param_value_internal\":1,\"distribution\":\"{"
                 "\\\"type\\\":\\\"int\\\",\\\"low\\\":0,\\\"high\\\":9}\"}\n"
                 "{\"op_code\":5,\"trial_id\":1,\"param_name\":\"x\",\"param_value_internal\":1,\"distribution\":\"{"
                 "\\\"type\\\":\\\"float\\\",\\\"low\\\":0,\\\"high\\\":9}\"}\n"
                 "{\"op_code\":1,\"study_id\":0"); /* half a line */
    assert_true(n.studies == 1 && n.trials == 2 && n.ignored == 8 && n.lines == 13);
    assert_int_equal(trials_of(s, the_study(s), &all), 2);
    assert_true(all[0].nuser == 0 && all[0].state == WR_TRIAL_COMPLETE && all[1].nparams == 1);
}

static void refused(store *s, int code, const char *says, const char *text)
{
    wr_journal_counts n;
    wr_study *all;
    size_t nstudies;
    FAILS(code, says, wr_study_import(&n, s->t, wr_str_of(text), "a.log", &s->err));
    OK(wr_study_all(&all, &nstudies, s->a, s->t, &s->err));
    for (size_t i = 0; i < nstudies; i++) assert_string_not_equal(all[i].name.p, "s");
}

static void test_refused(void **state)
{
    store *s = *state;
    refused(s, WEIR_EPARSE, "a.log:2: not a JSON object", STUDY "{\n");
    refused(s, WEIR_EPARSE, "a.log:2: not a JSON object", STUDY "\n");
    refused(s, WEIR_EPARSE, "a.log:2: not a JSON object", STUDY "[]\n");
    refused(s, WEIR_EPARSE, "a.log:2: not valid UTF-8", STUDY "\"\xff\"\n");
    refused(s, WEIR_EPARSE, "a.log:2: no operation that is known", STUDY "{}\n");
    refused(s, WEIR_EPARSE, "a.log:2: no operation that is known", STUDY "{\"op_code\":11}\n");
    refused(s, WEIR_EPARSE, "a.log:2: no operation that is known", STUDY "{\"op_code\":-1}\n");
    refused(s, WEIR_EPARSE, "a.log:1: a study without a name", "{\"op_code\":0,\"directions\":[1]}\n");
    refused(s, WEIR_EPARSE, "a.log:2: no trial state", STUDY "{\"op_code\":6,\"trial_id\":0,\"state\":5}\n");
    refused(s, WEIR_EPARSE, "time", STUDY "{\"op_code\":4,\"study_id\":0,\"datetime_start\":\"yesterday\"}\n");
    refused(s, WEIR_EPARSE, "a.log:2: a value is not a number",
            STUDY "{\"op_code\":4,\"study_id\":0,\"values\":[\"1\"]}\n");
    refused(s, WEIR_EPARSE, "a.log:2: a parameter without",
            STUDY "{\"op_code\":4,\"study_id\":0,\"params\":{\"x\":1}}\n");
    refused(s, WEIR_EPARSE, "a.log:2: an intermediate value",
            STUDY "{\"op_code\":4,\"study_id\":0,\"intermediate_values\":{\"x\":1}}\n");
    refused(s, WEIR_EPARSE, "a.log:2: a parameter is incomplete", STUDY "{\"op_code\":5,\"trial_id\":0}\n");
    imported(s, "{\"op_code\":0,\"study_name\":\"here\",\"directions\":[2]}\n");
    refused(s, WEIR_EEXIST, "a study 'here' already exists",
            STUDY "{\"op_code\":0,\"study_name\":\"here\",\"directions\":[2]}\n");
}

/* The error comes many writes later: what was committed is taken back, and the study that was here stays. */
static void test_undo_of_long_imports(void **state)
{
    store *s = *state;
    wr_study *all;
    size_t n;
    WR_AUTOBUF wr_buf b = {0};
    imported(s, "{\"op_code\":0,\"study_name\":\"here\",\"directions\":[2]}\n");
    wr_buf_str(&b, STUDY);
    for (int i = 0; i < 9000; i++) wr_buf_str(&b, TRIAL);
    wr_buf_str(&b, "{\"op_code\":1,\"study_id\":0}\n" STUDY "{}\n");
    refused(s, WEIR_EPARSE, "a.log:9004: no operation that is known", b.p);
    OK(wr_study_all(&all, &n, s->a, s->t, &s->err));
    assert_int_equal(n, 1);
    b.n -= 3; /* without the line that is wrong */
    b.p[b.n] = 0;
    wr_journal_counts c = imported(s, b.p);
    assert_true(c.lines == 9003 && c.trials == 9000 && c.studies == 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        T(test_recorded_journal), T(test_times_and_values),     T(test_lines_without_effect),
        T(test_refused),          T(test_undo_of_long_imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
