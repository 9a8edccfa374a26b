"""From the Compose model to the bodies of the Engine API's requests. Nothing here speaks to an engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astro_magic.engines.docker.names import PROJECT_LABEL, SERVICE_LABEL, Names
from astro_magic.engines.docker.services.quantities import nanoseconds, octets
from astro_magic.engines.docker.services.stack import EXTENSION, Model
from astro_magic.errors import InvalidContentError

__all__ = [
    "HASH_LABEL",
    "config_hash",
    "container_body",
    "further_networks",
    "missing_sources",
    "network_body",
    "start_order",
    "started_services",
    "volume_body",
]

#: The label with the fingerprint of what a container was made from.
HASH_LABEL = "com.docker.compose.config-hash"
#: The Compose whose rules are followed: the one inside of the Astro CLI 1.45.
_COMPOSE_VERSION = "2.40.3"

#: What is handed on as it is, by its name in the API's body.
_PLAIN = {
    "command": "Cmd",
    "domainname": "Domainname",
    "entrypoint": "Entrypoint",
    "hostname": "Hostname",
    "stdin_open": "OpenStdin",
    "stop_signal": "StopSignal",
    "tty": "Tty",
    "user": "User",
    "working_dir": "WorkingDir",
}
_PLAIN_OF_HOST = {
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "cgroup_parent": "CgroupParent",
    "cpu_period": "CpuPeriod",
    "cpu_quota": "CpuQuota",
    "cpu_shares": "CpuShares",
    "cpuset": "CpusetCpus",
    "device_cgroup_rules": "DeviceCgroupRules",
    "dns": "Dns",
    "dns_opt": "DnsOptions",
    "dns_search": "DnsSearch",
    "extra_hosts": "ExtraHosts",
    "group_add": "GroupAdd",
    "init": "Init",
    "ipc": "IpcMode",
    "mem_swappiness": "MemorySwappiness",
    "oom_kill_disable": "OomKillDisable",
    "oom_score_adj": "OomScoreAdj",
    "pid": "PidMode",
    "pids_limit": "PidsLimit",
    "privileged": "Privileged",
    "read_only": "ReadonlyRootfs",
    "runtime": "Runtime",
    "security_opt": "SecurityOpt",
    "storage_opt": "StorageOpt",
    "sysctls": "Sysctls",
    "userns_mode": "UsernsMode",
    "uts": "UTSMode",
}


def container_body(model: Model, service: str, names: Names, *, number: int = 1) -> tuple[str, dict[str, Any]]:
    """Give the name of a service's container, and what ``POST /containers/create`` takes to make it.

    Engines before API 1.44 connect a new container to one network only; `further_networks` gives the others. The
    platform is no part of the body: it is ``model["services"][service].get("platform")``.

    Parameters
    ----------
    model : Model
        The services, in their long syntax.
    service : str
        Which of them.
    names : Names
        The project's names.
    number : int, optional
        Which container of the service it is.
    """
    content = model["services"][service]
    name = content.get("container_name") or f"{names.compose}-{service}-{number}"
    body: dict[str, Any] = {
        "Image": content["image"],
        "Env": [key if value is None else f"{key}={value}" for key, value in content.get("environment", {}).items()],
        "Labels": {**content.get("labels", {}), **_labels(model, service, names, number=number)},
        "ExposedPorts": {f"{port['target']}/{port['protocol']}": {} for port in content.get("ports", [])},
    }
    body["ExposedPorts"] |= {str(port): {} for port in content.get("expose", [])}
    body |= {theirs: content[ours] for ours, theirs in _PLAIN.items() if content.get(ours) is not None}
    if content.get("entrypoint") == []:
        # An empty one means none, but to the API an empty list means the image's.
        body["Entrypoint"] = [""]
    if "healthcheck" in content:
        body["Healthcheck"] = _healthcheck(content["healthcheck"])
    if "stop_grace_period" in content:
        body["StopTimeout"] = round(nanoseconds(content["stop_grace_period"]) / 10**9)
    body["HostConfig"] = _host(model, content, names)
    first = _endpoints(model, service)[:1]
    if first:
        body["HostConfig"]["NetworkMode"] = first[0][0]
        body["NetworkingConfig"] = {"EndpointsConfig": dict(first)}
    return name, body


def further_networks(model: Model, service: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Give the networks to which a container is connected after it is made, by name, each with its endpoint.

    Parameters
    ----------
    model : Model
        The services.
    service : str
        Which of them.
    """
    return tuple(_endpoints(model, service)[1:])


