/* SPDX-License-Identifier: Apache-2.0 */
#include "track/webhook.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "track/registry.h"
#include "track/track_testing.h"

#define S(text) WR_STR(text)

/* ---- a receiver ---- */

typedef struct {
    int answers[32]; /* statuses, then 200 */
    size_t n;
    int64_t retry_ms;
    char log[4096]; /* "URL BODY-ENTITY.ACTION;" */
    char last_id[64], last_signature[80], last_stamp[32], last_body[2048];
    bool https_only, public_only;
} receiver;

static void header(char *out, size_t size, const wr_webhook_request *in, const char *name)
{
    out[0] = 0;
    for (size_t i = 0; i < in->nheaders; i++)
        if (strncmp(in->headers[i], name, strlen(name)) == 0)
            snprintf(out, size, "%s", in->headers[i] + strlen(name) + 2);
}

static void receive(void *ctx, const wr_webhook_request *in, wr_webhook_answer *out)
{
    receiver *r = ctx;
    WR_AUTOJSON wr_json j = {0};
    assert_int_equal(wr_json_parse(&j, in->body, "message", NULL), 0);
    size_t at = strlen(r->log);
    snprintf(r->log + at, sizeof r->log - at, "%s%.*s %s.%s", at ? "; " : "", WR_STR_FMT(in->url),
             yyjson_get_str(yyjson_obj_get(j.root, "entity")), yyjson_get_str(yyjson_obj_get(j.root, "action")));
    header(r->last_id, sizeof r->last_id, in, "X-MLflow-Delivery-Id");
    header(r->last_signature, sizeof r->last_signature, in, "X-MLflow-Signature");
    header(r->last_stamp, sizeof r->last_stamp, in, "X-MLflow-Timestamp");
    snprintf(r->last_body, sizeof r->last_body, "%.*s", WR_STR_FMT(in->body));
    r->https_only = in->https_only;
    r->public_only = in->public_only;
    out->status = r->n < 32 && r->answers[r->n] ? r->answers[r->n] : 200;
    if (out->status < 0) {
        out->status = 0;
        snprintf(out->why, sizeof out->why, "nobody is there");
    }
    out->retry_ms = r->retry_ms;
    r->n++;
}

static int deliver(store *s, receiver *r)
{
    int64_t next;
    wr_webhook_transport t = {receive, r};
    s->err = (wr_err){0};
    int n = wr_webhook_deliver(&next, s->t, &t, 32, &s->err);
    if (n < 0) fail_msg("%s", s->err.msg);
    return n;
}

static int64_t number(store *s, const char *sql)
{
    wr_stmt *q;
    OK(wr_db_prepare(s->db, &q, sql, &s->err));
    int64_t v = wr_step(q, NULL) > 0 ? wr_stmt_i64(q, 0) : -1;
    wr_stmt_done(q);
    return v;
}

static int event(const char *entity, const char *action)
{
    int e;
    assert_int_equal(wr_webhook_event_find(&e, wr_str_of(entity), wr_str_of(action), NULL), 0);
    return e;
}

