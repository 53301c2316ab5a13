package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
)

// childRotate rotates credentials three times, to values that no other process has. A test that finds another one
// under way fails.
func childRotate(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := rotating(s, filepath.Dir(args[0]))
	if err != nil {
		return err
	}
	for i := range 3 {
		if err := r.Rotate(ctx, map[string]auth.Secret{"key": auth.Secret(fmt.Sprint(args[1], "-", i))}); err != nil {
			return err
		}
	}
	return nil
}

func rotating(s auth.Store, dir string) (*auth.Rotating, error) {
	return auth.NewRotating(auth.RotatingConfig{
		Key: "acme/app", Store: s, Initial: map[string]auth.Secret{"key": "first"},
		Make: func(values map[string]auth.Secret) (auth.Credential, error) {
			return auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: values["key"], Origins: []string{"https://api.example.com"}})
		},
		Test: func(context.Context, auth.Credential) error {
			busy := filepath.Join(dir, "tested")
			if err := os.Mkdir(busy, 0o700); err != nil {
				return err
			}
			return os.Remove(busy)
		},
	})
}

// Processes that rotate the same credentials take turns; none of their rotations is lost, and all end with the same.
func TestRotationsOfProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	s := open(t, path, keys(t, "k1"))
	r, err := rotating(s, filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var all []*child
	for i := range 3 {
		all = append(all, start(t, "rotate", path, fmt.Sprint("process-", i)))
	}
	for _, c := range all {
		c.wait(t)
	}
	st, err := r.State(t.Context())
	if err != nil || st.Generation != 9 || !st.Verified {
		t.Errorf("state %+v, %v, want generation 9, verified", st, err)
	}
	values, gen, err := r.Values(t.Context())
	if err != nil || gen != 9 || values["key"] == "first" {
		t.Errorf("values of generation %d, %v, want a process's, of 9", gen, err)
	}
}
