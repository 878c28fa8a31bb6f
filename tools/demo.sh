#!/bin/sh
# make demo: simulated GPU nodes, site.yml on them, and a table of what is there now, what changed and why.
# Running nodes are reused, so a second demo shows the run that changes nothing; `make clean` removes them.
#   tools/demo.sh [ARGUMENTS OF ansible-playbook…], for example --check --diff
#   PLAYBOOK=accel.gpu.site with ANSIBLE_COLLECTIONS_PATH: the same from an installed collection
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
ANSIBLE_CALLBACKS_ENABLED=accel.gpu.summary
export PATH ANSIBLE_CALLBACKS_ENABLED
begin=$(date +%s)

step() {
    echo "demo: [$(($(date +%s) - begin)) s] $*"
}

step "1 of 4: a Docker daemon"
tools/docker.sh
step "2 of 4: the simulated NVML library"
mkdir -p .build
if ! make -C tests/lab/gpusim OUT="$PWD/.build/gpusim" >.build/gpusim.log 2>&1; then
    tail -n 30 .build/gpusim.log >&2
    exit 1
fi
step "3 of 4: node image (about a minute the first time) and nodes"
python tests/lab/lab.py image
python tests/lab/lab.py up --scenario demo --inventory inventories/lab
step "4 of 4: ansible-playbook ${PLAYBOOK:-playbooks/site.yml} -i inventories/lab $*"
ansible-playbook "${PLAYBOOK:-playbooks/site.yml}" -i inventories/lab "$@"
step "done. Again: make demo (changes nothing now). A look inside: .venv/bin/python tests/lab/lab.py list"
