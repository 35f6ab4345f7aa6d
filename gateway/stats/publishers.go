package stats

import (
	"time"

	"fleetcast/gateway/mem"
)

// SearchPortion is how many connections a loop looks at in one call of a search, so
// that the search does not hold it up: some tenths of a millisecond.
const SearchPortion = 4096

// PublisherEntry is whoever publishes as /api/publishers shows it: a connection to
// the publish port, a client that has published, or the API.
type PublisherEntry struct {
	Publisher   string     `json:"publisher"` // a connection's number, a client's id, or "api"
	Protocol    string     `json:"protocol"`
	Key         string     `json:"key,omitempty"`     // the name of its key
	Name        string     `json:"name,omitempty"`    // as it has called itself
	Library     string     `json:"library,omitempty"` // as that has called itself
	Address     string     `json:"address"`
	ConnectedAt *time.Time `json:"connected_at,omitempty"`
	Rates
	EventsSent uint64 `json:"events"`
	BytesSent  uint64 `json:"bytes"`
	Errors     uint64 `json:"errors"` // requests that were refused
	Paused     bool   `json:"paused"` // is not read, because it waits for credit
}

// PublisherTotal is all publishers together.
type PublisherTotal struct {
	Publishers int `json:"publishers"`
	Rates
}

// PublisherFound is an entry as its loop reports it.
type PublisherFound struct {
	Of any // the connection, until its address is known; only its loop may look at it
	PublisherEntry
}

// PublisherSearch gathers those with the highest rates from all loops.
type PublisherSearch struct {
	Now   time.Duration // the loops' clock
	Best  *mem.Best[PublisherFound]
	Total PublisherTotal
}

// Offer offers one entry.
func (s *PublisherSearch) Offer(found PublisherFound, of *Sent) {
	found.Rates = of.Meter.Rates(s.Now)
	found.EventsSent, found.BytesSent, found.Errors = of.Events, of.Bytes, of.Errors
	s.Total.Publishers++
	s.Total.Add(found.Rates)
	s.Best.Offer(found)
}
