package publish_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fleetcast/codec/command"
	"fleetcast/codec/jsonscan"
	"fleetcast/codec/publish"
)

const maxData = 20

func TestRequestChannelLength(t *testing.T) {
	var r publish.Request
	limits := publish.RequestLimits{Data: maxData, Channel: 4}
	if err := r.Parse([]byte(`{"channels":["abcd","é2"],"data":1}`), limits); err != nil {
		t.Errorf("names of 4 bytes: %v", err)
	}
	err := r.Parse([]byte(`{"channels":["abcd","é234"],"data":1}`), limits)
	if want := `bad_channel: channel "\u00e9234": a channel name is longer than 4 bytes`; err == nil || err.Error() != want {
		t.Errorf("a name of 5 bytes: %v, want %s", err, want)
	}
}

// outcome is what a parsed request comes to.
type outcome struct {
	id       string // "" if not set
	channels []string
	data     string
	key      string
	auth     string
	code     command.Code // "" if accepted

	conditions string // "" if none
}

func parse(r *publish.Request, line string, maxData int) (o outcome, message string, err error) {
	err = r.Parse([]byte(line), publish.RequestLimits{Data: maxData, Channel: command.MaxChannel})
	if r.ID.Set {
		o.id = fmt.Sprint(r.ID.Value)
	}
	if err != nil {
		var refusal *command.Error
		if !errors.As(err, &refusal) || refusal.Message == "" {
			return o, "", fmt.Errorf("%T without code or message: %w", err, err)
		}
		o.code = refusal.Code
		return o, refusal.Message, nil
	}
	if c := r.Conditions(); c != nil {
		o.conditions = fmt.Sprintf("%q %v %q@%d", c.Idempotency, c.HasExpect, c.Expect.Epoch, c.Expect.Offset)
	}
	for _, name := range r.Channels {
		o.channels = append(o.channels, string(name))
	}
	o.data, o.key, o.auth = string(r.Data), string(r.Key), string(r.Auth)
	if r.IsAuth() != (o.auth != "") {
		return o, "", fmt.Errorf("IsAuth is %v with the key %q", r.IsAuth(), o.auth)
	}
	return o, "", nil
}

func names(n int) string { return `["a"` + strings.Repeat(`,"a"`, n-1) + `]` }

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

