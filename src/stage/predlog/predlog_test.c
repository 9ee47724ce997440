/* SPDX-License-Identifier: Apache-2.0 */
/* predlog_test.c - records of the serving log: what goes in comes out, and no hostile bytes get through. */
#include "core/trips_testing.h"
#include "stage/predlog/predlog.h"

static wr_cell cells[4];

static void fill(wr_predlog_prediction *p, const trips *w, float *num, wr_str *text)
{
    trips_request(w, 3, cells); /* km is missing there */
    for (size_t i = 0; i < w->view->nfeatures; i++) {
        num[i] = i == 3 ? NAN : (float)i / 3;
        text[i] = w->view->features[i].category ? WR_STR("a\0b") : (wr_str){NULL, 0};
    }
    *p = (wr_predlog_prediction){.endpoint = WR_STR("late"),
                                 .model = WR_STR("m"),
                                 .id = WR_STR("id-1"),
                                 .version = 3,
                                 .served_us = 77,
                                 .event_us = cells[0].ts,
                                 .view = wr_predlog_view_id(w->view),
                                 .score = 0.25,
                                 .joules = 0.5,
                                 .request = cells,
                                 .num = num,
                                 .text = text};
}

static void test_prediction(void **state)
{
    trips *w = *state;
    wr_predlog_prediction p, q;
    float num[16];
    wr_str text[16];
    WR_AUTOBUF wr_buf b = {0};
    fill(&p, w, num, text);
    wr_predlog_put_prediction(&b, &p, w->view);
    assert_false(b.failed);
    OK(wr_predlog_get_prediction(&q, w->a, wr_buf_view(&b), err));
    assert_true(wr_str_eq(p.endpoint, q.endpoint) && wr_str_eq(p.model, q.model) && wr_str_eq(p.id, q.id));
    assert_true(q.version == 3 && q.served_us == 77 && q.event_us == p.event_us && q.view == p.view);
    assert_true(q.score == 0.25 && q.joules == 0.5);
    assert_int_equal(q.nrequest, 4);
    assert_int_equal(q.nfeatures, 7);
    assert_true(q.request[0].ts == cells[0].ts && q.request[1].missing && wr_str_eq(q.request[2].text, cells[2].text));
    for (size_t i = 0; i < 7; i++) {
        if (w->view->features[i].category) assert_true(wr_str_eq(q.text[i], text[i]));
        else assert_true(memcmp(&q.num[i], &num[i], 4) == 0 || (isnan(q.num[i]) && isnan(num[i])));
    }
    OK(wr_predlog_get_prediction(&q, w->a, (wr_str){b.p, b.n - sizeof q.joules}, err)); /* as older versions wrote it */
    assert_true(isnan(q.joules) && q.nfeatures == 7);
    text[2] = (wr_str){NULL, 0}; /* a missing category stays missing, an empty one empty */
    wr_buf_clear(&b);
    wr_predlog_put_prediction(&b, &p, w->view);
    OK(wr_predlog_get_prediction(&q, w->a, wr_buf_view(&b), err));
    assert_null(q.text[2].p);
    text[2] = WR_STR("");
    wr_buf_clear(&b);
    wr_predlog_put_prediction(&b, &p, w->view);
    OK(wr_predlog_get_prediction(&q, w->a, wr_buf_view(&b), err));
    assert_non_null(q.text[2].p);
    assert_int_equal(q.text[2].n, 0);
}

