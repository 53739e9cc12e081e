# `make help` lists the targets. Everything that is built lies in build/ and
# .venv/; both can be deleted at any time.

PYTHON ?= python3
VENV = .venv
PREFIX ?= /usr/local
SECONDS ?= 60
BENCH ?= http
ROUNDS ?= 12

run = $(PYTHON) tools/run.py

.PHONY: help run test check fuzz replay analyze soak slow peers endings parked workers restarts faults bench conformance install uninstall clean

help:
	@echo 'make run          build and serve the demo on http://127.0.0.1:8080'
	@echo 'make check        format, warnings, guards, C tests, core Python tests'
	@echo 'make test         everything: sanitizers, Pythons, examples, browser'
	@echo 'make fuzz         each fuzzer for SECONDS=60'
	@echo 'make replay       what a fuzzer of the package found, CASES=file'
	@echo 'make analyze      gcc -fanalyzer, clang --analyze and cppcheck'
	@echo 'make soak         mixed load for SECONDS=60; memory and files must not grow'
	@echo 'make slow         slow clients by the hundred for SECONDS=60 each kind'
	@echo 'make peers        as many slow peers as threads, SECONDS=60 for each kind'
	@echo 'make endings      10,000 connections of each ending; nothing is left behind'
	@echo 'make parked       2,000 handlers that block in receive() at once'
	@echo 'make workers      worker processes that are killed, hang, leak or break'
	@echo 'make restarts     ROUNDS=12 stops and reloads under load, of us and of others'
	@echo 'make faults       system calls that fail, one kind after the other'
	@echo 'make bench        CPU beside other servers, BENCH=http, ws, tls or framework'
	@echo 'make conformance  Autobahn cases, other clients; CONFORMANCE=dir for other probers'
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

workers:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) workers

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

install:
	@PYTHON=$(PYTHON) tools/bootstrap build
	@$(run) library '$(or $(PREFIX),/usr/local)'

uninstall:
	@$(run) uninstall '$(or $(PREFIX),/usr/local)'

clean:
	rm -rf build .venv .venv-bench
