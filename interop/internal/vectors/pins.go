package vectors

import (
	"encoding/hex"
	"fmt"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has

	"pinstate-interop/internal/cluster"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// PinVector says what ipfs-cluster makes of one stored record.
type PinVector struct {
	Name  string `json:"name"`
	Key   string `json:"key_hex"`
	Value string `json:"value_hex"`
	// DecodeError is the text of dsstate's Get; List skips such a record.
	DecodeError *string `json:"decode_error"`
	// Reencoded is the value that Get followed by Add would store.
	Reencoded *string `json:"reencoded_hex"`
	// TZ is the zone of the process that exports.
	TZ string `json:"tz"`
	// JSON is the exported line, JSONError the error that ends an export.
	JSON      *string `json:"json"`
	JSONError *string `json:"json_error"`
}

type pinCase struct {
	name  string
	cid   []byte
	value []byte
	zone  string
}

type pinCases struct{ cases[pinCase] }

func (c *pinCases) add(name string, cid, value []byte, zone string) {
	if zone != "UTC" {
		name += " @ " + zone
	}
	c.put(name, pinCase{name, cid, value, zone})
}

// raw adds a value given as bytes, under a CID derived from the name.
func (c *pinCases) raw(name string, value []byte) {
	c.add(name, cidRaw(name).Bytes(), value, "UTC")
}

// pin adds a value as ipfs-cluster writes it. An undefined CID gets one
// derived from the name.
func (c *pinCases) pin(name string, p api.Pin, zones ...string) {
	if !p.Cid.Defined() {
		p.Cid = cidRaw(name)
	}
	value := must(p.ProtoMarshal())
	if len(zones) == 0 {
		zones = []string{"UTC"}
	}
	for _, zone := range zones {
		c.add(name, p.Cid.Bytes(), value, zone)
	}
}

func text(s string) *string { return &s }

func (c pinCase) evaluate() (PinVector, error) {
	v := PinVector{Name: c.name, Key: hex.EncodeToString(c.cid), Value: hex.EncodeToString(c.value), TZ: c.zone}
	zone, err := time.LoadLocation(c.zone)
	if err != nil {
		return v, err
	}
	defer func(saved *time.Location) { time.Local = saved }(time.Local)
	time.Local = zone

	m, err := cluster.NewMemory()
	if err != nil {
		return v, err
	}
	if err := m.Put(c.cid, c.value); err != nil {
		return v, err
	}
	pin, err := m.Get(c.cid)
	if err != nil {
		v.DecodeError = text(cluster.CleanError(err))
	} else {
		again, err := pin.ProtoMarshal()
		if err != nil {
			return v, fmt.Errorf("re-encoding: %w", err)
		}
		v.Reencoded = text(hex.EncodeToString(again))
	}
	line, err := m.ExportLine()
	switch {
	case err != nil:
		v.JSONError = text(cluster.CleanError(err))
	case line != nil:
		v.JSON = text(string(line))
	}
	if (line == nil && err == nil) != (v.DecodeError != nil) {
		return v, fmt.Errorf("Get and List disagree: %v", v.DecodeError)
	}
	return v, nil
}

// Pins evaluates every pin case.
func Pins() ([]PinVector, error) {
	c := &pinCases{}
	typeCases(c)
	numberCases(c)
	textCases(c)
	timeCases(c)
	cidCases(c)
	peerCases(c)
	originCases(c)
	metadataCases(c)
	wireCases(c)
	return evaluated(c.cases, "pin", pinCase.evaluate)
}
