/* SPDX-License-Identifier: Apache-2.0 */
/* registry_test.c - registered models, versions and logged models as clients speak of them. */
#include "wire/mlflow/mlflow_testing.h"

static void registered_models(void **state)
{
    store *s = *state;
    const char *r = POST("registered-models/create",
                         "{\"name\":\"m\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],\"description\":\"d\"}");
    SAYS("{\"registered_model\":{\"name\":\"m\",\"creation_timestamp\":", r);
    SAYS("\"description\":\"d\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]", r);
    LACKS("latest_versions", r);
    r = request(s, 400, "POST", API "registered-models/create", "", "{\"name\":\"m\"}");
    SAYS("{\"error_code\":\"RESOURCE_ALREADY_EXISTS\",\"message\":\"Registered Model (name=m) already exists.\"", r);
    r = request(s, 400, "POST", API "registered-models/create", "", "{}");
    SAYS("Missing value for required parameter 'name'", r);
    r = request(s, 400, "POST", API "registered-models/create", "", "{\"name\":3}");
    SAYS("Invalid value 3 for parameter 'name' supplied", r);
    r = request(s, 404, "GET", API "registered-models/get", "name=none", "");
    SAYS("\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"Registered Model with name=none not found\"", r);
    SAYS("\"name\":\"n\"", POST("registered-models/rename", "{\"name\":\"m\",\"new_name\":\"n\"}"));
    SAYS("\"description\":\"new\"", PATCH("registered-models/update", "{\"name\":\"n\",\"description\":\"new\"}"));
    LACKS("description", PATCH("registered-models/update", "{\"name\":\"n\"}"));
    assert_string_equal("{}", POST("registered-models/set-tag", "{\"name\":\"n\",\"key\":\"a\",\"value\":\"b\"}"));
    SAYS("{\"key\":\"a\",\"value\":\"b\"}", GET("registered-models/get", "name=n"));
    assert_string_equal("{}", DELETE("registered-models/delete-tag", "{\"name\":\"n\",\"key\":\"a\"}"));
    LACKS("\"a\"", GET("registered-models/get", "name=n"));
    r = GET("registered-models/search", "filter=name%20%3D%20%27n%27&max_results=5&order_by=name%20DESC");
    SAYS("{\"registered_models\":[{\"name\":\"n\"", r);
    LACKS("next_page_token", r);
    r = request(s, 400, "GET", API "registered-models/search", "max_results=1001", "");
    SAYS("for parameter 'max_results' supplied", r);
    assert_string_equal("{}", DELETE("registered-models/delete", "{\"name\":\"n\"}"));
    assert_string_equal("{}", GET("registered-models/search", ""));
}

