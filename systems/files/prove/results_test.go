package prove

import (
	"testing"

	"plumb/engines/lab/labtest"
)

func TestShippedResults(t *testing.T) { labtest.Shipped(t, Results, Experiments()) }

func TestClaimsAreWellFormed(t *testing.T) { labtest.WellFormed(t, "files", Experiments()) }
