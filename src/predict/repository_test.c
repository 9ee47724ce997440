/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/os.h"
#include "predict/infer.h"
#include "predict/predict_testing.h"
#include "predict/repository_inside.h"

typedef struct {
    char dir[64];
    wr_arena *a;
    wr_repository *r;
} room;

static int setup(void **state)
{
    room *r = calloc(1, sizeof *r);
    strcpy(r->dir, "/tmp/weir-repository-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->a = wr_arena_new(0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    room *r = *state;
    wr_repository_close(r->r);
    assert_int_equal(atomic_load(&toys), 0);
    assert_int_equal(wr_file_remove_tree(r->dir, NULL), 0);
    wr_arena_free(r->a);
    free(r);
    return 0;
}

static void put(room *r, const char *name, const char *text)
{
    wr_err err;
    char *path = wr_path_join(r->a, r->dir, name);
    assert_int_equal(wr_file_mkdirs(wr_path_dir(r->a, path), &err), 0);
    assert_int_equal(wr_file_write(path, wr_str_of(text), &err), 0);
}

static void open_room(room *r, bool all)
{
    wr_err err = {0};
    wr_repository_opt opt = {.dir = r->dir, .load_all = all, .open = toy_open};
    if (wr_repository_open(&r->r, &opt, &err) < 0) fail_msg("%s", err.msg);
}

static wr_str S(const char *s) { return s ? wr_str_of(s) : (wr_str){NULL, 0}; }

/* What model and version answer to A = B = 0: its number; -1 when there is none. */
static double ask(room *r, const char *name, const char *version, wr_err *err)
{
    wr_instance *m;
    wr_infer_answer ans;
    float z[2] = {0, 0};
    wr_tensor in[2] = {
        {.name = WR_STR("A"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 2}, .count = 2, .data = z},
        {.name = WR_STR("B"), .type = WR_TENSOR_FP32, .ndims = 2, .shape = {1, 2}, .count = 2, .data = z}};
    wr_infer_request q = {.in = in, .nin = 2};
    if (wr_repository_take(&m, r->r, S(name), S(version), err) < 0) return -1;
    int rc = wr_infer(&ans, m, &q, r->a, err);
    double v = rc < 0 ? -1 : (double)((float *)ans.out[0].data)[0];
    wr_instance_give(m);
    return v;
}

static void answers(room *r, const char *name, const char *version, double should)
{
    wr_err err = {0};
    double is = ask(r, name, version, &err);
    if (is != should)
        fail_msg("'%s' version %s answers %g, not %g (%s %s)", name, version ? version : "?", is, should, err.msg,
                 err.detail);
}

static void does_not(room *r, const char *name, const char *version, int code, const char *msg, const char *detail)
{
    wr_err err = {0};
    assert_true(ask(r, name, version, &err) == -1);
    assert_int_equal(err.code, code);
    if (!strstr(err.msg, msg)) fail_msg("\"%s\" has no \"%s\"", err.msg, msg);
    if (!strstr(err.detail, detail)) fail_msg("\"%s\" has no \"%s\"", err.detail, detail);
}

static int load(room *r, const char *name, const char *config, wr_err *err)
{
    return wr_repository_load(r->r, S(name), S(config), err);
}

static void loads(room *r, const char *name, const char *config)
{
    wr_err err = {0};
    if (load(r, name, config, &err) < 0) fail_msg("%s", err.msg);
}

static void fails(room *r, const char *name, const char *config, int code, const char *msg)
{
    wr_err err = {0};
    assert_int_equal(load(r, name, config, &err), code);
    if (!strstr(err.msg, msg)) fail_msg("\"%s\" has no \"%s\"", err.msg, msg);
}

/* "a/1 READY; b/2 UNAVAILABLE why" */
static const char *index_text(room *r)
{
    wr_buf b = {0};
    wr_index_entry *e;
    size_t n;
    wr_err err;
    assert_int_equal(wr_repository_index(&e, &n, r->r, r->a, &err), 0);
    for (size_t i = 0; i < n; i++)
        wr_buf_printf(&b, "%s%.*s/%.*s %.*s%s%.*s", i ? "; " : "", WR_STR_FMT(e[i].name), WR_STR_FMT(e[i].version),
                      WR_STR_FMT(e[i].state), e[i].reason.n ? " " : "", WR_STR_FMT(e[i].reason));
    char *text = wr_arena_strdup(r->a, wr_buf_cstr(&b));
    wr_buf_fini(&b);
    return text;
}

static void models_are_loaded_and_unloaded_on_demand(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    put(r, "a/2/model.toy", "add 2");
    put(r, "a/notes/README.md", "no version");
    put(r, "b/3/model.toy", "add 3");
    put(r, ".hidden/1/model.toy", "add 9");
    open_room(r, false);
    assert_string_equal(index_text(r), "a/ ; b/ ");
    assert_true(wr_repository_ready(r->r));
    does_not(r, "a", NULL, WEIR_ENOTFOUND, "Request for unknown model: 'a' is not found", "");
    loads(r, "a", NULL);
    assert_string_equal(index_text(r), "a/2 READY; b/ "); /* the newest only, without a policy */
    answers(r, "a", NULL, 2);
    answers(r, "a", "2", 2);
    does_not(r, "a", "7", WEIR_ENOTFOUND, "Request for unknown model: 'a' version 7 is not found", "");
    does_not(r, "x", NULL, WEIR_ENOTFOUND, "Request for unknown model: 'x' is not found", "");
    fails(r, "x", NULL, WEIR_ENOTFOUND, "failed to load 'x', failed to poll from model repository");
    static const char *const paths[] = {"../a",        "a/../b", "model/..", "..",  ".",
                                        "/etc/passwd", "a/b",    "a/",       " ..", ".. "};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        fails(r, paths[i], NULL, WEIR_EINVAL, "model name must not contain path traversal characters");
    static const char *const blank[] = {"", " ", "\t", "\n", "\f\v", " \r "};
    for (size_t i = 0; i < sizeof blank / sizeof *blank; i++)
        fails(r, blank[i], NULL, WEIR_EINVAL, "Model name cannot be empty. Please enter a valid name to deploy.");
    fails(r, "..a", NULL, WEIR_ENOTFOUND, "failed to load '..a', failed to poll from model repository");
    assert_int_equal(wr_repository_unload(r->r, S("a"), NULL), 0);
    assert_string_equal(index_text(r), "a/2 UNAVAILABLE unloaded; b/ ");
    does_not(r, "a", NULL, WEIR_EUNAVAILABLE, "'a' has no available versions", "unloaded");
    does_not(r, "a", "2", WEIR_EUNAVAILABLE, "'a' version 2 is not at ready state", "unloaded");
    loads(r, "a", NULL);
    answers(r, "a", NULL, 2);
    wr_err err = {0};
    assert_int_equal(wr_repository_unload(r->r, S("x"), &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "failed to unload 'x'"));
}

static void versions_come_by_policy(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    put(r, "a/2/model.toy", "add 2");
    put(r, "a/10/model.toy", "add 10");
    put(r, "a/v1.5/model.toy", "add 15");
    put(r, "a/config.pbtxt", "version_policy: { all { }}");
    put(r, "b/v1/model.toy", "add 1");
    put(r, "b/v2/model.toy", "add 2");
    open_room(r, false);
    loads(r, "a", NULL);
    assert_string_equal(index_text(r), "a/1 READY; a/2 READY; a/10 READY; a/v1.5 READY; b/ ");
    answers(r, "a", NULL, 10);
    answers(r, "a", "v1.5", 15);
    loads(r, "a", "{\"version_policy\": {\"latest\": {\"num_versions\": \"2\"}}}");
    assert_string_equal(index_text(r),
                        "a/1 UNAVAILABLE unloaded; a/2 READY; a/10 READY; a/v1.5 UNAVAILABLE unloaded; b/ ");
    loads(r, "a", "{\"version_policy\": {\"specific\": {\"versions\": [1]}}}");
    answers(r, "a", NULL, 1);
    does_not(r, "a", "2", WEIR_EUNAVAILABLE, "version 2 is not at ready state", "");
    loads(r, "b", NULL);
    answers(r, "b", NULL, 2);
    wr_str *v;
    size_t n;
    loads(r, "a", NULL);
    assert_int_equal(wr_repository_versions(&v, &n, r->r, S("a"), r->a, NULL), 0);
    assert_int_equal(n, 4);
    assert_true(wr_str_is(v[2], "10"));
}

static void what_fails_leaves_what_is_good(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, false);
    loads(r, "a", NULL);
    put(r, "a/2/model.toy", "nonsense");
    fails(r, "a", NULL, WEIR_ECORRUPT, "failed to load 'a', version 2: ");
    answers(r, "a", NULL, 1);
    const char *index = index_text(r);
    assert_non_null(strstr(index, "a/1 READY; a/2 UNAVAILABLE "));
    assert_non_null(strstr(index, "is no toy"));
    assert_true(wr_repository_ready(r->r));
    put(r, "a/1/model.toy", "nonsense"); /* a version that is served is replaced by a bad one */
    put(r, "a/config.json", "{\"version_policy\": {\"all\": {}}}");
    fails(r, "a", NULL, WEIR_ECORRUPT, "failed to load 'a', version 1: ");
    answers(r, "a", NULL, 1);
    put(r, "a/2/model.toy", "add 2");
    fails(r, "a", NULL, WEIR_ECORRUPT, "version 1: ");
    answers(r, "a", NULL, 2); /* the good one came all the same */
    fails(r, "a", "\"parameters\": {\"config\": {{\"max_batch_size\": \"16\"}}}", WEIR_EPARSE, "failed to load 'a', ");
    answers(r, "a", NULL, 2);
    put(r, "c/config.pbtxt", "max_batch_size: x y");
    put(r, "c/1/model.toy", "add 1");
    fails(r, "c", NULL, WEIR_EPARSE, "config.pbtxt:1:20");
    assert_non_null(strstr(index_text(r), "c/ UNAVAILABLE "));
}

