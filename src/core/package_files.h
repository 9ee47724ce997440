/* SPDX-License-Identifier: Apache-2.0 */
/* package_files.h - what the package*.c files share: the files of a package, written from its parts and read back into
 * them.
 *
 * Golden rows hold, for each used feature in order, the raw value: a float or a category's text ({NULL, 0} = missing).
 */
#pragma once
#include "base/hash.h"
#include "core/package.h"

enum {
    WR_PACKAGE_FORMAT = 1,
    WR_PACKAGE_GOLDEN = 100,         /* rows, at most */
    WR_PACKAGE_JSON_MAX = 128 << 20, /* bytes of weir.json: dictionaries may be long */
    WR_PACKAGE_TEXT_MAX = 16 << 20,  /* bytes of the other texts */
    WR_PACKAGE_TREES_MAX = 1 << 30,
};

typedef struct {
    size_t n;
    float *num;       /* n x nuse */
    wr_str *text;     /* n x nuse */
    double *expected; /* n */
} wr_golden;

int wr_package_write_weir(wr_buf *out, const wr_package_parts *parts, const char trees_sha256[WR_SHA256_HEX],
                          wr_err *err);
int wr_package_write_golden(wr_buf *out, const wr_package_parts *parts, const wr_golden *golden, wr_err *err);
int wr_package_write_mlmodel(wr_buf *out, const wr_package_parts *parts, wr_err *err);
int wr_package_write_card(wr_buf *out, const wr_package_parts *parts, wr_err *err);

/* Everything but `trees` into `parts`, memory in `a`; dictionaries must be freed with wr_package_fini_dict, also after
 * a failure. */
int wr_package_read_weir(wr_package_parts *parts, char trees_sha256[WR_SHA256_HEX], wr_arena *a, wr_str text,
                         wr_err *err);
int wr_package_read_golden(wr_golden *out, wr_arena *a, const wr_package_parts *parts, wr_str text, wr_err *err);
void wr_package_fini_dict(wr_package_parts *parts);

/* Do the parts fit together? With `trees` the learner's features too. */
int wr_package_check(const wr_package_parts *parts, wr_err *err);

static inline const wr_view_feature *wr_package_feature(const wr_package_parts *parts, size_t j)
{
    return &parts->view->features[parts->use[j]];
}
