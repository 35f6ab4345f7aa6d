//go:build long

package gateway_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

// TestLongSlowLines measures how long lines take for bursts and for a steady stream, with
// the defaults: how the default of SlowAfter was chosen. It prints the table of
// docs/slow-networks.md.
func TestLongSlowLines(t *testing.T) {
	lines := []struct {
		name string
		line
	}{
		{"1 MB/s, 50 ms", line{1e6, 50 * time.Millisecond}},
		{"satellite: 5 Mbit/s, 600 ms", line{5e6 / 8, 600 * time.Millisecond}},
		{"3G: 750 kbit/s, 200 ms", line{750e3 / 8, 200 * time.Millisecond}},
		{"100 kbit/s, 500 ms", line{100e3 / 8, 500 * time.Millisecond}},
	}
	loads := []lineLoad{
		{name: "2,000 x 100 B", events: 2_000, size: 100},
		{name: "10,000 x 100 B", events: 10_000, size: 100},
		{name: "100 x 64 KiB", events: 100, size: 64 << 10},
		{name: "1 MiB/s for 60 s", events: 60 * 64, size: 16 << 10, perSecond: 64},
	}
	table := make([][]string, len(lines))
	var running sync.WaitGroup
	for i, l := range lines {
		table[i] = make([]string, len(loads))
		for k, load := range loads {
			running.Go(func() {
				got := load.over(t, l.line)
				table[i][k] = got.String()
				ideal := time.Duration(float64(load.events*(load.size+60)) / l.rate * float64(time.Second))
				switch all := got.received == load.events; {
				case !all && ideal < gateway.DefaultSlowAfter/2:
					t.Errorf("%s, %s: %v, although the line needs only %v", l.name, load.name, got, ideal)
				case all && load.perSecond == 0 && ideal > 2*gateway.DefaultSlowAfter:
					t.Errorf("%s, %s: %v, although the line needs %v", l.name, load.name, got, ideal)
				}
			})
		}
	}
	running.Wait()
	var out strings.Builder
	out.WriteString("| line |")
	for _, load := range loads {
		out.WriteString(" " + load.name + " |")
	}
	out.WriteString("\n| --- |" + strings.Repeat(" --- |", len(loads)))
	for i, l := range lines {
		fmt.Fprintf(&out, "\n| %s | %s |", l.name, strings.Join(table[i], " | "))
	}
	t.Logf("with SlowAfter %v:\n%s", gateway.DefaultSlowAfter, out.String())
}

// lineLoad is what is published to a client at the end of a line.
type lineLoad struct {
	name         string
	events, size int
	perSecond    int // 0: all at once
}

// lineOutcome is what became of it.
type lineOutcome struct {
	received int
	took     time.Duration // from the first event to the last, or to the close
	behind   time.Duration // of the last event
	closed   ws.StatusCode
	err      error // instead of a close frame
}

func (o lineOutcome) String() string {
	if o.err != nil {
		return fmt.Sprintf("cut after %.0f s (reset before the close frame)", o.took.Seconds())
	}
	if o.closed != 0 {
		return fmt.Sprintf("cut after %.0f s (%d)", o.took.Seconds(), o.closed)
	}
	return fmt.Sprintf("all; the last waited %.1f s", o.behind.Seconds())
}

// over puts the load on a line, to one client that reads without pause.
func (load lineLoad) over(t *testing.T, l line) (o lineOutcome) {
	s := start(t, oneShard)
	p := s.connectOver(l)
	p.SetDeadline(time.Now().Add(5 * time.Minute))
	p.subscribe("news")
	began := time.Now()
	if load.perSecond == 0 {
		s.burst("news", load.events, load.size)
	} else {
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			upstream := s.publisher()
			upstream.SetDeadline(time.Now().Add(5 * time.Minute))
			pace := time.NewTicker(time.Second / time.Duration(load.perSecond))
			defer pace.Stop()
			for i := range load.events {
				select {
				case <-pace.C:
				case <-stop:
					return
				}
				fmt.Fprintf(upstream.TCPConn, `{"channel":"news","data":%s}`+"\n", burstData(i+1, load.size))
			}
		}()
	}
	for o.received < load.events {
		f, err := nextFrame(p.in)
		if err != nil {
			o.took, o.err = time.Since(began), err
			return o
		}
		switch f.Header.OpCode {
		case ws.OpText:
			o.received++
		case ws.OpPing:
			p.Write([]byte(clientFrame(ws.OpPong, true, "")))
		case ws.OpClose:
			o.closed, _ = ws.ParseCloseFrameData(f.Payload)
			o.took = time.Since(began)
			return o
		}
	}
	o.took, o.behind = time.Since(began), time.Since(began)
	if load.perSecond > 0 {
		o.behind -= time.Second * time.Duration(load.events) / time.Duration(load.perSecond)
	}
	return o
}