static void model_versions(void **state)
{
    store *s = *state;
    POST("registered-models/create", "{\"name\":\"m\"}");
    const char *r =
        POST("model-versions/create", "{\"name\":\"m\",\"source\":\"runs:/r/model\",\"run_id\":\"r\","
                                      "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],\"run_link\":\"http://x\"}");
    SAYS("{\"model_version\":{\"name\":\"m\",\"version\":\"1\",", r);
    SAYS("\"current_stage\":\"None\",\"description\":\"\",\"source\":\"runs:/r/model\",\"run_id\":\"r\",\"status\":"
         "\"READY\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],\"run_link\":\"http://x\"}",
         r);
    r = request(s, 404, "POST", API "model-versions/create", "", "{\"name\":\"none\",\"source\":\"runs:/r/model\"}");
    SAYS("Registered Model with name=none not found", r);
    r = request(s, 400, "POST", API "model-versions/create", "", "{\"name\":\"m\",\"source\":\"/etc/passwd\"}");
    SAYS("INVALID_PARAMETER_VALUE", r);
    SAYS("To use a local path as a model version source", r);
    r = request(s, 400, "POST", API "model-versions/create", "",
                "{\"name\":\"m\",\"source\":\"file:///"
                "etc\",\"tags\":[{\"key\":\"mlflow.prompt.is_prompt\",\"value\":\"true\"}]}");
    SAYS("Local source paths are not allowed for prompts", r);
    r = request(s, 400, "GET", API "model-versions/get", "name=m&version=x", "");
    SAYS("Parameter 'version' must be an integer, got 'x'.", r);
    r = request(s, 400, "POST", API "registered-models/alias", "",
                "{\"name\":\"m\",\"alias\":\"latest\",\"version\":\"1\"}");
    SAYS("is reserved", r);
    assert_string_equal("{}", POST("registered-models/alias", "{\"name\":\"m\",\"alias\":\"best\",\"version\":\"1\"}"));
    SAYS("\"aliases\":[\"best\"]", GET("model-versions/get", "name=m&version=1"));
    SAYS("\"aliases\":[{\"alias\":\"best\",\"version\":\"1\"}]", GET("registered-models/get", "name=m"));
    SAYS("\"version\":\"1\"", GET("registered-models/alias", "name=m&alias=best"));
    assert_string_equal("{}", DELETE("registered-models/alias", "{\"name\":\"m\",\"alias\":\"best\"}"));
    r = request(s, 400, "GET", API "registered-models/alias", "name=m&alias=best", "");
    SAYS("\"INVALID_PARAMETER_VALUE\",\"message\":\"Registered model alias best not found.\"", r);
    r = POST("model-versions/transition-stage",
             "{\"name\":\"m\",\"version\":\"1\",\"stage\":\"production\",\"archive_existing_versions\":true}");
    SAYS("\"current_stage\":\"Production\"", r);
    r = request(s, 400, "POST", API "model-versions/transition-stage", "",
                "{\"name\":\"m\",\"version\":\"1\",\"stage\":\"x\"}");
    SAYS("Invalid Model Version stage: x. Value must be one of None, Staging, Production, Archived.", r);
    SAYS("\"version\":\"1\"",
         POST("registered-models/get-latest-versions", "{\"name\":\"m\",\"stages\":[\"Production\"]}"));
    assert_string_equal("{}", GET("registered-models/get-latest-versions", "name=m&stages=None"));
    SAYS("\"description\":\"d\"",
         PATCH("model-versions/update", "{\"name\":\"m\",\"version\":\"1\",\"description\":\"d\"}"));
    assert_string_equal("{\"artifact_uri\":\"runs:/r/model\"}",
                        GET("model-versions/get-download-uri", "name=m&version=1"));
    POST("model-versions/set-tag", "{\"name\":\"m\",\"version\":\"1\",\"key\":\"a\",\"value\":\"b\"}");
    DELETE("model-versions/delete-tag", "{\"name\":\"m\",\"version\":\"1\",\"key\":\"k\"}");
    SAYS("\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]", GET("model-versions/search", "filter=run_id%3D%27r%27"));
    assert_string_equal("{}", DELETE("model-versions/delete", "{\"name\":\"m\",\"version\":\"1\"}"));
    assert_string_equal("{}", GET("model-versions/search", ""));
    r = request(s, 404, "GET", API "model-versions/get", "name=m&version=1", "");
    SAYS("Model Version (name=m, version=1) not found", r);
    SAYS("\"version\":\"2\"", POST("model-versions/create", "{\"name\":\"m\",\"source\":\"s3://b/x\"}"));
}

/* ---- logged models ---- */

static const char *logged(store *s, const char *members)
{
    return member(s, POST("logged-models", wr_arena_printf(s->a, "{\"experiment_id\":\"0\"%s}", members)), "model_id");
}

