/* SPDX-License-Identifier: Apache-2.0 */
/* features_test.c - a view in front of a model that knows nothing of views: what the model is fed online is what
 * wr_view_compute gives training, bit for bit, over random rows and events that come late, early, in any order, with
 * values missing. */
#include "core/trips_testing.h"

#include "stage/deploy/answer.h"
#include "stage/deploy/features.h"
#include "stage/deploy/keep.h"

enum { ROWS = 150, EVENTS = 500 };
static const int64_t SPAN_US = (int64_t)30 * 3600 * 1000000;

/* The model's columns are five of the view's seven features, in another order. */
static const char names[] = "\"feature_names\":[\"to_delay_3h\",\"km\",\"hour\",\"late_3h\",\"delay_3h\"]";
static const char *const columns[] = {"to_delay_3h", "km", "hour", "late_3h", "delay_3h"};

static void write_model(trips *w)
{
    WR_AUTOBUF wr_buf b = {0}, out = {0};
    OK(wr_file_read(&b, WEIR_SOURCE_DIR "/tests/reference/forests/xgb32_logistic.json", 1 << 22, err));
    const char *at = strstr(wr_buf_cstr(&b), "\"feature_names\":[]");
    assert_non_null(at);
    wr_buf_add(&out, b.p, (size_t)(at - b.p));
    wr_buf_str(&out, names);
    wr_buf_str(&out, at + strlen("\"feature_names\":[]"));
    OK(wr_file_write(trips_path(w, "m.json"), wr_buf_view(&out), err));
    trips_write(w, "features.yaml", trip_view);
}

