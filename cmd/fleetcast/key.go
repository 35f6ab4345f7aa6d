package main

import (
	"errors"
	"fmt"
	"strings"

	"fleetcast/cmd/internal/options"
	"fleetcast/gateway/keys"
)

// keyCommand is about keys.
type keyCommand struct {
	New newKeyCommand `cmd:"" help:"Make a key, and the entry of the configuration that lets it in."`
}

// newKeyCommand makes a key.
type newKeyCommand struct {
	Name    string   `placeholder:"NAME" help:"Name of the key, by which logs and the API know it (publisher or operator)."`
	Publish []string `sep:" " placeholder:"PATTERN" help:"Let its holder publish to channels of this name; * stands for any characters within a segment, ** for any. May be repeated."`
	Admin   string   `enum:",read,write" default:"" placeholder:"read|write" help:"Let its holder use the admin port instead: see what it shows, or change something too."`
	AddTo   string   `placeholder:"FILE" help:"Put the entry into this configuration file, into the list that it has or a new one, instead of printing it."`
	Rate    string   `placeholder:"RATE" help:"Events of all connections with this key together, such as 100/s."`
}

// Help is shown below the command's help.
func (*newKeyCommand) Help() string {
	return "The key goes to the standard output, once: only its SHA-256 is kept, in the entry, which goes to the standard error. " +
		"So fleetcast key new --publish 'prices.**' > price-feed.key saves the key and shows what to paste. " +
		"Give the key to the publisher, and the entry to the gateway, which takes it with SIGHUP. --add-to fleetcast.yaml puts it there."
}

// Validate is called by the parser.
func (c *newKeyCommand) Validate() error {
	switch {
	case len(c.Publish) > 0 && c.Admin != "":
		return errors.New("--publish and --admin exclude each other: make two keys")
	case len(c.Publish) == 0 && c.Admin == "":
		return errors.New("say what the key is for: --publish '**' for all channels, --publish 'prices.**' for some, or --admin read or write")
	case c.Admin != "" && c.Rate != "":
		return errors.New("--rate is for keys that publish")
	}
	return nil
}

// Run makes and prints it.
func (c *newKeyCommand) Run(std streams) error {
	key := keys.New()
	what := options.NewKey{
		Name: c.Name, Digest: keys.DigestOf([]byte(key)), Channels: strings.Join(c.Publish, " "), Rate: c.Rate, Access: c.Admin,
	}
	entry, err := options.KeyEntry(what)
	if err != nil {
		return usageError{err}
	}
	if c.AddTo != "" {
		if err := options.AddKey(c.AddTo, what); err != nil {
			return err
		}
		fmt.Fprintf(std.err, "# The key is on the standard output, and nowhere else. Its entry is in %s, which the gateway reads with SIGHUP.\n", c.AddTo)
		fmt.Fprintln(std.out, key)
		return nil
	}
	fmt.Fprintf(std.err, "# The key is on the standard output, and nowhere else. Its entry for the configuration:\n%s", entry)
	fmt.Fprintln(std.out, key)
	return nil
}
