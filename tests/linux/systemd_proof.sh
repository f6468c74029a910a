# What is done with the units, and seen: one line for each thing that is so. Sourced by sh, as root, under systemd.
main() { systemctl show --property=MainPID --value merismos-agent; }
in_cgroup() { grep -q "$2" "/proc/$1/cgroup" && echo "proved: $3"; }
wait_for() { tries=0; until "$@" >/dev/null 2>&1 || [ $tries -ge 300 ]; do tries=$((tries + 1)); sleep 0.2; done; }

systemctl start merismos-master && echo "proved: the master says that it serves"
systemctl start merismos-agent && echo "proved: the agent says that it serves"
merismos run --name t -- sleep 1234 &
wait_for pgrep -f /sleep.1234
task=$(pgrep -o -f /sleep.1234) holder=$(pgrep -o -f supervisor.py) agent=$(main)
in_cgroup "$holder" '/mesos_executors.slice/.*\.scope$' "what holds tasks is in a scope of the slice"
in_cgroup "$agent" '/merismos-agent.service$' "the agent is in its unit"
[ "$(cat /sys/fs/cgroup/system.slice/merismos-agent.service/cgroup.procs)" = "$agent" ] && echo "proved: nobody else is in the agent's unit"
systemctl restart merismos-agent
[ "$(main)" != "$agent" ] && kill -0 "$task" "$holder" && echo "proved: a restart leaves the task alone"
agent=$(main)
systemctl kill --signal=KILL merismos-agent
another() { [ "$(main)" != "$agent" ] && systemctl is-active merismos-agent; }
wait_for another
another && kill -0 "$task" "$holder" && echo "proved: a kill of the unit leaves the task alone, and the agent comes back"
runs() { merismos ps | grep -q TASK_RUNNING; }
wait_for runs
runs && echo "proved: the agent has the task"
systemctl kill --signal=USR1 merismos-agent
ended() { ! kill -0 "$task"; }
wait_for ended
ended 2>/dev/null && echo "proved: USR1 ends the agent and its tasks"
echo "that is all"
