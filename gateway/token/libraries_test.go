package token_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// library makes tokens in another language. Its program in testdata prints them.
type library struct {
	interpreter, file, install string
	probe                      []string // arguments that fail where it is not installed
}

var libraries = map[string]library{
	"jose":  {"node", "jose.cjs", "npm install --global jose", []string{"-e", `require("jose").SignJWT`}},
	"PyJWT": {"/usr/bin/python3", "pyjwt.py", "python3-jwt and python3-cryptography", []string{"-c", "import jwt, cryptography"}},
}

// made is what a library's program prints.
type made struct {
	Keys    []map[string]any  `json:"keys"`
	PEM     map[string]string `json:"pem"`
	Tokens  map[string]string `json:"tokens"`
	Refused map[string]string `json:"refused"`
}

// run is a library's program. It skips the test where the library is missing.
func (l *library) run(t *testing.T, arguments ...string) (m made) {
	t.Helper()
	testrun.OtherProcess(t)
	command := func(arguments ...string) *exec.Cmd {
		cmd := exec.Command(l.interpreter, arguments...)
		cmd.Env = append(os.Environ(), "NODE_PATH="+os.Getenv("NODE_PATH")+":/usr/local/lib/node_modules:/usr/lib/node_modules:/usr/share/nodejs")
		return cmd
	}
	if command(l.probe...).Run() != nil {
		t.Skipf("not installed (%s)", l.install)
	}
	cmd := command(append([]string{"testdata/" + l.file}, arguments...)...)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("its program fails: %v", err)
	}
	if err := json.Unmarshal(output, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOtherLibraries has libraries that issuers use make keys and tokens with each
// algorithm.
func TestOtherLibraries(t *testing.T) {
	for name, library := range libraries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			m := library.run(t, issName, fmt.Sprint(c.now().Unix()+600))
			if len(m.Tokens) < 13 || len(m.Refused) == 0 {
				t.Fatalf("tokens %v", slices.Sorted(maps.Keys(m.Tokens)))
			}
			server := newKeyServer(t, jwksOf(t, m.Keys...))
			fetching := jwksVerifier(t, c, server, func(o *token.Options) {
				o.Issuers[0].Secret, o.Issuers[0].Audience = secret, []string{"fleetcast"}
			})
			file := newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Secret: secret, Keys: jwksOf(t, m.Keys...)}}})
			for alg, text := range m.Tokens {
				alone := file
				if m.PEM[alg] != "" {
					alone = newVerifier(t, c, token.Options{Issuers: []token.Issuer{{Issuer: issName, Keys: m.PEM[alg]}}})
				}
				for _, v := range []*token.Verifier{fetching, file, alone} {
					id := want(t, v, text, "accepted").Identity
					if id != nil && (id.User != "alice" || !id.MaySubscribe([]byte("chat.x")) || id.MaySubscribe([]byte("news")) || id.Expires != c.now().Unix()+600) {
						t.Errorf("%s: %+v", alg, id)
					}
				}
				want(t, fetching, tampered(t, text, 1, func(m map[string]any) { m["sub"] = "bob" }), token.Invalid)
			}
			want(t, fetching, m.Refused["none"], token.Invalid)
			if text := m.Refused["encrypted"]; text != "" {
				want(t, fetching, text, token.Malformed)
			}
		})
	}
}
