package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/gateway"
)

// next is a gateway with what another one has saved.
func (s *server) next(set ...func(*gateway.Config)) *server {
	s.Helper()
	var file bytes.Buffer
	saved, err := s.SaveHistory(s.Context(), &file)
	if err != nil {
		s.Fatalf("saving the history: %v", err)
	}
	g := prepare(s.TB, set...)
	loaded, err := g.LoadHistory(s.Context(), &file)
	if err != nil || uint64(loaded.Streams) != saved.Streams {
		s.Fatalf("loading the history: %+v of %+v, %v", loaded, saved, err)
	}
	return run(s.TB, g)
}

// insists publishes one event after the other until the gateway takes none any more, and returns
// the last answer. flows is called when there are some answers.
func (p *peer) insists(channel string, flows func()) (last result) {
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(p.TCPConn, `{"id":1,"channel":%q,"data":%d}`+"\n", channel, n); err != nil {
			return last
		}
		text, err := p.in.ReadString('\n')
		var a answer
		if err != nil || json.Unmarshal([]byte(text), &a) != nil || len(a.Results) != 1 {
			return last
		}
		if last = a.Results[0]; n == 20 {
			flows()
		}
	}
}

// insists is the same for the API.
func (o *operator) insists(channel string, flows func()) (last result) {
	for n := 0; ; n++ {
		response, err := o.web.Client().Post(o.web.URL+"/api/publish", "application/json", strings.NewReader(fmt.Sprintf(`{"channel":%q,"data":%d}`, channel, n)))
		if err != nil {
			o.Errorf("publishing by the API: %v", err)
			return last
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		var a answer
		if response.StatusCode != http.StatusOK || json.Unmarshal(text, &a) != nil || len(a.Results) != 1 {
			return last
		}
		if last = a.Results[0]; n == 20 {
			flows()
		}
	}
}

// TestNothingAnsweredIsUnsaid stops a gateway in each way while others publish. The next gateway
// has every event that was answered.
func TestNothingAnsweredIsUnsaid(t *testing.T) {
	for name, stop := range map[string]func(s *server){
		"drain":       func(s *server) { _ = s.drained(s.drain(patience)) },
		"short drain": func(s *server) { _ = s.drained(s.drain(time.Millisecond)) },
		"close":       func(s *server) { s.Close(); s.awaitEnd() },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			const kinds = 4
			var last [kinds]result
			var running sync.WaitGroup
			flowing := make(chan struct{}, kinds)
			flows := func() { flowing <- struct{}{} }
			within := time.After(patience)
			o := s.operator()
			for i := range kinds {
				channel := fmt.Sprint("channel.", i)
				if i%2 == 0 {
					p := s.publisher()
					running.Go(func() { last[i] = p.insists(channel, flows); p.Close() })
				} else {
					running.Go(func() { last[i] = o.insists(channel, flows) })
				}
			}
			for range kinds {
				select {
				case <-flowing:
				case <-within:
					t.Fatal("what is published gets no answers")
				}
			}
			stop(s)
			next := s.next()
			running.Wait()
			for i, before := range last {
				after := next.publish(fmt.Sprint("channel.", i), "1")
				if after.Epoch != before.Epoch || after.Offset <= before.Offset || after.Offset > before.Offset+2 {
					t.Errorf("event %d was answered in %s, the next one is %d in %s", before.Offset, before.Epoch, after.Offset, after.Epoch)
				}
			}
		})
	}
}

// Clients that were on a channel without events find it as it was, after a drain.
func TestEmptyChannelsOverARestart(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	c := s.connect()
	epoch, _ := c.subscribe("quiet")
	c.Close()
	other := s.connect()
	if again, _ := other.subscribe("quiet"); again != epoch {
		t.Fatalf("the epoch is %s, was %s", again, epoch)
	}
	if err := s.drained(s.drain(patience)); err != nil {
		t.Fatal(err)
	}
	next := s.next()
	if got, offset := next.connect().subscribe("quiet"); got != epoch || offset != 0 {
		t.Errorf("at %s:%d, was at %s:0", got, offset, epoch)
	}
}

// slowDisk stands for a disk that takes its time: it ends a context when it is
// used for the third time.
type slowDisk struct {
	from   io.Reader
	cancel func()
	used   int
}

func (e *slowDisk) use() {
	if e.used++; e.used == 3 {
		e.cancel()
	}
}

func (e *slowDisk) Read(b []byte) (int, error)  { e.use(); return e.from.Read(b) }
func (e *slowDisk) Write(b []byte) (int, error) { e.use(); return len(b), nil }

func TestHistoryIsSavedAndLoadedUntilTheContextEnds(t *testing.T) {
	s := start(t)
	if _, err := s.SaveHistory(t.Context(), io.Discard); err == nil {
		t.Error("the history of a gateway that runs is saved")
	}
	if _, err := s.LoadHistory(t.Context(), new(bytes.Buffer)); err == nil {
		t.Error("a gateway that runs loads a history")
	}
	p := s.publisher()
	for range 20 {
		p.publishes("news", `"`+strings.Repeat("x", 60<<10)+`"`)
	}
	if err := s.drained(s.drain(patience)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	disk := &slowDisk{cancel: cancel}
	if _, err := s.SaveHistory(ctx, disk); !errors.Is(err, context.Canceled) || disk.used > 3 {
		t.Errorf("saving ends with %v, after %d writes", err, disk.used)
	}
	var file bytes.Buffer
	if _, err := s.SaveHistory(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	g := prepare(t)
	disk = &slowDisk{cancel: cancel, from: &file}
	if _, err := g.LoadHistory(ctx, disk); !errors.Is(err, context.Canceled) || disk.used > 3 {
		t.Errorf("loading ends with %v, after %d reads", err, disk.used)
	}
	if n := run(t, g).stats().Publish.Streams; n != 0 {
		t.Errorf("half a history has %d channels", n)
	}
}
