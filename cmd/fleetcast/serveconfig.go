package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"github.com/dustin/go-humanize"

	"fleetcast/gateway"
)

// shards is how many loops serve clients.
func (o *options) shards() int { return cmp.Or(int(o.Shards), processors) }

// loops is how many loops there are in all.
func (o *options) loops() int {
	if o.Publish.off {
		return o.shards()
	}
	return o.shards() + int(o.IngestLoops)
}

// config turns options into the gateway's configuration.
func (o *options) config(connections int) (gateway.Config, error) {
	config := o.gatewayConfig(connections)
	err := o.shareConnections(&config, connections)
	return config, err
}

// gatewayConfig has all but the numbers of connections, which are the defaults.
func (o *options) gatewayConfig(connections int) gateway.Config {
	config := gateway.DefaultConfig(connections)
	config.Listen, config.Publish = o.Listen.addrs, o.Publish.addrs
	config.Shards, config.IngestLoops = o.shards(), int(o.IngestLoops)
	for _, p := range o.ClientPublish {
		config.ClientPublish = append(config.ClientPublish, string(p))
	}
	for _, a := range o.AllowOrigin {
		config.AllowedOrigins = append(config.AllowedOrigins, string(a))
	}
	config.MaxChannels, config.ClientChannels = int(o.MaxChannels), int(o.ClientChannels)
	config.MaxMessage, config.MaxEvent = int(o.MaxMessage), int(o.MaxEvent)
	config.MaxSubscriptions, config.MaxChannelName = int(o.MaxSubscriptions), int(o.MaxChannelName)
	config.ClientCommands, config.ClientPublishes = gateway.Rate(o.ClientCommands), gateway.Rate(o.ClientPublishes)
	config.PublisherRate = gateway.Rate(o.PublisherRate)
	config.BacklogBytes, config.BacklogMessages = int(o.Backlog), int(o.BacklogMessages)
	config.BacklogMemory = int64(cmp.Or(uint64(o.BacklogMemory), uint64(backlogMemory()), gateway.DefaultBacklogMemory))
	config.SlowPolicy = gateway.SlowPolicy(o.SlowPolicy)
	for _, r := range o.SlowChannels {
		config.SlowRules = append(config.SlowRules, gateway.SlowRule(r))
	}
	config.Credits, config.PublisherCredits = int64(o.Credits), int64(o.PublisherCredits)
	config.Compress = o.compressed()
	config.CompressLevel, config.CompressFrom = int(o.CompressionLevel), int(o.CompressionFrom)
	config.ClientContext = int(o.ClientContext)
	config.ChannelRetention = time.Duration(o.Retention)
	config.HandshakeTimeout = time.Duration(o.HandshakeTimeout)
	config.PingInterval, config.PongTimeout = time.Duration(o.PingInterval), time.Duration(o.PongTimeout)
	config.DrainWindow = time.Duration(o.DrainWindow)
	config.RetryWindow = time.Duration(o.RetryWindow)
	config.ConnectionLog = int(o.LogConnections)
	for _, n := range o.TrustedProxies {
		config.TrustedProxies = append(config.TrustedProxies, netip.Prefix(n))
	}
	config.ProxyHeader = gateway.ProxyHeader(o.ProxyHeader)
	config.AddressClients, config.AddressConnects = int(o.AddressClients), gateway.Rate(o.AddressConnects)
	config.Connects, config.ConnectQueue = gateway.Rate(o.Connects), int(o.ConnectQueue)
	config.SendBuffer, config.SendTimeout = int(o.SendBuffer), time.Duration(o.SendTimeout)
	return config
}

// compressed are the channels whose events are compressed.
func (o *options) compressed() (channels gateway.Patterns) {
	if o.Compression.on && len(o.CompressChannels) == 0 {
		return gateway.Patterns{"*"}
	}
	for _, p := range o.CompressChannels {
		if o.Compression.on {
			channels = append(channels, string(p))
		}
	}
	return channels
}

// shareConnections divides the connections that the descriptor limit allows
// between clients and publishers.
func (o *options) shareConnections(config *gateway.Config, connections int) error {
	allowed := humanize.Comma(int64(connections))
	clients, publishers := int(o.MaxClients), int(o.MaxPublishers)
	switch {
	case o.Publish.off:
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
	return fmt.Errorf("%s is %d, which with %d publishers (max-publishers) is more than the %s connections that the descriptor limit allows; raise it (ulimit -n) or ask for less",
		o.named("max-clients"), clients, config.MaxPublishers, allowed)
}
