/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c - tables of entities' rows: made, checked, searched. The format is in lookup.h. */
#include "core/lookup.h"

#include <math.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "io/file.h"

enum { VERSION = 1, ENTITIES = 1 << 30 };
static const char magic[8] = {'W', 'E', 'I', 'R', 'L', 'K', 'U', 'P'};
static const int64_t SLACK_US = (int64_t)3600 * 1000000;

typedef struct {
    char magic[8];
    uint32_t version, nlookups;
    char hash[64];
    int64_t as_of, newest;
} file_head;
_Static_assert(sizeof(file_head) == 96, "no padding in the file");

typedef struct {
    uint64_t bytes; /* of the table, this head included */
    uint32_t nslots, nentities, nrows, ncolumns;
    uint64_t text;
} table_head;
_Static_assert(sizeof(table_head) == 32, "no padding in the file");

typedef struct {
    uint64_t hash;
    uint32_t key, nkey; /* of its text */
    uint32_t first, n;  /* rows */
} entity;
_Static_assert(sizeof(entity) == 24, "no padding in the file");

typedef struct {
    const wr_view_lookup *of;
    uint32_t nslots, nentities, nrows;
    const uint32_t *slots;
    const entity *entities;
    const int64_t *times;
    const uint64_t *cells;
    const char *text;
    uint64_t ntext;
} table;

struct wr_lookup {
    wr_buf bytes;
    const wr_view *view;
    wr_lookup_info info;
    table tables[]; /* by lookup of the view */
};

static uint64_t hash_part(uint64_t h, wr_str part) { return wr_hash64(part.p, part.n, h); }

/* ---- making ---- */

typedef struct {
    const wr_view_lookup *l;
    const wr_frame *f;
    const wr_col *cols;   /* time, keys, columns */
    int64_t until, since; /* rows that another has replaced by `since` are left out */
    wr_map keys;          /* of entities */
    uint32_t *of;         /* entity of each row, or NONE */
    uint32_t *n, *first;  /* rows of each entity */
    uint32_t nrows;
    wr_buf text;
    wr_map texts; /* -> 1 + where */
    wr_err *err;
} maker;
#define NONE UINT32_MAX

static void put_part(wr_buf *key, wr_str s)
{
    uint32_t n = (uint32_t)s.n;
    wr_buf_add(key, &n, sizeof n);
    wr_buf_slice(key, s);
}

/* The entity of each row that is known by `until`. */
static int find_entities(maker *m)
{
    WR_AUTOBUF wr_buf key = {0};
    for (size_t i = 0; i < m->f->nrows; i++) {
        bool known = !wr_col_missing(&m->cols[0], i) && m->cols[0].i64[i] <= m->until;
        wr_buf_clear(&key);
        m->of[i] = NONE;
        for (int k = 1; k <= m->l->nkey && known; k++) {
            known = !wr_col_missing(&m->cols[k], i);
            if (known) put_part(&key, wr_col_text(&m->cols[k], i));
        }
        if (!known) continue;
        ptrdiff_t at = wr_map_find(&m->keys, wr_buf_view(&key));
        if (at < 0) at = wr_map_put(&m->keys, wr_buf_view(&key), NULL);
        if (at < 0 || key.failed) return wr_err_nomem(m->err);
        if (at >= ENTITIES)
            return wr_err_set(m->err, WEIR_ELIMIT, "dataset \"%s\" has too many entities", m->l->source);
        m->of[i] = (uint32_t)at;
    }
    return 0;
}

/* Rows stay when they are their entity's last, or were until after `since`; but for those that no request may see any
 * more. */
static void choose_rows(maker *m, int64_t *next)
{
    int64_t oldest = INT64_MIN;
    if (m->l->ttl_us && __builtin_sub_overflow(m->since, m->l->ttl_us, &oldest)) oldest = INT64_MIN;
    for (size_t e = 0; e < m->keys.n; e++) next[e] = INT64_MAX;
    for (size_t i = m->f->nrows; i-- > 0;) {
        uint32_t e = m->of[i];
        if (e == NONE) continue;
        int64_t time = m->cols[0].i64[i];
        bool stays = next[e] > m->since && time >= oldest;
        next[e] = time;
        if (stays) m->n[e]++, m->nrows++;
        else m->of[i] = NONE;
    }
}

