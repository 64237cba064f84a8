"""A temporary SLURM cluster on one machine.

Its four nodes are four slurmd processes on this host, each with two GPUs (device files only). Accounting is included:
munge, MariaDB, slurmdbd, slurmctld. The cluster runs in its own Linux namespaces. It has its own /etc/slurm and
/etc/hosts, opens no connection to the outside, and all its processes end with the first process of the namespaces. It
needs root, and Debian's packages slurm-wlm, slurmdbd, mariadb-server, munge.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

NODES = ("n1", "n2", "n3", "n4")
NEEDED = ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "mariadb-install-db", "munged", "unshare", "nsenter", "ip")
TIMEOUT = 180  # seconds for a daemon to answer, or for a node to start

CONF = """
ClusterName=disposable
SlurmctldHost=localhost
SlurmUser=root
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=10
KillWait=10
MaxArraySize=1001
SchedulerParameters=sched_interval=2,bf_interval=5
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStorageEnforce=associations,limits,qos
NodeName=n[1-4] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[17001-17004] CPUs=8 RealMemory=16000 Gres=gpu:a100:2
PartitionName=main Nodes=n[1-4] Default=YES MaxTime=2-00:00:00 PriorityTier=1
PartitionName=urgent Nodes=n[1-4] PriorityTier=10
"""

GRES = "NodeName=n[1-4] Name=gpu Type=a100 File={folder}/gpu[0-1]\n"

DBD = """
DbdHost=localhost
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
"""

# The first process of the namespaces: it runs until it is killed, and reaps orphaned processes.
INIT = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"


def missing_requirement() -> str:
    """Return the reason why this machine cannot run the cluster, or an empty string if it can."""
    missing = [name for name in NEEDED if shutil.which(name, path=search_path()) is None]
    if missing:
        return (
            f"no {', '.join(missing)} on this machine: apt-get install slurm-wlm slurmdbd mariadb-server munge iproute2"
        )
    if os.geteuid() != 0:
        return "a cluster of several slurmd needs root"
    if subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False).returncode:
        return "this machine does not permit new namespaces"
    return ""


def search_path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"


def process_ids() -> list[int]:
    """Return the numbers of all processes of this machine."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def read_proc(number: int, name: str) -> bytes:
    """Return the content of a process's file in /proc, or nothing if the process has ended."""
    try:
        return Path(f"/proc/{number}/{name}").read_bytes()
    except OSError:
        return b""


def pid_namespace(number: int) -> str:
    """Return the identity of a process's namespace of process ids, or nothing if the process has ended."""
    try:
        return str(Path(f"/proc/{number}/ns/pid").readlink())
    except OSError:
        return ""


def parent(number: int) -> int:
    return int(read_proc(number, "stat").rpartition(b")")[2].split()[1] or 0) if read_proc(number, "stat") else 0


def children(number: int) -> list[int]:
    return [int(child) for child in read_proc(number, f"task/{number}/children").split()]


def has_ended(number: int) -> bool:
    """Return whether a process is gone, or a zombie that nobody reaps."""
    status = read_proc(number, "stat").rpartition(b")")[2].split()
    return not status or status[0] == b"Z"


