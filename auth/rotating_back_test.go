package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/retry"
)

// gate lets some calls through at a time, each until its answer's body is closed, as a limiter does.
type gate struct {
	next  http.RoundTripper
	slots chan struct{}
}

func (g gate) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case g.slots <- struct{}{}:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		<-g.slots
		return nil, err
	}
	resp.Body = &gated{ReadCloser: resp.Body, slots: g.slots}
	return resp, nil
}

type gated struct {
	io.ReadCloser
	slots chan struct{}
	once  sync.Once
}

func (b *gated) Close() error {
	b.once.Do(func() { <-b.slots })
	return b.ReadCloser.Close()
}

// through makes Test's call through a transport.
func through(rt http.RoundTripper) func(context.Context, auth.Credential) error {
	return func(ctx context.Context, c auth.Credential) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
		if err != nil {
			return err
		}
		resp, err := c.Wrap(rt).RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &retry.Error{
			Verdict: retry.Judge(req, resp, nil), Status: resp.StatusCode, Err: errors.New("the test was answered so"),
		}
	}
}

// withTest is a Rotating whose Test is another.
func withTest(t *testing.T, k *keyed, test func(context.Context, auth.Credential) error, evs *rotationEvents) *auth.Rotating {
	t.Helper()
	r, err := auth.NewRotating(auth.RotatingConfig{
		Key: "acme/app", Initial: keyValue("old"), Make: k.make, Test: test, OnEvent: evs.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The test that looks for a way back goes through the limiter of the calls that were refused. None of them keeps its
// place meanwhile, and their answers can be read all the same.
func TestRefusedCallsHoldNothingDuringTheTest(t *testing.T) {
	for _, calls := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			k, evs := newKeyed("old", "new"), &rotationEvents{}
			rt := gate{k, make(chan struct{}, calls)}
			r := withTest(t, k, through(rt), evs)
			if err := r.Rotate(t.Context(), keyValue("new")); err != nil {
				t.Fatal(err)
			}
			k.set(func(k *keyed) { delete(k.takes, "new") })
			start := time.Now()
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() { wantKey(t, r.Wrap(rt), "old") })
			}
			wg.Wait()
			// The call, two tests, and the calls again.
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%d calls took %v", calls, took)
			}
			if evs.String() != "rotated 1, rolled_back 2" {
				t.Errorf("events %s", evs)
			}
		})
	}
}

// An answer that waited for a way back that was not found is the caller's, as it was; of a very long one as much as
// was kept, and then an error.
func TestRefusalIsReadableAfterTheTest(t *testing.T) {
	const most = 256 << 10
	broken := errors.New("the connection broke off")
	for _, tt := range []struct {
		name string
		body io.Reader
		want int
		fail bool
	}{
		{"short", strings.NewReader("who are you?"), 12, false},
		{"as long as is kept", strings.NewReader(strings.Repeat("x", most)), most, false},
		{"longer", strings.NewReader(strings.Repeat("x", most+1)), most, true},
		{"broken off", io.MultiReader(strings.NewReader("who"), errReader{broken}), 3, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			k, evs := newKeyed("old", "new"), &rotationEvents{}
			r := withTest(t, k, k.test, evs)
			if err := r.Rotate(t.Context(), keyValue("new")); err != nil {
				t.Fatal(err)
			}
			rt := r.Wrap(rtFunc(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 401, Header: http.Header{}, Body: io.NopCloser(tt.body), Request: req}, nil
			}))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if len(got) != tt.want || err != nil != tt.fail || resp.Body.Close() != nil {
				t.Errorf("%s: %d bytes, %v, want %d", tt.name, len(got), err, tt.want)
			}
			if tt.name == "broken off" && !errors.Is(err, broken) {
				t.Errorf("%v, want what broke it", err)
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// A caller in a hurry goes when its time is over, and what it began goes on for the others: they do not wait a minute
// for the next look.
func TestImpatientCallSpoilsNoWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, evs := newKeyed("old", "new"), &rotationEvents{}
		test := func(ctx context.Context, c auth.Credential) error {
			if err := k.test(ctx, c); ctx.Err() == nil {
				return err
			}
			return ctx.Err()
		}
		r := withTest(t, k, test, evs)
		if err := r.Rotate(t.Context(), keyValue("new")); err != nil {
			t.Fatal(err)
		}
		k.set(func(k *keyed) { delete(k.takes, "new") })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.Wrap(k).RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("in a hurry: %v, %v after %v, want the refusal in time", resp, err, time.Since(start))
		}
		wantKey(t, r.Wrap(k), "old")
		if evs.String() != "rotated 1, rolled_back 2" || k.tests != 4 {
			t.Errorf("%d tests, events %s", k.tests, evs)
		}
	})
}

