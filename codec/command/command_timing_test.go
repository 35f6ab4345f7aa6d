package command_test

import (
	"fmt"
	"testing"

	"fleetcast/codec/command"
)

func BenchmarkParseCommand(b *testing.B) {
	for name, payload := range map[string]string{
		"subscribe":               `{"type":"subscribe","id":1,"channel":"news"}`,
		"publish":                 `{"type":"publish","id":3,"channel":"chat","data":{"user":"alice","text":"hello there, a plain message of text"}}`,
		"ping":                    `{"type":"ping","id":4}`,
		"since":                   `{"type":"subscribe","id":1,"channel":"news","since":{"epoch":"Zx3kQ0aB","offset":17}}`,
		"history":                 `{"type":"history","id":1,"channel":"news","before":41,"limit":100}`,
		"objects":                 `{"type":"subscribe","id":1,"channels":` + objects(command.MaxChannels) + `}`,
		"publish with conditions": `{"type":"publish","id":3,"channel":"chat","data":{"user":"alice","text":"hello there, a plain message of text"},"idempotency":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6","expect":{"epoch":"Zx3kQ0aB","offset":17}}`,
	} {
		b.Run(name, func(b *testing.B) {
			var c command.Command
			text := []byte(payload)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	prefix, data := command.AppendEventPrefix(nil, "news"), make([]byte, 128)
	dst := make([]byte, 0, 1024)
	b.SetBytes(int64(command.EventLength(prefix, 123456, data)))
	b.ReportAllocs()
	for b.Loop() {
		if command.EventLength(prefix, 123456, data) > cap(dst) {
			b.Fatal("too long")
		}
		dst = command.AppendEvent(dst[:0], prefix, 123456, data)
	}
}

func BenchmarkAppendSubscribed(b *testing.B) {
	dst, channel := make([]byte, 0, 1024), []byte("news")
	b.ReportAllocs()
	for b.Loop() {
		dst = command.AppendSubscribed(dst[:0], command.NewID(1), channel, "Zx3k", 17, nil, nil)
	}
}

func BenchmarkAppendRecovered(b *testing.B) {
	dst, channel := make([]byte, 0, 1024), []byte("news")
	recovery := command.Recovery{Resumes: true, LostFrom: 18, LostTo: 29, Latest: 40}
	b.ReportAllocs()
	for b.Loop() {
		dst = command.AppendSubscribed(dst[:0], command.NewID(1), channel, "Zx3k", 17, &recovery, nil)
	}
}

// pageOf is a page of n events of 100 bytes.
func pageOf(n int) *command.Page {
	page := command.Page{Latest: uint64(n), Events: make([]command.PageEvent, n)}
	for i := range page.Events {
		page.Events[i] = command.PageEvent{Offset: uint64(i + 1), Data: fmt.Appendf(nil, `"%098d"`, i)}
	}
	return &page
}

func BenchmarkAppendHistory(b *testing.B) {
	page, channel := pageOf(100), []byte("news")
	dst := command.AppendHistory(nil, command.NewID(1), channel, "Zx3k", page)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = command.AppendHistory(dst[:0], command.NewID(1), channel, "Zx3k", page)
	}
}

func BenchmarkParseHistory(b *testing.B) {
	var m command.ServerMessage
	var events []command.PageEvent
	text := command.AppendHistory(nil, command.NewID(1), "news", "Zx3k", pageOf(100))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		err := m.Parse(text)
		if err == nil {
			events, err = m.AppendEvents(events[:0])
		}
		if err != nil || len(events) != 100 {
			b.Fatal(len(events), err)
		}
	}
}

func BenchmarkParseEvent(b *testing.B) {
	var m command.ServerMessage
	text := command.AppendEvent(nil, command.AppendEventPrefix(nil, "news"), 123456, []byte(`{"user":"alice","text":"hello there, a plain message of text"}`))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
