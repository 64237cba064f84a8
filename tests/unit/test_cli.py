"""Options and messages that all commands share."""

import gc
import importlib
import io
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ENV, ROOT, exit_status

from shapebias import __main__ as command
from shapebias import cli, start
from shapebias.errors import UserError
from shapebias.extras import explain_missing_packages


def test_progress_in_a_file_is_one_line_every_half_minute(monkeypatch, caplog):
    clock = iter([0.0, 10.0, 31.0, 31.0, 50.0, 62.0, 62.0])  # the start, then each item; twice if a line is printed
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        assert list(cli.progress(range(4), total=1200, unit="images", label="edges")) == [0, 1, 2, 3]
    assert caplog.messages == ["edges: 2 of 1,200 images", "edges: 4 of 1,200 images"]


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(cli.progress(range(4), total=4, unit="images", label="edges")) == [0, 1, 2, 3]
    assert "edges: 100%" in terminal.getvalue() and "4/4" in terminal.getvalue()


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (cli.count_map, "train=60,val=all", {"train": 60, "val": "all"}),
        (cli.positive_int, "1", 1),
        (cli.non_negative_int, "0", 0),
        (cli.non_negative_float, "0", 0.0),
        (cli.positive_float, "0.5", 0.5),
        (cli.image_size, "16", 16),
        (cli.proportion, "1", 1.0),
        (cli.named_text, "a=b=c", ("a", "b=c")),
        (cli.named_path, "a=b.csv", ("a", Path("b.csv"))),
    ],
)
def test_an_argument_is_parsed(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "problem"),
    [
        (cli.count_map, "train=60,val=some", "'val=some' is not NAME=NUMBER or NAME=all"),
        (cli.count_map, "=60", "'=60' is not NAME=NUMBER or NAME=all"),
        (cli.positive_int, "0", "0 is not at least 1"),
        (cli.positive_int, "1.5", "invalid positive_int value: '1.5'"),
        (cli.non_negative_int, "-1", "-1 is not at least 0"),
        (cli.non_negative_float, "-0.1", "-0.1 is not at least 0"),
        (cli.non_negative_float, "inf", "inf is not at least 0"),
        (cli.positive_float, "0", "0 is not above 0"),
        (cli.positive_float, "nan", "nan is not at least 0"),
        (cli.image_size, "15", "15 is not from 16 to 2048 pixels"),
        (cli.proportion, "1.01", "1.01 is not from 0 to 1"),
        (cli.named_text, "a", "'a' is not NAME=VALUE"),
        (cli.named_path, "a=", "'a=' is not NAME=PATH"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_allowed_values(parse, text, problem):
    parser = cli.Parser(prog="measure")
    parser.add_argument("--value", type=parse)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"--value={text}"])
    assert ended.value.code == f"error: argument --value: {problem} (measure --help lists all options)"


