/* SPDX-License-Identifier: Apache-2.0 */
/* project.c - finding, making and opening a project. Everything costly is opened on first use, once, under `mutex`. */
#include "core/project.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "core/policy.h"
#include "core/schema.h"
#include "io/file.h"

struct wr_project {
    wr_arena *arena; /* guarded by mutex */
    const char *root, *state;
    pthread_mutex_t mutex;    /* guards all below */
    wr_yaml *parsed, *config; /* config: its keys are checked */
    wr_db *db;
    wr_objects *objects;
    wr_objects *contents; /* of artifacts */
    wr_artifacts *artifacts;
    wr_track *track;
};

static const char *const config_keys[] = {"stages",   "vars",      "params",   "metrics", "plots",
                                          "triggers", "endpoints", "monitors", "carbon",  "database",
                                          "auth",     "artifacts", "webhooks", "registry", "serving", "models",
                                          "feature_services", NULL};

static const char config_template[] =
    "# A Weir project. Stages are commands with declared inputs and outputs; `weir run` runs what is out of date.\n"
    "# data:NAME, model:NAME and feature:NAME name datasets, models and feature views beside file paths.\n"
    "#\n"
    "# stages:\n"
    "#   ingest:\n"
    "#     cmd: weir data ingest trips --from data/trips.parquet\n"
    "#     deps: [data/trips.parquet]\n"
    "#     outs: [data:trips]\n"
    "#   check:\n"
    "#     cmd: weir data check trips --suite checks.yaml\n"
    "#     deps: [data:trips, checks.yaml]\n"
    "#\n"
    "# carbon: {region: WORLD}   # grid whose yearly carbon intensity counts; see weir help sustain\n";

int wr_project_init(const char *dir, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    if (!a) return wr_err_nomem(err);
    const char *root = wr_path_absolute(a, dir ? dir : ".");
    const char *config = root ? wr_path_join(a, root, "weir.yaml") : NULL;
    const char *state = root ? wr_path_join(a, root, ".weir") : NULL;
    const char *ignore = state ? wr_path_join(a, state, ".gitignore") : NULL;
    if (!config || !ignore) return wr_err_nomem(err);
    int rc = WEIR_EEXIST;
    if (!wr_file_exists(config)) { /* a project that is there stays as it is */
        WR_TRY(wr_file_mkdirs(state, err));
        if (!wr_file_exists(ignore)) WR_TRY(wr_file_write(ignore, WR_STR("*\n"), err));
        rc = wr_file_create(config, wr_str_of(config_template), err);
    }
    if (rc == WEIR_EEXIST) {
        wr_err_set(err, rc, "\"%s\" is a project already", root);
        return wr_err_hint(err, rc, "its pipeline is in weir.yaml; weir status shows what is out of date");
    }
    return rc;
}

/* The nearest folder upwards that has weir.yaml or .weir; NULL if there is none. */
static char *find_root(wr_arena *a, const char *dir)
{
    char *at = wr_path_absolute(a, dir ? dir : ".");
    while (at) {
        const char *config = wr_path_join(a, at, "weir.yaml"), *state = wr_path_join(a, at, ".weir");
        if (!config || !state) return NULL;
        if (wr_file_exists(config) || wr_file_exists(state)) return at;
        if (strcmp(at, "/") == 0) return NULL;
        at = wr_path_dir(a, at);
    }
    return NULL;
}

/* A folder that is not there must not open the project above it. */
static bool is_folder(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
}

int wr_project_open(wr_project **out, const char *dir, wr_err *err)
{
    wr_arena *a = wr_arena_new(0);
    wr_project *p = a ? wr_arena_calloc(a, 1, sizeof *p) : NULL;
    int rc = p ? 0 : wr_err_nomem(err);
    if (rc == 0 && !is_folder(dir ? dir : ".")) rc = wr_err_set(err, WEIR_ENOTFOUND, "there is no folder \"%s\"", dir);
    if (rc == 0) p->root = find_root(a, dir);
    if (rc == 0 && p->root) p->state = wr_path_join(a, p->root, ".weir");
    if (rc == 0 && wr_arena_failed(a)) rc = wr_err_nomem(err);
    if (rc == 0 && !p->root) {
        wr_err_set(err, WEIR_ENOTFOUND, "no project in \"%s\" or above it", dir ? dir : ".");
        rc = wr_err_hint(err, WEIR_ENOTFOUND, "weir init makes one here; weir -C DIR works in another folder");
    }
    if (rc < 0) {
        wr_arena_free(a);
        return rc;
    }
    p->arena = a;
    pthread_mutex_init(&p->mutex, NULL);
    *out = p;
    return 0;
}

