package gateway

import (
	"net/http"
	"time"
)

// MetricsWithin serves the admin port with another patience.
func (g *Gateway) MetricsWithin(patience time.Duration) http.Handler {
	return g.AdminHandler(Admin{Patience: patience})
}
