#!/bin/bash
# Train on two nodes of eight GPUs under SLURM; a job that comes to its time limit saves itself, queues again and goes on.
#
#     sbatch examples/slurm.sh                                       # more options of train.py may follow
#     sbatch --nodes=1 examples/slurm.sh run.name=one-node           # options of sbatch stand before the script, and win over those below
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

srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    python train.py --config configs/imagenet.yaml --resume auto \
    trainer.strategy=ddp trainer.num_nodes="$SLURM_NNODES" trainer.devices="$SLURM_NTASKS_PER_NODE" "$@"
