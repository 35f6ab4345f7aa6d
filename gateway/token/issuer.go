package token

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"fleetcast/gateway/identity"
)

// Issuer is the configuration of one that signs tokens.
type Issuer struct {
	// Issuer is the exact claim iss of its tokens. The entry without one is for tokens
	// that have no iss, or one that no other entry names.
	Issuer string
	// Secret is what tokens are signed with by HMAC: at least MinSecret bytes.
	Secret string
	// Keys are public keys: PEM, a JSON Web Key, a set of them, or the path of a file
	// that holds one of these.
	Keys string
	// JWKS is the URL of a JSON Web Key Set, which is fetched now and then: https, or
	// http on loopback.
	JWKS string
	// Algorithms are those that are taken, of those that the keys allow. Empty: all that
	// they allow.
	Algorithms []string
	// Audience are the names of this gateway. A token must name one of them in aud. Empty:
	// aud is not looked at.
	Audience []string
	// Claim is where a token has its grants, UserClaim where it has its user. A name with
	// a dot is a way through nested objects, such as app_metadata.fleetcast. A name with a
	// slash or a colon, such as https://example.com/fleetcast, is one name. Empty: those of
	// [Options].
	Claim, UserClaim string
}

// String leaves the secret out.
func (i Issuer) String() string {
	if i.Secret != "" {
		i.Secret = "(hidden)"
	}
	type plain Issuer // without this method
	return fmt.Sprintf("%+v", plain(i))
}

// GoString leaves the secret out.
func (i Issuer) GoString() string { return i.String() }

// Check names the first thing that is wrong with i. It reads the file of keys, but asks
// no server.
func (i *Issuer) Check() error {
	_, err := i.load()
	return err
}

// load makes the keys that need no fetching.
func (i *Issuer) load() (*keySet, error) {
	if i.Secret == "" && i.Keys == "" && i.JWKS == "" {
		return nil, errors.New("an issuer needs a secret, keys, or the URL of a key set (jwks)")
	}
	if i.Keys != "" && i.JWKS != "" {
		return nil, errors.New("an issuer has keys and jwks; one of them must go")
	}
	if err := i.checkNames(); err != nil {
		return nil, err
	}
	if i.JWKS != "" {
		if err := checkURL(i.JWKS); err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
	}
	set := &keySet{}
	if i.Keys != "" {
		text, err := keyText(i.Keys)
		if err != nil {
			return nil, err
		}
		if set, err = parseKeys(text); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
	}
	if i.Secret != "" {
		if err := checkSecret(i.Secret); err != nil {
			return nil, err
		}
		k, err := newKey("", "", []byte(i.Secret))
		if err != nil {
			return nil, err
		}
		set.keys = append(set.keys, k)
	}
	if set.restrict(i.Algorithms); len(set.keys) == 0 && i.JWKS == "" {
		return nil, fmt.Errorf("no key allows one of the algorithms %s", strings.Join(i.Algorithms, ", "))
	}
	return set, nil
}

func (i *Issuer) checkNames() error {
	for _, name := range i.Algorithms {
		if isNone(name) {
			return errors.New("the algorithm none is never taken")
		}
		if _, known := algorithms[name]; !known {
			return fmt.Errorf("the algorithm %.20q is not one of %s", name, algorithmNames)
		}
	}
	if slices.Contains(i.Audience, "") {
		return errors.New("an audience is empty")
	}
	for _, claim := range []string{i.Claim, i.UserClaim} {
		if claim != "" && slices.Contains(claimPath(claim), "") {
			return fmt.Errorf("the name of a claim, %.60q, has an empty part", claim)
		}
	}
	return nil
}

// keyText is the text of keys, or of the file that they name.
func keyText(keys string) ([]byte, error) {
	if strings.Contains(keys, "-----BEGIN") || strings.HasPrefix(strings.TrimSpace(keys), "{") {
		return []byte(keys), nil
	}
	text, err := ReadRegular(keys, maxSetSize)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("keys are neither PEM nor JSON, and no file: %w", err)
	case err != nil:
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	return text, nil
}

// checkURL checks the URL of a key set. On the way from a server without TLS, everybody
// could put keys of their own into it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("it is not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("it must begin with https://")
	case u.Host == "":
		return errors.New("it names no host")
	case u.User != nil:
		return errors.New("it must not hold a user or password")
	case u.Fragment != "":
		return errors.New("it must not have a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("it must begin with https://; http is taken on loopback only")
	}
	return nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// issuer is an Issuer at work.
type issuer struct {
	config      Issuer // with the text of its keys, and its claims named
	digest      identity.IssuerDigest
	claim, user []string
	static      *keySet // of the secret and of configured keys
	remote      *remote // nil without a JWKS
	// retired means that it is no longer configured as it is here.
	retired atomic.Bool
}

// newIssuer makes all but remote.
func newIssuer(config Issuer, o *Options) (*issuer, error) {
	config.Claim = cmp.Or(config.Claim, o.Claim, DefaultClaim)
	config.UserClaim = cmp.Or(config.UserClaim, o.UserClaim, DefaultUserClaim)
	config.Algorithms, config.Audience = slices.Clone(config.Algorithms), slices.Clone(config.Audience)
	static, err := config.load()
	if err != nil {
		return nil, err
	}
	if config.Keys != "" { // so that a changed file makes another issuer
		text, err := keyText(config.Keys)
		if err != nil {
			return nil, err
		}
		config.Keys = string(text)
	}
	return &issuer{config: config, digest: identity.DigestIssuer(config.Issuer), claim: claimPath(config.Claim), user: claimPath(config.UserClaim), static: static}, nil
}

// same tells whether two issuers are configured alike, down to their keys.
func (i *issuer) same(other *issuer) bool { return reflect.DeepEqual(i.config, other.config) }

// current is the set of keys that is fetched, nil without one.
func (i *issuer) current() *keySet {
	if i.remote == nil {
		return nil
	}
	return i.remote.set.Load()
}
