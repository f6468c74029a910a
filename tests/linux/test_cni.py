"""Containers in networks of CNI, for real: what they reach, what is told of them, and that nothing of them is left."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from linux.cgroup_agent import eventually
from linux.cni_agent import CniAgent, Watched, bridge, chained, cni_agent, why_not
from linux.image_agent import make_images, of_docker
from linux.image_agent import why_not as images_missing
from linux.loops import in_a_loop
from linux.test_images import run_group
from merismos.adapters.linux import netns
from merismos.protocol import link
from process.executors.test_custom_executors import job
from process.executors.test_custom_executors import run as run_in_executor
from process.executors.test_sdk_executor import EXAMPLE
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SERVER = """
import socket
server = socket.create_server(("", 80))
while True:
    with server.accept()[0] as client:
        client.sendall(b"served")
"""
SERVE = {"shell": False, "value": "/usr/bin/python3", "arguments": ["python3", "-c", SERVER]}
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 80), 10).recv(9).decode())"


@pytest.fixture(autouse=True)
def _needs_plugins() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


def files_of_the_machine() -> list[bytes]:
    return [Path(path).read_bytes() for path in ("/etc/hosts", "/etc/resolv.conf")]


async def serving(agent: CniAgent, task_id: str, *networks: object) -> str:
    """Run a task that serves; return its address once it does."""
    agent.run(task_id, SERVE, *networks)
    ip = await agent.ip_of(task_id)
    await agent.until_served(ip, 80)
    return ip


@in_a_loop
async def test_two_containers_on_a_bridge_reach_each_other_and_are_told_by_their_addresses(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        ip = await serving(agent, "server", "net")
        (info,) = await agent.infos_of("server")
        assert info == {"name": "net", "ip_addresses": [{"protocol": "IPv4", "ip_address": ip}]}
        words = {"shell": False, "value": "/usr/bin/python3", "arguments": ["python3", "-c", ASK, ip]}
        assert await agent.output_of("client", words, "net") == "served\n"
        seen = await agent.output_of("seen", "ip -4 -o address show", "net")
        assert "inet 10.201.0." in seen
        assert "inet 127.0.0.1" in seen
        assert len(agent.machine.leases()) == 1, "those that ended have given their addresses back"


@in_a_loop
async def test_a_container_has_its_own_hosts_name_and_resolvers_and_the_machine_keeps_its(tmp_path: Path) -> None:
    before = files_of_the_machine()
    own = bridge("own", tmp_path, "10.201.0.0/24", dns={"nameservers": ["10.9.9.9"], "search": ["own.test"]})
    defaults = {
        "mesos": [
            {"network_mode": "CNI", "dns": {"nameservers": ["10.1.1.1"], "options": ["ndots:3"]}},
            {"network_mode": "CNI", "network_name": "named", "dns": {"nameservers": ["10.2.2.2"], "domain": "d.test"}},
        ]
    }
    configs = [own, *(bridge(name, tmp_path, f"10.{index}.0.0/24") for index, name in ((202, "named"), (203, "plain")))]
    line = "cat /etc/resolv.conf; echo --; cat /etc/hosts; echo --; hostname; cat /etc/hostname"
    async with cni_agent(tmp_path, f"--default_container_dns={json.dumps(defaults)}", configs=configs) as agent:
        resolvers, hosts, names = (await agent.output_of("t", line, "own", container={"hostname": "me"})).split("--\n")
        assert resolvers == "search own.test\nnameserver 10.9.9.9\n"
        assert hosts.splitlines()[0] == "127.0.0.1\tlocalhost"
        assert hosts.splitlines()[-1].split("\t")[1] == "me"
        assert names == "me\nme\n"
        assert (await agent.output_of("n", line, "named")).startswith("domain d.test\nnameserver 10.2.2.2\n--")
        assert (await agent.output_of("p", line, "plain")).startswith("options ndots:3\nnameserver 10.1.1.1\n--")
        both = await agent.output_of("b", line, "plain", "own")
        assert "nameserver 10.1.1.1\nnameserver 10.9.9.9\n" in both
    assert files_of_the_machine() == before


@in_a_loop
async def test_a_container_joins_several_networks_with_addresses_of_both_kinds(tmp_path: Path) -> None:
    dual = bridge("dual", tmp_path, "10.204.0.0/24")
    ranges = [[{"subnet": subnet}] for subnet in ("10.204.0.0/24", "fd00:204::/64")]
    dual["ipam"] = {"type": "host-local", "ranges": ranges, "dataDir": str(tmp_path / "leases")}
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24"), dual]) as agent:
        labels = {"labels": [{"key": "app", "value": "web"}]}
        agent.run("t", "exec sleep 600", {"name": "net", "labels": labels}, {"groups": ["ignored"]}, "dual")
        first, second = await agent.infos_of("t")
        assert (first["name"], first["labels"], second["name"]) == ("net", labels, "dual")
        assert [one["protocol"] for one in second["ip_addresses"]] == ["IPv4", "IPv6"]
        assert second["ip_addresses"][1]["ip_address"].startswith("fd00:204::")
        namespace = agent.directory / agent.container("t") / "ns"
        links = agent.machine.run("nsenter", f"--net={namespace}", "ip", "-o", "link")
        assert "eth0" in links
        assert "eth1" in links
        row = (await agent.containers())[0]
        assert [one["name"] for one in row["container_status"]["network_infos"]] == ["net", "dual"]
        assert row["resource_statistics"]["net_tx_packets"] > 0


@in_a_loop
async def test_checks_ask_in_the_network_of_their_task(tmp_path: Path) -> None:
    times = {"delay_seconds": 0.0, "interval_seconds": 0.1, "timeout_seconds": 20.0}
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        serve = {**SERVE, "arguments": ["python3", "-m", "http.server", "--bind", "127.0.0.1", "80"]}
        command = {"command": {"value": "ip -o address show eth0 | grep -q 10.201.0"}}
        agent.run("http", serve, "net", check={"type": "HTTP", "http": {"port": 80, "path": "/"}, **times})
        agent.run("tcp", serve, "net", check={"type": "TCP", "tcp": {"port": 80}, **times})
        agent.run("command", "exec sleep 600", "net", check={"type": "COMMAND", "command": command, **times})
        agent.run("none", "exec sleep 600", "net", check={"type": "TCP", "tcp": {"port": 80}, **times})
        wanted = [("http", {"status_code": 200}), ("tcp", {"succeeded": True}), ("command", {"exit_code": 0})]
        for name, answer in wanted:
            kind = name
            await agent.master.until(
                lambda name=name, kind=kind, answer=answer: any(  # type: ignore[misc]
                    one.get("check_status", {}).get(kind) == answer for one in agent.master.statuses(name)
                )
            )
        said = [one["check_status"]["tcp"] for one in agent.master.statuses("none") if "check_status" in one]
        assert {"succeeded": True} not in said


@in_a_loop
async def test_a_port_of_the_machine_leads_into_a_container_until_it_ends(tmp_path: Path) -> None:
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    listed = chained(bridge("ports", tmp_path, "10.201.0.0/24"), portmap)
    delegate = {**bridge("mapped", tmp_path, "10.202.0.0/24")}
    del delegate["cniVersion"], delegate["name"]
    of_mesos = {"name": "mapped", "type": "mesos-cni-port-mapper", "chain": "X", "delegate": delegate}
    async with cni_agent(tmp_path, configs=[listed, of_mesos]) as agent:
        for name, port in (("ports", 8001), ("mapped", 8002)):
            mappings = [{"host_port": port, "container_port": 80}]
            agent.run(name, SERVE, {"name": name, "port_mappings": mappings})
            (info,) = await agent.infos_of(name)
            assert info["port_mappings"] == mappings
            await agent.until_served("127.0.0.1", port)
            assert agent.machine.rules()
            agent.kill(name)
            await agent.end_of(name)
            assert await agent.machine.ask("127.0.0.1", port) == b""
            await agent.until_clean()


@in_a_loop
async def test_a_limit_of_bandwidth_is_what_tc_shows(tmp_path: Path) -> None:
    limit = {
        "type": "bandwidth",
        "ingressRate": 1_000_000,
        "ingressBurst": 100_000,
        "egressRate": 2_000_000,
        "egressBurst": 100_000,
    }
    config = chained(bridge("slow", tmp_path, "10.201.0.0/24"), limit)
    async with cni_agent(tmp_path, configs=[config]) as agent:
        agent.run("t", "exec sleep 600", "slow")
        await agent.infos_of("t")
        shown = agent.machine.run("tc", "qdisc", "show")
        assert "tbf" in shown
        assert "rate 1Mbit" in shown
        assert "rate 2Mbit" in shown
        agent.kill("t")
        await agent.end_of("t")
        await agent.until_clean()
        assert "tbf" not in agent.machine.run("tc", "qdisc", "show")


@in_a_loop
async def test_tasks_of_a_group_share_the_network_of_their_executor(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    flag = f"--network_cni_plugins_dir={watched.directory}"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        container = {"type": "MESOS", "network_infos": [{"name": "net"}]}
        ask = "until ip -o -4 address show eth0 && python3 -c '" + ASK + "' 127.0.0.1; do sleep 0.1; done"
        run_group(agent.master, [task("server", SERVE), task("client", f"{ask} 2>/dev/null")], container)
        (info,) = await agent.infos_of("server")
        assert info["name"] == "net"
        assert info == (await agent.infos_of("client"))[0]
        assert (await agent.end_of("client"))["state"] == "TASK_FINISHED"
        await agent.agent.kill()
        await agent.agent.start()
        agent.kill("server")
        await agent.end_of("server")
        await agent.until_clean()
        assert [call[0] for call in watched.calls("bridge")] == ["ADD", "DEL"]
        run_group(agent.master, [task("own", "true", container=container)], None)
        assert "NetworkInfos must not be set on the task" in (await agent.end_of("own"))["message"]


@in_a_loop
async def test_a_container_of_an_image_is_in_its_network_with_its_own_files(tmp_path: Path) -> None:
    reason = images_missing()
    if reason:
        pytest.skip(reason)
    images = (f"--docker_registry={make_images(tmp_path)}", f"--docker_store_dir={tmp_path / 'store'}")
    config = bridge("net", tmp_path, "10.201.0.0/24")
    async with cni_agent(tmp_path, "--image_providers=docker", *images, configs=[config]) as agent:
        ip = await serving(agent, "server", "net")
        container = {"mesos": {"image": of_docker("shell")}, "hostname": "boxed"}
        line = f"ip -4 -o addr; cat /etc/hosts; hostname; cat /etc/hostname; nc {ip} 80"
        output = await agent.output_of("t", line, "net", container=container)
        assert "inet 10.201.0." in output
        assert "served" in output
        assert output.count("boxed") == 3
        host = await agent.output_of("host", "ip -4 -o addr", container=container)
        assert "10.201.0.1/24" in host, "without a network it has its agent's"


@in_a_loop
async def test_networks_outlive_a_killed_agent_and_are_left_for_what_ended_meanwhile(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    flag = f"--network_cni_plugins_dir={watched.directory}"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        ip = await serving(agent, "stays", "net")
        agent.run("ends", "exec sleep 600", "net")
        pid = await agent.agent.pid_of("ends")
        gone = await agent.ip_of("ends")
        await agent.agent.kill()
        agent.machine.signal(pid)
        await agent.agent.until_gone(pid)
        assert await agent.machine.ask(ip, 80) == b"served"
        await agent.agent.start()
        await agent.end_of("ends")
        await eventually(lambda: agent.machine.leases() == [ip])
        assert await agent.machine.ask(ip, 80) == b"served"
        ended = agent.master.statuses("ends")[-1]
        assert ended["state"] == "TASK_FAILED"
        assert ended["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == gone
        agent.kill("stays")
        ended = await agent.end_of("stays")
        assert ended["container_status"]["network_infos"][0]["ip_addresses"][0]["ip_address"] == ip
        await agent.until_clean()
        calls = watched.calls("bridge")
        for container in {container for _, container in calls}:
            assert [call for call, of in calls if of == container] == ["ADD", "DEL"]


@in_a_loop
async def test_what_was_being_joined_when_an_agent_was_killed_is_left_and_joined_anew(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.put(
        "bridge", 'case "$CNI_COMMAND" in ADD) /usr/lib/cni/bridge && exec sleep 600;; esac; exec /usr/lib/cni/bridge'
    )
    flag = f"--network_cni_plugins_dir={watched.directory}"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.run("other", "exec sleep 600")  # a supervisor with nothing to hold ends soon
        await agent.agent.pid_of("other")
        agent.run("t", "exec sleep 600", "net")
        await eventually(lambda: bool(agent.machine.leases()))
        await agent.agent.kill()
        watched.put("bridge", "exec /usr/lib/cni/bridge")
        await agent.agent.start()
        ip = await agent.ip_of("t")
        assert agent.machine.leases() == [ip]
        assert [call[0] for call in watched.calls("bridge")] == ["ADD", "DEL", "ADD"]


@in_a_loop
async def test_networks_of_what_its_supervisor_took_with_it_are_left(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.run("t", "exec sleep 600", "net")
        await agent.agent.pid_of("t")
        (supervisor,) = agent.agent.supervisors()
        agent.machine.signal(supervisor)
        assert (await agent.end_of("t"))["state"] == "TASK_FAILED"
        await agent.until_clean()
        assert await agent.output_of("next", "echo well", "net") == "well\n"


@in_a_loop
async def test_a_custom_executor_in_a_network_reaches_its_agent_by_the_socket(tmp_path: Path) -> None:
    flag = "--http_executor_domain_sockets"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        executor = {"container": {"type": "MESOS", "network_infos": [{"name": "net"}]}}
        one = job("t", f"exec {sys.executable} {EXAMPLE}", **executor)
        data = base64.b64encode(b"1000").decode()
        run_in_executor(agent.agent, {**one, "data": data}, starts=["e"])
        (info,) = await agent.infos_of("t")
        assert info["name"] == "net"
        assert info["ip_addresses"][0]["ip_address"].startswith("10.201.0.")
        agent.kill("t")
        await agent.end_of("t")
        agent.master.send(link.ShutdownExecutor("F", "e"))
        await agent.until_clean()


@in_a_loop
async def test_a_network_goes_with_namespaces_and_limits_of_a_native_task(tmp_path: Path) -> None:
    flag = "--isolation=filesystem/linux,namespaces/pid,posix/rlimits"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        limits = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 77, "hard": 77}]}
        line = "echo pid=$$; ulimit -n; ip -4 -o address show eth0; cat /etc/hostname; hostname"
        output = await agent.output_of("t", line, "net", container={"rlimit_info": limits, "hostname": "me"})
        assert output.startswith("pid=1\n77\n")
        assert "inet 10.201.0." in output
        assert output.endswith("me\nme\n")


@in_a_loop
async def test_what_a_reboot_left_is_let_go_of_at_the_next_start(tmp_path: Path) -> None:
    async with cni_agent(
        tmp_path, "--network_cni_root_dir_persist", configs=[bridge("net", tmp_path, "10.201.0.0/24")]
    ) as agent:
        agent.run("t", "exec sleep 600", "net")
        pid = await agent.agent.pid_of("t")
        await agent.agent.kill()
        agent.machine.signal(pid)
        assert agent.records()
        netns.close_directory(agent.directory)
        assert agent.machine.leases()
        await agent.agent.start()
        await agent.until_clean()
        assert "can't be left" not in agent.agent.said()


@in_a_loop
async def test_a_task_that_is_killed_while_a_plugin_hangs_does_not_wait_for_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.put(
        "bridge", 'case "$CNI_COMMAND" in ADD) /usr/lib/cni/bridge && sleep 600;; esac; exec /usr/lib/cni/bridge'
    )
    flag = f"--network_cni_plugins_dir={watched.directory}"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.run("t", "exec sleep 600", "net")
        await eventually(lambda: bool(agent.machine.leases()))
        agent.kill("t")
        status = await agent.end_of("t")
        assert (status["state"], status["message"]) == ("TASK_KILLED", "Killed before delivery to the executor")
        await agent.until_clean()


@in_a_loop
async def test_a_process_of_another_user_and_what_is_nested_in_a_task_are_in_its_network(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, "--switch_user", configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        line = "id -un; ip -4 -o address show eth0; cat /etc/hostname; exec sleep 600"
        agent.run("t", {"value": line, "user": "nobody"}, "net", container={"hostname": "me"})
        ip = await agent.ip_of("t")
        await eventually(lambda: "me\n" in agent.output("t"))
        assert agent.output("t").startswith("nobody\n")
        assert f"inet {ip}/24" in agent.output("t")
        name = {"value": "inner", "parent": {"value": agent.container("t")}}
        command = {"value": "ip -4 -o address show eth0; hostname"}
        await agent.call("LAUNCH_NESTED_CONTAINER", container_id=name, command=command)
        await agent.call("WAIT_NESTED_CONTAINER", container_id=name)
        output = agent.nested_output("t", "inner")
        assert f"inet {ip}/24" in output
        assert output.endswith("me\n")


HOSTILE = {
    "fails": (
        'echo \'{"code": 7, "msg": "no address", "details": "is left"}\'; exit 1',
        "failed to ADD: no address: is left",
    ),
    "crashes": ("echo oops >&2; kill -SEGV $$", "failed to ADD: it said nothing (oops)"),
    "babbles": ("echo hello", "what it answered is no CNI result (no JSON): hello"),
    "lies": ('echo \'{"ips": [{"address": "$(reboot)"}]}\'', "'$(reboot)' is no address"),
    "floods": ("exec cat /dev/zero", "wrote more than 1048576 bytes, and is killed"),
    "hangs": ("sleep 600 & sleep 600", "did not end within 2 s of ADD, and is killed"),
    "poisons": ('echo \'{"dns": {"nameservers": ["1.1.1.1\\\\nevil"]}}\'', "is no CNI result (dns:"),
}


@in_a_loop
async def test_a_plugin_that_fails_hangs_or_babbles_fails_its_task_in_words_and_leaves_nothing(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    flags = (f"--network_cni_plugins_dir={watched.directory}:/usr/lib/cni", "--network_cni_timeout=2secs")
    first = bridge("net", tmp_path, "10.201.0.0/24")
    configs = [first]
    for name, (script, _) in HOSTILE.items():
        watched.put(name, f'case "$CNI_COMMAND" in DEL) exit 0;; esac\n{script}')
        configs.append({"cniVersion": "0.4.0", "name": f"n-{name}", "type": name})
    configs.append(chained({**first, "name": "late"}, {"type": "fails"}))
    async with cni_agent(tmp_path, *flags, configs=configs) as agent:
        for name in HOSTILE:
            agent.run(name, "exec sleep 600", "net", f"n-{name}")
        agent.run("late", "exec sleep 600", "late")
        for name, (_, why) in (*HOSTILE.items(), ("late", HOSTILE["fails"])):
            status = await agent.end_of(name)
            assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
            assert why in status["message"], status["message"]
            assert "Failed to launch container: CNI network '" in status["message"]
        await agent.until_clean()
        assert await agent.output_of("well", "echo well", "net") == "well\n"
        for plugin in ("bridge", *HOSTILE):
            names = [call[0] for call in watched.calls(plugin)]
            assert names.count("ADD") == names.count("DEL") or plugin == "fails", (plugin, names)


@in_a_loop
async def test_a_plugin_that_does_not_let_go_is_asked_again_and_keeps_no_interface(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.put(
        "bridge",
        f'if [ "$CNI_COMMAND" = DEL ] && [ ! -e {tmp_path}/well ]; then echo stuck; exit 1; fi; exec /usr/lib/cni/bridge',
    )
    flag = f"--network_cni_plugins_dir={watched.directory}"
    async with cni_agent(tmp_path, flag, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        assert await agent.output_of("t", "echo done", "net") == "done\n", "nobody waits for the plugin"
        assert agent.machine.leases()
        await agent.agent.kill()
        await agent.agent.start()
        (tmp_path / "well").touch()
        await agent.until_clean()


@in_a_loop
async def test_networks_that_cannot_be_had_are_refused_in_words(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.machine.add({"name": "typeless"})
        agent.machine.add({"name": "missing", "type": "no-such-plugin"})
        agent.run("unknown", "true", "nowhere")
        agent.run("twice", "true", "net", "net")
        agent.run("missing", "true", "missing")
        assert "Unknown CNI network 'nowhere': known are missing, net in" in (await agent.end_of("unknown"))["message"]
        assert "join CNI network 'net' multiple times" in (await agent.end_of("twice"))["message"]
        assert "there is no CNI plugin 'no-such-plugin'" in (await agent.end_of("missing"))["message"]
        assert "a plugin's type None must be" in agent.agent.said()


@in_a_loop
async def test_a_network_may_come_and_change_while_the_agent_runs(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[]) as agent:
        agent.machine.add(bridge("late", tmp_path, "10.201.0.0/24"))
        agent.run("first", "exec sleep 600", "late")
        assert (await agent.ip_of("first")).startswith("10.201.0.")
        for file in agent.machine.configs.iterdir():
            file.write_text(json.dumps(bridge("late", tmp_path, "10.202.0.0/24", bridge="b-other")))
        agent.run("second", "exec sleep 600", "late")
        assert (await agent.ip_of("second")).startswith("10.202.0.")


@in_a_loop
async def test_a_container_sees_no_other_container_s_network(tmp_path: Path) -> None:
    async with cni_agent(tmp_path, configs=[bridge("net", tmp_path, "10.201.0.0/24")]) as agent:
        agent.run("other", "exec sleep 600", "net")
        await agent.infos_of("other")
        mounts = await agent.output_of("t", "cat /proc/self/mountinfo", "net")
        assert not [row for row in mounts.splitlines() if "nsfs" in row and str(agent.directory) in row]
