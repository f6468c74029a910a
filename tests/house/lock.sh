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
pin -o requirements/clients-avmesos-cli.txt -c requirements/clients.txt requirements/clients-avmesos-cli.in

# avmesos-cli asks for a newer Python than the one that pins, which the resolver wouldn't forgive.
version=1.3.0
"$tools/venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps --ignore-requires-python -d "$tools/itself" "avmesos-cli==$version"
hash=$("$tools/venv/bin/python" -m pip hash -a sha256 "$tools"/itself/*.whl | grep -o 'sha256:.*')
printf 'avmesos-cli==%s \\\n    --hash=%s\n' "$version" "$hash" >requirements/clients-avmesos-cli-itself.txt
