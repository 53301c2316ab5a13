package importertest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	importertest.Store(t, func(*testing.T) importer.Store { return importer.NewMemory() })
}

func TestMemoryQueues(t *testing.T) {
	importertest.QueueStore(t, func(*testing.T) importer.QueueStore { return importer.NewMemory() })
}

func TestMemoryLedger(t *testing.T) {
	importertest.Ledger(t, func(*testing.T) importer.Ledger { return &importer.MemoryLedger{} })
}
