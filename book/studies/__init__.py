"""The standard studies of the appendix."""

from pathlib import Path

STUDIES = Path(__file__).parent  # the code of these studies, on which their kept values depend
