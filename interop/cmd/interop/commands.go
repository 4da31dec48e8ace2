package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"pinstate-interop/internal/bench"
	"pinstate-interop/internal/check"
	"pinstate-interop/internal/cluster"
	"pinstate-interop/internal/pingen"
	"pinstate-interop/internal/vectors"
)

// flags is a flag set whose errors end in the usage text.
func flags(name string) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.Usage = func() {}
	return set
}

func parse(set *flag.FlagSet, args []string, positional int) ([]string, error) {
	if err := set.Parse(args); err != nil || set.NArg() != positional {
		return nil, errUsage
	}
	return set.Args(), nil
}

func runVectors(args []string) error {
	set := flags("vectors")
	dir := set.String("dir", "testdata", "where the vectors go")
	examples := set.String("examples", "../examples", "where the example pinset goes")
	if _, err := parse(set, args, 0); err != nil {
		return err
	}
	return vectors.Write(*dir, *examples)
}

func runMutate(args []string) error {
	set := flags("mutate")
	n := set.Int("n", 0, "how many vectors of each kind")
	seed := set.Uint64("seed", 1, "the same seed gives the same vectors")
	out := set.String("out", "", "the folder to write to")
	if _, err := parse(set, args, 0); err != nil {
		return err
	}
	if *n <= 0 || *out == "" {
		return errUsage
	}
	return vectors.WriteMutated(*out, *n, *seed)
}

func runGen(args []string) error {
	set := flags("gen")
	n := set.Int("n", 0, "how many pins")
	seed := set.Uint64("seed", 1, "the same seed gives the same pins")
	out := set.String("out", "", "the folder to write to")
	profile := set.String("profile", string(pingen.Rich), "rich or plain")
	only := set.String("only", strings.Join(pingen.Outputs, ","), "what to write")
	if _, err := parse(set, args, 0); err != nil {
		return err
	}
	if *n <= 0 || *out == "" {
		return errUsage
	}
	return pingen.Set{Seed: *seed, Profile: pingen.Profile(*profile), N: *n}.Write(*out, strings.Split(*only, ","))
}

func runCheck(args []string) error {
	set := flags("check")
	zone := set.String("tz", "UTC", "the zone that the exports are in")
	if err := set.Parse(args); err != nil || set.NArg() < 2 {
		return errUsage
	}
	location, err := time.LoadLocation(*zone)
	if err != nil {
		return err
	}
	time.Local = location
	kind, files := set.Arg(0), set.Args()[1:]
	var n int
	switch {
	case kind == "values" && len(files) == 1:
		n, err = check.Values(files[0])
	case len(files) != 2:
		return errUsage
	case kind == "ndjson":
		n, err = check.NDJSON(files[0], files[1])
	case kind == "snapshot":
		n, err = check.States(files[0], files[1])
	case kind == "raft":
		if _, err := cluster.ReadRaft(files[0]); err != nil {
			return err
		}
		n, err = check.States(files[0], files[1])
	default:
		return errUsage
	}
	if err != nil {
		return fmt.Errorf("check %s %s: %w", kind, strings.Join(files, " "), err)
	}
	fmt.Printf("check %s: %d equal\n", kind, n)
	return nil
}

func runBench(args []string) error {
	set := flags("bench")
	pins := set.String("pins", "", "an export or a values file")
	dir := set.String("dir", "", "where the stores are made")
	once := set.Bool("once", false, "do everything once and print a table")
	if _, err := parse(set, args, 0); err != nil {
		return err
	}
	if *pins == "" {
		return errUsage
	}
	b, err := bench.New(*pins, *dir)
	if err != nil {
		return err
	}
	if *once {
		err = benchOnce(b)
	} else {
		fmt.Fprintf(os.Stderr, "interop: %d pins loaded\n", b.Len())
		err = b.Serve(os.Stdin, os.Stdout)
	}
	return errors.Join(err, b.Close())
}

func benchOnce(b *bench.Bench) error {
	var failed error
	for _, backend := range cluster.Backends {
		for _, op := range bench.Operations() {
			r := b.Run(op, backend)
			if r.Error != "" {
				failed = errors.Join(failed, fmt.Errorf("%s %s: %s", op, backend, r.Error))
				continue
			}
			fmt.Printf("%-8s %-10s %9d pins %8.3f s %10.0f /s\n", backend, op, r.N, r.Seconds, float64(r.N)/r.Seconds)
		}
	}
	return failed
}
