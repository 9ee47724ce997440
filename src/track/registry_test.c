/* SPDX-License-Identifier: Apache-2.0 */
#include "track/registry.h"

#include <unistd.h>

#include "track/registry_policy.h"
#include "track/track_testing.h"

#define S(text) WR_STR(text)

/* What a version is, in one line: "2 Staging runs:/r/model [champion]". */
static const char *line(store *s, const wr_registered_version *v)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_buf_printf(&b, "%lld %s %s [", (long long)v->version, v->stage.p, v->source.p);
    for (size_t i = 0; i < v->naliases; i++) wr_buf_printf(&b, "%s%s", i ? "," : "", v->aliases[i].p);
    wr_buf_str(&b, "]");
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static wr_registered_version add(store *s, wr_str name, wr_str source, wr_str run)
{
    wr_registered_version v = {0};
    wr_registered_version_new in = {.name = name, .source = source, .run_id = run, .description = S("")};
    OK(wr_registered_version_create(&v, s->a, s->t, &in, &s->err));
    return v;
}

static const char *get(store *s, wr_str name, int64_t version)
{
    wr_registered_version v;
    OK(wr_registered_version_get(&v, s->a, s->t, name, version, &s->err));
    return line(s, &v);
}

static void create(store *s, wr_str name)
{
    wr_registered_model m;
    OK(wr_registered_model_create(&m, s->a, s->t, name, S(""), NULL, 0, &s->err));
}

/* ---- models ---- */

static void models(store *s)
{
    wr_registered_model m;
    wr_track_item tags[] = {{S("team"), S("a")}, {S("env"), S("x")}, {S("team"), S("b")}};
    OK(wr_registered_model_create(&m, s->a, s->t, S("churn"), S("who leaves"), tags, 3, &s->err));
    assert_string_equal(m.name.p, "churn");
    assert_string_equal(m.description.p, "who leaves");
    assert_int_equal(m.ntags, 2);
    assert_string_equal(m.tags[1].value.p, "b"); /* the last one counts */
    FAILS(WEIR_EEXIST, "Registered Model (name=churn) already exists.",
          wr_registered_model_create(&m, s->a, s->t, S("churn"), S(""), NULL, 0, &s->err));
    wr_track_item prompt = {S(WR_PROMPT_TAG), S("true")};
    FAILS(WEIR_EEXIST,
          "Tried to create a prompt with name 'churn', but the name is already taken by a registered model.",
          wr_registered_model_create(&m, s->a, s->t, S("churn"), S(""), &prompt, 1, &s->err));
    FAILS(WEIR_ENOTFOUND, "Registered Model with name=nobody not found",
          wr_registered_model_get(&m, s->a, s->t, S("nobody"), &s->err));
    OK(wr_registered_model_describe(s->t, S("churn"), S("new"), &s->err));
    OK(wr_registered_model_set_tag(s->t, S("churn"), S("env"), S("y"), &s->err));
    OK(wr_registered_model_delete_tag(s->t, S("churn"), S("team"), &s->err));
    OK(wr_registered_model_delete_tag(s->t, S("churn"), S("team"), &s->err)); /* silent */
    OK(wr_registered_model_get(&m, s->a, s->t, S("churn"), &s->err));
    assert_string_equal(m.description.p, "new");
    assert_int_equal(m.ntags, 1);
    assert_string_equal(m.tags[0].value.p, "y");
}

static void names(store *s)
{
    char *long_name = wr_arena_alloc(s->a, 300);
    memset(long_name, 'x', 300);
    FAILS(WEIR_EINVAL, "Missing value for required parameter 'name'.",
          wr_registered_name_check(S("  "), "name", &s->err));
    FAILS(WEIR_EINVAL, "Invalid model name 'a/b'. Names cannot contain '/' or ':'.",
          wr_registered_name_check(S("a/b"), "name", &s->err));
    FAILS(WEIR_EINVAL, "cannot contain", wr_registered_name_check(S("a:b"), "name", &s->err));
    FAILS(WEIR_EINVAL, "must not resolve", wr_registered_name_check(S(".."), "name", &s->err));
    FAILS(WEIR_EINVAL, "must not resolve", wr_registered_name_check(S("."), "name", &s->err));
    FAILS(WEIR_EINVAL, "not UTF-8", wr_registered_name_check(S("a\xff"), "name", &s->err));
    FAILS(WEIR_EINVAL, "not UTF-8", wr_registered_name_check(S("a\0b"), "name", &s->err));
    FAILS(WEIR_EINVAL, "maximum length", wr_registered_name_check((wr_str){long_name, 300}, "name", &s->err));
    OK(wr_registered_name_check(S("Ein Modell, 2.0 (neu)"), "name", &s->err));
}

