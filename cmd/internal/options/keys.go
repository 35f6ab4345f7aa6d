package options

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// The keys of an entry of publish-keys and admin-keys.
const (
	keyName     = "name"
	keySHA256   = "sha256"
	keySecret   = "key"
	keyChannels = "channels"
	keyRate     = "rate"
	keyUsers    = "users"
	keyAccess   = "access"
)

var (
	publishKeyMembers = []string{keyName, keySHA256, keySecret, keyChannels, keyRate, keyUsers}
	adminKeyMembers   = []string{keyName, keySHA256, keySecret, keyAccess}
)

// keyEntry is a key of a publisher or an operator. It is a mapping in the file. As a text
// it is the name, and key=value for the rest; a value with blanks stands in quotes.
type keyEntry struct {
	gateway.Key
	reference string // where the key itself is, if that was given and not its SHA-256
	access    bool   // the scope was given
}

// publishKey is one that lets its holder publish.
type publishKey struct{ keyEntry }

// adminKey is one for the admin port.
type adminKey struct{ keyEntry }

// UnmarshalText reads what String writes. An empty text is no key: --publish-keys= sets
// none, whatever the file has.
func (k *publishKey) UnmarshalText(text []byte) error {
	next := publishKey{}
	err := readEntry(string(text), "a key", keyName, publishKeyMembers, &next)
	*k = next
	return err
}

// UnmarshalText reads what String writes. An empty text is no key.
func (k *adminKey) UnmarshalText(text []byte) error {
	next := adminKey{}
	err := readEntry(string(text), "a key", keyName, adminKeyMembers, &next)
	*k = next
	return err
}

func (k *publishKey) setMember(name, value string) error {
	if !slices.Contains(publishKeyMembers, name) {
		return noMember(name, "a key", publishKeyMembers)
	}
	switch name {
	case keyChannels:
		k.Channels = strings.Fields(value)
		if _, err := gateway.ParsePatterns(k.Channels); err != nil {
			return fmt.Errorf("channels: %w", err)
		}
		return nil
	case keyRate:
		var r rate
		if err := r.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("rate: %w", err)
		}
		k.Rate = gateway.Rate(r)
		return nil
	case keyUsers:
		if value != "true" && value != "false" {
			return fmt.Errorf("users: %s is neither true nor false", Shown([]byte(keys.Shown(value))))
		}
		k.Users = value == "true"
		return nil
	}
	return k.keyEntry.setMember(name, value)
}

// listMember tells which member may be a list.
func (k *publishKey) listMember(name string) bool { return name == keyChannels }

func (k *adminKey) setMember(name, value string) error {
	if !slices.Contains(adminKeyMembers, name) {
		return noMember(name, "a key", adminKeyMembers)
	}
	if name != keyAccess {
		return k.keyEntry.setMember(name, value)
	}
	switch value {
	case "read":
		k.Scope = gateway.KeyRead
	case "write":
		k.Scope = gateway.KeyWrite
	default:
		return fmt.Errorf("access: %s is neither read nor write", Shown([]byte(keys.Shown(value))))
	}
	k.access = true
	return nil
}

// setMember sets what both kinds have.
func (k *keyEntry) setMember(name, value string) error {
	switch name {
	case keyName:
		if err := keys.CheckName(value); err != nil {
			return fmt.Errorf("name: %w", err)
		}
		k.Name = value
	case keySHA256:
		if err := k.Digest.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("sha256: %w", err)
		}
	case keySecret:
		return k.setSecret(value)
	}
	return nil
}

// setSecret takes the key from where it is kept. It must not stand in the configuration,
// which more people see.
func (k *keyEntry) setSecret(value string) error {
	var s Secret
	if err := s.UnmarshalText([]byte(value)); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	switch {
	case s.reference == "":
		return errors.New("key: write file:PATH or env:NAME, where the key is, or its SHA-256 as sha256; the key itself must not stand in the configuration")
	case !keys.HasForm([]byte(s.Value())):
		return fmt.Errorf("key: what %s has is no key; fleetcast key new makes one", s.reference)
	}
	k.reference, k.Digest = s.reference, keys.DigestOf([]byte(s.Value()))
	return nil
}

// checkMembers tells whether the entry is whole.
func (k *keyEntry) checkMembers() error {
	switch {
	case k.Name == "":
		return errors.New("a key has no name")
	case k.Digest == keys.Digest{}:
		return fmt.Errorf("the key %s has no sha256; fleetcast key new prints it", k.Name)
	}
	return nil
}

