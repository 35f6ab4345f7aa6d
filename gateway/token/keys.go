package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Bounds of keys.
const (
	MinSecret  = 32   // bytes of an HMAC secret, for HS384 and HS512 too
	minRSABits = 2048 // RFC 7518, 3.3
	maxRSABits = 8192 // a larger key takes milliseconds a token
	maxKeys    = 100  // of one issuer
	maxTries   = 8    // keys that are tried for one token
)

// key verifies signatures. It is immutable but for retired.
type key struct {
	id     string // kid; empty if it has none
	public any    // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	kind   kind
	alg    string // the one algorithm that it is for; empty: all of its kind
	print  [sha256.Size]byte
	// retired means that its issuer has withdrawn it. What was verified with it no longer
	// counts.
	retired atomic.Bool

	macs [3]sync.Pool // of hash.Hash, for a secret: HMACs of HS256, HS384 and HS512
}

// verifies tells whether a token is signed with the key.
func (k *key) verifies(alg algorithm, p *parsed) bool {
	method, ok := alg.method.(*jwt.SigningMethodHMAC)
	if !ok {
		return alg.method.Verify(string(p.signed), p.signature, k.public) == nil
	}
	pool := &k.macs[macOf[method.Hash]]
	mac, ok := pool.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(method.Hash.New, k.public.([]byte))
	}
	defer pool.Put(mac)
	mac.Reset()
	mac.Write(p.signed)
	var sum [sha512.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), p.signature)
}

// macOf is where a key has the HMACs that use a hash.
var macOf = map[crypto.Hash]int{crypto.SHA256: 0, crypto.SHA384: 1, crypto.SHA512: 2}

// String keeps a secret out of messages.
func (k *key) String() string { return fmt.Sprintf("key %q", k.id) }

// allows tells whether the key may verify tokens of an algorithm.
func (k *key) allows(alg algorithm) bool {
	return k.kind == alg.kind && (k.alg == "" || sameAlgorithm(k.alg, alg.name))
}

// newKey checks a public key, or a secret.
func newKey(id, alg string, public any) (*key, error) {
	k := &key{id: id, public: public, kind: kindOf(public), alg: alg}
	var body []byte
	switch public := public.(type) {
	case []byte:
		body = public
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; it must have %d to %d", bits, minRSABits, maxRSABits)
		}
	}
	if k.kind == noKind {
		return nil, fmt.Errorf("a key whose type or curve no algorithm has (%T); use RSA, P-256, P-384, P-521 or Ed25519", public)
	}
	if named, known := algorithms[alg]; alg != "" && (!known || named.kind != k.kind) {
		return nil, fmt.Errorf("a key for the algorithm %.20q, which does not fit its type", alg)
	}
	if body == nil {
		var err error
		if body, err = x509.MarshalPKIXPublicKey(public); err != nil {
			return nil, fmt.Errorf("a key that cannot be used: %w", err)
		}
	}
	k.print = sha256.Sum256(fmt.Appendf(nil, "%d %q %q %s", k.kind, id, alg, body))
	return k, nil
}

// keySet are the keys of an issuer. It is immutable.
type keySet struct {
	keys    []*key
	skipped []string // what is wrong with keys that are not used
}

// candidates are the keys that may verify a token: those of its algorithm with its key
// id, and those without an id. A token without a key id fits all of its algorithm.
func (s *keySet) candidates(alg algorithm, id string) (found []*key) {
	if s == nil {
		return nil
	}
	for _, k := range s.keys {
		if k.allows(alg) && (id == "" || k.id == "" || k.id == id) {
			found = append(found, k)
		}
	}
	return found
}

// names tells whether a key has this id.
func (s *keySet) names(id string) bool {
	return s != nil && slices.ContainsFunc(s.keys, func(k *key) bool { return k.id == id })
}

// restrict leaves out the keys that allow none of the algorithms, and limits the others
// to these. Without algorithms all stay.
func (s *keySet) restrict(to []string) {
	if len(to) == 0 {
		return
	}
	var kept []*key
	for _, k := range s.keys {
		for _, name := range to {
			if k.allows(algorithms[name]) {
				if one, err := newKey(k.id, name, k.public); err == nil {
					kept = append(kept, one)
				}
			}
		}
	}
	s.keys = kept
}

