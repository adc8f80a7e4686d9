package upload

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain wants every reader of a body and every keeper of a lease to have ended.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), // the test's own client keeps connections
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
