/* SPDX-License-Identifier: Apache-2.0 */
/* predlog_test.c - records of the serving log: what goes in comes out, and no hostile bytes get through. */
#include "stage/deploy/deploy_testing.h"
#include "stage/deploy/predlog.h"

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
    assert_true(q.score == 0.25);
    assert_int_equal(q.nrequest, 4);
    assert_int_equal(q.nfeatures, 7);
    assert_true(q.request[0].ts == cells[0].ts && q.request[1].missing && wr_str_eq(q.request[2].text, cells[2].text));
    for (size_t i = 0; i < 7; i++) {
        if (w->view->features[i].category) assert_true(wr_str_eq(q.text[i], text[i]));
        else assert_true(memcmp(&q.num[i], &num[i], 4) == 0 || (isnan(q.num[i]) && isnan(num[i])));
    }
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
        assert_int_equal(wr_predlog_get_prediction(&q, w->a, (wr_str){copy, n}, NULL), WEIR_ECORRUPT);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prediction), cmocka_unit_test(test_label_and_event),
                                       cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
