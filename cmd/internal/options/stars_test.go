package options

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A single * is refused wherever an older option has patterns, with the new spelling
// and where it was written. With patterns: segments it is taken.
func TestSingleStars(t *testing.T) {
	const newly = `: * now ends at . : and /; write %s for what it meant before, or set patterns: segments if one segment is meant`
	for _, test := range []struct{ file, variable, flag, at, pattern, all string }{
		{file: "client-publish: \"*\"\n", at: "fleetcast.yaml:1: client-publish", pattern: "*", all: "**"},
		{file: "client-publish:\n- chat\n- chat.*\n", at: "fleetcast.yaml:3: client-publish", pattern: "chat.*", all: "chat.**"},
		{file: "slow-channels: prices.*=conflate\n", at: "fleetcast.yaml:1: slow-channels", pattern: "prices.*", all: "prices.**"},
		{file: "compress-channels: [a, b*]\n", at: "fleetcast.yaml:1: compress-channels", pattern: "b*", all: "b**"},
		{file: "channels:\n- match: a\n  slow: conflate\n- match: '*.b.**'\n  slow: conflate\n", at: "fleetcast.yaml:4: channels", pattern: "*.b.**", all: "**.b.**"},
		{file: "channels:\n- match: in.{user}.*\n  subscribe: user\n", at: "fleetcast.yaml:2: channels", pattern: "in.{user}.*", all: "in.{user}.**"},
		{variable: "FLEETCAST_CLIENT_PUBLISH=a* b", at: "FLEETCAST_CLIENT_PUBLISH", pattern: "a*", all: "a**"},
		{variable: "FLEETCAST_CHANNELS=a slow=conflate\nb* slow=conflate", at: "FLEETCAST_CHANNELS", pattern: "b*", all: "b**"},
		{flag: "--client-publish=a*", at: "--client-publish", pattern: "a*", all: "a**"},
		{flag: "--slow-channels=*=conflate", at: "--slow-channels", pattern: "*", all: "**"},
		{flag: "--compress-channels=*", at: "--compress-channels", pattern: "*", all: "**"},
		{flag: "--channels=a*b* slow=conflate", at: "--channels", pattern: "a*b*", all: "a**b**"},
	} {
		t.Run(test.file+test.variable+test.flag, func(t *testing.T) {
			fileHere(t, test.file+"# nothing else\n")
			args := []string{"--config=fleetcast.yaml"}
			if name, value, set := strings.Cut(test.variable, "="); set {
				t.Setenv(name, value)
			}
			if test.flag != "" {
				args = append(args, test.flag)
			}
			want := test.at + fmt.Sprintf(": %q"+newly, test.pattern, test.all)
			if _, err := parseOptions(args...); err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
			if _, err := parseOptions(append(args, "--patterns=segments")...); err != nil {
				t.Errorf("with patterns: segments: %v", err)
			}
			if test.file == "" {
				return
			}
			writeFile(t, "fleetcast.yaml", strings.ReplaceAll(test.file, test.pattern, test.all))
			if _, err := parseOptions(args...); err != nil {
				t.Errorf("with %s: %v", test.all, err)
			}
		})
	}
}

// Of very many patterns, the first are named.
func TestManySingleStars(t *testing.T) {
	fileHere(t, "channels:\n"+strings.Repeat("- match: a.*\n  slow: conflate\n", 1000))
	_, err := parseOptions("--config=fleetcast.yaml")
	if err == nil || strings.Count(err.Error(), "\n") != shownStars || !strings.HasSuffix(err.Error(), "980 more patterns have a * that now ends at . : and /") {
		t.Errorf("error %v", err)
	}
}

// The page shows the error as it is.
func TestSingleStarsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(configurationDocs)
	if err != nil {
		t.Fatal(err)
	}
	fileHere(t, "channels:\n- match: prices.*\n  slow: conflate\n")
	if _, err := parseOptions("--config=fleetcast.yaml"); err == nil || !strings.Contains(string(page), "\n    "+err.Error()+"\n") {
		t.Errorf("the page has no %v", err)
	}
}
