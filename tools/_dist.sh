# Sourced by dist_train.sh and dist_test.sh: starts one process a GPU.
#
# For several machines, on each of them:
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=first.machine PORT=29500 bash tools/dist_...
# On one machine nothing needs to be set; two runs at once need two PORTs.

# launch GPUS SCRIPT [ARGUMENTS ...]
launch() {
    local gpus=$1
    shift
    case "$gpus" in
        '' | *[!0-9]*)
            echo "error: GPUS must be a number, found '$gpus'" >&2
            exit 2
            ;;
    esac
    exec "${PYTHON:-python}" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$gpus" \
        "$@" --launcher pytorch
}