static void golden_rows_are_asked_before_anybody_is(void **state)
{
    room *r = *state;
    const char *rows =
        "{\"inputs\": [{\"name\": \"A\", \"datatype\": \"FP32\", \"shape\": [1,2], \"data\": [1,2]},"
        "{\"name\": \"B\", \"datatype\": \"FP32\", \"shape\": [1,2], \"data\": [[10,20]]}],"
        "\"outputs\": [{\"name\": \"SUM\", \"datatype\": \"FP32\", \"shape\": [1,2], \"data\": [12,23]}]}";
    put(r, "a/1/model.toy", "add 1");
    put(r, "a/golden.json", rows);
    open_room(r, false);
    loads(r, "a", NULL);
    put(r, "a/2/model.toy", "add 2");
    fails(r, "a", NULL, WEIR_ECORRUPT, "output 'SUM', element 0: the version answers otherwise than its golden rows");
    answers(r, "a", NULL, 1);
    put(r, "a/2/golden.json", "{\"inputs\": [], \"outputs\": []}"); /* the version's own come first */
    fails(r, "a", NULL, WEIR_EINVAL, "missing required input(s)");
    answers(r, "a", NULL, 1);
}

static void a_warm_up_of_the_configuration_must_succeed(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add -1"); /* opens, but does not run */
    open_room(r, false);
    loads(r, "a", NULL);
    const char *warm = "{\"model_warmup\": [{\"name\": \"w\", \"batch_size\": 3, \"inputs\": {\"A\": {\"data_type\": "
                       "\"TYPE_FP32\", \"dims\": [2], "
                       "\"zero_data\": true}, \"B\": {\"dims\": [2], \"random_data\": true}}}]}";
    fails(r, "a", warm, WEIR_EINTERNAL, "warm-up 0: the toy is broken");
    put(r, "a/1/model.toy", "add 1");
    loads(r, "a", warm);
}

