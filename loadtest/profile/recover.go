package profile

import "fleetcast/codec/jsonscan"

// missed is how the answer to a subscription holds the events that the client has missed: as the
// elements of a list.
type missed struct {
	list         int // slot of the list
	paths        paths
	data, offset int // slots in each element
}

// parseRecovery reads what the answer to a subscription says to a client that comes back with the
// position that it has.
func (m *matcher) parseRecovery(s section, r *rule) {
	r.epoch = m.path(s, r, "epoch", false)
	r.recovered = m.path(s, r, "recovered", false)
	r.latest = m.path(s, r, "latest", false)
	if e := s.at("lost"); e.present() {
		lost := e.section("from", "to")
		r.from = m.path(lost, r, "from", true)
		r.to = m.path(lost, r, "to", true)
	}
	if e := s.at("missed"); e.present() {
		section := e.section("list", "data", "offset")
		r.missed = &missed{list: m.path(section, r, "list", true)}
		in := matcher{paths: newPaths()}
		r.missed.data = in.path(section, r, "data", true)
		r.missed.offset = in.path(section, r, "offset", false)
		r.missed.paths = in.paths
	}
}

// parseRecover reads the text with which a client comes back.
func (p *Profile) parseRecover(subscribe section, answer rule) {
	e := subscribe.at("recover")
	if !e.present() {
		return
	}
	p.recover = e.template(holeChannel, holeChannelJSON, holeEpoch, holeEpochJSON, holeOffset)
	p.needChannel(e, p.recover)
	if !p.recover.has(holeOffset) {
		e.fail("it does not say the position: put in %s", holeOffset)
	}
	p.needsEpoch = p.recover.has(holeEpoch) || p.recover.has(holeEpochJSON)
	of := subscribe.at("answer").section()
	if of.failed() {
		return
	}
	if answer.offset == none {
		of.at("offset").fail("missing key: recover needs it")
	}
	if answer.recovered == none {
		of.at("recovered").fail("missing key: recover needs it")
	}
	if p.needsEpoch && answer.epoch == none {
		of.at("epoch").fail("missing key: recover names the epoch")
	}
}

// Recovers reports whether clients can come back with the position that they have.
func (p *Profile) Recovers() bool { return len(p.recover) > 0 }

// NeedsEpoch reports whether a position has an epoch, beside the offset.
func (p *Profile) NeedsEpoch() bool { return p.needsEpoch }

// TellsLatest reports whether the answer to a client that comes back says which event is the
// channel's latest, or holds the missed events.
func (p *Profile) TellsLatest() bool { return p.tellsLatest }

// TellsGaps reports whether the server has messages that tell of gaps.
func (p *Profile) TellsGaps() bool { return p.tellsGaps }

// AppendRecover appends the text message that subscribes to channel and asks for the events behind
// a position.
func (p *Profile) AppendRecover(dst []byte, channel, epoch string, offset uint64) []byte {
	return p.recover.append(dst, &values{channel: channel, epoch: epoch, offset: offset})
}

// answer reads the answer to a subscription; false means that a value has the wrong form.
func (c *Codec) answer(r *rule, m *Message) (ok bool) {
	at := func(slot int) []byte {
		if slot == none {
			return nil
		}
		return c.values[slot]
	}
	ok = true
	if raw := at(r.epoch); raw != nil {
		epoch, err := c.unquoter.Text(raw)
		m.Epoch, ok = epoch, err == nil
		if !m.HasOffset && at(r.offset) == nil && r.offset != none {
			m.HasOffset = true // 0, which some servers leave out
		}
	}
	m.Recovered = string(at(r.recovered)) == "true"
	if raw := at(r.latest); raw != nil {
		m.Latest, m.HasLatest = jsonscan.Uint(raw)
		ok = ok && m.HasLatest
	}
	if at(r.from) != nil || at(r.to) != nil {
		m.HasLost = true
		ok = ok && at(r.from) != nil && at(r.to) != nil && c.span(r, m)
	}
	if r.missed != nil {
		m.Missed = at(r.missed.list)
	}
	return ok
}

// EachMissed calls take for each event of m.Missed, in the order in which they stand there, and
// reports whether the list has the form that the profile says. The message is valid until take
// returns. take may not use the Codec.
func (c *Codec) EachMissed(list []byte, take func(*Message)) (ok bool) {
	if list == nil || string(list) == "null" {
		return true
	}
	if list[0] != '[' {
		return false
	}
	a := jsonscan.NewArray(list)
	var raw []byte
	for a.Next(&raw) {
		clear(c.elements)
		if !c.missed.paths.scan(raw, c.elements) || c.elements[c.missed.data] == nil {
			return false
		}
		m := Message{Kind: Event, Data: c.elements[c.missed.data]}
		if slot := c.missed.offset; slot != none && c.elements[slot] != nil {
			if m.Offset, m.HasOffset = jsonscan.Uint(c.elements[slot]); !m.HasOffset {
				return false
			}
		}
		take(&m)
	}
	return a.Err() == nil
}
