"""Event: a list of handlers that is called like a function."""

import gc
import weakref

import pytest

from wsocket import Event


def test_handlers_are_called_in_order():
    calls = []
    event = Event(lambda: calls.append(1), lambda: calls.append(2))
    event += lambda: calls.append(3)
    assert event() is None
    assert calls == [1, 2, 3]


def test_plus_and_minus_change_the_event_itself():
    def handler():
        pass

    event = same = Event()
    event += handler
    event + handler
    assert event is same and list(event) == [handler, handler]
    event - handler
    event -= handler
    assert event is same and list(event) == []


def test_only_one_of_equal_handlers_is_removed():
    class Chat:
        def hear(self):
            pass

    chat = Chat()
    event = Event(chat.hear, chat.hear)
    event -= chat.hear
    assert len(event) == 1


def test_removing_what_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no handler"):
        Event() - print


@pytest.mark.parametrize("wrong", [None, 5, "print"])
def test_a_handler_must_be_callable(wrong):
    event = Event()
    with pytest.raises(TypeError, match="callable"):
        event += wrong
    with pytest.raises(TypeError):
        wrong + event


def test_clear_length_truth_and_repr():
    event = Event()
    assert not event and repr(event) == "<Event with 0 handlers>"
    event += print
    assert (
        event and len(event) == 1 and repr(event) == "<Event with 1 handler>"
    )
    event.clear()
    assert not event


def takes(*names):
    """A function with these parameters that returns them; see `heard`."""
    heard = []
    code = "lambda %s: heard.append((%s))" % (
        ", ".join(names),
        "".join(name.lstrip("*").split("=")[0] + ", " for name in names),
    )
    function = eval(code, {"heard": heard})
    function.heard = heard
    return function


@pytest.mark.parametrize(
    "names, heard",
    [
        ((), ()),
        (("message",), ("m",)),
        (("message", "client"), ("m", "c")),
        (("message", "client=0"), ("m", "c")),
        (("message=0",), ("m",)),
        (("*args",), (("m", "c"),)),
        (("message", "*args"), ("m", ("c",))),
        (("message", "**kwargs"), ("m", {})),
        (("self", "message", "client"), ("owner", "m", "c")),
        (("message", "client", "more=0"), ("m", "c", 0)),
    ],
)
def test_a_handler_gets_as_many_arguments_as_it_takes(names, heard):
    handler = takes(*names)
    event = Event(handler)
    event.owner = "owner"
    event("m", "c")
    assert handler.heard == [heard]


def test_methods_classes_and_partial_functions_count_without_self():
    import functools

    class Handler:
        heard = []

        def method(self, message):
            self.heard.append(message)

        def __call__(self, message, client):
            self.heard.append((message, client))

        @classmethod
        def of_class(cls):
            cls.heard.append("class")

    handler = Handler()
    partial = functools.partial(handler, "first")
    Event(handler.method, handler, Handler.of_class, partial)("m", "c")
    assert handler.heard == ["m", ("m", "c"), "class", ("first", "m")]


def test_a_callable_without_signature_gets_everything():
    assert Event(dict)([(1, 2)]) is None
    with pytest.raises(TypeError):
        Event(iter)(1, 2, 3)


def test_a_handler_that_needs_more_is_an_error():
    with pytest.raises(TypeError):
        Event(takes("a", "b", "c", "d"))("m", "c")


def test_all_are_called_and_the_first_error_is_raised(caplog):
    calls = []

    def fail(message):
        calls.append(message)
        raise ValueError(len(calls))

    with pytest.raises(ValueError, match="1"):
        Event(fail, fail, calls.append)("m")
    assert calls == ["m", "m", "m"]
    assert "ValueError: 2" in caplog.text


def test_a_handler_may_change_the_event_while_it_is_called():
    calls = []
    event = Event()

    def once():
        calls.append("once")
        event.clear()
        event.__iadd__(lambda: calls.append("later"))

    event += once
    event += lambda: calls.append("still")
    event()
    assert calls == ["once", "still"]
    event()
    assert calls == ["once", "still", "later"]


def test_it_takes_no_keywords():
    with pytest.raises(TypeError):
        Event()(message="m")
    with pytest.raises(TypeError):
        Event(handler=print)
    with pytest.raises(TypeError):
        Event()(1, 2, 3, 4, 5)


def test_a_subclass_works():
    class Loud(Event):
        pass

    heard = []
    event = Loud()
    event += heard.append
    event("x")
    assert heard == ["x"] and isinstance(event, Loud)


def test_a_cycle_through_an_event_is_collected():
    class Owner:
        def hear(self):
            pass

    owner = Owner()
    owner.event = Event(owner.hear)
    owner.event.owner = owner
    gone = weakref.ref(owner), weakref.ref(owner.event)
    del owner
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_subclass_may_take_arguments_of_its_own():
    class Named(Event):
        def __init__(self, name, *handlers, loud=False):
            super().__init__(*handlers)
            self.name, self.loud = name, loud

    heard = []
    event = Named("x", heard.append, loud=True)
    event("hello")
    assert (event.name, event.loud, heard) == ("x", True, ["hello"])
    event.__init__("y")
    assert (event.name, len(event)) == ("y", 0)
