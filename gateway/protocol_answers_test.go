package gateway_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"fleetcast/gateway"
)

// rowOfAnswers is a row of the table of answers in docs/protocol.md. The channel has events up to
// latestOfTable.
type rowOfAnswers struct {
	start     string // a member of the command; EPOCH stands for the channel's
	histories []func(*gateway.Config)
	rest      string // of the reply, from its offset on
	gap       string // that comes first
	from, to  uint64 // the events that come next; 0: none
}

const latestOfTable = 40

func off(c *gateway.Config)      { c.History = gateway.History{} }
func noMemory(c *gateway.Config) { c.HistoryMemory = 0 }

var (
	rowOfSince = regexp.MustCompile("^`since` ([0-9]+)")
	rowOfLast  = regexp.MustCompile("^`last` ([0-9]+)$")
	spanOfRow  = regexp.MustCompile(`(a gap from )?([0-9]+) to ([0-9]+)`)
)

// answers reads the table.
func answers(t *testing.T) (rows map[string]rowOfAnswers) {
	t.Helper()
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n### Every answer\n")
	_, table, _ = strings.Cut(table, "\n| --- ")
	table, _, _ = strings.Cut(table, "\n\n")
	rows = map[string]rowOfAnswers{}
	for _, line := range strings.Split(table, "\n")[1:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 7 {
			t.Fatalf("%d cells in %s", len(cells), line)
		}
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		rows[cells[0]+", "+cells[1]] = rowOfAnswers{
			start: startOfRow(t, cells[0]), histories: historiesOfRow(t, cells[1]), rest: replyOfRow(cells[2:6]),
		}.with(t, cells[6])
	}
	return rows
}

func startOfRow(t *testing.T, asked string) string {
	if match := rowOfSince.FindStringSubmatch(asked); match != nil {
		return `,"since":{"epoch":"EPOCH","offset":` + match[1] + `}`
	}
	if match := rowOfLast.FindStringSubmatch(asked); match != nil {
		return `,"last":` + match[1]
	}
	switch asked {
	case "`since` of another epoch":
		return `,"since":{"epoch":"other","offset":17}`
	case "neither":
		return ""
	}
	t.Fatalf("what is %q?", asked)
	return ""
}

// historiesOfRow are the configurations with which the gateway keeps what the row says.
func historiesOfRow(t *testing.T, kept string) []func(*gateway.Config) {
	if match := spanOfRow.FindStringSubmatch(kept); match != nil && match[3] == strconv.Itoa(latestOfTable) {
		first, _ := strconv.Atoi(match[2])
		return []func(*gateway.Config){keeps(latestOfTable + 1 - first)}
	}
	switch kept {
	case "any or none":
		return []func(*gateway.Config){keeps(100), keeps(1), off}
	case "none, or the history is off", "none of them, or the history is off":
		return []func(*gateway.Config){noMemory, off}
	}
	t.Fatalf("how is %q kept?", kept)
	return nil
}

func replyOfRow(cells []string) string {
	rest := `"offset":` + cells[0]
	if cells[1] != "" {
		rest += `,"recovered":` + strings.Trim(cells[1], "`")
	}
	if match := spanOfRow.FindStringSubmatch(cells[2]); match != nil {
		rest += `,"lost":{"from":` + match[2] + `,"to":` + match[3] + `}`
	}
	if cells[3] != "" {
		rest += `,"latest":` + cells[3]
	}
	return rest + "}"
}

// with reads what comes before the live events.
func (a rowOfAnswers) with(t *testing.T, before string) rowOfAnswers {
	found := spanOfRow.FindAllStringSubmatch(before, -1)
	if len(found) == 0 && !strings.HasPrefix(before, "nothing") {
		t.Fatalf("what comes with %q?", before)
	}
	for _, match := range found {
		if match[1] != "" {
			a.gap = `{"type":"gap","channel":"news","from":` + match[2] + `,"to":` + match[3] + `}`
			continue
		}
		a.from, _ = strconv.ParseUint(match[2], 10, 64)
		a.to, _ = strconv.ParseUint(match[3], 10, 64)
	}
	return a
}

// TestEveryAnswer has a gateway give each answer of the table in docs/protocol.md.
func TestEveryAnswer(t *testing.T) {
	rows := answers(t)
	if len(rows) != 10 {
		t.Errorf("the table has %d different rows", len(rows))
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			for _, history := range row.histories {
				row.isGiven(t, history)
			}
		})
	}
}

func (a rowOfAnswers) isGiven(t *testing.T, history func(*gateway.Config)) {
	s := start(t, history)
	p := s.publisher()
	epoch := ""
	for n := 1; n <= latestOfTable; n++ {
		epoch = p.publishes("news", strconv.Itoa(n)).Epoch
	}
	c := s.connect()
	c.says(`{"type":"subscribe","channel":"news"` + strings.Replace(a.start, "EPOCH", epoch, 1) + `}`)
	c.wants(fmt.Sprintf(`{"type":"subscribed","channel":"news","epoch":%q,`, epoch) + a.rest)
	if a.gap != "" {
		c.wants(a.gap)
	}
	for n := a.from; n > 0 && n <= a.to; n++ {
		c.wants(event("news", n, strconv.FormatUint(n, 10)))
	}
	p.publishes("news", `"live"`)
	c.wants(event("news", latestOfTable+1, `"live"`))
}
