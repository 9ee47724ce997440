/* SPDX-License-Identifier: Apache-2.0 */
/* feature_service_test.c - a view that looks columns up, behind a feature service: what models see for random rows
 * asked for by keys alone is what the training table has, bit for bit; what is needed and what is not; tables that
 * come, change, are damaged. */
#include "stage/deploy/looking_testing.h"

#include <pthread.h>
#include <stdatomic.h>

#include "stage/deploy/answer.h"
#include "stage/deploy/features.h"
#include "stage/deploy/keep.h"

/* Of the other model, as `names` has them. */
static const char *const columns[] = {"tax", "km", "size", "delay_3h", "opened"};

static const char split[] = "feature_services:\n  trips: {view: features.yaml, optional: [km]}\n"
                            "  split: {views: [a.yaml, b.yaml], optional: [km]}\n"
                            "endpoints:\n  late: {model: late@champion, features: trips}\n"
                            "  fed: {path: m.json, features: trips, log: all}\n"
                            "  two: {path: m.json, features: split, log: all}\n";

static wr_serve *start(trips *w)
{
    wr_serve *s = NULL;
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

static int make(void **state) { return looking_make(state, WEIR_SOURCE_DIR); }

/* ---- asking ---- */

static int answer(wr_serve_reply *out, wr_serve *s, wr_round *r, const char *name, const wr_tensor *in, size_t nin,
                  wr_arena *a, wr_err *err)
{
    wr_served *package;
    wr_instance *m = NULL;
    wr_infer_request q = {.in = in, .nin = nin};
    wr_serve_asked asked = {.id = WR_STR("x")};
    WR_TRY(wr_serve_find(&package, &m, s, wr_str_of(name), (wr_str){NULL, 0}, err));
    int rc = wr_serve_answer_to(out, r, package, m, &q, &asked, a, err);
    if (m) wr_instance_give(m);
    if (package) wr_serve_give(package);
    return rc;
}

static wr_tensor tensor(const char *name, wr_tensor_type type, void *data)
{
    return (wr_tensor){.name = wr_str_of(name), .type = type, .ndims = 1, .shape = {1}, .count = 1, .data = data};
}

/* Keys, the time and, where there is one, km: what is looked up is left out, or null. */
static void ask(trips *w, wr_serve *s, wr_round *r, size_t i, wr_rng *rng)
{
    wr_serve_reply reply;
    wr_str from = wr_col_text(wr_frame_col(w->rows, "from"), i), to = wr_col_text(wr_frame_col(w->rows, "to"), i),
           none = {NULL, 0};
    double km = wr_col_num(wr_frame_col(w->rows, "km"), i), nothing = NAN;
    int64_t at = wr_frame_col(w->rows, "at")->i64[i];
    wr_tensor in[8] = {tensor("to", WR_TENSOR_BYTES, &to), tensor("from", WR_TENSOR_BYTES, &from),
                       tensor("at", WR_TENSOR_INT64, &at)};
    size_t n = 3;
    if (!isnan(km)) in[n++] = tensor("km", WR_TENSOR_FP64, &km);
    if (wr_rng_below(rng, 3) == 0) in[n++] = tensor("size", WR_TENSOR_FP64, &nothing);
    if (wr_rng_below(rng, 3) == 0) in[n++] = tensor("zone", WR_TENSOR_BYTES, &none);
    OK(answer(&reply, s, r, "late", in, n, w->a, err));
    OK(answer(&reply, s, r, "fed", in, n, w->a, err));
    OK(answer(&reply, s, r, "two", in, n, w->a, err));
}

static void send_events(trips *w, wr_serve *s, wr_round *r, size_t *next, int64_t now)
{
    wr_live *l, *a;
    wr_cell cells[4];
    OK(wr_serve_view(&l, s, WR_STR("looking"), err));
    OK(wr_serve_view(&a, s, WR_STR("looking_a"), err));
    assert_int_equal(a->view->nevent_columns, l->view->nevent_columns);
    for (; *next < w->events->nrows && w->events->cols[0].i64[*next] <= now; ++*next) {
        trips_event(w, *next, cells);
        OK(wr_serve_event(r, l, w->events->cols[0].i64[*next], cells, err));
        OK(wr_serve_event(r, a, w->events->cols[0].i64[*next], cells, err));
    }
    OK(wr_serve_round_end(r, err));
}

/* ---- what the models saw ---- */

typedef struct {
    trips *w;
    size_t packaged, fed[2], looked_up; /* fed: by one view, by two */
} seen;

static void same_number(float is, float want, size_t row, const char *name)
{
    if (isnan(want) ? !isnan(is) : memcmp(&want, &is, sizeof is) != 0)
        fail_msg("row %zu, %s: %.9g in serving, %.9g in training", row, name, (double)is, (double)want);
}

static void check_prediction(seen *s, const wr_predlog_prediction *p)
{
    trips *w = s->w;
    size_t i = s->packaged++;
    wr_package *k;
    for (size_t f = 0; f < w->view->nfeatures; f++) {
        const char *name = w->view->features[f].name;
        const wr_col *c = wr_frame_col(w->features, name);
        if (c->type != WR_TEXT) same_number(p->num[f], c->f32[i], i, name);
        else if (wr_col_missing(c, i) ? p->text[f].p != NULL : !wr_str_eq(p->text[f], wr_col_text(c, i)))
            fail_msg("row %zu, %s differs", i, name);
    }
    for (size_t c = 0; c < w->view->nrequest; c++) {
        wr_cell want = trips_cell(w->rows, w->view->request[c], i);
        if (p->request[c].missing != want.missing) fail_msg("row %zu, column %s differs", i, w->view->request[c]);
        s->looked_up += w->view->looked_up[c] && !want.missing;
    }
    OK(wr_package_load(&k, w->project, w->package[0], err));
    double score = wr_package_predict_row(k, p->num, p->text);
    assert_memory_equal(&score, &p->score, sizeof score);
    wr_package_free(k);
}

static int read_record(void *ctx, uint32_t type, wr_str payload)
{
    seen *s = ctx;
    wr_predlog_prediction p;
    wr_predlog_tensors t;
    if (type == WR_PREDLOG_PREDICTION) {
        OK(wr_predlog_get_prediction(&p, s->w->a, payload, err));
        check_prediction(s, &p);
    }
    if (type != WR_PREDLOG_TENSORS) return 0;
    OK(wr_predlog_get_tensors(&t, s->w->a, payload, err));
    assert_true(t.nin == 1 && t.in[0].type == WR_TENSOR_FP32 && t.in[0].count == 5);
    size_t *row = &s->fed[wr_str_is(t.endpoint, "two")];
    for (size_t k = 0; k < 5; k++)
        same_number(((const float *)t.in[0].data)[k], wr_frame_col(s->w->features, columns[k])->f32[*row], *row,
                    columns[k]);
    ++*row;
    return 0;
}

static void test_serving_is_training(void **state)
{
    trips *w = *state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        seen got = {.w = w};
        size_t next = 0;
        int64_t last = TRIPS_FROM_US - (int64_t)4 * 3600 * 1000000;
        wr_rng rng;
        wr_rng_init(&rng, seed);
        reopen(w, split);
        make_world(w, seed);
        write_tables(w, last);
        wr_serve *s = start(w);
        wr_round *r = wr_round_new(s);
        for (size_t i = 0; i < TRIPS; i++) {
            int64_t at = wr_frame_col(w->rows, "at")->i64[i], tick = (int64_t)10 * 60 * 1000000;
            if (at / tick != last / tick) { /* something may have become known */
                write_tables(w, at - at % tick);
                OK(wr_serve_refresh(s, err));
                last = at;
            }
            send_events(w, s, r, &next, at);
            ask(w, s, r, i, &rng);
        }
        wr_round_free(r);
        wr_serve_keep_flush(s);
        OK(wr_applog_read(trips_path(w, ".weir/log"), 1, read_record, &got, err));
        wr_serve_close(s);
        assert_true(got.packaged == TRIPS && got.fed[0] == TRIPS && got.fed[1] == TRIPS);
        assert_true(got.looked_up > TRIPS); /* of four columns */
    }
}

