/* SPDX-License-Identifier: Apache-2.0 */
/* objects.h - immutable blobs named by their SHA-256: DIR/ab/cdef... (mode 0444).
 *
 * Invariants: 1. a name in DIR is complete and has the content its name says; 2. publishing is atomic (temporary file in DIR/tmp,
 * fsync, rename, fsync of the folder), so kill -9 leaves at most a temporary file, removed after a day; 3. putting what is
 * there already is free. A tree is a blob too: the sorted lines "sha256 size path\n" of a folder's files. Links to files count as the
 * files; empty folders and modes are not kept; links to folders, pipes and names with a line break are refused.
 * Threads: all functions may be called from any thread, and by any number of processes at once.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

typedef struct wr_objects wr_objects;

int wr_objects_open(wr_objects **out, const char *dir, wr_err *err);
void wr_objects_close(wr_objects *o);
int wr_objects_put(wr_objects *o, wr_str data, char id[WR_SHA256_HEX], wr_err *err);
int wr_objects_put_file(wr_objects *o, const char *path, char id[WR_SHA256_HEX], wr_err *err);
int wr_objects_put_tree(wr_objects *o, const char *dir, char id[WR_SHA256_HEX], wr_err *err);
int wr_objects_get(wr_objects *o, const char *id, wr_buf *out, size_t max, wr_err *err); /* verified; WEIR_ECORRUPT */
/* Put piece by piece: hashed and written as it comes, in constant memory. `publish` gives the content its name, durably, and may be called
 * again (should the object have been removed meanwhile) until the writer is freed; nothing is added after it. One thread at a time. */
typedef struct wr_objects_writer wr_objects_writer;
int wr_objects_writer_new(wr_objects_writer **out, wr_objects *o, wr_err *err);
int wr_objects_writer_add(wr_objects_writer *w, wr_str piece, wr_err *err);
int wr_objects_writer_publish(wr_objects_writer *w, char id[WR_SHA256_HEX], uint64_t *size, wr_err *err);
void wr_objects_writer_free(wr_objects_writer *w);             /* NULL is fine; what was not published is gone */
/* Take an object away; absent is fine. Only who knows that nothing names it any more may do this. Quick: it is moved to DIR/tmp, and
 * empty() deletes what is there of it. */
int wr_objects_retire(wr_objects *o, const char *id, wr_err *err);
void wr_objects_empty(wr_objects *o);
/* Every object, in no order, until fn returns < 0. */
int wr_objects_each(wr_objects *o, int (*fn)(void *ctx, const char *id, int64_t mtime_us, wr_err *err), void *ctx, wr_err *err);
const char *wr_objects_dir(const wr_objects *o);
/* Copy a blob / unpack a tree, verified. Existing files with the right content are left alone; other files in `dir` stay. A link in the
 * place of a file is replaced, in the place of a folder refused (WEIR_EEXIST). WEIR_EPARSE, and nothing written, if `id` is no tree. */
int wr_objects_checkout_file(wr_objects *o, const char *id, const char *path, wr_err *err);
int wr_objects_checkout_tree(wr_objects *o, const char *id, const char *dir, wr_err *err);
bool wr_objects_has(wr_objects *o, const char *id);
char *wr_objects_path(wr_objects *o, wr_arena *a, const char *id); /* of a blob in DIR, for mmap; NULL for a bad id */
