/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - tables of the records database. Times are microseconds since 1970 UTC; JSON is kept as text. */
#include "core/schema.h"

static const char records[] =
    "CREATE TABLE runs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL,"
    "  status TEXT NOT NULL, error TEXT, code TEXT NOT NULL, host TEXT NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER) WITHOUT ROWID;"
    "CREATE INDEX runs_started ON runs (started_us);"
    "CREATE TABLE run_params (run TEXT NOT NULL REFERENCES runs(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;"
    "CREATE TABLE run_metrics (run TEXT NOT NULL REFERENCES runs(id), key TEXT NOT NULL, value REAL, PRIMARY KEY (run, key)) WITHOUT ROWID;"
    "CREATE TABLE nodes (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, version INTEGER NOT NULL,"
    "  detail TEXT, created_us INTEGER NOT NULL, UNIQUE (kind, name, hash, version));"
    "CREATE INDEX nodes_hash ON nodes (hash);"
    "CREATE TABLE edges (child INTEGER NOT NULL REFERENCES nodes(id), parent INTEGER NOT NULL REFERENCES nodes(id), run TEXT NOT NULL,"
    "  PRIMARY KEY (child, parent, run)) WITHOUT ROWID;"
    "CREATE INDEX edges_parent ON edges (parent);"
    "CREATE TABLE packages (id INTEGER PRIMARY KEY, model TEXT NOT NULL, package TEXT NOT NULL, run TEXT NOT NULL, created_us INTEGER NOT NULL);"
    "CREATE INDEX packages_model ON packages (model, id);"
    "CREATE TABLE model_versions (model TEXT NOT NULL, version INTEGER NOT NULL, package TEXT NOT NULL, run TEXT NOT NULL,"
    "  created_us INTEGER NOT NULL, PRIMARY KEY (model, version)) WITHOUT ROWID;"
    "CREATE TABLE model_aliases (model TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, moved_us INTEGER NOT NULL,"
    "  PRIMARY KEY (model, alias), FOREIGN KEY (model, version) REFERENCES model_versions(model, version)) WITHOUT ROWID;"
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL);"
    "CREATE TABLE event_acks (consumer TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE footprints (id INTEGER PRIMARY KEY, t0_us INTEGER NOT NULL, t1_us INTEGER NOT NULL, stage TEXT NOT NULL, activity TEXT NOT NULL,"
    "  run TEXT NOT NULL, subject TEXT NOT NULL, wall_s REAL, cpu_s REAL, max_rss REAL, read_bytes REAL, write_bytes REAL, units REAL, unit TEXT NOT NULL,"
    "  energy_j REAL, active_j REAL, idle_j REAL, gpu_j REAL, rel_uncertainty REAL, tier TEXT NOT NULL, source TEXT NOT NULL,"
    "  intensity REAL, intensity_year INTEGER, region TEXT NOT NULL, intensity_source TEXT NOT NULL, gco2e REAL, gco2e_lo REAL, gco2e_hi REAL);"
    "CREATE INDEX footprints_stage ON footprints (stage);";

const char *const wr_schema_migrations[] = {records};
const int wr_schema_count = sizeof wr_schema_migrations / sizeof *wr_schema_migrations;