static void logged_models(void **state)
{
    store *s = *state;
    const char *r =
        POST("logged-models", "{\"experiment_id\":\"0\",\"name\":\"net\",\"model_type\":\"agent\",\"source_run_id\":"
                              "\"r\",\"params\":[{\"key\":\"lr\",\"value\":\"0.1\"}],\"tags\":[{\"key\":\"t\","
                              "\"value\":\"u\"}]}");
    const char *id = member(s, r, "model_id");
    assert_int_equal(strlen(id), 34);
    SAYS(wr_arena_printf(
             s->a, "\"artifact_uri\":\"mlflow-artifacts:/0/models/%s/artifacts\",\"status\":\"LOGGED_MODEL_PENDING\"",
             id),
         r);
    SAYS("\"model_type\":\"agent\",\"source_run_id\":\"r\",\"tags\":[{\"key\":\"t\",\"value\":\"u\"}]}", r);
    SAYS("\"data\":{\"params\":[{\"key\":\"lr\",\"value\":\"0.1\"}]}", r);
    const char *one = wr_arena_printf(s->a, API "logged-models/%s", id);
    r = request(s, 200, "PATCH", one, "", "{\"status\":\"LOGGED_MODEL_READY\"}");
    SAYS("LOGGED_MODEL_READY", r);
    SAYS("LOGGED_MODEL_UPLOAD_FAILED", request(s, 200, "PATCH", one, "", "{\"status\":3}"));
    SAYS("for parameter 'status'", request(s, 400, "PATCH", one, "", "{\"status\":\"FINE\"}"));
    const char *params = wr_arena_printf(s->a, "%s/params", one), *tags = wr_arena_printf(s->a, "%s/tags", one);
    request(s, 200, "POST", params, "",
            "{\"params\":[{\"key\":\"lr\",\"value\":\"0.1\"},{\"key\":\"n\",\"value\":\"3\"}]}");
    SAYS("Changing param values is not allowed",
         request(s, 400, "POST", params, "", "{\"params\":[{\"key\":\"lr\",\"value\":\"0.2\"}]}"));
    request(s, 200, "PATCH", tags, "",
            "{\"tags\":[{\"key\":\"t\",\"value\":\"w\"},{\"key\":\"a/b\",\"value\":\"x\"}]}");
    request(s, 200, "DELETE", wr_arena_printf(s->a, "%s/a%%2Fb", tags), "", "");
    SAYS("\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"No tag with key 'zz' found",
         request(s, 404, "DELETE", wr_arena_printf(s->a, "%s/zz", tags), "", ""));
    r = request(s, 200, "GET", one, "", "");
    SAYS("\"tags\":[{\"key\":\"t\",\"value\":\"w\"}]", r);
    SAYS("{\"key\":\"lr\",\"value\":\"0.1\"},{\"key\":\"n\",\"value\":\"3\"}", r);
    request(s, 200, "DELETE", one, "", "");
    SAYS("Logged model with ID", request(s, 404, "GET", one, "", ""));
    SAYS(id, request(s, 200, "GET", one, "allow_deleted=true", ""));
    SAYS("Invalid model name",
         request(s, 400, "POST", API "logged-models", "", "{\"experiment_id\":\"0\",\"name\":\"a/b\"}"));
    SAYS("No Experiment with id=77 exists",
         request(s, 404, "POST", API "logged-models", "", "{\"experiment_id\":\"77\"}"));
}

