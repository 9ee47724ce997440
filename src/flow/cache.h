/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - the run cache: what a command made from given inputs, so that it need not run again.
 *
 * An entry is .weir/cache/runs/<2 digits>/<key>, JSON: {"stage", "run", "outs": [{"path", "hash", "version"}]},
 * replaced atomically; the newest result of a key wins. The key is the SHA-256 of the command after templating, its
 * folder, the deps with their hashes, the parameters with their values, and the paths of the outs, all sorted.
 *
 * A stage is cacheable when it has outs, and deps or params, and is neither always_changed nor has an out with persist
 * or `cache: false`. A damaged entry counts as none.
 */
#pragma once
#include "flow/lock.h"
#include "flow/pipeline.h"

bool wr_cache_able(const wr_stage *s);
/* `state` holds cmd, deps and params of the stage as they are now. */
int wr_cache_key(char out[WR_SHA256_HEX], const wr_stage *s, const wr_lock_stage *state, wr_err *err);
/* 1 and `outs` (in `a`, in the order of s->outs) when there is an entry, 0 when not. */
int wr_cache_get(wr_lock_ref **outs, wr_arena *a, wr_project *p, const wr_stage *s, const char *key, wr_err *err);
int wr_cache_put(wr_project *p, const wr_stage *s, const char *key, const wr_lock_ref *outs, const char *run,
                 wr_err *err);
