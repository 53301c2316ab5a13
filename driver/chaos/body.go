package chaos

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// spoil makes an answer's body slow or short. One without a body stays as it is.
func spoil(resp *http.Response, ctx context.Context, r *Rule) {
	if resp.Body == nil || resp.Body == http.NoBody || resp.ContentLength == 0 {
		return
	}
	if r.Kind == Slow {
		d := r.Delay
		if d == 0 {
			d = 10 * time.Second
		}
		piece := int64(unknownPiece)
		if resp.ContentLength > 0 {
			piece = max((resp.ContentLength+drips-1)/drips, 1)
		}
		resp.Body = &slowBody{ReadCloser: resp.Body, ctx: ctx, every: d / drips, piece: int(min(piece, 1<<30)),
			closed: make(chan struct{})}
		return
	}
	short := &shortBody{ReadCloser: resp.Body, left: -1, end: io.ErrUnexpectedEOF}
	if resp.ContentLength > 0 {
		short.left = resp.ContentLength / 2
	}
	if r.Kind == Truncated { // it looks whole
		short.end = io.EOF
		resp.ContentLength = -1
		resp.Header = resp.Header.Clone()
		resp.Header.Del("Content-Length")
	}
	resp.Body = short
}

const (
	drips        = 20  // how many pieces a slow body of known length comes in
	unknownPiece = 512 // bytes of each piece, if the length is not known
)

// slowBody gives a piece at a time.
type slowBody struct {
	io.ReadCloser
	ctx    context.Context
	every  time.Duration
	piece  int
	once   sync.Once
	closed chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t := time.NewTimer(b.every)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	}
	return b.ReadCloser.Read(p[:min(len(p), b.piece)])
}

// Close ends the body, also while Read waits.
func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

// shortBody ends early.
type shortBody struct {
	io.ReadCloser
	left int64 // bytes until the end; negative: half of the first piece that comes
	end  error
}

func (b *shortBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.left == 0 {
		return 0, b.end
	}
	if b.left > 0 {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left < 0 && n > 0 {
		n, b.left = n/2, 0
		return n, b.end
	}
	if b.left > 0 {
		b.left -= int64(n)
	}
	return n, err
}
