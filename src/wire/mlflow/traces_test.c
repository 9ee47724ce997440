/* SPDX-License-Identifier: Apache-2.0 */
/* traces_test.c - traces as clients send and read them. testdata/ has what MLflow's client 3.17.2 sent for one trace:
 * its two requests, and its spans as it would have written them into a file. */
#include "base/clock.h"
#include "codec/json.h"
#include "store/artifacts.h"
#include "wire/mlflow/mlflow_testing.h"
#include "wire/mlflow/otlp.h"

#define V3    "/api/3.0/mlflow/"
#define TRACE "tr-41c7d859b4882bb44a85325ca1eefde7"

static wr_str file(store *s, const char *name)
{
    WR_AUTOBUF wr_buf b = {0};
    char path[300];
    snprintf(path, sizeof path, "%s/%s", WEIR_SOURCE_DIR, name);
    OK(wr_file_read(&b, path, 1 << 20, &s->err));
    return wr_arena_str(s->a, wr_buf_view(&b));
}

/* The answer of POST /v1/traces. */
static wr_str export(store *s, int status, const char *type, const char *experiment, wr_str body)
{
    WR_AUTOBUF wr_buf out = {0};
    wr_otlp_call c = {.track = s->t,
                      .arena = s->a,
                      .type = wr_str_of(type),
                      .experiment = wr_str_of(experiment),
                      .body = body,
                      .out = &out};
    wr_otlp_run(&c);
    if (c.status != status) fail_msg("%d, not %d: %s", c.status, status, wr_buf_cstr(&out));
    return wr_arena_str(s->a, wr_buf_view(&out));
}

#define PROTOBUF "application/x-protobuf"
#define SPANS    file(s, "src/wire/mlflow/testdata/otlp-3.17.2.pb")
#define START    file(s, "src/wire/mlflow/testdata/start-3.17.2.json").p

/* What came in as OTLP and goes out as a file is what the client itself would have written. */
static void same_as_the_client(store *s)
{
    WR_AUTOJSON wr_json ours = {0}, theirs = {0};
    wr_str text = wr_str_of(request(s, 200, "GET", "/ajax-api/2.0/mlflow/get-trace-artifact", "request_id=" TRACE, ""));
    OK(wr_json_parse(&ours, text, "ours", &s->err));
    OK(wr_json_parse(&theirs, file(s, "src/wire/mlflow/testdata/spans-3.17.2.json"), "theirs", &s->err));
    yyjson_val *a = yyjson_obj_get(ours.root, "spans"), *b = yyjson_obj_get(theirs.root, "spans");
    assert_int_equal(yyjson_arr_size(a), 2);
    assert_true(yyjson_equals(a, b)); /* order of members aside */
}

static void full_trace(store *s)
{
    const char *r = request(s, 200, "GET", V3 "traces/get", "trace_id=" TRACE, "");
    SAYS("\"trace_id\":\"" TRACE "\"", r);
    SAYS("\"state\":\"OK\"", r);
    SAYS("\"mlflow.trace.tokenUsage\":\"{\\\"input_tokens\\\": 11, \\\"output_tokens\\\": 7, \\\"total_tokens\\\": "
         "18}\"",
         r);
    SAYS("\"mlflow.trace.session\":\"s1\"", r);
    SAYS("\"mlflow.trace.infoFinalized\":\"true\"", r);
    SAYS("\"release\":\"7\"", r);
    SAYS("\"env\":\"prod\"", r);
    SAYS("\"mlflow.traceName\":\"answer\"", r);
    SAYS("\"mlflow.trace.spansLocation\":\"TRACKING_STORE\"", r);
    SAYS("\"mlflow.artifactLocation\":\"mlflow-artifacts:/0/traces/" TRACE "/artifacts\"", r);
    SAYS("\"request_preview\":", r);
    SAYS("{\"key\":\"temperature\",\"value\":{\"double_value\":0.7}}", r);
    SAYS("{\"key\":\"n\",\"value\":{\"int_value\":1}},{\"key\":\"stop\",\"value\":{}}", r);
    SAYS("\"events\":[{\"time_unix_nano\":", r);
    SAYS("\"attributes\":[{\"key\":\"attempt\",\"value\":{\"int_value\":2}}]", r);
    SAYS("\"status\":{\"code\":\"STATUS_CODE_OK\"}", r);
    same_as_the_client(s);
}

