package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// algorithm is one way to sign.
type algorithm struct {
	name   string
	method jwt.SigningMethod
	kind   kind
}

// kind is the type of a key, and with it which algorithms it allows.
type kind uint8

const (
	noKind kind = iota
	secretKey
	rsaKey
	p256Key
	p384Key
	p521Key
	ed25519Key
)

// algorithms are all that are taken. There is no entry for "none". Ed25519 is the name
// that RFC 9864 gives to what RFC 8037 calls EdDSA with such a key.
var algorithms = map[string]algorithm{
	"HS256":   {"HS256", jwt.SigningMethodHS256, secretKey},
	"HS384":   {"HS384", jwt.SigningMethodHS384, secretKey},
	"HS512":   {"HS512", jwt.SigningMethodHS512, secretKey},
	"RS256":   {"RS256", jwt.SigningMethodRS256, rsaKey},
	"RS384":   {"RS384", jwt.SigningMethodRS384, rsaKey},
	"RS512":   {"RS512", jwt.SigningMethodRS512, rsaKey},
	"PS256":   {"PS256", jwt.SigningMethodPS256, rsaKey},
	"PS384":   {"PS384", jwt.SigningMethodPS384, rsaKey},
	"PS512":   {"PS512", jwt.SigningMethodPS512, rsaKey},
	"ES256":   {"ES256", jwt.SigningMethodES256, p256Key},
	"ES384":   {"ES384", jwt.SigningMethodES384, p384Key},
	"ES512":   {"ES512", jwt.SigningMethodES512, p521Key},
	"EdDSA":   {"EdDSA", jwt.SigningMethodEdDSA, ed25519Key},
	"Ed25519": {"Ed25519", jwt.SigningMethodEdDSA, ed25519Key},
}

// algorithmNames are the names for messages.
const algorithmNames = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"

// isNone tells whether a token's head says that it is not signed, however it spells it.
func isNone(alg string) bool { return strings.EqualFold(alg, "none") }

// sameAlgorithm tells whether two names are of one algorithm.
func sameAlgorithm(a, b string) bool {
	return a == b || algorithms[a].kind == ed25519Key && algorithms[b].kind == ed25519Key
}

// kindOf is the kind of a public key, noKind for one that is of no use.
func kindOf(public any) kind {
	switch k := public.(type) {
	case []byte:
		return secretKey
	case *rsa.PublicKey:
		return rsaKey
	case ed25519.PublicKey:
		return ed25519Key
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return p256Key
		case 384:
			return p384Key
		case 521:
			return p521Key
		}
	}
	return noKind
}

// costOf is about what a verification takes, to weigh the work that waits. The ratios
// matter, not the unit.
func costOf(public any) time.Duration {
	switch kindOf(public) {
	case p521Key:
		return 3800 * time.Microsecond
	case p384Key:
		return 1100 * time.Microsecond
	case rsaKey:
		// It grows with the square of the size: some 50 µs at 2,048 bits.
		units := max(1, time.Duration(public.(*rsa.PublicKey).N.BitLen())/2048)
		return 60 * units * units * time.Microsecond
	}
	return 120 * time.Microsecond
}
