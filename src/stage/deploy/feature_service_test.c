/* SPDX-License-Identifier: Apache-2.0 */
/* feature_service_test.c - a view that looks columns up, behind a feature service: what models see for random rows
 * asked for by keys alone is what the training table has, bit for bit; what is needed and what is not; tables that
 * come, change, are damaged. */
#include "stage/deploy/deploy_testing.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/view_source.h"
#include "stage/deploy/features.h"
#include "stage/deploy/keep.h"
#include "stage/deploy/rollout_run.h"
#include "stage/deploy/study_inside.h"

enum { SOURCES = 60, PLACES = 4 };

static const char view_text[] =
    "name: looking\nsource: trips\ntime: at\nkeep: [delay]\nlabel: {name: late, of: delay, above: 15}\n"
    "events: {source: trips, time: '\"at\" + INTERVAL 30 MINUTE', values: {delay: {of: delay}}}\n"
    "features:\n"
    "  - {name: hour, op: hour, of: at}\n  - {name: km, op: number, of: km}\n  - {name: from, op: category, of: from}\n"
    "  - {name: delay_3h, op: mean, of: delay, key: from, over: 3h}\n"
    "  - {name: to_delay_3h, op: mean, of: delay, key: to, event_key: from, over: 3h}\n"
    "  - {name: size, op: number, of: size}\n  - {name: zone, op: category, of: zone}\n"
    "  - {name: opened, op: day_of_year, of: opened}\n  - {name: tax, op: number, of: tax}\n"
    "  - {name: zone_delay_5h, op: count, of: delay, key: zone, event_key: from, over: 5h}\n"
    "lookup:\n"
    "  - {source: places, time: since, key: from, source_key: id, columns: [size, zone, opened], ttl: 9h}\n"
    "  - {source: taxes, time: since, key: [zone, to], source_key: [zone, place], columns: {tax: rate}}\n";

/* The other model's columns: five of the view's features. */
static const char names[] = "\"feature_names\":[\"tax\",\"km\",\"size\",\"delay_3h\",\"opened\"]";
static const char *const columns[] = {"tax", "km", "size", "delay_3h", "opened"};

/* The same columns out of two views, one of the row and events, one that looks up. */
static const char view_a[] =
    "name: looking_a\nsource: trips\ntime: at\n"
    "events: {source: trips, time: '\"at\" + INTERVAL 30 MINUTE', values: {delay: {of: delay}}}\n"
    "features:\n  - {name: km, op: number, of: km}\n  - {name: delay_3h, op: mean, of: delay, key: from, over: 3h}\n";
static const char view_b[] =
    "name: looking_b\nsource: trips\ntime: at\nfeatures:\n"
    "  - {name: size, op: number, of: size}\n  - {name: opened, op: day_of_year, of: opened}\n  - {name: tax, op: "
    "number, of: tax}\n"
    "lookup:\n"
    "  - {source: places, time: since, key: from, source_key: id, columns: [size, zone, opened], ttl: 9h}\n"
    "  - {source: taxes, time: since, key: [zone, to], source_key: [zone, place], columns: {tax: rate}}\n";

static const char services[] = "feature_services:\n  trips: {view: features.yaml, optional: [km]}\n"
                               "endpoints:\n  late: {model: late@champion, features: trips}\n"
                               "  fed: {path: m.json, features: trips, log: all}\n";
static const char split[] = "feature_services:\n  trips: {view: features.yaml, optional: [km]}\n"
                            "  split: {views: [a.yaml, b.yaml], optional: [km]}\n"
                            "endpoints:\n  late: {model: late@champion, features: trips}\n"
                            "  fed: {path: m.json, features: trips, log: all}\n"
                            "  two: {path: m.json, features: split, log: all}\n";
static wr_view *second; /* view_b */

/* ---- random worlds ---- */

static void put_place(wr_col *c, size_t i, wr_rng *r, bool zones)
{
    static const char *const places[] = {"SFO", "JFK", "\xc3\xbc", ""}, *const zone[] = {"SFO", "z1", "z2", ""};
    if (wr_rng_below(r, 10) == 0) assert_int_equal(wr_col_set_missing(c, i), 0);
    else assert_int_equal(wr_col_code(c, wr_str_of((zones ? zone : places)[wr_rng_below(r, PLACES)]), &c->code[i]), 0);
}

static void put_number(wr_col *c, size_t i, double x, wr_rng *r)
{
    bool missing = wr_rng_below(r, 8) == 0;
    c->f64[i] = missing ? NAN : x;
    if (missing) assert_int_equal(wr_col_set_missing(c, i), 0);
}

static void write_dataset(trips *w, const char *name, wr_frame *f)
{
    wr_tables *t;
    wr_dataset_written d;
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE};
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_tables_register(t, "_r", f, err));
    OK(wr_dataset_write(&d, t, w->project, name, "SELECT * FROM _r", &opt, err));
    wr_tables_close(t);
}

