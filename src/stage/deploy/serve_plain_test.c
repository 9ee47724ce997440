/* SPDX-License-Identifier: Apache-2.0 */
/* serve_plain_test.c - endpoints whose models have no view: versions that clients registered, paths; and packages as
 * models of tensors. */
#include "core/trips_testing.h"

#include "core/event.h"
#include "stage/deploy/rows.h"
#include "store/artifacts.h"
#include "track/registry.h"

static const char simple_onnx[] = WEIR_SOURCE_DIR "/tests/triton/models/simple/1/model.onnx";
static const char mlmodel_onnx[] =
    "flavors:\n  python_function: {loader_module: mlflow.onnx}\n  onnx: {data: model.onnx}\n";
static const char mlmodel_sklearn[] = "flavors:\n  sklearn: {pickled_model: model.pkl}\n";

static void reopen(trips *w, const char *yaml)
{
    trips_write(w, "weir.yaml", yaml);
    wr_project_close(w->project);
    OK(wr_project_open(&w->project, w->dir, err));
}

static void artifact(trips *w, const char *path, wr_str content)
{
    wr_artifacts *store;
    OK(wr_project_artifacts(&store, w->project, NULL, err));
    OK(wr_artifacts_put(store, wr_str_of(path), content, NULL, err));
}

static void artifact_file(trips *w, const char *path, const char *file)
{
    WR_AUTOBUF wr_buf b = {0};
    OK(wr_file_read(&b, file, 1 << 20, err));
    artifact(w, path, wr_buf_view(&b));
}

typedef struct {
    trips *w;
    const char *name, *source;
    int64_t version;
} registering;

static int register_fn(wr_track *t, void *arg, wr_err *err)
{
    registering *r = arg;
    wr_registered_version v;
    wr_registered_model m;
    wr_err none;
    wr_str name = wr_str_of(r->name);
    if (wr_registered_model_get(&m, r->w->a, t, name, &none) < 0)
        WR_TRY(wr_registered_model_create(&m, r->w->a, t, name, (wr_str){NULL, 0}, NULL, 0, err));
    wr_registered_version_new in = {.name = name, .source = wr_str_of(r->source)};
    WR_TRY(wr_registered_version_create(&v, r->w->a, t, &in, err));
    r->version = v.version;
    return wr_registered_alias_set(t, name, WR_STR("champion"), v.version, NULL, err);
}

/* As an MLflow client does it; the version is the champion. */
static int64_t register_version(trips *w, const char *name, const char *source)
{
    registering r = {w, name, source, 0};
    wr_track *t;
    OK(wr_project_track(&t, w->project, err));
    OK(wr_track_write(t, register_fn, &r, err));
    return r.version;
}

static wr_serve *start(trips *w)
{
    wr_serve *s = NULL;
    OK(wr_serve_open(&s, w->project, NULL, err));
    return s;
}

/* INPUT0 + INPUT1 of ones and twos: 3. The version that answered. */
static const char *ask(trips *w, wr_serve *s, const char *name, int *sum)
{
    wr_served *package;
    wr_instance *m = NULL;
    wr_infer_answer ans;
    int32_t a[16], b[16];
    for (int i = 0; i < 16; i++) a[i] = 1, b[i] = 2;
    wr_tensor in[2] = {
        {.name = WR_STR("INPUT0"), .type = WR_TENSOR_INT32, .ndims = 2, .shape = {1, 16}, .count = 16, .data = a},
        {.name = WR_STR("INPUT1"), .type = WR_TENSOR_INT32, .ndims = 2, .shape = {1, 16}, .count = 16, .data = b}};
    wr_infer_request q = {.in = in, .nin = 2};
    OK(wr_serve_find(&package, &m, s, wr_str_of(name), (wr_str){NULL, 0}, err));
    assert_null(package);
    OK(wr_infer(&ans, m, &q, w->a, err));
    *sum = ((int32_t *)ans.out[0].data)[15];
    const char *version = wr_arena_strdup(w->a, m->version);
    wr_instance_give(m);
    return version;
}

static void answers(trips *w, wr_serve *s, const char *name, const char *version)
{
    int sum = 0;
    assert_string_equal(ask(w, s, name, &sum), version);
    assert_int_equal(sum, 3);
}

