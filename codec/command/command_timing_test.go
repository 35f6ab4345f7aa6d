package command_test

import (
	"testing"

	"fleetcast/codec/command"
)

func BenchmarkParseCommand(b *testing.B) {
	for name, payload := range map[string]string{
		"subscribe": `{"type":"subscribe","id":1,"channel":"news"}`,
		"publish":   `{"type":"publish","id":3,"channel":"chat","data":{"user":"alice","text":"hello there, a plain message of text"}}`,
		"ping":      `{"type":"ping","id":4}`,
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
