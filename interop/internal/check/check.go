// Package check compares what pinstate wrote with what ipfs-cluster makes of it.
package check

import (
	"bytes"
	"fmt"

	"pinstate-interop/internal/cluster"
)

// shown is how many differences are told before the rest is only counted.
const shown = 10

// Differences is the error of a comparison that found some.
type Differences struct {
	first []string
	total int
}

func (d *Differences) add(format string, args ...any) {
	d.total++
	if len(d.first) < shown {
		d.first = append(d.first, fmt.Sprintf(format, args...))
	}
}

// result is nil where nothing was found.
func (d *Differences) result() error {
	if d.total == 0 {
		return nil
	}
	return d
}

func (d *Differences) Error() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d difference(s)", d.total)
	for _, one := range d.first {
		b.WriteString("\n  ")
		b.WriteString(one)
	}
	if d.total > len(d.first) {
		fmt.Fprintf(&b, "\n  … and %d more", d.total-len(d.first))
	}
	return b.String()
}

// States compares the records that ipfs-cluster reads from two pinsets of any
// format, and returns how many there are.
func States(a, b string) (int, error) {
	left, err := entries(a)
	if err != nil {
		return 0, err
	}
	right, err := entries(b)
	if err != nil {
		return 0, err
	}
	n := len(left)
	var d Differences
	for len(left) > 0 || len(right) > 0 {
		switch {
		case len(right) == 0 || len(left) > 0 && left[0].Key < right[0].Key:
			d.add("only in %s: key %q", a, left[0].Key)
			left = left[1:]
		case len(left) == 0 || right[0].Key < left[0].Key:
			d.add("only in %s: key %q", b, right[0].Key)
			right = right[1:]
		default:
			if !bytes.Equal(left[0].Value, right[0].Value) {
				d.add("key %q: value %x in %s, %x in %s", left[0].Key, left[0].Value, a, right[0].Value, b)
			}
			left, right = left[1:], right[1:]
		}
	}
	return n, d.result()
}

func entries(path string) ([]cluster.Entry, error) {
	m, err := cluster.Load(path)
	if err != nil {
		return nil, err
	}
	return m.Entries()
}
