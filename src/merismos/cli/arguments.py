"""What each command takes.

Rules: `--master` and `--output` may stand before or after the command's name. What follows `--` is the command to run, untouched.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from merismos.cli.errors import USAGE, CommandError, nearest
from merismos.sdk.address import MASTER_PORT

PROGRAM: Final = "merismos"
CHAOS_ACTS: Final = ("kill",)
SHELLS: Final = ("bash", "zsh", "fish")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_AGENTS_MAX: Final = 100
_MASTERS_MAX: Final = 9
_PORT_MAX: Final = 65535

Add = Callable[[argparse.ArgumentParser], None]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are CommandErrors and propose what was meant."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read what is right."""
        raise CommandError(f"{message}", f"See: {self.prog} --help", code=USAGE)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for; `module` names the command's module.

    Errors: CommandError.
    """
    before, after = _split(list(argv))
    parser = build_parser()
    _check_command(before)
    arguments, unknown = parser.parse_known_args(before)
    if unknown:
        _refuse(unknown[0], arguments)
    if after is not None:
        if not hasattr(arguments, "command"):
            raise CommandError(f"`{arguments.module}` runs nothing, so nothing can follow --", code=USAGE)
        arguments.command = [*arguments.command, "--", *after] if arguments.command else after
    return arguments


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog=PROGRAM,
        description="A Mesos-compatible cluster kernel: many machines as one computer.",
        allow_abbrev=False,
    )
    _add_shared(parser, suppress=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="module", required=True)
    for name, (summary, add) in COMMANDS.items():
        one = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
        )
        _add_shared(one, suppress=True)
        add(one)
    return parser


def command_names() -> list[str]:
    """Return the names of all commands."""
    return list(COMMANDS)


def duration_s(text: str) -> float:
    """Return a duration in seconds: `90`, `90s`, `1.5m`, `2h`."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        return float(digits) * _UNITS[text[len(digits) :] or "s"]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 90s, 5m or 2h") from None


def _split(argv: list[str]) -> tuple[list[str], list[str] | None]:
    if "--" not in argv:
        return argv, None
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _check_command(argv: list[str]) -> None:
    flags_with_value = {"--master", "--output", "-o"}
    words = iter(argv)
    for word in words:
        if word in flags_with_value:
            next(words, None)
        elif not word.startswith("-"):
            if word not in command_names():
                todo = nearest(word, command_names()) or f"See: {PROGRAM} --help"
                raise CommandError(f"there is no command {word!r}", todo, code=USAGE)
            return


def _refuse(unknown: str, arguments: argparse.Namespace) -> NoReturn:
    module: str = arguments.module
    if not unknown.startswith("-"):
        raise CommandError(
            f"`{module}` doesn't know what to do with {unknown!r}", f"See: {PROGRAM} {module} --help", code=USAGE
        )
    known = [name for name in flags_by_command()[module] if name.startswith("--")]
    todo = nearest(unknown.partition("=")[0], known) or f"See: {PROGRAM} {module} --help"
    raise CommandError(f"`{module}` has no flag {unknown.partition('=')[0]}", todo, code=USAGE)


def flags_by_command() -> dict[str, list[str]]:
    """Return every flag of every command."""
    found = {}
    for name, (_, add) in COMMANDS.items():
        parser = Parser()
        _add_shared(parser, suppress=True)
        add(parser)
        found[name] = [flag for action in parser._actions for flag in action.option_strings]  # noqa: SLF001 - argparse shows them nowhere else
    return found


def words_by_command() -> dict[str, list[str]]:
    """Return what may be written after each command's name, as far as that is known beforehand: its flags, and words to choose from."""
    found = flags_by_command()
    for name, (_, add) in COMMANDS.items():
        parser = Parser()
        add(parser)
        for action in parser._actions:  # noqa: SLF001 - argparse shows them nowhere else
            if not action.option_strings:
                found[name] += action.choices or _small(str(action.metavar))
    return found


