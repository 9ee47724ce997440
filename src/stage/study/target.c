/* SPDX-License-Identifier: Apache-2.0 */
/* target.c - reading a target profile; the list of its keys. */
#include "stage/study/target.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/limits.h"
#include "base/num.h"
#include "base/os.h"
#include "codec/yaml.h"
#include "core/feasibility.h"
#include "io/file.h"

#define AT(field) offsetof(wr_feasibility_target, field)

const wr_target_key wr_feasibility_keys[] = {
    {"", "name", WR_TARGET_TEXT, AT(name), "", "what it is called", 0, 0},
    {"latency", "p50", WR_TARGET_DURATION, AT(p50_us), "0s", "half of the answers come within; 0 = no budget", 0, 0},
    {"latency", "p99", WR_TARGET_DURATION, AT(p99_us), "50ms", "99 of 100 come within", 0, 0},
    {"latency", "cold_start", WR_TARGET_DURATION, AT(cold_us), "10s", "from the file to the first answer", 0, 0},
    {"load", "rps", WR_TARGET_NUMBER, AT(rps), "10", "requests a second that are expected", 0, 1e9},
    {"load", "concurrency", WR_TARGET_COUNT, AT(concurrency), "4", "requests at the same time", 1, 256},
    {"load", "headroom", WR_TARGET_NUMBER, AT(headroom), "2", "what it can do, over rps", 1, 1000},
    {"memory", "limit", WR_TARGET_SIZE, AT(memory), "0", "of the process; 0 = the control group's, or the machine's", 0,
     0},
    {"memory", "share", WR_TARGET_NUMBER, AT(memory_share), "0.7", "of the limit that may be used", 0.01, 1},
    {"host", "cpus", WR_TARGET_NUMBER, AT(cpus), "0", "processors; 0 = as many as here", 0, 65536},
    {"host", "arch", WR_TARGET_TEXT, AT(arch), "", "x86_64, aarch64; empty = as here", 0, 0},
    {"host", "isa", WR_TARGET_TEXT, AT(isa), "", "level: x86-64-v1 to x86-64-v4; empty = as here", 0, 0},
    {"host", "libc", WR_TARGET_TEXT, AT(libc), "", "at least, such as 2.31", 0, 0},
    {"host", "kernel", WR_TARGET_TEXT, AT(kernel), "4.19", "at least", 0, 0},
    {"host", "nofile", WR_TARGET_COUNT, AT(nofile), "1024", "open files, at least", 0, 1e9},
    {"host", "libraries", WR_TARGET_LIST, AT(libraries), "", "that must be loadable, such as libonnxruntime.so", 0, 0},
    {"host", "ports", WR_TARGET_LIST, AT(ports), "", "that must be free", 0, 0},
    {"host", "writable", WR_TARGET_LIST, AT(paths), "", "folders that must be writable", 0, 0},
    {"features", "max_age", WR_TARGET_DURATION, AT(max_age_us), "0s", "of the newest event of a view; 0 = any", 0, 0},
    {"features", "missing", WR_TARGET_NUMBER, AT(missing), "0", "inputs that nothing fills, at most", 0, 10000},
    {"features", "null_change", WR_TARGET_NUMBER, AT(null_change), "0.01", "of a feature's share of nulls", 0, 1},
    {"parity", "relative", WR_TARGET_NUMBER, AT(relative), "1e-6", "between two ways to one answer", 0, 1},
    {"parity", "flips", WR_TARGET_COUNT, AT(flips), "0", "rows of another class", 0, 1e9},
    {"parity", "rows", WR_TARGET_COUNT, AT(rows), "200", "that are compared", 1, 100000},
    {"drift", "psi", WR_TARGET_NUMBER, AT(psi), "0.2", "of each feature, below", 0, 1000},
    {"behaviour", "noise", WR_TARGET_NUMBER, AT(noise), "0.2",
     "share of rows whose class may change with noise of 1 %; 1 = any", 0, 1},
    {"energy", "joules", WR_TARGET_NUMBER, AT(joules), "0", "for 1,000 predictions; 0 = no budget", 0, 1e12},
    {"energy", "grams", WR_TARGET_NUMBER, AT(grams), "0", "CO2e for 1,000 predictions; 0 = no budget", 0, 1e12},
    {"carbon", "region", WR_TARGET_TEXT, AT(region), "WORLD", "as in weir.yaml: DEU, aws:eu-west-1", 0, 0},
    {"carbon", "embodied", WR_TARGET_NUMBER, AT(embodied_kg), "1300", "kg CO2e of making the server", 0, 1e9},
    {"carbon", "lifetime", WR_TARGET_NUMBER, AT(lifetime_years), "4", "years that it is used", 0.1, 100},
    {"price", "vcpu_hour", WR_TARGET_NUMBER, AT(vcpu_hour), "0", "of a processor", 0, 1e9},
    {"price", "gb_hour", WR_TARGET_NUMBER, AT(gb_hour), "0", "of a GB of memory", 0, 1e9},
    {"price", "gb_month", WR_TARGET_NUMBER, AT(gb_month), "0", "of a GB that is kept", 0, 1e9},
    {"price", "gb_egress", WR_TARGET_NUMBER, AT(gb_egress), "0", "of a GB that leaves", 0, 1e9},
    {"price", "budget", WR_TARGET_NUMBER, AT(budget), "0", "a month; 0 = none", 0, 1e12},
    {"price", "currency", WR_TARGET_TEXT, AT(currency), "EUR", "for people", 0, 0},
    {"", "licences", WR_TARGET_LIST, AT(licences), "", "SPDX identifiers that are allowed; empty = any that is stated",
     0, 0},
    {"residency", "regions", WR_TARGET_LIST, AT(regions), "", "where data may come from; empty = anywhere", 0, 0},
    {"residency", "privacy", WR_TARGET_LIST, AT(privacy), "",
     "classes that may come, such as none, pseudonymous; empty = any", 0, 0},
    {"artefact", "formats", WR_TARGET_LIST, AT(formats), "", "platforms that are allowed; empty = all of Weir's", 0, 0},
    {"artefact", "signature", WR_TARGET_FLAG, AT(signature), "false", "a trusted one is required", 0, 0},
    {"artefact", "bom", WR_TARGET_FLAG, AT(bom), "false", "a bill of materials with known files is required", 0, 0},
    {"observability", "joined", WR_TARGET_NUMBER, AT(joined), "0.5", "share of predictions that get a label", 0, 1},
    {"observability", "required", WR_TARGET_FLAG, AT(observed), "false", "what warns of it is a failure", 0, 0},
    {"", "replay", WR_TARGET_TEXT, AT(replay), "", "endpoint whose logged predictions are the rows", 0, 0},
    {"", "server", WR_TARGET_TEXT, AT(server), "", "URL of a server that has the model, for latency over HTTP", 0, 0},
    {NULL, NULL, 0, 0, NULL, NULL, 0, 0},
};

