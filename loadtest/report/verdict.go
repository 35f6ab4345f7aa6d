package report

import (
	"fmt"
	"strings"

	"fleetcast/loadtest"
)

// verdict says whether the run went as it should, in words.
type verdict struct {
	Class    string // of the page's style: good, bad or none
	Headline string
	Text     string
	Faults   []string // what was wrong, with counts
	Notes    []string // the first few faults in detail
}

func judge(r *loadtest.Result) verdict {
	faults := faultLines(r)
	switch {
	case len(faults) == 0 && r.Incomplete != "":
		return verdict{
			Class: "none", Headline: "Incomplete",
			Text: fmt.Sprintf("The run was cut short: %s. No fault was seen until then; %s deliveries were in flight.",
				r.Incomplete, count(r.InFlight)),
			Faults: r.Missed, Notes: r.Detail.Notes,
		}
	case len(faults) == 0 && len(r.Missed) > 0:
		return verdict{
			Class: "bad", Headline: "Thresholds missed",
			Text:   "No fault was seen, but the run is not as it was asked to be.",
			Faults: r.Missed, Notes: r.Detail.Notes,
		}
	case len(faults) > 0:
		return verdict{
			Class: "bad", Headline: "Verification failed",
			Text:   "Something did not go as it should: the figures below are of a run with faults.",
			Faults: faults, Notes: r.Detail.Notes,
		}
	case r.Delivered > 0:
		text := fmt.Sprintf("Every event that was due to a client reached it once, in order and intact: %s events, %s deliveries, %s clients.",
			count(r.Events), count(r.Delivered), count(int64(r.Clients)))
		return verdict{Class: "good", Headline: "Verified", Text: text + gapText(r.Gaps), Notes: r.Detail.Notes}
	case r.Events > 0:
		return verdict{
			Class: "none", Headline: "Nothing was delivered",
			Text:  count(r.Events) + " events were published and no fault was seen, but no client got one." + gapText(r.Gaps),
			Notes: r.Detail.Notes,
		}
	default:
		return verdict{
			Class: "none", Headline: "No events, no faults",
			Text: fmt.Sprintf("%s clients were connected, as many as wanted. Nothing was published, so there was no delivery to verify.",
				count(int64(r.Clients))),
			Notes: r.Detail.Notes,
		}
	}
}

func faultLines(r *loadtest.Result) (lines []string) {
	if r.Incomplete != "" && len(r.Faults()) > 0 {
		lines = append(lines, "The run was cut short: "+r.Incomplete)
	}
	if r.Detail.Ended != "" {
		lines = append(lines, "The run ended early: "+r.Detail.Ended)
	}
	for _, f := range r.Faults() {
		lines = append(lines, fmt.Sprintf("%s: %s", capitalised(f.What), count(f.Count)))
	}
	if len(lines) > 0 {
		lines = append(lines, r.Missed...)
	}
	return lines
}

// gapText speaks of events that the server announced not to deliver.
func gapText(gaps int64) string {
	if gaps == 0 {
		return ""
	}
	return fmt.Sprintf(" The server announced %s deliveries that it would not make (gaps): these do not count as lost.", count(gaps))
}

func capitalised(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
