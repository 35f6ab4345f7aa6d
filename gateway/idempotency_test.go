package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/gateway"
	"fleetcast/gateway/stream"
)

// published answers "results" of one channel as the publish port and the API do.
func published(channel, epoch string, offset, subscribers int, duplicate bool) string {
	more := ""
	if duplicate {
		more = `,"duplicate":true`
	}
	return fmt.Sprintf(`{"channel":%q,"epoch":%q,"offset":%d,"subscribers":%d%s}`, channel, epoch, offset, subscribers, more)
}

// compact is a JSON text without the space that the API puts between values.
func compact(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		return text
	}
	return b.String()
}

// TestIdempotency repeats an event on every port: it is published once, and the repetition gets the first answer.
func TestIdempotency(t *testing.T) {
	s := start(t, oneShard, noRates, publishAll)
	reader, client, p, o := s.connect(), s.connect(), s.publisher(), s.operator()
	epoch, _ := reader.subscribe("news")
	const line = `{"id":1,"channel":"news","data":1,"idempotency":"a"}`
	p.sends(line + "\n" + line + "\n" + `{"channel":"news","data":1,"idempotency":"a"}` + "\n" + `{"id":2}` + "\n")
	p.receives(`{"id":1,"results":[` + published("news", epoch, 1, 1, false) + "]}\n" +
		`{"id":1,"results":[` + published("news", epoch, 1, 1, true) + "]}\n" +
		`{"id":2,"error":{"code":"bad_request","message":"channel is missing"}}` + "\n")
	// The API and the publish port know each other's texts, whoever connects.
	if r := o.post("/api/publish", line); r.status != 200 || compact(r.body) != `{"id":1,"results":[`+published("news", epoch, 1, 1, true)+"]}" {
		t.Errorf("the API answers %d %s", r.status, r.body)
	}
	if r := o.post("/api/publish", `{"channel":"news","data":2,"idempotency":"b"}`); r.status != 200 || compact(r.body) != `{"results":[`+published("news", epoch, 2, 1, false)+"]}" {
		t.Errorf("the API answers %d %s", r.status, r.body)
	}
	again := s.publisher()
	again.sends(`{"id":3,"channel":"news","data":2,"idempotency":"b"}` + "\n")
	again.receives(`{"id":3,"results":[` + published("news", epoch, 2, 1, true) + "]}\n")
	// What clients publish is apart.
	command := `{"type":"publish","id":1,"channel":"news","data":3,"idempotency":"a"}`
	client.says(command)
	client.wants(`{"type":"published","id":1,"channel":"news","epoch":"` + epoch + `","offset":3}`)
	other := s.connect()
	other.says(command)
	other.wants(`{"type":"published","id":1,"channel":"news","epoch":"` + epoch + `","offset":3,"duplicate":true}`)
	client.says(`{"type":"publish","channel":"news","data":4}`)
	client.wants(`{"type":"published","channel":"news","offset":4}`)

	reader.wants(event("news", 1, "1"), event("news", 2, "2"), event("news", 3, "3"), event("news", 4, "4"))
	stats := s.noCredits()
	if stats.Publish.Events != 2 || stats.Publish.Duplicates != 4 || stats.Total.ClientPublished != 2 || stats.Total.ClientDuplicates != 1 || stats.Publish.TextsKept != 3 {
		t.Errorf("the counters are %+v and %+v", stats.Publish, stats.Total)
	}
}

// TestIdempotencyOfSeveral has several channels in a request: each by itself, also one that comes twice.
func TestIdempotencyOfSeveral(t *testing.T) {
	s := start(t)
	p := s.publisher()
	p.sends(`{"id":1,"channel":"b","data":1,"idempotency":"x"}` + "\n" + `{"id":2,"channels":["a","b","a"],"data":1,"idempotency":"x"}` + "\n")
	if got, want := anyEpoch(p.line()), `{"id":1,"results":[`+published("b", "E", 1, 0, false)+"]}"; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
	if got, want := anyEpoch(p.line()), `{"id":2,"results":[`+published("a", "E", 1, 0, false)+","+published("b", "E", 1, 0, true)+","+published("a", "E", 1, 0, true)+"]}"; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
	p.sends(`{"id":3,"channels":["a","b"],"data":1,"expect":{"epoch":"x","offset":1}}` + "\n")
	p.receives(`{"id":3,"error":{"code":"bad_request","message":"expect goes with channel, not with channels"}}` + "\n")
}

