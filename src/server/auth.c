/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - pictures of the users, credentials that passed, addresses that guess. */
#include "server/auth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/password.h"
#include "codec/base64.h"
#include "codec/jwt.h"
#include "io/fetch.h"
#include "io/file.h"

enum {
    PASSED = 1024 /* credentials remembered, a power of two */,
    GUESSERS = 1024,
    GUESSES = 10,
    GUESSES_PEER = 100,
    WINDOW_S = 60,
    JWKS_MAX = 1 << 20,
    CREDENTIAL_MAX = 16 << 10
};

typedef struct {
    unsigned char digest[WR_SHA256_SIZE];
    const wr_user *user;
} passed;

struct wr_auth_view {
    atomic_int refs;
    wr_users *users;
    pthread_mutex_t lock; /* guards the table; rank after wr_auth.lock */
    passed table[PASSED]; /* by digest, newer takes the place of older */
};
typedef struct wr_auth_view view;

typedef struct {
    uint64_t peer;
    int64_t since_s;
    int count;
} guesser;

struct wr_auth {
    wr_track *track;
    wr_permission otherwise;
    char *jwks_path, *issuer, *audience, *user_claim;
    unsigned char secret[32]; /* of the digests of this process */
    pthread_mutex_t lock;     /* guards what follows; rank before every view's */
    view *current;
    wr_jwks *jwks;
    int64_t jwks_mtime_us, version;
    guesser guessers[GUESSERS];
    atomic_bool stale;
};

/* ---- pictures ---- */

static void view_unref(view *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1) return;
    wr_users_free(v->users);
    pthread_mutex_destroy(&v->lock);
    wr_free(v);
}

static int view_new(view **out, int64_t *version, wr_track *t, wr_err *err)
{
    view *v = wr_calloc(1, sizeof *v);
    if (!v) return wr_err_nomem(err);
    atomic_init(&v->refs, 1);
    pthread_mutex_init(&v->lock, NULL);
    int rc = wr_users_version(version, t, err); /* before the rows: what comes in between is read again */
    if (rc == 0) rc = wr_users_read(&v->users, t, err);
    if (rc < 0) view_unref(v);
    else *out = v;
    return rc;
}

static int refresh(wr_auth *a, wr_err *err)
{
    view *v, *old;
    int64_t version;
    WR_TRY(view_new(&v, &version, a->track, err));
    pthread_mutex_lock(&a->lock);
    old = a->current;
    a->current = v;
    a->version = version;
    pthread_mutex_unlock(&a->lock);
    view_unref(old);
    return 0;
}

static int take_view(view **out, wr_auth *a, wr_err *err)
{
    if (atomic_exchange(&a->stale, false)) {
        int rc = refresh(a, err);
        if (rc < 0) {
            atomic_store(&a->stale, true);
            return rc;
        }
    }
    pthread_mutex_lock(&a->lock);
    *out = a->current;
    atomic_fetch_add(&a->current->refs, 1);
    pthread_mutex_unlock(&a->lock);
    return 0;
}

void wr_auth_touch(wr_auth *a)
{
    if (a) atomic_store(&a->stale, true);
}

/* ---- keys of the issuer ---- */

static bool is_url(const char *jwks) { return strstr(jwks, "://") != NULL; }

/* Plain http is for an issuer on this machine: what comes over it decides who is let in. */
static int fetch_keys(wr_buf *out, const char *url, wr_err *err)
{
    wr_fetch *f;
    wr_fetch_reply r = {0};
    bool local = strncmp(url, "http://127.0.0.1", 16) == 0 || strncmp(url, "http://localhost", 16) == 0;
    WR_TRY(wr_fetch_open(&f, err));
    wr_fetch_opt opt = {
        .method = "GET", .url = url, .max = JWKS_MAX, .timeout_ms = 10000, .connect_ms = 5000, .https_only = !local};
    int rc = wr_fetch_run(&r, f, &opt, err);
    if (rc == 0 && r.status != 200) rc = wr_err_set(err, WEIR_EUNAVAILABLE, "\"%s\" answers %d", url, r.status);
    if (rc == 0) wr_buf_slice(out, wr_buf_view(&r.body));
    wr_fetch_reply_free(&r);
    wr_fetch_close(f);
    return rc;
}

