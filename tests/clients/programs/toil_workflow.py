"""A workflow on toil: three jobs square a number each, one of them at its second try; one that follows sums up.

`toil_workflow.py HOST:PORT`: toil's own executor, which is on pymesos, runs the jobs on the agents. Prints the sum and what is left.
"""

from __future__ import annotations

import sys
from pathlib import Path

from toil.common import Toil
from toil.job import Job

SMALL = {"memory": "100M", "cores": 0.2, "disk": "20M"}
UNLUCKY = 3


def square(job, number, marker):
    job.log(f"square of {number}")
    if number == UNLUCKY and not Path(marker).exists():
        Path(marker).touch()
        sys.exit(9)
    return number * number


def total(job, squares):
    job.log("sums up")
    return f"total {sum(squares)} in {Path.cwd()}"


def fan_out(job, marker):
    promised = [job.addChildJobFn(square, number, marker, **SMALL).rv() for number in (1, 2, UNLUCKY)]
    return job.addFollowOnJobFn(total, promised, **SMALL).rv()


def main(master):
    parser = Job.Runner.getDefaultArgumentParser()
    store, marker = Path.cwd() / "store", Path.cwd() / "tried"
    cluster = ["--batchSystem", "mesos", "--mesosEndpoint", master]
    options = parser.parse_args([f"file:{store}", *cluster, "--retryCount", "1", "--disableProgress", "--logWarning"])
    with Toil(options) as toil:
        print(toil.start(Job.wrapJobFn(fan_out, str(marker), **SMALL)))
    print(f"tried twice: {marker.exists()}, store left: {store.exists()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
