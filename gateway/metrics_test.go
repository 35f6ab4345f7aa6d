package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"fleetcast/gateway"
)

// scrape asks for the metrics and returns the text.
func scrape(t *testing.T, handler http.Handler) string {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
	if kind := answer.Header().Get("Content-Type"); answer.Code != http.StatusOK || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Fatalf("/metrics is answered with %d %s %.300q", answer.Code, kind, answer.Body)
	}
	return answer.Body.String()
}

// series returns the gateway's own series and their values.
func series(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values := make(map[string]float64)
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "fleetcast_") {
			continue
		}
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		values[strings.TrimPrefix(name, "fleetcast_")] = value
	}
	return values
}

// metricTypes returns the type of each metric.
func metricTypes(text string) map[string]string {
	types := make(map[string]string)
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
			types[words[2]] = words[3]
		}
	}
	return types
}

// TestMetrics does some of each and knows every series there is. So it also sees
// that channels and clients have none of their own.
func TestMetrics(t *testing.T) {
	patterns, err := gateway.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(c *gateway.Config) {
		c.MaxClients, c.MaxPublishers, c.MaxChannels, c.Credits = 11, 12, 13, 1<<20
		c.ClientPublish, c.MaxSubscriptions = patterns, 14
	})
	one, two := s.connect(), s.connect()
	one.subscribe("news")
	two.subscribe("news")
	one.subscribe("other")
	one.says("nonsense")
	one.text()
	upstream := s.publisher()
	for i := range 4 {
		upstream.publishes("news", "12345")
		one.wants(event("news", uint64(i+1), "12345"))
		two.wants(event("news", uint64(i+1), "12345"))
	}
	two.says(`{"type":"publish","channel":"nobody","data":1}`)
	two.says(`{"type":"publish","channel":"nobody","data":1}`)
	two.says(ping)
	for decode[message](t, two.text()).Type != "pong" {
	}
	upstream.sends("x\n{\"channel\":\"\",\"data\":1}\n")
	upstream.line()
	upstream.line()
	refused := s.dialRaw()
	refused.sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	refused.refused(404, "", "")
	leaver := s.connect()
	leaver.sends(clientFrame(ws.OpClose, true, ""))
	leaver.frame()
	leaver.Close()
	stats := s.eventually("the end of two", func(g gateway.GatewayStats) bool { return g.Total.Connections == 2 })

	want := map[string]float64{
		"client_connections": 2, "client_connections_limit": 11, "clients": 2, "subscriptions": 3, "subscriptions_limit": 14,
		"streams": 3, "streams_limit": 13, "streams_unused": 1, "users_blocked": 0, "streams_evicted_total": 0, "history_events": 6, "history_bytes": float64(stats.Publish.HistoryBytes), "history_limit_bytes": gateway.DefaultHistoryMemory, "history_evicted_total": 0, "subscriptions_catching_up": 0, "recovered_events_total": 0, "history_framed_events_total": 0, "events_unkept_total": 0, "backlog_bytes": 0, "client_connections_accepted_total": 4,
		"idempotency_texts": 0, "idempotency_texts_evicted_total": 0, "publish_duplicates_total": 0, "client_duplicate_events_total": 0,
		"connects_queued": 0, "connects_queued_limit": 0, "handshakes_deciding": 0, "tokens_accepted_total": 0, "token_verifications_total": 0, "token_verifications_waiting": 0,
		"token_cache_hits_total": 0, "token_cache_misses_total": 0, "token_cache_entries": 0, "token_cache_bytes": 0, "token_key_fetches_total": 0,
		"token_key_fetch_failures_total": 0, "token_issuers_failing": 0, "token_issuers_without_keys": 0,
		"connect_hook_in_flight": 0, "connect_hook_waiting": 0, "connect_hook_open": 0, "connect_hook_opened_total": 0,
		"client_addresses": 0, "client_addresses_unknown_total": 0,
		"client_messages_total": 7, "client_published_events_total": 2,
		"log_lines_lost_total": 0, "deliveries_total": 8, "fan_out_cuts_total": 0, "dropped_events_total": 0, "gaps_total": 0,
		"client_input_bytes": 0, "client_context_bytes": 0, "publish_input_bytes": 0, "input_memory_limit_bytes": gateway.DefaultInputMemory, "backlog_memory_bytes": 0, "backlog_memory_limit_bytes": 1 << 30,
		"shards": float64(len(stats.Shards)), "shard_mailbox_depth": 0, "shard_queued_events": 0, "clients_lagging": 0, "clients_paused": 0,
		"clients_compressed": 0, "compressed_events_total": 0, "compression_input_bytes_total": 0, "compression_output_bytes_total": 0, "read_cuts_total": 0, "throttles_total": 0,
		"publishers": 1, "publishers_paused": 0, "credit_wait_seconds_total": 0, "publishers_limit": 12,
		"credits_used_bytes": 0, "credits_limit_bytes": 1 << 20,
		"publish_requests_total": 4, "publish_events_total": 4, "publish_read_cuts_total": 0,
		// These depend on which shard the kernel gives a client to, on how replies
		// meet in one write, or on the length of texts.
		"shard_channels": float64(stats.Total.Channels), "shard_events_total": float64(stats.Total.Events),
		"writes_total": float64(stats.Total.Writes), "client_received_bytes_total": float64(stats.Total.BytesIn),
		"client_sent_bytes_total":      float64(stats.Total.BytesOut),
		"publish_received_bytes_total": float64(stats.Publish.BytesIn), "publish_reply_bytes_total": float64(stats.Publish.BytesOut),
	}
	for metric, values := range map[string]map[string]float64{
		"admin_refused_total{reason": {"forbidden_host": 0, "forbidden_origin": 0, "too_large": 0, "not_available": 0, "authentication_required": 0, "invalid_key": 0, "other_scope": 0,
			"tls": 0, "malformed_request": 0, "bad_http_version": 0, "head_too_large": 0},
		"recoveries_total{outcome":      {"recovered": 0, "lost": 0, "unknown": 0, "rewound": 0},
		"publishers_ended_total{reason": {"silent": 0, "unfinished": 0, "replaced": 0, "input_full": 0, "no_key": 0},
		"client_disconnects_total{reason": {"message_timeout": 0, "input_full": 0, "client_closed": 1, "client_vanished": 0, "handshake_failed": 1, "http_request": 0, "protocol_error": 0,
			"message_too_big": 0, "slow_consumer": 0, "backlogs_full": 0, "ping_timeout": 0, "send_timeout": 0, "draining": 0, "disconnected": 0, "unauthenticated": 0, "token_expired": 0},
		"handshake_failures_total{reason": {"malformed_request": 0, "tls": 0, "proxy_header": 0, "bad_http_version": 0, "bad_method": 0, "not_found": 0, "not_websocket": 1,
			"bad_host": 0, "no_upgrade": 0, "bad_version": 0, "bad_key": 0, "unexpected_body": 0, "forbidden_origin": 0, "forbidden_host": 0,
			"head_too_large": 0, "target_too_long": 0, "too_slow": 0, "full": 0, "draining": 0, "http_busy": 0, "vanished": 0,
			"connect_rate": 0, "address_full": 0, "address_rate": 0, "bad_proxy_header": 0, "input_full": 0,
			"undecided": 0, "decisions_full": 0, "decider_failed": 0, "refused": 0,
			"token_refused": 0, "identity_unavailable": 0, "bad_credentials": 0, "user_blocked": 0, "user_full": 0, "user_rate": 0},
		"tokens_refused_total{reason": {"token_malformed": 0, "token_invalid": 0, "token_unknown_key": 0, "token_unknown_issuer": 0, "token_expired": 0,
			"token_not_yet_valid": 0, "token_no_expiry": 0, "token_wrong_audience": 0, "token_too_large": 0, "token_bad_claims": 0, "token_wrong_use": 0,
			"ticket_invalid": 0, "ticket_expired": 0, "verification_busy": 0, "keys_unavailable": 0},
		"connect_hook_requests_total{outcome": {"allowed": 0, "refused": 0, "hook_busy": 0, "hook_timeout": 0, "hook_failed": 0, "hook_open": 0, "hook_cancelled": 0},
		"publish_errors_total{code":           {"bad_request": 1, "bad_channel": 1, "limit_exceeded": 0, "permission_denied": 0, "rate_limited": 0, "not_available": 0, "internal": 0, "authentication_required": 0, "invalid_key": 0, "conflict": 0},
		"client_command_errors_total{code": {"bad_request": 1, "unknown_type": 0, "bad_channel": 0, "already_subscribed": 0,
			"not_subscribed": 0, "permission_denied": 0, "limit_exceeded": 0, "rate_limited": 0, "not_available": 0, "internal": 0,
			"authentication_required": 0, "conflict": 0, "token_refused": 0, "identity_unavailable": 0, "user_blocked": 0, "user_full": 0, "user_rate": 0},
		"publishers_refused_total{reason": {"full": 0, "draining": 0},
	} {
		for label, value := range values {
			want[fmt.Sprintf("%s=%q}", metric, label)] = value
		}
	}
	got := series(t, scrape(t, s.AdminHandler(gateway.Admin{})))
	// Times differ from run to run, the number of events does not.
	if got["publish_to_write_seconds_count"] != want["shard_events_total"] {
		t.Errorf("%v events were timed, want %v", got["publish_to_write_seconds_count"], want["shard_events_total"])
	}
	if got["shard_turn_seconds_count"] == 0 || got["shard_turn_seconds_sum"] == 0 {
		t.Error("no turn was timed")
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return strings.HasPrefix(name, "publish_to_write_seconds_") || strings.HasPrefix(name, "shard_turn_seconds_") || strings.HasPrefix(name, "connect_hook_seconds_")
	})
	if !maps.Equal(got, want) {
		t.Errorf("the series are\n%v, want\n%v", got, want)
	}
}

