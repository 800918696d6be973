"""Commands that say how good a model is, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.bundles import calibrate_bundle, open_for
from mien.cli.options import (
    Adversarial,
    Baseline,
    Corruptions,
    DataFormat,
    DataPath,
    DetectorName,
    EvaluatedSplit,
    EvaluationFolder,
    Jitter,
    Limit,
    ModelPath,
    Occlusions,
    PageFolder,
    Views,
    Votes,
)
from mien.cli.show import bar, busy, need_report, need_train, say
from mien.style import percent


def evaluate(
    model: ModelPath,
    data: DataPath,
    format_: DataFormat = None,
    split: EvaluatedSplit = "public",
    out: EvaluationFolder = None,
    views: Views = None,
    votes: Votes = None,
    jitter: Jitter = False,
    corruptions: Corruptions = False,
    occlusions: Occlusions = False,
    baseline: Baseline = None,
    adversarial: Adversarial = False,
    limit: Limit = None,
) -> None:
    """Measure a model: figures with intervals, tables and plots.

    Writes the evaluation folder only. What is measured is not changed; see mien calibrate.
    """
    need_report()
    from mien import evaluate as scoring
    from mien.data import check_outside
    from mien.files import check_folder, untouched
    from mien.framing import DRAWS
    from mien.report.evaluation_page import summary, write_evaluation
    from mien.runs import RunFolder

    _check_options(corruptions, baseline, corruptions or occlusions or adversarial, limit)
    run, bundle = _open(model)
    _check_grey(bundle, corruptions or occlusions or adversarial)
    folder = out or (run or RunFolder(scoring.place_of(bundle.card.name))).evaluation(split)
    check_outside(folder, data)
    check_folder("--out", folder, [run.path if run else bundle.folder, baseline])
    network = _network(model, run) if adversarial else None
    dataset = open_for(bundle, data, format_)
    scoring.check_place(folder, bundle.card.name, dataset.split(split))
    images = dataset.split(split).images
    with bar(len(dataset.split(split)) * (1 + jitter * DRAWS), "images") as advance:
        evaluation = scoring.evaluate(
            bundle, dataset, split, advance, views=views, votes=votes, jitter=jitter
        )
    lines = []
    with untouched(data, votes):
        metrics = scoring.save(evaluation, folder)
        if corruptions:
            lines.append(_corruptions(evaluation, bundle, images, folder, limit, baseline))
        if occlusions:
            lines.append(_occlusions(evaluation, bundle, images, folder, limit))
        if network is not None:
            lines.append(_adversarial(evaluation, network, images, folder, limit))
        write_evaluation(evaluation, metrics, folder, run)
    say("\n".join([metrics.report, summary(evaluation, metrics), *lines, f"saved: {folder}"]))


def calibrate(
    model: ModelPath,
    data: DataPath,
    format_: DataFormat = None,
    split: Annotated[
        str | None,
        typer.Option(help="public or val. Default: a run's validation images; else public."),
    ] = None,
    views: Views = None,
    votes: Votes = None,
) -> None:
    """Fit the temperature of a bundle on images it was not trained on; write it into its card.

    The card also gets the views, the threshold of `unsure`, the accuracy and the field accuracy.
    """
    need_report()
    run, bundle = _open(model)
    calibrate_bundle(bundle, data, split or run or "public", views, votes, format_)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Evaluated runs or bundles.", metavar="RUN...")
    ],
    out: PageFolder,
    split: Annotated[str, typer.Option(help="Split whose evaluations are compared.")] = "public",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", "-d", help="Images, to show the most confident right and wrong answers."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Published figures to show beside: a .yaml or .csv of model, accuracy (0 to 1), n "
            "and source; or report, those of the technical report.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Compare evaluated models on one page; runs that differ in their seed are pooled."""
    need_report()
    from mien.data import Asked, check_outside, open_dataset
    from mien.files import untouched
    from mien.report.compare import compare as write
    from mien.report.references import read_reference

    if data is not None:
        check_outside(out, data)
    published = None if reference is None else read_reference(reference)
    with busy("comparing"), untouched(data, reference):
        images = None if data is None else open_dataset(data, Asked(clips=None))
        page = write(runs, out, split, images, published)
    say((out / "comparison.md").read_text(encoding="utf-8").split("\n![")[0])
    say(f"page: {page}")


def groups(
    evaluation: Annotated[
        Path, typer.Argument(help="Saved evaluation: RUN/evaluation/SPLIT.", metavar="EVALUATION")
    ],
    by: Annotated[
        Path,
        typer.Option(
            "--by",
            help="Table of the images: a column name or path, and one column per grouping. Or the "
            "data set, where it tells of its people (RAF-DB, KDEF).",
            metavar="CSV|DATA",
        ),
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="Column to group by; may be repeated. Default: all.")
    ] = None,
    minimum: Annotated[int, typer.Option(help="Smallest group that gets figures, in images.")] = 30,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Default: EVALUATION/groups.", metavar="DIR"),
    ] = None,
) -> None:
    """Score a saved evaluation by groups: age, skin tone, source... and the gaps between."""
    need_report()
    from mien.evaluate import load, note
    from mien.evaluate.groups import by_groups
    from mien.files import untouched
    from mien.report.groups import summary, to_json, write_groups

    saved = load(evaluation)
    with busy("scoring the groups"), untouched(by):
        found = by_groups(saved, by, column, minimum=minimum)
        folder = out or evaluation / "groups"
        write_groups(found, saved, folder)
        note(evaluation, "groups", to_json(found))
    say(f"{summary(found)}\n\nsaved: {folder}")


