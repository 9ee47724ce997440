/* SPDX-License-Identifier: Apache-2.0 */
/* checks_test.c - single checks of the study against models that are odd in one way: that look at other rows,
 * answer two things, crash, hang, fail or refuse what they should take. */
#include "stage/study/study.h"

#include <signal.h>
#include <stdatomic.h>

#include "core/trips_testing.h"
#include "stage/study/study_inside.h"

enum { ROWS = 40 };

/* ---- the model: y = x + s, and what is odd about it ---- */

typedef enum {
    GOOD,
    BATCH_MEAN, /* y is less the mean of the batch's: one row is always 0 */
    ALTERNATES, /* each answer is another */
    NEIGHBOUR,  /* y of the row before */
    STEEP,      /* a little noise, another class */
    CRASHES,    /* on NaN */
    HANGS,      /* on NaN: ended by the watch */
    BROKEN,     /* an internal error on infinity */
    REFUSES,    /* everything */
    NAMELESS,   /* no number for infinity */
} oddity;

typedef struct {
    wr_predictor head;
    oddity odd;
    _Atomic int asked;
} odd_model;

static int answer(double *y, const odd_model *k, const float *x, size_t i, size_t n, double mean, wr_err *err)
{
    switch (k->odd) {
    case BATCH_MEAN:
        *y = x[i] - mean;
        return 0;
    case ALTERNATES:
        *y = x[i] + (double)k->asked;
        return 0;
    case NEIGHBOUR:
        *y = x[i ? i - 1 : n - 1];
        return 0;
    case STEEP:
        *y = (long)(x[i] * 1e4F) & 1;
        return 0;
    case CRASHES:
        if (isnan(x[i])) raise(SIGSEGV);
        break;
    case HANGS:
        if (isnan(x[i])) raise(SIGALRM);
        break;
    case BROKEN:
        if (isinf(x[i])) return wr_err_set(err, WEIR_EIO, "the disk is on fire");
        break;
    case REFUSES:
        return wr_err_set(err, WEIR_EINVAL, "not today");
    default:
        break;
    }
    *y = k->odd == NAMELESS || isfinite(x[i]) ? x[i] : 0;
    return 0;
}

static int run(const wr_predictor *p, wr_tensor *out, const bool *want, const wr_tensor *in, wr_arena *a, wr_err *err)
{
    odd_model *k = (odd_model *)p;
    double mean = 0;
    size_t n = in[0].count;
    (void)want;
    k->asked++;
    out[0].ndims = 1;
    out[0].shape[0] = (int64_t)n;
    out[0].count = n;
    WR_TRY(wr_tensor_alloc(&out[0], a, err));
    for (size_t i = 0; i < n; i++) mean += ((float *)in[0].data)[i] / (double)n;
    for (size_t i = 0; i < n; i++) WR_TRY(answer(&((double *)out[0].data)[i], k, in[0].data, i, n, mean, err));
    return 0;
}

static void nothing(wr_predictor *p) { (void)p; }

typedef struct {
    odd_model model;
    wr_feasibility_target target;
    wr_feasibility_opt opt;
    wr_feasibility_report report;
    wr_feasibility_work w;
} bench;

static void open_bench(bench *b, oddity odd, const char *target)
{
    static const wr_predictor_ops ops = {.run = run, .free = nothing};
    static const wr_tensor_spec x = {.name = "x", .type = WR_TENSOR_FP32, .ndims = 1, .shape = {-1}},
                                s = {.name = "s", .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {-1}},
                                y = {.name = "y", .type = WR_TENSOR_FP64, .ndims = 1, .shape = {-1}};
    static wr_tensor_spec in[2];
    wr_repository_opt empty = {0};
    wr_str none = {NULL, 0};
    in[0] = x;
    in[1] = s;
    *b = (bench){.model = {.odd = odd}};
    b->model.head =
        (wr_predictor){.ops = &ops, .platform = "weir_onnx", .in = in, .nin = 2, .out = &y, .nout = 1, .rows = true};
    b->w.a = wr_arena_new(0);
    b->w.t = &b->target;
    b->w.opt = &b->opt;
    b->w.report = &b->report;
    b->opt = (wr_feasibility_opt){.model = "odd", .seconds = 0.05, .target = &b->target};
    b->report = (wr_feasibility_report){.model = "odd", .platform = "weir_onnx", .rows = "rows", .rows_real = true};
    OK(wr_feasibility_target_parse(&b->target, b->w.a, wr_str_of(target), "target.yaml", err));
    OK(wr_repository_open(&b->w.repository, &empty, err));
    OK(wr_repository_put(b->w.repository, WR_SERVED_AS, "1", &b->model.head, none, err));
    OK(wr_repository_take(&b->w.m, b->w.repository, WR_STR(WR_SERVED_AS), none, err));
    wr_tensor *t = wr_arena_calloc(b->w.a, 2, sizeof *t);
    for (int k = 0; k < 2; k++) {
        t[k] =
            (wr_tensor){.name = wr_str_of(in[k].name), .type = in[k].type, .ndims = 1, .shape = {ROWS}, .count = ROWS};
        OK(wr_tensor_alloc(&t[k], b->w.a, err));
    }
    for (int i = 0; i < ROWS; i++) {
        ((float *)t[0].data)[i] = (float)(i * 7 % ROWS) + 0.25F;
        ((wr_str *)t[1].data)[i] = WR_STR("s");
    }
    b->w.in = t;
    b->w.nin = 2;
    b->w.nrows = ROWS;
}

