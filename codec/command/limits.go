package command

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Limits are what a gateway allows one client, as its welcome tells. 0 is no limit, or one that
// the gateway does not tell.
type Limits struct {
	CommandsPerSecond  float64 `json:"commands_per_second"` // on average: messages, and each name of those with several
	CommandsBurst      int     `json:"commands_burst"`      // at once
	PublishesPerSecond float64 `json:"publishes_per_second"`
	PublishesBurst     int     `json:"publishes_burst"`
	Channels           int     `json:"channels"`          // subscriptions
	NamesPerCommand    int     `json:"names_per_command"` // of a subscribe or unsubscribe
	MessageBytes       int     `json:"message_bytes"`     // of one message of the client
	EventBytes         int     `json:"event_bytes"`       // of the data of one event
	ChannelBytes       int     `json:"channel_bytes"`     // of a channel's name
}

// AppendLimits appends l as a JSON object, without the limits that are 0.
func AppendLimits(dst []byte, l Limits) []byte {
	separator := byte('{')
	begin := func(key string) {
		dst = append(dst, separator, '"')
		dst = append(append(dst, key...), `":`...)
		separator = ','
	}
	rate := func(perSecond float64, burst int, rateKey, burstKey string) {
		if perSecond > 0 {
			begin(rateKey)
			dst = strconv.AppendFloat(dst, perSecond, 'g', -1, 64)
			begin(burstKey)
			dst = strconv.AppendInt(dst, int64(burst), 10)
		}
	}
	count := func(n int, key string) {
		if n > 0 {
			begin(key)
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
	}
	rate(l.CommandsPerSecond, l.CommandsBurst, "commands_per_second", "commands_burst")
	rate(l.PublishesPerSecond, l.PublishesBurst, "publishes_per_second", "publishes_burst")
	count(l.Channels, "channels")
	count(l.NamesPerCommand, "names_per_command")
	count(l.MessageBytes, "message_bytes")
	count(l.EventBytes, "event_bytes")
	count(l.ChannelBytes, "channel_bytes")
	if separator == '{' {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// ParseLimits reads the limits of a welcome; nil is none. It allocates.
func ParseLimits(raw []byte) (l Limits, err error) {
	if len(raw) == 0 {
		return Limits{}, nil
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return Limits{}, fmt.Errorf("reading the limits of a welcome: %w", err)
	}
	return l, nil
}
