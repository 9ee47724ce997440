/* SPDX-License-Identifier: Apache-2.0 */
/* signature.c - the bundle: read, written, checked. */
#include "core/signature.h"

#include "base/limits.h"
#include "base/num.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "core/signature_inside.h"

static const char BUNDLE[] = "application/vnd.dev.sigstore.bundle.v0.3+json",
                  PAYLOAD[] = "application/vnd.in-toto+json", STATEMENT[] = "https://in-toto.io/Statement/v1",
                  PREDICATE[] = "https://model_signing/signature/v1.0";

/* What is signed: DSSE's pre-authentication encoding. */
static int encode(wr_buf *out, wr_str payload, wr_err *err)
{
    wr_buf_printf(out, "DSSEv1 %zu %s %zu ", sizeof PAYLOAD - 1, PAYLOAD, payload.n);
    wr_buf_slice(out, payload);
    return out->failed ? wr_err_nomem(err) : 0;
}

/* ---- reading: the statement ---- */

static int must_be(yyjson_val *obj, const char *key, const char *value, const char *what, wr_err *err)
{
    wr_str s;
    WR_TRY(wr_json_str(&s, obj, key, err));
    if (wr_str_is(s, value)) return 0;
    wr_err_set(err, WEIR_EUNSUPPORTED, "\"%s\" has %s \"%.*s\"", what, key, WR_STR_FMT(wr_str_fit(s, 100)));
    return wr_err_hint(err, WEIR_EUNSUPPORTED, "\"%s\" is expected: sign the model again, with a current program",
                       value);
}

static int read_digest(char out[WR_SHA256_HEX], wr_str hex, wr_err *err)
{
    if (hex.n != WR_SHA256_HEX - 1) return wr_err_set(err, WEIR_EPARSE, "a digest has %zu digits, not 64", hex.n);
    for (size_t i = 0; i < hex.n; i++) {
        char c = hex.p[i] >= 'A' && hex.p[i] <= 'F' ? (char)(hex.p[i] | 0x20) : hex.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return wr_err_set(err, WEIR_EPARSE, "a digest is not hexadecimal");
        out[i] = c;
    }
    out[hex.n] = 0;
    return 0;
}

/* A path below the model, in normal form; "." alone is the model itself. */
static bool path_ok(wr_str path)
{
    if (wr_str_is(path, ".")) return true;
    if (!path.n || memchr(path.p, 0, path.n)) return false;
    for (wr_str rest = path; rest.p;) {
        wr_str segment = wr_str_cut(&rest, '/');
        if (!segment.n || wr_str_is(segment, ".") || wr_str_is(segment, "..")) return false;
    }
    return true;
}

/* "weights.bin:0:1000", the end not included. */
static int read_piece(wr_manifest_file *f, wr_str *path, wr_err *err)
{
    wr_str rest = *path, name = wr_str_cut(&rest, ':'), start = rest.p ? wr_str_cut(&rest, ':') : rest;
    int64_t from, to;
    if (!rest.p || wr_num_i64(&from, start, NULL) < 0 || wr_num_i64(&to, rest, NULL) < 0 || from < 0 || to <= from)
        return wr_err_set(err, WEIR_EPARSE, "\"%.200s\" is not the name of a piece", path->p);
    *path = name;
    f->start = from;
    f->end = to;
    return 0;
}

static int read_file(wr_manifest_file *f, const wr_manifest *m, wr_arena *a, yyjson_val *v, wr_err *err)
{
    wr_str name, algorithm, digest;
    WR_TRY(wr_json_str(&name, v, "name", err));
    WR_TRY(wr_json_str(&algorithm, v, "algorithm", err));
    WR_TRY(wr_json_str(&digest, v, "digest", err));
    if (!wr_str_is(algorithm, "sha256") && !(m->shard_size && wr_str_starts(algorithm, "sha256-sharded-"))) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "\"%.100s\" is hashed with \"%.40s\"", name.p, algorithm.p);
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "sign the model again with SHA-256");
    }
    *f = (wr_manifest_file){.end = -1};
    if (m->shard_size) WR_TRY(read_piece(f, &name, err));
    if (!path_ok(name)) return wr_err_set(err, WEIR_EPARSE, "\"%.200s\" is no path in a model", name.p);
    f->path = wr_arena_str(a, name).p;
    return f->path ? read_digest(f->digest, digest, err) : wr_err_nomem(err);
}

