"""How a sink is found by its name, what options it has, and whether it can work."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, distribution, entry_points
from importlib.util import find_spec
from typing import Any

from pgpublish.errors import BadArgument, MissingPart, NotDefined, PublishError
from pgpublish.sinks.base import Options, Sink, resolve
from pgpublish.sinks.policy import restrict

GROUP = "pgpublish.sinks"


def load(name: str) -> Any:
    """What makes the sink of this name. Raises NotDefined, MissingPart, BadArgument."""
    try:
        return _point(name).load()
    except ImportError as error:
        raise MissingPart(
            f"the sink {name} needs a package that is not installed",
            detail=str(error),
            hint="Install what its package needs."
            if name in third_party()
            else f"pip install 'pgpublish[{name}]'",
        ) from error
    except PublishError:
        raise
    except Exception as error:
        raise BadArgument(
            f"the sink {name} cannot be loaded",
            detail=f"{type(error).__name__}: {error}",
            hint="Correct the package that has it, or remove it.",
        ) from error


def make(name: str, options: Options) -> Sink:
    """The sink of this name, as far as the policy goes: from now on this process calls only the
    networks that it allows. Raises NotDefined, MissingPart, BadArgument."""
    options.policy.check_sink(name)
    restrict(options.policy.networks)
    factory = load(name)
    try:
        sink: Sink = factory(options)
    except PublishError as error:
        error.detail = options.hide(error.detail or "")
        raise
    except Exception as error:  # a file that is not there, or what a third party's raises
        raise BadArgument(
            f"the sink {name} cannot be made",
            detail=options.hide(f"{type(error).__name__}: {error}"),
            hint="Correct the subscription's options.",
        ) from error
    return sink


def check(name: str, options: Mapping[str, Any]) -> None:
    """Makes the sink as a worker of this machine would, and has it look whether it can work: is
    the host known, is the login taken. Nothing is sent. Raises as make and resolve do, and
    BadArgument with what the server said."""
    resolved = resolve(options)
    sink = make(name, resolved)
    try:
        getattr(sink, "check", lambda: None)()
    except PublishError as error:
        error.detail = resolved.hide(error.detail or "")
        raise
    except Exception as error:
        raise BadArgument(
            f"the sink {name} does not work with these options",
            detail=resolved.hide(f"{type(error).__name__}: {error}"),
            hint="Correct the host, the login or the name, or start the server.",
        ) from error
    finally:
        sink.close()


def third_party() -> list[str]:
    """Names of the sinks that other packages installed. Loads none."""
    points = entry_points(group=GROUP)
    return sorted({p.name for p in points if not p.value.startswith("pgpublish.")})


@cache
def registration() -> str:
    """The calls that tell a database the options of our own sinks. Of exact types: migrate must
    call no other function of that name."""
    points = distribution("pgpublish").entry_points.select(group=GROUP)
    known = sorted((point.name, _options(point).replace("'", "''")) for point in points)
    return "".join(
        f"select public.publish_register_sink('{name}'::text, '{options}'::jsonb);\n"
        for name, options in known
    )


def known_options(name: str) -> str:
    """The options that a sink names, as JSON. Raises as load does."""
    return _options(_point(name))


def _point(name: str) -> EntryPoint:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise NotDefined(
            "the sink is not installed here",
            detail=f"Sink {name}.",
            hint="Install the package that has it, where pgpublish is.",
        )
    return next(iter(found))


def _options(point: EntryPoint) -> str:
    written = _written(point)
    if written is None:
        written = getattr(load(point.name), "OPTIONS", {})
    try:
        return json.dumps(dict(written))
    except (TypeError, ValueError) as error:
        raise BadArgument(
            f"the sink {point.name} names its options wrongly",
            detail=str(error),
            hint='OPTIONS is a dict as {"url": "string required"}.',
        ) from error


def _written(point: EntryPoint) -> Any:
    """OPTIONS as the class's source has it: who migrates or subscribes need not have its client.
    None where that cannot be read without running it."""
    try:
        spec = find_spec(point.module)
        loader: Any = spec.loader if spec else None
        for node in ast.parse(loader.get_source(point.module)).body:
            if isinstance(node, ast.ClassDef) and node.name == point.attr:
                for line in node.body:
                    match line:
                        case (
                            ast.Assign(targets=[ast.Name(id="OPTIONS")], value=value)
                            | ast.AnnAssign(
                                target=ast.Name(id="OPTIONS"), value=ast.expr() as value
                            )
                        ):
                            return ast.literal_eval(value)
    except Exception:  # a third party's module finder or source may raise anything
        return None
    return None
