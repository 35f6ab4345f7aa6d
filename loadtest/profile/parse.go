package profile

import (
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Parse reads a profile. source names the file in errors, which say its line and key
// too. The error lists all mistakes, a line each.
func Parse(source string, text []byte) (*Profile, error) {
	d := &document{source: source}
	s := d.open(text, "name", "description", "path", "subprotocol", "accept", "channels", "lines",
		"hello", "subscribe", "event", "gap", "ping", "error", "notices", "publish")
	p := &Profile{}
	p.parseServer(s)
	p.parseMessages(s)
	p.parsePublish(s.needed("publish"))
	if err := d.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// Texts that go into a request's head or a table.
var (
	validName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	validToken = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110, 5.6.2
	validPath  = regexp.MustCompile(`^/[!-~]*$`)
	validField = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
	validLine  = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
)

// matching returns e's text, of which the pattern must hold.
func (e entry) matching(pattern *regexp.Regexp, what string) string {
	text := e.text()
	if e.present() && !pattern.MatchString(text) {
		e.fail("%q is not %s", text, what)
	}
	return text
}

const whatPath = "a path: a slash first, then ASCII without spaces"

// parseServer reads what concerns the connection.
func (p *Profile) parseServer(s section) {
	p.name = s.needed("name").matching(validName, "a name: ASCII letters, digits, dots, underscores and hyphens")
	p.description = s.at("description").matching(validLine, "one line")
	p.path = "/"
	if e := s.at("path"); e.present() {
		p.path = e.matching(validPath, whatPath)
	}
	p.subprotocol = s.at("subprotocol").matching(validToken, "a token")
	p.acceptAny = s.at("accept").choice("strict", "any") == "any"
	p.oneChannel = s.at("channels").choice("many", "one") == "one"
	p.lines = s.at("lines").flag()
}

// parseMessages reads what is sent and the rules, in the order in which they are tried.
func (p *Profile) parseMessages(s section) {
	p.messages.paths = newPaths()
	event := p.messages.parse(s.needed("event"), Event)
	p.parseSubscribe(s, event)
	p.messages.parse(s.at("gap"), Gap)
	p.tellsGaps = s.at("gap").present()
	p.messages.parse(s.at("ping"), Ping)
	if e := s.at("hello"); e.present() {
		hello := e.section("send", "answer")
		p.hello = hello.needed("send").template()
		p.helloWaits = hello.at("answer").present()
		p.messages.parse(hello.at("answer"), Greeted)
	}
	p.messages.parse(s.at("error"), Refused)
	for _, e := range s.at("notices").list() {
		p.messages.parse(e, Notice)
	}
	p.messages.check()
}

// parseSubscribe reads the section subscribe; events are recognised by the rule event.
func (p *Profile) parseSubscribe(s section, event rule) {
	e := s.at("subscribe")
	if !e.present() {
		if !p.oneChannel && !s.excused("subscribe") {
			e.fail("missing key; without it, say channels: one")
		}
		return
	}
	subscribe := e.section("send", "recover", "answer", "refusal")
	send := subscribe.needed("send")
	p.subscribe = send.template(holeChannel, holeChannelJSON)
	p.needChannel(send, p.subscribe)
	answered := rule{offset: none, epoch: none, recovered: none}
	if answer := subscribe.at("answer"); answer.present() {
		answered = p.messages.parse(answer, Subscribed)
		p.confirms = true
		p.offsets = event.offset != none && answered.offset != none
		p.missed = answered.missed
		p.tellsLatest = answered.latest != none || answered.missed != nil
	}
	p.parseRecover(subscribe, answered)
	p.messages.parse(subscribe.at("refusal"), Refused)
}

// template reads a text with placeholders.
func (e entry) template(allowed ...hole) template {
	t, err := newTemplate(e.text(), allowed...)
	if err != nil {
		e.fail("%v", err)
	}
	return t
}

// needChannel checks that t, the text of e, names the channel if there are many.
func (p *Profile) needChannel(e entry, t template) {
	if e.present() && !p.oneChannel && !t.channel() {
		e.fail("it does not name the channel: put in %s or %s, or say channels: one", holeChannelJSON, holeChannel)
	}
}

// parsePublish reads the section publish.
func (p *Profile) parsePublish(e entry) {
	s := e.section("via", "port", "hello", "send", "method", "path", "headers", "body", "status", "refusal")
	via := s.needed("via").choice("ndjson", "resp", "http", "socket", "tcp")
	if !s.at("via").present() || s.at("via").failed() {
		return // nothing else can be judged
	}
	belongs := map[string]string{"hello": "tcp", "method": "http", "path": "http", "headers": "http", "body": "http", "status": "http", "refusal": "http"}
	if e := s.at("send"); e.present() && via != "socket" && via != "tcp" {
		e.fail("it belongs to via: socket and tcp, not to %s", via)
	}
	for _, name := range []string{"hello", "method", "path", "headers", "body", "status", "refusal"} {
		if s.at(name).present() && belongs[name] != via {
			s.at(name).fail("it belongs to via: %s, not to %s", belongs[name], via)
		}
	}
	if port := s.at("port"); port.present() && via != "ndjson" && via != "resp" && via != "tcp" {
		port.fail("it belongs to via: ndjson, resp and tcp, not to %s", via)
	}
	p.publish.port = s.at("port").number(0, 1, math.MaxUint16)
	switch via {
	case "ndjson":
		p.publish.via = NDJSON
	case "resp":
		p.publish.via = RESP
	case "http":
		p.publish.via = HTTP
		p.parseRequest(s)
		p.publish.text = p.eventText(s.needed("body"))
	case "socket":
		p.publish.via = Socket
		p.publish.text = p.eventText(s.needed("send"))
	case "tcp":
		p.publish.via = TCP
		p.publish.hello = s.at("hello").template()
		p.publish.text = p.eventText(s.needed("send"))
		p.needStream(s.at("via"))
	}
}

// eventText reads the text that carries an event.
func (p *Profile) eventText(e entry) template {
	t := e.template(holeChannel, holeChannelJSON, holeLength, holeData)
	if e.present() && !t.has(holeData) {
		e.fail("it does not carry the event: put in %s", holeData)
	}
	p.needChannel(e, t)
	return t
}

// needStream checks that messages can be told apart where there are no frames.
func (p *Profile) needStream(e entry) {
	if p.lines {
		return
	}
	for i := range p.messages.rules {
		if r := &p.messages.rules[i]; r.form != formPattern && r.line > 0 {
			e.fail("on a TCP connection every rule is a pattern, or lines is true; that in line %d is not", r.line)
			return
		}
	}
}

// parseRequest reads what belongs to HTTP but the body.
func (p *Profile) parseRequest(s section) {
	r := &p.publish.request
	r.Method = s.at("method").choice(http.MethodPost, http.MethodPut, http.MethodPatch)
	r.Path = s.needed("path").matching(validPath, whatPath)
	r.Status = s.at("status").number(http.StatusOK, 200, 599)
	r.Headers = s.at("headers").headers()
	p.publish.responses.paths = newPaths()
	p.publish.responses.parse(s.at("refusal"), Refused)
}

// framing are the header fields that whoever sends a request writes itself.
var framing = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Expect"}

// headers reads a mapping of header fields.
func (e entry) headers() []Header {
	s := e.section()
	mapping, ok := e.node.(*ast.MappingNode)
	if !ok {
		return nil
	}
	var headers []Header
	for _, m := range mapping.Values { // in the order of the file
		name := m.Key.GetToken().Value
		h := s.at(name)
		switch {
		case !validToken.MatchString(name):
			h.fail("it is not the name of a header field")
		case slices.ContainsFunc(framing, func(f string) bool { return strings.EqualFold(f, name) }):
			h.fail("this header field follows from the request itself")
		}
		headers = append(headers, Header{name, h.matching(validField, "the value of a header field")})
	}
	return headers
}
