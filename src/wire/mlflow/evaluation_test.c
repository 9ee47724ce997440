/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets and scorers through requests. */
#include "wire/mlflow/access.h"
#include "wire/mlflow/mlflow_testing.h"

#define API3 "/api/3.0/mlflow/"

static const char *ask(store *s, int status, const char *method, const char *path, const char *query, const char *body)
{
    return request(s, status, method, wr_arena_printf(s->a, API3 "%s", path), query, body);
}

/* A dataset of the Default experiment: its path. */
static const char *made(store *s, const char *name)
{
    const char *body = wr_arena_printf(s->a, "{\"name\":\"%s\",\"experiment_ids\":[\"0\"]}", name);
    return wr_arena_printf(s->a, "datasets/%s",
                           member(s, ask(s, 200, "POST", "datasets/create", "", body), "dataset_id"));
}

/* `records`: JSON without quotes that need another escape than their own. */
static const char *upsert(store *s, int status, const char *dataset, const char *records)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "records", records);
    wr_jsonw_end(&w);
    return ask(s, status, "POST", wr_arena_printf(s->a, "%s/records", dataset), "", wr_buf_cstr(&b));
}

/* The records as JSON, out of the text they travel in. */
static const char *records_of(store *s, const char *dataset, const char *query)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str text;
    const char *body = ask(s, 200, "GET", wr_arena_printf(s->a, "%s/records", dataset), query, "");
    OK(wr_json_parse(&j, wr_str_of(body), "answer", &s->err));
    OK(wr_json_str(&text, j.root, "records", &s->err));
    return wr_arena_strndup(s->a, text.p, text.n);
}

static void datasets_are_made_found_and_deleted(void **state)
{
    store *s = *state;
    const char *d = ask(s, 200, "POST", "datasets/create", "",
                        "{\"name\":\"answers\",\"experiment_ids\":[\"0\"],\"tags\":\"{\\\"team\\\": \\\"a\\\", "
                        "\\\"mlflow.user\\\": \\\"ann\\\", \\\"n\\\": 3, \\\"none\\\": null}\"}");
    SAYS("\"dataset_id\":\"d-", d);
    SAYS("\"tags\":\"{\\\"mlflow.user\\\":\\\"ann\\\",\\\"n\\\":\\\"3\\\",\\\"team\\\":\\\"a\\\"}\"", d);
    SAYS("\"created_by\":\"ann\"", d);
    SAYS("\"experiment_ids\":[\"0\"]", d);
    LACKS("schema", d);
    LACKS("profile", d);
    const char *one = wr_arena_printf(s->a, "datasets/%s", member(s, d, "dataset_id"));
    assert_string_equal(member(s, ask(s, 200, "GET", one, "", ""), "name"), "answers");
    assert_int_equal(strlen(member(s, d, "digest")), 8);
    ask(s, 200, "DELETE", one, "", "{}");
    ask(s, 200, "DELETE", one, "", "{}"); /* what is gone needs no deleting */
    SAYS("not found", ask(s, 404, "GET", one, "", ""));
    SAYS("RESOURCE_DOES_NOT_EXIST", ask(s, 404, "GET", one, "", ""));
    SAYS("'name'", ask(s, 400, "POST", "datasets/create", "", "{\"tags\":\"{}\"}"));
    ask(s, 400, "POST", "datasets/create", "", "{\"name\":\"x\",\"tags\":\"[1]\"}");
    ask(s, 400, "POST", "datasets/create", "", "{\"name\":\"x\",\"tags\":\"{\"}");
    ask(s, 400, "POST", "datasets/create", "", "{\"name\":\" \"}");
    SAYS("No Experiment with id=99",
         ask(s, 404, "POST", "datasets/create", "", "{\"name\":\"x\",\"experiment_ids\":[\"99\"]}"));
    LACKS("dataset_id", ask(s, 200, "POST", "datasets/search", "", "{}")); /* none of the failed ones stayed */
}