static int read_files(wr_manifest *m, wr_arena *a, yyjson_val *predicate, wr_err *err)
{
    yyjson_val *list, *v;
    size_t i, max;
    WR_TRY(wr_json_arr(&list, predicate, "resources", err));
    size_t n = yyjson_arr_size(list);
    if (n > WR_LIMIT_SIGNATURE_FILES)
        return wr_err_set(err, WEIR_ELIMIT, "more than %d files are signed", WR_LIMIT_SIGNATURE_FILES);
    m->files = wr_arena_calloc(a, n + 1, sizeof *m->files);
    if (!m->files) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ETYPE, "a resource is not an object");
        WR_TRY(read_file(&m->files[m->n++], m, a, v, err));
    }
    return 0;
}

/* Model.sig and Git's files are left out whether the list says so or not: older signatures have none. */
static int read_ignored(wr_manifest *m, wr_arena *a, yyjson_val *how, wr_err *err)
{
    yyjson_val *list = yyjson_obj_get(how, "ignore_paths"), *v;
    size_t i, max, n = list ? yyjson_arr_size(list) : 0;
    if ((list && !yyjson_is_arr(list)) || n > WR_LIMIT_SIGNATURE_FILES)
        return wr_err_set(err, WEIR_ETYPE, "\"ignore_paths\" is not a list of paths");
    const char **paths = wr_arena_calloc(a, WR_MANIFEST_IGNORED + n, sizeof *paths);
    if (!paths) return wr_err_nomem(err);
    memcpy(paths, wr_manifest_ignored, sizeof wr_manifest_ignored);
    m->ignore = paths;
    m->nignore = WR_MANIFEST_IGNORED + n;
    yyjson_arr_foreach(list, i, max, v)
    {
        if (!yyjson_is_str(v)) return wr_err_set(err, WEIR_ETYPE, "\"ignore_paths\" is not a list of paths");
        paths[WR_MANIFEST_IGNORED + i] = wr_arena_strdup(a, yyjson_get_str(v));
        if (!paths[WR_MANIFEST_IGNORED + i]) return wr_err_nomem(err);
    }
    return 0;
}

/* How the model was cut into what is hashed. */
static int read_method(wr_manifest *m, wr_arena *a, yyjson_val *predicate, wr_err *err)
{
    yyjson_val *how;
    wr_str method, hash;
    WR_TRY(wr_json_obj(&how, predicate, "serialization", err));
    WR_TRY(wr_json_str(&method, how, "method", err));
    WR_TRY(wr_json_str(&hash, how, "hash_type", err));
    WR_TRY(wr_json_bool_or(&m->links, how, "allow_symlinks", false, err));
    if (!wr_str_is(hash, "sha256")) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "the files are hashed with \"%.40s\"", hash.p);
        return wr_err_hint(err, WEIR_EUNSUPPORTED, "sign the model again with SHA-256");
    }
    if (wr_str_is(method, "shards")) {
        WR_TRY(wr_json_i64(&m->shard_size, how, "shard_size", err));
        if (m->shard_size <= 0) return wr_err_set(err, WEIR_EPARSE, "\"shard_size\" is not above 0");
    } else if (!wr_str_is(method, "files")) {
        return wr_err_set(err, WEIR_EUNSUPPORTED, "the method \"%.40s\" is not known", method.p);
    }
    return read_ignored(m, a, how, err);
}

/* The one subject: the model's name and the root of its files. */
static int read_subject(wr_manifest *m, char root[WR_SHA256_HEX], wr_arena *a, yyjson_val *statement, wr_err *err)
{
    yyjson_val *list, *digest;
    wr_str name, hex;
    WR_TRY(wr_json_arr(&list, statement, "subject", err));
    yyjson_val *subject = yyjson_arr_get_first(list);
    if (yyjson_arr_size(list) != 1 || !yyjson_is_obj(subject))
        return wr_err_set(err, WEIR_EPARSE, "a signature is of one subject, not of %zu", yyjson_arr_size(list));
    WR_TRY(wr_json_str_or(&name, subject, "name", "", err));
    WR_TRY(wr_json_obj(&digest, subject, "digest", err));
    WR_TRY(wr_json_str(&hex, digest, "sha256", err));
    m->name = wr_arena_str(a, name).p;
    return m->name ? read_digest(root, hex, err) : wr_err_nomem(err);
}