def _small(metavar: str) -> list[str]:
    """Return the parts of a metavar that are written as they are: what stands for something else is in capitals."""
    return [part for part in metavar.split("|") if part.islower()]


def _add_shared(parser: argparse.ArgumentParser, *, suppress: bool) -> None:
    parser.add_argument(
        "--master",
        metavar="HOST:PORT",
        default=argparse.SUPPRESS if suppress else None,
        help="the master, several with commas between, or zk://HOST:PORT,.../PATH that knows it; else MERISMOS_MASTER, else the one of a running `merismos up`, else 127.0.0.1:5050",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default=argparse.SUPPRESS if suppress else "text",
        help="how the answer is written (default: text)",
    )


def _nothing(parser: argparse.ArgumentParser) -> None:
    del parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= _AGENTS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of agents; 1 to {_AGENTS_MAX} are possible")
    return int(text)


def _count_of_masters(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= _MASTERS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of masters; 1 to {_MASTERS_MAX} are possible")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _PORT_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no port; a port is a number up to {_PORT_MAX}, 0 is any free one"
        )
    return int(text)


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount; write a number such as 0.5 or 2")
    return number


def _up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=_count, default=2, metavar="N", help="how many agents (default: 2)")
    parser.add_argument(
        "--master-port",
        type=_port,
        default=MASTER_PORT,
        metavar="PORT",
        help=f"the first master's port, 0 for any that is free (default: {MASTER_PORT})",
    )
    parser.add_argument(
        "--masters", type=_count_of_masters, metavar="N", help="how many masters (default: 3 with --zk, else 1)"
    )
    parser.add_argument(
        "--zk", action="store_true", help="start a ZooKeeper too, by which the masters choose one of them to lead"
    )
    parser.add_argument(
        "--resources",
        metavar="TEXT",
        help="what each agent offers, for example 'cpus:4;mem:8192' (default: all CPUs, and its share of memory, disk and ports)",
    )
    parser.add_argument(
        "--detach", "-d", action="store_true", help="return once it is ready; end it with `merismos down`"
    )


def _run(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{PROGRAM} run [FLAGS] -- COMMAND [ARGUMENT ...]"
    parser.epilog = (
        "The exit code is the command's; 128 + n when signal n ended it, 124 when --timeout did, 130 after Ctrl-C, 143 when "
        "somebody else killed it (137 by force), 125 when it could not be run. One argument with a blank in it is a line for the shell."
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, and its arguments")
    parser.add_argument("--cpus", type=_amount, default=0.1, metavar="N", help="cores (default: 0.1)")
    parser.add_argument("--mem", type=_amount, default=32.0, metavar="MB", help="memory (default: 32)")
    parser.add_argument("--disk", type=_amount, default=0.0, metavar="MB", help="disk (default: 0)")
    parser.add_argument("--gpus", type=_amount, default=0.0, metavar="N", help="GPUs (default: 0)")
    parser.add_argument("--name", help="the task's and framework's name (default: the command's)")
    parser.add_argument("--role", default="*", help="the role to run in (default: *)")
    parser.add_argument("--user", help="the user to run as (default: the agent's)")
    parser.add_argument(
        "--env",
        "-e",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable; NAME alone takes it from here",
    )
    parser.add_argument(
        "--image", metavar="NAME", help="a container image to run in; without COMMAND, what the image runs by itself"
    )
    parser.add_argument(
        "--rootfs",
        metavar="NAME",
        help="a root filesystem of LXC to run in, by its name or directory on the agent's machine",
    )
    parser.add_argument(
        "--volume",
        "-v",
        action="append",
        default=[],
        metavar="PATH:TARGET[:ro]",
        help="show PATH of the agent's machine, or of the sandbox where it is relative, at TARGET of the image",
    )
    parser.add_argument(
        "--network", action="append", default=[], metavar="NAME", help="a CNI network to join, instead of the agent's"
    )
    parser.add_argument(
        "--uri", action="append", default=[], metavar="URI", help="a file to fetch into the sandbox, unpacked"
    )
    parser.add_argument(
        "--constraint",
        "--attribute-constraint",
        action="append",
        default=[],
        metavar="RULE",
        help="which agents: rack=r1, rack!=r1, rack~REGEX, rack!~REGEX, rack (has it), !rack; hostname works too",
    )
    parser.add_argument(
        "--timeout", type=duration_s, metavar="TIME", help="end the task after this time (exit code 124)"
    )
    parser.add_argument(
        "--wait", type=duration_s, metavar="TIME", help="give up when it isn't running after this time (exit code 125)"
    )


def _ps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", "-a", action="store_true", help="completed tasks too")
    parser.add_argument("--framework", metavar="ID", help="only those of one framework")


def _frameworks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", "-a", action="store_true", help="completed frameworks too")


def _logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="a task's id or name, or the beginning of its id")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the task is over")
    parser.add_argument("--stderr", action="store_true", help="its standard error instead of its standard output")


def _exec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interactive", "-i", action="store_true", help="pass our input on to it")
    parser.add_argument("--tty", "-t", action="store_true", help="give it a terminal, of the size of ours")
    parser.add_argument("task", metavar="TASK", help="a task's id or name, or the beginning of its id")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="a program and its arguments")


