"""`merismos completion`: a shell's completion script.

Rules: the scripts hold the commands and flags themselves, so that a completion starts no Python.
"""

from __future__ import annotations

import argparse
import sys

from merismos.cli.arguments import COMMANDS, words_by_command


def run(arguments: argparse.Namespace) -> int:
    """Write the script."""
    write = {"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell]
    sys.stdout.write(write(words_by_command()))
    return 0


def _bash(words: dict[str, list[str]]) -> str:
    cases = "\n".join(f"    {name}) words='{' '.join(found)}' ;;" for name, found in words.items())
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


def _zsh(words: dict[str, list[str]]) -> str:
    named = "\n".join(f"    '{name}:{_quoted(summary)}'" for name, (summary, _) in COMMANDS.items())
    cases = "\n".join(f"    {name}) compadd -- {' '.join(found)} ;;" for name, found in words.items())
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


def _fish(words: dict[str, list[str]]) -> str:
    lines = ["# merismos completion for fish; use it with: merismos completion fish | source"]
    for name, (summary, _) in COMMANDS.items():
        lines.append(f"complete -c merismos -n __fish_use_subcommand -f -a {name} -d '{_quoted(summary)}'")
        lines += [
            f"complete -c merismos -n '__fish_seen_subcommand_from {name}' -l {flag.removeprefix('--')}"
            for flag in words[name]
            if flag.startswith("--")
        ]
        choices = " ".join(word for word in words[name] if not word.startswith("-"))
        if choices:
            lines.append(f"complete -c merismos -n '__fish_seen_subcommand_from {name}' -f -a '{choices}'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("'", "").replace("`", "").replace(":", "")