static wr_serve_status status(wr_serve *s, size_t i)
{
    wr_serve_status st;
    wr_serve_status_of(&st, s, i);
    return st;
}

static int events(trips *w, const char *kind)
{
    wr_event *e;
    size_t n;
    OK(wr_event_list(&e, &n, w->a, w->project, 0, kind, 1000, err));
    return (int)n;
}

static size_t cached(trips *w)
{
    char **names;
    size_t n = 0;
    (void)wr_file_list(&names, &n, w->a, trips_path(w, ".weir/cache/serving"), NULL);
    return n;
}

static void test_registered_versions(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  sums: {model: sums@champion}\n");
    wr_serve *s = start(w);
    assert_false(wr_serve_ready(s));
    assert_false(status(s, 0).ready);
    artifact(w, "models/m1/MLmodel", wr_str_of(mlmodel_onnx));
    artifact_file(w, "models/m1/model.onnx", simple_onnx);
    assert_int_equal(register_version(w, "sums", "mlflow-artifacts:/models/m1"), 1);
    OK(wr_serve_refresh(s, err));
    answers(w, s, "sums", "1");
    assert_true(wr_serve_ready(s) && status(s, 0).plain && status(s, 0).version == 1);
    assert_string_equal(status(s, 0).model, "sums");
    assert_int_equal(status(s, 0).predictions, 1);
    assert_int_equal(cached(w), 1);
    /* a model that is not served never takes the place of one that is */
    artifact(w, "models/m2/MLmodel", wr_str_of(mlmodel_sklearn));
    artifact(w, "models/m2/model.pkl", WR_STR("\x80\x04."));
    register_version(w, "sums", "mlflow-artifacts:/models/m2");
    int before = events(w, "rollback");
    OK(wr_serve_refresh(s, err));
    OK(wr_serve_refresh(s, err));
    answers(w, s, "sums", "1");
    assert_non_null(strstr(status(s, 0).error, "flavor \"sklearn\""));
    assert_int_equal(events(w, "rollback"), before + 1); /* said once */
    /* a version whose files come later */
    register_version(w, "sums", "mlflow-artifacts:/models/m3/model.onnx");
    OK(wr_serve_refresh(s, err));
    answers(w, s, "sums", "1");
    artifact_file(w, "models/m3/model.onnx", simple_onnx);
    OK(wr_serve_refresh(s, err));
    answers(w, s, "sums", "3");
    assert_int_equal(status(s, 0).error[0], 0);
    /* files elsewhere are not fetched */
    register_version(w, "sums", "s3://bucket/model");
    OK(wr_serve_refresh(s, err));
    assert_non_null(strstr(status(s, 0).error, "not this server's store"));
    answers(w, s, "sums", "3");
    wr_serve_close(s);
}

static void test_restart_and_cache(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  sums: {model: other@champion, config: {max_batch_size: 4}}\n");
    artifact_file(w, "models/o/model.onnx", simple_onnx);
    register_version(w, "other", "mlflow-artifacts:/models/o");
    wr_serve *s = start(w);
    answers(w, s, "sums", "1");
    wr_served *package;
    wr_instance *m;
    OK(wr_serve_find(&package, &m, s, WR_STR("sums"), WR_STR("1"), err));
    assert_int_equal(m->config.max_batch, 4);
    wr_instance_give(m);
    wr_err why = {0};
    assert_int_equal(wr_serve_find(&package, &m, s, WR_STR("sums"), WR_STR("9"), &why), WEIR_ENOTFOUND);
    assert_int_equal(wr_serve_find(&package, &m, s, WR_STR("sumz"), (wr_str){NULL, 0}, &why), WEIR_ENOTFOUND);
    assert_string_equal(why.hint, "did you mean \"sums\"?");
    wr_serve_close(s);
    assert_int_equal(cached(w), 1); /* that of the test before is gone */
    /* what a crash has spoilt in the cache is made anew */
    char **names;
    const char *folder = trips_path(w, ".weir/cache/serving");
    size_t n;
    OK(wr_file_list(&names, &n, w->a, folder, err));
    char *file = wr_arena_printf(w->a, "%s/%s/model.onnx", folder, names[0]);
    assert_true(wr_file_size(file) > 0);
    OK(wr_file_remove(file, err));
    OK(wr_file_write(file, WR_STR("short"), err));
    s = start(w);
    answers(w, s, "sums", "1");
    wr_serve_close(s);
}

