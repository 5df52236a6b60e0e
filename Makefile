# All there is to know: demo, test, lint, bench, docs, soak.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: all demo test lint bench docs soak clean
all: lint test

demo: $(VENV)/run.stamp
	$(BIN)/python scripts/demo.py

test: $(VENV)/test.stamp
	scripts/hosts.sh
	scripts/bpy.sh
	$(BIN)/python scripts/weights.py
	$(BIN)/python -m pytest -n $$(scripts/workers.sh) --dist loadgroup

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	scripts/page_types.sh $(VENV)/node
	$(BIN)/python scripts/layout.py

bench: $(VENV)/test.stamp
	$(BIN)/python scripts/weights.py
	$(BIN)/python -m bench

docs: $(VENV)/test.stamp
	$(BIN)/python scripts/docs.py

soak: $(VENV)/test.stamp
	scripts/hosts.sh soak
	scripts/bpy.sh 5.0.1 5.3.0 5.2.3 5.1.2 4.5.15 4.2.23
	$(BIN)/python scripts/weights.py
	$(BIN)/python -m pytest -m slow --timeout 3600
	$(BIN)/python -m pytest tests/live/test_package_obs.py

$(VENV)/run.stamp: pyproject.toml
	scripts/venv.sh "$(PYTHON)" "$(VENV)" "closed-form"
	touch $@

$(VENV)/test.stamp: pyproject.toml
	scripts/venv.sh "$(PYTHON)" "$(VENV)" "test,lint"
	touch $@ $(VENV)/run.stamp

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache
