"""Serve the page: its store, its queue, and what is loaded beside it."""

from __future__ import annotations

import gc
import os
import sys
import time

os.environ["GRADIO_ANALYTICS_ENABLED"] = (
    "False"  # before gradio is imported: no outside host is asked anything
)
# Gradio's own statistics, which this page does not show: it keeps 10,000 events, and makes a DataFrame of
# all of them at the end of each.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000")

from cdvft_app.executors.queue import RunQueue, warm_up
from cdvft_app.executors.ray_cluster import RayCluster
from cdvft_app.settings.environment import Environment, environment
from cdvft_app.store import replication
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore
from cdvft_app.training import children
from cdvft_app.ui import logs
from cdvft_app.ui.build import build
from cdvft_app.ui.launching import launch_arguments
from cdvft_app.ui.lending import slices_on_lent_gpu
from cdvft_app.ui.login import logins
from cdvft_app.ui.shared.state import AppState

MAX_WAITING = 64  # events of pages


def main() -> None:
    os.umask(0o077)  # what visitors make is for nobody else on this machine
    try:
        logs.set_up()
        known = environment()
        auth = logins()
        slices = slices_on_lent_gpu()  # before anything loads torch
        store = RunStore.default()
        replication.restore_replicas(store)  # before the page asks for the browsers' key
        cluster = RayCluster(known.cluster) if known.cluster else None
        queue = RunQueue(store, executor=slices or cluster)
    except (StoreError, ValueError) as error:
        sys.exit(str(error))
    trust_proxies(known)
    page = build(AppState.make(store, queue))
    if slices:
        page.queue(max_size=MAX_WAITING)  # Gradio's own limit on a Space with ZeroGPU is one
    page.launch(prevent_thread_lock=True, auth=auth, **launch_arguments())
    logs.adopt_uvicorn()
    gc.freeze()  # what was imported stays
    gc.enable()
    queue.start()
    time.sleep(2)  # a page that is opened at once draws before the heavy imports take the processor
    children.prepare()
    # Slices are forked from this process, which must not have computed: threads do not survive a fork.
    warm_up(calibrate=not slices and not store.finished(1) and not store.measurements.any())
    try:
        page.block_thread()
    finally:
        queue.close()


def trust_proxies(known: Environment) -> None:
    """Has uvicorn, which Gradio starts, take a visitor's address from these proxies, and from no others."""
    os.environ["FORWARDED_ALLOW_IPS"] = known.proxies