static void test_unsigned_ones_are_not_taken_where_signatures_are_required(void **state)
{
    trips *w = *state;
    trips_write(w, "key.pub",
                "-----BEGIN PUBLIC KEY-----\n"
                "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n");
    reopen(w, "endpoints:\n  sums: {model: other@champion}\nregistry: {require: signature, trust: [key.pub]}\n");
    wr_serve *s = start(w);
    assert_false(status(s, 0).ready);
    assert_non_null(strstr(status(s, 0).error, "sign"));
    int said = events(w, "rollback");
    for (int i = 0; i < 3; i++) OK(wr_serve_refresh(s, err));
    assert_int_equal(events(w, "rollback"), said); /* looked at each time, told once */
    wr_serve_close(s);
}

static void test_paths(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  file: {path: exports/m.onnx}\n");
    OK(wr_file_mkdirs(trips_path(w, "exports"), err));
    int before = events(w, "rollback");
    wr_serve *s = start(w);
    assert_false(wr_serve_ready(s));
    assert_non_null(strstr(status(s, 0).error, "there is no '"));
    for (int i = 0; i < 3; i++) OK(wr_serve_refresh(s, err));
    assert_int_equal(events(w, "rollback"), before + 1); /* told, once */
    OK(wr_file_copy(simple_onnx, trips_path(w, "exports/m.onnx"), err));
    OK(wr_serve_refresh(s, err));
    OK(wr_serve_refresh(s, err)); /* twice the same: nobody writes it any more */
    answers(w, s, "file", "1");
    assert_true(wr_serve_ready(s));
    trips_write(w, "exports/m.onnx", "nonsense");
    for (int i = 0; i < 3; i++) OK(wr_serve_refresh(s, err));
    answers(w, s, "file", "1");
    assert_true(status(s, 0).ready && status(s, 0).error[0]);
    OK(wr_file_copy(simple_onnx, trips_path(w, "exports/m.onnx"), err));
    for (int i = 0; i < 2; i++) OK(wr_serve_refresh(s, err));
    assert_int_equal(status(s, 0).error[0], 0);
    wr_serve_close(s);
    s = start(w); /* at the start at once */
    answers(w, s, "file", "1");
    wr_index_entry *e;
    size_t n;
    OK(wr_serve_index(&e, &n, s, w->a, err));
    assert_int_equal(n, 1);
    assert_true(wr_str_is(e[0].name, "file") && wr_str_is(e[0].state, "READY"));
    wr_serve_close(s);
}

static bool has_package(trips *w, wr_serve *s, const char *name)
{
    wr_served *package;
    wr_instance *m;
    (void)w;
    OK(wr_serve_find(&package, &m, s, wr_str_of(name), (wr_str){NULL, 0}, err));
    if (package) wr_serve_give(package);
    else wr_instance_give(m);
    return package != NULL;
}

static void test_an_alias_moves_between_kinds(void **state)
{
    trips *w = *state;
    wr_stats_entry *st;
    size_t n;
    reopen(w, "endpoints:\n  late: {model: late@champion}\n");
    trips_promote(w, 0);
    wr_serve *s = start(w);
    assert_true(has_package(w, s, "late"));
    artifact_file(w, "models/l/model.onnx", simple_onnx);
    int64_t v = register_version(w, "late", "mlflow-artifacts:/models/l");
    OK(wr_serve_refresh(s, err));
    assert_false(has_package(w, s, "late"));
    answers(w, s, "late", wr_arena_printf(w->a, "%lld", (long long)v));
    assert_true(status(s, 0).plain && status(s, 0).package[0] == 0);
    OK(wr_serve_stats(&st, &n, s, WR_STR("late"), (wr_str){NULL, 0}, w->a, err));
    assert_int_equal(n, 1);
    assert_int_equal(atomic_load(&st[0].stats->success.n), 1);
    trips_promote(w, 1);
    OK(wr_serve_refresh(s, err));
    assert_true(has_package(w, s, "late"));
    assert_false(status(s, 0).plain);
    OK(wr_serve_stats(&st, &n, s, (wr_str){NULL, 0}, (wr_str){NULL, 0}, w->a, err));
    assert_int_equal(n, 1);
    wr_serve_close(s);
}