var requestTests = []struct {
	line    string
	want    outcome
	message string // part of it
}{
	{`{"id":1,"channel":"news","data":{"a":1}}`, outcome{id: "1", channels: []string{"news"}, data: `{"a":1}`}, ""},
	{`{"channel":"news","data":{"a":1}}`, outcome{channels: []string{"news"}, data: `{"a":1}`}, ""},
	{`{"channels":["a","b"],"data":null}`, outcome{channels: []string{"a", "b"}, data: `null`}, ""},
	{` { "data" : { "a" : 1 } , "channel" : "n\u00e9" } `, outcome{channels: []string{"né"}, data: `{ "a" : 1 }`}, ""},
	{`{"channel":"news","data":1,"extra":{"id":[]},"extra":2,"ID":"x"}`, outcome{channels: []string{"news"}, data: `1`}, ""},
	{`{"channel":"news","data":"123456789012345678"}`, outcome{channels: []string{"news"}, data: `"123456789012345678"`}, ""},
	{`{"channels":` + names(command.MaxChannels) + `,"data":1}`, outcome{channels: strings.Split(strings.Repeat("a", command.MaxChannels), ""), data: `1`}, ""},

	{`{"channel":"news","key":"EURUSD","data":1}`, outcome{channels: []string{"news"}, data: `1`, key: "EURUSD"}, ""},
	{`{"channels":["a","b"],"data":1,"key":"a\u0000 \"\u00e9"}`, outcome{channels: []string{"a", "b"}, data: `1`, key: "a\x00 \"é"}, ""},
	{`{"channel":"a","data":1,"key":"` + strings.Repeat("k", 255) + `"}`, outcome{channels: []string{"a"}, data: `1`, key: strings.Repeat("k", 255)}, ""},

	{`{"id":1,"channel":"a","data":1,"key":"` + strings.Repeat("k", 256) + `"}`, outcome{id: "1", code: command.BadRequest}, "1 to 255 bytes"},
	{`{"id":1,"channel":"a","data":1,"key":""}`, outcome{id: "1", code: command.BadRequest}, "1 to 255 bytes"},
	{`{"id":1,"channel":"a","data":1,"key":7}`, outcome{id: "1", code: command.BadRequest}, "key must be a string"},
	{`{"id":1,"channel":"a","data":1,"key":null}`, outcome{id: "1", code: command.BadRequest}, "key must be a string"},
	{`{"key":"a","channel":"a","data":1,"id":7,"key":"b"}`, outcome{id: "7", code: command.BadRequest}, "repeated"},
	{`{"id":7,"key":"a"}`, outcome{id: "7", code: command.BadRequest}, "channel is missing"},
	{`{"id":1,"channel":"news","data":"1234567890123456789"}`, outcome{id: "1", code: command.LimitExceeded}, "20 bytes"},
	{`{"id":1,"channels":` + names(command.MaxChannels+1) + `,"data":1}`, outcome{id: "1", code: command.LimitExceeded}, "1024"},
	{`{"id":1,"channel":"a b","data":1}`, outcome{id: "1", code: command.BadChannel}, `"a b"`},
	{`{"channel":"","data":1}`, outcome{code: command.BadChannel}, `""`},
	{`{"channels":["ok","no\n"],"data":1}`, outcome{code: command.BadChannel}, `"no\n"`},
	{`{"channel":"` + strings.Repeat("x", 256) + `","data":1}`, outcome{code: command.BadChannel}, `xxx"...: `},
	{`{"id":1,"data":1}`, outcome{id: "1", code: command.BadRequest}, "channel is missing"},
	{`{"id":1,"channel":"a"}`, outcome{id: "1", code: command.BadRequest}, "data is missing"},
	{`{"channel":"a","channels":["a"],"data":1}`, outcome{code: command.BadRequest}, "exclude"},
	{`{"channel":1,"data":1}`, outcome{code: command.BadRequest}, "string"},
	{`{"channels":[],"data":1}`, outcome{code: command.BadRequest}, "empty"},
	{`{"channels":{},"data":1}`, outcome{code: command.BadRequest}, "array"},
	{`{"channels":["a",null],"data":1}`, outcome{code: command.BadRequest}, "array of strings"},
	{`{"channel":"a","data":1,"id":1.5}`, outcome{code: command.BadRequest}, "id"},
	{`{"channel":"a","data":1,"data":1,"id":7}`, outcome{id: "7", code: command.BadRequest}, "repeated"},
	{`{"channel":"a","data":1,"id":7,"id":8}`, outcome{code: command.BadRequest}, "repeated"},
	{`{"channel":"a","data":1,"ch\u0061nnel":"b"}`, outcome{code: command.BadRequest}, "repeated"},
	{`{"id":7,"channel":"a","data":01}`, outcome{code: command.BadRequest}, "byte 30"},
	{`{"id":7,"channel":"a","data":"\x"}`, outcome{code: command.BadRequest}, "invalid JSON"},
	{`{"id":7,"channel":"a","data":"` + "\xff" + `"}`, outcome{code: command.BadRequest}, "UTF-8"},
	{`{"id":7,"channel":"a","data":"` + "\x01" + `"}`, outcome{code: command.BadRequest}, "invalid JSON"},
	{`{"id":7,"channel":"a","data":1`, outcome{code: command.BadRequest}, "end of JSON"},
	{`{"id":7,"channel":"a","data":1}{}`, outcome{code: command.BadRequest}, "invalid JSON"},
	{`{"channel":"a","data":1,"id":007}`, outcome{code: command.BadRequest}, "byte 30"},
	{`{"channel":"a","data":1,"id":12 34}`, outcome{code: command.BadRequest}, "byte 32"},
	{`{"id":7,"channel":"a","data":` + nested(jsonscan.MaxDepth+1) + `}`, outcome{id: "7", code: command.BadRequest}, "deeper than 99 levels"},
	{`{"data":` + nested(20_000) + `,"id":7,"channel":"a"}`, outcome{id: "7", code: command.BadRequest}, "deeper than 99 levels"},
	{`{"id":7,"x":` + nested(20_000) + `,"channel":"a","data":1}`, outcome{id: "7", channels: []string{"a"}, data: "1"}, ""},
	{`{"id":7,"channel":"\ud800","data":1}`, outcome{id: "7", code: command.BadChannel}, `"\xed\xa0\x80"`},
	{`{"id":7,"channels":["a","\udfff"],"data":1}`, outcome{id: "7", code: command.BadChannel}, `"\xed\xbf\xbf"`},
	{`{"id":7,"channel":"\ufffd","data":1}`, outcome{id: "7", channels: []string{"\ufffd"}, data: "1"}, ""},
	{`{"id":7,"channel":"a","key":"\ud800\ud800","data":1}`, outcome{id: "7", code: command.BadRequest}, "surrogate"},
	{`{"id":7,"channel":"a","key":"k","data":"\ud800"}`, outcome{id: "7", channels: []string{"a"}, data: `"\ud800"`, key: "k"}, ""},
	{`{"channel":"a","idempotency":"order-17","data":1}`, outcome{channels: []string{"a"}, data: "1", conditions: `"order-17" false ""@0`}, ""},
	{`{"expect":{"epoch":"Zx3k","offset":17},"channel":"a","data":1}`, outcome{channels: []string{"a"}, data: "1", conditions: `"" true "Zx3k"@17`}, ""},
	{`{"idempotency":"\u00e9","expect":{"offset":0,"epoch":""},"channel":"a","data":1}`, outcome{channels: []string{"a"}, data: "1", conditions: `"é" true ""@0`}, ""},
	{`{"channels":["a","b"],"idempotency":"x","data":1}`, outcome{channels: []string{"a", "b"}, data: "1", conditions: `"x" false ""@0`}, ""},
	{`{"id":7,"channels":["a"],"expect":{"epoch":"Zx3k","offset":17},"data":1}`, outcome{id: "7", code: command.BadRequest}, "expect goes with channel"},
	{`{"id":7,"channel":"a","idempotency":"","data":1}`, outcome{id: "7", code: command.BadRequest}, "1 to 64 bytes"},
	{`{"channel":"a","idempotency":"` + strings.Repeat("x", 65) + `","data":1,"id":7}`, outcome{id: "7", code: command.BadRequest}, "1 to 64 bytes"},
	{`{"id":7,"channel":"a","idempotency":"\udfff","data":1}`, outcome{id: "7", code: command.BadRequest}, "1 to 64 bytes"},
	{`{"id":7,"channel":"a","idempotency":"x","idempotency":"x","data":1}`, outcome{id: "7", code: command.BadRequest}, "repeated"},
	{`{"id":7,"channel":"a","expect":{"epoch":"x"},"data":1}`, outcome{id: "7", code: command.BadRequest}, "expect must be"},
	{`{"id":7,"channel":"a","expect":{"epoch":"x","offset":1,"offset":1},"data":1}`, outcome{id: "7", code: command.BadRequest}, "repeated"},
	{`{"id":7,"idempotency":"x"}`, outcome{id: "7", code: command.BadRequest}, "channel is missing"},
	{`{"id":3,"auth":"a","idempotency":"x"}`, outcome{id: "3", code: command.BadRequest}, "a line with auth publishes nothing"},
	{`{"auth":"fck_x"}`, outcome{auth: "fck_x"}, ""},
	{`{"id":3,"auth":"fck\u005fx","extra":1}`, outcome{id: "3", auth: "fck_x"}, ""},
	{`{"auth":"` + strings.Repeat("x", 255) + `"}`, outcome{auth: strings.Repeat("x", 255)}, ""},
	{`{"id":3,"auth":"` + strings.Repeat("x", 256) + `"}`, outcome{id: "3", code: command.BadRequest}, "auth must be a string of 1 to 255 bytes"},
	{`{"auth":""}`, outcome{code: command.BadRequest}, "auth must be a string"},
	{`{"auth":1}`, outcome{code: command.BadRequest}, "auth must be a string"},
	{`{"auth":"a","auth":"b"}`, outcome{code: command.BadRequest}, "repeated"},
	{`{"id":3,"auth":"a","channel":"news","data":1}`, outcome{id: "3", code: command.BadRequest}, "a line with auth publishes nothing"},
	{`{"auth":"a","key":"b"}`, outcome{code: command.BadRequest}, "a line with auth publishes nothing"},
	{`[]`, outcome{code: command.BadRequest}, "object"},
	{`hello`, outcome{code: command.BadRequest}, "object"},
	{``, outcome{code: command.BadRequest}, "end"},
}

