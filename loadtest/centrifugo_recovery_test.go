package loadtest_test

import (
	"encoding/json"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// centrifugoSubscribe is a subscription as Centrifugo takes it.
type centrifugoSubscribe struct {
	Channel string
	Recover bool
	Epoch   string
	Offset  int
}

// centrifugoAnswer is its answer, which leaves zeroes out.
type centrifugoAnswer struct {
	Recoverable  bool                    `json:"recoverable,omitempty"`
	Epoch        string                  `json:"epoch,omitempty"`
	Offset       int                     `json:"offset,omitempty"`
	Recovered    bool                    `json:"recovered,omitempty"`
	Publications []centrifugoPublication `json:"publications,omitempty"`
	latest       int
}

type centrifugoPublication struct {
	Data   json.RawMessage `json:"data"`
	Offset int             `json:"offset"`
}

// answerTo answers a subscription, under the server's lock.
func (f *fakeCentrifugo) answerTo(s *centrifugoSubscribe) []byte {
	a := centrifugoAnswer{}
	if f.history {
		kept := f.kept[s.Channel]
		a = centrifugoAnswer{Recoverable: true, Epoch: "xyz", Offset: len(kept), latest: len(kept)}
		if s.Recover && s.Epoch == a.Epoch && s.Offset <= len(kept) {
			a.Recovered, a.Offset = true, s.Offset
			for i, data := range kept[s.Offset:] {
				a.Publications = append(a.Publications, centrifugoPublication{data, s.Offset + i + 1})
			}
		}
		if s.Recover && f.misleads != nil {
			f.misleads(&a)
		}
	}
	encoded, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return encoded
}

// Centrifugo answers with the missed events, in the answer.
func TestCentrifugoRecovers(t *testing.T) {
	t.Parallel()
	const fleet, missed = 4, 20
	cases := map[string]struct {
		misleads func(*centrifugoAnswer)
		want     counts
		recovers recovered
		note     string
	}{
		"all":                                  {recovers: recovered{whole: fleet, events: fleet * missed}},
		"an offset that is the latest event's": {func(a *centrifugoAnswer) { a.Offset = a.latest }, counts{}, recovered{whole: fleet, events: fleet * missed}, ""},
		"not": {func(a *centrifugoAnswer) { *a = centrifugoAnswer{Recoverable: true, Epoch: a.Epoch, Offset: a.latest} },
			counts{}, recovered{resets: fleet, resetEvents: fleet * missed}, ""},
		"loses an event": {func(a *centrifugoAnswer) { a.Publications = append(a.Publications[:3], a.Publications[4:]...) },
			counts{lost: fleet}, recovered{events: fleet * (missed - 1), wrong: fleet}, "got all but 1 of them"},
		"says recovered and is not": {func(a *centrifugoAnswer) { a.Publications = nil },
			counts{lost: fleet * missed}, recovered{wrong: fleet}, "got all but 20 of them"},
		"doubles one": {func(a *centrifugoAnswer) { a.Publications = append(a.Publications, a.Publications[missed-1]) },
			counts{duplicated: fleet}, recovered{whole: fleet, events: fleet * missed}, "duplicated: fleet client"},
		"out of order": {func(a *centrifugoAnswer) { p := a.Publications; p[1], p[2] = p[2], p[1] },
			counts{reordered: fleet}, recovered{whole: fleet, events: fleet * missed}, "reordered: fleet client"},
		"another offset": {func(a *centrifugoAnswer) { a.Publications[5].Offset++ },
			counts{corrupted: fleet}, recovered{whole: fleet, events: fleet * missed}, "got it with offset"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, common := startCentrifugo(t, accepted)
			fake.mu.Lock()
			fake.history, fake.misleads = true, c.misleads
			fake.mu.Unlock()
			common.NoYield, common.Stall = true, hung
			if c.note != "" {
				common.Stall = 3 * time.Second // somebody is waited for in vain
			}
			r := scenario(t, loadtest.RunStorm, loadtest.Storm{
				Common: common, Traffic: loadtest.Traffic{Rate: 100}, Clients: fleet, Witnesses: 1,
				Calm: 150 * time.Millisecond, Recover: true, Missed: missed,
			})
			c.want.clients, c.want.delivered = fleet+1, r.Delivered
			if got := countsOf(r); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if got := recoveredOf(t, r); got != c.recovers || r.Detail.Recovery.Recoveries != fleet {
				t.Errorf("got  %+v of %d recoveries\nwant %+v", got, r.Detail.Recovery.Recoveries, c.recovers)
			}
			if (r.Fault() != nil) != (c.note != "") {
				t.Errorf("fault %v", r.Fault())
			}
			if c.note != "" {
				noted(t, r, c.note)
			}
			if t.Failed() {
				t.Logf("notes %q, warnings %q", r.Detail.Notes, r.Detail.Warnings)
			}
		})
	}
}

// A server without a history gives no positions: that is said at once.
func TestCentrifugoCannotRecover(t *testing.T) {
	t.Parallel()
	_, common := startCentrifugo(t, accepted)
	_, err := loadtest.RunStorm(t.Context(), loadtest.Storm{Common: common, Clients: 2, Recover: true, Calm: time.Millisecond})
	expectError(t, "no history", err, "2 clients cannot recover: the answer to their subscription has no position")
}
