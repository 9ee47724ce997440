/* SPDX-License-Identifier: Apache-2.0 */
/* delta_inside.h - what the delta_*.c files share. */
#pragma once
#include "base/map.h"
#include "codec/json.h"
#include "store/delta.h"

/* What replaying the log needs besides the snapshot. Everything it points at lives in the snapshot's arena, except the
 * maps. */
typedef struct wr_delta_state {
    wr_map paths;              /* decoded path -> 1 + index into files, NULL when removed */
    wr_map txns;               /* appId -> int64_t * */
    size_t cap, removed;       /* room in files; entries of it whose path is NULL */
    char *metadata;            /* JSON text of the metaData action, NULL before the first */
    char *unwritable;          /* why rows may not be added here, or NULL */
    char *metadata_unwritable; /* the same from the schema and the configuration */
    bool append_only;
    int64_t commit_us; /* of the commit being applied: from its commitInfo, or -1 */
} wr_delta_state;

/* delta.c */
int wr_delta_begin(wr_delta_snapshot *s, wr_err *err); /* arena and state */
int wr_delta_replay(wr_delta_snapshot *s, wr_str text, int64_t version, int64_t mtime_us, wr_err *err);
int wr_delta_finish(wr_delta_snapshot *s, wr_err *err); /* closes gaps, sums, identity */
int64_t wr_delta_commit_us(yyjson_val *commit_info);    /* -1 when it has no time */
int64_t wr_delta_rows(wr_str stats);                    /* numRecords, -1 */

/* delta_schema.c */
int wr_delta_schema_read(wr_delta_field **out, size_t *n, char **unwritable, wr_arena *a, wr_str text, wr_err *err);
void wr_delta_schema_write(wr_buf *out, const wr_delta_field *fields, size_t n);
int wr_delta_schema_check(const wr_delta_field *fields, size_t n,
                          wr_err *err); /* names unique without regard to case, types there */

/* delta_path.c: paths in the log are URLs relative to the table. */
void wr_delta_path_encode(wr_buf *out, wr_str path);
int wr_delta_path_decode(char **out, wr_arena *a, wr_str url, wr_err *err);
bool wr_delta_path_inside(wr_str path); /* relative, no "..", no NUL */

/* delta_read.c */
typedef struct {
    int64_t first, last;
    bool checkpoint;
} wr_delta_log; /* versions that have a JSON file; -1 when none */
int wr_delta_list(wr_delta_log *out, const char *dir, wr_err *err);
char *wr_delta_commit_path(wr_arena *a, const char *dir, int64_t version);
/* Apply version s->version + 1; WEIR_ENOTFOUND when it is not there. */
int wr_delta_advance(wr_delta_snapshot *s, const char *dir, wr_err *err);
