/* SPDX-License-Identifier: Apache-2.0 */
/* auth_test.c - who asks: passwords, tokens, tokens of an issuer; what is remembered, forgotten and refused. */
#include "core/core_testing.h"
#include "codec/base64.h"
#include "io/http_server.h"
#include "server/auth.h"
#include <pthread.h>

#include "../../tests/reference/jwt_values.h"

static wr_auth *auth;
static wr_track *track;

static int make(void **state)
{
    place *s = calloc(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/weir-auth-XXXXXX");
    if (!mkdtemp(s->dir)) return -1;
    s->a = wr_arena_new(0);
    OK(wr_project_init(s->dir, &s->err));
    OK(wr_project_open(&s->p, s->dir, &s->err));
    OK(wr_project_track(&track, s->p, &s->err));
    put(s, "keys.json", jwks_text);
    unsetenv("MLFLOW_AUTH_ADMIN_PASSWORD");
    setenv("WEIR_ADMIN_PASSWORD", "admin admin admin", 1);
    wr_auth_opt opt = {
        .otherwise = WR_CAN_READ, .jwks = at(s, "keys.json"), .issuer = "https://issuer.example", .audience = "weir"};
    OK(wr_auth_open(&auth, track, &opt, &s->err));
    *state = s;
    return 0;
}

static int end(void **state)
{
    place *s = *state;
    wr_auth_close(auth);
    wr_project_close(s->p);
    (void)wr_file_remove_tree(s->dir, NULL);
    wr_arena_free(s->a);
    free(s);
    return 0;
}

/* ---- asking ---- */

static int ask(place *s, const char *header, const char *peer, char name[64])
{
    WR_AUTOBUF wr_buf b = {0};
    wr_http_head h;
    wr_auth_who who;
    size_t scanned = 0;
    wr_buf_printf(&b, "GET / HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", header ? "Authorization: " : "",
                  header ? header : "", header ? "\r\n" : "");
    assert_int_equal(wr_http_parse_request(&h, wr_buf_view(&b), &scanned), 1);
    s->err = (wr_err){0};
    int rc = wr_auth_check(&who, auth, &h, peer, s->a, &s->err);
    if (rc == 0 && name)
        snprintf(name, 64, "%.*s%s", WR_STR_FMT(who.access.user->name), who.access.user->admin ? "!" : "");
    if (rc == 0) wr_auth_done(&who);
    return rc;
}

static const char *basic(place *s, const char *user, const char *password)
{
    WR_AUTOBUF wr_buf b = {0};
    const char *both = wr_arena_printf(s->a, "%s:%s", user, password);
    wr_buf_str(&b, "Basic ");
    wr_base64_encode(&b, wr_str_of(both), false);
    return wr_arena_strdup(s->a, wr_buf_cstr(&b));
}

typedef struct {
    const char *name, *password;
    char token[WR_TOKEN_TEXT];
    int64_t expires_ms;
} person;

static int add_fn(wr_track *t, void *arg, wr_err *err)
{
    person *p = arg;
    int64_t id;
    WR_TRY(wr_user_create(&id, t, wr_str_of(p->name), wr_str_of(p->password), false, err));
    return wr_token_create(p->token, t, wr_str_of(p->name), WR_STR("t"), p->expires_ms, err);
}

static int password_fn(wr_track *t, void *arg, wr_err *err)
{
    return wr_user_set_password(t, WR_STR("ada"), wr_str_of(arg), err);
}
static int delete_fn(wr_track *t, void *arg, wr_err *err) { return wr_user_delete(t, wr_str_of(arg), err); }

/* ---- tests ---- */

static void test_passwords_and_tokens(void **state)
{
    place *s = *state;
    char name[64];
    person ada = {.name = "ada", .password = "a long password"};
    assert_int_equal(ask(s, NULL, "p", name), WEIR_EACCESS);
    OK(ask(s, basic(s, "admin", "admin admin admin"), "p", name));
    assert_string_equal(name, "admin!");
    OK(wr_track_write(track, add_fn, &ada, &s->err));
    assert_int_equal(ask(s, basic(s, "ada", "a long password"), "p", name), WEIR_EACCESS); /* the picture is older */
    wr_auth_tick(auth);                                                                    /* sees that it is */
    OK(ask(s, basic(s, "ada", "a long password"), "p", name));
    assert_string_equal(name, "ada");
    OK(ask(s, wr_arena_printf(s->a, "Bearer %s", ada.token), "p", name));
    assert_string_equal(name, "ada");
    OK(ask(s, basic(s, "ada", ada.token), "p", name));                               /* for clients without bearer */
    assert_int_equal(ask(s, basic(s, "admin", ada.token), "p", name), WEIR_EACCESS); /* not another's */
    assert_int_equal(ask(s, wr_arena_printf(s->a, "Bearer %.20s", ada.token), "p", name), WEIR_EACCESS);
    assert_int_equal(ask(s, "Digest x", "p", name), WEIR_EACCESS);
    assert_int_equal(ask(s, "Basic !!!", "p", name), WEIR_EACCESS);
    OK(wr_track_write(track, password_fn, (void *)(uintptr_t) "another long one", &s->err));
    wr_auth_touch(auth);
    assert_int_equal(ask(s, basic(s, "ada", "a long password"), "q", name), WEIR_EACCESS); /* forgotten at once */
    OK(ask(s, basic(s, "ada", "another long one"), "q", name));
    OK(wr_track_write(track, delete_fn, (void *)(uintptr_t) "ada", &s->err));
    wr_auth_touch(auth);
    assert_int_equal(ask(s, wr_arena_printf(s->a, "Bearer %s", ada.token), "q", name), WEIR_EACCESS);
}

static void test_tokens_expire(void **state)
{
    place *s = *state;
    char name[64];
    person old = {.name = "old", .password = "a long password", .expires_ms = 1000};
    OK(wr_track_write(track, add_fn, &old, &s->err));
    wr_auth_touch(auth);
    assert_int_equal(ask(s, wr_arena_printf(s->a, "Bearer %s", old.token), "p", name), WEIR_EACCESS);
}

static void test_guessing(void **state)
{
    place *s = *state;
    char name[64];
    for (int i = 0; i < 10; i++) assert_int_equal(ask(s, basic(s, "admin", "wrong"), "guesser", name), WEIR_EACCESS);
    assert_int_equal(ask(s, basic(s, "admin", "wrong"), "guesser", name), WEIR_ELIMIT);
    OK(ask(s, basic(s, "admin", "admin admin admin"), "elsewhere", name)); /* others are not held up */
    OK(ask(s, basic(s, "admin", "admin admin admin"), "guesser", name));   /* what has passed is remembered */
    assert_int_equal(ask(s, basic(s, "somebody", "x"), "guesser", name),
                     WEIR_EACCESS); /* another name is another count */
}

static void test_issuer(void **state)
{
    place *s = *state;
    char name[64];
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        OK(ask(s, wr_arena_printf(s->a, "Bearer %s", tokens[i].token), "p",
               name)); /* not in the database: may what everybody may */
        assert_string_equal(name, "ada");
    }
    char *forged = wr_arena_strdup(s->a, tokens[0].token);
    forged[strlen(forged) / 2] ^= 1;
    assert_int_equal(ask(s, wr_arena_printf(s->a, "Bearer %s", forged), "p", name), WEIR_EACCESS);
    put(s, "keys.json", "{\"keys\": []}"); /* a bad file: the keys stay as they were */
    wr_auth_tick(auth);
    OK(ask(s, wr_arena_printf(s->a, "Bearer %s", tokens[0].token), "p", name));
}

