# How jobs start Python. Sourced before each shell command of a rule; ON_CLUSTER is set in jobs of a cluster.

# When the time of this job is over, which training leaves before; newer versions of Slurm say it themselves.
know_the_end() {
  local ends
  if [ -z "${SLURM_JOB_END_TIME:-}" ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    if ends=$(squeue --noheader --jobs "$SLURM_JOB_ID" --Format EndTime 2> /dev/null) && ends=$(date -d "$ends" +%s 2> /dev/null); then
      export SLURM_JOB_END_TIME=$ends
    fi
  fi
}

# launch RANKS NODES CPUS SCRIPT …: Python, or one Python a rank: by srun over the nodes of a job, by torchrun on this machine.
launch() {
  local ranks=$1 nodes=$2 cpus=$3
  shift 3
  if [ -n "${ON_CLUSTER:-}" ]; then
    know_the_end
    trap : TERM # Slurm tells all processes of a job to end: this shell waits until training has left
  fi
  if [ "$ranks" = 1 ]; then
    python "$@"
  elif [ -n "${ON_CLUSTER:-}" ]; then
    srun --nodes="$nodes" --ntasks="$ranks" --ntasks-per-node=$((ranks / nodes)) --cpus-per-task="$cpus" \
      --kill-on-bad-exit=1 python "$@"
  else
    torchrun --standalone --nproc-per-node="$ranks" "$@"
  fi
}