static int text_at(uint32_t *where, maker *m, wr_str s)
{
    void *known = wr_map_get(&m->texts, s);
    if (!known) {
        known = (void *)(uintptr_t)(m->text.n + 1);
        if (s.n > m->text.max - m->text.n)
            return wr_err_set(m->err, WEIR_ELIMIT, "dataset \"%s\" has too much text to look up", m->l->source);
        wr_buf_slice(&m->text, s);
        if (m->text.failed || wr_map_put(&m->texts, s, known) < 0) return wr_err_nomem(m->err);
    }
    *where = (uint32_t)((uintptr_t)known - 1);
    return 0;
}

static int cell_bits(uint64_t *out, maker *m, const wr_col *c, size_t row)
{
    bool missing = wr_col_missing(c, row);
    double x;
    uint32_t where;
    if (c->type == WR_TEXT) {
        *out = UINT64_MAX;
        if (missing) return 0;
        wr_str s = wr_col_text(c, row);
        WR_TRY(text_at(&where, m, s));
        *out = (uint64_t)s.n << 32 | where;
    } else if (c->type == WR_TS) {
        *out = (uint64_t)(missing ? INT64_MIN : c->i64[row]);
    } else {
        x = missing ? NAN : wr_col_num(c, row);
        memcpy(out, &x, sizeof x);
    }
    return 0;
}

static void write_entities(wr_buf *out, maker *m, const uint32_t *name, uint32_t count, uint32_t nslots)
{
    uint32_t *slots = wr_calloc(nslots, sizeof *slots);
    WR_AUTOBUF wr_buf list = {0};
    uint32_t at = 0;
    for (size_t e = 0; slots && e < m->keys.n; e++) {
        if (!m->n[e]) continue;
        wr_str key = m->keys.at[e].key, rest = key;
        entity x = {.key = name[e], .nkey = (uint32_t)key.n, .first = m->first[e], .n = m->n[e]};
        for (int k = 0; k < m->l->nkey; k++) {
            uint32_t n;
            memcpy(&n, rest.p, sizeof n);
            x.hash = hash_part(x.hash, wr_str_sub(rest, sizeof n, sizeof n + n));
            rest = wr_str_sub(rest, sizeof n + n, rest.n);
        }
        uint32_t slot = (uint32_t)x.hash & (nslots - 1);
        while (slots[slot]) slot = (slot + 1) & (nslots - 1);
        slots[slot] = ++at;
        wr_buf_add(&list, &x, sizeof x);
    }
    wr_buf_add(out, slots, slots ? nslots * sizeof *slots : 0);
    wr_buf_slice(out, wr_buf_view(&list));
    out->failed = out->failed || !slots || list.failed || at != count;
    wr_free(slots);
}

/* Rows in order of their entities: order[first row of an entity + k] = row of the frame. */
static int write_rows(wr_buf *out, maker *m, wr_err *err)
{
    WR_AUTOFREE uint32_t *order = wr_alloc(((size_t)m->nrows + 1) * sizeof *order);
    WR_AUTOFREE uint32_t *at = wr_alloc((m->keys.n + 1) * sizeof *at);
    if (!order || !at) return wr_err_nomem(err);
    if (m->keys.n) memcpy(at, m->first, m->keys.n * sizeof *at);
    for (size_t i = 0; i < m->f->nrows; i++)
        if (m->of[i] != NONE) order[at[m->of[i]]++] = (uint32_t)i;
    for (size_t i = 0; i < m->nrows; i++) wr_buf_add(out, &m->cols[0].i64[order[i]], sizeof(int64_t));
    for (size_t c = 0; c < m->l->ncolumns; c++)
        for (size_t i = 0; i < m->nrows; i++) {
            uint64_t bits;
            WR_TRY(cell_bits(&bits, m, &m->cols[1 + m->l->nkey + (int)c], order[i]));
            wr_buf_add(out, &bits, sizeof bits);
        }
    return 0;
}

static int write_table(wr_buf *out, maker *m)
{
    size_t n = m->keys.n, start = out->n;
    table_head h = {.nrows = m->nrows, .ncolumns = (uint32_t)m->l->ncolumns, .nslots = 2};
    WR_AUTOFREE uint32_t *name = wr_alloc((n + 1) * sizeof *name);
    static const char zeros[8] = {0};
    if (!name) return wr_err_nomem(m->err);
    uint32_t row = 0;
    for (size_t e = 0; e < n; e++) {
        m->first[e] = row;
        row += m->n[e];
        if (!m->n[e]) continue;
        h.nentities++;
        WR_TRY(text_at(&name[e], m, m->keys.at[e].key));
    }
    while (h.nslots < (uint64_t)h.nentities * 2) h.nslots *= 2;
    wr_buf_add(out, &h, sizeof h);
    write_entities(out, m, name, h.nentities, h.nslots);
    WR_TRY(write_rows(out, m, m->err));
    wr_buf_slice(out, wr_buf_view(&m->text));
    h.text = m->text.n;
    wr_buf_add(out, zeros, (8 - (out->n - start) % 8) % 8);
    if (out->failed) return wr_err_nomem(m->err);
    h.bytes = out->n - start;
    memcpy(out->p + start, &h, sizeof h);
    return 0;
}

