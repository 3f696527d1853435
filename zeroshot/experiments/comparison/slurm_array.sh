#!/bin/bash
# Made by `zeroshot queue {name} --slurm`: {n_runs} runs. Submit them by `bash` and the path of this file; further words go to sbatch,
# for example --gres=gpu:1 --time=12:00:00.
#
# The first {n_first} runs each train a network. They are a job array of their own, and runs that share these networks start after it.
# Each run works in a clone at commit {commit}, with the repository's DVC cache and its links to raw data. The repository gets the
# experiment. The clone of a run that fails stays, and so does that of a run at Slurm's time limit.
set -euo pipefail

repository={repository}
commit={commit}
cache={cache}
links=({links})
names=({names})
commands=(
{commands}
)
n_first={n_first}
last=$((${{#names[@]}} - 1))

if [ -z "${{SLURM_ARRAY_TASK_ID:-}}" ]; then
  if [ -n "${{SLURM_JOB_ID:-}}" ]; then
    echo "submit this file with bash, not with sbatch" >&2
    exit 1
  fi
  script=$(realpath "$0")
  after=()
  if [ "$n_first" -gt 0 ]; then
    first=$(sbatch --parsable --job-name={job} --array=0-$((n_first - 1)) "$@" "$script")
    echo "networks: job ${{first%%;*}}"
    # A failed run of the first array leaves its network to the second.
    after=(--dependency="afterany:${{first%%;*}}")
  fi
  if [ "$last" -ge "$n_first" ]; then
    others=$(sbatch --parsable --job-name={job} --array="$n_first-$last" ${{after[@]+"${{after[@]}}"}} "$@" "$script")
    echo "others: job ${{others%%;*}}"
  fi
  exit
fi

export PATH={bin}:$PATH
name=${{names[$SLURM_ARRAY_TASK_ID]}}
# The commit of this experiment in a repository; nothing if it has none that started from the commit above.
experiment() {{ git ls-remote "$1" "refs/exps/${{commit:0:2}}/${{commit:2}}/$name" | cut -f 1; }}
if [ -n "$(experiment "$repository")" ]; then
  echo "$name: the repository has this experiment"
  exit
fi
folder=$(mktemp -d "${{TMPDIR:-/tmp}}/$name-XXXXXX")
git clone --quiet --no-checkout "$repository" "$folder/clone"
cd "$folder/clone"
git checkout --quiet "$commit"
for path in ${{links[@]+"${{links[@]}}"}}; do
  mkdir -p "$(dirname "$path")"
  ln -s "$repository/$path" "$path"
done
dvc cache dir --local "$cache"
eval "${{commands[$SLURM_ARRAY_TASK_ID]}}"
dvc exp push --no-cache "$repository" "$name"
# A refused push ends without an error.
if [ "$(experiment "$repository")" != "$(experiment .)" ]; then
  echo "$name: the repository did not take the experiment; it is in $folder/clone" >&2
  exit 1
fi
cd /
rm -rf "$folder"