/* ---- packages as models of tensors ---- */

typedef struct {
    wr_tensor in[4];
    double km[3];
    int64_t at[3];
    wr_str from[3], to[3];
} tensors;

/* Rows 10, 11, 12 of the trips. */
static void fill(trips *w, tensors *t)
{
    *t = (tensors){0};
    for (size_t i = 0; i < 3; i++) {
        wr_cell c[4];
        trips_request(w, 10 + i, c);
        t->at[i] = c[0].ts;
        t->km[i] = c[1].missing ? NAN : c[1].num;
        t->from[i] = c[2].text;
        t->to[i] = c[3].text;
    }
    void *data[] = {t->at, t->km, t->from, t->to};
    wr_tensor_type types[] = {WR_TENSOR_INT64, WR_TENSOR_FP64, WR_TENSOR_BYTES, WR_TENSOR_BYTES};
    for (size_t k = 0; k < w->view->nrequest; k++)
        t->in[k] = (wr_tensor){.name = wr_str_of(w->view->request[k]),
                               .type = types[k],
                               .ndims = 1,
                               .shape = {3},
                               .count = 3,
                               .data = data[k]};
}

static void test_rows_of_tensors(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  late: {model: late@champion}\n");
    trips_promote(w, 0);
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_served *m;
    wr_serve_answer ans;
    tensors t;
    fill(w, &t);
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    assert_int_equal(m->nin, w->view->nrequest);
    wr_infer_request q = {.in = t.in, .nin = w->view->nrequest};
    OK(wr_serve_infer(&ans, r, m, &q, WR_STR("x"), w->a, err));
    assert_int_equal(ans.rows, 3);
    assert_true(wr_str_is(ans.ids[2], "x/2") && wr_str_is(ans.out[0].name, "probability") &&
                wr_str_is(ans.out[1].name, "label"));
    for (size_t i = 0; i < 3; i++) {
        wr_cell c[4];
        double score;
        trips_request(w, 10 + i, c);
        OK(wr_serve_predict(&score, r, m, c, WR_STR("y"), err));
        assert_true(((double *)ans.out[0].data)[i] == score);
        assert_int_equal(((int64_t *)ans.out[1].data)[i], score >= 0.5);
    }
    wr_str only = WR_STR("label");
    wr_infer_request one = {.in = t.in, .nin = q.nin, .outputs = &only, .noutputs = 1};
    OK(wr_serve_infer(&ans, r, m, &one, (wr_str){NULL, 0}, w->a, err));
    assert_int_equal(ans.nout, 1);
    assert_true(ans.ids[0].n > 10 && !wr_str_eq(ans.ids[0], ans.ids[1]));
    assert_int_equal(atomic_load(&m->stats->success.n), 2);
    assert_int_equal(atomic_load(&m->stats->inferences), 6);
    OK(wr_serve_round_end(r, err));
    wr_serve_give(m);
    wr_round_free(r);
    wr_serve_close(s);
}

