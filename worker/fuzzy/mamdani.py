"""Fuzzy inference after Mamdani: terms, rules and an inference that says how strongly each rule fired.

Mamdani and Assilian, Int J Man-Mach Stud 1975;7:1. A rule fires as strongly as the weakest of its conditions; it cuts
its conclusion off at that height; what the rules conclude of an output is united by the greater value and told by its
centre of gravity.

Written here and not taken from a library, after both candidates were tried on these rules. simpful 2.12 gives the same
scores, but keeps rules as text, finds a misspelt term only when the rule is reached and a misspelt condition perhaps
never, takes no unknown value for an answer, prints, and has no types. scikit-fuzzy 0.5 warns of a deprecated call at
every inference under NumPy 2.4, and lets no caller see how strongly a rule fired. What is needed of either is the
forty lines below the data classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 1000
"""Steps of an output from 0 to 1: its centre of gravity is exact to about a millionth."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """A word for some values of a variable: wholly true from `full` to `full_to`, not at all outside `start` to `end`.

    Where `start` is `full` it is true of all lower values as well, where `end` is `full_to` of all higher ones.
    """

    name: str
    start: float
    full: float
    full_to: float
    end: float

    def holds(self, values: Floats) -> Floats:
        """Return how far the word holds for each value, 0 to 1."""
        return np.minimum(_rise(values, self.start, self.full), _rise(-values, -self.end, -self.full_to))


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A number that rules speak of, its words, and where their limits come from."""

    name: str
    meaning: str
    unit: str
    low: float  # of the range that a plot shows
    high: float
    terms: tuple[Term, ...]
    source: str

    def term(self, name: str) -> Term:
        """Return one of the words; raises KeyError for one that the variable does not have."""
        return {term.name: term for term in self.terms}[name]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """IF every variable is as it says THEN the output is so."""

    conditions: Mapping[str, str]  # variable: term
    output: str
    term: str
    why: str

    @property
    def text(self) -> str:
        """The rule as a sentence."""
        conditions = " AND ".join(f"{name} is {term}" for name, term in self.conditions.items())
        return f"IF {conditions} THEN {self.output} is {self.term}"


@dataclass(frozen=True, kw_only=True)
class System:
    """Named, dated rules over named variables; one that was released never changes."""

    name: str
    dated: date
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]  # from 0 to 1
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse a rule that speaks of a variable or a word that is not there: raises KeyError."""
        inputs, outputs = self.input_by_name, {variable.name: variable for variable in self.outputs}
        for rule in self.rules:
            outputs[rule.output].term(rule.term)
            for name, term in rule.conditions.items():
                inputs[name].term(term)

    @property
    def input_by_name(self) -> dict[str, Variable]:
        """The inputs by their names."""
        return {variable.name: variable for variable in self.inputs}


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What a system makes of its inputs."""

    inputs: Mapping[str, float | None]
    strengths: tuple[float, ...]  # of each rule, in the system's order: 0 to 1
    scores: Mapping[str, float]  # of each output


def infer(system: System, values: Mapping[str, float | None]) -> Inference:
    """Return the scores of a system's outputs; of an unknown value (None) no word holds.

    Raises:
        KeyError: when an input is left out.
        ValueError: when an input is not finite, or no rule on an output fires.
    """
    given = {variable.name: values[variable.name] for variable in system.inputs}
    if not_finite := [name for name, value in given.items() if value is not None and not np.isfinite(value)]:
        raise ValueError(f"not a number: {', '.join(not_finite)}")
    strengths = tuple(_strength(rule, system, given) for rule in system.rules)
    return Inference(
        inputs=given,
        strengths=strengths,
        scores={output.name: _score(output, system.rules, strengths) for output in system.outputs},
    )


def _rise(values: Floats, start: float, full: float) -> Floats:
    """Return 0 up to `start`, 1 from `full`, evenly in between; 1 everywhere where the two are one."""
    return np.ones_like(values) if start == full else np.clip((values - start) / (full - start), 0.0, 1.0)


def _strength(rule: Rule, system: System, values: Mapping[str, float | None]) -> float:
    return min(_degree(system.input_by_name[name], term, values[name]) for name, term in rule.conditions.items())


def _degree(variable: Variable, term: str, value: float | None) -> float:
    return 0.0 if value is None else float(variable.term(term).holds(np.array([value]))[0])


def _score(output: Variable, rules: Sequence[Rule], strengths: Sequence[float]) -> float:
    """Return the centre of gravity of what the rules conclude of an output."""
    at = np.linspace(0.0, 1.0, _STEPS + 1)
    united = np.zeros_like(at)
    for rule, strength in zip(rules, strengths, strict=True):
        if rule.output == output.name:
            united = np.maximum(united, np.minimum(strength, output.term(rule.term).holds(at)))
    if not united.any():
        raise ValueError(f"no rule on {output.name} fires")
    return float((united * at).sum() / united.sum())
