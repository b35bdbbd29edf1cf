# Two commands do all the set-up on a fresh machine: `make reproduce` and `make test`.
# Everything lives in .venv; PYTHON chooses the interpreter it is made from (3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed-from-pyproject
BOOK := .venv/.book-installed-from-pyproject
PACKAGES := names theory numerics book cli
# One thread each: two test processes share two cores, and small tensors gain nothing from more.
export OMP_NUM_THREADS ?= 1
# Every process that tests start imports the package: without its bytecode each compiles it anew, seconds of every one.
unexport PYTHONDONTWRITEBYTECODE

# A newer release of torch may pull gigabytes of CUDA packages. It has no hash in the lock file: a build for CPUs, for one
# CUDA or for another are different archives of one version.
TORCH := torch==2.13.0
# Its samplers without what its training needs; diffusers and the tests need the rest.
K_DIFFUSION := k-diffusion==0.1.1.post1

.PHONY: help reproduce check test test-full tried book pdf lint emit formal mutants branches dist lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' Makefile

reproduce: $(READY)  ## the figures, tables and records, into results/
	@$(BIN)/samplerproof reproduce

# A file of tests stays in one process: what it computes once is not computed twice; the longest go first. Three
# processes fill two cores, for tests of processes wait now and then.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --peers=required

check: lint  ## lint, and a test or two of every part: a minute, for every change
	@echo "a small set of tests"
	@$(BIN)/pytest -n 2 --dist loadfile -m check $$(grep -rl 'mark\.check' tests --include='test_*.py')

test: lint  ## lint, types, walls, generated code, all tests but the slow ones
	@echo "tests" && $(PYTEST)

test-full: $(READY)  ## what `make test` leaves out: the slow tests, and property tests on many cases
	@echo "slow tests, and property tests on many cases" && $(PYTEST) -m "slow or hypothesis" --hypothesis-profile=full

tried: $(READY)  ## make the record of what was tried to break the package, shown in the book
	@$(PYTEST) -m tried --tried=book/records/tried.json

mutants: $(READY)  ## plant faults in theory and numerics, each judged by the tests of its line: an hour on two idle cores
	@$(BIN)/python tests/mutations/run_mutants.py

# The files of tests that are meant for these modules, and the slow ones of the words for what is no record; all tests of
# theory and numerics would take an hour.
JUDGED := $(addprefix tests/numerics/conformance/test_,attacks.py catalogue.py evidence.py grid_checks.py judge.py \
  kinds.py nearest.py output_channels.py planted.py planted_grids.py recorded_runs.py stage_levels.py verdict.py \
  words_of_answers.py)
BRANCHES := $(addprefix tests/theory/test_,law.py order.py series.py weak.py) $(addprefix tests/numerics/test_,error_bars.py \
  noise.py readback.py sample.py tableau.py tableau_limits.py) $(JUDGED)
COVERED := --cov --cov-branch --cov-config=tests/branches.ini

branches: $(READY)  ## branch coverage of the proofs of orders, of tables and of the judge; fails below 98 %
	@$(PYTEST) $(COVERED) --cov-report= $(BRANCHES)
	@$(PYTEST) -m slow $(COVERED) --cov-append --cov-report=term --cov-fail-under=98 \
	  $(addprefix tests/numerics/conformance/test_,kinds.py nearest.py)

# The build takes from the cache what was executed, and executes again, to report it, what failed.
book: export JUPYTERCACHE = _build/.jupyter_cache
book: $(BOOK)  ## the book, into _build/html; chapters are executed, warnings are errors
	@$(BIN)/python -m samplerproof.book _build/source
	@echo "chapters, as many at once as there are cores"
	@echo y | $(BIN)/jcache notebook clear -f > _build/execution.log 2>&1  # a chapter may have gone or changed its name
	@grep -rl '{code-cell}' _build/source --include='*.md' | xargs $(BIN)/jcache notebook add -r myst_nb_md \
	  >> _build/execution.log 2>&1
	@$(BIN)/jcache project execute -e local-parallel -t 180 >> _build/execution.log 2>&1
	@echo "pages"
	@# all pages: the sidebar of each lists all, and the search loses the names in those that are not built again
	@rm -rf _build/html
	@$(BIN)/jupyter-book build _build/source --path-output . --quiet -W -n --keep-going --all
	@echo "written to _build/html/index.html"