def network_body(model: Model, key: str, names: Names) -> dict[str, Any] | None:
    """Give what ``POST /networks/create`` takes; None for a network that others made.

    No fingerprint is among the labels: Docker Compose would take a network whose fingerprint is not its own for
    another one, and make it anew.
    """
    content = model["networks"][key] or {}
    if content.get("external"):
        return None
    body = {
        "Name": _full_name(key, content, names),
        "Driver": content.get("driver") or "bridge",
        "Labels": {**content.get("labels", {}), **_resource_labels(names, "network", key)},
        "Options": {name: str(value) for name, value in content.get("driver_opts", {}).items()},
        "Internal": bool(content.get("internal")),
        "Attachable": bool(content.get("attachable")),
        "EnableIPv6": bool(content.get("enable_ipv6")),
        "CheckDuplicate": True,
    }
    if "ipam" in content:
        ipam = content["ipam"]
        pools = [_pool(pool) for pool in ipam.get("config", [])]
        body["IPAM"] = {
            "Driver": ipam.get("driver") or "default",
            "Config": pools,
            "Options": ipam.get("options") or {},
        }
    return body


def volume_body(model: Model, key: str, names: Names) -> dict[str, Any] | None:
    """Give what ``POST /volumes/create`` takes; None for a volume that others made.

    No fingerprint is among the labels: Docker Compose would offer to delete a volume whose fingerprint is not its own.
    """
    content = model["volumes"][key] or {}
    if content.get("external"):
        return None
    return {
        "Name": _full_name(key, content, names),
        "Driver": content.get("driver") or "local",
        "DriverOpts": {name: str(value) for name, value in content.get("driver_opts", {}).items()},
        "Labels": {**content.get("labels", {}), **_resource_labels(names, "volume", key)},
    }


def started_services(model: Model) -> tuple[str, ...]:
    """Name the services that a start concerns: all that belong to no profile."""
    return tuple(name for name, content in model["services"].items() if not content.get("profiles"))


def start_order(model: Model) -> tuple[tuple[str, ...], ...]:
    """Give the services that are started, in groups: each one needs services of the groups before it only.

    Raises
    ------
    InvalidContentError
        When services need each other in a circle, or need one that does not exist or belongs to a profile.
    """
    waiting = {name: dict(model["services"][name].get("depends_on", {})) for name in started_services(model)}
    for name, needs in waiting.items():
        for needed, how in list(needs.items()):
            if needed in waiting:
                continue
            if how.get("required", True):
                why = "belongs to a profile, so it is not started" if needed in model["services"] else "does not exist"
                raise InvalidContentError(
                    f"The service {name} needs {needed}, which {why}.",
                    hint="Correct depends_on in docker-compose.override.yml.",
                )
            del needs[needed]
    groups: list[tuple[str, ...]] = []
    while waiting:
        ready = tuple(sorted(name for name, needs in waiting.items() if not set(needs) & set(waiting)))
        if not ready:
            raise InvalidContentError(
                f"These services need each other in a circle: {', '.join(sorted(waiting))}.",
                hint="Correct depends_on in docker-compose.override.yml.",
            )
        groups.append(ready)
        for name in ready:
            del waiting[name]
    return tuple(groups)


