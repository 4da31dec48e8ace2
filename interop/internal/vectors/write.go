// Package vectors makes the files under testdata: what ipfs-cluster's own code
// does with chosen inputs, for the Rust tests to compare with.
package vectors

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write makes every vector file below dir and the example pinset in examples,
// replacing what is there. The bytes depend on nothing but this module.
func Write(dir, examples string) error {
	for _, d := range []string{dir, examples} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		writeVectors(filepath.Join(dir, "pins.jsonl"), Pins),
		writeVectors(filepath.Join(dir, "json_reader.jsonl"), Reader),
		writeVectors(filepath.Join(dir, "import_options.jsonl"), ImportOptions),
		writeVectors(filepath.Join(dir, "snapshots.jsonl"), Snapshots),
		writeSample(dir),
		writeExample(filepath.Join(examples, "pinset.ndjson")),
	)
}

// writeVectors writes one JSON line for each vector that make returns.
func writeVectors[T any](path string, make func() ([]T, error)) error {
	vectors, err := make()
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, v := range vectors {
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return errors.Join(out.Flush(), file.Close())
}
