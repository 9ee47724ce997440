/* SPDX-License-Identifier: Apache-2.0 */
/* pg_sql_fuzz.c - any text through the rewriter of SQL for PostgreSQL, and as a database's address. What it gives keeps
 * its promises: parameters in range, no placeholder left, quotes closed, pieces in order. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/db_pg_sql.h"
#include "store/db_pg_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pg_require(bool ok)
{
    if (!ok) abort();
}

static void pg_pieces(const wr_db_pg_sql *s)
{
    size_t from = 0;
    for (size_t i = 0; i < s->pieces.n; i++) {
        pg_require(s->pieces.at[i].end >= from && s->pieces.at[i].end <= s->text.n);
        pg_require(s->pieces.at[i].param >= 0 && s->pieces.at[i].param <= s->nparams);
        pg_require((s->pieces.at[i].param == 0) == (i + 1 == s->pieces.n));
        from = s->pieces.at[i].end;
    }
    pg_require(s->pieces.n && from == s->text.n);
    pg_require(s->into + s->into_n <= s->text.n && s->columns + s->columns_n <= s->text.n);
}

/* What came out goes through again: no "?" outside of quotes is left, so it has no parameters. */
static void pg_again(const char *text, int statements)
{
    wr_db_pg_sql s = {0};
    pg_require(wr_db_pg_sql_parse(&s, text, NULL) == 0);
    pg_require(s.nparams == 0 && s.statements == statements);
    wr_db_pg_sql_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = wr_alloc(size + 1), *name = NULL;
    wr_db_pg_sql s = {0};
    wr_err err = {0};
    WR_AUTOBUF wr_buf out = {0};
    pg_require(text != NULL && size < 1 << 20);
    memcpy(text, data, size);
    text[size] = 0;
    int rc = wr_db_pg_sql_parse(&s, text, &err);
    if (rc == 0) {
        pg_pieces(&s);
        wr_db_pg_sql_text(&out, &s, NULL);
        pg_require(!out.failed);
        pg_again(wr_buf_cstr(&out), s.statements);
    } else {
        pg_require(err.code == rc && err.msg[0]);
    }
    wr_db_pg_sql_fini(&s);
    if (wr_db_pg_is_url(text) && wr_db_pg_name(&name, text, &err) == 0) pg_require(!memchr(name, '@', strlen(name)));
    wr_free(name);
    wr_free(text);
    return 0;
}
