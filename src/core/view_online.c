/* SPDX-License-Identifier: Apache-2.0 */
/* view_online.c - the features of one row, from sliding windows that events feed.
 *
 * A group's key is one string for its window: for each key column 4 bytes of length and the text. Where that would be
 * longer than LONG_KEY, it is 4 bytes of ones and the SHA-256 of the same bytes. Names of columns are resolved to
 * positions once, in `plan`.
 *
 * The file: "WEIRONLN", u32 version, u32 groups, 64 hex digits of the view's hash, i64 newest, for each group u64 bytes
 * and the window's snapshot, u64 XXH3 of all before. Little-endian.
 */
#include <math.h>

#include "base/hash.h"
#include "base/mem.h"
#include "core/view_ops.h"

enum { LONG_KEY = WR_WINDOW_KEY, DIGEST_KEY = 4 + 64, VERSION = 1 };
static const int64_t SLACK_US = (int64_t)3600 * 1000000;

typedef struct {
    uint32_t of, key[WR_VIEW_KEYS];
} place; /* positions in the request */

struct wr_online {
    const wr_view *v;
    wr_window **window;              /* by group */
    place *row;                      /* by feature */
    uint32_t (*event)[WR_VIEW_KEYS]; /* by group: positions of the key columns in an event */
    uint32_t *value;                 /* by value: position of its column in an event */
    int64_t newest;
};

/* ---- keys ---- */

static void put_length(char *to, size_t n)
{
    uint32_t length = (uint32_t)n;
    memcpy(to, &length, sizeof length);
}

static wr_str digest_key(char *buf, const wr_cell *cells, const uint32_t *at, int n)
{
    wr_sha256 h;
    char hex[WR_SHA256_HEX], length[4];
    wr_sha256_init(&h);
    for (int i = 0; i < n; i++) {
        put_length(length, cells[at[i]].text.n);
        wr_sha256_add(&h, length, sizeof length);
        wr_sha256_add(&h, cells[at[i]].text.p, cells[at[i]].text.n);
    }
    wr_sha256_hex(&h, hex);
    memset(buf, 0xff, 4);
    memcpy(buf + 4, hex, 64);
    return (wr_str){buf, DIGEST_KEY};
}

/* False when a part of the key is missing. `buf` has LONG_KEY bytes. */
static bool window_key(wr_str *out, char *buf, const wr_cell *cells, const uint32_t *at, int n)
{
    size_t used = 0;
    bool fits = true;
    for (int i = 0; i < n; i++) {
        const wr_cell *c = &cells[at[i]];
        if (c->missing) return false;
        fits = fits && c->text.n <= LONG_KEY && used + 4 + c->text.n <= LONG_KEY;
        if (!fits) continue; /* go on for missing parts */
        put_length(buf + used, c->text.n);
        if (c->text.n) memcpy(buf + used + 4, c->text.p, c->text.n);
        used += 4 + c->text.n;
    }
    *out = fits ? (wr_str){buf, used} : digest_key(buf, cells, at, n);
    return true;
}

/* ---- life cycle ---- */

static uint32_t position(char *const *names, size_t n, const char *name)
{
    ptrdiff_t i = wr_view_index(names, n, name);
    WR_BUG_IF(i < 0); /* the parser put every name there */
    return (uint32_t)i;
}

static void plan(wr_online *o)
{
    const wr_view *v = o->v;
    for (size_t i = 0; i < v->nfeatures; i++) {
        const wr_view_feature *f = &v->features[i];
        if (f->op->input != WR_VIEW_WINDOW) o->row[i].of = position(v->request, v->nrequest, f->of);
        for (int k = 0; k < f->nkey; k++) o->row[i].key[k] = position(v->request, v->nrequest, f->key[k]);
    }
    for (size_t g = 0; g < v->ngroups; g++) {
        for (int k = 0; k < v->groups[g].nkey; k++)
            o->event[g][k] = position(v->event_columns, v->nevent_columns, v->groups[g].key[k]);
    }
    for (size_t i = 0; i < v->nvalues; i++)
        o->value[i] = position(v->event_columns, v->nevent_columns, v->values[i].of);
}

/* Without windows. */
static int shell(wr_online **out, const wr_view *v, wr_err *err)
{
    wr_online *o = wr_calloc(1, sizeof *o);
    if (!o) return wr_err_nomem(err);
    o->v = v;
    o->newest = INT64_MIN;
    o->window = wr_calloc(v->ngroups, sizeof *o->window);
    o->row = wr_calloc(v->nfeatures, sizeof *o->row);
    o->event = wr_calloc(v->ngroups, sizeof *o->event);
    o->value = wr_calloc(v->nvalues, sizeof *o->value);
    if (!o->window || !o->row || !o->event || !o->value) {
        wr_online_free(o);
        return wr_err_nomem(err);
    }
    plan(o);
    *out = o;
    return 0;
}