// Values that were never verified do not push out the last that were, unless they turn out to be good.
func TestRotateOverUnverified(t *testing.T) {
	for _, good := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k, evs := newKeyed("old", "first", "second"), &rotationEvents{}
			k.onTest = func(n int, _ string) { k.set(func(k *keyed) { k.down = n == 2 }) }
			r := rotating(t, k, nil, evs)
			if err := r.Rotate(t.Context(), keyValue("first")); retry.ClassOf(err) != retry.Transient {
				t.Errorf("the partner is away: %v", err)
			}
			k.set(func(k *keyed) { k.down = false })
			want := "first"
			seconds := 0
			k.onTest = func(_ int, key string) {
				if key != "second" {
					return
				}
				if seconds++; seconds == 2 { // refused when in use
					k.set(func(k *keyed) { delete(k.takes, "second") })
				}
			}
			if !good {
				k.set(func(k *keyed) { delete(k.takes, "first") })
				want = "old"
			}
			if err := r.Rotate(t.Context(), keyValue("second")); retry.ClassOf(err) != retry.Auth {
				t.Errorf("refused in use: %v", err)
			}
			wantInUse(t, r, want, 3, true)
			wantKey(t, r.Wrap(k), want)
			if evs.String() != "rotation_unverified 1, rolled_back 3" {
				t.Errorf("events %s", evs)
			}
		})
	}
}

// What is gone back to counts as verified if it passed its test, and is not gone back to if it is refused as well.
func TestRotateGoesBackToWhatItKnows(t *testing.T) {
	for _, tt := range []struct {
		name, back string // what the partner says of the old values then
		want       string
		gen        auth.Generation
		events     string
	}{
		{"away", "down", "old", 2, "rolled_back 2"},
		{"refused as well", "refused", "new", 1, "rotation_unverified 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k, evs := newKeyed("old", "new"), &rotationEvents{}
			k.onTest = func(n int, _ string) {
				k.set(func(k *keyed) {
					k.takes["new"] = n < 2
					k.down = n == 3 && tt.back == "down"
					k.takes["old"] = n < 3 || tt.back == "down"
				})
			}
			r := rotating(t, k, nil, evs)
			err := r.Rotate(t.Context(), keyValue("new"))
			if retry.ClassOf(err) != retry.Auth {
				t.Errorf("%s: %v, class %v, want Auth", tt.name, err, retry.ClassOf(err))
			}
			k.onTest = nil
			k.set(func(k *keyed) { k.down = false })
			wantInUse(t, r, tt.want, tt.gen, false)
			if evs.String() != tt.events {
				t.Errorf("%s: events %s", tt.name, evs)
			}
			if tt.want == "old" { // the same again ends what is not
				if err := r.Rotate(t.Context(), keyValue("old")); err != nil {
					t.Error(err)
				}
				wantInUse(t, r, "old", 2, true)
			}
		})
	}
}

// A call whose token was refused keeps no place in the limiter while the token endpoint takes its time: those of other
// credentials are served.
func TestRefusedTokenHoldsNothingDuringTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, a := newIssuer(), &api{}
		rt := gate{a, make(chan struct{}, 1)}
		mine := newSource(t, auth.SourceConfig{Exchanger: is}).Wrap(rt)
		if status, err := get(t, mine, apiURL); status != 200 || err != nil {
			t.Fatal(status, err)
		}
		a.good = func(_, token string) int {
			if token == "token-1" {
				return http.StatusUnauthorized
			}
			return http.StatusOK
		}
		is.set(func(is *issuer) { is.slow = 20 * time.Second })
		var wg sync.WaitGroup
		wg.Go(func() {
			if status, err := get(t, mine, apiURL); status != 200 || err != nil {
				t.Error(status, err)
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		if status, err := get(t, rt, apiURL); status != 200 || time.Since(start) > time.Second {
			t.Errorf("another's call: %d, %v after %v", status, err, time.Since(start))
		}
		wg.Wait()
	})
}
