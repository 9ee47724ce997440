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
/* Copy a blob / unpack a tree, verified. Existing files with the right content are left alone; other files in `dir` stay. A link in the
 * place of a file is replaced, in the place of a folder refused (WEIR_EEXIST). WEIR_EPARSE, and nothing written, if `id` is no tree. */
int wr_objects_checkout_file(wr_objects *o, const char *id, const char *path, wr_err *err);
int wr_objects_checkout_tree(wr_objects *o, const char *id, const char *dir, wr_err *err);
bool wr_objects_has(wr_objects *o, const char *id);
char *wr_objects_path(wr_objects *o, wr_arena *a, const char *id); /* of a blob in DIR, for mmap; NULL for a bad id */