static void a_configuration_must_fit(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, false);
    fails(r, "a", "{\"name\": \"b\"}", WEIR_EINVAL, "unexpected directory name 'a' for model 'b'");
    fails(r, "a", "{\"max_batch_size\": -1}", WEIR_EINVAL, "\"max_batch_size\" is negative");
    fails(r, "a",
          "{\"max_batch_size\": 8, \"input\": [{\"name\": \"C\", \"data_type\": \"TYPE_FP32\", \"dims\": [2]}]}",
          WEIR_EINVAL, "unexpected inference input 'C' for model 'a', allowed inputs are: A, B");
    fails(r, "a",
          "{\"max_batch_size\": 8, \"input\": [{\"name\": \"A\", \"data_type\": \"TYPE_FP32\", \"dims\": [2]}]}",
          WEIR_EINVAL, "the configuration says nothing of input 'B'");
    fails(r, "a",
          "{\"max_batch_size\": 8, \"input\": [{\"name\": \"A\", \"data_type\": \"TYPE_FP32\", \"dims\": [3]}]}",
          WEIR_EINVAL,
          "input 'A': the configuration has dims [3] after the batch dimension, the model file has shape [-1,2]");
    fails(r, "a",
          "{\"max_batch_size\": 8, \"output\": [{\"name\": \"SUM\", \"data_type\": \"TYPE_INT32\", \"dims\": [2]}]}",
          WEIR_EINVAL, "output 'SUM': the configuration has data type TYPE_INT32, the model file TYPE_FP32");
    fails(r, "a", "{\"input\": [{\"name\": \"A\", \"dims\": [1,2,3,4,5,6,7,8]}]}", WEIR_ELIMIT,
          "more than 7 dimensions");
    fails(r, "a", "{\"input\": [{\"name\": \"A\", \"data_type\": \"TYPE_BYTES\"}]}", WEIR_EINVAL,
          "\"TYPE_BYTES\" is not known");
    fails(r, "a", "{\"input\": 5}", WEIR_ETYPE, "\"input\" is no list");
    fails(r, "a", "[]", WEIR_ETYPE, "the configuration is no object");
    fails(r, "a", "{\"default_model_filename\": \"../x\"}", WEIR_EINVAL, "no name of a file");
    loads(r, "a", "{\"max_batch_size\":\"16\"}");
    wr_instance *m;
    assert_int_equal(wr_repository_take(&m, r->r, S("a"), S(NULL), NULL), 0);
    assert_int_equal(m->config.max_batch, 16);
    assert_non_null(strstr(m->config_json.p, "\"max_batch_size\":16,\"input\":[{\"name\":\"A\",\"data_type\":\"TYPE_"
                                             "FP32\",\"format\":\"FORMAT_NONE\",\"dims\":[2],"));
    assert_non_null(
        strstr(m->config_json.p, "\"output\":[{\"name\":\"SUM\",\"data_type\":\"TYPE_FP32\",\"dims\":[2],"));
    assert_non_null(strstr(m->config_json.p, "{\"name\":\"NAME\",\"data_type\":\"TYPE_STRING\",\"dims\":[1],"));
    wr_instance_give(m);
    loads(r, "a",
          "{\"input\": [{\"name\": \"B\", \"dims\": [-1,2]}, {\"name\": \"A\", \"data_type\": \"TYPE_FP64\", \"dims\": "
          "[-1,2]}]}");
    assert_int_equal(wr_repository_take(&m, r->r, S("a"), S(NULL), NULL), 0);
    assert_int_equal(m->config.max_batch, 0);
    assert_string_equal(m->in[0].name, "B");
    assert_int_equal(m->in[1].type, WR_TENSOR_FP64);
    wr_instance_give(m);
}

