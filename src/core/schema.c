/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - tables of the records database. Times are microseconds since 1970 UTC; JSON is kept as text. */
#include "core/schema.h"
#include "core/rollout.h"
#include "store/artifacts.h"
#include "track/schema.h"

static const char records[] =
    "CREATE TABLE runs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL,"
    "  status TEXT NOT NULL, error TEXT, code TEXT NOT NULL, host TEXT NOT NULL, started_us INTEGER NOT NULL, ended_us "
    "INTEGER) WITHOUT ROWID;"
    "CREATE INDEX runs_started ON runs (started_us);"
    "CREATE TABLE run_params (run TEXT NOT NULL REFERENCES runs(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY "
    "KEY (run, key)) WITHOUT ROWID;"
    "CREATE TABLE run_metrics (run TEXT NOT NULL REFERENCES runs(id), key TEXT NOT NULL, value REAL, PRIMARY KEY (run, "
    "key)) WITHOUT ROWID;"
    "CREATE TABLE nodes (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, version "
    "INTEGER NOT NULL,"
    "  detail TEXT, created_us INTEGER NOT NULL, UNIQUE (kind, name, hash, version));"
    "CREATE INDEX nodes_hash ON nodes (hash);"
    "CREATE TABLE edges (child INTEGER NOT NULL REFERENCES nodes(id), parent INTEGER NOT NULL REFERENCES nodes(id), "
    "run TEXT NOT NULL,"
    "  PRIMARY KEY (child, parent, run)) WITHOUT ROWID;"
    "CREATE INDEX edges_parent ON edges (parent);"
    "CREATE TABLE packages (id INTEGER PRIMARY KEY, model TEXT NOT NULL, package TEXT NOT NULL, run TEXT NOT NULL, "
    "created_us INTEGER NOT NULL);"
    "CREATE INDEX packages_model ON packages (model, id);"
    "CREATE TABLE model_versions (model TEXT NOT NULL, version INTEGER NOT NULL, package TEXT NOT NULL, run TEXT NOT "
    "NULL,"
    "  created_us INTEGER NOT NULL, PRIMARY KEY (model, version)) WITHOUT ROWID;"
    "CREATE TABLE model_aliases (model TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, moved_us INTEGER "
    "NOT NULL,"
    "  PRIMARY KEY (model, alias), FOREIGN KEY (model, version) REFERENCES model_versions(model, version)) WITHOUT "
    "ROWID;"
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, kind TEXT NOT NULL, subject "
    "TEXT NOT NULL, payload TEXT NOT NULL);"
    "CREATE TABLE event_acks (consumer TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE footprints (id INTEGER PRIMARY KEY, t0_us INTEGER NOT NULL, t1_us INTEGER NOT NULL, stage TEXT NOT "
    "NULL, activity TEXT NOT NULL,"
    "  run TEXT NOT NULL, subject TEXT NOT NULL, wall_s REAL, cpu_s REAL, max_rss REAL, read_bytes REAL, write_bytes "
    "REAL, units REAL, unit TEXT NOT NULL,"
    "  energy_j REAL, active_j REAL, idle_j REAL, gpu_j REAL, rel_uncertainty REAL, tier TEXT NOT NULL, source TEXT "
    "NOT NULL,"
    "  intensity REAL, intensity_year INTEGER, region TEXT NOT NULL, intensity_source TEXT NOT NULL, gco2e REAL, "
    "gco2e_lo REAL, gco2e_hi REAL);"
    "CREATE INDEX footprints_stage ON footprints (stage);";

