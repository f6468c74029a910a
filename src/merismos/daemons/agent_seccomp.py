"""From an agent's flags to its seccomp profiles.

Rules: the profile of containers that name none is read and compiled at the start, so that an agent with a broken one doesn't start.
Errors: FlagError, with what to change.
"""

from __future__ import annotations

from pathlib import Path

from merismos.adapters.linux import seccomp_filter
from merismos.containers.seccomp import ProfileError, SeccompProfiles
from merismos.core.containers.isolation import SECCOMP
from merismos.core.containers.linux_info import is_outside
from merismos.daemons.agent_isolation import isolation_of
from merismos.shell.flags import FlagError, Flags


def profiles_of(flags: Flags, runtime_dir: Path) -> SeccompProfiles | None:
    """Return the seccomp profiles, None where linux/seccomp isn't asked for."""
    if SECCOMP not in isolation_of(flags).names:
        return None
    directory = flags.text("seccomp_config_dir")
    if not directory:
        raise FlagError(f"--isolation names {SECCOMP}: give --seccomp_config_dir=DIRECTORY, where profiles lie")
    if not Path(directory).is_dir():
        raise FlagError(f"--seccomp_config_dir={directory} is no directory on this machine")
    return SeccompProfiles(Path(directory).absolute(), runtime_dir / "seccomp")


def default_profile(flags: Flags) -> str:
    """Return the profile of containers that name none, empty for none."""
    name = flags.text("seccomp_profile_name") or ""
    profiles = profiles_of(flags, Path())
    if not name:
        return ""
    if profiles is None:
        raise FlagError(f"--seccomp_profile_name needs --isolation={SECCOMP}")
    if is_outside(name):
        raise FlagError(f"--seccomp_profile_name={name} must be a path below --seccomp_config_dir")
    try:
        rules = profiles.rules_of(name, ())
        if seccomp_filter.obstacle() is None:
            seccomp_filter.compile_rules(rules)
    except (ProfileError, seccomp_filter.FilterError) as error:
        raise FlagError(f"--seccomp_profile_name={name}: {error}") from error
    return name
