package ingest

import (
	"bytes"
	"fmt"
	"time"

	"fleetcast/codec/command"
	"fleetcast/codec/publish"
	"fleetcast/gateway/limits"
)

// redisVersion is the version of Redis whose answers ours are modelled on;
// client libraries look at it.
const redisVersion = "7.4.0"

// respState is what a RESP connection has set for itself.
type respState struct {
	version  publish.RESPVersion
	name     string // by CLIENT SETNAME or HELLO
	library  string // by CLIENT SETINFO
	id       uint64 // the number of the connection, whatever it speaks
	need     int    // input below this many bytes is not worth another look
	replying respReplying
	tracking respTracking
	tx       respTransaction
}

// respReplying is what CLIENT REPLY has set: which commands are answered.
type respReplying struct {
	off      bool // none is
	skip     bool // this one is not
	skipNext bool // the next one is not
}

func (r *respReplying) silent() bool { return r.off || r.skip }

// stepRESP handles the next RESP command.
func (p *publisher) stepRESP(b []byte) (n int, outcome verdict) {
	in := p.ingest
	c := &in.resp
	n, err := c.Parse(b, p.respLimits())
	if n == 0 && err == nil && len(b) > strangerInput && !p.admitted() {
		err = publish.ErrInlineTooBig // an array has smaller limits
	}
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
		in.replies = publish.AppendHTTPRefusal(in.replies, b[:n])
		return n, stepClose
	}
	start := len(in.replies)
	outcome = p.respCommand(c.Args, b[:n])
	in.work += requestWork + lookWork*max(len(c.Args)-3, 0) + limits.ByteWork*max(len(in.replies)-start, 0)
	replying := &p.resp.replying
	if replying.silent() {
		in.replies = in.replies[:start]
	}
	if outcome == stepWait || outcome == stepCut {
		return 0, outcome
	}
	replying.skip, replying.skipNext = replying.skipNext, false
	return n, outcome
}

// httpWarnInterval keeps whoever reaches the port from filling the log.
const httpWarnInterval = time.Minute

func (in *Loop) warnOfHTTP(p *publisher) {
	if now := in.Loop.Now(); in.warned == 0 || now-in.warned >= httpWarnInterval {
		in.warned = now
		in.port.Logger.Warn("an HTTP request came to the publish port and was cut off; it may be a web page that tries to publish",
			"from", p.conn.RemoteAddr(), "next_warning_in", httpWarnInterval)
	}
}

// respSpec is a command, or a subcommand of one.
type respSpec struct {
	least, most int  // words that it takes, its name included
	immediate   bool // within MULTI it is executed and not queued
	run         func(p *publisher, args [][]byte) verdict
	subs        map[string]respSpec // of a command that has some; its own run may be nil
}

// anyWords is more than any command has.
const anyWords = 1 << 20

// respCommands are the commands that are known. It is filled by init, because EXEC
// executes commands itself.
var respCommands map[string]respSpec

// respPublishing is PUBLISH, which is found without a look-up where it is in capitals.
var respPublishing = respSpec{least: 3, most: 3, run: (*publisher).respPublish}

func init() {
	respCommands = map[string]respSpec{
		"publish":   respPublishing,
		"spublish":  {least: 3, most: 3, run: (*publisher).respPublish},
		"multi":     {least: 1, most: 1, immediate: true, run: (*publisher).respMulti},
		"exec":      {least: 1, most: 1, immediate: true, run: (*publisher).respExec},
		"discard":   {least: 1, most: 1, immediate: true, run: (*publisher).respDiscard},
		"watch":     {least: 2, most: anyWords, immediate: true, run: (*publisher).respWatch},
		"unwatch":   {least: 1, most: 1, run: (*publisher).respAccept},
		"quit":      {least: 1, most: anyWords, immediate: true, run: (*publisher).respQuit},
		"reset":     {least: 1, most: 1, immediate: true, run: (*publisher).respReset},
		"ping":      {least: 1, most: 2, run: (*publisher).respPing},
		"echo":      {least: 2, most: 2, run: (*publisher).respEcho},
		"hello":     {least: 1, most: anyWords, run: (*publisher).respHello},
		"auth":      {least: 2, most: anyWords, run: (*publisher).respAuth},
		"select":    {least: 2, most: 2, run: (*publisher).respSelect},
		"client":    {least: 2, most: anyWords, subs: respClientCommands},
		"command":   {least: 1, most: anyWords, run: (*publisher).respNoCommands, subs: respCommandCommands},
		"info":      {least: 1, most: anyWords, run: (*publisher).respInfo},
		"config":    {least: 2, most: anyWords, subs: respConfigCommands},
		"pubsub":    {least: 2, most: anyWords, subs: respPubSubCommands},
		"acl":       {least: 2, most: anyWords, subs: respACLCommands},
		"cluster":   {least: 2, most: anyWords, run: (*publisher).respNoCluster},
		"readonly":  {least: 1, most: 1, run: (*publisher).respNoCluster},
		"readwrite": {least: 1, most: 1, run: (*publisher).respNoCluster},
		"asking":    {least: 1, most: 1, run: (*publisher).respNoCluster},
		"role":      {least: 1, most: 1, run: (*publisher).respRole},
		"time":      {least: 1, most: 1, run: (*publisher).respTime},
	}
}

