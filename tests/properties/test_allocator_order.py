from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.allocator.order import RUN_LENGTH_MAX, Node, Scale, Siblings

STEPS = st.lists(
    st.tuples(st.sampled_from(["serve", "serve", "serve", "move", "remove", "add", "remask"]), st.integers(0, 10**9)),
    max_size=200,
)


def expected_first(nodes: list[Node], eligible: int) -> Node | None:
    able = [node for node in nodes if node.mask & eligible]
    return min(able, key=lambda node: (node.allocated / 1000 / node.weight, node.served, node.name), default=None)


def check(siblings: Siblings, present: list[Node]) -> None:
    entries = [entry for run in siblings.runs for entry in run]
    assert entries == sorted(entries, key=lambda entry: entry[:3])
    assert siblings.size == len(entries) == len(present)
    assert siblings.lasts == [run[-1] for run in siblings.runs]
    assert all(len(run) <= RUN_LENGTH_MAX for run in siblings.runs)
    for run, mask in zip(siblings.runs, siblings.masks, strict=True):
        union = 0
        for entry in run:
            union |= entry[3].mask
        assert mask == union


@given(st.integers(1, 150), STEPS, st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=5))
def test_siblings_are_found_and_kept_in_fair_order(
    count: int, steps: list[tuple[str, int]], weights: list[float]
) -> None:
    scale = Scale()
    scale.reset([1000.0])
    siblings = Siblings(scale)
    nodes: list[Node] = []
    for number in range(count):
        node = Node(f"n{number * 7919 % count:03}", siblings)
        node.mask = 1 << number
        node.weight = weights[number % len(weights)]
        nodes.append(node)
        siblings.add(node)
    absent: list[Node] = []
    spare = count
    for step, number in steps:
        node = nodes[number % len(nodes)]
        if step == "serve":
            eligible = number * 0x9E3779B97F4A7C15F39CC0605CEDC835 & sum(one.mask for one in nodes if one not in absent)
            best = expected_first([one for one in nodes if one not in absent], eligible)
            if best is not None:
                assert siblings.first(eligible) is best
                served = best.served
                assert siblings.serve_first(eligible, number % 37) is best
                assert best.served == served + 1
        elif node in absent:
            if step == "add":
                absent.remove(node)
                siblings.add(node)
        elif step == "move":
            node.allocated = number % 997
            siblings.move(node)
        elif step == "remove":
            siblings.remove(node)
            absent.append(node)
        elif step == "remask":
            node.mask |= 1 << spare
            siblings.remask(node, 1 << spare)
            spare += 1
        check(siblings, [one for one in nodes if one not in absent])


@given(
    st.lists(st.integers(0, (1 << 64) - 1), min_size=2, max_size=4),
    st.lists(st.integers(1, 1 << 50), min_size=4, max_size=4),
)
def test_the_dominant_share_is_the_largest_fraction(amounts: list[int], totals: list[int]) -> None:
    scale = Scale()
    scale.reset([float(total) for total in totals])
    allocated = sum(amount << (80 * number) for number, amount in enumerate(amounts))
    expected = max(amount / float(total) for amount, total in zip(amounts, totals, strict=False))
    assert scale.share_of(allocated) == expected
    assert scale.share_of(allocated) == expected
