package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fleetcast/gateway/history"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/stats"
)

// wallStart is the wall clock's time of tests at which the loops' clock of the first process is 0.
var wallStart = time.UnixMilli(1_800_000_000_000)

// life is the streams of one process.
type life struct {
	*Streams
	wakes WakeSet
	began time.Time // by the wall clock, when the loops' clock is 0
}

// keepsAll keeps 1,000 events for an hour.
var keepsAll = rules.NewTable(nil, rules.Values{History: rules.History{Events: 1000, Age: time.Hour}})

func newLife(limit int, table *rules.Table, began time.Time) *life {
	l := &life{Streams: NewStreams(limit, v1), wakes: NewWakeSet(0), began: began}
	l.SetHistory(table, 1<<30)
	return l
}

func (l *life) at(at time.Duration) Moment { return Moment{Loop: at, Wall: l.began.Add(at)} }

// publish publishes as a peer of one kind.
func (l *life) publish(by limits.Maker, at time.Duration, channel, data string) Position {
	account := unlimited()
	account.Maker = by
	r := NewRequest(l.Streams, &l.wakes, new(uint64))
	r.Begin(nil, account, at)
	r.Submit([]byte(channel), nil, []byte(data))
	return r.Results[0].At
}

func (l *life) save(t *testing.T, at time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	w := history.NewSnapshotWriter(&b, l.at(at).Wall.UnixMilli())
	if err := l.Save(w, l.at(at)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (l *life) load(t *testing.T, at time.Duration, file []byte) (Loaded, error) {
	t.Helper()
	r, err := history.NewSnapshotReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return l.Load(r, l.at(at))
}

// mustLoad is load of a file that is right.
func (l *life) mustLoad(t *testing.T, at time.Duration, file []byte) Loaded {
	t.Helper()
	loaded, err := l.load(t, at, file)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// tell describes a stream: its epoch and offset, who made it, and what is kept.
func (l *life) tell(channel string, now time.Duration) string {
	st := l.stripe([]byte(channel)).byName[channel]
	if st == nil {
		return "none"
	}
	text := fmt.Sprintf("%s:%d by %d", st.epoch, st.Offset, st.maker)
	first := l.firstKept(st, 1, now)
	if first > st.Offset {
		return text
	}
	st.log.Read(&l.history.memory, first, nil, func(offset uint64, tick uint32, data []byte) bool {
		age := (historyTime(now) - tick)
		text += fmt.Sprintf(" %d=%.10s(%d)@-%d", offset, data, len(data), age)
		return true
	})
	return text
}

// isEmpty checks that nothing is left.
func (l *life) isEmpty(t *testing.T) {
	t.Helper()
	var figures stats.Publish
	l.AddStats(&figures)
	made := l.room.made[limits.ByClient].Load() + l.room.made[limits.ByPublisher].Load()
	if figures.Streams != 0 || figures.StreamsUnused != 0 || figures.HistoryEvents != 0 || figures.HistoryBytes != 0 || made != 0 {
		t.Errorf("left: %+v, %d made", figures, made)
	}
	for i := range l.stripes {
		if n := len(l.stripes[i].byName); n > 0 {
			t.Errorf("stripe %d has %d streams", i, n)
		}
	}
}

// TestStreamsAreLoadedAsTheyWereSaved has streams of all kinds.
func TestStreamsAreLoadedAsTheyWereSaved(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 7))
	table := rules.NewTable([]rules.Entry{
		{Match: "off.**", History: &rules.History{}},
		{Match: "few.**", History: &rules.History{Events: 5, Age: time.Minute}},
		{Match: "small.**", History: &rules.History{Events: 1000, Age: time.Hour, Bytes: 20_000}},
	}, rules.Values{History: rules.History{Events: 1000, Age: time.Hour}})
	one := newLife(10_000, table, wallStart)
	now, names := time.Minute, []string{}
	for i := range 300 {
		names = append(names, fmt.Sprintf("%s.%d", []string{"off", "few", "small", "all"}[i%4], i))
	}
	for range 20_000 {
		now += time.Duration(random.IntN(50)) * time.Millisecond
		data := strings.Repeat("x", random.IntN(100))
		if random.IntN(100) == 0 {
			data = strings.Repeat("y", random.IntN(100_000))
		}
		i := random.IntN(len(names))
		one.publish(limits.Maker(i%2), now, names[i], data)
	}
	one.publish(limits.ByPublisher, now, "large", strings.Repeat("z", 3*savedStep))
	one.publish(limits.ByPublisher, now, "large", "end")
	names = append(names, "large")
	now = now.Truncate(historyTick) + historyTick // else times are rounded once more
	file := one.save(t, now)

	// The other process begins 20 s later, and its clock is another one.
	const pause, began = 20 * time.Second, 3 * time.Second
	two := newLife(10_000, table, wallStart.Add(now+pause-began))
	loaded := two.mustLoad(t, began, file)
	if loaded.Streams != len(names) || loaded.LeftOut != 0 || loaded.Events != two.keptEvents() {
		t.Errorf("loaded %+v of %d streams", loaded, len(names))
	}
	kept := 0
	for _, name := range names {
		want, got := one.tell(name, now+pause), two.tell(name, began)
		if want != got {
			t.Fatalf("%s is\n%.300s, was\n%.300s", name, got, want)
		}
		kept += strings.Count(got, "@")
	}
	if kept < 1000 || one.tell("off.0", now) == "none" {
		t.Errorf("%d events are kept, the first channel is %s", kept, one.tell("off.0", now))
	}
	if again := newLife(10_000, table, two.began); again.mustLoad(t, began, two.save(t, began)).Streams != len(names) {
		t.Error("a snapshot of what was loaded has other streams")
	}
	two.Clear()
	two.isEmpty(t)
}

// A channel goes on where it was. One that is not in the file never gets an epoch that it
// had before.
func TestPositionsGoOnAfterALoad(t *testing.T) {
	one := newLife(100, keepsAll, wallStart)
	before := one.publish(limits.ByPublisher, 0, "news", "1")
	file := one.save(t, 0)
	late := one.publish(limits.ByPublisher, 0, "late", "1") // after the file was written

	two := newLife(100, keepsAll, wallStart)
	two.mustLoad(t, 0, file)
	if p := two.publish(limits.ByPublisher, 0, "news", "2"); p.Epoch != before.Epoch || p.Offset != 2 {
		t.Errorf("the next event is at %s:%d, want %s:2", p.Epoch, p.Offset, before.Epoch)
	}
	if p := two.publish(limits.ByPublisher, 0, "late", "2"); p.Epoch == late.Epoch || p.Offset != 1 {
		t.Errorf("a channel that is not in the file is at %s:%d, was at %s:1", p.Epoch, p.Offset, late.Epoch)
	}
	stripe := two.stripe([]byte("news"))
	two.forget(stripe, stripe.byName["news"])
	if p := two.publish(limits.ByPublisher, 0, "news", "3"); p.Epoch == before.Epoch {
		t.Error("a channel that was forgotten has its old epoch")
	}
}

// A channel that never had an event keeps its position if its clients leave because the gateway
// stops.
func TestEmptyStreamsAreSaved(t *testing.T) {
	one := newLife(100, keepsAll, wallStart)
	early, c := &Interest{Name: "early", Port: NewPort(0)}, &Interest{Name: "quiet", Port: NewPort(0)}
	for _, interest := range []*Interest{early, c} {
		if _, err := one.Join(interest); err != nil {
			t.Fatal(err)
		}
	}
	one.Leave(early)
	one.KeepEmpty()
	want := one.tell("quiet", 0)
	one.Leave(c)
	two := newLife(100, keepsAll, wallStart)
	if loaded := two.mustLoad(t, 0, one.save(t, 0)); loaded.Streams != 1 || two.tell("quiet", 0) != want || !strings.HasSuffix(want, ":0 by 1") {
		t.Errorf("loaded %+v: %s, want %s", loaded, two.tell("quiet", 0), want)
	}
}

// Ages count over the time in which there is no process.
func TestAgesCountOverARestart(t *testing.T) {
	one := newLife(100, keepsAll, wallStart)
	for i := range 3 {
		one.publish(limits.ByPublisher, time.Duration(i)*10*time.Minute, "news", "1")
	}
	file := one.save(t, 25*time.Minute)
	for _, test := range []struct {
		wall time.Duration // of the other process's start
		want string        // what it has of the events
	}{
		{25 * time.Minute, " 1=1(1)@-15000 2=1(1)@-9000 3=1(1)@-3000"},
		{60*time.Minute + time.Second, " 2=1(1)@-30010 3=1(1)@-24010"},
		{81 * time.Minute, ""},
		{10_000 * time.Hour, ""},
		{15 * time.Minute, " 1=1(1)@-9000 2=1(1)@-3000 3=1(1)@-0"}, // the clock was set back
		{-10_000 * time.Hour, " 1=1(1)@-0 2=1(1)@-0 3=1(1)@-0"},
	} {
		two := newLife(100, keepsAll, wallStart.Add(test.wall))
		two.mustLoad(t, 0, file)
		if got := two.tell("news", 0); !strings.HasSuffix(got, ":3 by 0"+test.want) {
			t.Errorf("at %v: %s, want %s", test.wall, got, test.want)
		}
	}
}

// Limits may be lower than they were.
func TestLoadKeepsToTheLimits(t *testing.T) {
	one := newLife(1000, keepsAll, wallStart)
	for i := range 100 {
		for range 10 {
			one.publish(limits.Maker(i%2), 0, fmt.Sprint("c", i), strings.Repeat("x", 1000))
		}
	}
	file := one.save(t, 0)
	few := newLife(16, keepsAll, wallStart)
	if loaded := few.mustLoad(t, 0, file); loaded.Streams != 16 || loaded.LeftOut != 84 || loaded.Events != 160 {
		t.Errorf("of 16 streams: %+v", loaded)
	}
	clients := newLife(1000, keepsAll, wallStart)
	clients.SetLimit(40)
	clients.mustLoad(t, 0, file)
	if n := clients.room.made[limits.ByClient].Load(); n > clientsLimit(40) {
		t.Errorf("%d streams of clients", n)
	}
	little := newLife(1000, keepsAll, wallStart)
	little.SetHistory(keepsAll, 200_000)
	if loaded := little.mustLoad(t, 0, file); loaded.Streams != 100 || loaded.Events < 50 || little.history.memory.Used() > 200_000 {
		t.Errorf("in 200,000 bytes: %+v, %d used", loaded, little.history.memory.Used())
	}
	none := newLife(1000, keepsAll, wallStart)
	none.SetHistory(keepsAll, 0)
	if loaded := none.mustLoad(t, 0, file); loaded.Streams != 100 || loaded.Events != 0 {
		t.Errorf("without history: %+v", loaded)
	}
	off := newLife(1000, rules.NewTable(nil, rules.Values{}), wallStart)
	if loaded := off.mustLoad(t, 0, file); loaded.Streams != 100 || loaded.Events != 0 {
		t.Errorf("with history off: %+v", loaded)
	}
	fewer := newLife(1000, rules.NewTable(nil, rules.Values{History: rules.History{Events: 3, Age: time.Hour}}), wallStart)
	if loaded := fewer.mustLoad(t, 0, file); loaded.Streams != 100 || loaded.Events != 300 {
		t.Errorf("with fewer events: %+v", loaded)
	}
}

// What cannot be leaves nothing behind.
func TestLoadOfWhatCannotBe(t *testing.T) {
	good := history.SavedStream{Name: []byte("news"), Epoch: [8]byte([]byte("AZaz09-_")), Maker: 1, Offset: 3}
	change := func(f func(st *history.SavedStream)) history.SavedStream {
		st := good
		st.Name = slices.Clone(st.Name)
		f(&st)
		return st
	}
	for name, test := range map[string]struct {
		second history.SavedStream
		want   error
	}{
		"twice":    {good, errTwice},
		"epoch":    {change(func(st *history.SavedStream) { st.Epoch[3] = '"'; st.Name[0] = 'x' }), errEpoch},
		"no epoch": {change(func(st *history.SavedStream) { st.Epoch = [8]byte{}; st.Name[0] = 'x' }), errEpoch},
		"maker":    {change(func(st *history.SavedStream) { st.Maker = 2; st.Name[0] = 'x' }), errMaker},
		"name":     {change(func(st *history.SavedStream) { st.Name[0] = ' ' }), nil},
	} {
		var b bytes.Buffer
		w := history.NewSnapshotWriter(&b, 0)
		w.Stream(good)
		w.Event(history.SavedEvent{Offset: 2, Data: []byte("1")})
		w.Event(history.SavedEvent{Offset: 3, Data: []byte("2")})
		w.Stream(test.second)
		w.Event(history.SavedEvent{Offset: 3, Data: []byte("3")})
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l := newLife(100, keepsAll, time.UnixMilli(0))
		if _, err := l.load(t, 0, b.Bytes()); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error %v", name, err)
		}
		l.isEmpty(t)
		// And if it ends in the middle of an event.
		cut := newLife(100, keepsAll, time.UnixMilli(0))
		if _, err := cut.load(t, 0, b.Bytes()[:b.Len()-40]); err == nil {
			t.Error("half a file is loaded")
		}
		cut.isEmpty(t)
	}
}