static void test_label_and_event(void **state)
{
    trips *w = *state;
    wr_predlog_label l = {WR_STR("late"), WR_STR("id"), -0.5, INT64_MIN, INT64_MAX}, m;
    wr_cell e[4];
    wr_predlog_event f;
    WR_AUTOBUF wr_buf b = {0};
    wr_predlog_put_label(&b, &l);
    OK(wr_predlog_get_label(&m, wr_buf_view(&b), err));
    assert_true(wr_str_is(m.endpoint, "late") && wr_str_is(m.id, "id") && m.label == -0.5 && m.known_us == INT64_MIN &&
                m.received_us == INT64_MAX);
    trips_event(w, 5, e);
    e[1].missing = true;
    wr_predlog_event in = {.view_name = WR_STR("v"), .view = 9, .time_us = -3, .received_us = 4, .cells = e};
    wr_buf_clear(&b);
    wr_predlog_put_event(&b, &in, w->view);
    OK(wr_predlog_get_event(&f, w->a, wr_buf_view(&b), err));
    assert_true(wr_str_is(f.view_name, "v") && f.view == 9 && f.time_us == -3 && f.received_us == 4 &&
                f.ncells == w->view->nevent_columns);
    assert_true(f.cells[1].missing && wr_str_eq(f.cells[0].text, e[0].text));
    wr_str name;
    uint64_t view;
    OK(wr_predlog_peek(&name, &view, WR_PREDLOG_EVENT, wr_buf_view(&b), err));
    assert_true(wr_str_is(name, "v") && view == 9);
    assert_int_equal(wr_predlog_peek(&name, &view, 9, wr_buf_view(&b), NULL), WEIR_ECORRUPT);
}

/* Every shortening, every byte changed, and bytes added: an error or a record, never a read outside (ASan). */
static void test_hostile(void **state)
{
    trips *w = *state;
    wr_predlog_prediction p, q;
    wr_predlog_event e;
    float num[16];
    wr_str text[16];
    WR_AUTOBUF wr_buf b = {0};
    fill(&p, w, num, text);
    wr_predlog_put_prediction(&b, &p, w->view);
    for (size_t n = 0; n < b.n; n++) {
        WR_AUTOFREE char *copy = wr_alloc(n); /* exactly, so that a read beyond is seen */
        memcpy(copy, b.p, n);
        bool older = n == b.n - sizeof q.joules;
        assert_int_equal(wr_predlog_get_prediction(&q, w->a, (wr_str){copy, n}, NULL), older ? 0 : WEIR_ECORRUPT);
        (void)wr_predlog_get_event(&e, w->a, (wr_str){copy, n}, NULL);
    }
    for (size_t i = 0; i < b.n; i++)
        for (int v = 0; v < 256; v += 51) {
            char was = b.p[i];
            b.p[i] = (char)v;
            (void)wr_predlog_get_prediction(&q, w->a, wr_buf_view(&b), NULL);
            (void)wr_predlog_get_event(&e, w->a, wr_buf_view(&b), NULL);
            b.p[i] = was;
        }
    wr_buf_char(&b, 0);
    assert_int_equal(wr_predlog_get_prediction(&q, w->a, wr_buf_view(&b), NULL), WEIR_ECORRUPT);
}

static int32_t matrix[6] = {1, -2, 3, 4, 5, 6};
static wr_str texts[3] = {{"x", 1}, {NULL, 0}, {"", 0}};
static uint8_t flags[3] = {1, 0, 1};

