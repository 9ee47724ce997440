/* SPDX-License-Identifier: Apache-2.0 */
/* meter_test.c - which counters are chosen on fixture trees (tests/fixtures/meter), wraps, the model's table, and the
 * sharing out: the parts never add up to more than was measured. */
#include "io/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/os.h"
#include "base/rng.h"
#include "io/file.h"
#include "io/meter_source.h"
#include "io/proc.h"

#define FIXTURES WEIR_SOURCE_DIR "/tests/fixtures/meter"
#define POWERCAP "sys/class/powercap/"

static char top[256];

static int setup(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    if (snprintf(top, sizeof top, "%s/weir-meter-XXXXXX", base && *base ? base : "/tmp") >= (int)sizeof top) return -1;
    return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return wr_file_remove_tree(top, NULL);
}

/* A copy of a fixture that may be changed: the root "TOP/tree". */
static const char *tree(const char *fixture)
{
    static char root[300];
    char line[2000];
    wr_proc_result r;
    snprintf(root, sizeof root, "%s/tree", top);
    snprintf(line, sizeof line, "rm -rf '%s' && cp -r '" FIXTURES "/%s' '%s' && chmod -R u+w '%s'", root, fixture, root,
             root);
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.shell = line}, NULL), 0);
    assert_int_equal(r.exit_code, 0);
    return root;
}

/* In place, because the meter keeps the file open as it would in sysfs. */
static void set(const char *root, const char *name, const char *text)
{
    char path[600];
    assert_true(snprintf(path, sizeof path, "%s/%s", root, name) < (int)sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static wr_meter *meter_on(const char *root, wr_meter_source kind)
{
    wr_meter *m;
    assert_int_equal(wr_meter_open(&m, root, NULL), 0);
    if (wr_meter_kind(m) != kind) fail_msg("kind %d: %s", (int)wr_meter_kind(m), wr_meter_describe(m));
    return m;
}

static double joules(wr_meter *m)
{
    wr_meter_mark now;
    wr_meter_read(m, &now);
    return now.machine_j;
}

static void near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-9 + 1e-6 * fabs(expected))) fail_msg("%.9g, not %.9g", got, expected);
}

/* ---- counters ---- */

static void test_rapl(void **state)
{
    (void)state;
    const char *root = tree("rapl");
    wr_meter *m = meter_on(root, WR_METER_RAPL);
    near(joules(m), 0);                                             /* since open */
    set(root, POWERCAP "intel-rapl-mmio:0/energy_uj", "3500000\n"); /* + 2.5 J */
    near(joules(m), 2.5);
    set(root, POWERCAP "intel-rapl:0/energy_uj", "9000000\n");   /* the same package by MSR: not twice */
    set(root, POWERCAP "intel-rapl:0:0/energy_uj", "9000000\n"); /* core is in the package */
    set(root, POWERCAP "intel-rapl:2/energy_uj", "99000000\n");  /* psys contains everything */
    near(joules(m), 2.5);
    set(root, POWERCAP "intel-rapl:0:1/energy_uj", "1700000\n"); /* dram of package 0: + 1 J */
    set(root, POWERCAP "intel-rapl:1:0/energy_uj", "500100\n");  /* dram of package 1: + 0.5 J */
    near(joules(m), 4.0);
    assert_non_null(strstr(wr_meter_describe(m), "rapl package-0 + dram + package-1 + dram"));
    wr_meter_close(m);
}

