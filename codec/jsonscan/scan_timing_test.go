package jsonscan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bytedance/sonic/decoder"
	"github.com/bytedance/sonic/encoder"
	sonicutf8 "github.com/bytedance/sonic/utf8"
)

// benchTexts are event data as publishers send them: small records, and long strings in and
// outside ASCII.
func benchTexts() map[string][]byte {
	const record = `{"id":1234567,"user":"alice","text":"hello there, a plain message of text","n":3.25,"ok":true,"x":[1,2]}`
	ascii := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 400)
	other := strings.Repeat("Grüße aus München, 日本語のテキスト и русский. ", 400)
	texts := map[string][]byte{
		"record/100B":  []byte(record),
		"record/1KiB":  []byte("[" + strings.Repeat(record+",", 9) + record + "]"),
		"record/16KiB": []byte("[" + strings.Repeat(record+",", 155) + record + "]"),
	}
	for name, size := range map[string]int{"100B": 88, "1KiB": 1012, "16KiB": 16372} {
		texts["ascii/"+name] = fmt.Appendf(nil, `{"text":"%s"}`, ascii[:size])
		texts["unicode/"+name] = fmt.Appendf(nil, `{"text":"%s"}`, strings.ToValidUTF8(other[:size], ""))
	}
	return texts
}

var benchOrder = []string{
	"record/100B", "record/1KiB", "record/16KiB", "ascii/100B", "ascii/1KiB", "ascii/16KiB",
	"unicode/100B", "unicode/1KiB", "unicode/16KiB",
}

func benchmarkTexts(b *testing.B, accept func([]byte) bool) {
	texts := benchTexts()
	for _, name := range benchOrder {
		text := texts[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if !accept(text) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkValid(b *testing.B) { benchmarkTexts(b, Valid) }

func BenchmarkStandardValid(b *testing.B) { benchmarkTexts(b, json.Valid) }

func BenchmarkSonicSkip(b *testing.B) {
	benchmarkTexts(b, func(text []byte) bool {
		start, end := decoder.Skip(text)
		return start >= 0 && end == len(text)
	})
}

func BenchmarkSonicValid(b *testing.B) {
	benchmarkTexts(b, func(text []byte) bool {
		ok, _ := encoder.Valid(text)
		return ok
	})
}

// The UTF-8 checks that values with bytes outside ASCII could go through.
func BenchmarkUTF8(b *testing.B) {
	text := benchTexts()["unicode/100B"]
	for name, valid := range map[string]func([]byte) bool{"sonic": sonicutf8.Validate, "standard": utf8.Valid} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if !valid(text) {
					b.Fatal("refused")
				}
			}
		})
	}
}
