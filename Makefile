# The verbs of the project, for people and CI alike. Each installs what it needs first.
#   make demo [IMAGES=folder PRODUCT=name] [AMQP_URL=url PARTS=rabbitmq: a line that runs elsewhere]
#   make up   make test   make check   make chaos [N=10000]   make operations [NAMES="model restore"]   make audit
#   make train PRODUCT=te_head [DATA=folder] [ARGS="--minutes 30"]
#   make evaluate PRODUCT=te_head [DATA=folder]   make bench   make profile   make bench-store   make throughput

PRODUCT ?= te_head
PARTS ?= triton,rabbitmq,bridge
N ?= 10000
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
VENDOR := gateway/static/vendor/.done
LOCAL := $(PY) -m deploy.local

.PHONY: demo up test check format train evaluate bench profile bench-store bench-upload throughput chaos operations verify-images audit install pin clean
.DEFAULT_GOAL := demo

demo: $(VENV)/serve.done ## 24 photographs over AMQP, decisions out
	@$(if $(IMAGES),OPICA_IMAGE_ROOTS="$(IMAGES)") $(LOCAL) --parts $(PARTS) --product $(PRODUCT) -- \
		$(PY) -m deploy.local.demo --product $(PRODUCT) $(if $(IMAGES),--images "$(IMAGES)")

up: export OPICA_GATEWAY_PORT ?= 8080
up: $(VENV)/serve.done $(VENDOR) ## the whole line and its dashboard until Ctrl-C
	@$(LOCAL)

# Beside all that needs the line, the many small tests of gateway and deploy: two cores, half the time. With ARGS: just those.
test: $(VENV)/test.done $(VENDOR)
ifdef ARGS
	@$(PY) -m pytest $(ARGS)
else
	@mkdir -p var; $(PY) -m pytest -p no:cacheprovider tests/gateway tests/deploy >var/test-gateway.log 2>&1 & gateway=$$!; \
		trap 'kill $$gateway' INT TERM; $(PY) -m pytest --ignore=tests/gateway --ignore=tests/deploy; others=$$?; \
		wait $$gateway; status=$$?; cat var/test-gateway.log; exit $$((others > status ? others : status))
endif

check: $(VENV)/test.done ## lint, format, types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(VENV)/test.done
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

train: $(VENV)/train.done ## train, quantise, publish the next release
	@$(PY) -m training train $(PRODUCT) $(if $(DATA),--data "$(DATA)") $(ARGS)

evaluate: $(VENV)/serve.done ## F1 and AG through the real ensemble
	@$(LOCAL) --parts triton --product $(PRODUCT) -- \
		$(PY) -m training.evaluate $(PRODUCT) $(if $(DATA),--data "$(DATA)") $(ARGS)

bench: export OPICA_VAR := var/bench
bench: $(VENV)/bench.done ## the line beside its limits, the paper's pipeline and a plain server, interleaved
	@$(LOCAL) --parts triton,rabbitmq,bridge,gateway --look-every 3600 -- \
		$(PY) -m deploy.local.bench --product $(PRODUCT) $(ARGS)

profile: $(VENV)/serve.done ## perf_analyzer over the ensemble and each step: throughput, latency, where the time goes
	@$(LOCAL) --parts triton --product $(PRODUCT) -- $(PY) -m deploy.local.profile --product $(PRODUCT) $(ARGS)

bench-store: $(VENV)/serve.done ## the dashboard's store with a million inspections: inserts, searches, charts
	@$(PY) -m deploy.local.bench_store $(ARGS)

bench-upload: $(VENV)/serve.done ## an upload against asking Triton directly; fifty uploads at once
	@$(LOCAL) --parts triton,gateway -- $(PY) -m deploy.local.bench_upload --product $(PRODUCT) $(ARGS)

throughput: export OPICA_REPOSITORY := var/null
throughput: $(VENV)/serve.done ## the bridge alone: an ensemble whose model costs nothing
	@$(PY) -m perf.null_release $(OPICA_REPOSITORY) >/dev/null
	@$(LOCAL) --parts triton,rabbitmq,bridge -- $(PY) -m deploy.local.throughput $(ARGS)

chaos: $(VENV)/serve.done ## kill every part under load; count what was lost
	@$(PY) -m deploy.local.chaos --number $(N) $(ARGS)

operations: $(VENV)/serve.done ## upgrades, losses, restore, rotation under load; NAMES="model restore"
	@$(PY) -m deploy.operations $(NAMES) $(ARGS)

verify-images: $(VENV)/serve.done ## build the container images, run the line in them, kill its parts; wants podman or docker
	@$(PY) -m deploy.docker.verify $(ARGS)

# Tools of their own environment: their dependencies must not move ours.
audit: $(VENV)/serve.done ## known vulnerabilities of the pins, and their bill of materials (CycloneDX)
	@test -x var/audit/bin/pip-audit || { $(PY) -m venv var/audit && \
		var/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0; }
	@$(PY) -m deploy.local.audit --tools var/audit/bin $(ARGS)

install: $(VENV)/serve.done

# One virtual environment; a group's file marks that it is in and newer than the pins.
$(VENV)/%.done: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "installing the packages to $* (once)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --group $* --constraint constraints.txt
	@touch $@

# What pages load from npm's packages, copied.
$(VENDOR): gateway/package-lock.json deploy/local/browser-parts.sh
	@sh deploy/local/browser-parts.sh

$(VENV)/bin/pip:
	@$(PYTHON) -m venv $(VENV) || sh deploy/local/install-venv.sh $(PYTHON) $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check "pip>=25.1" # dependency groups

pin: $(VENV)/test.done ## write every installed version into constraints.txt
	@$(PY) -m pip freeze | grep -v '^-e\|@ file' | grep -iv '^pip=' | sort -f > constraints.txt

clean: ## remove what runs leave (not data sets, not trained runs)
	rm -rf var $(VENV) gateway/static/vendor .pytest_cache .ruff_cache .mypy_cache
