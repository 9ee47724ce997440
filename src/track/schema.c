/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - tables of experiments and runs.
 *
 * Keys of params, tags and metrics are interned in track_keys: a million runs name the same few. The latest value of a
 * metric repeats its run's experiment and start, so that ordering by a metric is a walk of one index. */
#include "track/schema.h"

const char wr_track_schema_runs[] =
    "CREATE TABLE experiments (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, location TEXT NOT NULL,"
    "  deleted INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE TABLE experiment_tags (experiment INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (experiment, key)) WITHOUT ROWID;"
    "INSERT INTO experiments (id, name, location, created_ms, updated_ms) VALUES (0, 'Default', 'mlflow-artifacts:/0', "
    "0, 0);"
    "CREATE TABLE track_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE track_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, experiment INTEGER NOT "
    "NULL,"
    "  name TEXT NOT NULL, user_id TEXT NOT NULL, status INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER,"
    "  deleted_ms INTEGER, artifact_uri TEXT NOT NULL);"
    "CREATE INDEX track_runs_started ON track_runs (experiment, start_ms DESC, uuid);"
    "CREATE INDEX track_runs_name ON track_runs (experiment, name);"
    "CREATE TABLE track_params (run INTEGER NOT NULL, key INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, "
    "key)) WITHOUT ROWID;"
    "CREATE INDEX track_params_value ON track_params (key, substr(value, 1, 100), run);"
    "CREATE TABLE track_tags (run INTEGER NOT NULL, key INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)) "
    "WITHOUT ROWID;"
    "CREATE INDEX track_tags_value ON track_tags (key, substr(value, 1, 100), run);"
    /* a row a series: its latest point (value NULL = NaN); tail: seq of its last chunk, -1 = none yet */
    "CREATE TABLE track_metrics (run INTEGER NOT NULL, key INTEGER NOT NULL, value REAL, step INTEGER NOT NULL, "
    "time_ms INTEGER NOT NULL,"
    "  experiment INTEGER NOT NULL, start_ms INTEGER NOT NULL, tail INTEGER NOT NULL, PRIMARY KEY (run, key)) WITHOUT "
    "ROWID;"
    "CREATE INDEX track_metrics_value ON track_metrics (experiment, key, value, start_ms, run);"
    /* Points of a series, each chunk sorted by (step, time, value); a point stays in its chunk. data: codec/series.h, whose
     * head the other columns repeat: stride -1 = steps are not even, min and max of the numbers NULL = there is none. */
    "CREATE TABLE track_chunks (run INTEGER NOT NULL, key INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL,"
    "  min_step INTEGER NOT NULL, max_step INTEGER NOT NULL, stride INTEGER NOT NULL, min_ms INTEGER NOT NULL, max_ms "
    "INTEGER NOT NULL, min_value REAL, max_value REAL, data BLOB NOT NULL, PRIMARY KEY (run, key, seq)) WITHOUT ROWID;"
    /* one row: the metric log of these records, by the name in its folder, and which of its segments are in the tables
     * above: those up to `drained` */
    "CREATE TABLE track_log (id INTEGER PRIMARY KEY, log TEXT NOT NULL, drained INTEGER NOT NULL);"
    "INSERT INTO track_log (id, log, drained) VALUES (1, '', 0);"
    "CREATE TABLE track_datasets (id INTEGER PRIMARY KEY AUTOINCREMENT, experiment INTEGER NOT NULL, name TEXT NOT "
    "NULL, digest TEXT NOT NULL,"
    "  source_type TEXT NOT NULL, source TEXT NOT NULL, schema TEXT, profile TEXT, UNIQUE (experiment, name, digest));"
    "CREATE TABLE track_inputs (run INTEGER NOT NULL, dataset INTEGER NOT NULL, tags TEXT NOT NULL," /* JSON [{key,
                                                                                                        value}] */
    "  context TEXT, PRIMARY KEY (run, dataset)) WITHOUT ROWID;"
    "CREATE INDEX track_inputs_dataset ON track_inputs (dataset, run);"
    /* logged models that a run read (0) or made (1) */
    "CREATE TABLE track_run_models (run INTEGER NOT NULL, output INTEGER NOT NULL, model_id TEXT NOT NULL, step "
    "INTEGER NOT NULL,"
    "  PRIMARY KEY (run, output, model_id)) WITHOUT ROWID;";

