package host

import "testing"

func TestParseCPUList(t *testing.T) {
	for list, want := range map[string]int{
		"0": 1, "0-3": 4, "0-3,8": 5, "1,3,5-6\n": 4, "": 0, "3-1": 0, "a": 0, "0-": 0, "0-99999999999": 0,
	} {
		if got, err := ParseCPUList(list); got != want && err == nil || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", list, got, err, want)
		}
	}
}
