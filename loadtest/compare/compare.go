// Package compare measures a server, the subject, beside others, its peers.
//
// Subject and peer run on the same processor, one after the other, pair by pair (A B A
// B), so that other work of the machine affects both. The harness runs on another
// processor, as a process of its own. The figure of a pair is a ratio. The figure of a
// comparison is the median of these ratios, with the least and the greatest. Events at a
// peer have the same size on the wire as at the subject, so that both write the same
// bytes. If one of the two compresses, the data has the same size instead.
//
// A YAML file says which servers there are, and how each is built, run and spoken to: see
// [Load].
//
// Everything runs in the goroutine that calls [Run]. What Run starts has ended when it
// returns.
package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// MinPairs is the least number of pairs whose median means anything.
const MinPairs = 5

// Config describes a comparison.
type Config struct {
	Servers  *Servers
	Subject  string   // its name; empty: the first server
	Peers    []string // names of those to compare with; none: all
	Settings []string // names of those to compare in, or of their kinds; none: all
	Harness  string   // path of the fleetload binary

	Pairs       int // of runs; MinPairs or more for a figure to rely on
	Clients     int // subscribers that events go to
	Events      int // with one in flight; ten times as many with 32
	Payload     int // bytes of an event's data at the subject
	Connections int // clients of the setting connect

	ServerCPU  int // processor that the servers are pinned to
	HarnessCPU int // processor that the harness is pinned to

	Progress io.Writer // gets a line for what is built and for each pair
}

// comparison is the state of one Run.
type comparison struct {
	Config
	bin       string         // where servers are built
	envelopes map[string]int // of peers, by name: bytes of a frame's payload beside the data
}

// Run makes the comparison. A run whose verification fails at a server that is
// not allowed to, or that cannot be made, ends it with an error.
func Run(ctx context.Context, config Config) (*Report, error) {
	peers, settings, err := config.choose()
	if err != nil {
		return nil, err
	}
	if err := checkProcessors(config.ServerCPU, config.HarnessCPU); err != nil {
		return nil, err
	}
	c := &comparison{Config: config, envelopes: make(map[string]int)}
	if c.bin, err = os.MkdirTemp("", "fleetload-compare-"); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer os.RemoveAll(c.bin)
	subject := config.Servers.subject()
	for _, s := range append([]*Server{subject}, peers...) {
		if err := c.build(ctx, s); err != nil {
			return nil, err
		}
	}
	report := newReport(&config, peers)
	for _, s := range settings {
		for _, peer := range peers {
			if !peer.takesPart(s) || !subject.takesPart(s) {
				continue
			}
			pairs, err := c.runPairs(ctx, s, subject, peer)
			if err != nil {
				return nil, err
			}
			report.add(s, peer.Name, pairs)
		}
	}
	report.sort()
	return report, nil
}

// choose returns the peers and settings that were asked for.
func (c *Config) choose() (peers []*Server, settings []*setting, err error) {
	if c.Subject != "" {
		if err := c.Servers.chooseSubject(c.Subject); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range c.Peers {
		if !slices.ContainsFunc(c.Servers.peers(), func(s *Server) bool { return s.Name == name }) {
			return nil, nil, fmt.Errorf("%s has no peer %q: choose from %s", c.Servers.source, name, names(c.Servers.peers()))
		}
	}
	for _, name := range c.Settings {
		if !isSetting(name) {
			return nil, nil, fmt.Errorf("there is no setting %q: choose from %s", name, settingNames())
		}
	}
	for _, peer := range c.Servers.peers() {
		if len(c.Peers) == 0 || slices.Contains(c.Peers, peer.Name) {
			peers = append(peers, peer)
		}
	}
	for i := range allSettings {
		if s := &allSettings[i]; len(c.Settings) == 0 || s.amongst(c.Settings) {
			settings = append(settings, s)
		}
	}
	return peers, settings, nil
}

// pair is a run of the subject and the run of a peer after it.
type pair struct{ subject, peer *outcome }

func (c *comparison) runPairs(ctx context.Context, s *setting, subject, peer *Server) (pairs []pair, err error) {
	for i := range c.Pairs {
		p, err := c.runPair(ctx, s, subject, peer)
		if err != nil {
			return nil, fmt.Errorf("%s, %s beside %s, pair %d: %w", s.name, subject.Name, peer.Name, i+1, err)
		}
		pairs = append(pairs, p)
		fmt.Fprintf(c.Progress, "%s, pair %d of %d: %s %s; %s %s\n", s.name, i+1, c.Pairs,
			subject.Name, s.brief(p.subject), peer.Name, s.brief(p.peer))
	}
	return pairs, nil
}

func (c *comparison) runPair(ctx context.Context, s *setting, subject, peer *Server) (p pair, err error) {
	if p.subject, err = c.measure(ctx, s, subject, s.load(&c.Config, c.Payload)); err != nil {
		return p, err
	}
	if !s.events || subject.Deflate > 0 || peer.Deflate > 0 {
		p.peer, err = c.measure(ctx, s, peer, s.load(&c.Config, c.Payload))
		return p, err
	}
	envelope, err := c.envelope(ctx, s, peer)
	if err != nil {
		return p, err
	}
	payload := int(math.Round(p.subject.Detail.FramePayloadBytes)) - envelope
	if p.peer, err = c.measure(ctx, s, peer, s.load(&c.Config, payload)); err != nil {
		return p, err
	}
	// A longer run may tell better: offsets grow, frames may hold several events.
	c.envelopes[peer.Name] = p.peer.envelope(payload)
	return p, nil
}

// envelope returns how many bytes a peer's frames have beside the data. Before
// the peer's first run a short probe tells.
func (c *comparison) envelope(ctx context.Context, s *setting, peer *Server) (int, error) {
	if known, ok := c.envelopes[peer.Name]; ok {
		return known, nil
	}
	probe, err := c.measure(ctx, s, peer, fanout(1, probeEvents, 1, c.Payload))
	if err != nil {
		return 0, fmt.Errorf("probing the size of its frames: %w", err)
	}
	c.envelopes[peer.Name] = probe.envelope(c.Payload)
	return c.envelopes[peer.Name], nil
}
