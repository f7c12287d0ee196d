"""`zsm save`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.command import command, durability_option
from zsm_store.cli.json_output import write_json
from zsm_store.cli.option_types import Digest, JsonFile, Moment
from zsm_store.cli.params_file import STANDARD_INPUT, TrainedParams, read_params
from zsm_store.cli.progress import working
from zsm_store.cli.table_options import TableRequest, table_options
from zsm_store.cli.terminal import Styled, warn, write_lines
from zsm_store.model.artifact import ModelArtifact
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.problem import Severity

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "save",
    locks=True,
    examples="""
    zsm save params.json people.csv --tag people_q1 --em-iterations 25
    zsm save params.json --schema people.schema.json --if-absent
    zsm show people_q1 --json | zsm save - --registry /srv/shared
    """,
)
@click.argument("params")
@table_options
@click.option("--tag", metavar="T", help="A name for people.")
@click.option(
    "--em-iterations",
    type=click.IntRange(min=0),
    metavar="N",
    help="Iterations of EM that the training took.",
)
@click.option(
    "--trained-on", type=Moment(), help="When it was trained; now if left out."
)
@click.option(
    "--extra",
    type=JsonFile(),
    help="Facts of your own, such as the trainer's settings.",
)
@click.option("--if-absent", is_flag=True, help="Only if there is none of this schema.")
@click.option(
    "--if-match", type=Digest(), help="Only if the stored one has this digest."
)
@durability_option()
def save_command(
    session: Session,
    request: TableRequest,
    params: str,
    if_absent: bool,
    if_match: str | None,
    **about: Any,
) -> None:
    """Save trained PARAMS under the schema hash of TABLE.

    PARAMS is a JSON file, or - for standard input: an object with m and u (rows of
    probabilities, a row per field, level 0 is disagreement), log_prior_odds,
    upper_threshold and lower_threshold; if it has fields, a list of names, rows are
    matched by name. tag, em_iterations and extra may stand in it, too. Or PARAMS is a
    whole artifact, as 'zsm show --json' prints it, and is saved as it is.
    """
    if if_absent and if_match is not None:
        message = "--if-absent and --if-match exclude each other"
        raise click.UsageError(message, click.get_current_context())
    artifact = _artifact(params, request, about)
    with session.open_registry() as registry:
        with working(f"saving into {registry.location}"):
            digest = registry.save(artifact, if_match=if_match, if_absent=if_absent)
        location = registry.location
    for problem in artifact_problems(artifact, params):
        if problem.severity is Severity.WARNING:
            warn(problem.message)
    if session.as_json:
        saved = {
            "registry": location,
            "schema_hash": artifact.schema_hash,
            "digest": digest,
            "tag": artifact.tag,
        }
        write_json(saved)
    elif session.quiet:
        write_lines([artifact.schema_hash])
    else:
        write_lines([["saved  ", Styled(artifact.schema_hash, bold=True)]])
        write_lines([f"digest {digest}"])


def _artifact(name: str, request: TableRequest, about: dict[str, Any]) -> ModelArtifact:
    if name == STANDARD_INPUT == request.table:
        message = "PARAMS and TABLE cannot both be standard input"
        raise click.UsageError(message, click.get_current_context())
    found = read_params(name)
    if isinstance(found, TrainedParams):
        return _trained(found, request, about)
    given = [
        f"--{key.replace('_', '-')}" for key, it in about.items() if it is not None
    ]
    if request.is_given:
        given.insert(0, "TABLE" if request.table is not None else "--schema")
    if given:
        message = (
            f"PARAMS is a whole artifact, which is saved as it is: leave out {given[0]}"
        )
        raise click.UsageError(message, click.get_current_context())
    return found


def _trained(
    params: TrainedParams, request: TableRequest, about: dict[str, Any]
) -> ModelArtifact:
    fingerprint = request.read().fingerprint
    facts = {
        key: params.document.get(key) if about[key] is None else about[key]
        for key in ("tag", "em_iterations", "extra")
    }
    return ModelArtifact(
        fingerprint=fingerprint,
        params=params.aligned([field.name for field in fingerprint.fields]),
        tag=facts["tag"],
        em_iterations=facts["em_iterations"] or 0,
        trained_on=int(time.time())
        if about["trained_on"] is None
        else about["trained_on"],
        extra=facts["extra"],
    )
