"""Record the final tables and figures at Weights & Biases as one run; the receipt reports a failure of W&B."""

import argparse
import json
from pathlib import Path

from shapebias.cli import Parser
from shapebias.commands.tracking_options import add_tracking_options, tracking_settings
from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.tables.reading import read_json
from shapebias.tracking.client import Tracker, new_run_id


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--title", required=True, metavar="T", help="the study's name; W&B groups its reports by it")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], metavar="CSV", help="tables to record")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], metavar="PNG", help="figures to record")
    parser.add_argument("--config", type=Path, required=True, metavar="JSON", help="the complete configuration")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="JSON", help="the receipt: recorded files and their run"
    )
    add_tracking_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    config = read_json(args.config)
    for path in (*args.tables, *args.figures):
        if not path.is_file():
            raise UserError(f"{path}: does not exist; make it with scripts/tables.py or scripts/figures.py")
    tables = {path.stem: path for path in args.tables}
    figures = {path.stem: path for path in args.figures}
    # Each report is a separate run, so that older reports stay available.
    run_id = new_run_id()
    tracker = Tracker(
        tracking_settings(args),
        run_id=run_id,
        name=args.title,
        group=args.title,
        job_type="report",
        tags=[],
        config=config,
    )
    tracker.log_files(tables, figures)
    tracker.finish({})
    receipt = {
        "run": run_id,
        "mode": tracker.mode,
        "folder": tracker.folder and str(tracker.folder),
        "tables": sorted(tables) if tracker.arrived else [],
        "figures": sorted(figures) if tracker.arrived else [],
        "warning": tracker.warning,
    }
    with atomic_write(args.out) as draft:
        draft.write_text(json.dumps(receipt, indent=2))
