/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - the profile of a place where a model is to run: what is there, what it may take, what it may cost.
 *
 *   name: edge
 *   latency: {p99: 20ms, p50: 5ms, cold_start: 10s}
 *   load: {rps: 50, concurrency: 4, headroom: 2}
 *   memory: {limit: 512MiB, share: 0.7}
 *   licences: [Apache-2.0, MIT]
 *   carbon: {region: DEU}
 *
 * Every key has a default and stands in one list (wr_feasibility_keys): reader, JSON and documentation come from it. A budget of 0 is none,
 * an empty list asks for nothing. Errors are FILE:LINE:COLUMN with did-you-mean. "host" in place of a file is this machine with all defaults.
 * The hash names the profile in reports: SHA-256 of the file as JSON, so comments and layout do not change it; of the host, of what is found.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "codec/json.h"

enum { WR_TARGET_ITEMS = 100 }; /* of one list */

typedef struct {
    const char **at;
    size_t n;
} wr_target_list;

typedef struct {
    const char *name, *file; /* file NULL: this machine */
    char hash[WR_SHA256_HEX];
    int64_t p50_us, p99_us, cold_us;
    double rps, headroom;
    int64_t concurrency;
    uint64_t memory; /* bytes; 0 = what this process may have */
    double memory_share;
    double cpus;
    const char *arch, *isa, *libc, *kernel;
    int64_t nofile;
    wr_target_list libraries, ports, paths;
    int64_t max_age_us;
    double missing, null_change;
    double relative;
    int64_t flips, rows;
    double psi, noise;
    double joules, grams;
    const char *region;
    double embodied_kg, lifetime_years;
    double vcpu_hour, gb_hour, gb_month, gb_egress, budget;
    const char *currency;
    wr_target_list licences, regions, privacy, formats;
    bool signature, bom;
    double joined;
    bool observed;
    const char *replay, *server;
} wr_feasibility_target;

typedef enum { WR_TARGET_TEXT, WR_TARGET_NUMBER, WR_TARGET_COUNT, WR_TARGET_DURATION, WR_TARGET_SIZE, WR_TARGET_FLAG, WR_TARGET_LIST } wr_target_kind;
typedef struct {
    const char *section, *key; /* section "" = at the top */
    wr_target_kind kind;
    size_t at;            /* offset in the struct */
    const char *fallback; /* as it would stand in the file */
    const char *help;
    double lo, hi; /* of a number or count */
} wr_target_key;
extern const wr_target_key wr_feasibility_keys[]; /* section NULL at the end */

/* `text` is a file's content, named `file` in messages. Memory in the arena. WEIR_EPARSE, WEIR_EINVAL, WEIR_ETYPE, WEIR_ELIMIT. */
int wr_feasibility_target_parse(wr_feasibility_target *out, wr_arena *a, wr_str text, const char *file, wr_err *err);
/* A file, or "host". */
int wr_feasibility_target_read(wr_feasibility_target *out, wr_arena *a, const char *path, wr_err *err);
/* All keys with their values, defaults included. */
void wr_feasibility_target_json(wr_jsonw *w, const wr_feasibility_target *t);
/* Is it in the list (any case)? An empty list has everything. */
bool wr_target_has(const wr_target_list *l, const char *text);