static void spans_first(void **state)
{
    store *s = *state;
    assert_int_equal(export(s, 200, PROTOBUF, "0", SPANS).n, 0);
    const char *r = request(s, 200, "GET", V3 "traces/" TRACE, "", "");
    SAYS("\"state\":\"OK\"", r); /* by the root span */
    SAYS("\"mlflow.trace.tokenUsage\":\"{\\\"input_tokens\\\": 11, \\\"output_tokens\\\": 7, \\\"total_tokens\\\": "
         "18}\"",
         r);
    SAYS("\"request_preview\":\"{\\\"question\\\": \\\"what is a weir?\\\"}\"", r);
    LACKS("infoFinalized", r);
    SAYS("{\"trace\":{\"trace_info\":{\"trace_id\":\"" TRACE "\"", request(s, 200, "POST", V3 "traces", "", START));
    full_trace(s);
}

static void start_first(void **state)
{
    store *s = *state;
    const char *r = request(s, 200, "POST", V3 "traces", "", START);
    LACKS("spansLocation", r);
    r = request(s, 400, "GET", V3 "traces/get", "trace_id=" TRACE "&allow_partial=true", "");
    SAYS("Trace data not stored in tracking store", r);
    assert_int_equal(export(s, 200, PROTOBUF, "0", SPANS).n, 0);
    assert_int_equal(export(s, 200, PROTOBUF "; x=y", "0", SPANS).n, 0); /* again: the same spans once */
    full_trace(s);
    r = request(s, 200, "GET", V3 "traces/batchGet", "trace_ids=" TRACE "&trace_ids=none&trace_ids=" TRACE, "");
    SAYS("{\"traces\":[{\"trace_info\":", r);
    assert_null(strstr(strstr(r, "trace_info") + 1, "trace_info")); /* once */
    assert_string_equal("{}", request(s, 200, "GET", V3 "traces/batchGet", "trace_ids=none", ""));
}

static void refused_exports(void **state)
{
    store *s = *state;
    wr_str none = {NULL, 0};
    SAYS("Field required", export(s, 422, PROTOBUF, "", SPANS).p);
    SAYS("Invalid Content-Type: text/plain", export(s, 400, "text/plain", "0", SPANS).p);
    SAYS("no spans found", export(s, 400, PROTOBUF, "0", none).p);
    SAYS("Invalid OpenTelemetry format\"", export(s, 400, PROTOBUF, "0", WR_STR("no protobuf at all")).p);
    SAYS("Invalid OpenTelemetry format\"", export(s, 400, "application/json", "0", WR_STR("{")).p);
    SAYS("Cannot convert", export(s, 422, PROTOBUF, "0", file(s, "fuzz/corpus/otlp/no-span-id.pb")).p);
    SAYS("RESOURCE_DOES_NOT_EXIST", export(s, 404, PROTOBUF, "77", SPANS).p);
    SAYS("INVALID_PARAMETER_VALUE", export(s, 400, PROTOBUF, "x", SPANS).p);
    request(s, 404, "GET", V3 "traces/" TRACE, "", "");
}

/* One span is too deep, or has too many attributes: the others are kept, and the answer says so, in the form of the
 * request. */
