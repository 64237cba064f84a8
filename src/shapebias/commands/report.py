"""Write the report: one HTML file that holds its figures and opens anywhere, offline.

The inputs are the tables, figures and runs of a study, or only a folder of predictions (--predictions), such as
published decisions. From predictions, the script first makes tables and figures. It leaves them beside the report, in
the folders <report name>-tables and <report name>-figures.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from shapebias.cli import Parser, named_path
from shapebias.files import atomic_write
from shapebias.report.files import ReportExtras, folders_beside, render_predictions, render_study
from shapebias.tables.reading import read_json


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", default="Shape or texture?", metavar="T", help="title of the report (%(default)s)")
    parser.add_argument("--predictions", type=Path, metavar="DIR", help="predictions or decisions, instead of a study")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="folder of the CSV tables")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="folder of the SVG figures")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder that holds <model>/<regime>/seed<n>")
    parser.add_argument("--config", type=Path, metavar="JSON", help="the complete configuration of the study")
    parser.add_argument("--people", type=Path, metavar="CSV", help="people's hits on the published stimuli")
    parser.add_argument(
        "--contact-sheets",
        type=Path,
        nargs="*",
        default=[],
        metavar="PNG",
        help="contact sheets of sample images, or folders of sheets",
    )
    parser.add_argument(
        "--conflict-images",
        type=named_path,
        nargs="+",
        action="extend",
        default=[],
        metavar="BENCHMARK=PATH",
        help="images of a cue-conflict benchmark for browsing: a folder, shards or an archive",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="HTML", help="output file of the report")
    args = parser.parse_args(argv)
    study = {name: getattr(args, name) for name in ("tables", "figures", "runs", "config")}
    if args.predictions and any(study.values()):
        parser.error("--predictions makes its own tables and figures; leave out --tables, --figures, --runs, --config")
    missing = [f"--{name}" for name, value in study.items() if value is None]
    if missing and not args.predictions:
        parser.error(f"{', '.join(missing)} missing; give these options, or only --predictions")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    images: dict[str, list[Path]] = defaultdict(list)
    for name, path in args.conflict_images:
        images[name].append(path)
    sheets = [
        file for path in args.contact_sheets for file in (sorted(path.glob("*.png")) if path.is_dir() else [path])
    ]
    extras = ReportExtras(args.people, sheets, images)
    if args.predictions:
        page = render_predictions(args.title, args.predictions, *folders_beside(args.out), extras)
    else:
        page = render_study(args.title, args.tables, args.figures, args.runs, read_json(args.config), extras)
    with atomic_write(args.out) as draft:
        draft.write_text(page, encoding="utf-8")
