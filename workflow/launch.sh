# Functions that start Python in jobs. Each shell command of a rule sources this file. ON_CLUSTER is set in cluster jobs.

# export_end_time: set SLURM_JOB_END_TIME, so that training stops before it. Newer versions of Slurm set it themselves.
export_end_time() {
  local end_time
  if [ -z "${SLURM_JOB_END_TIME:-}" ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    if end_time=$(squeue --noheader --jobs "$SLURM_JOB_ID" --Format EndTime 2> /dev/null) && end_time=$(date -d "$end_time" +%s 2> /dev/null); then
      export SLURM_JOB_END_TIME=$end_time
    fi
  fi
}

# torchrun without its own traceback, which would follow the message of the rank that failed or was stopped.
TORCHRUN='
import signal, sys
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until torchrun has its own handler
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main
try:
    main()
except ChildFailedError as error:
    sys.exit(error.get_first_failure()[1].exitcode)
except SignalException as error:
    sys.exit(128 + error.sigval)
'

# launch RANKS NODES CPUS SCRIPT …: start Python, or one Python per rank, by srun on a cluster and by torchrun elsewhere.
launch() {
  local ranks=$1 nodes=$2 cpus=$3
  shift 3
  if [ -n "${ON_CLUSTER:-}" ]; then
    export_end_time
    trap : TERM # Slurm signals all processes of a job; this shell must wait until training has stopped
  fi
  if [ "$ranks" = 1 ]; then
    python "$@"
  elif [ -n "${ON_CLUSTER:-}" ]; then
    srun --nodes="$nodes" --ntasks="$ranks" --ntasks-per-node=$((ranks / nodes)) --cpus-per-task="$cpus" \
      --kill-on-bad-exit=1 python "$@"
  else
    python -c "$TORCHRUN" --standalone --nproc-per-node="$ranks" "$@"
  fi
}
