package publisher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRequest demands of whatever is accepted that it is one line, which means
// what was asked for and nothing else.
func FuzzRequest(f *testing.F) {
	f.Add("news", "", []byte(`{"a":1}`), uint64(1))
	f.Add(`a"b\c`, "k", []byte("{\n\"a\": [1,\n2]}\n"), uint64(0))
	f.Add("größe", "k", []byte(`"é"`), uint64(1<<53))
	f.Add("news", "k", []byte("1}\n{\"channel\":\"other\",\"data\":1"), uint64(2))
	f.Add("news", "k", []byte(`1,"id":99`), uint64(2))
	f.Add("news", "k", []byte("\"a\nb\""), uint64(2))
	f.Add("a\nb", "k", []byte("1"), uint64(2))
	f.Add("news", "k", []byte(`"\"`), uint64(2))
	f.Add("news", "k", []byte(`"\x\u12"`), uint64(2))
	f.Add("news", "k", []byte("[\"\xff\",\n1]"), uint64(2))
	f.Fuzz(func(t *testing.T, channel, key string, data []byte, id uint64) {
		checked, err := checkData(data)
		if err != nil || checkChannel(channel) != nil {
			if json.Valid(data) && utf8.Valid(data) && err != nil {
				t.Fatalf("valid data was refused: %v", err)
			}
			return
		}
		var given []EventOption // what of the key is allowed as such
		for _, option := range []EventOption{WithKey(key), WithIdempotency(key), WithExpect(key, id)} {
			if _, err := optionsOf([]EventOption{option}); err == nil {
				given = append(given, option)
			}
		}
		o, err := optionsOf(given)
		if err != nil {
			t.Fatal(err)
		}
		head := appendHead(nil, id)
		if len(head) > requestOverhead {
			t.Fatalf("head of %d bytes", len(head))
		}
		one := appendBody(nil, channel, &o, checked)
		many := appendBodyMany(nil, []string{channel, channel}, &o, checked)
		if rest := o.length() + len(checked); len(one) > bodyLength(channel)+rest || len(many) > bodyLengthMany([]string{channel, channel})+rest {
			t.Fatalf("bodies of %d and %d bytes exceed their bounds", len(one), len(many))
		}
		for _, body := range [][]byte{one, many} {
			line := slices.Concat(head, body)
			if bytes.IndexByte(line, '\n') != len(line)-1 {
				t.Fatalf("more than one line: %q", line)
			}
			if !json.Valid(line) || !utf8.Valid(line) {
				t.Fatalf("not JSON in UTF-8: %q", line)
			}
			checkRequest(t, line, channel, o, data, id)
		}
	})
}

// checkRequest parses line as encoding/json does and compares.
func checkRequest(t *testing.T, line []byte, channel string, o eventOptions, data []byte, id uint64) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	var got, want bytes.Buffer
	_ = json.Compact(&got, members["data"])
	_ = json.Compact(&want, data)
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Fatalf("data %q, want %q", got.Bytes(), want.Bytes())
	}
	var channels []string
	if members["channel"] != nil {
		channels = []string{"", channel}
		_ = json.Unmarshal(members["channel"], &channels[0])
	} else {
		_ = json.Unmarshal(members["channels"], &channels)
	}
	if !slices.Equal(channels, []string{channel, channel}) {
		t.Fatalf("channels %q, want %q", channels, channel)
	}
	n := 2
	if id != 0 {
		n = 3
		if string(members["id"]) != fmt.Sprint(id) {
			t.Fatalf("id %s, want %d", members["id"], id)
		}
	}
	for member, want := range map[string]string{"key": o.key, "idempotency": o.idempotency} {
		if want != "" {
			n++
			var got string
			if _ = json.Unmarshal(members[member], &got); got != want {
				t.Fatalf("%s %q, want %q", member, got, want)
			}
		}
	}
	if o.expects {
		n++
		var at struct {
			Epoch  string
			Offset uint64
		}
		if _ = json.Unmarshal(members["expect"], &at); at.Epoch != o.epoch || at.Offset != o.offset {
			t.Fatalf("expect %+v, want %+v", at, o)
		}
	}
	if len(members) != n {
		t.Fatalf("%d members in %q", len(members), line)
	}
}

// FuzzReplies feeds the same bytes whole and in pieces to two links with the same
// requests in flight, which must end in the same state.
func FuzzReplies(f *testing.F) {
	result := `{"id":%d,"results":[{"channel":"news","epoch":"e","offset":1,"subscribers":2}]}` + "\n"
	f.Add([]byte(fmt.Sprintf(result+result, 2, 4)), uint8(1))
	f.Add([]byte(`{"line":1,"error":{"code":"bad_request","message":"m"}}`+"\n"+fmt.Sprintf(result, 2)), uint8(7))
	f.Add([]byte(`{"line":2,"error":{"code":"limit_exceeded","message":"m"}}`+"\n"), uint8(9))
	f.Add([]byte(`{"id":2,"error":{"code":"internal","message":"a\u00e9"}}`+"\n"), uint8(3))
	f.Add([]byte(`{"id":2,"line":1,"results":null,"error":{}}`+"\n"), uint8(5))
	f.Add([]byte("{\"id\":1e1}\n\n"), uint8(2))
	f.Add([]byte(`{"id":18446744073709551616}`+"\n"), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		whole, split := linkWithRequests(), linkWithRequests()
		wholeErr := whole.consume(b)
		var splitErr error
		for rest := b; len(rest) > 0 && splitErr == nil; {
			n := min(len(rest), int(piece)+1)
			splitErr = split.consume(slices.Clone(rest[:n]))
			rest = rest[n:]
		}
		if (wholeErr == nil) != (splitErr == nil) || wholeErr != nil && !errors.Is(wholeErr, ErrProtocol) {
			t.Fatalf("whole: %v, in pieces: %v", wholeErr, splitErr)
		}
		if whole.settled != split.settled || whole.answered != split.answered || whole.inFlight.len() != split.inFlight.len() {
			t.Fatalf("whole: %d %d, in pieces: %d %d", whole.settled, whole.answered, split.settled, split.answered)
		}
		if whole.settled > whole.lines || whole.answered > whole.settled || whole.p.failed.Refused != split.p.failed.Refused {
			t.Fatalf("settled %d, answered %d of %d lines", whole.settled, whole.answered, whole.lines)
		}
		if !bytes.Equal(whole.partial, split.partial) && wholeErr == nil {
			t.Fatalf("kept %q, in pieces %q", whole.partial, split.partial)
		}
	})
}

