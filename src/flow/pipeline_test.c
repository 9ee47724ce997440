/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"
#include "flow/flow_testing.h"
#include "flow/pipeline.h"

static int parse(wr_pipeline **pl, place *t, const char *text, wr_err *err)
{
    wr_yaml *y;
    *pl = NULL;
    WR_TRY(wr_yaml_parse(&y, t->a, wr_str_of(wr_arena_strdup(t->a, text)), "weir.yaml", err));
    return wr_pipeline_parse(pl, y, t->dir, NULL, 0, err);
}

static wr_pipeline *good(place *t, const char *text)
{
    wr_pipeline *pl;
    wr_err err = {0};
    if (parse(&pl, t, text, &err) < 0) fail_msg("%s (%s)", err.msg, err.hint);
    return pl;
}

static void test_all_keys(void **state)
{
    WR_AUTOPIPELINE wr_pipeline *pl =
        good(*state, "vars: {n: 3}\n"
                     "stages:\n"
                     "  a:\n"
                     "    cmd: [\"one ${n}\", two]\n"
                     "    wdir: sub/../work\n"
                     "    deps: [../z.csv, data:flights, ./b.csv, b.csv, /etc/passwd, ./x:y]\n"
                     "    params: [train.lr, {other.json: [c, b]}, {all.yaml: }]\n"
                     "    outs: [model:m, {big.bin: {cache: false, persist: true}}]\n"
                     "    metrics: [r.json]\n"
                     "    plots: [{p.csv: {x: a, y: b}}]\n"
                     "    frozen: true\n"
                     "    always_changed: yes\n"
                     "    manual: true\n"
                     "    desc: for people\n"
                     "    meta: {anything: [goes]}\n");
    assert_int_equal(pl->n, 1);
    const wr_stage *s = &pl->stages[0];
    assert_string_equal(s->name, "a");
    assert_string_equal(s->cmd, "one 3\ntwo");
    assert_string_equal(s->wdir, "work");
    static const char *const deps[] = {"/etc/passwd", "data:flights", "work/b.csv", "work/x:y", "z.csv"};
    assert_int_equal(s->ndeps, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(s->deps[i].ref, deps[i]);
    assert_int_equal(s->deps[1].kind, WR_NOUN_DATA);
    assert_int_equal(s->nparams, 3);
    assert_string_equal(s->params[0].file, "work/all.yaml");
    assert_int_equal(s->params[0].n, 0);
    assert_string_equal(s->params[1].file, "work/other.json");
    assert_string_equal(s->params[1].keys[0], "b");
    assert_string_equal(s->params[2].file, "work/params.yaml");
    assert_string_equal(s->params[2].keys[0], "train.lr");
    assert_int_equal(s->nouts, 4);
    assert_string_equal(s->outs[0].ref, "model:m");
    assert_string_equal(s->outs[1].ref, "work/big.bin");
    assert_true(s->outs[1].persist && !s->outs[1].cache);
    assert_true(s->outs[2].plot && s->outs[2].cache && !s->outs[2].metric);
    assert_true(s->outs[3].metric);
    assert_true(s->frozen && s->always_changed && s->manual);
    assert_string_equal(s->desc, "for people");
    assert_string_equal(wr_stage_shell(((place *)*state)->a, s), "( one 3\n) && ( two\n)");
}

static void test_colon_in_root_paths(void **state)
{
    WR_AUTOPIPELINE wr_pipeline *pl = good(*state, "stages: {a: {cmd: x, deps: [./odd:name]}}");
    assert_string_equal(pl->stages[0].deps[0].ref, "./odd:name");
    assert_int_equal(pl->stages[0].deps[0].kind, WR_NOUN_PATH);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *msg, *hint;
    } cases[] = {
        {"stages: [a]", WEIR_ETYPE, "weir.yaml:1:9: stages is a map of name: {cmd: ...}", NULL},
        {"stages:\n  a: x", WEIR_ETYPE, "weir.yaml:2:6: stage \"a\" is a map with a cmd", NULL},
        {"stages:\n  a: {dep: [x], cmd: x}", WEIR_EINVAL, "weir.yaml:2:7: unknown key \"dep\" in stage \"a\"",
         "did you mean \"deps\"?"},
        {"stages:\n  a b: {cmd: x}", WEIR_EINVAL, "weir.yaml:2:3: \"a b\" is not a name for a stage", NULL},
        {"stages:\n  a: {deps: [x]}", WEIR_EINVAL, "weir.yaml:2:3: stage \"a\" has no cmd", NULL},
        {"stages:\n  a: {cmd: '  '}", WEIR_EINVAL, "weir.yaml:2:12: a command is empty", NULL},
        {"stages:\n  a: {cmd: {x: y}}", WEIR_ETYPE, "weir.yaml:2:12: cmd is a text or a list of texts", NULL},
        {"stages:\n  a: {cmd: 'run ${lr}'}", WEIR_EINVAL, "weir.yaml:2:12: undefined variable \"lr\"", NULL},
        {"stages:\n  a: {cmd: x, deps: y}", WEIR_ETYPE, "weir.yaml:2:21: deps of stage \"a\" is a list", NULL},
        {"stages:\n  a: {cmd: x, deps: [dtaa:x]}", WEIR_EINVAL, "weir.yaml:2:22: unknown kind in \"dtaa:x\"",
         "did you mean \"data:x\"?"},
        {"stages:\n  a: {cmd: x, deps: ['data:a b']}", WEIR_EINVAL,
         "weir.yaml:2:22: \"data:a b\": \"a b\" is not a name", NULL},
        {"stages:\n  a: {cmd: x, outs: [../up]}", WEIR_EINVAL, "weir.yaml:2:22: out \"../up\" is outside the project",
         NULL},
        {"stages:\n  a: {cmd: x, outs: [.]}", WEIR_EINVAL, "weir.yaml:2:22: the whole project cannot be an out", NULL},
        {"stages:\n  a: {cmd: x, outs: [.weir/objects]}", WEIR_EINVAL,
         "weir.yaml:2:22: \".weir/objects\" cannot be an out", NULL},
        {"stages:\n  a: {cmd: x, outs: [d/../weir.lock]}", WEIR_EINVAL,
         "weir.yaml:2:22: \"weir.lock\" cannot be an out", NULL},
        {"stages:\n  a: {cmd: x, outs: [b, ./b]}", WEIR_EINVAL, "weir.yaml:2:25: out \"b\" stands twice in stage \"a\"",
         NULL},
        {"stages:\n  a: {cmd: x, outs: [{b: {cach: no}}]}", WEIR_EINVAL,
         "weir.yaml:2:27: unknown key \"cach\" in the flags of an out", "did you mean \"cache\"?"},
        {"stages:\n  a: {cmd: x, outs: [{b: {remote: s3}}]}", WEIR_EUNSUPPORTED,
         "weir.yaml:2:35: \"remote\" of an out is not supported yet: outs are kept in .weir/objects only", NULL},
        {"stages:\n  a: {cmd: x, outs: [b]}\n  c: {cmd: x, metrics: [b]}", WEIR_EINVAL,
         "weir.yaml:3:25: stages \"a\" and \"c\" both make \"b\"", "the first is at weir.yaml:2:22"},
        {"stages:\n  a: {cmd: x, outs: [d/e/f]}\n  c: {cmd: x, outs: [d]}", WEIR_EINVAL,
         "weir.yaml:2:22: out \"d/e/f\" of stage \"a\" overlaps \"d\" of stage \"c\"", NULL},
        {"stages:\n  a: {cmd: x, params: {lr: 1}}", WEIR_ETYPE, "weir.yaml:2:23: params of stage \"a\" is a list",
         NULL},
        {"stages:\n  a: {cmd: x, params: [{p.yaml: lr}]}", WEIR_ETYPE,
         "weir.yaml:2:33: parameters of \"p.yaml\" are a list of keys", NULL},
        {"stages:\n  a: {cmd: x, frozen: perhaps}", WEIR_ETYPE, NULL, NULL},
        {"stages:\n  a: {cmd: x, wdir: ../..}", WEIR_EINVAL, "weir.yaml:2:21: wdir \"../..\" is outside the project",
         NULL},
        {"stages:\n  a: {foreach: [x]}", WEIR_EINVAL, "weir.yaml:2:6: foreach of \"a\" has no \"do\"", NULL},
        {"stages:\n  a: {foreach: x, do: {cmd: x}}", WEIR_ETYPE, "weir.yaml:2:16: foreach of \"a\" is a list or a map",
         NULL},
        {"stages:\n  a: {foreach: [x], do: {cmd: x}, cmd: y}", WEIR_EINVAL,
         "weir.yaml:2:35: unknown key \"cmd\" in a stage with foreach", NULL},
        {"stages:\n  a: {foreach: [x, x], do: {cmd: x}}", WEIR_EINVAL, "weir.yaml:2:20: there are two stages \"a@x\"",
         NULL},
        {"stages:\n  a: {matrix: [x], cmd: x}", WEIR_ETYPE, "weir.yaml:2:15: matrix of \"a\" is a map of lists", NULL},
        {"stages:\n  a: {matrix: {m: x}, cmd: x}", WEIR_ETYPE, "weir.yaml:2:19: \"m\" in the matrix is a list", NULL},
        {"vars: [1, [2]]", WEIR_ENOTFOUND, "weir.yaml:1:8: there is no file \"1\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_pipeline *pl;
        wr_err err = {0};
        int rc = parse(&pl, *state, cases[i].text, &err);
        if (rc != cases[i].rc) fail_msg("%s: %d %s", cases[i].text, rc, err.msg);
        if (cases[i].msg) assert_string_equal(err.msg, cases[i].msg);
        if (cases[i].hint) assert_string_equal(err.hint, cases[i].hint);
    }
}

static void names(char *out, size_t size, const wr_pipeline *pl)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < pl->n; i++) {
        int len = snprintf(out + n, size - n, "%s%s:%s", i ? " " : "", pl->stages[i].name, pl->stages[i].cmd);
        assert_true(len > 0 && (size_t)len < size - n);
        n += (size_t)len;
    }
}

