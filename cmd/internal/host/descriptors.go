package host

import (
	"fleetcast/gateway"
	"fleetcast/gateway/webport"
)

// ReservedDescriptors are kept from clients and publishers: listeners, epoll
// instances, the admin port, plain HTTP requests, clients that are turned away,
// files.
func ReservedDescriptors(loops int) int {
	return 64 + 8*loops + webport.Connections + gateway.HTTPConnections + gateway.LingeringConnections
}
