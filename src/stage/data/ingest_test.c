/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_test.c - files become versions, and on any error nothing changes. */
#include "stage/data/ingest.h"

#include <sys/stat.h>

#include "base/fault.h"
#include "core/core_testing.h"

static int ingest(place *s, wr_ingested *g, wr_ingest_opt opt)
{
    wr_run *r;
    wr_run_opt ro = {"ingest", "data-collection", opt.name, "test"};
    OK(wr_run_begin(&r, s->p, &ro, &s->err));
    s->err = (wr_err){0};
    int rc = wr_ingest(g, s->p, &opt, r, &s->err);
    OK(wr_run_end(r, rc, &s->err, NULL));
    return rc;
}

static int one(place *s, wr_ingested *g, const char *name, const char *file, bool append)
{
    const char *from[] = {at(s, file)};
    return ingest(s, g, (wr_ingest_opt){.name = name, .from = from, .nfrom = 1, .append = append});
}

static void parquet(place *s, const char *name, const char *sql)
{
    wr_parquet_info info;
    OK(wr_tables_copy_parquet(engine(s), &info, s->a, sql, at(s, name), &s->err));
}

static void test_formats(void **state)
{
    place *s = *state;
    wr_ingested g;
    put(s, "a.csv", "n,t,when\n1,x,2001-01-01 10:00:00\n2,,2001-01-02 11:30:00\n");
    put(s, "b.jsonl", "{\"n\":1,\"t\":\"x\"}\n{\"n\":2,\"t\":null}\n");
    put(s, "c.json", "[{\"n\":1},{\"n\":3}]");
    put(s, "d.data", "n;m\n4;5\n");
    parquet(s, "e.parquet", "SELECT range AS n FROM range(1000)");
    OK(one(s, &g, "a", "a.csv", false));
    assert_int_equal(g.written.rows, 2);
    assert_int_equal(g.files, 1);
    assert_int_equal(number(s, "SELECT count(t) FROM a"), 1);
    assert_int_equal(number(s, "SELECT epoch_us(max(\"when\")) FROM a"), 978435000000000);
    OK(one(s, &g, "b", "b.jsonl", false));
    OK(one(s, &g, "c", "c.json", false));
    assert_int_equal(number(s, "SELECT sum(n)::BIGINT FROM c"), 4);
    const char *from[] = {at(s, "d.data")};
    OK(ingest(s, &g, (wr_ingest_opt){.name = "d", .from = from, .nfrom = 1, .format = "csv"}));
    assert_int_equal(number(s, "SELECT n + m FROM d"), 9);
    OK(one(s, &g, "e", "e.parquet", false));
    assert_int_equal(g.written.rows, 1000);
    const char *some[] = {at(s, "e.parquet")};
    OK(ingest(s, &g,
              (wr_ingest_opt){.name = "f", .from = some, .nfrom = 1, .select = "n * 2 AS m", .where = "n < 10"}));
    assert_int_equal(number(s, "SELECT sum(m)::BIGINT FROM f"), 90);
}

static void test_csv_without_header(void **state)
{
    place *s = *state;
    wr_ingested g;
    put(s, "a.csv", "7.4,0,0\n1,2,3\n");
    const char *from[] = {at(s, "a.csv")};
    wr_ingest_opt opt = {.name = "t", .from = from, .nfrom = 1};
    FAILS(WEIR_EINVAL, ingest(s, &g, opt));
    SAYS("no header", s->err.msg);
    SAYS("--no-header", s->err.hint);
    opt.header = WR_HEADER_NONE;
    OK(ingest(s, &g, opt));
    assert_int_equal(g.written.rows, 2);
    assert_int_equal(number(s, "SELECT sum(column2)::BIGINT FROM t"), 3);
    opt.header = WR_HEADER_THERE;
    OK(ingest(s, &g, opt));
    assert_false(g.unchanged);
    assert_int_equal(number(s, "SELECT sum(\"7.4\")::BIGINT FROM t"), 1);
}