/* Registered models. Rows of deleted versions stay, so that their numbers are never given again. */
const char wr_track_schema_registry[] =
    "CREATE TABLE registered_models (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT,"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE INDEX registered_models_updated ON registered_models (updated_ms);"
    "CREATE TABLE registered_model_tags (model INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (model, key)) WITHOUT ROWID;"
    /* id grows with version inside a model; package: object id of a weir package */
    "CREATE TABLE registered_versions (id INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, version INTEGER "
    "NOT NULL,"
    "  stage TEXT NOT NULL DEFAULT 'None', source TEXT NOT NULL, storage TEXT, run_id TEXT, run_link TEXT, description "
    "TEXT, user_id TEXT,"
    "  model_id TEXT, package TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, UNIQUE (model, version));"
    "CREATE INDEX registered_versions_stage ON registered_versions (model, stage, id);"
    "CREATE INDEX registered_versions_run ON registered_versions (run_id);"
    "CREATE INDEX registered_versions_updated ON registered_versions (updated_ms);"
    "CREATE TABLE registered_version_tags (version INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (version, key)) WITHOUT ROWID;" /* version: registered_versions.id */
    "CREATE TABLE registered_aliases (model INTEGER NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, moved_ms "
    "INTEGER NOT NULL,"
    "  PRIMARY KEY (model, alias)) WITHOUT ROWID;"
    "CREATE INDEX registered_aliases_version ON registered_aliases (model, version);"
    /* the data a version's run had read when it was registered: runs go, versions stay */
    "CREATE TABLE registered_version_inputs (version INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, "
    "source_type TEXT NOT NULL,"
    "  source TEXT NOT NULL, context TEXT, PRIMARY KEY (version, name, digest)) WITHOUT ROWID;"
    "CREATE INDEX registered_version_inputs_digest ON registered_version_inputs (digest, version);";

/* Logged models. uuid is "m-..."; key of a metric is interned; value NULL = NaN; run: track_runs.id */
const char wr_track_schema_models[] =
    "CREATE TABLE logged_models (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, experiment INTEGER "
    "NOT NULL,"
    "  name TEXT NOT NULL, artifact_uri TEXT NOT NULL, status INTEGER NOT NULL, status_message TEXT, model_type TEXT, "
    "run_id TEXT,"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, deleted_ms INTEGER);"
    "CREATE INDEX logged_models_created ON logged_models (experiment, created_ms);"
    "CREATE TABLE logged_model_params (model INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (model, key)) WITHOUT ROWID;"
    "CREATE TABLE logged_model_tags (model INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (model, key)) WITHOUT ROWID;"
    "CREATE TABLE logged_model_datasets (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, digest TEXT NOT "
    "NULL,"
    "  UNIQUE (name, digest));"
    "CREATE TABLE logged_model_metrics (model INTEGER NOT NULL, key INTEGER NOT NULL, time_ms INTEGER NOT NULL, step "
    "INTEGER NOT NULL,"
    "  run INTEGER NOT NULL, value REAL, dataset INTEGER, PRIMARY KEY (model, key, time_ms, step, run)) WITHOUT ROWID;"
    "CREATE INDEX logged_model_metrics_run ON logged_model_metrics (run);"
    "CREATE INDEX registered_versions_model_id ON registered_versions (model_id);";

/* Hyper-parameter studies. directions: a digit an objective, 1 = maximize. trials: how many there were, the number of the next. vals: the
 * objectives' values with spaces between them. An attribute's value is JSON. */
const char wr_track_schema_studies[] =
    "CREATE TABLE studies (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, directions TEXT NOT NULL,"
    "  trials INTEGER NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE TABLE study_attrs (study INTEGER NOT NULL, system INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (study, system, key)) WITHOUT ROWID;"
    "CREATE TABLE study_trials (id INTEGER PRIMARY KEY AUTOINCREMENT, study INTEGER NOT NULL, number INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, start_us INTEGER, end_us INTEGER, vals TEXT, UNIQUE (study, number));"
    "CREATE INDEX study_trials_of ON study_trials (study, id);"
    "CREATE TABLE study_spaces (id INTEGER PRIMARY KEY AUTOINCREMENT, study INTEGER NOT NULL, name TEXT NOT NULL,"
    "  distribution TEXT NOT NULL, UNIQUE (study, name, distribution));"
    "CREATE TABLE study_params (study INTEGER NOT NULL, trial INTEGER NOT NULL, name TEXT NOT NULL, value REAL,"
    "  space INTEGER NOT NULL, PRIMARY KEY (study, trial, name)) WITHOUT ROWID;"
    "CREATE TABLE study_steps (study INTEGER NOT NULL, trial INTEGER NOT NULL, step INTEGER NOT NULL, value REAL,"
    "  PRIMARY KEY (study, trial, step)) WITHOUT ROWID;" /* value NULL = NaN */
    "CREATE TABLE study_trial_attrs (study INTEGER NOT NULL, trial INTEGER NOT NULL, system INTEGER NOT NULL, key TEXT NOT NULL,"
    "  value TEXT NOT NULL, PRIMARY KEY (study, trial, system, key)) WITHOUT ROWID;";