static int read_jwks(wr_auth *a, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_jwks *k, *old;
    wr_buf_init(&b, JWKS_MAX);
    int64_t mtime = wr_file_mtime_us(a->jwks_path);
    if (is_url(a->jwks_path)) WR_TRY(fetch_keys(&b, a->jwks_path, err));
    else WR_TRY(wr_file_read(&b, a->jwks_path, JWKS_MAX, err));
    WR_TRY(wr_jwks_parse(&k, wr_buf_view(&b), err));
    pthread_mutex_lock(&a->lock);
    old = a->jwks;
    a->jwks = k;
    a->jwks_mtime_us = mtime;
    pthread_mutex_unlock(&a->lock);
    wr_jwks_free(old);
    return 0;
}

void wr_auth_fetch(wr_auth *a)
{
    wr_err err;
    if (a && a->jwks_path && is_url(a->jwks_path) && read_jwks(a, &err) < 0)
        wr_warn("the keys of \"%s\" stay as they were: %s", a->jwks_path, err.msg);
}

void wr_auth_tick(wr_auth *a)
{
    wr_err err;
    int64_t version;
    if (!a) return;
    if (wr_users_version(&version, a->track, &err) < 0) wr_warn("users cannot be read: %s", err.msg);
    else if (version != a->version) wr_auth_touch(a);
    if (a->jwks_path && !is_url(a->jwks_path) && wr_file_mtime_us(a->jwks_path) != a->jwks_mtime_us &&
        read_jwks(a, &err) < 0)
        wr_warn("the keys of \"%s\" stay as they were: %s", a->jwks_path, err.msg);
}

/* ---- life ---- */

static int first_user_fn(wr_track *t, void *arg, wr_err *err)
{
    int64_t id;
    return wr_user_create(&id, t, WR_STR("admin"), wr_str_of(arg), true, err);
}

static int first_user(wr_auth *a, wr_err *err)
{
    char *password = getenv("WEIR_ADMIN_PASSWORD");
    if (wr_users_count(a->current->users)) return 0;
    if (!password || !password[0]) password = getenv("MLFLOW_AUTH_ADMIN_PASSWORD");
    if (!password || !password[0]) {
        wr_err_set(err, WEIR_EINVAL, "authentication is on and there are no users");
        return wr_err_hint(
            err, WEIR_EINVAL,
            "weir user add NAME --admin makes the first, or set WEIR_ADMIN_PASSWORD for a user \"admin\"");
    }
    WR_TRY(wr_track_write(a->track, first_user_fn, password, err));
    return refresh(a, err);
}

static char *copy(const char *s, bool *failed)
{
    char *c = s ? wr_strdup(s) : NULL;
    if (s && !c) *failed = true;
    return c;
}

static int open_in(wr_auth *a, const wr_auth_opt *opt, wr_err *err)
{
    bool failed = false;
    a->otherwise = opt->otherwise;
    a->jwks_path = copy(opt->jwks, &failed);
    a->issuer = copy(opt->issuer, &failed);
    a->audience = copy(opt->audience, &failed);
    a->user_claim = copy(opt->user_claim ? opt->user_claim : "sub", &failed);
    if (failed) return wr_err_nomem(err);
    if (a->jwks_path && (!a->issuer || !a->audience)) {
        wr_err_set(err, WEIR_EINVAL, "keys of an issuer need its name and an audience");
        return wr_err_hint(err, WEIR_EINVAL, "auth: {jwks: FILE, issuer: URL, audience: NAME} in weir.yaml");
    }
    if (a->jwks_path) WR_TRY(read_jwks(a, err));
    WR_TRY(refresh(a, err));
    return first_user(a, err);
}