/* Six packages listed twice, in whatever order the folder gives them. */
static void test_mmio_wins(void **state)
{
    (void)state;
    const char *root = tree("none");
    char line[1000];
    wr_proc_result r;
    snprintf(line, sizeof line,
             "mkdir -p '%s/sys/class/powercap' && cd '%s/sys/class/powercap' && for i in 0 1 2 3 4 5; do "
             "a=intel-rapl:$i b=intel-rapl-mmio:$i; [ $((i %% 2)) = 0 ] || { a=$b; b=intel-rapl:$i; }; "
             "for z in $a $b; do mkdir $z; echo package-$i >$z/name; echo 5000000 >$z/energy_uj; done; done",
             root, root);
    assert_int_equal(wr_proc_run(&r, &(wr_proc_opt){.shell = line}, NULL), 0);
    assert_int_equal(r.exit_code, 0);
    wr_meter *m = meter_on(root, WR_METER_RAPL);
    for (int i = 0; i < 6; i++) {
        char name[100];
        snprintf(name, sizeof name, POWERCAP "intel-rapl:%d/energy_uj", i);
        set(root, name, "9000000\n");
        near(joules(m), i);
        snprintf(name, sizeof name, POWERCAP "intel-rapl-mmio:%d/energy_uj", i);
        set(root, name, "6000000\n");
        near(joules(m), i + 1);
    }
    wr_meter_close(m);
}

static void test_rapl_wraps(void **state)
{
    (void)state;
    const char *root = tree("rapl");
    wr_meter *m = meter_on(root, WR_METER_RAPL);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "671150\n"); /* from 262143.0 J past 262143.32885 J: + 1 J */
    near(joules(m), 1.0);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "262143328850\n");
    set(root, POWERCAP "intel-rapl:1/energy_uj", "262143328850\n");
    near(joules(m), 1.0 + 262143.32885 - 0.67115);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "0\n");
    near(joules(m), 1.0 + 262143.32885 - 0.67115); /* at the edge nothing is gained or lost */
    wr_meter_close(m);
    /* without a range a step back is a counter that began again */
    set(root, POWERCAP "intel-rapl:1/energy_uj", "5000000\n");
    set(root, POWERCAP "intel-rapl:1/max_energy_range_uj", "0\n");
    m = meter_on(root, WR_METER_RAPL);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "2000000\n");
    near(joules(m), 2.0);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "garbage\n"); /* skipped until it is readable again */
    near(joules(m), 2.0);
    set(root, POWERCAP "intel-rapl:1/energy_uj", "2500000\n");
    near(joules(m), 2.5);
    wr_meter_close(m);
}

static void test_psys(void **state)
{
    (void)state;
    const char *root = tree("psys");
    wr_meter *m = meter_on(root, WR_METER_RAPL);
    set(root, POWERCAP "intel-rapl:0/energy_uj", "4000000\n");
    set(root, POWERCAP "intel-rapl:0:0/energy_uj", "4000000\n");
    near(joules(m), 3.0);
    assert_non_null(strstr(wr_meter_describe(m), "rapl psys"));
    wr_meter_close(m);
}

static void test_unreadable_rapl(void **state)
{
    (void)state;
    const char *root = tree("psys");
    set(root, POWERCAP "intel-rapl:0/energy_uj", "\n");
    wr_meter_close(meter_on(root, WR_METER_MODEL));
    if (geteuid() == 0) return; /* root may read everything */
    char path[600];
    snprintf(path, sizeof path, "%s/" POWERCAP "intel-rapl:0/energy_uj", root);
    assert_int_equal(chmod(path, 0), 0);
    wr_meter *m = meter_on(root, WR_METER_MODEL);
    assert_non_null(strstr(wr_meter_describe(m), "only root may read it"));
    wr_meter_close(m);
}

static void test_hwmon_energy(void **state)
{
    (void)state;
    const char *root = tree("hwmon-energy");
    wr_meter *m = meter_on(root, WR_METER_HWMON);
    near(joules(m), 0);
    set(root, "sys/class/hwmon/hwmon2/energy2_input", "12000000\n");
    set(root, "sys/class/hwmon/hwmon2/energy1_input", "99000000\n"); /* a core of the socket */
    set(root, "sys/class/hwmon/hwmon1/energy1_input", "99000000\n"); /* a graphics card */
    near(joules(m), 3.0);
    assert_non_null(strstr(wr_meter_describe(m), "hwmon amd_energy energy"));
    wr_meter_close(m);
}

