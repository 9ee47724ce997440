/* SPDX-License-Identifier: Apache-2.0 */
/* http_tls.c - TLS 1.2 and 1.3 on a socket of the loop, by OpenSSL. It never blocks and never waits: what OpenSSL wants
 * is told.
 *
 * OpenSSL's own socket BIO writes with write(2), which raises SIGPIPE; the one here sends with MSG_NOSIGNAL.
 * Renegotiation is off, so only the handshake and key updates make a read want to write.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/http_internal.h"

struct wr_http_tls {
    SSL *ssl;
    bool dead, wants_write;
};

/* ---- the socket as OpenSSL sees it ---- */

static int bio_done(BIO *b, ssize_t n, int retry)
{
    BIO_clear_retry_flags(b);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_flags(b, retry | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int bio_fd(BIO *b) { return (int)(intptr_t)BIO_get_data(b); }
static int cut(int n, int at) { return n < at ? n : at; }

static int bio_read(BIO *b, char *p, int n)
{
    ssize_t got = recv(bio_fd(b), p, (size_t)cut(n, WR_HTTP_RBUF), MSG_DONTWAIT);
    if (got == 0) BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return bio_done(b, got, BIO_FLAGS_READ);
}

static int bio_write(BIO *b, const char *p, int n)
{
    return bio_done(b, send(bio_fd(b), p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT), BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
    (void)n, (void)p;
    if (what == BIO_CTRL_EOF) return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    return what == BIO_CTRL_FLUSH || what == BIO_CTRL_DUP;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static BIO_METHOD *method;
static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir socket");
    if (!method) return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
}

static const BIO_METHOD *socket_method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    return method;
}

/* ---- the server's certificate ---- */

/* OpenSSL's last word as detail. */
static int refused(wr_err *err, int code)
{
    char why[200];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    ERR_clear_error();
    return wr_err_detail(err, code, "%s", why);
}

static int readable(const char *path, const char *what, wr_err *err)
{
    if (access(path, R_OK) == 0) return 0;
    return wr_err_sys(err, errno, "cannot read the %s '%s'", what, path);
}

/* A key with a passphrase: nobody is there to type it. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in, unsigned nin,
                           void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)ssl, (void)arg;
    unsigned char *chosen;
    int rc = SSL_select_next_proto(&chosen, n, ours, sizeof ours - 1, in, nin);
    if (rc != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int set_up(SSL_CTX *ctx, const char *cert, const char *key, wr_err *err)
{
    /* Of TLS 1.2 the suites that RFC 9113 allows; those of TLS 1.3 are all fine. */
    bool ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
              SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    if (!ok) {
        wr_err_set(err, WEIR_EINTERNAL, "cannot set up TLS");
        return refused(err, WEIR_EINTERNAL);
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    WR_TRY(readable(cert, "certificate", err));
    WR_TRY(readable(key, "key", err));
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        wr_err_set(err, WEIR_EINVAL, "'%s' is not a certificate", cert);
        wr_err_hint(err, WEIR_EINVAL, "give a PEM file: the server's certificate first, then those that signed it");
        return refused(err, WEIR_EINVAL);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        wr_err_set(err, WEIR_EINVAL, "'%s' is not the key of the certificate '%s'", key, cert);
        wr_err_hint(err, WEIR_EINVAL, "give the PEM file of the private key that belongs to it, without a passphrase");
        return refused(err, WEIR_EINVAL);
    }
    return 0;
}

int wr_http_tls_open(SSL_CTX **out, const char *cert, const char *key, wr_err *err)
{
    if (!cert || !key) {
        wr_err_set(err, WEIR_EINVAL, "TLS needs a certificate and its key");
        return wr_err_hint(err, WEIR_EINVAL, "give both or none");
    }
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || !socket_method()) {
        SSL_CTX_free(ctx);
        return wr_err_nomem(err);
    }
    int rc = set_up(ctx, cert, key, err);
    if (rc < 0) SSL_CTX_free(ctx);
    else *out = ctx;
    return rc;
}

void wr_http_tls_close(SSL_CTX *ctx) { SSL_CTX_free(ctx); }

/* ---- a connection ---- */

wr_http_tls *wr_http_tls_new(SSL_CTX *ctx, int fd)
{
    wr_http_tls *t = wr_calloc(1, sizeof *t);
    BIO *bio = t ? BIO_new(socket_method()) : NULL;
    if (bio) t->ssl = SSL_new(ctx);
    if (!bio || !t->ssl) {
        BIO_free(bio);
        wr_free(t);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    SSL_set_bio(t->ssl, bio, bio); /* owns it now */
    SSL_set_accept_state(t->ssl);
    return t;
}

void wr_http_tls_goodbye(wr_http_tls *t)
{
    ERR_clear_error();
    if (!t->dead && SSL_is_init_finished(t->ssl) && SSL_shutdown(t->ssl) < 0) ERR_clear_error();
}

void wr_http_tls_free(wr_http_tls *t)
{
    if (!t) return;
    wr_http_tls_goodbye(t);
    SSL_free(t->ssl);
    wr_free(t);
}

static long outcome(wr_http_tls *t, int n)
{
    int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, n);
    t->wants_write = why == SSL_ERROR_WANT_WRITE;
    if (why == SSL_ERROR_NONE) return n;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return WR_TLS_WAIT;
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    t->dead = true; /* a fatal error: SSL_shutdown must not be called */
    ERR_clear_error();
    return WR_TLS_DEAD;
}

long wr_http_tls_read(wr_http_tls *t, void *p, size_t n)
{
    ERR_clear_error();
    return outcome(t, SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
}

long wr_http_tls_write(wr_http_tls *t, const void *p, size_t n)
{
    ERR_clear_error();
    return outcome(t, SSL_write(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
}

bool wr_http_tls_shaken(const wr_http_tls *t) { return SSL_is_init_finished(t->ssl); }
bool wr_http_tls_wants_write(const wr_http_tls *t) { return t->wants_write; }

wr_str wr_http_tls_protocol(const wr_http_tls *t)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(t->ssl, &p, &n);
    return (wr_str){(const char *)p, n};
}
