from __future__ import annotations

import psycopg2
import psycopg2.errors
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from db.errors import UnavailableError
from db.session import is_passing, make_engine, retrying, sqlstate


class _Coded(psycopg2.OperationalError):
    """An error as the driver makes it, with a code of our choice."""

    def __init__(self, code: str) -> None:
        super().__init__(f"error {code}")
        self.code = code

    @property
    def pgcode(self) -> str:  # type: ignore[override]
        return self.code


def _wrapped(cause: Exception, *, lost: bool = False) -> DBAPIError:
    return OperationalError("SELECT 1", {}, cause, connection_invalidated=lost)


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "53300", "57P01", "57P03", "08006"])
def test_passing_trouble_is_known_by_its_code(code: str) -> None:
    assert is_passing(_Coded(code))
    assert is_passing(_wrapped(_Coded(code)))


@pytest.mark.parametrize("code", ["23514", "42501", "57014", "ML001"])
def test_other_codes_do_not_pass(code: str) -> None:
    assert not is_passing(_wrapped(_Coded(code)))


def test_a_server_that_gives_no_answer_is_passing_trouble() -> None:
    assert is_passing(psycopg2.OperationalError("could not connect"))
    assert is_passing(_wrapped(psycopg2.InterfaceError("connection already closed")))
    assert is_passing(_wrapped(psycopg2.DatabaseError("whatever"), lost=True))
    assert not is_passing(_wrapped(psycopg2.ProgrammingError("not all arguments converted")))
    assert not is_passing(ValueError("a bug"))


def test_the_state_of_an_error_is_found_through_its_wrapping() -> None:
    assert sqlstate(_wrapped(_Coded("40P01"))) == sqlstate(_Coded("40P01")) == "40P01"
    assert sqlstate(ValueError()) is None


def test_retrying_returns_the_first_success() -> None:
    trouble = [_Coded("40001"), _Coded("40P01")]

    def work() -> str:
        if trouble:
            raise trouble.pop()
        return "done"

    assert retrying(work) == "done"


def test_retrying_gives_up_in_words_and_keeps_the_cause() -> None:
    def work() -> None:
        raise _Coded("55P03")

    with pytest.raises(UnavailableError, match="55P03") as caught:
        retrying(work, patience_s=0.1)
    assert isinstance(caught.value.__cause__, _Coded)


def test_retrying_leaves_other_errors_alone() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retrying(work)
    assert calls == [1]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_an_engine_speaks_by_psycopg2_whatever_the_address_says(scheme: str) -> None:
    engine = make_engine(f"{scheme}://user:secret@host/name")
    assert engine.driver == "psycopg2"
    assert "secret" not in repr(engine)
