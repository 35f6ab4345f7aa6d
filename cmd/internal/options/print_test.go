package options

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"fleetcast/gateway/keys"
)

// unusual has another value than the default for every option but --config.
var unusual = []string{
	"--listen=:0", "--publish=[::1]:9", "--admin=off", "--console=off",
	"--max-head=16KiB", "--allow-host=* *.a.test 192.0.2.1 b", "--allow-origin=https://*.a.test http://[::1]:3000", "--patterns=segments", "--client-publish=* a.* null 1 é #a -x a:b a\"b\\",
	"--shards=3", "--ingest-loops=2", "--max-clients=7", "--max-publishers=8", "--max-channels=9", "--client-channels=10",
	"--max-message=1000", "--max-event=2KiB", "--backlog=3MiB", "--backlog-messages=11", "--slow-after=20s", "--credits=1GiB",
	"--publisher-credits=65537", "--retention=1h", "--handshake-timeout=1m30s", "--ping-interval=1h0m1s",
	"--pong-timeout=1.5s", "--message-timeout=7s", "--input-memory=9MiB", "--shutdown-delay=3s", "--drain-window=2s", "--retry-window=0s", "--drain-timeout=1h1m", "--log-level=warn", "--log-format=json", "--log-connections=5",
	"--trusted-proxies=10.0.0.0/8 192.0.2.7 2001:db8::/32", "--proxy-header=proxy-protocol", "--address-clients=12", "--address-connects=6/m burst 3",
	"--connects=100/s", "--connect-queue=13", "--send-buffer=64KiB", "--send-timeout=20s",
	"--max-subscriptions=12", "--max-channel-name=13", "--client-commands=7/s", "--client-publishes=30/m burst 9", "--publisher-rate=1000/s burst 14",
	"--compression=off", "--compress-channels=a.* b", "--compression-level=6", "--compression-from=1KiB", "--client-context=4KiB",
	"--publish-keys=backend sha256=" + strings.Repeat("ab", 32) + " users=true", "--publish-keys=billing sha256=" + digest + " channels=invoices.**", "--publish-keys=a.b@c-d_e key=env:PATH_TO channels=\"* #a 'b' c:d\" rate=\"100/s burst 7\"",
	"--admin-keys=ops sha256=" + digest + " access=write", "--admin-keys=null sha256=" + strings.ToUpper(other) + " access=read", "--insecure=admin",
	"--token-secret=env:ITS_SECRET", "--token-cookie=session", "--user-clients=3", "--user-connects=4/m burst 5", "--ticket-keys=env:ITS_SECRET", "--keys-dir=/", "--history-file=/a b/#c",
	"--issuers=https://a.test/ secret=env:ITS_SECRET algorithms=\"HS256 HS512\" audience=\"a #b c:d\" claim=https://x/y user-claim=a.b", "--issuers=secret=env:ITS_SECRET issuer=null",
	"--subscribe-hooks=rooms url=https://app.test/a=b secret=env:ITS_SECRET forward=X-A", "--subscribe-hooks=null url=https://app.test/",
	"--connect-hook=https://app.test/a=b secret=env:ITS_SECRET forward=\"Cookie X-A\" timeout=3s at-once=5 queue=6",
	"--history=200,1h a.*=off x=y=7,1h30m,1500B", "--history-memory=3MiB",
	"--backlog-memory=2GiB", "--slow-policy=conflate", "--slow-channels=a.*=drop_oldest x=y=disconnect",
	"--channels=* compress=off", "--channels=a=b\\ slow=drop_oldest client-publish=on", `--channels=#"é:{}[],&- final=on`, "--channels=- slow=disconnect compress=on client-publish=off final=true", "--channels=null", "--channels=h history=9,10m,1MiB", "--channels=i history=no", "--channels={user}.* subscribe=user publish=token",
}

// Digests of keys.
var digest, other = keys.DigestOf([]byte("a")).String(), keys.DigestOf([]byte("b")).String()

// What is printed can be given to --config and leads to the same options.
func TestPrintedConfigurationIsTheSame(t *testing.T) {
	t.Setenv("PATH_TO", keys.New())
	t.Setenv("ITS_SECRET", longSecret)
	for name, args := range map[string][]string{"defaults": nil, "unusual": unusual} {
		t.Run(name, func(t *testing.T) {
			want, err := parseOptions(args...)
			if err != nil {
				t.Fatal(err)
			}
			var printed bytes.Buffer
			if err := want.Print(&printed); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal(printed.Bytes(), &map[string]any{}); err != nil {
				t.Errorf("not YAML: %v", err)
			}
			fileHere(t, printed.String())
			got, err := parseOptions("--config=fleetcast.yaml")
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range want.settings {
				if s.text() == fallback(s.flag) == (name == "unusual") && s.flag.Tag.Get("derived") == "" {
					t.Errorf("%s is %s", s.name(), s.text())
				}
				if !slices.Equal(got.settings[i].texts(), s.texts()) {
					t.Errorf("%s is %q after the round trip, was %q", s.name(), got.settings[i].texts(), s.texts())
				}
				if got.settings[i].source.file == "" {
					t.Errorf("%s is not printed", s.name())
				}
			}
		})
	}
}
