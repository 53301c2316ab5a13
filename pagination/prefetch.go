package pagination

import (
	"context"
	"runtime"
)

// Prefetch fetches up to n pages ahead of the consumer, in a goroutine that ends before the loop over the result
// does. open makes the stream with the context it is given, which ends with ctx and when the loop is left, so that
// leaving it does not wait for a fetch to time out. n less than 1 fetches nothing ahead. A panic in the stream
// reaches the consumer's goroutine, after the pages before it. It must not be used on a queue whose reads are
// destructive: pages fetched ahead are lost when the loop is left.
func Prefetch[T any](ctx context.Context, n int, open func(context.Context) Pages[T]) Pages[T] {
	if n < 1 {
		return func(yield func(Page[T], error) bool) { open(ctx)(yield) }
	}
	return func(yield func(Page[T], error) bool) {
		type result struct {
			page Page[T]
			err  error
		}
		ctx, cancel := context.WithCancel(ctx)
		results := make(chan result, n-1) // the producer holds one more
		left, done := make(chan struct{}), make(chan struct{})
		// How the producer ended; read after done.
		returned, panicked, value := false, false, any(nil)
		go func() {
			defer close(done)
			defer close(results)
			defer func() {
				if !returned { // a panic, or else runtime.Goexit, for which recover returns nil
					value = recover()
					panicked = value != nil
				}
			}()
			for p, err := range open(ctx) {
				select {
				case results <- result{p, err}:
				case <-left:
					returned = true
					return
				}
			}
			returned = true
		}()
		defer func() {
			close(left)
			cancel()
			<-done
		}()
		for r := range results {
			if !yield(r.page, r.err) {
				return
			}
		}
		<-done
		switch {
		case panicked:
			panic(value)
		case !returned:
			runtime.Goexit()
		}
	}
}