def _kill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="a task's id or name, or the beginning of its id")
    parser.add_argument(
        "--grace",
        type=duration_s,
        metavar="TIME",
        help="from the polite signal to the other one; 0s kills at once (default: the task's own)",
    )


def _drain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "agent", metavar="AGENT", help="an agent's id, the beginning or end of it (S3), or its hostname"
    )
    parser.add_argument(
        "--grace",
        type=duration_s,
        metavar="TIME",
        help="kill what is left after so long (default: the tasks' own grace)",
    )
    parser.add_argument("--mark-gone", action="store_true", help="then mark it gone: it never comes back under this id")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--deactivate", action="store_true", help="only offer nothing more of it: its tasks go on")
    instead.add_argument("--reactivate", action="store_true", help="offer of it again, after it was drained")


def _why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="TASK|FRAMEWORK|ROLE", help="an id, the beginning of it, or a name")
    parser.add_argument("--resources", metavar="TEXT", help="what is wanted, for example 'cpus:4;mem:1024'")


def _chaos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", choices=CHAOS_ACTS, help="what to do: kill (kill -9)")
    parser.add_argument(
        "victim",
        metavar="leader|agent|NAME",
        help="the leading master, the first agent that runs something, or one by its name: agent-2",
    )


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="which shell")


COMMANDS: Final[dict[str, tuple[str, Add]]] = {
    "up": ("start a cluster on this machine: a master and agents, or several masters", _up),
    "down": ("end the cluster that `up` started, and leave nothing behind", _nothing),
    "chaos": ("break something of the cluster that `up` started, and watch it recover", _chaos),
    "run": ("run a command on the cluster, with its output and exit code", _run),
    "ps": ("list tasks", _ps),
    "logs": ("show what a task wrote", _logs),
    "exec": ("run a command beside a task, as the task runs: exec -it TASK sh", _exec),
    "kill": ("end a task", _kill),
    "why": ("say why a task, framework or role waits", _why),
    "agents": ("list agents, and what of them is in use", _nothing),
    "drain": ("end what runs on an agent, and offer nothing more of it", _drain),
    "frameworks": ("list frameworks", _frameworks),
    "roles": ("list roles, their weights and what they use", _nothing),
    "doctor": ("check this machine and the cluster", _nothing),
    "version": ("say which version this is, and which the master is", _nothing),
    "master": ("become a master; takes the flags of mesos-master", _nothing),
    "agent": ("become an agent; takes the flags of mesos-agent", _nothing),
    "completion": ("print the completion script of a shell", _completion),
}
