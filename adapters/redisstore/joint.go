package redisstore

import "time"

// joint is one operation on keys of several quotas: all admit, or none is spent.
type joint struct {
	op
	keys          []*key
	costs, aheads []int64
	flights       []uint64
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

// deliver hands the answer out. h is locked.
func (j *joint) deliver(a *answers, err error, now time.Time) {
	if err == nil {
		j.answer = a.nums(4)
		if a.short {
			err = errAnswer
		}
	}
	if err == nil && j.answer[0] == 0 { // a part was not taken up
		err = errAnswer
	}
	if err != nil {
		if shut := j.shut(); shut != nil {
			err = shut
		}
		for _, k := range j.keys {
			k.tell = true
			k.enqueue(true)
		}
		j.finish(err)
		return
	}
	switch j.answer[0] {
	case 1:
		for i, k := range j.keys {
			if j.kind != opTake {
				continue
			}
			if j.left {
				k.tell = true
				k.enqueue(true)
				continue
			}
			k.q.begin(k, j.costs[i])
			j.flights = append(j.flights, k.q.last)
		}
	case 2, 3:
		for _, k := range j.keys {
			k.refused(time.Duration(j.answer[1])*time.Microsecond, now)
		}
	}
	j.finish(nil)
}
