package interop_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/bytedance/sonic"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/publisher"
)

// readers are JSON readers of other languages with their usual settings. Each reads one document from its
// standard input and fails if it cannot.
var readers = map[string][]string{
	"ruby":    {"-rjson", "-e", "JSON.parse(STDIN.read)"},
	"php":     {"-r", "json_decode(stream_get_contents(STDIN), false, 512, JSON_THROW_ON_ERROR);"},
	"python3": {"-c", "import json, sys; json.load(sys.stdin)"},
	"node":    {"-e", `JSON.parse(require("fs").readFileSync(0, "utf8"))`},
}

// TestReadersReadTheDeepestEvent has the deepest event that the gateway takes read by others, as it reaches
// a client. jsonscan.MaxDepth is the deepest that all of them read.
func TestReadersReadTheDeepestEvent(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := startGateway(t)
	publish, err := publisher.Dial(t.Context(), s.PublishAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer publish.Close()
	subscriber := dialGorilla(t, options{URL: s.url("127.0.0.1", "")})
	expect(t, subscriber, "welcome", nil)
	say(t, subscriber, `{"type":"subscribe","channel":"news"}`)
	expect(t, subscriber, "subscribed", nil)
	data := strings.Repeat(`[{"a":`, jsonscan.MaxDepth/2) + "[]" + strings.Repeat("}]", jsonscan.MaxDepth/2)
	if _, err := publish.Publish(t.Context(), "news", []byte(data)); err != nil {
		t.Fatal(err)
	}
	received, err := subscriber.receive()
	if err != nil || !strings.HasSuffix(received.data, `"data":`+data+`}`) {
		t.Fatalf("received %.200s, %v", received.data, err)
	}
	event := received.data
	var v any
	if err := json.Unmarshal([]byte(event), &v); err != nil {
		t.Errorf("encoding/json: %v", err)
	}
	if err := sonic.UnmarshalString(event, &v); err != nil {
		t.Errorf("sonic: %v", err)
	}
	for name, arguments := range readers {
		t.Run(name, func(t *testing.T) {
			path, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("%s is not installed", name)
			}
			read := exec.Command(path, arguments...)
			read.Stdin = strings.NewReader(event)
			if output, err := read.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, output)
			}
		})
	}
}