/* ---- keys by URL ---- */

static void serve_keys(wr_http_req *r) { wr_http_reply(r, NULL, wr_str_of(jwks_text)); }

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx, (void)r;
    *out = (wr_http_route){.handle = serve_keys};
}

static void *run_http(void *http)
{
    wr_err err;
    (void)wr_http_server_run(http, &err);
    return NULL;
}

static void test_keys_by_url(void **state)
{
    place *s = *state;
    char name[64];
    wr_http_server *http;
    pthread_t thread;
    wr_http_server_opt ho = {.route = route};
    OK(wr_http_server_open(&http, &ho, &s->err));
    assert_int_equal(pthread_create(&thread, NULL, run_http, http), 0);
    const char *url = wr_arena_printf(s->a, "http://127.0.0.1:%d/keys", wr_http_server_port(http));
    wr_auth_opt opt = {.otherwise = WR_CAN_READ, .jwks = url, .issuer = "https://issuer.example", .audience = "weir"};
    wr_auth_close(auth);
    OK(wr_auth_open(&auth, track, &opt, &s->err));
    OK(ask(s, wr_arena_printf(s->a, "Bearer %s", tokens[0].token), "p", name));
    wr_http_server_stop(http, 100);
    pthread_join(thread, NULL);
    wr_http_server_close(http);
    wr_auth_fetch(auth); /* nobody answers: the keys stay */
    OK(ask(s, wr_arena_printf(s->a, "Bearer %s", tokens[0].token), "p", name));
    wr_auth_close(auth);
    auth = NULL;
    FAILS(WEIR_EUNAVAILABLE, wr_auth_open(&auth, track, &opt, &s->err));
    opt.jwks = "http://issuer.example/keys"; /* whoever sits on the way would decide who comes in */
    assert_true(wr_auth_open(&auth, track, &opt, &s->err) < 0);
}

