/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - what a dep or an out is at this moment, as a hash, cheaply when asked again.
 *
 * Values are those of core/noun.h. Two memories make the second look cheap:
 *  - answers are remembered until wr_identity_forget(), which the runner calls whenever a stage has run;
 *  - hashes of files are kept in .weir/cache/stat by (path, size, mtime, ctime, inode), so a file is read again only
 *    when one of them changed. An entry made within a moment of the file's last change is not believed: a second change
 *    in the same tick of the clock would not show. A damaged file of hashes is ignored and made again.
 * One thread.
 */
#pragma once
#include "core/noun.h"

typedef struct wr_identity wr_identity;

int wr_identity_open(wr_identity **out, wr_project *p, wr_err *err);
/* "" in `hash` when it does not exist; `version` (may be NULL) is a dataset's, else -1. */
int wr_identity_of(wr_identity *id, const char *ref, char hash[WR_SHA256_HEX], int64_t *version, wr_err *err);
void wr_identity_forget(wr_identity *id);
/* Write .weir/cache/stat if there is something new. */
int wr_identity_save(wr_identity *id, wr_err *err);
void wr_identity_close(wr_identity *id); /* NULL is fine; does not save */
/* How many files were read to hash them so far; for tests and curious people. */
size_t wr_identity_files_read(const wr_identity *id);
