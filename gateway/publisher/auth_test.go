package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	server "fleetcast/gateway"
	"fleetcast/gateway/keys"
	"fleetcast/gateway/publisher"
)

// lockedGateway is a gateway that wants a key, which is allowed to publish to a.**.
func lockedGateway(t *testing.T) (g *server.Gateway, key string, config *server.Config) {
	t.Helper()
	key = keys.New()
	c := server.DefaultConfig(1000)
	c.PublishKeys = []server.Key{{Name: "a", Digest: keys.DigestOf([]byte(key)), Channels: []string{"a.**"}}}
	g, err := server.New(c, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(g.Run)
	t.Cleanup(func() { g.Close(); running.Wait() })
	return g, key, &c
}

// syncBuffer is a log that goroutines share.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// TestKey publishes with a key, without one and with a wrong one, and reconnects with a
// new one. The log never has a key.
func TestKey(t *testing.T) {
	g, right, config := lockedGateway(t)
	addr := g.PublishAddrs()[0].String()
	var mu sync.Mutex
	key := right
	var log syncBuffer
	states := make(chan error, 100)
	c := publisher.Config{
		Key:        func() (string, error) { mu.Lock(); defer mu.Unlock(); return key, nil },
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
		Logger:        slog.New(slog.NewTextHandler(&log, nil)),
		OnStateChange: func(s publisher.State, cause error) { states <- cause },
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := c.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var refusal *publisher.Error
	for range 3 {
		if err := p.Send(ctx, "a.x", []byte(`1`)); err != nil {
			t.Fatal(err)
		}
		if result, err := p.Publish(ctx, "a.x", []byte(`1`)); err != nil || result.Offset == 0 {
			t.Fatalf("publishing: %+v, %v", result, err)
		}
		if _, err := p.Publish(ctx, "b", []byte(`1`)); !errors.As(err, &refusal) || refusal.Code != "permission_denied" {
			t.Errorf("another channel: %v", err)
		}
	}
	if err := p.Send(ctx, "b", []byte(`1`)); err != nil {
		t.Fatal(err)
	}
	var failed *publisher.FlushError
	if err := p.Flush(ctx); !errors.As(err, &failed) || failed.Refused != 1 || failed.Lost != 0 || failed.First.First != 4 {
		t.Errorf("flushing after the fourth of four events was refused: %v", err)
	}

	// The key is replaced: the connection ends, and the next one shows the new key.
	next := keys.New()
	mu.Lock()
	key = next
	mu.Unlock()
	config.PublishKeys[0].Digest = keys.DigestOf([]byte(next))
	if err := g.Reconfigure(*config); err != nil {
		t.Fatal(err)
	}
	<-states // the first connection
	if cause := <-states; !errors.As(cause, &refusal) || refusal.Code != publisher.CodeAuthenticationRequired {
		t.Errorf("the connection ended because of %v", cause)
	}
	if _, err := p.Publish(ctx, "a.x", []byte(`1`)); err != nil {
		t.Errorf("publishing with the new key: %v", err)
	}

	c.OnStateChange = nil
	c.Key = func() (string, error) { return right, nil }
	if _, err := c.Dial(ctx, addr); !errors.As(err, &refusal) || refusal.Code != publisher.CodeInvalidKey || strings.Contains(err.Error(), right) {
		t.Errorf("with a wrong key: %v", err)
	}
	c.Key = func() (string, error) { return "", errors.New("the file is gone") }
	if _, err := c.Dial(ctx, addr); err == nil || !strings.Contains(err.Error(), "the file is gone") {
		t.Errorf("without the file: %v", err)
	}
	c.Key = nil
	stranger := make(chan error, 100)
	c.OnStateChange = func(_ publisher.State, cause error) { stranger <- cause }
	none, err := c.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if _, err := none.Publish(ctx, "a.x", []byte(`1`)); !errors.As(err, &refusal) || refusal.Code != publisher.CodeAuthenticationRequired {
		t.Errorf("without a key: %v", err)
	}
	<-stranger // it has connected
	if cause := <-stranger; !errors.As(cause, &refusal) || refusal.Code != publisher.CodeAuthenticationRequired {
		t.Errorf("the connection without a key ended because of %v", cause)
	}
	if text := log.String(); strings.Contains(text, right[:16]) || strings.Contains(text, next[:16]) {
		t.Errorf("a key is in the log:\n%s", text)
	}
}

// TestKeyAndNoKeys: a publisher with a key works with a gateway that wants none.
func TestKeyAndNoKeys(t *testing.T) {
	g, key, config := lockedGateway(t)
	config.PublishKeys = nil
	if err := g.Reconfigure(*config); err != nil {
		t.Fatal(err)
	}
	p, err := publisher.Config{Key: func() (string, error) { return key, nil }}.Dial(t.Context(), g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Publish(t.Context(), "b", []byte(`1`)); err != nil {
		t.Error(err)
	}
}

// TestAnswersToKey: what is no answer fails the attempt, within its time.
func TestAnswersToKey(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n": "it is HTTP",
		"-ERR unknown command\r\n":     "no JSON",
		"{}\n":                         "no known shape",
		strings.Repeat("x", 10_000):    "waiting for the answer to the key",
		"":                             "waiting for the answer to the key",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(answer))
			_, _ = conn.Read(make([]byte, 1000))
			if answer == "" {
				_, _ = conn.Read(make([]byte, 1000)) // says nothing
			}
		}()
		c := publisher.Config{DialTimeout: 200 * time.Millisecond, Key: func() (string, error) { return "fck_secret", nil }}
		if _, err := c.Dial(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.30q: %v", answer, err)
		}
		l.Close()
	}
}