static int new_window(wr_window **out, const wr_view_group *g, wr_err *err)
{
    wr_window_opt opt = {.nvalues = (size_t)g->nvalue, .horizon_us = g->horizon_us + SLACK_US};
    return wr_window_new(out, &opt, err);
}

int wr_online_new(wr_online **out, const wr_view *v, wr_err *err)
{
    wr_online *o;
    WR_TRY(shell(&o, v, err));
    for (size_t g = 0; g < v->ngroups; g++) {
        int rc = new_window(&o->window[g], &v->groups[g], err);
        if (rc < 0) {
            wr_online_free(o);
            return rc;
        }
    }
    *out = o;
    return 0;
}

void wr_online_free(wr_online *o)
{
    if (!o) return;
    for (size_t g = 0; o->window && g < o->v->ngroups; g++) wr_window_free(o->window[g]);
    wr_free(o->window);
    wr_free(o->row);
    wr_free(o->event);
    wr_free(o->value);
    wr_free(o);
}

int64_t wr_online_newest(const wr_online *o) { return o->newest; }

/* ---- events and rows ---- */

int wr_online_add(wr_online *o, int64_t time_us, const wr_cell *event, wr_err *err)
{
    const wr_view *v = o->v;
    char buf[LONG_KEY];
    double values[WR_VIEW_VALUES + 1];
    wr_str key;
    for (size_t g = 0; g < v->ngroups; g++) {
        const wr_view_group *group = &v->groups[g];
        if (!window_key(&key, buf, event, o->event[g], group->nkey)) continue;
        for (int s = 0; s < group->nvalue; s++) {
            const wr_cell *c = group->value[s] < 0 ? NULL : &event[o->value[group->value[s]]];
            values[s] = wr_view_slot_value(v, group->value[s], !c ? 0 : c->missing ? NAN : c->num);
        }
        WR_TRY(wr_window_add(o->window[g], key, time_us, values, err));
    }
    if (time_us > o->newest) o->newest = time_us;
    return 0;
}

static float row_value(const wr_view_op *op, const wr_cell *c)
{
    float out = NAN;
    if (c->missing) return NAN;
    if (op->input == WR_VIEW_NUMBER) op->number(&out, &c->num, 1);
    else if (op->input == WR_VIEW_TIME) op->time(&out, &c->ts, 1);
    return out;
}

static float window_value(const wr_online *o, size_t feature, const wr_cell *request)
{
    const wr_view_feature *f = &o->v->features[feature];
    const wr_cell *time = &request[0]; /* the parser put it first */
    char buf[LONG_KEY];
    wr_str key;
    double sum;
    uint32_t count;
    float out;
    if (time->missing || !window_key(&key, buf, request, o->row[feature].key, f->nkey)) return NAN;
    wr_window_get(o->window[f->group], key, time->ts, f->over_us, (size_t)f->slot, &sum, &count);
    f->op->window(&out, &sum, &count, 1);
    return out;
}

void wr_online_row(const wr_online *o, const wr_cell *request, float *num, wr_str *text)
{
    for (size_t i = 0; i < o->v->nfeatures; i++) {
        const wr_view_op *op = o->v->features[i].op;
        const wr_cell *c = &request[o->row[i].of];
        text[i] = (wr_str){NULL, 0};
        if (op->input == WR_VIEW_TEXT && !c->missing)
            text[i] = c->text.n ? c->text : WR_STR(""); /* {NULL, 0} is missing */
        num[i] = op->input == WR_VIEW_WINDOW ? window_value(o, i, request) : row_value(op, c);
    }
}

/* ---- snapshots ---- */

static const char magic[8] = {'W', 'E', 'I', 'R', 'O', 'N', 'L', 'N'};

typedef struct {
    char magic[8];
    uint32_t version, groups;
    char hash[64];
    int64_t newest;
} head;
_Static_assert(sizeof(head) == 88, "no padding in the file");

static int save_window(const wr_window *w, wr_buf *out, wr_err *err)
{
    uint64_t bytes = 0;
    size_t at = out->n;
    wr_buf_add(out, &bytes, sizeof bytes);
    if (out->failed) return wr_err_nomem(err);
    WR_TRY(wr_window_save(w, out, err));
    if (out->failed) return wr_err_nomem(err);
    bytes = out->n - at - sizeof bytes;
    memcpy(out->p + at, &bytes, sizeof bytes);
    return 0;
}

