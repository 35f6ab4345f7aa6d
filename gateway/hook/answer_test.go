package hook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"fleetcast/gateway/identity"
)

// moment is when the answers of these tests come.
var moment = time.UnixMilli(1_700_000_000_250)

func TestReadConnectAllows(t *testing.T) {
	for _, test := range []struct {
		name, text, user, grants string
		expires                  int64
	}{
		{"a user alone", `{"user":"alice"}`, "alice", `{}`, 0},
		{"nobody in particular", `{"user":""}`, "", `{}`, 0},
		{"everything", `{"user":"alice","grants":{"subscribe":["chat.a"],"publish":["chat.b"],"auto":["n"]},"subscriptions":["m"],"expires_in_ms":60000}`,
			"alice", `{"subscribe":["chat.a"],"publish":["chat.b"],"auto":["n","m"]}`, 1_700_000_061},
		{"null is missing", `{"user":"a","grants":null,"subscriptions":null,"expires_in_ms":null,"refuse":null}`, "a", `{}`, 0},
		{"the same channel twice", `{"user":"a","grants":{"auto":["n"]},"subscriptions":["n","n"]}`, "a", `{"auto":["n"]}`, 0},
		{"characters that encoding/json escapes", `{"user":"<é\"\u20ac>","subscriptions":["<&>"]}`, `<é"€>`, `{"auto":["\u003c\u0026\u003e"]}`, 0},
		{"a byte order mark", "\ufeff {\"user\":\"a\"} \n", "a", `{}`, 0},
		{"a thousandth of a second", `{"user":"a","expires_in_ms":1}`, "a", `{}`, 1_700_000_001},
		{"the longest time", `{"user":"a","expires_in_ms":9007199254740991}`, "a", `{}`, identity.Latest},
		{"the longest user", `{"user":"` + strings.Repeat("u", identity.MaxUser) + `"}`, strings.Repeat("u", identity.MaxUser), `{}`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := readConnect(new(identity.Interner))([]byte(test.text), moment)
			if err != nil || v.refusal != nil || v.identity == nil {
				t.Fatalf("%+v, %v", v, err)
			}
			if who := v.identity; who.User != test.user || who.Grants.Text() != test.grants || who.Expires != test.expires || v.expires != test.expires {
				t.Errorf("%q, %s, %d", who.User, who.Grants.Text(), who.Expires)
			}
		})
	}
}

