package docs_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"fleetcast/codec/testrun"
)

type kubernetesProbe struct {
	HTTPGet struct {
		Path string `yaml:"path"`
		Port string `yaml:"port"`
	} `yaml:"httpGet"`
}

// deployment is what the test uses of the manifest's Deployment.
type deployment struct {
	Kind string `yaml:"kind"`
	Spec struct {
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args []string `yaml:"args"`
					Env  []struct {
						Name string `yaml:"name"`
						From struct {
							Secret struct {
								Name string `yaml:"name"`
								Key  string `yaml:"key"`
							} `yaml:"secretKeyRef"`
						} `yaml:"valueFrom"`
					} `yaml:"env"`
					Ports []struct {
						Name string `yaml:"name"`
						Port int    `yaml:"containerPort"`
					} `yaml:"ports"`
					Startup   kubernetesProbe `yaml:"startupProbe"`
					Readiness kubernetesProbe `yaml:"readinessProbe"`
					Liveness  kubernetesProbe `yaml:"livenessProbe"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

// asked sends a GET, which may name another host, and returns the status.
func asked(t *testing.T, url, host string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Errorf("probe: %v", err)
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// checkReachable has the program check the arguments of serve as they are, at addresses that
// other machines can reach. Without what says who clients are, or who publishes, they are refused.
func checkReachable(t *testing.T, fleetcast string, args, variables []string) {
	t.Helper()
	check := func(args []string) (string, error) {
		cmd := exec.Command(fleetcast, append([]string{"config", "--check"}, args...)...)
		cmd.Env = append(os.Environ(), variables...)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	if args[0] != "serve" {
		t.Fatalf("the command is %s", args[0])
	}
	if output, err := check(args[1:]); err != nil && !strings.Contains(output, "descriptor limit") { // of this machine
		t.Errorf("the arguments are refused: %v: %s", err, output)
	}
	for _, closes := range []string{"--token-secret=", "--publish-keys=", "--admin-keys="} {
		without := slices.DeleteFunc(slices.Clone(args[1:]), func(arg string) bool { return strings.HasPrefix(arg, closes) })
		if output, err := check(without); err == nil || len(without) != len(args)-2 || !strings.Contains(output, "which other machines can reach") {
			t.Errorf("without %s: %v: %s", closes, err, output)
		}
	}
}

// TestKubernetes runs the program with the arguments of the manifest's container and the
// variables that its Services bring, and does what a kubelet does.
func TestKubernetes(t *testing.T) {
	t.Parallel() // it waits most of the time
	fleetcast := program(t, "fleetcast")
	block := regexp.MustCompile("(?s)<!-- kubernetes -->\n```yaml\n(.*?)```").FindStringSubmatch(read(t, "kubernetes.md"))
	if block == nil {
		t.Fatal("the page has no manifest")
	}
	parts := strings.Split(block[1], "---\n")
	for _, part := range parts {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(part), &any); err != nil || any["kind"] == nil {
			t.Errorf("a part of the manifest is no object: %v", err)
		}
	}
	var d deployment
	if err := yaml.Unmarshal([]byte(parts[0]), &d); err != nil || d.Kind != "Deployment" || len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("the first part is no Deployment of one container: %v, %+v", err, d)
	}
	container := d.Spec.Template.Spec.Containers[0]
	var secrets []string // variables that the manifest takes from a Secret
	for _, v := range container.Env {
		if v.From.Secret.Name == "" || v.From.Secret.Key == "" {
			t.Errorf("the variable %s is from no Secret", v.Name)
		}
		secrets = append(secrets, v.Name+"="+testrun.Secret+"32 bytes at least")
	}
	checkReachable(t, fleetcast, container.Args, secrets)
	args := strings.Join(container.Args, "\n")
	delay, err := time.ParseDuration(regexp.MustCompile(`--shutdown-delay=(\S+)`).FindStringSubmatch(args)[1])
	if err != nil {
		t.Fatal(err)
	}
	const drainTimeout = 30 * time.Second // by default
	if grace := time.Duration(d.Spec.Template.Spec.Grace) * time.Second; grace <= delay+drainTimeout {
		t.Errorf("the grace period is %v, the gateway may take %v", grace, delay+drainTimeout)
	}

	free, ports := freePorts(t, 3), map[string]string{}
	for i, port := range container.Ports {
		at := regexp.MustCompile(`0\.0\.0\.0:` + regexp.QuoteMeta(strconv.Itoa(port.Port)))
		if !at.MatchString(args) {
			t.Fatalf("no argument opens the port %s", port.Name)
		}
		args = at.ReplaceAllString(args, "127.0.0.1:"+free[i])
		ports[port.Name] = free[i]
	}
	const shorter = 3 * time.Second
	args = strings.Replace(args, "--shutdown-delay="+delay.String(), "--shutdown-delay="+shorter.String(), 1)
	gateway := startRunning(t, t.TempDir(), append(secrets,
		"FLEETCAST_SERVICE_HOST=10.1.2.3", "FLEETCAST_SERVICE_PORT=80", "FLEETCAST_PORT=tcp://10.1.2.3:80", "FLEETCAST_PORT_80_TCP_ADDR=10.1.2.3",
		"FLEETCAST_INTERNAL_SERVICE_HOST=None", "FLEETCAST_SERVICE_PORT_CLIENTS=80",
	), fleetcast, strings.Split(args, "\n")...)
	until(t, "the gateway", regexp.MustCompile(`"msg":"running"`), gateway.String)
	probe := func(p kubernetesProbe) int {
		return asked(t, "http://127.0.0.1:"+ports[p.HTTPGet.Port]+p.HTTPGet.Path, "")
	}
	for name, p := range map[string]kubernetesProbe{"startup": container.Startup, "readiness": container.Readiness, "liveness": container.Liveness} {
		if status := probe(p); status != http.StatusOK {
			t.Errorf("the %s probe gets %d", name, status)
		}
	}
	metrics := "http://127.0.0.1:" + ports["admin"] + "/metrics"
	for host, want := range map[string]int{"fleetcast-internal.default.svc.cluster.local:8081": 401, "fleetcast-internal": 421} {
		if status := asked(t, metrics, host); status != want {
			t.Errorf("a request for %s gets %d, not %d", host, status, want)
		}
	}
	if said := gateway.String(); strings.Contains(said, "environment variable") || !strings.Contains(said, `"msg":`) {
		t.Errorf("the log is not JSON or complains of variables:\n%s", said)
	}
	if err := gateway.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "the log", regexp.MustCompile("stopping soon"), gateway.String)
	if ready, alive, page := probe(container.Readiness), probe(container.Liveness), asked(t, "http://127.0.0.1:"+ports["clients"]+"/", ""); ready != 503 || alive != 200 || page != 200 {
		t.Errorf("during the delay readiness is %d, liveness %d, and a client gets %d", ready, alive, page)
	}
	if err := gateway.stop(t, syscall.SIGTERM); err != nil { // as supervisors do: it changes nothing
		t.Errorf("the gateway ends with %v:\n%s", err, gateway)
	}
}
