/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_url.h - the address of a PostgreSQL database: "postgresql://user:password@host:port/name?options", as libpq
 * takes it. */
#pragma once
#include <stdbool.h>

#include "base/err.h"

bool wr_db_pg_is_url(const char *path); /* "postgresql://" or "postgres://" */
/* What messages call it: without user, password and options, allocated. WEIR_EINVAL when where the password ends is a
 * matter of opinion: then a part of it would be taken for a host and be printed. */
int wr_db_pg_name(char **out, const char *url, wr_err *err);