int wr_auth_open(wr_auth **out, wr_track *t, const wr_auth_opt *opt, wr_err *err)
{
    wr_auth *a = wr_calloc(1, sizeof *a);
    if (!a) return wr_err_nomem(err);
    a->track = t;
    pthread_mutex_init(&a->lock, NULL);
    wr_os_random(a->secret, sizeof a->secret);
    int rc = open_in(a, opt, err);
    if (rc < 0) wr_auth_close(a);
    else *out = a;
    return rc;
}

void wr_auth_close(wr_auth *a)
{
    if (!a) return;
    view_unref(a->current);
    wr_jwks_free(a->jwks);
    wr_free(a->jwks_path);
    wr_free(a->issuer);
    wr_free(a->audience);
    wr_free(a->user_claim);
    pthread_mutex_destroy(&a->lock);
    wr_free(a);
}

/* ---- those who guess ---- */

/* For a name from an address, and for the address alone (`name` p NULL), which may be that of many people. */
static guesser *guesser_of(wr_auth *a, const char *peer, wr_str name)
{
    uint64_t h = wr_hash64(peer, strlen(peer), wr_hash_seed());
    int64_t now = wr_clock_mono_ns() / 1000000000;
    if (name.p) h = wr_hash64(name.p, name.n, h);
    guesser *g = &a->guessers[h % GUESSERS];
    if (g->peer != h || now - g->since_s >= WINDOW_S) *g = (guesser){h, now, 0};
    return g;
}

static const wr_str anyone = {NULL, 0};

static bool guesses_too_much(wr_auth *a, const char *peer, wr_str name)
{
    pthread_mutex_lock(&a->lock);
    bool too_much = guesser_of(a, peer, name)->count >= GUESSES || guesser_of(a, peer, anyone)->count >= GUESSES_PEER;
    pthread_mutex_unlock(&a->lock);
    return too_much;
}

static int wrong(wr_auth *a, const char *peer, wr_str name, wr_err *err)
{
    pthread_mutex_lock(&a->lock);
    guesser_of(a, peer, name)->count++;
    guesser_of(a, peer, anyone)->count++;
    pthread_mutex_unlock(&a->lock);
    return wr_err_set(err, WEIR_EACCESS, "You are not authenticated: the credentials are not right");
}

/* ---- checks ---- */

static const wr_user *remembered(view *v, const unsigned char digest[WR_SHA256_SIZE], const wr_user *put)
{
    size_t at = (size_t)digest[0] | (size_t)digest[1] << 8;
    passed *p = &v->table[at & (PASSED - 1)];
    pthread_mutex_lock(&v->lock);
    if (put) {
        memcpy(p->digest, digest, WR_SHA256_SIZE);
        p->user = put;
    }
    bool same = p->user && wr_same_secret((wr_str){(const char *)p->digest, WR_SHA256_SIZE},
                                          (wr_str){(const char *)digest, WR_SHA256_SIZE});
    const wr_user *user = same ? p->user : NULL;
    pthread_mutex_unlock(&v->lock);
    return user;
}

static int check_basic(const wr_user **out, wr_auth *a, view *v, wr_str encoded, const char *peer, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    unsigned char digest[WR_SHA256_SIZE];
    wr_buf_init(&b, CREDENTIAL_MAX);
    if (!wr_base64_decode(&b, wr_str_trim(encoded)))
        return wr_err_set(err, WEIR_EACCESS, "You are not authenticated: the credentials cannot be read");
    wr_hmac_sha256(digest, (wr_str){(const char *)a->secret, sizeof a->secret}, wr_buf_view(&b));
    *out = remembered(v, digest, NULL);
    if (*out) return 0;
    wr_str password = wr_buf_view(&b), name = wr_str_cut(&password, ':');
    if (guesses_too_much(a, peer, name)) return wr_err_set(err, WEIR_ELIMIT, "too many wrong passwords; wait a minute");
    const wr_user *user = wr_users_find(v->users, name);
    /* a token may come as the password too: clients that know no bearer */
    const wr_user *by_token = password.p ? wr_users_token(v->users, password, wr_clock_wall_us() / 1000) : NULL;
    if (by_token && by_token == user) {
        *out = user;
        return 0;
    }
    if (!user || !password.p || !wr_password_ok(password, user->password)) return wrong(a, peer, name, err);
    *out = remembered(v, digest, user);
    if (!*out) *out = user;
    return 0;
}