int wr_online_save(const wr_online *o, wr_buf *out, wr_err *err)
{
    size_t start = out->n;
    head h = {.version = VERSION, .groups = (uint32_t)o->v->ngroups, .newest = o->newest};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.hash, o->v->hash, sizeof h.hash);
    wr_buf_add(out, &h, sizeof h);
    for (size_t g = 0; g < o->v->ngroups; g++) WR_TRY(save_window(o->window[g], out, err));
    if (out->failed) return wr_err_nomem(err);
    uint64_t sum = wr_hash64(out->p + start, out->n - start, 0);
    wr_buf_add(out, &sum, sizeof sum);
    return out->failed ? wr_err_nomem(err) : 0;
}

static int corrupt(wr_err *err, const char *what)
{
    wr_err_set(err, WEIR_ECORRUPT, "saved online features cannot be used");
    return wr_err_detail(err, WEIR_ECORRUPT, "%s", what);
}

/* Is the snapshot of a window made with this group's options? A window does not tell its options, and one with fewer
 * values must not be asked for more; but its snapshot begins with them, as that of an empty window with the right ones
 * does. */
static int check_options(wr_str bytes, const wr_view_group *g, wr_err *err)
{
    enum { OPTIONS = 8 + 4 + 4 + 3 * 8 }; /* magic, version, values, horizon, most events, most keys */
    wr_window *w;
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    WR_TRY(new_window(&w, g, err));
    int rc = wr_window_save(w, &b, err);
    wr_window_free(w);
    WR_TRY(rc);
    bool same = b.n >= OPTIONS && bytes.n >= OPTIONS && memcmp(b.p, bytes.p, OPTIONS) == 0;
    return same ? 0 : corrupt(err, "a window has other options than its view");
}

static int load_window(wr_window **out, const wr_view_group *g, wr_str *rest, wr_err *err)
{
    uint64_t bytes;
    if (rest->n < sizeof bytes) return corrupt(err, "cut short");
    memcpy(&bytes, rest->p, sizeof bytes);
    *rest = wr_str_sub(*rest, sizeof bytes, rest->n);
    if (bytes > rest->n) return corrupt(err, "cut short");
    wr_str one = wr_str_sub(*rest, 0, (size_t)bytes);
    *rest = wr_str_sub(*rest, (size_t)bytes, rest->n);
    WR_TRY(check_options(one, g, err));
    return wr_window_load(out, one, err);
}

static int load_head(head *h, wr_str *rest, const wr_view *v, wr_err *err)
{
    uint64_t sum;
    if (rest->n < sizeof *h + sizeof sum) return corrupt(err, "cut short");
    memcpy(h, rest->p, sizeof *h);
    memcpy(&sum, rest->p + rest->n - sizeof sum, sizeof sum);
    if (memcmp(h->magic, magic, sizeof magic) != 0) return corrupt(err, "not saved online features");
    if (h->version != VERSION) return corrupt(err, "made by a newer version");
    if (wr_hash64(rest->p, rest->n - sizeof sum, 0) != sum) return corrupt(err, "checksum does not match");
    if (memcmp(h->hash, v->hash, sizeof h->hash) != 0) {
        wr_err_set(err, WEIR_ECONFLICT, "saved online features are of another view than \"%s\"", v->name);
        return wr_err_hint(err, WEIR_ECONFLICT, "the view has changed since: build them again from its events");
    }
    if (h->groups != v->ngroups) return corrupt(err, "wrong number of windows");
    *rest = wr_str_sub(*rest, sizeof *h, rest->n - sizeof sum);
    return 0;
}

int wr_online_load(wr_online **out, const wr_view *v, wr_str bytes, wr_err *err)
{
    head h;
    wr_online *o;
    wr_str rest = bytes;
    WR_TRY(load_head(&h, &rest, v, err));
    WR_TRY(shell(&o, v, err));
    int rc = 0;
    for (size_t g = 0; g < v->ngroups && rc == 0; g++) rc = load_window(&o->window[g], &v->groups[g], &rest, err);
    if (rc == 0 && rest.n) rc = corrupt(err, "lengths do not add up");
    if (rc < 0) {
        wr_online_free(o);
        return rc;
    }
    o->newest = h.newest;
    for (size_t g = 0; g < v->ngroups; g++) {
        int64_t newest = wr_window_newest(o->window[g]);
        if (newest > o->newest) o->newest = newest; /* what the head says may not be older than what is there */
    }
    *out = o;
    return 0;
}
