// Makes a token with each algorithm, by jose. Arguments: the issuer, and the time of
// expiry in Unix seconds. Prints one JSON object.
const jose = require("jose");

const [issuer, expires] = process.argv.slice(2);
const secret = new TextEncoder().encode("5ecret-of-a-test-0123456789abcde");

const claims = (jwt) => jwt.setIssuer(issuer).setSubject("alice").setAudience(["x", "fleetcast"]).setIssuedAt().setExpirationTime(Number(expires));
const payload = { fleetcast: { subscribe: ["chat.*"] }, name: "Älice 😀" };

async function main() {
  const out = { keys: [], pem: {}, tokens: {}, refused: {} };
  for (const alg of ["HS256", "HS384", "HS512"]) {
    out.tokens[alg] = await claims(new jose.SignJWT(payload)).setProtectedHeader({ alg, typ: "JWT" }).sign(secret);
  }
  for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    const jwk = await jose.exportJWK(publicKey);
    const kid = await jose.calculateJwkThumbprint(jwk);
    out.keys.push({ ...jwk, kid, use: "sig", alg });
    out.pem[alg] = await jose.exportSPKI(publicKey);
    out.tokens[alg] = await claims(new jose.SignJWT(payload)).setProtectedHeader({ alg, kid }).sign(privateKey);
  }
  out.refused.none = claims(new jose.UnsecuredJWT(payload)).encode();
  out.refused.encrypted = await claims(new jose.EncryptJWT(payload)).setProtectedHeader({ alg: "dir", enc: "A128CBC-HS256" }).encrypt(secret);
  console.log(JSON.stringify(out));
}

main();
