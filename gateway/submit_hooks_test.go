package gateway

import "fleetcast/gateway/stream"

// UseEngine puts an engine in the place of the embedded streams, which it returns. It is called before Run.
func (g *Gateway) UseEngine(e stream.Engine) (embedded stream.Engine) {
	g.clients.UseEngine(e)
	g.publish.UseEngine(e)
	return g.streams
}