func TestMetricsFollowConventions(t *testing.T) {
	text := scrape(t, start(t).AdminHandler(gateway.Admin{}))
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	for _, name := range []string{"go_goroutines", "go_build_info", "process_open_fds"} {
		if metricTypes(text)[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestMetricsAreDocumented compares docs/operations.md with a running gateway:
// each metric must have a row with its type, and each row a metric.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `fleetcast_") {
			rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for name, kind := range metricTypes(scrape(t, start(t, newRoomHook(t).decides).AdminHandler(gateway.Admin{}))) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue // the client library's own; a row for each kind
		}
		documented, ok := rows[name]
		delete(rows, name)
		switch {
		case !ok:
			t.Errorf("%s is not documented", name)
		case documented != kind:
			t.Errorf("%s is documented as %q, is a %s", name, documented, kind)
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
}

// TestMetricsOfStalledLoops has shards that do not answer: the scrape fails in
// time, says which one it is, and works again when they do.
func TestMetricsOfStalledLoops(t *testing.T) {
	s := start(t)
	handler := s.MetricsWithin(20 * time.Millisecond)
	goOn := s.StallShards()
	var scrapes sync.WaitGroup
	for range 4 {
		scrapes.Go(func() {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
			const want = "no metrics: ask shard 0 for its counters: context deadline exceeded\n"
			if answer.Code != http.StatusServiceUnavailable || answer.Body.String() != want {
				t.Errorf("/metrics is answered with %d %q", answer.Code, answer.Body)
			}
		})
	}
	scrapes.Wait()
	goOn()
	s.stats() // they have gone on
	scrape(t, s.AdminHandler(gateway.Admin{}))
}

// TestConcurrentScrapes has several scrapers while events flow and clients come
// and go. No scraper may see a counter go back.
func TestConcurrentScrapes(t *testing.T) {
	const scrapers, scrapesEach, events = 4, 25, 300
	s := start(t)
	handler := s.AdminHandler(gateway.Admin{})
	subscriber, upstream := s.connect(), s.publisher()
	subscriber.subscribe("news")
	var work sync.WaitGroup
	for range scrapers {
		work.Go(func() {
			last := make(map[string]float64)
			for range scrapesEach {
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/metrics", nil))
				if answer.Code != http.StatusOK {
					t.Errorf("/metrics is answered with %d %.200q", answer.Code, answer.Body)
					return
				}
				now := series(t, answer.Body.String())
				for name, before := range last {
					if strings.Contains(name, "_total") && now[name] < before {
						t.Errorf("%s went from %v to %v", name, before, now[name])
					}
				}
				last = now
			}
		})
	}
	for i := range events {
		upstream.publishes("news", "1")
		subscriber.wants(event("news", uint64(i+1), "1"))
		if i%10 == 0 {
			s.connect().Close()
		}
	}
	work.Wait()
	if got := series(t, scrape(t, handler))["deliveries_total"]; got != events {
		t.Errorf("%v deliveries are counted, want %d", got, events)
	}
}
