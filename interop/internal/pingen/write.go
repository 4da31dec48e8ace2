package pingen

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Outputs are the files that Write can make.
var Outputs = []string{"export", "snapshot", "raft", "values"}

// Write makes the chosen outputs of a set below dir: export.ndjson,
// state.snapshot, raft/ and values.jsonl. Each is streamed.
func (s Set) Write(dir string, outputs []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	st, err := s.State()
	if err != nil {
		return err
	}
	makers := map[string]func() error{
		"export": func() error {
			return create(filepath.Join(dir, "export.ndjson"), func(w io.Writer) error { return cluster.Export(w, st) })
		},
		"snapshot": func() error { return create(filepath.Join(dir, "state.snapshot"), st.Marshal) },
		"raft": func() error {
			g, err := New(s.Seed, s.Profile)
			if err != nil {
				return err
			}
			folder := filepath.Join(dir, "raft")
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
			return cluster.WriteRaft(folder, st, g.Peers()[:3])
		},
		"values": func() error { return create(filepath.Join(dir, "values.jsonl"), s.writeValues) },
	}
	for _, name := range outputs {
		makeIt, ok := makers[name]
		if !ok {
			return fmt.Errorf("unknown output %q; there are %v", name, Outputs)
		}
		if err := makeIt(); err != nil {
			return fmt.Errorf("writing the %s: %w", name, err)
		}
	}
	return nil
}

func (s Set) writeValues(w io.Writer) error {
	enc := json.NewEncoder(w)
	return s.Each(func(pin api.Pin, value []byte) error {
		return enc.Encode(cluster.Record{Key: hex.EncodeToString(pin.Cid.Bytes()), Value: hex.EncodeToString(value)})
	})
}

func create(path string, fill func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	return errors.Join(fill(out), out.Flush(), file.Close())
}
