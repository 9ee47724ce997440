/* SPDX-License-Identifier: Apache-2.0 */
/* graphql_schema.h - what MLflow's UI may ask by GraphQL: root fields, each a procedure of REST, and the types of their
 * answers. A field is the member of REST's JSON of the same name in snake_case. Private to this folder. */
#pragma once
#include <stdbool.h>

/* s text, l integer as text, f number (NaN and infinities are null), b bool, e name of an enum, o object; S, O lists of
 * them; n always null; t the type's name; x, v what a run is asked for apart: its experiment, its model versions. What
 * is missing is the zero of its kind, as of protobuf. */
typedef struct {
    const char *name;
    char kind;
    const struct wr_graphql_type *type; /* of o, O, n, x, v */
} wr_graphql_field;

typedef struct wr_graphql_type {
    const char *name;
    const wr_graphql_field *fields; /* up to one without a name */
} wr_graphql_type;

typedef struct {
    wr_graphql_field field;
    bool query, mutation;      /* where it stands */
    const char *method, *path; /* NULL: the echo, for tests of clients */
    const char *inputs;        /* names of the fields of "input", spaces around each */
} wr_graphql_root;

extern const wr_graphql_root wr_graphql_roots[]; /* up to one without a name */
/* NULL when there is none. */
const wr_graphql_field *wr_graphql_field_find(const wr_graphql_type *type, const char *name);