static int read_statement(wr_manifest *m, wr_arena *a, wr_str text, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    yyjson_val *predicate;
    char root[WR_SHA256_HEX], listed[WR_SHA256_HEX];
    WR_TRY(wr_json_parse(&j, text, "the signed statement", err));
    if (!yyjson_is_obj(j.root)) return wr_err_set(err, WEIR_ETYPE, "the signed statement is not an object");
    WR_TRY(must_be(j.root, "_type", STATEMENT, "the signed statement", err));
    WR_TRY(must_be(j.root, "predicateType", PREDICATE, "the signed statement", err));
    WR_TRY(read_subject(m, root, a, j.root, err));
    WR_TRY(wr_json_obj(&predicate, j.root, "predicate", err));
    WR_TRY(read_method(m, a, predicate, err));
    WR_TRY(read_files(m, a, predicate, err));
    wr_manifest_root(listed, m->files, m->n); /* in the order of the list, which is not ours to choose */
    WR_TRY(wr_manifest_finish(m, err));
    if (strcmp(root, listed) == 0) return 0;
    wr_err_set(err, WEIR_ECORRUPT, "the files that are listed do not have the digest that was signed");
    return wr_err_detail(err, WEIR_ECORRUPT, "they hash to %.12s, signed is %.12s", listed, root);
}

/* ---- reading: the bundle ---- */

static int read_base64(wr_str *out, wr_arena *a, yyjson_val *obj, const char *key, wr_err *err)
{
    WR_AUTOBUF wr_buf b;
    wr_str text;
    wr_buf_init(&b, WR_LIMIT_SIGNATURE);
    WR_TRY(wr_json_str(&text, obj, key, err));
    if (!wr_base64_decode(&b, text)) return wr_err_set(err, WEIR_EPARSE, "\"%s\" is not base64", key);
    *out = wr_arena_str(a, wr_buf_view(&b));
    return out->p ? 0 : wr_err_nomem(err);
}

static int read_chain(wr_signature *s, wr_arena *a, yyjson_val *material, wr_err *err)
{
    yyjson_val *holder, *list, *v;
    size_t i, max;
    WR_TRY(wr_json_obj(&holder, material, "x509CertificateChain", err));
    WR_TRY(wr_json_arr(&list, holder, "certificates", err));
    size_t n = yyjson_arr_size(list);
    if (!n || n > WR_SIGNATURE_CHAIN)
        return wr_err_set(err, WEIR_ELIMIT, "a chain has 1 to %d certificates, not %zu", WR_SIGNATURE_CHAIN, n);
    s->chain = wr_arena_calloc(a, n, sizeof *s->chain);
    if (!s->chain) return wr_err_nomem(err);
    yyjson_arr_foreach(list, i, max, v)
    {
        if (!yyjson_is_obj(v)) return wr_err_set(err, WEIR_ETYPE, "a certificate is not an object");
        WR_TRY(read_base64(&s->chain[s->nchain++], a, v, "rawBytes", err));
    }
    return 0;
}

static int read_material(wr_signature *s, wr_arena *a, yyjson_val *bundle, wr_err *err)
{
    yyjson_val *material, *key;
    wr_str hint;
    WR_TRY(wr_json_obj(&material, bundle, "verificationMaterial", err));
    if (yyjson_obj_get(material, "x509CertificateChain")) return read_chain(s, a, material, err);
    if (yyjson_obj_get(material, "certificate")) {
        wr_err_set(err, WEIR_EUNSUPPORTED, "it was signed without a key, by an account");
        return wr_err_hint(err, WEIR_EUNSUPPORTED,
                           "such signatures are checked online, by: model_signing verify sigstore");
    }
    WR_TRY(wr_json_obj(&key, material, "publicKey", err));
    WR_TRY(wr_json_str_or(&hint, key, "hint", NULL, err));
    if (!hint.n) return 0;
    s->hint = wr_arena_str(a, hint).p;
    return s->hint ? 0 : wr_err_nomem(err);
}

