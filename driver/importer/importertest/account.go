package importertest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Account is a partner's account whose records are generated from their numbers, not held: an account of a million
// costs what its changes cost. The same account that was changed the same way holds the same records. It is safe
// for concurrent use; its fields are set before.
//
// Resources have the ids r0000000, r0000001 and so on; transactions t0000000 …, of which number i is of resource i
// modulo the number of resources; the media of r0000007 are r0000007-m00, r0000007-m01 ….
type Account struct {
	Resources, Transactions int
	MediaPer                int // per resource, at most 100
	// Updated is when records were changed that no method changed; zero: a fixed day. Undated leaves the times of
	// update out.
	Updated time.Time
	Undated bool

	mu    sync.Mutex
	marks map[string]*mark // by id
}

// mark is what was done to a record.
type mark struct {
	version int
	updated time.Time
	deleted bool
	hidden  bool
	poison  error
	orphan  bool // poisoned and without an id
}

var day = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

// id returns the id of the record with the number.
func id(kind driver.Kind, i int) string {
	prefix := "r"
	if kind == driver.KindTransaction {
		prefix = "t"
	}
	digits := strconv.Itoa(i)
	return prefix + "0000000"[:max(0, 7-len(digits))] + digits
}

// index returns the number of the record with the id, n for one that is not of the kind or beyond n.
func index(kind driver.Kind, s string, n int) int {
	if len(s) < 8 {
		return n
	}
	i, err := strconv.Atoi(s[1:])
	if err != nil || i < 0 || i >= n || id(kind, i) != s {
		return n
	}
	return i
}

func (a *Account) mark(ids []string, f func(m *mark)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.marks == nil {
		a.marks = map[string]*mark{}
	}
	for _, id := range ids {
		if a.marks[id] == nil {
			a.marks[id] = &mark{}
		}
		f(a.marks[id])
	}
}

// get returns a copy of what was done to the record.
func (a *Account) get(id string) mark {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m := a.marks[id]; m != nil {
		return *m
	}
	return mark{}
}

// Touch changes records: they get another name, and at as time of update.
func (a *Account) Touch(at time.Time, ids ...string) {
	a.mark(ids, func(m *mark) { m.version++; m.updated = at; m.deleted = false })
}

// Delete removes records.
func (a *Account) Delete(ids ...string) { a.mark(ids, func(m *mark) { m.deleted = true }) }

// Hide leaves records out of listings, or not; reading them by id shows them: the list moved while it was read.
func (a *Account) Hide(hidden bool, ids ...string) {
	a.mark(ids, func(m *mark) { m.hidden = hidden })
}

// Poison makes records that cannot be understood, for the reason why; nil heals them. Where nameless, not even the
// id can be read.
func (a *Account) Poison(why error, nameless bool, ids ...string) {
	a.mark(ids, func(m *mark) { m.poison, m.orphan = why, nameless })
}

// Change changes a share of the account by rounds: of the resources and transactions whose turn it is, a third each is
// touched at that time, deleted, and restored or touched. Round 1, 2 … change different records.
func (a *Account) Change(share float64, round int, at time.Time) {
	for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction} {
		for i := range a.count(kind) {
			h := fnv.New64a()
			fmt.Fprintf(h, "%s %d %d", kind, i, round)
			n := h.Sum64()
			if float64(n>>16%1_000_000) >= share*1_000_000 {
				continue
			}
			if n%3 == 0 {
				a.Delete(id(kind, i))
			} else {
				a.Touch(at, id(kind, i))
			}
		}
	}
}

func (a *Account) count(kind driver.Kind) int {
	if kind == driver.KindTransaction {
		return a.Transactions
	}
	return a.Resources
}

// base returns what all records have, and the version.
func (a *Account) base(id string) (driver.Record, int, mark) {
	m := a.get(id)
	r := driver.Record{ID: id, UpdatedAt: a.Updated, AdapterVersion: "v1"}
	if r.UpdatedAt.IsZero() {
		r.UpdatedAt = day
	}
	if !m.updated.IsZero() {
		r.UpdatedAt = m.updated
	}
	if a.Undated {
		r.UpdatedAt = time.Time{}
	}
	r.Raw = json.RawMessage(`{"_id":"` + id + `","v":` + strconv.Itoa(m.version) + `}`)
	return r, m.version, m
}

// Resource returns the resource with the number, as the partner knows it now.
func (a *Account) Resource(i int) driver.Resource { r, _ := a.resource(i); return r }

func (a *Account) resource(i int) (driver.Resource, mark) {
	base, version, m := a.base(id(driver.KindResource, i))
	return driver.Resource{
		Record: base, Name: driver.Some("Resource " + strconv.Itoa(i) + " v" + strconv.Itoa(version)), Listed: driver.Some(i%2 == 0),
		Status: driver.Some(driver.ResourceActive), Capacity: driver.Some(i%8 + 1), Bedrooms: driver.Some(float64(i%4) + 0.5),
		Address: driver.Some(driver.Address{City: "Port", Street: strconv.Itoa(i) + " Quay"}), Currency: driver.Some("EUR"),
		BasePrice: driver.Some(driver.Money{Amount: int64(i)*7 + 100, Currency: "EUR"}), Description: driver.Null[string](),
		Amenities: driver.Some([]string{"wifi", "kettle"}), TimeZone: driver.Some("Europe/Lisbon"),
	}, m
}

// Transaction returns the transaction with the number, as the partner knows it now.
func (a *Account) Transaction(i int) driver.Transaction { t, _ := a.transaction(i); return t }

func (a *Account) transaction(i int) (driver.Transaction, mark) {
	base, version, m := a.base(id(driver.KindTransaction, i))
	t := driver.Transaction{
		Record: base, Code: driver.Some("C" + strconv.Itoa(i)), Status: driver.Some(driver.StatusConfirmed),
		Notes: driver.Some("v" + strconv.Itoa(version)), Nights: driver.Some(i%14 + 1), Currency: driver.Some("EUR"),
		Total: driver.Some(driver.Money{Amount: int64(i) * 11, Currency: "EUR"}),
	}
	if a.Resources > 0 {
		t.ResourceID = driver.Some(id(driver.KindResource, i%a.Resources))
	}
	return t, m
}

// Media returns the media of a resource that are there.
func (a *Account) Media(resource string) []driver.Media {
	var out []driver.Media
	for i := range a.MediaPer {
		base, version, m := a.base(fmt.Sprintf("%s-m%02d", resource, i))
		if m.deleted || m.hidden {
			continue
		}
		out = append(out, driver.Media{
			Record: base, ResourceID: resource, Position: driver.Some(i), Caption: driver.Some("v" + strconv.Itoa(version)),
			URL: driver.Some("https://pictures.example/" + base.ID),
		})
	}
	return out
}

// Changed returns the ids of which something was changed by a method, sorted, without those of media.
func (a *Account) Changed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for id := range a.marks {
		if !strings.Contains(id, "-") {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
