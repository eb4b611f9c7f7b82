// Package plugins answers what kube-scheduler's own plugins say of a pod in a small cluster: Muster's answers are
// compared with these. It reads one cluster a line and writes one answer a line, both JSON; a line that cannot be
// judged is answered with an error, and the next one is read. With --list it prints the names of all plugins.
package plugins

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"

	"k8s.io/klog/v2"
	inTree "k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// lineBytesMax bounds one cluster; a longer line ends the program.
const lineBytesMax = 64 << 20

// Main runs the sub-command with the arguments that follow its name and returns the exit status.
func Main(arguments []string) int {
	switch {
	case len(arguments) == 1 && arguments[0] == "--list":
		list(os.Stdout)
		return 0
	case len(arguments) == 0:
	default:
		fmt.Fprintln(os.Stderr, "usage: plugins [--list] < clusters.jsonl > answers.jsonl")
		return 2
	}
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	metrics.Register()
	if err := answer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// list prints the name of every plugin that this release knows, sorted.
func list(out io.Writer) {
	names := make([]string, 0)
	for name := range inTree.NewInTreeRegistry() {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintln(out, name)
	}
}

// answer judges line by line. What it writes is flushed with each line, so that whoever asks can wait for it.
func answer(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), lineBytesMax)
	writer := bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		if err := encoder.Encode(judgeLine(lines.Bytes())); err != nil {
			return err
		}
		if err := writer.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// judgeLine never fails: an error, or a panic of a plugin on input that no API server would let in, is an answer.
func judgeLine(line []byte) (answer Answer) {
	defer func() {
		if cause := recover(); cause != nil {
			answer = Answer{Error: fmt.Sprintf("a plugin panicked: %v", cause)}
		}
	}()
	cluster, err := read(line)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	answer, err = cluster.judge()
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return answer
}