static void renaming(store *s)
{
    wr_registered_model m;
    create(s, S("old"));
    create(s, S("other"));
    add(s, S("old"), S("runs:/r/m"), S("r"));
    OK(wr_registered_alias_set(s->t, S("old"), S("best"), 1, NULL, &s->err));
    OK(wr_registered_version_set_tag(s->t, S("old"), 1, S("k"), S("v"), &s->err));
    FAILS(WEIR_EEXIST, "Registered Model (name=other) already exists.",
          wr_registered_model_rename(s->t, S("old"), S("other"), &s->err));
    FAILS(WEIR_EINVAL, "parameter 'new_name'", wr_registered_model_rename(s->t, S("old"), S(" "), &s->err));
    OK(wr_registered_model_rename(s->t, S("old"), S("old"), &s->err));
    OK(wr_registered_model_rename(s->t, S("old"), S("new"), &s->err));
    FAILS(WEIR_ENOTFOUND, "name=old not found", wr_registered_model_get(&m, s->a, s->t, S("old"), &s->err));
    OK(wr_registered_model_get(&m, s->a, s->t, S("new"), &s->err));
    assert_int_equal(m.naliases, 1);
    assert_string_equal(get(s, S("new"), 1), "1 None runs:/r/m [best]");
    /* deleting is for good: a namesake starts anew */
    OK(wr_registered_model_delete(s->t, S("new"), &s->err));
    FAILS(WEIR_ENOTFOUND, "name=new not found", wr_registered_model_delete(s->t, S("new"), &s->err));
    create(s, S("new"));
    wr_registered_version v = add(s, S("new"), S("runs:/r/n"), S("r"));
    assert_int_equal(v.version, 1);
    assert_int_equal(v.ntags, 0);
    assert_int_equal(v.naliases, 0);
}

/* ---- versions ---- */

