/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h - the files of a model with their SHA-256: what a signature (signature.h) speaks of.
 *
 *   a/weights.bin  98ea6e...     sorted by path, segment by segment ("a/b" before "a.b"), as OpenSSF Model Signing does
 *   config.json    0263...       a model that is one file has the single path "."
 *
 * Two ways to cut them: whole files ("files"), or pieces of shard_size bytes ("shards", which says nothing of empty files).
 * The root is the SHA-256 of all digests (as bytes), in order: one hash that names the model. Ignored paths, and all below them,
 * are not part of it. Links to files count as the files only when `links`; links to folders and special files are refused.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"

#define WR_MANIFEST_SIGNATURE "model.sig" /* where a model's own signature lies, in it */

typedef struct {
    const char *path;
    int64_t start, end;              /* of a piece; end -1 = the whole file */
    char digest[WR_SHA256_HEX];
} wr_manifest_file;

typedef struct {
    const char *name;                /* of the model; informative */
    int64_t shard_size;              /* 0 = whole files */
    bool links;
    const char *const *ignore;       /* relative paths */
    size_t nignore;
    wr_manifest_file *files;
    size_t n;
    char root[WR_SHA256_HEX];
} wr_manifest;

enum { WR_MANIFEST_IGNORED = 6 };
/* By default: model.sig, Git's, and registered_model_meta, which MLflow's client puts into what it downloads of the registry. */
extern const char *const wr_manifest_ignored[WR_MANIFEST_IGNORED];

/* Of a folder or file on disk, which is read. `like` (NULL = the defaults) says how it is cut and what is ignored. WEIR_EINVAL for
 * links and special files, WEIR_ENOTFOUND, WEIR_ELIMIT. Memory in the arena. */
int wr_manifest_read(wr_manifest *out, wr_arena *a, const char *path, const wr_manifest *like, wr_err *err);
/* Of files whose digests are known, in any order; those of the default list are left out. Sorts `files` in place and keeps it. */
int wr_manifest_of(wr_manifest *out, const char *name, wr_manifest_file *files, size_t n, wr_err *err);
/* Sort, find duplicates (WEIR_EINVAL), compute the root. */
int wr_manifest_finish(wr_manifest *m, wr_err *err);
void wr_manifest_root(char out[WR_SHA256_HEX], const wr_manifest_file *files, size_t n); /* in this order */
/* Is the path, or a folder above it, in the list? */
bool wr_manifest_ignores(const char *const *list, size_t n, const char *path);
/* WEIR_ENO names the first file that was changed, is missing or was added, with the count of all such in detail. */
int wr_manifest_compare(const wr_manifest *found, const wr_manifest *expected, wr_err *err);
int wr_manifest_path_cmp(const char *a, const char *b); /* segment by segment */
