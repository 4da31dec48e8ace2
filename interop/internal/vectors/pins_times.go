package vectors

import (
	"fmt"
	"math"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Seconds of dates at the edges of what JSON times can say.
const (
	yearZero      = -62167219200 // 0000-01-01T00:00:00Z
	yearOne       = -62135596800 // Go's zero time
	yearTenK      = 253402300800 // 10000-01-01T00:00:00Z
	someDay       = 1718452800   // 2024-06-15T12:00:00Z
	someWinterDay = 1705320000   // 2024-01-15T12:00:00Z
)

// transitions are seconds at a change of offset, to be shown a second before and after.
var transitions = []struct {
	zone string
	name string
	at   int64
}{
	{"America/New_York", "spring 2024", 1710054000},
	{"America/New_York", "autumn 2024", 1730613600},
	{"America/New_York", "spring 2400, by rule", 13575625200},
	{"Europe/Berlin", "spring 2024", 1711846800},
	{"Europe/Berlin", "autumn 2024", 1729990800},
	{"Australia/Lord_Howe", "half-hour spring 2023", 1696087800},
	{"Pacific/Apia", "the day skipped in 2011", 1325239200},
	{"Africa/Monrovia", "end of -00:44:30 in 1972", 63593070},
	{"America/New_York", "end of local mean time in 1883", -2717650800},
	{"Europe/Dublin", "winter 2023, negative saving", 1698541200},
}

func someTime(sec int64) time.Time { return time.Unix(sec, 0).UTC() }

var oddZones = []string{"Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Etc/GMT+12", "Etc/GMT-14",
	"Europe/London", "Africa/Casablanca", "Pacific/Chatham", "Asia/Tokyo", "America/Sao_Paulo"}

// atSeconds is a stored record whose two times are given, zero meaning a field
// that is there and says zero.
func atSeconds(expire, stamp int64) []byte {
	return wire{}.varint(pinType, 1).options(wire{}.str(optName, "t").varint(optExpireAt, uint64(expire))).
		varint(pinTimestamp, uint64(stamp))
}

func timeCases(c *pinCases) {
	cid := cidRaw("times").Bytes()
	both := func(name string, sec int64, zones ...string) {
		if len(zones) == 0 {
			zones = []string{"UTC"}
		}
		for _, zone := range zones {
			c.add("time "+name, cid, atSeconds(sec, sec), zone)
		}
	}
	for _, s := range []int64{0, 1, -1, 59, 86399, 86400, -86400, 1<<31 - 1, 1 << 31, 1 << 32, -1 << 31,
		951782400 /* 2000-02-29 */, 4107542399 /* last second of 2100-02-28 */, 4107542400,
		someDay, -2203891200 /* 1900-03-01 */, 13574563200 /* 2400-02-29 */} {
		both(fmt.Sprintf("%d", s), s)
	}
	for _, s := range []struct {
		name string
		sec  int64
	}{
		{"first of year 0", yearZero}, {"before year 0", yearZero - 1}, {"5 hours into year 0", yearZero + 18000},
		{"zero time", yearOne}, {"after the zero time", yearOne + 1}, {"before the zero time", yearOne - 1},
		{"29 February of year 0", yearZero + 59*86400},
		{"last of 9999", yearTenK - 1}, {"first of 10000", yearTenK}, {"6 hours before 10000", yearTenK - 21600},
		{"year -1", yearZero - 366*86400}, {"year 20000", yearTenK * 2},
	} {
		both(s.name, s.sec, "UTC", "America/New_York", "Asia/Kathmandu")
	}
	for _, s := range []int64{math.MaxInt64, math.MinInt64, math.MinInt64 + 1, -1 << 62, 1 << 62,
		math.MaxInt64 + yearOne, math.MaxInt64 + yearOne + 1} {
		both(fmt.Sprintf("%d", s), s)
	}
	for _, t := range transitions {
		for _, d := range []int64{-1, 0, 1} {
			both(fmt.Sprintf("%s %+d", t.name, d), t.at+d, t.zone)
		}
		both("before the first entry of "+t.zone+", "+t.name, -7000000000, t.zone)
	}
	for _, zone := range oddZones {
		for _, s := range []int64{someDay, someWinterDay, -5000000000, 33000000000} {
			both(fmt.Sprintf("%d", s), s, zone)
		}
	}
	// only one of the two fields out of range, or there at all
	c.add("time only expire_at", cid, wire{}.options(wire{}.varint(optExpireAt, someDay)), "UTC")
	c.add("time only timestamp", cid, wire{}.varint(pinTimestamp, someDay), "UTC")
	c.add("time expire_at out of range", cid, atSeconds(yearTenK, someDay), "UTC")
	c.add("time timestamp out of range", cid, atSeconds(someDay, yearTenK), "UTC")
	c.add("time none, zoned", cid, wire{}.options(nil), "America/New_York")

	for _, t := range []struct {
		name string
		t    time.Time
	}{
		{"zero", time.Time{}}, {"unix zero", time.Unix(0, 0)}, {"unix zero elsewhere", time.Unix(0, 0).In(time.FixedZone("", 3600))},
		{"a nanosecond after unix zero", time.Unix(0, 1)}, {"a nanosecond before unix zero", time.Unix(0, -1)},
		{"half a second before unix zero", time.Unix(-1, 500000000)}, {"with nanoseconds", time.Unix(someDay, 123456789)},
		{"zero time plus a nanosecond", time.Time{}.Add(1)}, {"other zone", time.Unix(someDay, 0).In(time.FixedZone("X", -12345))},
		{"year 12345", time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)}, {"year -7", time.Date(-7, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		c.pin("written time "+t.name, with(func(p *api.Pin) { p.ExpireAt, p.Timestamp = t.t, t.t }))
	}
}
