package interop_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// script is a client in another language, in a process of its own. It gets
// options as its argument and is driven by one JSON object a line: commands on
// its standard input, what happened on its standard output.
//
//	-> {"command":"text","data":"..."}     "binary" with base64, "ping"
//	-> {"command":"close","code":1000,"data":"reason"}
//	<- {"event":"open","subprotocol":"...","extensions":"..."}   the response's fields
//	<- {"event":"text","data":"..."}       "binary", "pong"
//	<- {"event":"close","code":1000,"data":"reason"}             the last
//	<- {"event":"error","data":"..."}
type script struct {
	input  io.WriteCloser
	output *json.Decoder
	opened happening
}

type happening struct {
	Event       string `json:"event"`
	Data        string `json:"data"`
	Code        int    `json:"code"`
	Subprotocol string `json:"subprotocol"`
	Extensions  string `json:"extensions"`
}

// language is what a script is written in.
type language struct {
	interpreters []string
	imports      []string // arguments that import the library and do nothing else
	debian       string   // the library's package
}

var (
	node   = language{[]string{"node", "/usr/bin/node"}, []string{"-e", `require("ws")`}, "node-ws"}
	python = language{[]string{"python3", "/usr/bin/python3"}, []string{"-c", "import websockets"}, "python3-websockets"}
)

// script runs testdata/file.
func (l language) script(file string) func(*testing.T) dialer {
	return func(t *testing.T) dialer {
		path := l.interpreter()
		if path == "" {
			t.Skipf("none of %q has the library (Debian: %s): %s is not tested", l.interpreters, l.debian, file)
		}
		return func(t *testing.T, o options) client { return startScript(t, path, file, o) }
	}
}

// interpreter returns the first that has the library; empty: none has.
func (l language) interpreter() string {
	for _, name := range l.interpreters {
		if path, err := exec.LookPath(name); err == nil && command(path, l.imports...).Run() == nil {
			return path
		}
	}
	return ""
}

func command(interpreter string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(interpreter, arguments...)
	cmd.Env = append(os.Environ(), "NODE_PATH=/usr/share/nodejs") // for who is not Debian's own node
	return cmd
}

func startScript(t *testing.T, interpreter, file string, o options) *script {
	argument, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(interpreter, "testdata/"+file, string(argument))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		input.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, complaints.Bytes())
		}
		watchdog.Stop()
	})
	s := &script{input: input, output: json.NewDecoder(output)}
	if s.opened, err = s.next("open"); err != nil {
		t.Fatal(err)
	}
	return s
}

// next reads what happened next, which must be event.
func (s *script) next(event string) (happening, error) {
	var h happening
	if err := s.output.Decode(&h); err != nil {
		return h, fmt.Errorf("waiting for %q: %w", event, err)
	}
	if h.Event != event {
		return h, fmt.Errorf("%s (%d %.200q), want %s", h.Event, h.Code, h.Data, event)
	}
	return h, nil
}

func (s *script) tell(command, data string) error {
	return json.NewEncoder(s.input).Encode(map[string]any{"command": command, "data": data, "code": 1000})
}

func (s *script) negotiated() (subprotocol, extensions string) {
	return s.opened.Subprotocol, s.opened.Extensions
}

func (s *script) send(m message) error {
	if m.binary {
		return s.tell("binary", base64.StdEncoding.EncodeToString([]byte(m.data)))
	}
	return s.tell("text", m.data)
}

func (s *script) receive() (message, error) {
	var h happening
	if err := s.output.Decode(&h); err != nil {
		return message{}, err
	}
	switch h.Event {
	case "text":
		return message{data: h.Data}, nil
	case "binary":
		data, err := base64.StdEncoding.DecodeString(h.Data)
		return message{true, string(data)}, err
	}
	return message{}, fmt.Errorf("%s (%d %.200q), want a message", h.Event, h.Code, h.Data)
}

func (s *script) ping() error {
	if err := s.tell("ping", "beat"); err != nil {
		return err
	}
	h, err := s.next("pong")
	if err == nil && h.Data != "beat" {
		err = fmt.Errorf("pong with %q", h.Data)
	}
	return err
}

func (s *script) close() (code int, err error) {
	if err := s.tell("close", "done"); err != nil {
		return 0, err
	}
	h, err := s.next("close")
	if err != nil {
		return 0, err
	}
	var more happening
	if err := s.output.Decode(&more); !errors.Is(err, io.EOF) {
		return h.Code, fmt.Errorf("%s (%q) behind the close", more.Event, more.Data)
	}
	return h.Code, nil
}
