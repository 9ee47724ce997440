/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - files that are either whole or not there.
 *
 * Errors name the path; ENOSPC, EROFS and EACCES have hints. Functions that write call the fault points of base/fault.h
 * (write, fsync, rename, crash) so that every step can be made to fail in tests.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

/* Whole file into `out` (appended); WEIR_ELIMIT if larger than `max`. */
int wr_file_read(wr_buf *out, const char *path, size_t max, wr_err *err);
/* Replace atomically: temporary file beside it, write, fsync, rename, fsync of the folder. mode 0644. A symbolic link
 * at `path` is replaced, not followed. A crash can leave the temporary file ".weir-<16 hex>.tmp" behind. */
int wr_file_write(const char *path, wr_str data, wr_err *err);
/* Create if absent, atomically and durably (temporary file, fsync, link(2)): WEIR_EEXIST if the name is taken.
 * After another error the name may be ours nevertheless (the fsync of the folder failed): look before trying again. */
int wr_file_create(const char *path, wr_str data, wr_err *err);
/* Move a finished temporary file to its place: fsync file, rename, fsync folder. Same file system. */
int wr_file_publish(const char *temporary, const char *path, wr_err *err);
int wr_file_fsync_dir(const char *dir, wr_err *err);
/* write(2) all / pwrite, with fault points. */
int wr_file_write_all(int fd, const void *p, size_t n, const char *path, wr_err *err);
int wr_file_fdatasync(int fd, const char *path, wr_err *err);

bool wr_file_exists(const char *path);
int64_t wr_file_size(const char *path);                        /* -1 when absent */
int64_t wr_file_mtime_us(const char *path);                    /* -1 when absent */
int wr_file_mkdirs(const char *path, wr_err *err);             /* like mkdir -p */
int wr_file_remove(const char *path, wr_err *err);             /* absent is fine */
int wr_file_remove_tree(const char *path, wr_err *err);        /* refuses "/" and "" ; does not follow links */
int wr_file_copy(const char *from, const char *to, wr_err *err); /* reflink or copy_file_range, atomic at `to` */
int wr_file_sha256(char out[WR_SHA256_HEX], const char *path, wr_err *err);
/* SHA-256 of a file or, for a folder, of the sorted list "sha256  relative/path\n" of its files (hidden ones
 * included). */
int wr_file_tree_sha256(char out[WR_SHA256_HEX], const char *path, wr_err *err);
/* Sorted names (no "." and ".."), in the arena. */
int wr_file_list(char ***out, size_t *n, wr_arena *a, const char *dir, wr_err *err);

/* Advisory lock on a file (created if absent): exclusive, held until unlocked or the process ends.
 * wait_ms < 0 waits for ever; WEIR_ETIMEDOUT as WEIR_ETIMEOUT with the holder's pid in detail when known. */
typedef struct { int fd; } wr_lock;
int wr_lock_take(wr_lock *out, const char *path, int wait_ms, wr_err *err);
void wr_lock_drop(wr_lock *l);

char *wr_path_join(wr_arena *a, const char *dir, const char *name); /* an absolute `name` wins */
const char *wr_path_base(const char *path);                    /* after the last '/' */
char *wr_path_dir(wr_arena *a, const char *path);              /* "." when there is no '/' */
char *wr_path_absolute(wr_arena *a, const char *path);         /* "." and ".." resolved textually */