static void partial_success(void **state)
{
    store *s = *state;
    WR_AUTOBUF wr_buf b = {0};
    wr_str r = export(s, 200, PROTOBUF, "0", file(s, "fuzz/corpus/otlp/deep.pb"));
    assert_true(r.n > 4 && r.p[0] == 0x0a && r.p[2] == 0x08 && r.p[3] == 1); /* field 1: {1: 1 span, 2: why} */
    SAYS("nested too deeply", r.p + 6);
    SAYS("\"span_id\":\"AAAAAAAAAAI=\"",
         request(s, 200, "GET", V3 "traces/get", "trace_id=tr-30313233343536373839616263646566", ""));
    export(s, 400, "application/json", "0", file(s, "fuzz/corpus/otlp/deep.json")); /* deeper than JSON may be */

    wr_buf_str(
        &b,
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"00000000000000000000000000000001\",\"spanId\":"
        "\"0000000000000001\",\"attributes\":[");
    for (int i = 0; i <= WR_LIMIT_OTLP_ATTRIBUTES; i++) wr_buf_printf(&b, "%s{\"key\":\"k%d\"}", i ? "," : "", i);
    wr_buf_str(&b, "]},{\"traceId\":\"00000000000000000000000000000001\",\"spanId\":\"0000000000000002\"}]}]}]}");
    r = export(s, 200, "application/json", "0", wr_buf_view(&b));
    assert_string_equal(
        r.p, "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"there are too many attributes\"}}");
    SAYS("\"spans\":[{\"trace_id\":\"AAAAAAAAAAAAAAAAAAAAAQ==\",\"span_id\":\"AAAAAAAAAAI=\"",
         request(s, 200, "GET", V3 "traces/get", "trace_id=tr-00000000000000000000000000000001", ""));
}

static void other_conventions(void **state)
{
    store *s = *state;
    assert_string_equal("{}", export(s, 200, "application/json", "0", file(s, "fuzz/corpus/otlp/full.json")).p);
    const char *r = request(s, 200, "GET", V3 "traces/get", "trace_id=tr-30313233343536373839616263646566", "");
    SAYS("{\"key\":\"mlflow.spanType\",\"value\":{\"string_value\":\"CHAT_MODEL\"}}", r); /* gen_ai.operation.name */
    SAYS("\"mlflow.trace.tokenUsage\":\"{\\\"input_tokens\\\": 12, \\\"output_tokens\\\": 30, \\\"total_tokens\\\": "
         "42}\"",
         r);
    SAYS("{\"key\":\"mlflow.llm.model\",\"value\":{\"string_value\":\"gpt-4\"}}", r);
    SAYS("{\"key\":\"mlflow.llm.provider\",\"value\":{\"string_value\":\"openai\"}}", r);
    SAYS("\"service.name\":\"shop\"", r);
    LACKS("telemetry.sdk", r);
    SAYS("\"env\":\"prod\"", r); /* mlflow.traceTag.env */
    SAYS("\"mlflow.trace.user\":\"bob\"", r);
    SAYS("\"mlflow.trace.session\":\"s1\"", r);
    SAYS("\"request_preview\":\"h\xc3\xa9llo \\\"q\\\"\\n\"", r);
    SAYS("\"links\":[{\"trace_id\":\"ZmVkY2JhOTg3NjU0MzIxMA==\",\"span_id\":\"MTIzNDU2Nzg=\"", r);
    SAYS("{\"key\":\"nan\",\"value\":{\"double_value\":\"NaN\"}}", r);
    SAYS("\"status\":{\"message\":\"bad\",\"code\":\"STATUS_CODE_ERROR\"}", r);
    /* protobuf and JSON say the same */
    const char *json = request(s, 200, "GET", "/api/3.0/mlflow/get-trace-artifact",
                               "request_id=tr-30313233343536373839616263646566", "");
    export(s, 200, PROTOBUF, "0", file(s, "fuzz/corpus/otlp/full.pb"));
    assert_string_equal(
        json, request(s, 200, "GET", V3 "get-trace-artifact", "request_id=tr-30313233343536373839616263646566", ""));
}

/* What the answer of get-trace-artifact holds, when it is a file. */
static void trace_file(store *s, wr_artifacts *files, const char *path, int status, const char *says)
{
    WR_AUTOBUF wr_buf out = {0};
    wr_mlflow_call c = {.track = s->t, .arena = s->a, .artifacts = files, .out = &out};
    wr_mlflow_request in = {.method = WR_STR("GET"),
                            .path = WR_STR("/ajax-api/3.0/mlflow/get-trace-artifact"),
                            .query = wr_str_of(wr_arena_printf(s->a, "request_id=" TRACE "%s", path)),
                            .type = WR_STR(""),
                            .body = WR_STR("")};
    wr_mlflow_run(&c, &in);
    if (c.status != status) fail_msg("%s: %d, not %d: %s", path, c.status, status, wr_buf_cstr(&out));
    if (c.content) {
        char got[64];
        int64_t n = wr_artifact_get(c.content, 0, got, sizeof got, &s->err);
        assert_int_equal(n, (int64_t)strlen(says));
        assert_memory_equal(got, says, n);
        wr_artifact_reader_close(c.content);
    } else {
        SAYS(says, wr_buf_cstr(&out));
    }
}