static void poll(room *r) { assert_int_equal(wr_repository_poll(r->r, NULL), 0); }

static void the_folder_is_followed(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, true);
    answers(r, "a", NULL, 1);
    put(r, "a/2/model.toy", "add 2");
    poll(r);
    answers(r, "a", NULL, 1); /* it may still be written */
    poll(r);
    answers(r, "a", NULL, 2);
    assert_string_equal(index_text(r), "a/1 UNAVAILABLE unloaded; a/2 READY");
    put(r, "b/1/model.toy", "add 5");
    poll(r);
    poll(r);
    answers(r, "b", NULL, 5);
    put(r, "b/config.json", "{\"max_batch_size\": 4}"); /* the configuration alone */
    poll(r);
    poll(r);
    wr_instance *m;
    assert_int_equal(wr_repository_take(&m, r->r, S("b"), S(NULL), NULL), 0);
    assert_int_equal(m->config.max_batch, 4);
    wr_instance_give(m);
    assert_int_equal(wr_file_remove_tree(wr_path_join(r->a, r->dir, "a/2"), NULL), 0);
    poll(r);
    poll(r);
    answers(r, "a", NULL, 1);
    assert_int_equal(wr_file_remove_tree(wr_path_join(r->a, r->dir, "b"), NULL), 0);
    poll(r);
    answers(r, "b", NULL, 5); /* somebody may be moving another one into its place */
    poll(r);
    does_not(r, "b", NULL, WEIR_EUNAVAILABLE, "has no available versions", "its folder is gone");
    assert_true(wr_repository_ready(r->r));
    int runs = atomic_load(&toy_runs);
    for (int i = 0; i < 5; i++) poll(r);
    assert_int_equal(atomic_load(&toy_runs), runs); /* nothing changed, nothing was loaded */
}

