package ingest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
)

// This file has the commands of RESP that are about the connection itself. Client
// libraries send them when they connect.

const (
	errNoPassword = "ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?"
	errNoAuth      = "NOAUTH Authentication required."
	errNoAuthHello = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> " +
		"option can be used to authenticate the client and select the RESP protocol version at the same time"
	errWrongPassword = "WRONGPASS invalid username-password pair or user is disabled."
	errSyntax        = "ERR syntax error"
	errClientName    = "ERR Client names cannot contain spaces, newlines or special characters."
)

func (p *publisher) respPing(args [][]byte) verdict {
	if len(args) == 2 {
		return p.respEcho(args)
	}
	return p.respond(publish.AppendRESPSimple(p.ingest.replies, "PONG"))
}

func (p *publisher) respEcho(args [][]byte) verdict {
	return p.respond(publish.AppendRESPBulk(p.ingest.replies, args[1]))
}

// respAccept answers commands that have nothing to do here.
func (p *publisher) respAccept([][]byte) verdict {
	return p.respond(publish.AppendRESPSimple(p.ingest.replies, "OK"))
}

func (p *publisher) respQuit(args [][]byte) verdict {
	p.respAccept(args)
	return stepClose
}

func (p *publisher) respReset([][]byte) verdict {
	p.endTransaction()
	p.resp = respState{version: publish.RESP2, id: p.resp.id}
	p.access.forget(p.ingest.Loop.Now())
	return p.respond(publish.AppendRESPSimple(p.ingest.replies, "RESET"))
}

// respAuth answers AUTH [user] password. The password is a key, and the user default or the
// key's name. Where no key is needed, it answers as a Redis without passwords does: its
// user is called default, and any password is right.
func (p *publisher) respAuth(args [][]byte) verdict {
	open := p.ingest.port.Settings.Load().PublishKeys == nil
	switch {
	case len(args) == 2 && open:
		return p.respError(errNoPassword)
	case len(args) > 3:
		return p.respError(errSyntax)
	case len(args) == 2:
		return p.respKey([]byte("default"), args[1])
	}
	return p.respKey(args[1], args[2])
}

// respKey takes a key that AUTH or HELLO has shown, and answers.
func (p *publisher) respKey(user, text []byte) verdict {
	if outcome, ok := p.respTakeKey(user, text); !ok {
		return outcome
	}
	return p.respAccept(nil)
}

// respTakeKey takes a key, or answers why not.
func (p *publisher) respTakeKey(user, text []byte) (outcome verdict, ok bool) {
	if p.ingest.port.Settings.Load().PublishKeys == nil {
		if string(user) != "default" {
			return p.respError(errWrongPassword), false
		}
		return stepDone, true
	}
	refusal, cut := p.takeKey(string(user), text)
	if refusal == nil {
		return stepDone, true
	}
	words := errWrongPassword
	if refusal.Code == command.RateLimited {
		words = "ERR " + respReason(refusal)
	}
	p.refused(command.InvalidKey, refusal.Message)
	p.ingest.replies = publish.AppendRESPError(p.ingest.replies, words)
	if cut {
		return stepClose, false
	}
	return stepDone, false
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
	var user, text []byte
	for i := 2; i < len(args); {
		switch option := args[i]; {
		case bytes.EqualFold(option, []byte("auth")) && i+2 < len(args):
			user, text = args[i+1], args[i+2]
			i += 3
		case bytes.EqualFold(option, []byte("setname")) && i+1 < len(args):
			if name = string(args[i+1]); !validClientName(name) {
				return p.respError(errClientName)
			}
			i += 2
		default:
			return p.respError(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", option))
		}
	}
	if user != nil {
		if outcome, ok := p.respTakeKey(user, text); !ok {
			return outcome
		}
	}
	if !p.admitted() {
		return p.respStranger(errNoAuthHello)
	}
	p.resp.version, p.resp.name = version, name
	return p.respGreet()
}

// respGreet answers HELLO.
func (p *publisher) respGreet() verdict {
	version, out := p.resp.version, p.ingest.replies
	out = publish.AppendRESPMap(out, version, 7)
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "server"), "redis")
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "version"), redisVersion)
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "proto"), int64(version))
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "id"), int64(p.resp.id))
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "mode"), "standalone")
	out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, "role"), "master")
	return p.respond(publish.AppendRESPArray(publish.AppendRESPBulk(out, "modules"), 0))
}