static void versions(store *s)
{
    wr_registered_version v;
    create(s, S("m"));
    FAILS(WEIR_ENOTFOUND, "Registered Model with name=none not found",
          wr_registered_version_create(
              &v, s->a, s->t, &(wr_registered_version_new){.name = S("none"), .source = S("s3:/b/x")}, &s->err));
    add(s, S("m"), S("runs:/r1/model"), S("r1"));
    add(s, S("m"), S("runs:/r2/model"), S("r2"));
    add(s, S("m"), S("runs:/r3/model"), S("r3"));
    OK(wr_registered_alias_set(s->t, S("m"), S("champion"), 3, NULL, &s->err));
    OK(wr_registered_version_set_tag(s->t, S("m"), 3, S("k"), S("v"), &s->err));
    OK(wr_registered_version_delete(s->t, S("m"), 3, NULL, &s->err));
    /* a number is never given twice, and nothing leads to the deleted one */
    FAILS(WEIR_ENOTFOUND, "Model Version (name=m, version=3) not found",
          wr_registered_version_get(&v, s->a, s->t, S("m"), 3, &s->err));
    FAILS(WEIR_ENOTFOUND, "version=3) not found", wr_registered_version_delete(s->t, S("m"), 3, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, "version=3) not found",
          wr_registered_version_set_tag(s->t, S("m"), 3, S("k"), S("w"), &s->err));
    FAILS(WEIR_ENOTFOUND, "version=3) not found", wr_registered_alias_set(s->t, S("m"), S("x"), 3, NULL, &s->err));
    FAILS(WEIR_EINVAL, "Registered model alias champion not found.",
          wr_registered_version_by_alias(&v, s->a, s->t, S("m"), S("champion"), &s->err));
    assert_int_equal(add(s, S("m"), S("runs:/r4/model"), S("r4")).version, 4);
    OK(wr_registered_version_by_alias(&v, s->a, s->t, S("m"), S("Latest"), &s->err));
    assert_int_equal(v.version, 4);
    OK(wr_registered_version_describe(s->t, S("m"), 4, S("fine"), &s->err));
    OK(wr_registered_version_get(&v, s->a, s->t, S("m"), 4, &s->err));
    assert_string_equal(v.description.p, "fine");
    OK(wr_registered_version_describe(s->t, S("m"), 4, (wr_str){NULL, 0}, &s->err));
    OK(wr_registered_version_get(&v, s->a, s->t, S("m"), 4, &s->err));
    assert_null(v.description.p);
}

static void version_numbers(store *s)
{
    int64_t n;
    OK(wr_registered_version_number(&n, S("12"), &s->err));
    assert_int_equal(n, 12);
    FAILS(WEIR_EINVAL, "Parameter 'version' must be an integer, got 'one'.",
          wr_registered_version_number(&n, S("one"), &s->err));
    FAILS(WEIR_EINVAL, "must be an integer", wr_registered_version_number(&n, S("1.5"), &s->err));
    FAILS(WEIR_EINVAL, "must be an integer", wr_registered_version_number(&n, S(""), &s->err));
}

static void stages(store *s)
{
    wr_registered_version *v;
    size_t n;
    create(s, S("m"));
    for (int i = 0; i < 4; i++) add(s, S("m"), S("runs:/r/model"), S("r"));
    FAILS(WEIR_EINVAL,
          "Invalid Model Version stage: unknown. Value must be one of None, Staging, Production, Archived.",
          wr_registered_version_move(s->t, S("m"), 1, S("unknown"), false, NULL, &s->err));
    FAILS(WEIR_EINVAL, "'archived' is not an Active stage. Valid stages are ['Staging', 'Production']",
          wr_registered_version_move(s->t, S("m"), 1, S("archived"), true, NULL, &s->err));
    OK(wr_registered_version_move(s->t, S("m"), 1, S("PRODUCTION"), false, NULL, &s->err));
    OK(wr_registered_version_move(s->t, S("m"), 2, S("production"), false, NULL, &s->err));
    OK(wr_registered_version_move(s->t, S("m"), 3, S("Production"), true, NULL, &s->err));
    assert_string_equal(get(s, S("m"), 1), "1 Archived runs:/r/model []");
    assert_string_equal(get(s, S("m"), 2), "2 Archived runs:/r/model []");
    assert_string_equal(get(s, S("m"), 3), "3 Production runs:/r/model []");
    OK(wr_registered_version_move(s->t, S("m"), 3, S("production"), true, NULL, &s->err)); /* itself stays */
    assert_string_equal(get(s, S("m"), 3), "3 Production runs:/r/model []");
    OK(wr_registered_latest(&v, &n, s->a, s->t, S("m"), NULL, 0, &s->err));
    assert_int_equal(n, 3);
    assert_string_equal(line(s, &v[0]), "2 Archived runs:/r/model []");
    assert_string_equal(line(s, &v[1]), "3 Production runs:/r/model []");
    assert_string_equal(line(s, &v[2]), "4 None runs:/r/model []");
    wr_str wanted[] = {S("none"), S("archived")};
    OK(wr_registered_latest(&v, &n, s->a, s->t, S("m"), wanted, 2, &s->err));
    assert_int_equal(n, 2);
    assert_int_equal(v[0].version, 2);
    assert_int_equal(v[1].version, 4);
    wanted[0] = S("later");
    FAILS(WEIR_EINVAL, "Invalid Model Version stage",
          wr_registered_latest(&v, &n, s->a, s->t, S("m"), wanted, 2, &s->err));
}

static void aliases(store *s)
{
    wr_registered_version v;
    create(s, S("m"));
    add(s, S("m"), S("runs:/r/model"), S("r"));
    add(s, S("m"), S("runs:/r/model"), S("r"));
    OK(wr_registered_alias_set(s->t, S("m"), S("champion"), 1, NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("best-one"), 1, NULL, &s->err));
    assert_string_equal(get(s, S("m"), 1), "1 None runs:/r/model [best-one,champion]");
    OK(wr_registered_alias_set(s->t, S("m"), S("champion"), 2, NULL, &s->err)); /* moved */
    assert_string_equal(get(s, S("m"), 1), "1 None runs:/r/model [best-one]");
    OK(wr_registered_version_by_alias(&v, s->a, s->t, S("m"), S("champion"), &s->err));
    assert_int_equal(v.version, 2);
    OK(wr_registered_alias_delete(s->t, S("m"), S("champion"), NULL, &s->err));
    OK(wr_registered_alias_delete(s->t, S("m"), S("champion"), NULL, &s->err));
    FAILS(WEIR_EINVAL, "Registered model alias champion not found.",
          wr_registered_version_by_alias(&v, s->a, s->t, S("m"), S("champion"), &s->err));
    FAILS(WEIR_EINVAL, "'latest' alias name (case insensitive) is reserved.",
          wr_registered_alias_set(s->t, S("m"), S("LATEST"), 1, NULL, &s->err));
    FAILS(WEIR_EINVAL, "Version alias name 'v12' is reserved.",
          wr_registered_alias_set(s->t, S("m"), S("v12"), 1, NULL, &s->err));
    FAILS(WEIR_EINVAL, "Invalid alias name: 'a b'.", wr_registered_alias_set(s->t, S("m"), S("a b"), 1, NULL, &s->err));
    FAILS(WEIR_EINVAL, "cannot be empty", wr_registered_alias_set(s->t, S("m"), S(""), 1, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, "Model Version (name=x, version=1) not found",
          wr_registered_alias_set(s->t, S("x"), S("a"), 1, NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("v"), 1, NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("v1x"), 1, NULL, &s->err));
}

static void rollback(store *s)
{
    wr_registered_alias_move *moves;
    wr_registered_who ada = {.name = S("ada")};
    size_t n;
    int64_t v;
    create(s, S("m"));
    for (int i = 0; i < 4; i++) add(s, S("m"), S("runs:/r/model"), S("r"));
    FAILS(WEIR_ENOTFOUND, "alias a not found", wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("a"), 1, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, "was at no version before version 1",
          wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("a"), 2, &ada, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("a"), 2, &ada, &s->err)); /* no move */
    OK(wr_registered_alias_set(s->t, S("m"), S("a"), 3, NULL, &s->err));
    OK(wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    assert_int_equal(v, 2);
    OK(wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    assert_int_equal(v, 1); /* further back, not there and back again */
    FAILS(WEIR_ENOTFOUND, "was at no version before",
          wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("a"), 4, NULL, &s->err));
    OK(wr_registered_version_delete(s->t, S("m"), 1, NULL, &s->err));
    FAILS(WEIR_ENOTFOUND, "version=1) not found",
          wr_registered_alias_rollback(&v, s->t, S("m"), S("a"), NULL, &s->err));
    OK(wr_registered_alias_delete(s->t, S("m"), S("a"), NULL, &s->err));
    OK(wr_registered_alias_moves(&moves, &n, s->a, s->t, S("m"), S("a"), 10, &s->err));
    assert_int_equal(n, 7);
    assert_int_equal(moves[0].version, 0);
    assert_int_equal(moves[0].was, 4);
    assert_true(moves[2].undo);
    assert_int_equal(moves[2].version, 1);
    assert_string_equal(moves[5].user.p, "ada");
    assert_null(moves[6].user.p);
}

/* ---- models:/ ---- */

static void references(store *s)
{
    wr_registered_version v;
    wr_registered_version_new in = {.name = S("copy")};
    create(s, S("m"));
    create(s, S("copy"));
    add(s, S("m"), S("mlflow-artifacts:/0/one"), S("r"));
    add(s, S("m"), S("mlflow-artifacts:/0/two"), S("r"));
    OK(wr_registered_version_move(s->t, S("m"), 1, S("Production"), false, NULL, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("best"), 1, NULL, &s->err));
    static const struct {
        const char *source, *storage;
    } right[] = {{"models:/m/1", "mlflow-artifacts:/0/one"},
                 {"models:/m/2", "mlflow-artifacts:/0/two"},
                 {"models:/m/latest", "mlflow-artifacts:/0/two"},
                 {"models:/m/production", "mlflow-artifacts:/0/one"},
                 {"models:/m@best", "mlflow-artifacts:/0/one"},
                 {"models:/copy/1", "mlflow-artifacts:/0/one"}}; /* through a copy to the files */
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        in.source = wr_str_of(right[i].source);
        OK(wr_registered_version_create(&v, s->a, s->t, &in, &s->err));
        assert_string_equal(v.source.p, right[i].source);
        assert_string_equal(wr_registered_version_location(&v).p, right[i].storage);
    }
    static const char *const wrong[] = {"models:/m/9",   "models:/nobody/1", "models:/m@none", "models:/m/staging",
                                        "models:/m/1/2", "models:/",         "models:/m/",     "models:/m-0123"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        in.source = wr_str_of(wrong[i]);
        s->err = (wr_err){0};
        assert_true(wr_registered_version_create(&v, s->a, s->t, &in, &s->err) < 0);
        assert_non_null(strstr(s->err.msg, "Unable to fetch model from model URI source artifact location"));
    }
}

/* ---- lineage ---- */

static void inputs(store *s)
{
    wr_track_run r;
    wr_registered_input *in;
    size_t n;
    wr_track_item context = {S("mlflow.data.context"), S("training")};
    wr_track_dataset d = {.name = S("rides"),
                          .digest = S("d1"),
                          .source_type = S("weir"),
                          .source = S("x"),
                          .tags = &context,
                          .ntags = 1};
    OK(wr_track_run_create(&r, s->a, s->t, &(wr_track_run_new){.user = S("u")}, &s->err));
    OK(wr_track_run_add_input(s->t, &r, &d, &s->err));
    create(s, S("m"));
    wr_registered_version v = add(s, S("m"), S("runs:/x/model"), r.uuid);
    OK(wr_track_run_delete(s->t, r.uuid, &s->err));
    OK(wr_track_run_purge(s->t, r.uuid, &s->err));
    OK(wr_registered_version_inputs(&in, &n, s->a, s->t, &v, &s->err));
    assert_int_equal(n, 1);
    assert_string_equal(in[0].name.p, "rides");
    assert_string_equal(in[0].digest.p, "d1");
    assert_string_equal(in[0].context.p, "training");
    OK(wr_registered_version_delete(s->t, S("m"), 1, NULL, &s->err));
    OK(wr_registered_version_inputs(&in, &n, s->a, s->t, &v, &s->err));
    assert_int_equal(n, 0);
}

/* ---- policies ---- */

static void policies(store *s)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    wr_str reports[] = {S("evaluation"), S("signature")}, role = S("approver");
    wr_registered_policy all[] = {{.alias = S("champion"), .reports = reports, .nreports = 2, .role = role},
                                  {.stage = S("production"), .model = S("m"), .role = role}};
    wr_registered_who ada = {.name = S("ada"), .roles = &role, .nroles = 1}, bob = {.name = S("bob")},
                      root = {.name = S("root"), .admin = true};
    create(s, S("m"));
    create(s, S("n"));
    add(s, S("m"), S("runs:/r/model"), S("r"));
    add(s, S("n"), S("runs:/r/model"), S("r"));
    OK(wr_registered_policies_set(s->t, all, 2, &s->err));
    /* both reports, by their hash */
    FAILS(WEIR_ENO, "reports are missing: evaluation, signature",
          wr_registered_alias_set(s->t, S("m"), S("champion"), 1, &ada, &s->err));
    OK(wr_registered_version_set_tag(s->t, S("m"), 1, S("weir.report.evaluation"), wr_str_of(hash), &s->err));
    OK(wr_registered_version_set_tag(s->t, S("m"), 1, S("weir.report.signature"), S("fine"), &s->err));
    FAILS(WEIR_ENO, "reports are missing: signature",
          wr_registered_alias_set(s->t, S("m"), S("champion"), 1, &root, &s->err));
    OK(wr_registered_version_set_tag(s->t, S("m"), 1, S("weir.report.signature"),
                                     wr_str_of(wr_arena_printf(s->a, "sha256:%s", hash)), &s->err));
    /* and the role, of those who were asked */
    FAILS(WEIR_EACCESS, "the alias \"champion\" of \"m\" is moved by the role \"approver\"",
          wr_registered_alias_set(s->t, S("m"), S("champion"), 1, &bob, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("champion"), 1, &ada, &s->err));
    FAILS(WEIR_EACCESS, "moved by the role", wr_registered_alias_delete(s->t, S("m"), S("champion"), &bob, &s->err));
    OK(wr_registered_alias_delete(s->t, S("m"), S("champion"), &root, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("champion"), 1, NULL, &s->err));
    FAILS(WEIR_EACCESS, "moved by the role", wr_registered_version_delete(s->t, S("m"), 1, &bob, &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("other"), 1, &bob, &s->err));
    /* stages */
    FAILS(WEIR_EACCESS, "the stage \"Production\"",
          wr_registered_version_move(s->t, S("m"), 1, S("PRODUCTION"), false, &bob, &s->err));
    OK(wr_registered_version_move(s->t, S("m"), 1, S("Staging"), false, &bob, &s->err));
    OK(wr_registered_version_move(s->t, S("n"), 1, S("Production"), false, &bob, &s->err)); /* another model */
    OK(wr_registered_version_move(s->t, S("m"), 1, S("Production"), false, &ada, &s->err));
    all[1].stage = S("live");
    FAILS(WEIR_EINVAL, "Invalid Model Version stage", wr_registered_policies_set(s->t, all, 2, &s->err));
    OK(wr_registered_policies_set(s->t, NULL, 0, &s->err));
    OK(wr_registered_alias_set(s->t, S("n"), S("champion"), 1, &bob, &s->err));
}

