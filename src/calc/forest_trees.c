/* SPDX-License-Identifier: Apache-2.0 */
/* forest_trees.c - our own trees as a forest.
 *
 * A forest's set of categories sends what is in no set right. Where our trees send categories that they do not know ("other") left, the node
 * changes sides: its set becomes the known categories that went right.
 */
#include <string.h>

#include "base/mem.h"
#include "calc/forest_internal.h"

static int add_category(wr_forest *f, const wr_trees *t, const wr_tnode *s, wr_forest_node *d, wr_err *err)
{
    const wr_tfeature *feature = &t->features[s->feature];
    const wr_tset *set = &t->sets[s->set];
    bool swap = wr_tset_has(set, WR_TREES_OTHER), missing_left = wr_tset_has(set, WR_TREES_MISSING);
    WR_AUTOFREE uint8_t *bits = wr_calloc(feature->nmap / 8 + 1, 1);
    if (!bits) return wr_err_nomem(err);
    for (uint32_t c = 0; c < feature->nmap; c++) {
        uint8_t bin = feature->map[c];
        if (bin != WR_TREES_OTHER && wr_tset_has(set, bin) != swap) bits[c / 8] |= (uint8_t)(1u << (c & 7));
    }
    WR_TRY(wr_forest_add_set(&d->set, f, bits, feature->nmap, err));
    d->bits = WR_FOREST_CATEGORY;
    if (missing_left != swap) d->bits |= WR_FOREST_MISSING_LEFT;
    if (swap) {
        uint32_t left = d->left;
        d->left = d->right;
        d->right = left;
    }
    return 0;
}

static int add_tree(wr_forest *f, const wr_trees *t, int k, wr_err *err)
{
    size_t n = t->first[k + 1] - t->first[k];
    const wr_tnode *from = t->nodes + t->first[k];
    WR_AUTOFREE wr_forest_node *nodes = wr_calloc(n, sizeof *nodes);
    if (!nodes) return wr_err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const wr_tnode *s = &from[i];
        wr_forest_node *d = &nodes[i];
        *d = (wr_forest_node){.left = s->left, .right = s->left + 1, .feature = s->feature, .cover = s->cover};
        if (s->kind & WR_TN_LEAF) {
            d->bits = WR_FOREST_LEAF;
            d->value = (double)s->value;
        } else if (s->kind & WR_TN_CAT) {
            WR_TRY(add_category(f, t, s, d, err));
        } else {
            d->threshold = (double)s->value;
            if (s->kind & WR_TN_MISSING_LEFT) d->bits = WR_FOREST_MISSING_LEFT;
        }
    }
    return wr_forest_add_tree(f, nodes, n, 0, NULL, 0, err);
}

static int fill(wr_forest *f, const wr_trees *t, wr_err *err)
{
    for (int k = 0; k < t->ntrees; k++) WR_TRY(add_tree(f, t, k, err));
    return wr_forest_finish(f, err);
}

int wr_forest_of_trees(wr_forest **out, const wr_trees *t, wr_err *err)
{
    wr_forest *f = NULL;
    wr_forest_opt opt = {.nfeatures = (uint32_t)t->nfeatures,
                         .noutputs = 1,
                         .op = WR_FOREST_LESS_EQUAL,
                         .sum = WR_FOREST_SUM_DOUBLE,
                         .transform = t->objective == WR_TREES_LOGISTIC ? WR_FOREST_LOGISTIC : WR_FOREST_IDENTITY,
                         .base = &t->base,
                         .negative_missing = true};
    WR_TRY(wr_forest_new(&f, &opt, err));
    int rc = fill(f, t, err);
    if (rc < 0) wr_forest_free(f);
    else *out = f;
    return rc;
}
