package loadtest

import (
	"fmt"
	"time"
)

// meter takes the samples from which the server's and the harness's own cost
// follow. Without a process of the server it samples the harness only.
type meter struct {
	server *process // nil: not on this machine, or not told
}

// moment is one sample.
type moment struct {
	at       time.Time
	server   cpuSample
	resident int64 // of the server, in kB
	own      time.Duration
}

func newMeter(pid int) (*meter, error) {
	if pid == 0 {
		return &meter{}, nil
	}
	server, err := openProcess(pid)
	return &meter{server}, err
}

func (m *meter) sample() (moment, error) {
	now := moment{at: time.Now(), own: ownCPU()}
	if m.server == nil {
		return now, nil
	}
	var err error
	if now.server, err = m.server.cpu(); err != nil {
		return now, fmt.Errorf("reading the server's cost: %w", err)
	}
	if now.resident, err = m.server.residentKB(); err != nil {
		return now, fmt.Errorf("reading the server's memory: %w", err)
	}
	return now, nil
}

// moments are the samples of a run, with the clients connected at each.
type moments struct {
	base      moment // before the first client
	third     moment // with a third of the clients, settled
	connected moment // with all, settled
	began     moment // before the first event
	ended     moment // after the last

	thirdClients, allClients int
}

// perItem is used time per item in µs; 0 if there is none.
func perItem(used time.Duration, items int64) float64 {
	if items <= 0 {
		return 0
	}
	return float64(used.Nanoseconds()) / 1e3 / float64(items)
}

// cost is what the samples say of the server. copies are deliveries beside
// those of the clients.
func (m *meter) cost(at *moments, delivered, copies int64) ServerCost {
	if m.server == nil {
		return ServerCost{}
	}
	delivery := perItem(at.ended.server.since(at.began.server), delivered+copies)
	connection := perItem(at.connected.server.since(at.base.server), int64(at.allClients))
	resident := at.connected.resident
	cost := ServerCost{
		CPUPerDelivery:   &delivery,
		CPUPerConnection: &connection,
		ResidentKB:       &resident,
	}
	if more := at.allClients - at.thirdClients; more > 0 {
		slope := float64(at.connected.resident-at.third.resident) / float64(more)
		cost.ResidentKBPerConnection = &slope
	}
	return cost
}