/* Spans of older clients and attachments are files. */
static void kept_elsewhere(void **state)
{
    store *s = *state;
    wr_artifacts *files;
    OK(wr_artifacts_open(&files, wr_arena_printf(s->a, "%s/files", s->dir), &(wr_artifacts_opt){0}, &s->err));
    request(s, 200, "POST", V3 "traces", "", START);
    trace_file(s, files, "", 404, "traces.json");
    OK(wr_artifacts_put(files, WR_STR("0/traces/" TRACE "/artifacts/traces.json"), WR_STR("{\"spans\":[]}"), NULL,
                        &s->err));
    trace_file(s, files, "", 200, "{\"spans\":[]}");
    trace_file(s, files, "&path=../traces.json", 400, "must be a valid UUID");
    trace_file(s, files, "&path=550E8400-e29b-41d4-a716-446655440000", 400, "must be a valid UUID");
    trace_file(s, files, "&path=550e8400-e29b-41d4-a716-446655440000", 404, "550e8400");
    OK(wr_artifacts_put(files, WR_STR("0/traces/" TRACE "/artifacts/attachments/550e8400-e29b-41d4-a716-446655440000"),
                        WR_STR("picture"), NULL, &s->err));
    trace_file(s, files, "&path=550e8400-e29b-41d4-a716-446655440000", 200, "picture");
    wr_artifacts_close(files);
}

static void version_two(void **state)
{
    store *s = *state;
    const char *r =
        POST("traces",
             "{\"experiment_id\":\"0\",\"timestamp_ms\":1000,\"request_metadata\":[{\"key\":\"a\",\"value\":\"b\"}],"
             "\"tags\":[{\"key\":\"t\",\"value\":\"1\"}]}");
    const char *id = member(s, r, "request_id");
    SAYS("\"timestamp_ms\":1000,\"execution_time_ms\":0,\"status\":\"IN_PROGRESS\",\"request_metadata\":[{\"key\":"
         "\"a\",\"value\":\"b\"}]",
         r);
    char *path = wr_arena_printf(s->a, API "traces/%s", id);
    r = request(s, 200, "PATCH", path, "",
                "{\"timestamp_ms\":3000,\"status\":\"OK\",\"tags\":[{\"key\":\"t\",\"value\":\"2\"},{\"key\":\"mlflow."
                "traceName\",\"value\":\"n\"}]}");
    SAYS("\"execution_time_ms\":2000,\"status\":\"OK\"", r);
    SAYS("{\"key\":\"t\",\"value\":\"2\"}", r);
    SAYS("{\"key\":\"mlflow.traceName\",\"value\":\"n\"}", r);
    assert_string_equal(
        strstr(r, "\"request_id\""),
        strstr(request(s, 200, "GET", wr_arena_printf(s->a, "%s/info", path), "", ""), "\"request_id\""));
    SAYS("{\"traces\":[{\"request_id\":",
         GET("traces", "experiment_ids=0&filter=name%20%3D%20%27n%27&order_by=timestamp_ms%20DESC"));
    assert_string_equal("{}", GET("traces", "experiment_ids=0&filter=status%20%3D%20%27ERROR%27"));
    request(s, 400, "PATCH", path, "", "{\"status\":\"WHAT\"}");
    request(s, 404, "PATCH", API "traces/none", "", "{\"status\":\"OK\"}");
}

static const char *start(store *s, const char *id, const char *more)
{
    char *body = wr_arena_printf(
        s->a,
        "{\"trace\":{\"trace_info\":{\"trace_id\":\"%s\",\"trace_location\":{\"type\":\"MLFLOW_EXPERIMENT\","
        "\"mlflow_experiment\":{\"experiment_id\":\"0\"}},\"state\":\"OK\"%s%s}}}",
        id, *more ? "," : "", more);
    return request(s, 200, "POST", V3 "traces", "", body);
}

