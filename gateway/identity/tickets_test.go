package identity_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway/identity"
)

var start = time.Unix(1_800_000_000, 0)

func newTickets(t testing.TB, keys ...[]byte) *identity.Tickets {
	t.Helper()
	tickets, err := identity.NewTickets(&identity.Interner{}, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return tickets
}

func someone(t testing.TB, grants string, expires time.Time) *identity.Identity {
	t.Helper()
	g, err := identity.ParseGrants([]byte(grants))
	if err != nil {
		t.Fatal(err)
	}
	behind := identity.Behind{Issuer: identity.DigestIssuer("https://auth.example.com/"), Hook: true}
	return &identity.Identity{User: `al"ice`, Grants: g, Expires: expires.Unix(), Behind: behind}
}

func TestTickets(t *testing.T) {
	tickets := newTickets(t)
	alice := someone(t, `{"subscribe":["chat.*"],"auto":["news"]}`, start.Add(time.Hour))
	ticket := []byte(tickets.Issue(alice, start))
	for _, after := range []time.Duration{0, identity.TicketLife - time.Second} {
		got, err := tickets.Open(ticket, start.Add(after))
		if err != nil || got.User != alice.User || got.Expires != alice.Expires || !got.Grants.Equal(alice.Grants) || !got.FromTicket() || got.Behind != alice.Behind {
			t.Errorf("after %v: %+v, %v", after, got, err)
		}
	}
	if _, err := tickets.Open(ticket, start.Add(identity.TicketLife)); !errors.Is(err, identity.ErrTicketExpired) {
		t.Errorf("at its end: %v", err)
	}
	first, _ := tickets.Open(ticket, start)
	second, _ := tickets.Open(ticket, start)
	if first.Grants != second.Grants {
		t.Error("grants are not interned")
	}
}

// TestTicketEndsWithToken has a ticket end no later than the identity.
func TestTicketEndsWithToken(t *testing.T) {
	tickets := newTickets(t)
	alice := someone(t, `{}`, start.Add(time.Minute))
	ticket := []byte(tickets.Issue(alice, start))
	if _, err := tickets.Open(ticket, start.Add(time.Minute)); !errors.Is(err, identity.ErrTicketExpired) {
		t.Errorf("%v", err)
	}
	if ticket := tickets.Issue(alice, start.Add(time.Minute)); ticket != "" {
		t.Error("there is a ticket for an identity that has ended")
	}
}

// TestTicketsAreNoChain bounds how long tickets that follow from each other stand for
// one verification.
func TestTicketsAreNoChain(t *testing.T) {
	tickets := newTickets(t)
	alice := someone(t, `{}`, start)
	alice.Expires = 0
	now, rounds := start, 0
	for {
		ticket := tickets.Issue(alice, now)
		if ticket == "" {
			break
		}
		var err error
		if alice, err = tickets.Open([]byte(ticket), now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		if rounds++; rounds > 10 {
			t.Fatal("tickets follow each other without end")
		}
	}
	if now.Sub(start) != identity.TicketLife {
		t.Errorf("tickets followed each other for %v", now.Sub(start))
	}
}

func TestTicketsRefuse(t *testing.T) {
	key, other := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("o"), 32)
	tickets := newTickets(t, key)
	good := tickets.Issue(someone(t, `{"subscribe":["a"]}`, start.Add(time.Hour)), start)
	body, mac, _ := strings.Cut(strings.TrimPrefix(good, identity.TicketPrefix), ".")
	plain, _ := base64.RawURLEncoding.DecodeString(body)
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(plain, []byte("ice"), []byte("ine"), 1))
	for name, text := range map[string]string{
		"empty":           "",
		"prefix":          identity.TicketPrefix,
		"no MAC":          identity.TicketPrefix + body,
		"empty MAC":       identity.TicketPrefix + body + ".",
		"other body":      identity.TicketPrefix + forged + "." + mac,
		"other MAC":       identity.TicketPrefix + body + "." + mac[:len(mac)-2] + "AA",
		"MAC cut short":   identity.TicketPrefix + body + "." + mac[:len(mac)-4],
		"other prefix":    "fct2." + body + "." + mac,
		"another key's":   newTickets(t, other).Issue(someone(t, `{}`, start.Add(time.Hour)), start),
		"random key's":    newTickets(t).Issue(someone(t, `{}`, start.Add(time.Hour)), start),
		"something added": good + "A",
		"huge":            identity.TicketPrefix + strings.Repeat("A", 1<<20) + ".A",
	} {
		if id, err := tickets.Open([]byte(text), start); !errors.Is(err, identity.ErrTicketInvalid) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if _, err := tickets.Open([]byte(good), start); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if _, err := newTickets(t, other, key).Open([]byte(good), start); err != nil {
		t.Errorf("under a new key beside the old: %v", err)
	}
	byFirst := newTickets(t, other, key).Issue(someone(t, `{}`, start.Add(time.Hour)), start)
	if _, err := newTickets(t, other).Open([]byte(byFirst), start); err != nil {
		t.Errorf("the first key does not sign: %v", err)
	}
	if _, err := identity.NewTickets(&identity.Interner{}, make([]byte, 31)); err == nil {
		t.Error("a short key is taken")
	}
}

func TestTicketTooLarge(t *testing.T) {
	var patterns []string
	for range 64 {
		patterns = append(patterns, `"`+strings.Repeat("x", 200)+`"`)
	}
	large := someone(t, `{"subscribe":[`+strings.Join(patterns, ",")+`]}`, start.Add(time.Hour))
	if ticket := newTickets(t).Issue(large, start); ticket != "" {
		t.Errorf("a ticket of %d bytes", len(ticket))
	}
}

func FuzzOpenTicket(f *testing.F) {
	tickets := newTickets(f)
	good := tickets.Issue(someone(f, `{"subscribe":["a"]}`, start.Add(time.Hour)), start)
	f.Add([]byte(good))
	f.Add([]byte(identity.TicketPrefix + "e30.e30"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if id, err := tickets.Open(text, start); err == nil && string(text) != good {
			t.Errorf("%q is taken for %+v", text, id)
		}
	})
}

func BenchmarkOpenTicket(b *testing.B) {
	tickets := newTickets(b)
	ticket := []byte(tickets.Issue(someone(b, `{"subscribe":["chat.*","room.{user}"],"publish":["chat.*"]}`, start.Add(time.Hour)), start))
	first, _ := tickets.Open(ticket, start) // keeps the grants interned
	b.ReportAllocs()
	for b.Loop() {
		if id, err := tickets.Open(ticket, start); err != nil || id.Grants != first.Grants {
			b.Fatal(err)
		}
	}
}
