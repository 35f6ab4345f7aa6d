package command_test

import (
	"testing"
	"time"

	"fleetcast/codec/command"
)

var (
	one  = command.NewID(1)
	none command.ID
)

// messages are all the messages of the protocol that this package writes, byte for byte.
var messages = []struct {
	name string
	got  []byte
	want string
}{
	{"welcome", command.AppendWelcome(nil, "5f0c", 25000, nil, nil), `{"type":"welcome","client":"5f0c","ping_interval_ms":25000}`},
	{"welcome with limits", command.AppendWelcome(nil, "5f0c", 25000, []byte(`{"channels":128}`), nil),
		`{"type":"welcome","client":"5f0c","ping_interval_ms":25000,"limits":{"channels":128}}`},
	{"welcome of a user", command.AppendWelcome(nil, "5f0c", 25000, nil, &command.Standing{User: "al\"ice", ExpiresMS: 60000, RefreshMS: 40000, Ticket: "fct1.x"}),
		`{"type":"welcome","client":"5f0c","ping_interval_ms":25000,"user":"al\"ice","expires_in_ms":60000,"refresh_in_ms":40000,"ticket":"fct1.x"}`},
	{"welcome of somebody", command.AppendWelcome(nil, "5f0c", 25000, nil, &command.Standing{WithinMS: 10000}),
		`{"type":"welcome","client":"5f0c","ping_interval_ms":25000,"authenticate_within_ms":10000}`},
	{"authenticated", command.AppendAuthenticated(nil, one, &command.Standing{User: "alice"}), `{"type":"authenticated","id":1,"user":"alice"}`},
	{"authenticated without a word", command.AppendAuthenticated(nil, none, nil), `{"type":"authenticated"}`},
	{"withdrawn", command.AppendWithdrawn(nil, "news", command.PermissionDenied), `{"type":"unsubscribed","channel":"news","code":"permission_denied"}`},
	{"subscribed", command.AppendSubscribed(nil, one, "news", "Zx3k", 17, nil, nil), `{"type":"subscribed","id":1,"channel":"news","epoch":"Zx3k","offset":17}`},
	{"subscribed with a token", command.AppendSubscribed(nil, one, "news", "Zx3k", 17, nil, &command.Standing{ExpiresMS: 60_000, RefreshMS: 42_000}), `{"type":"subscribed","id":1,"channel":"news","epoch":"Zx3k","offset":17,"expires_in_ms":60000,"refresh_in_ms":42000}`},
	{"subscribed without id", command.AppendSubscribed(nil, none, []byte("news"), "Zx3k", 0, nil, nil), `{"type":"subscribed","channel":"news","epoch":"Zx3k","offset":0}`},
	{"unsubscribed", command.AppendUnsubscribed(nil, command.NewID(2), "news"), `{"type":"unsubscribed","id":2,"channel":"news"}`},
	{"published", command.AppendPublished(nil, command.NewID(3), "chat", 18), `{"type":"published","id":3,"channel":"chat","offset":18}`},
	{"pong", command.AppendPong(nil, command.NewID(4)), `{"type":"pong","id":4}`},
	{"pong without id", command.AppendPong(nil, none), `{"type":"pong"}`},
	{"pong to id 0", command.AppendPong(nil, command.NewID(0)), `{"type":"pong","id":0}`},
	{"event", command.AppendEvent(nil, command.AppendEventPrefix(nil, "news"), 18, []byte(`{"a":1}`)), `{"type":"event","channel":"news","offset":18,"data":{"a":1}}`},
	{"event of an odd channel", command.AppendEvent(nil, command.AppendEventPrefix(nil, []byte(`a"é`)), 1, []byte(`null`)), `{"type":"event","channel":"a\"é","offset":1,"data":null}`},
	{"gap", command.AppendGap(nil, "news", 19, 40), `{"type":"gap","channel":"news","from":19,"to":40}`},
	{"error", command.AppendRefusal(nil, one, &command.Error{Code: command.PermissionDenied, Message: `not "here"`}), `{"type":"error","id":1,"code":"permission_denied","message":"not \"here\""}`},
	{"error for a while", command.AppendRefusal(nil, one, &command.Error{Code: command.RateLimited, Message: "no", RetryAfter: 1500_001 * time.Microsecond}),
		`{"type":"error","id":1,"code":"rate_limited","message":"no","retry_after_ms":1501}`},
	{"error for good", command.AppendRefusal(nil, none, &command.Error{Code: command.BadRequest, Message: "no"}), `{"type":"error","code":"bad_request","message":"no"}`},
	{"goodbye", command.AppendGoodbye(nil, "draining", 1234), `{"type":"goodbye","reason":"draining","retry_after_ms":1234}`},

	{"authenticate", command.AppendAuthenticate(nil, one, "a.b.c"), `{"type":"authenticate","id":1,"token":"a.b.c"}`},
	{"subscribe", command.AppendSubscribe(nil, one, "news"), `{"type":"subscribe","id":1,"channel":"news"}`},
	{"subscribe to several", command.AppendSubscribe(nil, one, "a", `b"`), `{"type":"subscribe","id":1,"channels":["a","b\""]}`},
}

