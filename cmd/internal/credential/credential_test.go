package credential_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/cmd/internal/credential"
	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// secret is what no error and no warning may have.
const secret = testrun.Secret + "0123456789abcdef"

// files writes files into the working directory of the test, a new one.
func files(t *testing.T, texts map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range texts {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wantError checks that an error says what it must, and no secret. An empty want is no error.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: the error is %v, want %q", what, err, want)
	}
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "5ecret") {
		t.Errorf("%s: the error has the secret: %v", what, err)
	}
}

// TestReference takes references from flags, and never repeats what is none.
func TestReference(t *testing.T) {
	for _, test := range []struct{ given, reference, place string }{
		{"file:path", "", ""},
		{"env:NAME", "", ""},
		{"file:", "", ""}, // told when it is read
		{"-", "must be file:PATH or env:NAME", ""},
		{"", "must be file:PATH or env:NAME", "must be file:PATH, env:NAME, or -"},
		{secret, "must be file:PATH or env:NAME", "must be file:PATH, env:NAME, or -"},
		{"FILE:" + secret, "must be file:PATH or env:NAME", "must be file:PATH, env:NAME, or -"},
		{" file:" + secret, "must be file:PATH or env:NAME", "must be file:PATH, env:NAME, or -"},
		{"eyJ" + secret, "must be file:PATH or env:NAME", "must be file:PATH, env:NAME, or -"},
	} {
		var reference credential.Reference
		err := reference.UnmarshalText([]byte(test.given))
		wantError(t, "reference "+test.given, err, test.reference)
		if err == nil && string(reference) != test.given || err != nil && reference != "" {
			t.Errorf("%q is kept as %q", test.given, reference)
		}
		var place credential.TokenPlace
		err = place.UnmarshalText([]byte(test.given))
		wantError(t, "place "+test.given, err, test.place)
		if err == nil && string(place) != test.given || err != nil && place != "" {
			t.Errorf("%q is kept as %q", test.given, place)
		}
	}
}

// TestRead reads what references name, and says what is wrong with the place, not what is there.
func TestRead(t *testing.T) {
	files(t, map[string]string{
		"good": secret, "lined": "\n " + secret + "\r\n", "two": secret + "\n" + secret, "empty": "", "blank": " \n\t",
		"longest": strings.Repeat("x", credential.MaxFile-1) + "\n", "long": secret + strings.Repeat("x", credential.MaxFile),
	})
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIAL_TEST", "\t"+secret+" ")
	t.Setenv("CREDENTIAL_TEST_EMPTY", " ")
	for _, test := range []struct{ from, text, wrong string }{
		{"file:good", secret, ""},
		{"file:./good", secret, ""},
		{"file:lined", secret, ""},
		{"file:two", secret + "\n" + secret, ""}, // a key as PEM has lines
		{"file:longest", strings.Repeat("x", credential.MaxFile-1), ""},
		{"file:long", "", "long is longer than 65536 bytes"},
		{"file:empty", "", "empty is empty"},
		{"file:blank", "", "blank is empty"},
		{"file:none", "", "open none: no such file"},
		{"file:", "", "no such file"},
		{"file:.", "", ". is no regular file"},
		{"file:pipe", "", "pipe is no regular file"}, // it does not wait for a writer
		{"file:/dev/zero", "", "/dev/zero is no regular file"},
		{"env:CREDENTIAL_TEST", secret, ""},
		{"env:CREDENTIAL_TEST_EMPTY", "", "CREDENTIAL_TEST_EMPTY is not set, or is empty"},
		{"env:CREDENTIAL_TEST_NONE", "", "CREDENTIAL_TEST_NONE is not set, or is empty"},
		{"env:", "", "env: names no variable"},
		{"env:" + secret, "", "env: names no variable"}, // somebody who took it for the value
		{"env:a b", "", "env: names no variable"},
		{"env:7", "", "env: names no variable"},
		{secret, "", "must be file:PATH or env:NAME"},
		{"", "", "must be file:PATH or env:NAME"},
	} {
		text, err := credential.Reference(test.from).Read()
		wantError(t, test.from, err, test.wrong)
		if text != test.text {
			t.Errorf("%s: it has %d bytes, want %d", test.from, len(text), len(test.text))
		}
	}
}

