"""The scripts of a study's jobs in forks of the test process, which has imported torch and timm already.

A job of the workflow starts `python scripts/train.py …`, and in a small study the imports take most of its time. Here
`python` is a function of the shells of jobs. It sends a script's command line, folder, environment and output to a
server, which runs the script in a fork and returns its exit status.
"""

import contextlib
import json
import multiprocessing
import shlex
import socket
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from helpers import SCRIPTS, be_script, script

FORK = multiprocessing.get_context("fork")
LARGEST = 1 << 20  # bytes of a command line and an environment
CLIENT = """
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
job = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [job], [1, 2])
sys.exit((server.recv(1) or b"\\1")[0])
"""


@contextlib.contextmanager
def job_server() -> Generator[dict[str, str]]:
    """Run the server, and yield the environment in which jobs send their scripts to it."""
    for path in SCRIPTS.glob("*.py"):
        script(path.stem)  # so that no fork imports it again
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        address, client = Path(folder) / "jobs", Path(folder) / "client.py"
        client.write_text(CLIENT)
        listener.bind(str(address))
        listener.listen()
        server = FORK.Process(target=serve, args=(listener,))
        server.start()
        send = f'{shlex.quote(sys.executable)} -I -S {client} {address} "$@"'
        try:
            yield {
                "BASH_FUNC_python%%": f'() {{ case "$1" in */scripts/*.py) {send};; *) command python "$@";; esac; }}'
            }
        finally:
            server.kill()
            server.join()


def serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        FORK.Process(target=run_job, args=(connection,)).start()
        connection.close()


def run_job(connection: socket.socket) -> None:
    """Run the script that a client names, in this process."""
    message, outputs, _, _ = socket.recv_fds(connection, LARGEST, 2)
    command, folder, env = json.loads(message)
    status = be_script(Path(command[0]).stem, command, outputs, env, folder)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    connection.send(bytes([status]))
