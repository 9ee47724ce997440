/* SPDX-License-Identifier: Apache-2.0 */
/* applog.h - append-only log of typed records in numbered segments, with group commit; what acknowledges predictions and labels.
 *
 * DIR/NNNNNNNNNN.log, each: 16-byte header ("WEIRLOG1", u64 number), then records: u32 length of payload, u32 type, u64 XXH3-64 of the
 * payload seeded with the type, payload; little-endian. A torn tail (length, checksum) is cut off at open: nothing behind it was acknowledged.
 * Invariants: 1. a record that commit() covered is read back after kill -9; after power loss too if commit was asked to sync;
 * 2. only the newest segment grows; 3. sealed segments are deleted only by wr_applog_drop after their rows are in the lake;
 * 4. one writing process: DIR/lock is held while open for writing.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct wr_applog wr_applog;

int wr_applog_open(wr_applog **out, const char *dir, wr_err *err); /* for writing; WEIR_ECONFLICT if another process has it */
void wr_applog_close(wr_applog *l);                            /* commits what is left; no other thread may use it any more */
/* Append to the buffer of the current round; any thread. WEIR_ELIMIT beyond WR_LIMIT_RECORD, WEIR_EUNAVAILABLE when 64 MiB wait. */
int wr_applog_add(wr_applog *l, uint32_t type, wr_str payload, wr_err *err);
/* Write what was added so far (by any thread); with `sync` also fdatasync. When it returns 0 the records are acknowledged. A
 * failed commit truncates the file to the last good end, drops the records it covered, and the log goes on (after a failed fdatasync in a
 * new segment). It fails too when a round that another thread led lost records this thread added: so commit where you add. */
int wr_applog_commit(wr_applog *l, bool sync, wr_err *err);
/* Close (and sync) the newest segment and start another; number of the sealed one in `sealed` (0 if it was empty and nothing happened). */
int wr_applog_seal(wr_applog *l, uint64_t *sealed, wr_err *err);
int wr_applog_drop(wr_applog *l, uint64_t up_to, wr_err *err); /* delete sealed segments <= up_to */
uint64_t wr_applog_bytes(const wr_applog *l);                  /* of records in the newest segment, 0 = empty */
uint64_t wr_applog_newest(const wr_applog *l);                 /* its number, from 1, never reused (kept in DIR/next) */

/* In a copy of a log (no lock): what is added from now on goes into a new segment with a number that was never given, nor to a segment that the
 * original has drained since: DIR/next was copied after what says how far that is. */
int wr_applog_renew(const char *dir, wr_err *err);

/* Read every record of segment `number` in order (no lock needed; stops at a torn tail). fn < 0 ends with that code. */
int wr_applog_read(const char *dir, uint64_t number, int (*fn)(void *ctx, uint32_t type, wr_str payload), void *ctx, wr_err *err);
/* Numbers of the segments in DIR, ascending. */
int wr_applog_list(uint64_t **out, size_t *n, wr_arena *a, const char *dir, wr_err *err);
