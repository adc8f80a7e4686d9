# The words of the house. `make run` and `make test` are all that a newcomer needs.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X plumb/app.Version=$(VERSION)
export CGO_ENABLED ?= 0

.PHONY: build run check test race soak bench peers figures tools clean

build: bin/plumb ## bin/plumb

.PHONY: bin/plumb
bin/plumb:
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/plumb ./cmd/plumb

run: build ## serve with demonstration data; prints the sign-in link
	bin/plumb serve --demo --data .cache/run $(ARGS)

tools: bin/tools/versitygw bin/tools/staticcheck

bin/tools/%: tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$@ $$(sed -n 's,^\t\([^ ]*/$*\)$$,\1,p' go.mod)

check: bin/tools/staticcheck ## gofmt, vet, staticcheck, floors: seconds
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'd:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	bin/tools/staticcheck ./...
	$(GO) test -run 'TestArrows|TestPlanted' .

test: ## everything that CI runs; installs what it lacks
	./scripts/need
	$(MAKE) build tools check
	CI=$${CI:-} ./scripts/test

soak: build tools ## the long series of the crash tests; results in .cache/soak
	./scripts/soak

bench: ## benchmarks beside their peers
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

peers: build ## the files room beside restic and nginx, which must be installed; ratios in one run
	$(GO) test -run '^$$' -bench Peers -benchtime 1x ./cmd/plumb

figures: build ## a full run of every proof, brought into the tree and the docs
	bin/plumb prove --full --keep .
	$(MAKE) build # the results are embedded
	bin/plumb prove --docs docs

clean:
	rm -rf bin .cache
