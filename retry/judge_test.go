package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// says is a classifier that always gives v.
func says(v retry.Verdict) retry.Classifier {
	return retry.Classifier{Classify: func(retry.Exchange) (retry.Verdict, bool) { return v, true }}
}

func passes(calls *int) retry.Classifier {
	return retry.Classifier{Classify: func(retry.Exchange) (retry.Verdict, bool) { *calls++; return retry.Verdict{}, false }}
}

func TestClassifiersAreAskedInOrder(t *testing.T) {
	req := request(t, "GET", nil)
	asked := 0
	for name, tt := range map[string]struct {
		classifiers []retry.Classifier
		want        retry.Class
	}{
		"none":          {nil, retry.Transient},
		"one that pass": {[]retry.Classifier{passes(&asked)}, retry.Transient},
		"empty":         {[]retry.Classifier{{}, says(retry.Verdict{Class: retry.Data})}, retry.Data},
		"first wins":    {[]retry.Classifier{passes(&asked), says(retry.Verdict{Class: retry.Client}), says(retry.Verdict{Class: retry.Data})}, retry.Client},
		"good":          {[]retry.Classifier{says(retry.Verdict{}), says(retry.Verdict{Class: retry.Data})}, retry.OK},
	} {
		ctx, _ := retry.WithAttempt(t.Context(), tt.classifiers...)
		if got := retry.Judge(req.WithContext(ctx), answer(500), nil).Class; got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if asked != 2 {
		t.Errorf("the passing classifier was asked %d times, want 2", asked)
	}
}

func TestClassifiersVerdictIsCompleted(t *testing.T) {
	later := time.Now().Add(time.Hour)
	soon := func(v retry.Verdict) bool {
		d := time.Until(v.At)
		return d > 58*time.Minute-time.Minute && d <= 58*time.Minute
	}
	for name, tt := range map[string]struct {
		gives retry.Verdict
		resp  *http.Response
		err   error
		sent  retry.Sent
		at    func(retry.Verdict) bool
	}{
		"answered":   {retry.Verdict{Class: retry.Transient}, answer(200, "Retry-After", "3480"), nil, retry.Answered, soon},
		"never":      {retry.Verdict{Class: retry.Transient, Sent: retry.Never}, answer(200, "Retry-After", "3480"), nil, retry.Never, soon},
		"own time":   {retry.Verdict{Class: retry.RateLimit, At: later}, answer(200, "Retry-After", "1"), nil, retry.Answered, func(v retry.Verdict) bool { return v.At.Equal(later) }},
		"good":       {retry.Verdict{}, answer(200, "Retry-After", "1"), nil, retry.Answered, func(v retry.Verdict) bool { return v.At.IsZero() }},
		"credential": {retry.Verdict{Class: retry.Auth}, answer(403, "Retry-After", "1"), nil, retry.Answered, func(v retry.Verdict) bool { return v.At.IsZero() }},
		"no answer":  {retry.Verdict{Class: retry.Data}, nil, io.EOF, retry.Unknown, func(v retry.Verdict) bool { return v.At.IsZero() }},
	} {
		ctx, _ := retry.WithAttempt(t.Context(), says(tt.gives))
		got := retry.Judge(request(t, "GET", nil).WithContext(ctx), tt.resp, tt.err)
		if got.Class != tt.gives.Class || got.Sent != tt.sent || !tt.at(got) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// uncomparable cannot be compared with ==; neither can a struct that holds one in an interface.
type uncomparable []string

func (uncomparable) Error() string { return "uncomparable" }

type holder struct{ v any }

func (holder) Error() string { return "holder" }

func TestJudgeOnce(t *testing.T) {
	calls := 0
	ctx, a := retry.WithAttempt(t.Context(), passes(&calls))
	req := request(t, "GET", nil).WithContext(ctx)
	judge := func(resp *http.Response, err error, want int) {
		t.Helper()
		retry.Judge(req, resp, err)
		if calls != want {
			t.Fatalf("judged %d times, want %d", calls, want)
		}
	}
	first, second := answer(500), answer(200)
	judge(first, nil, 1)
	judge(first, nil, 1)
	judge(second, nil, 2) // a replay inside the attempt
	judge(second, nil, 2)
	judge(nil, io.EOF, 3)
	judge(nil, io.EOF, 3)
	judge(nil, uncomparable{"a"}, 4) // cannot be told from another: judged each time, and no panic
	judge(nil, uncomparable{"a"}, 5)
	judge(nil, holder{[]int{1}}, 6)
	judge(nil, holder{[]int{1}}, 7)
	judge(nil, holder{1}, 8)
	judge(nil, holder{1}, 8)
	if retry.AttemptFrom(context.WithValue(ctx, holder{}, 1)) != a || a.Number != 1 {
		t.Error("the attempt is not found in a context below it")
	}
	e := &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable}}
	judge(nil, fmt.Errorf("x: %w", e), 8) // has its verdict
}

func TestWithAttemptInside(t *testing.T) {
	calls := 0
	ctx, outer := retry.WithAttempt(t.Context(), passes(&calls))
	outer.Number = 3
	outer.Waits.AddTier("minute", time.Second)
	ctx, inner := retry.WithAttempt(ctx)
	retry.Judge(request(t, "GET", nil).WithContext(ctx), answer(500), nil)
	if inner.Number != 3 || inner.Waits.Limiter != time.Second || calls != 1 {
		t.Errorf("got number %d, %v waited, %d calls of the outer classifier", inner.Number, inner.Waits.Limiter, calls)
	}
	inner.Waits.AddTier("minute", time.Minute)
	if got := outer.Waits.Tiers[0].Wait; got != time.Second {
		t.Errorf("the outer attempt's tier waited %v, want 1s", got)
	}
	ctx, _ = retry.WithAttempt(ctx, says(retry.Verdict{Class: retry.Data}))
	if got := retry.Judge(request(t, "GET", nil).WithContext(ctx), answer(500), nil).Class; got != retry.Data || calls != 1 {
		t.Errorf("got %v after %d calls of the outer classifier, want data from the new one alone", got, calls)
	}
	if retry.AttemptFrom(t.Context()) != nil {
		t.Error("an attempt out of nowhere")
	}
}

// peeker wants n bytes and keeps a copy of those it got.
func peeker(n int, got *[]byte) retry.Classifier {
	return retry.Classifier{
		PeekBody: func(*http.Response) int { return n },
		Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			*got = bytes.Clone(x.Body)
			_ = append(x.Body, "overwritten"...) // must not reach the body
			return retry.Verdict{}, false
		},
	}
}

