package importer

import (
	"context"
	"slices"
	"time"
)

// A run of several kinds that is stopped goes on with the kind that it was at. What it had finished before is not
// listed again while that is recent: not older than keepFactor times what it took to list, at least keepLeast, so that
// repeating costs little beside what is still to be done, and at most keepMost, so that a kind that never ends does not
// hold back the others.
const (
	keepFactor = 10
	keepLeast  = 10 * time.Minute
	keepMost   = 24 * time.Hour
)

// recent reports whether what the run has finished need not be done again.
func (s *RunState) recent(now time.Time) bool {
	first, last := s.Done[0], s.Done[len(s.Done)-1]
	keep := keepFactor * min(last.Finished.Sub(first.Started), keepMost)
	return now.Sub(first.Finished) < min(max(keep, keepLeast), keepMost)
}

// state returns where the interrupted run of the mode is kept.
func (cp *Checkpoint) state(m Mode) **RunState {
	if m == Incremental {
		return &cp.IncrementalRun
	}
	return &cp.FullRun
}

// interrupted finds out whether a run of the same mode and kinds was interrupted, and returns the results of the kinds
// that it had finished: the first ones. They are none when they are too old to go on from, and end at one that has been
// begun again since.
func (r *run) interrupted(ctx context.Context) (done []KindResult, err error) {
	r.chain = r.result.Run
	if len(r.Kinds) < 2 {
		return nil, nil
	}
	err = r.Store.Update(ctx, func(ctx context.Context, tx Tx) error {
		r.chain, done = r.result.Run, nil
		var passes []DonePass
		for i, kind := range r.Kinds {
			cp, err := tx.Checkpoint(ctx, Collection{r.Integration.ID, kind})
			if err != nil {
				return err
			}
			if i == 0 {
				s := *cp.state(r.Mode)
				if s == nil || !slices.Equal(s.Kinds, r.Kinds) || len(s.Done) == 0 || !s.recent(time.Now()) {
					return nil
				}
				r.chain, passes = s.Run, s.Done
			}
			if i == len(passes) || *cp.slot(r.Mode) != nil {
				return nil
			}
			p := passes[i]
			done = append(done, KindResult{
				Kind: kind, Pass: p.Counts, Complete: p.Incomplete == "", Why: p.Incomplete, Whole: p.Whole, DoneBefore: true,
				Watermark: cp.Watermark,
			})
		}
		return nil
	})
	return done, err
}

// finished notes, in the transaction that ends the pass p of the kind whose checkpoint is cp, that the run need not do
// the kind again; after its last kind it forgets all that.
func (k *kindRun) finished(ctx context.Context, tx Tx, cp *Checkpoint, p *Pass) error {
	i := slices.Index(k.Kinds, k.c.Kind)
	if len(k.Kinds) < 2 {
		return nil
	}
	pass := DonePass{
		Started: p.Started, Finished: wall(time.Now()), Whole: p.Whole, Incomplete: p.Incomplete, Counts: p.Counts,
	}
	if i == 0 {
		k.chain = k.run.result.Run
		*cp.state(k.Mode) = &RunState{Run: k.chain, Kinds: slices.Clone(k.Kinds), Done: []DonePass{pass}}
		return nil
	}
	first, err := tx.Checkpoint(ctx, Collection{k.c.Integration, k.Kinds[0]})
	if err != nil {
		return err
	}
	s := *first.state(k.Mode)
	switch {
	case s == nil || s.Run != k.chain: // another run has begun since
		return nil
	case i == len(k.Kinds)-1:
		*first.state(k.Mode) = nil
	case len(s.Done) >= i:
		s.Done = append(slices.Clip(s.Done[:i]), pass)
	default: // a kind before is not done
		return nil
	}
	return tx.PutCheckpoint(ctx, first)
}
