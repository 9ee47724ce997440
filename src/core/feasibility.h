/* SPDX-License-Identifier: Apache-2.0 */
/* feasibility.h - the report of a feasibility study (stage/study/study.h) as the registry keeps it, and what policies make of it.
 *
 *   registry:
 *     target: targets/prod.yaml                  # a profile; without it the last study counts, whatever it was for
 *     policies:
 *       - {alias: champion, requires: [feasibility]}
 *
 * A study of a registered version is kept as an object, its SHA-256 in two tags: weir.report.feasibility, the last one, and
 * weir.report.feasibility.HASH, the last one for the target whose hash begins with these 16 digits. A report that says fail, or is about
 * another model or other files, is a no. A report of another program is believed, as long as no target is named.
 */
#pragma once
#include "base/hash.h"
#include "codec/yaml.h"
#include "core/project.h"
#include "track/registry.h"

#define WR_FEASIBILITY_REPORT "feasibility"
#define WR_FEASIBILITY_FORMAT "weir-feasibility/1"

/* What names a target: SHA-256 of its file as JSON. */
int wr_feasibility_hash(char out[WR_SHA256_HEX], const wr_yaml *target, wr_err *err);
/* Keep a study's JSON with the version; `id` is the object's. */
int wr_feasibility_keep(char id[WR_SHA256_HEX], wr_project *p, const char *model, int64_t version, const char target[WR_SHA256_HEX], wr_str json,
                        wr_err *err);
/* Of the policies: 0 for other reports. WEIR_ENO says why not. */
int wr_feasibility_judge(wr_project *p, const wr_registered_version *v, wr_str report, wr_err *err);
