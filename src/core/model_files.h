/* SPDX-License-Identifier: Apache-2.0 */
/* model_files.h - the files of a version: of its package, or what its source names among the project's artifacts.
 *
 * A package is an object tree, so the hashes of its files are known; so are those of artifacts that are kept as objects. `read` says
 * whether they are believed (WR_FILES_KNOWN; of a remote store its etag is all there is) or every byte is hashed again. */
#pragma once
#include "core/project.h"
#include "track/registry.h"

typedef struct {
    const char *path, *hash;         /* "." when the source is one file; SHA-256, 64 digits; with KNOWN of a remote store its etag */
    int64_t size;
} wr_model_file;

typedef enum { WR_FILES_KNOWN, WR_FILES_READ } wr_files_how;
enum { WR_MODEL_FILES_MAX = 10000, WR_MODEL_FILES_DEPTH = 32 };

/* By path, in the arena. WEIR_ENOTFOUND when they are not kept here or there are none, WEIR_ECORRUPT for what is no package. */
int wr_model_files(wr_model_file **out, size_t *n, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_files_how how,
                   wr_err *err);
/* The folder of the files of a version without a package, in the artifact store: true when it is kept there. */
bool wr_model_files_root(wr_str *out, const wr_registered_version *v);
/* One of them, at most `max` bytes (WEIR_ELIMIT), appended. */
int wr_model_file_read(wr_buf *out, wr_project *p, const wr_registered_version *v, const wr_model_file *file, size_t max, wr_err *err);
