package auth

// Key is a sealing key: 32 random bytes under an id.
type Key struct {
	ID     string
	Secret [32]byte
}

// Keys seals what is stored with AES-256-GCM. New seals use the first key; any may open. It is safe for concurrent use.
type Keys struct{}

// NewKeys returns an error that names everything that is wrong: no key, an empty or repeated id, an all-zero secret.
func NewKeys(keys ...Key) (*Keys, error) { panic("spike") }

// Seal encrypts plain, bound to where it is stored: Open with another place fails.
func (k *Keys) Seal(place string, plain []byte) ([]byte, error) { panic("spike") }

// Open decrypts what Seal made.
func (k *Keys) Open(place string, sealed []byte) ([]byte, error) { panic("spike") }
