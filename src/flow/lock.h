/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - weir.lock: what each stage was when it last succeeded. Kept beside weir.yaml, made to be committed with it.
 *
 *   schema: '1.0'
 *   stages:
 *     train:
 *       cmd: weir model train train.yaml
 *       deps:
 *       - path: data:features
 *         hash: 93f2...
 *         version: 3
 *       params:
 *         params.yaml:
 *           train.lr: 0.1
 *       outs:
 *       - path: model:delay
 *         hash: 07ac...
 *
 * Stages, deps, params and outs are sorted, so equal states give equal bytes and merges stay small. It is replaced
 * atomically. One thread.
 */
#pragma once
#include "base/hash.h"
#include "base/map.h"
#include "core/project.h"

typedef struct { const char *path; char hash[WR_SHA256_HEX]; int64_t version; /* of a dataset, else -1 */ } wr_lock_ref;
typedef struct { const char *file, *key, *value; /* JSON; key "" = the whole file, value its hash */ } wr_lock_param;

typedef struct {
    const char *name, *cmd;         /* cmd: commands joined by newlines */
    wr_lock_ref *deps; size_t ndeps;
    wr_lock_param *params; size_t nparams; /* sorted by file, key */
    wr_lock_ref *outs; size_t nouts;
} wr_lock_stage;

typedef struct {
    wr_arena *arena;
    wr_map stages;                  /* name -> wr_lock_stage * (NULL: taken out) */
} wr_lock_file;

/* No file gives an empty one. WEIR_EPARSE / WEIR_EINVAL at weir.lock:line:column with a hint; WEIR_EUNSUPPORTED for a
 * newer schema. wr_lock_file_close also after failure. */
int wr_lock_file_open(wr_lock_file *out, const char *root, wr_err *err);
void wr_lock_file_close(wr_lock_file *l);
const wr_lock_stage *wr_lock_file_get(const wr_lock_file *l, const char *name);
/* Copied into the lock; memory only, until saved. */
int wr_lock_file_put(wr_lock_file *l, const wr_lock_stage *s, wr_err *err);
/* Durable. Stages for which `keep` (may be NULL) has no entry are left out. */
int wr_lock_file_save(const wr_lock_file *l, const char *root, const wr_map *keep, wr_err *err);