class Cluster:
    """A cluster of the nodes n1 to n4; tests run commands on it, and can break and restart its nodes."""

    def __init__(self, folder: Path) -> None:
        """Start all daemons; state and logs lie in the folder, which jobs share with the submitting machine."""
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        # The cluster must end with the tests, even if they are killed.
        unshare = [
            "setpriv",
            "--pdeathsig=KILL",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        self.first = subprocess.Popen([*unshare, sys.executable, "-c", INIT], stdout=subprocess.PIPE)
        assert self.first.stdout is not None
        self.first.stdout.readline()
        [inner] = children(self.first.pid)
        self.namespace = pid_namespace(inner)
        self.enter = ["nsenter", f"--target={inner}", "--mount", "--net", "--pid"]
        try:
            self.configure()
            self.bring_up()
        except BaseException:
            self.stop()
            raise

    def command(self, *words: object, cwd: Path | None = None) -> list[str]:
        """Return the words that run a command on the cluster."""
        return [*self.enter, f"--wdns={cwd or self.folder}", "--", *map(str, words)]

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, "PATH": search_path(), **variables}

    def run(self, *words: object, check: bool = True, cwd: Path | None = None) -> str:
        """Run a command on the cluster and return its output with stderr; a failure raises AssertionError with both."""
        done = subprocess.run(
            self.command(*words, cwd=cwd),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}: status {done.returncode}\n{done.stdout}"
        return done.stdout

    def configure(self) -> None:
        etc = self.folder / "etc"
        etc.mkdir()
        for name, text in (("slurm.conf", CONF), ("gres.conf", GRES), ("slurmdbd.conf", DBD)):
            (etc / name).write_text(text.format(folder=self.folder))
            (etc / name).chmod(0o600)
        (self.folder / "unseen").mkdir()
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {os.uname().nodename} {' '.join(NODES)}\n")
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (self.folder / "munge.key").chmod(0o600)
        self.run("ip", "link", "set", "lo", "up")
        # Slurm needs an address other than loopback's before it listens. No machine is at the other end of this one.
        self.run("ip", "link", "add", "alone", "type", "veth", "peer", "name", "nobody")
        self.run("ip", "address", "add", "10.77.0.1/24", "dev", "alone")
        self.run("ip", "link", "set", "alone", "up")
        self.run("mount", "--make-rprivate", "/")
        Path("/etc/slurm").mkdir(exist_ok=True)
        self.run("mount", "--bind", etc, "/etc/slurm")
        self.run("mount", "--bind", self.folder / "hosts", "/etc/hosts")
        self.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.run("mkdir", "/run/mysqld", "/run/munge")
        for number in range(2):
            self.run("mknod", f"gpu{number}", "c", 1, 3)

    def bring_up(self) -> None:
        munge = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        self.daemon("munged", "--foreground", "--force", *munge, "--socket=/run/munge/munge.socket.2")
        # MariaDB names its temporary tables by its process id, which the database of another cluster may have too.
        (self.folder / "tables").mkdir()
        database = [f"--datadir={self.folder / 'accounting'}", f"--tmpdir={self.folder / 'tables'}", "--user=root"]
        self.run("mariadb-install-db", *database, "--auth-root-authentication-method=normal")
        self.daemon("mariadbd", *database, "--skip-networking", "--socket=/run/mysqld/mysqld.sock")
        self.wait(lambda: "Uptime" in self.run("mariadb-admin", "status", check=False))
        self.daemon("slurmdbd", "-D")
        self.wait(lambda: "Cluster" in self.run("sacctmgr", "list", "cluster", check=False))
        self.run("sacctmgr", "-i", "add", "cluster", "disposable")
        self.run("sacctmgr", "-i", "add", "account", "lab", "cluster=disposable")
        self.run("sacctmgr", "-i", "add", "user", "root", "account=lab")
        self.run("sacctmgr", "-i", "modify", "user", "root", "set", "defaultaccount=lab")
        self.daemon("slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: self.run("sinfo", "-h", "-o", "%D %t", "-p", "main", check=False).strip() == "4 idle")

    def daemon(self, name: str, *words: object) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.out").open("a") as log:
            daemon = subprocess.Popen(
                self.command(name, *words), env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        self.daemons[name] = daemon
        return daemon

    def start_node(self, node: str) -> None:
        # Files in the folder `unseen` exist on the submitting machine but not on the nodes.
        hidden = f"mount -t tmpfs tmpfs {self.folder}/unseen && exec slurmd -D -N {node}"
        self.daemons[node] = self.daemon("unshare", "--mount", "sh", "-c", hidden)

    def break_node(self, node: str) -> None:
        """Kill a node's daemon and all its jobs without notice, as in a power cut."""
        mark = f"SLURMD_NODENAME={node}".encode()  # the same word marks the jobs of another cluster on this machine
        own = [number for number in process_ids() if pid_namespace(number) == self.namespace]
        jobs = [number for number in own if mark in read_proc(number, "environ")]
        steps = {parent(number) for number in jobs}
        daemon = self.daemons.pop(node)
        for number in [*children(daemon.pid), *(n for n in steps if b"slurmstepd" in read_proc(n, "cmdline")), *jobs]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        daemon.wait()

    def state(self, job: str) -> str:
        """Return the state of a job in accounting: PENDING, RUNNING, COMPLETED, …"""
        return self.run("sacct", "-X", "-n", "--parsable2", "-j", job, "--format=State").partition(" ")[0].strip()

    def wait(self, done: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait until done() is true; after the time limit, fail with the end of the daemons' logs."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                logs = [f"{path.name}: {path.read_text()[-1000:]}" for path in self.folder.glob("*.log")]
                logs += [f"{path.name}: {path.read_text()[-1000:]}" for path in self.folder.glob("*.out")]
                raise AssertionError(
                    f"the cluster did not reach the expected state in {seconds:.0f} s:\n" + "\n".join(logs)
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """End all processes of the cluster."""
        self.first.send_signal(signal.SIGKILL)
        self.first.wait()
        for daemon in self.daemons.values():
            daemon.wait()
