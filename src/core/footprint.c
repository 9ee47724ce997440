/* SPDX-License-Identifier: Apache-2.0 */
/* footprint.c - the ledger's rows in the records database. */
#include "core/footprint.h"

#include <stdio.h>

#include "base/vec.h"

#define COLUMNS                                                                                                        \
    "t0_us, t1_us, stage, activity, run, subject, wall_s, cpu_s, max_rss, read_bytes, write_bytes, units, unit, "      \
    "energy_j, active_j, idle_j, "                                                                                     \
    "gpu_j, rel_uncertainty, tier, source, intensity, intensity_year, region, intensity_source, gco2e, gco2e_lo, "     \
    "gco2e_hi, answered_by"
enum { NCOLUMNS = 28 };

/* One list of places for both directions: a row is read as it was written. */
typedef struct {
    int64_t *i;
    double *d;
    const char **s;
} place;

static void places(place out[NCOLUMNS], wr_footprint *f, int64_t *year, const char **tier, const char **source)
{
    const place all[NCOLUMNS] = {{.i = &f->t0_us},
                                 {.i = &f->t1_us},
                                 {.s = &f->stage},
                                 {.s = &f->activity},
                                 {.s = &f->run_id},
                                 {.s = &f->subject},
                                 {.d = &f->wall_s},
                                 {.d = &f->cpu_s},
                                 {.d = &f->max_rss},
                                 {.d = &f->read_bytes},
                                 {.d = &f->write_bytes},
                                 {.d = &f->units},
                                 {.s = &f->unit},
                                 {.d = &f->energy.energy_j},
                                 {.d = &f->energy.active_j},
                                 {.d = &f->energy.idle_j},
                                 {.d = &f->energy.gpu_j},
                                 {.d = &f->energy.rel_uncertainty},
                                 {.s = tier},
                                 {.s = source},
                                 {.d = &f->intensity},
                                 {.i = year},
                                 {.s = &f->region},
                                 {.s = &f->intensity_source},
                                 {.d = &f->gco2e},
                                 {.d = &f->gco2e_lo},
                                 {.d = &f->gco2e_hi},
                                 {.s = &f->answered_by}};
    memcpy(out, all, sizeof all);
}

static int add_fn(wr_db *db, void *arg, wr_err *err)
{
    wr_footprint *f = arg;
    place at[NCOLUMNS];
    int64_t year = f->intensity_year;
    char tier_text[2] = {f->energy.tier, 0};
    const char *tier = tier_text, *source = f->energy.source;
    wr_stmt *s;
    places(at, f, &year, &tier, &source);
    WR_TRY(wr_db_prepare(
        db, &s, "INSERT INTO footprints (" COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        err));
    for (int i = 0; i < NCOLUMNS; i++) {
        if (at[i].i) wr_bind_i64(s, i + 1, *at[i].i);
        else if (at[i].d) wr_bind_f64(s, i + 1, *at[i].d);
        else wr_bind_cstr(s, i + 1, *at[i].s ? *at[i].s : "");
    }
    int rc = wr_step(s, err);
    wr_stmt_done(s);
    return rc < 0 ? rc : 0;
}

int wr_footprint_add(wr_project *p, wr_footprint *f, wr_err *err)
{
    wr_db *db;
    wr_carbon c;
    WR_TRY(wr_carbon_of(&c, p, err));
    double g = f->energy.energy_j / 3.6e6 * c.pue * c.g_per_kwh, spread = g * f->energy.rel_uncertainty;
    f->intensity = c.g_per_kwh;
    f->intensity_year = c.year;
    f->region = c.region;
    f->intensity_source = c.source;
    f->gco2e = g;
    f->gco2e_lo = g > spread ? g - spread : 0;
    f->gco2e_hi = g + spread;
    WR_TRY(wr_project_db(&db, p, err));
    int rc = wr_db_write(db, add_fn, f, err);
    f->region = f->intensity_source = ""; /* pointed into this frame */
    return rc;
}

static void read_row(wr_footprint *f, wr_arena *a, wr_stmt *s)
{
    place at[NCOLUMNS];
    int64_t year = 0;
    const char *tier = "", *source = "";
    places(at, f, &year, &tier, &source);
    for (int i = 0; i < NCOLUMNS; i++) {
        if (at[i].i) *at[i].i = wr_stmt_i64(s, i);
        else if (at[i].d) *at[i].d = wr_stmt_f64(s, i);
        else *at[i].s = wr_arena_str(a, wr_stmt_str(s, i)).p;
    }
    f->intensity_year = (int)year;
    f->energy.tier = tier ? tier[0] : 'C';
    snprintf(f->energy.source, sizeof f->energy.source, "%s", source ? source : "");
}

int wr_footprint_list(wr_footprint **out, size_t *n, wr_arena *a, wr_project *p, const char *stage, wr_err *err)
{
    wr_db *db;
    wr_stmt *s;
    int rc;
    WR_VEC(wr_footprint) rows = {0};
    WR_TRY(wr_project_db(&db, p, err));
    WR_TRY(wr_db_prepare(db, &s, "SELECT " COLUMNS " FROM footprints WHERE ?1 IS NULL OR stage = ?1 ORDER BY id", err));
    wr_bind_cstr(s, 1, stage);
    while ((rc = wr_step(s, err)) > 0) {
        wr_footprint f = {0};
        read_row(&f, a, s);
        if ((rc = wr_vec_add(&rows, f, err)) < 0) break;
    }
    wr_stmt_done(s);
    return wr_vec_keep(out, n, a, &rows, rc, err);
}
