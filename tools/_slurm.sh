# Sourced by slurm_train.sh and slurm_test.sh: one task a GPU under srun.
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS may be set.

# submit PARTITION JOB_NAME SCRIPT [ARGUMENTS ...]
submit() {
    local partition=$1 job=$2
    shift 2
    local gpus=${GPUS:-8}
    local per_node=${GPUS_PER_NODE:-8}
    [ "$per_node" -le "$gpus" ] || per_node=$gpus
    # shellcheck disable=SC2086
    exec srun -p "$partition" \
        --job-name="$job" \
        --gres="gpu:$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$@" --launcher slurm
}
