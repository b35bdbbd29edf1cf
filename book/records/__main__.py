"""`python -m samplerproof.book.records KIND [--only NAME…]`: renew the kept results of a kind.

Without --only, those that are missing or stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable

from ...numerics.errors import InputError
from .advice_results import renew_advice, renew_bars
from .design_results import renew_designs, renew_transferred
from .method_results import renew_claims, renew_methods, renew_second_terms
from .network_results import renew_networks
from .study_results import renew_arena, renew_figures, renew_orders, renew_published, renew_signed
from .tableau_results import renew_tableaux
from .technique_results import renew_techniques, renew_trials
from .verification_results import renew_checkouts, renew_verification
from .version_results import renew_versions

KINDS: dict[str, Callable[[Iterable[str]], None]] = {
    "methods": renew_methods,
    "second-terms": renew_second_terms,
    "claims": renew_claims,
    "networks": renew_networks,
    "verification": renew_verification,
    "checkouts": renew_checkouts,
    "techniques": renew_techniques,
    "trials": renew_trials,
    "published": renew_published,
    "signed-errors": renew_signed,
    "advice": renew_advice,
    "error-bars": renew_bars,
    "designs": renew_designs,
    "transferred": renew_transferred,
    "tableaux": renew_tableaux,
    "arena": renew_arena,
    "orders": renew_orders,
    "figures": renew_figures,
    "versions": renew_versions,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m samplerproof.book.records", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="samplers, claims, techniques, targets, reproducers or NETWORK-EVALUATIONS",
    )
    given = parser.parse_args()
    try:
        KINDS[given.kind](given.only)
    except InputError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