// patterns is a JSON array of n different texts.
func patterns(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"c%d"`, i))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func TestReadConnectFails(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", ``, "not a JSON object"},
		{"a page", `<html>`, "not a JSON object"},
		{"an array", `["alice"]`, "not a JSON object"},
		{"a text", `"alice"`, "not a JSON object"},
		{"cut off", `{"user":"alice"`, "not a JSON object"},
		{"two objects", `{"user":"alice"}{}`, "not a JSON object"},
		{"not UTF-8", "{\"user\":\"a\xff\"}", "not a JSON object"},
		{"a control byte", "{\"user\":\"a\x01\"}", "not a JSON object"},
		{"an empty object", `{}`, `neither "user" nor "refuse"`},
		{"no user", `{"grants":{"subscribe":["*"]}}`, `neither "user" nor "refuse"`},
		{"user null", `{"user":null}`, `neither "user" nor "refuse"`},
		{"an error of another kind", `{"error":"database is down"}`, `"error" is none of`},
		{"a member misspelt", `{"user":"a","expires_in":60}`, `"expires_in" is none of`},
		{"the subscribe hook's answer", `{"allow":true}`, `"allow" is none of`},
		{"other case", `{"User":"a"}`, `"User" is none of`},
		{"user twice", `{"user":"a","user":"root"}`, `"user" is there twice`},
		{"user twice, once null", `{"user":null,"user":"root"}`, `"user" is there twice`},
		{"user twice, once with an escape", `{"user":"a","us\u0065r":"root"}`, `"user" is there twice`},
		{"user a number", `{"user":42}`, `"user" is not a string`},
		{"user an object", `{"user":{"id":1}}`, `"user" is not a string`},
		{"user half a surrogate", `{"user":"\ud800"}`, `"user" is not a string`},
		{"user with a line end", `{"user":"a\nb"}`, `"user": a user's name has control characters`},
		{"user too long", `{"user":"` + strings.Repeat("u", identity.MaxUser+1) + `"}`, `"user": a user's name is longer than 255 bytes`},
		{"grants a list", `{"user":"a","grants":["*"]}`, `"grants": grants must be an object`},
		{"a grant a text", `{"user":"a","grants":{"subscribe":"*"}}`, `"grants": "subscribe" must be a list`},
		{"10,000 patterns", `{"user":"a","grants":{"subscribe":` + patterns(10_000) + `}}`, `"grants": "subscribe" has more than 64`},
		{"a pattern of 60 kB", `{"user":"a","grants":{"subscribe":["` + strings.Repeat("x", 60_000) + `"]}}`, `"grants": "subscribe": `},
		{"subscriptions a text", `{"user":"a","subscriptions":"news"}`, `"subscriptions" as "auto" must be a list`},
		{"subscriptions that would add members", `{"user":"a","subscriptions":{"x":1}}`, `"subscriptions" as "auto" must be a list`},
		{"10,000 subscriptions", `{"user":"a","subscriptions":` + patterns(10_000) + `}`, `"subscriptions" as "auto" has more than 32`},
		{"subscriptions too many with those of the grants", `{"user":"a","grants":{"auto":["x"]},"subscriptions":` + patterns(32) + `}`, `"subscriptions" with those of "grants"`},
		{"no channel name", `{"user":"a","subscriptions":["a b"]}`, `"subscriptions" as "auto"`},
		{"expired", `{"user":"a","expires_in_ms":0}`, `"expires_in_ms" is not`},
		{"expiry negative", `{"user":"a","expires_in_ms":-1}`, `"expires_in_ms" is not`},
		{"expiry with a fraction", `{"user":"a","expires_in_ms":1.5}`, `"expires_in_ms" is not`},
		{"expiry with an exponent", `{"user":"a","expires_in_ms":1e3}`, `"expires_in_ms" is not`},
		{"expiry a text", `{"user":"a","expires_in_ms":"60000"}`, `"expires_in_ms" is not`},
		{"expiry too large", `{"user":"a","expires_in_ms":9007199254740992}`, `"expires_in_ms" is not`},
		{"expiry false", `{"user":"a","expires_in_ms":false}`, `"expires_in_ms" is not`},
		{"both", `{"user":"a","refuse":{}}`, `"refuse" and something else`},
		{"refuse a text", `{"refuse":"no"}`, `"refuse": `},
		{"refuse true", `{"refuse":true}`, `"refuse": `},
		{"a reason that is a number", `{"refuse":{"reason":1}}`, `"reason" is not a string`},
		{"temporary a text", `{"refuse":{"temporary":"yes"}}`, `"temporary" is not`},
		{"a refusal misspelt", `{"refuse":{"resaon":"x"}}`, `"resaon" is none of`},
		{"nested deep", `{"user":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`, `"user" is not a string`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := readConnect(new(identity.Interner))([]byte(test.text), moment)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v; want an error with %s", v, err, test.want)
			}
			if v.identity != nil || v.refusal != nil {
				t.Errorf("the error comes with %+v", v)
			}
		})
	}
}

// TestGrantsAreShared reads the answers to many clients with the same grants.
func TestGrantsAreShared(t *testing.T) {
	read := readConnect(new(identity.Interner))
	for _, text := range []string{`{"user":"%d","grants":{"subscribe":["chat.a"]}}`, `{"user":"%d","grants":{"subscribe":["chat.a"]},"subscriptions":["n"]}`, `{"user":"%d"}`} {
		var first *identity.Grants
		for i := range 3 {
			v, err := read(fmt.Appendf(nil, text, i), moment)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = v.identity.Grants
			}
			if v.identity.Grants != first {
				t.Errorf("%s: the grants are not one and the same", text)
			}
		}
	}
}