// Events with a hole between them, or without the last one, are no history.
func TestLoadOfALogWithHoles(t *testing.T) {
	for _, test := range []struct {
		offsets []uint64
		want    string
	}{
		{[]uint64{1, 2, 4, 5}, ":5 by 0 4=x(1)@-0 5=x(1)@-0"},
		{[]uint64{1, 2, 3, 4}, ":5 by 0"},
		{nil, ":5 by 0"},
	} {
		var b bytes.Buffer
		w := history.NewSnapshotWriter(&b, 0)
		w.Stream(history.SavedStream{Name: []byte("news"), Epoch: [8]byte([]byte("AZaz09-_")), Offset: 5})
		for _, offset := range test.offsets {
			w.Event(history.SavedEvent{Offset: offset, Data: []byte("x")})
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l := newLife(100, keepsAll, time.UnixMilli(0))
		l.mustLoad(t, 0, b.Bytes())
		if got := l.tell("news", 0); got != "AZaz09-_"+test.want {
			t.Errorf("of %d: %s, want %s", test.offsets, got, test.want)
		}
	}
}

// purging purges a channel when it is written to.
type purging struct {
	bytes.Buffer
	streams *Streams
}

func (p *purging) Write(b []byte) (int, error) {
	if p.Len() > savedStep {
		p.streams.Purge([]byte("news"), 0)
	}
	return p.Buffer.Write(b)
}

// An operator may purge a channel while it is written.
func TestPurgeWhileSaving(t *testing.T) {
	one := newLife(100, keepsAll, wallStart)
	for range 100 {
		one.publish(limits.ByPublisher, 0, "news", strings.Repeat("x", savedStep/10))
	}
	file := purging{streams: one.Streams}
	w := history.NewSnapshotWriter(&file, wallStart.UnixMilli())
	if err := one.Save(w, one.at(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	two := newLife(100, keepsAll, wallStart)
	two.mustLoad(t, 0, file.Bytes())
	if got := two.tell("news", 0); !strings.HasSuffix(got, ":100 by 0") || file.Len() < savedStep {
		t.Errorf("%.100s of %d bytes", got, file.Len())
	}
}

// FuzzLoad loads snapshots of streams and events that may not go together. Of the bytes, 4 make a
// stream or an event each.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("\x00a\x05\x00\x01\x03\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x00b\x01\x01\x01\x01\x10\x10\x00a\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var file bytes.Buffer
		w := history.NewSnapshotWriter(&file, wallStart.UnixMilli())
		offset, at := uint64(0), wallStart.UnixMilli()-10_000
		for ; len(b) >= 4; b = b[4:] {
			if b[0]%2 == 0 {
				offset = 0
				w.Stream(history.SavedStream{Name: b[1:2], Epoch: [8]byte{'a', 'b', 'c', 'd', 'e', 'f', 'g', '1' + b[3]/8}, Maker: b[3] % 3, Offset: uint64(b[2])})
				continue
			}
			offset += uint64(b[1] % 4)
			at += int64(b[2])*1000 - 100_000
			w.Event(history.SavedEvent{Offset: offset, At: at, Data: make([]byte, 100*int(b[3]))})
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := history.NewSnapshotReader(&file)
		if err != nil {
			t.Fatal(err)
		}
		l := newLife(5, keepsAll, wallStart)
		l.SetHistory(keepsAll, 20_000)
		loaded, err := l.Load(r, l.at(0))
		if err != nil {
			l.isEmpty(t)
			return
		}
		if loaded.Streams > 5 || l.history.memory.Used() > 20_000 {
			t.Fatalf("loaded %+v, %d bytes", loaded, l.history.memory.Used())
		}
		for i := range l.stripes {
			for name, st := range l.stripes[i].byName {
				if st.log.Len() > 0 && (st.log.Last() != st.Offset || st.log.First() == 0) {
					t.Fatalf("the events %d to %d of %d are kept", st.log.First(), st.log.Last(), st.Offset)
				}
				l.tell(name, 0)
				l.publish(limits.ByPublisher, 0, name, "next")
			}
		}
		l.Clear()
		l.isEmpty(t)
	})
}

// BenchmarkSnapshot saves and loads channels with 10 events of 100 bytes each, as far as 1 GiB has
// room for them. It tells the processor's time besides.
func BenchmarkSnapshot(b *testing.B) {
	for _, channels := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) { benchmarkSnapshot(b, channels) })
	}
}

