package rules

import (
	"fmt"
	"slices"
	"strings"
)

// The keys of an entry that are not decided for a channel.
const (
	MatchKey = "match"
	finalKey = "final"
)

const subscribeHookKey = "subscribe-hook"

// key is one thing that an entry can set.
type key struct {
	name string // in the configuration
	of   subject
	set  func(*Entry) bool
	text func(*Values) string
	read func(*Entry, string) error // reads what text writes
}

// keys are all of them: one for each subject, in their order, and behind these further ones
// of a subject. A further thing to be ruled is a field of Entry, one of Values, a
// subject with its part of decide, and a line here.
var keys = [...]key{
	ofSlow: {
		"slow", ofSlow,
		func(e *Entry) bool { return e.Slow != nil },
		func(v *Values) string { return v.Slow.String() },
		func(e *Entry, text string) error { return read(&e.Slow, text, parseSlowPolicy) },
	},
	ofCompress: {
		"compress", ofCompress,
		func(e *Entry) bool { return e.Compress != nil },
		func(v *Values) string { return onOff(v.Compress) },
		func(e *Entry, text string) error { return read(&e.Compress, text, parseOnOff) },
	},
	ofSubscribe: {
		"subscribe", ofSubscribe,
		func(e *Entry) bool { return e.Subscribe != nil },
		func(v *Values) string { return v.Subscribe.String() },
		func(e *Entry, text string) error { return read(&e.Subscribe, text, parseAudience) },
	},
	ofPublish: {
		"publish", ofPublish,
		func(e *Entry) bool { return e.Publish != nil },
		func(v *Values) string { return v.Publish.String() },
		func(e *Entry, text string) error { return read(&e.Publish, text, parseAudience) },
	},
	ofHistory: {
		"history", ofHistory,
		func(e *Entry) bool { return e.History != nil },
		func(v *Values) string { return v.History.String() },
		func(e *Entry, text string) error { return read(&e.History, text, parseHistory) },
	},
	{
		"client-publish", ofPublish,
		func(e *Entry) bool { return e.ClientPublish != nil },
		func(v *Values) string { return onOff(v.Publish == Anyone) },
		func(e *Entry, text string) error { return read(&e.ClientPublish, text, parseOnOff) },
	},
	{
		subscribeHookKey, ofSubscribe,
		func(e *Entry) bool { return e.SubscribeHook != nil },
		func(v *Values) string { return v.SubscribeHook },
		func(e *Entry, text string) error { return read(&e.SubscribeHook, text, parseHookName) },
	},
}

// Keys are the names by which a configuration sets the fields of an entry.
func Keys() []string {
	names := []string{MatchKey}
	for i := range keys {
		names = append(names, keys[i].name)
	}
	return append(names, finalKey)
}

// Set sets the field of the entry that has that key, from its text. It returns an
// error if there is no such key or it cannot have that value.
func (e *Entry) Set(name, text string) (err error) {
	switch name {
	case MatchKey:
		e.Match = text
		_, err = ParsePatterns([]string{text})
		return err
	case finalKey:
		e.Final, err = parseOnOff(text)
		return err
	}
	i := slices.IndexFunc(keys[:], func(k key) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("there is no key %.80q", name)
	}
	return keys[i].read(e, text)
}

// Field is a key of an entry and the text of its value.
type Field struct{ Key, Value string }

// Fields are those that the entry sets, its pattern first. Set reads them.
func (e *Entry) Fields() []Field {
	fields := []Field{{MatchKey, e.Match}}
	var values Values
	e.decide(allSubjects, &values)
	for i := range keys {
		if keys[i].set(e) {
			fields = append(fields, Field{keys[i].name, keys[i].text(&values)})
		}
	}
	if e.Final {
		fields = append(fields, Field{finalKey, onOff(true)})
	}
	return fields
}

// String is the entry in one line: its pattern, and key=value for what it sets.
func (e *Entry) String() string {
	var b strings.Builder
	b.WriteString(e.Match)
	for _, f := range e.Fields()[1:] {
		b.WriteString(" " + f.Key + "=" + f.Value)
	}
	return b.String()
}

// read sets what an entry has for a key.
func read[T any](to **T, text string, parse func(string) (T, error)) error {
	value, err := parse(text)
	if err != nil {
		return err
	}
	*to = &value
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// parseOnOff reads what YAML has for true and false, old and new.
func parseOnOff(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "yes":
		return true, nil
	case "off", "false", "no":
		return false, nil
	}
	return false, fmt.Errorf("%.80q is neither on nor off", text)
}

// maxHookName is the length of the longest name of a hook, in bytes.
const maxHookName = 32

// parseHookName reads the name of a hook, which labels metrics and stands in log lines.
func parseHookName(name string) (string, error) {
	if name == "" || len(name) > maxHookName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return "", fmt.Errorf("%.80q is no name of a hook; it has 1 to %d of a-z, 0-9, - and _", name, maxHookName)
	}
	return name, nil
}

// CheckHookName names what is wrong with the name of a hook.
func CheckHookName(name string) error {
	_, err := parseHookName(name)
	return err
}
