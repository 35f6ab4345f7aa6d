package profile_test

import (
	"strings"
	"testing"

	"fleetcast/codec/command"
	"fleetcast/loadtest/profile"
)

func TestAppendRecover(t *testing.T) {
	for name, want := range map[string]string{
		"fleetcast":  `{"type":"subscribe","channel":"a\"b","since":{"epoch":"Zx\\3","offset":17}}`,
		"centrifugo": `{"id":2,"subscribe":{"channel":"a\"b","recover":true,"epoch":"Zx\\3","offset":17}}`,
	} {
		p := load(t, name)
		if got := p.AppendRecover([]byte("x"), `a"b`, `Zx\3`, 17); string(got) != "x"+want || !p.Recovers() || !p.NeedsEpoch() || !p.TellsLatest() {
			t.Errorf("%s: %s, recovers %v, epoch %v, latest %v", name, got, p.Recovers(), p.NeedsEpoch(), p.TellsLatest())
		}
	}
	var c command.Command
	text := load(t, "fleetcast").AppendRecover(nil, "news", "Zx3k", 17)
	if err := c.Parse(text); err != nil || !c.Start.HasSince || c.Start.Since.Offset != 17 || string(c.Start.Since.Epoch) != "Zx3k" {
		t.Errorf("%s is %+v, %v", text, c.Start, err)
	}
	for _, name := range []string{"raw", "nats"} {
		if p := load(t, name); p.Recovers() || p.NeedsEpoch() || p.TellsLatest() {
			t.Errorf("%s recovers", name)
		}
	}
	if !load(t, "fleetcast").TellsGaps() || load(t, "centrifugo").TellsGaps() {
		t.Error("who tells of gaps is not known")
	}
}

// answer is the answer to a subscription as tests compare it.
type answer struct {
	kind       profile.Kind
	epoch      string
	offset     int // -1: none
	recovered  bool
	from, to   uint64
	latest     int // -1: none
	missed     string
	badMissing bool // the list is not one
}

func readAnswer(c *profile.Codec, text string) answer {
	m, _ := c.Next([]byte(text))
	a := answer{kind: m.Kind, epoch: string(m.Epoch), offset: -1, recovered: m.Recovered, latest: -1}
	if m.HasOffset {
		a.offset = int(m.Offset)
	}
	if m.HasLatest {
		a.latest = int(m.Latest)
	}
	if m.HasLost {
		a.from, a.to = m.From, m.To
	}
	var events []string
	a.badMissing = !c.EachMissed(m.Missed, func(e *profile.Message) {
		events = append(events, string(e.Data))
		if e.Kind != profile.Event || e.HasOffset && e.Offset < 18 {
			events = append(events, "?")
		}
	})
	a.missed = strings.Join(events, " ")
	return a
}