func TestPeek(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8<<10)
	for _, tt := range []struct {
		body        string
		short, want int
	}{
		{"", 5, 10}, {"abc", 1, 2}, {"abc", 3, 3}, {"abc", 3, 4}, {long, 10, 4 << 10}, {long, 0, 5000}, {long, -1, len(long)}, {"abc", 0, 0},
	} {
		for _, chunk := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.DataErrReader, iotest.HalfReader, iotest.OneByteReader,
		} {
			var small, large []byte
			ctx, _ := retry.WithAttempt(t.Context(), peeker(tt.short, &small), peeker(tt.want, &large))
			inner := body(tt.body)
			resp := answer(200)
			resp.Body = struct {
				io.Reader
				io.Closer
			}{chunk(inner), inner}
			retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil)
			if got, want := string(small), tt.body[:min(max(tt.short, 0), len(tt.body))]; got != want {
				t.Errorf("%d bytes wanted of %d: got %d", tt.short, len(tt.body), len(got))
			}
			if got, want := string(large), tt.body[:min(tt.want, len(tt.body), retry.MaxPeek)]; got != want {
				t.Errorf("%d bytes wanted of %d: got %d, want %d", tt.want, len(tt.body), len(got), len(want))
			}
			if got, err := io.ReadAll(iotest.OneByteReader(resp.Body)); string(got) != tt.body || err != nil {
				t.Errorf("%d bytes wanted: read %d, %v, want %d", tt.want, len(got), err, len(tt.body))
			}
			if resp.Body.Close(); inner.closed != 1 {
				t.Errorf("closed %d times", inner.closed)
			}
		}
	}
}

