package command_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// oracle reads a command slowly, with encoding/json, and says whether it is to be accepted.
func oracle(payload []byte) (o outcome, ok bool) {
	members, ok := oracleMembers(payload, "type", "id", "channel", "channels", "since", "data", "token", "last", "before", "limit", "idempotency", "expect")
	if !ok {
		return o, false
	}
	typ, ok := oracleText(members["type"])
	o.typ = map[string]command.Type{
		"subscribe": command.Subscribe, "unsubscribe": command.Unsubscribe, "publish": command.Publish, "ping": command.Ping,
		"authenticate": command.Authenticate, "history": command.History,
	}[typ]
	if !ok || o.typ == 0 {
		return o, false
	}
	if raw, has := members["id"]; has {
		if o.id, ok = oracleUint(raw); !ok {
			return o, false
		}
	}
	single, hasChannel := members["channel"]
	several, hasChannels := members["channels"]
	if hasChannel {
		name, ok := oracleText(single)
		if !ok {
			return o, false
		}
		o.channels = append(o.channels, name)
	}
	if hasChannels {
		if ok := o.oracleChannels(several); !ok {
			return o, false
		}
	}
	since, hasSince := members["since"]
	last, hasLast := members["last"]
	start, ok := oracleStart(since, last)
	if !ok || hasSince && hasLast {
		return o, false
	}
	o.addStarts(start)
	before, hasBefore := members["before"]
	limit, hasLimit := members["limit"]
	var okBefore, okLimit bool
	o.before, okBefore = oracleCount(before, 1<<53-1)
	count, okLimit := oracleCount(limit, command.MaxHistory)
	o.limit = uint32(count)
	if hasBefore && !okBefore || hasLimit && !okLimit {
		return o, false
	}
	if o.conditions, ok = oracleConditions(members); !ok {
		return o, false
	}
	data, hasData := members["data"]
	o.data = string(data)
	token, hasToken := members["token"]
	if hasToken {
		if o.token, ok = oracleText(token); !ok || o.token == "" {
			return o, false
		}
	}
	switch {
	case hasChannel && hasChannels, hasSince && hasChannels, hasSince && hasBefore,
		o.typ == command.History && (hasChannels || hasLast),
		!hasChannel && !hasChannels && o.typ != command.Ping && o.typ != command.Authenticate,
		o.typ == command.Authenticate && !hasToken, o.typ == command.Subscribe && hasToken && hasChannels,
		o.typ == command.Publish && !hasData:
		return o, false
	}
	return o, true
}

// oracleChannels reads the member channels.
func (o *outcome) oracleChannels(raw []byte) bool {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil || len(elements) == 0 || len(elements) > command.MaxChannels {
		return false
	}
	for _, element := range elements {
		name, isText := oracleText(element)
		start := ""
		if !isText {
			members, ok := oracleMembers(element, "channel", "since", "last")
			if !ok {
				return false
			}
			_, hasSince := members["since"]
			_, hasLast := members["last"]
			var okName, okStart bool
			name, okName = oracleText(members["channel"])
			start, okStart = oracleStart(members["since"], members["last"])
			if !okName || !okStart || hasSince && hasLast {
				return false
			}
		}
		o.channels, o.starts = append(o.channels, name), append(o.starts, start)
	}
	return true
}

// addStarts gives each channel without a start that of the message.
func (o *outcome) addStarts(start string) {
	live := true
	for i := range o.channels {
		if i == len(o.starts) {
			o.starts = append(o.starts, "")
		}
		if o.starts[i] == "" {
			o.starts[i] = start
		}
		live = live && o.starts[i] == ""
	}
	if live {
		o.starts = nil
	}
}

// oracleStart reads the members since and last, of which each may be nil.
func oracleStart(since, last []byte) (text string, ok bool) {
	if since != nil {
		return oracleSince(since)
	}
	if last != nil {
		n, ok := oracleCount(last, command.MaxLast)
		return fmt.Sprint("last ", n), ok
	}
	return "", true
}

func oracleCount(raw []byte, most uint64) (n uint64, ok bool) {
	text, ok := oracleUint(raw)
	n, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil || n == 0 || n > most {
		return 0, false
	}
	return n, true
}

// oracleMembers decodes an object; ok is false if it is none or repeats a known key.
func oracleMembers(text []byte, known ...string) (members map[string]json.RawMessage, ok bool) {
	if !json.Valid(text) || !utf8.Valid(text) || bytes.TrimLeft(text, " \t\r\n")[0] != '{' {
		return nil, false
	}
	members = map[string]json.RawMessage{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token()
	for decoder.More() {
		key, _ := decoder.Token()
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return nil, false
		}
		for _, k := range known {
			if _, has := members[k]; has && k == key {
				return nil, false
			}
		}
		members[key.(string)] = value
	}
	return members, true
}

