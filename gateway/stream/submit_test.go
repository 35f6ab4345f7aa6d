package stream

import (
	"errors"
	"testing"

	"fleetcast/gateway/limits"
)

// laterEngine keeps the tickets of what is submitted.
type laterEngine struct{ tickets []Ticket }

func (e *laterEngine) Submit(s *Submission) { e.tickets = append(e.tickets, s.Defer()) }

// directSubmitter hears of completions at once, and counts its requests that are settled.
type directSubmitter struct{ settled []*Request }

func (s *directSubmitter) Post(f func())      { f() }
func (s *directSubmitter) Settled(r *Request) { s.settled = append(s.settled, r) }

// submitted is a request that was submitted to each channel, with credits.
func submitted(t *testing.T, r *Request, by Submitter, from *limits.Account, channels ...string) *Request {
	t.Helper()
	r.Begin(by, from, 0)
	for _, channel := range channels {
		if !from.Take(limits.EventCost([]byte(channel), nil, []byte("1"))) {
			t.Fatal("no credit")
		}
		r.Submit([]byte(channel), nil, []byte("1"))
	}
	return r
}

// TestSubmitAllocatesNothing: for the embedded streams a request is settled before Submit returns, and is used again.
func TestSubmitAllocatesNothing(t *testing.T) {
	s, from, wakes, published := NewStreams(10, v1), unlimited(), NewWakeSet(1), uint64(0)
	heard := &Interest{Name: "heard", Port: NewPort(0)}
	if _, err := s.Join(heard); err != nil {
		t.Fatal(err)
	}
	r, by, data := NewRequest(s, &wakes, &published), new(directSubmitter), []byte("1")
	channels := [][]byte{[]byte("heard"), []byte("unheard"), []byte("heard")}
	submit := func() {
		r.Begin(by, from, 0)
		for _, channel := range channels {
			from.Take(limits.EventCost(channel, nil, data))
			r.Submit(channel, nil, data)
		}
		if !r.Settled() || r.Refusal() != nil || len(r.Results) != 3 || r.Results[2].At.Offset != r.Results[0].At.Offset+1 {
			t.Fatalf("the request is %+v", r)
		}
		for range 2 {
			mail, _ := heard.Port.Mailbox.Take()
			mail.Event.Served()
		}
	}
	// A mailbox makes a segment for 256 events; pools are filled anew after a collection.
	if n := testing.AllocsPerRun(1_000, submit); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
	if n := from.Credits.InUse(); n != 0 || published != 3*1_001 || len(by.settled) != 0 {
		t.Errorf("%d credits in use, %d events published, %d requests settled later", n, published, len(by.settled))
	}
}

// TestEngineCompletesLater walks a request through its states.
func TestEngineCompletesLater(t *testing.T) {
	engine, by, from, wakes, published := new(laterEngine), new(directSubmitter), unlimited(), NewWakeSet(1), uint64(0)
	name := []byte("one")
	first := submitted(t, NewRequest(engine, &wakes, &published), by, from, "one", "two", "three")
	first.Results[0].Channel = name
	next := first.Keep()
	copy(name, "xxx") // as input is overwritten
	if first.Settled() || next == first {
		t.Fatal("a request that is pending is settled, or used again")
	}
	engine.tickets[1].Complete(Position{}, errors.New("far away"))
	engine.tickets[2].Complete(Position{Offset: 5}, nil)
	if in := from.Credits.InUse(); in != limits.EventCost([]byte("one"), nil, []byte("1")) || len(by.settled) != 0 {
		t.Errorf("%d credits in use, %d requests settled", in, len(by.settled))
	}
	engine.tickets[0].Complete(Position{Offset: 4}, nil)
	if len(by.settled) != 1 || by.settled[0] != first || !first.Settled() || published != 2 || from.Credits.InUse() != 0 || from.Sent.Events != 2 {
		t.Errorf("settled are %v, published %d, credits in use %d", by.settled, published, from.Credits.InUse())
	}
	if want := `publishing failed for 1 of 3 channels, first "two": far away`; first.Refusal().Message != want {
		t.Errorf("refused with %q, want %q", first.Refusal().Message, want)
	}
	if string(first.Results[0].Channel) != "one" || first.Results[0].At.Offset != 4 {
		t.Errorf("the result is %+v", first.Results[0])
	}

	// One that is abandoned tells nobody, and gives its credits back.
	gone := submitted(t, next, by, from, "four", "five")
	gone.Keep()
	engine.tickets[3].Complete(Position{Offset: 1}, nil)
	gone.Abandon()
	if !gone.Settled() || gone.Refusal().Message != `publishing failed for 1 of 2 channels, first "five": `+errUnconfirmed.Error() {
		t.Errorf("abandoned, it answers %v", gone.Refusal())
	}
	engine.tickets[4].Complete(Position{Offset: 1}, nil)
	if len(by.settled) != 1 || published != 4 || from.Credits.InUse() != 0 {
		t.Errorf("settled are %v, published %d, credits in use %d", by.settled, published, from.Credits.InUse())
	}

	defer func() {
		if recover() != errCompletedTwice {
			t.Error("a second completion goes unnoticed")
		}
	}()
	engine.tickets[4].Complete(Position{}, nil)
}
