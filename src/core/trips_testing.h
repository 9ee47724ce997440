/* SPDX-License-Identifier: Apache-2.0 */
/* trips_testing.h - for tests only: a small project whose model can be served. Trips from place to place; a trip is late when its delay is
 * above 15 minutes, which is known half an hour after it began. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/dataset.h"
#include "core/model.h"
#include "core/noun.h"
#include "core/package.h"
#include "io/file.h"
#include "store/pg_testing.h"

enum { TRIPS = 300, KNOWN_MINUTES = 30 };
static const int64_t TRIP_US = (int64_t)7 * 60 * 1000000, TRIPS_FROM_US = (int64_t)991353600 * 1000000; /* 2001-06-01 */

static const char trip_view[] = "name: trips_features\nsource: trips\ntime: at\nkeep: [delay]\nlabel: {name: late, of: delay, above: 15}\n"
                                "known_at: '\"at\" + INTERVAL 30 MINUTE'\n"
                                "events: {source: trips, time: '\"at\" + INTERVAL 30 MINUTE', values: {delay: {of: delay}, late: {of: delay, above: 15}}}\n"
                                "features:\n"
                                "  - {name: hour, op: hour, of: at}\n"
                                "  - {name: km, op: number, of: km}\n"
                                "  - {name: from, op: category, of: from}\n"
                                "  - {name: delay_3h, op: mean, of: delay, key: from, over: 3h}\n"
                                "  - {name: late_3h, op: share, of: late, over: 3h}\n"
                                "  - {name: arrivals_3h, op: count, key: from, event_key: to, over: 3h}\n"
                                "  - {name: to_delay_3h, op: mean, of: delay, key: to, event_key: from, over: 3h}\n";
/* The same view with one more feature: another hash. */
static const char trip_view_more[] = "  - {name: trips_1h, op: count, over: 1h}\n";

typedef struct {
    char dir[200];
    wr_project *project;
    wr_arena *a;
    wr_view *view;
    wr_frame *rows, *events, *features;
    char package[2][WR_SHA256_HEX];
} trips;

