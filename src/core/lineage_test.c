/* SPDX-License-Identifier: Apache-2.0 */
/* lineage_test.c - the graph of what was made from what: adding, finding, walking both ways, limits. */
#include "core/core_testing.h"

#include "core/lineage.h"

static wr_node node(const char *kind, const char *name, const char *hash, int64_t version)
{
    return (wr_node){.kind = kind, .name = name, .hash = hash, .version = version};
}

static void link_nodes(place *s, wr_node child, wr_node parent)
{
    OK(wr_lineage_add(s->p, &child, &parent, "run1", &s->err));
}

static int64_t id_of(place *s, const char *kind, const char *name, int64_t version)
{
    wr_node n;
    OK(wr_lineage_find(&n, s->a, s->p, kind, name, version, NULL, &s->err));
    return n.id;
}

static void test_add_again(void **state)
{
    place *s = *state;
    wr_node a = node("dataset", "t", "aaaaaaaa", 1), found;
    OK(wr_lineage_add(s->p, &a, NULL, NULL, &s->err));
    int64_t id = id_of(s, "dataset", "t", 1);
    a.detail = "{\"rows\":3}";
    OK(wr_lineage_add(s->p, &a, NULL, NULL, &s->err)); /* free, and fills in the detail */
    OK(wr_lineage_find(&found, s->a, s->p, "dataset", "t", 1, NULL, &s->err));
    assert_int_equal(found.id, id);
    assert_string_equal(found.detail, "{\"rows\":3}");
    a.detail = NULL;
    OK(wr_lineage_add(s->p, &a, NULL, NULL, &s->err)); /* and does not lose it again */
    OK(wr_lineage_find(&found, s->a, s->p, "dataset", "t", 1, NULL, &s->err));
    assert_string_equal(found.detail, "{\"rows\":3}");
    a.version = 2; /* another version is another node */
    OK(wr_lineage_add(s->p, &a, NULL, NULL, &s->err));
    assert_true(id_of(s, "dataset", "t", 2) != id);
    assert_int_equal(id_of(s, "dataset", "t", -1), id_of(s, "dataset", "t", 2)); /* the newest */
}

static void test_find(void **state)
{
    place *s = *state;
    wr_node a = node("file", "data/a.csv", "abcdef0123456789", -1), found;
    OK(wr_lineage_add(s->p, &a, NULL, NULL, &s->err));
    OK(wr_lineage_find(&found, s->a, s->p, NULL, NULL, -1, "abcdef", &s->err));
    assert_string_equal(found.name, "data/a.csv");
    assert_null(found.detail);
    assert_true(found.created_us > 0);
    FAILS(WEIR_EINVAL, wr_lineage_find(&found, s->a, s->p, NULL, NULL, -1, "abcde", &s->err));
    SAYS("6 digits", s->err.msg);
    FAILS(WEIR_EINVAL, wr_lineage_find(&found, s->a, s->p, NULL, NULL, -1, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, "dataset", "data/a.csv", -1, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, NULL, NULL, -1, "abcdef99", &s->err));
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, NULL, NULL, -1, "%%%%%%", &s->err)); /* no pattern */
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, "file", "data/a.csv", 7, NULL, &s->err));
}

/* file -> run -> rows -> (run2, run3) -> package, and the package also straight from the rows. */
static void test_walk(void **state)
{
    place *s = *state;
    wr_node file = node("file", "f", "f", -1), run = node("run", "1", "", -1), rows = node("dataset", "rows", "r", 0),
            run2 = node("run", "2", "", -1), run3 = node("run", "3", "", -1), package = node("package", "m", "p", -1);
    link_nodes(s, run, file);
    link_nodes(s, rows, run);
    link_nodes(s, run2, rows);
    link_nodes(s, run3, rows);
    link_nodes(s, package, run2);
    link_nodes(s, package, run3);
    link_nodes(s, package, run3); /* twice the same */
    wr_lineage_step *step;
    size_t n;
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "package", "m", -1), WR_LINEAGE_PARENTS, &s->err));
    static const char *const up[] = {"m", "2", "3", "rows", "1", "f"};
    static const int depth[] = {0, 1, 1, 2, 3, 4};
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(step[i].node.name, up[i]);
        assert_int_equal(step[i].depth, depth[i]);
    }
    assert_int_equal(step[3].from, step[1].node.id); /* rows, reached by run 2 first */
    assert_string_equal(step[0].run_id, "");
    assert_string_equal(step[1].run_id, "run1");
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "file", "f", -1), WR_LINEAGE_CHILDREN, &s->err));
    assert_int_equal(n, 6);
    assert_string_equal(step[5].node.name, "m");
    assert_int_equal(step[5].depth, 4);
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "file", "f", -1), WR_LINEAGE_PARENTS, &s->err));
    assert_int_equal(n, 1);
    FAILS(WEIR_ENOTFOUND, wr_lineage_walk(&step, &n, s->a, s->p, 999, WR_LINEAGE_PARENTS, &s->err));
}

/* A thing is not its own parent; a circle, should one be written, does not keep a walk going round. */
static void test_circles(void **state)
{
    place *s = *state;
    wr_node a = node("dataset", "a", "a", 0), b = node("dataset", "b", "b", 0);
    wr_lineage_step *step;
    size_t n;
    link_nodes(s, a, a);
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "dataset", "a", 0), WR_LINEAGE_PARENTS, &s->err));
    assert_int_equal(n, 1);
    link_nodes(s, a, b);
    link_nodes(s, b, a);
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "dataset", "a", 0), WR_LINEAGE_PARENTS, &s->err));
    assert_int_equal(n, 2);
}

typedef struct {
    int from, to;
} fan;

static int add_fan(wr_db *db, void *arg, wr_err *err)
{
    const fan *f = arg;
    wr_node root = node("file", "root", "root", -1);
    for (int i = f->from; i < f->to; i++) {
        char name[32];
        snprintf(name, sizeof name, "leaf %d", i);
        wr_node leaf = node("file", name, name, -1);
        WR_TRY(wr_lineage_put(db, &leaf, &root, "r", err));
    }
    return 0;
}

static void test_limit(void **state)
{
    place *s = *state;
    wr_db *db;
    wr_lineage_step *step;
    size_t n;
    fan most = {0, 9999}, more = {9999, 10000};
    OK(wr_project_db(&db, s->p, &s->err));
    OK(wr_db_write(db, add_fan, &most, &s->err));
    OK(wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "file", "root", -1), WR_LINEAGE_CHILDREN, &s->err));
    assert_int_equal(n, 10000);
    OK(wr_db_write(db, add_fan, &more, &s->err));
    FAILS(WEIR_ELIMIT,
          wr_lineage_walk(&step, &n, s->a, s->p, id_of(s, "file", "root", -1), WR_LINEAGE_CHILDREN, &s->err));
}

static int add_then_fail(wr_db *db, void *arg, wr_err *err)
{
    WR_TRY(add_fan(db, arg, err));
    return wr_err_set(err, WEIR_EIO, "no");
}

static void test_rolled_back(void **state)
{
    place *s = *state;
    wr_db *db;
    wr_node found;
    fan some = {0, 3};
    OK(wr_project_db(&db, s->p, &s->err));
    FAILS(WEIR_EIO, wr_db_write(db, add_then_fail, &some, &s->err));
    FAILS(WEIR_ENOTFOUND, wr_lineage_find(&found, s->a, s->p, "file", "root", -1, NULL, &s->err));
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)
int main(void)
{
    const struct CMUnitTest tests[] = {T(test_add_again), T(test_find),  T(test_walk),
                                       T(test_circles),   T(test_limit), T(test_rolled_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
