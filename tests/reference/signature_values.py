# SPDX-License-Identifier: Apache-2.0
"""Signatures for src/core/signature_test.c as OpenSSF's own program makes them: python3 tests/reference/signature_values.py > tests/reference/signature_values.h
(needs the package model-signing; it was made with 1.1.1). Keys are made anew each time; the certificates hold until 2100."""
import datetime, json, os, pathlib, tempfile
import model_signing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FILES = {"a.txt": "hi\n", "sub/b.txt": "b\n", "sub.txt": "c\n", "empty": "", "\u00fcber.txt": "d\n", ".gitignore": "g\n"}
work = pathlib.Path(tempfile.mkdtemp())
model = work / "model"
for name, text in FILES.items():
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_text(text)


def private_file(key, name):
    path = work / name
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


def public_text(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def certificate(key, name, issuer_key, issuer, ca):
    subject = lambda cn: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (x509.CertificateBuilder().subject_name(subject(name)).issuer_name(subject(issuer)).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(2026, 1, 1)).not_valid_after(datetime.datetime(2100, 1, 1))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
               .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True))
    return builder.sign(issuer_key, hashes.SHA256())


def sign(signer, hashing=None):
    out = work / "out.sig"
    config = signer.set_hashing_config(hashing or model_signing.hashing.Config().set_ignored_paths(paths=[model / "model.sig"]))
    config.sign(model, out)
    return out.read_text()


def literal(name, text):
    lines = [json.dumps(text[i:i + 120]) for i in range(0, len(text), 120)]
    print(f"static const char {name}[] =\n    " + "\n    ".join(lines) + ";")


print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* signature_values.h - made by tests/reference/signature_values.py; do not edit. */")
print("#pragma once")
for name, curve in ("p256", ec.SECP256R1()), ("p384", ec.SECP384R1()), ("p521", ec.SECP521R1()):
    key = ec.generate_private_key(curve)
    path = private_file(key, name)
    literal(f"{name}_public", public_text(key))
    literal(f"{name}_bundle", sign(model_signing.signing.Config().use_elliptic_key_signer(private_key=path)))
    if name == "p256":
        shards = model_signing.hashing.Config().use_shard_serialization(shard_size=2)
        literal("shards_bundle", sign(model_signing.signing.Config().use_elliptic_key_signer(private_key=path), shards))
        single = work / "single.sig"
        model_signing.signing.Config().use_elliptic_key_signer(private_key=path).sign(model / "a.txt", single)
        literal("single_bundle", single.read_text())

root_key, middle_key, leaf_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(3))
root = certificate(root_key, "root", root_key, "root", True)
middle = certificate(middle_key, "middle", root_key, "root", True)
leaf = certificate(leaf_key, "leaf", middle_key, "middle", False)
pem = lambda c: c.public_bytes(serialization.Encoding.PEM)
for name, cert in ("root", root), ("middle", middle), ("leaf", leaf):
    (work / name).write_bytes(pem(cert))
literal("root_certificate", pem(root).decode())
literal("middle_certificate", pem(middle).decode())
signer = model_signing.signing.Config().use_certificate_signer(private_key=private_file(leaf_key, "leaf.pem"), signing_certificate=work / "leaf", certificate_chain=[work / "middle"])
literal("chain_bundle", sign(signer))
