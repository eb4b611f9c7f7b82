//go:build !kubernetes_1_36

package main

import "muster.dev/envtest/plugins"

// judge compares with the plugins of the release whose behaviour Muster follows.
func judge(arguments []string) int {
	return plugins.Main(arguments)
}
