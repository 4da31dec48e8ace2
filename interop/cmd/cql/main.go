// Command cql times gocql on the statements of pinstate's CQL backend, beside
// which pinstate is held. It answers lines on stdin with lines of JSON.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"pinstate-interop/internal/cql"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cql:", err)
		os.Exit(1)
	}
}

func run() error {
	hosts := flag.String("hosts", "", "HOST:PORT of contact points, with commas between")
	datacenter := flag.String("dc", "dc1", "the local datacenter")
	table := flag.String("table", "", "the table, as statements name it")
	values := flag.String("values", "", "the records: lines of key_hex and value_hex")
	connections := flag.Int("conns", 2, "connections to each host")
	workers := flag.Int("workers", 128, "requests at a time")
	protocol := flag.Int("protocol", 4, "version of the native protocol")
	flag.Parse()
	if *hosts == "" || *table == "" || *values == "" || *workers < 1 || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	loop, err := cql.New(cql.Options{
		Hosts:       strings.Split(*hosts, ","),
		Datacenter:  *datacenter,
		Table:       *table,
		Connections: *connections,
		Workers:     *workers,
		Protocol:    *protocol,
	}, *values)
	if err != nil {
		return err
	}
	defer loop.Close()
	return loop.Serve(os.Stdin, os.Stdout)
}