// checkSecret tells what is wrong with an HMAC secret. A public key as a secret would
// let everybody sign, since everybody may know it.
func checkSecret(secret string) error {
	switch {
	case strings.Contains(secret, "-----BEGIN"):
		return errors.New("the secret is a PEM key; a public key belongs into keys, in an entry of issuers")
	case looksLikeJWK([]byte(secret)):
		return errors.New("the secret is a JSON Web Key; the secret of a symmetric one (oct) is the bytes that its k stands for, a public one belongs into keys, in an entry of issuers")
	case isEncodedPublicKey(secret):
		return errors.New("the secret is a public key in base64; it belongs into keys, as PEM, in an entry of issuers")
	case strings.HasPrefix(secret, "ssh-") || strings.HasPrefix(secret, "ecdsa-sha2-"):
		return errors.New("the secret is an SSH key")
	case strings.TrimSpace(secret) != secret:
		return errors.New("the secret begins or ends with white space")
	case len(secret) < MinSecret:
		return fmt.Errorf("the secret has %d bytes, must have at least %d; fleetcast token --new-secret makes one", len(secret), MinSecret)
	}
	return nil
}

// looksLikeJWK tells whether a text is a JSON Web Key or a set of them.
func looksLikeJWK(text []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return false
	}
	_, isKey := members["kty"]
	_, isSet := members["keys"]
	return isKey || isSet
}

func isEncodedPublicKey(text string) bool {
	block, _ := pem.Decode([]byte("-----BEGIN PUBLIC KEY-----\n" + strings.TrimSpace(text) + "\n-----END PUBLIC KEY-----\n"))
	if block == nil {
		return false
	}
	_, err := x509.ParsePKIXPublicKey(block.Bytes)
	return err == nil
}

// parseKeys reads public keys: PEM blocks, a JSON Web Key or a set of them. Every key
// must be right.
func parseKeys(text []byte) (*keySet, error) {
	if !looksLikeJWK(text) {
		return parsePEM(text)
	}
	set, err := parseJWKS(text)
	if err != nil {
		return nil, err
	}
	if len(set.skipped) > 0 {
		return nil, errors.New(set.skipped[0])
	}
	return set, nil
}

func parsePEM(text []byte) (*keySet, error) {
	set := &keySet{}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return nil, errors.New("what follows the keys is neither PEM nor JSON")
			}
			break
		}
		public, err := publicKey(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", len(set.keys)+1, err)
		}
		k, err := newKey("", "", public)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d is %w", len(set.keys)+1, err)
		}
		if set.keys = append(set.keys, k); len(set.keys) > maxKeys {
			return nil, fmt.Errorf("there are more than %d keys", maxKeys)
		}
	}
	if len(set.keys) == 0 {
		return nil, errors.New("there is no key")
	}
	return set, nil
}

func publicKey(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("it is a private key; the gateway needs the public one only")
	}
	return nil, fmt.Errorf("it is a %.40q, not a public key", block.Type)
}

// errNoKeys means that a set of keys has none that can be used. For an issuer that is
// fetched, this is no answer.
var errNoKeys = errors.New("there is no usable key")

// parseJWKS reads a JSON Web Key or a set of them. Keys that cannot be used are skipped.
func parseJWKS(text []byte) (*keySet, error) {
	var read struct {
		Keys []json.RawMessage `json:"keys"`
		Type string            `json:"kty"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("it is not a JSON Web Key Set: %w", err)
	}
	if read.Type != "" {
		read.Keys = []json.RawMessage{text}
	}
	set := &keySet{}
	for i, raw := range read.Keys {
		if len(set.keys) == maxKeys {
			set.skipped = append(set.skipped, fmt.Sprintf("there are more than %d keys", maxKeys))
			break
		}
		k, err := parseJWK(raw)
		if err != nil {
			set.skipped = append(set.skipped, fmt.Sprintf("key %d: %v", i+1, err))
			continue
		}
		if !slices.ContainsFunc(set.keys, func(other *key) bool { return other.print == k.print }) {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		if len(set.skipped) > 0 {
			return nil, fmt.Errorf("%w: %s", errNoKeys, set.skipped[0])
		}
		return nil, errNoKeys
	}
	return set, nil
}

func parseJWK(raw []byte) (*key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("it is not a JSON Web Key: %w", err)
	}
	switch {
	case m.KTY == jwkset.KtyOct:
		return nil, errors.New("it is a symmetric key, which belongs into secret")
	case m.D != "":
		return nil, errors.New("it is a private key; the gateway needs the public one only")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return nil, fmt.Errorf("its use is %.20q, not sig", m.USE)
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return nil, errors.New("its key_ops do not include verify")
	}
	// Certificates beside the key say nothing that is needed, and one with an address would
	// be fetched.
	m.X5U, m.X5C, m.X5T, m.X5TS256 = "", nil, "", ""
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, fmt.Errorf("it cannot be used: %w", err)
	}
	switch public := parsed.Key().(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		k, err := newKey(m.KID, m.ALG.String(), public)
		if err != nil {
			return nil, fmt.Errorf("it is %w", err)
		}
		return k, nil
	}
	return nil, fmt.Errorf("keys of the type %.20q verify no tokens", m.KTY)
}
