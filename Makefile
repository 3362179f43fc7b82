.PHONY: help run test lint bench fuzz sanitize chaos lab-test package screenshots upgrade-test

help:
	@echo "make run    build and run everything on this machine; scripts/run --help lists the variables"
	@echo "make test   every test, against real PostgreSQL, nginx and Chromium"
	@echo "make lint   style and syntax of every file"
	@echo "make bench  the measurements, with the machine's description"
	@echo "make fuzz   random input against everything that reads untrusted bytes; TIME=seconds, PAGES=requests"
	@echo "make sanitize  AddressSanitizer and ThreadSanitizer over the suites that touch threads or C"
	@echo "make screenshots  every page in both themes at three widths, in .build/screenshots; FOLDER"
	@echo "make package  Debian packages of a release build, in .build/packages"
	@echo "make chaos  processes killed at random while devices send; MINUTES, DEVICES, SEED"
	@echo "make lab-test  three hosts on this machine, of which each can be lost; as root; DEVICES"
	@echo "make upgrade-test  a rolling upgrade from an older commit under devices; OLD, OLD_TREE, DEVICES"

run:
	@scripts/run

test:
	@scripts/test

lint:
	@scripts/lint

bench:
	@scripts/bench

fuzz:
	@scripts/fuzz

sanitize:
	@scripts/sanitize

chaos:
	@scripts/chaos

lab-test:
	@scripts/lab-test

package:
	@scripts/package

upgrade-test:
	@scripts/upgrade-test

# Uses what was built last and the .venv of a `make test`.
screenshots:
	@NODES_SCREENSHOTS="$(abspath $(or $(FOLDER),.build/screenshots))" .venv/bin/python -m pytest -q Tests/system/test_screenshots.py