static void test_hwmon_power(void **state)
{
    (void)state;
    const char *root = tree("hwmon-power");
    wr_meter *m = meter_on(root, WR_METER_HWMON);
    wr_meter_mark a, b;
    wr_meter_read(m, &a);
    usleep(20000);
    set(root, "sys/class/hwmon/hwmon3/power1_average", "300000000\n");
    wr_meter_read(m, &b);
    near(b.machine_j - a.machine_j, 200.0 * (double)(b.mono_ns - a.mono_ns) * 1e-9); /* the mean of 100 and 300 W */
    wr_energy e;
    wr_meter_energy(m, &a, &b, 0.001, &e);
    assert_true(e.rel_uncertainty > 0.15); /* power seen now and then is worth less than a counter */
    wr_meter_close(m);
}

static void test_perf_description(void **state)
{
    (void)state;
    wr_perf_event e;
    const char *root = tree("perf");
    assert_true(wr_perf_event_find(&e, root, "energy-pkg"));
    assert_int_equal(e.type, 21);
    assert_int_equal(e.config, 2);
    near(e.scale * 4294967296.0, 1.0);
    assert_int_equal(e.ncpus, 2);
    assert_int_equal(e.cpus[1], 18);
    assert_false(wr_perf_event_find(&e, root, "energy-ram")); /* malformed */
    assert_false(wr_perf_event_find(&e, root, "energy-none"));
    assert_false(wr_perf_event_find(&e, FIXTURES "/none", "energy-pkg"));
    set(root, "sys/bus/event_source/devices/power/cpumask", "0-3,8,x,-1\n");
    assert_true(wr_perf_event_find(&e, root, "energy-pkg"));
    assert_int_equal(e.ncpus, 5);
    set(root, "sys/bus/event_source/devices/power/cpumask", "0-4000000000\n");
    assert_true(wr_perf_event_find(&e, root, "energy-pkg"));
    assert_int_equal(e.ncpus, WR_PERF_CPUS);
    wr_meter_close(meter_on(root, WR_METER_MODEL)); /* events of another root are not opened here */
}

static void test_no_nvml(void **state)
{
    (void)state;
    assert_null(wr_nvml_open("libweir-no-such-library.so"));
    assert_null(wr_nvml_open("libm.so.6")); /* a library, but another */
    wr_nvml_close(NULL);
}

/* ---- the model ---- */

static void test_model(void **state)
{
    (void)state;
    wr_meter *m = meter_on(FIXTURES "/none", WR_METER_MODEL);
    wr_energy e;
    wr_meter_model(m, 7200, 3600, &e); /* both threads of a Milan guest for an hour */
    double dram_w = (24684096 * 1024e-9 - 2.2) * 0.34;
    near(e.active_j, 3600 * 2 * (1.92 - 0.42));
    near(e.idle_j, 3600 * (2 * 0.42 + dram_w));
    near(e.energy_j, e.active_j + e.idle_j);
    double cpu_w = e.energy_j / 3600 - dram_w;
    assert_true(cpu_w > 3.5 && cpu_w < 4.5); /* the figure published for this guest is 3.9 W, with memory 10 to 13 */
    assert_true(e.energy_j / 3600 > 10 && e.energy_j / 3600 < 13);
    assert_int_equal(e.tier, 'C');
    near(e.rel_uncertainty, 0.30);
    assert_string_equal(e.source, "model Milan (CPUID 25/1), SPECpower median 0.42..1.92 W/thread");
    wr_meter_model(m, 3600, 3600, &e); /* one of two busy: 3/4 of the active power, half of the idle power */
    near(e.active_j, 3600 * 2 * 1.5 * 0.75);
    near(e.idle_j, 3600 * (2 * 0.42 + dram_w) / 2);
    wr_meter_model(m, 0, 3600, &e);
    near(e.energy_j, 0);
    wr_meter_model(m, 5, 0, &e); /* nothing is infinite */
    assert_true(isfinite(e.energy_j) && e.energy_j >= 0);
    wr_meter_close(m);
}

