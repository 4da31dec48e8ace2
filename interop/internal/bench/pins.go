package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Pins is one pinset in every form that an operation takes.
type Pins struct {
	pins     []api.Pin // as they come out of storage, in the file's order
	ndjson   []byte
	snapshot []byte
}

// LoadPins reads an export, or lines of key_hex and value_hex as gen writes them.
func LoadPins(file string) (*Pins, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := &Pins{}
	var ndjson bytes.Buffer
	enc := json.NewEncoder(&ndjson)
	dec := json.NewDecoder(bytes.NewReader(raw))
	values := bytes.Contains(raw[:min(len(raw), 4096)], []byte(`"value_hex"`))
	for {
		pin, err := nextPin(dec, values)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s, pin %d: %w", file, len(p.pins)+1, err)
		}
		p.pins = append(p.pins, pin)
		if values {
			if err := enc.Encode(pin); err != nil {
				return nil, fmt.Errorf("%s, pin %d: %w", file, len(p.pins), err)
			}
		}
	}
	if len(p.pins) == 0 {
		return nil, fmt.Errorf("%s holds no pins", file)
	}
	p.ndjson = raw
	if values {
		p.ndjson = ndjson.Bytes()
	}
	p.snapshot, err = p.makeSnapshot()
	return p, err
}

// nextPin reads one pin and gives it the form that storage gives it.
func nextPin(dec *json.Decoder, values bool) (api.Pin, error) {
	var pin api.Pin
	if !values {
		if err := dec.Decode(&pin); err != nil {
			return pin, err
		}
		value, err := pin.ProtoMarshal()
		if err != nil {
			return pin, err
		}
		var stored api.Pin
		err = stored.ProtoUnmarshal(value)
		return stored, err
	}
	var record cluster.Record
	if err := dec.Decode(&record); err != nil {
		return pin, err
	}
	value, err := hex.DecodeString(record.Value)
	if err != nil {
		return pin, err
	}
	if err := pin.ProtoUnmarshal(value); err != nil {
		return pin, err
	}
	key, err := hex.DecodeString(record.Key)
	if err != nil {
		return pin, err
	}
	pin.Cid, err = api.CastCid(key)
	return pin, err
}

func (p *Pins) makeSnapshot() ([]byte, error) {
	store, err := cluster.OpenStore("inmem", "")
	if err != nil {
		return nil, err
	}
	if _, err := add(context.Background(), &Bench{Pins: p}, store); err != nil {
		return nil, err
	}
	st, err := cluster.OpenState(store)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = cluster.Marshal(&out, st)
	return out.Bytes(), err
}

// Len is the number of pins.
func (p *Pins) Len() int { return len(p.pins) }
