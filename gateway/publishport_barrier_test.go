package gateway_test

import (
	"context"
	"strings"
	"testing"

	"fleetcast/gateway/publisher"
)

// A line with nothing but an id asks whether those before it were handled. Its
// refusal is the answer, and no error to be alarmed about; any other is.
func TestBarriersAreNoErrors(t *testing.T) {
	s := start(t)
	p := s.publisher()
	p.sends(`{"id":1}` + "\n")
	if line := p.line(); !strings.Contains(line, `"id":1,"error":{"code":"bad_request"`) {
		t.Errorf("answered with %s", line)
	}
	client, err := publisher.Dial(t.Context(), s.publishAddr())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 3 {
		if err := client.Send(ctx, "news", []byte("1")); err != nil {
			t.Fatal(err)
		}
		if err := client.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if errors := s.stats().Publish.Errors; len(errors) > 0 {
		t.Errorf("errors %v", errors)
	}
	for _, line := range []string{`{"id":2,"data":1}`, `{"id":3,"id":3}`, `{}`, `{"id":-1}`} {
		p.sends(line + "\n")
		p.line()
	}
	if n := s.stats().Publish.Errors["bad_request"]; n != 4 {
		t.Errorf("%d errors, want 4", n)
	}
}
