package rules

import (
	"strings"
	"testing"
	"time"
)

func TestHistoryText(t *testing.T) {
	for text, want := range map[string]struct {
		history History
		again   string
	}{
		"off":               {History{}, "off"},
		"no":                {History{}, "off"},
		"on":                {DefaultHistory, "100,5m"},
		"20":                {History{20, 5 * time.Minute, 0}, "20,5m"},
		"100,10m":           {History{100, 10 * time.Minute, 0}, "100,10m"},
		"10m, 100":          {History{100, 10 * time.Minute, 0}, "100,10m"},
		"2h":                {History{100, 2 * time.Hour, 0}, "100,2h"},
		"1000,90s,256KiB":   {History{1000, 90 * time.Second, 256 << 10}, "1000,1m30s,256KiB"},
		"5,1h0m10s,1500B":   {History{5, time.Hour + 10*time.Second, 1500}, "5,1h0m10s,1500B"},
		"1000000,720h,1GiB": {History{1_000_000, 720 * time.Hour, 1 << 30}, "1000000,720h,1GiB"},
		"3mb,7":             {History{7, 5 * time.Minute, 3_000_000}, "7,5m,3000000B"},
	} {
		got, err := parseHistory(text)
		if err != nil || got != want.history || got.String() != want.again {
			t.Errorf("%q: %+v, %v, written as %q, want %+v as %q", text, got, err, got, want.history, want.again)
		}
		if again, err := parseHistory(got.String()); err != nil || again != got {
			t.Errorf("%q, read again: %+v, %v", got, again, err)
		}
	}
	for text, message := range map[string]string{
		"": "neither off nor", "0": "keeps no events", "-1": "of -1 events", "1000001": "must be 1 to 1000000", "1,2": "two bounds of one kind", "1m,2m": "two bounds of one kind",
		"1KiB,2KiB": "two bounds of one kind", "500ms": "a history of 500ms, must be 1s to 720h", "721h": "a history of 721h, must be 1s to", "100,10 m": "neither off nor",
		"2GiB": "a history of 2GiB, must be 1KiB to 1GiB", "100B": "must be 1KiB to", "9999999999GiB": "neither off nor", "10M": "neither off nor", "KiB": "neither off nor",
		"0B": "neither off nor", "100,,10m": "neither off nor", "9999999999999999999": "neither off nor",
	} {
		if got, err := parseHistory(text); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %+v, %v, want an error with %q", text, got, err, message)
		}
	}
}
