#!/bin/sh
# Pins the dependencies of pyproject.toml and requirements/*.in anew, with hashes, in requirements/*.txt: `make lock`.
# Needs the registry. The lists name packages, versions and hashes, never where they came from.
set -eu
cd "$(dirname "$0")/../.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
.venv/bin/python -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install -q --disable-pip-version-check 'pip-tools==7.6.2'

pin() {
  PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' PIP_EXTRA_INDEX_URL='' "$tools/venv/bin/pip-compile" -q --upgrade --generate-hashes \
    --strip-extras --allow-unsafe --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options "$@"
}
pin -o requirements/run.txt pyproject.toml requirements/build.in
pin -o requirements/dev.txt -c requirements/run.txt pyproject.toml requirements/build.in requirements/dev.in
pin -o requirements/clients-build.txt requirements/clients-build.in
pin -o requirements/clients.txt -c requirements/clients-build.txt requirements/clients.in