enum { SECTIONS = 16, KEYS = 64 };

static void *field(wr_feasibility_target *t, const wr_target_key *k) { return (char *)t + k->at; }

/* ---- one value ---- */

static const char *wanted(wr_target_kind k)
{
    static const char *const words[] = {
        "a text",        "a number", "a whole number", "a duration such as 20ms", "a size such as 512MiB",
        "true or false", "a list"};
    return words[k];
}

static int set(wr_feasibility_target *t, wr_arena *a, const wr_target_key *k, wr_str text)
{
    void *to = field(t, k);
    int rc = 0;
    switch (k->kind) {
    case WR_TARGET_TEXT:
        *(const char **)to = wr_arena_strndup(a, text.p, text.n);
        return *(const char **)to ? 0 : WEIR_ENOMEM;
    case WR_TARGET_NUMBER:
        rc = wr_num_f64(to, text, NULL);
        return rc == 0 && !(*(double *)to >= k->lo && *(double *)to <= k->hi) ? WEIR_ELIMIT : rc;
    case WR_TARGET_COUNT:
        rc = wr_num_i64(to, text, NULL);
        return rc == 0 && !((double)*(int64_t *)to >= k->lo && (double)*(int64_t *)to <= k->hi) ? WEIR_ELIMIT : rc;
    case WR_TARGET_DURATION:
        rc = wr_num_duration_us(to, text, NULL);
        return rc == 0 && *(int64_t *)to < 0 ? WEIR_EINVAL : rc;
    case WR_TARGET_SIZE:
        return wr_num_size(to, text, NULL);
    case WR_TARGET_FLAG:
        *(bool *)to = wr_str_is(text, "true");
        return *(bool *)to || wr_str_is(text, "false") ? 0 : WEIR_ETYPE;
    case WR_TARGET_LIST:
        *(wr_target_list *)to = (wr_target_list){0};
        return 0;
    }
    return WEIR_EINTERNAL;
}

