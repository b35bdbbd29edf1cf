"""Consent of the user, one flag of the command line each; without it the action is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Consent:
    """pickle: to read pickled weights.  code: to run code that a file names; it includes pickles.

    hub: to fetch from the hub of diffusers.  large: to a cost above the limits of studies/cost.py.
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
