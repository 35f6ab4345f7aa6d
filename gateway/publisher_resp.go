package gateway

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
)

// redisVersion is the version of Redis whose answers ours are modelled on;
// client libraries look at it.
const redisVersion = "7.4.0"

// respState is what a RESP connection has set for itself.
type respState struct {
	version publish.RESPVersion
	name    string // by CLIENT SETNAME or HELLO
	library string // by CLIENT SETINFO
	id      uint64
	need    int // input below this many bytes is not worth another look
}

// stepRESP handles the next RESP command.
func (p *publisher) stepRESP(b []byte) (n int, outcome verdict) {
	in := p.ingest
	c := &in.resp
	n, err := c.Parse(b, publish.RESPLimits{Bulk: in.gateway.config().MaxEvent, Command: in.gateway.config().MaxEvent + requestRoom})
	if err != nil {
		p.refused(command.BadRequest, err.Error())
		in.replies = publish.AppendRESPError(in.replies, "ERR "+err.Error())
		return 0, stepClose
	}
	if n == 0 {
		p.resp.need = c.Need
		return 0, stepShort
	}
	p.resp.need = 0
	switch {
	case len(c.Args) == 0:
		return n, stepDone
	case c.Inline && publish.IsHTTP(b[:n]):
		p.refused(command.PermissionDenied, "an HTTP request")
		in.warnOfHTTP(p)
		return n, stepClose
	}
	outcome = p.respCommand(c.Args)
	if outcome == stepWait {
		return 0, stepWait
	}
	return n, outcome
}

// httpWarnInterval keeps whoever reaches the port from filling the log.
const httpWarnInterval = time.Minute

func (in *ingest) warnOfHTTP(p *publisher) {
	if now := in.loop.Now(); in.warned == 0 || now-in.warned >= httpWarnInterval {
		in.warned = now
		in.gateway.logger.Warn("an HTTP request came to the publish port and was cut off; it may be a web page that tries to publish",
			"from", p.conn.RemoteAddr(), "next_warning_in", httpWarnInterval)
	}
}

// respCommand executes one command. Errors are in Redis's own words: client
// libraries match on them.
func (p *publisher) respCommand(args [][]byte) verdict {
	in := p.ingest
	var lower [16]byte
	name := appendLower(lower[:0], args[0])
	if arity, ok := respArity[string(name)]; ok && (len(args) < arity.least || len(args) > arity.most) {
		// A copy, so that the scratch above stays on the stack.
		return p.respError(fmt.Sprintf("ERR wrong number of arguments for '%s' command", string(name)))
	}
	switch string(name) {
	case "publish":
		return p.respPublish(args[1], args[2])
	case "ping":
		if len(args) == 2 {
			in.replies = publish.AppendRESPBulk(in.replies, args[1])
		} else {
			in.replies = publish.AppendRESPSimple(in.replies, "PONG")
		}
	case "echo":
		in.replies = publish.AppendRESPBulk(in.replies, args[1])
	case "hello":
		return p.respHello(args)
	case "auth":
		return p.respError(errNoPassword)
	case "select":
		return p.respSelect(args[1])
	case "client":
		return p.respClient(args)
	case "command":
		in.replies = publish.AppendRESPArray(in.replies, 0)
	case "info":
		in.replies = publish.AppendRESPBulk(in.replies, "# Server\r\nredis_version:"+redisVersion+
			"\r\nredis_mode:standalone\r\n# Persistence\r\nloading:0\r\n# Replication\r\nrole:master\r\n")
	case "quit":
		in.replies = publish.AppendRESPSimple(in.replies, "OK")
		return stepClose
	case "reset":
		p.resp = respState{version: publish.RESP2, id: p.resp.id}
		in.replies = publish.AppendRESPSimple(in.replies, "RESET")
	default:
		return p.respUnknown(args)
	}
	return stepDone
}

// respArity is the number of words that a command takes, its name included.
var respArity = map[string]struct{ least, most int }{
	"publish": {3, 3},
	"ping":    {1, 2},
	"echo":    {2, 2},
	"auth":    {2, 3},
	"select":  {2, 2},
	"client":  {2, 1 << 10},
	"quit":    {1, 1 << 10},
	"reset":   {1, 1},
}

const errNoPassword = "ERR AUTH <password> called without any password configured for the default user. " +
	"Are you sure your configuration is correct?"

func (p *publisher) respPublish(channel, payload []byte) verdict {
	in := p.ingest
	if err := command.CheckChannelWithin(channel, in.gateway.config().MaxChannelName); err != nil {
		return p.respRefuse(err)
	}
	data, err := publish.DataFromPayload(&in.payload, payload, in.gateway.config().MaxEvent)
	if err != nil {
		return p.respRefuse(err)
	}
	cost := eventCost(channel, nil, data)
	if refusal, ok := p.account.admit(&in.gateway.settings.Load().publisher, 1, cost, in.loop.Now()); refusal != nil {
		return p.respRefuse(refusal)
	} else if !ok {
		return stepWait
	}
	in.counters.requests++
	at, err := in.gateway.streams.publish(channel, nil, data, p.account, cost, in.loop.Now(), &in.wakes)
	if err != nil {
		return p.respRefuse(err)
	}
	in.counters.events++
	in.replies = publish.AppendRESPInt(in.replies, int64(at.subscribers))
	return stepDone
}