static void test_families(void **state)
{
    (void)state;
    static const struct {
        const char *cpuinfo, *label;
        double max_w;
        bool known;
    } cases[] = {
        {"vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: X\nstepping\t: 4\n", "Skylake", 4.12,
         true},
        {"vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: X\nstepping\t: 7\n", "Cascade Lake",
         4.04, true},
        {"vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nstepping\t: 8\n", "Sapphire Rapids", 3.99, true},
        {"vendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nstepping\t: 1\n", "Turin", 1.18, true},
        {"vendor_id\t: AuthenticAMD\ncpu family\t: 6\nmodel\t\t: 85\nstepping\t: 4\n", "generic", 3.0, false},
        {"vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 9999\nstepping\t: 4\n", "generic", 3.0, false},
        {"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\n", "Neoverse N1", 1.92,
         true},
        {"", "generic", 3.0, false},
        {"model", "generic", 3.0, false},
    };
    const char *root = tree("none");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_cpu_model c;
        set(root, "proc/cpuinfo", cases[i].cpuinfo);
        wr_cpu_model_find(&c, root);
        if (!wr_str_starts(wr_str_of(c.label), cases[i].label)) fail_msg("%s, not %s", c.label, cases[i].label);
        near(c.max_w, cases[i].max_w);
        assert_int_equal(c.known, cases[i].known);
        assert_int_equal(c.threads, 2);
    }
    wr_meter *m = meter_on(root, WR_METER_MODEL);
    wr_energy e;
    wr_meter_model(m, 1, 1, &e);
    near(e.rel_uncertainty, 0.60);
    wr_meter_close(m);
}

static void test_small_memory_costs_nothing_extra(void **state)
{
    (void)state;
    wr_cpu_model c;
    const char *root = tree("none");
    set(root, "proc/meminfo", "MemTotal:        2000000 kB\n");
    wr_cpu_model_find(&c, root);
    near(c.dram_w, 0);
    set(root, "proc/meminfo", "");
    wr_cpu_model_find(&c, root);
    near(c.dram_w, 0);
}

static void test_stolen_time_is_not_busy(void **state)
{
    (void)state;
    wr_meter_mark a, b;
    const char *root = tree("none");
    wr_meter *m = meter_on(root, WR_METER_MODEL);
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    wr_meter_read(m, &a);
    set(root, "proc/stat", "cpu  1100 10 550 80100 310 3 27 1050 700 0\ncpu0 1\ncpu1 1\n");
    wr_meter_read(m, &b);
    near(b.busy_s - a.busy_s, (100 + 10 + 50 + 3 + 7) * tick);
    near(b.total_s - a.total_s, (100 + 10 + 50 + 3 + 7 + 100 + 10 + 1000) * tick);
    set(root, "proc/stat", "cpu  1 2\n"); /* an old kernel, or nonsense */
    wr_meter_read(m, &b);
    near(b.busy_s, 3 * tick);
    set(root, "proc/stat", "");
    wr_meter_read(m, &b);
    near(b.total_s, 0);
    wr_meter_close(m);
}

/* ---- sharing out ---- */

static wr_meter_mark mark(double machine_j, double busy_s, double total_s, double wall_s)
{
    return (wr_meter_mark){
        .machine_j = machine_j, .busy_s = busy_s, .total_s = total_s, .mono_ns = (int64_t)(wall_s * 1e9)};
}

