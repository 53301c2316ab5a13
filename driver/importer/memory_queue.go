package importer

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"

	"github.com/integrationkit/integrationkit/driver"
)

var _ QueueStore = (*Memory)(nil)

// messageID is what a message is kept under.
type messageID struct{ queue, key string }

// Messages implements [QueueStore].
func (m *Memory) Messages(
	ctx context.Context, queue string, state MessageState, after int64, limit int,
) ([]KeptMessage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []KeptMessage
	for _, k := range m.messages {
		if k.Queue == queue && k.State == state && k.Seq > after {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b KeptMessage) int { return cmp.Compare(a.Seq, b.Seq) })
	out = out[:min(len(out), max(limit, 0))]
	for i := range out {
		out[i].Body = slices.Clone(out[i].Body)
	}
	return out, nil
}

func (tx *memoryTx) PutMessages(_ context.Context, messages []KeptMessage) error {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	for _, k := range messages {
		id := messageID{k.Queue, k.Key}
		k.Body = slices.Clone(k.Body)
		old, ok := tx.m.messages[id]
		if p, written := tx.messages[id]; written {
			if ok = p != nil; ok {
				old = *p
			}
		}
		if ok {
			k.Seq = old.Seq
			if old.Received.After(k.Received) {
				k.Received = old.Received
			}
		} else {
			tx.m.messageSeq++ // may leave gaps
			k.Seq = tx.m.messageSeq
		}
		tx.messages[id] = &k
	}
	return nil
}

func (tx *memoryTx) DeleteMessages(_ context.Context, queue string, keys []string) error {
	for _, key := range keys {
		tx.messages[messageID{queue, key}] = nil
	}
	return nil
}

func (tx *memoryTx) RequeueMessages(_ context.Context, queue string, keys []string) (int, error) {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	n := 0
	for _, key := range keys {
		id := messageID{queue, key}
		k, ok := tx.m.messages[id]
		if p, written := tx.messages[id]; written {
			if ok = p != nil; ok {
				k = *p
			}
		}
		if ok && k.State == MessageDead && k.Account != "" {
			k.State, k.Integration, k.Reason = MessagePending, "", ""
			tx.messages[id] = &k
			n++
		}
	}
	return n, nil
}

func (tx *memoryTx) QueueState(_ context.Context, queue string) (QueueState, error) {
	tx.m.mu.Lock()
	defer tx.m.mu.Unlock()
	if s, ok := tx.queues[queue]; ok {
		return s, nil
	}
	if s, ok := tx.m.queues[queue]; ok {
		return s, nil
	}
	return QueueState{Queue: queue}, nil
}

func (tx *memoryTx) PutQueueState(_ context.Context, s QueueState) error {
	tx.queues[s.Queue] = s
	return nil
}

// commitQueues takes over what the transaction wrote; m.mu is held.
func (m *Memory) commitQueues(tx *memoryTx) {
	for id, k := range tx.messages {
		if k == nil {
			delete(m.messages, id)
		} else {
			m.messages[id] = *k
		}
	}
	maps.Copy(m.queues, tx.queues)
}

// dropMessages removes the dead messages for which f returns true, and returns how many; m.mu is held.
func (m *Memory) dropMessages(f func(KeptMessage) bool) int64 {
	before := len(m.messages)
	maps.DeleteFunc(m.messages, func(_ messageID, k KeptMessage) bool { return k.State == MessageDead && f(k) })
	return int64(before - len(m.messages))
}

// eraseMessages removes the dead messages about a record.
func (m *Memory) eraseMessages(c Collection, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropMessages(func(k KeptMessage) bool {
		return c.Kind == driver.KindTransaction && (k.Integration == c.Integration || k.Integration == "") && k.ID == id
	})
}

func (m *Memory) dumpMessages(w io.Writer) error {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.messages))
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b KeptMessage) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Key, b.Key))
	})
	for _, k := range all {
		if _, err := w.Write(DumpMessage(k)); err != nil {
			return err
		}
	}
	return nil
}
