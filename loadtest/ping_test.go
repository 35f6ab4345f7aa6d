package loadtest

import (
	"encoding/binary"
	"slices"
	"testing"
)

// A pong answers its ping and those before it (RFC 6455, 5.5.3); what answers
// none means nothing.
func TestPongs(t *testing.T) {
	pong := func(due int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(due)) }
	cases := map[string]struct {
		pongs      [][]byte
		answered   int64
		unanswered []int64
	}{
		"each":        {[][]byte{pong(100), pong(200), pong(300)}, 3, nil},
		"the latest":  {[][]byte{pong(300)}, 3, nil},
		"the second":  {[][]byte{pong(200)}, 2, []int64{300}},
		"twice":       {[][]byte{pong(100), pong(100)}, 1, []int64{200, 300}},
		"of no ping":  {[][]byte{pong(150), pong(400), {}, []byte("beat")}, 0, []int64{100, 200, 300}},
		"out of turn": {[][]byte{pong(200), pong(100), pong(300)}, 3, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := &newBench(t, 1, 1).cohort.clients[0]
			for _, due := range []int64{100, 200, 300} {
				client.ping(due)
			}
			for _, payload := range c.pongs {
				client.takePong(payload, 1000)
			}
			if got := client.cohort.times.Pong.counts.TotalCount(); got != c.answered || !slices.Equal(client.pinger.dues, c.unanswered) {
				t.Errorf("%d answered, %v not; want %d and %v", got, client.pinger.dues, c.answered, c.unanswered)
			}
			client.forgetPings(true)
			if got, want := client.cohort.tally.Unanswered, int64(len(c.unanswered)); got != want {
				t.Errorf("%d unanswered, want %d", got, want)
			}
		})
	}
}

// A client remembers a bounded number of pings.
func TestPingsAreBounded(t *testing.T) {
	client := &newBench(t, 1, 1).cohort.clients[0]
	for due := range int64(maxUnanswered + 10) {
		client.ping(due)
	}
	if got := client.cohort.tally.Unanswered; got != 10 || len(client.pinger.dues) != maxUnanswered || client.pinger.dues[0] != 10 {
		t.Errorf("%d given up, %d wait", got, len(client.pinger.dues))
	}
}