static void half_a_version_is_never_served(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, true);
    put(r, "a/2/model.toy", "a");
    poll(r);
    put(r, "a/2/model.toy", "add");
    poll(r);
    put(r, "a/2/model.toy", "add 2");
    poll(r);
    answers(r, "a", NULL, 1);
    assert_null(strstr(index_text(r), "a/2"));
    poll(r);
    answers(r, "a", NULL, 2);
    put(r, "a/3/model.toy", "add"); /* a writer that sleeps */
    poll(r);
    poll(r);
    answers(r, "a", NULL, 2);
    assert_non_null(strstr(index_text(r), "a/3 UNAVAILABLE"));
    put(r, "a/3/model.toy", "add 3");
    poll(r);
    poll(r);
    answers(r, "a", NULL, 3);
    put(r, "a/.4.tmp/model.toy", "add 4");
    poll(r);
    poll(r);
    assert_int_equal(rename(wr_path_join(r->a, r->dir, "a/.4.tmp"), wr_path_join(r->a, r->dir, "a/4")), 0);
    poll(r);
    poll(r);
    answers(r, "a", NULL, 4);
}

static void unloaded_stays_unloaded(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, true);
    assert_int_equal(wr_repository_unload(r->r, S("a"), NULL), 0);
    put(r, "a/2/model.toy", "add 2");
    for (int i = 0; i < 3; i++) poll(r);
    does_not(r, "a", NULL, WEIR_EUNAVAILABLE, "no available versions", "unloaded");
    loads(r, "a", NULL);
    put(r, "a/3/model.toy", "add 3");
    poll(r);
    poll(r);
    answers(r, "a", NULL, 3);
}

static void a_version_drains(void **state)
{
    room *r = *state;
    wr_instance *m;
    put(r, "a/1/model.toy", "add 1");
    open_room(r, false);
    loads(r, "a", NULL);
    assert_int_equal(wr_repository_take(&m, r->r, S("a"), S(NULL), NULL), 0);
    assert_int_equal(wr_repository_unload(r->r, S("a"), NULL), 0);
    assert_string_equal(index_text(r), "a/1 UNLOADING unloaded");
    assert_int_equal(atomic_load(&toys), 1);
    wr_instance_give(m);
    assert_int_equal(atomic_load(&toys), 0);
    assert_string_equal(index_text(r), "a/1 UNAVAILABLE unloaded");
}

static void what_is_put_is_served_and_swapped(void **state)
{
    room *r = *state;
    wr_err err = {0};
    put(r, "a/1/model.toy", "add 1");
    open_room(r, true);
    assert_int_equal(wr_repository_put(r->r, "p", "3", toy_new(3), S(NULL), &err), 0);
    answers(r, "p", NULL, 3);
    assert_int_equal(wr_repository_put(r->r, "p", "4", toy_new(4), S(NULL), &err), 0);
    answers(r, "p", NULL, 4);
    assert_int_equal(wr_repository_put(r->r, "p", "2", toy_new(2), S("{\"max_batch_size\": 5}"), &err),
                     0); /* an alias moved back */
    answers(r, "p", NULL, 2);
    assert_int_equal(wr_repository_put(r->r, "p", "9", toy_new(9), S("{\"input\": [{\"name\": \"C\"}]}"), &err),
                     WEIR_EINVAL);
    answers(r, "p", NULL, 2);
    assert_int_equal(wr_repository_put(r->r, "a", "7", toy_new(7), S(NULL), &err),
                     0); /* an endpoint goes before a folder */
    answers(r, "a", NULL, 7);
    put(r, "a/2/model.toy", "add 2");
    for (int i = 0; i < 3; i++) poll(r);
    answers(r, "a", NULL, 7);
    fails(r, "a", NULL, WEIR_ECONFLICT, "failed to load 'a', an endpoint has this name");
    assert_int_equal(wr_repository_unload(r->r, S("a"), &err), WEIR_ECONFLICT);
    assert_int_equal(wr_repository_remove(r->r, "p", &err), 0);
    does_not(r, "p", NULL, WEIR_EUNAVAILABLE, "no available versions", "");
    assert_int_equal(wr_repository_remove(r->r, "x", &err), WEIR_ENOTFOUND);
}

