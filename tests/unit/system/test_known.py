"""Masking in one text after the other, while secrets change."""

from __future__ import annotations

import pytest

from astro_magic.errors import FileAccessError
from astro_magic.system.known import Masking
from astro_magic.system.secrets import MASK


def test_what_turns_up_meanwhile_is_hidden_too_and_what_was_secret_stays_so():
    secrets = ["first-secret"]
    masking = Masking(lambda: tuple(secrets), lifetime=0)
    assert masking("first-secret second-secret") == f"{MASK} second-secret"
    secrets[:] = ["second-secret"]
    assert masking("first-secret second-secret") == f"{MASK} {MASK}"


def test_secrets_are_not_read_for_each_text():
    secrets = iter([("a-secret",)])
    masking = Masking(lambda: next(secrets), lifetime=3600)
    assert [masking("a-secret") for _ in range(5)] == [MASK] * 5


def test_secrets_that_cannot_be_read_any_more_are_hidden_still():
    failure = FileAccessError(".env cannot be read.")
    answers: list = [("a-secret",), failure]

    def read():
        answer = answers.pop(0)
        if answer is failure:
            raise failure
        return answer

    masking = Masking(read, lifetime=0)
    assert masking("a-secret") == MASK
    assert answers == []


def test_secrets_that_cannot_be_read_at_first_are_an_error():
    def read():
        raise FileAccessError(".env cannot be read.")

    with pytest.raises(FileAccessError):
        Masking(read)