// TestExpect publishes where a channel is, and where it is not, on every port.
func TestExpect(t *testing.T) {
	s := start(t, oneShard, noRates, publishAll)
	reader, client, p, o := s.connect(), s.connect(), s.publisher(), s.operator()
	epoch, _ := reader.subscribe("news")
	at := func(offset int) string { return fmt.Sprintf(`,"expect":{"epoch":%q,"offset":%d}`, epoch, offset) }
	conflict := func(offset int) string {
		return fmt.Sprintf(`"code":"conflict","message":"the channel is at offset %d of epoch %s","epoch":%q,"offset":%d`, offset, epoch, epoch, offset)
	}
	p.sends(`{"id":1,"channel":"news","data":1` + at(0) + "}\n" + `{"id":2,"channel":"news","data":1` + at(0) + "}\n" + `{"channel":"news","data":1` + at(2) + "}\n")
	p.receives(`{"id":1,"results":[` + published("news", epoch, 1, 1, false) + "]}\n" +
		`{"id":2,"error":{` + conflict(1) + "}}\n" + `{"line":3,"error":{` + conflict(1) + "}}\n")
	if r := o.post("/api/publish", `{"channel":"news","data":2`+at(1)+`}`); r.status != 200 {
		t.Errorf("the API answers %d %s", r.status, r.body)
	}
	r := o.post("/api/publish", `{"channel":"news","data":2`+at(1)+`}`)
	o.refused(r, 409, "conflict", fmt.Sprintf("offset 2 of epoch %s", epoch))
	if got, want := compact(r.body), fmt.Sprintf(`{"error":{"code":"conflict","epoch":%q,"message":"the channel is at offset 2 of epoch %s","offset":2}}`, epoch, epoch); got != want {
		t.Errorf("the API answers %s, want %s", got, want)
	}
	client.says(`{"type":"publish","id":1,"channel":"news","data":3` + at(2) + `}`)
	client.wants(`{"type":"published","id":1,"channel":"news","epoch":"` + epoch + `","offset":3}`)
	client.says(`{"type":"publish","id":2,"channel":"news","data":3` + at(2) + `}`)
	client.wants(`{"type":"error","id":2,` + strings.Replace(conflict(3), `the channel`, `publish \"news\": the channel`, 1) + `}`)
	// Both: the text is looked at first.
	both := `,"idempotency":"a"` + at(3)
	p.sends(`{"id":3,"channel":"news","data":4` + both + "}\n" + `{"id":4,"channel":"news","data":4` + both + "}\n")
	p.receives(`{"id":3,"results":[` + published("news", epoch, 4, 1, false) + "]}\n" + `{"id":4,"results":[` + published("news", epoch, 4, 1, true) + "]}\n")

	reader.wants(event("news", 1, "1"), event("news", 2, "2"), event("news", 3, "3"), event("news", 4, "4"))
	stats := s.noCredits()
	if stats.Publish.Events != 3 || stats.Publish.Duplicates != 1 || stats.Publish.Errors["conflict"] != 3 || stats.Total.CommandErrors["conflict"] != 1 {
		t.Errorf("the counters are %+v and %+v", stats.Publish, stats.Total)
	}
}

