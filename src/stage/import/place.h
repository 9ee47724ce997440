/* SPDX-License-Identifier: Apache-2.0 */
/* place.h - where things are here: ids of experiments, URIs and paths of artifacts. Private to this room. */
#pragma once
#include "base/vec.h"
#include "stage/import/source.h"

enum { WR_IMPORT_ROOTS = 4 };
typedef struct {
    int64_t theirs, ours;
    bool deleted; /* in the source */
} wr_import_place_id;
typedef struct {
    wr_arena *a;
    wr_str roots[WR_IMPORT_ROOTS]; /* what lies below one of them is in the tree; without a slash at the end */
    size_t nroots;
    WR_VEC(wr_import_place_id) ids;
    bool sorted, moved; /* moved: some id is another one here */
} wr_import_places;

/* `tree`: folder or bucket, `was`: what it was called; both may be NULL. */
int wr_import_places_init(wr_import_places *p, const char *tree, const char *was, wr_err *err);
void wr_import_places_fini(wr_import_places *p);
int wr_import_places_add(wr_import_places *p, int64_t theirs, int64_t ours, bool deleted, wr_err *err);
/* The experiment here; -1 = it is not known. */
int64_t wr_import_place(wr_import_places *p, int64_t theirs);
/* Where a file of the old tree goes. */
wr_str wr_import_path(wr_import_places *p, wr_arena *a, wr_str path);
/* A URI of the source as it is here; one from elsewhere stays as it is. */
wr_str wr_import_uri(wr_import_places *p, wr_arena *a, wr_str uri);
