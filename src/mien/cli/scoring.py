"""Commands that say how good a model is, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.bundles import export_run
from mien.cli.options import DataPath, DetectorName, Views
from mien.cli.show import bar, busy, need_report, need_train, say


def evaluate(
    model: Annotated[
        str, typer.Argument(help="Run folder, bundle, or its name.", metavar="RUN|BUNDLE")
    ],
    data: DataPath,
    split: Annotated[str, typer.Option(help="public, private, test, val or train.")] = "public",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Default: RUN/evaluation/SPLIT, NAME-bundle/... for a bundle.", metavar="DIR"
        ),
    ] = None,
    views: Views = None,
    votes: Annotated[
        Path | None, typer.Option(help="FER+'s votes: a second score.", metavar="CSV")
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Write accuracy and temperature into the bundle's card."),
    ] = False,
    corruptions: Annotated[
        bool,
        typer.Option("--corruptions", help="Score it on spoilt pictures, too: 19 kinds, 5 steps."),
    ] = False,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Of --corruptions: an evaluation to compare with.", metavar="DIR"),
    ] = None,
    adversarial: Annotated[
        bool, typer.Option("--adversarial", help="Attack a run's network by FGSM and PGD, too.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Of both: on so many images, each class in its share."),
    ] = None,
) -> None:
    """Score a model, with intervals, tables and pictures.

    A run's bundle gets the accuracy into its card, and with it, from any split but test and
    private, the views, the temperature that fits best and the threshold of `unsure`.
    """
    need_report()
    from mien import evaluate as scoring
    from mien.bundle import is_shipped, open_bundle
    from mien.data import check_outside, open_dataset
    from mien.errors import InputError
    from mien.files import check_folder, untouched
    from mien.report.evaluation_page import summary, write_evaluation
    from mien.report.model_card import write_model_card
    from mien.runs import RunFolder

    run = _run(model)
    if (baseline and not corruptions) or (limit and not (corruptions or adversarial)):
        raise InputError("--baseline needs --corruptions; --limit needs that or --adversarial")
    if adversarial and run is None:
        raise InputError(
            f"--adversarial follows gradients, and the bundle {model} has none: give the run "
            "folder it was exported from"
        )
    if record and is_shipped(model):
        raise InputError(
            f"--record writes into the bundle, and {model}, which is shipped with mien, is not "
            f"changed; copy {open_bundle(model).folder} and give the copy, or leave --record out"
        )
    if run is None:
        bundle = open_bundle(model)
    place = run or RunFolder(scoring.place_of(bundle.card.name))
    folder = out or place.evaluation(split)
    check_outside(folder, data)
    check_folder("--out", folder, [run.path if run else bundle.folder, baseline])
    network = _network(run) if run and adversarial else None
    if run is not None:
        if not run.has_bundle:
            export_run(run.path, data, run.bundle)
        bundle = open_bundle(run.bundle)
    with busy("reading the data"):
        dataset = open_dataset(data)
    with bar(len(dataset.split(split)), "images") as advance:
        evaluation = scoring.evaluate(bundle, dataset, split, advance, views=views, votes=votes)
    if run or record:
        evaluation, bundle = scoring.record(evaluation, bundle)
        write_model_card(bundle, evaluation)
    images, found = dataset.split(split).images, []
    with untouched(data, votes):
        metrics = scoring.save(evaluation, folder)
        if corruptions:
            found.append(_corruptions(evaluation, bundle, images, folder, limit, baseline))
        if network is not None:
            found.append(_adversarial(evaluation, network, images, folder, limit))
        write_evaluation(evaluation, metrics, folder, run)
    say("\n".join([metrics.report, summary(evaluation, metrics), *found, f"saved: {folder}"]))


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Evaluated runs or bundles.", metavar="RUN...")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the page.", metavar="DIR")],
    split: Annotated[str, typer.Option(help="Which evaluation of each run.")] = "public",
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Show the surest right and wrong answers on it."),
    ] = None,
) -> None:
    """Compare evaluated models on one page."""
    need_report()
    from mien.data import check_outside, open_dataset
    from mien.files import untouched
    from mien.report.compare import compare as write

    if data is not None:
        check_outside(out, data)
    with busy("comparing"), untouched(data):
        page = write(runs, out, split, None if data is None else open_dataset(data))
    say((out / "comparison.md").read_text(encoding="utf-8").split("\n![")[0])
    say(f"page: {page}")


def groups(
    evaluation: Annotated[
        Path, typer.Argument(help="Saved evaluation: RUN/evaluation/SPLIT.", metavar="EVALUATION")
    ],
    by: Annotated[
        Path,
        typer.Option("--by", help="Table: name or path, and a column per grouping.", metavar="CSV"),
    ],
    column: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be repeated. Default: all.")
    ] = None,
    minimum: Annotated[int, typer.Option(help="Groups of fewer images get no figures.")] = 30,
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
    model: Annotated[
        str, typer.Argument(help="Run folder, bundle, or its name.", metavar="RUN|BUNDLE")
    ],
    photo: Annotated[str, typer.Argument(help="A picture: path or address.", metavar="PHOTO")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Each face under its map.", metavar="PICTURE")
    ],
    label: Annotated[
        str | None, typer.Option(help="Explain this one. Default: each face's most probable.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="occlusion; of a run gradcam (its default) or attention (CBAM), too."),
    ] = None,
    detector: DetectorName = "auto",
) -> None:
    """Show where a network looks: a heat map over every face."""
    from mien.explain import Explainer, draw
    from mien.files import check_outputs
    from mien.output import save_picture
    from mien.sources import files_of

    check_outputs([("--out", out)], files_of(photo))
    with busy("explaining"):
        explainer = Explainer(model, method, detector=detector)
        found = explainer.explain(photo, label=label)
    save_picture(out, draw(found))
    for number, face in enumerate(found, 1):
        say(f"{number} {face.label} {face.score:.0%} ({face.method})")
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


def _run(model: str) -> Any:
    """The run folder that is meant; None for a bundle, or the name of one in the package."""
    from mien.bundle import is_shipped
    from mien.runs import find_run

    if is_shipped(model) and Path(model).exists():
        say(f"{model} is the bundle shipped with mien; the folder here is ./{model}")
    return find_run(model)


def _network(run: Any) -> tuple[Any, Any]:
    """Torch's network of a run, and how it wants its pictures."""
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
