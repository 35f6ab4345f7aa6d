package profile

import (
	"strconv"

	"fleetcast/codec/jsonscan"
)

// Via says how events are published.
type Via uint8

// The ways to publish.
const (
	// NDJSON: lines on a TCP connection, as fleetcast's publish port takes them. Without an id, only
	// failures are answered.
	NDJSON Via = iota
	// RESP: Redis's PUBLISH on a TCP connection. Each is answered, with an integer or an error.
	RESP
	// HTTP: a request per event. See Profile.Request.
	HTTP
	// Socket: text messages on a WebSocket of the publisher's own.
	Socket
	// TCP: texts on a TCP connection. The server answers there as it answers a client.
	TCP
)

// Request is what all HTTP requests that publish have in common.
type Request struct {
	Method  string
	Path    string   // begins with a slash; may hold a query
	Headers []Header // none that frames the message: no Host, Connection or Content-Length
	Status  int      // the one that means success, unless Codec.PublishRefused says no
}

// Header is one header field.
type Header struct{ Name, Value string }

// publish is the section publish of a profile.
type publish struct {
	via       Via
	port      int      // of NDJSON, RESP and TCP; 0: none is usual
	hello     template // of TCP: what is sent first
	text      template // of HTTP's body or of a message
	request   Request
	responses matcher // recognises refusals among HTTP's responses
}

// PublishVia returns the way to publish.
func (p *Profile) PublishVia() Via { return p.publish.via }

// PublishPort returns the TCP port at which such servers usually take events, if PublishVia
// is NDJSON, RESP or TCP; 0 if there is none.
func (p *Profile) PublishPort() int { return p.publish.port }

// WithPort returns the profile with another way to publish on a TCP port: NDJSON or RESP. It is for a
// server that has both.
func (p *Profile) WithPort(via Via) *Profile {
	other := *p
	other.publish.via = via
	return &other
}

// AppendPublishHello appends what is to be sent first on a TCP connection; often nothing.
func (p *Profile) AppendPublishHello(dst []byte) []byte {
	return p.publish.hello.append(dst, &values{})
}

// Keys tells whether events can be given keys.
func (p *Profile) Keys() bool { return p.publish.via == NDJSON }

// Request returns what HTTP requests have in common, if PublishVia is HTTP. Its headers may not be
// modified.
func (p *Profile) Request() Request { return p.publish.request }

// AppendPublish appends what publishes data, valid JSON, to channel: a line with its end, a RESP
// command, the body of an HTTP request, or a text message without a frame, as PublishVia says. key
// is the event's, by which a server may conflate; "" gives it none, which is all that ways other than
// NDJSON can say (see Keys).
func (p *Profile) AppendPublish(dst []byte, channel, key string, data []byte) []byte {
	switch p.publish.via {
	case NDJSON:
		dst = append(dst, `{"channel":`...)
		dst = jsonscan.AppendString(dst, channel)
		if key != "" {
			dst = append(dst, `,"key":`...)
			dst = jsonscan.AppendString(dst, key)
		}
		dst = append(dst, `,"data":`...)
		dst = append(dst, data...)
		return append(dst, "}\n"...)
	case RESP:
		dst = append(dst, "*3\r\n$7\r\nPUBLISH\r\n"...)
		dst = appendBulk(dst, channel)
		return appendBulk(dst, data)
	}
	return p.publish.text.append(dst, &values{channel: channel, data: data})
}

// appendBulk appends a bulk string of RESP.
func appendBulk[T jsonscan.Text](dst []byte, s T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, s...)
	return append(dst, "\r\n"...)
}