func TestRequest(t *testing.T) {
	var r publish.Request // one for all: nothing may be left over from the line before
	for _, tt := range requestTests {
		got, message, err := parse(&r, tt.line, maxData)
		if err != nil || !reflect.DeepEqual(got, tt.want) || !strings.Contains(message, tt.message) {
			t.Errorf("%.120s:\n got %.200v, %q, %v\nwant %.200v, %q", tt.line, got, message, err, tt.want, tt.message)
		}
	}
}

func TestReplies(t *testing.T) {
	one := command.NewID(1)
	tests := []struct {
		got  []byte
		want string
	}{
		{publish.AppendResultsEnd(publish.AppendResult(publish.AppendResultsBegin(nil, one), []byte("news"), "Zx3k", 18, 1200)), `{"id":1,"results":[{"channel":"news","epoch":"Zx3k","offset":18,"subscribers":1200}]}`},
		{publish.AppendResultsEndRate(publish.AppendResult(publish.AppendResultsBegin(nil, one), "a", "e", 1, 2), 0), `{"id":1,"results":[{"channel":"a","epoch":"e","offset":1,"subscribers":2}],"rate_left":0}`},
		{publish.AppendResultsEnd(publish.AppendResult(publish.AppendResult(publish.AppendResultsBegin(nil, one), "news", "Zx3k", 18, 1200), []byte(`q"é`), "a", 1, 0)), `{"id":1,"results":[{"channel":"news","epoch":"Zx3k","offset":18,"subscribers":1200},{"channel":"q\"é","epoch":"a","offset":1,"subscribers":0}]}`},
		{publish.AppendResultsEnd(publish.AppendResult(publish.AppendDuplicate(publish.AppendResultsBegin(nil, one), "a", "e", 1, 2), "b", "e", 3, 4)),
			`{"id":1,"results":[{"channel":"a","epoch":"e","offset":1,"subscribers":2,"duplicate":true},{"channel":"b","epoch":"e","offset":3,"subscribers":4}]}`},
		{publish.AppendRefusal(nil, one, 7, &command.Error{Code: command.Conflict, Message: "x", Now: &command.Since{Epoch: []byte("Zx3k"), Offset: 40}}),
			`{"id":1,"error":{"code":"conflict","message":"x","epoch":"Zx3k","offset":40}}`},
		{publish.AppendError(nil, one, 7, command.BadRequest, "no\nway"), `{"id":1,"error":{"code":"bad_request","message":"no\nway"}}`},
		{publish.AppendError(nil, command.ID{}, 7, command.LimitExceeded, "x"), `{"line":7,"error":{"code":"limit_exceeded","message":"x"}}`},
		{publish.AppendRefusal(nil, one, 7, &command.Error{Code: command.RateLimited, Message: "x", RetryAfter: time.Nanosecond}),
			`{"id":1,"error":{"code":"rate_limited","message":"x","retry_after_ms":1}}`},
		{publish.AppendRefusal(nil, command.ID{}, 7, &command.Error{Code: command.BadChannel, Message: "x"}), `{"line":7,"error":{"code":"bad_channel","message":"x"}}`},
		{publish.AppendError(nil, command.NewID(0), 7, command.BadChannel, "x"), `{"id":0,"error":{"code":"bad_channel","message":"x"}}`},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want+"\n" || !json.Valid(tt.got) {
			t.Errorf("\n got %s\nwant %s", tt.got, tt.want)
		}
	}
}