# A printed page has no links to other pages, and no folder of this machine.
PRINTED = $(shell sed -n 's/^ *- file: \(chapters.*\)/\1/p' book/_toc.yml) methods theorems kernel_checked glossary bibliography
CHROMIUM ?= chromium
pdf:  ## after `make book`: chapters, table of samplers, theorems and notation as one PDF (`apt-get install chromium poppler-utils`)
	@rm -rf _build/pdf && mkdir _build/pdf
	@for page in $(PRINTED); do \
	  file=$(CURDIR)/_build/pdf/$$(printf %02d $$(ls _build/pdf | wc -l)).pdf; echo $$page; \
	  $(CHROMIUM) --headless --no-sandbox --disable-gpu --no-pdf-header-footer --virtual-time-budget=120000 \
	    --print-to-pdf=$$file file://$(CURDIR)/_build/html/$$page.html 2> /dev/null && test -s $$file || exit 1; done
	@pdfunite _build/pdf/*.pdf _build/samplerproof.pdf && echo "written to _build/samplerproof.pdf"

lint: $(READY) .lint  ## style, types, walls between the packages
	@echo "ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "mypy" && $(BIN)/mypy
	@echo "import-linter" && cd .lint && ../$(BIN)/lint-imports --config ../pyproject.toml

emit: $(READY)  ## write numerics/generated and formal/methods anew from theory
	@$(BIN)/python -m samplerproof.theory.emit
	@$(BIN)/python -m samplerproof.theory.formal

formal: $(READY)  ## the orders checked by the kernel of Coq (`apt-get install coq`), and a record of it; some minutes
	@$(BIN)/python -m samplerproof.theory.formal --prove

dist: $(READY)  ## an sdist and a wheel with the same bytes whoever makes them, checked, and an SBOM, into dist/
	@rm -rf dist && $(BIN)/python -m build --no-isolation --outdir dist . > /dev/null
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/python release/sbom.py dist/samplerproof.cdx.json && ls dist

# The only target that needs uv. It resolves for every interpreter and system at once; what torch needs is named in
# release/of_torch.txt, for torch itself is left out.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
  --custom-compile-command 'make lock' --override release/overrides.txt
lock:  ## exact versions and hashes of what make installs, into release/
	@echo $(K_DIFFUSION) | $(LOCK) --no-deps - -o release/k_diffusion.lock
	@$(LOCK) --all-extras pyproject.toml release/of_torch.txt -o release/book.lock
	@$(LOCK) -c release/book.lock --extra test --extra peers --extra training --extra cluster pyproject.toml \
	  release/of_torch.txt -o release/requirements.lock

clean:  ## remove the environment and every cache; results/ stays
	rm -rf .venv .lint _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# By the lock files: exact versions, and archives whose hash is known. torch comes behind what it needs, and is kept if
# another build of it is there. The mark is written last, so an interrupted installation is taken up again.
INSTALL := $(BIN)/pip install -qq --disable-pip-version-check
$(READY): pyproject.toml release/requirements.lock release/k_diffusion.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PYTHON: got %d.%d; 3.11 or newer" % sys.version_info[:2])'
	@echo "environment: .venv (made once; one to three minutes)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@echo "  what samplerproof, its tests and its peers need"
	@$(INSTALL) --no-deps --require-hashes -r release/requirements.lock -r release/k_diffusion.lock
	@echo "  torch"
	@$(BIN)/pip show -q torch 2> /dev/null || $(INSTALL) $(TORCH)
	@echo "  samplerproof"
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(BOOK): $(READY) release/book.lock
	@echo "  what builds the book"
	@$(INSTALL) --no-deps --require-hashes -r release/book.lock
	@touch $@

# mypy does not see through the mapping of an editable installation: show it the same names as folders.
.PHONY: .lint
.lint:
	@rm -rf .lint && mkdir -p .lint/samplerproof
	@for f in samplerproof/*.py samplerproof/py.typed; do ln -s ../../$$f .lint/samplerproof/; done
	@for p in $(PACKAGES); do ln -s ../../$$p .lint/samplerproof/$$p; done
