/* SPDX-License-Identifier: Apache-2.0 */
/* card_energy.c - what a version took: the ledger's rows of the runs that made it, and of the endpoints while they
 * answered with it.
 *
 * A row of serving tells of an endpoint, a stretch of time and what answered then, be it the endpoint's own version or
 * an arm's of its rollout. A row that does not tell (of no predictions, or older) counts for the version that the
 * events "served" name; of a stretch in which that changed, the share of the time counts.
 */
#include <math.h>

#include "base/vec.h"
#include "codec/json.h"
#include "core/card_inside.h"
#include "core/event.h"
#include "core/footprint.h"

enum { ACTIVITIES = 9, EVENTS_MAX = 1000000 };
static const char ENDPOINT[] = "endpoint:", INFERENCE[] = "inference";

static int room(wr_card *c, wr_arena *a, wr_err *err)
{
    if (!c->energy) c->energy = wr_arena_calloc(a, ACTIVITIES, sizeof *c->energy);
    return c->energy ? 0 : wr_err_nomem(err);
}

static wr_card_energy *energy_of(wr_card *c, const char *activity)
{
    for (size_t i = 0; i < c->nenergy; i++)
        if (strcmp(c->energy[i].activity, activity) == 0) return &c->energy[i];
    c->energy[c->nenergy] = (wr_card_energy){.activity = activity, .tier = 'A'};
    return &c->energy[c->nenergy++];
}

/* `share` of the row. */
static void add_energy(wr_card_energy *e, const wr_footprint *f, double share)
{
    double joules = share * f->energy.energy_j, spread = joules * f->energy.rel_uncertainty;
    e->runs++;
    e->wall_s += share * f->wall_s;
    e->energy_j += joules;
    e->lo_j += joules - spread;
    e->hi_j += joules + spread;
    e->gco2e += share * f->gco2e;
    e->gco2e_lo += share * f->gco2e_lo;
    e->gco2e_hi += share * f->gco2e_hi;
    if (f->energy.tier > e->tier) e->tier = f->energy.tier;
    if (e->source && joules <= e->largest_j) return;
    e->largest_j = joules;
    e->source = f->energy.source;
    e->region = f->region;
    e->grid = f->intensity_source;
    e->g_per_kwh = f->intensity;
    e->year = f->intensity_year;
}

/* ---- the runs that made it ---- */

static bool counts(const wr_footprint *f, const wr_lineage_step *steps, size_t n, const char *run)
{
    if (!f->run_id || !f->run_id[0]) return false;
    if (run && strcmp(run, f->run_id) == 0) return true;
    for (size_t i = 0; i < n; i++)
        if (strcmp(steps[i].node.kind, "run") == 0 && strcmp(steps[i].node.name, f->run_id) == 0) return true;
    return false;
}

static const char *activity_of(const char *said)
{
    static const char *const known[] = {"design",      "data-collection", "data-preparation", "training",
                                        "fine-tuning", "validation",      "deployment",       "inference"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(said, known[i]) == 0) return known[i];
    return "other";
}

int wr_card_energy_of_runs(wr_card *c, wr_arena *a, wr_project *p, const wr_lineage_step *steps, size_t nsteps,
                           const char *run, wr_err *err)
{
    wr_footprint *rows;
    size_t n;
    WR_TRY(room(c, a, err));
    WR_TRY(wr_footprint_list(&rows, &n, a, p, NULL, err));
    for (size_t i = 0; i < n; i++)
        if (counts(&rows[i], steps, nsteps, run)) add_energy(energy_of(c, activity_of(rows[i].activity)), &rows[i], 1);
    return 0;
}

/* ---- serving it ---- */

typedef struct {
    const char *endpoint;
    int64_t from_us, until_us; /* INT64_MAX: still */
    bool ours;
} stretch;
typedef WR_VEC(stretch) stretches;

static bool names_it(const char *payload, const char *model, int64_t version)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str name;
    int64_t number;
    wr_err none;
    return wr_json_parse(&j, wr_str_of(payload), "event", &none) == 0 &&
           wr_json_str(&name, j.root, "model", &none) == 0 && wr_json_i64(&number, j.root, "version", &none) == 0 &&
           wr_str_is(name, model) && number == version;
}

