package importer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// verdict makes errors as driver.Client returns them.
func verdict(class retry.Class, status int) error {
	return &retry.Error{Verdict: retry.Verdict{Class: class}, Partner: importertest.Partner, Status: status, Err: errors.New("refused")}
}

func TestGalleryIsAuthoritative(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(40, 0, 4)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a}, s)
		run(t, cfg)
		a.Delete("r0000003-m01", "r0000039-m00")
		a.Touch(time.Now(), "r0000003-m02")
		a.Poison(errors.New("garbage"), false, "r0000004-m00")
		a.Delete("r0000005-m00")
		a.Poison(errors.New("garbage"), true, "r0000005-m01") // may be m00: nothing of this gallery goes
		k := only(t, run(t, cfg), driver.KindMedia)
		if k.Counts.Deleted != 2 || k.Counts.Updated != 1 || k.Counts.Rejected != 2 || k.Failed != 0 {
			t.Errorf("got %+v", k)
		}
		for id, lives := range map[string]bool{"r0000003-m01": false, "r0000039-m00": false, "r0000004-m00": true, "r0000005-m00": true, "r0000005-m01": true} {
			if got := get(t, s, media, id).DeletedAt.IsZero(); got != lives {
				t.Errorf("%s lives: %v, want %v", id, got, lives)
			}
		}
		if k.Complete || !strings.Contains(k.Why, "not listed whole") {
			t.Errorf("got complete %v, %q", k.Complete, k.Why)
		}
	})
}

func TestGalleryThatFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		goesOn  bool // with the other resources
		missing bool
	}{
		{"not found", driver.ErrNotFound, true, true},
		{"404", verdict(retry.Client, http.StatusNotFound), true, true},
		{"410", verdict(retry.Client, http.StatusGone), true, true},
		{"403", verdict(retry.Client, http.StatusForbidden), true, false},
		{"garbage", verdict(retry.Data, http.StatusOK), true, false},
		{"429", verdict(retry.RateLimit, http.StatusTooManyRequests), false, false},
		{"401", verdict(retry.Auth, http.StatusUnauthorized), false, false},
		{"500", verdict(retry.Transient, http.StatusInternalServerError), false, false},
		{"circuit open", verdict(retry.Unavailable, 0), false, false},
		{"unknown", errors.New("of no class"), false, false},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			a := account(80, 0, 2)
			d := &importertest.Driver{Account: a}
			s := importer.NewMemory()
			cfg := config(d, s)
			d.Before = func(_ context.Context, op, _ string) error {
				if op == "media r0000040" {
					return tt.err
				}
				return nil
			}
			res, err := importer.Run(t.Context(), cfg)
			k := only(t, res, driver.KindMedia)
			if !tt.goesOn {
				if !errors.Is(err, tt.err) || k.Complete || live(t, s, media) != 80 { // what came before it is kept
					t.Errorf("got %v, %d live, %+v", err, live(t, s, media), k)
				}
				d.Before = nil
				if k := only(t, run(t, cfg), driver.KindMedia); !k.Resumed || !k.Complete || live(t, s, media) != 160 {
					t.Errorf("after it: %d live, %+v", live(t, s, media), k)
				}
				return
			}
			if err != nil || live(t, s, media) != 158 || k.Complete != tt.missing {
				t.Errorf("got %v, %d live, %+v", err, live(t, s, media), k)
			}
			if !tt.missing && (k.Failed != 1 || len(k.Failures) != 1 || k.Failures[0].ResourceID != "r0000040" || !errors.Is(k.Failures[0].Err, tt.err) || !k.Watermark.IsZero()) {
				t.Errorf("got %+v", k)
			}
			if tt.missing && k.Failed != 0 {
				t.Errorf("got %+v", k)
			}
		})
	}
}

func TestGalleriesThatAllFail(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(100, 0, 2)
		d := &importertest.Driver{Account: a}
		s := importer.NewMemory()
		cfg := config(d, s)
		run(t, cfg)
		calls := 0
		d.Before = func(_ context.Context, op, _ string) error {
			if strings.HasPrefix(op, "media") {
				calls++
				return verdict(retry.Client, http.StatusForbidden)
			}
			return nil
		}
		cfg.Parallel = 1
		time.Sleep(time.Hour)
		res, err := importer.Run(t.Context(), cfg)
		if retry.ClassOf(err) != retry.Client || calls != 32 || only(t, res, driver.KindMedia).Complete || live(t, s, media) != 200 {
			t.Errorf("got %v after %d calls, want an end after a group", err, calls)
		}
		// As many that the partner does not know at all are no empty galleries either.
		d.Before = func(_ context.Context, op, _ string) error {
			if strings.HasPrefix(op, "media") {
				return driver.ErrNotFound
			}
			return nil
		}
		if k := only(t, run(t, cfg), driver.KindMedia); k.Complete || k.Counts.Deleted != 0 || live(t, s, media) != 200 {
			t.Errorf("got %+v", k)
		}
	})
}

