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
	{"subscribed and recovered", command.AppendSubscribed(nil, one, "news", "Zx3k", 17, &command.Recovery{Resumes: true, Recovered: true, Latest: 40}, nil),
		`{"type":"subscribed","id":1,"channel":"news","epoch":"Zx3k","offset":17,"recovered":true,"latest":40}`},
	{"subscribed and recovered in part", command.AppendSubscribed(nil, one, "news", "Zx3k", 17, &command.Recovery{Resumes: true, LostFrom: 18, LostTo: 29, Latest: 40}, nil),
		`{"type":"subscribed","id":1,"channel":"news","epoch":"Zx3k","offset":17,"recovered":false,"lost":{"from":18,"to":29},"latest":40}`},
	{"subscribed and not recovered", command.AppendSubscribed(nil, one, "news", "Qq1p", 40, &command.Recovery{Resumes: true, Latest: 40}, nil),
		`{"type":"subscribed","id":1,"channel":"news","epoch":"Qq1p","offset":40,"recovered":false,"latest":40}`},
	{"subscribed to a fresh channel and not recovered", command.AppendSubscribed(nil, one, "news", "Qq1p", 0, &command.Recovery{Resumes: true}, nil),
		`{"type":"subscribed","id":1,"channel":"news","epoch":"Qq1p","offset":0,"recovered":false,"latest":0}`},
	{"subscribed some events back", command.AppendSubscribed(nil, none, "news", "Zx3k", 20, &command.Recovery{Latest: 40}, nil),
		`{"type":"subscribed","channel":"news","epoch":"Zx3k","offset":20,"latest":40}`},
	{"subscribed and recovered with a token", command.AppendSubscribed(nil, one, "news", "Zx3k", 17, &command.Recovery{Resumes: true, Recovered: true, Latest: 17}, &command.Standing{ExpiresMS: 60_000}),
		`{"type":"subscribed","id":1,"channel":"news","epoch":"Zx3k","offset":17,"recovered":true,"latest":17,"expires_in_ms":60000}`},
	{"history", command.AppendHistory(nil, command.NewID(5), `n"s`, "Zx3k", &command.Page{Latest: 40, More: true, Events: []command.PageEvent{{Offset: 18, Data: []byte(`{"a": [1]}`)}, {Offset: 19, Data: []byte(`null`)}}}),
		`{"type":"history","id":5,"channel":"n\"s","epoch":"Zx3k","latest":40,"events":[{"offset":18,"data":{"a": [1]}},{"offset":19,"data":null}],"more":true}`},
	{"history of one event", command.AppendHistory(nil, none, "news", []byte("Zx3k"), &command.Page{Latest: 1, Events: []command.PageEvent{{Offset: 1, Data: []byte(`""`)}}}),
		`{"type":"history","channel":"news","epoch":"Zx3k","latest":1,"events":[{"offset":1,"data":""}],"more":false}`},
	{"history without events", command.AppendHistory(nil, none, "news", "Zx3k", &command.Page{}),
		`{"type":"history","channel":"news","epoch":"Zx3k","latest":0,"events":[],"more":false}`},
	{"unsubscribed", command.AppendUnsubscribed(nil, command.NewID(2), "news"), `{"type":"unsubscribed","id":2,"channel":"news"}`},
	{"published", command.AppendPublished(nil, command.NewID(3), "chat", 18), `{"type":"published","id":3,"channel":"chat","offset":18}`},
	{"published with conditions", command.AppendPublishedAt(nil, command.NewID(3), "chat", "Zx3k", 18, false), `{"type":"published","id":3,"channel":"chat","epoch":"Zx3k","offset":18}`},
	{"published before", command.AppendPublishedAt(nil, none, []byte("chat"), []byte("Zx3k"), 18, true), `{"type":"published","channel":"chat","epoch":"Zx3k","offset":18,"duplicate":true}`},
	{"pong", command.AppendPong(nil, command.NewID(4)), `{"type":"pong","id":4}`},
	{"pong without id", command.AppendPong(nil, none), `{"type":"pong"}`},
	{"pong to id 0", command.AppendPong(nil, command.NewID(0)), `{"type":"pong","id":0}`},
	{"event", command.AppendEvent(nil, command.AppendEventPrefix(nil, "news"), 18, []byte(`{"a":1}`)), `{"type":"event","channel":"news","offset":18,"data":{"a":1}}`},
	{"event of an odd channel", command.AppendEvent(nil, command.AppendEventPrefix(nil, []byte(`a"é`)), 1, []byte(`null`)), `{"type":"event","channel":"a\"é","offset":1,"data":null}`},
	{"gap", command.AppendGap(nil, "news", 19, 40), `{"type":"gap","channel":"news","from":19,"to":40}`},
	{"error", command.AppendRefusal(nil, one, &command.Error{Code: command.PermissionDenied, Message: `not "here"`}), `{"type":"error","id":1,"code":"permission_denied","message":"not \"here\""}`},
	{"error for a while", command.AppendRefusal(nil, one, &command.Error{Code: command.RateLimited, Message: "no", RetryAfter: 1500_001 * time.Microsecond}),
		`{"type":"error","id":1,"code":"rate_limited","message":"no","retry_after_ms":1501}`},
	{"conflict", command.AppendRefusal(nil, one, &command.Error{Code: command.Conflict, Message: "no", Now: &command.Since{Epoch: []byte("Zx3k"), Offset: 40}}),
		`{"type":"error","id":1,"code":"conflict","message":"no","epoch":"Zx3k","offset":40}`},
	{"error for good", command.AppendRefusal(nil, none, &command.Error{Code: command.BadRequest, Message: "no"}), `{"type":"error","code":"bad_request","message":"no"}`},
	{"goodbye", command.AppendGoodbye(nil, "draining", 1234), `{"type":"goodbye","reason":"draining","retry_after_ms":1234}`},

	{"authenticate", command.AppendAuthenticate(nil, one, "a.b.c"), `{"type":"authenticate","id":1,"token":"a.b.c"}`},
	{"subscribe", command.AppendSubscribe(nil, one, "news"), `{"type":"subscribe","id":1,"channel":"news"}`},
	{"subscribe to several", command.AppendSubscribe(nil, one, "a", `b"`), `{"type":"subscribe","id":1,"channels":["a","b\""]}`},
	{"subscribe since", command.AppendResume(nil, one, "news", since(`Z"k`, 17)), `{"type":"subscribe","id":1,"channel":"news","since":{"epoch":"Z\"k","offset":17}}`},
	{"subscribe to the last ones", command.AppendResume(nil, none, []byte("news"), command.Start{Last: 20}), `{"type":"subscribe","channel":"news","last":20}`},
	{"subscribe to what comes", command.AppendResume(nil, none, "news", command.Start{}), `{"type":"subscribe","channel":"news"}`},
	{"subscribe to several since", command.AppendResumes(nil, one, []string{"a", `b"`, "c"}, []command.Start{since("", 0), {}, {Last: 1}}),
		`{"type":"subscribe","id":1,"channels":[{"channel":"a","since":{"epoch":"","offset":0}},{"channel":"b\""},{"channel":"c","last":1}]}`},
	{"subscribe to one of several", command.AppendResumes(nil, none, []string{"a"}, []command.Start{{Last: 2}}), `{"type":"subscribe","channels":[{"channel":"a","last":2}]}`},
}