func (k *publishKey) checkMembers() error {
	if err := k.keyEntry.checkMembers(); err != nil {
		return err
	}
	if len(k.Channels) == 0 && !k.Users {
		return fmt.Errorf("the key %s has no channels; write for example channels: prices.**, or channels: \"**\" for all", k.Name)
	}
	return nil
}

func (k *adminKey) checkMembers() error {
	if err := k.keyEntry.checkMembers(); err != nil {
		return err
	}
	if !k.access {
		return fmt.Errorf("the key %s has no access; write access: read, or access: write", k.Name)
	}
	return nil
}

// members are the keys and values that the file has for the entry.
func (k *keyEntry) members() [][2]string {
	if k.reference != "" {
		return [][2]string{{keyName, k.Name}, {keySecret, k.reference}}
	}
	return [][2]string{{keyName, k.Name}, {keySHA256, k.Digest.String()}}
}

func (k publishKey) members() [][2]string {
	pairs := k.keyEntry.members()
	if len(k.Channels) > 0 {
		pairs = append(pairs, [2]string{keyChannels, strings.Join(k.Channels, " ")})
	}
	if k.Rate != (gateway.Rate{}) {
		pairs = append(pairs, [2]string{keyRate, rate(k.Rate).String()})
	}
	if k.Users {
		pairs = append(pairs, [2]string{keyUsers, "true"})
	}
	return pairs
}

func (k adminKey) members() [][2]string {
	access := "read"
	if k.Scope == gateway.KeyWrite {
		access = "write"
	}
	return append(k.keyEntry.members(), [2]string{keyAccess, access})
}

func (k publishKey) String() string { return keyText(k.Name, k.members()) }

func (k adminKey) String() string { return keyText(k.Name, k.members()) }

// keyText is the text form of an entry.
func keyText(name string, members [][2]string) string {
	if name == "" {
		return ""
	}
	words := []string{name}
	for _, m := range members[1:] {
		value := m[1]
		if strings.ContainsAny(value, " \t") {
			value = strconv.Quote(value)
		}
		words = append(words, m[0]+"="+value)
	}
	return strings.Join(words, " ")
}

// fingerprint also tells apart what a file or a variable had.
func (k publishKey) fingerprint() string { return k.String() + " " + k.Digest.String() }

func (k adminKey) fingerprint() string { return k.String() + " " + k.Digest.String() }

func (k keyEntry) secretFiles() []string { return Secret{reference: k.reference}.secretFiles() }

// publishKeys are the gateway's keys of publishers.
func (o *Options) publishKeys() (list []gateway.Key) {
	for _, k := range o.PublishKeys {
		list = append(list, k.Key)
	}
	return list
}

// adminKeys are the gateway's keys of operators.
func (o *Options) adminKeys() (list []gateway.Key) {
	for _, k := range o.AdminKeys {
		list = append(list, k.Key)
	}
	return list
}

// dropEmptyKeys removes what an empty flag or variable has set.
func (o *Options) dropEmptyKeys() {
	o.PublishKeys = slices.DeleteFunc(o.PublishKeys, func(k publishKey) bool { return k.Name == "" })
	o.AdminKeys = slices.DeleteFunc(o.AdminKeys, func(k adminKey) bool { return k.Name == "" })
}

// NewKey says what an entry is to have. Without Access it is one of publish-keys.
type NewKey struct {
	Name           string // empty: a usual one
	Digest         keys.Digest
	Channels, Rate string
	Access         string // read or write
}

// name is that of the key, or a usual one.
func (n *NewKey) name() string {
	if n.Access != "" {
		return cmp.Or(n.Name, "operator")
	}
	return cmp.Or(n.Name, "publisher")
}

// KeyEntry is the YAML of an entry, with the name of its list.
func KeyEntry(n NewKey) (string, error) {
	var into mappingValue = new(publishKey)
	list := "publish-keys"
	given := [][2]string{{keySHA256, n.Digest.String()}, {keyChannels, n.Channels}, {keyRate, n.Rate}}
	if n.Access != "" {
		into, list = new(adminKey), "admin-keys"
		given = [][2]string{{keySHA256, n.Digest.String()}, {keyAccess, n.Access}}
	}
	for _, m := range append([][2]string{{keyName, n.name()}}, given...) {
		if m[1] == "" {
			continue
		}
		if err := into.setMember(m[0], m[1]); err != nil {
			return "", err
		}
	}
	if err := into.checkMembers(); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", list)
	printMembers(&b, into.(interface{ members() [][2]string }).members())
	return b.String(), nil
}