static void test_first_user(void **state)
{
    place *s = *state;
    wr_auth *second;
    wr_auth_opt opt = {.otherwise = WR_CAN_READ};
    OK(wr_track_write(track, delete_fn, (void *)(uintptr_t) "admin", &s->err));
    unsetenv("WEIR_ADMIN_PASSWORD");
    FAILS(WEIR_EINVAL, wr_auth_open(&second, track, &opt, &s->err));
    SAYS("weir user add", s->err.hint);
    setenv("WEIR_ADMIN_PASSWORD", "short", 1);
    FAILS(WEIR_EINVAL, wr_auth_open(&second, track, &opt, &s->err));
    opt.jwks = at(s, "keys.json"); /* without issuer and audience anybody's token would do */
    FAILS(WEIR_EINVAL, wr_auth_open(&second, track, &opt, &s->err));
}

static void test_permissions(void **state)
{
    (void)state;
    wr_grant read1 = {.type = WR_STR("experiment"), .resource = WR_STR("1"), .permission = WR_CAN_READ},
             all[] = {read1, read1, read1};
    all[1].resource = WR_STR("*");
    all[1].permission = WR_CAN_EDIT;
    all[2].permission = WR_DENY;
    wr_role one = {.grants = all, .ngrants = 1}, two = {.grants = all, .ngrants = 2},
            three = {.grants = all, .ngrants = 3};
    const wr_role *roles[] = {&one};
    wr_user u = {.roles = roles, .nroles = 1};
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("1"), WR_NO_PERMISSIONS), WR_CAN_READ);
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("2"), WR_CAN_USE), WR_CAN_USE);
    assert_int_equal(wr_users_check(&u, WR_STR("registered_model"), WR_STR("1"), WR_NO_PERMISSIONS), WR_NO_PERMISSIONS);
    roles[0] = &two;
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("1"), WR_NO_PERMISSIONS), WR_CAN_EDIT);
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("9"), WR_NO_PERMISSIONS), WR_CAN_EDIT);
    roles[0] = &three;
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("1"), WR_CAN_MANAGE), WR_DENY);
    u.admin = true;
    assert_int_equal(wr_users_check(&u, WR_STR("experiment"), WR_STR("1"), WR_NO_PERMISSIONS), WR_CAN_MANAGE);
}

static int roles_of_two_workspaces(wr_track *t, void *arg, wr_err *err)
{
    int64_t id;
    (void)arg;
    WR_TRY(wr_user_create(&id, t, WR_STR("ada"), WR_STR("a long password"), false, err));
    WR_TRY(wr_role_create(&id, t, WR_STR(""), WR_STR("here"), WR_STR(""), err));
    WR_TRY(wr_role_grant(&(int64_t){0}, t, id, WR_STR("experiment"), WR_STR("*"), WR_CAN_READ, err));
    WR_TRY(wr_role_assign(t, WR_STR("ada"), id, err));
    WR_TRY(wr_role_create(&id, t, WR_STR("north"), WR_STR("there"), WR_STR(""), err));
    WR_TRY(wr_role_grant(&(int64_t){0}, t, id, WR_STR("experiment"), WR_STR("*"), WR_CAN_MANAGE, err));
    return wr_role_assign(t, WR_STR("ada"), id, err);
}

/* There is one workspace: what a role gives in another is nothing here. */
static void test_roles_of_other_workspaces(void **state)
{
    place *s = *state;
    wr_users *users;
    OK(wr_track_write(track, roles_of_two_workspaces, NULL, &s->err));
    OK(wr_users_read(&users, track, &s->err));
    const wr_user *u = wr_users_find(users, WR_STR("ada"));
    assert_int_equal(u->nroles, 2);
    assert_true(wr_str_is(u->roles[0]->workspace, "default") && wr_str_is(u->roles[1]->workspace, "north"));
    assert_int_equal(wr_users_check(u, WR_STR("experiment"), WR_STR("1"), WR_NO_PERMISSIONS), WR_CAN_READ);
    wr_users_free(users);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_passwords_and_tokens),
                                       T(test_roles_of_other_workspaces),
                                       T(test_tokens_expire),
                                       T(test_guessing),
                                       T(test_issuer),
                                       T(test_keys_by_url),
                                       T(test_first_user),
                                       cmocka_unit_test(test_permissions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
