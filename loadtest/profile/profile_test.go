package profile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/publish"
	"fleetcast/loadtest/profile"
)

func load(t testing.TB, name string) *profile.Profile {
	t.Helper()
	p, err := profile.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuiltIn(t *testing.T) {
	if got, want := profile.Names(), []string{"centrifugo", "fleetcast", "nats", "raw"}; !slices.Equal(got, want) {
		t.Fatalf("Names() = %q, want %q", got, want)
	}
	tests := []struct {
		name, path           string
		strict, many         bool
		hello                string
		awaited              bool
		subscribe            string
		confirms, hasOffsets bool
		via                  profile.Via
		publish              string
	}{
		{"fleetcast", "/ws", true, true, "", false,
			`{"type":"subscribe","channel":"a\"b"}`, true, true,
			profile.NDJSON, `{"channel":"a\"b","data":{"x":1}}` + "\n"},
		{"raw", "/", false, false, "", false,
			`subscribe a"b`, false, false,
			profile.Socket, `P{"x":1}`},
		{"centrifugo", "/connection/websocket", true, true, `{"id":1,"connect":{}}`, true,
			`{"id":2,"subscribe":{"channel":"a\"b"}}`, true, true,
			profile.HTTP, `{"channel":"a\"b","data":{"x":1}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := load(t, tt.name)
			if p.Name() != tt.name || p.Description() == "" || p.Path() != tt.path || p.Subprotocol() != "" {
				t.Errorf("name %q, description %q, path %q, subprotocol %q", p.Name(), p.Description(), p.Path(), p.Subprotocol())
			}
			if p.StrictAccept() != tt.strict || p.ManyChannels() != tt.many || p.Confirms() != tt.confirms || p.HasOffsets() != tt.hasOffsets {
				t.Errorf("strict %v, many %v, confirms %v, offsets %v", p.StrictAccept(), p.ManyChannels(), p.Confirms(), p.HasOffsets())
			}
			if hello, awaited := p.AppendHello([]byte("x")); string(hello) != "x"+tt.hello || awaited != tt.awaited {
				t.Errorf("hello %q, awaited %v", hello, awaited)
			}
			if got := p.AppendSubscribe([]byte("x"), `a"b`); string(got) != "x"+tt.subscribe {
				t.Errorf("subscribe %q, want %q", got, tt.subscribe)
			}
			if got := p.AppendPublish([]byte("x"), `a"b`, "", []byte(`{"x":1}`)); p.PublishVia() != tt.via || string(got) != "x"+tt.publish {
				t.Errorf("publish via %d: %q, want %q", p.PublishVia(), got, tt.publish)
			}
		})
	}
}

// An event has a key where the port can say so.
func TestPublishKey(t *testing.T) {
	tests := map[string]struct {
		keys bool
		want string
	}{
		"fleetcast":  {true, `{"channel":"a","key":"k\"1","data":1}` + "\n"},
		"raw":        {false, "P1"},
		"centrifugo": {false, `{"channel":"a","data":1}`},
	}
	for name, tt := range tests {
		p := load(t, name)
		if got := p.AppendPublish(nil, "a", `k"1`, []byte("1")); p.Keys() != tt.keys || string(got) != tt.want {
			t.Errorf("%s: keys %v, %q, want %v, %q", name, p.Keys(), got, tt.keys, tt.want)
		}
	}
	if load(t, "fleetcast").WithPort(profile.RESP).Keys() {
		t.Error("RESP has keys")
	}
}

func TestRequest(t *testing.T) {
	r := load(t, "centrifugo").Request()
	want := []profile.Header{{Name: "Content-Type", Value: "application/json"}}
	if r.Method != "POST" || r.Path != "/api/publish" || r.Status != 200 || !slices.Equal(r.Headers, want) {
		t.Errorf("request %+v", r)
	}
}

func TestPublishRefused(t *testing.T) {
	tests := []struct {
		profile, body, text string
		refused             bool
	}{
		{"centrifugo", `{"result":{}}`, "", false},
		{"centrifugo", `{"error":{"code":102,"message":"unknown channel"}}`, "102: unknown channel", true},
		{"centrifugo", `not JSON`, "", false},
		{"fleetcast", `{"error":{}}`, "", false},
	}
	for _, tt := range tests {
		text, refused := load(t, tt.profile).NewCodec().PublishRefused([]byte(tt.body))
		if string(text) != tt.text || refused != tt.refused {
			t.Errorf("%s: %s is %q, %v, want %q, %v", tt.profile, tt.body, text, refused, tt.text, tt.refused)
		}
	}
}

// least is the shortest profile of a server with many channels.
const least = `
name: least
subscribe: {send: 'join {channel}'}
event: {when: e, data: d}
publish: {via: resp}
`

func TestRESP(t *testing.T) {
	p, err := profile.Parse("least.yaml", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	request := p.AppendPublish(nil, "news", "", []byte(`{"a":"é"}`))
	var c publish.RESPCommand
	n, err := c.Parse(request, publish.RESPLimits{})
	if err != nil || n != len(request) || len(c.Args) != 3 {
		t.Fatalf("%q: %d of %d bytes, arguments %q, %v", request, n, len(request), c.Args, err)
	}
	if string(c.Args[0]) != "PUBLISH" || string(c.Args[1]) != "news" || string(c.Args[2]) != `{"a":"é"}` {
		t.Errorf("arguments %q", c.Args)
	}
	if p.Path() != "/" || !p.StrictAccept() || !p.ManyChannels() || p.Confirms() || p.HasOffsets() {
		t.Error("a default is wrong")
	}
}

func TestWithPort(t *testing.T) {
	p := load(t, "fleetcast")
	other := p.WithPort(profile.RESP)
	if got, want := string(other.AppendPublish(nil, "a", "", []byte("1"))), "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\n1\r\n"; got != want {
		t.Errorf("RESP: %q, want %q", got, want)
	}
	if p.PublishVia() != profile.NDJSON || other.PublishVia() != profile.RESP || other.Name() != "fleetcast" {
		t.Errorf("via %d, the other via %d, its name %q", p.PublishVia(), other.PublishVia(), other.Name())
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("own.yaml", []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("long.yml", make([]byte, profile.MaxText+100), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := load(t, "own.yaml"); p.Name() != "least" {
		t.Errorf("name %q", p.Name())
	}
	if p := load(t, filepath.Join(dir, "own.yaml")); p.Name() != "least" {
		t.Errorf("name %q", p.Name())
	}
	for name, want := range map[string]string{
		"fleetcats":    `there is no profile "fleetcats"; did you mean "fleetcast"? (a file of your own ends in .yaml)`,
		"x":            `there is no profile "x"; choose from centrifugo, fleetcast, nats, raw (a file of your own ends in .yaml)`,
		"missing.yaml": "read the profile: open missing.yaml: no such file or directory",
		"./raw":        "read the profile: open ./raw: no such file or directory",
		"long.yml":     "long.yml:1: the profile is longer than 16384 bytes",
	} {
		if _, err := profile.Load(name); err == nil || err.Error() != want {
			t.Errorf("Load(%q): %v, want %s", name, err, want)
		}
	}
}

// TestDocumentedExample keeps the example of the reference equal to the built-in profile.
func TestDocumentedExample(t *testing.T) {
	doc, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("builtin/centrifugo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "```yaml\n"+string(text)+"```\n") {
		t.Error("docs/profiles.md does not hold builtin/centrifugo.yaml as it is")
	}
}