/* ---- what is needed ---- */

static void test_needed(void **state)
{
    trips *w = *state;
    wr_err why = {0};
    wr_serve_reply reply;
    wr_str place = WR_STR("SFO");
    double km = 3;
    static const char *const endpoints[] = {"late", "fed", "two"};
    reopen(w, split);
    write_tables(w, wr_clock_wall_us());
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_served *m;
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    for (size_t k = 0; k < m->nin; k++) {
        const char *name = m->in[k].name;
        assert_int_equal(m->in[k].optional, strcmp(name, "from") != 0 && strcmp(name, "to") != 0);
    }
    wr_serve_give(m);
    const wr_tensor in[] = {tensor("from", WR_TENSOR_BYTES, &place), tensor("to", WR_TENSOR_BYTES, &place),
                            tensor("km", WR_TENSOR_FP64, &km)};
    for (size_t k = 0; k < 3; k++) {
        OK(answer(&reply, s, r, endpoints[k], in, 2, w->a, err));
        OK(answer(&reply, s, r, endpoints[k], in, 3, w->a, err));
        assert_int_equal(answer(&reply, s, r, endpoints[k], in, 1, w->a, &why), WEIR_EINVAL);
        assert_non_null(strstr(why.msg, "'to' is missing"));
        assert_int_equal(answer(&reply, s, r, endpoints[k], in, 0, w->a, &why), WEIR_EINVAL);
        assert_non_null(strstr(why.msg, "'from' is missing"));
    }
    wr_round_free(r);
    wr_serve_close(s);
}

