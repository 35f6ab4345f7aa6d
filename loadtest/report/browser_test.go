package report_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"fleetcast/gateway/web/browsertest"
	"fleetcast/loadtest"
	"fleetcast/loadtest/report"
)

// painted counts, for each plot, the points that have each series' colour.
const painted = `Object.fromEntries([...document.querySelectorAll(".plot")].map((place) => {
  const canvas = place.querySelector("canvas");
  if (!canvas) return [place.id, {}];
  const points = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const labels = [...place.querySelectorAll(".u-legend .u-label")].slice(1).map((label) => label.textContent);
  return [place.id, Object.fromEntries(labels.map((label, i) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue("--series-" + (i % 8 + 1)).trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    let count = 0;
    for (let p = 0; p < points.length; p += 4)
      if (points[p] === r && points[p + 1] === g && points[p + 2] === b && points[p + 3] === 255) count++;
    return [label, count];
  }))];
}))`

func TestPlotsInBrowser(t *testing.T) {
	t.Parallel() // it waits most of the time
	ctx, console := browsertest.Start(t, "plots are")
	courses := map[string][]string{
		"latency-time": {"p50", "p99", "max"}, "connections-time": {"connected", "wanted"}, "deliveries-time": {"deliveries"},
		"processor-time": {"server", "harness"}, "memory-time": {"server, resident", "kernel, all TCP buffers"},
		"latency-percentiles":   {"all deliveries", "first subscriber", "last subscriber"},
		"handshake-percentiles": {"all connections"},
	}
	inPhases := maps.Clone(courses)
	inPhases["latency-percentiles"] = append(slices.Clone(courses["latency-percentiles"]), "phase calm", "phase stalled", "phase after")
	inPhases["handshake-percentiles"] = []string{"all connections", "phase after"}

	for _, test := range []struct {
		name   string
		result *loadtest.Result
		scheme string
		width  int64
		want   map[string][]string
	}{
		{"full", full(), "light", 1280, courses},
		{"phased", phased(), "dark", 390, inPhases},
		{"minimal", minimal(), "light", 1280, map[string][]string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			show(t, ctx, test.result, test.scheme, test.width)
			got, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]map[string]int](painted))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(test.want) {
				t.Errorf("plots %v", slices.Sorted(maps.Keys(got)))
			}
			for id, labels := range test.want {
				if len(got[id]) != len(labels) {
					t.Errorf("%s has series %v", id, got[id])
				}
				for _, label := range labels {
					if covered(test.name, label) {
						continue
					}
					if got[id][label] < 10 {
						t.Errorf("%s, series %s: %d points are painted in its colour", id, label, got[id][label])
					}
				}
			}
			width, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			if err != nil || width > test.width {
				t.Errorf("the page is %d wide in a window of %d, error %v", width, test.width, err)
			}
			if lines := console.Take(); lines != nil {
				t.Errorf("the console says:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
	t.Run("hostile", func(t *testing.T) {
		show(t, ctx, hostile(), "light", 1280)
		got, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.images.length + 100 * document.querySelectorAll("canvas").length`))
		if err != nil || got != 700 {
			t.Errorf("images + 100 times canvases are %d, error %v", got, err)
		}
		if lines := console.Take(); lines != nil {
			t.Errorf("the console says:\n%s", strings.Join(lines, "\n"))
		}
	})
}

// covered reports whether another series with the same values hides this one.
func covered(result, label string) bool {
	return result == "phased" && label == "all deliveries"
}

// show opens the report on r from disk in a window of the given colour scheme and width.
func show(t *testing.T, ctx context.Context, r *loadtest.Result, scheme string, width int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(file, r); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+path)); err != nil {
		t.Fatal(err)
	}
}
