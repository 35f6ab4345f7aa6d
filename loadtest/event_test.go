package loadtest

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"testing"
	"time"

	"fleetcast/codec/deflate"
)

func TestData(t *testing.T) {
	for _, size := range []int{MinPayload, 128, 1000, MaxPayload, 1 << 20} {
		for _, seq := range []int64{0, 9, 4093, MaxEvents - 1, math.MaxInt64} {
			for _, due := range []int64{0, time.Now().UnixNano(), math.MaxInt64} {
				data := appendData(nil, seq, due, size)
				if len(data) != size || !json.Valid(data) {
					t.Fatalf("%d bytes, want %d: %s", len(data), size, data)
				}
				gotSeq, gotDue, ok := parseData(data)
				if !ok || gotSeq != seq || gotDue != due {
					t.Fatalf("%s is read as %d, %d, %v", data, gotSeq, gotDue, ok)
				}
				if !isData(data, seq, due, size) {
					t.Fatalf("%d bytes of event %d are not seen to be intact", size, seq)
				}
			}
		}
	}
	if a, b := appendData(nil, 10, 1, 128), appendData(nil, 11, 1, 128); bytes.Equal(a[20:], b[20:]) {
		t.Error("two events have the same padding")
	}
}

func TestIsData(t *testing.T) {
	const seq, due, size = 4000, 17, MaxPayload + 10_000
	data := appendData(nil, seq, due, size)
	// Every part of it matters: head, both windows of the padding, end.
	for _, at := range []int{0, 5, 20, 100, size / 2, MaxPayload, size - 100, size - 3, size - 1} {
		wrong := bytes.Clone(data)
		wrong[at] ^= 1
		if isData(wrong, seq, due, size) {
			t.Errorf("byte %d is wrong and is not missed", at)
		}
	}
	for name, is := range map[string]bool{
		"cut":              isData(data[:size-1], seq, due, size),
		"longer":           isData(append(bytes.Clone(data), '}'), seq, due, size),
		"of another event": isData(data, seq+1, due, size),
		"of another time":  isData(data, seq, due+1, size),
		"nothing":          isData(nil, seq, due, size),
		"its head only":    isData(data[:MinPayload], seq, due, MinPayload),
	} {
		if is {
			t.Errorf("%s: taken for intact", name)
		}
	}
}

func FuzzParseData(f *testing.F) {
	f.Add([]byte(`{"s":1,"t":"2","p":"abc"}`))
	f.Add([]byte(`{ "p" : "abc", "t" : "\u0032", "s" : 1.0 }`))
	f.Add([]byte(`{"s":99999999999999999999,"t":"2","p":"abc"}`))
	f.Add([]byte(`{"s":9223372036854775808,"t":"-2","p":"`))
	f.Add(appendData(nil, 7, 8, MinPayload))
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, due, ok := parseData(data)
		if ok && (seq < 0 || due < 0) {
			t.Fatalf("%q is read as %d, %d", data, seq, due)
		}
		if ok && len(appendData(nil, seq, due, MinPayload)) != MinPayload {
			t.Fatalf("%q cannot be written again", data)
		}
	})
}

// Parts of a distribution merged have the percentiles of the whole.
func TestMergedHistograms(t *testing.T) {
	whole, merged := newHistogram(), newHistogram()
	parts := []histogram{newHistogram(), newHistogram(), newHistogram()}
	for i := range int64(10000) {
		latency := i * i * 7
		whole.record(latency)
		parts[i%3].record(latency)
	}
	for _, part := range parts {
		// As between processes.
		var buffer bytes.Buffer
		if err := gob.NewEncoder(&buffer).Encode(part); err != nil {
			t.Fatal(err)
		}
		var arrived histogram
		if err := gob.NewDecoder(&buffer).Decode(&arrived); err != nil {
			t.Fatal(err)
		}
		merged.merge(arrived)
	}
	if !merged.counts.Equals(whole.counts) || merged.percentiles() != whole.percentiles() {
		t.Errorf("merged %v, whole %v", merged.percentiles(), whole.percentiles())
	}
	if p := whole.percentiles(); math.Abs(p.P50-7*25) > 0.5 || math.Abs(p.P99-7*98.01) > 2 {
		t.Errorf("percentiles %v", p)
	}
	long := newHistogram()
	long.record(math.MaxInt64)
	if got := long.percentiles().Max; got < 600e3 {
		t.Errorf("a latency beyond the range counts as %v ms", got)
	}
}

func TestRecords(t *testing.T) {
	for _, size := range []int{MinPayload, 128, 1000, MaxPayload} {
		flow := flowPlan{Payload: size, Data: DataRecords}
		for _, seq := range []int64{0, 1, 4092, 4093, MaxEvents - 1, math.MaxInt64} {
			for _, due := range []int64{0, time.Now().UnixNano(), math.MaxInt64} {
				data := flow.appendData(nil, seq, due)
				if len(data) != size || !json.Valid(data) {
					t.Fatalf("%d bytes, want %d: %s", len(data), size, data)
				}
				if gotSeq, gotDue, ok := parseData(data); !ok || gotSeq != seq || gotDue != due {
					t.Fatalf("%s is read as %d, %d, %v", data, gotSeq, gotDue, ok)
				}
			}
		}
	}
	flow := flowPlan{Payload: 1024, Data: DataRecords}
	seen := make(map[string]int64)
	for seq := range int64(paddings) {
		padding := string(flow.appendData(nil, seq, 1)[20:])
		if other, ok := seen[padding]; ok {
			t.Fatalf("events %d and %d have the same padding", other, seq)
		}
		seen[padding] = seq
	}
}

