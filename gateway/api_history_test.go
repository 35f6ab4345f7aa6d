package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
)

// historyPage is a page as the API answers with it.
type historyPage struct {
	Channel string         `json:"channel"`
	Epoch   string         `json:"epoch"`
	Latest  uint64         `json:"latest"`
	Events  []historyEvent `json:"events"`
	More    bool           `json:"more"`
}

type historyEvent struct {
	Offset uint64          `json:"offset"`
	Data   json.RawMessage `json:"data"`
}

func (p *historyPage) String() string {
	var says []string
	for _, e := range p.Events {
		says = append(says, fmt.Sprintf("%d=%s", e.Offset, e.Data))
	}
	says = append(says, fmt.Sprint("latest ", p.Latest))
	if p.More {
		says = append(says, "more")
	}
	return strings.Join(says, " ")
}

func (o *operator) history(path, query string) historyPage {
	o.Helper()
	return answered[historyPage](o, o.get("/api/channels/"+path+"/history?"+query), 200)
}

// operateHistory has a channel's history answer with each status but those for keys.
func (o *operator) operateHistory(channel string) {
	o.Helper()
	path, unknown := "/api/channels/"+channel+"/history", "/api/channels/unknown/history"
	for _, path := range []string{path, path + "?nonsense=1", unknown} {
		o.get(path)
		o.call("DELETE", path, "", "Accept: */*")
	}
	o.call("DELETE", path, "{}", jsonType)
	o.call("GET", path, "", "Sec-Fetch-Site: cross-site")
	o.call("DELETE", path, "", "Sec-Fetch-Site: cross-site")
}

func TestAPIHistory(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.History = rules.History{Events: 5, Age: time.Hour} })
	o, upstream := s.operator(), s.publisher()
	var epoch string
	for _, data := range []string{"1", "2", "3", `"<&>\u2028"`, `{"a": [1, 2 ]}`, "6", "7"} {
		epoch = upstream.publishes("news", data).Epoch
	}
	tests := map[string]string{ // by query
		"":                                  `3=3 4="<&>\u2028" 5={"a": [1, 2 ]} 6=6 7=7 latest 7`,
		"limit=2":                           `6=6 7=7 latest 7 more`,
		"before=5":                          `3=3 4="<&>\u2028" latest 7`,
		"before=7&limit=1":                  `6=6 latest 7 more`,
		"before=1":                          `latest 7`,
		"before=9007199254740991&limit=1":   `7=7 latest 7 more`,
		"since=" + epoch + ":5":             `6=6 7=7 latest 7`,
		"since=" + epoch + ":5&limit=1":     `6=6 latest 7 more`,
		"since=" + epoch + ":0&limit=1":     `3=3 latest 7 more`,
		"since=" + epoch + ":7":             `latest 7`,
		"since=" + epoch + ":8":             `latest 7`,
		"since=other:7&limit=1":             `3=3 latest 7 more`,
		"since=o%3Athe%20r:7&limit=1":       `3=3 latest 7 more`,
		"limit=1000":                        `3=3 4="<&>\u2028" 5={"a": [1, 2 ]} 6=6 7=7 latest 7`,
		"since=" + epoch + ":2&limit=1000":  `3=3 4="<&>\u2028" 5={"a": [1, 2 ]} 6=6 7=7 latest 7`,
		"before=9007199254740991&limit=100": `3=3 4="<&>\u2028" 5={"a": [1, 2 ]} 6=6 7=7 latest 7`,
	}
	for query, want := range tests {
		page := o.history("news", query)
		if got := page.String(); got != want || page.Epoch != epoch || page.Channel != "news" {
			t.Errorf("%s: %s of %s %s\nwant %s of news %s", query, got, page.Channel, page.Epoch, want, epoch)
		}
	}
	head := o.call("HEAD", "/api/channels/news/history", "")
	if head.status != 200 || head.body != "" {
		t.Errorf("HEAD is answered with %d %s", head.status, head.body)
	}
	for _, method := range []string{"POST", "PUT"} {
		reply := o.call(method, "/api/channels/news/history", "", jsonType)
		o.refused(reply, 405, "method_not_allowed", "GET, HEAD, DELETE")
	}
}