static int read_list(wr_feasibility_target *t, wr_arena *a, const wr_target_key *k, const wr_yaml *n, wr_err *err)
{
    wr_target_list *l = field(t, k);
    const wr_yaml *const *items = (const wr_yaml *const *)n->items, *alone[] = {n};
    size_t count = n->kind == WR_YAML_SEQ ? n->n : 1;
    if (n->kind == WR_YAML_MAP) return wr_yaml_error(n, WEIR_ETYPE, err, "%s is a list", k->key);
    if (n->kind == WR_YAML_SCALAR) items = alone;
    if (count > WR_TARGET_ITEMS)
        return wr_yaml_error(n, WEIR_ELIMIT, err, "%s has more than %d items", k->key, WR_TARGET_ITEMS);
    l->at = wr_arena_calloc(a, count + 1, sizeof *l->at);
    if (!l->at) return wr_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        if (items[i]->kind != WR_YAML_SCALAR || !items[i]->text.n)
            return wr_yaml_error(items[i], WEIR_ETYPE, err, "an item of %s is a text", k->key);
        l->at[l->n++] = items[i]->text.p;
    }
    return 0;
}

static int read_key(wr_feasibility_target *t, wr_arena *a, const wr_target_key *k, const wr_yaml *map, wr_err *err)
{
    const wr_yaml *n = wr_yaml_get(map, k->key);
    if (wr_yaml_null(n)) return 0;
    if (k->kind == WR_TARGET_LIST) return read_list(t, a, k, n, err);
    if (n->kind != WR_YAML_SCALAR) return wr_yaml_error(n, WEIR_ETYPE, err, "%s is %s", k->key, wanted(k->kind));
    int rc = set(t, a, k, n->text);
    if (rc == WEIR_ENOMEM) return wr_err_nomem(err);
    if (rc == WEIR_ELIMIT && k->kind != WR_TARGET_SIZE)
        return wr_yaml_error(n, WEIR_EINVAL, err, "%s is between %g and %g, not %s", k->key, k->lo, k->hi, n->text.p);
    if (rc < 0)
        return wr_yaml_error(n, WEIR_ETYPE, err, "%s is %s, not \"%.*s\"", k->key, wanted(k->kind),
                             WR_STR_FMT(wr_str_fit(n->text, 60)));
    return 0;
}

/* ---- the file ---- */

static int check_section(const wr_yaml *map, const char *section, wr_err *err)
{
    const char *known[KEYS];
    size_t n = 0;
    for (const wr_target_key *k = wr_feasibility_keys; k->section; k++)
        if (strcmp(k->section, section) == 0) known[n++] = k->key;
    for (const wr_target_key *k = wr_feasibility_keys; !*section && k->section; k++) {
        bool seen = !*k->section;
        for (const wr_target_key *o = wr_feasibility_keys; !seen && o < k; o++)
            seen = strcmp(o->section, k->section) == 0;
        if (!seen) known[n++] = k->section;
    }
    known[n] = NULL;
    return wr_yaml_known(map, *section ? section : "a target", known, err);
}

static int read_all(wr_feasibility_target *t, wr_arena *a, const wr_yaml *root, wr_err *err)
{
    if (root->kind != WR_YAML_MAP) return wr_yaml_error(root, WEIR_ETYPE, err, "a target is a map");
    WR_TRY(check_section(root, "", err));
    for (const wr_target_key *k = wr_feasibility_keys; k->section; k++) {
        const wr_yaml *map = *k->section ? wr_yaml_get(root, k->section) : root;
        if (wr_yaml_null(map)) continue;
        if (map->kind != WR_YAML_MAP) return wr_yaml_error(map, WEIR_ETYPE, err, "%s is a map", k->section);
        WR_TRY(check_section(map, k->section, err));
        WR_TRY(read_key(t, a, k, map, err));
    }
    return 0;
}

