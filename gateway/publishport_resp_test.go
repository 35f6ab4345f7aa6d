package gateway_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"fleetcast/gateway"
)

const (
	noPassword = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"
	badName    = "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
	badUser    = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	noCluster  = "-ERR This instance has cluster support disabled\r\n"
	aborted    = "-EXECABORT Transaction discarded because of previous errors.\r\n"
	info       = "# Persistence\r\nloading:0\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n"
	askInfo    = "INFO persistence REPLICATION cluster\r\n"
)

// hello is the reply to HELLO behind its header.
func hello(version int) string {
	return fmt.Sprintf("$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:ID\r\n"+
		"$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n", version)
}

// array encodes a command as client libraries do.
func array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b.String()
}

// subscribeElsewhere is the answer to those who want to receive events here.
func subscribeElsewhere(command string) string {
	return "-ERR unknown command '" + command + "': this port takes events; to receive them, connect to the client port by WebSocket, " +
		"for example with fleetcast subscribe\r\n"
}

// respScript is a conversation on one connection. ID stands for its number.
var respScript = []struct{ request, reply string }{
	{"PING\r\n", "+PONG\r\n"},
	{"\r\n  \r\nping hi\n", "$2\r\nhi\r\n"},
	{array("PING"), "+PONG\r\n"},
	{array("PiNg", "a\r\nb\x00"), "$5\r\na\r\nb\x00\r\n"},
	{"*0\r\n*-1\r\n" + array("ECHO", ""), "$0\r\n\r\n"},
	{`ECHO "a \"b\" \x41\n"` + "\r\n", "$8\r\na \"b\" A\n\r\n"},
	{`ECHO 'it\'s'` + "\r\n", "$4\r\nit's\r\n"},
	{array("ECHO"), "-ERR wrong number of arguments for 'echo' command\r\n"},
	{array("PING", "a", "b"), "-ERR wrong number of arguments for 'ping' command\r\n"},
	{array("CLIENT", "GETNAME"), "$-1\r\n"},
	{array("HELLO"), "*14\r\n" + hello(2)},
	{array("HELLO", "3"), "%7\r\n" + hello(3)},
	{array("CLIENT", "GETNAME"), "_\r\n"},
	{array("HELLO", "2", "SETNAME", "me"), "*14\r\n" + hello(2)},
	{array("CLIENT", "GETNAME"), "$2\r\nme\r\n"},
	{array("HELLO", "4"), "-NOPROTO unsupported protocol version\r\n"},
	{array("HELLO", "x"), "-ERR Protocol version is not an integer or out of range\r\n"},
	{array("HELLO", "3", "SETNAME"), "-ERR Syntax error in HELLO option 'SETNAME'\r\n"},
	{array("HELLO", "3", "AUTH", "x"), "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
	{array("HELLO", "3", "AUTH", "bob", "x"), badUser},
	{array("HELLO", "3", "SETNAME", "a b"), badName},
	{array("CLIENT", "GETNAME"), "$2\r\nme\r\n"}, // nothing of a HELLO that fails
	{array("HELLO", "3", "AUTH", "default", "x", "SETNAME", "her"), "%7\r\n" + hello(3)},
	{array("CLIENT", "GETNAME"), "$3\r\nher\r\n"},
	{array("INFO", "cluster"), "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"},
	{array("CONFIG", "GET", "databases"), "%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n"},
	{array("COMMAND", "DOCS", "get"), "%0\r\n"},
	{array("COMMAND", "INFO", "get"), "*1\r\n_\r\n"},
	{array("CLIENT", "TRACKING", "ON", "OPTIN"), "+OK\r\n"},
	{array("CLIENT", "TRACKINGINFO"), "%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\noptin\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"},
	{array("CLIENT", "CACHING", "YES"), "+OK\r\n"},
	{array("HELLO", "2", "AUTH", "default", ""), "*14\r\n" + hello(2)},
	{array("AUTH", "x"), noPassword},
	{array("AUTH", "default", "x"), "+OK\r\n"},
	{array("AUTH", "bob", "x"), badUser},
	{array("AUTH", "a", "b", "c"), "-ERR syntax error\r\n"},
	{array("AUTH"), "-ERR wrong number of arguments for 'auth' command\r\n"},
	{array("SELECT", "0"), "+OK\r\n"},
	{array("SELECT", "15"), "+OK\r\n"},
	{array("SELECT", "16"), "-ERR DB index is out of range\r\n"},
	{array("SELECT", "x"), "-ERR value is not an integer or out of range\r\n"},
	{array("CLIENT", "SETNAME", "you"), "+OK\r\n"},
	{array("client", "getname"), "$3\r\nyou\r\n"},
	{array("CLIENT", "SETNAME", "a\nb"), badName},
	{array("CLIENT", "SETINFO", "LIB-NAME", "go-redis"), "+OK\r\n"},
	{array("CLIENT", "SETINFO", "LIB-NAME"), "-ERR wrong number of arguments for 'client|setinfo' command\r\n"},
	{array("CLIENT", "ID"), ":ID\r\n"},
	{array("CLIENT", "KILL", "x"), "-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n"},
	{array("CLIENT"), "-ERR wrong number of arguments for 'client' command\r\n"},
	{array("COMMAND"), "*0\r\n"},
	{array("COMMAND", "DOCS"), "*0\r\n"},
	{array("COMMAND", "x"), "-ERR unknown subcommand 'x'. Try COMMAND HELP.\r\n"},
	{askInfo, fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)},
	{array("INFO", "nothing"), "$0\r\n\r\n"},
	{array("CLIENT", "SETINFO", "lib-name", "a b"), "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n"},
	{array("CLIENT", "SETINFO", "x", "y"), "-ERR Unrecognized option 'x'\r\n"},
	{array("CLIENT", "TRACKING", "OFF"), "+OK\r\n"},
	{array("CLIENT", "TRACKING", "x"), "-ERR syntax error\r\n"},
	{array("CLIENT", "GETREDIR"), ":-1\r\n"},
	{array("CLIENT", "TRACKING", "ON", "REDIRECT", "99"), "-ERR The client ID you want redirect to does not exist\r\n"},
	{array("CLIENT", "NO-EVICT", "ON"), "+OK\r\n"},
	{array("CLIENT", "NO-TOUCH", "x"), "-ERR syntax error\r\n"},
	{array("CLIENT", "REPLY", "SKIP") + array("PING") + array("ECHO", "1"), "$1\r\n1\r\n"},
	{array("CLIENT", "REPLY", "OFF") + array("PING") + array("PUBLISH", "@quiet", "1") + array("x") + array("CLIENT", "REPLY", "ON"), "+OK\r\n"},
	{array("CLUSTER", "SHARDS"), noCluster},
	{array("READONLY"), noCluster},
	{array("SENTINEL", "MASTERS"), "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' \r\n"},
	{array("ROLE"), "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
	{array("ACL", "WHOAMI"), "$7\r\ndefault\r\n"},
	{array("CONFIG", "GET", "*-read-only"), "*4\r\n$17\r\nreplica-read-only\r\n$3\r\nyes\r\n$15\r\nslave-read-only\r\n$3\r\nyes\r\n"},
	{array("CONFIG", "GET", "x["), "*0\r\n"},
	{array("CONFIG", "SET", "timeout", "1"), "-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n"},
	{array("PUBSUB", "NUMSUB", "@quiet", "x"), "*4\r\n$6\r\n@quiet\r\n:0\r\n$1\r\nx\r\n:0\r\n"},
	{array("PUBSUB", "NUMPAT"), ":0\r\n"},

	{array("EXEC"), "-ERR EXEC without MULTI\r\n"},
	{array("DISCARD"), "-ERR DISCARD without MULTI\r\n"},
	{array("MULTI", "x"), "-ERR wrong number of arguments for 'multi' command\r\n"},
	{array("WATCH"), "-ERR wrong number of arguments for 'watch' command\r\n"},
	{array("WATCH", "a", "b") + array("UNWATCH") + array("MULTI") + array("EXEC"), "+OK\r\n+OK\r\n+OK\r\n*0\r\n"},
	{array("MULTI") + array("MULTI") + array("WATCH", "a") + array("EXEC"), "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n"},
	{array("MULTI") + array("PING") + `ECHO "a \x41"` + "\r\n" + array("HELLO", "3") + array("CLIENT", "NOBODY"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-ERR unknown subcommand 'NOBODY'. Try CLIENT HELP.\r\n"},
	{array("PING"), "+QUEUED\r\n"},
	{array("EXEC"), aborted},
	{array("MULTI") + array("PING") + `ECHO "a \x41"` + "\r\n" + array("CLIENT", "GETREDIR") + array("EXEC"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n$3\r\na A\r\n:-1\r\n"},
	{array("MULTI") + array("PUBLISH", "@quiet", "{}") + array("RESET") + array("EXEC"), "+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n"},
	{array("MULTI") + array("PUBLISH", "@quiet", "{}") + array("PUBLISH", "@quiet") + array("EXEC"), "+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'publish' command\r\n" + aborted},
	{array("MULTI") + array("NOTHING") + array("DISCARD") + array("PING"), "+OK\r\n-ERR unknown command 'NOTHING', with args beginning with: \r\n+OK\r\n+PONG\r\n"},
	{array("MULTI") + array("CLIENT", "REPLY", "OFF") + array("EXEC"), "+OK\r\n-ERR this command is not taken in a transaction\r\n" + aborted},
	{array("GET", "a b", "c"), "-ERR unknown command 'GET', with args beginning with: 'a b' 'c' \r\n"},
	{array("SUBSCRIBE", "news"), subscribeElsewhere("SUBSCRIBE")},
	{array("psubscribe", "n*") + array("MONITOR") + array("ssubscribe", "news"), subscribeElsewhere("psubscribe") + subscribeElsewhere("MONITOR") + subscribeElsewhere("ssubscribe")},
	{"nonsense\r\n", "-ERR unknown command 'nonsense', with args beginning with: \r\n"},
	{array("PUBLISH", "@quiet", "{}"), ":0\r\n"},
	{array("SPUBLISH", "@quiet", "{}"), ":0\r\n"},
	{`PUBLISH @quiet '{"a":1}'` + "\r\n", ":0\r\n"},
	{array("PUBLISH", "@quiet"), "-ERR wrong number of arguments for 'publish' command\r\n"},
	{array("PUBLISH", "a b", "1"), "-ERR a channel name holds a space or a control character\r\n"},
	{array("PUBLISH", "", "1"), "-ERR a channel name is empty\r\n"},
	{array("PUBLISH", "a\xff", "1"), "-ERR a channel name is not valid UTF-8\r\n"},
	{array("PUBLISH", strings.Repeat("x", 256), "1"), "-ERR a channel name is longer than 255 bytes\r\n"},
	{array("PUBLISH", "@quiet", "\xff"), "-ERR payload is not valid UTF-8\r\n"},
	{array("RESET"), "+RESET\r\n"},
	{array("CLIENT", "GETNAME"), "$-1\r\n"},
	{array("QUIT"), "+OK\r\n"},
}

func TestRESP(t *testing.T) {
	s := start(t)
	p := s.publisher()
	for _, step := range respScript {
		p.sends(step.request)
		if step.request == array("CLIENT", "ID") {
			p.receives(strings.ReplaceAll(step.reply, "ID", "1"))
			continue
		}
		p.receives(strings.ReplaceAll(step.reply, ":ID\r\n", ":1\r\n"))
	}
	p.ends()
	stats := s.stats().Publish
	if stats.Events != 4 || stats.Errors["bad_channel"] != 4 || stats.CreditsUsed != 0 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestRESPInPieces pipelines the whole conversation, split at many positions
// and byte by byte. What follows QUIT is ignored.
func TestRESPInPieces(t *testing.T) {
	s := start(t)
	var requests, replies strings.Builder
	for _, step := range respScript {
		requests.WriteString(step.request)
		replies.WriteString(step.reply)
	}
	whole := requests.String() + array("PUBLISH", "late", "1")
	number := 0
	run := func(pieces ...string) {
		t.Helper()
		number++
		p := dial(t, s.publishAddr(), 0)
		for i, piece := range pieces {
			if i == 1 && len(pieces) == 2 {
				met := uint64((number-1)*len(whole) + len(pieces[0]))
				s.eventually("the first half", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn == met })
			}
			p.sends(piece)
		}
		p.receives(strings.ReplaceAll(replies.String(), ":ID\r\n", fmt.Sprintf(":%d\r\n", number)))
		p.ends()
		p.Close()
		s.eventually("all input", func(g gateway.GatewayStats) bool { return g.Publish.BytesIn == uint64(number*len(whole)) })
	}
	run(whole)
	for at := 1; at < len(whole); at += 5 {
		run(whole[:at], whole[at:])
	}
	run(strings.Split(whole, "")...)
	if stats := s.stats().Publish; stats.Streams != 1 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestRESPProtocolErrors has the words of Redis, and the end.
func TestRESPProtocolErrors(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 100 })
	for input, want := range map[string]string{
		"*x\r\n":                          "invalid multibulk length",
		"*1025\r\n":                       "invalid multibulk length",
		"*99999999999999999999\r\n":       "invalid multibulk length",
		"*1\r\n:5\r\n":                    "expected '$', got ':'",
		"*1\r\n\x00":                      "expected '$', got '?'",
		"*1\r\n$-1\r\n":                   "invalid bulk length",
		"*1\r\n$x\r\n":                    "invalid bulk length",
		"*1\r\n$4\r\nPINGx\r\n":           "invalid bulk length",
		"*3\r\n$7\r\nPUBLISH\r\n$101\r\n": "invalid bulk length", // before the bytes come
		"*1\r\n$536870912\r\n":            "invalid bulk length",
		"PING \"x\r\n":                    "unbalanced quotes in request",
		"PING 'x'y\r\n":                   "unbalanced quotes in request",
		strings.Repeat("x", 64<<10+1):     "too big inline request",
	} {
		p := s.publisher()
		p.sends("PING\r\n" + input)
		p.receives("+PONG\r\n-ERR Protocol error: " + want + "\r\n")
		p.ends()
		p.Close()
	}
}

func TestRESPPayloads(t *testing.T) {
	s := start(t)
	subscriber, p := s.connect(), s.publisher()
	subscriber.subscribe("news")
	for i, test := range []struct{ payload, data string }{
		{`{"a":1}`, `{"a":1}`},
		{" [1, 2]\n", " [1, 2]\n"}, // byte for byte
		{`"text"`, `"text"`},
		{"12", "12"},
		{"null", "null"},
		{"hello", `"hello"`},
		{"", `""`},
		{"01", `"01"`},
		{"{\"a\":1", `"{\"a\":1"`},
		{"tab\tline\nquote\"back\\slash \x00 \x7f é 🚚", `"tab\tline\nquote\"back\\slash \u0000 ` + "\x7f" + ` é 🚚"`},
		{strings.Repeat("x", 64<<10-2), `"` + strings.Repeat("x", 64<<10-2) + `"`},
	} {
		p.sends(array("PUBLISH", "news", test.payload))
		p.receives(":1\r\n")
		subscriber.wants(event("news", uint64(i+1), test.data))
	}
	// As a JSON string it is too long; as it is, it fits.
	p.sends(array("PUBLISH", "news", strings.Repeat("x", 64<<10)))
	p.receives("-ERR data is longer than 65536 bytes\r\n")
	p.sends(array("PUBLISH", "news", `"`+strings.Repeat("x", 64<<10-2)+`"`))
	p.receives(":1\r\n")
	if stats := s.stats().Publish; stats.Errors["limit_exceeded"] != 1 || stats.Events != 12 {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestUnreadPublishReplies has publishers that do not read their replies: they
// are no longer read, what waits for them is bounded, and nothing is lost when
// they read again. Each request asks for far more than it brings.
func TestUnreadPublishReplies(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, test := range map[string]struct{ first, request, reply string }{
		"NDJSON": {"{}\n", "x\n", `"error":{"code":"bad_request","message":"a message is one JSON object"}}` + "\n"},
		"RESP":   {"PING\r\n", askInfo, fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			p := dial(t, s.publishAddr(), 4<<10)
			if err := p.SetWriteBuffer(64 << 10); err != nil {
				t.Fatal(err)
			}
			requests := 5_000_000 / len(test.request)
			go io.WriteString(p.TCPConn, test.first+strings.Repeat(test.request, requests))
			s.stops("the reading", func(g gateway.GatewayStats) uint64 { return g.Publish.BytesIn })
			stats := s.stats().Publish
			// What the kernel takes is up to tcp_wmem, 4 MiB as a rule. Beyond it,
			// ingest.TestRepliesAreBounded knows better.
			if stats.BytesIn > 2<<20 || stats.BytesOut > 6<<20 {
				t.Errorf("%d bytes were read and %d answered", stats.BytesIn, stats.BytesOut)
			}
			// Healthy publishers beside it do not suffer.
			if r := s.publish("news", "1"); r.Offset != 1 {
				t.Errorf("published with %+v", r)
			}
			if name == "NDJSON" {
				p.line()
			} else {
				p.receives("+PONG\r\n")
			}
			// On, past all that waited.
			for i, received := 2, uint64(0); received < stats.BytesOut+1<<20; i++ {
				want := test.reply
				if name == "NDJSON" {
					want = fmt.Sprintf(`{"line":%d,`, i) + test.reply
				}
				p.receives(want)
				received += uint64(len(want))
			}
		})
	}
}