/* A name that the issuer vouches for; unknown ones may do what everybody may. */
static int check_jwt(wr_auth_who *who, wr_auth *a, view *v, wr_str token, wr_arena *arena, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    wr_str claims;
    pthread_mutex_lock(&a->lock);
    wr_jwt_opt opt = {a->issuer, a->audience, wr_clock_wall_us() / 1000000};
    int rc = a->jwks ? wr_jwt_check(&claims, arena, token, a->jwks, &opt, err)
                     : wr_err_set(err, WEIR_EACCESS, "You are not authenticated: the token is not known");
    pthread_mutex_unlock(&a->lock);
    if (rc < 0) return rc;
    WR_TRY(wr_json_parse(&j, claims, "claims", err));
    yyjson_val *name = yyjson_obj_get(j.root, a->user_claim);
    if (!yyjson_is_str(name) || !yyjson_get_len(name))
        return wr_err_set(err, WEIR_EACCESS, "You are not authenticated: the token has no claim \"%s\"", a->user_claim);
    wr_str n = wr_arena_str(arena, (wr_str){yyjson_get_str(name), yyjson_get_len(name)});
    if (!n.p) return wr_err_nomem(err);
    const wr_user *user = wr_users_find(v->users, n);
    who->stranger = (wr_user){.name = n, .password = ""};
    who->access.user = user ? user : &who->stranger;
    return 0;
}

static int check(wr_auth_who *who, wr_auth *a, view *v, wr_str header, const char *peer, wr_arena *arena, wr_err *err)
{
    const wr_user *user = NULL;
    wr_str rest = header, scheme = wr_str_cut(&rest, ' ');
    if (!header.p || !rest.p)
        return wr_err_set(err, WEIR_EACCESS,
                          "You are not authenticated. Please send a name and a password, or a token.");
    if (wr_str_ieq(scheme, "basic")) {
        WR_TRY(check_basic(&user, a, v, rest, peer, err));
        who->access.user = user;
        return 0;
    }
    if (!wr_str_ieq(scheme, "bearer"))
        return wr_err_set(err, WEIR_EACCESS, "You are not authenticated: the scheme is not known: Basic or Bearer");
    if (guesses_too_much(a, peer, WR_STR("")))
        return wr_err_set(err, WEIR_ELIMIT, "too many wrong tokens; wait a minute");
    rest = wr_str_trim(rest);
    user = wr_users_token(v->users, rest, wr_clock_wall_us() / 1000);
    who->access.user = user;
    if (user) return 0;
    if (memchr(rest.p, '.', rest.n) && check_jwt(who, a, v, rest, arena, err) == 0) return 0;
    return wrong(a, peer, WR_STR(""), err);
}

int wr_auth_check(wr_auth_who *out, wr_auth *a, const wr_http_head *h, const char *peer, wr_arena *arena, wr_err *err)
{
    view *v;
    *out = (wr_auth_who){0};
    WR_TRY(take_view(&v, a, err));
    int rc = check(out, a, v, wr_http_get(h, "authorization"), peer, arena, err);
    if (rc < 0) {
        view_unref(v);
        return rc;
    }
    out->view = v;
    out->access.users = v->users;
    out->access.otherwise = a->otherwise;
    return 0;
}

void wr_auth_done(wr_auth_who *who)
{
    view_unref(who->view);
    who->view = NULL;
}