/* The program's runs become runs of the tracking store (run_record.h). */
static const char runs_moved[] =
    "INSERT INTO experiments (name, location, created_ms, updated_ms)"
    "  SELECT 'weir', '', min(started_us) / 1000, max(started_us) / 1000 FROM runs HAVING count(*) > 0;"
    "UPDATE experiments SET location = 'mlflow-artifacts:/' || id WHERE name = 'weir';"
    "INSERT INTO track_runs (uuid, experiment, name, user_id, status, start_ms, end_ms, artifact_uri)"
    "  SELECT r.id, e.id, r.kind || ' ' || r.name, '', CASE r.status WHEN 'running' THEN 1 WHEN 'finished' THEN 3 ELSE 4 END,"
    "  r.started_us / 1000, r.ended_us / 1000, e.location || '/' || r.id || '/artifacts'"
    "  FROM runs r CROSS JOIN experiments e WHERE e.name = 'weir' ORDER BY r.started_us;"
    "INSERT INTO track_keys (name) SELECT key FROM run_params UNION SELECT key FROM run_metrics UNION SELECT 'weir.kind' UNION SELECT"
    "  'weir.name' UNION SELECT 'weir.code' UNION SELECT 'weir.host' UNION SELECT 'weir.error' UNION SELECT 'weir.refused' UNION SELECT"
    "  'mlflow.runName' UNION SELECT 'mlflow.source.name';"
    "INSERT INTO track_params (run, key, value) SELECT t.id, k.id, p.value FROM run_params p JOIN track_runs t ON t.uuid = p.run"
    "  JOIN track_keys k ON k.name = p.key;"
    "INSERT INTO track_metrics (run, key, value, step, time_ms, experiment, start_ms, tail) SELECT t.id, k.id, m.value, 0,"
    "  coalesce(t.end_ms, t.start_ms), t.experiment, t.start_ms, -1 FROM run_metrics m JOIN track_runs t ON t.uuid = m.run"
    "  JOIN track_keys k ON k.name = m.key;"
    "INSERT INTO track_tags (run, key, value) SELECT t.id, k.id, CASE k.name WHEN 'weir.kind' THEN r.kind WHEN 'weir.name' THEN r.name"
    "  WHEN 'weir.code' THEN r.code WHEN 'weir.host' THEN r.host WHEN 'mlflow.runName' THEN t.name WHEN 'mlflow.source.name' THEN r.command"
    "  WHEN 'weir.error' THEN r.error ELSE 'true' END FROM runs r JOIN track_runs t ON t.uuid = r.id JOIN track_keys k ON k.name IN"
    "  ('weir.kind', 'weir.name', 'weir.code', 'weir.host', 'mlflow.runName', 'mlflow.source.name') OR (k.name = 'weir.error' AND r.error IS"
    "  NOT NULL) OR (k.name = 'weir.refused' AND r.status = 'refused');"
    "DROP TABLE run_params; DROP TABLE run_metrics; DROP TABLE runs;";

/* The program's versions and aliases become those of the registry (model.h). What a client put there before stays. */
static const char models_moved[] =
    "INSERT INTO registered_models (name, description, created_ms, updated_ms)"
    "  SELECT model, '', min(created_us) / 1000, max(created_us) / 1000 FROM model_versions WHERE version > 0 GROUP BY model"
    "  ON CONFLICT (name) DO NOTHING;"
    "INSERT INTO registered_versions (model, version, source, run_id, description, package, created_ms, updated_ms)"
    "  SELECT m.id, v.version, 'mlflow-artifacts:/packages/' || v.package, v.run, '', v.package, v.created_us / 1000, v.created_us / 1000"
    "  FROM model_versions v JOIN registered_models m ON m.name = v.model WHERE v.version > 0 ORDER BY m.id, v.version"
    "  ON CONFLICT (model, version) DO NOTHING;"
    "INSERT INTO registered_aliases (model, alias, version, moved_ms)"
    "  SELECT m.id, a.alias, a.version, a.moved_us / 1000 FROM model_aliases a JOIN registered_models m ON m.name = a.model"
    "  WHERE a.version > 0 ON CONFLICT (model, alias) DO NOTHING;"
    "DROP TABLE model_aliases; DROP TABLE model_versions;";

const char *const wr_schema_migrations[] = {
    records,
    wr_track_schema_runs,
    runs_moved,
    wr_track_schema_registry,
    wr_track_schema_users,
    wr_track_schema_models,
    wr_artifacts_schema,
    wr_track_schema_studies,
    wr_track_schema_traces,
    wr_track_schema_webhooks,
    models_moved,
    wr_track_schema_moves,
    wr_track_schema_evaluation,
    wr_track_schema_issues,
    wr_track_schema_workspaces,
    wr_track_schema_extremes,
    wr_rollout_schema,
    wr_track_schema_ended,
    "ALTER TABLE footprints ADD COLUMN answered_by TEXT NOT NULL DEFAULT '';", /* footprint.h */
};
const int wr_schema_count = sizeof wr_schema_migrations / sizeof *wr_schema_migrations;
