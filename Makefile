## The commands of everyday work; `make` lists them.

.PHONY: help build test golden ci vet generated
help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
build: ## the forge binary
	go build -o forge ./cmd/forge
test: ## all tests
	go test ./...
golden: ## rewrite the expected outputs of the tests; read the diff before committing it
	go test ./cmd/forge ./dsl/... -update
vet: ## vet for this processor and for arm64
	go vet ./... && GOARCH=arm64 go vet ./...
generated: ## fail if a generated file is older than its generator
	tools/check-generated
ci: ## everything that must hold before a change is finished
	.ci/run