static int check_frame(const maker *m, const wr_view *v)
{
    const wr_view_lookup *l = m->l;
    bool fits = m->f->ncols == 1 + (size_t)l->nkey + l->ncolumns && m->cols[0].type == WR_TS && m->f->nrows < NONE;
    for (int k = 1; k <= l->nkey && fits; k++) fits = m->cols[k].type == WR_TEXT;
    for (size_t c = 0; c < l->ncolumns && fits; c++) {
        wr_type is = m->cols[1 + (size_t)l->nkey + c].type, want = v->request_type[l->at[c]];
        fits = want == WR_F64 ? is != WR_TEXT && is != WR_TS : is == want;
    }
    if (fits) return 0;
    return wr_err_set(m->err, WEIR_ETYPE, "the rows of dataset \"%s\" are not what lookups of \"%s\" take", l->source,
                      v->name);
}

static int make_table(wr_buf *out, maker *m, const wr_view *v)
{
    WR_TRY(check_frame(m, v));
    m->of = wr_alloc((m->f->nrows + 1) * sizeof *m->of);
    if (!m->of) return wr_err_nomem(m->err);
    WR_TRY(find_entities(m));
    WR_AUTOFREE int64_t *next = wr_alloc((m->keys.n + 1) * sizeof *next);
    m->n = wr_calloc(m->keys.n + 1, sizeof *m->n);
    m->first = wr_calloc(m->keys.n + 1, sizeof *m->first);
    if (!next || !m->n || !m->first) return wr_err_nomem(m->err);
    choose_rows(m, next);
    return write_table(out, m);
}

static int64_t newest_of(const wr_frame *f, int64_t until)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < f->nrows; i++)
        if (!wr_col_missing(&f->cols[0], i) && f->cols[0].i64[i] <= until && f->cols[0].i64[i] > newest)
            newest = f->cols[0].i64[i];
    return newest;
}

int wr_lookup_make(wr_buf *out, const wr_view *v, wr_frame *const *sources, int64_t until_us, bool all, wr_err *err)
{
    size_t start = out->n;
    file_head h = {.version = VERSION, .nlookups = (uint32_t)v->nlookups, .as_of = until_us, .newest = INT64_MIN};
    int64_t since;
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.hash, v->hash, sizeof h.hash);
    if (all || __builtin_sub_overflow(until_us, SLACK_US, &since)) since = INT64_MIN;
    wr_buf_add(out, &h, sizeof h);
    for (size_t i = 0; i < v->nlookups; i++) {
        maker m = {.l = &v->lookups[i],
                   .f = sources[i],
                   .cols = sources[i]->cols,
                   .until = until_us,
                   .since = since,
                   .err = err};
        wr_buf_init(&m.text, UINT32_MAX - 8);
        int64_t newest =
            sources[i]->ncols && sources[i]->cols[0].type == WR_TS ? newest_of(sources[i], until_us) : INT64_MIN;
        if (newest > h.newest) h.newest = newest;
        int rc = make_table(out, &m, v);
        wr_map_fini(&m.keys);
        wr_map_fini(&m.texts);
        wr_buf_fini(&m.text);
        wr_free(m.of);
        wr_free(m.n);
        wr_free(m.first);
        WR_TRY(rc);
    }
    if (!out->failed) memcpy(out->p + start, &h, sizeof h);
    uint64_t sum = wr_hash64(wr_buf_cstr(out) + start, out->n - start, 0);
    wr_buf_add(out, &sum, sizeof sum);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* ---- opening ---- */

static int corrupt(wr_err *err, const char *what)
{
    wr_err_set(err, WEIR_ECORRUPT, "saved lookup tables cannot be used");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s", what);
}

/* The key's parts fill its text. */
static bool key_fits(const table *t, const entity *e)
{
    uint64_t at = e->key, end = at + e->nkey;
    if (end > t->ntext) return false;
    for (int k = 0; k < t->of->nkey; k++) {
        uint32_t n;
        if (end - at < sizeof n) return false;
        memcpy(&n, t->text + at, sizeof n);
        at += sizeof n;
        if (n > end - at) return false;
        at += n;
    }
    return at == end;
}

