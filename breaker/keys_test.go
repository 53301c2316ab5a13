package breaker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New(Config{MaxKeys: 20, MinCalls: 1})
		if err != nil {
			t.Fatal(err)
		}
		use := func(key string, v retry.Verdict) {
			call, err := b.Allow(key)
			if err != nil {
				t.Fatal(err)
			}
			call.Done(v)
		}
		if err := b.Force("forced", ForcedOpen); err != nil {
			t.Fatal(err)
		}
		use("open", retry.Verdict{Class: retry.Transient, Fault: true})
		for i := range 1000 {
			use(fmt.Sprint(i), retry.Verdict{})
			if n := len(b.circuits); n > 20 {
				t.Fatalf("%d circuits after %d keys", n, i)
			}
		}
		if s, _ := b.State("forced"); s != ForcedOpen {
			t.Errorf("the forced circuit is %v", s)
		}
		if s, _ := b.State("open"); s != Open {
			t.Errorf("the open circuit is %v: closed ones go first", s)
		}
		// All idle by now: one new key after another sweeps them away, the open one when its time is long over.
		time.Sleep(time.Hour)
		for i := range 10 {
			use(fmt.Sprint("new", i), retry.Verdict{})
		}
		if _, there := b.circuits["open"]; there || len(b.circuits) != 11 {
			t.Errorf("%d circuits are left, the open one among them: %v; want the forced one and ten new ones", len(b.circuits), there)
		}
		// Calls that are out keep theirs.
		out, err := b.Allow("out")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		use("another", retry.Verdict{})
		if _, there := b.circuits["out"]; !there {
			t.Error("a circuit with a call that is out is forgotten")
		}
		out.Done(retry.Verdict{})
	})
}

func TestReadingMakesNoCircuit(t *testing.T) {
	b, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.State("a")
	b.Ready("b")
	if err := b.Force("c", Closed); err != nil {
		t.Fatal(err)
	}
	if len(b.circuits) != 0 {
		t.Errorf("%d circuits, want none", len(b.circuits))
	}
}
