/* SPDX-License-Identifier: Apache-2.0 */
/* materialize.h - a model's files out of the store of artifacts into a folder of this machine: .weir/cache/serving/HASH, named by what the store says
 * of the files (paths, sizes, etags), read-only, complete or not there. Files that are there already are not fetched again. */
#pragma once
#include "core/project.h"

/* `location`: an artifact URI of this server's own store, a file or a folder. `folder` is HASH, `path` the folder or the file in it. WEIR_ENOTFOUND,
 * WEIR_EUNSUPPORTED (elsewhere than in the own store), WEIR_ELIMIT. */
int wr_materialize(char **path, char folder[WR_SHA256_HEX], wr_arena *a, wr_project *p, wr_str location, wr_err *err);
/* Removes folders that are none of the n; a failure is no matter. */
void wr_materialize_sweep(wr_project *p, const char *const *folders, size_t n);