#define OK(call)                                                                                       \
    do {                                                                                               \
        wr_err ok_err = {0};                                                                           \
        wr_err *err = &ok_err;                                                                         \
        (void)err;                                                                                     \
        if ((call) < 0) fail_msg("%s: %s; %s; %s", #call, ok_err.msg, ok_err.detail, ok_err.hint);      \
    } while (0)

static inline const char *trips_path(trips *w, const char *name) { return wr_path_join(w->a, w->dir, name); }

static inline void trips_write(trips *w, const char *name, const char *text) { OK(wr_file_write(trips_path(w, name), wr_str_of(text), err)); }

static inline wr_view *trips_view(trips *w, bool more)
{
    wr_yaml *y;
    wr_view *v;
    const char *text = wr_arena_printf(w->a, "%s%s", trip_view, more ? trip_view_more : "");
    OK(wr_yaml_parse(&y, w->a, wr_str_of(text), "features.yaml", err));
    OK(wr_view_parse(&v, w->a, y, err));
    return v;
}

static inline void trips_data(trips *w)
{
    static const char *const places[] = {"SFO", "JFK", "q\"\\u00fc\xc3\xbc", "ORD"};
    wr_rng r;
    wr_rng_init(&r, 7);
    w->rows = wr_frame_new();
    w->events = wr_frame_new();
    assert_int_equal(wr_frame_resize(w->rows, TRIPS) | wr_frame_resize(w->events, TRIPS), 0);
    assert_true(wr_frame_add(w->rows, "at", WR_TS) && wr_frame_add(w->rows, "km", WR_F64) && wr_frame_add(w->rows, "from", WR_TEXT) &&
                wr_frame_add(w->rows, "to", WR_TEXT) && wr_frame_add(w->rows, "delay", WR_F64));
    assert_true(wr_frame_add(w->events, "_time", WR_TS) && wr_frame_add(w->events, "from", WR_TEXT) && wr_frame_add(w->events, "to", WR_TEXT) &&
                wr_frame_add(w->events, "delay", WR_F64));
    wr_col *row = w->rows->cols, *event = w->events->cols;
    for (size_t i = 0; i < TRIPS; i++) {
        row[0].i64[i] = TRIPS_FROM_US + (int64_t)i * TRIP_US;
        event[0].i64[i] = row[0].i64[i] + (int64_t)KNOWN_MINUTES * 60 * 1000000;
        row[1].f64[i] = floor(wr_rng_f64(&r) * 1000);
        for (int k = 0; k < 2; k++) {
            wr_str p = wr_str_of(places[wr_rng_below(&r, 4)]);
            assert_int_equal(wr_col_code(&row[2 + k], p, &row[2 + k].code[i]) | wr_col_code(&event[1 + k], p, &event[1 + k].code[i]), 0);
        }
        row[4].f64[i] = event[3].f64[i] = floor(wr_rng_f64(&r) * 60 + (row[2].code[i] == 1 ? 10 : -20));
        if (i % 17 == 3) assert_int_equal(wr_col_set_missing(&row[1], i), 0);
        if (wr_col_missing(&row[1], i)) row[1].f64[i] = NAN;
    }
}

/* A package trained on the data; `rounds` makes another one. */
static inline void trips_train(trips *w, const wr_view *v, int rounds, char id[WR_SHA256_HEX])
{
    size_t *use = wr_arena_calloc(w->a, v->nfeatures, sizeof *use);
    wr_package_parts parts = {.name = "late", .view = v, .use = use, .nuse = v->nfeatures, .created = "2026-01-01T00:00:00Z", .run_id = "",
                              .metrics_json = "{}", .options_json = "{}", .parents_json = "{}"};
    wr_frame *f = wr_frame_new();
    OK(wr_view_compute(f, v, w->rows, w->events, NULL, err));
    parts.dict = wr_arena_calloc(w->a, v->nfeatures, sizeof *parts.dict);
    for (size_t j = 0; j < v->nfeatures; j++) {
        use[j] = j;
        wr_col *c = wr_frame_col(f, v->features[j].name);
        for (size_t i = 0; c->type == WR_TEXT && i < TRIPS / 2; i++) assert_true(wr_map_put(&parts.dict[j], wr_col_text(c, i), NULL) >= 0);
    }
    float **cols = wr_arena_calloc(w->a, v->nfeatures, sizeof *cols), *label = wr_arena_calloc(w->a, TRIPS, sizeof *label);
    wr_trees_feature *tf = wr_arena_calloc(w->a, v->nfeatures, sizeof *tf);
    OK(wr_package_encode(cols, &parts, f, w->a, err));
    for (size_t i = 0; i < TRIPS; i++) label[i] = w->rows->cols[4].f64[i] > 15;
    for (size_t j = 0; j < v->nfeatures; j++)
        tf[j] = (wr_trees_feature){v->features[j].name, v->features[j].category, cols[j], (uint32_t)parts.dict[j].n};
    wr_trees_set set = {.n = TRIPS, .nfeatures = v->nfeatures, .features = tf, .label = label};
    wr_trees_opt opt = {.rounds = rounds, .max_leaves = 8, .min_child_rows = 5, .seed = 3};
    OK(wr_trees_train(&parts.trees, &set, NULL, &opt, NULL, NULL, NULL, err));
    OK(wr_package_save(id, w->project, &parts, f, err));
    wr_trees_free(parts.trees);
    for (size_t j = 0; j < v->nfeatures; j++) wr_map_fini(&parts.dict[j]);
    wr_frame_free(f);
}

/* Register package `k` (0 or 1) as the champion. */
static inline int64_t trips_promote(trips *w, int k)
{
    int64_t version;
    OK(wr_model_register(&version, w->project, "late", w->package[k], "", "champion", err));
    return version;
}

static inline int trips_make(void **state)
{
    static trips w;
    const char *tmp = getenv("TMPDIR");
    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "%s/weir-deploy-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w.dir));
    assert_int_equal(wr_pg_testing_project(), 0);
    w.a = wr_arena_new(0);
    trips_write(&w, "weir.yaml", "endpoints:\n  late: {model: late@champion, threshold: 0.4}\n");
    OK(wr_project_open(&w.project, w.dir, err));
    w.view = trips_view(&w, false);
    trips_data(&w);
    w.features = wr_frame_new();
    OK(wr_view_compute(w.features, w.view, w.rows, w.events, NULL, err));
    trips_train(&w, w.view, 12, w.package[0]);
    trips_train(&w, w.view, 5, w.package[1]);
    *state = &w;
    return 0;
}

static inline int trips_end(void **state)
{
    trips *w = *state;
    wr_frame_free(w->rows);
    wr_frame_free(w->events);
    wr_frame_free(w->features);
    wr_project_close(w->project);
    wr_arena_free(w->a);
    OK(wr_file_remove_tree(w->dir, err));
    return 0;
}

/* Dataset "trips", for what reads the lake. */
static inline void trips_dataset(trips *w)
{
    wr_tables *t;
    wr_dataset_written d;
    wr_dataset_write_opt opt = {.mode = WR_DELTA_OVERWRITE};
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_tables_register(t, "_r", w->rows, err));
    OK(wr_dataset_write(&d, t, w->project, "trips", "SELECT * FROM _r", &opt, err));
    wr_tables_close(t);
}

/* Cells of row i in order of the view's request; of event i in order of its event columns. */
static inline wr_cell trips_cell(const wr_frame *f, const char *name, size_t i)
{
    wr_col *c = wr_frame_col(f, name);
    wr_cell cell = {.num = NAN, .missing = wr_col_missing(c, i)};
    if (cell.missing) return cell;
    if (c->type == WR_TEXT) cell.text = wr_col_text(c, i);
    else if (c->type == WR_TS) cell.ts = c->i64[i];
    else cell.num = c->f64[i];
    return cell;
}

static inline void trips_request(const trips *w, size_t i, wr_cell *out)
{
    for (size_t k = 0; k < w->view->nrequest; k++) out[k] = trips_cell(w->rows, w->view->request[k], i);
}

static inline void trips_event(const trips *w, size_t i, wr_cell *out)
{
    for (size_t k = 0; k < w->view->nevent_columns; k++) out[k] = trips_cell(w->events, w->view->event_columns[k], i);
}

/* One number of the lake. */
static inline int64_t trips_number(trips *w, const char *sql)
{
    wr_tables *t;
    int64_t n = -1;
    OK(wr_project_tables(&t, w->project, NULL, err));
    OK(wr_dataset_views_for(t, w->project, sql, NULL, NULL, w->a, err));
    OK(wr_tables_i64(t, &n, sql, err));
    wr_tables_close(t);
    return n;
}
