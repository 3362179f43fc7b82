.PHONY: help run test lint bench fuzz sanitize chaos package

help:
	@echo "make run    build and run everything on this machine; scripts/run --help lists the variables"
	@echo "make test   every test, against real PostgreSQL, nginx and Chromium"
	@echo "make lint   style and syntax of every file"
	@echo "make bench  the measurements, with the machine's description"
	@echo "make fuzz   random input against everything that reads untrusted bytes; TIME=seconds"
	@echo "make sanitize  AddressSanitizer and ThreadSanitizer over the suites that touch threads or C"
	@echo "make package  Debian packages of a release build, in .build/packages"
	@echo "make chaos  processes killed at random while devices send; MINUTES, DEVICES, SEED"

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

package:
	@scripts/package
