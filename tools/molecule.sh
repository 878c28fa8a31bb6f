#!/bin/sh
# All molecule scenarios, two at a time, and then the judge of their recorded steps: molecule itself is content when a
# step ends well, whatever it did.   tools/molecule.sh [SCENARIO…]
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
export PATH ANSIBLE_FORCE_COLOR=0 NO_COLOR=1
failed=0
# Removal with apt is in driver_pending; that with dnf and zypper is left to make test-full.
full_only=driver_absent

if [ $# -eq 0 ]; then
    rm -rf .build/steps .build/verify
    [ -z "${FULL:-}" ] || full_only=
    for folder in molecule/*/; do
        scenario=$(basename "$folder")
        case $scenario in default | shared | "$full_only") ;; *) set -- "$@" "$scenario" ;; esac
    done
    # shellcheck disable=SC2086  # no word or two
    molecule test --all --workers 2 --continue-on-failure --report ${full_only:+--exclude $full_only} || failed=1
else
    for scenario in "$@"; do
        rm -rf ".build/steps/$scenario" ".build/verify/$scenario.xml"
        # Molecule remembers that the nodes of an earlier run were prepared, although they are gone.
        molecule reset -s "$scenario" >/dev/null 2>&1
        molecule test -s "$scenario" || failed=1
    done
fi

for scenario in "$@"; do
    python tests/steps/failures.py ".build/verify/$scenario.xml"
done

# A scenario without converge.yml proves refusals only; its own tests judge it.
for scenario in "$@"; do
    shift
    [ ! -f "molecule/$scenario/converge.yml" ] || set -- "$@" ".build/steps/$scenario"
done
[ $# -gt 0 ] || exit $failed
python tests/steps/judge.py "$@" || failed=1
# The idempotence run is the nightly drift check, which must stay cheap: of the whole site, and of each role alone.
python tests/bench/budget.py "$@" || failed=1
exit $failed