static void test_shares_by_counter(void **state)
{
    (void)state;
    wr_meter *m = meter_on(tree("rapl"), WR_METER_RAPL); /* 4 threads */
    wr_energy e;
    wr_meter_mark from = mark(0, 0, 0, 0), to = mark(1000, 20, 40, 10); /* half busy, 100 W */
    wr_meter_energy(m, &from, &to, 5, &e);                              /* a quarter of what was busy */
    near(e.active_j, 1000 * 0.5 * 0.25);
    near(e.idle_j, 1000 * 0.5 * 5 / 40);
    near(e.energy_j, e.active_j + e.idle_j);
    assert_int_equal(e.tier, 'B');
    near(e.rel_uncertainty, 0.15);
    assert_true(wr_str_starts(wr_str_of(e.source), "rapl package-0"));
    wr_meter_energy(m, &from, &to, 20, &e); /* all of it */
    near(e.active_j, 500);
    assert_int_equal(e.tier, 'A');
    near(e.rel_uncertainty, 0.10);
    to = mark(1000, 40, 40, 10);
    wr_meter_energy(m, &from, &to, 40, &e); /* the whole machine: everything measured is its own */
    near(e.energy_j, 1000);
    to.gpu_j = 3000;
    wr_meter_energy(m, &from, &to, 40, &e);
    near(e.gpu_j, 3000);
    near(e.energy_j, 4000);
    near(e.rel_uncertainty, 0.10);
    wr_meter_close(m);
}

/* Several works at once, also with times that do not fit together: no part is negative, the sum is at most the whole.
 */
static void test_parts_never_exceed_the_whole(void **state)
{
    (void)state;
    wr_rng r;
    wr_rng_init(&r, 7);
    wr_meter *counted = meter_on(tree("rapl"), WR_METER_RAPL), *modelled = meter_on(FIXTURES "/none", WR_METER_MODEL);
    for (int round = 0; round < 2000; round++) {
        double wall = 0.01 + 100 * wr_rng_f64(&r), machine = 1000 * wr_rng_f64(&r) + 1;
        for (int which = 0; which < 2; which++) {
            wr_meter *m = which ? modelled : counted;
            int threads = which ? 2 : 4, works = 1 + (int)wr_rng_below(&r, 5);
            double busy = wall * threads * wr_rng_f64(&r), left = busy, sum = 0;
            wr_meter_mark from = mark(5, 3, 9, 1), to = mark(5 + machine, 3 + busy, 9 + wall * threads, 1 + wall);
            for (int w = 0; w < works; w++) {
                double cpu = left * wr_rng_f64(&r);
                wr_energy e;
                left -= cpu;
                wr_meter_energy(m, &from, &to, cpu, &e);
                assert_true(e.active_j >= 0 && e.idle_j >= 0);
                sum += e.energy_j;
            }
            double most = which ? wall * (2 * 1.92 + 7.9) : machine;
            if (!(sum <= most * (1 + 1e-6))) fail_msg("%g of %g", sum, most);
        }
    }
    wr_meter_close(counted);
    wr_meter_close(modelled);
}

static void test_odd_intervals(void **state)
{
    (void)state;
    static const double cpus[] = {0, -1, 1e9, NAN, INFINITY, 1e-9};
    wr_meter *counted = meter_on(tree("rapl"), WR_METER_RAPL), *modelled = meter_on(FIXTURES "/none", WR_METER_MODEL);
    wr_meter_mark marks[] = {mark(0, 0, 0, 0), mark(10, 1, 4, 1), mark(10, 0, 0, 1), mark(5, 9, 4, 2)};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++) {
            for (size_t c = 0; c < 6; c++) {
                wr_energy e;
                wr_meter_energy(counted, &marks[i], &marks[k], cpus[c], &e);
                assert_true(isfinite(e.energy_j) && e.energy_j >= 0 && e.energy_j < 1000);
                wr_meter_energy(modelled, &marks[i], &marks[k], cpus[c], &e);
                assert_true(isfinite(e.energy_j) && e.energy_j >= 0 && e.energy_j < 1000);
            }
        }
    }
    wr_meter_close(counted);
    wr_meter_close(modelled);
}