/* A point with a model_id is the run's and the model's. */
static void logged_metrics(void **state)
{
    store *s = *state;
    const char *id = logged(s, ""), *run = member(s, POST("runs/create", "{}"), "run_id");
    const char *metric =
        wr_arena_printf(s->a,
                        "{\"run_id\":\"%s\",\"key\":\"acc\",\"value\":0.5,\"timestamp\":7,\"step\":2,\"model_id\":"
                        "\"%s\",\"dataset_name\":\"d\",\"dataset_digest\":\"1\"}",
                        run, id);
    POST("runs/log-metric", metric);
    POST("runs/log-metric", metric); /* once is enough */
    const char *one = wr_arena_printf(s->a, API "logged-models/%s", id);
    SAYS(wr_arena_printf(s->a,
                         "\"metrics\":[{\"key\":\"acc\",\"value\":0.5,\"timestamp\":7,\"step\":2,\"dataset_name\":"
                         "\"d\",\"dataset_digest\":"
                         "\"1\",\"model_id\":\"%s\",\"run_id\":\"%s\"}]",
                         id, run),
         request(s, 200, "GET", one, "", ""));
    SAYS("\"key\":\"acc\",\"value\":0.5", GET("runs/get", wr_arena_printf(s->a, "run_id=%s", run)));
    POST("runs/log-batch",
         wr_arena_printf(s->a,
                         "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"a\",\"value\":1,\"timestamp\":1,\"step\":0,"
                         "\"model_id\":\"%s\"},{\"key\":\"b\",\"value\":\"NaN\",\"timestamp\":1,\"step\":0,"
                         "\"model_id\":\"%s\"},{\"key\":\"c\",\"value\":1,\"timestamp\":1,\"step\":0}]}",
                         run, id, id));
    const char *r = request(s, 200, "GET", one, "", "");
    SAYS("\"key\":\"b\",\"value\":\"NaN\"", r);
    LACKS("\"key\":\"c\"", r);
    /* a request of one point is not fooled by a list in it */
    request(
        s, 404, "POST", API "runs/log-metric", "",
        wr_arena_printf(s->a,
                        "{\"run_id\":\"%s\",\"key\":\"x\",\"value\":1,\"timestamp\":1,"
                        "\"model_id\":\"m-none\",\"metrics\":[{\"model_id\":\"%s\",\"a\":1,\"b\":2,\"c\":3,\"d\":4}]}",
                        run, id));
    LACKS("\"key\":\"x\"", GET("runs/get", wr_arena_printf(s->a, "run_id=%s", run))); /* all or nothing */
}