/* Traces. Tags and metadata that most traces have stand in columns (trace.h). Spans: what searches name stands in an index of its own,
 * so that they do not read the text; `content` comes last, so that it is read only when it is asked for. Ids of spans are their 64 bits.
 * Links are by uuid: a trace may be tied to a run before its spans arrive. */
const char wr_track_schema_traces[] =
    "CREATE TABLE track_traces (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, experiment INTEGER NOT NULL,"
    "  time_ms INTEGER NOT NULL, duration_ms INTEGER, state INTEGER NOT NULL, finalized INTEGER NOT NULL, client_request_id TEXT,"
    "  request_preview TEXT, response_preview TEXT, name TEXT, session TEXT, spans TEXT,"
    "  input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER, cache_read_input_tokens INTEGER,"
    "  cache_creation_input_tokens INTEGER, cache_creation_input_tokens_above_1hr INTEGER,"
    "  input_cost REAL, output_cost REAL, total_cost REAL);"
    "CREATE INDEX track_traces_time ON track_traces (experiment, time_ms DESC, uuid);"
    "CREATE INDEX track_traces_session ON track_traces (session) WHERE session IS NOT NULL;"
    "CREATE TABLE track_trace_tags (trace INTEGER NOT NULL, key INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace, key))"
    " WITHOUT ROWID;"
    "CREATE TABLE track_trace_metadata (trace INTEGER NOT NULL, key INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace, key))"
    " WITHOUT ROWID;"
    "CREATE TABLE track_spans (id INTEGER PRIMARY KEY, trace INTEGER NOT NULL, span INTEGER NOT NULL, parent INTEGER,"
    "  status INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER, name TEXT NOT NULL, type TEXT, usage TEXT, cost TEXT,"
    "  input_cost REAL, output_cost REAL, total_cost REAL, model TEXT, provider TEXT, content TEXT NOT NULL, UNIQUE (trace, span));"
    "CREATE INDEX track_spans_find ON track_spans (trace, name, type, status);"
    "CREATE TABLE track_trace_links (trace TEXT NOT NULL, kind INTEGER NOT NULL, target TEXT NOT NULL," /* kind 0 a run, 1 a prompt */
    "  PRIMARY KEY (trace, kind, target)) WITHOUT ROWID;"
    "CREATE INDEX track_trace_links_target ON track_trace_links (kind, target);"
    "CREATE TABLE track_assessments (id TEXT PRIMARY KEY, trace INTEGER NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  value TEXT NOT NULL, number REAL," /* number: of a value that is one, for comparing */
    "  error TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, source_type TEXT NOT NULL, source_id TEXT, run TEXT,"
    "  span TEXT, rationale TEXT, overrides TEXT, valid INTEGER NOT NULL, metadata TEXT) WITHOUT ROWID;"
    "CREATE INDEX track_assessments_trace ON track_assessments (trace, created_ms, id);"
    "CREATE INDEX track_assessments_name ON track_assessments (name, kind, trace);";
/* Webhooks. event: "model_version.created"; next_ms NULL = given up, kept to be looked at */
const char wr_track_schema_webhooks[] =
    "CREATE TABLE webhooks (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, url "
    "TEXT NOT NULL,"
    "  description TEXT, secret TEXT, status INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT "
    "NULL);"
    "CREATE TABLE webhook_events (event TEXT NOT NULL, webhook INTEGER NOT NULL, PRIMARY KEY (event, webhook)) WITHOUT "
    "ROWID;"
    "CREATE INDEX webhook_events_webhook ON webhook_events (webhook);"
    "CREATE TABLE webhook_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, webhook INTEGER NOT NULL, delivery TEXT NOT "
    "NULL, body TEXT NOT NULL,"
    "  attempts INTEGER NOT NULL DEFAULT 0, next_ms INTEGER, error TEXT, created_ms INTEGER NOT NULL);"
    "CREATE INDEX webhook_outbox_webhook ON webhook_outbox (webhook, id);";