static bool texts_fit(const table *t, const uint64_t *cells)
{
    for (uint32_t i = 0; i < t->nrows; i++)
        if (cells[i] != UINT64_MAX && (cells[i] >> 32) + (cells[i] & UINT32_MAX) > t->ntext) return false;
    return true;
}

static int check_table(const table *t, const wr_view *v, wr_err *err)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < t->nslots; i++) {
        used += t->slots[i] != 0;
        if (t->slots[i] > t->nentities) return corrupt(err, "a slot is of no entity");
    }
    if (used > t->nslots / 2) return corrupt(err, "too many slots are taken");
    for (uint32_t i = 0; i < t->nentities; i++) {
        const entity *e = &t->entities[i];
        if (!e->n || (uint64_t)e->first + e->n > t->nrows) return corrupt(err, "an entity has rows that are not there");
        if (!key_fits(t, e)) return corrupt(err, "an entity's key is not there");
        for (uint32_t k = 1; k < e->n; k++)
            if (t->times[e->first + k] < t->times[e->first + k - 1]) return corrupt(err, "rows are not in order");
    }
    for (size_t c = 0; c < t->of->ncolumns; c++)
        if (v->request_type[t->of->at[c]] == WR_TEXT && !texts_fit(t, t->cells + c * t->nrows))
            return corrupt(err, "a text is not there");
    return 0;
}

static int open_table(table *t, const wr_view *v, wr_str *rest, wr_err *err)
{
    table_head h;
    if (rest->n < sizeof h) return corrupt(err, "cut short");
    memcpy(&h, rest->p, sizeof h);
    if (!h.nslots || (h.nslots & (h.nslots - 1)) || h.nslots < 2 || h.ncolumns != t->of->ncolumns)
        return corrupt(err, "a table of another form");
    uint64_t slots = (uint64_t)h.nslots * 4, entities = (uint64_t)h.nentities * sizeof(entity),
             times = (uint64_t)h.nrows * 8, cells = times * h.ncolumns,
             whole = sizeof h + slots + entities + times + cells;
    if (h.bytes > rest->n || h.bytes % 8 || whole > h.bytes || h.text > h.bytes - whole || h.bytes - whole - h.text > 7)
        return corrupt(err, "lengths do not add up");
    const char *p = rest->p + sizeof h;
    *t = (table){.of = t->of, .nslots = h.nslots, .nentities = h.nentities, .nrows = h.nrows, .ntext = h.text};
    t->slots = (const uint32_t *)(const void *)p;
    t->entities = (const entity *)(const void *)(p + slots);
    t->times = (const int64_t *)(const void *)(p + slots + entities);
    t->cells = (const uint64_t *)(const void *)(p + slots + entities + times);
    t->text = p + slots + entities + times + cells;
    *rest = wr_str_sub(*rest, (size_t)h.bytes, rest->n);
    return check_table(t, v, err);
}

static int open_tables(wr_lookup *l, wr_err *err)
{
    file_head h;
    uint64_t sum;
    const wr_view *v = l->view;
    wr_str rest = wr_buf_view(&l->bytes);
    if (rest.n < sizeof h + sizeof sum) return corrupt(err, "cut short");
    memcpy(&h, rest.p, sizeof h);
    memcpy(&sum, rest.p + rest.n - sizeof sum, sizeof sum);
    if (memcmp(h.magic, magic, sizeof magic) != 0) return corrupt(err, "not saved lookup tables");
    if (h.version != VERSION) return corrupt(err, "made by a newer version");
    if (wr_hash64(rest.p, rest.n - sizeof sum, 0) != sum) return corrupt(err, "checksum does not match");
    if (memcmp(h.hash, v->hash, sizeof h.hash) != 0) {
        wr_err_set(err, WEIR_ECONFLICT, "the lookup tables are of another view than \"%s\"", v->name);
        return wr_err_hint(err, WEIR_ECONFLICT,
                           "the view has changed since: weir feature materialize makes them again");
    }
    if (h.nlookups != v->nlookups) return corrupt(err, "wrong number of tables");
    rest = wr_str_sub(rest, sizeof h, rest.n - sizeof sum);
    l->info = (wr_lookup_info){.as_of_us = h.as_of, .newest_us = h.newest};
    for (size_t i = 0; i < v->nlookups; i++) {
        l->tables[i].of = &v->lookups[i];
        WR_TRY(open_table(&l->tables[i], v, &rest, err));
        l->info.entities += l->tables[i].nentities;
        l->info.rows += l->tables[i].nrows;
    }
    return rest.n ? corrupt(err, "lengths do not add up") : 0;
}

