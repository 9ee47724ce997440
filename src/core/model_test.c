/* SPDX-License-Identifier: Apache-2.0 */
/* model_test.c - the registry: candidates, versions, aliases, references and their errors. */
#include "core/core_testing.h"

#include <pthread.h>

#include "core/model.h"
#include "core/schema.h"
#include "track/registry.h"

static int64_t reg(place *s, const char *name, const char *package, const char *alias)
{
    int64_t v = 0;
    OK(wr_model_register(&v, s->p, name, package, "run", alias, &s->err));
    return v;
}

static wr_model_version find(place *s, const char *ref)
{
    wr_model_version v = {0};
    OK(wr_model_find(&v, s->a, s->p, ref, &s->err));
    return v;
}

static int exec_fn(wr_db *db, void *arg, wr_err *err) { return wr_db_exec(db, arg, err); }

static void test_candidates(void **state)
{
    place *s = *state;
    OK(wr_model_propose(s->p, "delay", "p1", "run1", &s->err));
    OK(wr_model_propose(s->p, "delay", "p2", "run2", &s->err));
    OK(wr_model_propose(s->p, "other", "p3", NULL, &s->err));
    wr_model_version v = find(s, "delay");
    assert_string_equal(v.package, "p2"); /* the newest */
    assert_int_equal(v.version, 0);
    assert_string_equal(v.run_id, "run2");
    assert_string_equal(v.aliases, "");
    assert_true(v.created_us > 0);
    OK(wr_model_propose(s->p, "delay", "p1", "", &s->err)); /* comes back from the cache: its run is known */
    v = find(s, "delay");
    assert_string_equal(v.package, "p1");
    assert_string_equal(v.run_id, "run1");
    assert_string_equal(find(s, "other").run_id, "");
}