void wr_project_close(wr_project *p)
{
    if (!p) return;
    wr_artifacts_close(p->artifacts);
    wr_objects_close(p->contents);
    wr_track_close(p->track);
    wr_db_close(p->db);
    wr_objects_close(p->objects);
    pthread_mutex_destroy(&p->mutex);
    wr_arena_free(p->arena);
}

const char *wr_project_root(const wr_project *p) { return p->root; }

static int state_path(const char **out, wr_project *p, const char *name, bool dir, wr_err *err)
{
    const char *path = wr_path_join(p->arena, p->state, name);
    if (!path) return wr_err_nomem(err);
    if (dir) WR_TRY(wr_file_mkdirs(path, err));
    *out = path;
    return 0;
}

int wr_project_state(const char **out, wr_project *p, const char *name, bool dir, wr_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int rc = state_path(out, p, name, dir, err);
    pthread_mutex_unlock(&p->mutex);
    return rc;
}

static int parse_config(wr_project *p, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    wr_buf_init(&text, 0);
    const char *path = wr_path_join(p->arena, p->root, "weir.yaml");
    if (!path) return wr_err_nomem(err);
    if (wr_file_exists(path)) WR_TRY(wr_file_read(&text, path, WR_LIMIT_FILE_CONFIG, err));
    wr_str copy = wr_arena_str(p->arena, wr_buf_view(&text));
    wr_yaml *y = NULL;
    WR_TRY(wr_yaml_parse(&y, p->arena, copy, "weir.yaml", err));
    if (y->kind != WR_YAML_MAP) return wr_yaml_error(y, WEIR_EPARSE, err, "a project file is a map of sections");
    p->parsed = y;
    return 0;
}

static int load_config(wr_project *p, wr_err *err)
{
    if (!p->parsed) WR_TRY(parse_config(p, err));
    WR_TRY(wr_yaml_known(p->parsed, "weir.yaml", config_keys, err));
    p->config = p->parsed;
    return 0;
}

int wr_project_config(const wr_yaml **out, wr_project *p, wr_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int rc = p->config ? 0 : load_config(p, err);
    pthread_mutex_unlock(&p->mutex);
    if (rc == 0) *out = p->config;
    return rc;
}

static int no_address(wr_err *err)
{
    return wr_err_hint(err, WEIR_EINVAL,
                       "postgresql://USER@HOST/DATABASE; without an address the records are in .weir/weir.db");
}

/* Other mistakes in weir.yaml do not hide the records; one in this key would, or show others. */
static bool nearly_database(const wr_yaml *config)
{
    static const char *const word[] = {"database"};
    for (size_t i = 0; i < config->n; i++) {
        if (wr_str_nearest(config->keys[i]->text, word, 1) == 0) return true;
    }
    return false;
}

/* A server's address: of the environment, else of weir.yaml; *out NULL when neither names one. */
static int server_address(const char **out, wr_project *p, wr_err *err)
{
    wr_str text;
    const char *given = getenv("WEIR_DATABASE");
    *out = given && *given ? given : NULL;
    if (*out && !wr_db_is_url(*out)) {
        wr_err_set(err, WEIR_EINVAL, "WEIR_DATABASE is not the address of a PostgreSQL database");
        return no_address(err);
    }
    if (*out) return 0;
    if (!p->parsed) WR_TRY(parse_config(p, err));
    const wr_yaml *y = wr_yaml_get(p->parsed, "database");
    if (!y) return nearly_database(p->parsed) ? wr_yaml_known(p->parsed, "weir.yaml", config_keys, err) : 0;
    WR_TRY(wr_yaml_str(&text, y, "database", err));
    if (!wr_db_is_url(text.p)) {
        wr_yaml_error(y, WEIR_EINVAL, err, "database is not the address of a PostgreSQL database");
        return no_address(err);
    }
    *out = text.p;
    return 0;
}