static int judge(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err)
{
    int *asked = ctx;
    ++*asked;
    if (wr_str_is(report, "signature") && v->version == 2) return wr_err_set(err, WEIR_ENO, "not by us");
    return 0;
}

/* Any alias; and a judge who looks at reports that are there, never at those that are not. */
static void judged(store *s)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    wr_str reports[] = {S("signature")}, none = {NULL, 0};
    wr_registered_policy all[] = {{.alias = S("*"), .reports = reports, .nreports = 1}};
    int asked = 0;
    create(s, S("m"));
    for (int i = 0; i < 2; i++) add(s, S("m"), S("runs:/r/model"), S("r"));
    OK(wr_registered_policies_set(s->t, all, 1, &s->err));
    wr_registered_judge_set(s->t, judge, &asked);
    assert_true(wr_registered_policy_asks(s->t, S("m"), S("any"), none, S("signature")));
    assert_false(wr_registered_policy_asks(s->t, S("m"), S("any"), none, S("evaluation")));
    assert_false(wr_registered_policy_asks(s->t, S("m"), none, S("Production"), S("signature")));
    FAILS(WEIR_ENO, "may not become \"blue\": reports are missing: signature",
          wr_registered_alias_set(s->t, S("m"), S("blue"), 1, NULL, &s->err));
    assert_int_equal(asked, 0);
    for (int i = 1; i <= 2; i++)
        OK(wr_registered_version_set_tag(s->t, S("m"), i, S("weir.report.signature"), wr_str_of(hash), &s->err));
    OK(wr_registered_alias_set(s->t, S("m"), S("blue"), 1, NULL, &s->err));
    FAILS(WEIR_ENO, "not by us", wr_registered_alias_set(s->t, S("m"), S("green"), 2, NULL, &s->err));
    assert_int_equal(asked, 2);
    OK(wr_registered_version_move(s->t, S("m"), 2, S("Production"), false, NULL, &s->err)); /* stages are not aliases */
    OK(wr_registered_alias_delete(s->t, S("m"), S("blue"), NULL, &s->err));
    wr_registered_judge_set(s->t, NULL, NULL);
    OK(wr_registered_alias_set(s->t, S("m"), S("green"), 2, NULL, &s->err));
}

