"""`@step` and what hangs on it: `@x.compensate`, `@x.probe`, `@x.found`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, Protocol, TypeAlias, TypeVar, overload

from celery.canvas import Signature

from saga_celery.core.retry import Retry
from saga_celery.definition.children import Child
from saga_celery.definition.findings import Finding
from saga_celery.definition.groups import Path, current_path
from saga_celery.definition.options import Fatal, Options, Seconds
from saga_celery.definition.skip import Skip
from saga_celery.errors import DefinitionError

ResultT = TypeVar("ResultT")

StepMethod: TypeAlias = Callable[Concatenate[Any, Any, ...], Signature[ResultT] | Child[ResultT] | Skip]
"""(self, input, *results of earlier steps) -> the signature to run, or the saga."""

FanOutMethod: TypeAlias = Callable[Concatenate[Any, Any, ...], list[Signature[ResultT]] | Skip]
"""(self, input, *results of earlier steps) -> the signatures to run, one for each item."""


@dataclass(frozen=True, slots=True, eq=False)
class Compensation:
    """A method that undoes a step."""

    method: Callable[..., Any]
    options: Options


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A method that asks whether a step took effect."""

    method: Callable[..., Any]
    options: Options


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """A method that judges the answer of a probe."""

    method: Callable[..., Any]


class Step(Generic[ResultT]):
    """One step of a saga; what `OrderSaga.charge` gives. It is made by `@step`, never called."""

    def __init__(self, method: Callable[..., Any], options: Options) -> None:
        self.method = method
        self.options = options
        self.path: Path = current_path()
        self.compensation: Compensation | None = None
        self.asker: Probe | None = None
        self.finder: Finder | None = None

    def __repr__(self) -> str:
        return f"<step {getattr(self.method, '__qualname__', self.method)}>"

    @overload
    def compensate(self, method: StepMethod[Any], /) -> Compensation: ...

    @overload
    def compensate(
        self,
        /,
        *,
        retry: Retry | None = ...,
        timeout: Seconds | None = ...,
        queue_grace: Seconds | None = ...,
        idempotent: bool | None = ...,
        fatal: Fatal = ...,
        null_safe: bool = ...,
        run_on: bool | None = ...,
    ) -> Callable[[StepMethod[Any]], Compensation]: ...

    def compensate(
        self,
        method: Callable[..., Any] | None = None,
        /,
        *,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        queue_grace: Seconds | None = None,
        idempotent: bool | None = None,
        fatal: Fatal = (),
        null_safe: bool = False,
        run_on: bool | None = None,
    ) -> Any:
        """Undo this step with the decorated method, which may take this step's own result and those of earlier steps.

        Args:
            method: the method, when used without parentheses.
            retry: default ten attempts.
            timeout: seconds of one run; default the setting `saga_step_timeout`.
            queue_grace: seconds until an unanswered message is sent again; default the setting `saga_queue_grace`.
            idempotent: safe to run twice; default what the step itself says.
            fatal: exceptions that no retry can mend.
            null_safe: may also run without a result, when nobody knows whether the step took effect. The parameter for
                the step's own result has to allow None then.
            run_on: the process that would send its message may run it itself, right away; default what the step says.

        Raises:
            DefinitionError: the step has a compensation already.
        """
        options = Options(
            retry=retry,
            timeout=timeout,
            queue_grace=queue_grace,
            idempotent=idempotent,
            fatal=fatal,
            null_safe=null_safe,
            run_on=run_on,
        )

        def attach(undo: Callable[..., Any]) -> Compensation:
            self._once(self.compensation, undo, "compensation")
            self.compensation = Compensation(undo, options)
            return self.compensation

        return attach if method is None else attach(method)

    @overload
    def probe(self, method: StepMethod[Any], /) -> Probe: ...

    @overload
    def probe(
        self,
        /,
        *,
        retry: Retry | None = ...,
        timeout: Seconds | None = ...,
        queue_grace: Seconds | None = ...,
        fatal: Fatal = ...,
    ) -> Callable[[StepMethod[Any]], Probe]: ...

    def probe(
        self,
        method: Callable[..., Any] | None = None,
        /,
        *,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        queue_grace: Seconds | None = None,
        fatal: Fatal = (),
    ) -> Any:
        """Ask with the decorated method whether this step took effect, when its outcome is unknown.

        The task answers with the step's result, or with None when the step never took effect. As it only asks, it is
        taken to be safe to run twice.

        Args:
            method: the method, when used without parentheses.
            retry: default ten attempts.
            timeout: seconds of one run; default the setting `saga_step_timeout`.
            queue_grace: seconds until an unanswered message is sent again; default the setting `saga_queue_grace`.
            fatal: exceptions that no retry can mend.

        Raises:
            DefinitionError: the step has a probe already.
        """
        options = Options(retry=retry, timeout=timeout, queue_grace=queue_grace, idempotent=True, fatal=fatal)

        def attach(ask: Callable[..., Any]) -> Probe:
            self._once(self.asker, ask, "probe")
            self.asker = Probe(ask, options)
            return self.asker

        return attach if method is None else attach(method)

    def found(self, method: Callable[[Any, Any, Any], Finding[ResultT]], /) -> Finder:
        """Judge the probe's answer with the decorated method `(self, input, answer) -> Finding[X]`.

        It is needed where None is a real result, or where the answer is of another type than the result.

        Raises:
            DefinitionError: the step has such a method already.
        """
        self._once(self.finder, method, "`found` method")
        self.finder = Finder(method)
        return self.finder

    def _once(self, present: object, method: Callable[..., Any], what: str) -> None:
        if present is not None:
            where = getattr(method, "__qualname__", repr(method))
            raise DefinitionError(f"{where}: {self!r} has a {what} already; keep one of them")


