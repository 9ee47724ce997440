/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts_ops.h - what a kind of artifact store is made of. Private to artifacts*.c.
 *
 * A kind puts wr_artifacts (writer, reader) first in a struct of its own. Paths have been checked when they arrive
 * here.
 */
#pragma once
#include "store/artifacts.h"

typedef struct wr_artifact_writer_ops {
    int (*add)(wr_artifact_writer *w, wr_str piece, wr_err *err);
    int (*commit)(wr_artifact_writer *w, wr_artifact_info *info, wr_err *err); /* `info` is zeroed, not NULL */
    void (*drop)(wr_artifact_writer *w); /* frees; removes what was not committed */
} wr_artifact_writer_ops;

typedef struct wr_artifacts_ops {
    const char *kind, *forms; /* forms: how it is named, for the hint */
    bool remote;
    bool (*takes)(wr_str where);
    int (*open)(wr_artifacts **out, const char *where, const wr_artifacts_opt *opt, wr_err *err);
    void (*close)(wr_artifacts *s);
    int (*write)(wr_artifact_writer **out, wr_artifacts *s, wr_str path, int64_t size, wr_err *err);
    int (*read)(wr_artifact_reader **out, wr_artifacts *s, wr_str path, wr_err *err);
    int64_t (*get)(wr_artifact_reader *r, int64_t offset, void *p, size_t n, wr_err *err);
    void (*reader_close)(wr_artifact_reader *r);
    int (*stat)(wr_artifact_info *out, wr_artifacts *s, wr_str path, wr_err *err);
    int (*list)(wr_artifact_entry **out, size_t *n, wr_arena *a, wr_artifacts *s, wr_str path, wr_err *err);
    int (*remove)(wr_artifacts *s, wr_str path, wr_err *err);
    int (*sweep)(wr_artifacts *s, wr_err *err); /* NULL: nothing to do */
    /* NULL, all four: parts wait in the scratch folder */
    int (*parts_create)(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *s, wr_str path, wr_err *err);
    int (*part_write)(wr_artifact_writer **out, wr_artifacts *s, wr_str path, const char *id, int number, wr_err *err);
    int (*parts_complete)(wr_artifacts *s, wr_str path, const char *id, const wr_artifact_part *parts, size_t n,
                          wr_artifact_info *info, wr_err *err);
    int (*parts_abort)(wr_artifacts *s, wr_str path, const char *id, wr_err *err);
    /* NULL: WEIR_EUNSUPPORTED */
    int (*presign)(wr_buf *url, wr_artifacts *s, const char *method, wr_str path, const char *id, int number,
                   int64_t expires_s, wr_err *err);
} wr_artifacts_ops;

extern const wr_artifacts_ops wr_artifacts_objects, wr_artifacts_directory, wr_artifacts_s3;

struct wr_artifacts {
    const wr_artifacts_ops *ops;
    char *scratch; /* may be NULL */
};

struct wr_artifact_writer {
    const wr_artifact_writer_ops *ops;
    int64_t declared, written; /* declared -1: not known */
};

struct wr_artifact_reader {
    wr_artifacts *store;
    wr_artifact_info info;
    int fd; /* -1: none */
};

/* artifacts_parts.c: uploads in parts that wait in the scratch folder of the store. */
int wr_parts_create(char id[WR_ARTIFACT_UPLOAD], wr_artifacts *s, wr_str path, wr_err *err);
int wr_parts_write(wr_artifact_writer **out, wr_artifacts *s, wr_str path, const char *id, int number, wr_err *err);
int wr_parts_complete(wr_artifacts *s, wr_str path, const char *id, const wr_artifact_part *parts, size_t n,
                      wr_artifact_info *info, wr_err *err);
int wr_parts_abort(wr_artifacts *s, wr_str path, const char *id, wr_err *err);
int wr_parts_sweep(wr_artifacts *s, wr_err *err); /* those older than a week */

/* Shared by the kinds. */
int wr_artifact_missing(wr_str path, wr_err *err);                      /* WEIR_ENOTFOUND */
int wr_artifact_is_folder(wr_str path, wr_err *err);                    /* WEIR_EINVAL: it cannot be read */
int wr_artifact_in_the_way(wr_str path, const char *what, wr_err *err); /* WEIR_EEXIST: "file" or "folder" */
/* Is there room for so many bytes (-1: unknown) where `dir` is? WEIR_ENOSPC before they are sent. */
int wr_artifact_room(const char *dir, int64_t size, wr_err *err);
/* A file of this machine as content. pread; fewer only at the end. */
int64_t wr_artifact_pread(wr_artifact_reader *r, int64_t offset, void *p, size_t n, wr_err *err);
void wr_artifact_reader_drop(wr_artifact_reader *r); /* closes fd, frees */
void wr_artifacts_sort(wr_artifact_entry *list, size_t n);