/* Names of the models that are found, "a b". */
static const char *search(store *s, const char *members)
{
    WR_AUTOBUF wr_buf b = {0};
    const char *r = POST("logged-models/search", wr_arena_printf(s->a, "{\"experiment_ids\":[\"0\"]%s}", members));
    for (const char *at = r; (at = strstr(at, "\"name\":\"")); at++)
        wr_buf_printf(&b, "%s%.1s", b.n ? " " : "", at + 8);
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

static void measure(store *s, const char *run, const char *model, double value, int64_t time, const char *dataset,
                    const char *digest)
{
    POST("runs/log-metric",
         wr_arena_printf(s->a,
                         "{\"run_id\":\"%s\",\"key\":\"acc\",\"value\":%g,\"timestamp\":%lld,\"model_id\":\"%s\","
                         "\"dataset_name\":\"%s\",\"dataset_digest\":\"%s\"}",
                         run, value, (long long)time, model, dataset, digest));
}

static void logged_search(void **state)
{
    store *s = *state;
    const char *run = member(s, POST("runs/create", "{}"), "run_id");
    const char *a = logged(s, ",\"name\":\"a\",\"params\":[{\"key\":\"lr\",\"value\":\"1\"}]");
    const char *b = logged(s, ",\"name\":\"b\",\"tags\":[{\"key\":\"t\",\"value\":\"x\"}]"),
               *c = logged(s, ",\"name\":\"c\"");
    for (int i = 0; i < 3; i++) /* newer by the millisecond */
        store_sql(s, wr_arena_printf(s->a, "UPDATE logged_models SET created_ms = %d WHERE name = '%c'", i, 'a' + i));
    measure(s, run, a, 0.9, 1, "one", "1");
    measure(s, run, a, 0.1, 2, "one", "1"); /* the latest */
    measure(s, run, b, 0.5, 1, "one", "1");
    measure(s, run, b, 0.95, 5, "two", "1");
    assert_string_equal(search(s, ""), "c b a");
    assert_string_equal(search(s, ",\"order_by\":[{\"field_name\":\"creation_time\"}]"), "a b c");
    assert_string_equal(search(s, ",\"order_by\":[{\"field_name\":\"metrics.acc\",\"ascending\":false}]"), "b a c");
    assert_string_equal(search(s, ",\"order_by\":[{\"field_name\":\"metrics.acc\"}]"), "a b c"); /* missing last */
    assert_string_equal(search(s, ",\"order_by\":[{\"field_name\":\"metrics.acc\",\"dataset_name\":\"two\"}]"),
                        "b c a");
    assert_string_equal(search(s, ",\"filter\":\"params.lr = '1'\""), "a");
    assert_string_equal(search(s, ",\"filter\":\"tags.t LIKE 'x%'\""), "b");
    assert_string_equal(search(s, ",\"filter\":\"name IN ('a', 'c')\""), "c a");
    assert_string_equal(search(s, ",\"filter\":\"status = 'PENDING' AND name != 'c'\""), "b a");
    assert_string_equal(search(s, ",\"filter\":\"metrics.acc > 0.8\""), "b a");
    assert_string_equal(search(s, ",\"filter\":\"metrics.acc > 0.8\",\"datasets\":[{\"dataset_name\":\"two\"}]"), "b");
    assert_string_equal(search(s, ",\"datasets\":[{\"dataset_name\":\"one\",\"dataset_digest\":\"1\"}]"), "b a");
    assert_string_equal(search(s, ",\"datasets\":[{\"dataset_name\":\"one\",\"dataset_digest\":\"2\"}]"), "");
    assert_string_equal(search(s, ",\"filter\":\"creation_timestamp >= 1\""), "c b");
    request(s, 200, "DELETE", wr_arena_printf(s->a, API "logged-models/%s", c), "", "");
    assert_string_equal(search(s, ""), "b a");
    SAYS("Invalid order by field name: nothing",
         request(s, 400, "POST", API "logged-models/search", "",
                 "{\"experiment_ids\":[\"0\"],\"order_by\":[{\"field_name\":\"nothing\"}]}"));
    SAYS("Invalid order by field name: params.lr",
         request(s, 400, "POST", API "logged-models/search", "",
                 "{\"experiment_ids\":[\"0\"],\"order_by\":[{\"field_name\":\"params.lr\"}]}"));
    SAYS("`dataset_name` in the `datasets` clause must be specified",
         request(s, 400, "POST", API "logged-models/search", "",
                 "{\"experiment_ids\":[\"0\"],\"datasets\":[{\"dataset_digest\":\"1\"}]}"));
    SAYS("Missing value for required parameter 'experiment_ids'",
         request(s, 400, "POST", API "logged-models/search", "", "{}"));
}

static void logged_pages(void **state)
{
    store *s = *state;
    static const char *const others[][2] = {
        {"\"experiment_ids\":[\"1\"]", "Experiment IDs in the page token do not match"},
        {"\"experiment_ids\":[\"0\"],\"filter\":\"name = 'a'\"", "Filter string in the page token does not match"},
        {"\"experiment_ids\":[\"0\"],\"order_by\":[{\"field_name\":\"name\"}]",
         "Order by in the page token does not match"}};
    logged(s, ",\"name\":\"a\"");
    logged(s, ",\"name\":\"b\"");
    logged(s, ",\"name\":\"c\"");
    const char *by = ",\"max_results\":2";
    const char *token =
        member(s, POST("logged-models/search", wr_arena_printf(s->a, "{\"experiment_ids\":[\"0\"]%s}", by)),
               "next_page_token");
    assert_int_equal(strlen(search(s, wr_arena_printf(s->a, "%s,\"page_token\":\"%s\"", by, token))), 1);
    for (size_t i = 0; i < 3; i++)
        SAYS(others[i][1], request(s, 400, "POST", API "logged-models/search", "",
                                   wr_arena_printf(s->a, "{%s%s,\"page_token\":\"%s\"}", others[i][0], by, token)));
    static const char *const broken[] = {"x", "....", "a.b.c.d", "00000000.00000000.00000000.xyz"};
    for (size_t i = 0; i < 4; i++)
        request(s, 400, "POST", API "logged-models/search", "",
                wr_arena_printf(s->a, "{\"experiment_ids\":[\"0\"],\"page_token\":\"%s\"}", broken[i]));
}

/* What a registered model is made of. */
static void registered_logged(void **state)
{
    store *s = *state;
    const char *id = logged(s, ",\"name\":\"net\",\"source_run_id\":\"run7\"");
    POST("registered-models/create", "{\"name\":\"m\"}");
    const char *r =
        POST("model-versions/create",
             wr_arena_printf(s->a, "{\"name\":\"m\",\"source\":\"models:/%s\",\"model_id\":\"%s\"}", id, id));
    SAYS("\"run_id\":\"run7\"", r);
    SAYS(wr_arena_printf(s->a, "\"model_id\":\"%s\"", id), r);
    SAYS(wr_arena_printf(s->a, "\"artifact_uri\":\"mlflow-artifacts:/0/models/%s/artifacts\"", id),
         GET("model-versions/get-download-uri", "name=m&version=1"));
    r = request(s, 200, "GET", wr_arena_printf(s->a, API "logged-models/%s", id), "", "");
    SAYS("{\"key\":\"mlflow.modelVersions\",\"value\":\"[{\\\"name\\\": \\\"m\\\", \\\"version\\\": 1}]\"}", r);
    SAYS("\"registrations\":[{\"name\":\"m\",\"version\":\"1\"}]", r);
    SAYS("Unable to fetch model from model URI source artifact location",
         request(s, 404, "POST", API "model-versions/create", "", "{\"name\":\"m\",\"source\":\"models:/m-none\"}"));
}

/* ---- webhooks ---- */

static void webhooks(void **state)
{
    store *s = *state;
    const char *r =
        POST("webhooks",
             "{\"name\":\"hook\",\"url\":\"https://example.com/x\",\"secret\":\"s3cret\",\"events\":[{\"entity\":"
             "\"MODEL_VERSION\",\"action\":\"CREATED\"},{\"entity\":4,\"action\":3}]}");
    const char *id = member(s, r, "webhook_id");
    SAYS("\"name\":\"hook\",\"url\":\"https://example.com/"
         "x\",\"events\":[{\"entity\":\"MODEL_VERSION\",\"action\":\"CREATED\"},"
         "{\"entity\":\"MODEL_VERSION_ALIAS\",\"action\":\"DELETED\"}],\"status\":\"ACTIVE\"",
         r);
    LACKS("s3cret", r);
    const char *one = wr_arena_printf(s->a, API "webhooks/%s", id);
    LACKS("secret", request(s, 200, "GET", one, "", ""));
    r = request(s, 200, "PATCH", one, "", "{\"status\":\"DISABLED\",\"description\":\"d\",\"name\":\"\"}");
    SAYS("\"name\":\"hook\",\"description\":\"d\"", r);
    SAYS("\"status\":\"DISABLED\"", r);
    SAYS("\"webhooks\":[{", GET("webhooks", "max_results=5"));
    SAYS("must be between 1 and 1000", request(s, 400, "GET", API "webhooks", "max_results=1001", ""));
    SAYS("Invalid action 'set' for entity 'model_version'",
         request(s, 400, "PATCH", one, "", "{\"events\":[{\"entity\":\"MODEL_VERSION\",\"action\":\"SET\"}]}"));
    SAYS("Missing value for required parameter 'events'",
         request(s, 400, "POST", API "webhooks", "", "{\"name\":\"a\",\"url\":\"https://example.com\"}"));
    SAYS("Webhook URL must not resolve to a non-public IP address",
         request(s, 400, "PATCH", one, "", "{\"url\":\"https://10.0.0.1/\"}"));
    SAYS("for parameter 'status'", request(s, 400, "PATCH", one, "", "{\"status\":\"ASLEEP\"}"));
    SAYS("Webhook with ID none not found.", request(s, 404, "GET", API "webhooks/none", "", ""));
    SAYS("Webhook with ID none not found.", request(s, 404, "POST", API "webhooks/none/test", "", "{}"));
    assert_string_equal("{}", request(s, 200, "DELETE", one, "", ""));
    request(s, 404, "GET", one, "", "");
    assert_string_equal("{}", GET("webhooks", ""));
}

#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(registered_models), T(model_versions), T(logged_models),     T(logged_metrics),
        T(logged_search),     T(logged_pages),   T(registered_logged), T(webhooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
