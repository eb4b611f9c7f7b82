// Envtest is one binary with the parts of a Kubernetes control plane that Muster's tests run against: etcd,
// kube-apiserver, kube-controller-manager, and kube-scheduler. Each is a sub-command with its own flags, unchanged,
// of the published module, and is meant to run in a process of its own, because feature gates, flags, and signal
// handlers are global to a process. One more sub-command, plugins, asks kube-scheduler's plugins alone.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// usage is for people; the tests know the parts.
const usage = `usage: envtest PART [flags]
where PART is etcd, kube-apiserver, kube-controller-manager, or kube-scheduler; PART --help shows its flags;
or plugins, which judges clusters that it reads, one a line`

func main() {
	if len(os.Args) < 2 {
		fail()
	}
	// Each part reads the command line as if it were the whole program.
	os.Args = os.Args[1:]
	// A command is made only when it is run: making one registers flags and gates that would disturb the others.
	switch os.Args[0] {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		run(controllers.NewControllerManagerCommand())
	case "kube-scheduler":
		run(scheduler.NewSchedulerCommand())
	case "plugins":
		os.Exit(judge(os.Args[1:]))
	default:
		fail()
	}
}

func run(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

func fail() {
	fmt.Fprintln(os.Stderr, usage)
	os.Exit(2)
}
