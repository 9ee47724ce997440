/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_fuzz.c - documents. What is taken keeps the nesting, has a selection in every part, and names that are names.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/mlflow/graphql_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void graphql_require(bool ok)
{
    if (!ok) abort();
}

static void graphql_name(wr_str s)
{
    graphql_require(s.n > 0 && !(s.p[0] >= '0' && s.p[0] <= '9'));
    for (size_t i = 0; i < s.n; i++)
        graphql_require(s.p[i] == '_' || (s.p[i] >= '0' && s.p[i] <= '9') ||
                        ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z'));
}

static void graphql_values(const wr_graphql_value *v, bool named, int depth)
{
    graphql_require(depth <= WR_GRAPHQL_NESTING + 1);
    for (; v; v = v->next) {
        if (named) graphql_name(v->name);
        if (v->kind == WR_GRAPHQL_VARIABLE || v->kind == WR_GRAPHQL_WORD) graphql_name(v->text);
        if (v->kind == WR_GRAPHQL_STRING) graphql_require(wr_str_utf8(v->text) && !memchr(v->text.p, 0, v->text.n));
        graphql_values(v->first, v->kind == WR_GRAPHQL_OBJECT, depth + 1);
    }
}

static void graphql_selections(const wr_graphql_selection *s, int depth)
{
    graphql_require(depth <= WR_GRAPHQL_NESTING + 1);
    for (; s; s = s->next) {
        if (s->alias.p) graphql_name(s->alias);
        if (s->kind != WR_GRAPHQL_INLINE) graphql_name(s->name);
        else graphql_require(s->first != NULL);
        graphql_values(s->arguments, true, 1);
        for (const wr_graphql_directive *d = s->directives; d; d = d->next) graphql_values(d->arguments, true, 1);
        graphql_selections(s->first, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(64 << 20);
    wr_graphql_part *parts;
    wr_err err = {0};
    int rc = wr_graphql_parse(&parts, a, (wr_str){(const char *)data, size}, &err);
    if (rc < 0) {
        graphql_require((rc == WEIR_EPARSE || rc == WEIR_ELIMIT) && err.msg[0] && wr_str_utf8(wr_str_of(err.msg)));
        return 0;
    }
    graphql_require(parts != NULL && size <= WR_GRAPHQL_TEXT);
    for (const wr_graphql_part *p = parts; p; p = p->next) {
        graphql_require(p->first != NULL);
        if (p->name.p) graphql_name(p->name);
        for (const wr_graphql_variable *v = p->variables; v; v = v->next) graphql_values(v->otherwise, false, 1);
        graphql_selections(p->first, 1);
    }
    return 0;
}
