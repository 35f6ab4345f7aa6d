package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestPageRoundTrip has the client's message and the page of programs have the same events.
func TestPageRoundTrip(t *testing.T) {
	for _, test := range []struct {
		page Page
		want string // the members behind the epoch
	}{
		{Page{}, `"latest":0,"events":[],"more":false}`},
		{Page{Latest: 7, More: true, Events: []PageEvent{{6, []byte(`{"a":[1, 2]}`)}, {7, []byte(`"x"`)}}},
			`"latest":7,"events":[{"offset":6,"data":{"a":[1, 2]}},{"offset":7,"data":"x"}],"more":true}`},
	} {
		if got, want := string(AppendPage(nil, `a"b`, "abc", &test.page)), `{"channel":"a\"b","epoch":"abc",`+test.want; got != want {
			t.Errorf("the page is %s\nwant %s", got, want)
		}
		text := AppendHistory(nil, NewID(5), `a"b`, "abc", &test.page)
		if want := `{"type":"history","id":5,"channel":"a\"b","epoch":"abc",` + test.want; string(text) != want {
			t.Errorf("the message is %s\nwant %s", text, want)
		}
		var m ServerMessage
		if err := m.Parse(text); err != nil {
			t.Fatal(err)
		}
		var got []PageEvent
		if err := m.EachEvent(func(offset uint64, data []byte) error {
			got = append(got, PageEvent{offset, data})
			return nil
		}); err != nil {
			t.Error(err)
		}
		if m.Latest != test.page.Latest || fmt.Sprint(got) != fmt.Sprint(test.page.Events) || m.More != test.page.More {
			t.Errorf("read back: %d %v", m.Latest, got)
		}
	}
}

func TestEachEvent(t *testing.T) {
	for events, want := range map[string]string{
		`[]`: "",
		`[ {"data" : null, "offset":1, "later":{}} ]`: "1=null",
		`[{"offset":1,"data":1},{"offset":2}]`:        "1=1 error",
		`[{"offset":1}]`:                              "error",
		`[{"data":1}]`:                                "error",
		`[{"offset":0,"data":1}]`:                     "error",
		`[{"offset":"1","data":1}]`:                   "error",
		`[1]`:                                         "error",
		`[[]]`:                                        "error",
		`[null]`:                                      "error",
		`[{"offset":1,"data":"stop"},{"offset":2,"data":"b"}]`: `1="stop" stopped`,
	} {
		m := ServerMessage{Events: []byte(events)}
		var got []string
		stop := errors.New("stopped")
		switch err := m.EachEvent(func(offset uint64, data []byte) error {
			got = append(got, fmt.Sprintf("%d=%s", offset, data))
			if string(data) == `"stop"` {
				return stop
			}
			return nil
		}); err {
		case nil:
		case stop:
			got = append(got, "stopped")
		default:
			got = append(got, "error")
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", events, got, want)
		}
	}
}
