//go:build kubernetes_1_36

package main

import (
	"fmt"
	"os"
)

// judge has nothing to ask: Muster follows the plugins of 1.37, and those of 1.36 are built otherwise.
func judge(_ []string) int {
	fmt.Fprintln(os.Stderr, "the plugins are those of 1.37; build with tests/envtest/build 1.37")
	return 2
}
