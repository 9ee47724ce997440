/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow_testing.h"
#include "flow/graph.h"

typedef struct {
    wr_pipeline *pl;
    wr_graph g;
} made;

static int build(made *m, place *t, const char *text, wr_err *err)
{
    wr_yaml *y;
    m->pl = NULL;
    WR_TRY(wr_yaml_parse(&y, t->a, wr_str_of(wr_arena_strdup(t->a, text)), "weir.yaml", err));
    WR_TRY(wr_pipeline_parse(&m->pl, y, t->dir, NULL, 0, err));
    return wr_graph_build(&m->g, t->a, m->pl, err);
}

static made good(place *t, const char *text)
{
    made m;
    wr_err err = {0};
    if (build(&m, t, text, &err) < 0) fail_msg("%s", err.msg);
    return m;
}

static bool edge(const made *m, const char *from, const char *to)
{
    size_t a = (size_t)wr_pipeline_find(m->pl, from), b = (size_t)wr_pipeline_find(m->pl, to);
    bool up = false, down = false;
    for (size_t i = 0; i < m->g.up[b].n; i++) up |= m->g.up[b].at[i] == a;
    for (size_t i = 0; i < m->g.down[a].n; i++) down |= m->g.down[a].at[i] == b;
    assert_true(up == down);
    return up;
}

static const char *order(place *t, const made *m)
{
    const char *s = "";
    for (size_t i = 0; i < m->pl->n; i++)
        s = wr_arena_printf(t->a, "%s%s%s", s, i ? " " : "", m->pl->stages[m->g.order[i]].name);
    return s;
}

static void test_edges(void **state)
{
    made m = good(*state, "stages:\n"
                          "  late:  {cmd: x, deps: [d/sub/f.csv, data:a]}\n"
                          "  dir:   {cmd: x, outs: [d]}\n"
                          "  file:  {cmd: x, outs: [e/f/g.csv, params.d/p.yaml], deps: [data:b]}\n"
                          "  whole: {cmd: x, deps: [e]}\n"
                          "  noun:  {cmd: x, outs: [data:a]}\n"
                          "  near:  {cmd: x, deps: [dd, e/f/g.csv2]}\n"
                          "  par:   {cmd: x, params: [{params.d/p.yaml: [q]}]}\n"
                          "  ice:   {cmd: x, deps: [d], frozen: true}\n");
    assert_true(edge(&m, "dir", "late"));
    assert_true(edge(&m, "noun", "late"));
    assert_true(edge(&m, "file", "whole"));
    assert_true(edge(&m, "file", "par"));
    assert_false(edge(&m, "dir", "near"));
    assert_false(edge(&m, "file", "near"));
    assert_false(edge(&m, "dir", "ice"));
    assert_string_equal(order(*state, &m), "dir noun late file whole near par ice");
    wr_pipeline_free(m.pl);
}

