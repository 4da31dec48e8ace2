package main

import (
	"fmt"
	"os"

	"pinstate-interop/internal/cluster"
	"pinstate-interop/internal/vectors"
)

func main() {
	cluster.Quiet()
	if err := vectors.Write("testdata", "../examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
