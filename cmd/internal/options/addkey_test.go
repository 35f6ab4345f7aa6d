package options

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleetcast/gateway/keys"
)

// TestAddKey puts a key into files of many forms. What was in the file stays.
func TestAddKey(t *testing.T) {
	digest := keys.DigestOf([]byte("x")).String()
	entry := func(indent, name string) string {
		return indent + "- name: " + name + "\n" + indent + "  sha256: " + digest + "\n" + indent + "  channels: \"**\"\n"
	}
	for _, test := range []struct{ name, before, after string }{
		{"no list", "listen: localhost:1\n", "listen: localhost:1\npublish-keys:\n" + entry("  ", "new")},
		{"no line end", "# nothing", "# nothing\npublish-keys:\n" + entry("  ", "new")},
		{"a list", "publish-keys:\n" + entry("  ", "a"), "publish-keys:\n" + entry("  ", "a") + entry("  ", "new")},
		{"another list", "admin-keys:\n  - name: new\n    access: read\n", "admin-keys:\n  - name: new\n    access: read\npublish-keys:\n" + entry("  ", "new")},
		{"in the middle", "publish-keys:  # ours\n\n" + entry("  ", "a") + "# the end\n" + entry("  ", "b") + "\n# other\nlisten: x\n",
			"publish-keys:  # ours\n\n" + entry("  ", "a") + "# the end\n" + entry("  ", "b") + entry("  ", "new") + "\n# other\nlisten: x\n"},
		{"not indented", "publish-keys:\n" + entry("", "a") + "listen: x\n", "publish-keys:\n" + entry("", "a") + entry("", "new") + "listen: x\n"},
		{"indented more", "publish-keys:\n" + entry("      ", "a"), "publish-keys:\n" + entry("      ", "a") + entry("      ", "new")},
		{"texts", "publish-keys:\n  - a sha256=1 channels=**\n", "publish-keys:\n  - a sha256=1 channels=**\n" + entry("  ", "new")},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fleetcast.yaml")
			if err := os.WriteFile(path, []byte(test.before), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := AddKey(path, NewKey{Name: "new", Digest: keys.DigestOf([]byte("x")), Channels: "**"}); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(path)
			if err != nil || string(after) != test.after {
				t.Errorf("error %v, the file is\n%swant\n%s", err, after, test.after)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the mode is %v, error %v", info.Mode(), err)
			}
		})
	}
}

// TestAddKeyRefused leaves the file as it is.
func TestAddKeyRefused(t *testing.T) {
	for before, want := range map[string]string{
		"publish-keys:\n  - name: new\n    channels: a\n": "has a key with the name new",
		"publish-keys: [{name: a, channels: b}]\n":        "add this entry by hand:\n  - name: new",
		"publish-keys: a sha256=1 channels=**\n":          "add this entry by hand",
		"publish-keys:\n  name: a\n  channels: b\n":       "add this entry by hand",
		"publish-keys: [\n":                               "YAML",
		"a: 1\na: 2\n":                                    "YAML",
		"":                                                "is empty",
	} {
		path := filepath.Join(t.TempDir(), "fleetcast.yaml")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := AddKey(path, NewKey{Name: "new", Digest: keys.DigestOf([]byte("x")), Channels: "**"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", before, err, want)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != before {
			t.Errorf("%q has become %q, error %v", before, after, err)
		}
	}
	if err := AddKey(filepath.Join(t.TempDir(), "none.yaml"), NewKey{Channels: "**"}); err == nil || !strings.Contains(err.Error(), "there is no such file") {
		t.Errorf("without the file: %v", err)
	}
}
