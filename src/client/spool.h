/* SPDX-License-Identifier: Apache-2.0 */
/* spool.h - the file of one run that is on its way: SPOOL/RUN.spool, and SPOOL/RUN.sent which says how far it was sent.
 *
 * RUN.spool: "WEIRSPL1", then records: u32 length of what follows, u32 check (XXH is not here: FNV-1a), then u8 kind,
 * i64 step, i64 time_ms, f64 value, u16 length of the key, key, text; little-endian. The first record is the run itself
 * (kind 'r': a JSON object). A torn tail is cut off when the file is opened again. A spool in use is locked (flock):
 * nobody else sends it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

enum {
    WR_SPOOL_RUN = 'r',
    WR_SPOOL_METRIC = 'm',
    WR_SPOOL_PARAM = 'p',
    WR_SPOOL_TAG = 't',
    WR_SPOOL_END = 'e' /* step = status */
};
enum { WR_SPOOL_KEY = 1000, WR_SPOOL_TEXT = 1 << 20 };

typedef struct {
    char kind;
    int64_t step, time_ms;
    double value;
    wr_str key, text;
} wr_spool_record;

/* Append to a buffer, in the file's form. */
void wr_spool_encode(wr_buf *out, const wr_spool_record *r);
/* 1 = a record, `*at` behind it; 0 = no whole one there; WEIR_ECORRUPT. Slices point into `data`. */
int wr_spool_decode(wr_spool_record *out, wr_str data, size_t *at);

typedef struct wr_spool wr_spool;
int wr_spool_create(wr_spool **out, const char *dir, const char *run, wr_err *err);
/* One that is there; WEIR_ECONFLICT when it is in use. */
int wr_spool_open(wr_spool **out, const char *dir, const char *run, wr_err *err);
void wr_spool_close(wr_spool *s);
void wr_spool_remove(wr_spool *s);                             /* all is sent: the files go; closes */
int wr_spool_append(wr_spool *s, wr_str records, wr_err *err); /* whole encoded records; written, not synced */
int wr_spool_read(wr_buf *out, wr_spool *s, uint64_t from, size_t max, wr_err *err);
uint64_t wr_spool_size(const wr_spool *s);
uint64_t wr_spool_sent(const wr_spool *s);
const char *wr_spool_server_run(const wr_spool *s); /* the id that the server gave, "" before */
int wr_spool_note(wr_spool *s, uint64_t sent, const char *server_run, wr_err *err);
