package hook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"fleetcast/gateway/hook"
)

// TestAnswersInTheLog has endpoints give answers that are none, some of which repeat what they
// were sent. The log shows the beginning of each in one line, and no secret.
func TestAnswersInTheLog(t *testing.T) {
	t.Parallel()
	const token, opaque, cookie = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl", "opaque/token+with&<signs>=", "session=8f14e45fceea167a"
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   string // the attribute "answer", as text; empty: there is none
	}{
		{"nothing", 200, "", ""},
		{"a body that is no answer", 200, `{"error": "database is down"}`, `{"error": "database is down"}`},
		{"a misspelt member", 200, `{"usr":"alice"}`, `{"usr":"alice"}`},
		{"a page", 200, "<html>\n  <body>\r\n\tLogin", "<html> <body> Login"},
		{"a status", 500, "panic: nil map\n\ngoroutine 7", "panic: nil map goroutine 7"},
		{"a redirect", 302, "Found", "Found"},
		{"401", 401, `{"detail":"bad key"}`, `{"detail":"bad key"}`},
		{"403 that allows", 403, `{"user":"alice"}`, `{"user":"alice"}`},
		{"control characters", 500, "a\x00b\x1b[31mc\u202ed", `a\x00b\x1b[31mc\u202ed`},
		{"not UTF-8", 500, "a\xff\xfeb", "a\ufffdb"},
		{"long", 500, strings.Repeat("é", 3000), strings.Repeat("é", 100) + "…"},
		{"too long", 200, strings.Repeat("x", 100_000), strings.Repeat("x", 200) + "…"},
		{"the token", 500, "bad token " + opaque + "!", "bad token …!"},
		{"a part of the token", 500, "bad token " + opaque[:15] + "...", "bad token …..."},
		{"the end of the token", 500, "bad token ..." + opaque[9:], "bad token ...…"},
		{"the token in JSON", 200, `{"got":"opaque\/token+with\u0026\u003csigns\u003e="}`, `{"got":"…"}`},
		{"the token in a URL", 500, "/?t=opaque%2Ftoken%2Bwith%26%3Csigns%3E%3D&a", "/?t=…&a"},
		{"a JSON Web Token", 500, "bad token " + token, "bad token eyJ…"},
		{"half a JSON Web Token", 500, "bad token " + token[:30] + " is cut", "bad token eyJ… is cut"},
		{"a secret where the line is cut", 500, strings.Repeat("x", 190) + " " + opaque + " end", strings.Repeat("x", 190) + " … end"},
		{"the gateway's secret", 401, "you are 's3cret-of-the-gateway'", "you are '…'"},
		{"its header", 401, "Authorization: Bearer s3cret-of-the-gateway", "Authorization: …"},
		{"a cookie", 500, "no " + cookie + " here", "no … here"},
		{"the client's query", 500, "at /ws?room=12345678&key=abcd", "at /ws?…"},
		{"the client's query, unescaped", 500, "wrong p@ss!word given", "wrong … given"},
		{"the URL's query", 500, "at /hook?key=url-secret", "at /hook?…"},
		{"the URL's path", 404, "Cannot POST /hook/short", "Cannot POST /hook/short"},
		{"a secret in the path", 404, "Cannot POST /hook/short/T0B1C2D3E4F5G6H7I8", "Cannot POST /hook/short/…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(answers(test.status, test.body))
			t.Cleanup(server.Close)
			o, log := options(server.URL + "/hook/short/T0B1C2D3E4F5G6H7I8?key=url-secret")
			o.Header, o.Forward = http.Header{"Authorization": {"Bearer s3cret-of-the-gateway"}}, []string{"Cookie", "Accept-Language"}
			outcome := newHook(t, o).Connect(t.Context(), hook.ConnectRequest{
				Query: "room=12345678&key=abcd&pw=p%40ss%21word", Token: opaque, Header: http.Header{"Cookie": {cookie}, "Accept-Language": {"de"}},
			})
			if reasonOf(outcome) != "hook_failed" {
				t.Errorf("%+v", outcome)
			}
			if strings.Count(log.String(), "\n") != 1 {
				t.Errorf("logs %s", log)
			}
			got := ""
			if found := regexp.MustCompile(` answer=("(?:[^"\\]|\\.)*"|\S*)`).FindStringSubmatch(log.String()); found != nil {
				got = found[1]
			}
			if want := fmt.Sprintf("%q", test.want); test.want == "" && got != "" || test.want != "" && got != want && got != test.want {
				t.Errorf("the log shows %s, want %s", got, want)
			}
		})
	}
}
