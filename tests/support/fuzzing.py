"""Fuzzes one target: guided by coverage if atheris is installed, else with random changes of the seeds.

    python -m support.fuzzing NAME --seconds 60 --folder DIR

Prints one line of JSON. An input that fails is kept in the folder; put it into
tests/fuzz/corpus/NAME/ with its fix.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "fuzz/corpus"
CORPUS_FOLDER = "corpus"
"""Below the folder of a guided run: seeds, and each input that found new code."""
_GATEWAY, _YAML = ("ishowtts_gateway",), ("yaml",)
_ALSO_COUNTED = {
    **dict.fromkeys(("http", "wyoming", "openai", "published"), _GATEWAY),
    **dict.fromkeys(("yaml", "config", "checkpoint"), _YAML),
}
"""Packages beside `ishowtts` whose code guides a target. To prepare all of them for each target takes seconds."""
_MAX_BYTES = 4096
_MOST_S = 1.0  # of CPU time, for one input
_GRACE_S = 180.0  # a machine under load takes a minute to import what is fuzzed


@dataclass(frozen=True)
class Figures:
    """What came of it.

    Attributes:
        covered: edges of the package's code; `None` without atheris.
        fault: the traceback's last line, and where the input is; `None`: there is none.
    """

    target: str
    executions: int
    per_s: float
    covered: int | None = None
    fault: str | None = None


def known_inputs(name: str) -> list[bytes]:
    """Inputs that failed once."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def mutated(chance: random.Random, inputs: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """One of the inputs with a few random changes."""
    data = bytearray(chance.choice(inputs))
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 16, 64)))
        kind = chance.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x22, chance.randrange(256)))
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end] * chance.choice((1, 2, 5, 50))
        elif kind == 4:
            other = chance.choice(inputs)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        elif kind == 5:
            data[at:at] = chr(chance.choice((chance.randrange(0x300), chance.randrange(0xD800)))).encode()
        elif tokens:
            data[at : chance.choice((at, end))] = chance.choice(tokens)
    return bytes(data[:_MAX_BYTES])


def fuzz(name: str, seconds: float, seed: int, folder: Path | None = None) -> Figures:
    """Random changes, without guidance, until a fault or the end of the time.

    Args:
        folder: where an input that fails is kept.
    """
    from support.fuzz_targets import TARGETS

    target, chance = TARGETS[name], random.Random(seed)
    inputs = [*target.seeds, *known_inputs(name)]
    began_s, executions, fault = time.monotonic(), 0, None
    while fault is None and time.monotonic() - began_s < seconds:
        data = mutated(chance, inputs, target.tokens)
        executions += 1
        fault = _fault(name, data)
        if fault is not None:
            fault = f"{fault} at {data!r}"
            if folder is not None:
                kept = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
                kept.write_bytes(data)
                fault = f"{fault}; see {kept}"
    spent_s = time.monotonic() - began_s
    return Figures(name, executions, round(executions / spent_s, 1), fault=fault)


def _fault(name: str, data: bytes) -> str | None:
    """What one input does wrong; `None` if it is treated well, and in time."""
    from support.fuzz_targets import TARGETS

    for _ in range(2):  # the first call of a process also loads models: 1.1 s for the natural voice's phonemizer
        began_s = time.process_time()
        try:
            TARGETS[name].check(data)
        except Exception as error:
            return traceback.format_exception_only(error)[-1].strip()
        spent_s = time.process_time() - began_s
        if spent_s < _MOST_S:
            return None
    return f"one input took {spent_s:.1f} s"


def fuzz_guided(name: str, seconds: float, folder: Path) -> Figures:
    """The same by atheris, in a process of its own: it ends its process."""
    command = [sys.executable, "-m", "support.fuzzing", name, "--seconds", str(seconds), "--folder", str(folder)]
    began_s = time.monotonic()
    done = subprocess.run(
        [*command, "--child"], capture_output=True, timeout=seconds + _GRACE_S, text=True, errors="replace", check=False
    )
    spent_s = time.monotonic() - began_s
    executions = int(_last(r"stat::number_of_executed_units: +(\d+)", done.stderr) or 0)
    kept = sorted(folder.glob(f"{name}-*"))
    fault = None
    if done.returncode != 0 or kept:
        said = _last(r"(?m)^(\w+(?:Error|Exception|Faulty)?: .*|\w+Error)$", done.stdout + done.stderr)
        fault = f"{said or done.stderr[-300:]}; see {', '.join(map(str, kept)) or 'nothing'}"
    for slow in sorted(folder.glob("slow-*")):  # with the counting of coverage, which takes most of the time
        if fault is None and (found := _fault(name, slow.read_bytes())) is not None:
            fault = f"{found}; see {slow}"
    covered = _last(r"cov: (\d+)", done.stderr)
    return Figures(name, executions, round(executions / spent_s, 1), int(covered) if covered else None, fault)


def _last(pattern: str, text: str) -> str | None:
    found = re.findall(pattern, text)
    return found[-1] if found else None


def _be_the_child(name: str, seconds: float, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["ishowtts", *_ALSO_COUNTED.get(name, ())]):
        from support.fuzz_targets import TARGETS
    target = TARGETS[name]
    seeds = folder / CORPUS_FOLDER
    seeds.mkdir()
    for number, data in enumerate([*target.seeds, *known_inputs(name)]):
        (seeds / str(number)).write_bytes(data)
    words = folder / f"words.{name}"
    words.write_text(
        "".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in token)}"\n' for token in target.tokens if token)
    )
    options = [
        f"-max_total_time={seconds:.0f}", f"-max_len={_MAX_BYTES}", f"-timeout={5 * _MOST_S:.0f}",
        f"-artifact_prefix={folder}/{name}-", "-print_final_stats=1", "-rss_limit_mb=2048",
    ]  # fmt: skip
    if target.tokens:
        options.append(f"-dict={words}")

    def check(data: bytes) -> None:
        began_s = time.process_time()
        target.check(data)
        if time.process_time() - began_s > _MOST_S:
            (folder / f"slow-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)

    atheris.Setup([sys.argv[0], *options, str(seeds)], lambda data: check(bytes(data)))
    atheris.Fuzz()


def main() -> int:
    """0 if no input failed."""
    parser = argparse.ArgumentParser(prog="python -m support.fuzzing", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--child", action="store_true", help="be the process that atheris runs in")
    arguments = parser.parse_args()
    logging.disable()  # a fuzzer makes thousands of warnings a second
    if arguments.child:
        _be_the_child(arguments.target, arguments.seconds, arguments.folder)
        return 0
    if find_spec("atheris") is None:
        seed = random.SystemRandom().randrange(2**32)
        figures = fuzz(arguments.target, arguments.seconds, seed, arguments.folder)
    else:
        figures = fuzz_guided(arguments.target, arguments.seconds, arguments.folder)
    print(json.dumps({"run": "fuzz", **asdict(figures)}), flush=True)
    return 0 if figures.fault is None else 1


if __name__ == "__main__":
    sys.exit(main())
