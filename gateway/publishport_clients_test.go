package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"fleetcast/gateway"
)

// goRedis connects a client of go-redis that speaks the version of RESP.
func goRedis(s *server, version int) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: s.publishAddr(), Protocol: version, ClientName: "test", PoolSize: 20,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience,
	})
	s.Cleanup(func() { client.Close() })
	return client
}

func TestGoRedis(t *testing.T) {
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", version), func(t *testing.T) {
			s := start(t)
			subscriber := s.connect()
			subscriber.subscribe("news")
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			client := goRedis(s, version)

			if pong, err := client.Ping(ctx).Result(); err != nil || pong != "PONG" {
				t.Errorf("PING: %q, %v", pong, err)
			}
			if name, err := client.ClientGetName(ctx).Result(); err != nil || name != "test" {
				t.Errorf("CLIENT GETNAME: %q, %v", name, err)
			}
			for payload, want := range map[string]int64{`{"a":1}`: 1, "plain text": 1} {
				if n, err := client.Publish(ctx, "news", payload).Result(); err != nil || n != want {
					t.Errorf("PUBLISH news %s: %d, %v", payload, n, err)
				}
				subscriber.text()
			}
			if n, err := client.Publish(ctx, "empty", "1").Result(); err != nil || n != 0 {
				t.Errorf("PUBLISH empty: %d, %v", n, err)
			}
			var refused redis.Error
			if err := client.Get(ctx, "key").Err(); !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "ERR unknown command 'get'") {
				t.Errorf("GET: %v", err)
			}
			if err := client.Publish(ctx, "a b", "1").Err(); !errors.As(err, &refused) || err.Error() != "ERR a channel name holds a space or a control character" {
				t.Errorf("PUBLISH to a bad channel: %v", err)
			}

			const commands = 300
			results, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i := range commands {
					p.Publish(ctx, "news", i)
				}
				return nil
			})
			if err != nil || len(results) != commands {
				t.Fatalf("a pipeline of %d: %d results, %v", commands, len(results), err)
			}
			for i := range commands {
				if n := results[i].(*redis.IntCmd).Val(); n != 1 {
					t.Errorf("result %d is %d", i, n)
				}
				subscriber.wants(event("news", uint64(i+3), fmt.Sprint(i)))
			}
		})
	}
}

func TestGoRedisConcurrently(t *testing.T) {
	s := start(t)
	subscriber := s.connect()
	subscriber.subscribe("news")
	client := goRedis(s, 3)
	const publishers, events = 50, 20 // together below the bound of a backlog
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var running sync.WaitGroup
	for i := range publishers {
		running.Go(func() {
			for n := range events {
				if count, err := client.Publish(ctx, "news", fmt.Sprintf("[%d,%d]", i, n)).Result(); err != nil || count != 1 {
					t.Errorf("publishing: %d, %v", count, err)
				}
			}
		})
	}
	var next [publishers]int
	for offset := uint64(1); offset <= publishers*events; offset++ {
		m := decode[message](t, subscriber.text())
		data := decode[[2]int](t, string(m.Data))
		if m.Offset != offset || data[1] != next[data[0]] {
			t.Fatalf("received %+v, want offset %d and event %d", m, offset, next[data[0]])
		}
		next[data[0]]++
	}
	running.Wait()
}

// redisCLI runs redis-cli against the publish port.
func redisCLI(t *testing.T, s *server, input string, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed; install it to test the publish port with it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addr := s.PublishAddrs()[0]
	arguments = append([]string{"-h", addr.Addr().String(), "-p", fmt.Sprint(addr.Port())}, arguments...)
	command := exec.CommandContext(ctx, path, arguments...)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("redis-cli %q: %v with %s", arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

func TestRedisCLI(t *testing.T) {
	s := start(t)
	subscriber := s.connect()
	subscriber.subscribe("news")
	for i, options := range [][]string{nil, {"-3"}, {"-n", "0"}, {"--no-raw"}} {
		want := "1"
		if len(options) == 1 && options[0] == "--no-raw" {
			want = "(integer) 1"
		}
		if got := redisCLI(t, s, "", append(options, "PUBLISH", "news", `{"a":1}`)...); got != want {
			t.Errorf("redis-cli %v PUBLISH prints %q, want %q", options, got, want)
		}
		subscriber.wants(event("news", uint64(i+1), `{"a":1}`))
	}
	if got, want := redisCLI(t, s, `{"from":"stdin"}`, "-x", "PUBLISH", "news"), "1"; got != want {
		t.Errorf("redis-cli -x PUBLISH prints %q, want %q", got, want)
	}
	subscriber.wants(event("news", 5, `{"from":"stdin"}`))
	if got, want := redisCLI(t, s, "PUBLISH news 1\nPING\nGET a\n"), "1\nPONG\nERR unknown command 'GET', with args beginning with: 'a'"; got != want {
		t.Errorf("redis-cli prints %q, want %q", got, want)
	}
	subscriber.wants(event("news", 6, "1"))
	if got := redisCLI(t, s, strings.Repeat(array("PUBLISH", "bulk", "1"), 1000), "--pipe"); !strings.HasSuffix(got, "errors: 0, replies: 1000") {
		t.Errorf("redis-cli --pipe prints %q", got)
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Publish.Publishers == 0 })
}

// TestNetcat is the line that the gateway prints for newcomers.
func TestNetcat(t *testing.T) {
	path, err := exec.LookPath("nc")
	if err != nil {
		t.Skip("nc is not installed; install it to test the publish port with it")
	}
	s := start(t)
	subscriber := s.connect()
	subscriber.subscribe("news")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addr := s.PublishAddrs()[0]
	command := exec.CommandContext(ctx, path, "-N", addr.Addr().String(), fmt.Sprint(addr.Port()))
	command.Stdin = strings.NewReader(`{"id":1,"channel":"news","data":{"a":1}}` + "\n")
	output, err := command.Output()
	if err != nil || !strings.HasPrefix(string(output), `{"id":1,"results":[`) {
		t.Errorf("nc -N: %v with %s", err, output)
	}
	subscriber.wants(event("news", 1, `{"a":1}`))
}