static void infos(void **state)
{
    store *s = *state;
    const char *r = start(
        s, "a",
        "\"request_time\":\"2025-04-15T08:49:18.699Z\",\"execution_duration\":\"1.500s\",\"client_request_id\":\"c\"");
    SAYS("\"request_time\":\"2025-04-15T08:49:18.699Z\",\"execution_duration\":\"1.500s\",\"state\":\"OK\"", r);
    SAYS("\"client_request_id\":\"c\"", r);
    SAYS("\"execution_duration\":\"2s\"",
         start(s, "b", "\"request_time\":\"1970-01-01T00:00:00Z\",\"executionDuration\":\"2s\""));
    LACKS("execution_duration", start(s, "c", ""));
    SAYS("\"execution_duration\":\"-0.007s\"", start(s, "d", "\"execution_duration\":\"-0.007s\""));
    request(s, 400, "POST", V3 "traces", "",
            "{\"trace\":{\"trace_info\":{\"trace_id\":\"../x\",\"trace_location\":{\"mlflow_experiment\":"
            "{\"experiment_id\":\"0\"}}}}}");
    request(s, 404, "POST", V3 "traces", "",
            "{\"trace\":{\"trace_info\":{\"trace_id\":\"x\",\"trace_location\":{\"mlflow_experiment\":"
            "{\"experiment_id\":\"9\"}}}}}");
    request(s, 400, "POST", V3 "traces", "", "{\"trace\":{\"trace_info\":{}}}");
    request(s, 400, "POST", V3 "traces", "", "{}");
    r = request(s, 400, "POST", V3 "traces", "",
                "{\"trace\":{\"trace_info\":{\"trace_id\":\"x\",\"request_time\":\"noon\",\"trace_location\":"
                "{\"mlflow_experiment\":{\"experiment_id\":\"0\"}}}}}");
    SAYS("'request_time'", r);
}

static void tags_links_deletes(void **state)
{
    store *s = *state;
    start(s, "a", "\"request_time\":\"2025-01-01T00:00:01Z\",\"tags\":{\"k\":\"1\"}");
    start(s, "b", "\"request_time\":\"2025-01-01T00:00:02Z\"");
    start(s, "c", "\"request_time\":\"2025-01-01T00:00:03Z\"");
    PATCH("traces/a/tags", "{\"key\":\"k\",\"value\":\"2\"}");
    request(s, 200, "PATCH", V3 "traces/a/tags", "", "{\"key\":\"mlflow.traceName\",\"value\":\"named\"}");
    const char *r = request(s, 200, "GET", V3 "traces/a", "", "");
    SAYS("\"k\":\"2\"", r);
    SAYS("\"mlflow.traceName\":\"named\"", r);
    DELETE("traces/a/tags", "{\"key\":\"k\"}");
    SAYS("No trace tag with key 'k' for trace with ID 'a'",
         request(s, 404, "DELETE", V3 "traces/a/tags", "", "{\"key\":\"k\"}"));
    SAYS("is immutable and cannot be set",
         request(s, 400, "PATCH", V3 "traces/a/tags", "", "{\"key\":\"mlflow.trace.spansLocation\"}"));
    request(s, 404, "PATCH", V3 "traces/none/tags", "", "{\"key\":\"k\",\"value\":\"v\"}");
    POST("traces/link-to-run", "{\"trace_ids\":[\"b\",\"later\"],\"run_id\":\"r1\"}");
    POST("traces/link-to-run", "{\"trace_ids\":[\"b\"],\"run_id\":\"r1\"}");
    POST("traces/link-prompts", "{\"trace_id\":\"c\",\"prompt_versions\":[{\"name\":\"p\",\"version\":\"3\"}]}");
#define LOCATION "\"locations\":[{\"mlflow_experiment\":{\"experiment_id\":\"0\"}}]"
    r = request(s, 200, "POST", V3 "traces/search", "", "{" LOCATION ",\"filter\":\"run_id = 'r1'\"}");
    SAYS("\"trace_id\":\"b\"", r);
    LACKS("\"trace_id\":\"a\"", r);
    SAYS("\"trace_id\":\"c\"",
         request(s, 200, "POST", V3 "traces/search", "", "{" LOCATION ",\"filter\":\"prompt = 'p/3'\"}"));
    SAYS("Expected format",
         request(s, 400, "POST", V3 "traces/search", "", "{" LOCATION ",\"filter\":\"prompt = 'p'\"}"));
    SAYS("Either `max_timestamp_millis` or `trace_ids`",
         request(s, 400, "POST", API "traces/delete-traces", "", "{\"experiment_id\":\"0\"}"));
    SAYS("\"traces_deleted\":1",
         POST("traces/delete-traces",
              "{\"experiment_id\":\"0\",\"max_timestamp_millis\":1800000000000,\"max_traces\":1}"));
    request(s, 404, "GET", V3 "traces/a", "", ""); /* the oldest */
    SAYS("\"traces_deleted\":0", POST("traces/delete-traces", "{\"experiment_id\":\"1\",\"request_ids\":[\"b\"]}"));
    SAYS("\"traces_deleted\":1",
         POST("traces/delete-traces", "{\"experiment_id\":\"0\",\"request_ids\":[\"b\",\"none\"]}"));
    SAYS("\"traces_deleted\":1",
         POST("traces/delete-traces", "{\"experiment_id\":\"0\",\"max_timestamp_millis\":1800000000000}"));
}

