/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_functions.c - what the common SQL of db.h has and PostgreSQL lacks, made in the database at its first opening.
 *
 * Functions in SQL are inlined by the planner. A pattern without an escape character is LIKE ... ESCAPE ''; ILIKE and ~
 * under collation "C" know ASCII letters only, as ours in SQLite do. A parameter is a BIGINT, so substr takes one.
 * A change here raises WR_PG_FUNCTIONS_VERSION.
 */
#include "store/db_pg.h"

#define FUNCTION(signature, result, body)                                                                              \
    "CREATE OR REPLACE FUNCTION " signature " RETURNS " result                                                         \
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT " body " $$;\n"

const char wr_pg_functions[] = FUNCTION("wr_like(text, text)", "boolean", "$1 LIKE $2 ESCAPE ''") FUNCTION(
    "wr_ilike(text, text)", "boolean", "$1 COLLATE \"C\" ILIKE $2 ESCAPE ''")
    FUNCTION("wr_rlike(text, text)", "boolean", "$1 COLLATE \"C\" ~ $2") FUNCTION(
        "wr_json_i64(text, text)", "bigint",
        "CASE WHEN json_typeof($1::json -> $2) = 'number' AND abs(($1::json ->> $2)::numeric) < 9223372036854775808 "
        "THEN trunc(($1::json ->> $2)::numeric)::bigint END")
        FUNCTION("instr(text, text)", "bigint", "strpos($1, $2)::bigint")
            FUNCTION("substr(text, bigint)", "text", "pg_catalog.substr($1, $2::int)") FUNCTION(
                "substr(text, bigint, bigint)", "text",
                "pg_catalog.substr($1, $2::int, $3::int)") "CREATE OR REPLACE FUNCTION wr_join(text, text) RETURNS "
                                                           "text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
                                                           "$$ SELECT $1 || ',' || $2 $$;\n"
                                                           "CREATE OR REPLACE FUNCTION wr_join(text, text, text) "
                                                           "RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL "
                                                           "SAFE AS "
                                                           "$$ SELECT $1 || $3 || $2 $$;\n"
                                                           "CREATE OR REPLACE AGGREGATE group_concat(text) (SFUNC "
                                                           "= wr_join, STYPE = text);\n"
                                                           "CREATE OR REPLACE AGGREGATE group_concat(text, text) "
                                                           "(SFUNC = wr_join, STYPE = text);\n";