/* Rows of places or taxes: when known is a multiple of ten minutes, so that some are at the same moment. */
static void make_source(trips *w, const char *name, const char *key, const char *other, uint64_t seed)
{
    wr_rng r;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    wr_rng_init(&r, seed);
    assert_int_equal(wr_frame_resize(f, SOURCES), 0);
    assert_true(wr_frame_add(f, "since", WR_TS) && wr_frame_add(f, key, WR_TEXT) && wr_frame_add(f, other, WR_TEXT) &&
                wr_frame_add(f, strcmp(name, "places") == 0 ? "size" : "rate", WR_F64) &&
                wr_frame_add(f, "opened", WR_TS));
    for (size_t i = 0; i < SOURCES; i++) {
        f->cols[0].i64[i] = TRIPS_FROM_US + ((int64_t)wr_rng_below(&r, 220) - 20) * 10 * 60 * 1000000;
        put_place(&f->cols[1], i, &r, strcmp(key, "zone") == 0);
        put_place(&f->cols[2], i, &r, strcmp(other, "zone") == 0);
        put_number(&f->cols[3], i, wr_rng_normal(&r) * 10, &r);
        f->cols[4].i64[i] = (int64_t)wr_rng_below(&r, 1000000000) * 1000000;
        if (wr_rng_below(&r, 8) == 0) assert_int_equal(wr_col_set_missing(&f->cols[4], i), 0);
    }
    write_dataset(w, name, f);
}

static void make_trips(trips *w, uint64_t seed)
{
    wr_rng r;
    WR_AUTOFRAME wr_frame *f = wr_frame_new();
    wr_rng_init(&r, seed);
    assert_int_equal(wr_frame_resize(f, TRIPS), 0);
    assert_true(wr_frame_add(f, "at", WR_TS) && wr_frame_add(f, "km", WR_F64) && wr_frame_add(f, "from", WR_TEXT) &&
                wr_frame_add(f, "to", WR_TEXT) && wr_frame_add(f, "delay", WR_F64));
    for (size_t i = 0; i < TRIPS; i++) {
        f->cols[0].i64[i] = TRIPS_FROM_US + (int64_t)i * TRIP_US;
        put_number(&f->cols[1], i, wr_rng_normal(&r) * 500, &r);
        put_place(&f->cols[2], i, &r, false);
        put_place(&f->cols[3], i, &r, false);
        put_number(&f->cols[4], i, floor(wr_rng_f64(&r) * 60 - 10), &r);
    }
    write_dataset(w, "trips", f);
}

static wr_frame *sources[2]; /* of the lookups */

/* The way of training: rows joined by SQL's side, events, features. */
static void make_world(trips *w, uint64_t seed)
{
    wr_tables *t;
    wr_view_rows_opt opt = {0};
    make_trips(w, seed);
    make_source(w, "places", "id", "zone", seed + 100);
    make_source(w, "taxes", "zone", "place", seed + 200);
    wr_frame_free(w->rows);
    wr_frame_free(w->events);
    wr_frame_free(w->features);
    w->rows = w->events = NULL;
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_view_rows(&w->rows, w->view, w->project, t, &opt, NULL, err));
    OK(wr_view_events(&w->events, w->view, w->project, t, NULL, NULL, err));
    for (size_t i = 0; i < 2; i++) {
        wr_frame_free(sources[i]);
        OK(wr_view_lookup_rows(&sources[i], w->view, i, w->project, t, NULL, err));
    }
    wr_tables_close(t);
    w->features = wr_frame_new();
    OK(wr_view_compute(w->features, w->view, w->rows, w->events, NULL, err));
    assert_int_equal(w->rows->nrows, TRIPS);
}

/* As `weir feature materialize --lookups` does it. */
static void write_tables(trips *w, int64_t until_us)
{
    const char *path;
    const wr_view *views[] = {w->view, second};
    for (int i = 0; i < 2; i++) {
        WR_AUTOBUF wr_buf b = {0};
        OK(wr_lookup_make(&b, views[i], sources, until_us, false, err));
        OK(wr_noun_lookup_path(&path, w->project, views[i]->name, err));
        OK(wr_file_write(path, wr_buf_view(&b), err));
    }
}

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
}

static void reopen(trips *w, const char *yaml)
{
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_file_remove_tree(trips_path(w, ".weir/log"), err));
    OK(wr_file_remove_tree(trips_path(w, ".weir/online"), err));
    OK(wr_project_open(&w->project, w->dir, err));
}