/* Without a service what a view looks up may be left out, and nothing else; of a view's file all may. */
static void test_without_service(void **state)
{
    trips *w = *state;
    static const char *const ways[] = {"endpoints:\n  late: {model: late@champion}\n",
                                       "endpoints:\n  late: {model: late@champion, features: features.yaml}\n"};
    for (int file = 0; file < 2; file++) {
        wr_served *m;
        reopen(w, ways[file]);
        wr_serve *s = start(w);
        OK(wr_serve_take(&m, s, WR_STR("late"), err));
        for (size_t k = 0; k < m->nin; k++) assert_int_equal(m->in[k].optional, file || w->view->looked_up[k]);
        wr_serve_give(m);
        wr_serve_close(s);
    }
}

static double score_of(trips *w, wr_serve *s, wr_round *r, int64_t at)
{
    wr_serve_reply reply;
    wr_str place = WR_STR("SFO");
    const wr_tensor in[] = {tensor("from", WR_TENSOR_BYTES, &place), tensor("to", WR_TENSOR_BYTES, &place),
                            tensor("at", WR_TENSOR_INT64, &at)};
    OK(answer(&reply, s, r, "late", in, 3, w->a, err));
    return ((const double *)reply.out[0].data)[0];
}

static void test_tables(void **state)
{
    trips *w = *state;
    wr_err why = {0};
    wr_serve_reply reply;
    wr_live *l;
    wr_lookup_info info;
    const char *path;
    wr_str place = WR_STR("SFO"), zone = WR_STR("z1");
    double one = 1;
    int64_t at = TRIPS_FROM_US + (int64_t)20 * 3600 * 1000000;
    reopen(w, services);
    OK(wr_noun_lookup_path(&path, w->project, "looking", err));
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_tensor in[] = {tensor("from", WR_TENSOR_BYTES, &place), tensor("to", WR_TENSOR_BYTES, &place),
                      tensor("size", WR_TENSOR_FP64, &one),    tensor("zone", WR_TENSOR_BYTES, &zone),
                      tensor("opened", WR_TENSOR_INT64, &at),  tensor("tax", WR_TENSOR_FP64, &one)};
    assert_int_equal(answer(&reply, s, r, "late", in, 2, w->a, &why), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(why.hint, "weir feature materialize"));
    assert_int_equal(answer(&reply, s, r, "fed", in, 5, w->a, &why), WEIR_EUNAVAILABLE);
    OK(answer(&reply, s, r, "late", in, 6, w->a, err)); /* all that would be looked up is there */
    write_tables(w, at);
    OK(wr_serve_refresh(s, err));
    double before = score_of(w, s, r, at);
    OK(wr_file_write(path, WR_STR("nothing"), err)); /* damaged: what there is stays */
    OK(wr_serve_refresh(s, err));
    assert_true(score_of(w, s, r, at) == before);
    OK(wr_file_remove(path, err));
    OK(wr_serve_refresh(s, err));
    assert_true(score_of(w, s, r, at) == before);
    OK(wr_serve_view(&l, s, WR_STR("looking"), err));
    assert_true(wr_live_tables(&info, l) && info.as_of_us == at && info.rows > 4);
    wr_round_free(r);
    wr_serve_close(s);
    OK(wr_file_write(path, WR_STR("nothing"), err)); /* at the start it is told why */
    s = start(w);
    r = wr_round_new(s);
    assert_int_equal(answer(&reply, s, r, "late", in, 2, w->a, &why), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(why.detail, "cannot be used"));
    wr_round_free(r);
    wr_serve_close(s);
}

