# SPDX-License-Identifier: Apache-2.0
"""Tokens and their key set for src/codec/jwt_test.c: python3 tests/reference/jwt_values.py > tests/reference/jwt_values.h
(needs the package cryptography). Keys are made anew each time; the tokens expire in 2100."""
import base64, json
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def num(n):
    return b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))


rsa_key, p256, p384, ed = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()
r = rsa_key.public_key().public_numbers()


def ec_jwk(key, crv, size, kid):
    n = key.public_key().public_numbers()
    return {"kty": "EC", "crv": crv, "kid": kid, "x": b64(n.x.to_bytes(size, "big")), "y": b64(n.y.to_bytes(size, "big"))}


jwks = {"keys": [{"kty": "oct", "k": "AAAA", "kid": "passed-over"}, {"kty": "RSA", "kid": "rsa", "n": num(r.n), "e": num(r.e), "use": "sig"},
                 ec_jwk(p256, "P-256", 32, "p256"), ec_jwk(p384, "P-384", 48, "p384"),
                 {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(ed.public_key().public_bytes_raw())}]}


def ecdsa(key, h, size):
    def sign(text):
        a, b = decode_dss_signature(key.sign(text, ec.ECDSA(h)))
        return a.to_bytes(size, "big") + b.to_bytes(size, "big")
    return sign


H = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
signers = {}
for bits, h in H.items():
    signers["RS" + bits] = ("rsa", lambda t, h=h: rsa_key.sign(t, padding.PKCS1v15(), h))
    signers["PS" + bits] = ("rsa", lambda t, h=h: rsa_key.sign(t, padding.PSS(padding.MGF1(h), h.digest_size), h))
signers["ES256"] = ("p256", ecdsa(p256, H["256"], 32))
signers["ES384"] = ("p384", ecdsa(p384, H["384"], 48))
signers["EdDSA"] = ("ed", ed.sign)
claims = {"iss": "https://issuer.example", "aud": ["other", "weir"], "sub": "ada", "exp": 4102444800, "nbf": 1700000000}
print("/* SPDX-License-Identifier: Apache-2.0 */\n/* made by jwt_values.py */\n#pragma once")
print("static const char jwks_text[] =", "\n".join('    "' + line.replace('"', '\\"') + '"' for line in
      [json.dumps(jwks, separators=(",", ":"))[i:i + 110] for i in range(0, len(json.dumps(jwks, separators=(",", ":"))), 110)]) + ";")
print("static const struct { const char *alg, *token; } tokens[] = {")
for alg, (kid, sign) in signers.items():
    text = b64(json.dumps({"alg": alg, "kid": kid, "typ": "JWT"}).encode()) + "." + b64(json.dumps(claims).encode())
    token = text + "." + b64(sign(text.encode()))
    parts = [token[i:i + 110] for i in range(0, len(token), 110)]
    print(f'    {{"{alg}",\n' + "\n".join(f'     "{p}"' for p in parts) + "},")
print("};")
