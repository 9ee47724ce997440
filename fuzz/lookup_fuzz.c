/* SPDX-License-Identifier: Apache-2.0 */
/* lookup_fuzz.c - hostile lookup tables: whatever opens must answer, and the same each time; texts lie inside. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char view_text[] =
    "name: v\nsource: rows\ntime: t\nfeatures:\n  - {name: a, op: number, of: size}\n"
    "  - {name: b, op: category, of: zone}\n  - {name: c, op: month, of: opened}\n"
    "  - {name: d, op: number, of: tax}\nlookup:\n"
    "  - {source: places, time: since, key: place, columns: [size, zone, opened], ttl: 3d}\n"
    "  - {source: taxes, time: since, key: [zone, place], columns: [tax]}\n";

enum { HASH_AT = 16, HASH = 64 };

static void ask(const wr_lookup *l, const wr_view *v, wr_str place, int64_t at)
{
    wr_cell one[16], two[16];
    for (size_t k = 0; k < v->nrequest; k++) one[k] = (wr_cell){.num = NAN, .missing = true};
    one[0] = (wr_cell){.num = NAN, .ts = at};
    for (size_t k = 1; k < v->nrequest; k++)
        if (strcmp(v->request[k], "place") == 0) one[k] = (wr_cell){.num = NAN, .text = place};
    memcpy(two, one, sizeof one);
    wr_lookup_row(l, one);
    wr_lookup_row(l, two);
    for (size_t k = 0; k < v->nrequest; k++) {
        WR_BUG_IF(one[k].missing != two[k].missing || !wr_str_eq(one[k].text, two[k].text));
        if (v->request_type[k] == WR_TEXT && !one[k].missing) (void)wr_hash64(one[k].text.p, one[k].text.n, 0);
    }
}

static void open_tables(const wr_view *v, wr_str bytes)
{
    wr_lookup *l = NULL;
    wr_lookup_info info;
    wr_buf b;
    wr_buf_init(&b, 0);
    wr_buf_slice(&b, bytes);
    if (b.failed || wr_lookup_open(&l, v, &b, NULL) < 0) {
        wr_buf_fini(&b);
        return;
    }
    wr_lookup_info_of(&info, l);
    static const char *const places[] = {"A", "B", "", "nowhere"};
    for (int i = 0; i < 4; i++) {
        ask(l, v, wr_str_of(places[i]), info.newest_us);
        ask(l, v, wr_str_of(places[i]), info.as_of_us);
        ask(l, v, wr_str_of(places[i]), INT64_MIN);
        ask(l, v, wr_str_of(places[i]), INT64_MAX);
    }
    wr_lookup_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_yaml *y;
    wr_view *v;
    if (!a || wr_yaml_parse(&y, a, wr_str_of(view_text), "v", NULL) < 0 || wr_view_parse(&v, a, y, NULL) < 0) return 0;
    open_tables(v, (wr_str){(const char *)data, n});
    if (n < HASH_AT + HASH + sizeof(uint64_t)) return 0;
    char *sealed = wr_alloc(n); /* of this view, with a checksum that holds: mutations get past both */
    if (!sealed) return 0;
    memcpy(sealed, data, n);
    memcpy(sealed + HASH_AT, v->hash, HASH);
    uint64_t sum = wr_hash64(sealed, n - sizeof sum, 0);
    memcpy(sealed + n - sizeof sum, &sum, sizeof sum);
    open_tables(v, (wr_str){sealed, n});
    wr_free(sealed);
    return 0;
}
