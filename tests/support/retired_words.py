"""Words that the project no longer uses, each with what stands in its place."""

from __future__ import annotations

# Parts of identifiers: `told` is found in `told`, `_told` and `told_at`, and `Told` in a class name.
IDENTIFIERS = {
    "told": "the word for the thing: timestep, description, message",
    "said": "message, reported",
    "says": "message, states",
    "stranger": "external",
    "about": "TargetInfo, summary",
    "subject": "TargetInfo",
    "lives": "process",
    "promises": "advertised_order",
    "promised": "tolerance, advertised",
    "exploding": "variance_exploding",
    "room": "Workspace",
    "fade": "alpha_ratio",
    "shrink": "two_step_alpha_ratio",
    "kick": "noised_place",
    "damped": "rate_moment",
    "mostly": "the word for the thing",
    "quiet": "deterministic, noiseless",
    "moving": "without_zero_length_step",
    "alone": "step_by_step",
    "wide": "float64",
    "widened": "in_float64",
    "blame": "origin",
    "blamed": "with_origin",
    "heard": "visited",
    "foretold": "leading_error",
    "whose": "owner",
}

# Regular expressions for docstrings, comments, messages and pages, in any case.
PROSE = {
    r"(?<!network\.)told|tells": "passes, shows, states, reports",  # network.told: a key of checkpoint.toml
    r"says|said": "states, specifies, reports, reads",
    r"hears?|heard": "receives, is passed",
    r"speaks?|spoken": "covers, refers to, concerns",
    r"lives? on": "is defined on",
    r"strangers?(?:'s)?": "external sampler",
    r"foretells?|foretold": "predicts the leading error",
    r"bears?": "is stable for, tolerates",
    r"whatever|whoever|whichever": "any, all, the one that",
    r"so many (?:times|steps|points|units)": "N times, that number of",
    r"other people's": "external, third-party",
    r"for their part": "",
    r"nobody": "no one; or name who",
    r"is no (?:number|step|sampler|name|method|record|fault|scheduler|1\.0)": "is not a ...",
    r"by itself alone|alone together": "",
    r"heeds?|heeded": "respects, uses",
    r"looked over": "checked",
    r"taken for": "classified as, treated as",
    r"to be meant|be meant": "valid",
    r"gone wrong": "failed",
    r"puts? back": "restores",
    r"as it is set": "with its options",
    r"at hand": "given",
}
