package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway"
)

// The oracle: clients that subscribe, unsubscribe, publish and disconnect at
// random, publishers that speak both protocols, and a history against which
// every message of every client is checked. See stress_oracle_client_test.go
// for what a client may receive.

// history is what is known of every channel's stream.
type history struct {
	mu       sync.Mutex
	channels map[string]*channelHistory
}

type channelHistory struct {
	epoch     string
	data      map[uint64]string // by offset
	offset    map[string]uint64 // by data, which is unique
	last      uint64            // the largest offset that a publisher was told
	published uint64            // events of which a publisher was told that they are out
	uncertain uint64            // events of clients that left before they were told
}

func newHistory(channels []string) *history {
	h := &history{channels: make(map[string]*channelHistory)}
	for _, name := range channels {
		h.channels[name] = &channelHistory{data: make(map[uint64]string), offset: make(map[string]uint64)}
	}
	return h
}

// saw records that data has the given offset, and tells if that cannot be.
func (h *history) saw(channel string, offset uint64, data string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[channel]
	if before, ok := c.data[offset]; ok && before != data {
		return fmt.Errorf("offset %d of %q is %s and %s", offset, channel, before, data)
	}
	if before, ok := c.offset[data]; ok && before != offset {
		return fmt.Errorf("event %s of %q has the offsets %d and %d", data, channel, before, offset)
	}
	c.data[offset], c.offset[data] = data, offset
	return nil
}

// told is saw for what a publisher was told.
func (h *history) told(channel string, offset uint64, data string) error {
	if err := h.saw(channel, offset, data); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[channel]
	c.last = max(c.last, offset)
	c.published++
	return nil
}

// sawEpoch checks that a stream keeps its epoch.
func (h *history) sawEpoch(channel, epoch string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[channel]
	if c.epoch == "" {
		c.epoch = epoch
	}
	if c.epoch != epoch {
		return fmt.Errorf("the epoch of %q changes from %s to %s", channel, c.epoch, epoch)
	}
	return nil
}

// count adds to the events that were published without an offset being told.
func (h *history) count(channel string, published, uncertain uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[channel]
	c.published += published
	c.uncertain += uncertain
}

// lastTold is the largest offset that a publisher was told.
func (h *history) lastTold(channel string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels[channel].last
}

// check looks at the whole: nothing was sequenced that nobody published, and
// each publisher's events are in its order. The last event of a channel is one
// that this test published when all others were through.
func (h *history) check(t *testing.T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.channels {
		if c.last < c.published || c.last > c.published+c.uncertain {
			t.Errorf("%q has the offsets up to %d, but %d to %d events were published", name, c.last, c.published, c.published+c.uncertain)
		}
		order := make(map[string]int)
		for offset := uint64(1); offset <= c.last; offset++ {
			data, ok := c.data[offset]
			if !ok {
				continue // nobody was there and the publisher was not told the offset
			}
			var publisher string
			var number int
			if _, err := fmt.Sscanf(strings.Trim(data, `"`), "%s %d", &publisher, &number); err != nil {
				t.Errorf("%q: an event is %s", name, data)
			}
			if before, ok := order[publisher]; ok && number <= before {
				t.Errorf("%q: event %d of %s comes before %d", name, before, publisher, number)
			}
			order[publisher] = number
		}
	}
}

// oracleRun is one run of the oracle.
type oracleRun struct {
	*server
	setup    oracleSetup
	history  *history
	channels []string
	settled  chan struct{} // closed when publishers and wanderers are through
	gaps     atomic.Int64
	failed   atomic.Bool
}

type oracleSetup struct {
	shards, clients, channels int
	lives                     int   // connections that each client has, one after the other
	events                    int   // of each publisher
	keeps                     int   // events of each channel's history
	memory                    int64 // of all histories; 0 is enough for all
	slow                      bool  // some clients read slowly, so that they catch up in many parts, behind which events are trimmed
	cut                       bool
	compressed                bool // most clients offer compression, and even the smallest event is compressed
}

