/* SPDX-License-Identifier: Apache-2.0 */
/* project_pg_test.c - a project whose records are in PostgreSQL: by weir.yaml, by the environment, shared by several.
 */
#include "core/core_testing.h"

#include "core/event.h"
#include "core/lineage.h"
#include "core/model.h"
#include "core/run.h"
#include "core/schema.h"

static char url[WR_PG_TESTING_URL];

static int make_pg_place(void **state)
{
    unsetenv("WEIR_DATABASE");
    return wr_pg_testing_start(url) < 0 ? -1 : make_place(state);
}

static int drop_pg_place(void **state)
{
    unsetenv("WEIR_DATABASE");
    return drop_place(state);
}

static void put_address(place *s, const char *address)
{
    put(s, "weir.yaml", wr_arena_printf(s->a, "database: %s\n", address));
    reopen(s);
}

static int64_t schema_version(place *s)
{
    wr_db *db;
    wr_stmt *q;
    OK(wr_project_db(&db, s->p, &s->err));
    assert_true(wr_db_is_shared(db));
    OK(wr_db_prepare(db, &q, "SELECT version FROM weir_schema", &s->err));
    assert_int_equal(wr_step(q, &s->err), 1);
    int64_t v = wr_stmt_i64(q, 0);
    wr_stmt_done(q);
    return v;
}

static void test_by_weir_yaml(void **state)
{
    place *s = *state;
    put_address(s, url);
    assert_int_equal(schema_version(s), wr_schema_count);
    assert_false(wr_file_exists(at(s, ".weir/weir.db")));
}

static void test_environment_wins(void **state)
{
    place *s = *state;
    put_address(s, "postgresql://nobody@127.0.0.1:1/nothing");
    setenv("WEIR_DATABASE", url, 1);
    assert_int_equal(schema_version(s), wr_schema_count);
}

/* What one project records another one finds, and goes on counting. */
static void test_two_projects_share(void **state)
{
    place *s = *state, *other = NULL;
    wr_event *e;
    wr_model_version v;
    int64_t version, id;
    size_t n;
    put_address(s, url);
    assert_int_equal(make_place((void **)&other), 0);
    put_address(other, url);
    OK(wr_event_add(s->p, "drift", "endpoint:delay", NULL, &id, &s->err));
    OK(wr_event_add(other->p, "drift", "endpoint:delay", NULL, &id, &other->err));
    OK(wr_event_list(&e, &n, s->a, s->p, 0, "drift", 0, &s->err));
    assert_int_equal(n, 2);
    assert_int_equal(e[1].id, id);
    OK(wr_event_ack(s->p, "trigger", id, &s->err));
    OK(wr_event_ack(s->p, "trigger", id - 1, &s->err)); /* a mark never goes back */
    OK(wr_event_acked(&id, other->p, "trigger", &other->err));
    assert_int_equal(id, e[1].id);
    char package[65];
    memset(package, 'a', 64);
    package[64] = 0;
    OK(wr_model_register(&version, s->p, "delay", package, "r1", "champion", &s->err));
    OK(wr_model_find(&v, other->a, other->p, "delay@champion", &other->err));
    assert_int_equal(v.version, version);
    assert_string_equal(v.aliases, "champion");
    void *pointer = other;
    assert_int_equal(drop_place(&pointer), 0);
}

static void test_wrong_addresses(void **state)
{
    place *s = *state;
    wr_db *db;
    static const struct {
        const char *yaml;
        int code;
        const char *says, *hints;
    } cases[] = {
        {"database: records.db\n", WEIR_EINVAL, "weir.yaml:1:11", "postgresql://"},
        {"database: [a]\n", WEIR_ETYPE, "weir.yaml:1:11", ""},
        {"databse: postgresql://x\n", WEIR_EINVAL, "databse", "database"},
        {"database: postgresql://u:secret@127.0.0.1:1/x\n", WEIR_EUNAVAILABLE, "postgresql://127.0.0.1:1/x", "running"},
        {"database: postgresql://u:secret@127.0.0.1:1/x?password=secret&nope=1\n", WEIR_EINVAL, "cannot be parsed",
         "OPTION"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(s, "weir.yaml", cases[i].yaml);
        reopen(s);
        FAILS(cases[i].code, wr_project_db(&db, s->p, &s->err));
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hints, s->err.hint);
        assert_null(strstr(s->err.msg, "secret"));
        assert_null(strstr(s->err.detail, "secret"));
    }
    put(s, "weir.yaml", "carbn: {}\n"); /* another mistake does not hide the records */
    reopen(s);
    OK(wr_project_db(&db, s->p, &s->err));
    setenv("WEIR_DATABASE", "records.db", 1);
    reopen(s);
    FAILS(WEIR_EINVAL, wr_project_db(&db, s->p, &s->err));
    SAYS("WEIR_DATABASE", s->err.msg);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_pg_place, drop_pg_place)
    const struct CMUnitTest tests[] = {T(test_by_weir_yaml), T(test_environment_wins), T(test_two_projects_share),
                                       T(test_wrong_addresses)};
#undef T
    return cmocka_run_group_tests_name("project_pg", tests, NULL, NULL);
}
