"""Any sequence of maintenance calls, against a model of three machines; the registry always says what the master knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unit.master.rig import Json, Rig
from unit.master.test_maintenance import next_leader, schedule, start, status_of, stop, windows_of

NAMES = ("a", "b", "c")
NAMED = st.lists(st.sampled_from(NAMES), max_size=3)
CALLS = st.lists(st.tuples(st.sampled_from(("schedule", "start", "stop")), NAMED), max_size=12)


def machine(name: str) -> Json:
    return {"hostname": f"Node-{name}"}


class Model:
    """What each scheduled machine is, in the order of the schedule."""

    def __init__(self) -> None:
        self.modes: dict[str, str] = {}

    def makes(self, kind: str, names: list[str]) -> bool:
        """Make a change if it may be made."""
        if len(names) != len(set(names)):
            return False
        if kind == "schedule":
            if any(mode == "DOWN" and name not in names for name, mode in self.modes.items()):
                return False
            self.modes = {name: self.modes.get(name, "DRAINING") for name in names}
            return True
        wanted = "DRAINING" if kind == "start" else "DOWN"
        if not names or any(self.modes.get(name) != wanted for name in names):
            return False
        for name in names:
            if kind == "start":
                self.modes[name] = "DOWN"
            else:
                del self.modes[name]
        return True


@given(CALLS)
def test_machines_are_what_the_calls_that_were_accepted_made_of_them(calls: list[tuple[str, list[str]]]) -> None:
    rig, model = Rig(), Model()
    make = {"schedule": schedule, "start": start, "stop": stop}
    for kind, names in calls:
        status, _ = rig.operate(make[kind](*map(machine, names)))
        assert (status == 200) is model.makes(kind, names)
        for master in (rig, next_leader(rig)):
            found = status_of(master)
            draining = [one["id"] for one in found.get("draining_machines", [])]
            assert draining == [machine(name) for name, mode in model.modes.items() if mode == "DRAINING"]
            down = [machine(name) for name, mode in model.modes.items() if mode == "DOWN"]
            assert found.get("down_machines", []) == down
            assert [one for window in windows_of(master) for one in window["machine_ids"]] == [
                machine(name) for name in model.modes
            ]