/* ---- many ---- */

/* What belongs to rows is read for many at once: nothing may get to a neighbour. */
static void many(store *s)
{
    wr_registered_version *v;
    size_t n;
    char text[64];
    create(s, S("m"));
    for (int i = 1; i <= 200; i++) {
        add(s, S("m"), S("runs:/r/model"), S("r"));
        snprintf(text, sizeof text, "a%d", i);
        OK(wr_registered_alias_set(s->t, S("m"), wr_str_of(text), i, NULL, &s->err));
        OK(wr_registered_version_set_tag(s->t, S("m"), i, S("number"), wr_str_of(text), &s->err));
    }
    wr_registered_model m;
    OK(wr_registered_model_get(&m, s->a, s->t, S("m"), &s->err));
    assert_int_equal(m.naliases, 200);
    for (int i = 1; i <= 200; i += 199) {
        snprintf(text, sizeof text, "%d None runs:/r/model [a%d]", i, i);
        assert_string_equal(get(s, S("m"), i), text);
    }
    OK(wr_registered_latest(&v, &n, s->a, s->t, S("m"), NULL, 0, &s->err));
    assert_int_equal(n, 1);
    assert_int_equal(v[0].version, 200);
    assert_string_equal(v[0].tags[0].value.p, "a200");
}

