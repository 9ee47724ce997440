/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - checks 9 to 12: the processor, the system, what is needed of it, and the files themselves. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/num.h"
#include "base/os.h"
#include "core/bom.h"
#include "core/signing.h"
#include "io/file.h"
#include "stage/study/study_inside.h"

/* ---- 9 instruction set ---- */

static int isa_here(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return 4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return 3;
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") ? 2 : 1;
#else
    return 0;
#endif
}

static int isa_of(const char *text)
{
    return strncmp(text, "x86-64-v", 8) == 0 && text[8] >= '1' && text[8] <= '4' && !text[9] ? text[8] - '0' : -1;
}

/* The same rows by vector code and by plain C. */
static int both_paths(wr_feasibility_work *w, wr_feasibility_gap *g, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_infer_answer fast, plain;
    if (!a) return wr_err_nomem(err);
    WR_TRY(wr_feasibility_ask(&fast, w, w->in, a, err));
    wr_predictor_plain(true);
    int rc = wr_feasibility_ask(&plain, w, w->in, a, err);
    wr_predictor_plain(false);
    if (rc == 0) wr_feasibility_compare(g, &fast, 0, &plain);
    return rc;
}

int wr_check_isa(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    struct utsname u = {0};
    wr_feasibility_gap g = {0};
    int here = isa_here(), there = *w->t->isa ? isa_of(w->t->isa) : here;
    bool own = strncmp(w->report->platform, "onnxruntime", 11) != 0;
    uname(&u);
    wr_check_text(w, r, "here", "%s%s%s, %s, pages of %ld bytes", u.machine, here ? ", x86-64-v" : "",
                  here ? (const char *[]){"", "1", "2", "3", "4"}[here] : "",
                  __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little-endian" : "big-endian", sysconf(_SC_PAGESIZE));
    if (there < 0) {
        wr_check_hint(w, r, "host: {isa: x86-64-v3} of the target, or leave it out");
        return wr_check_says(w, r, WR_CHECK_FAIL, "\"%s\" is no level: x86-64-v1 to x86-64-v4", w->t->isa);
    }
    if (*w->t->arch && strcmp(w->t->arch, u.machine) != 0)
        return wr_check_says(w, r, WR_CHECK_WARN, "the target is %s, this machine %s: nothing was compared there",
                             w->t->arch, u.machine);
    WR_TRY(both_paths(w, &g, err));
    wr_check_number(w, r, "vector and plain code, largest relative difference", g.shape ? INFINITY : g.relative, NULL);
    wr_check_text(w, r, "program", "built for x86-64-v1, vector code chosen when it runs");
    if (g.shape || g.relative > w->t->relative || g.flips) {
        wr_check_hint(w, r, "scale its inputs, or allow more: parity: {relative} of the target");
        return wr_check_says(w, r, WR_CHECK_FAIL, "vector and plain code differ by %.2g, %zu class flips", g.relative,
                             g.flips);
    }
    if (!own) return wr_check_says(w, r, WR_CHECK_WARN, "ONNX Runtime answers, whose code paths cannot be chosen");
    if (there > here)
        return wr_check_says(w, r, WR_CHECK_WARN,
                             "the target has x86-64-v%d, this machine v%d: its vector code was not run", there, here);
    return wr_check_says(w, r, WR_CHECK_PASS, "vector and plain code agree on %zu rows, to %.2g", g.rows, g.relative);
}

/* ---- 10 system ---- */

/* "5.10.0-8" against "4.19": numbers between points. */
static int version_cmp(const char *a, const char *b)
{
    for (int i = 0; i < 3; i++) {
        char *end_a, *end_b;
        long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);
        if (x != y) return x < y ? -1 : 1;
        if (*end_b != '.') return 0;
        if (*end_a != '.') return -1;
        a = end_a + 1;
        b = end_b + 1;
    }
    return 0;
}

static const char *first_line(wr_feasibility_work *w, const char *path)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 4096);
    if (wr_file_read(&b, path, 4095, NULL) < 0) return "unknown";
    wr_str s = wr_str_trim(wr_buf_view(&b));
    const char *text = wr_arena_strndup(w->a, s.p, s.n);
    return text ? text : "unknown";
}

