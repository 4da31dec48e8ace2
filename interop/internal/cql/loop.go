// Package cql runs the statements of pinstate's CQL backend through gocql, one
// loop at a time on request, and says what it cost this process.
package cql

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// Options say where the table is and how it is spoken to.
type Options struct {
	Hosts       []string // HOST:PORT of contact points
	Datacenter  string   // the local one
	Table       string   // as statements name it
	Connections int      // to each host
	Workers     int      // requests at a time
	Protocol    int      // version of the native protocol
}

// Result is the line printed for one request.
type Result struct {
	Op    string  `json:"op"`
	N     int     `json:"n"`
	CPU   float64 `json:"cpu_us"` // processor time of this process for each operation
	Rate  float64 `json:"rate"`   // operations a second
	Error string  `json:"error,omitempty"`
}

// Loop is a session with its statements and records.
type Loop struct {
	session     *gocql.Session
	insert, sel string
	records     []record
	workers     int
}

type record struct{ key, value []byte }

// New connects, and reads the records: lines of key_hex and value_hex.
func New(o Options, file string) (*Loop, error) {
	records, err := load(file)
	if err != nil {
		return nil, err
	}
	config := gocql.NewCluster(o.Hosts...)
	config.NumConns = o.Connections
	config.ProtoVersion = o.Protocol
	config.Consistency = gocql.LocalQuorum
	config.Timeout = 15 * time.Second
	config.ConnectTimeout = 15 * time.Second
	config.DefaultTimestamp = false // the statement binds its own
	config.DefaultIdempotence = true
	config.DisableSkipMetadata = false // answers need not repeat their columns
	config.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(o.Datacenter))
	session, err := config.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", strings.Join(o.Hosts, ","), err)
	}
	return &Loop{
		session: session,
		insert:  "INSERT INTO " + o.Table + " (cid, v) VALUES (?, ?) USING TIMESTAMP ?",
		sel:     "SELECT v, writetime(v), writetime(d) FROM " + o.Table + " WHERE cid = ?",
		records: records,
		workers: o.Workers,
	}, nil
}

func load(file string) ([]record, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var records []record
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var line struct {
			Key   string `json:"key_hex"`
			Value string `json:"value_hex"`
		}
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		var r record
		if err == nil {
			r.key, err = hex.DecodeString(line.Key)
		}
		if err == nil {
			r.value, err = hex.DecodeString(line.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, record %d: %w", file, len(records)+1, err)
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s holds no records", file)
	}
	return records, nil
}

// Close ends the session.
func (l *Loop) Close() { l.session.Close() }

// Serve answers each line of in, `put VERSION` or `get`, with one line of JSON
// on out, until in ends. A put of n records takes n versions from VERSION on.
func (l *Loop) Serve(in io.Reader, out io.Writer) error {
	enc := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		if err := enc.Encode(l.request(strings.Fields(lines.Text()))); err != nil {
			return err
		}
	}
}

func (l *Loop) request(words []string) Result {
	var work func(i int) error
	switch {
	case len(words) == 1 && words[0] == "get":
		work = l.get
	case len(words) == 2 && words[0] == "put":
		version, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return Result{Op: "put", Error: err.Error()}
		}
		work = func(i int) error { return l.put(i, version+int64(i)) }
	default:
		return Result{Error: fmt.Sprintf("want `put VERSION` or `get`, got %q", words)}
	}
	result := Result{Op: words[0]}
	runtime.GC() // a loop pays for its own garbage only
	before, start := cpu(), time.Now()
	if err := l.all(work); err != nil {
		result.Error = err.Error()
		return result
	}
	took, spent := time.Since(start), cpu()-before
	result.N = len(l.records)
	result.CPU = spent.Seconds() * 1e6 / float64(result.N)
	result.Rate = float64(result.N) / took.Seconds()
	return result
}

// all does the work for every record, as many at a time as there are workers.
func (l *Loop) all(work func(int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	for range l.workers {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(l.records) || failed.Load() != nil {
					return
				}
				if err := work(i); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (l *Loop) put(i int, version int64) error {
	return l.session.Query(l.insert, l.records[i].key, l.records[i].value, version).Exec()
}

func (l *Loop) get(i int) error {
	var value []byte
	var version, marker *int64
	if err := l.session.Query(l.sel, l.records[i].key).Scan(&value, &version, &marker); err != nil {
		return err
	}
	if !bytes.Equal(value, l.records[i].value) {
		return fmt.Errorf("%x holds other bytes than were put", l.records[i].key)
	}
	return nil
}

// cpu is the processor time of this process so far.
func cpu() time.Duration {
	var usage syscall.Rusage
	// It fails only for arguments that are none.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