static void test_counter_that_stands_still(void **state)
{
    (void)state;
    wr_meter *m = meter_on(tree("rapl"), WR_METER_RAPL);
    wr_meter_mark from = mark(0, 0, 0, 0), to = mark(0, 4, 40, 10);
    wr_energy e;
    wr_meter_energy(m, &from, &to, 4, &e);
    assert_int_equal(e.tier, 'C');
    assert_true(e.energy_j > 0);
    assert_true(wr_str_starts(wr_str_of(e.source), "model Cascade Lake"));
    wr_meter_close(m);
}

/* ---- this machine ---- */

static void test_here(void **state)
{
    (void)state;
    wr_meter *m;
    wr_meter_mark a, b;
    wr_energy e;
    assert_int_equal(wr_meter_open(&m, NULL, NULL), 0);
    assert_true(strlen(wr_meter_describe(m)) > 20);
    wr_meter_read(m, &a);
    double start = wr_clock_cpu_s();
    volatile double x = 1;
    while (wr_clock_cpu_s() - start < 0.1) x = x * 1.0000001 + 1e-9;
    wr_meter_read(m, &b);
    wr_meter_energy(m, &a, &b, wr_clock_cpu_s() - start, &e);
    double watts = e.energy_j / ((double)(b.mono_ns - a.mono_ns) * 1e-9);
    assert_true(watts > 0.05 && watts < 2000);
    assert_true(e.source[0] && e.rel_uncertainty >= 0.10 && e.rel_uncertainty <= 0.60);
    int64_t before = wr_clock_mono_ns();
    for (int i = 0; i < 100; i++) wr_meter_read(m, &b);
    assert_true(wr_clock_mono_ns() - before < 100 * 2000000LL); /* generous: sanitizers, a loaded machine */
    wr_meter_close(m);
    wr_meter_close(NULL);
}

static void *read_often(void *arg)
{
    double last = 0;
    for (int i = 0; i < 300; i++) {
        double now = joules(arg);
        if (now < last) return NULL;
        last = now;
    }
    return arg;
}

static void test_two_readers(void **state)
{
    (void)state;
    const char *root = tree("rapl");
    wr_meter *m = meter_on(root, WR_METER_RAPL);
    pthread_t t;
    void *ok;
    assert_int_equal(pthread_create(&t, NULL, read_often, m), 0);
    assert_ptr_equal(read_often(m), m);
    pthread_join(t, &ok);
    assert_ptr_equal(ok, m);
    near(joules(m), 0);
    wr_meter_close(m);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    static const char *const fixtures[] = {FIXTURES "/rapl", FIXTURES "/hwmon-power", FIXTURES "/none"};
    for (size_t i = 0; i < 3; i++) {
        for (long n = 1;; n++) {
            wr_meter *m;
            wr_fault_arm(WR_FAULT_ALLOC, n, false);
            int rc = wr_meter_open(&m, fixtures[i], NULL);
            bool fired = wr_fault_fired(WR_FAULT_ALLOC);
            wr_fault_arm(WR_FAULT_ALLOC, 0, false);
            assert_true(rc == 0 || (rc == WEIR_ENOMEM && fired && !m)); /* a counter without memory leaves the model */
            wr_meter_close(m);
            if (!fired) break;
            assert_true(n < 50);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rapl),
        cmocka_unit_test(test_mmio_wins),
        cmocka_unit_test(test_rapl_wraps),
        cmocka_unit_test(test_psys),
        cmocka_unit_test(test_unreadable_rapl),
        cmocka_unit_test(test_hwmon_energy),
        cmocka_unit_test(test_hwmon_power),
        cmocka_unit_test(test_perf_description),
        cmocka_unit_test(test_no_nvml),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_small_memory_costs_nothing_extra),
        cmocka_unit_test(test_stolen_time_is_not_busy),
        cmocka_unit_test(test_shares_by_counter),
        cmocka_unit_test(test_parts_never_exceed_the_whole),
        cmocka_unit_test(test_odd_intervals),
        cmocka_unit_test(test_counter_that_stands_still),
        cmocka_unit_test(test_here),
        cmocka_unit_test(test_two_readers),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
