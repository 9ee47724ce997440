/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the tables of this room, each a migration of the records database (core/schema.c has the list, in order).
 *
 * Released ones are never edited. Times ending in _ms are milliseconds since 1970 UTC. SQL is the common subset of
 * store/db.h. */
#pragma once

extern const char wr_track_schema_runs[];       /* experiments, runs, params, tags, latest metrics, series, datasets */
extern const char wr_track_schema_registry[];   /* registered models, versions, aliases */
extern const char wr_track_schema_users[];    /* users, tokens, roles, grants, audit (user.c) */
extern const char wr_track_schema_models[];     /* logged models */
extern const char wr_track_schema_studies[];     /* studies, trials and their parts */
extern const char wr_track_schema_traces[];     /* traces, spans, assessments */
extern const char wr_track_schema_webhooks[];   /* webhooks and their outbox */
extern const char wr_track_schema_moves[];      /* where aliases went */
extern const char wr_track_schema_evaluation[]; /* evaluation datasets, scorers */
extern const char wr_track_schema_issues[];
extern const char wr_track_schema_extremes[]; /* least and greatest of a series */
extern const char wr_track_schema_ended[];    /* the order of ends */
extern const char wr_track_schema_workspaces[]; /* whose a role is (user.c) */
extern const char *const wr_track_migrations[]; /* all of this room, for tests of this room */
extern const int wr_track_migrations_count;
