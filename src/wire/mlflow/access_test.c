/* SPDX-License-Identifier: Apache-2.0 */
/* access_test.c - every procedure has a rule: one that is forgotten would be for administrators only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "wire/mlflow/access.h"

static void test_every_procedure_has_a_rule(void **state)
{
    size_t without = 0, n = 0;
    (void)state;
    for (size_t t = 0; t < wr_mlflow_tables_count; t++)
        for (size_t i = 0; i < wr_mlflow_tables[t]->n; i++, n++) {
            const wr_mlflow_rpc *r = &wr_mlflow_tables[t]->at[i];
            if (wr_mlflow_has_rule(r)) continue;
            print_error("no line in access.c: %s %s\n", r->method, r->path);
            without++;
        }
    assert_true(n > 60);
    assert_int_equal(without, 0);
}

/* Two lines of one path: the second would never be called. */
static void test_no_procedure_twice(void **state)
{
    (void)state;
    for (size_t t = 0; t < wr_mlflow_tables_count; t++)
        for (size_t i = 0; i < wr_mlflow_tables[t]->n; i++) {
            const wr_mlflow_rpc *r = &wr_mlflow_tables[t]->at[i];
            wr_str segment[WR_MLFLOW_SEGMENTS];
            bool known;
            char path[256];
            snprintf(path, sizeof path, "/api/%s", r->path);
            if (!strchr(path, '{'))
                assert_ptr_equal(wr_mlflow_find(wr_str_of(r->method), wr_str_of(path), segment, &known), r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_procedure_has_a_rule),
                                       cmocka_unit_test(test_no_procedure_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