static void close_bench(bench *b)
{
    wr_feasibility_close(&b->w);
    wr_arena_free(b->w.a);
}

/* The check `number` of a model says this, and what to do about it. */
static void says(oddity odd, int number, const char *target, wr_check_state state, const char *part)
{
    bench *b = malloc(sizeof *b);
    wr_feasibility_result r = {.check = &wr_feasibility_checks[number - 1], .state = WR_CHECK_SKIP};
    assert_non_null(b);
    open_bench(b, odd, target);
    assert_int_equal(r.check->number, number);
    OK(r.check->run(&b->w, &r, err));
    if (r.state != state || !strstr(r.measured, part))
        fail_msg("check %d of model %d is %s: %s", number, (int)odd, wr_check_states[r.state], r.measured);
    assert_true(r.hint || r.check->hint);
    close_bench(b);
    free(b);
}

static void schema(void **state)
{
    (void)state;
    says(GOOD, 1, "{}", WR_CHECK_PASS, "2 inputs, 40 rows fit");
    says(REFUSES, 1, "{}", WR_CHECK_FAIL, "it refuses the rows: not today");
}

static void parity(void **state)
{
    (void)state;
    says(GOOD, 4, "{}", WR_CHECK_PASS, "0 class flips");
    says(BATCH_MEAN, 4, "{}", WR_CHECK_FAIL, "largest relative difference 1");
    says(ALTERNATES, 4, "{}", WR_CHECK_FAIL, "largest relative difference");
    says(NEIGHBOUR, 4, "{}", WR_CHECK_FAIL, "largest relative difference");
    says(BATCH_MEAN, 4, "parity: {relative: 1, flips: 1000}\n", WR_CHECK_PASS, "largest relative difference 1");
}

static void failing_requests(void **state)
{
    (void)state;
    says(GOOD, 7, "load: {rps: 0.1}\n", WR_CHECK_PASS, "times what is expected");
    says(REFUSES, 7, "load: {rps: 0.1}\n", WR_CHECK_FAIL, "requests failed: not today");
}

static void two_paths(void **state)
{
    (void)state;
    says(GOOD, 9, "{}", WR_CHECK_PASS, "agree on 40 rows");
    says(ALTERNATES, 9, "{}", WR_CHECK_FAIL, "vector and plain code differ");
}

static void behaviour(void **state)
{
    (void)state;
    says(GOOD, 13, "{}", WR_CHECK_WARN, "no evaluation");
    says(ALTERNATES, 13, "{}", WR_CHECK_FAIL, "asked twice");
    says(NEIGHBOUR, 13, "{}", WR_CHECK_FAIL, "depends on the rows beside it");
    says(STEEP, 13, "{}", WR_CHECK_FAIL, "noise of 1 %");
    says(STEEP, 13, "behaviour: {noise: 1}\n", WR_CHECK_WARN, "no evaluation");
}

static void degraded(void **state)
{
    (void)state;
    says(GOOD, 14, "{}", WR_CHECK_PASS, "kinds of bad input");
    says(NAMELESS, 14, "{}", WR_CHECK_WARN, "numbers that are none");
    says(CRASHES, 14, "{}", WR_CHECK_FAIL, "crashes on \"NaN\"");
    says(HANGS, 14, "{}", WR_CHECK_FAIL, "no answer within 30 s to \"NaN\"");
    says(BROKEN, 14, "{}", WR_CHECK_FAIL, "infinite: the disk is on fire");
    says(REFUSES, 14, "{}", WR_CHECK_FAIL, "the rows as they are: not today");
}

