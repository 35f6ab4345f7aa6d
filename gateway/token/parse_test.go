package token_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"fleetcast/gateway/token"
)

// spell signs a head and claims as they are spelled.
func spell(head, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func hmacVerifier(t testing.TB, c *clock) *token.Verifier {
	return newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}})
}

// TestSpelledTokens reads tokens that are signed well, and spelled in all manners.
func TestSpelledTokens(t *testing.T) {
	c := newClock()
	v := hmacVerifier(t, c)
	const head, exp = `{"alg":"HS256"}`, `"exp":1800003600`
	many := func(n int) (all string) {
		for i := range n {
			all += fmt.Sprintf(`"m%d":0,`, i)
		}
		return all
	}
	for _, test := range []struct{ name, head, claims, want, message string }{
		{"the least", head, `{` + exp + `}`, "accepted", ""},
		{"white space", " {\n \"alg\" : \"HS256\" } ", "\t{ \"exp\" : 1800003600 }\n", "accepted", ""},
		{"escapes", `{"\u0061lg":"HS\u0032\u003556"}`, `{"\u0065xp":1800003600}`, "token_invalid", "HS2556"},
		{"more escapes", `{"\u0061lg":"HS\u003256"}`, `{"\u0065xp":1800003600}`, "accepted", ""},
		{"other members", `{"alg":"HS256","typ":"at+jwt","x5t":"x","cty":"json","jku":"https://evil.example"}`, `{` + exp + `,"x":[{}]}`, "accepted", ""},
		{"a fraction", head, `{"exp":1.8000036005e9}`, "accepted", ""},
		{"many members", head, `{` + many(127) + exp + `}`, "accepted", ""},
		{"too many members", head, `{` + many(128) + exp + `}`, token.Malformed, "the object has too many members"},

		{"critical extensions", `{"alg":"HS256","crit":["b64"],"b64":false}`, `{` + exp + `}`, token.Malformed, "crit"},
		{"crit is empty", `{"alg":"HS256","crit":[]}`, `{` + exp + `}`, token.Malformed, "crit"},
		{"crit with an escape", `{"alg":"HS256","cr\u0069t":["x"]}`, `{` + exp + `}`, token.Malformed, "crit"},
		{"b64", `{"alg":"HS256","b64":false}`, `{` + exp + `}`, token.Malformed, "b64"},
		{"encrypted", `{"alg":"HS256","enc":"A128GCM"}`, `{` + exp + `}`, token.Malformed, "encrypted"},
		{"nested by its head", `{"alg":"HS256","cty":"jwt"}`, `{` + exp + `}`, token.Malformed, "another token"},
		{"nested", head, spell(head, `{`+exp+`}`), token.Malformed, "another token"},
		{"alg twice", `{"alg":"HS256","alg":"HS256"}`, `{` + exp + `}`, token.Malformed, "the token's head has a member twice"},
		{"alg twice, once with an escape", `{"alg":"HS256","al\u0067":"none"}`, `{` + exp + `}`, token.Malformed, "twice"},
		{"an unknown member twice", head, `{` + exp + `,"x":1,"x":1}`, token.Malformed, "the object has a member twice"},
		{"exp twice", head, `{` + exp + `,` + exp + `}`, token.Malformed, "twice"},
		{"alg in capitals", `{"ALG":"HS256"}`, `{` + exp + `}`, token.Malformed, "names no algorithm"},
		{"alg is a number", `{"alg":256}`, `{` + exp + `}`, token.Malformed, "alg is not a text"},
		{"kid is a number", `{"alg":"HS256","kid":1}`, `{` + exp + `}`, token.Malformed, "kid is not a text"},
		{"the head is a list", `[]`, `{` + exp + `}`, token.Malformed, "the token's head is not a JSON object"},
		{"the claims are a list", head, `[]`, token.Malformed, "the object is not a JSON object"},
		{"the claims are empty", head, ``, token.Malformed, "is not a JSON object"},
		{"claims with a rest", head, `{` + exp + `}{}`, token.Malformed, "is not a JSON object"},
		{"not UTF-8", head, `{` + exp + ",\"sub\":\"\xff\"}", token.Malformed, "is not a JSON object"},
		{"a mark before", head, "\ufeff{" + exp + `}`, token.Malformed, "is not a JSON object"},

		{"none", `{"alg":"none"}`, `{` + exp + `}`, token.Invalid, "algorithm is none"},
		{"NONE", `{"alg":"NONE"}`, `{` + exp + `}`, token.Invalid, "algorithm is none"},
		{"exp is a text", head, `{"exp":"1800003600"}`, token.Malformed, "exp is not a number"},
		{"exp is null", head, `{"exp":null}`, token.Malformed, "exp is not a number"},
		{"exp is huge", head, `{"exp":1e300}`, "accepted", ""},
		{"exp is beyond numbers", head, `{"exp":1e999}`, token.Malformed, "exp is not a number"},
		{"exp is long ago", head, `{"exp":-1e300}`, token.Expired, "expired"},
		{"nbf is a text", head, `{` + exp + `,"nbf":"0"}`, token.Malformed, "nbf is not a number"},
		{"nbf is huge", head, `{` + exp + `,"nbf":1e300}`, token.NotYetValid, "clocks"},
		{"iss is a number", head, `{` + exp + `,"iss":1}`, token.Malformed, "iss"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := want(t, v, spell(test.head, test.claims), test.want)
			if got.Refusal != nil && !strings.Contains(got.Refusal.Message, test.message) {
				t.Errorf("%q, want %q in it", got.Refusal.Message, test.message)
			}
		})
	}
}

