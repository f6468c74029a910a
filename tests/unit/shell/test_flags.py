"""Flags in Mesos' spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.shell.flag_tables import AGENT, MASTER
from merismos.shell.flags import FlagError, Flags, parse, usage
from merismos.shell.quantities import format_bytes, format_duration, parse_bytes, parse_duration_s


def master(*arguments: str, **environment: str) -> Flags:
    return parse(MASTER, arguments, environment, effective=MASTER)


def test_values_are_typed() -> None:
    flags = master(
        "--port=15050",
        "--offer_timeout=1.5mins",
        "--offer_constraints_re2_max_mem=32MB",
        "--no-root_submissions",
        "--quiet",
    )
    assert flags.whole("port") == 15050
    assert flags.seconds("offer_timeout") == 90.0
    assert flags.whole("offer_constraints_re2_max_mem") == 32 << 20
    assert not flags.on("root_submissions")
    assert flags.on("quiet")
    assert flags.text("work_dir") is None
    assert not flags.given("work_dir")


def test_the_command_line_is_stronger_than_merismos_which_is_stronger_than_mesos_in_the_environment() -> None:
    environment = {"MESOS_PORT": "1", "MERISMOS_PORT": "2", "MESOS_CLUSTER": "c"}
    assert master(**environment).whole("port") == 2
    flags = master("--port=3", **environment)
    assert (flags.whole("port"), flags.text("cluster")) == (3, "c")


def test_a_value_may_come_from_a_file_and_a_path_stays_a_path(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("ads=2,web=1\n")
    flags = master(f"--weights=file://{file}", f"--whitelist=file://{file}")
    assert flags.text("weights") == "ads=2,web=1"
    assert flags.text("whitelist") == str(file)


def test_an_old_spelling_is_the_same_flag() -> None:
    assert master("--slave_ping_timeout=20secs").seconds("agent_ping_timeout") == 20.0
    assert master("--work-dir=/x").text("work_dir") == "/x"


def test_a_known_flag_without_effect_is_accepted_with_one_warning_unless_it_has_its_default() -> None:
    flags = parse(MASTER, ["--quorum=1", "--registry_strict=false", "--port=1"], {}, effective={"port"})
    assert flags.warnings == ["--quorum is accepted but has no effect here"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--work_dri=/x", "the nearest is --work_dir"),
        ("--no-quiett", "the nearest is --quiet"),
        ("--port", "--port needs a value"),
        ("--no-port", "takes a value"),
        ("--port=x", "'x' is no whole number"),
        ("--quiet=maybe", "neither true nor false"),
        ("--offer_timeout=5", "is no duration"),
        ("--offer_constraints_re2_max_mem=5", "is no amount of bytes"),
        ("--weights=file:///no/such/file", "can't be read"),
        ("port", "is no flag"),
    ],
)
def test_a_mistake_says_what_to_change(argument: str, message: str) -> None:
    with pytest.raises(FlagError, match=message):
        master(argument)


def test_a_flag_given_twice_is_an_error() -> None:
    with pytest.raises(FlagError, match="given twice"):
        master("--port=1", "--port=1")


def test_the_flags_endpoint_prints_every_flag_as_a_real_master_and_agent_do(recordings: Path) -> None:
    import json

    for table, name in ((MASTER, "master"), (AGENT, "agent")):
        recorded = json.loads((recordings / "v0" / f"{name}_flags.json").read_text())["response"]["body_json"]["flags"]
        given = [f"--{flag}={value}" for flag, value in recorded.items()]
        printed = parse(table, given, {}, effective=table).printed()
        assert {flag: printed.get(flag) for flag in recorded} == recorded


def test_the_help_names_every_flag_with_its_default() -> None:
    text = usage("mesos-master", MASTER)
    assert all(f"--{name}=" in text or f"--[no-]{name}" in text for name in MASTER)
    assert "(default: 15secs)" in text


@given(st.integers(min_value=0, max_value=10**15))
def test_a_printed_amount_reads_back(number: int) -> None:
    assert parse_bytes(format_bytes(number)) == number
    assert parse_duration_s(format_duration(number / 1000)) == pytest.approx(number / 1000, rel=1e-12)
