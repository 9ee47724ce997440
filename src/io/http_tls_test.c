/* SPDX-License-Identifier: Apache-2.0 */
/* http_tls_test.c - the server behind TLS, talked to through OpenSSL's own sockets: versions, ALPN, bodies larger than
 * any buffer, plain HTTP on the port, handshakes that do not come, certificates that cannot be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "io/http_server.h"

/* ---- certificates ---- */

enum { BIG = 3 << 20 };
static char folder[64], big_path[96], cert_path[96], key_path[96], other_key_path[96], locked_key_path[96];

static EVP_PKEY *write_key(const char *path, const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
    assert_int_equal(PEM_write_PrivateKey(f, key, cipher, NULL, 0, NULL, (void *)(uintptr_t)passphrase), 1);
    fclose(f);
    return key;
}

static void write_cert(const char *path, EVP_PKEY *key)
{
    X509 *x = X509_new();
    assert_non_null(x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, name);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    X509_free(x);
}

static int make_files(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/weir-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    snprintf(other_key_path, sizeof other_key_path, "%s/other.pem", folder);
    snprintf(locked_key_path, sizeof locked_key_path, "%s/locked.pem", folder);
    snprintf(big_path, sizeof big_path, "%s/big", folder);
    FILE *big = fopen(big_path, "w");
    assert_non_null(big);
    for (size_t k = 0; k < BIG; k++) fputc((char)(k * 2654435761u >> 13 | 1), big);
    fclose(big);
    EVP_PKEY *key = write_key(key_path, NULL);
    write_cert(cert_path, key);
    EVP_PKEY_free(key);
    EVP_PKEY_free(write_key(other_key_path, NULL));
    EVP_PKEY_free(write_key(locked_key_path, "secret"));
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    const char *const all[] = {cert_path, key_path, other_key_path, locked_key_path, big_path};
    for (size_t i = 0; i < 5; i++) unlink(all[i]);
    return rmdir(folder);
}

/* ---- a server ---- */

typedef struct {
    wr_http_server *server;
    pthread_t thread;
    int port;
} fixture;

static void echo(wr_http_req *r)
{
    assert_true(wr_http_req_encrypted(r));
    wr_http_reply(r, &(wr_http_reply_opt){.type = "text/plain"}, wr_http_req_body(r));
}

static void events(wr_http_req *r)
{
    wr_http_stream *s = wr_http_stream_open(r, &(wr_http_reply_opt){.type = "text/event-stream"});
    assert_non_null(s);
    assert_int_equal(wr_http_sse(s, 1, NULL, WR_STR("one")), 0);
    wr_http_stream_close(s);
}

static void part_of_file(wr_http_req *r)
{
    wr_http_file file = {.fd = open(big_path, O_RDONLY | O_CLOEXEC), .offset = 3, .length = BIG - 3};
    assert_true(file.fd >= 0);
    wr_http_reply(r, &(wr_http_reply_opt){.file = &file}, (wr_str){0});
}

static void route(void *ctx, wr_http_req *r, wr_http_route *out)
{
    (void)ctx;
    wr_str path = wr_http_req_head(r)->path;
    out->handle = wr_str_is(path, "/events") ? events : wr_str_is(path, "/file") ? part_of_file : echo;
    out->body_max = BIG;
}

static void *serve(void *arg)
{
    assert_int_equal(wr_http_server_run(((fixture *)arg)->server, NULL), 0);
    return NULL;
}

static void start(fixture *f, wr_http_server_opt opt)
{
    wr_err err = {0};
    *f = (fixture){0};
    opt.route = route;
    opt.ctx = f;
    opt.cert = cert_path;
    opt.key = key_path;
    if (wr_http_server_open(&f->server, &opt, &err) < 0) fail_msg("%s: %s", err.msg, err.detail);
    f->port = wr_http_server_port(f->server);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void stop(fixture *f)
{
    wr_http_server_stop(f->server, 2000);
    pthread_join(f->thread, NULL);
    wr_http_server_close(f->server);
}

/* ---- a client ---- */

static int dial(int port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

typedef struct {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
} client;

static int shake(client *c, int port, int version, const char *alpn)
{
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c->ctx, 0); /* so that old versions are offered at all */
    SSL_CTX_set_min_proto_version(c->ctx, version);
    SSL_CTX_set_max_proto_version(c->ctx, version);
    if (alpn) SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    c->fd = dial(port);
    c->ssl = SSL_new(c->ctx);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl);
}

static void hang_up(client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    ERR_clear_error();
}