func since(epoch string, offset uint64) command.Start {
	return command.Start{Since: command.Since{Epoch: []byte(epoch), Offset: offset}, HasSince: true}
}

// historyCommands are not among messages, because the answer has the same type as the command.
var historyCommands = []struct {
	got  []byte
	want string
}{
	{command.AppendHistoryCommand(nil, one, "news", nil, 0, 0), `{"type":"history","id":1,"channel":"news"}`},
	{command.AppendHistoryCommand(nil, none, `n"s`, nil, 41, 100), `{"type":"history","channel":"n\"s","before":41,"limit":100}`},
	{command.AppendHistoryCommand(nil, none, []byte("news"), &command.Since{Epoch: []byte("Zx3k"), Offset: 17}, 0, 1), `{"type":"history","channel":"news","since":{"epoch":"Zx3k","offset":17},"limit":1}`},
}

func TestHistoryCommands(t *testing.T) {
	var c command.Command
	for _, tt := range historyCommands {
		if string(tt.got) != tt.want {
			t.Errorf("got %s\nwant %s", tt.got, tt.want)
		}
		if err := c.Parse(tt.got); err != nil || c.Type != command.History {
			t.Errorf("%s: %v", tt.got, err)
		}
	}
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
		command.Conflict: "conflict",
	}
	if len(codes) != 14 {
		t.Errorf("%d distinct codes, want 14", len(codes))
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
	dst := make([]byte, 0, 2048)
	channel, prefix, data := []byte("news"), command.AppendEventPrefix(nil, "news"), []byte(`{"a":1}`)
	channels, starts := [][]byte{channel, channel}, []command.Start{since("Zx3k", 17), {Last: 20}}
	page := command.Page{Latest: 40, Events: []command.PageEvent{{18, data}, {19, data}}}
	allocs := testing.AllocsPerRun(100, func() {
		dst = command.AppendWelcome(dst[:0], "5f0c", 25000, nil, nil)
		dst = command.AppendSubscribed(dst, one, channel, "Zx3k", 17, nil, nil)
		dst = command.AppendSubscribed(dst, one, channel, "Zx3k", 17, &command.Recovery{Resumes: true, LostFrom: 18, LostTo: 29, Latest: 40}, nil)
		dst = command.AppendHistory(dst, one, channel, "Zx3k", &page)
		dst = command.AppendUnsubscribed(dst, one, channel)
		dst = command.AppendPublished(dst, one, channel, 18)
		dst = command.AppendPublishedAt(dst, one, channel, channel, 18, true)
		dst = command.AppendPong(dst, one)
		dst = command.AppendGap(dst, channel, 19, 40)
		dst = command.AppendRefusal(dst, one, &command.Error{Code: command.RateLimited, Message: "no", RetryAfter: time.Second})
		dst = command.AppendGoodbye(dst, "draining", 1234)
		dst = command.AppendSubscribe(dst, one, channel)
		dst = command.AppendResume(dst, one, channel, starts[0])
		dst = command.AppendResumes(dst, one, channels, starts)
		dst = command.AppendHistoryCommand(dst, one, channel, &starts[0].Since, 0, 100)
		dst = command.AppendAuthenticated(dst, one, &command.Standing{User: "alice", ExpiresMS: 1})
		dst = command.AppendWithdrawn(dst, channel, command.PermissionDenied)
		dst = command.AppendEvent(dst, prefix, 18, data)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}
