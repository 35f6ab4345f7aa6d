package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"sync/atomic"

	"fleetcast/loadtest/profile"
	"fleetcast/poller"
)

// door is the way by which a publisher's events enter the server. It belongs to
// the goroutine of the publishing loop.
type door interface {
	// open begins to open it. p.doorOpened or p.doorClosed is called with the outcome.
	open(p *publisher) error
	// publish adds event seq to the batch, or a probe, with a key unless that is empty;
	// batched says how many bytes the batch has, flush sends it.
	publish(seq int64, channel, key string, data []byte)
	batched() int
	flush()
	// unsent is how many bytes were flushed and wait to be sent.
	unsent() int
	// pending calls each for every event that the server may not have taken, from the
	// latest back, until each returns false.
	pending(each func(seq int64) bool)
	// ended tells whether its connection has.
	ended() bool
	// copies is how many events came back because the server sends them to
	// everyone. Any goroutine may ask.
	copies() int
	// close ends it. The publisher is told if it is open.
	close()
}

// noEvent stands for the sequence number of a probe.
const noEvent = -1

var (
	errDoorClosed = errors.New("the server closed the connection")
	errHTTPPort   = errors.New("the server answers in HTTP there, so it is not the publish port")
)

// inHTTP tells whether the first that a server says is an answer of HTTP.
func inHTTP(p []byte) bool { return bytes.HasPrefix(p, []byte("HTTP/1.")) }

// newDoor makes the door that the profile says. port is the address of the
// publish port, for those that have one (see publishAt).
func (l *publishing) newDoor(port string) (door, error) {
	via := l.profile.PublishVia()
	if via == profile.Socket {
		return &socketDoor{streamDoor: streamDoor{publishing: l, addr: l.plan.Target.Addr}, codec: l.profile.NewCodec()}, nil
	}
	if via == profile.HTTP {
		return newHTTPDoor(l, port), nil
	}
	addr, err := resolve(port)
	if err != nil {
		return nil, fmt.Errorf("publish port: %w", err)
	}
	if via == profile.TCP {
		return &tcpDoor{streamDoor: streamDoor{publishing: l, addr: addr}, codec: l.profile.NewCodec()}, nil
	}
	return &portDoor{streamDoor: streamDoor{publishing: l, addr: addr}}, nil
}

