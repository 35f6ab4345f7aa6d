package redisclients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// session is a gateway and a subscriber of its channel news.
type session struct {
	*testing.T
	address    string // of the publish port
	subscriber *websocket.Conn
}

func start(t *testing.T, set ...func(*gateway.Config)) *session {
	config := gateway.DefaultConfig(1000)
	for _, f := range set {
		f(&config)
	}
	config.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	config.Publish = config.Listen
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { g.Run(); close(ended) }()
	t.Cleanup(func() { g.Close(); <-ended })
	conn, _, err := websocket.Dial(t.Context(), "ws://"+g.ClientAddrs()[0].String()+gateway.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	s := &session{t, g.PublishAddrs()[0].String(), conn}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"subscribe","channel":"news"}`)); err != nil {
		t.Fatal(err)
	}
	s.wants("welcome", "")
	s.wants("subscribed", "")
	return s
}

// wants receives a message of that type and with that data.
func (s *session) wants(kind, data string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	_, text, err := s.subscriber.Read(ctx)
	if err != nil {
		s.Fatal(err)
	}
	var m struct {
		Type string
		Data json.RawMessage
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Type != kind || !bytes.Equal(m.Data, []byte(data)) {
		s.Fatalf("received %s, %v; want %s with %s", text, err, kind, data)
	}
}

func (s *session) events(data ...string) {
	s.Helper()
	for _, d := range data {
		s.wants("event", d)
	}
}

func TestRueidis(t *testing.T) {
	s := start(t)
	for _, option := range []rueidis.ClientOption{
		{InitAddress: []string{s.address}},
		{InitAddress: []string{s.address}, Username: "default", Password: "secret", ClientName: "me"},
		{InitAddress: []string{s.address}, DisableCache: true},
	} {
		client, err := rueidis.NewClient(option)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		publish := func(data string) rueidis.Completed {
			return client.B().Publish().Channel("news").Message(data).Build()
		}
		if n, err := client.Do(t.Context(), publish("1")).AsInt64(); err != nil || n != 1 {
			t.Errorf("PUBLISH: %d, %v", n, err)
		}
		err = client.Dedicated(func(c rueidis.DedicatedClient) error {
			replies := c.DoMulti(t.Context(), c.B().Multi().Build(), publish("2"), publish("3"), c.B().Exec().Build())
			counts, err := replies[3].AsIntSlice()
			if err == nil && fmt.Sprint(counts) != "[1 1]" {
				err = fmt.Errorf("the counts are %v", counts)
			}
			return err
		})
		if err != nil {
			t.Errorf("a transaction: %v", err)
		}
		s.events("1", "2", "3")
	}
}

func TestRedigo(t *testing.T) {
	s := start(t)
	for _, options := range [][]redis.DialOption{
		nil, {redis.DialUsername("default"), redis.DialPassword("secret"), redis.DialClientName("me"), redis.DialDatabase(0)},
	} {
		conn, err := redis.Dial("tcp", s.address, options...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if n, err := redis.Int(conn.Do("PUBLISH", "news", "1")); err != nil || n != 1 {
			t.Errorf("PUBLISH: %d, %v", n, err)
		}
		for _, command := range [][]any{{"MULTI"}, {"PUBLISH", "news", "2"}, {"PUBLISH", "news", "3"}} {
			if err := conn.Send(command[0].(string), command[1:]...); err != nil {
				t.Fatal(err)
			}
		}
		if counts, err := redis.Ints(conn.Do("EXEC")); err != nil || fmt.Sprint(counts) != "[1 1]" {
			t.Errorf("EXEC: %v, %v", counts, err)
		}
		s.events("1", "2", "3")
	}
}

func TestGoRedis(t *testing.T) {
	s := start(t)
	for _, options := range []*goredis.Options{
		{Addr: s.address}, {Addr: s.address, Protocol: 2}, {Addr: s.address, Username: "default", Password: "secret", ClientName: "me"},
	} {
		client := goredis.NewClient(options)
		defer client.Close()
		if n, err := client.Publish(t.Context(), "news", "1").Result(); err != nil || n != 1 {
			t.Errorf("PUBLISH: %d, %v", n, err)
		}
		results, err := client.TxPipelined(t.Context(), func(p goredis.Pipeliner) error {
			p.Publish(t.Context(), "news", "2")
			p.SPublish(t.Context(), "news", "3")
			return nil
		})
		if err != nil || results[0].(*goredis.IntCmd).Val() != 1 || results[1].(*goredis.IntCmd).Val() != 1 {
			t.Errorf("a transaction: %v, %v", results, err)
		}
		_, err = client.TxPipelined(t.Context(), func(p goredis.Pipeliner) error {
			p.Publish(t.Context(), "news", "lost")
			p.Publish(t.Context(), "a b", "1")
			return nil
		})
		if err == nil {
			t.Error("a transaction with a bad channel succeeds")
		}
		s.events("1", "2", "3")
	}
}

// TestKeys shows a key as password, and a wrong one.
func TestKeys(t *testing.T) {
	key := keys.New()
	s := start(t, func(c *gateway.Config) {
		c.PublishKeys = []gateway.Key{{Name: "feed", Digest: keys.DigestOf([]byte(key)), Channels: []string{"news"}}}
	})
	publish := map[string]func(user, password, channel string) error{
		"go-redis": func(user, password, channel string) error {
			client := goredis.NewClient(&goredis.Options{Addr: s.address, Username: user, Password: password, MaxRetries: -1})
			defer client.Close()
			return client.Publish(t.Context(), channel, "1").Err()
		},
		"redigo": func(user, password, channel string) error {
			conn, err := redis.Dial("tcp", s.address, redis.DialUsername(user), redis.DialPassword(password))
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Do("PUBLISH", channel, "1")
			return err
		},
		"rueidis": func(user, password, channel string) error {
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.address}, Username: user, Password: password, DisableRetry: true})
			if err != nil {
				return err
			}
			defer client.Close()
			return client.Do(t.Context(), client.B().Publish().Channel(channel).Message("1").Build()).Error()
		},
	}
	for name, publish := range publish {
		for _, test := range []struct{ user, password, channel, want string }{
			{"", key, "news", ""},
			{"feed", key, "news", ""},
			{"", key, "secret", "NOPERM"},
			{"", "wrong", "news", "WRONGPASS"},
			{"", "", "news", "NOAUTH"},
		} {
			err := publish(test.user, test.password, test.channel)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, user %q, channel %s: %v, want %q", name, test.user, test.channel, err, test.want)
			}
			if err == nil {
				s.events("1")
			}
		}
	}
}
