package keyfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/cmd/internal/keyfile"
)

func TestSource(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"one": "fck_one\n", "two": "fck_two\r\n", "empty": "\n", "words": "fck_a fck_b", "long": strings.Repeat("x", 5000), "bytes": "fck_\xff"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ flag, variable, fileVariable, key, wrong string }{
		{"", "", "", "", ""},
		{"one", "fck_env", "two", "fck_one", ""},
		{"", " fck_env\n", "two", "fck_env", ""},
		{"", "", "two", "fck_two", ""},
		{"missing", "fck_env", "", "", "no such file"},
		{"empty", "", "", "", "empty is empty"},
		{"words", "", "", "", "words has no key"},
		{"long", "", "", "", "longer than"},
		{"bytes", "", "", "", "has no key"},
		{"", "fck_a b", "", "", "FLEETCAST_KEY has no key"},
		{"", "", filepath.Join("no", "where"), "", "no such file"},
	} {
		t.Setenv(keyfile.Variable, test.variable)
		t.Setenv(keyfile.FileVariable, test.fileVariable)
		source, err := keyfile.Flag{KeyFile: test.flag}.Source()
		switch {
		case test.wrong != "":
			if err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "fck_") {
				t.Errorf("%+v: %v", test, err)
			}
		case err != nil || (source == nil) != (test.key == ""):
			t.Errorf("%+v: %v", test, err)
		case source != nil:
			if key, err := source(); err != nil || key != test.key {
				t.Errorf("%+v: %q, %v", test, key, err)
			}
		}
	}
	// A new key in the file counts from then on.
	source, err := keyfile.Flag{KeyFile: "one"}.Source()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("one", []byte("fck_new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if key, err := source(); err != nil || key != "fck_new" {
		t.Errorf("the new key is %q, %v", key, err)
	}
	if err := os.Chmod("one", 0o604); err != nil {
		t.Fatal(err)
	}
	if !keyfile.Exposed("one") || keyfile.Exposed("two") || keyfile.Exposed("") || keyfile.Exposed("missing") {
		t.Error("which files others can read is wrong")
	}
}