int wr_lookup_open(wr_lookup **out, const wr_view *v, wr_buf *bytes, wr_err *err)
{
    wr_lookup *l = wr_calloc(1, sizeof *l + v->nlookups * sizeof *l->tables);
    if (!l) {
        wr_buf_fini(bytes);
        return wr_err_nomem(err);
    }
    l->bytes = *bytes;
    l->view = v;
    *bytes = (wr_buf){0};
    int rc = open_tables(l, err);
    if (rc < 0) wr_lookup_free(l);
    else *out = l;
    return rc;
}

int wr_lookup_load(wr_lookup **out, const wr_view *v, const char *path, wr_err *err)
{
    wr_buf b;
    wr_buf_init(&b, WR_LIMIT_LOOKUP_FILE);
    int rc = wr_file_read(&b, path, WR_LIMIT_LOOKUP_FILE, err);
    if (rc < 0) wr_buf_fini(&b);
    WR_TRY(rc);
    rc = wr_lookup_open(out, v, &b, err);
    return rc < 0 ? wr_err_wrap(err, rc, "\"%s\"", path) : 0;
}

void wr_lookup_free(wr_lookup *l)
{
    if (!l) return;
    wr_buf_fini(&l->bytes);
    wr_free(l);
}

void wr_lookup_info_of(wr_lookup_info *out, const wr_lookup *l) { *out = l->info; }

/* ---- searching ---- */

static bool same_key(const table *t, const entity *e, const wr_cell *request)
{
    const char *p = t->text + e->key;
    for (int k = 0; k < t->of->nkey; k++) {
        uint32_t n;
        memcpy(&n, p, sizeof n);
        if (!wr_str_eq((wr_str){p + sizeof n, n}, request[t->of->key_at[k]].text)) return false;
        p += sizeof n + n;
    }
    return true;
}

static const entity *find(const table *t, const wr_cell *request)
{
    uint64_t hash = 0;
    for (int k = 0; k < t->of->nkey; k++) {
        const wr_cell *c = &request[t->of->key_at[k]];
        if (c->missing) return NULL;
        hash = hash_part(hash, c->text);
    }
    for (uint32_t at = (uint32_t)hash & (t->nslots - 1); t->slots[at]; at = (at + 1) & (t->nslots - 1)) {
        const entity *e = &t->entities[t->slots[at] - 1];
        if (e->hash == hash && same_key(t, e, request)) return e;
    }
    return NULL;
}

/* The last row of the entity that is known at `time` and no older than the ttl, or -1. */
static int64_t row_at(const table *t, const entity *e, int64_t time)
{
    uint32_t lo = e->first, hi = e->first + e->n; /* rows below lo are known, from hi on not */
    int64_t age;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->times[mid] <= time) lo = mid + 1;
        else hi = mid;
    }
    if (lo == e->first) return -1;
    if (t->of->ttl_us && (__builtin_sub_overflow(time, t->times[lo - 1], &age) || age > t->of->ttl_us)) return -1;
    return lo - 1;
}

static void put_cell(wr_cell *out, const table *t, size_t column, int64_t row, wr_type type)
{
    uint64_t bits = t->cells[column * t->nrows + (size_t)row];
    *out = (wr_cell){.num = NAN};
    if (type == WR_TEXT) {
        out->missing = bits == UINT64_MAX;
        if (!out->missing) out->text = (wr_str){t->text + (bits & UINT32_MAX), (size_t)(bits >> 32)};
    } else if (type == WR_TS) {
        out->ts = (int64_t)bits;
        out->missing = out->ts == INT64_MIN;
    } else {
        memcpy(&out->num, &bits, sizeof out->num);
        out->missing = isnan(out->num);
    }
}

void wr_lookup_row(const wr_lookup *l, wr_cell *request)
{
    for (size_t i = 0; i < l->view->nlookups && !request[0].missing; i++) {
        const table *t = &l->tables[i];
        bool any = false;
        for (size_t c = 0; c < t->of->ncolumns; c++) any = any || request[t->of->at[c]].missing;
        const entity *e = any ? find(t, request) : NULL;
        int64_t row = e ? row_at(t, e, request[0].ts) : -1;
        for (size_t c = 0; c < t->of->ncolumns && row >= 0; c++) {
            uint32_t at = t->of->at[c];
            if (request[at].missing) put_cell(&request[at], t, c, row, l->view->request_type[at]);
        }
    }
}