static void test_versions_and_lineage(void **state)
{
    place *s = *state;
    wr_ingested g;
    wr_node node;
    wr_lineage_step *steps;
    size_t n;
    bool found = false;
    put(s, "a.csv", "n\n1\n2\n");
    put(s, "b.csv", "n\n3\n");
    OK(one(s, &g, "t", "a.csv", false));
    assert_int_equal(g.written.version, 0);
    OK(one(s, &g, "t", "a.csv", false));
    assert_true(g.unchanged);
    assert_int_equal(g.written.rows, 2);
    /* Lineage of others that use the dataset must not make it look new. */
    wr_delta_snapshot d;
    OK(wr_dataset_read(&d, s->p, "t", &s->err));
    OK(wr_dataset_node(&node, s->a, "t", &d));
    OK(wr_lineage_add(s->p, &node, NULL, "0", &s->err));
    wr_delta_free(&d);
    OK(one(s, &g, "t", "a.csv", false));
    assert_true(g.unchanged);
    OK(one(s, &g, "t", "b.csv", true));
    assert_false(g.unchanged);
    assert_int_equal(g.written.version, 1);
    assert_int_equal(number(s, "SELECT sum(n)::BIGINT FROM t"), 6);
    OK(one(s, &g, "t", "a.csv", false)); /* the newest version is not these files alone */
    assert_false(g.unchanged);
    assert_int_equal(number(s, "SELECT sum(n)::BIGINT FROM t"), 3);
    put(s, "a.csv", "n\n1\n5\n");
    OK(one(s, &g, "t", "a.csv", false)); /* same name, other content */
    assert_false(g.unchanged);
    OK(wr_lineage_find(&node, s->a, s->p, "dataset", "t", g.written.version, NULL, &s->err));
    OK(wr_lineage_walk(&steps, &n, s->a, s->p, node.id, WR_LINEAGE_PARENTS, &s->err));
    for (size_t i = 0; i < n; i++) found = found || strcmp(steps[i].node.kind, "file") == 0;
    assert_true(found);
}

static void test_many_files(void **state)
{
    place *s = *state;
    wr_ingested g;
    char outside[] = "/tmp/weir-ingest-XXXXXX", name[64];
    assert_non_null(mkdtemp(outside));
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%s/%d/deep", outside, i);
        OK(wr_file_mkdirs(name, &s->err));
        snprintf(name, sizeof name, "%s/%d/deep/it's.csv", outside, i);
        OK(wr_file_write(name, WR_STR("n\n7\n"), &s->err));
    }
    const char *from[] = {wr_arena_printf(s->a, "%s/%s/deep/%s.csv", outside, "*", "*")};
    OK(ingest(s, &g, (wr_ingest_opt){.name = "t", .from = from, .nfrom = 1}));
    assert_int_equal(g.files, 40);
    assert_int_equal(number(s, "SELECT sum(n)::BIGINT FROM t"), 280);
    wr_file_remove_tree(outside, NULL);
}

static void make_bad_files(place *s)
{
    parquet(s, "good.parquet", "SELECT range AS n FROM range(100000)");
    WR_AUTOBUF wr_buf whole = {0};
    OK(wr_file_read(&whole, at(s, "good.parquet"), 10 << 20, &s->err));
    OK(wr_file_write(at(s, "cut.parquet"), (wr_str){whole.p, whole.n / 2}, &s->err));
    put(s, "empty.csv", "");
    put(s, "short.csv", "a,b\n1,2\n3\n");
    put(s, "text.parquet", "hello");
    put(s, "what.foo", "hello");
    put(s, "cut.json", "{\"a\":1}\n{\"a\":");
    OK(wr_file_mkdirs(at(s, "folder"), &s->err));
}

static void test_bad_files(void **state)
{
    place *s = *state;
    wr_ingested g;
    make_bad_files(s);
    static const struct {
        const char *file;
        int code;
        const char *says, *hint;
    } cases[] = {
        {"nope.csv", WEIR_ENOTFOUND, "nope.csv", ""},
        {"*.nope", WEIR_ENOTFOUND, "no file matches", ""},
        {"cut.parquet", WEIR_ECORRUPT, "cut.parquet", "cut short"},
        {"text.parquet", WEIR_ECORRUPT, "text.parquet", "not Parquet"},
        {"empty.csv", WEIR_EINVAL, "is empty", ""},
        {"folder", WEIR_EINVAL, "is a folder", "--from"},
        {"what.foo", WEIR_EINVAL, "cannot be told", "--format"},
        {"short.csv", WEIR_ECORRUPT, "another number of columns", "mend"},
    };
    size_t before = count_files(s, ".weir/lake");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FAILS(cases[i].code, one(s, &g, "t", cases[i].file, false));
        SAYS(cases[i].says, s->err.msg);
        SAYS(cases[i].hint, s->err.hint);
        assert_null(strstr(s->err.detail, "SELECT"));
    }
    assert_true(one(s, &g, "t", "cut.json", false) < 0);
    const char *from[] = {at(s, "good.parquet")};
    FAILS(WEIR_EINVAL, ingest(s, &g, (wr_ingest_opt){.name = "t", .from = from, .nfrom = 1, .format = "parqet"}));
    SAYS("did you mean \"parquet\"", s->err.hint);
    FAILS(WEIR_EINVAL, ingest(s, &g, (wr_ingest_opt){.name = "../t", .from = from, .nfrom = 1}));
    assert_true(ingest(s, &g, (wr_ingest_opt){.name = "t", .from = from, .nfrom = 1, .where = "1) ; COPY (SELECT 1"}) <
                0);
    assert_false(wr_dataset_exists(s->p, "t"));
    assert_int_equal(count_files(s, ".weir/lake"), before);
}