static void pages(void **state)
{
    store *s = *state;
    char seen[8] = "";
    const char *token = "";
    for (int i = 0; i < 7; i++)
        start(s, wr_arena_printf(s->a, "t%d", i),
              wr_arena_printf(s->a, "\"request_time\":\"2025-01-01T00:00:0%dZ\"", i / 2));
    for (int page = 0; page < 10; page++) {
        const char *r = request(s, 200, "POST", V3 "traces/search", "",
                                wr_arena_printf(s->a, "{" LOCATION ",\"max_results\":2,\"page_token\":\"%s\"}", token));
        for (const char *p = r; (p = strstr(p, "\"trace_id\":\"t")); p++) strncat(seen, p + 13, 1);
        if (page == 1) start(s, "newer", "\"request_time\":\"2025-01-02T00:00:00Z\""); /* moves nothing */
        if (!strstr(r, "next_page_token")) break;
        token = member(s, r, "next_page_token");
    }
    assert_string_equal(seen, "6452301"); /* newest first, then by id */
    SAYS("max_results", request(s, 400, "POST", V3 "traces/search", "", "{" LOCATION ",\"max_results\":501}"));
    SAYS("max_results", request(s, 400, "POST", V3 "traces/search", "", "{" LOCATION ",\"max_results\":0}"));
    SAYS("page token", request(s, 400, "POST", V3 "traces/search", "", "{" LOCATION ",\"page_token\":\"x\"}"));
    SAYS("'nothing'", request(s, 400, "POST", V3 "traces/search", "", "{" LOCATION ",\"order_by\":[\"nothing\"]}"));
}