static void put(client *c, const char *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        int w = SSL_write(c->ssl, p + done, (int)(n - done));
        assert_true(w > 0);
        done += (size_t)w;
    }
}

/* Reads until `n` bytes have come, or the end. */
static size_t get(client *c, char *p, size_t n)
{
    size_t got = 0;
    int r = 1;
    while (got < n && (r = SSL_read(c->ssl, p + got, (int)(n - got))) > 0) got += (size_t)r;
    return got;
}

/* Everything up to the end of the connection. */
static void get_text(client *c, char *out, size_t max) { out[get(c, out, max - 1)] = 0; }

static size_t body_at(const char *head) { return (size_t)(strstr(head, "\r\n\r\n") + 4 - head); }

/* ---- tests ---- */

static void test_versions(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    static const struct {
        int version;
        bool fine;
    } all[] = {{TLS1_VERSION, false}, {TLS1_1_VERSION, false}, {TLS1_2_VERSION, true}, {TLS1_3_VERSION, true}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        client c;
        char text[512];
        assert_int_equal(shake(&c, f.port, all[i].version, NULL) == 1, all[i].fine);
        if (all[i].fine) {
            static const char ask[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
            put(&c, ask, sizeof ask - 1);
            get_text(&c, text, sizeof text);
            assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
            assert_string_equal(text + body_at(text), "hi");
            assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN); /* a clean end */
        }
        hang_up(&c);
    }
    stop(&f);
}

static void test_alpn(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    static const struct {
        const char *offer, *want;
    } all[] = {{"\x08http/1.1", "http/1.1"}, {"\x08http/1.1\x02h2", "h2"}, {"\x05other", NULL}, {NULL, ""}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        client c;
        assert_int_equal(shake(&c, f.port, TLS1_3_VERSION, all[i].offer) == 1, all[i].want != NULL);
        const unsigned char *p = NULL;
        unsigned n = 0;
        SSL_get0_alpn_selected(c.ssl, &p, &n);
        if (all[i].want) assert_true(wr_str_is((wr_str){(const char *)p, n}, all[i].want));
        hang_up(&c);
    }
    stop(&f);
}

/* HTTP/2 when ALPN says so, and by its preface when the client did not ask. */
static void test_http2(void **state)
{
    (void)state;
    static const char ask[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                              "\0\0\0\4\0\0\0\0\0"                    /* SETTINGS */
                              "\0\0\6\1\4\0\0\0\1\x83\x84\x87\x41\1a" /* POST / https a */
                              "\0\0\5\0\1\0\0\0\1hello";              /* DATA, the end */
    fixture f;
    start(&f, (wr_http_server_opt){0});
    for (int i = 0; i < 2; i++) {
        client c;
        char back[1024] = {0};
        size_t got = 0;
        assert_int_equal(shake(&c, f.port, TLS1_3_VERSION, i == 0 ? "\x02h2" : NULL), 1);
        put(&c, ask, sizeof ask - 1);
        static const char want[] = "\0\0\5\0\1\0\0\0\1hello"; /* the echo, behind frames whose bytes may differ */
        while (got < sizeof back && !memmem(back, got, want, sizeof want - 1)) {
            assert_int_equal(get(&c, back + got, 1), 1);
            got++;
        }
        assert_true(got < sizeof back);
        hang_up(&c);
    }
    stop(&f);
}

/* A body over several reads both ways, many times on one connection: nothing may be left lying inside of OpenSSL. */
static void test_large_bodies(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.loops = 2});
    char *body = malloc(BIG), *back = malloc(BIG + 512), head[128];
    assert_non_null(body);
    assert_non_null(back);
    for (size_t i = 0; i < BIG; i++) body[i] = (char)(i * 2654435761u >> 13);
    client c;
    assert_int_equal(shake(&c, f.port, TLS1_3_VERSION, NULL), 1);
    static const size_t sizes[] = {1, 16383, 16384, 16385, 65536, 65537, 200000, BIG};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int n = snprintf(head, sizeof head, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        put(&c, head, (size_t)n);
        put(&c, body, sizes[i]);
        size_t got = 0;
        back[0] = 0;
        while (!strstr(back, "\r\n\r\n")) { /* the head, byte by byte */
            assert_int_equal(get(&c, back + got, 1), 1);
            back[++got] = 0;
        }
        assert_int_equal(get(&c, back, sizes[i]), sizes[i]);
        assert_memory_equal(back, body, sizes[i]);
    }
    hang_up(&c);
    stop(&f);
    free(body);
    free(back);
}