/* ---- searching ---- */

/* "a b c" of a page; `more` says whether another follows, and `token` is moved on. */
static const char *found(store *s, const char *filter, const char *order, int64_t max, wr_str *token)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_registered_model *m;
    size_t n;
    wr_str by = wr_str_of(order), next;
    wr_registered_query q = {wr_str_of(filter), &by, order ? 1 : 0, max, token ? *token : (wr_str){NULL, 0}};
    OK(wr_registered_models_search(&m, &n, &next, s->a, s->t, &q, &s->err));
    for (size_t i = 0; i < n; i++) wr_buf_printf(&b, "%s%s", i ? " " : "", m[i].name.p);
    if (token) *token = next;
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static const char *found_versions(store *s, const char *filter, const char *order, int64_t max, wr_str *token)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_registered_version *v;
    size_t n;
    wr_str by = wr_str_of(order), next;
    wr_registered_query q = {wr_str_of(filter), &by, order ? 1 : 0, max, token ? *token : (wr_str){NULL, 0}};
    OK(wr_registered_versions_search(&v, &n, &next, s->a, s->t, &q, &s->err));
    for (size_t i = 0; i < n; i++) wr_buf_printf(&b, "%s%s%lld", i ? " " : "", v[i].name.p, (long long)v[i].version);
    if (token) *token = next;
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static void search_models(store *s)
{
    wr_registered_model m;
    wr_str token = {NULL, 0};
    wr_track_item tag = {S("team"), S("red")}, prompt = {S(WR_PROMPT_TAG), S("true")};
    OK(wr_registered_model_create(&m, s->a, s->t, S("b"), S(""), &tag, 1, &s->err));
    create(s, S("a"));
    create(s, S("c"));
    create(s, S("CD"));
    OK(wr_registered_model_create(&m, s->a, s->t, S("p"), S(""), &prompt, 1, &s->err));
    assert_string_equal(found(s, "", NULL, 10, NULL), "CD a b c");
    assert_string_equal(found(s, "", "name DESC", 10, NULL), "c b a CD");
    assert_string_equal(found(s, "name = 'b'", NULL, 10, NULL), "b");
    assert_string_equal(found(s, "name LIKE 'c%'", NULL, 10, NULL), "c");
    assert_string_equal(found(s, "name ILIKE 'c%'", NULL, 10, NULL), "CD c");
    assert_string_equal(found(s, "tags.team = 'red'", NULL, 10, NULL), "b");
    assert_string_equal(found(s, "tag.`team` != 'blue'", NULL, 10, NULL), "b");
    assert_string_equal(found(s, "tag.`mlflow.prompt.is_prompt` != 'true'", NULL, 10, NULL), "CD a b c");
    assert_string_equal(found(s, "tag.`mlflow.prompt.is_prompt` = 'false'", NULL, 10, NULL), "CD a b c");
    assert_string_equal(found(s, "tag.`mlflow.prompt.is_prompt` = 'true'", NULL, 10, NULL), "p");
    assert_string_equal(found(s, "tag.`mlflow.prompt.is_prompt` != 'false'", NULL, 10, NULL), "p");
    assert_string_equal(found(s, "name = 'p'", NULL, 10, NULL), "");
    /* pages hold while rows come and go */
    assert_string_equal(found(s, "", NULL, 2, &token), "CD a");
    create(s, S("aa"));
    OK(wr_registered_model_delete(s->t, S("a"), &s->err));
    assert_string_equal(found(s, "", NULL, 2, &token), "aa b");
    assert_string_equal(found(s, "", NULL, 2, &token), "c");
    assert_null(token.p);
    wr_registered_model *rows;
    size_t n;
    wr_registered_query q = {.max = 1001};
    FAILS(WEIR_EINVAL, "It must be at most 1000, but got value 1001",
          wr_registered_models_search(&rows, &n, &token, s->a, s->t, &q, &s->err));
    q = (wr_registered_query){.max = 1, .filter = S("run_id = 'x'")};
    assert_int_equal(wr_registered_models_search(&rows, &n, &token, s->a, s->t, &q, &s->err), WEIR_EINVAL);
    q = (wr_registered_query){.max = 1, .token = S("no token")};
    assert_int_equal(wr_registered_models_search(&rows, &n, &token, s->a, s->t, &q, &s->err), WEIR_EINVAL);
}

