#!/bin/bash
# Train on two nodes of eight GPUs under SLURM. A job whose time is nearly up saves the run and queues itself again, until the run is done.
#
#     sbatch examples/slurm.sh                                       # from the root of the repository, in the environment of cocoa_pl
#     sbatch --nodes=1 examples/slurm.sh run.name=one-node    # options of sbatch before the script, of train.py after it, win over these
#     sbatch --nodes=2 --ntasks-per-node=1 --gpus-per-node=0 --cpus-per-task=1 --time=2 --signal=USR1@30 examples/slurm.sh \
#         --config configs/smoke.yaml trainer.accelerator=cpu trainer.epochs=300 explain.every_n_epochs=10    # to try it without GPUs
#
#SBATCH --job-name=imagenet
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out

# One task a GPU, with --ntasks-per-node (not --ntasks), and no --gpus-per-task: a task must see all GPUs of its node to take its own.
# USR1@120: the seconds in which a step and a checkpoint must be done; more where an epoch's validation and look take longer.
#     Not USR1@B:..., which would reach this shell alone.
# --requeue allows it, --open-mode=append keeps what the job has printed before, --resume auto begins <run.root>/<run.name> or goes on.
# --wait: a task that hangs, while another has ended, holds the job no longer than that. Not --kill-on-bad-exit: a task that saved the
#     run ends with 138, perhaps before the first has queued the job again.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --wait=120 \
    python train.py --config configs/imagenet.yaml --resume auto \
    trainer.strategy=ddp trainer.num_nodes="$SLURM_NNODES" trainer.devices="$SLURM_NTASKS_PER_NODE" "$@"