// newDoors makes as many of them.
func (l *publishing) newDoors(port string, count int) (all doors, err error) {
	for range count {
		one, err := l.newDoor(port)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// streamDoor is what doors with a socket of the loop have in common.
type streamDoor struct {
	poller.Conn
	publishing *publishing
	publisher  *publisher
	addr       netip.AddrPort
	batch      []byte
	waiting    poller.Unsent
	returned   atomic.Int64
	sent       []sentEvent // all, in the order in which they went out
	closed     bool        // the connection has ended
}

// sentEvent is an event that was given to a connection.
type sentEvent struct {
	seq  int32 // noEvent: a probe
	size int32 // bytes
}

// note notes that event seq has been added to the batch, which had so many bytes
// before.
func (d *streamDoor) note(seq int64, before int) {
	d.sent = append(d.sent, sentEvent{int32(seq), int32(len(d.batch) - before)})
}

// pending implements door for servers that do not answer each event. Events that wait
// in this process or in the kernel were not taken. If the connection has ended, it is
// unknown what became of its events.
func (d *streamDoor) pending(each func(seq int64) bool) {
	unsent := len(d.batch) + d.waiting.Len()
	if !d.closed {
		if traffic, err := d.Traffic(); err == nil {
			unsent += int(traffic.Unsent)
		}
	}
	for i := len(d.sent) - 1; i >= 0 && (d.closed || unsent > 0); i-- {
		e := d.sent[i]
		unsent -= int(e.size)
		if e.seq != noEvent && !each(int64(e.seq)) {
			return
		}
	}
}

func (d *streamDoor) dial(p *publisher, handler poller.DialHandler) error {
	d.publisher = p
	return d.publishing.loop.Dial(&d.Conn, d.addr, netip.AddrPort{}, handler)
}

func (d *streamDoor) ended() bool { return d.closed }

func (d *streamDoor) batched() int { return len(d.batch) }

func (d *streamDoor) flush() {
	if len(d.batch) > 0 {
		d.send(d.batch)
		d.batch = d.batch[:0]
	}
}

func (d *streamDoor) unsent() int { return d.waiting.Len() }

func (d *streamDoor) copies() int { return int(d.returned.Load()) }

func (d *streamDoor) send(p []byte) {
	if err := d.waiting.Send(&d.Conn, p); err != nil {
		d.Close(err)
	}
}

func (d *streamDoor) close() {
	if d.Open() {
		d.Close(errDone)
	}
}

// PeerClosed implements poller.Handler.
func (d *streamDoor) PeerClosed() { d.Close(errDoorClosed) }

func (d *streamDoor) Writable() {
	if err := d.waiting.Flush(&d.Conn); err != nil {
		d.Close(err)
	}
}

func (d *streamDoor) Swept() {}

func (d *streamDoor) Closed(err error) {
	d.closed = true
	d.waiting.Release()
	d.publisher.doorClosed(fmt.Errorf("%s: %w", d.addr, err))
}

// portDoor publishes on a port that takes NDJSON or RESP.
type portDoor struct {
	streamDoor
	replies     replies
	answered    int  // of those sent, in RESP
	unconfirmed bool // what was sent must be confirmed, and is not yet
	confirmed   bool
	heard       bool // something has come
	linesBefore int  // of NDJSON, before the first event
}

func (d *portDoor) open(p *publisher) error { return d.dial(p, d) }

// Connected implements poller.DialHandler. Without a key there is nothing to say first:
// the first request decides the protocol.
func (d *portDoor) Connected() {
	key, via := d.publishing.key, d.publishing.profile.PublishVia()
	if key == "" {
		d.publisher.doorOpened()
		return
	}
	d.replies.shown = func(answer string) {
		if err := keyRefused(via, answer); err != nil {
			d.Close(err)
			return
		}
		d.linesBefore = 1
		d.publisher.doorOpened()
	}
	d.send(appendKey(nil, via, key))
}

func (d *portDoor) publish(seq int64, channel, key string, data []byte) {
	before := len(d.batch)
	d.batch = d.publishing.profile.AppendPublish(d.batch, channel, key, data)
	d.note(seq, before)
}

// Received implements poller.Handler.
func (d *portDoor) Received(p []byte) {
	if !d.heard && inHTTP(p) {
		d.Close(errHTTPPort)
		return
	}
	d.heard = true
	d.replies.take(p, d.taken, d.refused)
}

// taken is called when a request was carried out.
func (d *portDoor) taken() { d.answered++ }

// refused is called when a request was not carried out: in RESP the one whose answer is
// due, in NDJSON the one of the line that the answer names.
func (d *portDoor) refused(text string) {
	index := d.answered
	if d.publishing.profile.PublishVia() == profile.NDJSON {
		if isConfirmation(text) {
			d.confirmed = true
			return
		}
		index = answeredLine(text) - 1 - d.linesBefore
	} else {
		d.answered++
	}
	seq := int64(noEvent)
	if index >= 0 && index < len(d.sent) {
		seq = int64(d.sent[index].seq)
	}
	d.publisher.refused(seq, text)
}

// pending implements door. In RESP every event is answered.
func (d *portDoor) pending(each func(seq int64) bool) {
	if d.publishing.profile.PublishVia() == profile.NDJSON && !d.unconfirmed {
		d.streamDoor.pending(each)
		return
	}
	for i := len(d.sent) - 1; i >= d.answered; i-- {
		if seq := d.sent[i].seq; seq != noEvent && !each(int64(seq)) {
			return
		}
	}
}

// confirm asks the port to answer, which it does when it has read all before. It
// tells whether an answer can be expected.
func (d *portDoor) confirm(channel string) bool {
	if d.publishing.profile.PublishVia() != profile.NDJSON || d.closed {
		return false
	}
	before := len(d.batch)
	d.batch = appendConfirmed(d.batch, channel, []byte("null"))
	d.note(noEvent, before)
	d.unconfirmed, d.confirmed = true, false
	d.flush()
	return true
}

// isConfirmed tells whether it has.
func (d *portDoor) isConfirmed() bool {
	d.unconfirmed = !d.confirmed
	return d.confirmed || d.closed
}

// lineOfError matches the beginning of NDJSON's answer to a line without an id.
var lineOfError = regexp.MustCompile(`^\{"line":([0-9]{1,9}),`)

// answeredLine is the line that an answer of NDJSON refers to; 0 if it names none.
func answeredLine(text string) int {
	found := lineOfError.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	line, _ := strconv.Atoi(found[1]) // it has nine digits at most
	return line
}

// replies takes the lines that a publish port answers.
type replies struct {
	line  []byte // one that has arrived in part
	good  int64  // integers of RESP
	lines int64
	// shown is called with the first line, if that is the answer to a key. It does not
	// count.
	shown func(text string)
}

// maxReply bounds what is kept of an answer, in bytes.
const maxReply = 4 << 10

// take takes what the port has answered. In NDJSON without ids each answer is a
// failure, or the answer to the only one with an id; in RESP those that are not an
// integer are.
func (r *replies) take(p []byte, taken func(), refused func(text string)) {
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if len(r.line) > 0 || !whole {
			r.line = append(r.line, line[:min(len(line), maxReply-len(r.line))]...)
			line = r.line
		}
		if shown := r.shown; whole && shown != nil {
			r.shown = nil
			shown(string(bytes.TrimSuffix(line, []byte("\r"))))
			r.line = r.line[:0]
		} else if whole {
			r.lines++
			if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 && line[0] == ':' {
				r.good++
				taken()
			} else {
				refused(string(line))
			}
			r.line = r.line[:0]
		}
		p = rest
	}
}
