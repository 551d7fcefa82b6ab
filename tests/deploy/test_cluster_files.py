"""The files that start a cluster are what Ray reads, and ask for what the page expects."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import yaml
from sources import ROOT

from cdvft_app.settings.environment import Environment

FOLDER = ROOT / "deploy" / "cluster"
RAY = re.findall(r"^ray\[client\]==([\d.]+)", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
LAUNCHER = yaml.safe_load((FOLDER / "ray-cluster.yaml").read_text(encoding="utf-8"))


def parts() -> dict[str, Any]:
    """By their kinds, of which no two are alike: there is no service but the page's."""
    found = list(yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text(encoding="utf-8")))
    by_kind = {one["kind"]: one for one in found}
    assert len(by_kind) == len(found)
    return by_kind


def containers(part: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = part["template"]["spec"]["containers"]
    return found


def test_rays_launcher_takes_its_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(LAUNCHER)
    validate_config(prepared)
    types = prepared["available_node_types"]
    assert (types["head"]["resources"]["CPU"], types["head"].get("max_workers")) == (0, 0)
    assert (types["gpu"]["min_workers"], types["gpu"]["max_workers"]) == (0, 4)
    assert "RAY_AUTH_MODE=token" in str(LAUNCHER["docker"]["run_options"])


def test_kubernetes_takes_all_parts_that_are_its_own() -> None:
    found = parts()
    spec = found.pop("RayCluster")["spec"]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    ]
    for part in (*found.values(), *pods):
        kubernetes_validate.validate(part, "1.37", strict=True)


def test_the_page_asks_the_head_of_its_own_cluster_with_its_token() -> None:
    found = parts()
    name = found["RayCluster"]["metadata"]["name"]
    (page,) = containers(found["Deployment"]["spec"])
    given = {one["name"]: one for one in page["env"]}
    asked = Environment(**{name: one["value"] for name, one in given.items() if "value" in one})
    assert asked.cluster == f"ray://{name}-head-svc:10001"
    secret = given["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": name, "key": "auth_token"}
    (group,) = found["RayCluster"]["spec"]["workerGroupSpecs"]
    # Nodes come when something waits for them: until then the page sees neither GPUs nor room.
    assert (group["minReplicas"], asked.run_gpus, asked.workers) == (0, 1, group["maxReplicas"])


def test_all_parts_are_one_image_with_one_version_of_ray() -> None:
    found = parts()
    spec = found["RayCluster"]["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"], found["Deployment"]["spec"]]
    images = {one["image"] for group in groups for one in containers(group)}
    assert images == {LAUNCHER["docker"]["image"]}
    (pinned,) = re.findall(r"ray\[client\]==([\d.]+)", (FOLDER / "Dockerfile").read_text())
    assert [spec["rayVersion"]] == RAY == [pinned]
