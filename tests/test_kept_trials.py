"""What the pages say of kept measurements and trials holds of their numbers, as does what was set before them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from samplerproof.book.records.technique_results import OF_TECHNIQUES, OF_TRIALS
from samplerproof.book.techniques.all_techniques import BY_NAME

Rows = dict[str, list[float]]


def rows(name: str) -> Rows:
    """The numbers of a kept trial's or measurement's rows by the label in the first column; blanks are left out."""
    kept = OF_TRIALS.read(name) or OF_TECHNIQUES.read(name)
    assert kept is not None
    return {row[0]: [float(v) for v in row[1:] if number(v)] for row in kept["rows"]}


def number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_digits_given_components() -> None:
    """Assert that the distance falls with every component at every step, and the floor of a Gaussian latent."""
    found = rows("diffusevae-digits")
    by_kept = [found[kept][1:] for kept in ("0", "4", "8", "32")]
    assert all(more < fewer for a, b in pairwise(by_kept) for fewer, more in zip(a, b, strict=True))
    assert found["8"][3] < found["0"][3] / 4
    hole = found["8, latents from a Gaussian"]
    assert hole[5] > 4 * found["8"][5]
    assert hole[5] > 0.9 * hole[3]


def test_where_a_network_is_its_memory() -> None:
    """Assert on held-out digits a small gap up to lambda = -1, a large one from 0 on, where the network is nearer."""
    for lam, (_, _, _, memory, network, gap) in rows("gmem-by-level").items():
        assert gap < 0.02 if float(lam) <= -1 else gap > 0.05
        assert (network < memory) is (float(lam) >= 0)


def test_copies_are_not_seen_by_a_frechet_distance() -> None:
    found = {label: row[-3:] for label, row in rows("gmem-copies").items() if len(row) > 1}
    assert found["memory below lambda = -1"][0] < 0.1 < found["memory below lambda = 0"][0]
    alone = found["memory alone"]
    assert alone[1] == min(frechet for _, frechet, _ in found.values())
    assert alone[2] == min(near for *_, near in found.values()) < 0.1 * found["no memory"][2]


def test_a_projector_stays_below_its_bound() -> None:
    for bound, found, error in rows("repa-projector").values():
        assert bound - 0.01 < found < bound + 3 * error


def test_one_step_in_training_teaches_the_sampler_nothing() -> None:
    """Assert small losses as trained, a small one in 8 steps after four steps alone, and the angles' spread."""
    found = rows("reface-on-rings")
    plain = found["not tuned, 1 step"]
    for steps, (as_trained, at_eight, spread, _, of_v) in ((n, found[n]) for n in ("1", "2", "4")):
        assert as_trained < 0.02
        assert (spread < 0.01) is (steps == "1")
        assert of_v > plain[4]
        assert (at_eight < 0.01) is (steps == "4")
    assert found["1"][1] > 0.9 * plain[1]


def test_a_factor_at_a_skip_raises_both_losses() -> None:
    """Assert it at every lowering of the factor, in pixels by more; and a gain of the Frechet distance at 5 steps."""
    found = [row[:2] for row in rows("skip-tuning-features").values()]
    assert all(b > a for first, then in pairwise(found) for a, b in zip(first, then, strict=True))
    assert all(pixels / found[0][0] > features / found[0][1] for pixels, features in found[1:])
    kept = rows("skip-tuning")
    pixels = kept.pop("loss of v on held-out digits")
    assert pixels[1] > pixels[0]
    assert sum(tuned < plain for plain, tuned in kept.values()) == OF_TECHNIQUES.read("skip-tuning")["number"]  # type: ignore[index]


def test_a_small_network_costs_least_first() -> None:
    """Assert it of a member of low rank in 40 % of steps equal in t, and the opposite of a grid equal in lambda."""
    kept = OF_TECHNIQUES.read("a-sdm")
    assert kept is not None
    first, last, first_lambda, last_lambda = (
        dict(kept["curves"][f"{end}, equal in {clock}"]) for clock in ("t", "lambda") for end in ("first", "last")
    )
    assert first[0.4] < 0.05
    assert last[0.4] > 5 * first[0.4]
    assert last_lambda[0.4] < 5 * first_lambda[0.4]


def test_weighting_wins_where_its_moments_were_taken() -> None:
    """Assert at every rank a smaller loss at the levels of samplers, and over all levels a larger one at one rank."""
    found = rows("plrd").values()
    assert all(weighted < plain for _, plain, weighted, _, _ in found)
    assert sum(weighted > plain for *_, plain, weighted in found) == 1


def test_draws_of_the_posterior_and_their_mean() -> None:
    """Assert at 1, 2, 4, 8 steps three times the distance of exact draws at most, and of the mean 0.1 at least."""
    for draws, mean, exact in rows("emdm").values():
        assert draws < 3 * exact < 0.1 < mean


def test_a_shortcut_is_nearer_to_its_halves_the_shorter_it_is() -> None:
    found = rows("shortcut-models")
    assert [row[3] for row in list(found.values())[:4]] == sorted(
        (row[3] for row in list(found.values())[:4]), reverse=True
    )
    assert found["1"][1] > 4 * found["1"][0]


def test_transport_climbs_the_reward_at_least_cost() -> None:
    """Assert a larger reward than the tilt's at every distance, and the notes' values at three."""
    found = rows("rg-lcd")
    assert all(transport > tilt for _, tilt, transport, _ in found.values())
    assert found["0.4"] == pytest.approx([1.085, -0.1132, -0.1004, 0.9813], abs=5e-4)
    assert found["1"][:3] == pytest.approx([0.825, -0.249, -0.200], abs=5e-4)


def test_every_row_says_how_much_was_covered() -> None:
    """Assert that what is called a system trains or runs the method of its paper, and has a theorem."""
    systems = {name for name, technique in BY_NAME.items() if technique.extent == "system"}
    assert {"few-step-students", "shortcut-models"} < systems
    assert not systems & {"emdm", "reface", "repa", "gmem", "t2v-turbo", "rg-lcd", "yonos-sr", "diffusevae", "plrd"}
    assert all(technique.proved for technique in BY_NAME.values())


def test_draws_of_t_gain_and_a_distance_does_not() -> None:
    """Assert at each of five seeds a gain of 8 to 17 % by the draws, and in the mean none with the distance."""
    kept = OF_TRIALS.read("reflow-draws")
    assert kept is not None
    arms = {row[0]: [] for row in kept["rows"] if row[1] != "mean"}
    for arm, seed, *numbers in kept["rows"]:
        if seed != "mean":
            arms[arm].append([float(n) for n in numbers])
    plain, draws, both = arms.values()
    assert len(plain) == len(draws) == len(both) == 5
    for a, b in zip(plain, draws, strict=True):
        assert 0.83 * a[1] < b[1] < 0.88 * a[1]
        assert 0.90 * a[0] < b[0] < 0.92 * a[0]
        assert all(after < before for before, after in zip(a, b, strict=True))
    means = [sum(row[0] for row in arm) / 5 for arm in (plain, draws, both)]
    assert means[1] < means[0] < means[2] < 1.02 * means[0]
    assert kept["number"] > 0


def test_no_generator_makes_the_rings() -> None:
    """Assert that five are nearer to the law than the chain of means, with most samples off, at the optimal losses."""
    found = rows("emdm-on-rings")
    chain, best = found.pop("mean of the kept network"), found.pop("at the optimum")
    assert len(found) == 5
    for radius, _, off, *losses in found.values():
        assert radius < chain[0]
        assert off > 0.5 > best[2]
        assert losses == pytest.approx(best[3:], abs=2e-3)
