/* SPDX-License-Identifier: Apache-2.0 */
/* signing.h - signatures of registered versions: where they are kept, whom the project trusts, what it requires.
 *
 *   registry:
 *     require: signature                  # of whatever gets an alias, goes to Staging or Production, or is served
 *     trust: [keys/release.pub]           # public keys and root certificates in PEM, from the project's folder
 *     policies:
 *       - {alias: champion, requires: [signature]}   # the same of one place alone
 *
 * A signature is the report "signature" of its version (registry_policy.h): kept as an object, its SHA-256 in the tag weir.report.signature,
 * which MLflow's clients see; and the file model.sig beside the version's files, so that who downloads the model can check it with
 * model_signing. A version whose client had put a model.sig among its files is signed by that, as long as there is no report.
 *
 * A version is judged when it moves, inside the write: signed by somebody trusted, and, of a package, for exactly its files. It is judged
 * again with all its bytes when it is to be loaded. Nothing but what is ignored by default (manifest.h) may be unsigned.
 */
#pragma once
#include "core/model_files.h"
#include "core/signature.h"

#define WR_SIGNATURE_REPORT "signature"

/* The keys of `registry: trust`. WEIR_ENO when it names none. */
int wr_signing_trust(wr_trust **out, wr_project *p, wr_err *err);
/* What is signed of a version: its files, hashed from their bytes (READ) or as their store knows them. */
int wr_signing_manifest(wr_manifest *out, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_files_how how, wr_err *err);
/* Sign and keep it. `manifest` (may be NULL) is what was signed; `bundle` (may be NULL) gets the text. */
int wr_signing_sign(wr_manifest *manifest, wr_buf *bundle, wr_arena *a, wr_project *p, const wr_registered_version *v,
                    const wr_signing_key *key, wr_err *err);
/* The text of its signature, appended. WEIR_ENO: it has none. */
int wr_signing_bundle(wr_buf *out, wr_project *p, const wr_registered_version *v, wr_err *err);
/* Is `bundle` a signature of exactly these files by somebody trusted? WEIR_ENO says why not, naming the file. */
int wr_signing_verify(const char **by, wr_arena *a, wr_project *p, const wr_registered_version *v, wr_str bundle, const wr_trust *t,
                      wr_files_how how, wr_err *err);

/* May this version be loaded, as far as signatures go? Called before a model is opened; version 0 is a candidate. WEIR_ENO says why not. */
int wr_signature_check_policy(wr_project *p, const char *model, int64_t version, wr_err *err);
/* The same of the files that will be opened: a folder, or the model's one file, of this machine. */
int wr_signature_check_loaded(wr_project *p, const char *model, int64_t version, const char *path, wr_err *err);
/* May this folder or file be loaded, which no version names? With `require: signature` it has its own: FOLDER/model.sig, FILE.sig. */
int wr_signature_check_path(wr_project *p, const char *path, wr_err *err);
/* "FOLDER/model.sig", "FILE.sig". In the arena. */
const char *wr_signature_beside(wr_arena *a, const char *path);
/* The judge of the policies (registry_policy.h); `ctx` is the project. */
int wr_signing_judge(void *ctx, const wr_registered_version *v, wr_str report, wr_err *err);
/* Everything `wr_signing_judge` knows and the bytes, before a move to `alias` begins: what must not be done inside a write. */
int wr_signing_before_move(wr_project *p, const wr_registered_version *v, const char *alias, wr_err *err);
