/* SPDX-License-Identifier: Apache-2.0 */
/* noun.h - Weir's nouns as dependencies and outputs of pipeline stages: "data:NAME", "model:NAME", "feature:NAME" beside file paths.
 *
 * Identity: a dataset's is its newest snapshot's hash, a model's its newest candidate's package, a feature view's the SHA-256 of its
 * online snapshot file (with lookup tables, of the hashes of both files); a path's is wr_file_sha256 or wr_file_tree_sha256. Missing
 * things have identity "".
 */
#pragma once
#include "base/hash.h"
#include "core/project.h"

typedef enum { WR_NOUN_PATH, WR_NOUN_DATA, WR_NOUN_MODEL, WR_NOUN_FEATURE } wr_noun_kind;

/* Split "data:flights" into kind and name; anything without a known prefix is a path. Unknown prefix such as "dataa:x": WEIR_EINVAL
 * with did-you-mean (a path may be written "./x:y"). */
int wr_noun_parse(wr_noun_kind *kind, const char **name, const char *ref, wr_err *err);
/* Identity now; `version` (may be NULL) is the dataset version or -1. Paths are relative to the project's root. */
int wr_noun_hash(char out[WR_SHA256_HEX], int64_t *version, wr_project *p, const char *ref, wr_err *err);
/* The identity of a feature view whose two files have these ("" = there is none). */
void wr_noun_feature_hash(char out[WR_SHA256_HEX], const char *online, const char *lookup);
/* Bring back what had this identity (dataset version, package, stored file object). WEIR_ENOTFOUND when it is gone: run the stage again. */
int wr_noun_restore(wr_project *p, const char *ref, const char *hash, wr_err *err);
/* Keep what restore will need: files and folders go into the object store; nouns keep themselves. */
int wr_noun_keep(wr_project *p, const char *ref, wr_err *err);
/* Path of the tables that a view's looked-up columns are found in: ".weir/online/NAME.lookup" (core/lookup.h). */
int wr_noun_lookup_path(const char **out, wr_project *p, const char *view, wr_err *err);
/* Path of the online snapshot of a view: ".weir/online/NAME.online". */
int wr_noun_online_path(const char **out, wr_project *p, const char *view, wr_err *err);
