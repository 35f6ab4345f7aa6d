package profile_test

import (
	"strings"
	"testing"

	"fleetcast/loadtest/profile"
)

// stomp is STOMP 1.2: frames of text that end with a NUL.
const stomp = `name: stomp
hello:
  send: "CONNECT\naccept-version:1.2\nhost:/\n\n\0"
  answer: {pattern: "CONNECTED\n{any}\n\n\0"}
subscribe:
  send: "SUBSCRIBE\nid:0\ndestination:/topic/{channel}\nreceipt:s\n\n\0"
  answer: {pattern: "RECEIPT\n{any}\n\n\0"}
event: {pattern: "MESSAGE\ndestination:/topic/{channel}\ncontent-length:{length}\n{any}\n\n{data}\0"}
ping: {pattern: "\n"}
error: {pattern: "ERROR\nmessage:{text}\n{any}\0"}
publish: {via: socket, send: "SEND\ndestination:/topic/{channel}\ncontent-length:{length}\n\n{data}\0"}
`

func TestPatterns(t *testing.T) {
	p, err := profile.Parse("stomp.yaml", []byte(stomp))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(p.AppendPublish(nil, "news", "", []byte(`{"ä":1}`))), "SEND\ndestination:/topic/news\ncontent-length:8\n\n{\"ä\":1}\x00"; got != want {
		t.Errorf("published as %q, want %q", got, want)
	}
	event := "MESSAGE\ndestination:/topic/news\ncontent-length:5\nsubscription:0\n\na\x00b\nc\x00"
	c := p.NewCodec()
	frame := []byte("\n" + event + event + "ERROR\nmessage:bad\ncontent-length:0\n\n\x00" + "nonsense")
	var kinds []string
	for len(frame) > 0 {
		m, rest := c.Next(frame)
		kinds = append(kinds, m.Kind.String())
		if m.Kind == profile.Event && (string(m.Data) != "a\x00b\nc" || string(m.Channel) != "news") {
			t.Errorf("data %q on channel %q", m.Data, m.Channel)
		}
		if m.Kind == profile.Refused && string(m.Text) != "bad" {
			t.Errorf("text %q", m.Text)
		}
		frame = rest
	}
	if got := strings.Join(kinds, " "); got != "ping event event refused unknown" {
		t.Errorf("the frame holds %s", got)
	}
	// On a stream, a message that is not whole is waited for, whatever is missing.
	for i := range len(event) {
		if m, n := c.NextOfStream([]byte(event[:i])); n != 0 && i > 0 {
			t.Errorf("%q is taken for %v", event[:i], m)
		}
	}
	if m, n := c.NextOfStream([]byte(event + event)); n != len(event) || m.Kind != profile.Event {
		t.Errorf("%v of %d bytes, want %d", m.Kind, n, len(event))
	}
}

// FuzzPatterns: whatever arrives, something is taken, and no more than there is.
func FuzzPatterns(f *testing.F) {
	p, err := profile.Parse("stomp.yaml", []byte(stomp))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("MESSAGE\ndestination:/topic/a\ncontent-length:99999999999999999999\n\n\n\nx\x00"))
	f.Add([]byte("MESSAGE\ndestination:/topic/a\ncontent-length:9007199254740991\nx:y\n\nx\x00"))
	f.Add([]byte("\n\nERROR\nmessage:x\n\x00"))
	f.Fuzz(func(t *testing.T, arrived []byte) {
		c := p.NewCodec()
		if _, n := c.NextOfStream(arrived); n < 0 || n > len(arrived) {
			t.Fatalf("%d of %d bytes are taken", n, len(arrived))
		}
		for len(arrived) > 0 {
			_, rest := c.Next(arrived)
			if len(rest) >= len(arrived) {
				t.Fatal("nothing is taken")
			}
			arrived = rest
		}
	})
}
