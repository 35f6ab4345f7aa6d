package docs_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"fleetcast/codec/command"
)

// wrongMessage says what is wrong with a message in docs/protocol.md: a command that the gateway
// refuses, or a message from the gateway that clients cannot read.
func wrongMessage(text string, fromClient bool) error {
	if fromClient {
		return new(command.Command).Parse([]byte(text))
	}
	var m command.ServerMessage
	if err := m.Parse([]byte(text)); err != nil {
		return err
	}
	if m.Kind == command.KindUnknown {
		return errors.New("no message of the gateway has this type")
	}
	if m.Kind == command.KindHistory {
		_, err := m.AppendEvents(nil)
		return err
	}
	return nil
}

// isCommand tells a command from a message of the gateway by its type.
func isCommand(text string) bool {
	for typ := command.Subscribe; typ <= command.Authenticate; typ++ {
		if typ != command.Pong && strings.HasPrefix(text, `{"type":"`+typ.String()+`"`) {
			return typ != command.History || !strings.Contains(text, `"events":`)
		}
	}
	return false
}

// TestMessages reads every message in docs/protocol.md that is written out in full.
func TestMessages(t *testing.T) {
	p := page{"docs/protocol.md", read(t, "protocol.md")}
	commands, replies := 0, 0
	for _, line := range p.lines() {
		texts := []string{strings.TrimSpace(line.text)}
		if !line.code {
			texts = nil
			for _, span := range spans.FindAllStringSubmatch(line.text, -1) {
				texts = append(texts, span[1])
			}
		}
		for _, text := range texts {
			from, message, arrow := strings.Cut(text, " ")
			if arrow = arrow && (from == "->" || from == "<-"); !arrow {
				message = text
			}
			if !strings.HasPrefix(message, `{"type":`) || strings.Contains(message, "...}") || strings.Contains(message, `,...`) {
				continue
			}
			fromClient := isCommand(message)
			if arrow && fromClient != (from == "->") {
				t.Errorf("%s:%d: %s goes the other way", p.path, line.number, text)
			}
			if err := wrongMessage(message, fromClient); err != nil {
				t.Errorf("%s:%d: %s: %v", p.path, line.number, message, err)
			}
			if fromClient {
				commands++
			} else {
				replies++
			}
		}
	}
	if commands < 12 || replies < 18 {
		t.Errorf("only %d commands and %d messages of the gateway are found", commands, replies)
	}
	for _, planted := range []string{`{"type":"subscribe"}`, `{"type":"gap","channel":"a"}`, `{"type":"what"}`} {
		if wrongMessage(planted, isCommand(planted)) == nil {
			t.Errorf("%s passes", planted)
		}
	}
}

// TestExclusions makes each refusal of the table of keys that exclude each other.
func TestExclusions(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "protocol.md"), "\n### Keys that exclude each other\n")
	table, _, _ = strings.Cut(table, "\n### ")
	made := map[string]bool{}
	const position = `"since":{"epoch":"e","offset":1}`
	for _, members := range []string{
		`"type":"subscribe","channel":"a","channels":["a"]`, `"type":"subscribe","channels":["a"],` + position,
		`"type":"subscribe","channel":"a","last":1,` + position, `"type":"subscribe","channels":[{"channel":"a","last":1,` + position + `}]`,
		`"type":"history","channel":"a","before":1,` + position, `"type":"history","channels":["a"]`, `"type":"history","channel":"a","last":1`,
		`"type":"subscribe","channels":["a"],"token":"t"`,
	} {
		refusal := command.RefusalOf(new(command.Command).Parse([]byte("{" + members + "}")))
		made[refusal.Message] = true
		if !strings.Contains(table, "\n| `"+refusal.Message+"` |") {
			t.Errorf("{%s} is refused with %q, which the table lacks", members, refusal.Message)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	for _, row := range rows {
		if !made[row[1]] {
			t.Errorf("no command is refused with %q", row[1])
		}
	}
	if len(rows) != 7 {
		t.Errorf("the table has %d rows", len(rows))
	}
}
