package loadtest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleetcast/loadtest"
)

// Events of an HTTP profile go to the host of the URL, and its header fields to
// nobody else by a redirect.
func TestHTTPGoesNowhereElse(t *testing.T) {
	var strangers atomic.Int64
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { strangers.Add(1) }))
	defer stranger.Close()
	fake, common := startCentrifugo(t, accepted)
	fake.redirect = stranger.URL
	run := func(publish string) *loadtest.Result {
		common.Publish, common.Stall = publish, 5*time.Second
		return scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: common, Clients: 3, Traffic: loadtest.Traffic{Events: 5, Window: 5}})
	}
	r := run("")
	check(t, r, counts{clients: 3, delivered: 15})
	if r.Run.Publish != strings.Replace(common.URL, "ws", "http", 1) {
		t.Errorf("published to %q with clients at %q", r.Run.Publish, common.URL)
	}
	r = run(fake.api.URL + "/moved")
	if r.Delivered != 0 || r.Detail.Rejected != 5 {
		t.Errorf("%d events reached somebody and %d were rejected by way of a redirect", r.Delivered, r.Detail.Rejected)
	}
	noted(t, r, "which is not followed")
	if n := strangers.Load(); n > 0 {
		t.Errorf("another host got %d requests", n)
	}
}

// The publish port is at the host of the URL.
func TestPublishPortIsAtTheHostOfTheURL(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.77" // where nobody listens on port 8082
	s := startFaulty(t, &faultyServer{fault: faithful, host: host})
	c := common(s)
	c.Publish = ""
	_, err := loadtest.RunFanout(t.Context(), loadtest.Fanout{Common: c})
	if err == nil || !strings.Contains(err.Error(), host+":8082") {
		t.Errorf("got %v", err)
	}
}