static int defaults(wr_feasibility_target *t, wr_arena *a, wr_err *err)
{
    *t = (wr_feasibility_target){0};
    for (const wr_target_key *k = wr_feasibility_keys; k->section; k++) {
        int rc = set(t, a, k, wr_str_of(k->fallback));
        if (rc < 0)
            return rc == WEIR_ENOMEM ? wr_err_nomem(err) : wr_err_set(err, WEIR_EINTERNAL, "default of %s", k->key);
    }
    return 0;
}

int wr_feasibility_target_parse(wr_feasibility_target *out, wr_arena *a, wr_str text, const char *file, wr_err *err)
{
    wr_yaml *root;
    WR_TRY(defaults(out, a, err));
    WR_TRY(wr_yaml_parse(&root, a, text, file, err));
    WR_TRY(read_all(out, a, root, err));
    WR_TRY(wr_feasibility_hash(out->hash, root, err));
    out->file = wr_arena_strdup(a, file);
    if (!*out->name) out->name = wr_arena_strdup(a, wr_path_base(file));
    return out->file && out->name ? 0 : wr_err_nomem(err);
}

static int host(wr_feasibility_target *out, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    struct utsname u;
    WR_TRY(defaults(out, a, err));
    out->name = "host";
    wr_buf_printf(&b, "host %s %d cpus %llu bytes ", wr_os_hostname(), wr_os_cpus(),
                  (unsigned long long)wr_os_memory());
    if (uname(&u) == 0) wr_buf_printf(&b, "%s", u.machine);
    if (b.failed) return wr_err_nomem(err);
    wr_sha256_of(wr_buf_cstr(&b), b.n, out->hash);
    return 0;
}

int wr_feasibility_target_read(wr_feasibility_target *out, wr_arena *a, const char *path, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, WR_LIMIT_FILE_CONFIG + 1);
    if (strcmp(path, "host") == 0) return host(out, a, err);
    int rc = wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err);
    if (rc == WEIR_ENOTFOUND)
        return wr_err_hint(err, rc, "--target FILE is a profile of where the model is to run; host is this machine");
    if (rc < 0) return rc;
    return wr_feasibility_target_parse(out, a, wr_buf_view(&text), path, err);
}

/* ---- telling it ---- */

static void put_value(wr_jsonw *w, const wr_feasibility_target *t, const wr_target_key *k)
{
    const void *from = (const char *)t + k->at;
    const wr_target_list *l = from;
    wr_jsonw_key(w, k->key);
    switch (k->kind) {
    case WR_TARGET_TEXT:
        wr_jsonw_cstr(w, *(const char *const *)from);
        return;
    case WR_TARGET_NUMBER:
        wr_jsonw_f64(w, *(const double *)from);
        return;
    case WR_TARGET_DURATION: /* seconds */
        wr_jsonw_f64(w, (double)*(const int64_t *)from / 1e6);
        return;
    case WR_TARGET_COUNT:
        wr_jsonw_i64(w, *(const int64_t *)from);
        return;
    case WR_TARGET_SIZE:
        wr_jsonw_u64(w, *(const uint64_t *)from);
        return;
    case WR_TARGET_FLAG:
        wr_jsonw_bool(w, *(const bool *)from);
        return;
    case WR_TARGET_LIST:
        wr_jsonw_arr(w);
        for (size_t i = 0; i < l->n; i++) wr_jsonw_cstr(w, l->at[i]);
        wr_jsonw_end(w);
    }
}

void wr_feasibility_target_json(wr_jsonw *w, const wr_feasibility_target *t)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "file", t->file);
    wr_jsonw_kstr(w, "sha256", t->hash);
    for (const wr_target_key *k = wr_feasibility_keys; k->section; k++)
        if (!*k->section) put_value(w, t, k);
    for (const wr_target_key *k = wr_feasibility_keys; k->section; k++) {
        bool first = true;
        for (const wr_target_key *o = wr_feasibility_keys; o < k; o++) first &= strcmp(o->section, k->section) != 0;
        if (!*k->section || !first) continue;
        wr_jsonw_key(w, k->section);
        wr_jsonw_obj(w);
        for (const wr_target_key *o = k; o->section; o++)
            if (strcmp(o->section, k->section) == 0) put_value(w, t, o);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
}

bool wr_target_has(const wr_target_list *l, const char *text)
{
    if (!l->n) return true;
    for (size_t i = 0; i < l->n; i++)
        if (strcasecmp(l->at[i], text) == 0) return true;
    return false;
}