class MakesStep(Protocol):
    """What `@step(…)` is applied to a method with."""

    @overload
    def __call__(self, method: StepMethod[ResultT], /) -> Step[ResultT]: ...

    @overload
    def __call__(self, method: FanOutMethod[ResultT], /) -> Step[list[ResultT]]: ...


@overload
def step(method: StepMethod[ResultT], /) -> Step[ResultT]: ...


@overload
def step(method: FanOutMethod[ResultT], /) -> Step[list[ResultT]]: ...


@overload
def step(
    *,
    retry: Retry | None = ...,
    timeout: Seconds | None = ...,
    queue_grace: Seconds | None = ...,
    settle_delay: Seconds | None = ...,
    idempotent: bool = ...,
    fatal: Fatal = ...,
    pivot: bool = ...,
    no_compensation: str | None = ...,
    limit: int | None = ...,
    renamed_from: str | tuple[str, ...] = ...,
    run_on: bool | None = ...,
) -> MakesStep: ...


def step(
    method: Callable[..., Any] | None = None,
    /,
    *,
    retry: Retry | None = None,
    timeout: Seconds | None = None,
    queue_grace: Seconds | None = None,
    settle_delay: Seconds | None = None,
    idempotent: bool = False,
    fatal: Fatal = (),
    pivot: bool = False,
    no_compensation: str | None = None,
    limit: int | None = None,
    renamed_from: str | tuple[str, ...] = (),
    run_on: bool | None = None,
) -> Any:
    """Make a method a step of its saga: it returns the signature to run, and is pure, as it may be called repeatedly.

    A method annotated `-> list[Signature[X]]` is a fan-out: the messages of its list run side by side, the step is done
    when they all are, and its result is the list of theirs, in the order of the list. Its compensation is called once
    for each item that took effect, with the result of that item.

    Args:
        method: the method, when used without parentheses.
        retry: default `Retry()` when the message is safe to run twice (it carries `self.key()`, or `idempotent=True`),
            else a single attempt.
        timeout: seconds of one run, after which its outcome counts as unknown; default the setting `saga_step_timeout`.
        queue_grace: seconds until an unanswered message is sent again; default the setting `saga_queue_grace`.
        settle_delay: seconds between the end of a run without outcome and the first question of the probe; default the
            setting `saga_settle_delay`.
        idempotent: the task is safe to run twice.
        fatal: exceptions that no retry can mend, as types or names.
        pivot: the point of no return; once this step succeeded the saga only goes forward.
        no_compensation: why nothing has to be undone for this step.
        limit: of a list, how many items may be under way, or being undone, at once; default: all.
        renamed_from: the name, or names, that this step had before; sagas that were started then go on with this one.
        run_on: the process that would send its message may run it itself, right away and without the broker; default
            what the saga says. A step that must not run twice runs on only where this, or the saga, says True.
    """
    options = Options(
        retry=retry,
        timeout=timeout,
        queue_grace=queue_grace,
        settle_delay=settle_delay,
        idempotent=idempotent,
        fatal=fatal,
        pivot=pivot,
        no_compensation=no_compensation,
        limit=limit,
        renamed_from=(renamed_from,) if isinstance(renamed_from, str) else renamed_from,
        run_on=run_on,
    )

    def make(action: Callable[..., Any]) -> Step[Any]:
        return Step(action, options)

    return make if method is None else make(method)