// TestExpectNothing publishes to a channel that nobody has published to: the refusal says how.
func TestExpectNothing(t *testing.T) {
	s := start(t)
	p := s.publisher()
	p.sends(`{"id":1,"channel":"news","data":1,"expect":{"epoch":"","offset":0}}` + "\n")
	refused := decode[struct {
		Error struct {
			Code, Epoch string
			Offset      *int
		}
	}](t, p.line()).Error
	if refused.Code != "conflict" || len(refused.Epoch) != 8 || refused.Offset == nil || *refused.Offset != 0 || s.stats().Publish.Streams != 0 {
		t.Fatalf("refused with %+v", refused)
	}
	request := `{"id":2,"channel":"news","data":1,"expect":{"epoch":"` + refused.Epoch + `","offset":0}}` + "\n"
	p.sends(request + request)
	p.receives(`{"id":2,"results":[` + published("news", refused.Epoch, 1, 0, false) + "]}\n")
	if got := p.line(); !strings.Contains(got, `"code":"conflict"`) {
		t.Errorf("received %s", got)
	}
}

// TestIdempotencyRaceOverPorts has publishers and the API send the same events at the same time.
func TestIdempotencyRaceOverPorts(t *testing.T) {
	const events, publishers = 200, 3
	s := start(t, oneShard, noRates)
	reader := s.connect()
	reader.subscribe("news")
	var lines strings.Builder
	for i := range events {
		fmt.Fprintf(&lines, `{"id":%d,"channel":"news","data":%d,"idempotency":"e%d"}`+"\n", i, i, i)
	}
	var mu sync.Mutex
	first := make(map[int]uint64) // the offset that each event was told to have
	var all sync.WaitGroup
	for range publishers {
		p := s.publisher()
		all.Go(func() {
			p.sends(lines.String())
			for i := range events {
				a := decode[answer](t, p.line())
				mu.Lock()
				if was, ok := first[i]; ok && was != a.Results[0].Offset {
					t.Errorf("event %d is at %d and at %d", i, was, a.Results[0].Offset)
				}
				first[i] = a.Results[0].Offset
				mu.Unlock()
			}
		})
	}
	all.Wait()
	at := make(map[uint64]int)
	for i, offset := range first {
		at[offset] = i
	}
	for offset := uint64(1); offset <= events; offset++ {
		reader.wants(event("news", offset, fmt.Sprint(at[offset])))
	}
	if stats := s.noCredits().Publish; stats.Events != events || stats.Duplicates != (publishers-1)*events {
		t.Errorf("the counters are %+v", stats)
	}
}

// TestEngineSaysDuplicate has another engine tell of a duplicate and of a conflict.
func TestEngineSaysDuplicate(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll)
	p, client := s.publisher(), s.connect()
	before := stream.Position{Epoch: stream.Epoch([]byte("EEEEEEEE")), Offset: 7, Subscribers: 2, Duplicate: true}
	moved := &command.Error{Code: command.Conflict, Message: "it has moved on", Now: &command.Since{Epoch: []byte("EEEEEEEE"), Offset: 9}}

	p.sends(`{"id":1,"channel":"a","data":1,"idempotency":"x"}` + "\n" + `{"id":2,"channel":"b","data":1,"expect":{"epoch":"E","offset":1}}` + "\n" +
		`{"id":3,"channels":["a","b"],"data":1,"idempotency":"x"}` + "\n")
	e.await(4)
	e.take("a").Complete(before, nil)
	e.take("b").Complete(stream.Position{}, moved)
	e.take("a").Complete(before, nil)
	e.take("b").Complete(stream.Position{}, errors.New("no connection to the far side"))
	p.receives(`{"id":1,"results":[` + published("a", "EEEEEEEE", 7, 2, true) + "]}\n" +
		`{"id":2,"error":{"code":"conflict","message":"it has moved on","epoch":"EEEEEEEE","offset":9}}` + "\n" +
		`{"id":3,"error":{"code":"not_available","message":"publishing failed for 1 of 2 channels, first \"b\": no connection to the far side"}}` + "\n")

	client.says(`{"type":"publish","id":1,"channel":"a","data":1,"idempotency":"x"}`)
	e.await(5)
	e.take("a").Complete(before, nil)
	client.wants(`{"type":"published","id":1,"channel":"a","epoch":"EEEEEEEE","offset":7,"duplicate":true}`)
	client.says(`{"type":"publish","id":2,"channel":"a","data":1,"expect":{"epoch":"E","offset":1}}`)
	e.await(6)
	e.take("a").Complete(stream.Position{}, moved)
	client.wants(`{"type":"error","id":2,"code":"conflict","message":"publish \"a\": it has moved on","epoch":"EEEEEEEE","offset":9}`)
	stats := s.noCredits()
	if stats.Publish.Events != 0 || stats.Publish.Duplicates != 2 || stats.Publish.Errors["conflict"] != 1 || stats.Total.ClientDuplicates != 1 || stats.Total.ClientPublished != 0 {
		t.Errorf("the counters are %+v and %+v", stats.Publish, stats.Total)
	}
}