/* The endpoint answers with it from now on, or with another. */
static int note(stretches *all, const char *endpoint, int64_t at_us, bool ours, wr_err *err)
{
    stretch *last = NULL;
    for (size_t i = all->n; !last && i-- > 0;)
        if (strcmp(all->at[i].endpoint, endpoint) == 0) last = &all->at[i];
    if (last && last->ours == ours) return 0;
    if (last) last->until_us = at_us;
    stretch fresh = {endpoint, at_us, INT64_MAX, ours};
    return wr_vec_add(all, fresh, err);
}

static int read_stretches(stretches *all, wr_arena *a, wr_project *p, const char *model, int64_t version, wr_err *err)
{
    wr_event *e;
    size_t n;
    WR_TRY(wr_event_list(&e, &n, a, p, 0, "served", EVENTS_MAX, err));
    for (size_t i = 0; i < n; i++)
        if (wr_str_starts(wr_str_of(e[i].subject), ENDPOINT))
            WR_TRY(note(all, e[i].subject + sizeof ENDPOINT - 1, e[i].time_us, names_it(e[i].payload, model, version),
                        err));
    return 0;
}

static double share_of(const stretches *all, const wr_footprint *f, const char *version)
{
    if (f->answered_by && f->answered_by[0]) return strcmp(f->answered_by, version) == 0;
    double covered = 0, known = 0; /* what is before the endpoint's first version was nobody's */
    for (size_t i = 0; i < all->n; i++) {
        const stretch *s = &all->at[i];
        if (strcmp(s->endpoint, f->subject + sizeof ENDPOINT - 1) != 0) continue;
        int64_t from = s->from_us > f->t0_us ? s->from_us : f->t0_us,
                until = s->until_us < f->t1_us ? s->until_us : f->t1_us;
        if (until <= from) continue;
        known += (double)(until - from);
        if (s->ours) covered += (double)(until - from);
    }
    return known > 0 ? covered / known : 0;
}

static int add_serving(wr_card *c, wr_arena *a, wr_project *p, const stretches *all, wr_err *err)
{
    wr_footprint *rows;
    size_t n;
    const char *version = wr_arena_printf(a, "model:%s@%lld", c->model, (long long)c->version);
    if (!version) return wr_err_nomem(err);
    WR_TRY(wr_footprint_list(&rows, &n, a, p, "serve", err));
    for (size_t i = 0; i < n; i++) {
        const wr_footprint *f = &rows[i];
        if (strcmp(f->unit, "predictions") != 0 || !wr_str_starts(wr_str_of(f->subject), ENDPOINT)) continue;
        double share = share_of(all, f, version);
        if (!(share > 0)) continue;
        wr_card_energy *e = energy_of(c, INFERENCE);
        add_energy(e, f, share);
        e->units += round(share * f->units);
    }
    return 0;
}

int wr_card_read_serving(wr_card *c, wr_arena *a, wr_project *p, wr_err *err)
{
    stretches all = {0};
    if (!c->version) return 0; /* a candidate is not served */
    int rc = room(c, a, err);
    if (rc == 0) rc = read_stretches(&all, a, p, c->model, c->version, err);
    if (rc == 0) rc = add_serving(c, a, p, &all, err);
    wr_vec_fini(&all);
    return rc;
}

/* ---- all of it ---- */

void wr_card_sum_energy(wr_card_energy *total, const wr_card *c)
{
    double largest = -1;
    *total = (wr_card_energy){.activity = "all of making it", .tier = 'A'};
    for (size_t i = 0; i < c->nenergy; i++) {
        const wr_card_energy *e = &c->energy[i];
        if (strcmp(e->activity, INFERENCE) == 0) continue;
        total->runs += e->runs;
        total->wall_s += e->wall_s;
        total->energy_j += e->energy_j;
        total->lo_j += e->lo_j;
        total->hi_j += e->hi_j;
        total->gco2e += e->gco2e;
        total->gco2e_lo += e->gco2e_lo;
        total->gco2e_hi += e->gco2e_hi;
        if (e->tier > total->tier) total->tier = e->tier;
        if (e->energy_j <= largest) continue;
        largest = e->energy_j;
        total->source = e->source;
        total->region = e->region;
        total->grid = e->grid;
        total->g_per_kwh = e->g_per_kwh;
        total->year = e->year;
    }
}
