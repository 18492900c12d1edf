# make setup   install everything into .venv (once; repeated when the requirements change)
# make demo    draw pictures, prepare, train, evaluate, export: some minutes on two cores
# make test    style, types and tests, on up to four cores
# make wheel-test   build the wheel and run its commands in a fresh environment; needs a package index

# The virtual environment uses the first Python 3.10 to 3.13 found; to choose: make setup PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
RUN = .venv/bin/python
DEMO = out/demo

.PHONY: setup demo test wheel-test

setup: .venv/ready

.venv/ready: .venv/bin/pip requirements.txt requirements-dev.txt constraints.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

# Debian and Ubuntu ship ensurepip, which installs pip, in a separate package, python3-venv.
.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 here. Install one, or name it:" \
		"make setup PYTHON=/path/to/python" >&2; exit 1; }
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv .venv; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip install --quiet --disable-pip-version-check pip \
			--target "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
			&& $(RUN) -m pip install --quiet --force-reinstall pip; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing the package $(notdir $(PYTHON))-venv"; \
		apt-get update -qq && apt-get install -y -qq $(notdir $(PYTHON))-venv >/dev/null && $(PYTHON) -m venv .venv; \
	else \
		echo "error: $(PYTHON) cannot make virtual environments. Debian, Ubuntu:" \
			"sudo apt install $(notdir $(PYTHON))-venv; then the same make again" >&2; exit 1; \
	fi

demo: setup
	rm -rf $(DEMO)
	$(RUN) -m demo.make_scenes --output $(DEMO)/pictures
	$(RUN) prepare_data.py --dataset $(DEMO)/pictures --output $(DEMO)/data --coco models/demo/saved_model
	$(RUN) train_and_eval_tf2.py --model_dir $(DEMO)/model --pipeline_config_path models/demo/pipeline.config \
		--checkpoint_every_n 250 --log_every_n 25
	$(RUN) exporter_main_v2.py --input_type image_tensor --pipeline_config_path models/demo/pipeline.config \
		--trained_checkpoint_dir $(DEMO)/model --output_directory $(DEMO)/exported
	@$(RUN) -m demo.report $(DEMO)

test: setup
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

wheel-test: setup
	$(RUN) -m pytest -m slow tests/test_package.py