static void test_files(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    client c;
    char *back = malloc(2 * BIG + 1024);
    assert_non_null(back);
    assert_int_equal(shake(&c, f.port, TLS1_3_VERSION, NULL), 1);
    static const char ask[] =
        "GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    put(&c, ask, sizeof ask - 1);
    size_t got = get(&c, back, 2 * BIG + 1023);
    back[got] = 0;
    const char *p = back;
    for (int i = 0; i < 2; i++) {
        p += body_at(p);
        for (size_t k = 3; k < BIG; k++) assert_int_equal(*p++, (char)(k * 2654435761u >> 13 | 1));
    }
    assert_int_equal(p - back, got);
    hang_up(&c);
    stop(&f);
    free(back);
}

static void test_many_small_in_one_record(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    client c;
    assert_int_equal(shake(&c, f.port, TLS1_2_VERSION, NULL), 1);
    char text[64 * 64], back[64 * 256];
    size_t n = 0;
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "GET /events HTTP/1.1\r\nHost: a\r\n%s\r\n",
                              i == 59 ? "Connection: close\r\n" : "");
    put(&c, text, n);
    get_text(&c, back, sizeof back);
    int answers = 0;
    for (const char *p = back; (p = strstr(p, "data: one")); p++) answers++;
    assert_int_equal(answers, 60);
    hang_up(&c);
    stop(&f);
}

static void test_plain_http_learns_why(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){0});
    static const char *const asks[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        int fd = dial(f.port);
        char text[512];
        size_t got = 0;
        assert_true(send(fd, asks[i], strlen(asks[i]), 0) > 0);
        for (ssize_t n; (n = recv(fd, text + got, sizeof text - 1 - got, 0)) > 0;) got += (size_t)n;
        text[got] = 0;
        assert_memory_equal(text, "HTTP/1.1 400 Bad Request\r\n", 26);
        assert_string_equal(text + body_at(text), "{\"error\":\"this port speaks TLS\",\"hint\":\"use https://\"}\n");
        close(fd);
    }
    stop(&f);
}

/* Neither silence, nor half a handshake, nor rubbish keeps a connection. */
static void test_handshake_deadline(void **state)
{
    (void)state;
    fixture f;
    start(&f, (wr_http_server_opt){.head_ms = 200});
    static const char *const sent[] = {"", "\x16\x03\x01\x02\x00\x01", "\x16\xff\xff\xff\xff\xff\xff",
                                       "\x01\x02rubbish"};
    for (size_t i = 0; i < 4; i++) {
        int fd = dial(f.port);
        char byte;
        ssize_t n = 0;
        int64_t from = wr_clock_mono_ns();
        if (sent[i][0]) assert_true(send(fd, sent[i], i == 1 ? 6 : strlen(sent[i]), 0) > 0);
        for (int k = 0; k < 64 && (n = recv(fd, &byte, 1, 0)) > 0; k++) {} /* an alert perhaps */
        assert_true(n == 0 || errno == ECONNRESET);
        assert_true(wr_clock_mono_ns() - from < 3000000000);
        close(fd);
    }
    stop(&f);
}

static int opening(const char *cert, const char *key, wr_err *err)
{
    wr_http_server *s = NULL;
    int rc = wr_http_server_open(&s, &(wr_http_server_opt){.route = route, .cert = cert, .key = key}, err);
    if (rc == 0) wr_http_server_close(s);
    return rc;
}

static void test_unusable_files(void **state)
{
    (void)state;
    wr_err err = {0};
    assert_int_equal(opening(cert_path, NULL, &err), WEIR_EINVAL);
    assert_string_equal(err.msg, "TLS needs a certificate and its key");
    assert_int_equal(opening("/nonexistent/c.pem", key_path, &err), WEIR_ENOTFOUND);
    assert_string_equal(err.msg, "cannot read the certificate '/nonexistent/c.pem'");
    assert_int_equal(opening(cert_path, "/nonexistent/k.pem", &err), WEIR_ENOTFOUND);
    assert_int_equal(opening(key_path, key_path, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "is not a certificate"));
    assert_true(err.detail[0] && err.hint[0]);
    assert_int_equal(opening(cert_path, other_key_path, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.msg, "is not the key of the certificate"));
    assert_int_equal(opening(cert_path, locked_key_path, &err), WEIR_EINVAL);
    assert_non_null(strstr(err.hint, "without a passphrase"));
    assert_int_equal(opening(cert_path, cert_path, &err), WEIR_EINVAL);
    assert_int_equal(opening(cert_path, key_path, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_http2),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_many_small_in_one_record),
        cmocka_unit_test(test_plain_http_learns_why),
        cmocka_unit_test(test_handshake_deadline),
        cmocka_unit_test(test_unusable_files),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