/* ---- many at once ---- */

typedef struct {
    room *r;
    atomic_bool stop;
    atomic_int asked, wrong;
} crowd;

static void *asks(void *arg)
{
    crowd *c = arg;
    room own = {.r = c->r->r, .a = wr_arena_new(0)};
    double last = 0;
    while (!atomic_load(&c->stop)) {
        wr_err err = {0};
        double v = ask(&own, "a", NULL, &err);
        if (v < last) atomic_fetch_add(&c->wrong, 1); /* versions only go up here; -1 is a failed request */
        last = v;
        atomic_fetch_add(&c->asked, 1);
        wr_arena_clear(own.a);
    }
    wr_arena_free(own.a);
    return NULL;
}

static void no_request_fails_while_versions_swap(void **state)
{
    room *r = *state;
    crowd c = {.r = r};
    pthread_t threads[4];
    char path[64], text[64];
    put(r, "a/1/model.toy", "add 1");
    put(r, "b/1/model.toy", "add 1");
    open_room(r, false);
    loads(r, "a", NULL);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, asks, &c), 0);
    for (int i = 2; i < 60; i++) {
        snprintf(path, sizeof path, "a/%d/model.toy", i);
        snprintf(text, sizeof text, i % 5 == 0 ? "bad %d" : "add %d", i);
        put(r, path, text);
        wr_err err = {0};
        assert_int_equal(load(r, "a", NULL, &err), i % 5 == 0 ? WEIR_ECORRUPT : 0);
        loads(r, "b", NULL);
        (void)index_text(r);
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    assert_true(atomic_load(&c.asked) > 0);
    assert_int_equal(atomic_load(&c.wrong), 0);
    answers(r, "a", NULL, 59);
    assert_int_equal(atomic_load(&toys), 2); /* all others drained */
}

static void thousands_of_models_cost_little(void **state)
{
    room *r = *state;
    enum { MODELS = 2000 };
    char name[32];
    wr_err err = {0};
    wr_repository_opt opt = {0};
    assert_int_equal(wr_repository_open(&r->r, &opt, &err), 0);
    uint64_t before = wr_os_rss();
    for (int i = 0; i < MODELS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(wr_repository_put(r->r, name, "1", toy_new(i), S(NULL), &err), 0);
    }
    uint64_t each = (wr_os_rss() - before) / MODELS;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(each < 12 << 10);
#endif
    (void)each;
    for (int i = 0; i < MODELS; i += 97) {
        snprintf(name, sizeof name, "m%d", i);
        answers(r, name, NULL, i);
    }
    wr_index_entry *e;
    size_t n;
    assert_int_equal(wr_repository_index(&e, &n, r->r, r->a, &err), 0);
    assert_int_equal(n, MODELS);
    does_not(r, "m9999", NULL, WEIR_ENOTFOUND, "'m9999' is not found", "");
}

/* Whatever allocation fails: the load fails or not, what served before answers, nothing leaks, and the next load is
 * fine. */
static void every_allocation_of_a_load_may_fail(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    put(r, "a/config.pbtxt",
        "name: 'a' max_batch_size: 4 response_cache { enable: true } model_warmup [ { inputs { key: 'A' value { dims: "
        "2 zero_data: "
        "true } } inputs { key: 'B' value { dims: 2 zero_data: true } } } ]");
    open_room(r, false);
    loads(r, "a", NULL);
    bool failed = true;
    for (long n = 1; failed; n++) {
        wr_err err = {0};
        put(r, "a/2/model.toy", "add 2");
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = load(r, "a", NULL, &err);
        failed = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc < 0) assert_int_equal(rc, WEIR_ENOMEM);
        double v = ask(r, "a", NULL, &err);
        assert_true(v == 1 || v == 2);
        loads(r, "a", NULL);
        answers(r, "a", NULL, 2);
        wr_file_remove_tree(wr_path_join(r->a, r->dir, "a/2"), NULL);
        loads(r, "a", NULL);
        answers(r, "a", NULL, 1);
        assert_true(n < 2000);
    }
}

