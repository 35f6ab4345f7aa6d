package profile_test

import (
	"strings"
	"testing"
)

func BenchmarkNext(b *testing.B) {
	data := `{"s":123456,"t":"1700000000000000000","p":"` + strings.Repeat("x", 83) + `"}` // 128 bytes
	for _, bench := range []struct{ name, payload string }{
		{"fleetcast", fleetcastEvent("news", data)},
		{"centrifugo", `{"push":{"channel":"news","pub":{"data":` + data + `}}}`},
		{"raw", "P" + data},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c, payload := load(b, bench.name).NewCodec(), []byte(bench.payload)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if m, _ := c.Next(payload); len(m.Data) != len(data) {
					b.Fatalf("%d bytes of data, want %d", len(m.Data), len(data))
				}
			}
		})
	}
}