func TestOracle(t *testing.T) {
	for _, test := range []struct {
		name string
		oracleSetup
	}{
		{"several shards", oracleSetup{shards: 3, clients: 24, channels: 4, keeps: 40, lives: 5, events: scaled(2_000, 4)}},
		{"fan-outs in slices", oracleSetup{shards: 1, clients: 80, channels: 2, keeps: 3000, lives: scaled(4, 2), events: scaled(600, 4), cut: true}},
		{"compressed", oracleSetup{shards: 3, clients: 24, channels: 3, keeps: 100, lives: 4, events: scaled(400, 8), compressed: true}},
		{"compressed, in slices", oracleSetup{shards: 2, clients: 30, channels: 2, keeps: 20, lives: scaled(4, 2), events: scaled(120, 8), cut: true, compressed: true}},
		{"slices on several shards", oracleSetup{shards: 2, clients: 120, channels: 1, keeps: 1000, lives: scaled(4, 2), events: scaled(400, 4), cut: true}},
		{"slow readers", oracleSetup{shards: 2, clients: 30, channels: 2, keeps: 1500, lives: 3, events: scaled(1_500, 4), slow: true}},
		{"slow readers, compressed, in slices", oracleSetup{shards: 2, clients: 20, channels: 2, keeps: 800, lives: 2, events: scaled(600, 4), slow: true, cut: true, compressed: true}},
		{"evictions", oracleSetup{shards: 2, clients: 24, channels: 12, keeps: 500, lives: 8, events: scaled(1_500, 4), memory: 16 << 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			runOracle(t, test.oracleSetup, seed)
		})
	}
}

func runOracle(t *testing.T, setup oracleSetup, seed uint64) {
	patterns, err := gateway.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	o := &oracleRun{
		server: start(t, noRates, func(c *gateway.Config) {
			c.Shards, c.IngestLoops = setup.shards, 2
			c.ClientPublish = patterns
			c.Credits, c.PublisherCredits = 64<<10, 16<<10 // so that publishers have to wait, too
			neverSlow(c)
			keeps(setup.keeps)(c)
			if setup.memory > 0 {
				c.HistoryMemory = setup.memory
			}
			c.CompressFrom = 0
		}),
		setup:   setup,
		settled: make(chan struct{}),
	}
	for i := range setup.channels {
		o.channels = append(o.channels, fmt.Sprintf("channel-%d", i))
	}
	o.history = newHistory(o.channels)
	if setup.cut {
		o.CutFanOuts()
	}
	if setup.compressed {
		o.CompressBeside(75) // about half of the events
	}
	var moving, clients sync.WaitGroup
	for i := range setup.clients {
		moving.Add(1)
		clients.Go(func() {
			o.wander(rand.New(rand.NewPCG(seed, uint64(i))), fmt.Sprintf("client%d", i), setup.lives, moving.Done)
		})
	}
	for i := range 2 {
		moving.Go(func() {
			o.publishLines(rand.New(rand.NewPCG(seed, 1_000+uint64(i))), fmt.Sprintf("lines%d", i), setup.events)
		})
		moving.Go(func() {
			o.publishRESP(rand.New(rand.NewPCG(seed, 2_000+uint64(i))), fmt.Sprintf("resp%d", i), setup.events)
		})
	}
	moving.Wait()
	publisher := o.publisher()
	for _, name := range o.channels {
		p := publisher.publishes(name, `"end 1"`)
		o.check(o.history.told(name, p.Offset, `"end 1"`))
		o.check(o.history.sawEpoch(name, p.Epoch))
	}
	close(o.settled)
	clients.Wait()
	o.history.check(t)
	if setup.cut && o.stats().Total.FanOutCuts == 0 {
		t.Error("no fan-out was cut")
	}
	if g := o.stats().Total; g.Recoveries["recovered"] == 0 || g.Recoveries["rewound"] == 0 || g.EventsRecovered == 0 || (setup.keeps < 50 || setup.memory > 0) && o.gaps.Load() == 0 {
		t.Errorf("recoveries are %v, of %d events, and %d gaps", g.Recoveries, g.EventsRecovered, o.gaps.Load())
	}
	if n := o.stats().Publish.HistoryEvicted; (n > 0) != (setup.memory > 0) {
		t.Errorf("%d histories were given up", n)
	}
	if compressed := o.stats().Compression.Events > 0; compressed != setup.compressed {
		t.Errorf("events were compressed: %t", compressed)
	}
	o.eventually("an empty gateway", func(s gateway.GatewayStats) bool {
		return s.Total.Connections == 0 && s.Total.Subscriptions == 0 && s.Total.Channels == 0 &&
			s.Total.BacklogBytes == 0 && s.Publish.CreditsUsed == 0
	})
	if n := o.StreamsWithInterest(); n != 0 {
		t.Errorf("%d streams are still wanted by a shard", n)
	}
}

