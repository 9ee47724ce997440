/* SPDX-License-Identifier: Apache-2.0 */
/* live.h - the online state of one feature view while it is served: where it starts from, what moves it, how it is kept.
 *
 *   .weir/online/VIEW.online         materialized: made by `weir feature materialize`, never written here        (M)
 *   .weir/online/VIEW.online.state   snapshot: saved at every drain, tagged with the newest segment that is in it (S)
 *   .weir/log/NNNNNNNNNN.log         events received since (predlog.h)
 *
 * Where a state starts from:
 *   1. S, when it is of this view and M is still the file S grew from (S remembers M's size and modification time, or that there was
 *      none). Then the events of every segment above S's tag are added.
 *   2. Otherwise M, when there is one: somebody put it there on purpose since, so it wins over S. Then those events are added that
 *      were received after M was written (by M's modification time), from the segments there still are. What was drained
 *      between the writing of M and the restart is in dataset events.VIEW but not in the state: materialize with the server stopped.
 *   3. Otherwise nothing, and the events of all segments.
 * A materialized file that appears or changes while the server runs counts at the next start, not before.
 * S or M of another version of the view (its hash differs) is passed over with a warning; a damaged file is an error that names it.
 *
 * Looked-up columns come from tables of their own (.weir/online/VIEW.lookup, core/lookup.h): read at the start, and again whenever the file is another
 * one (wr_live_look). A file that cannot be used is passed over with a warning, and the tables there were stay.
 *
 * S is: "WEIRLIVE", u32 version 1, u32 0, u64 tag, i64 M's mtime, i64 M's size (-1 both: none), u64 XXH3 of these 40 bytes, then the bytes
 * of wr_online_save.
 *
 * Threads: rows are read by many, events added by one at a time; the lock inside (rank: after the serve gate) guards `online` and the tables.
 */
#pragma once
#include <pthread.h>
#include "core/lookup.h"
#include "core/project.h"
#include "stage/predlog/predlog.h"

typedef enum { WR_LIVE_EMPTY, WR_LIVE_MATERIALIZED, WR_LIVE_SNAPSHOT } wr_live_base;

typedef struct wr_live {
    wr_arena *arena;                /* holds this */
    wr_view *view;                  /* own copy: outlives the package it came with */
    uint64_t id;                    /* wr_predlog_view_id */
    wr_live_base base;
    bool foreign;                   /* there was a file of another version of the view */
    size_t replayed;                /* events added from the log at the start */
    const char *snapshot_path;
    int64_t m_mtime_us, m_size;     /* of the materialized file at the start */
    const char *tables_path;
    uint64_t tables_print;          /* of the file that was tried last; of one thread at a time */
    pthread_rwlock_t lock;          /* guards online, scratch, tables, no_tables */
    wr_online *online;
    wr_arena *scratch;
    wr_lookup *tables;              /* NULL = none */
    char no_tables[320];            /* why */
} wr_live;

/* Start the state of a view as described above, from segments up to `up_to`. Keeps the view's JSON in LOG/views first. */
int wr_live_open(wr_live **out, wr_project *p, const wr_view *v, const char *log_dir, uint64_t up_to, wr_err *err);
void wr_live_close(wr_live *l);
/* Add the event of a log record. */
int wr_live_apply(wr_live *l, wr_str record, wr_err *err);
/* Take up another file of tables, should there be one. One thread at a time. */
void wr_live_look(wr_live *l);
/* What its tables hold; false: there are none. */
bool wr_live_tables(wr_lookup_info *out, wr_live *l);
/* Those cells of n rows of requests (one after the other) that are looked up and missing; texts in `a`. WEIR_EUNAVAILABLE: cells are missing, and there
 * are no tables. */
int wr_live_fill(wr_live *l, wr_cell *rows, size_t n, wr_arena *a, wr_err *err);
/* Features of a row; see wr_online_row. */
void wr_live_row(wr_live *l, const wr_cell *request, float *num, wr_str *text);
int64_t wr_live_newest(wr_live *l);
/* The bytes of S as of now, saying that every event of segments up to `tag` is in it; and their writing (durable). */
int wr_live_snapshot(wr_live *l, wr_buf *out, uint64_t tag, wr_err *err);
int wr_live_store(const wr_live *l, wr_str bytes, wr_err *err);
