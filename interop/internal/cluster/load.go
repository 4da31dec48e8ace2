package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// Record is one line of a values file: a stored key (CID bytes) and value.
type Record struct {
	Key   string `json:"key_hex"`
	Value string `json:"value_hex"`
}

// Load reads a pinset of any format into memory through ipfs-cluster's own
// reader: a raft data folder, an export (the file begins with a brace), or
// else a snapshot.
func Load(path string) (*Memory, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return ReadRaft(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	m, err := NewMemory()
	if err != nil {
		return nil, err
	}
	first, err := in.Peek(1)
	switch {
	case errors.Is(err, io.EOF): // no pins
		return m, nil
	case err != nil:
		return nil, err
	case first[0] == '{':
		err = Import(in, m.State, ImportOptions{})
	default:
		err = m.State.Unmarshal(in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