// TestConditionsReachAnEngine: an engine gets what publishers and clients have asked for, and nothing of the request before.
func TestConditionsReachAnEngine(t *testing.T) {
	e := &askedEngine{asked: make(chan string, 8)}
	g := prepare(t, oneShard, noRates, publishAll)
	e.embedded = g.UseEngine(e)
	s := run(t, g)
	p, client, o := s.publisher(), s.connect(), s.operator()
	for _, test := range []struct{ conditions, want string }{
		{`,"idempotency":"\u00e9"`, `"é" false ""@0`},
		{`,"expect":{"epoch":"E","offset":7}`, `"" true "E"@7`},
		{"", "nothing"},
	} {
		conditions, want := test.conditions, test.want
		p.sends(`{"channel":"a","data":1` + conditions + "}\n")
		port := <-e.asked
		o.post("/api/publish", `{"channel":"a","data":1`+conditions+`}`)
		api := <-e.asked
		client.says(`{"type":"publish","channel":"a","data":1` + conditions + `}`)
		if got := <-e.asked; got != want || api != want || port != want {
			t.Errorf("%s: the engine is asked for %s, %s and %s, want %s", conditions, port, api, got, want)
		}
	}
	resp := s.publisher()
	resp.sends(array("PUBLISH", "a", "1"))
	if got := <-e.asked; got != "nothing" {
		t.Errorf("PUBLISH asks for %s", got)
	}
}

// askedEngine tells of the conditions that it gets.
type askedEngine struct {
	embedded stream.Engine
	asked    chan string
}

func (e *askedEngine) Submit(s *stream.Submission) {
	if c := s.Conditions; c == nil {
		e.asked <- "nothing"
	} else {
		e.asked <- fmt.Sprintf("%q %v %q@%d", c.Idempotency, c.HasExpect, c.Expect.Epoch, c.Expect.Offset)
	}
	e.embedded.Submit(s)
}

// TestIdempotencyWaitsForCredit has a client's publish wait for credit: it keeps its text.
func TestIdempotencyWaitsForCredit(t *testing.T) {
	e := holdEvents(t)
	s := startOn(t, e, oneShard, noRates, publishAll, func(c *gateway.Config) { c.Credits, c.PublisherCredits = 1000, 1000 })
	p, client := s.publisher(), s.connect()
	p.sends(strings.Repeat(`{"channel":"a","data":1}`+"\n", 4))
	e.await(4)
	client.says(`{"type":"publish","channel":"news","data":1,"idempotency":"x"}`)
	s.eventually("a client that waits", func(g gateway.GatewayStats) bool { return g.Total.Paused == 1 })
	e.completes("a", "a", "a", "a")
	if got, want := anyEpoch(client.text()), `{"type":"published","channel":"news","epoch":"E","offset":1}`; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
	client.says(`{"type":"publish","channel":"news","data":1,"idempotency":"x"}`)
	if got, want := anyEpoch(client.text()), `{"type":"published","channel":"news","epoch":"E","offset":1,"duplicate":true}`; got != want {
		t.Errorf("received %s, want %s", got, want)
	}
}