func TestMessages(t *testing.T) {
	for _, tt := range messages {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	codes := map[command.Code]string{
		command.BadRequest: "bad_request", command.UnknownType: "unknown_type", command.BadChannel: "bad_channel",
		command.AlreadySubscribed: "already_subscribed", command.NotSubscribed: "not_subscribed",
		command.PermissionDenied: "permission_denied", command.LimitExceeded: "limit_exceeded",
		command.RateLimited: "rate_limited", command.AuthenticationRequired: "authentication_required", command.Withdrawn: "withdrawn", command.PermissionExpired: "permission_expired", command.NotAvailable: "not_available", command.Internal: "internal",
	}
	if len(codes) != 13 {
		t.Errorf("%d distinct codes, want 13", len(codes))
	}
	for code, want := range codes {
		message := string(command.AppendRefusal(nil, none, &command.Error{Code: code, Message: "x"}))
		if message != `{"type":"error","code":"`+want+`","message":"x"}` {
			t.Errorf("%s: %s", want, message)
		}
	}
}

func TestEventLength(t *testing.T) {
	data := []byte(`{"a":1}`)
	for _, channel := range []string{"n", "news", `q"é`} {
		prefix := command.AppendEventPrefix(nil, channel)
		for _, offset := range []uint64{0, 1, 9, 10, 99, 100, 12345678, 1<<53 - 1, 1<<64 - 1} {
			got := command.EventLength(prefix, offset, data)
			if want := len(command.AppendEvent(nil, prefix, offset, data)); got != want {
				t.Errorf("EventLength(%q, %d) = %d, want %d", channel, offset, got, want)
			}
		}
	}
}

func TestAppendingAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	channel, prefix, data := []byte("news"), command.AppendEventPrefix(nil, "news"), []byte(`{"a":1}`)
	allocs := testing.AllocsPerRun(100, func() {
		dst = command.AppendWelcome(dst[:0], "5f0c", 25000, nil, nil)
		dst = command.AppendSubscribed(dst, one, channel, "Zx3k", 17, nil, nil)
		dst = command.AppendUnsubscribed(dst, one, channel)
		dst = command.AppendPublished(dst, one, channel, 18)
		dst = command.AppendPong(dst, one)
		dst = command.AppendGap(dst, channel, 19, 40)
		dst = command.AppendRefusal(dst, one, &command.Error{Code: command.RateLimited, Message: "no", RetryAfter: time.Second})
		dst = command.AppendGoodbye(dst, "draining", 1234)
		dst = command.AppendSubscribe(dst, one, channel)
		dst = command.AppendAuthenticated(dst, one, &command.Standing{User: "alice", ExpiresMS: 1})
		dst = command.AppendWithdrawn(dst, channel, command.PermissionDenied)
		dst = command.AppendEvent(dst, prefix, 18, data)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}