static void search_versions(store *s)
{
    wr_str token = {NULL, 0};
    create(s, S("a"));
    create(s, S("b"));
    create(s, S("p"));
    add(s, S("a"), S("runs:/1/m"), S("r1"));
    add(s, S("a"), S("runs:/2/m"), S("r2"));
    add(s, S("b"), S("runs:/3/m"), S("r1"));
    add(s, S("b"), S("runs:/4/m"), S("r4"));
    add(s, S("p"), S("prompt-template"), S(""));
    add(s, S("p"), S("prompt-template"), S(""));
    OK(wr_registered_version_set_tag(s->t, S("p"), 1, S(WR_PROMPT_TAG), S("true"), &s->err));
    OK(wr_registered_version_set_tag(s->t, S("a"), 1, S("k"), S("v"), &s->err));
    OK(wr_registered_version_delete(s->t, S("b"), 2, NULL, &s->err));
    assert_string_equal(found_versions(s, "", "name ASC", 10, NULL), "a2 a1 b1");
    assert_string_equal(found_versions(s, "", "version_number ASC", 10, NULL), "a1 b1 a2");
    assert_string_equal(found_versions(s, "name='a' and version_number > 1", NULL, 10, NULL), "a2");
    assert_string_equal(found_versions(s, "run_id = 'r1'", "name ASC", 10, NULL), "a1 b1");
    assert_string_equal(found_versions(s, "run_id IN ('r2','r4')", "name ASC", 10, NULL), "a2");
    assert_string_equal(found_versions(s, "source_path LIKE 'runs:/%/m'", "name ASC", 10, NULL), "a2 a1 b1");
    assert_string_equal(found_versions(s, "tags.k = 'v'", NULL, 10, NULL), "a1");
    assert_string_equal(found_versions(s, "tags.`mlflow.prompt.is_prompt` = 'true'", NULL, 10, NULL), "p1");
    assert_string_equal(found_versions(s, "name = 'p'", NULL, 10, NULL), "");
    assert_string_equal(found_versions(s, "", "name ASC", 2, &token), "a2 a1");
    assert_string_equal(found_versions(s, "", "name ASC", 2, &token), "b1");
    assert_null(token.p);
    OK(wr_db_exec(s->db, "UPDATE registered_versions SET updated_ms = 100 - id", &s->err)); /* newest change first */
    assert_string_equal(found_versions(s, "", NULL, 10, NULL), "a1 a2 b1");
}

/* ---- sources ---- */

