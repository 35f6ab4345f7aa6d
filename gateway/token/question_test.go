package token_test

import (
	"fmt"
	"strings"
	"testing"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// TestQuestionsAreUsedAgain has what was answered about tokens stay as it is while other
// tokens take their place in memory.
func TestQuestionsAreUsedAgain(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Secret: secret}}})
	of := func(i int) (user, pattern string) { return fmt.Sprintf("user %03d", i), fmt.Sprintf("chat.%03d.*", i) }
	made := func(i int, add map[string]any) string {
		user, pattern := of(i)
		all := map[string]any{"sub": user, "fleetcast": map[string]any{"subscribe": []string{pattern}, "auto": []string{"auto." + user[5:]}}}
		for name, value := range add {
			all[name] = value
		}
		return sign(t, "HS256", fmt.Sprintf("key %03d", i), []byte(secret), claims(c, all))
	}
	identities, refusals := make([]*identity.Identity, 200), make([]*token.Refusal, 200)
	subscriptions := make([]*token.Subscription, 200)
	for i := range identities {
		identities[i] = want(t, v, made(i, nil), "accepted").Identity
		refusals[i] = want(t, v, made(i, map[string]any{"iss": fmt.Sprintf("issuer %03d", i)}), token.UnknownIssuer).Refusal
		answer, _ := v.QuickSubscription([]byte(made(i, map[string]any{"channel": fmt.Sprintf("one.%03d", i)})))
		subscriptions[i] = answer.Subscription
	}
	for i, id := range identities {
		user, pattern := of(i)
		if id.User != user || id.Grants.Subscribe[0] != pattern || id.Grants.Auto[0] != "auto."+user[5:] {
			t.Fatalf("client %d has become %+v, %s", i, id, id.Grants.Text())
		}
		if !strings.Contains(refusals[i].Message, fmt.Sprintf("issuer %03d", i)) {
			t.Fatalf("refusal %d has become %v", i, refusals[i])
		}
		if s := subscriptions[i]; s.User != user || s.Channels[0] != fmt.Sprintf("one.%03d", i) {
			t.Fatalf("subscription %d has become %+v", i, s)
		}
	}
}

// TestKnownHeads has tokens with the head of another one be read as that is, and no other.
func TestKnownHeads(t *testing.T) {
	c := newClock()
	v := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Secret: secret}}})
	for range 2 {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			want(t, v, sign(t, alg, "", []byte(secret), claims(c, nil)), "accepted")
			for _, other := range []string{"HS256", "HS384", "HS512"} {
				text := sign(t, alg, "", []byte(secret), claims(c, map[string]any{"sub": other}))
				swapped := sign(t, other, "", []byte(secret), claims(c, map[string]any{"sub": other}))
				parts, head := strings.Split(text, "."), strings.Split(swapped, ".")[0]
				reason := token.Invalid
				if alg == other {
					reason = "accepted"
				}
				want(t, v, head+"."+parts[1]+"."+parts[2], reason)
			}
		}
	}
}
