/* SPDX-License-Identifier: Apache-2.0 */
/* looking_testing.h - for tests only: the project of core/trips_testing.h with a view that looks columns up, in random datasets, and a model file
 * whose columns are features of that view. Feature services put the view, or two with the same columns, in front of the model. */
#pragma once
#include "core/trips_testing.h"

#include "core/lookup.h"
#include "core/view_source.h"

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
static wr_view *second; /* view_b */

/* ---- random worlds ---- */

static inline void put_place(wr_col *c, size_t i, wr_rng *r, bool zones)
{
    static const char *const places[] = {"SFO", "JFK", "\xc3\xbc", ""}, *const zone[] = {"SFO", "z1", "z2", ""};
    if (wr_rng_below(r, 10) == 0) assert_int_equal(wr_col_set_missing(c, i), 0);
    else assert_int_equal(wr_col_code(c, wr_str_of((zones ? zone : places)[wr_rng_below(r, PLACES)]), &c->code[i]), 0);
}

static inline void put_number(wr_col *c, size_t i, double x, wr_rng *r)
{
    bool missing = wr_rng_below(r, 8) == 0;
    c->f64[i] = missing ? NAN : x;
    if (missing) assert_int_equal(wr_col_set_missing(c, i), 0);
}

static inline void write_dataset(trips *w, const char *name, wr_frame *f)
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
static inline void make_source(trips *w, const char *name, const char *key, const char *other, uint64_t seed)
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

static inline void make_trips(trips *w, uint64_t seed)
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
static inline void make_world(trips *w, uint64_t seed)
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
static inline void write_tables(trips *w, int64_t until_us)
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

/* root: of the repository. */
static inline void write_model(trips *w, const char *root)
{
    WR_AUTOBUF wr_buf b = {0}, out = {0};
    OK(wr_file_read(&b, wr_path_join(w->a, root, "tests/reference/forests/xgb32_logistic.json"), 1 << 22, err));
    const char *at = strstr(wr_buf_cstr(&b), "\"feature_names\":[]");
    assert_non_null(at);
    wr_buf_add(&out, b.p, (size_t)(at - b.p));
    wr_buf_str(&out, names);
    wr_buf_str(&out, at + strlen("\"feature_names\":[]"));
    OK(wr_file_write(trips_path(w, "m.json"), wr_buf_view(&out), err));
}

static inline void reopen(trips *w, const char *yaml)
{
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_file_remove_tree(trips_path(w, ".weir/log"), err));
    OK(wr_file_remove_tree(trips_path(w, ".weir/online"), err));
    OK(wr_project_open(&w->project, w->dir, err));
}

static inline int looking_make(void **state, const char *root)
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
    write_model(w, root);
    make_world(w, 1);
    trips_train(w, w->view, 12, w->package[0]);
    trips_promote(w, 0);
    return 0;
}

static inline int looking_end(void **state)
{
    wr_frame_free(sources[0]);
    wr_frame_free(sources[1]);
    return trips_end(state);
}
