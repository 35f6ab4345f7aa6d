// Package monitoring has only tests: those of the files beside it, against a
// running gateway and, where they are installed, Prometheus and promtool.
package monitoring

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/hook"
	"fleetcast/gateway/rules"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// startGateway runs a gateway until the test ends and returns it with the
// address of its admin port.
func startGateway(t *testing.T, set ...func(*gateway.Config)) (g *gateway.Gateway, admin string) {
	t.Helper()
	config := gateway.DefaultConfig(1_000)
	config.Shards = 2
	for _, f := range set {
		f(&config)
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	var running sync.WaitGroup
	running.Go(func() { g.Run() })
	server := httptest.NewServer(g.AdminHandler(gateway.Admin{}))
	t.Cleanup(func() {
		server.Close()
		g.Close()
		running.Wait()
	})
	return g, server.Listener.Addr().String()
}

// asking has a gateway ask a connect hook and a subscribe hook, which let everybody in.
func asking(t *testing.T) func(*gateway.Config) {
	t.Helper()
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"user":"","grants":{"subscribe":["**"]}}`
		if r.URL.Path == "/subscribe" {
			answer = `{"allow":true}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(application.Close)
	return func(c *gateway.Config) {
		connect, subscribe, rooms := hook.DefaultOptions(), hook.DefaultOptions(), "rooms"
		connect.URL, subscribe.URL = application.URL+"/connect", application.URL+"/subscribe"
		c.ConnectHook, c.SubscribeHooks = &connect, map[string]hook.Options{rooms: subscribe}
		c.Channels = []rules.Entry{{Match: "room.**", SubscribeHook: &rooms}}
	}
}

// keepAsking has clients come and go about whom both hooks are asked, until the test ends.
func keepAsking(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	work.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for ; ctx.Err() == nil; <-pace.C {
			conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+g.ClientAddrs()[0].String()+gateway.Path, nil)
			if err != nil {
				continue
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","channel":"room.1"}`))
			for range 2 { // welcome and subscribed
				_, _, _ = conn.ReadMessage()
			}
			conn.Close()
		}
	})
}

// keepBusy has two subscribers, of whom one takes compressed messages, and a
// publisher, so that rates and quantiles have something to tell until the test
// ends.
func keepBusy(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	runtime.GC() // there is no pause to tell of before the first
	var work sync.WaitGroup
	t.Cleanup(work.Wait) // after the sockets are closed
	event := fmt.Sprintf(`{"id":1,"channel":"news","data":%q}`+"\n", strings.Repeat("news and ", 50))
	for i := range 2 {
		dialer := websocket.Dialer{EnableCompression: i == 0}
		url := "ws://" + g.ClientAddrs()[0].String() + gateway.Path
		conn, _, err := dialer.Dial(url, nil)
		if err != nil {
			t.Fatalf("connecting a client: %v", err)
		}
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","channel":"news"}`)); err != nil {
			t.Fatalf("subscribing: %v", err)
		}
		t.Cleanup(func() { conn.Close() })
		work.Go(func() {
			for {
				if _, _, err := conn.ReadMessage(); err != nil {
					return // the test is over
				}
			}
		})
	}
	upstream, err := net.Dial("tcp", g.PublishAddrs()[0].String())
	if err != nil {
		t.Fatalf("connecting a publisher: %v", err)
	}
	t.Cleanup(func() { upstream.Close() })
	work.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for answers := bufio.NewReader(upstream); ; <-pace.C {
			if _, err := io.WriteString(upstream, event); err != nil {
				return
			}
			if _, err := answers.ReadString('\n'); err != nil {
				return
			}
		}
	})
}

// exported are the names of a gateway's series, each with its labels and the
// values that these take.
type exported map[string]map[string]map[string]bool

// scrape asks a gateway which series it exports.
func scrape(t *testing.T, admin string) exported {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("/metrics is answered with %s, parsing it: %v", answer.Status, err)
	}
	all := make(exported)
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			for _, suffix := range suffixes[family.GetType()] {
				all.add(name+suffix, metric)
			}
		}
	}
	return all
}

// suffixes are those of the series of one metric, by its type.
var suffixes = map[dto.MetricType][]string{
	dto.MetricType_COUNTER:   {""},
	dto.MetricType_GAUGE:     {""},
	dto.MetricType_SUMMARY:   {"", "_sum", "_count"},
	dto.MetricType_HISTOGRAM: {"_bucket", "_sum", "_count"},
}

func (e exported) add(name string, metric *dto.Metric) {
	if e[name] == nil {
		e[name] = make(map[string]map[string]bool)
	}
	put := func(label, value string) {
		if e[name][label] == nil {
			e[name][label] = make(map[string]bool)
		}
		e[name][label][value] = true
	}
	for _, pair := range metric.GetLabel() {
		put(pair.GetName(), pair.GetValue())
	}
	for _, q := range metric.GetSummary().GetQuantile() {
		put("quantile", fmt.Sprint(q.GetQuantile()))
	}
}
