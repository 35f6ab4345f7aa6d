package gateway

import "fleetcast/gateway/stream"

// UseEngine puts an engine in the place of the embedded streams, which it returns. It is called before Run.
func (g *Gateway) UseEngine(e stream.Engine) (embedded stream.Engine) {
	g.clients.engine, g.publish.engine = e, e
	for _, s := range g.clients.shards {
		s.submit = stream.NewRequest(e, &s.wakes, &s.counters.ClientPublished)
	}
	for _, in := range g.publish.loops {
		in.submit = stream.NewRequest(e, &in.wakes, &in.counters.Events)
	}
	p := g.publish.api
	p.submit = stream.NewRequest(e, &p.wakes, &p.counters.Events)
	return g.streams
}
