package token_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fleetcast/gateway/token"
)

// TestReadRegular refuses what is no file, without waiting for it.
func TestReadRegular(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, size := range map[string]int{"empty": 0, "longest": 100, "long": 101} {
		if err := os.WriteFile(in(name), []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("longest", in("link")); err != nil { // as Kubernetes mounts secrets
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	for _, test := range []struct {
		path  string
		size  int
		wrong string
	}{
		{in("empty"), 0, ""},
		{in("longest"), 100, ""},
		{in("link"), 100, ""},
		{in("long"), 0, "is longer than 100 bytes"},
		{in("none"), 0, "no such file"},
		{in("pipe"), 0, "is no regular file"},
		{in("socket"), 0, "is no regular file"},
		{dir, 0, "is no regular file"},
		{"/dev/zero", 0, "is no regular file"},
	} {
		text, err := token.ReadRegular(test.path, 100)
		if test.wrong == "" && (err != nil || len(text) != test.size) || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
			t.Errorf("%s: %d bytes, %v; want %q", test.path, len(text), err, test.wrong)
		}
	}
}