static void test_cycles(void **state)
{
    static const struct {
        const char *text, *msg;
    } cases[] = {
        {"stages:\n  a: {cmd: x, deps: [f], outs: [f]}", "weir.yaml:2:3: stage \"a\" depends on its own out"},
        {"stages:\n  a: {cmd: x, deps: [d/f], outs: [d]}", "weir.yaml:2:3: stage \"a\" depends on its own out"},
        {"stages:\n  a: {cmd: x, deps: [.], outs: [d]}", "weir.yaml:2:3: stage \"a\" depends on its own out"},
        {"stages:\n  s: {cmd: x, deps: [c]}\n  a: {cmd: x, deps: [c], outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}\n"
         "  c: {cmd: x, deps: [b], outs: [c]}",
         "weir.yaml:5:3: stages depend on each other: c -> a -> b -> c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        made m;
        wr_err err = {0};
        assert_int_equal(build(&m, *state, cases[i].text, &err), WEIR_EINVAL);
        assert_string_equal(err.msg, cases[i].msg);
        wr_pipeline_free(m.pl);
    }
}

static const char *picked(place *t, const made *m, const wr_graph_pick *pick)
{
    bool wanted[16] = {0};
    wr_err err = {0};
    const char *s = "";
    if (wr_graph_select(wanted, &m->g, pick, &err) < 0) return err.msg[0] ? wr_arena_strdup(t->a, err.msg) : "error";
    for (size_t i = 0; i < m->pl->n; i++)
        if (wanted[i]) s = wr_arena_printf(t->a, "%s%s%s", s, s[0] ? " " : "", m->pl->stages[i].name);
    return s;
}

static void test_selection(void **state)
{
    place *t = *state;
    made m = good(
        t, "stages:\n"
           "  a: {cmd: x, outs: [a]}\n  b: {cmd: x, deps: [a], outs: [b]}\n  c: {cmd: x, deps: [b]}\n  o: {cmd: x}\n"
           "  fb: {cmd: x, outs: [fb], manual: true}\n  re: {cmd: x, deps: [fb, b], manual: true}\n");
    static const char *const b[] = {"b"}, *const re[] = {"re"}, *const both[] = {"re", "fb"}, *const bad[] = {"zzzzzz"};
    assert_string_equal(picked(t, &m, &(wr_graph_pick){0}), "a b c o");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = b, .n = 1}), "a b");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = b, .n = 1, .single = true}), "b");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = b, .n = 1, .downstream = true}), "b c");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = re, .n = 1}), "a b re");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = both, .n = 2}), "a b fb re");
    assert_string_equal(picked(t, &m, &(wr_graph_pick){.targets = bad, .n = 1}), "there is no stage \"zzzzzz\"");
    wr_pipeline_free(m.pl);
}

static void test_drawings(void **state)
{
    made m = good(*state, "stages:\n"
                          "  in: {cmd: x, outs: [a]}\n  prof: {cmd: x, deps: [a]}\n  check: {cmd: x, deps: [a]}\n"
                          "  clean: {cmd: x, deps: [a], outs: [b]}\n  alone: {cmd: 'say \"hi\"', manual: true}\n"
                          "  end: {cmd: x, deps: [a, b]}\n");
    wr_buf b = {0};
    wr_graph_draw(&b, &m.g);
    assert_string_equal(wr_buf_cstr(&b), "○      in  → a\n"
                                         "├─●    prof\n"
                                         "├───●  check\n"
                                         "├─●    clean  → b\n"
                                         "│ │ ○  alone (manual)\n"
                                         "●─╯    end\n");
    wr_buf_clear(&b);
    wr_graph_mermaid(&b, &m.g);
    assert_non_null(strstr(wr_buf_cstr(&b), "s0[\"in\"]"));
    assert_non_null(strstr(wr_buf_cstr(&b), "s3 --> s5\n"));
    wr_buf_clear(&b);
    wr_graph_dot(&b, &m.g);
    assert_non_null(strstr(wr_buf_cstr(&b), "\"clean\" -> \"end\";"));
    assert_non_null(strstr(wr_buf_cstr(&b), "\"alone\" [style=dashed]"));
    wr_buf_clear(&b);
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_graph_json(&w, &m.g);
    WR_AUTOJSON wr_json j = {0};
    assert_int_equal(wr_json_parse(&j, wr_buf_view(&b), "graph", NULL), 0);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(j.root, "stages")), 6);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(j.root, "edges")), 5);
    wr_buf_fini(&b);
    wr_pipeline_free(m.pl);
}

/* A chain as long as the limit allows: no recursion, no quadratic work. */
static void test_long_chain(void **state)
{
    wr_buf b = {0};
    enum { N = 5000 };
    wr_buf_str(&b, "stages:\n");
    for (int i = N; i-- > 0;) wr_buf_printf(&b, "  s%d: {cmd: x, deps: [f%d], outs: [f%d]}\n", i, i, i + 1);
    made m = good(*state, wr_buf_cstr(&b));
    for (size_t i = 0; i < N; i++) assert_int_equal(m.g.order[i], N - 1 - i);
    wr_buf_fini(&b);
    wr_pipeline_free(m.pl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_edges, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_cycles, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_selection, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_drawings, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_long_chain, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
