"""The techniques that were tried on the project's networks: what each figure shows, and its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import (
    adversarial_rings,
    aligned_features,
    conditioned_digits,
    features_in_training,
    memory_on_digits,
    network_trials,
    on_rings,
    picture_trials,
    reflow_draws,
    skip_features,
    stitched_networks,
)
from .technique import Measured

PICTURES = ("digits", "photos")


@dataclass(frozen=True)
class Trial:
    """A technique on networks.

    technique: the name of its page.  networks: those that it runs.  text: what the figures show, and their limits.
    """

    technique: str
    networks: tuple[str, ...]
    text: str
    measure: Callable[[], Measured]


TRIALS = {
    "bdia": Trial(
        "bdia",
        PICTURES,
        "From exact scores to a network nothing changes in the inversion: it is at rounding in float64 for gamma = 1, "
        "and gamma = 1/2 loses most digits of float32 in 20 steps. As a sampler of 10 steps gamma = 1/2 is the best "
        "of three on the digits and gamma = 1 on the photos: no share is best for both. 16 digits, 4 photos; "
        "distances per entry, to exponential Adams 3 of 80 steps.",
        network_trials.measure_bdia,
    ),
    "aidi": Trial(
        "aidi",
        PICTURES,
        "Evaluations for the worst step of an inverse of DDIM to 1e-10 in float64, of 8 digits and of one photo. "
        "Anderson's method needs more of them than in one dimension, and converges also where plain iteration does "
        "not in 40 evaluations.",
        network_trials.measure_aidi,
    ),
    "whole-steps-of-digits": Trial(
        "dpm-solver-inversion",
        ("digits",),
        "Whole steps of 2M and of Heun's method inverted on the network of the digits, 2 digits in float64, lags to "
        "1e-9: distances of the start that is found to the one of the run, per entry, beside the same method on the "
        "reversed grid. The inverse is exact here too, at a cost that only a test can pay.",
        network_trials.measure_whole_steps,
    ),
    "d-ode": Trial(
        "d-ode",
        PICTURES,
        "Numbers fitted to a batch of 32 digits, or 8 photos, and the distance of as many other samples to "
        "exponential Adams 3 of 80 steps, per entry. They carry over to other starts, and D-DDIM is about as near as "
        "2M, which fits nothing.",
        network_trials.measure_d_ode,
    ),
    "t-stitch": Trial(
        "t-stitch",
        ("digits",),
        "The network of the digits as the large model, and as the small one the exact denoiser of a Gaussian with the "
        "mean and covariance of the training digits, which needs no training: distance of 64 samples to the run of "
        "the network alone, per entry, 50 steps of DDIM uniform in lambda from -3 to 3.7. The early steps are the "
        "cheap ones, but on this grid 40 % of them are not free: they reach lambda = -0.3.",
        network_trials.measure_stitch,
    ),
    "time-shift": Trial(
        "time-shift",
        ("digits",),
        "256 digits of the network by 10 steps of DDIM over a thousand levels, without and with the rule: the Frechet "
        "distance in the features of a small classifier, and the variance of all entries. Entries of an image are not "
        "independent, and 64 are few for a variance: on this network the rule does not help.",
        network_trials.measure_time_shift,
    ),
    "t-stitch-pair": Trial(
        "t-stitch",
        ("rings", "rings-small"),
        "Two networks of two rings, of 42,690 and of 7,938 weights, trained alike; 500 samples, 50 steps of DDIM equal "
        "in t from 1. The small one in the first 40 % of the steps moves the samples by a thirtieth of what it does in "
        "the last 40 %: those that form the image. To first order the displacement is the sum over the steps of the "
        "difference of both models, carried to the end by the large one: computed without a stitched run, and within "
        "4 % of what is measured.",
        stitched_networks.measure_rings,
    ),
    "t-stitch-digits": Trial(
        "t-stitch",
        ("digits", "digits-small"),
        "The same with two networks of digits, of 193,025 and of 23,617 weights: 16 samples, 50 steps of DDIM equal in "
        "t from 1, root mean square lengths of the displacement of all 64 pixels, where a sample has a length of about "
        "7. The first fifth of the steps costs a hundredth of what the last fifth does, the first 40 % a twentieth. To "
        "first order, from both models on the run of the large one alone, the first is predicted to 1 % and the second "
        "to 6 %; from 60 % on the displacement is no longer small, and the prediction is up to a quarter below.",
        stitched_networks.measure_digits,
    ),
    "t-stitch-photos": Trial(
        "t-stitch",
        ("photos",),
        "The same on the photos, with a Gaussian of the training crops as the small model: 4 samples, 50 steps of DDIM "
        "equal in t. The first fifth of the steps costs an eighth of what the last fifth does; from 40 % on both ends "
        "cost nearly alike: crops of 32 pixels differ from their Gaussian early.",
        picture_trials.measure_stitch_of_photos,
    ),
    "time-shift-photos": Trial(
        "time-shift",
        ("photos",),
        "Two sets of 32 photos by 10 steps of DDIM over a thousand levels: the energy distance of all pixels to the "
        "held-out crops, and the variance of all entries, without and with the rule. The samples have less variance "
        "than the crops. In one set the rule mends that by a little, in the other it takes more away: the variance "
        "that it reads is that of one crop, whose entries are far from independent. Nothing is decided here.",
        picture_trials.measure_shift_of_photos,
    ),
    "timestep-aligner-pictures": Trial(
        "timestep-aligner",
        PICTURES,
        "Ratios fitted to 16 digits, or 4 photos, for DDIM equal in t, by the oracle, which sees a run of ten times "
        "the steps of 2M, and by the released loss, which sees the network alone; measured on other starts. On these "
        "networks the released loss does what it is made for: it ends about as near to the fine run as the oracle, and "
        "its ratios stay within 0.07 of 1, where with the exact score of M1 they run into the bound. On digits it "
        "gains 2 %, and nothing in the last column at 10 steps; on photos 13 to 15 %, and a third or more there. "
        "That column is the Frechet distance in the features of a "
        "small classifier of 256 digits, and the energy distance of pixels of 32 photos.",
        picture_trials.measure_aligner,
    ),
    "reface-on-rings": Trial(
        "reface",
        ("rings",),
        "The kept network of two rings, with 200 updates of its own loss and of 10 (|x| - 0.9)^2 at the end of S steps "
        "of DDIM from noise, and what it does then in S steps and in 8; one seed. With one step the network learns to "
        "send all noise to one point, and its loss in 8 steps is as before. With four steps it carries over to 8, and "
        "the angles stay spread. The loss of v rises in every case.",
        on_rings.measure_steps_in_training,
    ),
    "reflow-draws": Trial(
        "rectified-flows",
        ("rings",),
        "The network of two rings, reflowed in 3,000 updates from its own weights, on 20,000 pairs of 64 steps of "
        "DDIM, five seeds of the batches. Arms: t uniform with mean squares; t from the density proportional to "
        "cosh(4 (t - 1/2)), which has more of both ends; the same with the pseudo-Huber distance, c = 0.00054 d. "
        "Distances of 20,000 samples to the flow of the network, and of their radii to the exact law; differences from "
        "the first arm by seed, with the standard error. The draws gain 9 % of the distance and 15 % of W1 in one jump "
        "in the mean, something at every seed, and less in two jumps. With the pseudo-Huber distance the samples are "
        "no nearer to the flow than with neither, and their radii are as near to the law as with the draws alone. Both "
        "ends of each arc are at finite levels here, lambda = -4 and 4 in units of the data.",
        reflow_draws.measure_draws,
    ),
    "emdm-on-rings": Trial(
        "emdm",
        ("rings",),
        "Generators on two rings, four steps equal in t, 2,000 updates of 256 against a discriminator with a penalty "
        "on its slope, five seeds, 4,000 samples; W1 of the radius, whose median is not small. All are nearer to the "
        "law than the chain with the mean of a trained network, and none makes the rings: six in ten samples are off "
        "both. The losses are log 2 and 2 log 2 all the same: they prove nothing. An earlier run of "
        "three of the seeds, whose machine is not recorded, ended elsewhere, one of them behind the chain: the outcome "
        "of so short a training is not robust. The claim is not reproduced.",
        adversarial_rings.measure_generators,
    ),
    "gmem-by-level": Trial(
        "gmem",
        ("digits",),
        "Where a network is its memory. The memory is the bank of the 1,500 training digits, the network the kept "
        "U-Net; mean squares of errors per pixel on 128 noised digits of either part, lambda and errors for data of "
        "unit size. Up to lambda = -1 the network is nearly the memory. From 0 on it generalises: on digits that it "
        "was not trained on its error is below that of the memory, which returns its nearest digit.",
        memory_on_digits.measure_levels,
    ),
    "gmem-copies": Trial(
        "gmem",
        ("digits",),
        "The memory in place of the network below a level, in 20 steps of 2M, 128 samples: below lambda = -1 a third "
        "of the calls is saved, and the samples are those of the network up to 0.075. Higher up they come near to "
        "training digits, and with the memory alone they are copies, as the last column shows; there the Frechet "
        "distance, in 16 features of a small classifier from the held-out digits, is least: it does not show copying.",
        memory_on_digits.measure_copies,
    ),
    "diffusevae-digits": Trial(
        "diffusevae",
        (),
        "Ten Gaussians with full covariances fitted to the 1,500 training digits, 64 pixels in units of their "
        "deviation: a law that looks like data, and whose diffusion given principal components is exact. Exact "
        "components of 1,500 samples, then DDIM uniform in lambda on what they leave: the squared W2 of Gaussians with "
        "the moments of samples and law. It falls with every component kept at every number of steps. Components from "
        "a Gaussian of their moments, as a prior that is fitted to a latent, leave a floor that no number of steps "
        "removes.",
        conditioned_digits.measure_digits_given_components,
    ),
    "repa-projector": Trial(
        "repa",
        (),
        "A perceptron of a point and its level, trained in 1,500 updates of 1,024 on the mean cosine with the "
        "component that the point came from, on M1 and the linear path: with 200,000 fresh draws it is within 0.01 of "
        "the bound at every level, and never above it.",
        aligned_features.measure_projector,
    ),
    "repa-training": Trial(
        "repa",
        (),
        "A small U-Net of digits, 240 updates of 64, without and with the loss of alignment of weight 0.5: the middle "
        "features, their mean over pixels, are projected onto the 16 features of a small classifier. The arms of a "
        "seed share first weights, batches and noise; the loss of v is the mean over 16 levels from lambda = -7 to 8 "
        "and 256 held-out digits, the same noise for all; ± is the standard error over seeds. Alignment changes the "
        "features: the cosine of held-out digits is 0.61 to 0.62, where a projector that learns from the plain "
        "network's middle features gets no further than the best constant vector. The loss of v is higher at every "
        "seed, by 0.013 in the mean: at equal updates the alignment is a cost here, not a gain. Five seeds, one "
        "weight, one rate, and a short training: the wider kept network, after 6,000 updates, has a loss of 0.476 at "
        "these levels.",
        features_in_training.measure_aligned,
    ),
    "gmem-training": Trial(
        "gmem",
        (),
        "The same U-Net in the same 240 updates; a linear image of the 16 features of the clean picture, of a "
        "classifier that was trained on labels, is added to the embedding of the level. On held-out digits the loss "
        "of v is lower by 0.080 in the mean of five seeds where their own features are given. These are information "
        "on the answer, so that is no sign of generalisation. Features out of the memory, those of the nearest "
        "training digit, keep most of the gain; but the nearest is found with the clean picture, which a sampler does "
        "not have. With the features of another digit the loss is higher than without any: the network relies on what "
        "it is given.",
        features_in_training.measure_memory,
    ),
    "skip-tuning-features": Trial(
        "skip-tuning",
        ("digits",),
        "The factor at the deepest skip and two losses of the data prediction, on the 297 held-out digits at 12 levels "
        "uniform in lambda, with the same noise for all factors: mean squares of pixels, and of 16 features of a small "
        "classifier. Both rise with every lowering of the factor, the loss in features by less. That it "
        "falls, as the paper reports of its own features, is not seen here.",
        skip_features.measure_feature_loss,
    ),
}