int wr_check_system(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    struct utsname u = {0};
    struct rlimit files = {0};
    struct timespec tick = {0};
    (void)err;
    uname(&u);
    getrlimit(RLIMIT_NOFILE, &files);
    clock_getres(CLOCK_MONOTONIC, &tick);
    const char *libc = gnu_get_libc_version(),
               *clock = first_line(w, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    wr_check_text(w, r, "kernel", "%s %s", u.sysname, u.release);
    wr_check_text(w, r, "C library", "glibc %s", libc);
    wr_check_number(w, r, "open files", (double)files.rlim_cur, NULL);
    wr_check_text(w, r, "clock", "%s, %ld ns", clock, tick.tv_nsec);
    wr_check_text(w, r, "io_uring", "%s",
                  strcmp(first_line(w, "/proc/sys/kernel/io_uring_disabled"), "0") == 0 ? "allowed" : "not used");
    wr_check_number(w, r, "processors", wr_os_cpus(), NULL);
    if (*w->t->kernel && version_cmp(u.release, w->t->kernel) < 0)
        return wr_check_says(w, r, WR_CHECK_FAIL, "kernel %s is older than %s", u.release, w->t->kernel);
    if (*w->t->libc && version_cmp(libc, w->t->libc) < 0)
        return wr_check_says(w, r, WR_CHECK_FAIL, "glibc %s is older than %s", libc, w->t->libc);
    if (w->t->nofile && files.rlim_cur != RLIM_INFINITY && (int64_t)files.rlim_cur < w->t->nofile)
        return wr_check_says(w, r, WR_CHECK_FAIL, "%llu open files are allowed, %lld are needed",
                             (unsigned long long)files.rlim_cur, (long long)w->t->nofile);
    return wr_check_says(w, r,
                         strcmp(clock, "hpet") == 0 || strcmp(clock, "acpi_pm") == 0 ? WR_CHECK_WARN : WR_CHECK_PASS,
                         "kernel %s, glibc %s, clock %s", u.release, libc, clock);
}

/* ---- 11 dependencies ---- */

static bool loadable(const char *name)
{
    void *h = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (h) dlclose(h);
    return h;
}

static bool port_free(int64_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool free_now = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return free_now;
}

int wr_check_dependencies(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    size_t bad = 0;
    const char *first = NULL, *state;
    for (size_t i = 0; i < w->t->libraries.n; i++) {
        bool good = loadable(w->t->libraries.at[i]);
        wr_check_text(w, r, w->t->libraries.at[i], "%s", good ? "found" : "cannot be loaded");
        bad += !good;
        if (!good && !first) first = wr_arena_printf(w->a, "library %s cannot be loaded", w->t->libraries.at[i]);
    }
    for (size_t i = 0; i < w->t->ports.n; i++) {
        int64_t port;
        bool good =
            wr_num_i64(&port, wr_str_of(w->t->ports.at[i]), NULL) == 0 && port > 0 && port < 65536 && port_free(port);
        wr_check_text(w, r, wr_arena_printf(w->a, "port %s", w->t->ports.at[i]), "%s",
                      good ? "free" : "taken, or no port");
        bad += !good;
        if (!good && !first) first = wr_arena_printf(w->a, "port %s is not free", w->t->ports.at[i]);
    }
    for (size_t i = 0; i < w->t->paths.n; i++) {
        bool good = access(w->t->paths.at[i], W_OK | X_OK) == 0;
        wr_check_text(w, r, w->t->paths.at[i], "%s", good ? "writable" : strerror(errno));
        bad += !good;
        if (!good && !first) first = wr_arena_printf(w->a, "%s is not writable", w->t->paths.at[i]);
    }
    if (w->p && wr_project_state(&state, w->p, "tmp", true, NULL) == 0) {
        bool good = access(state, W_OK | X_OK) == 0;
        wr_check_text(w, r, "the project's state", "%s", good ? "writable" : strerror(errno));
        bad += !good;
        if (!good && !first) first = "the project's state is not writable";
    }
    bool ort = strncmp(w->report->platform, "onnxruntime", 11) == 0;
    wr_check_text(w, r, "ONNX Runtime", "%s", ort ? "needed, loaded" : "not needed");
    if (wr_arena_failed(w->a)) return wr_err_nomem(err);
    if (bad) return wr_check_says(w, r, WR_CHECK_FAIL, "%zu not resolved: %s", bad, first ? first : "");
    return wr_check_says(w, r, WR_CHECK_PASS, "all resolved%s", ort ? "; needs ONNX Runtime" : "");
}

/* ---- 12 artefact ---- */

static bool by_ending(const char *path)
{
    static const char *const endings[] = {".pkl",   ".pickle", ".joblib", ".py", ".pyc", ".so",  ".dll",
                                          ".dylib", ".exe",    ".sh",     ".pt", ".pth", ".jar", ".dill"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (wr_str_ends(wr_str_of(path), endings[i])) return true;
    return false;
}

/* By what it begins with: ELF, a script, a zip (which torch and others fill with pickles), a pickle. */
static bool by_head(const unsigned char *p, size_t n)
{
    if (n >= 4 && memcmp(p,
                         "\x7f"
                         "ELF",
                         4) == 0)
        return true;
    if (n >= 2 && (memcmp(p, "#!", 2) == 0 || memcmp(p, "MZ", 2) == 0)) return true;
    if (n >= 4 && memcmp(p, "PK\3\4", 4) == 0) return true;
    return n >= 2 && p[0] == 0x80 && p[1] >= 2 && p[1] <= 5;
}

static bool executable(const char *root, const char *name, wr_arena *a)
{
    unsigned char head[16];
    struct stat st;
    const char *path = strcmp(name, ".") == 0 ? root : wr_path_join(a, root, name);
    FILE *f = path ? fopen(path, "rb") : NULL;
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f) fclose(f);
    return by_ending(strcmp(name, ".") == 0 ? root : name) || by_head(head, n) ||
           (path && stat(path, &st) == 0 && (st.st_mode & 0111));
}

/* Files that somebody could run; a package has none, by what it is made of. */
static int look_for_code(wr_feasibility_work *w, wr_feasibility_result *r, size_t *bad, size_t *files, wr_err *err)
{
    wr_manifest m;
    if (!w->path) {
        *files = 5;
        return 0;
    }
    WR_TRY(wr_manifest_read(&m, w->a, w->path, NULL, err));
    *files = m.n;
    for (size_t i = 0; i < m.n; i++) {
        if (!executable(w->path, m.files[i].path, w->a)) continue;
        ++*bad;
        wr_check_text(w, r, m.files[i].path, "has executable content");
    }
    return 0;
}

static int signature_of(wr_feasibility_work *w, const char **by, wr_err *err)
{
    WR_AUTOBUF wr_buf bundle;
    wr_trust *t;
    wr_buf_init(&bundle, WR_LIMIT_SIGNATURE + 1);
    if (!w->registered) {
        const char *beside = w->path ? wr_signature_beside(w->a, w->path) : NULL;
        if (!beside || wr_file_size(beside) < 0 || !w->p) return wr_err_set(err, WEIR_ENO, "it is not signed");
        WR_TRY(wr_signing_trust(&t, w->p, err));
        wr_signature s;
        wr_manifest found;
        int rc = wr_file_read(&bundle, beside, WR_LIMIT_SIGNATURE, err);
        if (rc == 0) rc = wr_signature_parse(&s, w->a, wr_buf_view(&bundle), beside, err);
        if (rc == 0) rc = wr_signature_verify(&s, t, w->a, by, err);
        if (rc == 0) rc = wr_manifest_read(&found, w->a, w->path, &s.manifest, err);
        if (rc == 0) rc = wr_manifest_compare(&found, &s.manifest, err);
        wr_trust_free(t);
        return rc;
    }
    WR_TRY(wr_signing_bundle(&bundle, w->p, &w->version, err));
    WR_TRY(wr_signing_trust(&t, w->p, err));
    int rc = wr_signing_verify(by, w->a, w->p, &w->version, wr_buf_view(&bundle), t, WR_FILES_READ, err);
    wr_trust_free(t);
    return rc;
}

static int make_bom(wr_feasibility_work *w, size_t *bytes, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_card card = {0};
    if (w->package) WR_TRY(wr_card_of_package(&card, w->a, wr_package_get(w->package), err));
    card.model = w->report->model;
    card.version = w->report->version;
    memcpy(card.root, w->report->hash, sizeof card.root);
    if (!card.created) card.created = "1970-01-01T00:00:00Z";
    if (w->registered)
        WR_TRY(
            wr_model_files((wr_model_file **)&card.files, &card.nfiles, w->a, w->p, &w->version, WR_FILES_READ, err));
    WR_TRY(wr_bom_cyclonedx(&b, &card, err));
    *bytes = b.n;
    return 0;
}

int wr_check_artefact(wr_feasibility_work *w, wr_feasibility_result *r, wr_err *err)
{
    wr_err no_signature = {0}, no_bom = {0};
    const char *by = NULL;
    size_t bad = 0, files = 0, bom = 0;
    bool digest = w->report->hash[0];
    WR_TRY(look_for_code(w, r, &bad, &files, err));
    int signed_rc = signature_of(w, &by, &no_signature), bom_rc = w->registered ? make_bom(w, &bom, &no_bom) : WEIR_ENO;
    if (signed_rc == WEIR_ENOMEM || bom_rc == WEIR_ENOMEM) return wr_err_nomem(err);
    wr_check_text(w, r, "format", "%s, declarative", w->report->platform);
    wr_check_text(w, r, "files", "%zu, %zu with executable content", files, bad);
    wr_check_text(w, r, "SHA-256", "%s", digest ? w->report->hash : "not known");
    wr_check_text(w, r, "signature", "%s", signed_rc == 0 ? by : no_signature.msg);
    if (bom_rc == 0) wr_check_text(w, r, "bill of materials", "CycloneDX, %zu bytes", bom);
    else
        wr_check_text(w, r, "bill of materials", "%s",
                      w->registered ? "cannot be made" : "none: not a registered version");
    if (bom_rc < 0 && w->registered) wr_check_text(w, r, "why", "%s", no_bom.msg);
    if (bad) {
        wr_check_hint(w, r, "take out what the evidence names: programs, scripts, pickles, the mode +x");
        return wr_check_says(w, r, WR_CHECK_FAIL, "%zu files have executable content", bad);
    }
    if (!wr_target_has(&w->t->formats, w->report->platform))
        return wr_check_says(w, r, WR_CHECK_FAIL, "format %s is not in the target's list", w->report->platform);
    if (w->registered && bom_rc == WEIR_ECORRUPT)
        return wr_check_says(w, r, WR_CHECK_FAIL, "its files are not what was registered: %s", no_bom.msg);
    if (w->registered) wr_check_hint(w, r, "weir model sign %.100s --key FILE", wr_feasibility_called(w));
    else if (w->path)
        wr_check_hint(w, r, "weir model sign %s%.100s --key FILE, and registry: {trust: [FILE.pub]} of weir.yaml",
                      strchr(w->path, '/') ? "" : "./", w->path);
    if (w->t->signature && signed_rc < 0)
        return wr_check_says(w, r, WR_CHECK_FAIL, "a signature is required: %s", no_signature.msg);
    if (w->t->bom && bom_rc < 0)
        return wr_check_says(w, r, WR_CHECK_FAIL, "a bill of materials is required: %s",
                             w->registered ? no_bom.msg : "of a registered version");
    if (signed_rc < 0) return wr_check_says(w, r, WR_CHECK_WARN, "declarative, digest known; %s", no_signature.msg);
    return wr_check_says(w, r, WR_CHECK_PASS, "declarative, digest known, signed by %s", by);
}
