/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.h - the files of runs and models: a path -> content, in one of several kinds of store behind one table.
 *
 *   objects              (default) content in the object store under its SHA-256, the same bytes once; the index of paths in the database
 *   /folder, file:///f   directory: plain files
 *   s3://bucket/prefix   S3 and what speaks like it; keys from AWS_ACCESS_KEY_ID, ... (artifacts_s3.c)
 *
 * A kind is one file artifacts_x.c with one wr_artifacts_ops and its line in the list of artifacts.c; the same contract test runs over all.
 *
 * Invariants: 1. a reader sees the old or the new whole content of a path, never a part; 2. what wr_artifact_commit() acknowledged survives
 * kill -9 and power loss; 3. a failed or aborted upload leaves nothing at its path, kill -9 at most temporary files, swept after a day;
 * 4. content passes in pieces: memory does not grow with it; 5. folders are made by their files and go with the last one. A path is a
 * file or a folder, not both (WEIR_EEXIST; S3 cannot tell and takes both).
 * Paths are relative, '/' between segments, already percent-decoded. Refused as "invalid path" (WEIR_EINVAL): absolute, "." and ".."
 * and empty segments, '#', backslash, control bytes, "C:/", what is not UTF-8, more than WR_ARTIFACT_PATH bytes.
 * Threads: a store may be used by any thread, a writer or reader by one at a time. Calls on a remote store wait for the network.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "store/db.h"
#include "store/objects.h"

typedef struct wr_artifacts wr_artifacts;
typedef struct wr_artifact_writer wr_artifact_writer;
typedef struct wr_artifact_reader wr_artifact_reader;

enum {
    WR_ARTIFACT_PATH = 1024,         /* bytes of a path (S3's limit of a key), prefix of the store included */
    WR_ARTIFACT_SEGMENT = 255,       /* bytes between two slashes */
    WR_ARTIFACT_ETAG = 80,
    WR_ARTIFACT_LIST_MAX = 1 << 20,  /* entries of one folder; WEIR_ELIMIT beyond */
    WR_ARTIFACT_PARTS_MAX = 10000,   /* of one multipart upload */
};

typedef struct {
    const char *base;                /* a relative folder is below this one; NULL = current folder */
    const char *scratch;             /* folder for what must wait on disk (parts of uploads); made when needed */
    wr_objects *objects;             /* for "objects": its own, since what no path names any more is deleted */
    wr_db *db;                       /* for "objects": with the tables of wr_artifacts_schema; NULL = not available */
} wr_artifacts_opt;

typedef struct {
    int64_t size, mtime_us;
    bool is_dir;                     /* then size, mtime are 0 and etag is empty */
    char etag[WR_ARTIFACT_ETAG];     /* changes with the content; without quotes */
} wr_artifact_info;

typedef struct { char *name; bool is_dir; int64_t size, mtime_us; } wr_artifact_entry;

/* `where` as above; "" or NULL = "objects". WEIR_EINVAL for another scheme, with the list in the hint. Opening S3 asks nobody. */
int wr_artifacts_open(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err);
void wr_artifacts_close(wr_artifacts *s);                      /* after its writers and readers */
const char *wr_artifacts_kind(const wr_artifacts *s);          /* "objects", "directory", "s3" */
bool wr_artifacts_remote(const wr_artifacts *s);               /* do calls wait for the network? */
extern const char wr_artifacts_schema[];                       /* tables of "objects" */
/* Remove what nobody can reach any more: parts of uploads older than a week, content that no path names (after a crash). Slow: looks at
 * everything; now and then, not on an event loop. */
int wr_artifacts_sweep(wr_artifacts *s, wr_err *err);

int wr_artifact_path_check(wr_str path, wr_err *err);          /* of a file; the empty path is none */

/* ---- writing ---- */

/* `size` of the content if it is known, else -1: a commit with another size fails (WEIR_EINVAL, the body was cut short). */
int wr_artifacts_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, int64_t size, wr_err *err);
int wr_artifact_add(wr_artifact_writer *w, wr_str piece, wr_err *err); /* after a failure only abort is useful */
/* Put the content in its place, durably; frees `w` whatever it returns. `info` may be NULL. Slow (fsync): not on an event loop. */
int wr_artifact_commit(wr_artifact_writer *w, wr_artifact_info *info, wr_err *err);
void wr_artifact_abort(wr_artifact_writer *w);                 /* NULL is fine; frees `w`, nothing was there */
/* All three in one. */
int wr_artifacts_put(wr_artifacts *s, wr_str path, wr_str content, wr_artifact_info *info, wr_err *err);

/* ---- reading ---- */

/* WEIR_ENOTFOUND; a folder is WEIR_EINVAL. What was opened stays readable as it was, whatever happens to the path. */
int wr_artifacts_read(wr_artifact_reader **out, wr_artifacts *s, wr_str path, wr_err *err);
const wr_artifact_info *wr_artifact_reader_info(const wr_artifact_reader *r);
/* File descriptor of the content, of the reader (dup it to keep it), or -1 when it is not a file of this machine. */
int wr_artifact_reader_fd(const wr_artifact_reader *r);
/* Bytes read from `offset`, at most n (fewer only at the end); < 0 on errors. */
int64_t wr_artifact_get(wr_artifact_reader *r, int64_t offset, void *p, size_t n, wr_err *err);
void wr_artifact_reader_close(wr_artifact_reader *r);          /* NULL is fine */

/* File or folder; WEIR_ENOTFOUND. The empty path is the root. */
int wr_artifacts_stat(wr_artifact_info *out, wr_artifacts *s, wr_str path, wr_err *err);
/* Entries of one folder sorted by name, in the arena; "" = the root. A folder that does not exist is empty, and so is a file. */
int wr_artifacts_list(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *s, wr_str path, wr_err *err);
/* A file, or a folder with all below; what is not there is fine. Not the root. */
int wr_artifacts_delete(wr_artifacts *s, wr_str path, wr_err *err);

/* ---- in parts ----
 * create gives an id; parts 1..10000 come in any order, also again (the last one counts); complete puts them in their place one after the
 * other. Uploads that nobody completes are removed after a week. Parts are kept in opt.scratch, or by S3 itself. */
enum { WR_ARTIFACT_UPLOAD = 256 };
typedef struct { int number; char etag[WR_ARTIFACT_ETAG]; } wr_artifact_part;
int wr_artifacts_parts_create(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *s, wr_str path, wr_err *err);
/* The part is written as a file is: add, then commit (its etag in info), or abort. WEIR_ENOTFOUND: no such upload. */
int wr_artifacts_part_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, const char *id, int number, wr_err *err);
/* `parts` ascending by number; etags are compared unless empty. WEIR_EINVAL: a part is missing or is another one. Slow. */
int wr_artifacts_parts_complete(wr_artifacts *s, wr_str path, const char *id, const wr_artifact_part *parts, size_t n, wr_artifact_info *info,
                                wr_err *err);
int wr_artifacts_parts_abort(wr_artifacts *s, wr_str path, const char *id, wr_err *err);

/* URL by which a client reaches the store itself without us: GET of the file; PUT of the file, or of part `number` of upload `id` (NULL, 0
 * otherwise). WEIR_EUNSUPPORTED for local stores: the server signs its own (artifacts_sign.h). */
int wr_artifacts_presign(wr_buf *url, wr_artifacts *s, const char *method, wr_str path, const char *id, int number, int64_t expires_s, wr_err *err);
