/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model_sign.c - weir model sign, verify, keygen: signatures of registered versions and of folders. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/commands.h"
#include "core/model.h"
#include "core/signing.h"
#include "io/file.h"

/* ---- what it is about ---- */

typedef struct {
    const char *path;    /* a folder or file; NULL: */
    wr_project *project; /* a version of the registry */
    wr_registered_version v;
} subject;

/* "./export", "export/", "/models/export": a slash makes a path of it. */
static bool is_path(const char *ref)
{
    if (strncmp(ref, "models:", 7) == 0) return false;
    return strchr(ref, '/') || strcmp(ref, ".") == 0 || strcmp(ref, "..") == 0;
}

/* A model first, then what lies here under that name. */
static int find_subject(subject *s, wr_cli *c, wr_err *err)
{
    const char *ref = wr_cli_arg(c, 0);
    wr_err why = {0};
    *s = (subject){0};
    if (is_path(ref)) {
        s->path = ref;
        if (wr_file_exists(ref)) return 0;
        wr_err_set(err, WEIR_ENOTFOUND, "there is no folder or file \"%.200s\"", ref);
        return wr_model_no_file(WEIR_ENOTFOUND, ref, wr_cli_arena(c), NULL, err);
    }
    int rc = wr_cli_project(c, &s->project, &why);
    if (rc == 0) rc = wr_model_registered(&s->v, wr_cli_arena(c), s->project, ref, &why);
    if (rc == WEIR_ENOTFOUND && wr_file_exists(ref)) {
        s->path = ref;
        return 0;
    }
    if (rc < 0 && err) *err = why;
    return rc;
}

static const char *title(wr_cli *c, const subject *s)
{
    const char *text =
        s->path ? s->path : wr_arena_printf(wr_cli_arena(c), "%s version %lld", s->v.name.p, (long long)s->v.version);
    return text ? text : "";
}

static void put_subject(wr_jsonw *w, const subject *s)
{
    wr_jsonw_kstr(w, s->path ? "path" : "model", s->path ? s->path : s->v.name.p);
    if (!s->path) wr_jsonw_ki64(w, "version", s->v.version);
}

/* ---- keys ---- */

static void wipe(wr_buf *b)
{
    if (b->p) OPENSSL_cleanse(b->p, b->cap);
    wr_buf_fini(b);
}

#define SECRET __attribute__((cleanup(wipe)))