static wr_webhook add(store *s, wr_str url, wr_str secret, const char *entity, const char *action)
{
    wr_webhook w = {0};
    int e = event(entity, action);
    wr_webhook_set set = {.name = S("hook"), .url = url, .secret = secret, .events = &e, .nevents = 1};
    OK(wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    return w;
}

/* ---- life ---- */

static void life(store *s)
{
    wr_webhook w, *all;
    wr_str next;
    size_t n;
    int two[] = {event("model_version", "created"), event("model_version_alias", "deleted")};
    wr_webhook_set set = {.name = S("my-hook.1"),
                          .url = S("https://example.com/x"),
                          .description = S("d"),
                          .secret = S("s3cret"),
                          .events = two,
                          .nevents = 2};
    OK(wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    assert_int_equal(w.uuid.n, 36);
    assert_int_equal(w.uuid.p[14], '4');
    assert_int_equal(w.nevents, 2);
    assert_int_equal(w.status, WR_WEBHOOK_ACTIVE);
    wr_webhook_set change = {.status = WR_WEBHOOK_DISABLED, .events = &two[1], .nevents = 1};
    OK(wr_webhook_update(&w, s->a, s->t, w.uuid, &change, &s->err));
    assert_string_equal(w.name.p, "my-hook.1"); /* what is not named stays */
    assert_string_equal(w.description.p, "d");
    assert_int_equal(w.status, WR_WEBHOOK_DISABLED);
    assert_int_equal(w.nevents, 1);
    assert_int_equal(w.events[0], two[1]);
    add(s, S("https://example.com/2"), S(""), "prompt", "created");
    add(s, S("https://example.com/3"), S(""), "prompt", "created");
    OK(wr_webhook_list(&all, &n, &next, s->a, s->t, 2, (wr_str){NULL, 0}, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(all[0].url.p, "https://example.com/3");
    OK(wr_webhook_list(&all, &n, &next, s->a, s->t, 2, next, &s->err));
    assert_int_equal(n, 1);
    assert_string_equal(all[0].uuid.p, w.uuid.p);
    assert_null(next.p);
    FAILS(WEIR_EINVAL, "max_results must be between 1 and 1000.",
          wr_webhook_list(&all, &n, &next, s->a, s->t, 1001, next, &s->err));
    FAILS(WEIR_EINVAL, "page token", wr_webhook_list(&all, &n, &next, s->a, s->t, 1, S("x"), &s->err));
    OK(wr_webhook_delete(s->t, w.uuid, &s->err));
    FAILS(WEIR_ENOTFOUND, "not found.", wr_webhook_get(&w, s->a, s->t, w.uuid, &s->err));
    FAILS(WEIR_ENOTFOUND, "Webhook with ID x not found.", wr_webhook_delete(s->t, S("x"), &s->err));
}

static void names(store *s)
{
    static const char *const right[] = {"a", "1", "a1", "WebHook123", "web_hook-123.test"};
    static const char *const wrong[] = {
        "",   " ",   "-a",   "a-",  "_a",   "a_",  ".a",
        "a.", "a b", "a<b>", "a/b", "a\\b", "a@b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    wr_webhook w;
    int e = 0;
    wr_webhook_set set = {.url = S("https://example.com"), .events = &e, .nevents = 1};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        set.name = wr_str_of(right[i]);
        OK(wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set.name = wr_str_of(wrong[i]);
        FAILS(WEIR_EINVAL, "is invalid. It must start", wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    }
    set.name = S("a");
    set.nevents = 0;
    FAILS(WEIR_EINVAL, "must be a non-empty list", wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    FAILS(WEIR_EINVAL, "Invalid action 'set' for entity 'prompt'. Valid actions are: ['created']",
          wr_webhook_event_find(&e, S("prompt"), S("set"), &s->err));
    FAILS(WEIR_EINVAL, "Invalid action", wr_webhook_event_find(&e, S("none"), S("set"), &s->err));
}

static void urls(store *s)
{
    static const struct {
        const char *url, *says;
    } wrong[] = {{"", "cannot be empty or just whitespace"},
                 {"   ", "cannot be empty or just whitespace"},
                 {"example.com/webhook", "Invalid webhook URL scheme: ''"},
                 {"ftp://example.com", "Invalid webhook URL scheme: 'ftp'"},
                 {"http://example.com", "Allowed schemes are: https."},
                 {"https://[invalid", "Invalid webhook URL"},
                 {"https:///path", "must include a hostname"},
                 {"https:example.com", "must include a hostname"},
                 {"https://127.0.0.1/x", "non-public IP address"},
                 {"https://localhost:8080", "non-public IP address"},
                 {"https://[::1]:80/", "non-public IP address"},
                 {"https://2130706433/", "non-public IP address"},
                 {"https://u:p@10.0.0.1/", "non-public IP address"},
                 {"https://169.254.169.254/latest", "non-public IP address"},
                 {"https://example.com/a b", "spaces or control characters"},
                 {"https://example.com/\r\nX: y", "spaces or control"}};
    wr_webhook w;
    int e = 0;
    wr_webhook_set set = {.name = S("a"), .events = &e, .nevents = 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        set.url = wr_str_of(wrong[i].url);
        FAILS(WEIR_EINVAL, wrong[i].says, wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    }
    wr_webhook_allow(s->t, WR_WEBHOOK_HTTP | WR_WEBHOOK_PRIVATE);
    set.url = S("http://127.0.0.1:80/x");
    OK(wr_webhook_create(&w, s->a, s->t, &set, &s->err));
    unsigned flags;
    OK(wr_webhook_allow_parse(&flags, S("http, private"), &s->err));
    assert_int_equal(flags, WR_WEBHOOK_HTTP | WR_WEBHOOK_PRIVATE);
    OK(wr_webhook_allow_parse(&flags, S(""), &s->err));
    assert_int_equal(flags, 0);
    FAILS(WEIR_EINVAL, "\"everything\"", wr_webhook_allow_parse(&flags, S("http,everything"), &s->err));
}

/* ---- what is told ---- */

static void changes(store *s)
{
    wr_registered_model m;
    wr_registered_version v;
    static const char *const all[][2] = {{"registered_model", "created"},
                                         {"model_version", "created"},
                                         {"model_version_tag", "set"},
                                         {"model_version_tag", "deleted"},
                                         {"model_version_alias", "created"},
                                         {"model_version_alias", "deleted"},
                                         {"prompt", "created"},
                                         {"prompt_version", "created"},
                                         {"prompt_tag", "set"},
                                         {"prompt_tag", "deleted"},
                                         {"prompt_version_tag", "set"},
                                         {"prompt_version_tag", "deleted"},
                                         {"prompt_alias", "created"},
                                         {"prompt_alias", "deleted"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) add(s, S("https://h"), S(""), all[i][0], all[i][1]);
    wr_track_item prompt[] = {{S(WR_PROMPT_TAG), S("true")}, {S("mlflow.prompt.text"), S("Hi")}, {S("k"), S("v")}};
    for (int i = 0; i < 2; i++) {
        wr_str name = i ? S("p") : S("m");
        OK(wr_registered_model_create(&m, s->a, s->t, name, S("d"), prompt, i ? 1 : 0, &s->err));
        wr_registered_version_new in = {.name = name,
                                        .source = S("s3://b/x"),
                                        .run_id = S("r"),
                                        .description = S(""),
                                        .tags = i ? prompt : NULL,
                                        .ntags = i ? 3 : 0};
        OK(wr_registered_version_create(&v, s->a, s->t, &in, &s->err));
        OK(wr_registered_version_set_tag(s->t, name, 1, S("k"), S("w"), &s->err));
        OK(wr_registered_version_delete_tag(s->t, name, 1, S("k"), &s->err));
        OK(wr_registered_alias_set(s->t, name, S("best"), 1, NULL, &s->err));
        OK(wr_registered_alias_delete(s->t, name, S("best"), NULL, &s->err));
        OK(wr_registered_model_set_tag(s->t, name, S("k"), S("v"), &s->err));
        OK(wr_registered_model_delete_tag(s->t, name, S("k"), &s->err));
    }
}

static void every_change_is_told(void **state)
{
    store *s = *state;
    receiver r = {0};
    store_write(s, changes);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 14);
    assert_int_equal(deliver(s, &r), 14);
    assert_string_equal(r.log, "https://h registered_model.created; https://h model_version.created; https://h "
                               "model_version_tag.set; https://h model_version_tag.deleted; https://h "
                               "model_version_alias.created; https://h model_version_alias.deleted; https://h "
                               "prompt.created; https://h prompt_version.created; https://h prompt_version_tag.set; "
                               "https://h prompt_version_tag.deleted; https://h prompt_alias.created; https://h "
                               "prompt_alias.deleted; https://h prompt_tag.set; https://h prompt_tag.deleted");
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 0);
}

static void bodies(store *s)
{
    wr_registered_model m;
    wr_registered_version v;
    wr_track_item tags[] = {{S(WR_PROMPT_TAG), S("true")}, {S("k"), S("v")}, {S("mlflow.prompt.text"), S("Hi")}};
    add(s, S("https://h"), S(""), "prompt_version", "created");
    OK(wr_registered_model_create(&m, s->a, s->t, S("p"), S(""), tags, 1, &s->err));
    wr_registered_version_new in = {
        .name = S("p"), .source = S("x"), .run_id = S(""), .description = S(""), .tags = tags, .ntags = 3};
    OK(wr_registered_version_create(&v, s->a, s->t, &in, &s->err));
}

static void what_a_message_says(void **state)
{
    store *s = *state;
    receiver r = {0};
    store_write(s, bodies);
    assert_int_equal(deliver(s, &r), 1);
    const char *data = strstr(r.last_body, "\"data\"");
    assert_string_equal(
        data,
        "\"data\":{\"name\":\"p\",\"version\":\"1\",\"template\":\"Hi\",\"tags\":{\"k\":\"v\"},\"description\":null}}");
    assert_int_equal(
        strncmp(r.last_body, "{\"entity\":\"prompt_version\",\"action\":\"created\",\"timestamp\":\"20", 60), 0);
    assert_non_null(strstr(r.last_body, "+00:00\","));
    assert_string_equal(r.last_signature, ""); /* no secret */
    assert_true(r.https_only && r.public_only);
}

/* ---- delivery ---- */

static void one_hook(store *s) { add(s, S("https://one"), S("key"), "registered_model", "created"); }
static void two_hooks(store *s)
{
    add(s, S("https://one"), S(""), "registered_model", "created");
    add(s, S("https://two"), S(""), "registered_model", "created");
}
static int made;
static void one_model(store *s)
{
    wr_registered_model m;
    OK(wr_registered_model_create(&m, s->a, s->t, wr_str_of(wr_arena_printf(s->a, "m%d", made++)), S(""), NULL, 0,
                                  &s->err));
}

static void signatures(void **state)
{
    store *s = *state;
    receiver r = {0};
    WR_AUTOBUF wr_buf again = {0}, known = {0};
    store_write(s, one_hook);
    store_write(s, one_model);
    assert_true(wr_webhook_stirred(s->t));
    assert_false(wr_webhook_stirred(s->t));
    assert_int_equal(deliver(s, &r), 1);
    wr_webhook_sign(&again, S("key"), wr_str_of(r.last_id), wr_str_of(r.last_stamp), wr_str_of(r.last_body));
    assert_string_equal(wr_buf_cstr(&again), r.last_signature);
    /* HMAC-SHA256("secret", "id.1.body"), by another program */
    wr_webhook_sign(&known, S("secret"), S("id"), S("1"), S("body"));
    assert_string_equal(wr_buf_cstr(&known), "v1,9B5YClxBsTRwBx8HAr63WE8WGNAI5scE+LpN4MVSXgM=");
}

/* What fails stays and comes again later, in order, with the same id; others do not wait for it. */
static void patience(void **state)
{
    store *s = *state;
    receiver r = {.answers = {503, 200, 200, -1}};
    store_write(s, two_hooks);
    store_write(s, one_model);
    store_write(s, one_model);
    assert_int_equal(deliver(s, &r), 1); /* one: 503; two: its first */
    assert_string_equal(r.log, "https://one registered_model.created; https://two registered_model.created");
    assert_int_equal(number(s, "SELECT attempts FROM webhook_outbox ORDER BY id LIMIT 1"), 1);
    int64_t wait = number(s, "SELECT max(next_ms) FROM webhook_outbox") - wr_track_now_ms();
    assert_true(wait > 500 && wait <= 1500);
    r.log[0] = 0;
    assert_int_equal(deliver(s, &r), 1); /* one is patient, its second waits behind the first; two: its second */
    assert_string_equal(r.log, "https://two registered_model.created");
    store_sql(s, "UPDATE webhook_outbox SET next_ms = 0 WHERE attempts = 1");
    char id[64];
    snprintf(id, sizeof id, "%s", r.last_id);
    assert_int_equal(deliver(s, &r), 0); /* nobody is there */
    assert_int_equal(number(s, "SELECT attempts FROM webhook_outbox ORDER BY id LIMIT 1"), 2);
    snprintf(id, sizeof id, "%s", r.last_id);
    store_sql(s, "UPDATE webhook_outbox SET next_ms = 0 WHERE attempts = 2");
    assert_int_equal(deliver(s, &r), 1);
    assert_string_equal(r.last_id, id);
    assert_int_equal(deliver(s, &r), 1);
    assert_string_not_equal(r.last_id, id);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 0);
}

static void retry_after(void **state)
{
    store *s = *state;
    receiver r = {.answers = {429}, .retry_ms = 90000};
    store_write(s, one_hook);
    store_write(s, one_model);
    assert_int_equal(deliver(s, &r), 0);
    int64_t wait = number(s, "SELECT next_ms FROM webhook_outbox") - wr_track_now_ms();
    assert_true(wait > 80000 && wait <= 90000);
}

/* Who says no again and again is no longer in the way of what comes after. */
static void refused(void **state)
{
    store *s = *state;
    receiver r = {.answers = {400, 401, 404, 410, 400}};
    store_write(s, one_hook);
    store_write(s, one_model);
    store_write(s, one_model);
    for (int i = 0; i < 5; i++) {
        store_sql(s, "UPDATE webhook_outbox SET next_ms = 0 WHERE next_ms IS NOT NULL");
        assert_int_equal(deliver(s, &r), 0);
    }
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox WHERE next_ms IS NULL AND error = 'answered 400'"),
                     1);
    assert_int_equal(deliver(s, &r), 1);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 1);
    store_sql(s, "UPDATE webhook_outbox SET created_ms = created_ms - 604800001");
    assert_int_equal(deliver(s, &r), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 0); /* a week is enough */
}

/* The outbox outlives the process; a row that was being sent when it died comes again after the lease. */
static void restart(void **state)
{
    store *s = *state;
    receiver r = {0};
    store_write(s, one_hook);
    store_write(s, one_model);
    store_sql(s, "UPDATE webhook_outbox SET attempts = 1, next_ms = next_ms + 60000"); /* claimed, then killed */
    store_close(s);
    store_open(s);
    assert_int_equal(deliver(s, &r), 0);
    store_sql(s, "UPDATE webhook_outbox SET next_ms = next_ms - 60000");
    assert_int_equal(deliver(s, &r), 1);
}

/* A change that does not happen is not told. */
static int fails_after_all(wr_track *t, void *arg, wr_err *err)
{
    store *s = arg;
    wr_registered_model m;
    WR_TRY(wr_registered_model_create(&m, s->a, t, S("never"), S(""), NULL, 0, err));
    return wr_err_set(err, WEIR_EINVAL, "no");
}

static void rolled_back(void **state)
{
    store *s = *state;
    store_write(s, one_hook);
    assert_int_equal(wr_track_write(s->t, fails_after_all, s, &s->err), WEIR_EINVAL);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 0);
}

static wr_webhook off;
static void disabled_hook(store *s)
{
    off = add(s, S("https://off"), S(""), "registered_model", "created");
    wr_webhook_set set = {.status = WR_WEBHOOK_DISABLED};
    OK(wr_webhook_update(&off, s->a, s->t, off.uuid, &set, &s->err));
}

static void disabled(void **state)
{
    store *s = *state;
    receiver r = {0};
    store_write(s, disabled_hook);
    store_write(s, one_model);
    assert_int_equal(number(s, "SELECT count(*) FROM webhook_outbox"), 0);
    wr_webhook_answer answer = {0};
    wr_webhook_transport t = {receive, &r};
    OK(wr_webhook_test(&answer, s->a, s->t, off.uuid, -1, &t, &s->err)); /* trying is possible nevertheless */
    assert_int_equal(answer.status, 200);
    assert_string_equal(r.log, "https://off registered_model.created");
    assert_non_null(strstr(r.last_body, "\"name\":\"example_model\""));
    FAILS(WEIR_ENOTFOUND, "Webhook with ID none not found.",
          wr_webhook_test(&answer, s->a, s->t, S("none"), -1, &t, &s->err));
}

#define BODY(name)                                                                                                     \
    static void name##_test(void **state) { store_write(*state, name); }
BODY(life)
BODY(names)
BODY(urls)

#define T(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(life_test),
        T(names_test),
        T(urls_test),
        T(every_change_is_told),
        T(what_a_message_says),
        T(signatures),
        T(patience),
        T(retry_after),
        T(refused),
        T(restart),
        T(rolled_back),
        T(disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