static void tags_and_experiments_change(void **state)
{
    store *s = *state;
    const char *one = made(s, "d");
    const char *e = member(s, POST("experiments/create", "{\"name\":\"second\"}"), "experiment_id");
    const char *tags = wr_arena_printf(s->a, "%s/tags", one), *ids = wr_arena_printf(s->a, "%s/experiment-ids", one);
    ask(s, 200, "PATCH", tags, "", "{\"tags\":\"{\\\"a\\\":\\\"1\\\",\\\"b/c\\\":\\\"2\\\"}\"}");
    ask(s, 200, "PATCH", tags, "", "{\"tags\":\"{\\\"a\\\":\\\"9\\\",\\\"b/c\\\":null}\"}");
    SAYS("{\\\"a\\\":\\\"9\\\",\\\"b/c\\\":\\\"2\\\"}", ask(s, 200, "GET", one, "", ""));
    ask(s, 200, "DELETE", wr_arena_printf(s->a, "%s/b%%2Fc", tags), "", "{}");
    SAYS("\"tags\":\"{\\\"a\\\":\\\"9\\\"}\"", ask(s, 200, "GET", one, "", ""));
    SAYS("Could not find evaluation dataset", ask(s, 404, "PATCH", "datasets/d-none/tags", "", "{\"tags\":\"{}\"}"));

    const char *body = wr_arena_printf(s->a, "{\"experiment_ids\":[\"%s\",\"0\"]}", e);
    assert_string_equal(
        member(s, ask(s, 200, "POST", wr_arena_printf(s->a, "%s/add-experiments", one), "", body), "name"), "d");
    LACKS("experiment_ids", ask(s, 200, "GET", one, "", "")); /* asked for apart */
    SAYS(wr_arena_printf(s->a, "{\"experiment_ids\":[\"0\",\"%s\"]}", e), ask(s, 200, "GET", ids, "", ""));
    SAYS("No Experiment with id=777",
         ask(s, 404, "POST", wr_arena_printf(s->a, "%s/add-experiments", one), "", "{\"experiment_ids\":[\"777\"]}"));
    ask(s, 404, "POST", "datasets/d-none/add-experiments", "", "{\"experiment_ids\":[\"0\"]}");
    ask(s, 404, "POST", "datasets/d-none/remove-experiments", "", "{\"experiment_ids\":[\"0\"]}");
    ask(s, 200, "POST", wr_arena_printf(s->a, "%s/remove-experiments", one), "",
        "{\"experiment_ids\":[\"0\",\"777\"]}");
    SAYS(wr_arena_printf(s->a, "{\"experiment_ids\":[\"%s\"]}", e), ask(s, 200, "GET", ids, "", ""));
    LACKS("experiment_ids", ask(s, 200, "GET", "datasets/d-none/experiment-ids", "", ""));
}

