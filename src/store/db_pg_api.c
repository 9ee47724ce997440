/* SPDX-License-Identifier: Apache-2.0 */
/* db_pg_api.c - loading libpq. It stays loaded. */
#include "store/db_pg_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Guards the two below. Rank: leaf, nothing is locked inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wr_pq table;
static bool loaded;

static int unavailable(wr_err *err, const char *why)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "the PostgreSQL client library is not available");
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", why ? why : "libpq.so.5 was not found");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "install libpq5 (14 or newer), or set WEIR_LIBPQ to its path");
}

static int resolve(void *library, const char *symbol, void *slot, wr_err *err)
{
    void *p = dlsym(library, symbol);
    if (!p) return unavailable(err, dlerror());
    memcpy(slot, &p, sizeof p); /* object pointer to function pointer: fine in POSIX, not a cast in ISO C */
    return 0;
}

static int resolve_all(void *library, wr_err *err)
{
#define X(name, symbol) WR_TRY(resolve(library, #symbol, &table.name, err));
    WR_PQ_API(X)
#undef X
    return 0;
}

static int load_locked(wr_err *err)
{
    const char *path = getenv("WEIR_LIBPQ");
    void *library = dlopen(path && *path ? path : "libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) return unavailable(err, dlerror());
    int rc = resolve_all(library, err);
    if (rc < 0) dlclose(library);
    return rc;
}

int wr_pq_load(const wr_pq **out, wr_err *err)
{
    pthread_mutex_lock(&lock);
    int rc = loaded ? 0 : load_locked(err);
    loaded = rc == 0;
    pthread_mutex_unlock(&lock);
    if (rc == 0) *out = &table;
    return rc;
}
