"""`merismos completion`: a shell's completion script.

Rules: the scripts hold the commands and flags themselves, so that a completion starts no Python.
"""

from __future__ import annotations

import argparse
import sys

from merismos.cli.arguments import COMMANDS, flags_by_command


def run(arguments: argparse.Namespace) -> int:
    """Write the script."""
    write = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]
    sys.stdout.write(write(flags_by_command()))
    return 0


def _bash(flags: dict[str, list[str]]) -> str:
    cases = "\n".join(f"    {name}) words='{' '.join(found)}' ;;" for name, found in flags.items())
    return f"""# merismos completion for bash; use it with: source <(merismos completion bash)
_merismos() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='{" ".join(COMMANDS)}'; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _merismos merismos
"""


def _zsh(flags: dict[str, list[str]]) -> str:
    named = "\n".join(f"    '{name}:{_quoted(summary)}'" for name, (summary, _) in COMMANDS.items())
    cases = "\n".join(f"    {name}) compadd -- {' '.join(found)} ;;" for name, found in flags.items())
    return f"""#compdef merismos
# merismos completion for zsh; use it with: source <(merismos completion zsh)
_merismos() {{
  local -a commands
  commands=(
{named}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $words[2] in
{cases}
  esac
  _files
}}
compdef _merismos merismos
"""


def _fish(flags: dict[str, list[str]]) -> str:
    lines = ["# merismos completion for fish; use it with: merismos completion fish | source"]
    for name, (summary, _) in COMMANDS.items():
        lines.append(f"complete -c merismos -n __fish_use_subcommand -f -a {name} -d '{_quoted(summary)}'")
        lines += [
            f"complete -c merismos -n '__fish_seen_subcommand_from {name}' -l {flag.removeprefix('--')}"
            for flag in flags[name]
            if flag.startswith("--")
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("'", "").replace("`", "").replace(":", "")