func TestDataFromPayload(t *testing.T) {
	tests := []struct {
		payload, want string
		code          command.Code
	}{
		{payload: `{"a":1}`, want: `{"a":1}`},
		{payload: ` [1] `, want: ` [1] `},
		{payload: `7`, want: `7`},
		{payload: `hello`, want: `"hello"`},
		{payload: ``, want: `""`},
		{payload: `01`, want: `"01"`},
		{payload: `{"a":`, want: `"{\"a\":"`},
		{payload: nested(9), want: nested(9)},
		{payload: strings.Repeat("[", 9), want: `"[[[[[[[[["`},
		{payload: "a\nb\x00é", want: `"a\nb\u0000é"`},
		{payload: "\xff", code: command.BadRequest},
		{payload: "{\"a\":\"\xff\"}", code: command.BadRequest},
		{payload: strings.Repeat("1", maxData), want: strings.Repeat("1", maxData)},
		{payload: strings.Repeat("1", maxData+1), code: command.LimitExceeded},
		{payload: strings.Repeat("a", maxData-2), want: `"` + strings.Repeat("a", maxData-2) + `"`},
		{payload: strings.Repeat("a", maxData-1), code: command.LimitExceeded},
		{payload: "\x00\x01\x02\x03", code: command.LimitExceeded},
	}
	var scratch []byte
	for _, tt := range tests {
		data, err := publish.DataFromPayload(&scratch, []byte(tt.payload), maxData)
		var refusal *command.Error
		switch {
		case tt.code == "" && (err != nil || string(data) != tt.want):
			t.Errorf("%q: %s, %v, want %s", tt.payload, data, err, tt.want)
		case tt.code != "" && (!errors.As(err, &refusal) || refusal.Code != tt.code):
			t.Errorf("%q: %s, %v, want %s", tt.payload, data, err, tt.code)
		}
	}
}

