"""A world without processes for wsocket.plan: it carries out the actions of a
plan, and lets workers boot, crash, hang and end when a test says so."""

import collections

from wsocket import plan


class Process:
    def __init__(self, start):
        self.start = start
        self.slot, self.generation = start.slot, start.generation
        self.is_serving = False
        self.orders, self.signals = [], []
        self.is_deaf = False  # heeds no order and no signal but KILL
        self.is_silent = False  # answers no probe

    @property
    def drains(self):
        return any(order.what == "drain" for order in self.orders)


class World:
    def __init__(self, rand=lambda: 0.5, no_forks=False, **settings):
        self.given = settings
        self.following = {}  # settings that the next reload changes
        self.settings = plan.Settings(**settings)
        self.plan = plan.Plan(self.settings, rand)
        self.now = 0.0
        self.living = {}
        self.started = []  # (time, Start)
        self.logs, self.notes, self.actions = [], [], []
        self.status = None
        self.queue, self.is_busy = collections.deque(), False
        self.bad_config, self.no_forks = False, no_forks
        self.do(self.plan.begin(self.now))

    # ------------------------------------------------------------- actions

    def do(self, actions):
        self.queue.extend(actions)
        if self.is_busy:
            return  # the rest of what is being done comes first
        self.is_busy = True
        while self.queue:
            action = self.queue.popleft()
            assert self.status is None, "an action after the end: %r" % (action,)
            self.actions.append(action)
            getattr(self, "do_" + type(action).__name__.lower())(action)
        self.is_busy = False

    def do_start(self, action):
        self.started.append((self.now, action))
        if self.no_forks:
            self.do(self.plan.not_forked(action.id, "no room", self.now))
            return
        self.living[action.id] = Process(action)
        self.do(self.plan.forked(action.id, 1000 + action.id, self.now))

    def do_order(self, action):
        process = self.living[action.id]
        process.orders.append(action)
        if process.is_deaf:
            return
        if action.what == "quit":
            self.end(action.id)
        elif action.what == "probe" and not process.is_silent:
            for what in "loop", "interpreter":
                self.do(self.plan.alive(action.id, what, self.now))

    def do_kill(self, action):
        if self.no_forks:
            return
        process = self.living[action.id]  # it has not been waited for
        process.signals.append(action.signal)
        if action.signal == "KILL" or not process.is_deaf:
            self.end(action.id, "by SIG" + action.signal)

    def do_prepare(self, action):
        if self.bad_config:
            self.do(self.plan.not_prepared("no such file", self.now))
        else:
            following = plan.Settings(**{**self.given, **self.following})
            self.do(self.plan.prepared(following, self.now))

    def do_commit(self, action):
        pass

    do_settle = do_discard = do_refuse = do_commit

    def do_notify(self, action):
        self.notes.append(action)

    def do_log(self, action):
        self.logs.append((action.level, action.text))

    def do_end(self, action):
        assert not self.living
        self.status = action.status

    # -------------------------------------------------------------- events

    def boot(self, id):
        self.living[id].is_serving = True
        self.do(self.plan.ready(id, self.now))

    def boot_all(self):
        """Let every worker boot, and those that start because of it."""
        while True:
            ids = [id for id, p in self.living.items()
                   if not p.is_serving and not p.signals]
            if not ids:
                return self
            self.boot(ids[0])

    def end(self, id, how="with status 0"):
        del self.living[id]
        self.do(self.plan.exited(id, how, self.now))

    def fail(self, id, text="SyntaxError: bad"):
        self.do(self.plan.failed(id, text, self.now))
        self.end(id, "with status 3")

    def crash(self, id):
        self.end(id, "by SIGSEGV")

    def finish(self):
        """Let all that drain end."""
        for id in [id for id, p in self.living.items() if p.drains]:
            self.end(id)

    def ask(self, name, *args):
        self.do(getattr(self.plan, name)(*(args + (self.now,))))

    def reload(self):
        self.do(self.plan.reload(self.now, "SIGHUP"))

    def advance(self, seconds):
        """Let time pass, and call tick() whenever it is due."""
        until = self.now + seconds
        for _ in range(10000):
            due = self.plan.next_time()
            if due is None or due > until or self.status is not None:
                self.now = until
                return
            self.now = max(self.now, due)
            self.do(self.plan.tick(self.now))
        raise AssertionError("tick() is due again and again")

    # -------------------------------------------------------------- looking

    def ids(self, **wanted):
        """Ids of living processes whose attributes have these values."""
        return [
            id
            for id, process in self.living.items()
            if all(getattr(process, k) == v for k, v in wanted.items())
        ]

    def said(self, text):
        return any(text in line for _, line in self.logs)

    def noted(self, what):
        return [note.text for note in self.notes if note.what == what]
