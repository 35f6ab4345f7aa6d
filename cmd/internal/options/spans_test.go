package options

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Every option that is a number has a least and a most, and is refused beyond.
func TestSpans(t *testing.T) {
	for _, f := range flagsOf(t) {
		of, numeric := spanOf(f)
		switch f.Target.Interface().(type) {
		case count, Size, Period:
			if !numeric {
				t.Errorf("--%s has no span", f.Name)
			}
		}
		if !numeric {
			continue
		}
		least, most := bound(f.Target.Type(), of.least), bound(f.Target.Type(), of.most)
		if !less(least, most) {
			t.Errorf("--%s: the span is %v", f.Name, of)
		}
		otherwise := reflect.New(f.Target.Type())
		if err := otherwise.Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte(f.Default)); err != nil {
			t.Fatal(err)
		}
		if value := otherwise.Elem(); !value.IsZero() && (less(value, least) || less(most, value)) {
			t.Errorf("--%s: the default, %s, is not %v", f.Name, f.Default, of)
		}
	}

}

// What nobody can mean is refused by whoever reads the options.
func TestAbsurdOptions(t *testing.T) {
	for _, test := range []string{
		"ping-interval: 1ns", "ping-interval: 999ms", "ping-interval: 25h", "pong-timeout: 1us", "pong-timeout: 1000h",
		"handshake-timeout: 1ns", "handshake-timeout: 9999h", "retention: 1ns", "retention: 9999h", "send-timeout: 5ms", "send-timeout: 500h",
		"drain-window: 1ns", "drain-timeout: 1ns", "drain-timeout: 0s", "drain-timeout: 25h", "retry-window: 1ns", "retry-window: 1000h",
		"shutdown-delay: 1ns", "shutdown-delay: 100h",
		"shards: 100000", "ingest-loops: 0", "ingest-loops: 100000", "max-message: 1", "max-message: 1TiB", "max-event: 0", "max-event: 33MiB",
		"client-channels: 0", "client-channels: 1000000000", "max-channels: 0", "max-subscriptions: 0", "max-channel-name: 0", "max-channel-name: 256",
		"backlog: 0", "credits: 0", "publisher-credits: 0",
		"compression-level: 0", "compression-level: 10", "compression-from: 1TiB", "client-context: 100", "client-context: 64KiB",
		"send-buffer: 1", "send-buffer: 2GiB", "connect-queue: 1000000000", "log-connections: 1000000000",
	} {
		t.Run(test, func(t *testing.T) {
			fileHere(t, test+"\n")
			_, err := parseOptions("--config=fleetcast.yaml")
			name, _, _ := strings.Cut(test, ":")
			if text := fmt.Sprint(err); strings.Contains(text, "\n") || !strings.HasPrefix(text, "fleetcast.yaml:1: "+name+" is ") || !strings.Contains(text, "must be") {
				t.Errorf("it says %q", text)
			}
		})
	}
}