/* ---- tables change while requests go on ---- */

typedef struct {
    trips *w;
    wr_serve *s;
    const double *known; /* scores with either table */
    int64_t at;
    atomic_bool *end;
    size_t answers[2];
} asker;

static void *keep_asking(void *ctx)
{
    asker *k = ctx;
    wr_arena *a = wr_arena_new(0);
    wr_round *r = wr_round_new(k->s);
    while (!atomic_load(k->end)) {
        wr_serve_reply reply;
        wr_str place = WR_STR("SFO");
        const wr_tensor in[] = {tensor("from", WR_TENSOR_BYTES, &place), tensor("to", WR_TENSOR_BYTES, &place),
                                tensor("at", WR_TENSOR_INT64, &k->at)};
        wr_arena_clear(a);
        OK(answer(&reply, k->s, r, "late", in, 3, a, err));
        OK(wr_serve_round_end(r, err));
        double score = ((const double *)reply.out[0].data)[0];
        if (score != k->known[0] && score != k->known[1]) fail_msg("a score of neither table: %.17g", score);
        k->answers[score == k->known[1]]++;
    }
    wr_round_free(r);
    wr_arena_free(a);
    return NULL;
}

static void test_swapped_under_load(void **state)
{
    trips *w = *state;
    atomic_bool ended = false;
    pthread_t threads[2];
    asker askers[2];
    double known[2] = {0};
    int64_t at = TRIPS_FROM_US + (int64_t)30 * 3600 * 1000000, as_of[2] = {0, 0};
    reopen(w, services);
    write_tables(w, at);
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    as_of[0] = at;
    known[0] = known[1] = score_of(w, s, r, at);
    for (int back = 1; back < 200 && known[1] == known[0]; back++) { /* another moment, another score */
        as_of[1] = at - back * (int64_t)10 * 60 * 1000000;
        write_tables(w, as_of[1]);
        OK(wr_serve_refresh(s, err));
        known[1] = score_of(w, s, r, at);
    }
    assert_true(known[0] != known[1]);
    OK(wr_serve_round_end(r, err));
    for (int i = 0; i < 2; i++) {
        askers[i] = (asker){.w = w, .s = s, .known = known, .at = at, .end = &ended};
        assert_int_equal(pthread_create(&threads[i], NULL, keep_asking, &askers[i]), 0);
    }
    for (int i = 0; i < 40; i++) {
        write_tables(w, as_of[i % 2]);
        OK(wr_serve_refresh(s, err));
    }
    atomic_store(&ended, true);
    size_t answers[2] = {0};
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        for (int k = 0; k < 2; k++) answers[k] += askers[i].answers[k];
    }
    assert_true(answers[0] && answers[1]);
    wr_round_free(r);
    wr_serve_close(s);
}

