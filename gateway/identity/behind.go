package identity

import (
	"crypto/sha256"
	"encoding/binary"
)

// Behind is who has said who a client is. A resume ticket counts only while all of them are
// still configured.
type Behind struct {
	Issuer IssuerDigest // of the token; 0 if there was none
	Hook   bool         // the connect hook has answered
}

// IssuerDigest is a short digest of an issuer's name. It is never 0.
type IssuerDigest uint64

// DigestIssuer is the digest of a name, which is empty for the issuer that is configured
// without one.
func DigestIssuer(name string) IssuerDigest {
	sum := sha256.Sum256([]byte(name))
	return IssuerDigest(max(binary.BigEndian.Uint64(sum[:]), 1))
}

// Under is what a hook has said about a client whose token was verified, or that has shown
// none: it ends with that token at the latest, and the token's issuer stands behind it, too.
func (i *Identity) Under(verified *Identity) *Identity {
	under := *i
	under.Behind = Behind{Issuer: verified.Behind.Issuer, Hook: true}
	if verified.Expires != 0 && (i.Expires == 0 || i.Expires > verified.Expires) {
		under.Expires = verified.Expires
	}
	return &under
}
