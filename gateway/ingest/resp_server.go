package ingest

import (
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleetcast/codec/publish"
)

// This file has the commands of RESP that ask about the server. Libraries send
// them when they connect, to find out what they are connected to.

const errNoCluster = "ERR This instance has cluster support disabled"

// respNoCluster answers CLUSTER and its like as a Redis that is no cluster.
func (p *publisher) respNoCluster([][]byte) verdict { return p.respUnavailable(errNoCluster) }

func (p *publisher) respRole([][]byte) verdict {
	out := publish.AppendRESPArray(p.ingest.replies, 3)
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "master"), 0)
	return p.respond(publish.AppendRESPArray(out, 0))
}

func (p *publisher) respTime([][]byte) verdict {
	now := time.Now()
	out := publish.AppendRESPArray(p.ingest.replies, 2)
	out = publish.AppendRESPBulk(out, strconv.FormatInt(now.Unix(), 10))
	return p.respond(publish.AppendRESPBulk(out, strconv.Itoa(now.Nanosecond()/1000)))
}

// respInfo answers INFO [section ...].
func (p *publisher) respInfo(args [][]byte) verdict {
	sections := []struct{ name, text string }{
		{"Server", "redis_version:" + redisVersion + "\r\nredis_mode:standalone\r\nprocess_id:" + strconv.Itoa(os.Getpid()) + "\r\n"},
		{"Clients", "connected_clients:" + strconv.FormatInt(p.ingest.port.connections.Load(), 10) + "\r\n"},
		{"Persistence", "loading:0\r\n"},
		{"Replication", "role:master\r\nconnected_slaves:0\r\n"},
		{"Cluster", "cluster_enabled:0\r\n"},
		{"Keyspace", ""},
	}
	wanted := func(name string) bool { return len(args) == 1 }
	if len(args) > 1 {
		wanted = func(name string) bool {
			return slices.ContainsFunc(args[1:], func(arg []byte) bool {
				return isWord(arg, name) || isWord(arg, "default") || isWord(arg, "all") || isWord(arg, "everything")
			})
		}
	}
	var texts []string
	for _, s := range sections {
		if wanted(s.name) {
			texts = append(texts, "# "+s.name+"\r\n"+s.text)
		}
	}
	return p.respond(publish.AppendRESPVerbatim(p.ingest.replies, p.resp.version, strings.Join(texts, "\r\n")))
}

// respCommandCommands are the subcommands of COMMAND. Libraries ask how to use a
// command. No command is described here, so they use what they know.
var respCommandCommands = map[string]respSpec{
	"count": {least: 2, most: 2, run: (*publisher).respCommandCount},
	"docs":  {least: 2, most: anyWords, run: (*publisher).respCommandDocs},
	"info":  {least: 2, most: anyWords, run: (*publisher).respCommandInfo},
}

func (p *publisher) respNoCommands([][]byte) verdict {
	return p.respond(publish.AppendRESPArray(p.ingest.replies, 0))
}

func (p *publisher) respCommandCount([][]byte) verdict {
	return p.respond(publish.AppendRESPInt(p.ingest.replies, int64(len(respCommands))))
}

func (p *publisher) respCommandDocs([][]byte) verdict {
	return p.respond(publish.AppendRESPMap(p.ingest.replies, p.resp.version, 0))
}

func (p *publisher) respCommandInfo(args [][]byte) verdict {
	out := publish.AppendRESPArray(p.ingest.replies, len(args)-2)
	for range args[2:] {
		out = publish.AppendRESPNull(out, p.resp.version)
	}
	return p.respond(out)
}

var respConfigCommands = map[string]respSpec{
	"get": {least: 3, most: anyWords, run: (*publisher).respConfigGet},
}

// redisSettings are those of Redis's settings that libraries and tools ask for, as they hold here.
var redisSettings = map[string]string{
	"appendonly":        "no",
	"databases":         strconv.Itoa(respDatabases),
	"replica-read-only": "yes",
	"save":              "",
	"slave-read-only":   "yes",
	"timeout":           "0",
}

// respConfigGet answers CONFIG GET pattern [pattern ...].
func (p *publisher) respConfigGet(args [][]byte) verdict {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(redisSettings)) {
		for _, pattern := range args[2:] {
			if ok, _ := path.Match(strings.ToLower(string(pattern)), name); ok {
				found = append(found, name)
				break
			}
		}
	}
	out := publish.AppendRESPMap(p.ingest.replies, p.resp.version, len(found))
	for _, name := range found {
		out = publish.AppendRESPBulk(publish.AppendRESPBulk(out, name), redisSettings[name])
	}
	return p.respond(out)
}

var respACLCommands = map[string]respSpec{
	"whoami": {least: 2, most: 2, run: func(p *publisher, _ [][]byte) verdict {
		p.ingest.replies = publish.AppendRESPBulk(p.ingest.replies, p.respUser())
		return stepDone
	}},
}

// respPubSubCommands are the subcommands of PUBSUB. CHANNELS is not among them: there may be
// a million, and the API has them in pages.
var respPubSubCommands = map[string]respSpec{
	"numsub":      {least: 2, most: anyWords, run: (*publisher).respNumSub},
	"shardnumsub": {least: 2, most: anyWords, run: (*publisher).respNumSub},
	"numpat":      {least: 2, most: 2, run: (*publisher).respNumPat},
	"channels": {least: 2, most: 3, run: func(p *publisher, _ [][]byte) verdict {
		return p.respError("ERR PUBSUB CHANNELS is not known here: GET /api/channels on the admin port lists them")
	}},
}

// respNumSub counts subscribers. A key that is for some channels learns nothing of others.
func (p *publisher) respNumSub(args [][]byte) verdict {
	if refusal := p.mayPublishAll(args[2:]); refusal != nil {
		return p.respRefuse(refusal)
	}
	out := publish.AppendRESPArray(p.ingest.replies, 2*(len(args)-2))
	for _, name := range args[2:] {
		out = publish.AppendRESPInt(publish.AppendRESPBulk(out, name), int64(p.ingest.port.Streams.Subscribers(name)))
	}
	return p.respond(out)
}

func (p *publisher) respNumPat([][]byte) verdict {
	return p.respond(publish.AppendRESPInt(p.ingest.replies, 0))
}