static wr_serve *start(trips *w)
{
    wr_serve *s = NULL;
    write_model(w);
    trips_write(w, "weir.yaml", "endpoints:\n  fed: {path: m.json, features: features.yaml, log: all}\n");
    wr_project_close(w->project);
    OK(wr_file_remove_tree(trips_path(w, ".weir/log"), err));
    OK(wr_file_remove_tree(trips_path(w, ".weir/online"), err));
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

/* ---- the world ---- */

typedef struct {
    wr_frame *rows, *events;
    int64_t arrives[EVENTS]; /* at its time, or up to 50 minutes before */
    uint32_t order[EVENTS];  /* by arrival */
} world;

static const world *sorting;

static int by_arrival(const void *a, const void *b)
{
    int64_t x = sorting->arrives[*(const uint32_t *)a], y = sorting->arrives[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

static void put_text(wr_col *c, size_t i, wr_rng *r)
{
    static const char *const places[] = {"SFO", "JFK", "\xc3\xbc", ""};
    assert_int_equal(wr_col_code(c, wr_str_of(places[wr_rng_below(r, 4)]), &c->code[i]), 0);
}

static void put_number(wr_col *c, size_t i, double x, bool missing)
{
    c->f64[i] = missing ? NAN : x;
    if (missing) assert_int_equal(wr_col_set_missing(c, i), 0);
}

static void make_world(world *x, uint64_t seed)
{
    wr_rng r;
    wr_rng_init(&r, seed);
    x->rows = wr_frame_new();
    x->events = wr_frame_new();
    assert_int_equal(wr_frame_resize(x->rows, ROWS) | wr_frame_resize(x->events, EVENTS), 0);
    assert_true(wr_frame_add(x->rows, "at", WR_TS) && wr_frame_add(x->rows, "km", WR_F64) &&
                wr_frame_add(x->rows, "from", WR_TEXT) && wr_frame_add(x->rows, "to", WR_TEXT));
    assert_true(wr_frame_add(x->events, "_time", WR_TS) && wr_frame_add(x->events, "from", WR_TEXT) &&
                wr_frame_add(x->events, "to", WR_TEXT) && wr_frame_add(x->events, "delay", WR_F64));
    wr_col *row = x->rows->cols, *event = x->events->cols;
    for (size_t i = 0; i < ROWS; i++) {
        row[0].i64[i] = TRIPS_FROM_US + (int64_t)i * (SPAN_US / ROWS);
        put_number(&row[1], i, wr_rng_normal(&r) * 500, wr_rng_below(&r, 8) == 0);
        put_text(&row[2], i, &r);
        put_text(&row[3], i, &r);
    }
    for (size_t i = 0; i < EVENTS; i++) {
        event[0].i64[i] = TRIPS_FROM_US + (int64_t)(wr_rng_f64(&r) * (double)SPAN_US);
        if (i % 10 == 0) event[0].i64[i] = row[0].i64[wr_rng_below(&r, ROWS)]; /* known at the very moment */
        x->arrives[i] = event[0].i64[i] - (int64_t)wr_rng_below(&r, (uint64_t)50 * 60 * 1000000);
        x->order[i] = (uint32_t)i;
        put_text(&event[1], i, &r);
        put_text(&event[2], i, &r);
        put_number(&event[3], i, floor(wr_rng_f64(&r) * 90 - 30), wr_rng_below(&r, 8) == 0);
    }
    sorting = x;
    qsort(x->order, EVENTS, sizeof *x->order, by_arrival);
}

static void send_events(trips *w, world *x, wr_serve *s, wr_round *r, size_t *next, int64_t now)
{
    wr_live *l;
    wr_cell cells[4];
    OK(wr_serve_view(&l, s, WR_STR("trips_features"), err));
    for (; *next < EVENTS && x->arrives[x->order[*next]] <= now; ++*next) {
        size_t i = x->order[*next];
        for (size_t k = 0; k < w->view->nevent_columns; k++)
            cells[k] = trips_cell(x->events, w->view->event_columns[k], i);
        OK(wr_serve_event(r, l, x->events->cols[0].i64[i], cells, err));
    }
    OK(wr_serve_round_end(r, err));
}

/* ---- asking ---- */

static int answer(wr_serve_reply *out, wr_serve *s, wr_round *r, const wr_tensor *in, size_t nin, wr_arena *a,
                  wr_err *err)
{
    wr_served *package;
    wr_instance *m = NULL;
    wr_infer_request q = {.in = in, .nin = nin};
    wr_serve_asked asked = {.id = WR_STR("x")};
    WR_TRY(wr_serve_find(&package, &m, s, WR_STR("fed"), (wr_str){NULL, 0}, err));
    int rc = wr_serve_answer_to(out, r, package, m, &q, &asked, a, err);
    wr_instance_give(m);
    return rc;
}

/* km is left out where it is missing; the others always come, in any order. */
static void ask(trips *w, world *x, wr_serve *s, wr_round *r, size_t i)
{
    wr_serve_reply reply;
    wr_str from = wr_col_text(&x->rows->cols[2], i), to = wr_col_text(&x->rows->cols[3], i);
    double km = x->rows->cols[1].f64[i];
    int64_t at = x->rows->cols[0].i64[i];
    wr_tensor in[4] = {
        {.name = WR_STR("to"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1, .data = &to},
        {.name = WR_STR("from"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1, .data = &from},
        {.name = WR_STR("at"), .type = WR_TENSOR_INT64, .ndims = 1, .shape = {1}, .count = 1, .data = &at},
        {.name = WR_STR("km"), .type = WR_TENSOR_FP64, .ndims = 2, .shape = {1, 1}, .count = 1, .data = &km}};
    OK(answer(&reply, s, r, in, isnan(km) ? 3 : 4, w->a, err));
}

/* ---- what the model saw ---- */

typedef struct {
    trips *w;
    float seen[ROWS][5];
    size_t n;
} seen;

static int read_record(void *ctx, uint32_t type, wr_str payload)
{
    seen *s = ctx;
    wr_predlog_tensors t;
    if (type != WR_PREDLOG_TENSORS) return 0;
    OK(wr_predlog_get_tensors(&t, s->w->a, payload, err));
    assert_true(t.nin == 1 && t.in[0].type == WR_TENSOR_FP32 && t.in[0].count == 5 && s->n < ROWS);
    memcpy(s->seen[s->n++], t.in[0].data, sizeof s->seen[0]);
    return 0;
}

static void test_online_is_batch(void **state)
{
    trips *w = *state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        world x;
        size_t next = 0, finite = 0;
        seen *got = wr_arena_calloc(w->a, 1, sizeof *got);
        got->w = w;
        make_world(&x, seed);
        wr_serve *s = start(w);
        wr_round *r = wr_round_new(s);
        for (size_t i = 0; i < ROWS; i++) {
            send_events(w, &x, s, r, &next, x.rows->cols[0].i64[i]);
            ask(w, &x, s, r, i);
        }
        wr_round_free(r);
        wr_serve_keep_flush(s);
        OK(wr_applog_read(trips_path(w, ".weir/log"), 1, read_record, got, err));
        wr_serve_close(s);
        assert_int_equal(got->n, ROWS);
        wr_frame *batch = wr_frame_new();
        OK(wr_view_compute(batch, w->view, x.rows, x.events, NULL, err));
        for (size_t i = 0; i < ROWS; i++)
            for (size_t k = 0; k < 5; k++) {
                float want = wr_frame_col(batch, columns[k])->f32[i], is = got->seen[i][k];
                finite += isfinite(want);
                if (isnan(want) ? !isnan(is) : memcmp(&want, &is, sizeof is) != 0)
                    fail_msg("seed %d, row %zu, %s: %.9g online, %.9g in training", (int)seed, i, columns[k],
                             (double)is, (double)want);
            }
        assert_true(finite > ROWS * 3);
        wr_frame_free(batch);
        wr_frame_free(x.rows);
        wr_frame_free(x.events);
    }
}

static float score(const wr_serve_reply *r) { return ((const float *)r->out[0].data)[0]; }

static void test_what_a_request_says_goes_first(void **state)
{
    trips *w = *state;
    wr_err why = {0};
    wr_serve_reply looked, said, whole;
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_str place = WR_STR("SFO");
    int64_t at = TRIPS_FROM_US;
    double km = 3, delay = 40;
    const wr_tensor in[] = {
        {.name = WR_STR("from"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1, .data = &place},
        {.name = WR_STR("at"), .type = WR_TENSOR_INT64, .ndims = 1, .shape = {1}, .count = 1, .data = &at},
        {.name = WR_STR("km"), .type = WR_TENSOR_FP64, .ndims = 1, .shape = {1}, .count = 1, .data = &km},
        {.name = WR_STR("delay_3h"), .type = WR_TENSOR_FP64, .ndims = 1, .shape = {1}, .count = 1, .data = &delay}};
    OK(answer(&looked, s, r, in, 3, w->a, err));
    OK(answer(&said, s, r, in, 4, w->a, err));
    /* the same row, whole: what the model itself takes; the time is the first request column and left out then */
    float row[5] = {NAN, 3, 0, NAN, 40};
    wr_tensor matrix = {
        .name = WR_STR("input"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 5}, .count = 5, .data = row};
    OK(answer(&whole, s, r, &matrix, 1, w->a, err));
    assert_true(score(&said) == score(&whole));
    row[4] = NAN;
    OK(answer(&whole, s, r, &matrix, 1, w->a, err));
    assert_true(score(&looked) == score(&whole));
    wr_tensor bad = in[0];
    bad.name = WR_STR("form");
    assert_int_equal(answer(&looked, s, r, &bad, 1, w->a, &why), WEIR_EINVAL);
    assert_non_null(strstr(why.hint, "did you mean 'from'?"));
    bad = in[0];
    bad.name = WR_STR("km");
    assert_int_equal(answer(&looked, s, r, &bad, 1, w->a, &why), WEIR_EINVAL);
    bad.name = WR_STR("late_3h");
    assert_int_equal(answer(&looked, s, r, &bad, 1, w->a, &why), WEIR_EINVAL);
    wr_tensor two[2] = {in[0], in[2]};
    wr_str both[2] = {place, place};
    two[0].shape[0] = 2, two[0].count = 2, two[0].data = both;
    assert_int_equal(answer(&looked, s, r, two, 2, w->a, &why), WEIR_EINVAL);
    wr_round_free(r);
    wr_serve_close(s);
}

/* Texts of a view into a model that knows them as categories: what LightGBM answers (tests/reference/forests/lgb_framehand.rows). */
static void test_texts_are_categories(void **state)
{
    static const struct { const char *color; double x; const char *grade; int hour; double answer; } rows[] = {
        {"green", -1.5, "mid", 4, 0.1250962782638309},
        {"blue", 1, "high", 1, 2.2128995624046968},
        {"never", 0, "high", 1, 2.7354500485947186}, /* not there in training: missing */
        {"", 0, "low", 4, 2.6119237128086077},
    };
    static const char head[] = "feature_names=color x grade zip\n";
    trips *w = *state;
    WR_AUTOBUF wr_buf b = {0}, out = {0};
    wr_serve *s = NULL;
    OK(wr_file_read(&b, WEIR_SOURCE_DIR "/tests/reference/forests/lgb_framehand.txt", 1 << 20, err));
    const char *names_at = strstr(wr_buf_cstr(&b), head);
    assert_non_null(names_at);
    wr_buf_add(&out, b.p, (size_t)(names_at - b.p));
    wr_buf_str(&out, "feature_names=from km to hour\n");
    wr_buf_str(&out, names_at + strlen(head));
    OK(wr_file_write(trips_path(w, "texts.txt"), wr_buf_view(&out), err));
    trips_write(w, "texts.yaml", wr_arena_printf(w->a, "%s  - {name: to, op: category, of: to}\n", trip_view));
    trips_write(w, "weir.yaml", "endpoints:\n  fed: {path: texts.txt, features: texts.yaml}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, NULL, err));
    wr_round *r = wr_round_new(s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wr_serve_reply is;
        wr_str from = wr_str_of(rows[i].color), to = wr_str_of(rows[i].grade);
        double km = rows[i].x;
        int64_t at = TRIPS_FROM_US + (int64_t)rows[i].hour * 3600 * 1000000;
        const wr_tensor in[] = {
            {.name = WR_STR("from"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1, .data = &from},
            {.name = WR_STR("to"), .type = WR_TENSOR_BYTES, .ndims = 1, .shape = {1}, .count = 1, .data = &to},
            {.name = WR_STR("at"), .type = WR_TENSOR_INT64, .ndims = 1, .shape = {1}, .count = 1, .data = &at},
            {.name = WR_STR("km"), .type = WR_TENSOR_FP64, .ndims = 1, .shape = {1}, .count = 1, .data = &km}};
        OK(answer(&is, s, r, in, 4, w->a, err));
        if (((const double *)is.out[0].data)[0] != rows[i].answer)
            fail_msg("row %zu: %.17g, should be %.17g", i, ((const double *)is.out[0].data)[0], rows[i].answer);
    }
    wr_round_free(r);
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_online_is_batch),
        cmocka_unit_test(test_what_a_request_says_goes_first),
        cmocka_unit_test(test_texts_are_categories),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
