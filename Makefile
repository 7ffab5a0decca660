# Every target first builds what is missing; the second time it starts at once.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-control demo-grasp test test-fast lint format bench roboreg clean

help:
	@echo "make demo        a simulated arm and camera, and the estimator finding both from images"
	@echo "make demo-control  a simulated arm with wrong encoders, brought to where a picture shows it"
	@echo "make demo-grasp  objects seen by a simulated camera, reconstructed, grasped and lifted"
	@echo "make test        all tests this machine can run"
	@echo "make test-fast   the tests without nodes and without slow ones"
	@echo "make lint        formatting, lint and types"
	@echo "make bench NAME=rasterize   one benchmark of benchmarks/ (QUICK=1: under a minute)"
	@echo "make roboreg     an environment of its own for the peer that the benchmark photos runs"
	@echo "make setup       only build the environment in .venv"
	@echo "make clean       remove build outputs (not .venv)"

setup:
	@$(PYTHON) tools/environment

demo: setup
	@$(BIN)/drrobot demo $(ARGS)

demo-control: setup
	@$(BIN)/drrobot control $(ARGS)

demo-grasp: setup
	@$(BIN)/drrobot grasp $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(ARGS)

test-fast: setup
	@$(BIN)/python -m pytest -m "not slow and not ros and not launch" $(ARGS)

lint: setup
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/pyright

format: setup
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: setup
	@test -f "benchmarks/$(NAME).py" || { echo "unknown benchmark '$(NAME)'; make bench NAME=<one of: $(patsubst benchmarks/%.py,%,$(filter-out %/common.py %/__init__.py,$(wildcard benchmarks/*.py)))>"; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py $(ARGS)

roboreg:
	@PYTHON="$(PYTHON)" benchmarks/photos_roboreg/set_up.sh

clean:
	rm -rf build install log demo demo-control benchmarks/out *.egg-info .pytest_cache .ruff_cache drrobot_ros/native/lib
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
