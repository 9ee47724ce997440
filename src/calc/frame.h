/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - columns of equal length in memory: what tables are read into and kernels work on.
 *
 * Storage by type: F64 double, F32 float, I64 int64, TS int64 microseconds since 1970 UTC, BOOL uint8, STR uint32 codes into `dict`.
 * Missing: `valid` is NULL when nothing is missing, else one byte a row (0 = missing); a missing float also holds NaN, others 0.
 * Dictionary codes are in order of first appearance. A frame owns its columns.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

typedef enum { WR_F64, WR_F32, WR_I64, WR_TS, WR_BOOL, WR_TEXT } wr_type;

typedef struct wr_col {
    char *name;
    wr_type type;
    size_t n, cap;
    union { void *data; double *f64; float *f32; int64_t *i64; uint8_t *b; uint32_t *code; };
    uint8_t *valid;
    wr_map dict;                    /* TEXT: entry i is the string of code i */
} wr_col;

typedef struct wr_frame { wr_col *cols; size_t ncols, nrows; } wr_frame;

const char *wr_type_name(wr_type t);                           /* "double" "float" "long" "timestamp" "boolean" "string": Delta's names */
size_t wr_type_size(wr_type t);

wr_frame *wr_frame_new(void);                                  /* NULL when out of memory */
void wr_frame_free(wr_frame *f);
void wr_frame_free_ref(wr_frame **f);
#define WR_AUTOFRAME __attribute__((cleanup(wr_frame_free_ref)))
/* Add a column (`n` zeroed rows of capacity and length nrows); NULL when out of memory or the name exists. Pointers to columns
 * stay valid until the next add. */
wr_col *wr_frame_add(wr_frame *f, const char *name, wr_type type);
wr_col *wr_frame_col(const wr_frame *f, const char *name);     /* NULL if absent */
/* Error with did-you-mean when absent or, if `type` >= 0, of another type. */
int wr_frame_need(wr_col **out, const wr_frame *f, const char *name, int type, wr_err *err);
int wr_frame_reserve(wr_frame *f, size_t rows);                /* capacity of every column */
int wr_frame_resize(wr_frame *f, size_t rows);                 /* length of every column; new rows are missing-free zeros */
/* New frame of the rows listed (copied). */
int wr_frame_take(wr_frame **out, const wr_frame *f, const uint32_t *rows, size_t n, wr_err *err);

/* Put the rows into the order of a TS or I64 column, equal ones in the order they had; `*f` is replaced unless it is in order already.
 * The order of a query with ties would depend on its threads; this does not. */
int wr_frame_sort(wr_frame **f, const char *column, wr_err *err);

int wr_col_set_missing(wr_col *c, size_t row);                 /* allocates `valid` at need */
static inline bool wr_col_missing(const wr_col *c, size_t row) { return c->valid && !c->valid[row]; }
int wr_col_code(wr_col *c, wr_str s, uint32_t *code);          /* intern; WEIR_ELIMIT beyond WR_LIMIT_DICT */
wr_str wr_col_text(const wr_col *c, size_t row);               /* TEXT; {NULL,0} when missing */
double wr_col_num(const wr_col *c, size_t row);                /* any numeric type as double, NaN when missing */
