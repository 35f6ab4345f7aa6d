package web_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// shellCommand is one that the console offers.
type shellCommand struct {
	Tool    string `json:"tool"`
	Command string `json:"command"`
}

// oddChannels have names that a shell, printf, JSON or an option parser could
// take for something else.
var oddChannels = []string{"news", "it's", `say"so"`, "$HOME", "`id`", `back\slash\n`, "100%s", "wörld→", "-n", "--to=x", "a;b&c|d", "*", "~", "!x", "$(id)", `'"'"'`, "#a", "=ls"}

// TestNoCommandsForTreacherousNames: a link chooses the channels, and what a
// terminal obeys when it is pasted must not come from a link.
func TestNoCommandsForTreacherousNames(t *testing.T) {
	names := []string{"x\x03\ntouch /tmp/x\n#", "a\x1b[2J", "a\tb", "a\u202eb", "a\u200bb", "a b"}
	for i, commands := range offered(t, names, "localhost:8082", "localhost:8081") {
		if len(commands) > 0 {
			t.Errorf("%q: %q", names[i], commands)
		}
	}
}

// offered returns the console's commands for each channel.
func offered(t *testing.T, channels []string, publish, admin string) [][]shellCommand {
	t.Helper()
	return offeredAs(t, map[string]any{"channels": channels, "publish": publish, "admin": admin})
}

// offeredWithKeys returns those for ports that want keys.
func offeredWithKeys(t *testing.T, channels []string, publish, admin string) [][]shellCommand {
	t.Helper()
	return offeredAs(t, map[string]any{"channels": channels, "publish": publish, "admin": admin, "publishKey": true, "adminKey": true})
}

func offeredAs(t *testing.T, what map[string]any) [][]shellCommand {
	t.Helper()
	argument, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), node(t), "testdata/commands.mjs", string(argument)).Output()
	if err != nil {
		t.Fatalf("asking for the commands: %v", err)
	}
	var commands [][]shellCommand
	if err := json.Unmarshal(out, &commands); err != nil {
		t.Fatalf("reading the commands: %v", err)
	}
	return commands
}

// run gives the command to a shell, with dir first in its path.
func run(t *testing.T, command, dir string) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// checkData tells whether data is what the commands publish.
func checkData(t *testing.T, command string, data []byte) {
	t.Helper()
	var got struct {
		Text string `json:"text"`
		Sent int64  `json:"sent"`
	}
	if err := json.Unmarshal(data, &got); err != nil || got.Text != "hello" || time.Since(time.UnixMilli(got.Sent)).Abs() > time.Hour {
		t.Errorf("%s published %q, error %v", command, data, err)
	}
}

