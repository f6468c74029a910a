"""Plays a busy day of an allocator, driven by one seed, and prints everything it granted: `python -m unit.allocator.transcript`."""

from __future__ import annotations

import sys

from merismos.core.allocator import Allocator, AllocatorSettings, Grant
from merismos.core.kernel import Prng
from unit.allocator.rig import PLAIN, attributes, constraint, constraints, res

ROLES = ["*", "eng", "eng/web", "eng/db", "ops", "ops/night"]
TOTALS = [res("cpus:4;mem:4096;ports:[31000-32000]"), res("cpus:9;mem:1024;gpus:1"), res("cpus:2;mem:512;cpus(eng):3")]


def play(seed: int, steps: int) -> list[str]:
    """Return one line a grant."""
    prng = Prng(seed)
    random = seed % 2 == 1
    sorter = "random" if random else "drf"
    allocator = Allocator(AllocatorSettings(role_sorter=sorter, framework_sorter=sorter), seed)
    lines: list[str] = []
    held: list[Grant] = []
    now = 0.0
    for number in range(30):
        role = ROLES[prng.next_u64() % len(ROLES)]
        wanted = constraints(role, [constraint(text_not_equals="r1")]) if number % 3 == 0 else None
        allocator.add_framework(f"F{number}", [role, "shared"], PLAIN, constraints=wanted)
    for step in range(steps):
        now += prng.uniform(0.0, 0.2)
        if step < 40:
            marks = attributes(f"rack:r{prng.next_u64() % 3}")
            allocator.add_agent(f"S{step}", TOTALS[prng.next_u64() % 3], marks, hostname=f"h{step}")
        chosen = f"F{prng.next_u64() % 30}"
        if step % 11 == 0:
            allocator.suppress(chosen, [])
        if step % 7 == 0:
            allocator.revive(chosen, [])
        grants = allocator.allocate(now)
        lines.extend(f"{now:.6f} {one.framework_id} {one.role} {one.agent_id} {one.resources!r}" for one in grants)
        held.extend(grants)
        while held and prng.next_u64() % 3:
            grant = held.pop(prng.next_u64() % len(held))
            allocator.answered(grant.framework_id, grant.role, grant.agent_id)
            refuse_s = (None, 0.0, 5.0, 100.0)[prng.next_u64() % 4]
            allocator.recover(
                grant.framework_id, grant.role, grant.agent_id, grant.resources, now=now, refuse_s=refuse_s
            )
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(line for seed in (1, 2) for line in play(seed, 400)))
