/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - run a suite over a dataset: how many rows were judged, how many violate, which ones.
 *
 * One scan counts for all row conditions and numbers of the suite; checks of repeated rows and `select` queries have one of their
 * own, and examples are fetched only where something violates. Missing values are judged by not_null alone; NaN is never between.
 */
#pragma once
#include "codec/json.h"
#include "core/dataset.h"
#include "stage/data/suite.h"

enum { WR_CHECK_EXAMPLES = 10 };

typedef struct {
    const wr_check *check;
    bool success;
    int64_t judged, violating;      /* rows; 0 for checks of a number or the schema */
    double share;                   /* of the judged rows that pass; 1 when none was judged */
    double value;                   /* the number judged; NaN when there is none */
    const char *message;
    char **examples; size_t nexamples; /* rows as JSON text, at most WR_CHECK_EXAMPLES */
} wr_check_result;

typedef struct {
    const char *dataset;            /* as referred to */
    wr_node node;                   /* the version checked */
    int64_t rows;
    wr_check_result *result; size_t n;
    size_t passed, failed, warned;  /* warned: not successful, severity warn */
    bool success;                   /* nothing failed */
} wr_check_report;

/* Binds the suite to `ref` and runs it; strings in `a`. An error in SQL of the suite is located there. WEIR_ENO is not returned:
 * see `success`. */
int wr_check_run(wr_check_report *out, wr_arena *a, wr_project *p, const char *ref, wr_suite *suite, wr_err *err);
/* The report as a JSON value: success, statistics, results. */
void wr_check_json(wr_jsonw *w, const wr_check_report *r, const wr_suite *suite);

/* For cleaning: does check i violate, as an SQL condition that is never null; and the window expressions the conditions need, each
 * led by ", ". With `row`, the column that numbers the rows: of the checks that quarantine, repeated rows included. */
void wr_check_condition(wr_buf *b, const wr_suite *suite, size_t i);
void wr_check_helpers(wr_buf *b, const wr_suite *suite, const char *row);
/* After `rc` from a query made of several checks (`quarantine`: of those that do): the one that fails by itself puts its place in
 * front of the message. */
int wr_check_locate(wr_tables *t, const wr_suite *suite, const char *from, bool quarantine, int rc, wr_err *err);
