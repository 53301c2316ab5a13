package importer

import (
	"encoding/json"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// DumpRecord, DumpRejection and DumpEvent return a line of JSON each with what two stores that were brought to the
// same state have in common: no run ids, no times of fetching, no generations. A dump of a store is the lines of
// its records by integration, kind and id (compared bytewise), erased ones left out; then those of its rejections
// by integration, kind and key; then those of its events by integration, kind, id, version and seq.
func DumpRecord(s Stored) []byte {
	return line(struct {
		Integration string          `json:"integration"`
		Kind        driver.Kind     `json:"kind"`
		ID          string          `json:"id"`
		Parent      string          `json:"parent,omitempty"`
		Version     int64           `json:"version"`
		Deleted     bool            `json:"deleted,omitempty"`
		UpdatedAt   time.Time       `json:"updated_at,omitzero"`
		Adapter     string          `json:"adapter,omitempty"`
		Hash        string          `json:"hash"`
		RawHash     string          `json:"raw_hash,omitempty"`
		Document    json.RawMessage `json:"document"`
	}{
		s.Integration, s.Kind, s.ID, s.Parent, s.Version, !s.DeletedAt.IsZero(), s.UpdatedAt, s.AdapterVersion, s.Hash,
		s.RawHash, s.Document,
	})
}

// DumpRejection is described at [DumpRecord].
func DumpRejection(r Rejection) []byte {
	return line(struct {
		Integration string      `json:"integration"`
		Kind        driver.Kind `json:"kind"`
		Key         string      `json:"rejected"`
		Reason      string      `json:"reason"`
	}{r.Integration, r.Kind, r.Key, r.Reason})
}

// DumpEvent is described at [DumpRecord].
func DumpEvent(e Event) []byte {
	return line(struct {
		Integration string      `json:"integration"`
		Kind        driver.Kind `json:"kind"`
		ID          string      `json:"id"`
		Version     int64       `json:"version"`
		Change      ChangeKind  `json:"change"`
	}{e.Integration, e.Kind, e.ID, e.Version, e.Change})
}

// DumpMessage returns such a line of a [QueueStore]'s message. Its body is in the key.
func DumpMessage(m KeptMessage) []byte {
	return line(struct {
		Queue       string       `json:"queue"`
		Key         string       `json:"message"`
		ID          string       `json:"id,omitempty"`
		Account     string       `json:"account,omitempty"`
		State       MessageState `json:"state"`
		Integration string       `json:"integration,omitempty"`
		Reason      string       `json:"reason,omitempty"`
	}{m.Queue, m.Key, m.ID, m.Account, m.State, m.Integration, m.Reason})
}

func line(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // a document that is not JSON
		b, _ = json.Marshal(map[string]string{"error": err.Error()}) // a map of strings is always encoded
	}
	return append(b, '\n')
}

// Tombstone returns the record that a store keeps of an erased one.
func Tombstone(c Collection, id string, now time.Time) Stored {
	return Stored{
		Collection: c, ID: id, Document: json.RawMessage("{}"), Raw: json.RawMessage{}, Version: 1,
		FirstFetched: now, LastFetched: now, ChangedAt: now, DeletedAt: now, Erased: true,
	}
}
