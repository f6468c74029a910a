"""What a wait status means, in Mesos' words.

Source: the messages of recorded status updates; signal names as strsignal(3) of glibc gives them.
"""

from __future__ import annotations

_SIGNALS = {
    1: "Hangup",
    2: "Interrupt",
    3: "Quit",
    4: "Illegal instruction",
    5: "Trace/breakpoint trap",
    6: "Aborted",
    7: "Bus error",
    8: "Floating point exception",
    9: "Killed",
    10: "User defined signal 1",
    11: "Segmentation fault",
    12: "User defined signal 2",
    13: "Broken pipe",
    14: "Alarm clock",
    15: "Terminated",
    16: "Stack fault",
    17: "Child exited",
    18: "Continued",
    19: "Stopped (signal)",
    20: "Stopped",
    21: "Stopped (tty input)",
    22: "Stopped (tty output)",
    23: "Urgent I/O condition",
    24: "CPU time limit exceeded",
    25: "File size limit exceeded",
    26: "Virtual timer expired",
    27: "Profiling timer expired",
    28: "Window changed",
    29: "I/O possible",
    30: "Power failure",
    31: "Bad system call",
}
_CORE_DUMPED = 0x80
_REAL_TIME_MIN = 34


def succeeded(status: int) -> bool:
    """Say whether a process ended by itself with status 0."""
    return status == 0


def exit_code_of(status: int) -> int | None:
    """Return the code with which a process ended by itself, None where a signal ended it; `status` is in wait(2) form."""
    return (status >> 8) & 0xFF if status & 0x7F == 0 else None


def describe_exit(status: int, subject: str = "Command") -> str:
    """Return the message of the last update of a command, or of what else has ended.

    Shapes: `status` is in wait(2) form: the exit code shifted by 8, or the signal, with 128 added for a core dump.
    """
    number = status & 0x7F
    if number == 0:
        return f"{subject} exited with status {(status >> 8) & 0xFF}"
    name = _SIGNALS.get(number)
    if name is None:
        name = f"Real-time signal {number - _REAL_TIME_MIN}" if number >= _REAL_TIME_MIN else f"Unknown signal {number}"
    dumped = " (core dumped)" if status & _CORE_DUMPED else ""
    return f"{subject} terminated with signal {name}{dumped}"