static int read_bundle(wr_signature *s, wr_arena *a, yyjson_val *bundle, const char *what, wr_err *err)
{
    yyjson_val *envelope, *list;
    if (!yyjson_is_obj(bundle)) return wr_err_set(err, WEIR_ETYPE, "it is not a JSON object");
    WR_TRY(must_be(bundle, "mediaType", BUNDLE, what, err));
    WR_TRY(read_material(s, a, bundle, err));
    WR_TRY(wr_json_obj(&envelope, bundle, "dsseEnvelope", err));
    WR_TRY(must_be(envelope, "payloadType", PAYLOAD, what, err));
    WR_TRY(wr_json_arr(&list, envelope, "signatures", err));
    yyjson_val *first = yyjson_arr_get_first(list);
    if (yyjson_arr_size(list) != 1 || !yyjson_is_obj(first))
        return wr_err_set(err, WEIR_EPARSE, "a bundle has one signature, not %zu", yyjson_arr_size(list));
    WR_TRY(read_base64(&s->sig, a, first, "sig", err));
    WR_TRY(read_base64(&s->payload, a, envelope, "payload", err));
    return read_statement(&s->manifest, a, s->payload, err);
}

int wr_signature_parse(wr_signature *out, wr_arena *a, wr_str text, const char *what, wr_err *err)
{
    WR_AUTOJSON wr_json j = {0};
    *out = (wr_signature){0};
    if (text.n > WR_LIMIT_SIGNATURE)
        return wr_err_set(err, WEIR_ELIMIT, "\"%s\" is larger than %d bytes", what, WR_LIMIT_SIGNATURE);
    WR_TRY(wr_json_parse(&j, text, what, err));
    int rc = read_bundle(out, a, j.root, what, err);
    return rc < 0 ? wr_err_wrap(err, rc, "\"%s\" is not a signature that can be checked", what) : 0;
}

/* ---- checking ---- */

static int by_key(const wr_signature *s, const wr_trust *t, wr_str text, wr_arena *a, const char **by, wr_err *err)
{
    bool known = !s->hint;
    for (size_t i = 0; i < t->keys.n; i++) {
        const wr_trusted_key *k = &t->keys.at[i];
        if (s->hint && strcmp(s->hint, k->hint) != 0) continue;
        known = true;
        if (!wr_signature_fits(k->key, text, s->sig)) continue;
        *by = wr_arena_printf(a, "key %.12s", k->hint);
        return *by ? 0 : wr_err_nomem(err);
    }
    if (!known) {
        wr_err_set(err, WEIR_ENO, "it is signed with another key");
        return wr_err_detail(err, WEIR_ENO, "its key is %.12s", s->hint);
    }
    return wr_err_set(err, WEIR_ENO, "the signature does not fit what it is said to sign");
}

static int by_certificate(const wr_signature *s, const wr_trust *t, wr_str text, wr_arena *a, const char **by,
                          wr_err *err)
{
    EVP_PKEY *key = NULL;
    int rc = wr_signature_chain_key(&key, by, s, t, a, err);
    if (rc == 0 && !wr_signature_fits(key, text, s->sig))
        rc = wr_err_set(err, WEIR_ENO, "the signature does not fit what it is said to sign");
    EVP_PKEY_free(key);
    return rc;
}

int wr_signature_verify(const wr_signature *s, const wr_trust *t, wr_arena *a, const char **by, wr_err *err)
{
    WR_AUTOBUF wr_buf text;
    const char *who = NULL;
    wr_buf_init(&text, 0);
    WR_TRY(encode(&text, s->payload, err));
    if (s->nchain) WR_TRY(by_certificate(s, t, wr_buf_view(&text), a, &who, err));
    else WR_TRY(by_key(s, t, wr_buf_view(&text), a, &who, err));
    if (by) *by = who;
    return 0;
}

/* ---- writing ---- */

