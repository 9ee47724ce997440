/* SPDX-License-Identifier: Apache-2.0 */
/* duck_api.c - find and open the DuckDB library. A failed attempt is forgotten, so that a later one may succeed. */
#include "store/duck_api.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"

/* Guards the two below. Rank: leaf, nothing is locked inside. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wr_duck table;
static bool loaded;

static int unavailable(wr_err *err, const char *why)
{
    wr_err_set(err, WEIR_EUNAVAILABLE, "table engine is not available");
    wr_err_detail(err, WEIR_EUNAVAILABLE, "%s", why ? why : "libduckdb.so was not found");
    return wr_err_hint(err, WEIR_EUNAVAILABLE, "put libduckdb.so beside the program or set WEIR_DUCKDB to its path");
}

/* The environment wins and is not second-guessed; else the first of the two places that exists. */
static const char *library_path(char *room, size_t size)
{
    const char *path = getenv("WEIR_DUCKDB");
    if (path && *path) return path;
    const char *exe = wr_os_exe();
    const char *slash = exe ? strrchr(exe, '/') : NULL;
    static const char *const beside[] = {"libduckdb.so", "../lib/weir/libduckdb.so"}; /* as built, as installed */
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
        int n = snprintf(room, size, "%.*s/%s", (int)(slash - exe), exe, beside[i]);
        if (n > 0 && (size_t)n < size && access(room, R_OK) == 0) return room;
    }
#ifdef WEIR_DUCKDB_PATH
    return WEIR_DUCKDB_PATH;
#else
    return NULL;
#endif
}

static int resolve(void *library, const char *symbol, void *slot, wr_err *err)
{
    void *p = dlsym(library, symbol);
    if (!p) {
        char why[128];
        (void)snprintf(why, sizeof why, "the library has no \"%s\": it is older than 1.4", symbol);
        return unavailable(err, why);
    }
    memcpy(slot, &p, sizeof p); /* object pointer to function pointer: fine in POSIX, not a cast in ISO C */
    return 0;
}

static int resolve_all(void *library, wr_err *err)
{
#define X(name) WR_TRY(resolve(library, "duckdb_" #name, &table.name, err));
    WR_DUCK_API(X)
#undef X
    return 0;
}

static int load_locked(wr_err *err)
{
    char room[PATH_MAX];
    const char *path = library_path(room, sizeof room);
    if (!path) return unavailable(err, NULL);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return unavailable(err, dlerror());
    int rc = resolve_all(library, err);
    if (rc < 0) dlclose(library);
    return rc;
}

int wr_duck_load(const wr_duck **out, wr_err *err)
{
    pthread_mutex_lock(&lock);
    int rc = loaded ? 0 : load_locked(err);
    loaded = rc == 0;
    pthread_mutex_unlock(&lock);
    if (rc == 0) *out = &table;
    return rc;
}
