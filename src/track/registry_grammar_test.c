/* SPDX-License-Identifier: Apache-2.0 */
#include "track/grammar_testing.h"
#include "track/logged_model_inside.h"
#include "track/registry_inside.h"

enum { MORE = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_CASE | WR_FILTER_EXT_QUOTE };

static void models_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR, .file = "models", .noun = &wr_registered_model_noun, .extensions = MORE};
    wr_grammar_check(&g, NULL);
}

static void versions_as_mlflow(void **state)
{
    static const char *const beside[] = {"tags.a.b.c=  '' anD tags.`it's` .='0.5'", NULL}; /* by accident */
    (void)state;
    wr_grammar g = {
        .root = WEIR_SOURCE_DIR, .file = "versions", .noun = &wr_registered_version_noun, .extensions = MORE};
    wr_grammar_check(&g, beside);
}

/* Here MLflow reads numbers as Python's float() does, and takes numbers in lists of texts, for which it then finds
 * nothing. */
static bool python_number(wr_str expression)
{
    static const char *const parts[] = {"1e+5", "inf", "NaN", "Infinity", "1_0", ",-2.5)", ", -2.5)", ",1)"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (memmem(expression.p, expression.n, parts[i], strlen(parts[i]))) return true;
    return false;
}

enum { MOST = 200 };
static void lines_beside(const char *out[MOST], wr_arena *a)
{
    WR_AUTOBUF wr_buf text = {0};
    wr_grammar_line l;
    size_t n = 0;
    while (out[n]) n++;
    assert_int_equal(wr_file_read(&text, WEIR_SOURCE_DIR "/tests/mlflow/grammar/logged_models.tsv", 16 << 20, NULL), 0);
    for (wr_str rest = wr_buf_view(&text); n < MOST - 1 && wr_grammar_next(&l, &rest);)
        if (python_number(l.expression)) out[n++] = wr_arena_str(a, l.expression).p;
    assert_true(n < MOST - 1);
}

static void logged_models_as_mlflow(void **state)
{
    const char *beside[MOST] = {" ", /* nothing but a space, an entity in the singular, odd quotes */
                                " model_id = 'true' and attribute.model_type ILIKE 'A\\b'  ",
                                "params.mlflow.user lIKE 'RandomForest' and tags.#m.x ilike \"a''b\"",
                                "params.creation_timestamp = `(x)` AND params.`1st`=\"true\""};
    (void)state;
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_grammar g = {.root = WEIR_SOURCE_DIR, .file = "logged_models", .extensions = MORE, .keeps_quotes = true};
    wr_logged_query q = {0};
    assert_int_equal(wr_logged_model_noun(&g.noun, a, NULL, &q, NULL), 0);
    lines_beside(beside, a);
    wr_grammar_check(&g, beside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_as_mlflow),
        cmocka_unit_test(versions_as_mlflow),
        cmocka_unit_test(logged_models_as_mlflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
