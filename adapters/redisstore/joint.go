package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// joint is a take of several keys, of one or several quotas: all admit, or none is spent.
type joint struct {
	op
	keys    []*key
	takes   []ratelimit.Take
	flights []uint64
	early   []chan struct{}
}

// Joins implements [ratelimit.Joiner]. Quotas are joined that were made with the same client, the same Timeout and, where a script
// does not reach all keys (a Cluster, or any client but a redis.Client), with the same Tag. Quotas of one Name in one
// process are not.
func (q *Quota) Joins(other ratelimit.Quota) bool {
	o, ok := other.(*Quota)
	return ok && q.h == o.h && q.o.Timeout == o.o.Timeout && (!q.h.split || q.o.Tag != "" && q.o.Tag == o.o.Tag)
}

// TakeAll implements [ratelimit.Joiner]: one call of the script, and one round trip. While Redis is away it takes of each quota what its
// policy gives, one after the other.
func (q *Quota) TakeAll(ctx context.Context, takes []ratelimit.Take, now time.Time) ([]ratelimit.Grant, error) {
	j := &joint{op: op{kind: opTake}, takes: takes, early: make([]chan struct{}, len(takes))}
	for i, t := range takes {
		if !q.Joins(t.Quota) {
			return nil, clientError("a quota that cannot be joined")
		}
		for _, other := range takes[:i] {
			if other.Quota == t.Quota && other.Key == t.Key {
				return nil, clientError("one call takes twice of a key of one quota")
			}
		}
		if o, _ := t.Quota.(*Quota); t.Cost < 1 || t.Cost > o.most {
			return nil, clientError("cost is %d, want 1 to %d", t.Cost, o.most)
		}
	}
	h := q.h
	h.mu.Lock()
	for _, t := range takes {
		o, _ := t.Quota.(*Quota)
		if o.closed {
			h.mu.Unlock()
			return nil, unavailable(ErrClosed, 0)
		}
		j.keys = append(j.keys, o.key(t.Key))
	}
	j.done = make(chan struct{})
	if err := j.shut(); err != nil {
		h.mu.Unlock()
		return q.oneByOne(ctx, takes, now, err)
	}
	l := j.keys[0].lane
	l.joints = append(l.joints, j)
	for _, k := range j.keys {
		k.joints++
	}
	l.start()
	h.mu.Unlock()
	err := h.await(ctx, &j.op, func() {
		for i, id := range j.flights {
			j.keys[i].q.end(id)
		}
	})
	if errors.Is(err, ErrAway) {
		return q.oneByOne(ctx, takes, now, err)
	}
	if err != nil {
		return nil, err
	}
	grants := make([]ratelimit.Grant, len(takes))
	for i, k := range j.keys {
		var id uint64
		if j.flights != nil {
			id = j.flights[i]
		}
		g, err := k.q.granted(takes[i].Cost, id, j.answer[3*i:], j.at, j.early[i])
		if err != nil {
			return nil, err
		}
		grants[i] = g
	}
	return grants, nil
}

// oneByOne takes without Redis, by the policies; away is the error if one does not.
func (q *Quota) oneByOne(ctx context.Context, takes []ratelimit.Take, now time.Time, away error) ([]ratelimit.Grant, error) {
	if !errors.Is(away, ErrAway) {
		return nil, away
	}
	grants := make([]ratelimit.Grant, len(takes))
	all, err := true, error(nil)
	n := 0
	for i, t := range takes {
		o, _ := t.Quota.(*Quota)
		if grants[i], err = o.Take(ctx, t.Key, t.Cost, t.Ahead, now); err != nil {
			break
		}
		n++
		all = all && grants[i].OK
	}
	if err == nil && all {
		return grants, nil
	}
	for i, g := range grants[:n] {
		if g.OK {
			err = errors.Join(err, takes[i].Quota.Settle(ctx, takes[i].Key, g, ratelimit.Settlement{Release: true, Now: now}))
		}
	}
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// shut is why it cannot be done now. h is locked.
func (j *joint) shut() error {
	for _, k := range j.keys {
		if err := k.q.shut(); err != nil {
			return err
		}
	}
	return nil
}

// finish hands the answer out. h is locked.
func (j *joint) finish(err error) {
	for _, k := range j.keys {
		k.joints--
	}
	j.op.finish(err)
}

// deliver takes the answer. h is locked.
func (j *joint) deliver(a *answers, err error, now time.Time) {
	all := err == nil
	j.at = now
	if err == nil {
		for _, k := range j.keys {
			j.answer = append(j.answer, a.grant(len(k.q.tiers))...)
		}
		if a.short {
			err = errAnswer
		}
		for i := range j.keys {
			switch j.answer[3*i] {
			case 0: // not taken up: its tiers are different, or it was done before
				err = errAnswer
			case 1:
			default:
				all = false
			}
		}
	}
	if err != nil {
		if err = j.shut(); err == nil {
			err = unavailable(errAnswer, time.Second)
		}
	}
	for i, k := range j.keys {
		switch code := j.answerOf(i); {
		case err != nil || all && j.left: // what was taken is given back
			k.tell = true
		case all:
			k.q.begin(k, j.takes[i].Cost)
			j.flights = append(j.flights, k.q.last)
		case code == 2 || code == 3:
			k.refused(time.Duration(j.answer[3*i+1])*time.Microsecond, now)
			if j.early[i] == nil {
				j.early[i] = k.early
			}
		}
	}
	j.finish(err)
	for _, k := range j.keys {
		k.enqueue(true)
		k.drop(now)
	}
}

// answerOf is the code of a key; 0 if there is none.
func (j *joint) answerOf(i int) int64 {
	if 3*i >= len(j.answer) {
		return 0
	}
	return j.answer[3*i]
}
