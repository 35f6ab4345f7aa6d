package publish_test

import (
	"strings"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
)

// Data of 100 bytes: a record of many small members, and one that is mostly a text.
const (
	record = `{"id":1234567,"user":"alice","text":"hello there, a plain message","n":3.25,"ok":true,"x":[1,2],"y":12}`
	text   = `{"id":1234567,"text":"hello there, this is a plain message of text, that is as long as many, bye"}`
)

func TestHotPathsAllocateNothing(t *testing.T) {
	line := []byte(`{"id":1,"channels":["a","b\u0041"],"data":` + record + `}` + "\n")
	once := []byte(`{"id":1,"channel":"a","idempotency":"b\u0041","expect":{"epoch":"b\u0041","offset":17},"data":1}`)
	array, inline := encodeRESP([]string{"PUBLISH", "news", record}), []byte("PUBLISH news \"a b\"\r\n")
	payloads := [][]byte{[]byte(record), []byte("plain text")}
	dst, scratch := make([]byte, 0, 1024), make([]byte, 0, 1024)
	var r publish.Request
	var c publish.RESPCommand
	allocs := testing.AllocsPerRun(100, func() {
		lines := publish.Lines{Limit: 1 << 16}
		one, _, _ := lines.Next(line)
		if err := r.Parse(one, publish.RequestLimits{Data: 1 << 16, Channel: command.MaxChannel}); err != nil {
			t.Error(err)
		}
		if err := r.Parse(once, publish.RequestLimits{Data: 1 << 16, Channel: command.MaxChannel}); err != nil || r.Conditions() == nil {
			t.Error(err)
		}
		for _, b := range [][]byte{array, inline} {
			if n, err := c.Parse(b, publish.RESPLimits{}); n == 0 || err != nil {
				t.Error(n, err)
			}
		}
		for _, payload := range payloads {
			_, _ = publish.DataFromPayload(&scratch, payload, 1<<16)
		}
		publish.Sniff(line)
		publish.IsHTTP(inline)
		dst = appendResults(dst[:0], r.ID)
		dst = publish.AppendResultsEnd(publish.AppendDuplicate(publish.AppendResultsBegin(dst, r.ID), "news", "Zx3k", 18, 0))
		dst = publish.AppendError(dst, r.ID, 1, command.BadRequest, "no")
		dst = publish.AppendRESPInt(dst, 7)
		dst = publish.AppendRESPSimple(dst, "OK")
		dst = publish.AppendRESPError(dst, "ERR no")
		dst = publish.AppendRESPBulk(dst, "x")
		dst = publish.AppendRESPNull(dst, publish.RESP3)
		dst = publish.AppendRESPMap(dst, publish.RESP3, 1)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per run, want 0", allocs)
	}
}

func BenchmarkParseRequest(b *testing.B) {
	for name, data := range map[string]string{
		"record": record, "text": text,
		"once": text + `,"idempotency":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`,
		"at":   text + `,"expect":{"epoch":"Zx3kQ0aB","offset":1234567}`,
	} {
		b.Run(name, func(b *testing.B) {
			line := []byte(`{"channel":"news","data":` + data + `}`)
			var r publish.Request
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Parse(line, publish.RequestLimits{Data: 1 << 16, Channel: command.MaxChannel}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLines(b *testing.B) {
	line := `{"channel":"news","data":` + record + "}\n"
	stream := []byte(strings.Repeat(line, 100))
	lines := publish.Lines{Limit: 1 << 16}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := stream; len(rest) > 0; {
			_, n, status := lines.Next(rest)
			if status != publish.Line {
				b.Fatal(status)
			}
			rest = rest[n:]
		}
	}
}

func BenchmarkParseRESP(b *testing.B) {
	for name, stream := range map[string][]byte{
		"array":  encodeRESP([]string{"PUBLISH", "news", record}),
		"inline": []byte("PUBLISH news 12345\r\n"),
		"quoted": []byte("PUBLISH news \"hello there, \\\"you\\\"\"\r\n"),
	} {
		b.Run(name, func(b *testing.B) {
			var c publish.RESPCommand
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := c.Parse(stream, publish.RESPLimits{}); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkDataFromPayload(b *testing.B) {
	for name, payload := range map[string]string{"json": record, "text": "hello there, this is a plain message"} {
		b.Run(name, func(b *testing.B) {
			scratch, bytes := make([]byte, 0, 1024), []byte(payload)
			b.SetBytes(int64(len(bytes)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := publish.DataFromPayload(&scratch, bytes, 1<<16); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendResults(b *testing.B) {
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = appendResults(dst[:0], command.NewID(1))
	}
}

// appendResults is a whole answer.
func appendResults(dst []byte, id command.ID) []byte {
	return publish.AppendResultsEnd(publish.AppendResult(publish.AppendResultsBegin(dst, id), "news", "Zx3k", 18, 1200))
}