func benchmarkSnapshot(b *testing.B, channels int) {
	one := newLife(1_000_000, keepsAll, wallStart)
	r, by, data := NewRequest(one.Streams, &one.wakes, new(uint64)), unlimited(), bytes.Repeat([]byte("x"), 100)
	for i := range channels {
		name := fmt.Append(nil, "channel.", i)
		for range 10 {
			r.Begin(nil, by, 0)
			r.Submit(name, nil, data)
		}
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var saved history.Saved
	b.Run("save", func(b *testing.B) {
		before := processorTime()
		for b.Loop() {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				b.Fatal(err)
			}
			w := history.NewSnapshotWriter(file, wallStart.UnixMilli())
			if err := one.Save(w, one.at(0)); err != nil {
				b.Fatal(err)
			}
			if saved, err = w.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(saved.Bytes))
		b.ReportMetric(float64(saved.Events), "events")
		b.ReportMetric((processorTime()-before).Seconds()/float64(b.N), "cpu-s/op")
	})
	b.Run("load", func(b *testing.B) {
		before := processorTime()
		for b.Loop() {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				b.Fatal(err)
			}
			r, err := history.NewSnapshotReader(file)
			if err != nil {
				b.Fatal(err)
			}
			two := newLife(1_000_000, keepsAll, wallStart)
			if loaded, err := two.Load(r, two.at(0)); err != nil || uint64(loaded.Events) != saved.Events || loaded.Streams != channels {
				b.Fatal(loaded, err)
			}
		}
		b.SetBytes(int64(saved.Bytes))
		b.ReportMetric((processorTime()-before).Seconds()/float64(b.N), "cpu-s/op")
	})
}

// processorTime is what the process has had.
func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