// The commands for nc and redis-cli are run by a shell and arrive on the very
// channel.
func TestCommandsPublish(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := startGateway(t)
	_, port, err := net.SplitHostPort(g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	events := listen(t, g, oddChannels)
	for i, commands := range offered(t, oddChannels, "127.0.0.1:"+port, "") {
		for _, c := range commands {
			if _, err := exec.LookPath(c.Tool); err != nil || c.Tool == "fleetcast" {
				continue // see TestCommandsArguments
			}
			run(t, c.Command, ".")
			event := events()
			if event.Channel != oddChannels[i] {
				t.Errorf("%s: published to %q, want %q", c.Command, event.Channel, oddChannels[i])
			}
			checkData(t, c.Command, event.Data)
		}
	}
}

// Where the port wants a key, the commands take it from the file that they name.
func TestCommandsPublishWithKey(t *testing.T) {
	t.Parallel() // it waits most of the time
	key := keys.New()
	g := startGateway(t, func(c *gateway.Config) {
		c.PublishKeys = []gateway.Key{{Name: "page", Digest: keys.DigestOf([]byte(key)), Channels: []string{"**"}}}
	})
	file := filepath.Join(t.TempDir(), "publish.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	events := listen(t, g, oddChannels)
	for i, commands := range offeredWithKeys(t, oddChannels, g.PublishAddrs()[0].String(), "") {
		if !strings.Contains(commands[0].Command, "fleetcast publish --key-file FILE ") {
			t.Errorf("the command names no key: %s", commands[0].Command)
		}
		for _, c := range commands {
			if _, err := exec.LookPath(c.Tool); err != nil || c.Tool == "fleetcast" {
				continue
			}
			run(t, strings.Replace(c.Command, "FILE", file, 1), ".")
			if event := events(); event.Channel != oddChannels[i] {
				t.Errorf("%s: published to %q, want %q", c.Command, event.Channel, oddChannels[i])
			}
		}
	}
	curl := offeredWithKeys(t, []string{"news"}, "", "localhost:8081")[0][0].Command
	if !strings.HasPrefix(curl, `printf 'Authorization: Bearer %s' "$(cat FILE)" | curl -H @- `) {
		t.Errorf("the command for curl is %s", curl)
	}
}

type receivedEvent struct {
	Type    string          `json:"type"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// listen subscribes to the channels and returns what waits for the next event.
func listen(t *testing.T, g *gateway.Gateway, channels []string) func() receivedEvent {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+g.ClientAddrs()[0].String()+gateway.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	command, err := json.Marshal(map[string]any{"type": "subscribe", "channels": channels})
	if err == nil {
		err = conn.Write(t.Context(), websocket.MessageText, command)
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitSubscribers(t, g, int64(len(channels)))
	return func() receivedEvent {
		t.Helper()
		for {
			var event receivedEvent
			_, message, err := conn.Read(t.Context())
			if err != nil || json.Unmarshal(message, &event) != nil {
				t.Fatalf("reading %q: %v", message, err)
			}
			if event.Type == "event" {
				return event
			}
		}
	}
}

// The command for curl posts to the admin port.
func TestCommandCurl(t *testing.T) {
	t.Parallel() // it waits most of the time
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: its command is not tested")
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("%s cannot be used here: %v", address, err)
			continue
		}
		got := make(chan string, 1)
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type") + " " + body(t, r.Body)
		})}}
		server.Start()
		for i, commands := range offered(t, oddChannels, "", listener.Addr().String()) {
			if len(commands) != 1 || commands[0].Tool != "curl" {
				t.Fatalf("without a publish port: %v", commands)
			}
			run(t, commands[0].Command+" --silent --noproxy '*'", ".")
			sent, isPost := strings.CutPrefix(<-got, "POST /api/publish application/json ")
			var event receivedEvent
			if err := json.Unmarshal([]byte(sent), &event); err != nil || !isPost || event.Channel != oddChannels[i] {
				t.Errorf("%s sent %q, error %v", commands[0].Command, sent, err)
			}
			checkData(t, commands[0].Command, event.Data)
		}
		server.Close()
	}
}

// The other programs get the right arguments, also for an IPv6 address. Stand-ins
// write them down.
func TestCommandsArguments(t *testing.T) {
	t.Parallel() // it waits most of the time
	dir := t.TempDir()
	heard := filepath.Join(dir, "heard")
	for _, tool := range []string{"fleetcast", "nc", "redis-cli"} {
		script := "#!/bin/sh\nprintf '%s\\0' \"$@\" >'" + heard + "'\n"
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, commands := range offered(t, oddChannels, "[::1]:8082", "") {
		channel := oddChannels[i]
		end := []string{channel}
		if strings.HasPrefix(channel, "-") {
			end = []string{"--", channel}
		}
		for _, c := range commands {
			want := map[string][]string{
				"fleetcast": append([]string{"publish", "--to", "[::1]:8082"}, end...),
				"nc":        {"-N", "::1", "8082"},
				"redis-cli": {"-h", "::1", "-p", "8082", "PUBLISH", channel},
			}[c.Tool]
			run(t, c.Command, dir)
			text, err := os.ReadFile(heard)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for argument := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte{0}), []byte{0}) {
				got = append(got, string(argument))
			}
			if c.Tool != "nc" {
				checkData(t, c.Command, []byte(got[len(got)-1]))
				got = got[:len(got)-1]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: arguments %q, want %q", c.Command, got, want)
			}
		}
	}
	if commands := offered(t, []string{"news"}, "localhost:8082", "")[0]; strings.Contains(commands[0].Command, "--to") {
		t.Errorf("the default is named: %s", commands[0].Command)
	}
	if commands := offered(t, []string{"news"}, "", "")[0]; len(commands) != 0 {
		t.Errorf("without ports: %v", commands)
	}
}
