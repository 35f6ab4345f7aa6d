package options

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/dustin/go-humanize"

	"fleetcast/cmd/internal/host"
	"fleetcast/gateway"
	"fleetcast/gateway/ingest"
	"fleetcast/gateway/rules"
)

// shards is how many loops serve clients.
func (o *Options) shards() int { return cmp.Or(int(o.Shards), host.Processors) }

// Loops is how many loops there are in all.
func (o *Options) Loops() int {
	if o.Publish.Off {
		return o.shards()
	}
	return o.shards() + int(o.IngestLoops)
}

// GatewayConfig turns options into the gateway's configuration.
func (o *Options) GatewayConfig(connections int) (gateway.Config, error) {
	config := o.unshared(connections)
	err := o.shareConnections(&config, connections)
	return config, err
}

// unshared is the configuration with the default numbers of connections.
func (o *Options) unshared(connections int) gateway.Config {
	config := gateway.DefaultConfig(connections)
	o.fill(&config)
	config.Listen, config.Publish = o.Listen.Addrs, o.Publish.Addrs
	config.Shards = o.shards()
	config.AllowedHosts = o.allowedHosts()
	config.InputMemory = int64(cmp.Or(uint64(o.InputMemory), uint64(backlogMemory()*backlogShare/inputShare), gateway.DefaultInputMemory))
	config.BacklogMemory = int64(cmp.Or(uint64(o.BacklogMemory), uint64(backlogMemory()), gateway.DefaultBacklogMemory))
	// The defaults give way.
	if !o.isSet("input-memory") {
		config.InputMemory = max(config.InputMemory, int64(o.MaxEvent)+ingest.RequestRoom, int64(o.MaxMessage))
	}
	if !o.isSet("backlog-memory") {
		config.BacklogMemory = max(config.BacklogMemory, int64(o.MaxEvent))
	}
	if !o.isSet("backlog") {
		config.BacklogBytes = int(min(int64(config.BacklogBytes), config.BacklogMemory))
	}
	config.History, config.HistoryRules = o.histories()
	config.HistoryMemory = o.historyMemory()
	config.Compress = o.compressed()
	config.Channels = o.channelRules()
	if o.reachable() {
		config.DefaultSubscribe = rules.Nobody // what others can do is never a default
	}
	config.PublishKeys, config.AdminKeys = o.publishKeys(), o.adminKeys()
	config.Issuers, config.ConnectHook, config.TicketKeys = o.issuers(), o.connectHook(), o.ticketKeys()
	config.SubscribeHooks = o.subscribeHooks()
	return config
}

// Grants say to which channels clients may publish.
func (o *Options) Grants() []rules.Grant {
	config := o.unshared(manyConnections)
	return config.Grants()
}

// fill gives each option's value to the field of the gateway's configuration that has
// its name, or the name in the option's tag field. If there is no such field, or it
// cannot hold the value, the options are declared wrong, and it panics.
func (o *Options) fill(config *gateway.Config) {
	from, to := reflect.ValueOf(o).Elem(), reflect.ValueOf(config).Elem()
	for i := range from.NumField() {
		option := from.Type().Field(i)
		name := fieldOf(option.Name, option.Tag)
		if name == "" {
			continue
		}
		field := to.FieldByName(name)
		if !field.IsValid() {
			panic("gateway.Config has no field " + name + ", which the option " + option.Name + " sets")
		}
		assign(field, from.Field(i))
	}
}

// fieldOf is the field of gateway.Config that an option sets without further
// ado, or "" if there is none.
func fieldOf(option string, tag reflect.StructTag) string {
	field := cmp.Or(tag.Get("field"), option)
	if _, isOption := tag.Lookup("live"); !isOption || field == "-" {
		return ""
	}
	return field
}

// assign converts a value to the type of the field, the elements of a list one
// by one.
func assign(field, value reflect.Value) {
	if value.Kind() != reflect.Slice {
		field.Set(value.Convert(field.Type()))
		return
	}
	list := reflect.Zero(field.Type())
	for i := range value.Len() {
		list = reflect.Append(list, value.Index(i).Convert(field.Type().Elem()))
	}
	field.Set(list)
}

// compressed are the channels whose events are compressed.
func (o *Options) compressed() (channels gateway.Patterns) {
	if o.Compression.On && len(o.CompressChannels) == 0 {
		return gateway.Patterns{"**"}
	}
	for _, p := range o.CompressChannels {
		if o.Compression.On {
			channels = append(channels, string(p))
		}
	}
	return channels
}

// shareConnections divides the connections that the descriptor limit allows
// between clients and publishers.
func (o *Options) shareConnections(config *gateway.Config, connections int) error {
	allowed := humanize.Comma(int64(connections))
	clients, publishers := int(o.MaxClients), int(o.MaxPublishers)
	switch {
	case o.Publish.Off:
		config.MaxPublishers = 0
	case publishers >= connections:
		return fmt.Errorf("%s is %d, which leaves clients none of the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			o.named("max-publishers"), publishers, allowed)
	case publishers > 0:
		config.MaxPublishers = publishers
	}
	room := connections - config.MaxPublishers
	switch {
	case clients <= room:
		config.MaxClients = cmp.Or(clients, room)
		return nil
	case config.MaxPublishers == 0:
		return fmt.Errorf("%s is %d, more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
			o.named("max-clients"), clients, allowed)
	}
	return fmt.Errorf("%s is %d, which with %d for max-publishers is more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
		o.named("max-clients"), clients, config.MaxPublishers, allowed)
}

// backlogShare is the part of the memory that backlogs may hold by default. Go's heap
// may be twice what is alive.
const backlogShare = 4

// inputShare is that for the unfinished input of clients, and of publishers, historyShare
// that for what is kept of events.
const (
	inputShare   = 16
	historyShare = 8
)

// backlogMemory is what backlogs may hold by default, in bytes; 0 if the memory
// is not known.
var backlogMemory = sync.OnceValue(func() int64 {
	memory := host.Host{Root: "/"}.Memory()
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 { // GOMEMLIMIT
		memory = min(memory, uint64(limit))
	}
	return int64(memory / backlogShare)
})
