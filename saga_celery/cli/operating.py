"""`saga retry`, `skip`, `suspend` and their like: what a person may ask of a saga, or of all that fit a filter."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Any

import click

from saga_celery.app.reading.excerpt import data
from saga_celery.cli import batches, target
from saga_celery.cli.options import json_value
from saga_celery.core.events import OperatorAsked, Resolution, Verb
from saga_celery.definition.commands import is_open

Command = Callable[..., Any]


STEP = click.option("--step", default="", help="Only this step; default: every one that the verb fits.")


def _verb(command: Command) -> Command:
    """The arguments and options that all verbs share."""
    for option in reversed(
        (
            click.argument("saga", metavar="[ID|KEY]", required=False),
            *batches.FILTER,
            click.option(
                "--name", help="Name of the saga, where several use the same key. Of many: only of this name."
            ),
            click.option("--reason", required=True, callback=not_blank, help="Why; it is kept in the history."),
            click.option("--actor", callback=os_user, help="Who; default: the user of the operating system."),
            click.option(
                "--expect-version",
                "version",
                type=click.IntRange(min=0),
                metavar="N",
                help="Refuse when the saga has moved since: `saga show --json` tells its version.",
            ),
            click.option("--json", "as_json", is_flag=True, help="One JSON object for each saga."),
            click.pass_context,
        )
    ):
        command = option(command)
    return command


def not_blank(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A reason that says something: a callback for click's options."""
    if is_open(value):
        raise click.BadParameter("say why; it is kept in the history")
    return value


def os_user(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    """Who acts: a callback for click's options."""
    if value:
        return value
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise click.BadParameter("the operating system does not tell who you are; say it with --actor") from None


@click.command()
@click.option("--args", "args", type=json_value, metavar="JSON", help="A list: run with these arguments instead.")
@click.option("--kwargs", type=json_value, metavar="JSON", help="An object: run with these named arguments changed.")
@STEP
@_verb
def retry(ctx: click.Context, args: Any, kwargs: Any, **asked: Any) -> None:
    """Give what failed for good, or rests, new attempts."""
    if (args is not None or kwargs is not None) and not asked["step"]:
        raise click.UsageError("--args and --kwargs are those of one step; name it with --step")
    if args is not None and not isinstance(args, list):
        raise click.BadParameter(f"{_given(args)}; it must be a JSON list: '[1, 2]'", param_hint="--args")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise click.BadParameter(
            f"""{_given(kwargs)}; it must be a JSON object: '{{"cents": 5}}'""", param_hint="--kwargs"
        )
    _operate(ctx, Verb.RETRY, args=None if args is None else tuple(args), kwargs=kwargs, **asked)


def _given(value: Any) -> str:
    return f"{data(value, 60)} was given"


@click.command()
@click.option("--result", type=json_value, help="JSON to take for the step's result: text, @file or -.")
@STEP
@_verb
def skip(ctx: click.Context, **asked: Any) -> None:
    """Pass over what failed for good: you did it by hand."""
    _operate(ctx, Verb.SKIP, **asked)


@click.command()
@click.option("--as", "resolution", type=click.Choice([each.value for each in Resolution]), help="What became of it.")
@click.option("--result", type=json_value, help="JSON that the step would have returned: text, @file or -.")
@STEP
@_verb
def resolve(ctx: click.Context, resolution: str | None, result: Any, **asked: Any) -> None:
    """Say what became of a step in doubt, settle a late effect, or replace a result that does not fit."""
    replaces = resolution is None and asked["step"]
    if result is not None and resolution != Resolution.DONE and not replaces:
        raise click.UsageError(
            "--result goes with --as done; or, without --as, with --step: the step whose result it replaces"
        )
    known = Resolution(resolution) if resolution else None
    _operate(ctx, Verb.RESOLVE, resolution=known, result=result, **asked)


@click.command()
@STEP
@_verb
def cancel(ctx: click.Context, **asked: Any) -> None:
    """Turn a saga round: what took effect is undone."""
    _operate(ctx, Verb.CANCEL, **asked)


@click.command()
@_verb
def suspend(ctx: click.Context, **asked: Any) -> None:
    """Send nothing more of a saga until it is resumed."""
    _operate(ctx, Verb.SUSPEND, **asked)


@click.command()
@_verb
def resume(ctx: click.Context, **asked: Any) -> None:
    """Let a suspended saga go on."""
    _operate(ctx, Verb.RESUME, **asked)


@click.command()
@_verb
def compensate(ctx: click.Context, **asked: Any) -> None:
    """Undo a completed saga, within its undo_window."""
    _operate(ctx, Verb.COMPENSATE, **asked)


@click.command()
@click.option("--from", "step", required=True, metavar="STEP", help="The first step to run again.")
@_verb
def rerun(ctx: click.Context, **asked: Any) -> None:
    """Run an undone saga, or a step that failed for good, again."""
    _operate(ctx, Verb.RERUN, **asked)


_FILTER = ("stuck", "suspended", "state", "tags", "since", "yes")


def _operate(
    ctx: click.Context, verb: Verb, *, saga: str | None, name: str | None, as_json: bool, **given: Any
) -> None:
    wanted = {option: given.pop(option) for option in _FILTER}
    many = batches.are_meant(verb, saga=saga, name=name, version=given["version"], **wanted)
    asked = OperatorAsked(verb=verb, **given)
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    if many:
        batches.operate(sagas, screen, asked, name=name, **wanted)
        return
    found = target.saga(sagas, str(saga), name)
    state = sagas.desk.operate(found.id, asked)
    if as_json:
        screen.record({"id": found.id, "name": found.name, "verb": verb, "state": state})
    else:
        screen.say(f"{verb}: {found.name} {found.key or found.id} is {state}{_beside(verb)}")


def _beside(verb: Verb) -> str:
    return ", suspended" if verb is Verb.SUSPEND else ""
