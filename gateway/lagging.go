package gateway

// lagging lists the sessions of one shard that have a backlog, in no order. So a search
// for them need not look at all sessions. The shard owns it.
type lagging []*session

func (l *lagging) add(c *session) {
	c.backlog.Place = uint32(len(*l))
	*l = append(*l, c)
}

// remove takes out a session, which must still have its backlog. The last one takes its
// place.
func (l *lagging) remove(c *session) {
	last := len(*l) - 1
	moved := (*l)[last]
	(*l)[c.backlog.Place] = moved
	moved.backlog.Place = c.backlog.Place
	(*l)[last] = nil
	*l = (*l)[:last]
	if last == 0 {
		*l = nil // after a storm the list may be long
	}
}

// listed is how many clients have a backlog, those included that are about to go.
func (s *shard) listed() int { return len(s.lagging) }
