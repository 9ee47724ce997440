/* SPDX-License-Identifier: Apache-2.0 */
/* meter_cpu.c - which processor this is, what a hardware thread of it draws idle and at full load, and how busy all of
 * them were.
 *
 * The processor is known by family, model and stepping (ARM: implementer and part), not by its name: clouds rename it.
 * Watts are those of the whole server, power supply and fans included, divided by its threads: medians of
 * SPECpower_ssj2008 results up to March 2026 (SPECpower-2026-03-09.csv of the Cloud Carbon Footprint coefficients,
 * Apache-2.0); for the families marked as mean, which have too few recent results, the means published there. A guest
 * counts its own threads, so it gets its share of the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "base/os.h"
#include "base/str.h"
#include "io/meter_source.h"

typedef enum { AMD, INTEL, ARM, UNKNOWN } vendor;

typedef struct {
    vendor vendor;
    int family, model; /* ARM: implementer, part */
    int stepping;
} cpu_id;

typedef struct {
    vendor vendor;
    int family, model, stepping_from, stepping_to;
    const char *name;
    double idle_w, max_w;
    bool mean;
} row;

static const row rows[] = {
    {AMD, 23, 1, 0, 99, "Naples", 0.74, 2.31, false},
    {AMD, 23, 49, 0, 99, "Rome", 0.44, 1.66, false},
    {AMD, 25, 1, 0, 99, "Milan", 0.42, 1.92, false},
    {AMD, 25, 17, 0, 99, "Genoa", 0.28, 1.53, false},
    {AMD, 25, 160, 0, 99, "Siena/Bergamo", 0.57, 1.81, false},
    {AMD, 26, 2, 0, 99, "Turin", 0.22, 1.18, false},
    {AMD, 26, 17, 0, 99, "Turin dense", 0.22, 1.18, false},
    {INTEL, 6, 45, 0, 99, "Sandy Bridge", 2.21, 8.63, true},
    {INTEL, 6, 62, 0, 99, "Ivy Bridge", 1.71, 5.56, true},
    {INTEL, 6, 63, 0, 99, "Haswell", 1.86, 5.60, true},
    {INTEL, 6, 79, 0, 99, "Broadwell", 0.71, 3.69, true},
    {INTEL, 6, 85, 0, 4, "Skylake", 0.53, 4.12, false},
    {INTEL, 6, 85, 5, 99, "Cascade Lake", 0.60, 4.04, false},
    {INTEL, 6, 106, 0, 99, "Ice Lake", 0.92, 4.12, false},
    {INTEL, 6, 143, 0, 99, "Sapphire Rapids", 0.90, 3.99, false},
    {INTEL, 6, 207, 0, 99, "Emerald Rapids", 0.84, 3.35, false},
    {INTEL, 6, 173, 0, 99, "Granite Rapids", 0.60, 2.69, false},
    {INTEL, 6, 175, 0, 99, "Sierra Forest", 0.68, 2.49, false},
    {ARM, 0x41, 0xd0c, 0, 99, "Neoverse N1", 0.62, 1.92, false},
    {ARM, 0x41, 0xd40, 0, 99, "Neoverse V1", 0.47, 1.69, true},
    {ARM, 0x41, 0xd4f, 0, 99, "Neoverse V2", 0.47, 1.69, true},
};

static const double GENERIC_IDLE_W = 0.6, GENERIC_MAX_W = 3.0;
static const double DRAM_W_PER_GB = 0.34;         /* between Boavizta's 0.284 and Crucial's 0.392 */
static const double INCLUDED_GB_PER_THREAD = 1.1; /* taken to be in the watts of the family */

/* ---- who is it ---- */

/* Value of "key : value" in /proc/cpuinfo, -1 if it is not there. */
static int field(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, n) != 0) continue;
        const char *p = line + n + strspn(line + n, " \t");
        if (*p == ':') return (int)strtol(p + 1, NULL, 0); /* "model name" does not match "model" */
    }
    return -1;
}

static cpu_id id_from_cpuinfo(const char *text)
{
    cpu_id id = {.vendor = UNKNOWN, .stepping = field(text, "stepping")};
    if (field(text, "CPU implementer") >= 0)
        return (cpu_id){ARM, field(text, "CPU implementer"), field(text, "CPU part"), 0};
    if (strstr(text, "AuthenticAMD")) id.vendor = AMD;
    if (strstr(text, "GenuineIntel")) id.vendor = INTEL;
    id.family = field(text, "cpu family");
    id.model = field(text, "model");
    return id;
}