// TestTextsThatAreNoTokens names what else a text may be.
func TestTextsThatAreNoTokens(t *testing.T) {
	v := hmacVerifier(t, newClock())
	good := spell(`{"alg":"HS256"}`, `{"exp":1800003600}`)
	parts := strings.Split(good, ".")
	want(t, v, good, "accepted")
	for _, test := range []struct{ name, text, message string }{
		{"nothing", "", "three parts"},
		{"a word", "secret", "three parts"},
		{"two parts", parts[0] + "." + parts[1], "three parts"},
		{"four parts", good + ".", "three parts"},
		{"five parts", good + ".e30.e30", "encrypted (JWE)"},
		{"dots", "..", "the token's head is not a JSON object"},
		{"the scheme before", "Bearer " + good, "leave it out"},
		{"quotes", `"` + good + `"`, "quotes"},
		{"padding", good + "=", "padding"},
		{"a line feed behind", good + "\n", "characters"},
		{"a line feed within", parts[0] + "." + parts[1] + ".\n" + parts[2], "characters"},
		{"a NUL", good + "\x00", "characters"},
		{"not ASCII", "é" + good, "characters"},
		{"bits behind the signature's end", good[:len(good)-1] + string(good[len(good)-1]+1), "the token's signature is not base64url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := want(t, v, test.text, token.Malformed)
			if got.Refusal != nil && !strings.Contains(got.Refusal.Message, test.message) {
				t.Errorf("%q, want %q in it", got.Refusal.Message, test.message)
			}
		})
	}
	for _, size := range []int{token.MaxToken + 1, 1 << 20} {
		want(t, v, strings.Repeat("a", size), token.TooLarge)
	}
	want(t, v, strings.Repeat("a", token.MaxToken), token.Malformed)
}

// FuzzToken has texts taken only where golang-jwt takes them too, and signs what is
// no token of the corpus. Messages stay short and in one line.
func FuzzToken(f *testing.F) {
	c := newClock()
	v := hmacVerifier(f, c)
	oracle := jwt.NewParser(jwt.WithExpirationRequired(), jwt.WithLeeway(30*time.Second), jwt.WithTimeFunc(c.now),
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithStrictDecoding())
	f.Add(`{"alg":"HS256"}`, `{"exp":1800003600}`)
	f.Add(`{"alg":"HS256","kid":"a","crit":[]}`, `{"exp":1800003600,"nbf":1,"aud":["a"],"sub":"x","fleetcast":{"subscribe":["a.*"]}}`)
	f.Add(`{"alg":"none"}`, `{"exp":1.8e9,"channel":"a","sub":7}`)
	f.Add(`{"alg":"HS256"}`, `{"exp":1800003600,"fleetcast":{"auto":["a"],"publish":null},"iss":"x"}`)
	f.Fuzz(func(t *testing.T, head, claims string) {
		for _, text := range []string{spell(head, claims), head + "." + claims, head} {
			verdict, left := v.Quick([]byte(text))
			if left != nil {
				t.Fatalf("no answer about %q", text)
			}
			if r := verdict.Refusal; r != nil {
				if len(r.Message) > 300 || strings.ContainsAny(r.Message, "\n\r\x00") || !utf8.ValidString(r.Message) || r.Temporary {
					t.Errorf("%q is refused with %q", text, r.Message)
				}
				continue
			}
			_, err := oracle.Parse(text, func(*jwt.Token) (any, error) { return []byte(secret), nil })
			if err != nil && !errors.Is(err, jwt.ErrTokenExpired) { // it does not cut fractions off as we do
				t.Errorf("%q is taken, by golang-jwt refused: %v", text, err)
			}
		}
	})
}