// linkWithRequests returns a link without a connection, on which lines 2 and 4
// await a reply, and 1, 3 and 5 are Sends.
func linkWithRequests() *link {
	p := &Publisher{state: StateConnected}
	l := &link{p: p, wake: make(chan struct{}, 1), broken: make(chan struct{})}
	p.link = l
	for i := range 5 {
		var c *call
		if i%2 == 1 {
			c = newCall("news")
		}
		l.put(c, 0)
	}
	return l
}

// A long reply in small pieces must not be copied again for each of them.
func TestLongReplyInPieces(t *testing.T) {
	l := linkWithRequests()
	line := []byte(`{"id":2,"error":{"code":"internal","message":"` + strings.Repeat("m", maxReplyLength/2) + "\"}}\n")
	for i := range line {
		if err := l.consume(line[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if l.answered != 1 || cap(l.partial) > keptPartial {
		t.Errorf("answered %d, kept %d bytes", l.answered, cap(l.partial))
	}
}

func TestRequestQueue(t *testing.T) {
	var q requestQueue
	next, oldest := uint64(1), uint64(1)
	for round := range 200 {
		for range round % 17 {
			q.push(request{line: next})
			next++
		}
		for range round % 16 {
			if q.len() == 0 {
				break
			}
			if q.front().line != oldest {
				t.Fatalf("front is %d, want %d", q.front().line, oldest)
			}
			q.pop()
			oldest++
		}
		if q.len() != int(next-oldest) {
			t.Fatalf("length %d, want %d", q.len(), next-oldest)
		}
	}
}

func TestEpochCacheIsBounded(t *testing.T) {
	var cache epochCache
	for i := range 10 * maxEpochs {
		if epoch := fmt.Sprint(i); cache.intern(epoch) != epoch {
			t.Fatal("another epoch")
		}
	}
	if len(cache.known) > maxEpochs {
		t.Errorf("%d epochs", len(cache.known))
	}
}

func TestReplyAllocatesNothing(t *testing.T) {
	l := linkWithRequests()
	c := newCall("news")
	const runs = 1000
	next := l.lines
	reply := []byte(`{"id":0000000,"results":[{"channel":"news","epoch":"Zx3k","offset":18,"subscribers":1200}]}` + "\n")
	round := func() {
		next++
		// The same width for every id, without a leading zero.
		copy(reply[6:], fmt.Append(nil, 1000000+next))
		l.lines = 1000000 + next - 1
		l.pending = l.pending[:0]
		c.left = 1
		l.put(c, 0)
		if err := l.consume(reply); err != nil {
			t.Fatal(err)
		}
		<-c.done
	}
	for l.inFlight.len() > 0 {
		l.inFlight.pop()
	}
	round()
	formatting := testing.AllocsPerRun(runs, func() { _ = fmt.Append(nil, 1000000+next) })
	if n := testing.AllocsPerRun(runs, round) - formatting; n != 0 {
		t.Errorf("%v allocations per reply", n)
	}
	if c.outcome[0].Offset != 18 || c.outcome[0].Err != nil {
		t.Errorf("outcome %+v", c.outcome[0])
	}
}

// Replies come in order: an error about a line behind an unanswered request, or
// before one that is settled, is none of ours. One about the oldest unanswered
// request is its reply.
func TestLineErrorsComeInOrder(t *testing.T) {
	lineError := func(line int) string {
		return fmt.Sprintf(`{"line":%d,"error":{"code":"internal","message":"m"}}`+"\n", line)
	}
	answer := `{"id":2,"results":[{"channel":"news","epoch":"e","offset":1,"subscribers":2}]}` + "\n"
	tests := []struct {
		replies string
		ok      bool
	}{
		{lineError(1), true},
		{lineError(1) + lineError(1), false},
		{lineError(2), true},
		{lineError(1) + lineError(2), true},
		{lineError(2) + lineError(2), false},
		{lineError(2) + answer, false},
		{lineError(2) + lineError(1), false},
		{lineError(2) + lineError(3) + lineError(4) + lineError(5), true},
		{lineError(3), false},
		{lineError(4), false},
		{lineError(6), false},
		{answer + lineError(3), true},
		{answer + lineError(1), false},
		{answer + lineError(2), false},
		{answer + lineError(5), false},
	}
	for _, tt := range tests {
		if err := linkWithRequests().consume([]byte(tt.replies)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", tt.replies, err)
		}
	}
}
