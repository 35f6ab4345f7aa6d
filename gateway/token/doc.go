// Package token verifies JSON Web Tokens and makes identities of them.
//
// A Verifier knows issuers. The issuer of a token is chosen by its exact claim iss,
// before anything is verified, and only that issuer's keys are tried. Keys have a type
// from the moment they are loaded, and each allows only the algorithms of its type: what
// a token's head says about its algorithm selects among these, and no more. The
// signatures themselves are verified by golang-jwt, and keys are parsed by jwkset and
// crypto/x509. A Signer makes tokens, for the tools beside the gateway; Inspect reads one
// without verifying it.
//
// The text of a token is parsed here, more strictly than golang-jwt does: a repeated
// member, critical extensions, encrypted and nested tokens are refused with the reason.
// A token has one spelling, so the caches, which know tokens by their digest, cannot be
// filled with variants of one token.
//
// # Who may call what
//
// Any goroutine may call the methods of a Verifier. Quick never waits and is for loops:
// it answers from the caches, or verifies an HMAC. Later, for loops too, has a bounded pool
// answer what Quick has left, and does not wait for it. Verify waits for keys and for the
// pool. A Verifier has goroutines of its own until Close: the pool's workers, each on a
// thread that gives way to others, one for each set of keys that is fetched, and one that
// empties the caches.
package token
