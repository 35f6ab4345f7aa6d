package doctor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"fleetcast/cmd/internal/host"
)

// processors checks whether the loops may use the processors they are made for.
func (e *examination) processors() finding {
	f := finding{
		Check:  "processors",
		Source: e.Process("status"),
		Want:   "no quota, or one of a whole number of processors",
		Why:    "serve runs a shard for each processor it may use. A quota is spent by all loops together; when it is, all stand still until the next period, mostly for tens of milliseconds",
		Change: "CPUQuota= in the systemd unit, --cpus in Docker, no resources.limits.cpu in Kubernetes",
	}
	processors, err := e.processorCount()
	if err != nil {
		return f.shut(err)
	}
	f.Found = fmt.Sprintf("%d", processors)
	f.Allows = fmt.Sprintf("%d %s at once", processors, english.PluralWord(processors, "shard that runs", "shards that run"))
	f.Status = statusOK
	quota, file, err := e.processorQuota()
	if err != nil {
		f.Source = file
		return f.shut(err)
	}
	if quota > 0 && quota < float64(processors) {
		f.Source = file
		f.Found = fmt.Sprintf("%d, with a quota of %.2f", processors, quota)
		f.Allows = fmt.Sprintf("the time of %.2f processors", quota)
		f.Status = warnUnless(quota == float64(int(quota)))
	}
	return f
}

// processorCount is how many processors the process may run on.
func (e *examination) processorCount() (int, error) {
	text, err := e.Read(e.Process("status"))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(text, "\nCpus_allowed_list:")
	if !ok {
		return 0, errors.New("it does not say Cpus_allowed_list")
	}
	list, _, _ := strings.Cut(rest, "\n")
	return host.ParseCPUList(list)
}

// processorQuota is the least quota of the process's control groups, in
// processors, and the file that says so; 0 if there is none.
func (e *examination) processorQuota() (quota float64, at string, err error) {
	keep := func(file, used, period string) error {
		limit, err := parseQuota(used, period)
		if err != nil {
			at = file
			return err
		}
		if limit > 0 && (quota == 0 || limit < quota) {
			quota, at = limit, file
		}
		return nil
	}
	for _, file := range e.CgroupFiles("", "cpu.max") {
		text, err := e.Read(file)
		if err != nil {
			continue
		}
		used, period, _ := strings.Cut(strings.TrimSpace(text), " ")
		if err := keep(file, used, period); err != nil {
			return 0, at, err
		}
	}
	for _, file := range e.CgroupFiles("cpu", "cpu.cfs_quota_us") {
		used, err := e.Read(file)
		if err != nil {
			continue
		}
		period, err := e.Read(strings.Replace(file, "quota_us", "period_us", 1))
		if err != nil {
			continue
		}
		if err := keep(file, strings.TrimSpace(used), strings.TrimSpace(period)); err != nil {
			return 0, at, err
		}
	}
	return quota, at, nil
}

// parseQuota divides the time that may be used in a period by the period; 0
// stands for no quota.
func parseQuota(used, period string) (float64, error) {
	limit, err := host.ParseLimit(used)
	if err != nil || limit == host.Unlimited {
		return 0, err
	}
	of, err := host.ParseNumbers(period, 1)
	if err != nil {
		return 0, err
	}
	if of[0] == 0 || limit == 0 {
		return 0, fmt.Errorf("a quota of %d in %d µs cannot be", limit, of[0])
	}
	return float64(limit) / float64(of[0]), nil
}

// swap checks whether memory is on disk.
func (e *examination) swap() finding {
	f := finding{
		Check:  "swap",
		Source: "/proc/meminfo",
		Want:   "none in use",
		Why:    "a loop that waits for a page of its memory from disk serves none of its clients meanwhile",
		Change: "MemorySwapMax=0 in the systemd unit, or swapoff -a",
	}
	text, err := e.Read(f.Source)
	if err != nil {
		return f.shut(err)
	}
	values, err := host.ParseMeminfo(text, "SwapTotal", "SwapFree")
	if err != nil {
		return f.shut(err)
	}
	used := values[0] - min(values[0], values[1])
	f.Found = fmt.Sprintf("%s, of which %s are in use", humanize.IBytes(values[0]), humanize.IBytes(used))
	if values[0] == 0 {
		f.Found = "no swap"
	}
	f.Status = warnUnless(used == 0)
	return f
}

// kernel checks for TCP_NOTSENT_LOWAT, the newest of the features without which
// serve does not start.
func (e *examination) kernel() finding {
	const major, minor = 3, 12
	f := finding{
		Check:  "kernel",
		Source: host.Sysctl("kernel.osrelease"),
		Want:   fmt.Sprintf("%d.%d or newer", major, minor),
		Why:    "serve bounds what the kernel keeps of a client's unsent data (TCP_NOTSENT_LOWAT) and shares a port between shards (SO_REUSEPORT)",
		Change: "a newer kernel",
	}
	text, err := e.Read(f.Source)
	if err != nil {
		return f.shut(err)
	}
	release := strings.TrimSpace(text)
	got, err := parseRelease(release)
	if err != nil {
		return f.shut(err)
	}
	f.Found = release
	f.Status = statusOK
	if got[0] < major || got[0] == major && got[1] < minor {
		f.Status = StatusBad
	}
	return f
}

// parseRelease reads the first two numbers of a release such as 6.1.0-18-amd64.
func parseRelease(release string) (version [2]int, err error) {
	first, rest, _ := strings.Cut(release, ".")
	second := rest
	for i, c := range rest {
		if c < '0' || c > '9' {
			second = rest[:i]
			break
		}
	}
	for i, part := range []string{first, second} {
		if version[i], err = strconv.Atoi(part); err != nil {
			return version, fmt.Errorf("%.40q does not begin with a version", release)
		}
	}
	return version, nil
}
