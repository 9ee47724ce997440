/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h - the looked-up columns of a view (`lookup:` in core/view.h) as tables in memory: key -> rows of an entity in order of time.
 *
 * One search for training and for serving: a training table is built with tables of all rows there are; the server has tables that
 * `weir feature materialize` wrote (.weir/online/VIEW.lookup): of each entity its newest row, and those that were still the newest in the hour
 * before, so that a request may be of up to an hour before the tables and still finds what training saw.
 *
 * The file: "WEIRLKUP", u32 version, u32 lookups, 64 hex digits of the view's hash, i64 as of when, i64 time of the newest row; for each lookup
 * u64 bytes, u32 slots, u32 entities, u32 rows, u32 columns, u64 bytes of text, then
 *
 *   slots     u32 each (a power of two of them): 1 + entity, 0 = free; linear probing from the hash, load at most 1/2
 *   entities  u64 hash, u32 where its key's text is, u32 bytes of it, u32 first row, u32 rows. A key: for each column u32 length, text
 *   times     i64 a row, of an entity in order
 *   cells     column by column, u64 a row: the bits of a double; i64 (INT64_MIN missing); of texts u32 where, u32 length (all ones missing)
 *   text      padded to 8 bytes
 *
 * and at the end u64 XXH3 of all before. Little-endian. Same rows, same bytes. Every offset is checked when it is opened.
 *
 * Threads: immutable once open.
 */
#pragma once
#include "core/view.h"

typedef struct wr_lookup wr_lookup;

/* The bytes of a view's tables, appended to `out`. sources: a frame for each lookup (core/view_source.h), in time order. Rows of later than until_us are left
 * out; with `all` everything else is kept, however old. */
int wr_lookup_make(wr_buf *out, const wr_view *v, wr_frame *const *sources, int64_t until_us, bool all, wr_err *err);
/* Takes over the bytes (`bytes` is empty then, also after a failure). `v` must outlive it. WEIR_ECONFLICT: of another view; WEIR_ECORRUPT. */
int wr_lookup_open(wr_lookup **out, const wr_view *v, wr_buf *bytes, wr_err *err);
/* From a file; WEIR_ENOTFOUND. */
int wr_lookup_load(wr_lookup **out, const wr_view *v, const char *path, wr_err *err);
void wr_lookup_free(wr_lookup *l);

/* Fills those cells of a request (in order of the view's) that are looked up and missing. Texts point into the tables. */
void wr_lookup_row(const wr_lookup *l, wr_cell *request);

typedef struct {
    size_t entities, rows;
    int64_t as_of_us, newest_us;    /* newest: INT64_MIN = no rows */
} wr_lookup_info;
void wr_lookup_info_of(wr_lookup_info *out, const wr_lookup *l);
