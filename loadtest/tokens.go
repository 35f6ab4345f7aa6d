package loadtest

import (
	"fmt"
	"slices"
	"time"

	"fleetcast/codec/jsonscan"
	"fleetcast/codec/websocket"
)

// tokens are what clients show in their handshakes. No result has them.
type tokens struct {
	// All are by the number of the client over all groups. Behind them are the second tokens
	// of the groups that renew theirs. A single one is that of all clients.
	All     []string
	Tickets bool // clients that come back show the ticket of their last welcome instead
}

// String leaves the tokens out.
func (t tokens) String() string { return fmt.Sprintf("%d tokens", len(t.All)) }

// GoString leaves the tokens out.
func (t tokens) GoString() string { return t.String() }

// makeTokens makes the tokens of a run, and numbers the clients of its groups.
func makeTokens(config *Common, groups []groupPlan) (tokens, error) {
	t := tokens{Tickets: config.ResumeTickets}
	count := 0
	for i := range groups {
		groups[i].First = count
		count += groups[i].Clients
	}
	if config.Token == nil {
		return t, nil
	}
	if config.OneToken {
		count = min(count, 1)
	}
	err := t.make(config, 0, count, 0)
	for i := range groups {
		if g := &groups[i]; g.Renews && err == nil {
			g.Second = len(t.All)
			err = t.make(config, g.First, g.Clients, 1)
		}
	}
	return t, err
}

// make adds the nth token of count clients.
func (t *tokens) make(config *Common, first, count, nth int) error {
	for n := first; n < first+count; n++ {
		text, err := config.Token(n, nth)
		if err != nil {
			return fmt.Errorf("the token of client %d: %w", n, err)
		}
		t.All = append(t.All, text)
	}
	return nil
}

// of is the token of a client; empty: none.
func (t *tokens) of(number int) string {
	switch len(t.All) {
	case 0:
		return ""
	case 1:
		return t.All[0]
	}
	return t.All[number]
}

// ownTokens are those of the clients of this process, at their places.
func (p *plan) ownTokens() tokens {
	all := p.Tokens.All
	if len(all) < 2 {
		return p.Tokens
	}
	own := tokens{make([]string, len(all)), p.Tokens.Tickets}
	for i := range p.Groups {
		g := &p.Groups[i]
		for w := range p.workers() {
			first, step := p.share(g, w)
			for n := first; n < g.Clients; n += step {
				own.All[g.First+n] = all[g.First+n]
				if g.Renews {
					own.All[g.Second+n] = all[g.Second+n]
				}
			}
		}
	}
	return own
}

// ticket stands for a token for some time.
type ticket struct {
	text  string
	until int64 // time of the clock
}

// ticketLife is how long a ticket is shown. fleetcast's are good for five minutes.
const ticketLife = 4 * time.Minute

// takeTicket keeps the ticket of a welcome. One that is given for a ticket ends with
// that.
func (c *client) takeTicket(message []byte, now int64) {
	if !c.cohort.worker.swarm.plan.Tokens.Tickets {
		return
	}
	object := jsonscan.NewObject(message)
	var member jsonscan.Member
	for object.Next(&member) {
		if string(member.Key) != "ticket" {
			continue
		}
		text, err := jsonscan.Unquote(member.Value)
		if err != nil {
			return
		}
		until := now + int64(ticketLife)
		if c.ticket != nil {
			until = c.ticket.until
		}
		c.ticket = &ticket{string(text), until}
		return
	}
}

// credential is what the client shows in its next handshake; empty: nothing.
func (c *client) credential() string {
	swarm := c.cohort.worker.swarm
	if c.ticket != nil {
		if swarm.clock.now() < c.ticket.until {
			return c.ticket.text
		}
		c.ticket = nil
	}
	first := c.cohort.plan.First
	if c.renewed {
		first = c.cohort.plan.Second
	}
	return swarm.plan.Tokens.of(first + int(c.number))
}

// authorized is the request with a token, or itself without one.
func authorized(request *websocket.Request, token string) *websocket.Request {
	if token == "" {
		return request
	}
	own := *request
	own.Headers = append(slices.Clip(own.Headers), websocket.Header{Name: "Authorization", Value: "Bearer " + token})
	return &own
}
