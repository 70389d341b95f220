#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test-files.py - the files of deploy/ against what they are about

Their configs are what mempoold takes, and one; the sidecar's pod keeps each rule of Pod Security
"restricted" (as of Kubernetes 1.29); mounts name volumes that there are, and the socket's folder is
where the config has the socket; what is started is in the image; alerts and the dashboard are of metrics
that there are.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skipped: no python3-yaml")
    sys.exit(77)

DEPLOY = pathlib.Path(os.environ["SOURCE"]) / "deploy"
# Those that a pod may have; hostPath is not among them.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
           "projected", "secret"}
INSTALLED = {"mempoold", "mempoolctl"}
PROGRAMS = INSTALLED | set(re.findall(r"/build/examples/(\S+)",
                                      (DEPLOY / "Dockerfile").read_text(encoding="utf-8")))
n_failed = 0


def check(what, problems):
    global n_failed
    problems = list(problems)
    print("not ok" if problems else "ok", "-", what)
    for problem in problems:
        print("#", problem)
    n_failed += bool(problems)


def load(name):
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def config_is_taken(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        result = subprocess.run([os.environ["MEMPOOLD"], "--check-config", "--config", file.name],
                                text=True, capture_output=True)
    if result.returncode or result.stderr:
        yield result.stderr


def restricted(pod):
    context = pod.get("securityContext", {})
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "a namespace of the node"
    for volume in pod["volumes"]:
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is {kinds}"
    for container in containers(pod):
        own = {**context, **container.get("securityContext", {})}
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']}: allowPrivilegeEscalation"
        if own.get("runAsNonRoot") is not True or own.get("runAsUser") == 0:
            yield f"{container['name']}: may be root"
        if own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{container['name']}: no seccompProfile"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or "add" in own["capabilities"]:
            yield f"{container['name']}: capabilities"
        if own.get("privileged"):
            yield f"{container['name']}: privileged"


def mounts(pod, folder):
    volumes = {volume["name"] for volume in pod["volumes"]}
    for container in containers(pod):
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        yield from (f"{container['name']}: no volume {name}" for name in set(mounted) - volumes)
        if mounted.get("socket") != folder:
            yield f"{container['name']}: has the socket's folder not at {folder}"


def programs(pod):
    for container in containers(pod):
        words = container.get("command", ["mempoold"])[:1]
        for probe in ("startupProbe", "livenessProbe"):
            words += container.get(probe, {}).get("exec", {}).get("command", [])[:1]
        yield from (f"{container['name']}: {word}" for word in words if word not in PROGRAMS)


def compose(file, folder):
    for name, service in file["services"].items():
        targets = [volume.split(":")[1] for volume in service["volumes"]]
        if folder not in targets:
            yield f"{name}: has the socket's folder not at {folder}"
        yield from (f"{name}: no volume {volume.split(':')[0]}" for volume in service["volumes"]
                    if volume.split(":")[0] not in file["volumes"])
        words = service.get("entrypoint", ["mempoold"])[:1]
        words += service.get("healthcheck", {}).get("test", ["CMD", "mempoolctl"])[1:2]
        yield from (f"{name}: {word}" for word in words if word not in PROGRAMS)


def known_metrics():
    told = subprocess.run([os.environ["MEMPOOLCTL"], "metrics", "--socket", "/none"], text=True,
                          capture_output=True).stdout
    return set(re.findall(r"^# TYPE (\S+) ", told, re.M))


def rules():
    """Each metric of an alert is one that there is."""
    known = known_metrics()
    file, = load("prometheus-rules.yaml")
    for group in file["groups"]:
        for rule in group["rules"]:
            for name in re.findall(r"\bmempool_\w+", rule["expr"]):
                if name not in known:
                    yield f"{rule['alert']}: {name}"


def alerts():
    """Those of the file, and those that docs/operating.md says what to do about."""
    file, = load("prometheus-rules.yaml")
    names = [rule["alert"] for rule in file["groups"][0]["rules"]]
    text = (DEPLOY.parent / "docs/operating.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (Mempool\w+) \|", text, re.M)
    yield from (f"{name} is in one of them only" for name in sorted(set(names) ^ set(told)))


def dashboard():
    """Each panel asks for metrics that there are, and has a place of its own."""
    known = known_metrics()
    text = (DEPLOY / "grafana/mempoold.json").read_text(encoding="utf-8")
    panels = json.loads(text)["panels"]
    taken = {}
    for panel in panels:
        title, place = panel["title"], panel["gridPos"]
        if panel["type"] != "row" and not panel.get("targets"):
            yield f"{title}: asks for nothing"
        for target in panel.get("targets", []):
            names = set(re.findall(r"\bmempool_\w+", target["expr"]))
            yield from (f"{title}: {name}" for name in sorted(names - known))
            if not names:
                yield f"{title}: asks for no metric"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if x >= 24 or taken.setdefault((x, y), title) != title:
                    yield f"{title}: is over {taken.get((x, y), 'the edge')}"
    if len({panel["id"] for panel in panels}) != len(panels):
        yield "two panels have one id"


def main():
    config, = load("mempool.yaml")
    folder = os.path.dirname(config["socket"]["path"])
    config_map, pod, daemon_set = load("kubernetes.yaml")
    check("the config", config_is_taken((DEPLOY / "mempool.yaml").read_text(encoding="utf-8")))
    text = config_map["data"]["mempool.yaml"]
    check("that of the ConfigMap", config_is_taken(text))
    check("they are one", [] if yaml.safe_load(text) == config else [text])
    check("the pod is restricted", restricted(pod["spec"]))
    for what, spec in (("pod", pod["spec"]), ("daemon set", daemon_set["spec"]["template"]["spec"])):
        check(f"mounts of the {what}", mounts(spec, folder))
        check(f"programs of the {what}", programs(spec))
    check("metrics of the alerts", rules())
    check("alerts in operating.md", alerts())
    check("the dashboard", dashboard())
    check("compose", compose(load("compose.yaml")[0], folder))
    sys.exit(n_failed > 0)


main()
