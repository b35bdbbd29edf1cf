"""Checkpoints that `load` refuses, for tests."""

from __future__ import annotations

import pytest

from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.support.consent import Consent


def refused(given, *said, **allowed):
    """Assert that a checkpoint is refused in one line with these words.  allowed: the consent that is given."""
    with pytest.raises(InputError) as fault:
        load(given, Consent(**allowed))
    message = str(fault.value)
    assert "\n" not in message
    for words in said:
        assert words in message, message
