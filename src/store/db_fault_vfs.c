/* SPDX-License-Identifier: Apache-2.0 */
/* db_fault_vfs.c - SQLite's file and memory functions behind the fault points of base/fault.h, for tests.
 *
 * A failed write leaves half of its bytes in the file, as a full disk does. Reads and shared memory pass through. Crash
 * points stand before and after every write and sync.
 */
#include <pthread.h>
#include <string.h>

#include "base/fault.h"
#include "store/db_sqlite.h"

typedef struct {
    sqlite3_file base;
    sqlite3_file *inner; /* SQLite's own, in the same allocation right behind this struct */
} fault_file;

static sqlite3_vfs vfs, *inner_vfs;
static sqlite3_mem_methods inner_mem;

static sqlite3_file *inner_of(sqlite3_file *f) { return ((fault_file *)f)->inner; }

static int f_close(sqlite3_file *f) { return inner_of(f)->pMethods->xClose(inner_of(f)); }

static int f_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return inner_of(f)->pMethods->xRead(inner_of(f), p, n, at);
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    sqlite3_file *in = inner_of(f);
    wr_fault_crash_point();
    if (wr_fault_hit(WR_FAULT_WRITE)) {
        if (n > 1) in->pMethods->xWrite(in, p, n / 2, at);
        return SQLITE_FULL;
    }
    int rc = in->pMethods->xWrite(in, p, n, at);
    wr_fault_crash_point();
    return rc;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    if (wr_fault_hit(WR_FAULT_WRITE)) return SQLITE_IOERR_TRUNCATE;
    return inner_of(f)->pMethods->xTruncate(inner_of(f), n);
}

static int f_sync(sqlite3_file *f, int flags)
{
    wr_fault_crash_point();
    if (wr_fault_hit(WR_FAULT_FSYNC)) return SQLITE_IOERR_FSYNC;
    int rc = inner_of(f)->pMethods->xSync(inner_of(f), flags);
    wr_fault_crash_point();
    return rc;
}

static int f_size(sqlite3_file *f, sqlite3_int64 *n) { return inner_of(f)->pMethods->xFileSize(inner_of(f), n); }
static int f_lock(sqlite3_file *f, int level) { return inner_of(f)->pMethods->xLock(inner_of(f), level); }
static int f_unlock(sqlite3_file *f, int level) { return inner_of(f)->pMethods->xUnlock(inner_of(f), level); }
static int f_reserved(sqlite3_file *f, int *out) { return inner_of(f)->pMethods->xCheckReservedLock(inner_of(f), out); }
static int f_control(sqlite3_file *f, int op, void *p)
{
    return inner_of(f)->pMethods->xFileControl(inner_of(f), op, p);
}
static int f_sector(sqlite3_file *f) { return inner_of(f)->pMethods->xSectorSize(inner_of(f)); }
static int f_device(sqlite3_file *f) { return inner_of(f)->pMethods->xDeviceCharacteristics(inner_of(f)); }
static void f_shm_barrier(sqlite3_file *f) { inner_of(f)->pMethods->xShmBarrier(inner_of(f)); }
static int f_shm_unmap(sqlite3_file *f, int remove) { return inner_of(f)->pMethods->xShmUnmap(inner_of(f), remove); }

static int f_shm_map(sqlite3_file *f, int region, int n, int extend, void volatile **p)
{
    return inner_of(f)->pMethods->xShmMap(inner_of(f), region, n, extend, p);
}

static int f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return inner_of(f)->pMethods->xShmLock(inner_of(f), at, n, flags);
}

static int f_fetch(sqlite3_file *f, sqlite3_int64 at, int n, void **p)
{
    return inner_of(f)->pMethods->xFetch(inner_of(f), at, n, p);
}

static int f_unfetch(sqlite3_file *f, sqlite3_int64 at, void *p)
{
    return inner_of(f)->pMethods->xUnfetch(inner_of(f), at, p);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = f_close,
    .xRead = f_read,
    .xWrite = f_write,
    .xTruncate = f_truncate,
    .xSync = f_sync,
    .xFileSize = f_size,
    .xLock = f_lock,
    .xUnlock = f_unlock,
    .xCheckReservedLock = f_reserved,
    .xFileControl = f_control,
    .xSectorSize = f_sector,
    .xDeviceCharacteristics = f_device,
    .xShmMap = f_shm_map,
    .xShmLock = f_shm_lock,
    .xShmBarrier = f_shm_barrier,
    .xShmUnmap = f_shm_unmap,
    .xFetch = f_fetch,
    .xUnfetch = f_unfetch,
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)v;
    fault_file *file = (fault_file *)f;
    file->inner = (sqlite3_file *)(file + 1);
    int rc = inner_vfs->xOpen(inner_vfs, name, file->inner, flags, out);
    file->base.pMethods = file->inner->pMethods ? &methods : NULL;
    return rc;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    (void)v;
    wr_fault_crash_point();
    return inner_vfs->xDelete(inner_vfs, name, sync_dir);
}

static void *m_malloc(int n) { return wr_fault_hit(WR_FAULT_ALLOC) ? NULL : inner_mem.xMalloc(n); }
static void *m_realloc(void *p, int n) { return wr_fault_hit(WR_FAULT_ALLOC) ? NULL : inner_mem.xRealloc(p, n); }

static int install_memory(void)
{
    int rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &inner_mem);
    if (rc != SQLITE_OK) return rc;
    sqlite3_mem_methods mem = inner_mem;
    mem.xMalloc = m_malloc;
    mem.xRealloc = m_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &mem);
}

static int install_vfs(void)
{
    inner_vfs = sqlite3_vfs_find(NULL);
    if (!inner_vfs) return SQLITE_ERROR;
    vfs = *inner_vfs; /* the other functions find their data in the copy */
    vfs.pNext = NULL;
    vfs.zName = "weir-fault";
    vfs.szOsFile = (int)sizeof(fault_file) + inner_vfs->szOsFile;
    vfs.xOpen = v_open;
    vfs.xDelete = v_delete;
    return sqlite3_vfs_register(&vfs, 1);
}

static int outcome;

static void install(void)
{
    outcome = install_memory();
    if (outcome == SQLITE_OK) outcome = install_vfs();
}

int wr_db_fault_install(wr_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    if (outcome == SQLITE_OK) return 0;
    return wr_err_set(err, WEIR_EINTERNAL, "cannot install SQLite's fault points: %s", sqlite3_errstr(outcome));
}