static void records_are_known_by_their_inputs(void **state)
{
    store *s = *state;
    const char *one = made(s, "d"), *digest = member(s, ask(s, 200, "GET", one, "", ""), "digest");
    const char *r =
        upsert(s, 200, one,
               "[{\"inputs\":{\"q\":\"x\",\"k\":1},\"expectations\":{\"a\":1,\"s\":0.5},\"tags\":{\"v\":\"1\"},"
               "\"source\":{\"source_type\":\"trace\",\"source_data\":{\"trace_id\":\"tr-1\"}}},"
               "{\"inputs\":{\"k\":1,\"q\":\"x\"},\"expectations\":{\"a\":2},\"tags\":{\"mlflow.user\":\"bo\"}},"
               "{\"inputs\":{\"k\":1.0,\"q\":\"x\"},\"outputs\":\"text\"}]");
    SAYS("\"inserted_count\":2,\"updated_count\":1", r);
    r = records_of(s, one, "");
    SAYS("\"expectations\":{\"a\":2,\"s\":0.5}", r);
    SAYS("\"tags\":{\"v\":\"1\",\"mlflow.user\":\"bo\"}", r);
    SAYS("\"source\":{\"source_type\":\"TRACE\",\"source_data\":{\"trace_id\":\"tr-1\"}},\"source_id\":\"tr-1\"", r);
    SAYS("\"inputs\":{\"k\":1.0,\"q\":\"x\"},\"outputs\":\"text\",\"tags\":{}", r);
    SAYS("\"last_updated_by\":\"bo\"", r);
    upsert(s, 200, one, "[{\"inputs\":{\"k\":1,\"q\":\"x\"},\"outputs\":null}]");
    LACKS("\"outputs\":{}", records_of(s, one, ""));

    const char *d = ask(s, 200, "GET", one, "", "");
    SAYS("\"schema\":\"{\\\"inputs\\\":{\\\"q\\\":\\\"string\\\",\\\"k\\\":\\\"integer\\\"},\\\"outputs\\\":"
         "\\\"string\\\","
         "\\\"expectations\\\":{\\\"a\\\":\\\"integer\\\",\\\"s\\\":\\\"float\\\"},\\\"version\\\":\\\"1.0\\\"}\"",
         d);
    SAYS("{\\\"num_records\\\": 2}", d);
    if (strcmp(member(s, d, "digest"), digest) == 0 &&
        strcmp(member(s, d, "created_time"), member(s, d, "last_update_time")) != 0)
        fail_msg("the digest stayed");
}

