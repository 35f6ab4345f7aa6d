package proc

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const statLine = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 5 0 98765 1000 200\n"

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte(statLine))
	if want := (stat{'S', 2 * time.Second, 98765}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{
		"", "42", "42 (a", "42 (a)", "42 (a) S 1 2 3",
		strings.Replace(statLine, " 150 ", " x ", 1),
		strings.Replace(statLine, " 50 ", " -50 ", 1),
		strings.Replace(statLine, " 50 ", " 900000000000000000 ", 1),
		strings.Replace(statLine, " 98765 ", " 99999999999999999999 ", 1),
	} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

func TestParseMemory(t *testing.T) {
	const text = "Name:\tVmRSS: 1 kB\nVmPeak:\t  90 kB\nVmHWM:\t    1234 kB\nVmRSS:\t     567 kB\nThreads:\t3\n"
	got, err := parseMemory([]byte(text))
	if want := (Memory{567, 1234}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{
		"empty":       "",
		"no peak":     "VmRSS: 5 kB\n",
		"no resident": "VmHWM: 5 kB\n",
		"no number":   "VmHWM: 5 kB\nVmRSS: x kB\n",
		"negative":    "VmHWM: 5 kB\nVmRSS: -5 kB\n",
		"no unit":     "VmHWM: 5 kB\nVmRSS: 5\n",
		"other unit":  "VmHWM: 5 kB\nVmRSS: 5 MB\n",
		"no value":    "VmHWM: 5 kB\nVmRSS:\n",
	} {
		if got, err := parseMemory([]byte(text)); err == nil {
			t.Errorf("%s gives %+v", name, got)
		}
	}
}

const sockstatText = "sockets: used 12\nTCP: inuse 3 orphan 0 tw 1691 alloc 1 mem 44\nUDP: inuse 9 mem 8\n"

func TestParseSockstat(t *testing.T) {
	got, err := parseSockstat([]byte(sockstatText), "TCP", 4096)
	if want := (SocketUse{3, 176}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	got, err = parseSockstat([]byte("TCP6: inuse 7\n"), "TCP6", 4096)
	if want := (SocketUse{7, 0}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{
		"", "TCP6: inuse 1\n", "TCP: inuse\n", "TCP: inuse x\n", "TCP: inuse -1\n", "TCP: mem 9999999999999\n",
	} {
		if got, err := parseSockstat([]byte(text), "TCP", 4096); err == nil {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

const tcpHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// The words of addresses are as a little-endian machine writes them.
const tcpText = tcpHead +
	"   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1139 1 00000000dd633a34 100 0 0 10 0\n" +
	"   1: 0100007F:BD82 0100007F:883B 01 00000000:00000000 03:00001592 00000000     0        0 99 3 00000000a0810414\n" +
	"   2: 0201007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1140 1 00000000dd633a34\n" +
	"   3: B80D0120000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1141 1 00000000dd633a34\n" +
	"   4: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1142 1 00000000dd633a34\n"

func TestParseTCP(t *testing.T) {
	if !littleEndian() {
		t.Skip("the fixture is of a little-endian machine")
	}
	got, err := parseTCP([]byte(tcpText))
	want := []listening{
		{netip.MustParseAddrPort("0.0.0.0:2024"), 1139},
		{netip.MustParseAddrPort("127.0.1.2:8080"), 1140},
		{netip.MustParseAddrPort("[2001:db8::1]:8081"), 1141},
		{netip.MustParseAddrPort("[::ffff:127.0.0.1]:8082"), 1142},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := parseTCP([]byte(tcpHead)); err != nil || len(got) > 0 {
		t.Errorf("an empty table gives %v, %v", got, err)
	}
	row := strings.TrimPrefix(strings.SplitAfter(tcpText, "\n")[1], " ")
	for name, text := range map[string]string{
		"cut":          row[:40],
		"no port":      strings.Replace(row, ":07E8", "", 1),
		"bad port":     strings.Replace(row, ":07E8", ":07X8", 1),
		"long port":    strings.Replace(row, ":07E8", ":107E8", 1),
		"odd address":  strings.Replace(row, " 00000000:", " 0000000:", 1),
		"long address": strings.Replace(row, " 00000000:", " 0000000000:", 1),
		"no hex":       strings.Replace(row, " 00000000:", " 0000000g:", 1),
		"bad inode":    strings.Replace(row, " 1139 ", " -1139 ", 1),
	} {
		if got, err := parseTCP([]byte(tcpHead + text)); err == nil {
			t.Errorf("%s gives %v", name, got)
		}
	}
}

func littleEndian() bool {
	addr, err := parseHexAddr([]byte("0100007F:0001"))
	return err == nil && addr.Addr() == netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// The kernel gives a connection to the socket whose address fits best.
func TestReached(t *testing.T) {
	socket := func(inode int64, addr string) listening {
		return listening{netip.MustParseAddrPort(addr), inode}
	}
	exact, shared := socket(1, "127.0.0.1:80"), socket(2, "127.0.0.1:80")
	mapped := socket(3, "[::ffff:127.0.0.1]:80")
	any4, any6 := socket(4, "0.0.0.0:80"), socket(5, "[::]:80")
	elsewhere := []listening{socket(6, "127.0.0.1:81"), socket(7, "127.0.0.2:80"), socket(8, "[::2]:80")}
	tests := []struct {
		name    string
		sockets []listening
		to      string
		want    []int64
	}{
		{"none", nil, "127.0.0.1:80", nil},
		{"exact before any", []listening{any4, any6, exact}, "127.0.0.1:80", []int64{1}},
		{"shared port", []listening{exact, any4, shared}, "127.0.0.1:80", []int64{1, 2}},
		{"mapped", []listening{mapped, any4}, "127.0.0.1:80", []int64{3}},
		{"own family before both", []listening{any6, any4}, "127.0.0.1:80", []int64{4}},
		{"both families", []listening{any6}, "127.0.0.1:80", []int64{5}},
		{"v6", []listening{any6, any4, exact}, "[::1]:80", []int64{5}},
		{"v6 is not v4", []listening{any4, exact, mapped}, "[::1]:80", nil},
	}
	for _, test := range tests {
		inodes := reached(append(test.sockets, elsewhere...), netip.MustParseAddrPort(test.to))
		var got []int64
		for inode := range inodes {
			got = append(got, inode)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestParseModel(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD  EPYC 9: x\nmodel name\t: other\n": "AMD EPYC 9: x",
		"model name\n": "",
	} {
		if got := parseModel([]byte(text)); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestProcessCPUSince(t *testing.T) {
	const ms = time.Millisecond
	threads := func(name string, used time.Duration) map[string]time.Duration {
		return map[string]time.Duration{name: used}
	}
	for name, test := range map[string]struct {
		from, to processCPU
		want     time.Duration
	}{
		"fine":            {processCPU{10 * ms, threads("1", 11*ms)}, processCPU{20 * ms, threads("1", 18*ms)}, 7 * ms},
		"new thread":      {processCPU{10 * ms, nil}, processCPU{20 * ms, threads("1", 8*ms)}, 8 * ms},
		"thread ended":    {processCPU{10 * ms, threads("1", 11*ms)}, processCPU{20 * ms, threads("2", 3*ms)}, 10 * ms},
		"came and went":   {processCPU{10 * ms, threads("1", 11*ms)}, processCPU{90 * ms, threads("1", 18*ms)}, 80 * ms},
		"no fine account": {processCPU{10 * ms, nil}, processCPU{20 * ms, nil}, 10 * ms},
	} {
		if got := test.to.since(test.from); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A number that now belongs to another process must not pass for the old one.
func TestReusedNumber(t *testing.T) {
	g, err := Open(1)
	if err != nil {
		t.Fatal(err)
	}
	g.processes[0].started++
	if _, err := g.CPU(); err == nil || err.Error() != "process 1 has ended" {
		t.Errorf("a process that started at another time: %v", err)
	}
}

// FuzzParse feeds what a file may hold to all parsers: none may panic, and
// numbers are never negative.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{statLine, sockstatText, tcpText, "VmHWM: 5 kB\nVmRSS: 4 kB\n", "model name : x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseMemory(text); m.ResidentKB < 0 || m.PeakKB < 0 || err != nil && m != (Memory{}) {
			t.Errorf("memory %+v, %v", m, err)
		}
		if use, err := parseSockstat(text, "TCP", 64<<10); use.BufferKB < 0 || use.InUse < 0 || err != nil && use != (SocketUse{}) {
			t.Errorf("sockets %+v, %v", use, err)
		}
		if s, err := parseStat(text); err != nil && s != (stat{}) || err == nil && s.used < 0 {
			t.Errorf("stat %+v, %v", s, err)
		}
		if sockets, err := parseTCP(text); err != nil && sockets != nil {
			t.Errorf("sockets %v, %v", sockets, err)
		}
		parseModel(text)
	})
}
