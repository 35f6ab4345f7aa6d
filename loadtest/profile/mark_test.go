package profile_test

import (
	"strings"
	"testing"

	"fleetcast/loadtest/profile"
)

// TestByteOrderMark: a profile that an editor of Windows has saved is read like any other.
func TestByteOrderMark(t *testing.T) {
	_, plain := profile.Parse("p.yaml", []byte("colour: blue\n"))
	_, marked := profile.Parse("p.yaml", []byte("\ufeffcolour: blue\n"))
	if plain == nil || marked == nil || plain.Error() != marked.Error() {
		t.Errorf("with a mark: %v\nwithout: %v", marked, plain)
	}
	if _, err := profile.Parse("p.yaml", []byte("\xff\xfec\x00")); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
}