/* Rows 1 and 2 of three. */
static void put_tensors(wr_buf *b)
{
    wr_tensor in[2] = {
        {.name = WR_STR("m"), .type = WR_TENSOR_INT32, .ndims = 2, .shape = {3, 2}, .count = 6, .data = matrix},
        {.name = WR_STR("t"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {3}, .count = 3, .data = texts}};
    wr_tensor out = {.name = WR_STR("o"), .type = WR_TENSOR_BOOL, .ndims = 1, .shape = {3}, .count = 3, .data = flags};
    wr_predlog_tensors r = {.endpoint = WR_STR("e"),
                            .model = WR_STR("mo"),
                            .id = WR_STR("i"),
                            .arm = WR_STR("canary"),
                            .version = 4,
                            .served_us = 5,
                            .layout = 6,
                            .took_s = 0.5,
                            .joules = NAN,
                            .propensity = 0.25,
                            .rows = 2,
                            .first = 1,
                            .total = 3,
                            .rowwise = true,
                            .in = in,
                            .nin = 2,
                            .out = &out,
                            .nout = 1};
    wr_predlog_put_tensors(b, &r);
    assert_false(b->failed);
}

static void test_tensors(void **state)
{
    trips *w = *state;
    wr_predlog_tensors r;
    wr_str name;
    uint64_t layout;
    WR_AUTOBUF wr_buf b = {0};
    put_tensors(&b);
    OK(wr_predlog_get_tensors(&r, w->a, wr_buf_view(&b), err));
    assert_true(wr_str_is(r.endpoint, "e") && wr_str_is(r.model, "mo") && wr_str_is(r.id, "i") &&
                wr_str_is(r.arm, "canary"));
    assert_true(r.version == 4 && r.served_us == 5 && r.layout == 6 && r.took_s == 0.5 && isnan(r.joules) &&
                r.propensity == 0.25);
    assert_true(r.rows == 2 && r.first == 1 && r.total == 3 && r.rowwise && r.nin == 2 && r.nout == 1);
    assert_true(r.in[0].count == 4 && memcmp(r.in[0].data, matrix + 2, 16) == 0 && r.in[0].shape[0] == 2 &&
                r.in[0].shape[1] == 2);
    const wr_str *t = r.in[1].data;
    assert_true(r.in[1].count == 2 && !t[0].p && t[1].p && !t[1].n);
    assert_true(r.out[0].count == 2 && memcmp(r.out[0].data, flags + 1, 2) == 0);
    OK(wr_predlog_peek(&name, &layout, WR_PREDLOG_TENSORS, wr_buf_view(&b), err));
    assert_true(wr_str_is(name, "e") && layout == 6);
}

static void test_feedback(void **state)
{
    (void)state;
    WR_AUTOBUF wr_buf b = {0};
    wr_predlog_feedback f, in[] = {{.endpoint = WR_STR("e"),
                                    .id = WR_STR("i"),
                                    .text = WR_STR("cat"),
                                    .value = NAN,
                                    .known_us = 7,
                                    .received_us = 8},
                                   {.endpoint = WR_STR("e"),
                                    .id = WR_STR("i"),
                                    .value = -1.5,
                                    .reward = true,
                                    .known_us = INT64_MIN,
                                    .received_us = 9}};
    for (int i = 0; i < 2; i++) {
        wr_buf_clear(&b);
        wr_predlog_put_feedback(&b, &in[i]);
        OK(wr_predlog_get_feedback(&f, wr_buf_view(&b), err));
        assert_true(wr_str_is(f.endpoint, "e") && wr_str_is(f.id, "i") && f.reward == in[i].reward &&
                    f.known_us == in[i].known_us);
        assert_true(f.received_us == in[i].received_us && wr_str_eq(f.text, in[i].text) && !f.text.p == !in[i].text.p);
        if (i) assert_true(f.value == -1.5);
        for (size_t n = 0; n < b.n; n++) {
            WR_AUTOFREE char *copy = wr_alloc(n);
            memcpy(copy, b.p, n);
            assert_int_equal(wr_predlog_get_feedback(&f, (wr_str){copy, n}, NULL), WEIR_ECORRUPT);
        }
    }
}

/* As test_hostile. */
static void test_hostile_tensors(void **state)
{
    trips *w = *state;
    wr_predlog_tensors r;
    WR_AUTOBUF wr_buf b = {0};
    put_tensors(&b);
    for (size_t n = 0; n < b.n; n++) {
        WR_AUTOFREE char *copy = wr_alloc(n);
        memcpy(copy, b.p, n);
        assert_int_equal(wr_predlog_get_tensors(&r, w->a, (wr_str){copy, n}, NULL), WEIR_ECORRUPT);
    }
    for (size_t i = 0; i < b.n; i++)
        for (int v = 0; v < 256; v += 17) {
            char was = b.p[i];
            b.p[i] = (char)v;
            if (wr_predlog_get_tensors(&r, w->a, wr_buf_view(&b), NULL) == 0 && r.rowwise)
                for (size_t k = 0; k < r.nin; k++)
                    assert_true(r.in[k].ndims > 0 && r.in[k].shape[0] == (int64_t)r.rows);
            b.p[i] = was;
        }
    wr_buf_char(&b, 0);
    assert_int_equal(wr_predlog_get_tensors(&r, w->a, wr_buf_view(&b), NULL), WEIR_ECORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prediction), cmocka_unit_test(test_label_and_event),
                                       cmocka_unit_test(test_hostile),    cmocka_unit_test(test_tensors),
                                       cmocka_unit_test(test_feedback),   cmocka_unit_test(test_hostile_tensors)};
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
