"""What `bench WHAT --help` says: what a bench does, how long it takes, and what its last line means."""

from __future__ import annotations

import argparse
from typing import Any

from ishowtts.cli.common import Commands

_TERMS = (
    "RTF is the real-time factor: the time of the synthesis divided by the length of the speech, so 0.1 is ten times "
    "faster than speech. NFE is the number of evaluations of the model for each segment: more is slower and finer."
)
_RANDOM = (
    "Without weights of your own, the model has random weights: its speed is that of a trained one, and its sound is "
    "a hum."
)
TEXTS: dict[str, tuple[str, str, str, str]] = {
    "parity": (
        "compare our sound with upstream's, and check that mutations are noticed",
        "Synthesizes texts with our engine and with upstream's f5-tts, with equal weights and random numbers, and "
        "compares the sound. Then it breaks our engine on purpose (mutations): each of them must be noticed.",
        "several minutes with the default model on two CPU cores",
        'The last line says "ok" if every comparison is within its limit, else "failed" with their names (exit '
        "status 1).",
    ),
    "speed": (
        "compare the speed with upstream",
        "Synthesizes texts with upstream's f5-tts and with our engine in turns, at the same NFE, and prints the RTF of "
        "both. The first round of each text warms up and is not counted.",
        "about a minute with --model tiny --lengths 1 --rounds 1 on two CPU cores; the default model, base, takes "
        "minutes on a GPU and up to hours on a CPU",
        "The last line is JSON for --save and for programs; docs/f5.md explains its keys. The sentence before it says "
        "how many times faster than upstream our engine was. The exit status is 1 if the rate of the machine was "
        "measured too low, or torch.compile failed.",
    ),
    "regress": (
        "compare the speed with a saved baseline; exit 1 if it fell by more than 10 %%",
        "Measures as `bench speed` does, with the options that made the baseline, and compares two figures with it: "
        "how many times faster than upstream we are, and how near we come to the minimum time of the arithmetic.",
        "as long as `bench speed` with these options",
        'The last line says "ok", or which figure fell by more than 10 % (exit status 1).',
    ),
    "ablate": (
        "measure the effect of each switch",
        "Synthesizes a text with all switches of the engine, then without each of them, and prints how many times as "
        "long that takes and how much the sound changes.",
        "a few minutes with --model tiny on two CPU cores; the default model, small, takes longer",
        "The last line names the switch that saves most time.",
    ),
    "sweep": (
        "measure NFE 5 to 32 and switches: speed, deviation from NFE 32, and speech metrics",
        "Synthesizes a text with several numbers of evaluations (NFE) and switches. It prints the RTF, how far the "
        "sound is from that of NFE 32, and, with trained weights, the errors that a speech recogniser makes.",
        "several minutes with --model tiny --sentences 0 on two CPU cores; the metrics take most of the time",
        "The last line names the fastest point, and how much faster than NFE 32 it is.",
    ),
    "profile": (
        "measure the time of each stage and kernel",
        "Synthesizes one text and prints the time of each stage of the engine and of the kernels of torch, and "
        "how long a GPU is idle.",
        "about a minute with --model tiny on two CPU cores",
        "The last line names the stage that takes most of the time. With --json, `bench predict --kernels` reads it.",
    ),
    "kernels": (
        "measure every kernel that the engine chooses from, each alone",
        "Runs each kernel at the shapes of the model, with its weights, and prints its time, its rates, its error, and "
        "which ones the engine chooses on this machine. A kernel that fails is reported, and the next one runs.",
        "half a minute with --model tiny on two CPU cores; minutes at the first time on a GPU, where kernels are "
        "compiled",
        "The last line says how many kernels were measured, and how many do not run on this machine.",
    ),
    "predict": (
        "predict the speed of boards from their data sheets",
        "Calculates the RTF and the time to the first sound of boards from their data sheets, and from the share of "
        "them that others measured. Nothing is measured here, and neither a GPU nor torch is needed. It prints what "
        "each optimisation should gain, and the efficiencies.",
        "two seconds",
        "The first line is the answer for one board (--board); the tables after it explain it.",
    ),
    "batches": (
        "measure several segments in one run",
        "Synthesizes 1, 2, 4 and 8 segments in one run of the model, as the engine does with a long line, and prints "
        "how much more speech a second that gives.",
        "about a minute with --model tiny on two CPU cores; the default model, small, takes longer",
        "The last line names the number of segments with the highest throughput.",
    ),
    "vocoder": (
        "measure Vocos alone, and its share of a segment",
        "Measures Vocos, the part of the engine that makes sound of spectrograms, in several variants and lengths.",
        "several minutes with --model tiny on two CPU cores",
        "The last line says which share of a segment the vocoder takes.",
    ),
}
"""By the name of the bench: its line in the list, what it does, how long it takes, what its last line means."""


def add_bench(
    parts: Commands, name: str, parents: list[argparse.ArgumentParser], **options: Any
) -> argparse.ArgumentParser:
    """Add a bench with its help."""
    listed, does, lasts, ends = TEXTS[name]
    paragraphs = [does, f"It takes {lasts}.", ends, _TERMS]
    if name != "predict":
        paragraphs.insert(1, _RANDOM)
    text = " ".join(paragraphs).replace("%", "%%")
    return parts.add_parser(name, parents=parents, help=listed, description=text, **options)