// oracle reads a request slowly, with encoding/json; ok says whether it is to be accepted.
func oracle(line []byte) (o outcome, ok bool) {
	if !json.Valid(line) || !utf8.Valid(line) || bytes.TrimLeft(line, " \t\r\n")[0] != '{' {
		return o, false
	}
	members := map[string]json.RawMessage{}
	decoder := json.NewDecoder(bytes.NewReader(line))
	_, _ = decoder.Token()
	for decoder.More() {
		token, _ := decoder.Token()
		key := token.(string)
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return o, false
		}
		known := slices.Contains([]string{"id", "channel", "channels", "data", "key", "auth", "idempotency", "expect"}, key)
		if _, repeated := members[key]; repeated && known {
			return o, false
		}
		members[key] = value
	}
	if raw, has := members["id"]; has {
		o.id = string(raw)
		if n, err := strconv.ParseUint(o.id, 10, 53); err != nil || strconv.FormatUint(n, 10) != o.id {
			return o, false
		}
	}
	if raw, has := members["key"]; has {
		if raw[0] != '"' || json.Unmarshal(raw, &o.key) != nil || o.key == "" || len(o.key) > publish.MaxKey {
			return o, false
		}
	}
	if o.conditions, ok = oracleConditions(members); !ok {
		return o, false
	}
	if raw, has := members["auth"]; has {
		for _, other := range []string{"channel", "channels", "data", "key", "idempotency", "expect"} {
			if _, beside := members[other]; beside {
				return o, false
			}
		}
		return o, raw[0] == '"' && json.Unmarshal(raw, &o.auth) == nil && o.auth != "" && len(o.auth) <= 255
	}
	channel, hasChannel := members["channel"]
	list, hasChannels := members["channels"]
	if hasChannel == hasChannels {
		return o, false
	}
	if hasChannel {
		list = slices.Concat([]byte{'['}, channel, []byte{']'})
	}
	var values []any
	if json.Unmarshal(list, &values) != nil || len(values) == 0 || len(values) > command.MaxChannels {
		return o, false
	}
	for _, value := range values {
		name, isText := value.(string)
		if !isText || command.CheckChannel([]byte(name)) != nil {
			return o, false
		}
		o.channels = append(o.channels, name)
	}
	data, hasData := members["data"]
	o.data = string(data)
	return o, hasData && len(data) <= maxData
}

