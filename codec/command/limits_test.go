package command_test

import (
	"encoding/json"
	"testing"

	"fleetcast/codec/command"
)

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		limits command.Limits
		want   string
	}{
		{command.Limits{}, `{}`},
		{command.Limits{MessageBytes: 65536}, `{"message_bytes":65536}`},
		{command.Limits{CommandsPerSecond: 1.0 / 4, CommandsBurst: 1}, `{"commands_per_second":0.25,"commands_burst":1}`},
		{command.Limits{PublishesPerSecond: 1e-7, PublishesBurst: 2}, `{"publishes_per_second":1e-07,"publishes_burst":2}`},
		{command.Limits{
			CommandsPerSecond: 100, CommandsBurst: 2000, PublishesPerSecond: 1e9, PublishesBurst: 200,
			Channels: 128, NamesPerCommand: 1024, MessageBytes: 1, EventBytes: 2, ChannelBytes: 3,
		}, `{"commands_per_second":100,"commands_burst":2000,"publishes_per_second":1e+09,"publishes_burst":200,` +
			`"channels":128,"names_per_command":1024,"message_bytes":1,"event_bytes":2,"channel_bytes":3}`},
	} {
		got := command.AppendLimits(nil, tt.limits)
		if string(got) != tt.want || !json.Valid(got) {
			t.Errorf("%+v is written as\n%s, want\n%s", tt.limits, got, tt.want)
		}
		back, err := command.ParseLimits(got)
		if err != nil || back != tt.limits {
			t.Errorf("%s is read as %+v, %v", got, back, err)
		}
	}
	if none, err := command.ParseLimits(nil); err != nil || none != (command.Limits{}) {
		t.Errorf("no limits are read as %+v, %v", none, err)
	}
	for _, raw := range []string{`[]`, `{"channels":"x"}`, `{"channels":1.5}`, `1`} {
		if _, err := command.ParseLimits([]byte(raw)); err == nil {
			t.Errorf("%s is read as limits", raw)
		}
	}
}