static void refused(trips *w, const char *yaml, const char *msg, const char *hint)
{
    wr_err why = {0};
    wr_serve *s;
    reopen(w, yaml);
    assert_true(wr_serve_open(&s, w->project, NULL, &why) < 0);
    if (!strstr(why.msg, msg) || !strstr(why.hint, hint)) fail_msg("%s (%s)", why.msg, why.hint);
}

static void test_mistakes(void **state)
{
    trips *w = *state;
    wr_served *m;
    wr_err why = {0};
    refused(w,
            "feature_services: {trips: {view: features.yaml}}\nendpoints:\n  late: {model: late@champion, features: "
            "tirps}\n",
            "weir.yaml:3:42: no feature service \"tirps\"", "did you mean \"trips\"?");
    refused(w, "endpoints:\n  late: {model: late@champion, features: trips}\n", "no feature service \"trips\"",
            "feature_services: {trips: {view:");
    refused(w, "feature_services: {trips: {veiw: f}}\nendpoints:\n  late: {model: late@champion}\n",
            "unknown key \"veiw\"", "did you mean \"view\"?");
    refused(w, "feature_services: {trips: {}}\nendpoints:\n  late: {model: late@champion}\n", "names no view", "");
    refused(w, "feature_services: [trips]\nendpoints:\n  late: {model: late@champion}\n", "feature_services is a map",
            "");
    refused(w,
            "feature_services: {trips: {view: features.yaml, optional: [kn]}}\nendpoints:\n  late: {model: "
            "late@champion, features: trips}\n",
            "no request to view \"looking\" has a column \"kn\"", "did you mean \"km\"?");
    refused(w, "endpoints:\n  late: {model: late@champion, features: none.yaml}\n", "none.yaml", "");
    refused(w, "feature_services: {trips: {view: a.yaml, views: [b.yaml]}}\n", "names a view and views", "");
    refused(w, "feature_services: {trips: {views: []}}\n", "views is a list of 1 to 16", "");
    refused(
        w,
        "feature_services: {two: {views: [a.yaml, features.yaml]}}\nendpoints:\n  fed: {path: m.json, features: two}\n",
        "feature \"km\" of view \"looking\" is there already, in another view of feature service \"two\"", "");
    trips_write(w, "number.yaml",
                "name: number\nsource: trips\ntime: at\nfeatures: [{name: other, op: number, of: from}]\n");
    refused(
        w,
        "feature_services: {two: {views: [a.yaml, number.yaml]}}\nendpoints:\n  fed: {path: m.json, features: two}\n",
        "column \"from\" of feature service \"two\" is a number for view \"number\"", "one column");
    trips_write(w, "other.yaml", trip_view); /* the package was trained on another view */
    reopen(
        w,
        "feature_services: {other: {view: other.yaml}}\nendpoints:\n  late: {model: late@champion, features: other}\n");
    wr_serve *s = start(w);
    assert_int_equal(wr_serve_take(&m, s, WR_STR("late"), &why), WEIR_EUNAVAILABLE);
    assert_non_null(strstr(why.detail, "was trained on view \"looking\""));
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serving_is_training), cmocka_unit_test(test_needed),
        cmocka_unit_test(test_without_service),     cmocka_unit_test(test_tables),
        cmocka_unit_test(test_swapped_under_load),  cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, make, looking_end);
}