// TestGet gets tokens from each place.
func TestGet(t *testing.T) {
	files(t, map[string]string{"good": secret + "\n", "words": secret + " " + secret, "lines": secret + "\n" + secret, "bytes": secret + "\xff", "long": strings.Repeat("x", 20_000)})
	t.Setenv("CREDENTIAL_TEST", secret)
	for _, test := range []struct {
		place, command, in, text, wrong string
	}{
		{place: "file:good", text: secret},
		{place: "env:CREDENTIAL_TEST", text: secret},
		{place: "-", in: " " + secret + "\n", text: secret},
		{place: "-", in: "", wrong: "what is there is empty"},
		{place: "-", in: secret + "\n" + secret, wrong: "what is there is no token"},
		{place: "-", in: strings.Repeat("x", 16<<10), text: strings.Repeat("x", 16<<10)},
		{place: "-", in: secret + strings.Repeat("x", 16<<10), wrong: "what is there is longer than 16384 bytes"},
		{place: "file:none", wrong: "getting the token: read the secret: open none: no such file"},
		{place: "file:words", wrong: "what is there is no token: that is one word"},
		{place: "file:lines", wrong: "what is there is no token"},
		{place: "file:bytes", wrong: "what is there is no token"},
		{place: "file:long", wrong: "what is there is longer than 16384 bytes"},
		{command: "cat good", text: secret},
		{command: `printf '%s' "$CREDENTIAL_TEST"`, text: secret},
		{command: "cat good good", wrong: "what is there is no token"},
		{command: "cat long", wrong: "what is there is longer than 16384 bytes"},
		{command: "head -c 100000000 /dev/zero", wrong: "what is there is longer than 16384 bytes"},
		{command: "true", wrong: "what is there is empty"},
		{command: "cat good; exit 7", wrong: "--token-command: exit status 7"},
		{command: "kill -9 $$", wrong: "--token-command: signal: killed"},
		{command: "cat good >&2; exit 1", wrong: "--token-command: exit status 1"},
		{command: "no-such-program " + secret, wrong: "--token-command: exit status 127"},
		{place: "file:none", command: "cat good", text: secret}, // Check keeps this out
	} {
		flags := credential.TokenFlags{Token: credential.TokenPlace(test.place), TokenCommand: test.command}
		text, err := flags.Get(t.Context(), strings.NewReader(test.in), io.Discard)
		what := test.place + test.command
		wantError(t, what, err, test.wrong)
		if text != test.text {
			t.Errorf("%s: %d bytes, want %d", what, len(text), len(test.text))
		}
	}
	flags := credential.TokenFlags{Token: "-"}
	_, err := flags.Get(t.Context(), nil, io.Discard)
	wantError(t, "no standard input", err, "there is no standard input")
	_, err = flags.Get(t.Context(), brokenReader{}, io.Discard)
	wantError(t, "a standard input that breaks", err, "read the standard input: broken")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// TestGetAgain reads a file that was written anew, and runs a command again.
func TestGetAgain(t *testing.T) {
	files(t, map[string]string{"token": "one"})
	for _, flags := range []credential.TokenFlags{{Token: "file:token"}, {TokenCommand: "cat token"}} {
		for _, text := range []string{"one", "two"} {
			if err := os.WriteFile("token", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := flags.Get(t.Context(), nil, io.Discard); got != text || err != nil {
				t.Errorf("%+v: %q, %v; want %q", flags, got, err, text)
			}
		}
	}
}

// TestCommandEnds ends a command with all that it has started when its caller goes, and shows
// what it complains of.
func TestCommandEnds(t *testing.T) {
	files(t, nil)
	var complaints bytes.Buffer
	flags := credential.TokenFlags{TokenCommand: "echo complaint >&2; echo abc"}
	if text, err := flags.Get(t.Context(), nil, &complaints); text != "abc" || err != nil || complaints.String() != "complaint\n" {
		t.Errorf("%q, %v, it complains %q", text, err, complaints.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	flags.TokenCommand = "sleep 1000 & echo $! >child; wait"
	go func() {
		_, err := flags.Get(ctx, nil, io.Discard)
		ended <- err
	}()
	child := 0
	until(t, "the child has started", func() bool {
		text, _ := os.ReadFile("child")
		n, _ := fmt.Sscan(string(text), &child)
		return n == 1
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	until(t, "the child has ended", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(status), ") Z ") // nobody waits for it here
	})
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(time.Minute); !holds(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not so", what)
		}
	}
}

// TestFlags sees which flags go together, and what follows from them.
func TestFlags(t *testing.T) {
	for _, test := range []struct {
		flags         credential.TokenFlags
		given, renews bool
		wrong         string
	}{
		{credential.TokenFlags{}, false, false, ""},
		{credential.TokenFlags{Token: "file:x"}, true, true, ""},
		{credential.TokenFlags{Token: "env:X"}, true, false, ""},
		{credential.TokenFlags{Token: "-"}, true, false, ""},
		{credential.TokenFlags{TokenCommand: "x"}, true, true, ""},
		{credential.TokenFlags{Token: "-", TokenCommand: "echo " + secret}, true, true, "exclude each other"},
	} {
		if test.flags.Given() != test.given || test.flags.Renews() != test.renews {
			t.Errorf("%+v: given %v, renews %v", test.flags, test.flags.Given(), test.flags.Renews())
		}
		wantError(t, fmt.Sprint(test.flags.Token), test.flags.Check(), test.wrong)
	}
}

// TestMaker makes tokens of many clients, and verifies them.
func TestMaker(t *testing.T) {
	files(t, map[string]string{"secret": secret, "short": "5ecret", "pem": "-----BEGIN PRIVATE KEY-----\n5ecret\n-----END PRIVATE KEY-----"})
	now := time.Now()
	good := credential.ManyFlags{TokenSecret: "file:secret", TokenUser: "u{n}-{n}", TokenSubscribe: []string{"chat.*"}, TokenIssuer: "me", TokenAudience: []string{"you"}, TokenTTL: time.Minute}
	make, err := good.Maker(now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := token.New(token.Options{Issuers: []token.Issuer{{Issuer: "me", Secret: secret, Audience: []string{"you"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for number, user := range map[int]string{0: "u0-0", 41: "u41-41"} {
		text, err := make(number, 0)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := make(number, 1); again == text || err != nil {
			t.Errorf("the second token of client %d is the first, or %v", number, err)
		}
		verdict, _ := v.Quick([]byte(text))
		if who := verdict.Identity; who == nil || who.User != user || who.Expires != now.Add(time.Minute).Unix() || !who.MaySubscribe([]byte("chat.a")) || who.MaySubscribe([]byte("news")) {
			t.Errorf("client %d is %+v, %v", number, who, verdict.Refusal)
		}
	}
	if (&credential.ManyFlags{}).Given() || !good.Given() || !(&credential.ManyFlags{TokenKey: "env:X"}).Given() {
		t.Error("whether they are given")
	}
	for wrong, change := range map[string]func(*credential.ManyFlags){
		"--token-secret and --token-key exclude each other": func(f *credential.ManyFlags) { f.TokenKey = "file:secret" },
		"--token-secret: read the secret: open none":        func(f *credential.ManyFlags) { f.TokenSecret = "file:none" },
		"signing tokens: ":                   func(f *credential.ManyFlags) { f.TokenSecret = "file:short" },
		"signing tokens":                     func(f *credential.ManyFlags) { f.TokenSecret, f.TokenKey = "", "file:pem" },
		"signing":                            func(f *credential.ManyFlags) { f.TokenAlg = "ES256" },
		"--token-users must not be negative": func(f *credential.ManyFlags) { f.TokenUsers = -1 },
		"--token-ttl must be at least 1s":    func(f *credential.ManyFlags) { f.TokenTTL = time.Millisecond },
		"--token-subscribe: ":                func(f *credential.ManyFlags) { f.TokenSubscribe = []string{"***"} },
	} {
		flags := good
		change(&flags)
		_, err := flags.Maker(now)
		wantError(t, wrong, err, wrong)
	}
}

// TestMakerOfUsers has clients share the tokens of users, though each signature of ES256
// is another one.
func TestMakerOfUsers(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	files(t, map[string]string{"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	make, err := (&credential.ManyFlags{TokenKey: "file:key", TokenUser: "u{n}", TokenUsers: 2, TokenTTL: time.Minute}).Maker(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range 8 {
		text, err := make(i%4, i/4)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for i, j := range []int{0, 1, 0, 1, 4, 5, 4, 5} {
		if slices.Index(texts, texts[i]) != j {
			t.Errorf("the token %d of client %d is not as it should be", i/4, i%4)
		}
	}
}

// TestWarnings tells of files that every user can read, and of secrets that cross the network
// in clear text.
func TestWarnings(t *testing.T) {
	files(t, map[string]string{"closed": secret, "group": secret, "open": secret})
	for name, mode := range map[string]os.FileMode{"group": 0o640, "open": 0o604} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	const file, way = "every user of this machine can read the file with ", "in clear text, and everybody on the way can read it"
	here := "ws://localhost:8080/ws"
	for _, test := range []struct {
		flags interface{ Warnings(to string) []string }
		to    string
		want  []string
	}{
		{&credential.TokenFlags{}, "ws://example.com/ws", nil},
		{&credential.TokenFlags{Token: "file:closed"}, here, nil},
		{&credential.TokenFlags{Token: "file:group"}, here, nil},
		{&credential.TokenFlags{Token: "file:none"}, here, nil},
		{&credential.TokenFlags{Token: "file:open"}, here, []string{file + "the token, open"}},
		{&credential.TokenFlags{Token: credential.TokenPlace("file:" + dir + "/open")}, here, []string{file + "the token, " + dir + "/open"}},
		{&credential.TokenFlags{Token: "-"}, "ws://example.com/ws", []string{"the token goes to example.com " + way}},
		{&credential.TokenFlags{TokenCommand: "x"}, "ws://user:" + secret + "@192.0.2.1:8080/ws?t=" + secret, []string{"the token goes to 192.0.2.1 " + way}},
		{&credential.TokenFlags{Token: "file:open"}, "ws://10.0.0.1/ws", []string{"the token goes to 10.0.0.1 " + way, file + "the token, open"}},
		{&credential.TokenFlags{Token: "-"}, "wss://example.com/ws", nil},
		{&credential.TokenFlags{Token: "-"}, "ws://127.0.0.9/ws", nil},
		{&credential.TokenFlags{Token: "-"}, "ws://[::1]:8080/ws", nil},
		{&credential.TokenFlags{Token: "-"}, "ws://LOCALHOST./ws", nil},
		{&credential.TokenFlags{Token: "-"}, "ws://localhost.example.com/ws", []string{"the token goes to localhost.example.com " + way}},
		{&credential.ManyFlags{}, "ws://example.com/ws", nil},
		{&credential.ManyFlags{TokenSecret: "file:open"}, here, []string{file + "the secret, open"}},
		{&credential.ManyFlags{TokenKey: "file:open"}, here, []string{file + "the private key, open"}},
		{&credential.ManyFlags{TokenKey: "file:closed"}, "ws://example.com/ws", []string{"each token goes to example.com " + way}},
	} {
		got := test.flags.Warnings(test.to)
		if len(got) != len(test.want) || !slices.EqualFunc(got, test.want, func(text, begin string) bool {
			return strings.HasPrefix(text, begin) && !strings.Contains(text, "5ecret")
		}) {
			t.Errorf("%+v to %s: %q, want %q", test.flags, test.to, got, test.want)
		}
	}
	for to, want := range map[string]bool{
		"localhost:8082": false, "127.0.0.1:8082": false, "[::1]:8082": false, ":8082": false, "/run/fleetcast.sock": false, "https://example.com/api": false,
		"http://example.com/api": true, "gateway:8082": true, "10.0.0.1:8082": true, "[2001:db8::1]:8082": true,
	} {
		if got := credential.ClearTextWarning("the key", to); (got != "") != want {
			t.Errorf("%s: %q", to, got)
		}
	}
}