static void assessments(void **state)
{
    store *s = *state;
    start(s, "a", "");
    const char *r =
        request(s, 200, "POST", V3 "traces/a/assessments", "",
                "{\"assessment\":{\"assessment_name\":\"quality\",\"feedback\":{\"value\":{\"rating\":4}},\"source\":{"
                "\"source_type\":"
                "\"HUMAN\",\"source_id\":\"me\"},\"rationale\":\"r\",\"metadata\":{\"x\":\"1\",\"y\":\"1\"}}}");
    const char *id = member(s, r, "assessment_id");
    SAYS("\"feedback\":{\"value\":{\"rating\":4}},\"rationale\":\"r\",\"metadata\":{\"x\":\"1\",\"y\":\"1\"},\"valid\":"
         "true",
         r);
    SAYS("\"source\":{\"source_type\":\"HUMAN\",\"source_id\":\"me\"}", r);
    char *path = wr_arena_printf(s->a, V3 "traces/a/assessments/%s", id);
    r = request(s, 200, "PATCH", path, "",
                "{\"assessment\":{\"assessment_name\":\"q2\",\"feedback\":{\"value\":5,\"error\":{\"error_code\":\"E\"}"
                "},\"metadata\":{\"y\":\"2\"}},"
                "\"update_mask\":\"assessmentName,feedback,metadata\"}");
    SAYS("\"assessment_name\":\"q2\"", r);
    SAYS("\"feedback\":{\"value\":5,\"error\":{\"error_code\":\"E\"}},\"rationale\":\"r\",\"metadata\":{\"x\":\"1\","
         "\"y\":\"2\"}",
         r);
    SAYS("Cannot update expectation value on a Feedback",
         request(s, 400, "PATCH", path, "",
                 "{\"assessment\":{\"expectation\":{\"value\":1}},\"update_mask\":\"expectation\"}"));
    r = request(s, 200, "POST", V3 "traces/a/assessments", "",
                wr_arena_printf(s->a,
                                "{\"assessment\":{\"assessment_name\":\"q2\",\"feedback\":{\"value\":\"no\"},"
                                "\"source\":{\"source_type\":\"CODE\"},"
                                "\"overrides\":\"%s\"}}",
                                id));
    char *newer = wr_arena_printf(s->a, V3 "traces/a/assessments/%s", member(s, r, "assessment_id"));
    SAYS("\"valid\":false", request(s, 200, "GET", path, "", ""));
    assert_string_equal("{}", request(s, 200, "DELETE", newer, "", ""));
    assert_string_equal("{}", request(s, 200, "DELETE", newer, "", ""));
    SAYS("\"valid\":true", request(s, 200, "GET", path, "", ""));
    r = request(
        s, 200, "POST", V3 "traces/a/assessments", "",
        "{\"assessment\":{\"assessment_name\":\"want\",\"expectation\":{\"serialized_value\":{\"serialization_format\":"
        "\"JSON_FORMAT\","
        "\"value\":\"[1, 2]\"}},\"source\":{\"source_type\":\"HUMAN\"},\"create_time\":\"2025-01-01T00:00:00Z\"}}");
    SAYS("\"create_time\":\"2025-01-01T00:00:00Z\"", r);
    SAYS("\"serialized_value\":{\"serialization_format\":\"JSON_FORMAT\",\"value\":\"[1,2]\"}", r);
    SAYS("\"assessments\":[{", request(s, 200, "GET", V3 "traces/a", "", ""));
    request(s, 404, "POST", V3 "traces/none/assessments", "",
            "{\"assessment\":{\"assessment_name\":\"q\",\"feedback\":{\"value\":1}}}");
    request(s, 404, "GET", V3 "traces/a/assessments/none", "", "");
    SAYS("Exactly one of",
         request(s, 400, "POST", V3 "traces/a/assessments", "", "{\"assessment\":{\"assessment_name\":\"q\"}}"));
    SAYS("source_type", request(s, 400, "POST", V3 "traces/a/assessments", "",
                                "{\"assessment\":{\"assessment_name\":\"q\",\"feedback\":{\"value\":1},\"source\":{"
                                "\"source_type\":\"GOD\"}}}"));
}

