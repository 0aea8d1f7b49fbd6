"""From a saga class to its definition: a table of contents of what is read and checked, in this order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.definition import checks, renames
from saga_celery.definition.definitions import Activity, Definition, Judge, Method, StepDefinition
from saga_celery.definition.fan_out_checks import check_fan_outs, refuse_list
from saga_celery.definition.groups import predecessors
from saga_celery.definition.hints import resolved, type_hints
from saga_celery.definition.hooks import declared_hooks
from saga_celery.definition.kinds import kinds_of
from saga_celery.definition.options import seconds
from saga_celery.definition.returns import returned, wanted
from saga_celery.definition.shapes import Shape, display
from saga_celery.definition.steps import Compensation, Probe, Step
from saga_celery.definition.waits import Wait


def compile_saga(saga: type, parameters: tuple[Any, ...] | None, scope: Mapping[str, Any]) -> Definition:
    """Read and check a saga class.

    Args:
        saga: the class.
        parameters: what stands in the brackets of `Saga[…]`; None when there are no brackets.
        scope: the local names around the class.

    Raises:
        DefinitionError: the class can not work; says where and what to write.
    """
    checks.check_class(saga)
    steps = {name: value for name, value in vars(saga).items() if isinstance(value, Step)}
    kinds = kinds_of(saga, steps, scope)
    checks.check_steps(saga, steps, kinds)
    former = renames.former_steps(saga, steps)
    reader = _Reader(
        saga=saga,
        scope=scope,
        plan=_plan(saga, steps, kinds),
        input=_parameter(saga, parameters, 0, scope),
        former=former,
    )
    definitions = {name: reader.step(name, step) for name, step in steps.items()}
    result_type = _parameter(saga, parameters, 1, scope)
    result_method = reader.result_method(result_type)
    checks.check_missing_results(saga, definitions, result_method)
    checks.check_sleeps(saga, definitions, result_method, kinds)
    check_fan_outs(saga, definitions, result_method)
    timeout, undo_window, retention = (getattr(saga, name, None) for name in ("timeout", "undo_window", "retention"))
    return Definition(
        name=reader.plan.saga,
        label=saga.__qualname__,
        input=reader.shape("", "input", reader.input),
        result=reader.shape("", "result", result_type),
        plan=reader.plan,
        steps=definitions,
        result_method=result_method,
        timeout=None if timeout is None else seconds(timeout),
        undo_window=None if undo_window is None else seconds(undo_window),
        retention=None if retention is None else seconds(retention),
        max_running=getattr(saga, "max_running", None),
        run_on=getattr(saga, "run_on", None),
        former=former,
        former_names=renames.former_names(saga),
        hooks=declared_hooks(getattr(saga, "hooks", {}), lambda problem: checks.wrong(saga, "hooks", problem)),
    )


def _plan(saga: type, steps: Mapping[str, Step[Any]], kinds: Mapping[str, StepKind]) -> Plan:
    undone_whole = {name for name in _before_pivot(steps) if kinds[name] is StepKind.CHILD}
    after = predecessors([(name, step.path) for name, step in steps.items()])
    planned = (
        PlannedStep(
            name=name,
            after=after[name],
            pivot=step.options.pivot,
            kind=kinds[name],
            compensable=step.compensation is not None or name in undone_whole,
        )
        for name, step in steps.items()
    )
    return Plan(saga=vars(saga)["name"], steps=tuple(planned))


def _before_pivot(steps: Mapping[str, Step[Any]]) -> Iterator[str]:
    """Steps that may have to be undone."""
    for name, step in steps.items():
        if step.options.pivot:
            return
        if step.options.no_compensation is None:
            yield name


def _parameter(saga: type, parameters: tuple[Any, ...] | None, index: int, scope: Mapping[str, Any]) -> Any:
    if parameters is None:
        raise checks.wrong(saga, "", "say what its input is: write Saga[Input] or Saga[Input, Result]")
    if index >= len(parameters):
        return type(None)
    module = inspect.getmodule(saga)
    try:
        return resolved(parameters[index], scope, vars(module) if module else {})
    except NameError as error:
        raise checks.wrong(saga, "", _unresolved("its input or result type", error)) from error


def _unresolved(what: str, error: NameError) -> str:
    return f"{what} can not be resolved: {error}; import it outside `if TYPE_CHECKING:`, above the class"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the methods of one class."""

    saga: type
    scope: Mapping[str, Any]
    plan: Plan
    input: Any
    former: Mapping[str, str]

    def step(self, name: str, step: Step[Any]) -> StepDefinition:
        """A step with all that hangs on it."""
        earlier = {other for other, later in self.plan.followers.items() if name in later}
        return StepDefinition(
            name=name,
            action=self._activity(name, step, earlier),
            compensation=None
            if step.compensation is None
            else self._activity(name, step.compensation, {*earlier, name}),
            probe=None if step.asker is None else self._activity(name, step.asker, earlier),
            judge=None if step.finder is None else self._judge(step.finder.method),
        )

    def _activity(self, step: str, part: Step[Any] | Compensation | Probe, may_take: Collection[str]) -> Activity:
        name = step if isinstance(part, Step) else part.method.__name__
        return Activity(method=self._rendering(name, step, part, may_take), options=part.options)

    def result_method(self, result_type: Any) -> Method | None:
        """The method `result`, where the class has one."""
        function = vars(self.saga).get("result")
        if function is None:
            if not self.shape("", "result", result_type).allows_none:
                problem = f"is missing, but the saga promises a {display(result_type)}; write it, or drop the type"
                raise checks.wrong(self.saga, "result", problem)
            return None
        method, hints = self._method("result", "", function, self.plan.by_name)
        if "return" not in hints:
            raise checks.wrong(self.saga, "result", f"has no return annotation; write `-> {display(result_type)}`")
        if hints["return"] != result_type:
            problem = f"returns {display(hints['return'])}, but the saga promises {display(result_type)}"
            raise checks.wrong(self.saga, "result", problem)
        return method

    def shape(self, method: str, what: str, annotation: Any) -> Shape:
        """Compile one annotation."""
        try:
            return Shape(annotation, self.scope)
        except TypeError as error:
            problem = f"{what}: {display(annotation)} has no JSON form: {error}"
            raise checks.wrong(self.saga, method, problem) from error

    def _rendering(
        self, name: str, step: str, part: Step[Any] | Compensation | Probe, may_take: Collection[str]
    ) -> Method:
        function = part.method
        method, hints = self._method(name, step, function, may_take)
        if "return" not in hints:
            raise checks.wrong(self.saga, name, f"has no return annotation; {wanted(part)}")
        found = returned(self.saga, name, hints["return"], part)
        if found.fans_out and name != step:
            refuse_list(self.saga, name, step)
        return Method(
            label=method.label,
            function=function,
            input=method.input,
            takes=method.takes,
            returns=self.shape(name, "its event" if isinstance(part, Wait) else "its result", found.result),
            may_skip=found.may_skip,
            fans_out=found.fans_out,
        )

    def _method(
        self, name: str, step: str, function: Any, may_take: Collection[str]
    ) -> tuple[Method, Mapping[str, Any]]:
        """Everything about a method but what it returns."""
        checks.check_function(self.saga, name, function)
        hints = self._hints(name, function)
        first, *others = self._arguments(name, function, hints)
        checks.check_input_annotation(self.saga, name, first, hints[first], self.input)
        for argument in others:
            renames.check_argument(self.saga, name, argument, self.former)
            checks.check_takes(self.saga, name, argument, may_take, self.plan, step)
        takes = {argument: self.shape(name, argument, hints[argument]) for argument in others}
        input_shape = self.shape(name, first, self.input)
        return Method(label=self._label(name), function=function, input=input_shape, takes=takes), hints

    def _judge(self, function: Callable[..., Any]) -> Judge:
        name = getattr(function, "__name__", "found")
        checks.check_function(self.saga, name, function)
        hints = self._hints(name, function)
        arguments = self._arguments(name, function, hints)
        if len(arguments) != 2:
            raise checks.wrong(self.saga, name, "takes the input and the probe's answer: (self, data, answer)")
        first, answer = arguments
        checks.check_input_annotation(self.saga, name, first, hints[first], self.input)
        return Judge(
            label=self._label(name),
            function=function,
            input=self.shape(name, first, self.input),
            answer=self.shape(name, answer, hints[answer]),
        )

    def _hints(self, name: str, function: Callable[..., Any]) -> Mapping[str, Any]:
        try:
            return type_hints(function, self.scope, vars(self.saga))
        except NameError as error:
            raise checks.wrong(self.saga, name, _unresolved("an annotation", error)) from error

    def _arguments(self, name: str, function: Callable[..., Any], hints: Mapping[str, Any]) -> list[str]:
        """The arguments behind self; each has an annotation."""
        arguments = list(inspect.signature(function).parameters)[1:]
        for argument in arguments:
            if argument not in hints:
                raise checks.wrong(
                    self.saga, name, f"{argument!r} has no annotation; it says what values are decoded to"
                )
        return arguments

    def _label(self, name: str) -> str:
        return f"{self.saga.__qualname__}.{name}"