static void every_allocation_of_an_answer_may_fail(void **state)
{
    room *r = *state;
    put(r, "a/1/model.toy", "add 1");
    put(r, "a/config.json", "{\"response_cache\": {\"enable\": true}}");
    open_room(r, false);
    bool failed = true;
    for (long n = 1; failed; n++) {
        wr_err err = {0};
        room own = {.r = r->r};
        loads(r, "a", NULL); /* so that the cache has nothing */
        own.a = wr_arena_new(0);
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        double v = ask(&own, "a", NULL, &err);
        failed = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        assert_true(v == 1 || (v == -1 && err.code == WEIR_ENOMEM));
        wr_arena_free(own.a);
        assert_true(n < 200);
    }
}

static void it_says_what_is_not_there(void **state)
{
    room *r = *state;
    wr_err err = {0};
    wr_repository_opt opt = {.dir = "/nowhere/models"};
    assert_int_equal(wr_repository_open(&r->r, &opt, &err), WEIR_ENOTFOUND);
    assert_non_null(strstr(err.msg, "no model repository '/nowhere/models'"));
    assert_null(r->r);
    assert_int_equal(wr_repository_open(&r->r, &(wr_repository_opt){0}, &err), 0);
    assert_int_equal(load(r, "a", NULL, &err), WEIR_EUNSUPPORTED);
    assert_non_null(strstr(err.hint, "--model-repository"));
    assert_int_equal(wr_repository_put(r->r, "model_of_mine", "1", toy_new(1), S(NULL), &err), 0);
    wr_instance *m;
    assert_int_equal(wr_repository_take(&m, r->r, S("model_of_mime"), S(NULL), &err), WEIR_ENOTFOUND);
    assert_string_equal(err.hint, "did you mean \"model_of_mine\"?");
}

/* What a version leaves behind is small: bins of durations go to the next one. */
static void bins_are_used_again(void **state)
{
    room *r = *state;
    wr_err err = {0};
    uint64_t bins[WR_DURATION_BINS];
    char version[12];
    size_t held = 0, spares = 0;
    open_room(r, false);
    for (int i = 1; i <= 60; i++) {
        snprintf(version, sizeof version, "%d", i);
        assert_int_equal(wr_repository_put(r->r, "p", version, toy_new(i), S(NULL), &err), 0);
        for (int k = 0; k < i; k++) answers(r, "p", NULL, i);
        wr_served_model *m = wr_served_model_get(r->r, S("p"), false);
        wr_latency_bins(bins, &wr_served_version_get(r->r, m, S(version), false)->stats);
        assert_int_equal(wr_bins_total(bins, WR_DURATION_BINS), i); /* its own alone */
    }
    wr_served_model *m = wr_served_model_get(r->r, S("p"), false);
    for (size_t i = 0; i < m->nversions; i++) held += atomic_load(&m->versions[i]->stats.latency) != NULL;
    for (const wr_latency *l = r->r->spare; l; l = l->next) spares++;
    assert_int_equal(m->nversions, 60);
    assert_int_equal(held, 1);
    assert_in_range(spares, 0, 1);
    wr_latency_bins(bins, &m->versions[0]->stats);
    assert_int_equal(wr_bins_total(bins, WR_DURATION_BINS), 0);
    assert_int_equal(atomic_load(&m->versions[9]->stats.success.n), 10); /* counts stay */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(models_are_loaded_and_unloaded_on_demand),
        T(versions_come_by_policy),
        T(what_fails_leaves_what_is_good),
        T(golden_rows_are_asked_before_anybody_is),
        T(a_warm_up_of_the_configuration_must_succeed),
        T(a_configuration_must_fit),
        T(the_folder_is_followed),
        T(half_a_version_is_never_served),
        T(unloaded_stays_unloaded),
        T(a_version_drains),
        T(what_is_put_is_served_and_swapped),
        T(no_request_fails_while_versions_swap),
        T(thousands_of_models_cost_little),
        T(every_allocation_of_a_load_may_fail),
        T(every_allocation_of_an_answer_may_fail),
        T(it_says_what_is_not_there),
        T(bins_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
