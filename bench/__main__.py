"""python3 -m bench: chooses cases, runs them, prints a table and writes it down.

Exit code 0 when every subject did its work, whether aims are met or not; 1 when one failed; 2 for a wrong command.
"""
from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from . import cases, machine, measure, report
from .subjects import REPOSITORY, Base


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Tenon's drives against their peers, as root.")
    build = Path(os.environ.get("BUILD", REPOSITORY / "build"))
    parser.add_argument("--build", type=Path, default=build, help="the build folder (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=1, help="rounds before them (default: %(default)s)")
    parser.add_argument("--cases", default="", help="patterns of their names, separated by spaces (default: all)")
    parser.add_argument("--size", help="of large files, for instance 256M (default: what each case says)")
    parser.add_argument("--files", type=int, help="how many small files (default: what each case says)")
    parser.add_argument("--out", type=Path, help="where results are written (default: bench-results in the build folder)")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="on the disk to measure on (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="only say which cases there are")
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace, base: Base) -> measure.Settings:
    return measure.Settings(
        programs=options.build.absolute() / "bench", base=base, rounds=options.rounds, warm_up=options.warm_up,
        size=cases.parse_size(options.size) if options.size else None, files=options.files)


def run_all(options: argparse.Namespace, chosen: list[cases.Case | cases.External]) -> dict:
    build = options.build.absolute()
    facts = machine.facts(REPOSITORY, build, options.work)
    warnings = machine.warnings(facts)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    base = Base(options.work, "tenon-bench-")
    try:
        settings = settings_of(options, base)
        outcomes = [measure.run(settings, case, lambda text: print(text, file=sys.stderr, flush=True)) for case in chosen]
    finally:
        left = base.close()
    if left:
        warnings.append(f"left behind and taken away: {', '.join(left)}")
    facts["load at the end"] = list(os.getloadavg())
    said = {"rounds": options.rounds, "warm-up": options.warm_up, "size": options.size, "files": options.files,
            "work": str(options.work)}
    return report.as_object(facts, said, warnings, outcomes)


def write_down(folder: Path, whole: dict) -> Path:
    """The results as NAME.json and NAME.txt; NAME is that of no other run."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{whole['machine']['date'][:19].replace(':', '').replace('-', '')}-{os.getpid()}"
    (folder / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    text = folder / f"{name}.txt"
    text.write_text(report.as_text(whole), encoding="utf-8")
    return text


def end(number: int, frame: object) -> None:
    """Being told to end is a reason to clean up."""
    raise SystemExit(128 + number)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    try:
        known = cases.load(Path(__file__).with_name("cases.toml"))
        chosen = cases.choose(known, options.cases.split())
        if options.size:
            cases.parse_size(options.size)
        if options.rounds < 1 or options.warm_up < 0 or (options.files or 1) < 1:
            raise cases.Wrong("at least one round and one file are needed")
        if os.geteuid() != 0 and not options.list:
            raise cases.Wrong("mounting and emptying the kernel's caches need root")
    except cases.Wrong as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{case.name:20} {case.title}" for case in chosen))
        return 0
    # The command and everything else that the subjects use are those of this build.
    os.environ["TENON"] = str(options.build.absolute() / "tenon")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    whole = run_all(options, chosen)
    text = write_down(options.out or options.build / "bench-results", whole)
    print(text.read_text(encoding="utf-8"))
    print(f"written to {text} and {text.with_suffix('.json')}")
    return 1 if any(case["failed"] for case in whole["cases"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
