package settings

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/limits"
	"fleetcast/gateway/rules"
)

// Every number and time is checked at its bound: the default is taken, what is below
// the tag is refused in the field's name, and so is a rate that is none.
func TestCheck(t *testing.T) {
	tagged := 0
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		config := DefaultConfig(1000)
		value := reflect.ValueOf(&config).Elem().FieldByIndex(field.Index)
		if err := config.Check(); err != nil {
			t.Fatal(err)
		}
		text, has := field.Tag.Lookup("least")
		switch kind := field.Type.Kind(); {
		case field.Type == reflect.TypeFor[limits.Rate]():
			value.Set(reflect.ValueOf(limits.Rate{PerSecond: -1}))
		case !has && kind != reflect.Int && kind != reflect.Int64:
			continue
		case has && field.Type == reflect.TypeFor[time.Duration]():
			least, err := time.ParseDuration(text)
			if err != nil {
				t.Errorf("%s: %v", field.Name, err)
			}
			value.SetInt(int64(least) - 1)
		default:
			value.SetInt(-1) // other fields have bounds of their own
		}
		tagged++
		var problems OptionErrors
		if err := config.Check(); !errors.As(err, &problems) || problems[0].Field != field.Name {
			t.Errorf("%s is %v: %v", field.Name, value, err)
		}
	}
	if tagged < 30 {
		t.Errorf("%d fields have bounds", tagged)
	}
	config := DefaultConfig(1000)
	config.DefaultSubscribe = rules.Nobody + 1
	if err := config.Check(); err == nil || !strings.HasPrefix(err.Error(), "DefaultSubscribe is Audience(4)") {
		t.Errorf("an audience that there is not: %v", err)
	}
	for want, set := range map[string]func(*Config){
		"History is a history of 0 events, must be 1 to":    func(c *Config) { c.History.Events = 0 },
		"History is a history of 500ms, must be 1s to 720h": func(c *Config) { c.History.Age = time.Second / 2 },
		"HistoryRules has a bad entry: channel pattern \"a\" has a history of 1B, must be": func(c *Config) {
			c.HistoryRules = []HistoryRule{{"a", rules.History{Events: 1, Age: time.Hour, Bytes: 1}}}
		},
		"HistoryRules has a bad entry: channel pattern is empty; use ** for all channels": func(c *Config) { c.HistoryRules = []HistoryRule{{"", rules.DefaultHistory}} },
	} {
		config = DefaultConfig(1000)
		set(&config)
		if err := config.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	config = DefaultConfig(1000)
	config.MaxMessage, config.Publish, config.IngestLoops, config.MaxPublishers = 127, nil, 0, 0
	const want = "MaxMessage is 127, must be at least 128"
	if err := config.Check(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
