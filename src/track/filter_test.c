/* SPDX-License-Identifier: Apache-2.0 */
#include "track/grammar_testing.h"
#include "track/search_run.h"

static void runs_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR,
                    .file = "runs",
                    .noun = &wr_run_noun,
                    .extensions = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_FUNCTION};
    wr_grammar_check(&g, NULL);
}

static void experiments_as_mlflow(void **state)
{
    (void)state;
    wr_grammar g = {.root = WEIR_SOURCE_DIR,
                    .file = "experiments",
                    .noun = &wr_experiment_noun,
                    .extensions = WR_FILTER_EXT_OR | WR_FILTER_EXT_OP | WR_FILTER_EXT_NUMBER | WR_FILTER_EXT_CASE |
                                  WR_FILTER_EXT_QUOTE};
    wr_grammar_check(&g, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_as_mlflow),
        cmocka_unit_test(experiments_as_mlflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
