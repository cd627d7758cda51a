# Targets for people; each can be typed on a machine where nothing of ours is installed yet.
SHELL := /bin/sh
NODE := scripts/node
GO := $(CURDIR)/scripts/go
BIN := node_modules

.PHONY: help up test cluster cluster-images cluster-test server-test verify model build packages clean format generate go

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# Whoever makes this trusts the owner of the checkout: this file and all programs are the owner's.
up: node_modules/.installed go ## run examples/quickstart on this machine, without a cluster, until Ctrl-C
	@$(NODE) scripts/go-programs.ts --host
	@bin/shellcron up examples/quickstart --trust-owner "$$(ls -nd . | awk '{ print $$3 }')"

test: build ## set up what the tests need and run all of them
	@$(NODE) scripts/tools.ts
	@if command -v gcc >/dev/null; then CGO_ENABLED=1 $(GO) -C launcher test -race -count=1 ./...; else $(GO) -C launcher test -count=1 ./...; fi
	@$(NODE) scripts/test.ts

cluster: node_modules/.installed go ## start a Kubernetes of two nodes on this machine, until Ctrl-C; needs root
	@$(NODE) scripts/tools.ts
	@$(NODE) scripts/cluster.ts

cluster-images: build ## build the chart's images, and load them on the nodes of `make cluster`
	@$(NODE) scripts/tools.ts
	@$(NODE) scripts/cluster-images.ts

cluster-test: build ## the tests that take minutes on a Kubernetes with nodes; needs root
	@$(NODE) scripts/tools.ts
	@$(NODE) scripts/test.ts --project=cluster

server-test: build ## test the packages on a real Debian with systemd, which is emulated; needs root on Debian, takes about half an hour
	@$(NODE) scripts/server-tools.ts
	@$(NODE) scripts/test.ts --project=real-server

verify: node_modules/.installed go ## types, lint, format, dead code, architecture, generated files
	@$(NODE) scripts/verify.ts

model: ## search the model of the protocol (docs/protocol.md) for violations; needs python3 only, takes about twenty minutes
	@python3 test/model/protocol_model.py

build: node_modules/.installed go ## build the launcher and its helper for amd64 and arm64, and the release, dist/shellcron
	@$(NODE) scripts/go-programs.ts
	@$(NODE) scripts/bundle.ts

packages: build ## make the Debian packages and tarballs for amd64 and arm64 in dist/packages
	@$(NODE) scripts/packages.ts

generate: node_modules/.installed ## write the generated files again
	@$(NODE) scripts/generate-crds.ts
	@$(NODE) scripts/chart-readme.ts

format: node_modules/.installed ## format the source
	@$(NODE) $(BIN)/@biomejs/biome/bin/biome check --write .

clean: ## remove what was built or installed in this checkout
	rm -rf node_modules .tools dist .shellcron examples/quickstart/.shellcron

# Fetches Go where the system has none, or says how to install it.
go:
	@$(GO) version >/dev/null

# Not `npm ci`: it refuses a lock file that leaves out optional packages of other platforms, which not every registry mirror serves.
node_modules/.installed: package.json package-lock.json
	@$(NODE) --version >/dev/null
	@PATH="$$($(NODE) -p 'require("path").dirname(process.execPath)'):$$PATH" npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@
