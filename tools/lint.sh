#!/bin/sh
# Everything that judges text alone. Each tool runs even if one before it failed; the exit status is that of the worst.
# shellcheck disable=SC2317  # functions are called through check
set -u
cd "$(dirname "$0")/.." || exit 2
bin=$PWD/.venv/bin
# Several of the tools start others of them by their bare names.
PATH=$bin:$PATH
export PATH NO_COLOR=1
worst=0

check() { # name, command…
    name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "lint: $name passed"
    else
        worst=1
        printf '%s\nlint: %s FAILED\n' "$output" "$name"
    fi
}

existing() { # those of the paths that exist
    for path in "$@"; do
        [ -e "$path" ] && printf '%s\n' "$path"
    done
}

types() { # from where the checkout has its name as a package; without a cache, which forgets new files of a package
    cd .venv/collections || return 2
    folders=$(cd "$checkout" && existing plugins tests/unit tests/component | sed 's,^,ansible_collections/accel/gpu/,')
    # shellcheck disable=SC2086  # a list of words
    "$bin/mypy" --config-file "$checkout/pyproject.toml" --cache-dir /dev/null $folders
}

scripts() { # folders of scripts that import each other by their bare names, each judged from its own place
    for folder in tools tests/lab tests/lab/image/node/files/usr/lib/accel-lab tests/lab/gpusim tests/lab/gpusim/cli tests/lab/gpusim/smi tests/steps tests/bench; do
        [ -d "$checkout/$folder" ] || continue
        files=$(cd "$checkout/$folder" && git ls-files --cached --others --exclude-standard -- ':(glob)*.py' \
            ':(exclude)test_*.py' ':(glob)labctl/**/*.py' ':(glob)gpusim_cli/**/*.py' ':(glob)nvsmi/**/*.py')
        [ -n "$files" ] || continue
        # shellcheck disable=SC2086  # a list of words
        (cd "$checkout/$folder" && "$bin/mypy" --config-file "$checkout/pyproject.toml" --cache-dir /dev/null $files) || return
    done
}

checkout=$PWD
check "ruff" "$bin/ruff" check --cache-dir .build/ruff .
check "ruff format" "$bin/ruff" format --cache-dir .build/ruff --check --output-format concise .
check "mypy, collection" types
check "mypy, scripts" scripts
# mypy and ruff do not know every library call that came after 3.9.
check "vermin 3.9" "$bin/vermin" --no-tips --target=3.9- --violations --eval-annotations plugins/module_utils plugins/modules
check "yamllint" "$bin/yamllint" --strict .
check "ansible-lint" "$bin/ansible-lint" --offline --strict -q
check "changelog fragments" "$bin/antsibull-changelog" lint
check "collection documentation" "$bin/antsibull-docs" lint-collection-docs --plugin-docs --validate-collection-refs=all --skip-rstcheck .
if command -v shellcheck >/dev/null 2>&1; then
    # shellcheck disable=SC2046  # a list of words
    check "shellcheck" shellcheck $(git ls-files '*.sh' .ci/run)
else
    echo "lint: shellcheck is not installed here and was left out"
fi
exit $worst