// check reports an error. Any goroutine may call it.
func (o *oracleRun) check(err error) bool {
	if err != nil {
		o.failed.Store(true)
		o.Error(err)
	}
	return err == nil
}

func (o *oracleRun) anyChannel(random *rand.Rand) string {
	return o.channels[random.IntN(len(o.channels))]
}

// connectPublisher is publisher for other goroutines than the test's.
func (o *oracleRun) connectPublisher() (*net.TCPConn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", o.publishAddr())
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(3 * patience))
	return conn.(*net.TCPConn), bufio.NewReader(conn), nil
}

// publishLines publishes in pipelined bursts and compares what it is told.
func (o *oracleRun) publishLines(random *rand.Rand, name string, events int) {
	conn, in, err := o.connectPublisher()
	if !o.check(err) {
		return
	}
	defer conn.Close()
	for number := 0; number < events && !o.failed.Load(); {
		var burst strings.Builder
		var channels, data []string
		for range min(random.IntN(40)+1, events-number) {
			number++
			channels = append(channels, o.anyChannel(random))
			data = append(data, fmt.Sprintf(`"%s %d"`, name, number))
			fmt.Fprintf(&burst, `{"id":%d,"channel":%q,"data":%s}`+"\n", number, channels[len(channels)-1], data[len(data)-1])
		}
		if _, err := io.WriteString(conn, burst.String()); !o.check(err) {
			return
		}
		for i := range data {
			line, err := in.ReadString('\n')
			if !o.check(err) {
				return
			}
			reply := decode[answer](o, line)
			if len(reply.Results) != 1 || reply.Results[0].Channel != channels[i] {
				o.check(fmt.Errorf("publishing to %s is answered with %s", channels[i], line))
				return
			}
			o.check(o.history.told(channels[i], reply.Results[0].Offset, data[i]))
			o.check(o.history.sawEpoch(channels[i], reply.Results[0].Epoch))
		}
	}
}

// publishRESP is publishLines in the other protocol, which tells no offsets.
func (o *oracleRun) publishRESP(random *rand.Rand, name string, events int) {
	conn, in, err := o.connectPublisher()
	if !o.check(err) {
		return
	}
	defer conn.Close()
	for number := 0; number < events && !o.failed.Load(); {
		var burst strings.Builder
		var channels []string
		for range min(random.IntN(40)+1, events-number) {
			number++
			channel, payload := o.anyChannel(random), fmt.Sprintf("%s %d", name, number)
			channels = append(channels, channel)
			fmt.Fprintf(&burst, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(payload), payload)
		}
		if _, err := io.WriteString(conn, burst.String()); !o.check(err) {
			return
		}
		for _, channel := range channels {
			line, err := in.ReadString('\n')
			if !o.check(err) {
				return
			}
			if line[0] != ':' {
				o.check(fmt.Errorf("PUBLISH is answered with %q", line))
				return
			}
			o.history.count(channel, 1, 0)
		}
	}
}

// wander lives several connections and stays with the last until everything
// that was published has come. moved is called when only that is left.
func (o *oracleRun) wander(random *rand.Rand, name string, lives int, moved func()) {
	moved = sync.OnceFunc(moved)
	defer moved()
	for life := range lives {
		// Order is promised per connection, so each one publishes under a name.
		c, err := o.oracleClient(fmt.Sprintf("%s.%d", name, life))
		if !o.check(err) {
			return
		}
		for range random.IntN(12) + 3 {
			c.act(random)
		}
		if life < lives-1 {
			c.disconnect(random)
			continue
		}
		c.command(command.Subscribe, o.channels[0])
		moved()
		<-o.settled
		c.leaveInPeace()
	}
}
