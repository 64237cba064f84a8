"""A real SLURM cluster on one machine, as disposable as a temporary folder.

Four nodes with two GPUs each (device files; nobody computes on them) are four slurmd on this host, with accounting:
munge, MariaDB, slurmdbd, slurmctld. All of it lives in Linux namespaces of its own: /etc/slurm and /etc/hosts are its
own, no connection leaves, and what it started ends with the namespaces' first process. Needs root, and Debian's
packages slurm-wlm, slurmdbd, mariadb-server, munge.
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
PATIENCE = 60  # seconds for a daemon to answer, or a node to come up

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

# The first process: it lives until it is killed, and whatever is left behind by others is its to bury.
INIT = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"


def why_not() -> str:
    """Why no cluster can be had on this machine; empty where one can."""
    missing = [name for name in NEEDED if shutil.which(name, path=search_path()) is None]
    if missing:
        return (
            f"no {', '.join(missing)} on this machine: apt-get install slurm-wlm slurmdbd mariadb-server munge iproute2"
        )
    if os.geteuid() != 0:
        return "a cluster of several slurmd needs root"
    if subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False).returncode:
        return "no namespaces may be made on this machine"
    return ""


def search_path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"


def running() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def read(number: int, what: str) -> bytes:
    """A file of a process in /proc; empty where it is gone."""
    try:
        return Path(f"/proc/{number}/{what}").read_bytes()
    except OSError:
        return b""


def parent(number: int) -> int:
    return int(read(number, "stat").rpartition(b")")[2].split()[1] or 0) if read(number, "stat") else 0


def children(number: int) -> list[int]:
    return [int(child) for child in read(number, f"task/{number}/children").split()]


class Cluster:
    """Four nodes n1 to n4; commands run on it, and nodes may be broken and mended."""

    def __init__(self, folder: Path) -> None:
        """Start all of it; state and logs lie in the folder, which jobs share with whoever runs them."""
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        # Whatever becomes of these tests: the cluster ends with them.
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
        self.enter = ["nsenter", f"--target={inner}", "--mount", "--net", "--pid"]
        try:
            self.configure()
            self.bring_up()
        except BaseException:
            self.stop()
            raise

    def command(self, *words: object, cwd: Path | None = None) -> list[str]:
        """The words that run a command on the cluster."""
        return [*self.enter, f"--wdns={cwd or self.folder}", "--", *map(str, words)]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PATH": search_path(), **more}

    def run(self, *words: object, check: bool = True, cwd: Path | None = None) -> str:
        """Run a command on the cluster to its end; what it printed, stderr too. A failure is shown with its output."""
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
        # Slurm looks for an address other than loopback's before it listens. There is nobody at the other end.
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
        munge = [f"--{what}-file={self.folder}/munge.{what}" for what in ("key", "pid", "log", "seed")]
        self.daemon("munged", "--foreground", "--force", *munge, "--socket=/run/munge/munge.socket.2")
        data = self.folder / "accounting"
        self.run("mariadb-install-db", f"--datadir={data}", "--auth-root-authentication-method=normal", "--user=root")
        self.daemon(
            "mariadbd", f"--datadir={data}", "--user=root", "--skip-networking", "--socket=/run/mysqld/mysqld.sock"
        )
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
        # What lies in the folder `unseen` is there for whoever submits, and not for the nodes.
        hidden = f"mount -t tmpfs tmpfs {self.folder}/unseen && exec slurmd -D -N {node}"
        self.daemons[node] = self.daemon("unshare", "--mount", "sh", "-c", hidden)

    def break_node(self, node: str) -> None:
        """As a power cut would: its daemon and all that runs there are gone, and nobody is told."""
        jobs = [number for number in running() if f"SLURMD_NODENAME={node}".encode() in read(number, "environ")]
        steps = {parent(number) for number in jobs}
        daemon = self.daemons.pop(node)
        for number in [*children(daemon.pid), *(n for n in steps if b"slurmstepd" in read(n, "cmdline")), *jobs]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        daemon.wait()

    def state(self, job: str) -> str:
        """As accounting knows it: PENDING, RUNNING, COMPLETED, …"""
        return self.run("sacct", "-X", "-n", "--parsable2", "-j", job, "--format=State").partition(" ")[0].strip()

    def wait(self, done: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Until it is so; fails with the daemons' last words."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                logs = [f"{path.name}: {path.read_text()[-1000:]}" for path in self.folder.glob("*.log")]
                logs += [f"{path.name}: {path.read_text()[-1000:]}" for path in self.folder.glob("*.out")]
                raise AssertionError("the cluster did not get there:\n" + "\n".join(logs))
            time.sleep(0.2)

    def stop(self) -> None:
        """End everything that was started here."""
        self.first.send_signal(signal.SIGKILL)
        self.first.wait()
        for daemon in self.daemons.values():
            daemon.wait()
