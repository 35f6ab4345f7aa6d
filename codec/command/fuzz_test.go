package command_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
)

// oracle reads a command slowly, with encoding/json, and says whether it is to be accepted.
func oracle(payload []byte) (o outcome, ok bool) {
	members, ok := oracleMembers(payload, "type", "id", "channel", "channels", "since", "data", "token")
	if !ok {
		return o, false
	}
	typ, ok := oracleText(members["type"])
	o.typ = map[string]command.Type{
		"subscribe": command.Subscribe, "unsubscribe": command.Unsubscribe, "publish": command.Publish, "ping": command.Ping,
		"authenticate": command.Authenticate,
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
		if json.Unmarshal(several, &o.channels) != nil || len(o.channels) == 0 || len(o.channels) > command.MaxChannels {
			return o, false
		}
		if nulls := []any{}; json.Unmarshal(several, &nulls) != nil || bytes.Contains(several, []byte("null")) && containsNil(nulls) {
			return o, false
		}
	}
	since, hasSince := members["since"]
	if hasSince {
		if o.since, ok = oracleSince(since); !ok {
			return o, false
		}
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
	case hasChannel && hasChannels, hasSince && hasChannels,
		!hasChannel && !hasChannels && o.typ != command.Ping && o.typ != command.Authenticate,
		o.typ == command.Authenticate && !hasToken, o.typ == command.Subscribe && hasToken && hasChannels,
		o.typ == command.Publish && !hasData:
		return o, false
	}
	return o, true
}

func containsNil(values []any) bool {
	for _, v := range values {
		if v == nil {
			return true
		}
	}
	return false
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

func FuzzCommand(f *testing.F) {
	for _, tt := range commandTests {
		f.Add([]byte(tt.payload))
	}
	for _, tt := range messages {
		f.Add([]byte(tt.want))
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
	})
}
