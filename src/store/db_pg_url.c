/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_url.c - telling a PostgreSQL address from a path, and naming it without its secrets. */
#include "store/db_pg_url.h"

#include "base/mem.h"
#include "base/str.h"

bool wr_db_pg_is_url(const char *path)
{
    wr_str s = wr_str_of(path);
    return wr_str_starts(s, "postgresql://") || wr_str_starts(s, "postgres://");
}

static int ambiguous(wr_err *err)
{
    wr_err_set(err, WEIR_EINVAL, "the address of the PostgreSQL database cannot be parsed");
    return wr_err_hint(err, WEIR_EINVAL,
                       "in user and password write %%40 for @, %%2F for / and %%3A for :, %%3F for ? and %%23 for #; "
                       "or leave the password to PGPASSWORD or ~/.pgpass");
}

int wr_db_pg_name(char **out, const char *url, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_str rest = wr_str_of(strstr(url, "://") + 3), place = wr_str_cut(&rest, '?');
    const char *sign = memchr(place.p, '@', place.n), *slash = memchr(place.p, '/', place.n);
    if (slash && sign && slash < sign) return ambiguous(err); /* libpq would end the host at the slash */
    if (!sign && rest.p && memchr(rest.p, '@', rest.n)) return ambiguous(err);
    if (sign) place = wr_str_sub(place, (size_t)(sign + 1 - place.p), place.n);
    if (memchr(place.p, '@', place.n)) return ambiguous(err);
    wr_buf_printf(&b, "postgresql://%.*s", WR_STR_FMT(place));
    if (b.failed) return wr_err_nomem(err);
    *out = wr_strdup(wr_buf_cstr(&b));
    return *out ? 0 : wr_err_nomem(err);
}
