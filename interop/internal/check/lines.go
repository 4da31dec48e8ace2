package check

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// fingerprint stands for a line, so that millions of lines can be compared as
// multisets without holding them.
type fingerprint [16]byte

func fingerprintOf(line []byte) (f fingerprint) {
	sum := sha256.Sum256(line)
	copy(f[:], sum[:])
	return f
}

// eachLine calls do with every line of a file, without its newline.
func eachLine(path string, do func(number int, line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				return fmt.Errorf("%s: line %d has no newline", path, number)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(number, line[:len(line)-1]); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, number, err)
		}
	}
}

// NDJSON checks that two exports hold the same lines in any order, and that
// each line of the second is what ipfs-cluster writes after storing it. It
// returns the number of lines.
func NDJSON(a, b string) (int, error) {
	seen := map[fingerprint]int{}
	n := 0
	err := eachLine(a, func(_ int, line []byte) error {
		seen[fingerprintOf(line)]++
		n++
		return nil
	})
	if err != nil {
		return 0, err
	}
	var d Differences
	err = eachLine(b, func(number int, line []byte) error {
		f := fingerprintOf(line)
		if seen[f]--; seen[f] < 0 {
			d.add("only in %s, line %d: %s", b, number, line)
		}
		again, err := restored(line)
		switch {
		case err != nil:
			d.add("%s, line %d is refused by ipfs-cluster: %v", b, number, err)
		case !bytes.Equal(again, line):
			d.add("%s, line %d comes back as %s", b, number, again)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	err = eachLine(a, func(number int, line []byte) error {
		f := fingerprintOf(line)
		if seen[f] > 0 {
			seen[f]--
			d.add("only in %s, line %d: %s", a, number, line)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, d.result()
}

// restored is the line that ipfs-cluster exports after importing one.
func restored(line []byte) ([]byte, error) {
	var pin, stored api.Pin
	if err := json.Unmarshal(line, &pin); err != nil {
		return nil, err
	}
	value, err := pin.ProtoMarshal()
	if err != nil {
		return nil, err
	}
	if err := stored.ProtoUnmarshal(value); err != nil {
		return nil, err
	}
	return json.Marshal(stored)
}

// Values checks that each record of a values file is decoded by ipfs-cluster,
// encoded to the same bytes again and stored under its own CID. It returns the
// number of records.
func Values(path string) (int, error) {
	var d Differences
	n := 0
	err := eachLine(path, func(number int, line []byte) error {
		n++
		var record cluster.Record
		if err := json.Unmarshal(line, &record); err != nil {
			return err
		}
		key, err := hex.DecodeString(record.Key)
		if err != nil {
			return fmt.Errorf("key_hex: %w", err)
		}
		value, err := hex.DecodeString(record.Value)
		if err != nil {
			return fmt.Errorf("value_hex: %w", err)
		}
		var pin api.Pin
		if err := pin.ProtoUnmarshal(value); err != nil {
			d.add("line %d is refused by ipfs-cluster: %v", number, err)
			return nil
		}
		if !bytes.Equal(pin.Cid.Bytes(), key) {
			d.add("line %d: the value is of CID %x, the key is %x", number, pin.Cid.Bytes(), key)
		}
		again, err := pin.ProtoMarshal()
		switch {
		case err != nil:
			d.add("line %d cannot be encoded again: %v", number, err)
		case !bytes.Equal(again, value):
			d.add("line %d: %x comes back as %x", number, value, again)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, d.result()
}
