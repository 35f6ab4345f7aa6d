package gateway

import (
	"net/http"
	"time"

	"fleetcast/gateway/admin"
)

// MetricsWithin serves the admin port with another patience.
func (g *Gateway) MetricsWithin(patience time.Duration) http.Handler {
	return g.AdminHandler(admin.Options{Patience: patience})
}
