package publisher

import (
	"bytes"
	"encoding/json"
	"testing"
)

func BenchmarkReply(b *testing.B) {
	var d replyDecoder
	line := []byte(`{"id":7,"results":[{"channel":"news","epoch":"Zx3k","offset":18,"subscribers":1200}]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := d.decode(line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckData(b *testing.B) {
	data := []byte(`{"user":"0123456789","text":"hello world, this is a chat message, one hundred bytes all in","n":123}`)
	lines := bytes.Replace(data, []byte(","), []byte(",\n"), 1)
	for name, data := range map[string][]byte{"line": data, "lines": lines} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := checkData(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("not valid")
			}
		}
	})
}