/* {NULL, 0} when there is none. */
static int read_passphrase(wr_str *out, wr_buf *hold, wr_cli *c, wr_err *err)
{
    const char *file = wr_cli_text(c, "passphrase-file"), *env = getenv("WEIR_KEY_PASSPHRASE");
    *out = (wr_str){NULL, 0};
    if (file) {
        WR_TRY(wr_file_read(hold, file, WR_LIMIT_NAME * 4, err));
        *out = wr_buf_view(hold);
        while (out->n && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r')) out->n--;
    } else if (env && *env) {
        *out = wr_str_of(env);
    }
    return 0;
}

static int read_key(wr_signing_key **out, wr_cli *c, wr_err *err)
{
    SECRET wr_buf pem = {0}, phrase = {0};
    WR_AUTOBUF wr_buf chain = {0};
    wr_str passphrase, certificates = {NULL, 0};
    const char *file = wr_cli_text(c, "key"), *cert = wr_cli_text(c, "cert");
    if (!file) {
        wr_err_set(err, WEIR_EUSAGE, "weir model sign: with which key? --key FILE");
        return wr_err_hint(err, WEIR_EUSAGE, "weir model keygen FILE makes one");
    }
    WR_TRY(wr_file_read(&pem, file, WR_LIMIT_PEM, err));
    WR_TRY(read_passphrase(&passphrase, &phrase, c, err));
    if (cert) {
        WR_TRY(wr_file_read(&chain, cert, WR_LIMIT_PEM, err));
        certificates = wr_buf_view(&chain);
    }
    return wr_signing_key_read(out, wr_buf_view(&pem), passphrase, certificates, file, err);
}

/* ---- sign ---- */

static int sign_path(wr_manifest *m, wr_buf *bundle, wr_cli *c, const char *path, const wr_signing_key *key,
                     wr_err *err)
{
    WR_TRY(wr_manifest_read(m, wr_cli_arena(c), path, NULL, err));
    if (!m->n) return wr_err_set(err, WEIR_EINVAL, "there is nothing to sign in \"%s\"", path);
    return wr_signature_make(bundle, m, key, err);
}

static int sign(wr_cli *c, const subject *s, const wr_signing_key *key, wr_err *err)
{
    WR_AUTOBUF wr_buf bundle = {0};
    wr_manifest m;
    const char *out = wr_cli_text(c, "out");
    if (s->path && !out) out = wr_signature_beside(wr_cli_arena(c), s->path);
    if (s->path && !out) return wr_err_nomem(err);
    if (s->path) WR_TRY(sign_path(&m, &bundle, c, s->path, key, err));
    else WR_TRY(wr_signing_sign(&m, &bundle, wr_cli_arena(c), s->project, &s->v, key, err));
    if (out) WR_TRY(wr_file_write(out, wr_buf_view(&bundle), err));
    wr_say(c, "%s is signed: %zu file%s, root %.12s, key %.12s%s%s", title(c, s), m.n, m.n == 1 ? "" : "s", m.root,
           wr_signing_key_hint(key), out ? ", in " : "", out ? out : "");
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    put_subject(w, s);
    wr_jsonw_ki64(w, "files", (int64_t)m.n);
    wr_jsonw_kstr(w, "root", m.root);
    wr_jsonw_kstr(w, "key", wr_signing_key_hint(key));
    wr_jsonw_kstr(w, "signature", out);
    wr_jsonw_end(w);
    return 0;
}

static int run_sign(wr_cli *c, wr_err *err)
{
    wr_signing_key *key;
    subject s;
    WR_TRY(read_key(&key, c, err));
    int rc = find_subject(&s, c, err);
    if (rc == 0) rc = sign(c, &s, key, err);
    wr_signing_key_free(key);
    return rc;
}

static const wr_cmd_arg sign_args[] = {
    {"key", 'k', WR_ARG_TEXT, "FILE", "private key in PEM: P-256, P-384, P-521 or Ed25519", NULL},
    {"cert", 0, WR_ARG_TEXT, "FILE", "certificates in PEM for the signature: the key's own first, then those above",
     NULL},
    {"passphrase-file", 0, WR_ARG_TEXT, "FILE", "passphrase of the key (or in WEIR_KEY_PASSPHRASE)", NULL},
    {"out", 'o', WR_ARG_TEXT, "FILE", "write the signature there (of a folder: default FOLDER/model.sig)", NULL},
};

const wr_cmd wr_cmd_model_sign = {
    "model sign",
    "sign a registered version, or a folder",
    "MODEL | FOLDER",
    1,
    1,
    sign_args,
    sizeof sign_args / sizeof *sign_args,
    "MODEL is NAME@VERSION, NAME@ALIAS or NAME (its newest version). FOLDER has a slash in it, or is\n"
    "no model's name. The signature is an OpenSSF Model Signing bundle over the SHA-256 of all files;\n"
    "that of a version is kept with it, as its report \"signature\" and as model.sig beside its files.\n"
    "model_signing verifies it, except for Ed25519, which it does not know.",
    "  # a version\n  weir model sign delay@3 --key release.pem\n"
    "  # a folder, for somebody else\n  weir model sign ./export --key release.pem",
    run_sign};

/* ---- verify ---- */

static int add_files(wr_trust *t, wr_cli *c, const char *option, wr_err *err)
{
    const char **files;
    size_t n = wr_cli_list(c, option, &files);
    for (size_t i = 0; i < n; i++) WR_TRY(wr_trust_add_file(t, files[i], err));
    return 0;
}

/* What the command line names; without it, what the project trusts. */
static int read_trust(wr_trust **out, wr_cli *c, wr_err *err)
{
    wr_project *p;
    wr_trust *t;
    if (!wr_cli_has(c, "key") && !wr_cli_has(c, "cert")) {
        if (wr_cli_project(c, &p, NULL) == 0 && wr_signing_trust(out, p, err) == 0) return 0;
        wr_err_set(err, WEIR_EUSAGE, "weir model verify: by which key? --key FILE or --cert FILE");
        return wr_err_hint(err, WEIR_EUSAGE, "or registry: trust: [FILE] in weir.yaml");
    }
    WR_TRY(wr_trust_new(&t, err));
    int rc = add_files(t, c, "key", err);
    if (rc == 0) rc = add_files(t, c, "cert", err);
    if (rc < 0) wr_trust_free(t);
    else *out = t;
    return rc;
}

static int read_bundle(wr_buf *out, wr_cli *c, const subject *s, wr_err *err)
{
    const char *file = wr_cli_text(c, "sig");
    if (file) return wr_file_read(out, file, WR_LIMIT_SIGNATURE, err);
    if (!s->path) return wr_signing_bundle(out, s->project, &s->v, err);
    file = wr_signature_beside(wr_cli_arena(c), s->path);
    if (!file) return wr_err_nomem(err);
    if (wr_file_exists(file)) return wr_file_read(out, file, WR_LIMIT_SIGNATURE, err);
    wr_err_set(err, WEIR_ENO, "it is not signed");
    return wr_err_hint(err, WEIR_ENO, "there is no \"%s\": --sig FILE names another place", file);
}

/* Of a folder: cut as the signature says, without what it leaves out. */
static int verify_path(const char **by, wr_manifest *found, wr_arena *a, const char *path, wr_str bundle,
                       const wr_trust *t, wr_err *err)
{
    wr_signature s;
    WR_TRY(wr_signature_parse(&s, a, bundle, "the signature", err));
    WR_TRY(wr_signature_verify(&s, t, a, by, err));
    WR_TRY(wr_manifest_read(found, a, path, &s.manifest, err));
    return wr_manifest_compare(found, &s.manifest, err);
}

static int verify(const char **by, wr_cli *c, const subject *s, wr_trust *t, wr_err *err)
{
    WR_AUTOBUF wr_buf bundle;
    wr_manifest found;
    wr_buf_init(&bundle, WR_LIMIT_SIGNATURE + 1);
    WR_TRY(read_bundle(&bundle, c, s, err));
    if (s->path) return verify_path(by, &found, wr_cli_arena(c), s->path, wr_buf_view(&bundle), t, err);
    return wr_signing_verify(by, wr_cli_arena(c), s->project, &s->v, wr_buf_view(&bundle), t, WR_FILES_READ, err);
}

static int run_verify(wr_cli *c, wr_err *err)
{
    wr_trust *t;
    subject s;
    const char *by = NULL;
    wr_err why = {0};
    WR_TRY(find_subject(&s, c, err));
    WR_TRY(read_trust(&t, c, err));
    int rc = verify(&by, c, &s, t, &why);
    wr_trust_free(t);
    if (rc < 0 && rc != WEIR_ENO) return err ? (*err = why, rc) : rc;
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    put_subject(w, &s);
    wr_jsonw_kbool(w, "verified", rc == 0);
    wr_jsonw_kstr(w, "by", rc == 0 ? by : NULL);
    if (rc < 0) wr_jsonw_kstr(w, "why", why.msg);
    wr_jsonw_end(w);
    if (rc == 0) wr_say(c, "%s is what was signed, by %s", title(c, &s), by);
    if (rc == 0) return 0;
    if (err) *err = why;
    return wr_err_wrap(err, rc, "%s", title(c, &s));
}

static const wr_cmd_arg verify_args[] = {
    {"key", 'k', WR_ARG_LIST, "FILE", "public key in PEM to trust", NULL},
    {"cert", 0, WR_ARG_LIST, "FILE", "root certificate in PEM to trust", NULL},
    {"sig", 's', WR_ARG_TEXT, "FILE", "the signature, when it is not with the model", NULL},
};

const wr_cmd wr_cmd_model_verify = {
    "model verify",
    "check the signature of a version, or of a folder",
    "MODEL | FOLDER",
    1,
    1,
    verify_args,
    sizeof verify_args / sizeof *verify_args,
    "Every byte of every file is read. Without --key and --cert the keys of registry: trust: in\n"
    "weir.yaml count. The exit code is 1 when there is no signature, when it is by somebody else, or\n"
    "when a file was changed, is missing or was added (it is named); 2 when this cannot be found out.",
    "  weir model verify delay@champion --key release.pub\n"
    "  # what model_signing signed\n  weir model verify ./download --key release.pub",
    run_verify};

/* ---- keygen ---- */

/* Nobody else may read it, and none that is there is lost. */
static int write_secret(const char *path, wr_str text, wr_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return wr_err_sys(err, errno, "cannot make \"%s\"", path);
    int rc = wr_file_write_all(fd, text.p, text.n, path, err);
    if (rc == 0) rc = wr_file_fdatasync(fd, path, err);
    close(fd);
    if (rc < 0) unlink(path);
    return rc;
}

static int run_keygen(wr_cli *c, wr_err *err)
{
    SECRET wr_buf secret = {0}, phrase = {0};
    WR_AUTOBUF wr_buf open_text = {0};
    wr_str passphrase;
    const char *file = wr_cli_arg(c, 0), *public_file = wr_arena_printf(wr_cli_arena(c), "%s.pub", file);
    if (!public_file) return wr_err_nomem(err);
    WR_TRY(read_passphrase(&passphrase, &phrase, c, err));
    if (wr_file_exists(public_file)) {
        wr_err_set(err, WEIR_EEXIST, "there is a \"%s\" already", public_file);
        return wr_err_hint(err, WEIR_EEXIST, "keys are never overwritten: take another name");
    }
    WR_TRY(wr_signing_key_make(&secret, &open_text, wr_cli_text(c, "kind"), passphrase, err));
    WR_TRY(write_secret(file, wr_buf_view(&secret), err));
    WR_TRY(wr_file_create(public_file, wr_buf_view(&open_text), err));
    wr_say(c, "private key in %s%s, public key in %s", file, passphrase.p ? " (encrypted)" : "", public_file);
    wr_jsonw *w = wr_cli_jsonw(c);
    wr_jsonw_obj(w);
    wr_jsonw_kstr(w, "private", file);
    wr_jsonw_kstr(w, "public", public_file);
    wr_jsonw_kbool(w, "encrypted", passphrase.p != NULL);
    wr_jsonw_end(w);
    return 0;
}

static const wr_cmd_arg keygen_args[] = {
    {"kind", 0, WR_ARG_TEXT, "KIND", "P-256, P-384, P-521 or Ed25519", "P-256"},
    {"passphrase-file", 0, WR_ARG_TEXT, "FILE", "encrypt it with this passphrase (or that in WEIR_KEY_PASSPHRASE)",
     NULL},
};

const wr_cmd wr_cmd_model_keygen = {
    "model keygen",
    "make a key pair that signs models",
    "FILE",
    1,
    1,
    keygen_args,
    sizeof keygen_args / sizeof *keygen_args,
    "FILE gets the private key, readable by its owner alone; FILE.pub the public one. Neither may be\n"
    "there already. Keys that openssl makes do as well.",
    "  weir model keygen release.pem",
    run_keygen};
