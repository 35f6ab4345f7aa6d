package deflate_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"fleetcast/codec/deflate"
	"fleetcast/codec/testrun"
)

// zlibScript inflates payloads with Python's zlib, byte for byte, so that zlib has
// its window only and never looks further back in what it has given out.
//
//go:embed testdata/inflate.py
var zlibScript string

// TestWindowsOfZlib has zlib inflate what was made for each window, with a
// window of that size (RFC 7692, 7.2.1): zlib refuses a reference to what is
// further back.
func TestWindowsOfZlib(t *testing.T) {
	testrun.OtherProcess(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: windows are not tested with zlib")
	}
	const valid, tooFar = "ok", "invalid distance too far back"
	var input bytes.Buffer
	var names, wants []string
	add := func(name string, bits int, payload, message []byte, want string) {
		names, wants = append(names, name), append(wants, want)
		input.WriteByte(byte(bits))
		for _, b := range [][]byte{payload, message} {
			_ = binary.Write(&input, binary.BigEndian, uint32(len(b)))
			input.Write(b)
		}
	}
	for bits := deflate.MinWindowBits; bits <= deflate.MaxWindowBits; bits++ {
		size := 1 << bits
		noise := samples(2 * size)["noise"]
		messages := map[string][]byte{
			"nothing": nil, "twice noise that is longer than the window": append(noise[:size+1:size+1], noise[:size+1]...),
			"twice noise that fills the window": append(noise[:size:size], noise[:size]...),
		}
		for kind, message := range samples(max(3*size, 20_000)) {
			messages[kind] = message
		}
		deflater := deflate.NewDeflater(6, bits)
		largest := deflate.NewDeflater(6, deflate.MaxWindowBits)
		for kind, message := range messages {
			name := fmt.Sprintf("%d bits, %s", bits, kind)
			add(name, bits, deflater.Append(nil, message), message, valid)
			if size < 16<<10 && strings.HasPrefix(kind, "twice") && len(message) > 2*size {
				add(name+", made for the largest window", bits, largest.Append(nil, message), message, tooFar)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", zlibScript)
	cmd.Stdin = &input
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	if len(got) != len(wants) {
		t.Fatalf("%d answers to %d payloads", len(got), len(wants))
	}
	for i, want := range wants {
		if !strings.Contains(got[i], want) {
			t.Errorf("%s: %q, want %q", names[i], got[i], want)
		}
	}
}