static wr_serve *start(trips *w)
{
    wr_serve *s = NULL;
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

static int make(void **state)
{
    wr_yaml *y;
    trips_make(state);
    trips *w = *state;
    trips_write(w, "features.yaml", view_text);
    OK(wr_yaml_parse(&y, w->a, wr_str_of(view_text), "features.yaml", err));
    OK(wr_view_parse(&w->view, w->a, y, err));
    OK(wr_yaml_parse(&y, w->a, wr_str_of(view_b), "b.yaml", err));
    OK(wr_view_parse(&second, w->a, y, err));
    trips_write(w, "a.yaml", view_a);
    trips_write(w, "b.yaml", view_b);
    write_model(w);
    make_world(w, 1);
    trips_train(w, w->view, 12, w->package[0]);
    trips_promote(w, 0);
    return 0;
}

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

/* ---- what a study says ---- */

/* A check of the study of a model: its state, and what it says. */
static void checked(trips *w, wr_feasibility_fn *check, const char *model, const char *target, wr_check_state state,
                    const char *part)
{
    wr_feasibility_target t;
    wr_feasibility_report report = {.model = model};
    wr_feasibility_opt opt = {.model = model, .target = &t, .seconds = 0.1, .seed = 1};
    wr_feasibility_work k = {.a = w->a, .p = w->project, .opt = &opt, .t = &t, .report = &report};
    wr_feasibility_result *r = &report.results[1];
    OK(wr_feasibility_target_parse(&t, w->a, wr_str_of(target), "target.yaml", err));
    OK(wr_feasibility_open(&k, err));
    OK(wr_feasibility_rows(&k, err));
    OK(check(&k, r, err));
    wr_feasibility_close(&k);
    if (r->state != state || !strstr(r->measured, part))
        fail_msg("%s is %s: %s, not %s: %s", model, wr_check_states[r->state], r->measured, wr_check_states[state],
                 part);
}

static void studied(trips *w, const char *model, const char *target, wr_check_state state, const char *part)
{
    checked(w, wr_check_missing, model, target, state, part);
}

static void write_state(trips *w)
{
    wr_online *o;
    const char *path;
    wr_cell cells[4];
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_online_new(&o, w->view, err));
    for (size_t i = 0; i < w->events->nrows; i++) {
        trips_event(w, i, cells);
        OK(wr_online_add(o, w->events->cols[0].i64[i], cells, err));
    }
    OK(wr_online_save(o, &b, err));
    wr_online_free(o);
    OK(wr_noun_online_path(&path, w->project, "looking", err));
    OK(wr_file_write(path, wr_buf_view(&b), err));
}

static void test_study(void **state)
{
    trips *w = *state;
    const char *model = trips_path(w, "m.json"), *path;
    int64_t last = TRIPS_FROM_US + (TRIPS - 1) * TRIP_US;
    reopen(w, services);
    studied(w, model, "", WR_CHECK_FAIL, "2 lookups of view \"looking\" have no tables");
    studied(w, "late@champion", "", WR_CHECK_FAIL, "2 lookups of view \"looking\" have no tables");
    write_tables(w, 0); /* of a time when nothing was known */
    studied(w, model, "", WR_CHECK_FAIL, "are empty");
    write_tables(w, last);
    studied(w, model, "", WR_CHECK_WARN, "its windows fill as events come");
    write_state(w);
    checked(w, wr_check_degraded, "late@champion", "", WR_CHECK_PASS, ""); /* the input it leaves out is a needed one */
    studied(w, model, "", WR_CHECK_PASS, "features of view \"looking\" for every input");
    trips_write(
        w, "weir.yaml",
        "feature_services: {split: {views: [a.yaml, b.yaml]}}\nendpoints:\n  two: {path: m.json, features: split}\n");
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    studied(w, model, "", WR_CHECK_WARN, "\"looking_a\" is empty");
    trips_write(w, "weir.yaml", services);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    studied(w, "late@champion", "", WR_CHECK_WARN, "nulls not compared"); /* nobody wrote the training table */
    studied(w, model, "features: {max_age: 1d}\n", WR_CHECK_FAIL, "the lookup tables are"); /* of 2001 */
    studied(w, "late@champion", "features: {max_age: 1d}\n", WR_CHECK_WARN,
            "nulls not compared"); /* as the newest row sees it */
    write_tables(w, wr_clock_wall_us());
    studied(w, model, "features: {max_age: 1d}\n", WR_CHECK_FAIL, "the newest event of the online state is");
    OK(wr_noun_online_path(&path, w->project, "looking", err));
    trips_write(w, "features.yaml",
                wr_arena_printf(w->a, "%s", trip_view)); /* tax, size, opened are no features of this one */
    studied(w, model, "", WR_CHECK_FAIL, "view \"trips_features\" has no feature \"tax\", and others");
    trips_write(w, "features.yaml", view_text);
}

static int end(void **state)
{
    wr_frame_free(sources[0]);
    wr_frame_free(sources[1]);
    return trips_end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serving_is_training),
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_without_service),
        cmocka_unit_test(test_study),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_swapped_under_load),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, make, end);
}