def missing_sources(model: Model) -> tuple[Path, ...]:
    """Give the files and folders of this machine that are mounted and do not exist.

    An engine would make them, as folders that belong to root.
    """
    sources = {
        volume["source"]: None
        for name in started_services(model)
        for volume in model["services"][name].get("volumes", [])
        if volume["type"] == "bind"
    }
    return tuple(path for path in map(Path, sources) if not path.exists())


def config_hash(model: Model, service: str) -> str:
    """Give the fingerprint of a service: the same for the same content, whatever the order of its keys."""
    content = {key: value for key, value in model["services"][service].items() if key != "depends_on"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _labels(model: Model, service: str, names: Names, *, number: int) -> dict[str, str]:
    place = model.get(EXTENSION, {})
    needs = model["services"][service].get("depends_on", {})
    return {
        PROJECT_LABEL: names.compose,
        SERVICE_LABEL: service,
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.container-number": str(number),
        HASH_LABEL: config_hash(model, service),
        "com.docker.compose.project.working_dir": place.get("working_dir", ""),
        "com.docker.compose.project.config_files": place.get("config_files", ""),
        "com.docker.compose.version": _COMPOSE_VERSION,
        # Without a file, Docker Compose stops containers in the order that these give.
        "com.docker.compose.depends_on": ",".join(
            f"{name}:{how.get('condition', 'service_started')}:{str(bool(how.get('restart'))).lower()}"
            for name, how in needs.items()
        ),
    }


def _resource_labels(names: Names, kind: str, key: str) -> dict[str, str]:
    return {
        PROJECT_LABEL: names.compose,
        f"com.docker.compose.{kind}": key,
        "com.docker.compose.version": _COMPOSE_VERSION,
    }


def _full_name(key: str, content: Mapping[str, Any], names: Names) -> str:
    own = content.get("name")
    return str(own) if own else key if content.get("external") else f"{names.compose}_{key}"


def _pool(pool: Mapping[str, Any]) -> dict[str, Any]:
    known = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway", "aux_addresses": "AuxiliaryAddresses"}
    return {known[key]: value for key, value in pool.items() if key in known}


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    if check.get("disable"):
        return {"Test": ["NONE"]}
    times = {
        "interval": "Interval",
        "timeout": "Timeout",
        "start_period": "StartPeriod",
        "start_interval": "StartInterval",
    }
    body: dict[str, Any] = {theirs: nanoseconds(check[ours]) for ours, theirs in times.items() if ours in check}
    # Without a test of its own, the image's is done with these times.
    body["Test"] = list(check.get("test") or [])
    return body | ({"Retries": int(check["retries"])} if "retries" in check else {})


def _host(model: Model, content: Mapping[str, Any], names: Names) -> dict[str, Any]:
    host = {theirs: content[ours] for ours, theirs in _PLAIN_OF_HOST.items() if content.get(ours) is not None}
    policy, _, count = str(content.get("restart") or "no").partition(":")
    host["RestartPolicy"] = {"Name": policy, **({"MaximumRetryCount": int(count)} if count else {})}
    host["PortBindings"] = _bindings(content.get("ports", []))
    host["Binds"], host["Mounts"] = _mounts(model, content.get("volumes", []), names)
    host |= _limits(content)
    if "tmpfs" in content:
        host["Tmpfs"] = dict(entry.partition(":")[::2] for entry in content["tmpfs"])
    if "ulimits" in content:
        host["Ulimits"] = [
            {"Name": name, "Soft": limit["soft"], "Hard": limit["hard"]} for name, limit in content["ulimits"].items()
        ]
    if "devices" in content:
        known = {"source": "PathOnHost", "target": "PathInContainer", "permissions": "CgroupPermissions"}
        host["Devices"] = [{known[key]: value for key, value in device.items()} for device in content["devices"]]
    if "logging" in content:
        logging = content["logging"]
        host["LogConfig"] = {"Type": logging.get("driver") or "", "Config": logging.get("options") or {}}
    mode = content.get("network_mode")
    if mode:
        kind, _, other = mode.partition(":")
        host["NetworkMode"] = f"container:{names.container(other)}" if kind == "service" else mode
    return host


def _limits(content: Mapping[str, Any]) -> dict[str, Any]:
    resources = (content.get("deploy") or {}).get("resources") or {}
    limits, reserved = resources.get("limits") or {}, resources.get("reservations") or {}
    sizes = {
        "Memory": limits.get("memory", content.get("mem_limit")),
        "MemoryReservation": reserved.get("memory", content.get("mem_reservation")),
        "MemorySwap": content.get("memswap_limit"),
        "ShmSize": content.get("shm_size"),
    }
    # -1 is no limit to swap.
    found: dict[str, Any] = {
        key: -1 if str(size) == "-1" else octets(size) for key, size in sizes.items() if size is not None
    }
    cpus = limits.get("cpus", content.get("cpus"))
    if cpus is not None:
        found["NanoCpus"] = round(float(cpus) * 10**9)
    pids = limits.get("pids")
    return found | ({"PidsLimit": int(pids)} if pids is not None else {})


def _bindings(ports: list[dict[str, Any]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        published = port.get("published")
        binding = {"HostIp": port.get("host_ip") or "", "HostPort": "" if published is None else str(published)}
        found.setdefault(f"{port['target']}/{port['protocol']}", []).append(binding)
    return found


def _mounts(model: Model, volumes: list[dict[str, Any]], names: Names) -> tuple[list[str], list[dict[str, Any]]]:
    """Give binds and mounts: only a bind is relabelled for SELinux, and only a mount can have a colon in its path."""
    binds, mounts = [], []
    for volume in volumes:
        kind, source = volume["type"], volume.get("source") or ""
        selinux = volume.get("bind", {}).get("selinux")
        if kind == "bind" and selinux and ":" not in source + volume["target"]:
            flags = ",".join(["ro"] * bool(volume.get("read_only")) + [selinux])
            binds.append(f"{source}:{volume['target']}:{flags}")
            continue
        mount: dict[str, Any] = {"Type": kind, "Target": volume["target"], "ReadOnly": bool(volume.get("read_only"))}
        if kind == "volume":
            mount["Source"] = _full_name(source, model["volumes"].get(source) or {}, names) if source else ""
            if volume.get("volume", {}).get("nocopy"):
                mount["VolumeOptions"] = {"NoCopy": True}
        elif kind == "bind":
            mount["Source"] = source
            propagation = volume.get("bind", {}).get("propagation")
            mount |= {"BindOptions": {"Propagation": propagation}} if propagation else {}
        elif kind == "tmpfs" and volume.get("tmpfs"):
            options = volume["tmpfs"]
            known = {"SizeBytes": options.get("size"), "Mode": options.get("mode")}
            mount["TmpfsOptions"] = {key: octets(value) for key, value in known.items() if value is not None}
        mounts.append(mount)
    return binds, mounts


def _endpoints(model: Model, service: str) -> list[tuple[str, dict[str, Any]]]:
    content = model["services"][service]
    networks = {key: how or {} for key, how in (content.get("networks") or {}).items()}
    compose = model["name"]
    found = []
    for key in sorted(networks, key=lambda each: (-int(networks[each].get("priority", 0)), each)):
        how = networks[key]
        declared = model["networks"].get(key) or {}
        name = declared.get("name") or (key if declared.get("external") else f"{compose}_{key}")
        endpoint: dict[str, Any] = {"Aliases": list(dict.fromkeys([service, *how.get("aliases", [])]))}
        if how.get("driver_opts"):
            endpoint["DriverOpts"] = how["driver_opts"]
        addresses = {"ipv4_address": "IPv4Address", "ipv6_address": "IPv6Address"}
        fixed = {theirs: how[ours] for ours, theirs in addresses.items() if how.get(ours)}
        if fixed:
            endpoint["IPAMConfig"] = fixed
        found.append((name, endpoint))
    return found