// respCommand executes one command, or queues it. raw is the command as it came. Errors are in
// Redis's own words: client libraries match on them.
func (p *publisher) respCommand(args [][]byte, raw []byte) verdict {
	if !p.admitted() && !respForStrangers(args[0]) {
		return p.respStranger(errNoAuth)
	}
	spec, mistake := respFind(args)
	switch {
	case mistake != "" && isWord(args[0], "client"):
		p.resp.tx.fail()
		return p.respUnavailable(mistake)
	case mistake != "":
		p.resp.tx.fail()
		return p.respError(mistake)
	case p.resp.tx.open() && !spec.immediate:
		return p.respQueue(args, raw)
	}
	return spec.run(p, args)
}

// respFind looks for the command that args are. mistake is what to answer if there is none.
func respFind(args [][]byte) (spec respSpec, mistake string) {
	if len(args) == 3 && string(args[0]) == "PUBLISH" {
		return respPublishing, ""
	}
	var scratch [16]byte
	spec, known := respCommands[string(appendLower(scratch[:0], args[0]))]
	switch {
	case !known:
		return spec, respUnknown(args)
	case len(args) < spec.least || len(args) > spec.most:
		return spec, fmt.Sprintf("ERR wrong number of arguments for '%s' command", bytes.ToLower(args[0]))
	case spec.subs == nil || len(args) == 1:
		return spec, ""
	}
	spec, known = spec.subs[string(appendLower(scratch[:0], args[1]))]
	switch {
	case !known:
		return spec, fmt.Sprintf("ERR unknown subcommand '%.128s'. Try %s HELP.", args[1], bytes.ToUpper(args[0]))
	case len(args) < spec.least || len(args) > spec.most:
		return spec, fmt.Sprintf("ERR wrong number of arguments for '%s|%s' command", bytes.ToLower(args[0]), bytes.ToLower(args[1]))
	}
	return spec, ""
}

// respPublish answers PUBLISH, and SPUBLISH, which libraries send in its place: there are no shards
// here.
func (p *publisher) respPublish(args [][]byte) verdict {
	data, cost, err := p.respEvent(args)
	if err != nil {
		return p.respRefuse(err)
	}
	if p.resp.tx.running() {
		p.resp.tx.cost -= cost // EXEC has taken the credits for all
	} else {
		refusal, ok := p.admit(1, cost)
		if refusal != nil {
			return p.respRefuse(refusal)
		} else if !ok {
			return stepWait
		}
	}
	p.publish(reply{silent: p.resp.replying.silent()}, nil, args[1:2], nil, data)
	return stepDone
}

// respEvent returns the data of a PUBLISH and what its event costs, or a *command.Error. data is valid
// until the next call.
func (p *publisher) respEvent(args [][]byte) (data []byte, cost int64, err error) {
	in, channel := p.ingest, args[1]
	if err = command.CheckChannelWithin(channel, in.port.Settings.Config().MaxChannelName); err != nil {
		return nil, 0, err
	}
	if refusal := p.mayPublish(channel); refusal != nil {
		return nil, 0, refusal
	}
	data, err = publish.DataFromPayload(&in.payload, args[2], in.port.Settings.Config().MaxEvent)
	return data, limits.EventCost(channel, nil, data), err
}

// respUnknown words the error exactly as Redis does, with the same limits. But a client
// that wants to subscribe is told where to do so.
func respUnknown(args [][]byte) string {
	const limit = 128
	for _, name := range [...]string{"subscribe", "psubscribe", "ssubscribe", "monitor"} {
		if isWord(args[0], name) {
			return fmt.Sprintf("ERR unknown command '%s': this port takes events; to receive them, connect to the client port by WebSocket, "+
				"for example with fleetcast subscribe", args[0])
		}
	}
	message := fmt.Appendf(nil, "ERR unknown command '%.*s', with args beginning with: ", limit, args[0])
	for shown, i := 0, 1; i < len(args) && shown < limit; i++ {
		before := len(message)
		message = fmt.Appendf(message, "'%.*s' ", limit-shown, args[i])
		shown += len(message) - before
	}
	return string(message)
}

// respRefuse answers with an error of the gateway's own, which is a
// *command.Error.
func (p *publisher) respRefuse(err error) verdict {
	refusal := command.RefusalOf(err)
	p.refused(refusal.Code, refusal.Message)
	return p.respond(publish.AppendRESPError(p.ingest.replies, respPrefix(refusal)+respReason(refusal)))
}

// respond sets the loop's replies, with that of a command that is done.
func (p *publisher) respond(replies []byte) verdict {
	p.ingest.replies = replies
	return stepDone
}

// respPrefix is the first word of a refusal, by which libraries know its kind.
func respPrefix(refusal *command.Error) string {
	switch refusal.Code {
	case command.PermissionDenied:
		return "NOPERM "
	case command.AuthenticationRequired:
		return "NOAUTH "
	}
	return "ERR "
}

// respReason words a refusal for RESP, which has no field for when to try again.
func respReason(refusal *command.Error) string {
	if refusal.Code == command.RateLimited {
		return fmt.Sprintf("rate limited, try again in %d ms: %s", refusal.RetryAfterMS(), refusal.Message)
	}
	return refusal.Message
}

func (p *publisher) respError(message string) verdict {
	p.refused(command.BadRequest, message)
	return p.respond(publish.AppendRESPError(p.ingest.replies, message))
}

// respUnavailable answers commands by which libraries find out what a server can do. A
// command that is not available is not the publisher's mistake, so it is not counted.
func (p *publisher) respUnavailable(message string) verdict {
	p.ingest.work += refusedWork
	return p.respond(publish.AppendRESPError(p.ingest.replies, message))
}

// appendLower appends the first bytes of a command's name in lower case, at most one
// more than dst has room for. No command is that long.
func appendLower(dst, name []byte) []byte {
	for _, c := range name[:min(len(name), 16)] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
