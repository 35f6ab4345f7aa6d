"""Makes a token with each algorithm, by PyJWT. Arguments: the issuer, and the time of
expiry in Unix seconds. Prints one JSON object."""
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

issuer, expires = sys.argv[1], int(sys.argv[2])
claims = {
    "iss": issuer, "sub": "alice", "aud": "fleetcast", "exp": expires, "iat": int(time.time()),
    "fleetcast": {"subscribe": ["chat.*"]}, "name": "Älice 😀",
}
out = {"keys": [], "pem": {}, "tokens": {}, "refused": {}}
for alg in ["HS256", "HS384", "HS512"]:
    out["tokens"][alg] = jwt.encode(claims, "5ecret-of-a-test-0123456789abcde", algorithm=alg)

one_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
private = {
    "ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
private.update({alg: one_rsa for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]})
makers = jwt.algorithms.get_default_algorithms()
for alg, key in private.items():
    public = key.public_key()
    out["pem"][alg] = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    jwk = makers[alg].to_jwk(public)
    jwk = json.loads(jwk) if isinstance(jwk, str) else jwk
    out["keys"].append({**jwk, "kid": alg})
    out["tokens"][alg] = jwt.encode(claims, key, algorithm=alg, headers={"kid": alg})
out["refused"]["none"] = jwt.encode(claims, None, algorithm="none")
print(json.dumps(out))
