/* SPDX-License-Identifier: Apache-2.0 */
/* meter_testing.h - for tests only: a tree in place of "/" with one RAPL package and one processor, whose counters move by hand. */
#pragma once
#include <stdio.h>
#include <unistd.h>

#include <yyjson.h>

#include "core/trips_testing.h"
#include "stage/deploy/answer.h"

static char meter_root[400];

static inline void meter_put(const char *name, const char *text)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s", meter_root, name);
    FILE *f = fopen(path, "w"); /* in place: the meter keeps it open */
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Since the beginning: joules of the machine, busy seconds of its processor (it is never idle). */
static inline void meter_set(double joules, double busy_s)
{
    char text[200];
    long long ticks = (long long)(busy_s * (double)sysconf(_SC_CLK_TCK));
    snprintf(text, sizeof text, "%lld\n", (long long)(joules * 1e6));
    meter_put("sys/class/powercap/intel-rapl:0/energy_uj", text);
    snprintf(text, sizeof text, "cpu  %lld 0 0 0 0 0 0 0\ncpu0 %lld 0 0 0 0 0 0 0\n", ticks, ticks);
    meter_put("proc/stat", text);
}

static inline const char *meter_make(trips *w)
{
    snprintf(meter_root, sizeof meter_root, "%s/machine", w->dir);
    OK(wr_file_mkdirs(trips_path(w, "machine/proc"), err));
    OK(wr_file_mkdirs(trips_path(w, "machine/sys/class/powercap/intel-rapl:0"), err));
    meter_put("proc/cpuinfo", "processor\t: 0\n");
    meter_put("proc/meminfo", "MemTotal:       16000000 kB\n");
    meter_put("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    meter_put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
    meter_set(0, 0);
    return meter_root;
}

/* ---- an endpoint "trees" of a forest of XGBoost's ---- */

enum { FOREST_COLUMNS = 5, FOREST_ROWS = 40 };

/* The forest with all its trees `times` times: as many times the work. */
static inline void multiply_forest(trips *w, const char *forest, const char *name, size_t times)
{
    WR_AUTOBUF wr_buf text = {0};
    char number[32];
    OK(wr_file_read(&text, forest, 64 << 20, err));
    yyjson_doc *from = yyjson_read(text.p, text.n, 0);
    yyjson_mut_doc *to = yyjson_doc_mut_copy(from, NULL);
    yyjson_mut_val *model = yyjson_mut_ptr_get(yyjson_mut_doc_get_root(to), "/learner/gradient_booster/model");
    yyjson_mut_val *trees = yyjson_mut_obj_get(model, "trees"), *info = yyjson_mut_obj_get(model, "tree_info");
    size_t n = yyjson_mut_arr_size(trees);
    assert_true(n > 0);
    for (size_t i = n; i < n * times; i++) {
        yyjson_mut_val *tree = yyjson_mut_val_mut_copy(to, yyjson_mut_arr_get(trees, i % n));
        snprintf(number, sizeof number, "%zu", i);
        yyjson_mut_obj_put(tree, yyjson_mut_str(to, "id"), yyjson_mut_uint(to, i));
        assert_true(yyjson_mut_arr_append(trees, tree) && yyjson_mut_arr_add_int(to, info, 0));
    }
    snprintf(number, sizeof number, "%zu", n * times);
    yyjson_mut_val *param = yyjson_mut_obj_get(model, "gbtree_model_param");
    yyjson_mut_obj_put(param, yyjson_mut_str(to, "num_trees"), yyjson_mut_strcpy(to, number));
    yyjson_mut_obj_remove_key(model, "iteration_indptr");
    size_t len;
    char *out = yyjson_mut_write(to, 0, &len);
    assert_non_null(out);
    OK(wr_file_write(trips_path(w, name), (wr_str){out, len}, err));
    free(out);
    yyjson_mut_doc_free(to);
    yyjson_doc_free(from);
}

static inline wr_serve *meter_start(trips *w, const char *yaml, const struct wr_serve_rollouts *rollouts)
{
    wr_serve *s = NULL;
    wr_serve_opt opt = {.meter_root = meter_make(w), .rollouts = rollouts};
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
    OK(wr_serve_open(&s, w->project, &opt, err));
    return s;
}

static inline void meter_ask(wr_serve *s, wr_round *round, size_t rows, const char *id)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_served *package;
    wr_instance *model;
    wr_serve_reply reply;
    float *x = wr_arena_calloc(a, rows * FOREST_COLUMNS, sizeof *x);
    for (size_t i = 0; i < rows * FOREST_COLUMNS; i++) x[i] = (float)(i % 11) / 4;
    wr_tensor in = {.name = WR_STR("input"),
                    .type = WR_TENSOR_FP32,
                    .ndims = 2,
                    .shape = {(int64_t)rows, FOREST_COLUMNS},
                    .count = rows * FOREST_COLUMNS,
                    .data = x};
    wr_infer_request q = {.in = &in, .nin = 1, .start_ns = wr_clock_mono_ns()};
    wr_serve_asked asked = {.id = wr_str_of(id)};
    OK(wr_serve_find(&package, &model, s, WR_STR("trees"), (wr_str){NULL, 0}, err));
    assert_null(package);
    OK(wr_serve_answer_to(&reply, round, NULL, model, &q, &asked, a, err));
    wr_serve_reply_end(&reply);
    OK(wr_serve_round_end(round, err));
    wr_instance_give(model);
}

/* CPU time of this process, so that a window has some. */
static inline void meter_burn(double seconds)
{
    static volatile double sink;
    for (double end = wr_clock_cpu_s() + seconds; wr_clock_cpu_s() < end;)
        for (int i = 0; i < 10000; i++) sink += i;
}

/* Rows [from, to) of the trips to the package of endpoint "late". */
static inline void meter_ask_package(trips *w, wr_serve *s, wr_round *round, size_t from, size_t to, const char *id)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_served *package;
    wr_instance *model;
    wr_serve_reply reply;
    size_t n = to - from, nin = w->view->nrequest;
    wr_tensor *in = wr_arena_calloc(a, nin, sizeof *in);
    for (size_t k = 0; k < nin; k++) {
        wr_type type = w->view->request_type[k];
        in[k] = (wr_tensor){.name = wr_str_of(w->view->request[k]),
                            .type = type == WR_TEXT ? WR_TENSOR_BYTES
                                    : type == WR_TS ? WR_TENSOR_INT64
                                                    : WR_TENSOR_FP64,
                            .ndims = 1,
                            .shape = {(int64_t)n},
                            .count = n};
        OK(wr_tensor_alloc(&in[k], a, err));
        for (size_t i = 0; i < n; i++) {
            wr_cell cells[8];
            trips_request(w, from + i, cells);
            if (type == WR_TEXT) ((wr_str *)in[k].data)[i] = cells[k].text;
            else if (type == WR_TS) ((int64_t *)in[k].data)[i] = cells[k].ts;
            else ((double *)in[k].data)[i] = cells[k].num;
        }
    }
    wr_infer_request q = {.in = in, .nin = nin, .start_ns = wr_clock_mono_ns()};
    wr_serve_asked asked = {.id = wr_str_of(id)};
    OK(wr_serve_find(&package, &model, s, WR_STR("late"), (wr_str){NULL, 0}, err));
    OK(wr_serve_answer_to(&reply, round, package, model, &q, &asked, a, err));
    wr_serve_reply_end(&reply);
    OK(wr_serve_round_end(round, err));
    wr_serve_give(package);
}