func TestAnswers(t *testing.T) {
	const subscribed = profile.Subscribed
	nothing := answer{offset: -1, latest: -1}
	subscribe := func(r *command.Recovery) string {
		return string(command.AppendSubscribed(nil, command.NewID(1), "news", "Zx3k", 17, r, nil))
	}
	tests := []struct {
		profile, text string
		want          answer
	}{
		{"fleetcast", subscribe(nil), answer{kind: subscribed, epoch: "Zx3k", offset: 17, latest: -1}},
		{"fleetcast", subscribe(&command.Recovery{Resumes: true, Recovered: true, Latest: 40}), answer{kind: subscribed, epoch: "Zx3k", offset: 17, recovered: true, latest: 40}},
		{"fleetcast", subscribe(&command.Recovery{Resumes: true, LostFrom: 18, LostTo: 29, Latest: 40}),
			answer{kind: subscribed, epoch: "Zx3k", offset: 17, from: 18, to: 29, latest: 40}},
		{"fleetcast", subscribe(&command.Recovery{Resumes: true, Latest: 40}), answer{kind: subscribed, epoch: "Zx3k", offset: 17, latest: 40}},
		{"fleetcast", `{"type":"subscribed","channel":"n","offset":1,"epoch":7}`, nothing},
		{"fleetcast", `{"type":"subscribed","channel":"n","offset":1,"latest":-1}`, nothing},
		{"fleetcast", `{"type":"subscribed","channel":"n","offset":1,"lost":{"from":3}}`, nothing},
		{"fleetcast", `{"type":"subscribed","channel":"n","offset":1,"lost":{"from":3,"to":2}}`, nothing},

		{"centrifugo", `{"id":2,"subscribe":{}}`, answer{kind: subscribed, offset: -1, latest: -1}},
		{"centrifugo", `{"id":2,"subscribe":{"recoverable":true,"epoch":"xyz"}}`, answer{kind: subscribed, epoch: "xyz", latest: -1}}, // 0 is left out
		{"centrifugo", `{"id":2,"subscribe":{"recoverable":true,"epoch":"xyz","offset":17,"recovered":true,"was_recovering":true,` +
			`"publications":[{"data":{"a":[1]},"offset":18},{"info":{"user":""},"offset":19,"data":2}]}}`,
			answer{kind: subscribed, epoch: "xyz", offset: 17, recovered: true, latest: -1, missed: `{"a":[1]} 2`}},
		{"centrifugo", `{"id":2,"subscribe":{"epoch":"xyz","offset":20,"was_recovering":true,"publications":null}}`, answer{kind: subscribed, epoch: "xyz", offset: 20, latest: -1}},
		{"centrifugo", `{"id":2,"subscribe":{"epoch":"xyz","offset":20,"publications":{}}}`, answer{kind: subscribed, epoch: "xyz", offset: 20, latest: -1, badMissing: true}},
		{"centrifugo", `{"id":2,"subscribe":{"epoch":"xyz","offset":20,"publications":[{"data":1,"offset":18},{"offset":19}]}}`,
			answer{kind: subscribed, epoch: "xyz", offset: 20, latest: -1, missed: "1", badMissing: true}},
		{"centrifugo", `{"id":2,"subscribe":{"epoch":"xyz","offset":20,"publications":[{"data":1,"offset":"18"}]}}`,
			answer{kind: subscribed, epoch: "xyz", offset: 20, latest: -1, badMissing: true}},
		{"centrifugo", `{"id":2,"subscribe":{"epoch":"xyz","offset":20,"publications":[7]}}`, answer{kind: subscribed, epoch: "xyz", offset: 20, latest: -1, badMissing: true}},
	}
	for _, tt := range tests {
		c := load(t, tt.profile).NewCodec()
		for range 2 {
			if got := readAnswer(c, tt.text); got != tt.want {
				t.Errorf("%s: %s\n got %+v\nwant %+v", tt.profile, tt.text, got, tt.want)
			}
		}
	}
}

func TestRecoverErrors(t *testing.T) {
	const good = `name: x
subscribe:
  send: s {channel}
  recover: s {channel} {epoch} {offset}
  answer: {when: a, offset: o, epoch: e, recovered: r, latest: l, lost: {from: x, to: y}, missed: {list: m, data: d, offset: o}}
event: {when: e, data: d, offset: o}
publish: {via: resp}
`
	if _, err := profile.Parse("x.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{" {offset}", "", "4: subscribe.recover: it does not say the position: put in {offset}"},
		{"{channel} {epoch}", "{epoch}", "4: subscribe.recover: it does not name the channel: put in {channel_json} or {channel}, or say channels: one"},
		{"{epoch}", "{data}", "4: subscribe.recover: placeholder {data}: here are {channel}, {channel_json}, {epoch}, {epoch_json}, {offset}"},
		{"epoch: e, ", "", "5: subscribe.answer.epoch: missing key: recover names the epoch"},
		{"recovered: r, ", "", "5: subscribe.answer.recovered: missing key: recover needs it"},
		{"a, offset: o", "a", "5: subscribe.answer.offset: missing key: recover needs it"},
		{"{from: x, to: y}", "{from: x}", "5: subscribe.answer.lost.to: missing key"},
		{"list: m, ", "", "5: subscribe.answer.missed.list: missing key"},
		{"data: d, offset: o}}", "dta: d}}", `5: subscribe.answer.missed.dta: unknown key; did you mean "data"?`},
		{"lost: {from: x, to: y}", "lost: x", "5: subscribe.answer.lost: it is text, not a mapping"},
		{"list: m", "list: m..", `5: subscribe.answer.missed.list: bad path "m..": a name is empty`},
		{"  answer: {when: a, offset: o, epoch: e, recovered: r, latest: l, lost: {from: x, to: y}, missed: {list: m, data: d, offset: o}}\n", "",
			"2: subscribe.answer.offset: missing key: recover needs it\nx.yaml:2: subscribe.answer.recovered: missing key: recover needs it\nx.yaml:2: subscribe.answer.epoch: missing key: recover names the epoch"},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%q is not in the profile", tt.old)
		}
		_, err := profile.Parse("x.yaml", []byte(strings.Replace(good, tt.old, tt.new, 1)))
		if want := "x.yaml:" + tt.want; err == nil || err.Error() != want {
			t.Errorf("%q for %q:\n got %v\nwant %s", tt.new, tt.old, err, want)
		}
	}
}
