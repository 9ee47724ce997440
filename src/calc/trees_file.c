/* SPDX-License-Identifier: Apache-2.0 */
/* trees_file.c - the file format "WEIRTREE" version 1. All numbers little-endian.
 *
 *   "WEIRTREE"  u32 version = 1  u32 objective (0 logistic, 1 squared)  f64 base margin
 *   u32 features  u32 trees  u32 category sets  u32 nodes
 *   feature:  u16 length, name   u8 categorical   if categorical: u16 k, then u32 code of bin 0..k-1, ascending
 *   tree:     u32 nodes, then the nodes in breadth-first order: the children of its k-th inner node are nodes 1 + 2k, 2
 * + 2k node:     u8 kind (1 leaf, 2 categorical, 4 missing goes left)  u16 feature  f32 threshold or leaf value, or u32
 * set f32 gain  f32 cover set:      32 bytes, bit b of byte b / 8: bin b goes left (bin 254 other categories, 255
 * missing) u64 XXH3 of all before
 *
 * A node's children always come later, so no file can make a walk go round; everything else is checked here, once.
 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "calc/trees_internal.h"

enum { VERSION = 1, NODE_BYTES = 15, CHECKSUM = 8, MOST_CODES = 254 };
static const char magic[8] = {'W', 'E', 'I', 'R', 'T', 'R', 'E', 'E'};

/* ---- writing ---- */

static void put(wr_buf *b, uint64_t v, size_t bytes)
{
    unsigned char c[8];
    for (size_t i = 0; i < bytes; i++) c[i] = (unsigned char)(v >> (8 * i));
    wr_buf_add(b, c, bytes);
}

static void put_f32(wr_buf *b, float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    put(b, u, 4);
}

static void put_f64(wr_buf *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    put(b, u, 8);
}

static void put_feature(wr_buf *b, const wr_tfeature *f)
{
    size_t n = strlen(f->name), codes = 0;
    put(b, n, 2);
    wr_buf_add(b, f->name, n);
    put(b, f->categorical, 1);
    if (!f->categorical) return;
    for (uint32_t c = 0; c < f->nmap; c++) codes += f->map[c] != WR_TREES_OTHER;
    put(b, codes, 2);
    for (uint32_t c = 0; c < f->nmap; c++) {
        if (f->map[c] != WR_TREES_OTHER) put(b, c, 4);
    }
}

static void put_node(wr_buf *b, const wr_tnode *d)
{
    put(b, d->kind, 1);
    put(b, d->kind & WR_TN_LEAF ? 0 : d->feature, 2);
    if (d->kind & WR_TN_CAT) put(b, d->set, 4);
    else put_f32(b, d->value);
    put_f32(b, d->gain);
    put_f32(b, d->cover);
}

