package bookingcomtest

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// booking is what became of a reservation. What it says is made up from its index and rev.
type booking struct {
	rev       int // how often it was changed
	cancelled bool
	queued    time.Time // its newest message
	acked     bool      // or taken, by a B.XML read
	delivered bool      // the newest message was sent
	fell      bool      // out of the queue
	property  int       // of those that were added; -1 + … see propertyOf
	added     bool
}

// ReservationID returns the id of the reservation with the index.
func ReservationID(i int) string { return strconv.Itoa(firstReservation + i*37) }

func (s *Server) bookingIndex(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	n -= firstReservation
	return n / 37, err == nil && n >= 0 && n%37 == 0 && n/37 < len(s.bookings)
}

// propertyOf returns the index of the reservation's property; mu is held.
func (s *Server) propertyOf(i int) int {
	if b := s.bookings[i]; b.added {
		return b.property
	}
	return i % s.cfg.Properties
}

// Reservation is what a client should have found out of one.
type Reservation struct {
	ID, Property string
	Cancelled    bool
	Rooms        int
	Start, End   string // days; "" of a cancelled one, whose nights the partner may leave out
	// Total is in the currency's minor unit, taxes included or not as the property is set.
	Total    int64
	Currency string
	TaxAfter bool // Total is AmountAfterTax
}

// Reservations lists what there is, by index.
func (s *Server) Reservations() iter.Seq[Reservation] {
	return func(yield func(Reservation) bool) {
		s.mu.Lock()
		n := len(s.bookings)
		s.mu.Unlock()
		for i := range n {
			s.mu.Lock()
			st := s.stay(i)
			s.mu.Unlock()
			r := Reservation{
				ID: ReservationID(i), Property: PropertyID(st.property), Cancelled: st.cancelled,
				Rooms: len(st.rooms), Total: st.total(),
				Currency: site(st.property).currency, TaxAfter: st.after,
			}
			if !st.cancelled {
				r.Start, r.End = day(st.from), day(st.from.AddDate(0, 0, st.nights))
			}
			if !yield(r) {
				return
			}
		}
	}
}

// Book adds a reservation at the property with the index, and returns its id.
func (s *Server) Book(property int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bookings = append(s.bookings, booking{queued: time.Now(), property: property, added: true})
	return ReservationID(len(s.bookings) - 1)
}

// Modify changes a reservation: a night more or less, another price. Cancel cancels it. They report whether there is
// one to be changed. The message of the change replaces one that waits.
func (s *Server) Modify(id string) bool { return s.change(id, false) }

// Cancel is described at Modify.
func (s *Server) Cancel(id string) bool { return s.change(id, true) }

func (s *Server) change(id string, cancel bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.bookingIndex(id)
	if !ok || s.bookings[i].cancelled {
		return false
	}
	b := &s.bookings[i]
	b.rev++
	b.cancelled = cancel
	b.queued, b.acked, b.delivered, b.fell = time.Now(), false, false, false
	return true
}

// Change changes a share (0 to 1) of the reservations, a third of it each by adding, modifying and cancelling. The same
// round changes the same ones every time.
func (s *Server) Change(share float64, round int) partnersim.Delta {
	s.mu.Lock()
	n := len(s.bookings)
	s.mu.Unlock()
	k := int(share*float64(n)/3 + 0.5)
	if k == 0 && share > 0 && n >= 3 {
		k = 1
	}
	var done partnersim.Delta
	for j := range k {
		d := partnersim.Roll(s.cfg.Seed, 9, round*1_000_003+j)
		if s.Modify(ReservationID(d.Int(1, n))) {
			done.Updated++
		}
		if s.Cancel(ReservationID(d.Int(2, n))) {
			done.Deleted++
		}
		s.Book(d.Int(3, s.cfg.Properties))
		done.Added++
	}
	return done
}

// Waiting is how many messages wait to be acknowledged in the queues; Missed how many fell out of them.
func (s *Server) Waiting() (waiting, missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.bookings {
		switch b := &s.bookings[i]; {
		case b.acked:
		case s.fallen(i):
			missed++
		default:
			waiting++
		}
	}
	return waiting, missed
}

// fallen reports whether the reservation's message has left the queue unacknowledged; mu is held.
func (s *Server) fallen(i int) bool {
	b := &s.bookings[i]
	if b.acked || b.fell {
		return b.fell
	}
	wait := 30 * time.Minute
	if s.cfg.Recovery && s.stay(i).from.Sub(b.queued) > 48*time.Hour {
		wait = 24 * time.Hour
	}
	b.fell = time.Since(b.queued) >= s.lasting(wait)
	return b.fell
}

// stay is what a reservation says.
type stay struct {
	index, rev, property int
	cancelled            bool
	from                 time.Time
	nights               int
	rooms                []room
	after                bool // prices include taxes
	fee                  int64
	booked               time.Time
}

type room struct {
	unit             int
	price            int64 // a night, minor units
	adults, children int
}

func (st *stay) total() int64 {
	if st.cancelled {
		return st.fee
	}
	var sum int64
	for _, r := range st.rooms {
		sum += r.price * int64(st.nights)
	}
	return sum
}

// stay makes up the reservation; mu is held.
func (s *Server) stay(i int) stay {
	b := s.bookings[i]
	d := partnersim.Roll(s.cfg.Seed, 3, i)
	property := s.propertyOf(i)
	st := stay{
		index: i, rev: b.rev, property: property, cancelled: b.cancelled, from: s.cfg.Epoch.AddDate(0, 0,
			d.Int(1, 300)),
		nights: 1 + (d.Int(2, 5)+b.rev)%6, after: property%2 == 0, booked: s.cfg.Epoch.AddDate(0, 0, -1-d.Int(3, 60)),
	}
	for n := range 1 + d.Int(4, 3)/2 {
		st.rooms = append(st.rooms, room{
			unit: (d.Int(5, 99) + n) % s.cfg.UnitsPerProperty, price: int64(8_000+d.Int(6, 9_000)) + int64(b.rev),
			adults: 1 + d.Int(7, 2), children: d.Int(8, 2),
		})
	}
	if st.cancelled && i%2 == 0 {
		st.fee = 2_500
	}
	return st
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

func guest(i int) (first, last, email string) {
	return "Guest", fmt.Sprintf("Example%d", i), fmt.Sprintf("gexample.%d%s", i, GuestDomain)
}
