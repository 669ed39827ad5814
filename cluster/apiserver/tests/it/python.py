"""What programs do with the client library: each step as its documentation shows it."""

import pathlib
import time

from kubernetes import client, config, watch
from kubernetes.stream import stream

config.load_kube_config("kubeconfig")
core = client.CoreV1Api()
apps = client.AppsV1Api()

assert client.VersionApi().get_code().major == "1"
core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="x")))
made = core.create_namespaced_config_map("x", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "b"}))
assert made.metadata.uid and made.kind == "ConfigMap"
assert core.read_namespaced_config_map("c", "x").data == {"a": "b"}
assert core.patch_namespaced_config_map("c", "x", {"data": {"a": "c"}}).data == {"a": "c"}
changed = core.patch_namespaced_config_map("c", "x", [{"op": "replace", "path": "/data/a", "value": "d"}])
assert changed.data == {"a": "d"}
body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "e"})
assert core.replace_namespaced_config_map("c", "x", body).data == {"a": "e"}
made.data = {"a": "late"}
try:
    core.replace_namespaced_config_map("c", "x", made)
    raise AssertionError("a stale write went through")
except client.ApiException as refused:
    assert refused.status == 409, refused

container = client.V1Container(name="a", image="plimsoll/probe")
spec = client.V1PodSpec(containers=[container])
template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "w"}), spec=spec)
selector = client.V1LabelSelector(match_labels={"app": "w"})
deployment = client.V1Deployment(
    metadata=client.V1ObjectMeta(name="w"),
    spec=client.V1DeploymentSpec(replicas=1, selector=selector, template=template),
)
apps.create_namespaced_deployment("x", deployment)
assert apps.patch_namespaced_deployment_scale("w", "x", {"spec": {"replicas": 2}}).spec.replicas == 2

seen = [event["type"] for event in watch.Watch().stream(core.list_namespaced_config_map, "x", timeout_seconds=1)]
assert seen == ["ADDED"], seen

core.create_namespaced_pod("default", client.V1Pod(metadata=client.V1ObjectMeta(name="p"), spec=spec))
pathlib.Path("bind-now").touch()
while not core.read_namespaced_pod("p", "default").spec.node_name:
    time.sleep(0.02)
assert core.read_namespaced_pod_log("p", "default") == "p/a tail=None\n"
session = stream(
    core.connect_get_namespaced_pod_exec,
    "p",
    "default",
    command=["two", "words"],
    stdout=True,
    stderr=True,
    stdin=False,
    tty=False,
    _preload_content=False,
)
session.run_forever(timeout=10)
assert session.returncode == 2, session.returncode
options = client.V1DeleteOptions(grace_period_seconds=0)
eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p"), delete_options=options)
core.create_namespaced_pod_eviction("p", "default", eviction)
try:
    core.read_namespaced_pod("p", "default")
    raise AssertionError("the pod is still there")
except client.ApiException as refused:
    assert refused.status == 404, refused
core.delete_namespaced_config_map("c", "x")
core.delete_collection_namespaced_config_map("x")
assert core.list_namespaced_config_map("x").items == []
