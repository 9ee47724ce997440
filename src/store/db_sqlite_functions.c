/* SPDX-License-Identifier: Apache-2.0 */
/* db_sqlite_functions.c - the SQL functions of db.h that SQLite lacks. */
#include "codec/json.h"
#include "store/db_match.h"
#include "store/db_sqlite.h"

static bool argument(wr_str *out, sqlite3_value *v)
{
    if (sqlite3_value_type(v) == SQLITE_NULL) return false;
    const unsigned char *p = sqlite3_value_text(v);
    *out = (wr_str){p ? (const char *)p : "", p ? (size_t)sqlite3_value_bytes(v) : 0};
    return true;
}

static void like(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    wr_str text, pattern;
    (void)n;
    if (!argument(&text, v[0]) || !argument(&pattern, v[1])) return; /* NULL */
    sqlite3_result_int(ctx, wr_match_like(text, pattern, sqlite3_user_data(ctx) != NULL));
}

static void free_regex(void *r) { wr_regex_free(r); }

/* The compiled pattern stays with the statement as long as the pattern does. */
static void rlike(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    wr_str text, pattern;
    wr_err err = {0};
    (void)n;
    if (!argument(&text, v[0]) || !argument(&pattern, v[1])) return;
    wr_regex *r = sqlite3_get_auxdata(ctx, 1), *fresh = NULL;
    if (!r) {
        int rc = wr_regex_new(&fresh, pattern, &err);
        if (rc < 0) {
            sqlite3_result_error(ctx, err.msg, -1);
            sqlite3_result_error_code(ctx, rc == WEIR_ENOMEM ? SQLITE_NOMEM : SQLITE_RANGE);
            return;
        }
        r = fresh;
    }
    sqlite3_result_int(ctx, wr_regex_find(r, text));
    if (fresh) sqlite3_set_auxdata(ctx, 1, fresh, free_regex); /* may free it at once */
}

/* wr_json_i64(text, key): the whole number under a key of an object; NULL for anything else. A fraction is cut off. */
static void json_i64(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    wr_str text, key;
    WR_AUTOJSON wr_json j = {0};
    (void)n;
    if (!argument(&text, v[0]) || !argument(&key, v[1]) || wr_json_parse(&j, text, "json", NULL) < 0) return;
    yyjson_val *found = yyjson_obj_getn(j.root, key.p, key.n);
    double real = yyjson_get_real(found);
    if (yyjson_is_sint(found) || (yyjson_is_uint(found) && yyjson_get_uint(found) <= INT64_MAX))
        sqlite3_result_int64(ctx, yyjson_get_sint(found));
    else if (yyjson_is_real(found) && real > -0x1p63 && real < 0x1p63) sqlite3_result_int64(ctx, (int64_t)real);
}

int wr_db_sqlite_functions(sqlite3 *h)
{
    static char fold;
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int rc = sqlite3_create_function(h, "wr_like", 2, flags, NULL, like, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_create_function(h, "wr_ilike", 2, flags, &fold, like, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_create_function(h, "wr_rlike", 2, flags, NULL, rlike, NULL, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_create_function(h, "wr_json_i64", 2, flags, NULL, json_i64, NULL, NULL);
    return rc;
}
