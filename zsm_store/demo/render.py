"""Steps of the demo as lines for a terminal and as values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.demo.steps import BundleStep, TableStep

if TYPE_CHECKING:
    from zsm_store.demo.quality import Quality
    from zsm_store.demo.steps import Answer, DemoStep, Run

_WORDS = {
    "warm_load": "warm load",
    "warm_start": "warm start",
    "cold_start": "cold start",
}
_RUN_HEADING = (
    f"  {'':15}{'iterations':>10}{'seconds':>10}{'precision':>12}{'recall':>9}{'F1':>8}"
)
_DIGITS_OF_HASH = 12
_BYTES_PER_KB = 1_000


def lines(step: DemoStep) -> list[str]:
    """Plain text of at most 80 columns, without a final empty line.

    Nothing but what the demo made up is in it, so there is nothing to escape.
    """
    if isinstance(step, TableStep):
        return _table_lines(step)
    return _bundle_lines(step)


def as_dict(step: DemoStep) -> dict[str, Any]:
    """All numbers of a step, unrounded, as values that JSON has."""
    if isinstance(step, TableStep):
        return _table_dict(step)
    return _bundle_dict(step)


def _table_lines(step: TableStep) -> list[str]:
    return [
        f"{step.title}: {_WORDS[step.mode]}",
        f"  {step.records:,} records, {len(step.fields)} fields, {_compared(step)}",
        f"  {step.reason}",
        *([f"  from priors: {', '.join(step.filled)}"] if step.filled else []),
        _RUN_HEADING,
        _run_line(_WORDS[step.mode], step.advised),
        _run_line("cold training", step.cold),
        f"  {_saved(step)}",
    ]


def _compared(step: TableStep) -> str:
    seconds = f"compared in {step.compare_seconds:.2f} s"
    return f"{step.candidate_pairs:,} candidate pairs ({seconds})"


def _run_line(name: str, run: Run) -> str:
    quality = run.quality
    return (
        f"  {name:15}{run.iterations:10}{run.seconds:10.4f}"
        f"{quality.precision:12.3f}{quality.recall:9.3f}{quality.f1:8.3f}"
    )


def _saved(step: TableStep) -> str:
    if step.saved_as is None:
        return "nothing to save: the parameters came from the registry"
    return f"saved as {step.saved_as[:_DIGITS_OF_HASH]}"


def _bundle_lines(step: BundleStep) -> list[str]:
    size = f"{step.size / _BYTES_PER_KB:.1f} KB"
    kept = sum(question.identical for question in step.questions)
    return [
        f"{step.title}: {step.artifacts} artifacts, {size} in {step.seconds:.2f} s",
        f"  {'table':22}{'directory':24}{'bundle':24}same",
        *(
            f"  {question.table:22}{_short(question.directory):24}"
            f"{_short(question.bundle):24}{'yes' if question.identical else 'NO'}"
            for question in step.questions
        ),
        f"  {kept} of {len(step.questions)} answers are the same, parameters included",
    ]


def _short(answer: Answer) -> str:
    mode = _WORDS[answer.mode]
    if answer.distance is None:
        return mode
    return f"{mode}, {answer.distance:.4f}"


def _table_dict(step: TableStep) -> dict[str, Any]:
    return {
        "step": "table",
        "title": step.title,
        "table": step.table,
        "records": step.records,
        "fields": list(step.fields),
        "candidate_pairs": step.candidate_pairs,
        "compare_seconds": step.compare_seconds,
        "mode": step.mode,
        "distance": step.distance,
        "reason": step.reason,
        "filled": list(step.filled),
        "advised": _run_dict(step.advised),
        "cold": _run_dict(step.cold),
        "saved_as": step.saved_as,
    }


def _run_dict(run: Run) -> dict[str, Any]:
    return {
        "iterations": run.iterations,
        "converged": run.converged,
        "seconds": run.seconds,
        **_quality_dict(run.quality),
    }


def _quality_dict(quality: Quality) -> dict[str, Any]:
    return {
        "linked": quality.linked,
        "correct": quality.correct,
        "true_pairs": quality.true_pairs,
        "precision": quality.precision,
        "recall": quality.recall,
        "f1": quality.f1,
    }


def _bundle_dict(step: BundleStep) -> dict[str, Any]:
    return {
        "step": "bundle",
        "title": step.title,
        "bundle": str(step.bundle),
        "size": step.size,
        "artifacts": step.artifacts,
        "seconds": step.seconds,
        "identical": step.identical,
        "questions": [
            {
                "table": question.table,
                "directory": _answer_dict(question.directory),
                "bundle": _answer_dict(question.bundle),
                "identical": question.identical,
            }
            for question in step.questions
        ],
    }


def _answer_dict(answer: Answer) -> dict[str, Any]:
    return {
        "mode": answer.mode,
        "distance": answer.distance,
        "schema_hash": answer.schema_hash,
        "tag": answer.tag,
    }
