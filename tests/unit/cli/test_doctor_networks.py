"""`merismos doctor` says whether containers may join networks of CNI, and what for."""

from __future__ import annotations

from pathlib import Path

from merismos.cli.commands.doctor import check_networks


def test_the_doctor_says_how_to_get_plugins(tmp_path: Path) -> None:
    finding = check_networks([str(tmp_path)])
    assert finding["state"] == "absent"
    assert "apt-get install containernetworking-plugins" in finding["finding"]


def test_the_doctor_names_the_plugins_and_the_flags(tmp_path: Path) -> None:
    for name in ("bridge", "portmap"):
        (tmp_path / name).touch()
    finding = check_networks([str(tmp_path / "none"), str(tmp_path)], str(tmp_path))["finding"]
    assert "bridge, portmap" in finding
    assert str(tmp_path) in finding