/* ---- rows out of a log ---- */

/* A table as the drain writes it: a wide input as JSON lists, one as numbered columns, and rows of another model
 * between. */
static void from_log(void **state)
{
    enum { WIDE = 600, LOGGED = 9 };
    static const wr_tensor_spec in[] = {
        {.name = "wide", .type = WR_TENSOR_FP32, .ndims = 2, .shape = {-1, -1}},
        {.name = "pair", .type = WR_TENSOR_INT64, .ndims = 2, .shape = {-1, 2}},
        {.name = "maybe", .type = WR_TENSOR_FP64, .ndims = 1, .shape = {-1}, .optional = true}};
    WR_AUTOBUF wr_buf list = {0};
    wr_feasibility_report report = {0};
    wr_predictor p = {0};
    wr_instance m = {.in = in, .nin = 3, .predictor = &p, .rows = true};
    wr_feasibility_work w = {.a = wr_arena_new(0), .m = &m, .report = &report, .logged = wr_frame_new()};
    wr_err no = {0};
    (void)state;
    assert_int_equal(wr_frame_resize(w.logged, LOGGED), 0);
    wr_col *id = wr_frame_add(w.logged, "prediction_id", WR_TEXT);
    assert_non_null(id);
    assert_true(wr_frame_add(w.logged, "wide", WR_TEXT) && wr_frame_add(w.logged, "pair_0", WR_I64) &&
                wr_frame_add(w.logged, "pair_1", WR_I64));
    wr_col *c = w.logged->cols;
    for (int i = 0; i < LOGGED; i++) {
        wr_buf_clear(&list);
        for (int k = 0; k < WIDE; k++) wr_buf_printf(&list, "%s%d", k ? "," : "[", 1000 * i + k);
        wr_buf_char(&list, ']');
        assert_int_equal(
            wr_col_code(&c[0], WR_STR("id"), &c[0].code[i]) | wr_col_code(&c[1], wr_buf_view(&list), &c[1].code[i]), 0);
        c[2].i64[i] = i;
        c[3].i64[i] = -i;
        if (i % 3 == 1) assert_int_equal(wr_col_set_missing(&c[2], (size_t)i), 0);
    }
    OK(wr_feasibility_from_log(&w, err));
    assert_int_equal(w.nin, 2); /* the optional one was not logged */
    assert_int_equal(w.nrows, 6);
    assert_true(w.in[0].shape[0] == 6 && w.in[0].shape[1] == WIDE && w.in[0].count == 6 * WIDE);
    assert_true(((float *)w.in[0].data)[WIDE + 5] == 2005 && ((float *)w.in[0].data)[6 * WIDE - 1] == 8599);
    assert_true(((int64_t *)w.in[1].data)[2] == 2 && ((int64_t *)w.in[1].data)[3] == -2);
    wr_buf_clear(&list);
    wr_buf_str(&list, "[1,2]"); /* a row of another width */
    assert_int_equal(wr_col_code(&w.logged->cols[1], wr_buf_view(&list), &w.logged->cols[1].code[3]), 0);
    assert_int_equal(wr_feasibility_from_log(&w, &no), WEIR_EINVAL);
    assert_non_null(strstr(no.msg, "column \"wide\""));
    wr_frame_free(w.logged);
    wr_arena_free(w.a);
}

/* The list itself: numbers in order, each with words for people, and what to do. */
static void every_check_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < WR_FEASIBILITY_CHECKS; i++) {
        const wr_feasibility_check *c = &wr_feasibility_checks[i];
        assert_int_equal(c->number, i + 1);
        assert_true(c->name && c->limit && c->text && c->run);
        assert_true(c->hint && strlen(c->hint) > 20 && c->hint[strlen(c->hint) - 1] != '.');
        for (int k = 0; k < i; k++) assert_string_not_equal(c->name, wr_feasibility_checks[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema),
        cmocka_unit_test(parity),
        cmocka_unit_test(failing_requests),
        cmocka_unit_test(two_paths),
        cmocka_unit_test(behaviour),
        cmocka_unit_test(degraded),
        cmocka_unit_test(every_check_has_words),
        cmocka_unit_test(from_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
