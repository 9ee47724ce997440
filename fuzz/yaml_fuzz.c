/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_fuzz.c - any bytes through the YAML reader. A tree that it gives keeps the limits of base/limits.h with aliases
 * written out, has no key twice, positions inside the text, and is JSON that our own reader takes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/json.h"
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void yaml_require(bool ok)
{
    if (!ok) abort();
}

static void yaml_keys(const wr_yaml *map, size_t *left)
{
    for (size_t i = 0; i < map->n; i++) {
        yaml_require(map->keys[i]->kind == WR_YAML_SCALAR && *left > 0);
        --*left;
        if (map->n <= 64) yaml_require(wr_yaml_get(map, map->keys[i]->text.p) == map->items[i]);
    }
}

static void yaml_walk(const wr_yaml *n, int depth, size_t *left)
{
    yaml_require(depth <= WR_LIMIT_YAML_DEPTH && *left > 0 && n->line >= 1 && n->column >= 1);
    --*left;
    if (n->kind == WR_YAML_SCALAR) yaml_require(strlen(n->text.p) == n->text.n && n->n == 0);
    if (n->kind == WR_YAML_MAP) yaml_keys(n, left);
    for (size_t i = 0; i < n->n; i++) yaml_walk(n->items[i], depth + 1, left);
}

static void yaml_getters(const wr_yaml *n)
{
    wr_err err;
    wr_str s;
    int64_t i;
    double d;
    bool b;
    const char *const known[] = {"name", "value", NULL};
    wr_yaml_known(n, "the file", known, &err);
    for (size_t k = 0; k < n->n && k < 8; k++) {
        wr_yaml_str(&s, n->items[k], "a", &err);
        wr_yaml_i64(&i, n->items[k], "a", &err);
        wr_yaml_f64(&d, n->items[k], "a", &err);
        wr_yaml_bool(&b, n->items[k], "a", &err);
        wr_yaml_duration_us(&i, n->items[k], "a", &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_yaml *root;
    wr_err err = {0};
    yaml_require(a != NULL);
    int rc = wr_yaml_parse(&root, a, (wr_str){(const char *)data, size}, "input", &err);
    if (rc < 0) {
        yaml_require(err.code == rc && err.msg[0]);
        return 0;
    }
    size_t left = WR_LIMIT_YAML_NODES + 1; /* an empty document becomes a map that was not counted */
    yaml_walk(root, 1, &left);
    yaml_getters(root);
    WR_AUTOBUF wr_buf text = {0};
    WR_AUTOJSON wr_json j = {0};
    wr_buf_init(&text, 0);
    wr_yaml_to_json(&text, root);
    yaml_require(!text.failed);
    yaml_require(!wr_str_utf8((wr_str){(const char *)data, size}) ||
                 wr_json_parse(&j, wr_buf_view(&text), "json", &err) == 0);
    return 0;
}
