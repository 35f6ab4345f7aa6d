package ingest

import (
	"bytes"
	"slices"

	"fleetcast/codec/publish"
)

// respTracking is what CLIENT TRACKING has set. There are no keys here, so none ever
// changes and no notice is ever sent. Libraries with a cache of their own refuse to
// connect without this command.
type respTracking struct {
	on    bool
	modes []string // in the words of CLIENT TRACKINGINFO
}

const (
	errRedirect = "ERR The client ID you want redirect to does not exist"
	errBothOpts = "ERR You can't specify both OPTIN mode and OPTOUT mode"
	errPrefix   = "ERR PREFIX option requires BCAST mode to be enabled"
	errCaching  = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)

// respTrack answers CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix] [BCAST] [OPTIN] [OPTOUT] [NOLOOP].
func (p *publisher) respTrack(args [][]byte) verdict {
	asked := respTracking{on: isWord(args[2], "on")}
	if !asked.on && !isWord(args[2], "off") {
		return p.respError(errSyntax)
	}
	var prefix bool
	for i := 3; i < len(args); i++ {
		switch mode := string(bytes.ToLower(args[i])); {
		case mode == "redirect" && i+1 < len(args):
			return p.respError(errRedirect)
		case mode == "prefix" && i+1 < len(args):
			prefix = true
			i++
		case mode == "bcast" || mode == "optin" || mode == "optout" || mode == "noloop":
			if !asked.has(mode) {
				asked.modes = append(asked.modes, mode)
			}
		default:
			return p.respError(errSyntax)
		}
	}
	switch {
	case asked.has("optin") && asked.has("optout"):
		return p.respError(errBothOpts)
	case prefix && !asked.has("bcast"):
		return p.respError(errPrefix)
	case !asked.on:
		asked.modes = nil
	}
	p.resp.tracking = asked
	return p.respAccept(args)
}

func (t *respTracking) has(mode string) bool { return slices.Contains(t.modes, mode) }

// redirection is the connection that would be told of changed keys: -1 while nothing is tracked, 0 if
// that is this one.
func (t *respTracking) redirection() int64 {
	if t.on {
		return 0
	}
	return -1
}

func (p *publisher) respRedirection([][]byte) verdict {
	return p.respond(publish.AppendRESPInt(p.ingest.replies, p.resp.tracking.redirection()))
}

func (p *publisher) respTrackingInfo([][]byte) verdict {
	t, version := &p.resp.tracking, p.resp.version
	flags := []string{"off"}
	if t.on {
		flags = append([]string{"on"}, t.modes...)
	}
	out := publish.AppendRESPMap(p.ingest.replies, version, 3)
	out = publish.AppendRESPSet(publish.AppendRESPBulk(out, "flags"), version, len(flags))
	for _, flag := range flags {
		out = publish.AppendRESPBulk(out, flag)
	}
	out = publish.AppendRESPInt(publish.AppendRESPBulk(out, "redirect"), t.redirection())
	out = publish.AppendRESPArray(publish.AppendRESPBulk(out, "prefixes"), 0)
	return p.respond(out)
}

func (p *publisher) respCaching(args [][]byte) verdict {
	t := &p.resp.tracking
	switch {
	case !isWord(args[2], "yes") && !isWord(args[2], "no"):
		return p.respError(errSyntax)
	case !t.has("optin") && !t.has("optout"):
		return p.respError(errCaching)
	}
	return p.respAccept(args)
}