static void sources_of_other_places(void **state)
{
    store *s = *state;
    static const char *const right[] = {"mlflow-artifacts:/0/abc/artifacts/model",
                                        "mlflow-artifacts://host:5000/0/abc",
                                        "runs:/abc/model",
                                        "s3://bucket/models/x",
                                        "s3:/bucket//models/x/",
                                        "models:/m/1",
                                        "http://host:80/api/2.0/mlflow-artifacts/artifacts/x",
                                        "dbfs:/a/100%25/b"};
    static const char *const wrong[] = {"mlflow-artifacts://host:9000/models/artifacts/../../../",
                                        "mlflow-artifacts:/models/%2e%2e/x",
                                        "mlflow-artifacts:/models/%252e%252e/x",
                                        "mlflow-artifacts://host:9000/..%2f..%2f..%2f..%2f",
                                        "http://host/api/2.0/mlflow-artifacts/artifacts%00",
                                        "s3:relative/x",
                                        "s3://bucket/./x",
                                        "https://host",
                                        "ftp://a/b/..",
                                        "x:"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        OK(wr_registered_source_check(wr_str_of(right[i]), (wr_str){NULL, 0}, false, &s->err));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        FAILS(WEIR_EINVAL, "Invalid model version source",
              wr_registered_source_check(wr_str_of(wrong[i]), (wr_str){NULL, 0}, false, &s->err));
}

static void sources_of_this_machine(void **state)
{
    store *s = *state;
    const char *dir = wr_arena_printf(s->a, "%s/run/artifacts", s->dir), *out = wr_arena_printf(s->a, "%s/out", s->dir);
    OK(wr_file_mkdirs(dir, &s->err));
    OK(wr_file_mkdirs(out, &s->err));
    assert_int_equal(symlink(out, wr_arena_printf(s->a, "%s/link", dir)), 0);
    wr_str root = wr_str_of(wr_arena_printf(s->a, "file://%s", dir)), none = {NULL, 0};
    static const struct {
        const char *tail;
        bool ok;
    } cases[] = {{"", true},          {"/model", true}, {"/a/../b", true},  {"/..", false},
                 {"/../../x", false}, {"/link", false}, {"/link/x", false}, {"-more", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wr_str path = wr_str_of(wr_arena_printf(s->a, "%s%s", dir, cases[i].tail));
        wr_str uri = wr_str_of(wr_arena_printf(s->a, "file://%s%s", dir, cases[i].tail));
        s->err = (wr_err){0};
        assert_int_equal(wr_registered_source_check(path, root, false, &s->err), cases[i].ok ? 0 : WEIR_EINVAL);
        assert_int_equal(wr_registered_source_check(uri, root, false, &s->err), cases[i].ok ? 0 : WEIR_EINVAL);
        assert_int_equal(wr_registered_source_check(uri, none, false, &s->err), WEIR_EINVAL);
        assert_int_equal(wr_registered_source_check(uri, S("mlflow-artifacts:/0/x"), false, &s->err), WEIR_EINVAL);
    }
    FAILS(WEIR_EINVAL, "the model_id request parameter has to be specified",
          wr_registered_source_check(S("/etc/passwd"), root, true, &s->err));
    FAILS(WEIR_EINVAL, "run specified by the run_id.",
          wr_registered_source_check(S("/etc/passwd"), none, false, &s->err));
    FAILS(WEIR_EINVAL, "Invalid model version source", wr_registered_source_check(S("model"), root, false, &s->err));
    FAILS(WEIR_EINVAL, "Local source paths are not allowed for prompts",
          wr_registered_source_prompt(S("/etc/x"), &s->err));
    FAILS(WEIR_EINVAL, "not allowed for prompts", wr_registered_source_prompt(S("file:///etc/x"), &s->err));
    FAILS(WEIR_EINVAL, "Invalid model version source", wr_registered_source_prompt(S("http://h/../x"), &s->err));
    OK(wr_registered_source_prompt(S("prompt-template"), &s->err));
}

#define BODY(name)                                                                                                     \
    static void name##_test(void **state) { store_write(*state, name); }
BODY(models)
BODY(names)
BODY(renaming)
BODY(versions)
BODY(version_numbers)
BODY(stages)
BODY(aliases)
BODY(references)
BODY(inputs)
BODY(policies)
BODY(judged)
BODY(rollback)
BODY(many)
BODY(search_models)
BODY(search_versions)

#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(models_test),
        T(names_test),
        T(renaming_test),
        T(versions_test),
        T(version_numbers_test),
        T(stages_test),
        T(aliases_test),
        T(references_test),
        T(inputs_test),
        T(policies_test),
        T(judged_test),
        T(rollback_test),
        T(many_test),
        T(search_models_test),
        T(search_versions_test),
        T(sources_of_other_places),
        T(sources_of_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
