package gateway

import "fleetcast/gateway/limits"

// Rate bounds how often something may happen.
type Rate = limits.Rate
