/* SPDX-License-Identifier: Apache-2.0 */
/* meter_nvml.c - energy counters of NVIDIA devices (Volta and newer). The library belongs to the driver and is opened
 * at run time; the few prototypes needed are written here, NVML's headers are not free software. */
#include <dlfcn.h>
#include <string.h>

#include "base/mem.h"
#include "io/meter_source.h"

enum { DEVICES = 64 };

typedef void *device;

struct wr_nvml {
    void *library;
    int (*shutdown)(void);
    int (*energy)(device, unsigned long long *millijoules);
    unsigned n;
    device at[DEVICES];
};

/* ISO C has no cast from an object pointer to a function pointer; POSIX promises that the bytes are the same. */
static bool symbol(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static void find_devices(wr_nvml *n)
{
    int (*count)(unsigned *), (*handle)(unsigned, device *);
    unsigned devices = 0;
    unsigned long long unused;
    if (!symbol(n->library, "nvmlDeviceGetCount_v2", &count) ||
        !symbol(n->library, "nvmlDeviceGetHandleByIndex_v2", &handle))
        return;
    if (count(&devices) != 0) return;
    for (unsigned i = 0; i < devices && n->n < DEVICES; i++) {
        device d;
        if (handle(i, &d) == 0 && n->energy(d, &unused) == 0) n->at[n->n++] = d;
    }
}

wr_nvml *wr_nvml_open(const char *library)
{
    void *l = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!l) return NULL;
    wr_nvml *n = wr_calloc(1, sizeof *n);
    int (*init)(void);
    bool ok = n && symbol(l, "nvmlInit_v2", &init) && symbol(l, "nvmlShutdown", &n->shutdown) &&
              symbol(l, "nvmlDeviceGetTotalEnergyConsumption", &n->energy) && init() == 0;
    if (!ok) {
        wr_free(n);
        dlclose(l);
        return NULL;
    }
    n->library = l;
    find_devices(n);
    if (n->n > 0) return n;
    wr_nvml_close(n);
    return NULL;
}

void wr_nvml_close(wr_nvml *n)
{
    if (!n) return;
    n->shutdown();
    dlclose(n->library);
    wr_free(n);
}

double wr_nvml_joules(const wr_nvml *n)
{
    double sum = 0;
    for (unsigned i = 0; i < n->n; i++) {
        unsigned long long mj;
        if (n->energy(n->at[i], &mj) == 0) sum += (double)mj * 1e-3;
    }
    return sum;
}