// Records compress as the JSON would that they stand for, and random data does not.
func TestRecordsCompressAsJSONDoes(t *testing.T) {
	deflater := deflate.NewDeflater(1, deflate.MaxWindowBits)
	for _, size := range []int{512, 1024, 4096, MaxPayload} {
		flow := flowPlan{Payload: size, Data: DataRecords}
		var records, rows, random int
		const events = 50
		for seq := range int64(events) {
			data := flow.appendData(nil, seq*17, 1e18+seq)
			real := bytes.ReplaceAll(data, []byte("'"), []byte(`"`))
			records += len(deflater.Append(nil, data))
			rows += len(deflater.Append(nil, real))
			random += len(deflater.Append(nil, appendData(nil, seq*17, 1e18+seq, size)))
		}
		ratio := func(sum int) float64 { return float64(sum) / float64(events*size) }
		t.Logf("%d bytes: records shrink to %.3f, JSON to %.3f, random data to %.3f", size, ratio(records), ratio(rows), ratio(random))
		if r := float64(records) / float64(rows); r < 0.97 || r > 1.03 {
			t.Errorf("%d bytes: records shrink to %.3f, JSON to %.3f", size, ratio(records), ratio(rows))
		}
		if ratio(records) > 0.6 || ratio(random) < 0.7 {
			t.Errorf("%d bytes: records shrink to %.3f, random data to %.3f", size, ratio(records), ratio(random))
		}
	}
}

// Encoders of other languages write an event's data anew: what they make of it is
// the same data, and what they round is not.
func TestRewrittenData(t *testing.T) {
	const seq, due, size = 123_456, 1764347563123456789, 200
	want := appendData(nil, seq, due, size)
	padding := string(want[len(appendHead(nil, seq, due)) : size-len(dataEnd)])
	right := []string{
		fmt.Sprintf(`{ "s": 123456, "t": "%d", "p": "%s" }`, int64(due), padding),
		fmt.Sprintf(`{"p":"%s","t":"%d","s":123456.0}`, padding, int64(due)),
		fmt.Sprintf("{\n\t\"t\":\"%d\",\r\n\"s\":1.23456e+05,\"p\":\"%s\"}", int64(due), padding),
		fmt.Sprintf(`{"s":123456,"t":"%d","p":"\u%04x%s"}`, int64(due), padding[0], padding[1:]),
	}
	for _, command := range [][]string{
		{"php", "-r", `echo json_encode(json_decode(stream_get_contents(STDIN)));`},
		{"php", "-r", `echo json_encode(json_decode(stream_get_contents(STDIN), true), JSON_PRETTY_PRINT);`},
		{"ruby", "-rjson", "-e", `print JSON.generate(JSON.parse(STDIN.read))`},
		{"/usr/bin/python3", "-c", `import json,sys; sys.stdout.write(json.dumps(json.load(sys.stdin)))`},
		{"node", "-e", `process.stdout.write(JSON.stringify(JSON.parse(require("fs").readFileSync(0))))`},
		{"perl", "-MJSON::PP", "-e", `local $/; print JSON::PP->new->canonical->pretty->encode(JSON::PP->new->decode(<STDIN>))`},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			continue
		}
		encoder := exec.Command(command[0], command[1:]...)
		encoder.Stdin = bytes.NewReader(want)
		out, err := encoder.Output()
		if err != nil {
			t.Logf("%s: %v", command[0], err)
			continue
		}
		right = append(right, string(out))
	}
	for _, text := range right {
		gotSeq, gotDue, ok := parseData([]byte(text))
		if !ok || gotSeq != seq || gotDue != due || !sameData([]byte(text), want) {
			t.Errorf("%s is read as %d, %d, %v and not seen to be the same", text, gotSeq, gotDue, ok)
		}
	}
	for name, text := range map[string]string{
		"rounded":      fmt.Sprintf(`{"s":123456,"t":"%d","p":"%s"}`, int64(due)/1000*1000, padding),
		"a number":     fmt.Sprintf(`{"s":123456,"t":%d,"p":"%s"}`, int64(due), padding),
		"one more":     fmt.Sprintf(`{"s":123456,"t":"%d","p":"%s","q":1}`, int64(due), padding),
		"one twice":    fmt.Sprintf(`{"s":123456,"s":123456,"t":"%d","p":"%s"}`, int64(due), padding),
		"one less":     fmt.Sprintf(`{"s":123456,"t":"%d"}`, int64(due)),
		"other":        fmt.Sprintf(`{"s":123457,"t":"%d","p":"%s"}`, int64(due), padding),
		"half":         fmt.Sprintf(`{"s":123456.5,"t":"%d","p":"%s"}`, int64(due), padding),
		"cut padding":  fmt.Sprintf(`{"s":123456,"t":"%d","p":"%s"}`, int64(due), padding[1:]),
		"not an event": `[1]`,
	} {
		if sameData([]byte(text), want) {
			t.Errorf("%s: taken for the same", name)
		}
	}
}