class OutOfMemoryError(RuntimeError):
    """An error with the name of torch's."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("seed -1: not at least 0"), "error: seed -1: not at least 0"),
        (MemoryError(), "error: out of memory; give the job more, or fewer workers"),
        (
            OutOfMemoryError("CUDA"),
            "error: the GPU is out of memory; lower the batch size, or take smaller images or a larger GPU",
        ),
        (FileNotFoundError(2, "No such file", "x.csv"), "error: No such file: x.csv"),
        (OSError("no medium"), "error: no medium"),
        (KeyboardInterrupt(), "interrupted"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed"),
            "error: a worker process was killed, usually for lack of memory; give the job more "
            "(DataLoader worker (pid 7) is killed)",
        ),
    ],
)
def test_a_script_ends_with_one_line_about_its_surroundings(error, message):
    with pytest.raises(SystemExit) as ended:
        run_main_that_raises(error)
    assert ended.value.code == message


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(RuntimeError, match="shapes differ"):
        run_main_that_raises(RuntimeError("shapes differ"))


def run_main_that_raises(error: BaseException) -> None:
    def main() -> None:
        raise error

    before = signal.getsignal(signal.SIGTERM)
    try:
        cli.run(main)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_reader_that_has_exited_ends_a_script_without_a_message():
    code = "from shapebias import cli; cli.run(lambda: print('x' * 10**6))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (1, "")
    process.stderr.close()


@pytest.mark.parametrize("closed", ["", ">&-", ">/dev/full"])
def test_output_that_cannot_be_written_ends_a_script_with_one_line(closed):
    """A closed output is no fault of the script's. Before, Python's own end printed a traceback, with status 120."""
    lines = [
        "import importlib, types",
        "from shapebias import start",
        "importlib.import_module = lambda name: types.SimpleNamespace(main=lambda: print('words'))",
        "start.run_script('evaluate')",
    ]
    environment = {name: value for name, value in ENV.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", "\n".join(lines)],
        env=environment,
        capture_output=True,
        text=True,
    )
    full = "error: No space left on device: standard output\n"
    assert (done.returncode, done.stderr) == ((1, full) if "full" in closed else (0, ""))
    assert done.stdout == ("" if closed else "words\n")


def test_a_script_without_an_error_output_shows_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert list(cli.progress(range(3), total=3, unit="images", label="edges")) == [0, 1, 2]


@pytest.mark.parametrize(
    ("package", "remedy"),
    [
        ("timm.models", "the package 'timm' is not installed: pip install 'shapebias[networks]'"),
        ("onnx", "the package 'onnx' is not installed: pip install 'shapebias[stylize]'"),
        ("snakemake", "the package 'snakemake' is not installed: use a clone of the workflow"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(package, remedy):
    with pytest.raises(UserError) as refused, explain_missing_packages():
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    assert str(refused.value).startswith(remedy)


def test_a_missing_module_of_the_library_is_a_fault_of_the_program():
    with pytest.raises(ModuleNotFoundError, match="shapebias"), explain_missing_packages():
        importlib.import_module("shapebias.nowhere")


def call_shapebias(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["shapebias", *words])
    return exit_status(command.main)


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_the_command_lists_every_subcommand(monkeypatch, capsys, words):
    assert call_shapebias(monkeypatch, *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: shapebias COMMAND [options]"
    files = (ROOT / "src/shapebias/commands").glob("*.py")
    modules = {path.stem for path in files if not path.stem.endswith(("__init__", "_options"))}
    names = [line.split()[0] for line in lines[2:-2]]
    assert {command.MODULES.get(name, name.replace("-", "_")) for name in names} == modules


def test_the_command_prints_the_version_of_the_package(monkeypatch, capsys):
    assert call_shapebias(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"{version('shapebias')}\n"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("stylise", "error: no command 'stylise'; did you mean 'stylize'? there are evaluate, bias, report, "),
        ("xyz", "error: no command 'xyz'; there are evaluate, bias, report, "),
    ],
)
def test_an_unknown_subcommand_is_refused_with_the_nearest_one(monkeypatch, capsys, name, start):
    assert call_shapebias(monkeypatch, name) == 1
    assert capsys.readouterr().err.startswith(start)


@pytest.mark.parametrize("moment", ["import", "main"])
def test_ctrl_c_ends_a_script_with_one_word(moment):
    """The import of torch takes seconds, so Ctrl-C often comes meanwhile."""
    interrupt = "lambda *_: os.kill(os.getpid(), signal.SIGINT)"
    code = {
        "first imports": f"sys.meta_path.insert(0, types.SimpleNamespace(find_spec={interrupt}))",
        "import": f"importlib.import_module = {interrupt}",
        "main": f"importlib.import_module = lambda name: types.SimpleNamespace(main={interrupt})",
    }
    lines = ["import importlib, os, signal, sys, types", "from shapebias import start", code[moment]]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, 'start.run_command("evaluate")'])],
        env=ENV,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "interrupted\n")


def test_a_background_job_of_a_shell_keeps_ignoring_ctrl_c(monkeypatch):
    handlers = []
    monkeypatch.setattr(
        importlib,
        "import_module",
        lambda name: handlers.append(signal.getsignal(signal.SIGINT)) or SimpleNamespace(main=int),
    )
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        start.run_command("evaluate")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert handlers == [signal.SIG_IGN]


def test_a_successful_script_ends_after_its_threads_and_exit_handlers_but_keeps_its_modules():
    lines = [
        "import atexit, importlib, threading, time, types",
        "from shapebias import start",
        "class Module:",
        "    def __del__(self): print('taken apart')",
        "kept = Module()",
        "def main():",
        "    atexit.register(print, 'exit handler')",
        "    threading.Thread(target=lambda: time.sleep(0.2) or print('thread')).start()",
        "    print('main')",
        "importlib.import_module = lambda name: types.SimpleNamespace(main=main)",
        "start.run_script('evaluate')",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=ENV, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["main", "thread", "exit handler", ""]


@pytest.mark.parametrize("end", ["raise UserError('no')", "raise SystemExit(3)", "raise KeyError('a bug')"])
def test_a_failed_script_keeps_its_status(end):
    lines = [
        "import importlib, types",
        "from shapebias import start",
        "from shapebias.errors import UserError",
        f"def main(): {end}",
        "importlib.import_module = lambda name: types.SimpleNamespace(main=main)",
        "start.run_script('evaluate')",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=ENV, capture_output=True, text=True)
    assert done.returncode == (3 if "3" in end else 1)


def test_an_import_goes_without_the_garbage_collector_and_without_wandb(monkeypatch):
    """W&B runs in a process of its own (`tracking.process`); timm would import it into every job."""
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with start.import_quickly():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            importlib.import_module("wandb")
    assert gc.isenabled()
    assert "wandb" not in sys.modules