// respDatabases is how many databases may be selected, as many as Redis has by default.
// Channels are the same in all of them, there as here.
const respDatabases = 16

func (p *publisher) respSelect(args [][]byte) verdict {
	n, err := strconv.Atoi(string(args[1]))
	switch {
	case err != nil:
		return p.respError("ERR value is not an integer or out of range")
	case n < 0 || n >= respDatabases:
		return p.respError("ERR DB index is out of range")
	}
	return p.respAccept(args)
}

// respClientCommands are the subcommands of CLIENT.
var respClientCommands = map[string]respSpec{
	"setname":      {least: 3, most: 3, run: (*publisher).respSetName},
	"getname":      {least: 2, most: 2, run: (*publisher).respGetName},
	"setinfo":      {least: 4, most: 4, run: (*publisher).respSetInfo},
	"id":           {least: 2, most: 2, run: (*publisher).respClientID},
	"info":         {least: 2, most: 2, run: (*publisher).respClientInfo},
	"reply":        {least: 3, most: 3, run: (*publisher).respReply},
	"tracking":     {least: 3, most: anyWords, run: (*publisher).respTrack},
	"trackinginfo": {least: 2, most: 2, run: (*publisher).respTrackingInfo},
	"getredir":     {least: 2, most: 2, run: (*publisher).respRedirection},
	"caching":      {least: 3, most: 3, run: (*publisher).respCaching},
	"no-evict":     {least: 3, most: 3, run: (*publisher).respOnOff},
	"no-touch":     {least: 3, most: 3, run: (*publisher).respOnOff},
}

func (p *publisher) respSetName(args [][]byte) verdict {
	if !validClientName(string(args[2])) {
		return p.respError(errClientName)
	}
	p.resp.name = string(args[2])
	return p.respAccept(args)
}

func (p *publisher) respGetName([][]byte) verdict {
	in := p.ingest
	if p.resp.name == "" {
		in.replies = publish.AppendRESPNull(in.replies, p.resp.version)
	} else {
		in.replies = publish.AppendRESPBulk(in.replies, p.resp.name)
	}
	return stepDone
}

// respSetInfo takes what a library says of itself.
func (p *publisher) respSetInfo(args [][]byte) verdict {
	switch string(bytes.ToLower(args[2])) {
	case "lib-name", "lib-ver":
	default:
		return p.respError(fmt.Sprintf("ERR Unrecognized option '%.128s'", args[2]))
	}
	if !validClientName(string(args[3])) {
		return p.respError(fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", bytes.ToLower(args[2])))
	}
	p.resp.setInfo(args[2], args[3])
	return p.respAccept(args)
}

func (p *publisher) respClientID([][]byte) verdict {
	return p.respond(publish.AppendRESPInt(p.ingest.replies, int64(p.resp.id)))
}

func (p *publisher) respClientInfo([][]byte) verdict {
	text := fmt.Sprintf("id=%d addr=%s name=%s db=0 user=%s resp=%d\n", p.resp.id, p.remote, p.resp.name, p.respUser(), p.resp.version)
	return p.respond(publish.AppendRESPVerbatim(p.ingest.replies, p.resp.version, text))
}

// respReply answers CLIENT REPLY, by which a publisher that reads no replies turns them
// off.
func (p *publisher) respReply(args [][]byte) verdict {
	replying := &p.resp.replying
	switch string(bytes.ToLower(args[2])) {
	case "on":
		*replying = respReplying{}
		return p.respAccept(args)
	case "off":
		replying.off = true
	case "skip":
		replying.skipNext = !replying.off
	default:
		return p.respError(errSyntax)
	}
	return stepDone
}

func (p *publisher) respOnOff(args [][]byte) verdict {
	if !isWord(args[2], "on") && !isWord(args[2], "off") {
		return p.respError(errSyntax)
	}
	return p.respAccept(args)
}

func isWord(arg []byte, word string) bool { return bytes.EqualFold(arg, []byte(word)) }

// libraryName is how much of a library's name and version is kept, in bytes.
const libraryName = 64

// setInfo keeps what the client's library calls itself, for the API.
func (r *respState) setInfo(attribute, value []byte) {
	text := string(value[:min(len(value), libraryName)])
	switch {
	case isWord(attribute, "lib-name"):
		r.library = text
	case isWord(attribute, "lib-ver") && !strings.Contains(r.library, " "):
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
