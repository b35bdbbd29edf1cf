"""What pyproject.toml cannot say: the addresses of CITATION.cff, and an sdist whose bytes do not depend on the clock.

Files of both archives have the date of SOURCE_DATE_EPOCH; without it, that of the version, `date-released`.
"""

from __future__ import annotations

import calendar
import gzip
import io
import os
import re
import tarfile
import time
from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

CITATION = dict(re.findall(r'^([a-z-]+): "?([^"\n]+)"?$', Path("CITATION.cff").read_text(encoding="utf-8"), flags=re.M))
ADDRESSES = {"Homepage": "url", "Repository": "repository-code", "DOI": "doi"}
DATE = calendar.timegm(time.strptime(CITATION["date-released"], "%Y-%m-%d"))
os.environ.setdefault("SOURCE_DATE_EPOCH", str(DATE))  # the wheel's files have it by setuptools


class ReproducibleSdist(sdist):
    """An sdist without the clock, the user and the file modes of the machine that made it."""

    def make_archive(self, *arguments: object, **options: object) -> str:
        path = str(super().make_archive(*arguments, **options))
        date = int(os.environ["SOURCE_DATE_EPOCH"])
        content = io.BytesIO()
        with tarfile.open(path) as made, tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as written:
            for member in sorted(made.getmembers(), key=lambda member: member.name):
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mtime, member.pax_headers = date, {}
                member.mode = 0o755 if member.isdir() else 0o644
                written.addfile(member, made.extractfile(member) if member.isfile() else None)
        with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, date) as packed:
            packed.write(content.getvalue())
        return path


def address(key: str) -> str:
    return f"https://doi.org/{CITATION[key]}" if key == "doi" else CITATION[key]


setup(
    project_urls={label: address(key) for label, key in ADDRESSES.items() if key in CITATION},
    cmdclass={"sdist": ReproducibleSdist},
)
