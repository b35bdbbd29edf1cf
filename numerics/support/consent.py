"""What a user has agreed to beforehand: each has a flag of the command line, and is refused without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Consent:
    """pickle: to read pickled weights.  code: to run code that a file names; who allows that allows pickles, too.

    hub: to fetch from the hub of diffusers.  large: to a cost beyond what is done without asking (cost.py).
    """

    pickle: bool = False
    code: bool = False
    hub: bool = False
    large: bool = False

    @property
    def pickles(self) -> bool:
        """Whether pickled weights may be read."""
        return self.pickle or self.code


NONE = Consent()
