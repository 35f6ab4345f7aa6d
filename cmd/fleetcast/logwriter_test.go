package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// gate is a reader of the log that lets lines pass once it is opened.
type gate struct {
	bytes.Buffer
	reached chan struct{} // closed when the first line is there
	opened  chan struct{}
	began   bool
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.began {
		g.began = true
		close(g.reached)
		<-g.opened
	}
	return g.Buffer.Write(p)
}

func TestLogWriterNeverWaits(t *testing.T) {
	t.Parallel() // it waits most of the time
	g := &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	w := newLogWriter(g, standardError, func(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) })
	fmt.Fprintln(w, "first")
	<-g.reached
	for i := range linesWaiting + 7 {
		fmt.Fprintln(w, "line", i)
	}
	w.flush() // gives up
	close(g.opened)
	w.flush()
	text := g.String()
	if n := strings.Count(text, "line "); n != linesWaiting || !strings.HasPrefix(text, "first\n") {
		t.Errorf("%d lines were written, want %d", n, linesWaiting)
	}
	if !strings.Contains(text, "level=WARN") || !strings.HasSuffix(strings.SplitN(text, "\n", 3)[1], "lines=7") {
		t.Errorf("the loss is not told: %.300s", text)
	}
}

// A standard error that nobody reads keeps neither clients waiting nor the
// process from ending.
func TestStuckStandardError(t *testing.T) {
	t.Parallel() // it waits most of the time
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	p := startProcessWith(t, write, "--listen=localhost:0", "--publish=off", "--admin=off", "--log-connections=100000")
	url := p.out.await(t, `clients connect to +(ws://\S+)`)[1]
	const lines = 800 // of some 120 bytes; a pipe takes 64 KiB
	for range lines {
		fetchWants(t, httpOf(url)+"/healthz", 200, "ok")
		if got, _ := fetch(t, "http"+strings.TrimPrefix(url, "ws")); got != 426 { // a refused handshake is logged
			t.Fatalf("answered with %d", got)
		}
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// switchable is a sink that can be replaced.
type switchable struct {
	mu    sync.Mutex
	to    io.Writer
	wrote chan struct{} // has a value after each write, if there is room
}

func (s *switchable) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.wrote <- struct{}{}:
		default:
		}
	}()
	return s.to.Write(p)
}

// now writes to w.
func (s *switchable) now(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = w
}
