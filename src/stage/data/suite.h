/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h - a file of expectations about a dataset, bound to the columns of one snapshot.
 *
 *   suite: flights
 *   checks:
 *     - {check: between, column: delay, min: -90, max: 1440, action: quarantine}
 *   clean:
 *     trim: [origin]
 *
 * Loading checks the shape of the file; binding finds kinds and columns and turns every check into SQL. `columns` of a kind that
 * judges one column at a time makes one check a column. All errors say FILE:LINE:COLUMN and, where one is near, what was meant.
 *
 * A check is one of four things: rows with a condition (`bad`), a number with bounds (`value` in the common scan, `select` as a query
 * of its own), groups of equal rows (`groups`), or decided by the schema alone (`decided`).
 */
#pragma once
#include "codec/yaml.h"
#include "store/delta.h"

typedef struct wr_check wr_check;

typedef enum { WR_CHECK_COLUMN = 1, WR_CHECK_COLUMNS = 2, WR_CHECK_TABLE = 4, WR_CHECK_ROWS = 8 /* judges rows: mostly, quarantine */ } wr_check_shape;
typedef struct {
    const char *name, *summary;
    unsigned shape;                 /* WR_CHECK_... */
    const char *const *keys;        /* beside the common ones; NULL-terminated */
    int (*plan)(wr_check *c, wr_arena *a, const wr_delta_snapshot *s, wr_err *err);
} wr_check_kind;

struct wr_check {
    const wr_check_kind *kind;
    const wr_yaml *yaml;
    const char *name;               /* unique in the suite; [A-Za-z0-9_.-] */
    const char *column;             /* or NULL */
    const wr_delta_field *field;    /* of `column`; for plan only */
    const char *quoted;             /* `column` as an SQL identifier */
    const char **columns; size_t ncolumns;
    double mostly;                  /* share of the judged rows that must pass */
    bool warn, quarantine;
    const char *where;              /* row filter or NULL: SQL in parentheses */
    /* made by plan */
    const char *expected;           /* for people: "between -90 and 1440" */
    const char *bad, *judged;       /* conditions; a row counts when `judged` (NULL = every row), violates when `bad` too */
    const char *helper;             /* window expression or NULL; `bad` then ends in an operator and is compared with it */
    const char *worst;              /* number: the greater, the sooner a row is shown as an example; NULL = in row order */
    const char *value, *select;
    double lo, hi;                  /* bounds of the number, infinite = none */
    bool is_time;                   /* the number is microseconds since 1970 */
    const char *groups;             /* columns to group by: the second and later rows of a group violate */
    int decided;                    /* 0 not yet, 1 passes, -1 fails with `expected` as the reason */
};

typedef struct {
    const char *name, *path;
    const wr_yaml *checks, *clean;  /* as in the file */
    wr_check *check; size_t n;      /* after binding */
    char hash[WR_SHA256_HEX];       /* of the file */
} wr_suite;

extern const wr_check_kind wr_check_kinds[];
extern const size_t wr_check_kinds_count;

/* Everything lives in `a`. WEIR_EPARSE, WEIR_EINVAL. */
int wr_suite_load(wr_suite *out, wr_arena *a, const char *path, wr_err *err);
/* Nothing of `s` is kept but `field`. WEIR_EINVAL, WEIR_ENOTFOUND (column), WEIR_ETYPE. */
int wr_suite_bind(wr_suite *suite, wr_arena *a, const wr_delta_snapshot *s, wr_err *err);

/* A column by name; error at `at` with did-you-mean. */
int wr_suite_column(const wr_delta_field **out, const wr_delta_snapshot *s, const wr_yaml *at, wr_err *err);
/* A list of column names or a single one. */
int wr_suite_columns(const char ***out, size_t *n, wr_arena *a, const wr_delta_snapshot *s, const wr_yaml *at, const char *what, wr_err *err);
/* SQL literal for comparison with a column of Delta type `type`. */
int wr_suite_literal(const char **out, wr_arena *a, const wr_yaml *at, const char *type, const char *what, wr_err *err);
const char *wr_suite_ident(wr_arena *a, const char *name);    /* quoted; NULL when out of memory */
bool wr_suite_is_number(const char *type);
bool wr_suite_is_float(const char *type);
