package webhook

import "testing"

// The work of refusing a client is the same for each id: as many comparisons, of hashes, whatever it has.
func TestTokenEndpoint_SameWorkForAll(t *testing.T) {
	secret := Secret{Value: "sixteen bytes or more"}
	e, err := NewTokenEndpoint(TokenEndpointConfig{
		Clients: map[string][]Secret{"one": {secret}, "changing": {secret, {Value: "another one of some length"}, secret}},
		Key:     Secret{Value: "thirty-two bytes that nobody else has"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, list := range map[string][]hashedSecret{"one": e.clients["one"], "changing": e.clients["changing"], "unknown": e.nobody} {
		if len(list) != 3 {
			t.Errorf("%s: %d comparisons, want 3", id, len(list))
		}
		for _, s := range list {
			if s.Value != "" {
				t.Errorf("%s: the secret itself is kept", id)
			}
		}
	}
}
