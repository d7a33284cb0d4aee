"""Shell completion: of commands and options, and of the names that the database knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

import click
from click.shell_completion import CompletionItem, get_completion_class

from pgpublish.database import connect, tuples
from pgpublish.terminal import say_as_is

KINDS: LiteralString = "select k.kind from public.publish_kinds() k order by 1"
OF_JOBS = ("jobs", "work", "dead list", "dead redrive", "dead discard")
OF_SUBSCRIPTIONS = (
    "deliver",
    "subscribe",
    "unsubscribe",
    "seek",
    "pause",
    "resume",
    "resync",
    "dead list",
    "dead redrive",
    "dead discard",
)
SUBSCRIPTIONS: LiteralString = "select s.name from public.publish_subscriptions() s order by 1"


class Name(click.types.StringParamType):
    """A text that is one of what a query returns."""

    def __init__(self, query: LiteralString) -> None:
        self.query = query

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        url = ctx.find_root().params.get("database_url")
        try:
            with connect(url) as conn:
                found = tuples(conn, self.query)
        except Exception:
            return []  # there is nowhere to say why
        return [CompletionItem(name) for (name,) in found if name.startswith(incomplete)]


def add_names(commands: Mapping[str, click.Command]) -> None:
    """Has the parameters that name kinds and subscriptions completed from the database. The kinds
    of jobs are others, and dead letters have classes."""
    for name, command in commands.items():
        if isinstance(command, click.Group) and name != "jobs":
            add_names({f"{name} {inner}": each for inner, each in command.commands.items()})
        for param in command.params:
            if name not in OF_JOBS and param.name in ("kind", "kinds"):
                param.type = Name(KINDS)
            elif name in OF_SUBSCRIPTIONS and param.name in ("name", "names"):
                param.type = Name(SUBSCRIPTIONS)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in your shell.

    \b
    bash: echo 'eval "$(pgpublish completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(pgpublish completion zsh)"' >> ~/.zshrc
    fish: pgpublish completion fish > ~/.config/fish/completions/pgpublish.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    root = ctx.find_root()
    say_as_is(made(root.command, {}, "pgpublish", "_PGPUBLISH_COMPLETE").source() + "\n")


COMMANDS = (completion,)