static void test_foreach(void **state)
{
    static const struct {
        const char *text, *names;
    } cases[] = {
        {"stages: {b: {foreach: [us, uk], do: {cmd: 'm ${item}'}}}", "b@us:m us b@uk:m uk"},
        {"stages: {b: {foreach: {us: {t: 1}, uk: {t: 2}}, do: {cmd: 'm ${key} ${item.t}'}}}",
         "b@us:m us 1 b@uk:m uk 2"},
        {"stages: {b: {foreach: [{t: 1}, {t: 2}], do: {cmd: 'm ${key} ${item.t}'}}}", "b@0:m 0 1 b@1:m 1 2"},
        {"{vars: {c: [x]}, stages: {b: {foreach: '${c}', do: {cmd: '${item}'}}}}", "b@x:x"},
        {"stages: {b: {foreach: [], do: {cmd: x}}}", ""},
        {"stages: {b: {matrix: {m: [a, b], f: [1, 2]}, cmd: '${item.m}${item.f}${key}'}}",
         "b@a-1:a1a-1 b@a-2:a2a-2 b@b-1:b1b-1 b@b-2:b2b-2"},
        {"stages: {b: {matrix: {m: [{k: 5}], f: [1]}, cmd: '${item.m.k}'}}", "b@m0-1:5"},
        {"stages: {b: {matrix: {m: [], f: [1]}, cmd: x}}", ""},
        {"stages: {b: {vars: [{z: 9}], cmd: '${z}'}, c: {cmd: y}}", "b:9 c:y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[256];
        WR_AUTOPIPELINE wr_pipeline *pl = good(*state, cases[i].text);
        names(got, sizeof got, pl);
        assert_string_equal(got, cases[i].names);
    }
}

static void test_too_many(void **state)
{
    wr_buf b = {0};
    wr_err err = {0};
    wr_pipeline *pl;
    wr_buf_str(&b, "stages: {b: {cmd: '${item.x}', matrix: {");
    for (int k = 0; k < 3; k++) {
        wr_buf_printf(&b, "%sv%d: [", k ? ", " : "", k);
        for (int i = 0; i < 40; i++) wr_buf_printf(&b, "%s%d", i ? "," : "", i);
        wr_buf_char(&b, ']');
    }
    wr_buf_str(&b, "}}}");
    assert_int_equal(parse(&pl, *state, wr_buf_cstr(&b), &err), WEIR_ELIMIT);
    assert_string_equal(err.msg, "weir.yaml:1:40: the matrix has more than 10000 stages");
    wr_buf_fini(&b);
}

static void test_marking(void **state)
{
    bool marked[4] = {0};
    wr_err err = {0};
    WR_AUTOPIPELINE wr_pipeline *pl =
        good(*state, "stages: {build: {foreach: [us, uk], do: {cmd: x}}, train: {cmd: y}}");
    assert_int_equal(wr_pipeline_mark(pl, "build", marked, &err), 0);
    assert_true(marked[0] && marked[1] && !marked[2]);
    memset(marked, 0, sizeof marked);
    assert_int_equal(wr_pipeline_mark(pl, "build@uk", marked, &err), 0);
    assert_true(!marked[0] && marked[1]);
    assert_int_equal(wr_pipeline_mark(pl, "trian", marked, &err), WEIR_ENOTFOUND);
    assert_string_equal(err.hint, "did you mean \"train\"?");
    assert_int_equal(wr_pipeline_find(pl, "train"), 2);
    assert_int_equal(wr_pipeline_find(pl, "build"), -1);
}

static void test_empty(void **state)
{
    static const char *const texts[] = {"{}", "stages:", "vars:\nstages: {}"};
    for (size_t i = 0; i < 3; i++) {
        WR_AUTOPIPELINE wr_pipeline *pl = good(*state, texts[i]);
        assert_int_equal(pl->n, 0);
    }
}

/* Every allocation fails once: an error each time, never a crash or a leak. */
static void test_no_memory(void **state)
{
    place *t = *state;
    wr_yaml *y;
    static const char text[] =
        "{vars: {n: 1}, stages: {a: {cmd: 'x ${n}', deps: [p, q], outs: [d/e]}, b: {foreach: [u], do: {cmd: y}}}}";
    assert_int_equal(wr_yaml_parse(&y, t->a, wr_str_of(text), "weir.yaml", NULL), 0);
    for (long n = 1;; n++) {
        wr_pipeline *pl = NULL;
        wr_fault_arm(WR_FAULT_ALLOC, n, false);
        int rc = wr_pipeline_parse(&pl, y, t->dir, NULL, 0, NULL);
        bool fired = wr_fault_fired(WR_FAULT_ALLOC);
        wr_fault_arm(WR_FAULT_ALLOC, 0, false);
        if (rc == 0) wr_pipeline_free(pl);
        else assert_int_equal(rc, WEIR_ENOMEM);
        if (!fired) {
            assert_int_equal(rc, 0);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_keys, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_colon_in_root_paths, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_refused, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_foreach, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_too_many, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_marking, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_empty, make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_no_memory, make_place, drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