static int open_db(wr_project *p, wr_err *err)
{
    const char *dir, *path;
    WR_TRY(state_path(&dir, p, "", true, err));
    WR_TRY(server_address(&path, p, err));
    if (!path) WR_TRY(state_path(&path, p, "weir.db", false, err));
    wr_db_opt opt = {.migrations = wr_schema_migrations, .n = wr_schema_count};
    return wr_db_open(&p->db, path, &opt, err);
}

int wr_project_db(wr_db **out, wr_project *p, wr_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int rc = p->db ? 0 : open_db(p, err);
    pthread_mutex_unlock(&p->mutex);
    if (rc == 0) *out = p->db;
    return rc;
}

static int open_track(wr_project *p, bool log, wr_err *err)
{
    wr_track_opt opt = {0};
    if (!p->db) WR_TRY(open_db(p, err));
    if (!wr_db_is_shared(p->db)) WR_TRY(state_path(log ? &opt.log : &opt.peek, p, "track", log, err));
    if (!p->parsed) WR_TRY(parse_config(p, err));
    WR_TRY(wr_track_open(&p->track, p->db, &opt, err));
    int rc = wr_policy_config(p, p->track, p->parsed, err);
    if (rc < 0) {
        wr_track_close(p->track);
        p->track = NULL;
    }
    return rc;
}

static int track(wr_track **out, wr_project *p, bool log, wr_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int rc = p->track ? 0 : open_track(p, log, err);
    pthread_mutex_unlock(&p->mutex);
    if (rc == 0) *out = p->track;
    return rc;
}

int wr_project_track(wr_track **out, wr_project *p, wr_err *err) { return track(out, p, false, err); }
int wr_project_track_log(wr_track **out, wr_project *p, wr_err *err) { return track(out, p, true, err); }

int wr_project_objects(wr_objects **out, wr_project *p, wr_err *err)
{
    int rc = 0;
    const char *dir;
    pthread_mutex_lock(&p->mutex);
    if (!p->objects) {
        rc = state_path(&dir, p, "objects", true, err);
        if (rc == 0) rc = wr_objects_open(&p->objects, dir, err);
    }
    pthread_mutex_unlock(&p->mutex);
    if (rc == 0) *out = p->objects;
    return rc;
}

static int open_artifacts(wr_project *p, const char *where, wr_err *err)
{
    wr_artifacts_opt opt = {.base = p->root};
    const char *contents;
    if (!p->parsed) WR_TRY(parse_config(p, err));
    const wr_yaml *y = wr_yaml_get(p->parsed, "artifacts");
    wr_str text = {0};
    if (!where && y) WR_TRY(wr_yaml_str(&text, y, "artifacts", err));
    if (!where && y) where = text.p;
    if (!p->db) WR_TRY(open_db(p, err));
    opt.db = p->db;
    WR_TRY(state_path(&opt.scratch, p, "tmp", false, err));
    WR_TRY(state_path(&contents, p, "artifacts", false, err));
    bool ours = !where || !*where || strcmp(where, "objects") == 0;
    if (ours && !p->contents) WR_TRY(wr_objects_open(&p->contents, contents, err));
    opt.objects = p->contents;
    return wr_artifacts_open(&p->artifacts, where, &opt, err);
}

int wr_project_artifacts(wr_artifacts **out, wr_project *p, const char *where, wr_err *err)
{
    pthread_mutex_lock(&p->mutex);
    int rc = p->artifacts ? 0 : open_artifacts(p, where, err);
    pthread_mutex_unlock(&p->mutex);
    if (rc == 0) *out = p->artifacts;
    return rc;
}

int wr_project_tables(wr_tables **out, wr_project *p, const char *const *extra, wr_err *err)
{
    enum { MOST = 16 };
    const char *allow[MOST + 1] = {p->root}, *spill;
    size_t n = 1;
    for (; extra && *extra; extra++) {
        if (n == MOST) return wr_err_set(err, WEIR_ELIMIT, "more than %d paths for one query", MOST - 1);
        allow[n++] = *extra;
    }
    WR_TRY(wr_project_state(&spill, p, "tmp", true, err));
    wr_tables_opt opt = {.spill = spill, .allow = allow};
    return wr_tables_open(out, &opt, err);
}