static cpu_id id_from_instruction(void)
{
    cpu_id id = {.vendor = UNKNOWN};
#if defined(__x86_64__) || defined(__i386__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(0, &a, &b, &c, &d)) return id;
    id.vendor = b == signature_AMD_ebx ? AMD : b == signature_INTEL_ebx ? INTEL : UNKNOWN;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return id;
    id.stepping = (int)(a & 15);
    id.family = (int)(a >> 8 & 15);
    id.model = (int)(a >> 4 & 15);
    if (id.family == 6 || id.family == 15) id.model += (int)(a >> 12 & 0xf0);
    if (id.family == 15) id.family += (int)(a >> 20 & 0xff);
#endif
    return id;
}

static const row *row_of(cpu_id id)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        bool same = r->vendor == id.vendor && r->family == id.family && r->model == id.model;
        if (same && id.stepping >= r->stepping_from && id.stepping <= r->stepping_to) return r;
    }
    return NULL;
}

/* ---- how much of it ---- */

/* Lines "cpuN ..." of /proc/stat: the threads that are online. */
static int threads_of(const char *root)
{
    char text[64 << 10];
    int n = 0;
    if (!wr_meter_text(text, sizeof text, root, "proc/stat")) return wr_os_cpus();
    wr_str rest = wr_str_of(text);
    while (rest.p) {
        wr_str line = wr_str_cut(&rest, '\n');
        n += wr_str_starts(line, "cpu") && line.n > 3 && line.p[3] >= '0' && line.p[3] <= '9';
    }
    return n > 0 ? n : wr_os_cpus();
}

static double memory_gb(const char *root)
{
    char text[4096];
    if (!wr_meter_text(text, sizeof text, root, "proc/meminfo")) return (double)wr_os_memory() * 1e-9;
    const char *total = strstr(text, "MemTotal:");
    return total ? strtod(total + 9, NULL) * 1024e-9 : 0;
}

static void label(wr_cpu_model *out, const row *r, cpu_id id)
{
    if (!r) {
        snprintf(out->label, sizeof out->label, "generic, %.1f..%.1f W/thread", out->idle_w, out->max_w);
        return;
    }
    const char *how = r->mean ? "mean" : "median";
    if (id.vendor == ARM)
        snprintf(out->label, sizeof out->label, "%s (part 0x%x/0x%x), SPECpower %s %.2f..%.2f W/thread", r->name,
                 (unsigned)id.family, (unsigned)id.model, how, r->idle_w, r->max_w);
    else
        snprintf(out->label, sizeof out->label, "%s (CPUID %d/%d), SPECpower %s %.2f..%.2f W/thread", r->name,
                 id.family, id.model, how, r->idle_w, r->max_w);
}

void wr_cpu_model_find(wr_cpu_model *out, const char *root)
{
    char text[4096];
    *out = (wr_cpu_model){.idle_w = GENERIC_IDLE_W, .max_w = GENERIC_MAX_W};
    bool file = wr_meter_text(text, sizeof text, root, "proc/cpuinfo");
    cpu_id id = file ? id_from_cpuinfo(text) : id_from_instruction();
    const row *r = row_of(id);
    if (r) {
        out->idle_w = r->idle_w;
        out->max_w = r->max_w;
        out->known = true;
    }
    label(out, r, id);
    out->threads = threads_of(root);
    double extra = memory_gb(root) - INCLUDED_GB_PER_THREAD * out->threads;
    out->dram_w = extra > 0 ? extra * DRAM_W_PER_GB : 0;
}

/* ---- how busy ---- */

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice": guest time is in user already. Stolen time
 * belongs to the total, because the guest could have used it, but the host spent that energy on somebody else. */
bool wr_cpu_times(int fd, double *busy_s, double *total_s)
{
    char text[512];
    *busy_s = *total_s = 0;
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    if (n <= 0) return false;
    text[n] = 0;
    if (strncmp(text, "cpu ", 4) != 0) return false;
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
    double t[FIELDS] = {0};
    char *p = text + 4, *end;
    for (int i = 0; i < FIELDS; i++, p = end) {
        t[i] = (double)strtoull(p, &end, 10);
        if (end == p) break; /* old kernels have fewer */
    }
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    *busy_s = (t[USER] + t[NICE] + t[SYSTEM] + t[IRQ] + t[SOFTIRQ]) * tick;
    *total_s = *busy_s + (t[IDLE] + t[IOWAIT] + t[STEAL]) * tick;
    return true;
}