func TestGalleriesThatAreAllEmpty(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(40, 0, 3)
		s := importer.NewMemory()
		cfg := config(&importertest.Driver{Account: a}, s)
		run(t, cfg)
		a.MediaPer = 0
		if k := only(t, run(t, cfg), driver.KindMedia); k.Counts.Deleted != 0 || !strings.Contains(k.Kept, "MaxDeleteFraction") || live(t, s, media) != 120 {
			t.Errorf("got %+v", k)
		}
		cfg.MaxDeleteFraction = 1
		if k := only(t, run(t, cfg), driver.KindMedia); k.Counts.Deleted != 120 || live(t, s, media) != 0 || k.Kept != "" {
			t.Errorf("got %+v", k)
		}
	})
}

// gallery lists media as a function does, of the resources of a Driver.
type gallery struct {
	*importertest.Driver
	list func(resource string) pagination.Pages[driver.Media]
}

func (g gallery) Media(_ context.Context, resource string) pagination.Pages[driver.Media] {
	return g.list(resource)
}

func TestGalleryInParts(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(3, 0, 0)
		s := importer.NewMemory()
		of := func(id string) driver.Media { return driver.Media{Record: driver.Record{ID: id}} } // without its resource's id
		end := pagination.Cursor("")
		why := ""
		cfg := config(gallery{&importertest.Driver{Account: a}, func(resource string) pagination.Pages[driver.Media] {
			return func(yield func(pagination.Page[driver.Media], error) bool) {
				_ = yield(pagination.Page[driver.Media]{Items: []driver.Media{of(resource + "-a")}, Next: "x"}, nil) &&
					yield(pagination.Page[driver.Media]{Items: []driver.Media{of(resource + "-b")}, Next: end, Incomplete: why}, nil)
			}
		}}, s)
		old := of("r0000001-old")
		old.ResourceID = "r0000001"
		if _, err := importer.Apply(t.Context(), cfg, time.Now(), &old); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			end       pagination.Cursor
			why       string
			lives, ok bool
		}{{"more", "", true, false}, {"", "a cap was reached", true, false}, {"", "", false, true}} {
			end, why = tt.end, tt.why
			k := only(t, run(t, cfg), driver.KindMedia)
			if k.Complete != tt.ok || get(t, s, media, "r0000001-old").DeletedAt.IsZero() != tt.lives || k.Counts.Pages != 6 {
				t.Errorf("%q %q: got %+v", tt.end, tt.why, k)
			}
		}
		if got := get(t, s, media, "r0000002-b"); got.Parent != "r0000002" {
			t.Errorf("got parent %q", got.Parent)
		}
	})
}

func TestGalleryPanics(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(5, 0, 1)
		d := &importertest.Driver{Account: a}
		s := importer.NewMemory()
		cfg := config(gallery{d, func(resource string) pagination.Pages[driver.Media] {
			if resource == "r0000002" {
				panic("s3cret")
			}
			return d.Media(t.Context(), resource)
		}}, s)
		k := only(t, run(t, cfg), driver.KindMedia)
		if k.Counts.Added != 4 || k.Failed != 1 || strings.Contains(k.Failures[0].Err.Error(), "s3cret") || k.Complete {
			t.Errorf("got %+v", k)
		}
	})
}

// TestResourceThatGoesMeanwhile: media of a resource that was erased or deleted while its gallery was read are not
// stored.
func TestResourceThatGoesMeanwhile(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(3, 0, 2)
		d := &importertest.Driver{Account: a}
		s := importer.NewMemory()
		d.Before = func(ctx context.Context, op, _ string) error {
			if op == "media r0000001" {
				return s.Erase(ctx, resources, "r0000001")
			}
			return nil
		}
		if k := only(t, run(t, config(d, s)), driver.KindMedia); k.Counts.Added != 4 || live(t, s, media) != 4 {
			t.Errorf("got %+v", k)
		}
	})
}

func TestMediaInParallel(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := account(64, 0, 1)
		d := &importertest.Driver{Account: a}
		cfg := config(d, importer.NewMemory())
		cfg.Parallel = 8
		d.Before = func(_ context.Context, op, _ string) error {
			if strings.HasPrefix(op, "media") {
				time.Sleep(time.Second)
			}
			return nil
		}
		if k := only(t, run(t, cfg), driver.KindMedia); k.Duration != 8*time.Second {
			t.Errorf("64 galleries of a second each, eight at a time, took %v", k.Duration)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, errors.New("shutting down"))
		defer cancel()
		d.Before = func(ctx context.Context, op, _ string) error {
			if strings.HasPrefix(op, "media") {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		}
		if _, err := importer.Run(ctx, cfg); err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("got %v", err)
		}
	})
}