// TestAPIHistoryOfOddNames asks for channels whose names need an encoding.
func TestAPIHistoryOfOddNames(t *testing.T) {
	s := start(t)
	o, upstream := s.operator(), s.publisher()
	for name, path := range map[string]string{
		"a/b":      "a%2Fb",
		"a//b/":    "a%2F%2Fb%2F",
		".":        "%2E",
		"..":       "%2e%2e",
		"é&%2F?#":  "%C3%A9%26%252F%3F%23",
		"history":  "history",
		"{name}":   "%7Bname%7D",
		`"<quote>`: "%22%3Cquote%3E",
	} {
		upstream.publishes(name, fmt.Sprintf("%q", name))
		page := o.history(path, "")
		if want := fmt.Sprintf("1=%q latest 1", name); page.Channel != name || page.String() != want {
			t.Errorf("%s: %q, %s", path, page.Channel, page.String())
		}
		if purged := answered[map[string]any](t, o.call("DELETE", "/api/channels/"+path+"/history", "", "Accept: */*"), 200); purged["channel"] != name {
			t.Errorf("%s: %v", path, purged)
		}
	}
}

func TestBadHistoryQueries(t *testing.T) {
	s := start(t)
	o := s.operator()
	s.publisher().publishes("news", "1")
	for query, message := range map[string]string{
		"limit=0":                     "limit must be",
		"limit=1001":                  "limit must be",
		"limit=":                      "limit must be",
		"before=0":                    "before must be",
		"before=":                     "before must be",
		"before=-1":                   "before must be",
		"before=1.5":                  "before must be",
		"before=9007199254740992":     "before must be",
		"before=99999999999999999999": "before must be",
		"since=":                      "since: a position is EPOCH:OFFSET",
		"since=17":                    "since: a position is EPOCH:OFFSET",
		"since=:17":                   "since: a position is EPOCH:OFFSET",
		"since=abc:":                  "since: a position is EPOCH:OFFSET",
		"since=%ff:1":                 "since: a position is EPOCH:OFFSET",
		"since=abc:9007199254740992":  "since: the offset of a position is at most",
		"since=abc:1&before=2":        "exclude each other",
		"since=abc:1&since=abc:2":     "since is repeated",
		"after=1":                     `no query parameter "after"`,
	} {
		o.refused(o.get("/api/channels/news/history?"+query), 400, "bad_request", message)
	}
	for path, message := range map[string]string{
		"%00":                    "control character",
		"a%20b":                  "a space",
		"%ff":                    "UTF-8",
		strings.Repeat("x", 256): "255",
	} {
		o.refused(o.get("/api/channels/"+path+"/history"), 400, "bad_channel", message)
		o.refused(o.call("DELETE", "/api/channels/"+path+"/history", ""), 400, "bad_channel", message)
	}
	o.refused(o.call("DELETE", "/api/channels/news/history?limit=1", ""), 400, "bad_request", `no query parameter "limit"`)
	o.refused(o.call("DELETE", "/api/channels/news/history", "x"), 413, "too_large", "no body")
}

// TestAPIPurge: purging forgets the events, not the position, and says how many those were.
func TestAPIPurge(t *testing.T) {
	s, log := startLogged(t)
	o, upstream := s.operator(), s.publisher()
	first := upstream.publishes("news", "1")
	upstream.publishes("news", "2")
	purge := func(channel string) apiReply { return o.call("DELETE", "/api/channels/"+channel+"/history", "") }
	for _, want := range []float64{2, 0} {
		if purged := answered[map[string]any](t, purge("news"), 200); purged["purged"] != want || purged["channel"] != "news" {
			t.Errorf("purged %v, want %v", purged, want)
		}
	}
	log.await(t, `msg="an operator has purged a channel's history" channel=news events=2`)
	if page := o.history("news", ""); page.String() != "latest 2" || page.Epoch != first.Epoch {
		t.Errorf("a purged channel has %s in epoch %s, want none in %s", page.String(), page.Epoch, first.Epoch)
	}
	if at := upstream.publishes("news", "3"); at.Offset != 3 || at.Epoch != first.Epoch {
		t.Errorf("the next event is at %+v", at)
	}
	if page := o.history("news", "since="+first.Epoch+":0"); page.String() != "3=3 latest 3" {
		t.Errorf("then there is %s", page.String())
	}
	o.refused(purge("unknown"), 404, "not_found", `"unknown"`)
	o.refused(o.get("/api/channels/unknown/history"), 404, "not_found", `"unknown"`)
	if page := o.channels(nil); len(page.Channels) != 1 {
		t.Errorf("the channels are %+v: one was made by asking for it", page.Channels)
	}
}
