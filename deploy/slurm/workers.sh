#!/bin/bash
# Workers on processors, as an array of jobs that all take trials of the open studies:
#
#   export HYPERSEARCH_STORAGE=postgresql://... HYPERSEARCH_ARTIFACTS=/shared/hypersearch
#   sbatch deploy/slurm/workers.sh
#
# Before its time is over each hands its trial back and is queued again, until nothing is left.
#SBATCH --job-name=hypersearch
#SBATCH --array=0-7
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# Two minutes before the limit, and where the job is preempted, to this script.
#SBATCH --signal=B:TERM@120
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
set -u
: "${HYPERSEARCH_STORAGE:?names the database}"
: "${HYPERSEARCH_ARTIFACTS:?is a folder that all nodes share, or s3://BUCKET}"

told=0
hypersearch worker --device cpu --threads "${SLURM_CPUS_PER_TASK:-1}" &
worker=$!
trap 'told=1; kill -TERM "$worker" 2>/dev/null' TERM
wait "$worker"
code=$?
# A signal ends the waiting, not the worker: it hands its trial back first.
while kill -0 "$worker" 2>/dev/null; do
  wait "$worker"
  code=$?
done
if [ "$told" = 1 ] && [ "$code" = 0 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
