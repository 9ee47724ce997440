/* SPDX-License-Identifier: Apache-2.0 */
/* vars.h - the values that ${...} in weir.yaml stands for.
 *
 * Sources, as in DVC: params.yaml of the project (when there is one), the `vars:` section (a map, or a list of maps and
 * of "FILE" or "FILE:key1,key2"), and overrides from the command line (-S a.b[0]=value). Maps are merged; giving the
 * same name two different values is refused at the second one. An override changes what ${...} gives, never a file.
 *
 *   ${a.b[0]}     a value; `\${` stands for a literal "${" (so that a shell sees it)
 *   ${item} ${key} inside foreach and matrix
 *   ${map}        in cmd only: "--key value --flag --nested.key 'text' --list 1 2"
 *
 * A scalar that is nothing but "${x}" takes the value itself, which may be a list or a map. Values are not templated
 * again. Everything lives in the arena; one thread.
 */
#pragma once
#include "codec/yaml.h"

typedef struct {
    wr_arena *arena;
    const char *root;               /* folder of params.yaml and the files of vars */
    wr_yaml *values;                /* map */
    const wr_yaml *item, *key;      /* of the foreach at hand, else NULL */
} wr_vars;

/* Reads params.yaml of `root` if it is there. */
int wr_vars_init(wr_vars *out, wr_arena *a, const char *root, wr_err *err);
/* The `vars` section (NULL is fine). WEIR_EINVAL at the key that is given twice. */
int wr_vars_add(wr_vars *v, const wr_yaml *vars, wr_err *err);
/* A copy that can be added to without changing `v` (for vars of one stage). */
int wr_vars_copy(wr_vars *out, const wr_vars *v, wr_err *err);
/* "a.b[0]=value", the value read as YAML. The name must be known (WEIR_EINVAL with did-you-mean). */
int wr_vars_set(wr_vars *v, const char *assignment, wr_err *err);

/* The value of "a.b[0]"; errors stand at `at`. */
int wr_vars_get(const wr_yaml **out, const wr_vars *v, wr_str path, const wr_yaml *at, wr_err *err);
/* A deep copy of `node` with every scalar (also keys of maps) replaced; `cmd` allows a map inside a text. */
int wr_vars_resolve(wr_yaml **out, const wr_vars *v, const wr_yaml *node, bool cmd, wr_err *err);

/* "a.b[0]" looked up in any tree: NULL if there is nothing. Used for the keys of `params:` too. */
const wr_yaml *wr_vars_lookup(const wr_yaml *tree, wr_str path);
/* Parse a YAML or JSON file of the user's: a map. WEIR_ENOTFOUND, WEIR_EPARSE at file:line:column. */
int wr_vars_read(wr_yaml **out, wr_arena *a, const char *root, const char *file, wr_err *err);