func oracleText(raw []byte) (text string, ok bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	text, ok = v.(string)
	return text, ok
}

func oracleUint(raw []byte) (text string, ok bool) {
	n, err := strconv.ParseUint(string(raw), 10, 53)
	return string(raw), err == nil && strconv.FormatUint(n, 10) == string(raw)
}

func oracleSince(raw []byte) (text string, ok bool) {
	members, ok := oracleMembers(raw, "epoch", "offset")
	if !ok {
		return "", false
	}
	epoch, okEpoch := oracleText(members["epoch"])
	offset, okOffset := oracleUint(members["offset"])
	return epoch + "@" + offset, okEpoch && okOffset
}

// beyondOracle tells whether text may hold what encoding/json reads otherwise: halves of surrogate
// pairs, which it replaces, and nesting beyond a limit.
func beyondOracle(text []byte) bool {
	return surrogates.Match(text) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > jsonscan.MaxDepth
}

var surrogates = regexp.MustCompile(`(?i)\\ud[89a-f]`)

// appendCommand writes a parsed command again, without what only the gateway reads. It returns
// nil if there is no function for its type.
func appendCommand(c *command.Command) []byte {
	switch {
	case c.Type == command.Authenticate:
		return command.AppendAuthenticate(nil, c.ID, c.Token)
	case c.Type == command.History && c.Start.HasSince:
		return command.AppendHistoryCommand(nil, c.ID, c.Channels[0], &c.Start.Since, c.Before, c.Limit)
	case c.Type == command.History:
		return command.AppendHistoryCommand(nil, c.ID, c.Channels[0], nil, c.Before, c.Limit)
	case c.Type == command.Subscribe && len(c.Channels) == 1:
		return command.AppendResume(nil, c.ID, c.Channels[0], *c.StartOf(0))
	case c.Type == command.Subscribe:
		starts := make([]command.Start, len(c.Channels))
		for i := range starts {
			starts[i] = *c.StartOf(i)
		}
		return command.AppendResumes(nil, c.ID, c.Channels, starts)
	}
	return nil
}

// sameAgain fails unless a command is the same when it is written and read again.
func sameAgain(t *testing.T, c *command.Command, o outcome) {
	t.Helper()
	payload := appendCommand(c)
	if payload == nil {
		return
	}
	if c.Type != command.Authenticate {
		o.token = ""
	}
	if c.Type == command.Authenticate {
		o.channels, o.starts = nil, nil
	}
	if c.Type != command.History {
		o.before, o.limit = 0, 0
	}
	o.data = ""
	var again command.Command
	if got, err := parse(&again, string(payload)); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%.200q:\n got %.300v, %v\nwant %.300v", payload, got, err, o)
	}
}

func TestCommandsRoundTrip(t *testing.T) {
	written := map[command.Type]bool{}
	var c command.Command
	for _, tt := range slices.Concat(commandTests, startTests) {
		if got, err := parse(&c, tt.payload); err == nil && got.code == "" && !surrogates.MatchString(tt.payload) {
			sameAgain(t, &c, got)
			written[c.Type] = appendCommand(&c) != nil
		}
	}
	if !written[command.Subscribe] || !written[command.History] || !written[command.Authenticate] {
		t.Errorf("written were %v", written)
	}
}

func FuzzCommand(f *testing.F) {
	for _, tt := range slices.Concat(commandTests, startTests) {
		f.Add([]byte(tt.payload))
	}
	for _, tt := range messages {
		f.Add([]byte(tt.want))
	}
	for _, tt := range conditionTests {
		f.Add([]byte(`{"type":"publish","channel":"a","data":1,` + tt.members + `}`))
	}
	var c command.Command
	f.Fuzz(func(t *testing.T, payload []byte) {
		if beyondOracle(payload) {
			t.Skip("encoding/json is no oracle for it")
		}
		got, err := parse(&c, string(payload))
		if err != nil {
			t.Fatal(err)
		}
		want, ok := oracle(payload)
		if ok != (got.code == "") {
			t.Fatalf("%q: refused with %q, the oracle accepts: %v", payload, got.code, ok)
		}
		if ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\n got %+v\nwant %+v", payload, got, want)
		}
		if ok {
			sameAgain(t, &c, got)
		}
	})
}