// oracleConditions reads the members of conditions slowly; ok tells whether they are to be accepted.
func oracleConditions(members map[string]json.RawMessage) (text string, ok bool) {
	name, hasName := members["idempotency"]
	at, hasAt := members["expect"]
	if !hasName && !hasAt {
		return "", true
	}
	var once string
	if hasName && (name[0] != '"' || json.Unmarshal(name, &once) != nil || once == "" || len(once) > command.MaxIdempotency) {
		return "", false
	}
	if _, both := members["channels"]; hasAt && both {
		return "", false
	}
	var epoch, offset string
	offset = "0"
	seen := map[string]bool{}
	decoder := json.NewDecoder(bytes.NewReader(at))
	if start, _ := decoder.Token(); hasAt && start != json.Delim('{') {
		return "", false
	}
	for hasAt && decoder.More() {
		token, _ := decoder.Token()
		var value json.RawMessage
		_ = decoder.Decode(&value)
		switch key := token.(string); {
		case key != "epoch" && key != "offset":
			continue
		case seen[key], key == "epoch" && (value[0] != '"' || json.Unmarshal(value, &epoch) != nil):
			return "", false
		case key == "offset":
			n, err := strconv.ParseUint(string(value), 10, 53)
			if offset = strconv.FormatUint(n, 10); err != nil || offset != string(value) {
				return "", false
			}
		}
		seen[token.(string)] = true
	}
	return fmt.Sprintf("%q %v %q@%s", once, hasAt, epoch, offset), !hasAt || len(seen) == 2
}

// beyondOracle tells whether text may hold what encoding/json reads otherwise: halves of surrogate
// pairs, which it replaces, and nesting beyond a limit.
func beyondOracle(text []byte) bool {
	return surrogates.Match(text) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > jsonscan.MaxDepth
}

var surrogates = regexp.MustCompile(`(?i)\\ud[89a-f]`)

func FuzzRequest(f *testing.F) {
	for _, tt := range requestTests {
		f.Add([]byte(tt.line))
	}
	var r publish.Request
	f.Fuzz(func(t *testing.T, line []byte) {
		if beyondOracle(line) {
			t.Skip("encoding/json is no oracle for it")
		}
		got, _, err := parse(&r, string(line), maxData)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := oracle(line)
		if ok != (got.code == "") {
			t.Fatalf("%q: refused with %q, the oracle accepts: %v", line, got.code, ok)
		}
		if ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q:\n got %+v\nwant %+v", line, got, want)
		}
	})
}

// TestDeepPayloads has JSON that is too deep beside text that only looks so: the first is refused, and
// never becomes a string.
func TestDeepPayloads(t *testing.T) {
	const maxData = 1 << 20
	for _, payload := range []string{nested(jsonscan.MaxDepth), `{"a":` + nested(jsonscan.MaxDepth-1) + `}`} {
		if data, err := publish.DataFromPayload(new([]byte), []byte(payload), maxData); err != nil || string(data) != payload {
			t.Errorf("at the limit: %.40s, %v", data, err)
		}
	}
	for _, payload := range []string{nested(jsonscan.MaxDepth + 1), `{"a":` + nested(jsonscan.MaxDepth) + `}`, nested(10_000), nested(10_001), nested(500_000)} {
		if data, err := publish.DataFromPayload(new([]byte), []byte(payload), maxData); err != command.ErrDataDepth {
			t.Errorf("%d bytes of nesting: %.40s, %v", len(payload), data, err)
		}
	}
	for _, text := range []string{strings.Repeat("[", 200), nested(200) + "]", strings.Repeat("[", 200) + strings.Repeat("}", 200)} {
		if data, err := publish.DataFromPayload(new([]byte), []byte(text), maxData); err != nil || string(data) != `"`+text+`"` {
			t.Errorf("text of brackets: %.40s, %v", data, err)
		}
	}
}