// respHello answers HELLO [protover [AUTH user password] [SETNAME name]].
func (p *publisher) respHello(args [][]byte) verdict {
	version, name := p.resp.version, p.resp.name
	if len(args) > 1 {
		switch string(args[1]) {
		case "2":
			version = publish.RESP2
		case "3":
			version = publish.RESP3
		default:
			if _, err := strconv.Atoi(string(args[1])); err != nil {
				return p.respError("ERR Protocol version is not an integer or out of range")
			}
			return p.respError("NOPROTO unsupported protocol version")
		}
	}
	for i := 2; i < len(args); {
		switch option := args[i]; {
		case bytes.EqualFold(option, []byte("auth")) && i+2 < len(args):
			return p.respError(errNoPassword)
		case bytes.EqualFold(option, []byte("setname")) && i+1 < len(args):
			name = string(args[i+1])
			i += 2
		default:
			return p.respError(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", option))
		}
	}
	if !validClientName(name) {
		return p.respError(errClientName)
	}
	p.resp.version, p.resp.name = version, name
	out := p.ingest.replies
	out = publish.AppendRESPMap(out, version, 7)
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "server"), "redis")
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "version"), redisVersion)
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "proto"), int64(version))
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "id"), int64(p.respID()))
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "mode"), "standalone")
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "role"), "master")
	out = publish.AppendRESPArray(publish.AppendRESPBulk(out, "modules"), 0)
	p.ingest.replies = out
	return stepDone
}

func (p *publisher) respSelect(index []byte) verdict {
	n, err := strconv.Atoi(string(index))
	switch {
	case err != nil:
		return p.respError("ERR value is not an integer or out of range")
	case n != 0:
		return p.respError("ERR DB index is out of range")
	}
	return p.respOK()
}

const errClientName = "ERR Client names cannot contain spaces, newlines or special characters."

func (p *publisher) respClient(args [][]byte) verdict {
	in := p.ingest
	var lower [16]byte
	sub := string(appendLower(lower[:0], args[1]))
	switch {
	case sub == "setname" && len(args) == 3:
		if !validClientName(string(args[2])) {
			return p.respError(errClientName)
		}
		p.resp.name = string(args[2])
		return p.respOK()
	case sub == "setinfo" && len(args) == 4:
		p.resp.setInfo(args[2], args[3])
		return p.respOK()
	case sub == "getname" && len(args) == 2:
		if p.resp.name == "" {
			in.replies = publish.AppendRESPNull(in.replies, p.resp.version)
		} else {
			in.replies = publish.AppendRESPBulk(in.replies, p.resp.name)
		}
	case sub == "id" && len(args) == 2:
		in.replies = publish.AppendRESPInt(in.replies, int64(p.respID()))
	case sub == "setname" || sub == "setinfo" || sub == "getname" || sub == "id":
		return p.respError(fmt.Sprintf("ERR wrong number of arguments for 'client|%s' command", sub))
	default:
		return p.respError(fmt.Sprintf("ERR unknown subcommand '%.128s'. Try CLIENT HELP.", args[1]))
	}
	return stepDone
}

// respUnknown words the error as Redis does, down to its limits.
func (p *publisher) respUnknown(args [][]byte) verdict {
	const limit = 128
	message := fmt.Appendf(nil, "ERR unknown command '%.*s', with args beginning with: ", limit, args[0])
	for shown, i := 0, 1; i < len(args) && shown < limit; i++ {
		before := len(message)
		message = fmt.Appendf(message, "'%.*s' ", limit-shown, args[i])
		shown += len(message) - before
	}
	return p.respError(string(message))
}

// respRefuse answers with an error of the gateway's own, which is a
// *command.Error.
func (p *publisher) respRefuse(err error) verdict {
	refusal := refusalOf(err)
	message := refusal.Message
	if refusal.Code == command.RateLimited {
		message = fmt.Sprintf("rate limited, try again in %d ms: %s", refusal.RetryAfterMS(), message)
	}
	p.refused(refusal.Code, refusal.Message)
	p.ingest.replies = publish.AppendRESPError(p.ingest.replies, "ERR "+message)
	return stepDone
}

func (p *publisher) respError(message string) verdict {
	p.refused(command.BadRequest, message)
	p.ingest.replies = publish.AppendRESPError(p.ingest.replies, message)
	return stepDone
}

func (p *publisher) respOK() verdict {
	p.ingest.replies = publish.AppendRESPSimple(p.ingest.replies, "OK")
	return stepDone
}

// respID is the connection's number.
func (p *publisher) respID() uint64 { return p.resp.id }

// libraryName is how much of a library's name and version is kept, in bytes.
const libraryName = 64

// setInfo keeps what the client's library calls itself, for the API.
func (r *respState) setInfo(attribute, value []byte) {
	text := string(value[:min(len(value), libraryName)])
	if !validClientName(text) {
		return
	}
	switch {
	case bytes.EqualFold(attribute, []byte("lib-name")):
		r.library = text
	case bytes.EqualFold(attribute, []byte("lib-ver")) && !strings.Contains(r.library, " "):
		r.library = strings.TrimSpace(r.library + " " + text)
	}
}

func validClientName(name string) bool {
	for i := range len(name) {
		if name[i] < '!' || name[i] > '~' {
			return false
		}
	}
	return true
}

// appendLower appends the first bytes of a command's name, as far as dst has
// room and one more: no command is as long.
func appendLower(dst, name []byte) []byte {
	for _, c := range name[:min(len(name), 16)] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