func TestReadSubscribe(t *testing.T) {
	for _, test := range []struct {
		name, text string
		allowed    bool
		expires    int64
		want       string // in the error
	}{
		{"allowed", `{"allow":true}`, true, 0, ""},
		{"allowed for a while", `{"allow":true,"expires_in_ms":750}`, true, 1_700_000_001, ""},
		{"not allowed", `{"allow":false}`, false, 0, ""},
		{"refused", `{"refuse":{"reason":"not_a_member"}}`, false, 0, ""},
		{"nothing said", `{}`, false, 0, `neither "allow"`},
		{"null", `{"allow":null}`, false, 0, `neither "allow"`},
		{"a text", `{"allow":"true"}`, false, 0, `neither "allow"`},
		{"a number", `{"allow":1}`, false, 0, `neither "allow"`},
		{"twice", `{"allow":false,"allow":true}`, false, 0, `"allow" is there twice`},
		{"both", `{"allow":true,"refuse":{}}`, false, 0, `"refuse" and something else`},
		{"the connect hook's answer", `{"user":"alice"}`, false, 0, `"user" is none of`},
		{"a wrong expiry", `{"allow":true,"expires_in_ms":-1}`, false, 0, `"expires_in_ms" is not`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := readSubscribe([]byte(test.text), moment)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%+v, %v; want an error with %s", v, err, test.want)
				}
				return
			}
			if err != nil || (v.refusal == nil) != test.allowed || v.expires != test.expires || v.identity != nil {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func TestReadRefusal(t *testing.T) {
	const standard = "the application has refused it"
	for _, test := range []struct {
		name, text string
		want       Refusal
	}{
		{"bare", `{"refuse":{}}`, Refusal{Reason: "refused", Message: standard}},
		{"whole", `{"refuse":{"reason":"plan_ended","message":"Your plan has ended."}}`, Refusal{Reason: "plan_ended", Message: "Your plan has ended."}},
		{"temporary", `{"refuse":{"reason":"moving","temporary":true}}`, Refusal{Reason: "moving", Message: standard, Temporary: true}},
		{"not temporary", `{"refuse":{"temporary":false}}`, Refusal{Reason: "refused", Message: standard}},
		{"a reason with spaces", `{"refuse":{"reason":"Not allowed!"}}`, Refusal{Reason: "refused", Message: standard}},
		{"an empty reason", `{"refuse":{"reason":""}}`, Refusal{Reason: "refused", Message: standard}},
		{"the longest reason", `{"refuse":{"reason":"` + strings.Repeat("r", 32) + `"}}`, Refusal{Reason: strings.Repeat("r", 32), Message: standard}},
		{"a reason too long", `{"refuse":{"reason":"` + strings.Repeat("r", 33) + `"}}`, Refusal{Reason: "refused", Message: standard}},
		{"a message that splits a header", `{"refuse":{"message":"no\r\nSet-Cookie: a=b\u2028\u202e\u0000\ud800"}}`,
			Refusal{Reason: "refused", Message: "no  Set-Cookie: a=b   \ufffd"}},
		{"a message of blanks", `{"refuse":{"message":"\t \n"}}`, Refusal{Reason: "refused", Message: standard}},
		{"a long message", `{"refuse":{"message":"` + strings.Repeat("é", 5000) + `"}}`, Refusal{Reason: "refused", Message: strings.Repeat("é", 100) + "…"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, read := range map[string]reader{"connect": readConnect(new(identity.Interner)), "subscribe": readSubscribe} {
				v, err := read([]byte(test.text), moment)
				if err != nil || v.refusal == nil || *v.refusal != test.want || v.identity != nil {
					t.Errorf("%s: %+v, %+v, %v", name, v, v.refusal, err)
				}
			}
		})
	}
}

// FuzzAnswer reads any text as an answer of both kinds: what it allows is said in JSON,
// and what clients are told is short and can be shown.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"user":"alice","grants":{"subscribe":["chat.*"],"auto":["a"]},"subscriptions":["b"],"expires_in_ms":1000}`,
		`{"refuse":{"reason":"r","message":"m","temporary":true}}`, `{"allow":true,"expires_in_ms":1}`, `{"allow":false}`,
		`{"us\u0065r":"a","user":"b"}`, `{"user":"\ud800"}`, "\ufeff{}", `{"refuse":{"message":"\u0000"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, read := range map[string]reader{"user": readConnect(new(identity.Interner)), "allow": readSubscribe} {
			v, err := read(text, moment)
			if err != nil {
				if v != (verdict{}) || !utf8.ValidString(err.Error()) {
					t.Errorf("%q: %+v, %q", text, v, err)
				}
				continue
			}
			if r := v.refusal; r != nil {
				shown := strings.ContainsFunc(r.Message, func(c rune) bool { return !unicode.IsPrint(c) })
				if v.identity != nil || !isReason(r.Reason) || r.Message == "" || len(r.Message) > 210 || shown {
					t.Errorf("%q: %+v", text, r)
				}
				continue
			}
			var members map[string]json.RawMessage
			if err := json.Unmarshal([]byte(strings.TrimPrefix(string(text), "\ufeff")), &members); err != nil || members[name] == nil {
				t.Errorf("%q allows: %v", text, err)
			}
			if v.expires != 0 && v.expires <= moment.Unix() {
				t.Errorf("%q ends at %d", text, v.expires)
			}
			if who := v.identity; name == "user" {
				var user string
				if err := json.Unmarshal(members[name], &user); err != nil || who.User != user || len(user) > identity.MaxUser || who.Grants == nil || who.Expires != v.expires {
					t.Errorf("%q is %+v, %v", text, who, err)
				}
				if _, err := identity.ParseGrants([]byte(who.Grants.Text())); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
		}
	})
}