def explain(
    model: ModelPath,
    photo: Annotated[str, typer.Argument(help="A picture: path or address.", metavar="PHOTO")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Picture to write: each face beside its heat map.",
            metavar="PICTURE",
        ),
    ],
    label: Annotated[
        str | None,
        typer.Option(help="Expression to explain. Default: the most probable one of each face."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="occlusion; for a run also gradcam (default) or attention."),
    ] = None,
    detector: DetectorName = "yunet",
) -> None:
    """Show where a network looks: a heat map over every face."""
    from mien.explain import Explainer, draw
    from mien.files import check_outputs
    from mien.marks import check_own
    from mien.output import save_picture
    from mien.sources import open_source

    check_outputs([("--out", out)], open_source(photo).files)
    check_own([("--out", out)])
    with busy("explaining"):
        explainer = Explainer(model, method, detector=detector)
        found = explainer.explain(photo, label=label)
    save_picture(out, draw(found))
    for number, face in enumerate(found, 1):
        say(f"{number} {face.label} {percent(face.score)} ({face.method})")
    say(f"picture: {out}")


def _corruptions(
    evaluation: Any, bundle: Any, images: Any, folder: Path, limit: int | None, base: Path | None
) -> str:
    """Score on corrupted faces, write what was found, and say it in a line."""
    from mien.evaluate import robustness
    from mien.evaluate.corruptions import CORRUPTIONS, SEVERITIES
    from mien.report.robustness import summary, write_robustness

    baseline = None if base is None else robustness.load_robustness(base)
    total = min(limit or len(images), len(images)) * len(CORRUPTIONS) * SEVERITIES
    with bar(total, "corrupted faces") as advance:
        found = robustness.score_corruptions(
            evaluation, bundle, images, limit=limit, baseline=baseline, progress=advance
        )
    write_robustness(found, folder)
    return summary(found)


def _occlusions(evaluation: Any, bundle: Any, images: Any, folder: Path, limit: int | None) -> str:
    """The same on covered faces."""
    from mien.evaluate.corruptions import OCCLUSIONS, SEVERITIES
    from mien.evaluate.robustness import OCCLUDED, score_corruptions
    from mien.report.robustness import occlusion_summary, write_robustness

    total = min(limit or len(images), len(images)) * len(OCCLUSIONS) * SEVERITIES
    with bar(total, "covered faces") as advance:
        found = score_corruptions(
            evaluation, bundle, images, kinds=OCCLUSIONS, limit=limit, progress=advance
        )
    write_robustness(found, folder, OCCLUDED)
    return occlusion_summary(found)


def _check_options(
    corruptions: bool, baseline: Path | None, limited: bool, limit: int | None
) -> None:
    from mien.errors import InputError

    if baseline and not corruptions:
        raise InputError("--baseline needs --corruptions")
    if limit and not limited:
        raise InputError("--limit needs --corruptions, --occlusions or --adversarial")


def _check_grey(bundle: Any, attacked: bool) -> None:
    from mien.errors import InputError

    if attacked and bundle.card.state is not None:
        raise InputError(
            "--corruptions, --occlusions and --adversarial are for images, and "
            f"{bundle.card.name} reads clips; leave them out"
        )
    if attacked and bundle.card.preprocess.color:
        raise InputError(
            "--corruptions, --occlusions and --adversarial are of grey faces, and "
            f"{bundle.card.name} reads colour; leave them out"
        )


def _open(model: str) -> tuple[Any, Any]:
    """The run that is meant, or None, and the bundle: the run's, in a folder, or in the package."""
    from mien.bundle import is_shipped, open_bundle
    from mien.runs import find_run

    if is_shipped(model) and Path(model).exists():
        say(f"{model} is the bundle shipped with mien; the folder here is ./{model}")
    run = find_run(model)
    return run, open_bundle(run.exported() if run else model)


def _network(model: str, run: Any) -> tuple[Any, Any]:
    """Torch's network of a run, and how it wants its images."""
    from mien.errors import InputError

    if run is None:
        raise InputError(
            f"--adversarial follows gradients, and the bundle {model} has none: give the run "
            "folder it was exported from"
        )
    need_train()
    with busy("loading torch"):
        return run.network(), run.preprocess


def _adversarial(
    evaluation: Any, network: tuple[Any, Any], images: Any, folder: Path, limit: int | None
) -> str:
    """The same under attack."""
    from mien.evaluate.adversarial import ATTACKS, EPSILONS, score_attacks
    from mien.report.robustness import attack_summary, write_adversarial

    total = min(limit or len(images), len(images)) * len(ATTACKS) * len(EPSILONS)
    with bar(total, "attacks") as advance:
        found = score_attacks(evaluation, *network, images, limit=limit, progress=advance)
    write_adversarial(found, folder)
    return attack_summary(found)
