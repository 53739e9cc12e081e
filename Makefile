# `make help` lists the targets. Everything that is built lies in build/ and
# .venv/; both can be deleted at any time.

PYTHON ?= python3
VENV = .venv
PREFIX ?= /usr/local
SECONDS ?= 60
BENCH ?= http
ROUNDS ?= 12

run = $(PYTHON) tools/run.py

.PHONY: help run test check docs docs-serve long fuzz replay analyze soak slow peers endings parked swaps workers topics restarts faults bench conformance install uninstall clean sdist wheels smoke release-check

help:
	@echo 'make run          build and serve the demo on http://127.0.0.1:8080'
	@echo 'make check        format, warnings, guards, C tests, core Python tests'
	@echo 'make test         everything: sanitizers, Pythons, examples, browser'
	@echo 'make docs         the site in build/site, strictly; docs-serve shows it as you write'
	@echo 'make long         tests of Python that take long: crowds, upgrades, endings'
	@echo 'make fuzz         each fuzzer for SECONDS=60'
	@echo 'make replay       what a fuzzer of the package found, CASES=file'
	@echo 'make analyze      gcc -fanalyzer, clang --analyze and cppcheck'
	@echo 'make soak         mixed load for SECONDS=60; memory and files must not grow'
	@echo 'make slow         slow clients by the hundred for SECONDS=60 each kind'
	@echo 'make peers        as many slow peers as threads, SECONDS=60 for each kind'
	@echo 'make endings      10,000 connections of each ending; nothing is left behind'
	@echo 'make parked       2,000 handlers that block in receive() at once'
	@echo 'make swaps        1,000 certificates one after the other, under load'
	@echo 'make workers      worker processes that are killed, hang, leak or break'
	@echo 'make topics       long runs: workers killed, Redis killed, random programs'
	@echo 'make restarts     ROUNDS=12 stops and reloads under load, of us and of others'
	@echo 'make faults       system calls that fail, one kind after the other'
	@echo 'make bench        CPU beside other servers, BENCH=http, ws, tls or framework'
	@echo 'make conformance  Autobahn cases, other clients; CONFORMANCE=dir for other probers'
	@echo 'make sdist        the source archive, in dist/'
	@echo 'make wheels       wheels in dist/, TARGETS="manylinux_x86_64 ..." PYTHONS="3.9 ..."'
	@echo 'make smoke        install the wheels of this machine, and use them'
	@echo 'make release-check  all of it, and in bare roots of Debian'
	@echo 'make install      libwsocket, header and wsocket.pc to PREFIX=/usr/local'
	@echo 'make uninstall    delete them from there'
	@echo 'make clean        delete build/ and .venv/'

run:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) install $(VENV)
	@exec $(VENV)/bin/wsocket

check:
	@PYTHON=$(PYTHON) tools/bootstrap build check
	@$(run) check

test:
	@PYTHON=$(PYTHON) tools/bootstrap build check test fuzz
	@$(run) test

docs:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(PYTHON) tools/website.py build

docs-serve:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(PYTHON) tools/website.py serve

long:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) long

fuzz:
	@PYTHON=$(PYTHON) tools/bootstrap build fuzz
	@$(run) fuzz $(SECONDS)

replay:
	@PYTHON=$(PYTHON) tools/bootstrap build fuzz
	@$(run) replay $(CASES)

analyze:
	@PYTHON=$(PYTHON) tools/bootstrap build analyze
	@$(PYTHON) tools/analyze.py

soak:
	@PYTHON=$(PYTHON) tools/bootstrap build bench
	@$(run) soak $(SECONDS)

slow:
	@PYTHON=$(PYTHON) tools/bootstrap build bench slow
	@$(run) slow $(SECONDS)

peers:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) peers $(SECONDS)

endings:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) endings

parked:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) parked

swaps:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) swaps

workers:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) workers

topics:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) topics

restarts:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) restarts $(ROUNDS)

faults:
	@PYTHON=$(PYTHON) tools/bootstrap build faults
	@$(run) faults

bench:
	@PYTHON=$(PYTHON) tools/bootstrap build bench
	@$(PYTHON) bench/run.py $(BENCH)

conformance:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) conformance $(CONFORMANCE)

sdist:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(PYTHON) tools/wheels.py sdist

wheels:
	@PYTHON=$(PYTHON) tools/bootstrap build release
	@$(PYTHON) tools/wheels.py wheels $(TARGETS)

smoke:
	@$(PYTHON) tools/wheels.py smoke

release-check:
	@PYTHON=$(PYTHON) tools/bootstrap build release
	@$(PYTHON) tools/wheels.py check

install:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) library '$(or $(PREFIX),/usr/local)'

uninstall:
	@$(run) uninstall '$(or $(PREFIX),/usr/local)'

clean:
	rm -rf build .venv .venv-bench
