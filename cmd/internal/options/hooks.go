package options

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleetcast/gateway/hook"
	"fleetcast/gateway/rules"
)

// hookEntry is an endpoint that is asked.
type hookEntry struct {
	entry
	name string // of one that rules name
	hook hook.Options
}

// UnmarshalText reads what String writes. An empty text is no hook.
func (h *hookEntry) UnmarshalText(text []byte) error {
	next := hookEntry{}
	err := readEntry(string(text), "a hook", memberURL, hookMembers, &next)
	*h = next
	return err
}

func (h hookEntry) String() string { return h.text(memberURL) }
func (h hookEntry) shown() string  { return h.shownText(memberURL) }

func (h *hookEntry) setMember(name, value string) (err error) {
	if err := oneLine(name, value); err != nil {
		return err
	}
	if h.hook.Timeout == 0 {
		h.hook = hook.DefaultOptions()
	}
	to := &h.hook
	switch name {
	case memberURL:
		to.URL, err = value, checkQuery(value)
	case memberSecret:
		var secret string
		if secret, err = h.secret(value); err == nil {
			to.Header = http.Header{"Authorization": {"Bearer " + secret}}
		}
	case memberForward:
		to.Forward = strings.Fields(value)
	case memberTimeout:
		var p Period
		err = p.UnmarshalText([]byte(value))
		to.Timeout = time.Duration(p)
	case memberAtOnce:
		to.AtOnce, err = wholeNumber(value)
	case memberQueue:
		to.Queue, err = wholeNumber(value)
	case memberPlain:
		var t Toggle
		err = t.UnmarshalText([]byte(value))
		to.Plain = t.On
	case memberRoots:
		to.RootFile = value
	default:
		return noMember(name, "a hook", hookMembers)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	h.note(name, value)
	return nil
}

func wholeNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is not a whole number", Shown([]byte(text)))
	}
	return n, nil
}

// listMember tells which member may be a list.
func (h *hookEntry) listMember(name string) bool { return name == memberForward }

func (h *hookEntry) checkMembers() error {
	if h.hook.URL == "" {
		return errors.New("a hook has no url; write for example url: https://app.example.com/fleetcast/connect")
	}
	return h.hook.Check()
}

// subscribeHook is an endpoint that rules name, with its name.
type subscribeHook struct{ hookEntry }

// UnmarshalText reads what String writes. An empty text is no hook.
func (h *subscribeHook) UnmarshalText(text []byte) error {
	next := subscribeHook{}
	err := readEntry(string(text), "a hook", keyName, subscribeHookMembers, &next)
	*h = next
	return err
}

func (h subscribeHook) String() string { return h.text(keyName) }
func (h subscribeHook) shown() string  { return h.shownText(keyName) }

func (h *subscribeHook) setMember(name, value string) error {
	if !slices.Contains(subscribeHookMembers, name) {
		return noMember(name, "a hook", subscribeHookMembers)
	}
	if name != keyName {
		return h.hookEntry.setMember(name, value)
	}
	if err := rules.CheckHookName(value); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	h.name = value
	h.note(name, value)
	return nil
}

func (h *subscribeHook) checkMembers() error {
	if h.name == "" {
		return errors.New("a hook has no name; rules name it, such as subscribe-hook: rooms")
	}
	return h.hookEntry.checkMembers()
}

// connectHook is the hook that is asked about clients, or nil.
func (o *Options) connectHook() *hook.Options {
	if len(o.ConnectHook) == 0 {
		return nil
	}
	asked := o.ConnectHook[0].hook
	asked.Name = "connect"
	return &asked
}

// subscribeHooks are the hooks that rules name.
func (o *Options) subscribeHooks() map[string]hook.Options {
	all := map[string]hook.Options{}
	for _, h := range o.SubscribeHooks {
		asked := h.hook
		asked.Name = h.name
		all[h.name] = asked
	}
	return all
}