static void test_append_needs_the_schema(void **state)
{
    place *s = *state;
    wr_ingested g;
    put(s, "a.csv", "n,t\n1,x\n");
    put(s, "b.csv", "n,t\ny,x\n");
    put(s, "c.csv", "n,u\n1,x\n");
    OK(one(s, &g, "t", "a.csv", false));
    size_t before = count_files(s, ".weir/lake");
    FAILS(WEIR_EINVAL, one(s, &g, "t", "b.csv", true));
    SAYS("long", s->err.detail);
    SAYS("string", s->err.detail);
    FAILS(WEIR_EINVAL, one(s, &g, "t", "c.csv", true));
    SAYS("u", s->err.detail);
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 1);
    assert_int_equal(count_files(s, ".weir/lake"), before);
}

/* The sniffer took the third line for the header and found no rows at all. */
static void test_ragged_lines_are_not_passed_over(void **state)
{
    place *s = *state;
    wr_ingested g;
    put(s, "ragged.csv", "t,place\n2001-01-01,A\n2001-01-02,B,extra,cells\n");
    FAILS(WEIR_ECORRUPT, one(s, &g, "t", "ragged.csv", false));
    SAYS("does not begin with its header", s->err.msg);
    put(s, "marked.csv", "\xef\xbb\xbfn,t\n1,x\n"); /* a byte order mark is not a line */
    OK(one(s, &g, "t", "marked.csv", false));
    assert_int_equal(number(s, "SELECT count(*) FROM t"), 1);
}

static void test_unreadable(void **state)
{
    place *s = *state;
    wr_ingested g;
    put(s, "a.csv", "n\n1\n");
    if (geteuid() == 0) skip(); /* nothing is unreadable for root */
    assert_int_equal(chmod(at(s, "a.csv"), 0), 0);
    FAILS(WEIR_EACCESS, one(s, &g, "t", "a.csv", false));
}

/* Every write, fsync and rename in turn: the version is there as a whole, or not at all, and no file is left over. */
static void test_faults(void **state)
{
    static const wr_fault_kind kinds[] = {WR_FAULT_WRITE, WR_FAULT_FSYNC, WR_FAULT_RENAME};
    place *s = *state;
    wr_ingested g;
    put(s, "a.csv", "n\n1\n");
    put(s, "b.csv", "n\n2\n");
    OK(one(s, &g, "t", "a.csv", false));
    size_t failed = 0;
    for (size_t k = 0; k < 3; k++) {
        for (long nth = 1; nth < 20; nth++) {
            wr_run *r;
            wr_run_opt ro = {"ingest", "data-collection", "t", "test"};
            const char *from[] = {at(s, "b.csv")};
            wr_ingest_opt opt = {.name = "t", .from = from, .nfrom = 1, .append = true};
            size_t files = count_files(s, ".weir/lake");
            int64_t rows = number(s, "SELECT count(*) FROM t");
            OK(wr_run_begin(&r, s->p, &ro, &s->err));
            wr_fault_arm(kinds[k], nth, false);
            int rc = wr_ingest(&g, s->p, &opt, r, &s->err);
            bool fired = wr_fault_fired(kinds[k]);
            wr_fault_arm(kinds[k], 0, false);
            OK(wr_run_end(r, rc, &s->err, NULL));
            int64_t now = number(s, "SELECT count(*) FROM t");
            failed += rc < 0;
            /* A failed fsync of the folder after the commit is an error with the commit there. */
            assert_true(now == rows || now == rows + 1);
            if (rc == 0) assert_int_equal(now, rows + 1);
            if (now == rows) assert_int_equal(count_files(s, ".weir/lake"), files);
            if (!fired) break;
        }
    }
    assert_true(failed >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formats, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_csv_without_header, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_versions_and_lineage, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_many_files, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_bad_files, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_append_needs_the_schema, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_ragged_lines_are_not_passed_over, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_unreadable, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_faults, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
