package command_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"fleetcast/codec/command"
)

// conditions are those of a command, in a form that is easy to compare: "" if there are none.
func conditions(c *command.Conditions) (text string) {
	if c.Idempotency != nil {
		text = fmt.Sprintf("once as %q", c.Idempotency)
	}
	if c.HasExpect {
		text += fmt.Sprintf(" at %q@%d", c.Expect.Epoch, c.Expect.Offset)
	}
	return text
}

// oracleConditions reads the members of conditions slowly; ok tells whether they are to be accepted.
func oracleConditions(members map[string]json.RawMessage) (text string, ok bool) {
	if raw, has := members["idempotency"]; has {
		name, ok := oracleText(raw)
		if !ok || name == "" || len(name) > command.MaxIdempotency {
			return "", false
		}
		text = fmt.Sprintf("once as %q", name)
	}
	if raw, has := members["expect"]; has {
		at, ok := oracleMembers(raw, "epoch", "offset")
		if !ok {
			return "", false
		}
		epoch, okEpoch := oracleText(at["epoch"])
		offset, okOffset := oracleUint(at["offset"])
		if !okEpoch || !okOffset {
			return "", false
		}
		text += fmt.Sprintf(" at %q@%s", epoch, offset)
	}
	return text, true
}

var conditionTests = []struct {
	members, want, message string // of a publish; one of the latter two
}{
	{`"idempotency":"a"`, `once as "a"`, ""},
	{`"idempotency":"\u00e9\n"`, `once as "é\n"`, ""},
	{`"idempotency":"` + strings.Repeat("x", 64) + `"`, `once as "` + strings.Repeat("x", 64) + `"`, ""},
	{`"expect":{"epoch":"Zx3k","offset":17}`, ` at "Zx3k"@17`, ""},
	{`"expect":{"offset":0,"epoch":"","more":[]}`, ` at ""@0`, ""},
	{`"expect":{"offset":9007199254740991,"epoch":"\"x\""},"idempotency":"\""`, `once as "\"" at "\"x\""@9007199254740991`, ""},

	{`"idempotency":""`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":"` + strings.Repeat("x", 65) + `"`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":"` + strings.Repeat("é", 33) + `"`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":7`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":null`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":"\ud800"`, "", "idempotency must be a string of 1 to 64 bytes"},
	{`"idempotency":"a","idempotency":"a"`, "", "a key is repeated"},
	{`"expect":17`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":null`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":[]`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":"a"}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"offset":1}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":1,"offset":1}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":"a","offset":-1}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":"a","offset":"1"}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":"a","offset":9007199254740992}`, "", "expect must be an object with epoch, a string, and offset, an integer"},
	{`"expect":{"epoch":"a","offset":1,"epoch":"a"}`, "", "a key is repeated"},
	{`"expect":{"epoch":"a","offset":1},"expect":{"epoch":"a","offset":1}`, "", "a key is repeated"},
}

func TestConditions(t *testing.T) {
	var c command.Command // one for all: nothing may be left over from the message before
	for _, tt := range conditionTests {
		payload := `{"type":"publish","channel":"a","data":1,` + tt.members + `,"id":7}`
		err := c.Parse([]byte(payload))
		if tt.message == "" && (err != nil || conditions(&c.Conditions) != tt.want) ||
			tt.message != "" && (err == nil || err.Error() != "bad_request: "+tt.message) {
			t.Errorf("%s: %q, %v, want %q%s", payload, conditions(&c.Conditions), err, tt.want, tt.message)
		}
		if c.ID.Value != 7 {
			t.Errorf("%s: the id is %+v", payload, c.ID)
		}
	}
	if err := c.Parse([]byte(`{"type":"publish","channel":"a","data":1}`)); err != nil || conditions(&c.Conditions) != "" {
		t.Errorf("a publish without conditions has %q, %v", conditions(&c.Conditions), err)
	}
}

func TestConditionsAllocateNothing(t *testing.T) {
	payload := []byte(`{"type":"publish","channel":"a","data":1,"idempotency":"a\u00e9","expect":{"epoch":"\u00e9","offset":17}}`)
	var c command.Command
	if n := testing.AllocsPerRun(100, func() { _ = c.Parse(payload) }); n != 0 {
		t.Errorf("%v allocations per run, want 0", n)
	}
}
