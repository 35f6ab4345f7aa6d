package profile

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Profile is how one kind of server is spoken to. It is immutable: any number of goroutines may
// share it.
type Profile struct {
	name        string
	description string
	path        string
	subprotocol string
	acceptAny   bool
	oneChannel  bool
	lines       bool
	hello       template
	helloWaits  bool
	subscribe   template
	recover     template // subscribe, with a position; empty if the server knows none
	needsEpoch  bool     // recover names the epoch
	tellsLatest bool
	tellsGaps   bool
	missed      *missed // nil: the answer to a subscription holds no events
	confirms    bool
	offsets     bool
	messages    matcher
	publish     publish
}

//go:embed builtin/*.yaml
var builtin embed.FS

// Names returns the names of the built-in profiles, sorted.
func Names() []string {
	files, err := fs.Glob(builtin, "builtin/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	slices.Sort(files)
	return files
}

// Load returns the built-in profile of that name, or reads one from a file. A name with
// a slash, or with the ending .yaml or .yml, is the name of a file.
func Load(nameOrPath string) (*Profile, error) {
	if strings.Contains(nameOrPath, "/") || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml") {
		text, err := readFile(nameOrPath)
		if err != nil {
			return nil, fmt.Errorf("read the profile: %w", err)
		}
		return Parse(nameOrPath, text)
	}
	source := "builtin/" + nameOrPath + ".yaml"
	text, err := builtin.ReadFile(source)
	if err != nil {
		return nil, fmt.Errorf("there is no profile %q; %s (a file of your own ends in .yaml)", nameOrPath, suggest(nameOrPath, Names()))
	}
	return Parse(source, text)
}

// readFile reads a file that may be too long for a profile only so far that Parse can say so.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxText+1))
}

// Name returns the profile's name.
func (p *Profile) Name() string { return p.name }

// Description returns what the profile is for, in a line; it may be empty.
func (p *Profile) Description() string { return p.description }

// Path returns the path to connect to where a URL has none; it begins with a slash.
func (p *Profile) Path() string { return p.path }

// Subprotocol returns the subprotocol to offer, which the server must choose; empty if none.
func (p *Profile) Subprotocol() string { return p.subprotocol }

// StrictAccept reports whether the server's Sec-WebSocket-Accept is to be checked.
func (p *Profile) StrictAccept() bool { return !p.acceptAny }

// ManyChannels reports whether the server has channels. Where not, every client gets every event.
func (p *Profile) ManyChannels() bool { return !p.oneChannel }

// AppendHello appends the text message to send first on an open connection, if there is one.
// Where awaited, subscribing waits for a Greeted message.
func (p *Profile) AppendHello(dst []byte) (out []byte, awaited bool) {
	return p.hello.append(dst, &values{}), p.helloWaits
}

// AppendSubscribe appends the text message that subscribes to channel; nothing, if the server needs
// none.
func (p *Profile) AppendSubscribe(dst []byte, channel string) []byte {
	return p.subscribe.append(dst, &values{channel: channel})
}

// Confirms reports whether the server answers a subscription with a Subscribed message. Where not,
// a client is subscribed once it has sent it.
func (p *Profile) Confirms() bool { return p.confirms }

// HasOffsets reports whether the profile knows where both the answer to a subscription and an event
// carry their offset. A server may still leave it out of a message: see Message.HasOffset.
func (p *Profile) HasOffsets() bool { return p.offsets }