#define METRICS(more) request(s, 200, "POST", V3 "traces/metrics", "", "{\"experiment_ids\":[\"0\"]," more "}")
static void metrics(void **state)
{
    store *s = *state;
    assert_string_equal(
        "{}",
        METRICS(
            "\"view_type\":\"TRACES\",\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":\"AVG\"}]"));
    for (int i = 1; i <= 4; i++)
        start(s, wr_arena_printf(s->a, "t%d", i),
              wr_arena_printf(s->a,
                              "\"request_time\":\"2025-01-01T00:0%d:30Z\",\"execution_duration\":\"0.0%d0s\",\"tags\":{"
                              "\"mlflow.traceName\":\"%c\","
                              "\"k\":\"%d\"}",
                              i / 2, i, i % 2 ? 'a' : 'b', i));
    export(s, 200, PROTOBUF, "0", file(s, "fuzz/corpus/otlp/full.pb"));
    assert_string_equal(
        METRICS("\"view_type\":\"TRACES\",\"metric_name\":\"trace_count\",\"aggregations\":[{\"aggregation_type\":"
                "\"COUNT\"}],\"dimensions\":"
                "[\"trace_name\"]"),
        "{\"data_points\":[{\"metric_name\":\"trace_count\",\"dimensions\":{\"trace_name\":\"a\"},\"values\":{"
        "\"COUNT\":2}},"
        "{\"metric_name\":\"trace_count\",\"dimensions\":{\"trace_name\":\"b\"},\"values\":{\"COUNT\":2}}]}");
    /* 10, 20, 30, 40 ms: the median lies between two, the 90th percentile at 2.7 of 0..3 */
    SAYS("\"values\":{\"P50.0\":25,\"P90.0\":37,\"MIN\":10,\"MAX\":40,\"AVG\":25}",
         METRICS("\"view_type\":\"TRACES\",\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":"
                 "\"PERCENTILE\",\"percentile_value\":50},"
                 "{\"aggregation_type\":\"PERCENTILE\",\"percentile_value\":90},{\"aggregation_type\":\"MIN\"},{"
                 "\"aggregation_type\":\"MAX\"},"
                 "{\"aggregation_type\":\"AVG\"}],\"start_time_ms\":1735689600000,\"end_time_ms\":1735690000000"));
    SAYS("{\"time_bucket\":\"2025-01-01T00:01:00+00:00\"},\"values\":{\"COUNT\":2}}",
         METRICS("\"view_type\":1,\"metric_name\":\"trace_count\",\"aggregations\":[{\"aggregation_type\":\"COUNT\"}],"
                 "\"time_interval_seconds\":60,"
                 "\"start_time_ms\":1735689600000,\"end_time_ms\":1735690000000"));
    SAYS("{\"COUNT\":1}", METRICS("\"view_type\":\"TRACES\",\"metric_name\":\"trace_count\",\"aggregations\":[{"
                                  "\"aggregation_type\":\"COUNT\"}],"
                                  "\"filters\":[\"trace.tag.k = '3'\",\"trace.status = 'OK'\"]"));
    SAYS("{\"span_type\":\"AGENT\"},\"values\":{\"COUNT\":1}",
         METRICS("\"view_type\":\"SPANS\",\"metric_name\":\"span_count\",\"aggregations\":[{\"aggregation_type\":"
                 "\"COUNT\"}],\"dimensions\":[\"span_type\"]"));
    SAYS("\"SUM\":42", METRICS("\"view_type\":\"TRACES\",\"metric_name\":\"total_tokens\",\"aggregations\":[{"
                               "\"aggregation_type\":\"SUM\"}]"));
#define REFUSED(says, more)                                                                                            \
    SAYS(says, request(s, 400, "POST", V3 "traces/metrics", "",                                                        \
                       "{\"experiment_ids\":[\"0\"],\"view_type\":\"TRACES\"," more "}"))
    REFUSED("metric_name must be one of", "\"metric_name\":\"x\",\"aggregations\":[{\"aggregation_type\":\"COUNT\"}]");
    REFUSED("Supported aggregation types: ['COUNT']",
            "\"metric_name\":\"trace_count\",\"aggregations\":[{\"aggregation_type\":\"SUM\"}]");
    REFUSED("Found invalid dimension(s)", "\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":\"AVG\"}"
                                          "],\"dimensions\":[\"trace_status\"]");
    REFUSED("only supported for SPANS", "\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":\"AVG\"}],"
                                        "\"filters\":[\"span.name = 'x'\"]");
    REFUSED("only '=' operator", "\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":\"AVG\"}],"
                                 "\"filters\":[\"trace.status != 'x'\"]");
    REFUSED(
        "are required if time_interval_seconds",
        "\"metric_name\":\"latency\",\"aggregations\":[{\"aggregation_type\":\"AVG\"}],\"time_interval_seconds\":5");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spans_first),        TEST(start_first), TEST(refused_exports), TEST(partial_success),
        TEST(other_conventions),  TEST(version_two), TEST(kept_elsewhere),  TEST(infos),
        TEST(tags_links_deletes), TEST(pages),       TEST(assessments),     TEST(metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