static void test_register_again(void **state)
{
    place *s = *state;
    assert_int_equal(reg(s, "delay", "p1", NULL), 1);
    assert_int_equal(reg(s, "delay", "p2", NULL), 2);
    assert_int_equal(reg(s, "delay", "p1", NULL), 1); /* has its version already */
    assert_int_equal(reg(s, "delay", "p3", NULL), 3);
    assert_int_equal(reg(s, "other", "p1", NULL), 1); /* versions count for each model */
    wr_model_version *v;
    size_t n;
    OK(wr_model_versions(&v, &n, s->a, s->p, "delay", &s->err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) assert_int_equal(v[i].version, i + 1);
    OK(wr_model_versions(&v, &n, s->a, s->p, NULL, &s->err));
    assert_int_equal(n, 4);
    OK(wr_model_versions(&v, &n, s->a, s->p, "nothing", &s->err));
    assert_int_equal(n, 0);
}

static void test_aliases(void **state)
{
    place *s = *state;
    reg(s, "delay", "p1", "champion");
    reg(s, "delay", "p2", NULL);
    assert_int_equal(find(s, "delay@champion").version, 1);
    reg(s, "delay", "p2", "champion"); /* registered before: only the alias moves */
    assert_int_equal(find(s, "delay@champion").version, 2);
    OK(wr_model_alias(s->p, "delay", "stable", 2, &s->err));
    assert_string_equal(find(s, "delay@2").aliases, "champion,stable");
    OK(wr_model_alias(s->p, "delay", "champion", 1, &s->err));
    assert_string_equal(find(s, "delay@1").aliases, "champion");
    assert_string_equal(find(s, "delay@stable").package, "p2");
    reopen(s);
    assert_int_equal(find(s, "delay@champion").version, 1);
}

static void test_not_found(void **state)
{
    place *s = *state;
    reg(s, "delay", "p1", "champion");
    reg(s, "delay", "p2", NULL);
    OK(wr_model_propose(s->p, "fresh", "p9", "r", &s->err));
    static const struct {
        const char *ref, *says, *hint;
    } cases[] = {
        {"delya@champion", "no model \"delya@champion\"", "did you mean \"delay\"?"},
        {"frehs", "no model \"frehs\"", "did you mean \"fresh\"?"}, /* candidates are candidates for it too */
        {"delay@9", "no model \"delay@9\"", "registered versions: 1=champion 2"},
        {"delay@champoin", "no model \"delay@champoin\"", "1=champion"},
        {"fresh@champion", "no model \"fresh@champion\"", "weir model register fresh"},
        {"something", "no model \"something\"", "weir model train"},
        {"delay@", "no model \"delay\"", ""},
        {"@champion", "no model \"@champion\"", ""},
        {"", "no model \"\"", ""},
        {"delay@1@2", "no model \"delay@1@2\"", ""},
        {"delay' OR '1'='1", "no model", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_model_version v;
        FAILS(WEIR_ENOTFOUND, wr_model_find(&v, s->a, s->p, cases[i].ref, &s->err));
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
    }
    FAILS(WEIR_ENOTFOUND, wr_model_alias(s->p, "delay", "champion", 3, &s->err));
    SAYS("1=champion 2", s->err.hint);
    assert_int_equal(find(s, "delay@champion").version, 1);
}

/* NAME@3 is version 3, NAME@x the alias x: names that would be read as something else are refused. */
static void test_bad_names(void **state)
{
    place *s = *state;
    static const char *const names[] = {"", "a b", "x@y", "../up", "a/b", "-x"}, *const aliases[] = {
                                                                                     "", "3", "-1", "a b", "x@y", "+7"};
    int64_t v;
    for (size_t i = 0; i < 6; i++) {
        FAILS(WEIR_EINVAL, wr_model_propose(s->p, names[i], "p", "r", &s->err));
        SAYS("is not a model name", s->err.msg);
        FAILS(WEIR_EINVAL, wr_model_register(&v, s->p, names[i], "p", "r", NULL, &s->err));
    }
    reg(s, "delay", "p1", NULL);
    for (size_t i = 0; i < 6; i++) {
        FAILS(WEIR_EINVAL, wr_model_register(&v, s->p, "delay", "p2", "r", aliases[i], &s->err));
        SAYS("is not an alias", s->err.msg);
        FAILS(WEIR_EINVAL, wr_model_alias(s->p, "delay", aliases[i], 1, &s->err));
    }
    wr_model_version *all;
    size_t n;
    OK(wr_model_versions(&all, &n, s->a, s->p, NULL, &s->err));
    assert_int_equal(n, 1); /* refused means nothing was registered */
}

static void test_node(void **state)
{
    place *s = *state;
    wr_node n;
    OK(wr_model_propose(s->p, "delay", "p1", "r", &s->err));
    wr_model_version v = find(s, "delay");
    assert_int_equal(wr_model_node(&n, s->a, &v), 0);
    assert_string_equal(n.kind, "package");
    assert_int_equal(n.version, -1);
    reg(s, "delay", "p1", NULL);
    v = find(s, "delay@1");
    assert_int_equal(wr_model_node(&n, s->a, &v), 0);
    assert_string_equal(n.kind, "model");
    assert_int_equal(n.version, 1);
    assert_string_equal(n.hash, "p1");
}

typedef struct {
    place *s;
    int from;
} registrar;

static void *register_some(void *arg)
{
    registrar *r = arg;
    for (int i = 0; i < 20; i++) {
        char package[16];
        int64_t v;
        snprintf(package, sizeof package, "p%d", r->from + i);
        if (wr_model_register(&v, r->s->p, "delay", package, "r", "champion", NULL) < 0) return NULL;
    }
    return arg;
}

static void test_threads(void **state)
{
    place *s = *state;
    registrar r[2] = {{s, 0}, {s, 10}}; /* half of the packages twice */
    pthread_t t[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, register_some, &r[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *ok;
        pthread_join(t[i], &ok);
        assert_non_null(ok);
    }
    wr_model_version *v;
    size_t n;
    OK(wr_model_versions(&v, &n, s->a, s->p, "delay", &s->err));
    assert_int_equal(n, 30);
    for (size_t i = 0; i < n; i++) assert_int_equal(v[i].version, i + 1);
}

/* ---- one registry with MLflow's clients ---- */

typedef struct {
    const char *name, *alias, *source;
    int64_t version;
} wish;

static int client_moves(wr_track *t, void *arg, wr_err *err)
{
    wish *w = arg;
    return wr_registered_alias_set(t, wr_str_of(w->name), wr_str_of(w->alias), w->version, NULL, err);
}

static int client_registers(wr_track *t, void *arg, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wish *w = arg;
    wr_registered_version v;
    wr_registered_version_new in = {.name = wr_str_of(w->name), .source = wr_str_of(w->source)};
    WR_TRY(wr_registered_version_create(&v, a, t, &in, err));
    w->version = v.version;
    return 0;
}

static void test_clients(void **state)
{
    place *s = *state;
    wr_track *t;
    wr_registered_version v;
    wr_model_version m, *all;
    size_t n;
    reg(s, "delay", "p1", "champion");
    reg(s, "delay", "p2", NULL);
    OK(wr_project_track(&t, s->p, &s->err));
    OK(wr_registered_version_by_alias(&v, s->a, t, WR_STR("delay"), WR_STR("champion"), &s->err));
    assert_int_equal(v.version, 1);
    assert_string_equal(v.source.p, "mlflow-artifacts:/packages/p1");
    wish move = {.name = "delay", .alias = "champion", .version = 2};
    OK(wr_track_write(t, client_moves, &move, &s->err));
    assert_string_equal(find(s, "delay@champion").package, "p2");
    /* what is no package is listed and cannot be had */
    wish foreign = {.name = "delay", .source = "s3://bucket/model"};
    OK(wr_track_write(t, client_registers, &foreign, &s->err));
    OK(wr_model_versions(&all, &n, s->a, s->p, "delay", &s->err));
    assert_int_equal(n, 3);
    assert_string_equal(all[2].package, "");
    FAILS(WEIR_ENOTFOUND, wr_model_find(&m, s->a, s->p, "delay@3", &s->err));
    SAYS("version 3 of model \"delay\" has no package of Weir", s->err.msg);
    SAYS("s3://bucket/model", s->err.hint);
    /* a copy of a version is the same package */
    wish copy = {.name = "delay", .source = "models:/delay/1"};
    OK(wr_track_write(t, client_registers, &copy, &s->err));
    assert_string_equal(find(s, "delay@4").package, "p1");
}

static void test_publish(void **state)
{
    place *s = *state;
    wr_objects *o;
    wr_artifacts *files;
    wr_artifact_entry *e;
    size_t n;
    char id[WR_SHA256_HEX];
    put(s, "pkg/MLmodel", "flavors: {}\n");
    put(s, "pkg/data/model.trees", "trees");
    OK(wr_project_objects(&o, s->p, &s->err));
    OK(wr_objects_put_tree(o, at(s, "pkg"), id, &s->err));
    OK(wr_model_publish(s->p, id, &s->err));
    OK(wr_model_publish(s->p, id, &s->err)); /* again */
    OK(wr_project_artifacts(&files, s->p, NULL, &s->err));
    OK(wr_artifacts_list(&e, &n, s->a, files, wr_str_of(wr_arena_printf(s->a, "packages/%s", id)), &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(e[0].name, "MLmodel");
    assert_true(e[1].is_dir);
    FAILS(WEIR_ENOTFOUND,
          wr_model_publish(s->p, "0123456789012345678901234567890123456789012345678901234567890123", &s->err));
}

/* `registry:` of weir.yaml holds for the program too. */
static void test_policies(void **state)
{
    place *s = *state;
    wr_model_version v;
    put(s, "weir.yaml",
        "registry:\n  policies:\n    - {alias: champion, requires: [evaluation, feasibility], role: approver}\n"
        "    - {alias: canary, model: other, requires: [signature]}\n");
    put(s, "report.json", "{}");
    reopen(s);
    int64_t version;
    FAILS(WEIR_ENO, wr_model_register(&version, s->p, "delay", "p1", "r", "champion", &s->err));
    SAYS("version 1 of \"delay\" may not become \"champion\": reports are missing: evaluation, feasibility",
         s->err.msg);
    SAYS("weir.report.NAME", s->err.hint);
    FAILS(WEIR_ENOTFOUND, wr_model_find(&v, s->a, s->p, "delay@1", &s->err)); /* one write */
    assert_int_equal(reg(s, "delay", "p1", "canary"), 1);                     /* another model's policy */
    OK(wr_model_report(s->p, "delay", 1, "evaluation", at(s, "report.json"), &s->err));
    FAILS(WEIR_ENO, wr_model_alias(s->p, "delay", "champion", 1, &s->err));
    SAYS("reports are missing: feasibility", s->err.msg);
    OK(wr_model_report(s->p, "delay", 1, "feasibility", at(s, "report.json"), &s->err));
    OK(wr_model_alias(s->p, "delay", "champion", 1, &s->err));
    FAILS(WEIR_EINVAL, wr_model_report(s->p, "delay", 1, "a b", at(s, "report.json"), &s->err));
    FAILS(WEIR_ENOTFOUND, wr_model_report(s->p, "delay", 9, "evaluation", at(s, "report.json"), &s->err));
}

static void test_bad_policies(void **state)
{
    place *s = *state;
    static const struct {
        const char *policy, *says;
    } cases[] = {{"{requires: [a]}", "an alias or a stage"},
                 {"{alias: a, stage: Production, role: x}", "an alias or a stage"},
                 {"{alias: a}", "asks for reports, for a role, or both"},
                 {"{stage: Live, role: x}", "\"Live\" is not a stage"},
                 {"{alias: a, requires: x}", "requires is a list"},
                 {"{alias: a, requires: ['a b']}", "is not the name of a report"},
                 {"{alias: a, rôle: x}", "unknown key"},
                 {"champion", "a policy is a map"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_track *t;
        put(s, "weir.yaml", wr_arena_printf(s->a, "registry:\n  policies:\n    - %s\n", cases[i].policy));
        reopen(s);
        s->err = (wr_err){0};
        assert_true(wr_project_track(&t, s->p, &s->err) < 0);
        SAYS(cases[i].says, s->err.msg);
        SAYS("weir.yaml:3", s->err.msg);
    }
}

/* A project from before: its versions, aliases and runs are there afterwards. */
static void test_moved(void **state)
{
    place *s = *state;
    wr_db *db;
    wr_stmt *q;
    const char *path = at(s, "old.db");
    wr_db_opt before = {.migrations = wr_schema_migrations, .n = 1};
    wr_db_opt now = {.migrations = wr_schema_migrations, .n = wr_schema_count};
    OK(wr_db_open(&db, path, &before, &s->err));
    static const char *const rows[] = {"INSERT INTO model_versions VALUES ('delay', 1, 'p1', 'r1', 1000000)",
                                       "INSERT INTO model_versions VALUES ('delay', 2, 'p2', 'r2', 2000000)",
                                       "INSERT INTO model_versions VALUES ('other', 1, 'p1', '', 3000000)",
                                       "INSERT INTO model_aliases VALUES ('delay', 'champion', 2, 4000000)"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        OK(wr_db_write(db, exec_fn, (void *)(uintptr_t)rows[i], &s->err));
    wr_db_close(db);
    OK(wr_db_open(&db, path, &now, &s->err));
    OK(wr_db_prepare(
        db, &q,
        "SELECT m.name || ' ' || v.version || ' ' || v.package || ' ' || v.run_id || ' ' || v.created_ms || ' ' ||"
        " coalesce(a.alias, '-') FROM registered_versions v JOIN registered_models m ON m.id = v.model"
        " LEFT JOIN registered_aliases a ON a.model = m.id AND a.version = v.version ORDER BY 1",
        &s->err));
    static const char *const want[] = {"delay 1 p1 r1 1000 -", "delay 2 p2 r2 2000 champion", "other 1 p1  3000 -"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(wr_step(q, &s->err), 1);
        assert_string_equal(wr_stmt_str(q, 0).p, want[i]);
    }
    assert_int_equal(wr_step(q, &s->err), 0);
    wr_stmt_done(q);
    wr_db_close(db);
}

static int client_names(wr_track *t, void *arg, wr_err *err)
{
    WR_AUTOARENA wr_arena *a = wr_arena_new(0);
    wr_registered_model m;
    return wr_registered_model_create(&m, a, t, wr_str_of(arg), WR_STR(""), NULL, 0, err);
}

static void test_references(void **state)
{
    place *s = *state;
    wr_track *t;
    wr_registered_version v;
    static const char *const refs[] = {"me@home@1", "me@home@first", "models:/me@home/1", "models:/me@home@first",
                                       "me@home@latest"};
    OK(wr_project_track(&t, s->p, &s->err));
    OK(wr_track_write(t, client_names, "me@home", &s->err));
    FAILS(WEIR_ENOTFOUND, wr_model_registered(&v, s->a, s->p, "me@home@1", &s->err));
    wish made = {.name = "me@home", .source = "s3://bucket/model"};
    OK(wr_track_write(t, client_registers, &made, &s->err));
    OK(wr_model_alias(s->p, "me@home", "first", 1, &s->err)); /* no package is needed */
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        OK(wr_model_registered(&v, s->a, s->p, refs[i], &s->err));
        assert_string_equal(v.name.p, "me@home");
        assert_int_equal(v.version, 1);
    }
    reg(s, "delay", "p1", NULL);
    OK(wr_model_registered(&v, s->a, s->p, "delay", &s->err)); /* alone: the newest version */
    assert_int_equal(v.version, 1);
    FAILS(WEIR_ENOTFOUND, wr_model_registered(&v, s->a, s->p, "models:/delay/2", &s->err));
    SAYS("registered versions: 1", s->err.hint);
    FAILS(WEIR_ENOTFOUND, wr_model_registered(&v, s->a, s->p, "dealy", &s->err));
    SAYS("delay", s->err.hint);
    assert_string_equal(wr_model_nearest(s->a, s->p, WR_STR("dealy")), "delay");
    assert_null(wr_model_nearest(s->a, s->p, WR_STR("something else")));
}

static void test_moves(void **state)
{
    place *s = *state;
    wr_registered_version v;
    reg(s, "delay", "p1", "champion");
    reg(s, "delay", "p2", NULL);
    wr_model_move m = {.name = "delay", .alias = "champion", .version = 2, .dry_run = true};
    OK(wr_model_move_alias(&m, s->p, &s->err));
    assert_int_equal(m.was, 1);
    OK(wr_model_registered(&v, s->a, s->p, "delay@champion", &s->err));
    assert_int_equal(v.version, 1); /* nothing happened */
    m.dry_run = false;
    OK(wr_model_move_alias(&m, s->p, &s->err));
    m = (wr_model_move){.name = "delay", .alias = "champion", .version = WR_MODEL_BACK, .dry_run = true};
    OK(wr_model_move_alias(&m, s->p, &s->err));
    assert_true(m.version == 1 && m.was == 2);
    m = (wr_model_move){.name = "delay", .alias = "champion", .version = WR_MODEL_BACK};
    OK(wr_model_move_alias(&m, s->p, &s->err));
    assert_true(m.version == 1 && m.was == 2);
    m.version = WR_MODEL_BACK;
    FAILS(WEIR_ENOTFOUND, wr_model_move_alias(&m, s->p, &s->err));
    SAYS("weir model promote delay@VERSION --to champion", s->err.hint);
    m.version = WR_MODEL_AWAY;
    OK(wr_model_move_alias(&m, s->p, &s->err));
    assert_int_equal(m.was, 1);
    FAILS(WEIR_ENOTFOUND, wr_model_move_alias(&m, s->p, &s->err));
    SAYS("model \"delay\" has no alias \"champion\"", s->err.msg);
    SAYS("it has none", s->err.hint);
    FAILS(WEIR_ENOTFOUND, wr_model_alias(s->p, "delay", "champion", 0, &s->err));
    m.name = "dealy";
    FAILS(WEIR_ENOTFOUND, wr_model_move_alias(&m, s->p, &s->err));
    SAYS("did you mean \"delay\"?", s->err.hint);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_candidates), T(test_register_again), T(test_aliases), T(test_not_found),
                                       T(test_bad_names),  T(test_node),           T(test_threads), T(test_clients),
                                       T(test_references), T(test_moves),          T(test_publish), T(test_moved),
                                       T(test_policies),   T(test_bad_policies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
