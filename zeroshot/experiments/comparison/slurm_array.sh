#!/bin/bash
# Made by `zeroshot queue {name} --slurm`: {n_runs} runs. Submit them by `bash` and the path of this file; further words go to sbatch,
# for example --gres=gpu:1 --time=12:00:00.
#
# The first {n_first} runs each train a network that others share. They are a job array of their own, and the others start after it.
# Each run works in a clone at commit {commit}, with the repository's DVC cache and its links to raw data. The repository gets the
# experiment, as if it had run there.
set -euo pipefail

repository={repository}
commit={commit}
cache={cache}
links=({links})
names=({names})
commands=(
{commands}
)

if [ -z "${{SLURM_ARRAY_TASK_ID:-}}" ]; then
  script=$(realpath "$0")
  first=$(sbatch --parsable --job-name={name}-networks --array=0-{last_first} "$@" "$script")
  echo "networks: job ${{first%%;*}}"
  if [ {n_runs} -gt {n_first} ]; then
    # A failed run of the first array leaves its network to the second.
    others=$(sbatch --parsable --job-name={name} --array={n_first}-{last} --dependency="afterany:${{first%%;*}}" "$@" "$script")
    echo "others: job ${{others%%;*}}"
  fi
  exit
fi

export PATH={bin}:$PATH
name=${{names[$SLURM_ARRAY_TASK_ID]}}
folder=$(mktemp -d "${{TMPDIR:-/tmp}}/$name-XXXXXX")
trap 'rm -rf "$folder"' EXIT
git clone --quiet --no-checkout "$repository" "$folder/clone"
cd "$folder/clone"
git checkout --quiet "$commit"
for path in "${{links[@]}}"; do
  mkdir -p "$(dirname "$path")"
  ln -s "$repository/$path" "$path"
done
dvc cache dir --local "$cache"
eval "${{commands[$SLURM_ARRAY_TASK_ID]}}"
dvc exp push --no-cache "$repository" "$name"
