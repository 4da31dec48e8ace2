// Command interop holds pinstate against the real ipfs-cluster: it makes test
// vectors and random pinsets with ipfs-cluster's own code, checks what pinstate
// wrote, and times ipfs-cluster's state for comparison.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has

	"pinstate-interop/internal/check"
	"pinstate-interop/internal/cluster"
)

const usage = `usage: interop COMMAND

  vectors [--dir DIR] [--examples DIR]      write the test vectors and the example pinset
  mutate --n N --out DIR [--seed S]         write vectors of damaged random inputs, of the same form
  gen --n N --out DIR [--seed S] [--profile rich|plain] [--only export,snapshot,raft,values]
                                            write random pins in each format
  check [--tz ZONE] ndjson A B              same lines in any order, B restored as it is
  check snapshot A B                        same records
  check raft DIR EXPECTED                   same records; raft's own reader accepts DIR
  check values FILE                         each value encoded again to the same bytes
  bench --pins FILE [--dir DIR] [--once]    answer lines "OP BACKEND" with timings
`

// errUsage asks for the usage text and exit code 2.
var errUsage = errors.New("usage")

func main() {
	cluster.Quiet()
	time.Local = time.UTC // exports are in UTC unless a command is told otherwise
	err := run(os.Args[1:])
	var differences *check.Differences
	switch {
	case err == nil:
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case errors.As(err, &differences):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	commands := map[string]func([]string) error{"vectors": runVectors, "mutate": runMutate, "gen": runGen, "check": runCheck, "bench": runBench}
	command, ok := commands[args[0]]
	if !ok {
		return errUsage
	}
	return command(args[1:])
}
