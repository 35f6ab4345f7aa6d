package credential

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// SigningKey reads a secret or a private key to sign tokens with. Either may be empty.
// The error names the flag.
func SigningKey(secret, private Reference, secretFlag, privateFlag string) (key token.SigningKey, err error) {
	if secret != "" && private != "" {
		return key, fmt.Errorf("%s and %s exclude each other", secretFlag, privateFlag)
	}
	for _, of := range []struct {
		from Reference
		to   *string
		flag string
	}{{secret, &key.Secret, secretFlag}, {private, &key.Private, privateFlag}} {
		if of.from == "" {
			continue
		}
		if *of.to, err = of.from.Read(); err != nil {
			return key, fmt.Errorf("%s: %w", of.flag, err)
		}
	}
	return key, nil
}

// ManyFlags are the flags by which each of many clients gets a token of its own.
type ManyFlags struct {
	TokenSecret    Reference     `placeholder:"file:PATH|env:NAME" help:"Give each client a token of its own, signed with this secret (HMAC)."`
	TokenKey       Reference     `placeholder:"file:PATH|env:NAME" help:"The same, signed with this private key (PEM)."`
	TokenAlg       string        `placeholder:"ALG" help:"Algorithm of these tokens, such as HS256 or ES256. Without it, the usual one of the key."`
	TokenUser      string        `default:"load-{n}" placeholder:"NAME" help:"Their user; {n} is the client's number, from 0."`
	TokenUsers     int           `placeholder:"N" help:"How many users there are: numbers begin again after so many clients, and clients with the same number show the same token. Without it, each client has a number of its own."`
	TokenSubscribe []string      `sep:" " default:"**" placeholder:"PATTERN" help:"Channels that they grant to subscribe to. May be repeated."`
	TokenIssuer    string        `placeholder:"NAME" help:"Their issuer (iss)."`
	TokenAudience  []string      `placeholder:"NAME" help:"Their audience (aud). May be repeated."`
	TokenTTL       time.Duration `name:"token-ttl" default:"1h" placeholder:"TIME" help:"How long they are good. They are made before the run, which should be over by then."`
}

// clientNumber stands for a client's number in the name of a user.
const clientNumber = "{n}"

// Given tells whether clients get tokens of their own.
func (f *ManyFlags) Given() bool { return f.TokenSecret != "" || f.TokenKey != "" }

// Maker returns what makes a token of a client, by the client's number. nth is 0, and 1 for
// a second token, which is another text: it was issued at now, the first one a second before.
// Any goroutine may call it.
func (f *ManyFlags) Maker(now time.Time) (func(client, nth int) (string, error), error) {
	key, err := SigningKey(f.TokenSecret, f.TokenKey, "--token-secret", "--token-key")
	if err != nil {
		return nil, err
	}
	key.Algorithm = f.TokenAlg
	signer, err := token.NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("signing tokens: %w", err)
	}
	if f.TokenTTL < time.Second {
		return nil, errors.New("--token-ttl must be at least 1s")
	}
	grants, err := identity.GrantsOf(identity.Lists{Subscribe: f.TokenSubscribe})
	if err != nil {
		return nil, fmt.Errorf("--token-subscribe: %w", err)
	}
	if f.TokenUsers < 0 {
		return nil, errors.New("--token-users must not be negative")
	}
	claims := token.Claims{Issuer: f.TokenIssuer, Audience: f.TokenAudience, Grants: grants, Expires: now.Add(f.TokenTTL)}
	make := func(client, nth int) (string, error) {
		own := claims
		own.User = strings.ReplaceAll(f.TokenUser, clientNumber, strconv.Itoa(client))
		own.Issued = now.Add(time.Duration(nth-1) * time.Second)
		return signer.Sign(own)
	}
	if f.TokenUsers == 0 {
		return make, nil
	}
	return ofUsers(f.TokenUsers, make), nil
}

// ofUsers makes each token of each user once.
func ofUsers(users int, make func(user, nth int) (string, error)) func(client, nth int) (string, error) {
	type which struct{ user, nth int }
	var mu sync.Mutex
	made := map[which]string{}
	return func(client, nth int) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		of := which{client % users, nth}
		if text, ok := made[of]; ok {
			return text, nil
		}
		text, err := make(of.user, of.nth)
		made[of] = text
		return text, err
	}
}
