/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - which arm answered which prediction, over a restart.
 *
 * LOG/arms/ENDPOINT is written at every drain, before its segments go, and when the server ends: "WEIRARMS", u32
 * version 1, u32 0, u64 tag, i64 when the rollout began, u64 XXH3 of the rest, the rest: the table's bytes
 * (reward_map.h). Every decision of segments up to the tag is in it. A start reads it (unless it is of another rollout)
 * and then the segments above the tag: decisions are remembered, rewards are taken; one that was received after the
 * rewards of the kept state were read is earned again. So a killed server loses no reward that was acknowledged but one
 * that was between its commit and its arm in the moment of the last saving. Rewards of an arm as such are not in the
 * log: after a crash the last seconds of them are forgotten. */
#include <math.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "io/file.h"
#include "stage/rollout/rollout_inside.h"

static const char magic[8] = {'W', 'E', 'I', 'R', 'A', 'R', 'M', 'S'};
enum { VERSION = 1, FILE_MAX = 8 << 20 };

typedef struct {
    char magic[8];
    uint32_t version, none;
    uint64_t tag;
    int64_t started_us;
    uint64_t check;
} head;

bool wr_rollout_explores(const wr_rollout *r)
{
    return r->spec.mode == WR_ROLLOUT_SPLIT || r->spec.mode == WR_ROLLOUT_BANDIT;
}

static char *path_of(wr_arena *a, const wr_serve *s, const wr_rollout *r)
{
    return wr_arena_printf(a, "%s/arms/%s", s->log_dir, r->endpoint->name);
}

/* ---- saving ---- */

/* The table before the totals: a reward that comes in between is in the totals, and the log shows it as not taken. */
static int save(wr_serve *s, wr_rollout *r, uint64_t tag, wr_arena *a, wr_err *err)
{
    WR_AUTOBUF wr_buf b = {0};
    head h = {.version = VERSION, .tag = tag, .started_us = r->started_us};
    const char *path = path_of(a, s, r), *dir = path ? wr_path_dir(a, path) : NULL;
    if (!dir) return wr_err_nomem(err);
    memcpy(h.magic, magic, sizeof h.magic);
    wr_buf_init(&b, FILE_MAX);
    wr_buf_add(&b, &h, sizeof h);
    wr_reward_map_save(&b, r->rewards);
    if (b.failed) return wr_err_nomem(err);
    h.check = wr_hash64(b.p + sizeof h, b.n - sizeof h, 0);
    memcpy(b.p, &h, sizeof h);
    for (size_t i = 0; i < r->spec.narms; i++) wr_rollout_totals(&r->arms[i].now, r, i);
    WR_TRY(wr_rollout_save(s, r, err));
    WR_TRY(wr_file_mkdirs(dir, err));
    return wr_file_write(path, wr_buf_view(&b), err);
}

int wr_rollout_memory_save(wr_serve *s, wr_rollout *r, uint64_t tag, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    pthread_mutex_lock(&r->judge);
    int rc = save(s, r, tag, a, err);
    pthread_mutex_unlock(&r->judge);
    return rc < 0 ? wr_err_wrap(err, rc, "which arm answered what at endpoint \"%s\"", r->endpoint->name) : 0;
}

int wr_rollouts_memory_save(wr_serve *s, uint64_t tag, wr_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < s->nendpoints && rc == 0; i++) {
        wr_rollout *r = wr_rollout_hold(&s->endpoints[i]);
        if (r && wr_rollout_explores(r)) rc = wr_rollout_memory_save(s, r, tag, err);
        wr_rollout_drop(r);
    }
    return rc;
}

/* ---- loading ---- */

/* What cannot be used is passed over: rewards of what it knew are unknown then, which is said. */
static uint64_t load_file(wr_serve *s, wr_rollout *r, const char *path)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_err why;
    head h;
    (void)s;
    if (!wr_file_exists(path)) return 0;
    bool good = wr_file_read(&b, path, FILE_MAX, &why) == 0 && b.n > sizeof h;
    if (good) memcpy(&h, b.p, sizeof h);
    wr_str rest = good ? wr_str_sub(wr_buf_view(&b), sizeof h, b.n) : (wr_str){NULL, 0};
    good = good && memcmp(h.magic, magic, sizeof h.magic) == 0 && h.version == VERSION;
    if (good && h.started_us != r->started_us) return 0; /* of the rollout before */
    if (good && h.check == wr_hash64(rest.p, rest.n, 0) && wr_reward_map_load(r->rewards, rest)) return h.tag;
    wr_warn("\"%s\" cannot be used: rewards of predictions that were drained find no arm", path);
    return 0;
}

typedef struct {
    wr_rollout *r;
    size_t decisions, rewards;
} replay;

static void replay_decision(replay *p, wr_str payload)
{
    wr_predlog_decision d;
    wr_rollout *r = p->r;
    if (wr_predlog_get_decision(&d, payload, NULL) < 0 || !wr_str_is(d.endpoint, r->endpoint->name) ||
        d.decided_us < r->started_us || !wr_str_eq(d.arm, d.answered))
        return;
    for (size_t i = 0; i < r->spec.narms; i++) {
        if (!wr_str_is(d.arm, r->spec.arms[i].name)) continue;
        wr_reward_map_put(r->rewards, d.id, (unsigned)i, d.propensity, d.decided_us / WR_US);
        p->decisions++;
    }
}

static void replay_reward(replay *p, wr_str payload)
{
    wr_predlog_feedback f;
    wr_rollout *r = p->r;
    unsigned arm;
    double propensity;
    if (wr_predlog_get_feedback(&f, payload, NULL) < 0 || !f.reward || f.text.p || !isfinite(f.value) ||
        !wr_str_is(f.endpoint, r->endpoint->name))
        return;
    if (wr_reward_map_take(&arm, &propensity, r->rewards, f.id, f.received_us / WR_US) != 1 || arm >= r->spec.narms)
        return;
    wr_rollout_earn(r, arm, propensity, f.value, f.received_us);
    p->rewards++;
}

static int replay_record(void *ctx, uint32_t type, wr_str payload)
{
    if (type == WR_PREDLOG_DECISION) replay_decision(ctx, payload);
    if (type == WR_PREDLOG_FEEDBACK) replay_reward(ctx, payload);
    return 0;
}

int wr_rollout_memory_load(wr_serve *s, wr_rollout *r, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    replay p = {.r = r};
    uint64_t *segments;
    size_t n;
    if (!wr_rollout_explores(r)) return 0;
    const char *path = a ? path_of(a, s, r) : NULL;
    if (!path) return wr_err_nomem(err);
    uint64_t tag = load_file(s, r, path);
    WR_TRY(wr_applog_list(&segments, &n, a, s->log_dir, err));
    for (size_t i = 0; i < n; i++)
        if (segments[i] > tag) WR_TRY(wr_applog_read(s->log_dir, segments[i], replay_record, &p, err));
    if (p.rewards) r->dirty = true;
    return 0;
}