/* Features of the online state, named as in the view; the trees' margins; nothing is kept or counted. */
static void test_rows_explained(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  late: {model: late@champion}\n");
    trips_promote(w, 0);
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_served *m;
    wr_serve_answer ans;
    wr_serve_status st;
    tensors t;
    double state_moved = 0;
    fill(w, &t);
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    assert_int_equal(m->nexplained, w->view->nfeatures);
    for (size_t j = 0; j < m->nexplained; j++) assert_string_equal(m->explained[j], w->view->features[j].name);
    for (size_t i = 0; i < 5; i++) { /* so that windows are not empty */
        wr_cell c[4];
        trips_event(w, i, c);
        OK(wr_serve_event(r, m->live, w->events->cols[0].i64[i], c, err));
    }
    OK(wr_serve_round_end(r, err));
    uint64_t bytes = wr_serve_log_bytes(s);
    wr_infer_request q = {.in = t.in, .nin = w->view->nrequest, .explain = true};
    OK(wr_serve_infer(&ans, r, m, &q, WR_STR("x"), w->a, err));
    assert_int_equal(ans.nout, 3);
    assert_null(ans.ids);
    const wr_tensor *phi = &ans.out[2];
    size_t each = m->nexplained + 1;
    assert_true(wr_str_is(phi->name, "contributions") && phi->ndims == 3 && phi->shape[0] == 3 && phi->shape[1] == 1);
    assert_int_equal(phi->shape[2], each);
    for (size_t i = 0; i < 3; i++) {
        const double *x = (double *)phi->data + i * each;
        double sum = 0, p = ((double *)ans.out[0].data)[i];
        for (size_t j = 0; j < each; j++) sum += x[j];
        assert_true(fabs(sum - log(p / (1 - p))) < 1e-9);
        state_moved += fabs(x[3]) + fabs(x[4]);
    }
    assert_true(state_moved > 0);
    wr_str only[] = {WR_STR("contributions"), WR_STR("label")};
    q.outputs = only;
    q.noutputs = 1;
    OK(wr_serve_infer(&ans, r, m, &q, WR_STR("x"), w->a, err));
    assert_true(ans.nout == 1 && wr_str_is(ans.out[0].name, "contributions"));
    OK(wr_serve_round_end(r, err));
    assert_int_equal(wr_serve_log_bytes(s), bytes);
    assert_int_equal(atomic_load(&m->stats->success.n), 2);
    wr_serve_status_of(&st, s, 0);
    assert_int_equal(st.predictions, 0);
    wr_serve_give(m);
    wr_round_free(r);
    wr_serve_close(s);
}

static void refuses(trips *w, wr_round *r, wr_served *m, const wr_infer_request *q, const char *says)
{
    wr_serve_answer ans;
    wr_err why = {0};
    assert_true(wr_serve_infer(&ans, r, m, q, WR_STR("id"), w->a, &why) < 0);
    if (!strstr(why.msg, says)) fail_msg("\"%s\" has no \"%s\"", why.msg, says);
}

static void test_rows_that_do_not_fit(void **state)
{
    trips *w = *state;
    reopen(w, "endpoints:\n  late: {model: late@champion}\n");
    trips_promote(w, 0);
    wr_serve *s = start(w);
    wr_round *r = wr_round_new(s);
    wr_served *m;
    tensors t;
    size_t n = w->view->nrequest;
    OK(wr_serve_take(&m, s, WR_STR("late"), err));
    fill(w, &t);
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n - 1}, "is missing");
    t.in[1].name = WR_STR("kn");
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "unexpected inference input 'kn' for model 'late'");
    fill(w, &t);
    t.in[1] = t.in[0];
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "is there twice");
    fill(w, &t);
    t.in[1].type = WR_TENSOR_BYTES;
    t.in[1].data = t.from;
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "input 'km' is of datatype BYTES, expected FP64");
    fill(w, &t);
    t.in[1].shape[0] = 2, t.in[1].count = 2;
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "input 'km' has 2 rows, the input before it 3");
    fill(w, &t);
    t.in[1].ndims = 2, t.in[1].shape[0] = 1, t.in[1].shape[1] = 3;
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "shape must be [n] or [n,1]");
    fill(w, &t);
    t.at[1] = INT64_MIN;
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "row 1: \"at\" is missing");
    fill(w, &t);
    t.in[0].type = WR_TENSOR_BYTES;
    wr_str times[3] = {WR_STR("2001-06-01"), WR_STR("never"), WR_STR("2001-06-02")};
    t.in[0].data = times;
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n}, "input 'at': value 1 is not a time");
    fill(w, &t);
    wr_str no[] = {WR_STR("score")}, twice[] = {WR_STR("label"), WR_STR("label")};
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n, .outputs = no, .noutputs = 1},
            "unexpected inference output 'score'");
    refuses(w, r, m, &(wr_infer_request){.in = t.in, .nin = n, .outputs = twice, .noutputs = 2}, "asked for twice");
    assert_int_equal(atomic_load(&m->stats->failures[WR_FAIL_OTHER]), 10);
    wr_serve_give(m);
    wr_round_free(r);
    wr_serve_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registered_versions),
        cmocka_unit_test(test_restart_and_cache),
        cmocka_unit_test(test_unsigned_ones_are_not_taken_where_signatures_are_required),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_an_alias_moves_between_kinds),
        cmocka_unit_test(test_rows_of_tensors),
        cmocka_unit_test(test_rows_explained),
        cmocka_unit_test(test_rows_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, trips_make, trips_end);
}
