"""The commands for example banks: bank build, bank verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from autograder.cli.common import OK, UNGRADABLE, UsageError, assignment_of, fail

bank_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Make and verify example banks.")


@bank_app.command("build")
def bank_build(
    assignment: Annotated[str, typer.Argument(help="rnn, lstm, ...", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", show_default=False)],
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Keep it secret; by default a new one.", show_default=False)] = None,
) -> int:
    """Draw a private example bank. Needs the instructor's packages (torch, Hypothesis)."""
    import secrets

    from autograder.cases import store

    declared = assignment_of(assignment)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out.parent} cannot be made: {error.strerror}.") from None
    seed = secrets.randbits(48) if seed is None else seed
    try:
        from autograder.judge.banks import make

        made = make(declared.name, seed, progress=lambda name: print(f"  {name}", flush=True))
    except ImportError as error:
        raise UsageError(f"building a bank needs {error.name}. Install the instructor's packages: pip install 'handgrad[instructor]'") from None
    unfinished = out.with_name(f".{out.name}.unfinished")
    digest = store.save(made, unfinished)
    os.replace(unfinished, out)
    print(f"{out}: {declared.name}, {_examples(made)} examples, seed {seed}, sha256 {digest}")
    return OK


@bank_app.command("verify")
def bank_verify(file: Annotated[Path, typer.Argument(help="The bank.", show_default=False)]) -> int:
    """Verify that a bank is whole, has examples for every function, and agrees with the reference (needs torch)."""
    from autograder.cases import store
    from autograder.spec import groups

    bank = store.load(file)
    declared = assignment_of(bank.assignment)
    if missing := [group[0].function for group in groups(declared.everything) if not bank.groups.get(group[0].function)]:
        raise store.BankError(f"{file} has no examples for {', '.join(missing)}. Build it again with this version: handgrad bank build {bank.assignment}")
    print(f"{file}: whole. {bank.assignment}, {'public' if bank.public else 'private'}, {_examples(bank)} examples, sha256 {bank.sha256}")
    return _same_as_reference(bank, declared)


def _same_as_reference(bank, declared) -> int:
    """Compute everything again where torch is installed."""
    try:
        from autograder.cases.build import verify
    except ImportError:
        print("It was not compared with the reference, which needs torch and Hypothesis: pip install 'handgrad[instructor]'")
        return OK
    if changed := verify(bank, declared):
        print("\n".join(f"  {sentence}" for sentence in changed[:20]))
        return fail(f"{len(changed)} stored results are not the reference's any more. Build the bank again: handgrad bank build {declared.name}", UNGRADABLE)
    print("Every stored result is the reference's.")
    return OK


def _examples(bank) -> int:
    return sum(map(len, bank.groups.values()))
