package partnersim

import "strconv"

// Dice makes up one record: for the same seed, kind and index it gives the same values for ever, so that a record is
// generated when it is asked for and never held. Values are told apart by the number of the field, not by the order
// of the calls: a new field changes no other. It is a value and costs nothing to make.
type Dice struct{ state uint64 }

// Roll returns the dice of the record with the index, of a kind of records that the caller numbers.
func Roll(seed, kind uint64, index int) Dice {
	return Dice{mix(mix(mix(seed)+kind) + uint64(index))}
}

// Uint64 returns a value for the field.
func (d Dice) Uint64(field int) uint64 { return mix(d.state + uint64(field)*0xd1342543de82ef95) }

// Int returns a value from 0 to n-1 for the field; 0 when n is not positive.
func (d Dice) Int(field, n int) int {
	if n <= 0 {
		return 0
	}
	return int(d.Uint64(field) % uint64(n))
}

// Float returns a value from 0 to less than 1 for the field.
func (d Dice) Float(field int) float64 { return float64(d.Uint64(field)>>11) / (1 << 53) }

// Pick returns one of the choices for the field.
func Pick[T any](d Dice, field int, choices []T) T { return choices[d.Int(field, len(choices))] }

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// MaxIndex is the largest index that [HexID] can carry.
const MaxIndex = 1<<24 - 1

// HexID returns a stable id of 24 hexadecimal digits, as MongoDB makes them: it grows with the index, and differs
// between kinds (0 to 255) and seeds. The index is from 0 to [MaxIndex].
func HexID(seed, kind uint64, index int) string {
	var b [24]byte
	put := func(at, digits int, v uint64) {
		for i := at + digits - 1; i >= at; i-- {
			b[i] = "0123456789abcdef"[v&15]
			v >>= 4
		}
	}
	put(0, 8, idEpoch+uint64(index))
	put(8, 2, kind)
	put(10, 8, mix(seed))
	put(18, 6, uint64(index))
	return string(b[:])
}

// idEpoch is the second in the first id: 2024-01-01 UTC.
const idEpoch = 1704067200

// HexIndex returns the index in an id that [HexID] made for the same seed and kind; ok is false for any other text.
func HexIndex(seed, kind uint64, id string) (index int, ok bool) {
	if len(id) != 24 {
		return 0, false
	}
	n, err := strconv.ParseUint(id[18:], 16, 64)
	if err != nil || HexID(seed, kind, int(n)) != id {
		return 0, false
	}
	return int(n), true
}