/* Where aliases went: version NULL = taken away, was NULL = it was nowhere; undo 1 = by a rollback */
const char wr_track_schema_moves[] =
    "CREATE TABLE registered_alias_moves (id INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, alias TEXT NOT "
    "NULL,"
    "  version INTEGER, was INTEGER, undo INTEGER NOT NULL, user_id TEXT, moved_ms INTEGER NOT NULL);"
    "CREATE INDEX registered_alias_moves_of ON registered_alias_moves (model, alias, id);"
    "INSERT INTO registered_alias_moves (model, alias, version, undo, moved_ms)"
    "  SELECT model, alias, version, 0, moved_ms FROM registered_aliases ORDER BY model, alias;";

/* Evaluation datasets: records are the size of the dataset, hash that of a record's inputs; parts of records are JSON.
 * Scorers: the versions of one, each a JSON text. */
const char wr_track_schema_evaluation[] =
    "CREATE TABLE eval_datasets (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    "  digest TEXT NOT NULL, schema TEXT, records INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    "  created_by TEXT, updated_by TEXT);"
    "CREATE TABLE eval_dataset_tags (dataset INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    "  PRIMARY KEY (dataset, key)) WITHOUT ROWID;"
    "CREATE TABLE eval_dataset_experiments (id INTEGER PRIMARY KEY AUTOINCREMENT, dataset INTEGER NOT NULL,"
    "  experiment INTEGER NOT NULL, UNIQUE (dataset, experiment));"
    "CREATE INDEX eval_dataset_experiments_of ON eval_dataset_experiments (experiment, dataset);"
    "CREATE TABLE eval_records (id INTEGER PRIMARY KEY AUTOINCREMENT, dataset INTEGER NOT NULL, uuid TEXT NOT NULL UNIQUE,"
    "  hash TEXT NOT NULL, inputs TEXT NOT NULL, outputs TEXT, expectations TEXT, tags TEXT, source TEXT, source_id TEXT,"
    "  source_type TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, created_by TEXT, updated_by TEXT,"
    "  UNIQUE (dataset, hash));"
    "CREATE INDEX eval_records_of ON eval_records (dataset, id);"
    "CREATE TABLE scorers (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, experiment INTEGER NOT NULL,"
    "  name TEXT NOT NULL, UNIQUE (experiment, name));"
    "CREATE TABLE scorer_versions (scorer INTEGER NOT NULL, version INTEGER NOT NULL, serialized TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, PRIMARY KEY (scorer, version)) WITHOUT ROWID;";

/* severity: its rank, -1 = none; causes, categories: JSON */
const char wr_track_schema_issues[] =
    "CREATE TABLE track_issues (id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL UNIQUE, experiment INTEGER NOT NULL,"
    "  name TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL, severity INTEGER NOT NULL, causes TEXT, categories TEXT,"
    "  run_id TEXT, created_by TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE INDEX track_issues_of ON track_issues (experiment, severity DESC, created_ms DESC);";

/* The least and the greatest number of a series, NULL = it has none. Rows without chunks (tail -1) are their whole series, or the newest of
 * what a log still holds. */
const char wr_track_schema_extremes[] =
    "ALTER TABLE track_metrics ADD COLUMN min_value REAL;"
    "ALTER TABLE track_metrics ADD COLUMN max_value REAL;"
    "UPDATE track_metrics SET"
    "  min_value = coalesce((SELECT min(c.min_value) FROM track_chunks c WHERE c.run = track_metrics.run AND c.key = track_metrics.key), value),"
    "  max_value = coalesce((SELECT max(c.max_value) FROM track_chunks c WHERE c.run = track_metrics.run AND c.key = track_metrics.key), value);";

/* Ends come in order of time, so an entry is put behind the last one: nothing for a run that starts, little for one that ends. */
const char wr_track_schema_ended[] =
    "CREATE INDEX track_runs_ended ON track_runs (experiment, end_ms, start_ms) WHERE end_ms IS NOT NULL;";

const char *const wr_track_migrations[] = {
    wr_track_schema_runs,
    wr_track_schema_registry,
    wr_track_schema_users,
    wr_track_schema_models,
    wr_track_schema_studies,
    wr_track_schema_traces,
    wr_track_schema_webhooks,
    wr_track_schema_moves,
    wr_track_schema_evaluation,
    wr_track_schema_issues,
    wr_track_schema_workspaces,
    wr_track_schema_extremes,
    wr_track_schema_ended,
};
const int wr_track_migrations_count = sizeof wr_track_migrations / sizeof *wr_track_migrations;
