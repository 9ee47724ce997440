/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h - YAML 1.1 by libyaml's events into a tree that remembers where everything stood, plus checked getters.
 *
 * One document per file. Anchors and aliases are resolved (the node is shared; expansion is counted against
 * WR_LIMIT_YAML_NODES), merge keys ("<<") are supported, duplicate keys are an error. Every error says
 * "FILE:LINE:COLUMN: ...". Nodes live in the arena given. Scalars stay text: "12", "true", "null"; `plain` says they
 * were not quoted.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef enum { WR_YAML_SCALAR, WR_YAML_MAP, WR_YAML_SEQ } wr_yaml_kind;
typedef struct wr_yaml wr_yaml;
struct wr_yaml {
    wr_yaml_kind kind;
    bool plain;              /* scalar without quotes */
    wr_str text;             /* scalar value, NUL-terminated */
    size_t n;                /* entries of a map or a sequence */
    wr_yaml **keys;          /* map only: scalar nodes, in file order */
    wr_yaml **items;         /* values or elements */
    int line, column;        /* of the node's first character, from 1 */
    const char *file;        /* name given to the parser */
};

/* WEIR_EPARSE with position, WEIR_ELIMIT, WEIR_ENOMEM. An empty document gives an empty map. */
int wr_yaml_parse(wr_yaml **out, wr_arena *a, wr_str text, const char *file, wr_err *err);

wr_yaml *wr_yaml_get(const wr_yaml *map, const char *key);     /* NULL if missing or `map` is not a map */
bool wr_yaml_null(const wr_yaml *n);                           /* NULL, or plain "", "~", "null" */
/* An error at a node: "FILE:LINE:COLUMN: message"; returns code. */
int wr_yaml_error(const wr_yaml *n, int code, wr_err *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Every key of `map` must be in the NULL-terminated list; otherwise WEIR_EINVAL at the key itself with a did-you-mean
 * hint. `what` names the map: "unknown key \"dep\" in stage \"train\"". */
int wr_yaml_known(const wr_yaml *map, const char *what, const char *const *known, wr_err *err);

/* Checked scalars; WEIR_ETYPE at the node if it has another type (null is one), WEIR_EINVAL if `n` is NULL. Numbers
 * and booleans in quotes are texts; durations may stand in quotes. "007" and "1_000" are texts (see yaml_get.c). */
int wr_yaml_str(wr_str *out, const wr_yaml *n, const char *what, wr_err *err);
int wr_yaml_i64(int64_t *out, const wr_yaml *n, const char *what, wr_err *err);
int wr_yaml_f64(double *out, const wr_yaml *n, const char *what, wr_err *err);
int wr_yaml_bool(bool *out, const wr_yaml *n, const char *what, wr_err *err); /* true/false/yes/no/on/off, any case */
int wr_yaml_duration_us(int64_t *out, const wr_yaml *n, const char *what, wr_err *err);
/* The same for a member of a map: default when missing or null (a NULL fallback text gives {NULL,0}). `map` may be
 * NULL; WEIR_ETYPE if it is a scalar or a list. */
int wr_yaml_get_str(wr_str *out, const wr_yaml *map, const char *key, const char *fallback, wr_err *err);
int wr_yaml_get_i64(int64_t *out, const wr_yaml *map, const char *key, int64_t fallback, wr_err *err);
int wr_yaml_get_f64(double *out, const wr_yaml *map, const char *key, double fallback, wr_err *err);
int wr_yaml_get_bool(bool *out, const wr_yaml *map, const char *key, bool fallback, wr_err *err);
int wr_yaml_get_duration_us(int64_t *out, const wr_yaml *map, const char *key, int64_t fallback_us, wr_err *err);
/* The node as JSON text (plain scalars typed as YAML 1.1 core does), keys in file order: canonical enough to hash. */
void wr_yaml_to_json(wr_buf *out, const wr_yaml *n);
