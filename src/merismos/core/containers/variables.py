"""The variables that a command brings, as NAME=value; secrets among them.

Rules: a secret is resolved where its container is planned, and is a value like any other from there on.
Source: Mesos, Environment.Variable.
"""

from __future__ import annotations

from merismos.core.containers.isolation import ENVIRONMENT_SECRET
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

_SECRET = mesos.Environment_Variable_Type.SECRET


def variables_of(command: mesos.CommandInfo | None) -> list[str]:
    """Return the variables of a command that `fault_of_variables` has passed, as NAME=value."""
    if command is None or command.environment is None:
        return []
    return [f"{one.name}={_value_of(one)}" for one in command.environment.variables]


def fault_of_variables(command: mesos.CommandInfo, *, secrets: bool) -> Rejection | None:
    """Say why the variables of a command can't be given; `secrets` may be among them."""
    variables = command.environment.variables if command.environment is not None else []
    for variable in variables:
        if not variable.name or "=" in variable.name:
            return Rejection("environment_invalid", f"'{variable.name}' can't be the name of an environment variable")
        fault = _fault_of_secret(variable, secrets=secrets)
        if fault is not None:
            return fault
        if "\0" in variable.name + _value_of(variable):
            text = "a command, argument or environment variable can't hold a NUL character"
            return Rejection("command_invalid", text)
    return None


def _fault_of_secret(variable: mesos.Environment_Variable, *, secrets: bool) -> Rejection | None:
    if variable.type != _SECRET:
        return None
    what = f"environment variable '{variable.name}' is a secret"
    if not secrets:
        return Rejection(
            "secret_unsupported", f"{what}; it needs --isolation={ENVIRONMENT_SECRET}, and none of Docker's"
        )
    secret = variable.secret
    if secret is None or secret.type != mesos.Secret_Type.VALUE or secret.value is None:
        return Rejection("secret_unsupported", f"{what} that is not of type VALUE; references are not supported")
    try:
        secret.value.data.decode()
    except UnicodeDecodeError:
        return Rejection("environment_invalid", f"{what} that is no text; give it as a volume of type SECRET")
    return None


def _value_of(variable: mesos.Environment_Variable) -> str:
    if variable.type == _SECRET:
        return "" if variable.secret is None or variable.secret.value is None else variable.secret.value.data.decode()
    return variable.value or ""