func TestPeekWriteTo(t *testing.T) {
	broken := errors.New("broken")
	abc := func(s string, err error) func() io.Reader {
		return func() io.Reader {
			if err == nil {
				return strings.NewReader(s)
			}
			return io.MultiReader(strings.NewReader(s), iotest.ErrReader(err))
		}
	}
	for name, tt := range map[string]struct {
		body func() io.Reader
		want string
		err  error
	}{
		"whole":              {abc("abcdefgh", nil), "abcdefgh", nil},
		"shorter than peek":  {abc("ab", nil), "ab", nil},
		"broken in the peek": {abc("ab", broken), "ab", broken},
		"broken after it":    {abc("abcdefgh", broken), "abcdefgh", broken},
		"cut":                {abc("ab", fmt.Errorf("cut: %w", io.EOF)), "ab", io.EOF},
	} {
		for how, read := range map[string]func(io.Reader) (string, error){
			"WriteTo": func(r io.Reader) (string, error) {
				var b strings.Builder
				_, err := io.Copy(&b, r)
				return b.String(), err
			},
			"Read": func(r io.Reader) (string, error) { b, err := io.ReadAll(r); return string(b), err },
		} {
			var got []byte
			ctx, _ := retry.WithAttempt(t.Context(), peeker(4, &got))
			resp := answer(200)
			resp.Body = io.NopCloser(tt.body())
			retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil)
			s, err := read(resp.Body)
			if s != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%s, %s: got %q, %v, want %q, %v", name, how, s, err, tt.want, tt.err)
			}
			if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s, %s: reading goes on", name, how)
			}
		}
	}
	for name, w := range map[string]io.Writer{"failing": writer(0, broken), "short": writer(1, nil)} {
		var got []byte
		ctx, _ := retry.WithAttempt(t.Context(), peeker(4, &got))
		resp := answer(200)
		resp.Body = body("ab") // ends within the peek
		retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil)
		if _, err := resp.Body.(io.WriterTo).WriteTo(w); err == nil {
			t.Errorf("%s writer: no error", name)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func writer(n int, err error) io.Writer {
	return writerFunc(func([]byte) (int, error) { return n, err })
}

// Nobody pays for a body that no classifier asks for.
func TestUnwantedBodyIsNotTouched(t *testing.T) {
	var got []byte
	for name, c := range map[string]retry.Classifier{"no PeekBody": says(retry.Verdict{}), "0": peeker(0, &got), "negative": peeker(-1, &got)} {
		ctx, _ := retry.WithAttempt(t.Context(), c)
		resp := answer(200)
		b := body("abc")
		resp.Body = b
		if retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil); resp.Body != io.ReadCloser(b) || b.Len() != 3 {
			t.Errorf("%s: the body was touched", name)
		}
	}
	ctx, _ := retry.WithAttempt(t.Context(), peeker(9, &got))
	for _, resp := range []*http.Response{answer(204), {StatusCode: 200}} {
		before := resp.Body
		if retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil); resp.Body != before {
			t.Error("a body that is none was touched")
		}
	}
}

func FuzzPeek(f *testing.F) {
	f.Add([]byte("hello, world"), 5, uint8(3), false)
	f.Add([]byte{}, 1, uint8(0), true)
	f.Add(bytes.Repeat([]byte("x"), 5000), 4999, uint8(255), true)
	f.Fuzz(func(t *testing.T, sent []byte, n int, chunk uint8, writeTo bool) {
		var got []byte
		ctx, _ := retry.WithAttempt(t.Context(), peeker(n, &got))
		resp := answer(200)
		r := bytes.NewReader(sent)
		resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) { return r.Read(p[:min(len(p), int(chunk)+1)]) }))
		retry.Judge(request(t, "GET", nil).WithContext(ctx), resp, nil)
		if want := sent[:max(0, min(n, len(sent), retry.MaxPeek))]; !bytes.Equal(got, want) {
			t.Fatalf("a peek of %d at %d bytes gave %d", n, len(sent), len(got))
		}
		var read bytes.Buffer
		var err error
		if writeTo {
			_, err = io.Copy(&read, resp.Body)
		} else {
			_, err = read.ReadFrom(resp.Body)
		}
		if err != nil || !bytes.Equal(read.Bytes(), sent) {
			t.Fatalf("read %d bytes, %v, want %d", read.Len(), err, len(sent))
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestClassOfAndAt(t *testing.T) {
	e := &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit, At: start}}
	for name, tt := range map[string]struct {
		err   error
		class retry.Class
		at    time.Time
	}{
		"nil":      {nil, retry.OK, time.Time{}},
		"bare":     {e, retry.RateLimit, start},
		"url":      {&url.Error{Op: "Get", Err: e}, retry.RateLimit, start},
		"joined":   {errors.Join(io.EOF, fmt.Errorf("x: %w", e)), retry.RateLimit, start},
		"outer":    {&retry.Error{Verdict: retry.Verdict{Class: retry.Data}, Err: e}, retry.Data, time.Time{}},
		"canceled": {fmt.Errorf("x: %w", context.Canceled), retry.Canceled, time.Time{}},
		"deadline": {context.DeadlineExceeded, retry.Canceled, time.Time{}},
		"other":    {io.EOF, retry.Transient, time.Time{}},
	} {
		if got, at := retry.ClassOf(tt.err), retry.At(tt.err); got != tt.class || !at.Equal(tt.at) {
			t.Errorf("%s: got %v, %v, want %v, %v", name, got, at, tt.class, tt.at)
		}
	}
}

func TestNames(t *testing.T) {
	var got []string
	for c := range retry.Canceled + 2 {
		got = append(got, c.String())
	}
	for s := range retry.Partner + 2 {
		got = append(got, s.String())
	}
	for s := range retry.Answered + 2 {
		got = append(got, s.String())
	}
	want := "ok transient rate_limit auth client data unavailable canceled unknown request endpoint credential integration partner unknown unknown never answered invalid"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}