int wr_trees_save(const wr_trees *t, wr_buf *out, wr_err *err)
{
    size_t start = out->n, nnodes = t->first[t->ntrees];
    wr_buf_add(out, magic, sizeof magic);
    put(out, VERSION, 4);
    put(out, t->objective == WR_TREES_SQUARED, 4);
    put_f64(out, t->base);
    put(out, t->nfeatures, 4);
    put(out, (uint64_t)t->ntrees, 4);
    put(out, t->nsets, 4);
    put(out, nnodes, 4);
    for (size_t j = 0; j < t->nfeatures; j++) put_feature(out, &t->features[j]);
    for (int k = 0; k < t->ntrees; k++) {
        put(out, t->first[k + 1] - t->first[k], 4);
        for (size_t i = t->first[k]; i < t->first[k + 1]; i++) put_node(out, &t->nodes[i]);
    }
    for (size_t i = 0; i < t->nsets; i++) wr_buf_add(out, t->sets[i].bits, sizeof t->sets[i].bits);
    if (!out->failed) put(out, wr_hash64(out->p + start, out->n - start, 0), CHECKSUM);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* ---- reading ---- */

typedef struct {
    const unsigned char *p;
    size_t n;
    bool failed;
} reader;

static uint64_t get(reader *r, size_t bytes)
{
    uint64_t v = 0;
    if (r->n < bytes) {
        r->failed = true;
        r->n = 0;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) v |= (uint64_t)r->p[i] << (8 * i);
    r->p += bytes;
    r->n -= bytes;
    return v;
}

static float get_f32(reader *r)
{
    uint32_t u = (uint32_t)get(r, 4);
    float v;
    memcpy(&v, &u, 4);
    return v;
}

static double get_f64(reader *r)
{
    uint64_t u = get(r, 8);
    double v;
    memcpy(&v, &u, 8);
    return v;
}

static int corrupt(wr_err *err, const char *what) { return wr_err_set(err, WEIR_ECORRUPT, "tree model: %s", what); }

static int get_codes(reader *r, wr_tfeature *f, size_t *maps, wr_err *err)
{
    size_t codes = get(r, 2);
    uint32_t code[MOST_CODES];
    if (codes > MOST_CODES || r->n < codes * 4) return corrupt(err, "bad number of categories");
    for (size_t k = 0; k < codes; k++) {
        code[k] = (uint32_t)get(r, 4);
        if (code[k] >= WR_TREES_MAX_CATS || (k && code[k] <= code[k - 1])) return corrupt(err, "bad category code");
    }
    f->nmap = codes ? code[codes - 1] + 1 : 0;
    *maps += f->nmap;
    if (*maps > WR_TREES_MAP_BYTES) return corrupt(err, "too many categories");
    f->map = wr_alloc(f->nmap);
    if (!f->map) return wr_err_nomem(err);
    memset(f->map, WR_TREES_OTHER, f->nmap);
    for (size_t k = 0; k < codes; k++) f->map[code[k]] = (uint8_t)k;
    return 0;
}

static int get_feature(reader *r, wr_tfeature *f, size_t *maps, wr_err *err)
{
    size_t n = get(r, 2);
    if (r->n < n || memchr(r->p, 0, n)) return corrupt(err, "bad feature name");
    f->name = wr_alloc(n + 1);
    if (!f->name) return wr_err_nomem(err);
    memcpy(f->name, r->p, n);
    f->name[n] = '\0';
    r->p += n;
    r->n -= n;
    uint64_t categorical = get(r, 1);
    if (categorical > 1) return corrupt(err, "bad kind of feature");
    f->categorical = categorical;
    return f->categorical ? get_codes(r, f, maps, err) : 0;
}

static int get_node(reader *r, const wr_trees *t, wr_tnode *d, wr_err *err)
{
    *d = (wr_tnode){0};
    d->kind = (uint8_t)get(r, 1);
    d->feature = (uint16_t)get(r, 2);
    if (d->kind & WR_TN_CAT) d->set = (uint32_t)get(r, 4);
    else d->value = get_f32(r);
    d->gain = get_f32(r);
    d->cover = get_f32(r);
    if (!isfinite(d->gain) || !isfinite(d->cover)) return corrupt(err, "a gain or cover is not finite");
    switch (d->kind) {
    case WR_TN_LEAF:
        return isfinite(d->value) && !d->feature ? 0 : corrupt(err, "bad leaf");
    case 0:
    case WR_TN_MISSING_LEFT:
        if (d->value != d->value || d->feature >= t->nfeatures || t->features[d->feature].categorical) break;
        return 0;
    case WR_TN_CAT:
        if (d->set >= t->nsets || d->feature >= t->nfeatures || !t->features[d->feature].categorical) break;
        d->value = INFINITY;
        return 0;
    default:
        break;
    }
    return corrupt(err, "bad node");
}

static int get_tree(reader *r, wr_trees *t, int k, size_t nnodes, wr_err *err)
{
    size_t at = t->first[k], n = get(r, 4);
    if (n % 2 == 0 || n > nnodes - at || n >= 2 * WR_TREES_MAX_LEAVES) return corrupt(err, "bad size of a tree");
    uint32_t next = 1;
    for (size_t i = 0; i < n; i++) {
        wr_tnode *d = &t->nodes[at + i];
        WR_TRY(get_node(r, t, d, err));
        if (d->kind & WR_TN_LEAF) continue;
        if (next <= i || next + 1 >= n) return corrupt(err, "bad shape of a tree");
        d->left = next;
        next += 2;
    }
    if (next != n) return corrupt(err, "bad shape of a tree");
    t->first[k + 1] = at + n;
    return 0;
}

static int get_model(reader *r, wr_trees *t, wr_err *err)
{
    uint64_t objective = get(r, 4);
    t->base = get_f64(r);
    size_t nf = get(r, 4), ntrees = get(r, 4), nsets = get(r, 4), nnodes = get(r, 4), maps = 0;
    if (r->failed || objective > 1 || !isfinite(t->base)) return corrupt(err, "bad header");
    if (!nf || nf > WR_TREES_MAX_FEATURES || ntrees > WR_TREES_MAX_ROUNDS || nf * 3 > r->n ||
        nnodes > r->n / NODE_BYTES || nsets > r->n / sizeof(wr_tset) || ntrees > nnodes) {
        return corrupt(err, "bad counts");
    }
    t->objective = objective ? WR_TREES_SQUARED : WR_TREES_LOGISTIC;
    t->features = wr_calloc(nf, sizeof *t->features);
    t->first = wr_calloc(ntrees + 1, sizeof *t->first);
    t->nodes = wr_alloc(nnodes * sizeof *t->nodes);
    t->sets = wr_alloc(nsets * sizeof *t->sets);
    if (!t->features || !t->first || !t->nodes || !t->sets) return wr_err_nomem(err);
    t->nfeatures = nf;
    t->nsets = nsets;
    for (size_t j = 0; j < nf; j++) WR_TRY(get_feature(r, &t->features[j], &maps, err));
    for (size_t k = 0; k < ntrees; k++) {
        WR_TRY(get_tree(r, t, (int)k, nnodes, err));
        t->ntrees++;
    }
    if (t->first[ntrees] != nnodes || r->failed || r->n != nsets * sizeof(wr_tset)) return corrupt(err, "bad length");
    if (nsets) memcpy(t->sets, r->p, r->n);
    return wr_trees_finish(t, err);
}

int wr_trees_load(wr_trees **out, wr_str bytes, wr_err *err)
{
    if (bytes.n < sizeof magic + 4 + CHECKSUM || memcmp(bytes.p, magic, sizeof magic) != 0) {
        return corrupt(err, "not a tree model, or cut short");
    }
    reader r = {(const unsigned char *)bytes.p, bytes.n - CHECKSUM, false}, tail = {r.p + r.n, CHECKSUM, false};
    if (get(&tail, CHECKSUM) != wr_hash64(bytes.p, r.n, 0)) return corrupt(err, "checksum does not match");
    get(&r, sizeof magic);
    uint64_t version = get(&r, 4);
    if (version != VERSION) {
        return wr_err_set(err, WEIR_ECORRUPT, "tree model: version %llu is not known", (unsigned long long)version);
    }
    wr_trees *t = wr_calloc(1, sizeof *t);
    if (!t) return wr_err_nomem(err);
    int rc = get_model(&r, t, err);
    if (rc < 0) wr_trees_free(t);
    else *out = t;
    return rc < 0 ? rc : 0;
}
