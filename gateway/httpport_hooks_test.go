package gateway

import "time"

// KeepHTTPPlaces makes all connections with a plain HTTP request keep their places.
func (g *Gateway) KeepHTTPPlaces() { g.http.KeepFor(time.Hour) }