static void write_method(wr_jsonw *w, const wr_manifest *m)
{
    wr_jsonw_key(w, "serialization");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "method", "files");
    wr_jsonw_kstr(w, "hash_type", "sha256");
    wr_jsonw_kbool(w, "allow_symlinks", m->links);
    wr_jsonw_key(w, "ignore_paths");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < m->nignore; i++) wr_jsonw_cstr(w, m->ignore[i]);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void write_statement(wr_jsonw *w, const wr_manifest *m)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "_type", STATEMENT);
    wr_jsonw_key(w, "subject");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "name", m->name);
    wr_jsonw_key(w, "digest");
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "sha256", m->root);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_kstr(w, "predicateType", PREDICATE);
    wr_jsonw_key(w, "predicate");
    wr_jsonw_obj(w);
    write_method(w, m);
    wr_jsonw_key(w, "resources");
    wr_jsonw_arr(w);
    for (size_t i = 0; i < m->n; i++) {
        wr_jsonw_obj(w);
        wr_jsonw_kstr(w, "name", m->files[i].path);
        wr_jsonw_kstr(w, "algorithm", "sha256");
        wr_jsonw_kstr(w, "digest", m->files[i].digest);
        wr_jsonw_end(w);
    }
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void write_base64(wr_jsonw *w, const char *key, wr_str data)
{
    WR_AUTOBUF wr_buf b;
    wr_buf_init(&b, 0);
    wr_base64_encode(&b, data, false);
    wr_jsonw_kslice(w, key, wr_buf_view(&b));
    if (b.failed) w->out->failed = true;
}

static void write_certificate(wr_jsonw *w, X509 *cert)
{
    unsigned char *der = NULL;
    int n = i2d_X509(cert, &der);
    wr_jsonw_obj(w);
    write_base64(w, "rawBytes", (wr_str){(const char *)der, n > 0 ? (size_t)n : 0});
    wr_jsonw_end(w);
    if (n <= 0) w->out->failed = true;
    OPENSSL_free(der);
}

static void write_material(wr_jsonw *w, const wr_signing_key *key)
{
    wr_jsonw_key(w, "verificationMaterial");
    wr_jsonw_obj(w);
    wr_jsonw_key(w, key->chain.n ? "x509CertificateChain" : "publicKey");
    wr_jsonw_obj(w);
    if (key->chain.n) {
        wr_jsonw_key(w, "certificates");
        wr_jsonw_arr(w);
        for (size_t i = 0; i < key->chain.n; i++) write_certificate(w, key->chain.at[i]);
        wr_jsonw_end(w);
    } else {
        wr_jsonw_kstr(w, "hint", key->hint);
    }
    wr_jsonw_end(w);
    wr_jsonw_key(w, "tlogEntries");
    wr_jsonw_arr(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

static void write_bundle(wr_jsonw *w, wr_str payload, wr_str sig, const wr_signing_key *key)
{
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "mediaType", BUNDLE);
    write_material(w, key);
    wr_jsonw_key(w, "dsseEnvelope");
    wr_jsonw_obj(w);
    write_base64(w, "payload", payload);
    wr_jsonw_kstr(w, "payloadType", PAYLOAD);
    wr_jsonw_key(w, "signatures");
    wr_jsonw_arr(w);
    wr_jsonw_obj(w);
    write_base64(w, "sig", sig);
    wr_jsonw_kstr(w, "keyid", "");
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
    wr_jsonw_end(w);
}

int wr_signature_make(wr_buf *out, const wr_manifest *m, const wr_signing_key *key, wr_err *err)
{
    WR_AUTOBUF wr_buf payload, text, sig;
    wr_jsonw w;
    wr_buf_init(&payload, WR_LIMIT_SIGNATURE / 2);
    wr_buf_init(&text, WR_LIMIT_SIGNATURE);
    wr_buf_init(&sig, WR_SIGNATURE_BYTES + 1);
    WR_BUG_IF(m->shard_size != 0); /* whole files are what everybody can check */
    wr_jsonw_init(&w, &payload, 0);
    write_statement(&w, m);
    if (payload.failed) return wr_err_set(err, WEIR_ELIMIT, "the model has too many files to be signed");
    WR_TRY(encode(&text, wr_buf_view(&payload), err));
    WR_TRY(wr_signature_of(&sig, key->key, wr_buf_view(&text), err));
    wr_jsonw_init(&w, out, 0);
    write_bundle(&w, wr_buf_view(&payload), wr_buf_view(&sig), key);
    return out->failed ? wr_err_nomem(err) : 0;
}