static void bad_records_leave_nothing(void **state)
{
    store *s = *state;
    const char *one = made(s, "d");
    static const char *const bad[] = {"{}",
                                      "[",
                                      "[3]",
                                      "[{\"inputs\":{\"a\":1}},{\"inputs\":[]}]",
                                      "[{\"inputs\":{\"a\":1}},{\"inputs\":null}]",
                                      "[{\"inputs\":{\"a\":1}},{\"inputs\":{},\"tags\":\"x\"}]",
                                      "[{\"inputs\":{\"a\":1},\"source\":{\"source_type\":\"OTHER\"}}]",
                                      "[{\"inputs\":{\"a\":1},\"source\":{\"source_type\":7}}]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) upsert(s, 400, one, bad[i]);
    assert_string_equal(records_of(s, one, ""), "[]");
    LACKS("schema", ask(s, 200, "GET", one, "", ""));
    upsert(s, 404, "datasets/d-none", "[]");

    WR_AUTOBUF wr_buf b = {0}; /* one field more than a schema takes */
    for (int i = 0; i <= 1000; i++) wr_buf_printf(&b, "%s{\"inputs\":{\"f%d\":1}}", i ? "," : "[", i);
    wr_buf_str(&b, "]");
    SAYS("1000 fields", upsert(s, 400, one, wr_buf_cstr(&b)));
    assert_string_equal(records_of(s, one, ""), "[]");
    SAYS("\"inserted_count\":1", upsert(s, 200, one, "[{\"inputs\":{\"x\":NaN}}]"));
    SAYS("{\"x\":NaN}", records_of(s, one, ""));
}

static void records_come_in_pages_and_go(void **state)
{
    store *s = *state;
    const char *one = made(s, "d"), *records = wr_arena_printf(s->a, "%s/records", one);
    upsert(s, 200, one, "[{\"inputs\":{\"n\":1}},{\"inputs\":{\"n\":2}},{\"inputs\":{\"n\":3}}]");
    const char *page = ask(s, 200, "GET", records, "max_results=2", "");
    const char *token = member(s, page, "next_page_token");
    SAYS("{\\\"n\\\":2}", page);
    LACKS("{\\\"n\\\":3}", page);
    const char *rest = records_of(s, one, wr_arena_printf(s->a, "max_results=2&page_token=%s", token));
    SAYS("{\"n\":3}", rest);
    LACKS("{\"n\":2}", rest);
    LACKS("next_page_token", ask(s, 200, "GET", records, "max_results=3", ""));
    ask(s, 400, "GET", records, "page_token=x", "");
    ask(s, 400, "GET", records, "max_results=-1", "");
    ask(s, 404, "GET", "datasets/d-none/records", "", "");

    const char *body =
        wr_arena_printf(s->a, "{\"dataset_record_ids\":[\"%s\",\"dr-none\"]}", member(s, rest, "dataset_record_id"));
    SAYS("\"deleted_count\":1", ask(s, 200, "DELETE", records, "", body));
    SAYS("\"deleted_count\":0", ask(s, 200, "DELETE", records, "", body));
    SAYS("{\\\"num_records\\\": 2}", ask(s, 200, "GET", one, "", ""));
    LACKS("{\"n\":3}", records_of(s, one, ""));
}

static void datasets_are_searched(void **state)
{
    store *s = *state;
    const char *e = member(s, POST("experiments/create", "{\"name\":\"second\"}"), "experiment_id");
    made(s, "alpha");
    made(s, "beta");
    ask(s, 200, "POST", "datasets/create", "",
        wr_arena_printf(s->a, "{\"name\":\"gamma\",\"experiment_ids\":[\"%s\"],\"tags\":\"{\\\"team\\\":\\\"x\\\"}\"}",
                        e));
    const char *found = ask(s, 200, "POST", "datasets/search", "", "{\"filter_string\":\"tags.team = 'x'\"}");
    SAYS("gamma", found);
    LACKS("alpha", found);
    found = ask(s, 200, "POST", "datasets/search", "", "{\"experiment_ids\":[\"0\"],\"order_by\":[\"name DESC\"]}");
    LACKS("gamma", found);
    assert_true(strstr(found, "beta") < strstr(found, "alpha"));
    found = ask(s, 200, "GET", "datasets/search", "filter_string=name%20LIKE%20'%25a'&order_by=name&max_results=2", "");
    LACKS("gamma", found);
    const char *query = wr_arena_printf(s->a,
                                        "{\"filter_string\":\"name LIKE '%%a'\",\"order_by\":[\"name\"],"
                                        "\"max_results\":2,\"page_token\":\"%s\"}",
                                        member(s, found, "next_page_token"));
    found = ask(s, 200, "POST", "datasets/search", "", query);
    SAYS("gamma", found);
    LACKS("beta", found);
    SAYS("Invalid attribute key", ask(s, 400, "POST", "datasets/search", "", "{\"filter_string\":\"nope = 'x'\"}"));
    ask(s, 400, "POST", "datasets/search", "", "{\"max_results\":-1}");
    ask(s, 400, "POST", "datasets/search", "", "{\"experiment_ids\":[\"x\"]}");
}

static const char *scored(store *s, int status, const char *name, const char *text)
{
    WR_AUTOBUF wr_buf b = {0};
    wr_jsonw w;
    wr_jsonw_init(&w, &b, 0);
    wr_jsonw_obj(&w);
    wr_jsonw_kstr(&w, "experiment_id", "0");
    wr_jsonw_kstr(&w, "name", name);
    wr_jsonw_kstr(&w, "serialized_scorer", text);
    wr_jsonw_end(&w);
    return ask(s, status, "POST", "scorers/register", "", wr_buf_cstr(&b));
}

static void scorers_have_versions(void **state)
{
    store *s = *state;
    const char *first = scored(s, 200, "safe", "{\"data\": \"1\"}");
    SAYS("\"version\":1,", first);
    SAYS("\"experiment_id\":\"0\"", first);
    const char *second = scored(s, 200, "safe", "{\"data\": \"2\"}");
    SAYS("\"version\":2,", second);
    assert_string_equal(member(s, first, "scorer_id"), member(s, second, "scorer_id"));
    scored(s, 200, "exact", "{}");
    const char *all = ask(s, 200, "GET", "scorers/list", "experiment_id=0", "");
    assert_true(strstr(all, "exact") < strstr(all, "safe"));
    LACKS("\"scorer_version\":1,\"serialized_scorer\":\"{\\\"data\\\": \\\"1\\\"}\"", all);
    SAYS("safe", ask(s, 200, "GET", "scorers/list", "", ""));
    LACKS("safe", ask(s, 200, "GET", "scorers/list", "experiment_ids=7", ""));
    ask(s, 400, "GET", "scorers/list", "experiment_id=0&experiment_ids=0", "");
    SAYS("\\\"2\\\"", ask(s, 200, "GET", "scorers/get", "experiment_id=0&name=safe", ""));
    SAYS("\\\"1\\\"", ask(s, 200, "GET", "scorers/get", "experiment_id=0&name=safe&version=1", ""));
    SAYS("Scorer with name 'safe' and version 9 not found",
         ask(s, 404, "GET", "scorers/get", "experiment_id=0&name=safe&version=9", ""));
    ask(s, 400, "GET", "scorers/get", "experiment_id=0&name=safe&version=0", "");
    const char *versions = ask(s, 200, "GET", "scorers/versions", "experiment_id=0&name=safe", "");
    assert_true(strstr(versions, "\"scorer_version\":1") < strstr(versions, "\"scorer_version\":2"));
    ask(s, 200, "DELETE", "scorers/delete", "", "{\"experiment_id\":\"0\",\"name\":\"safe\",\"version\":1}");
    ask(s, 404, "DELETE", "scorers/delete", "", "{\"experiment_id\":\"0\",\"name\":\"safe\",\"version\":1}");
    ask(s, 200, "DELETE", "scorers/delete", "", "{\"experiment_id\":\"0\",\"name\":\"safe\"}");
    SAYS("Scorer with name 'safe' not found", ask(s, 404, "GET", "scorers/versions", "experiment_id=0&name=safe", ""));
}

static void bad_scorers_are_refused(void **state)
{
    store *s = *state;
    SAYS("cannot be empty", scored(s, 400, "  ", "{}"));
    SAYS("must be valid JSON", scored(s, 400, "x", "{"));
    scored(s, 400, "x", "[]");
    SAYS("cannot be empty", scored(s, 400, "x", "{\"instructions_judge_pydantic_data\":{\"model\":\" \"}}"));
    SAYS("must be a string", scored(s, 400, "x",
                                    "{\"memory_augmented_judge_data\":{\"base_judge\":{\"builtin_scorer_pydantic_"
                                    "data\":{\"model\":3}}}}"));
    SAYS("'name'",
         ask(s, 400, "POST", "scorers/register", "", "{\"experiment_id\":\"0\",\"serialized_scorer\":\"{}\"}"));
    ask(s, 404, "GET", "scorers/list", "experiment_id=99", "");
    const char *e = member(s, POST("experiments/create", "{\"name\":\"gone\"}"), "experiment_id");
    POST("experiments/delete", wr_arena_printf(s->a, "{\"experiment_id\":\"%s\"}", e));
    SAYS("active", ask(s, 400, "GET", "scorers/list", wr_arena_printf(s->a, "experiment_id=%s", e), ""));
}

static void issues_are_kept_by_gravity(void **state)
{
    store *s = *state;
    const char *run = member(s, POST("runs/create", "{\"experiment_id\":\"0\"}"), "run_id");
    const char *plain =
        ask(s, 200, "POST", "issues", "", "{\"experiment_id\":\"0\",\"name\":\"a\",\"description\":\"d\"}");
    SAYS("\"issue_id\":\"iss-", plain);
    SAYS("\"status\":\"pending\"", plain);
    LACKS("severity", plain);
    const char *body =
        wr_arena_printf(s->a,
                        "{\"experiment_id\":\"0\",\"name\":\"b\",\"description\":\"d\",\"severity\":\"high\","
                        "\"status\":\"resolved\",\"root_causes\":[\"x\",\"y\"],\"source_run_id\":\"%s\"}",
                        run);
    const char *grave = ask(s, 200, "POST", "issues", "", body);
    SAYS("\"root_causes\":[\"x\",\"y\"],\"source_run_id\":", grave);
    const char *trace =
        wr_arena_printf(s->a, "{\"trace\":{\"trace_info\":{\"trace_id\":\"tr-1\",\"trace_location\":{\"type\":"
                              "\"MLFLOW_EXPERIMENT\",\"mlflow_experiment\":{\"experiment_id\":\"0\"}},\"request_time\":"
                              "\"2026-01-01T00:00:00Z\",\"state\":\"OK\"}}}");
    ask(s, 200, "POST", "traces", "", trace);
    body =
        wr_arena_printf(s->a,
                        "{\"assessment\":{\"assessment_name\":\"%s\",\"trace_id\":\"tr-1\",\"source\":{\"source_type\":"
                        "\"HUMAN\",\"source_id\":\"me\"},\"issue\":{\"issue_name\":\"a\"}}}",
                        member(s, plain, "issue_id"));
    ask(s, 200, "POST", "traces/tr-1/assessments", "", body);
    const char *found = ask(s, 200, "POST", "issues/search", "", "{\"include_trace_count\":true}");
    assert_true(strstr(found, "\"name\":\"b\"") < strstr(found, "\"name\":\"a\""));
    SAYS("\"trace_count\":0", found);
    SAYS("\"trace_count\":1", found);
    SAYS("\"next_page_token\":\"\"", found);
    found = ask(s, 200, "POST", "issues/search", "", "{\"experiment_id\":\"0\",\"max_results\":1}");
    LACKS("\"name\":\"a\"", found);
    found = ask(
        s, 200, "POST", "issues/search", "",
        wr_arena_printf(s->a, "{\"experiment_id\":\"0\",\"page_token\":\"%s\"}", member(s, found, "next_page_token")));
    SAYS("\"name\":\"a\"", found);
    LACKS("\"name\":\"b\"", found);
    found = ask(s, 200, "POST", "issues/search", "", "{\"filter_string\":\"status != 'resolved'\"}");
    LACKS("\"name\":\"b\"", found);

    const char *one = wr_arena_printf(s->a, "issues/%s", member(s, plain, "issue_id"));
    SAYS("\"severity\":\"low\"", ask(s, 200, "PATCH", one, "", "{\"severity\":\"low\",\"name\":\"c\"}"));
    SAYS("\"name\":\"c\",\"description\":\"d\"", ask(s, 200, "GET", one, "", ""));
    SAYS("IssueStatus", ask(s, 400, "PATCH", one, "", "{\"status\":\"odd\"}"));
    ask(s, 404, "GET", "issues/none", "", "");
    ask(s, 404, "PATCH", "issues/none", "", "{}");
    ask(s, 404, "POST", "issues", "", "{\"experiment_id\":\"77\",\"name\":\"a\",\"description\":\"d\"}");
    ask(s, 400, "POST", "issues", "", "{\"experiment_id\":\"0\",\"name\":\"a\"}");
}

/* The status of a request by somebody. */
static int status_for(store *s, const wr_mlflow_access *who, const char *method, const char *path, const char *body)
{
    WR_AUTOBUF wr_buf out = {0};
    wr_str query = wr_str_of(path), plain = wr_str_cut(&query, '?');
    wr_mlflow_call c = {.track = s->t, .arena = s->a, .out = &out, .access = who};
    wr_mlflow_request in = {.method = wr_str_of(method),
                            .path = wr_str_of(wr_arena_printf(s->a, API3 "%.*s", WR_STR_FMT(plain))),
                            .query = query,
                            .type = WR_STR("application/json"),
                            .body = wr_str_of(body)};
    wr_mlflow_run(&c, &in);
    return c.status;
}

static const char *second_experiment; /* of the test below */

static void make_reader(store *s)
{
    OK(wr_user_create(&(int64_t){0}, s->t, WR_STR("reader"), WR_STR("a long password"), false, &s->err));
    OK(wr_grant_set(s->t, WR_STR("reader"), WR_STR("experiment"), WR_STR("0"), WR_CAN_READ, &s->err));
    OK(wr_grant_set(s->t, WR_STR("reader"), WR_STR("experiment"), wr_str_of(second_experiment), WR_NO_PERMISSIONS,
                    &s->err));
}

static void experiments_say_who_may_what(void **state)
{
    store *s = *state;
    const char *e = member(s, POST("experiments/create", "{\"name\":\"closed\"}"), "experiment_id");
    const char *open = made(s, "open"), *both = made(s, "both"), *closed = made(s, "closed");
    const char *ids = wr_arena_printf(s->a, "{\"experiment_ids\":[\"%s\"]}", e);
    ask(s, 200, "POST", wr_arena_printf(s->a, "%s/add-experiments", both), "", ids);
    ask(s, 200, "POST", wr_arena_printf(s->a, "%s/add-experiments", closed), "", ids);
    ask(s, 200, "POST", wr_arena_printf(s->a, "%s/remove-experiments", closed), "", "{\"experiment_ids\":[\"0\"]}");
    second_experiment = e;
    store_write(s, make_reader);
    wr_users *users;
    OK(wr_users_read(&users, s->t, &s->err));
    wr_mlflow_access who = {
        .user = wr_users_find(users, WR_STR("reader")), .otherwise = WR_NO_PERMISSIONS, .users = users};

    assert_int_equal(status_for(s, &who, "GET", open, ""), 200);
    assert_int_equal(status_for(s, &who, "GET", both, ""), 200); /* one of its experiments is enough to read */
    assert_int_equal(status_for(s, &who, "GET", closed, ""), 403);
    assert_int_equal(status_for(s, &who, "GET", wr_arena_printf(s->a, "%s/records", closed), ""), 403);
    assert_int_equal(status_for(s, &who, "DELETE", open, "{}"), 403);
    who.otherwise = WR_CAN_EDIT; /* grants come first */
    const char *named = wr_arena_printf(s->a, "{\"name\":\"x\",\"experiment_ids\":[\"%s\"]}", e);
    assert_int_equal(status_for(s, &who, "PATCH", wr_arena_printf(s->a, "%s/tags", open), "{\"tags\":\"{}\"}"), 403);
    assert_int_equal(status_for(s, &who, "POST", "datasets/create", named), 403);
    const char *body = wr_arena_printf(s->a, "{\"experiment_id\":\"%s\",\"name\":\"a\",\"description\":\"d\"}", e);
    assert_int_equal(status_for(s, &who, "POST", "issues", body), 403);
    const char *issue = member(s, ask(s, 200, "POST", "issues", "", body), "issue_id");
    assert_int_equal(status_for(s, &who, "GET", wr_arena_printf(s->a, "issues/%s", issue), ""), 403);
    body = wr_arena_printf(s->a, "{\"experiment_id\":\"%s\",\"name\":\"a\",\"serialized_scorer\":\"{}\"}", e);
    assert_int_equal(status_for(s, &who, "POST", "scorers/register", body), 403);
    wr_users_free(users);
}

static void make_judges(store *s)
{
    OK(wr_user_create(&(int64_t){0}, s->t, WR_STR("maker"), WR_STR("a long password"), false, &s->err));
    OK(wr_user_create(&(int64_t){0}, s->t, WR_STR("guest"), WR_STR("a long password"), false, &s->err));
    OK(wr_user_create(&(int64_t){0}, s->t, WR_STR("shut out"), WR_STR("a long password"), false, &s->err));
    OK(wr_grant_set(s->t, WR_STR("maker"), WR_STR("experiment"), WR_STR("0"), WR_CAN_EDIT, &s->err));
    OK(wr_grant_set(s->t, WR_STR("shut out"), WR_STR("experiment"), WR_STR("0"), WR_DENY, &s->err));
}

/* As the picture of users is now. */
static int status_of(store *s, const char *user, const char *method, const char *path, const char *body)
{
    wr_users *users;
    OK(wr_users_read(&users, s->t, &s->err));
    wr_mlflow_access who = {
        .user = wr_users_find(users, wr_str_of(user)), .otherwise = WR_NO_PERMISSIONS, .users = users};
    int status = status_for(s, &who, method, path, body);
    wr_users_free(users);
    return status;
}

static int reads(store *s, const char *user)
{
    return status_of(s, user, "GET", "scorers/get?experiment_id=0&name=a/b", "");
}

static void scorers_have_permissions_of_their_own(void **state)
{
    store *s = *state;
    const char *scorer = "{\"experiment_id\":\"0\",\"name\":\"a/b\",\"serialized_scorer\":\"{}\"}";
    const char *named = "{\"experiment_id\":\"0\",\"name\":\"a/b\"}";
    const char *to_guest =
        "{\"experiment_id\":\"0\",\"scorer_name\":\"a/b\",\"username\":\"guest\",\"permission\":\"READ\"}";
    const char *to_shut =
        "{\"experiment_id\":\"0\",\"scorer_name\":\"a/b\",\"username\":\"shut out\",\"permission\":\"MANAGE\"}";
    store_write(s, make_judges);
    assert_int_equal(status_of(s, "guest", "POST", "scorers/register", scorer), 403);
    assert_int_equal(status_of(s, "maker", "POST", "scorers/register", scorer), 200);
    assert_int_equal(reads(s, "maker"), 200);
    assert_int_equal(reads(s, "guest"), 403);
    assert_int_equal(status_of(s, "guest", "POST", "scorers/permissions/create", to_guest), 403);
    assert_int_equal(status_of(s, "maker", "POST", "scorers/permissions/create", to_guest), 200);
    assert_int_equal(reads(s, "guest"), 200);
    assert_int_equal(status_of(s, "guest", "DELETE", "scorers/delete", named), 403);
    assert_int_equal(status_of(s, "maker", "POST", "scorers/permissions/create", to_shut), 200);
    assert_int_equal(reads(s, "shut out"), 403); /* of the experiment, so of what is in it */
    assert_int_equal(status_of(s, "maker", "DELETE", "scorers/delete", named), 200); /* may manage what they made */
    wr_users *users;
    OK(wr_users_read(&users, s->t, &s->err));
    for (size_t i = 0; i < wr_users_count(users); i++)
        assert_int_equal(wr_users_check(wr_users_at(users, i), WR_STR("scorer"), WR_STR("0/a/b"), WR_CAN_USE),
                         WR_CAN_USE);
    wr_users_free(users);
}

static void nothing_scores_online(void **state)
{
    store *s = *state;
    const char *body = "{\"experiment_id\":\"0\",\"name\":\"a\",\"sample_rate\":%s}";
    const char *on = wr_arena_printf(s->a, body, "0.5"), *off = wr_arena_printf(s->a, body, "0");
    SAYS("\"configs\":[]", ask(s, 200, "GET", "scorers/online-configs", "scorer_ids=x", ""));
    SAYS("not found", ask(s, 404, "PUT", "scorers/online-config", "", on));
    ask(s, 200, "POST", "scorers/register", "",
        "{\"experiment_id\":\"0\",\"name\":\"a\",\"serialized_scorer\":\"{}\"}");
    SAYS("does not use a gateway model", ask(s, 400, "PUT", "scorers/online-config", "", on));
    SAYS("between 0.0 and 1.0", ask(s, 400, "PUT", "scorers/online-config", "", wr_arena_printf(s->a, body, "1.5")));
    SAYS("between 0.0 and 1.0",
         ask(s, 400, "PUT", "scorers/online-config", "", wr_arena_printf(s->a, body, "\"NaN\"")));
    SAYS("\"sample_rate\":0", ask(s, 200, "PUT", "scorers/online-config", "", off));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(datasets_are_made_found_and_deleted, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(tags_and_experiments_change, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(records_are_known_by_their_inputs, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(bad_records_leave_nothing, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(records_come_in_pages_and_go, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(datasets_are_searched, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(scorers_have_versions, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(bad_scorers_are_refused, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(issues_are_kept_by_gravity, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(experiments_say_who_may_what, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(scorers_have_permissions_of_their_own, store_setup, store_teardown),
        cmocka_unit_test_setup_teardown(nothing_scores_online, store_setup, store_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
